"""A and B in folders of their own: partners by stem, in every form that people use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfpix2pix.data import open_dataset
from tfpix2pix.data.layouts.pair_files import Listing

# Where A and B of a split lie, by layout.
FORMS = {
    "A/train": ("A/{split}", "B/{split}"),
    "trainA": ("{split}A", "{split}B"),
    "train/A": ("{split}/A", "{split}/B"),
}


@pytest.fixture
def write(tmp_path, draw, save):
    """`write(folder, {"1": 10, "2": 20}, ".png")`: pictures by stem and seed, of 16x12."""

    def pictures(folder: str, seeds: dict[str, int], extension: str = ".png", **options):
        for stem, seed in seeds.items():
            save(tmp_path / folder / f"{stem}{extension}", draw(seed, **options))
        return tmp_path

    return pictures


def assert_pair(pair, draw, x_seed: int, y_seed: int) -> None:
    np.testing.assert_array_equal(pair[0], draw(x_seed))
    np.testing.assert_array_equal(pair[1], draw(y_seed))


# === Where A and B lie ===


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_split_folders(write, draw, loaded, form, direction):
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        a, b = (name.format(split=split) for name in FORMS[form])
        write(a, {"one": first + 1, "two": first + 2}, ".png")
        # Other extensions, in an order of their own.
        folder = write(b, {"two": first + 12}, ".npy")
        write(b, {"one": first + 11}, ".tif")
    source = open_dataset(str(folder), direction=direction)
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        pairs = loaded(source, split)
        assert list(pairs) == ["one", "two"]
        for stem, seed in (("one", first + 1), ("two", first + 2)):
            seeds = (seed, seed + 10) if direction == "AtoB" else (seed + 10, seed)
            assert_pair(pairs[stem], draw, *seeds)
    assert source.describe() == (
        f"2 train, 2 val, 2 test pairs of 16x12 (two folders, {direction}; RGB, 8 bit)"
    )


def test_only_train(write, draw, loaded):
    write("trainA", {"1": 1})
    source = open_dataset(str(write("trainB", {"1": 2})))
    assert source.count("val") == 0
    assert_pair(loaded(source)["1"], draw, 1, 2)


def test_flat_folders_are_split_by_name(write, draw, loaded):
    names = {f"n{i}": i for i in range(20)}
    write("A", names)
    source = open_dataset(str(write("B", {n: 50 + s for n, s in names.items()})), val_fraction=0.4)
    pairs = {**loaded(source, "train"), **loaded(source, "val")}
    assert sorted(pairs) == sorted(names)
    assert 0 < source.count("val") < 20
    for name, seed in names.items():
        assert_pair(pairs[name], draw, seed, 50 + seed)


def test_named_folders_flat_and_with_splits(write, tmp_path, draw, loaded):
    write("day", {"1": 1, "2": 2})
    write("night", {"1": 11, "2": 12}, ".bmp")
    options = {"input_dir": str(tmp_path / "day"), "target_dir": str(tmp_path / "night")}
    source = open_dataset("ignored", val_fraction=0, **options)
    assert_pair(loaded(source)["2"], draw, 2, 12)
    # They say what is input and what target, so that a direction has nothing to turn.
    assert_pair(
        loaded(open_dataset("", val_fraction=0, direction="BtoA", **options))["2"], draw, 2, 12
    )
    for split, seed in (("train", 3), ("val", 4)):
        write(f"deep/in/{split}", {"a": seed})
        write(f"out/{split}", {"a": seed + 10})
    source = open_dataset(
        "", input_dir=str(tmp_path / "deep" / "in"), target_dir=str(tmp_path / "out")
    )
    assert_pair(loaded(source, "train")["a"], draw, 3, 13)
    assert_pair(loaded(source, "val")["a"], draw, 4, 14)


def test_relative_named_folders(write, tmp_path, monkeypatch):
    write("a", {"1": 1})
    write("b", {"1": 2})
    monkeypatch.chdir(tmp_path)
    source = open_dataset("", input_dir="a", target_dir="b", val_fraction=0)
    assert source.count("train") == 1
    identity = source.identity()
    (tmp_path / "moved").mkdir()
    for name in "ab":
        (tmp_path / name).rename(tmp_path / "moved" / name)
    monkeypatch.chdir(tmp_path / "moved")
    moved = open_dataset("", input_dir="a", target_dir="b", val_fraction=0)
    assert moved.identity() == identity


def test_named_folders_apart_from_each_other(write, tmp_path, refusal):
    write("data/a", {"1": 1, "2": 2})
    write("more/deep/b", {"1": 1})
    folders = {
        "input_dir": str(tmp_path / "data" / "a"),
        "target_dir": str(tmp_path / "more" / "deep" / "b"),
    }
    message = refusal("", val_fraction=0, **folders)
    assert "1 without a partner of the same stem in more/deep/b/:\n    data/a/2.png" in message
    (tmp_path / "data" / "a" / "2.png").unlink()
    identity = open_dataset("", val_fraction=0, **folders).identity()
    moved = tmp_path.rename(tmp_path.with_name(tmp_path.name + "_moved"))
    folders = {
        "input_dir": str(moved / "data" / "a"),
        "target_dir": str(moved / "more" / "deep" / "b"),
    }
    assert open_dataset("", val_fraction=0, **folders).identity() == identity
    moved.rename(tmp_path)


def test_files_below_no_common_folder_are_named_in_full():
    listing = Listing("two folders", Path("/"), {})
    assert listing.label(Path("/data/a/1.png")) == "/data/a/1.png"


def test_stems_may_hold_dots_and_spaces(write, loaded):
    write("A", {"a b.c": 1, "a b.d": 2})
    source = open_dataset(str(write("B", {"a b.c": 3, "a b.d": 4}, ".tif")), val_fraction=0)
    assert list(loaded(source)) == ["a b.c", "a b.d"]


def test_folders_of_links(write, tmp_path, loaded):
    write("data/x", {"1": 1})
    write("data/y", {"1": 2})
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "A").symlink_to(tmp_path / "data" / "x")
    (tmp_path / "set" / "B").symlink_to(tmp_path / "data" / "y")
    assert list(loaded(open_dataset(str(tmp_path / "set"), val_fraction=0))) == ["1"]


# === What is refused ===


def test_stems_without_a_partner_are_counted_and_listed(write, refusal):
    both = {f"ok{i}": i for i in range(20)}
    write("A", {**both, **{f"only{i:02d}": i for i in range(13)}})
    folder = write("B", {**both, "alone": 3}, ".tif")
    message = refusal(folder)
    first = message.splitlines()[0]
    assert first == f"--dataset={folder}: 14 images cannot be used; mend or remove them."
    assert "  13 without a partner of the same stem in B/:" in message
    assert "    A/only00.png" in message
    assert "A/only09.png" in message
    assert "A/only10.png" not in message
    assert "    and 3 more" in message
    assert "  1 without a partner of the same stem in A/:\n    B/alone.tif" in message


def test_no_stem_agrees(write, refusal):
    write("A", {"cat": 1})
    message = refusal(write("B", {"dog": 1}))
    assert "no pairs, for no image in A/ has a partner of the same stem in B/" in message
    assert "(found cat.png there and dog.png here)" in message


def test_one_stem_twice(write, refusal):
    write("A", {"1": 1, "2": 2}, ".png")
    write("A", {"2": 3}, ".bmp")
    message = refusal(write("B", {"1": 1, "2": 2}))
    assert "1 of a stem that another image has; keep one" in message
    assert "A/2.png: 2.bmp has the same stem" in message


@pytest.mark.parametrize("common", [0, 2])
def test_unpaired_sets_are_recognised(write, refusal, common):
    write("trainA", {f"{i}": i for i in range(6)})
    folder = write("trainB", {f"{i}": i for i in range(6 - common, 12)})
    message = refusal(folder)
    assert (
        f"unpaired, {common} of the 6 images in trainA/ have a partner of the same stem in trainB/"
        in message
    )
    assert "--algorithm=cyclegan learns from such folders" in message
    assert "\n" not in message


def test_horse2zebra_is_unpaired(shared_data, refusal):
    message = refusal(shared_data / "horse2zebra")
    assert "unpaired" in message
    assert "to learn from pairs, give partners one stem" in message


def test_folders_missing_or_empty(write, tmp_path, refusal):
    folder = write("A/train", {"1": 1})
    (folder / "B").mkdir()
    assert "there is no B/train/; expected it beside its counterpart" in refusal(folder)
    (folder / "B" / "train").mkdir()
    assert "B/train/ holds no images; put images there" in refusal(folder)
    (folder / "B" / "train" / "a.txt").write_text("")
    assert "B/train/ holds no images (only 1 other file)" in refusal(folder)


def test_a_val_of_one_side_only(write, refusal):
    write("trainA", {"1": 1})
    write("trainB", {"1": 2})
    assert "there is no valA/" in refusal(write("valB", {"1": 3}))


def test_named_folders_that_are_not_there(write, tmp_path, refusal):
    write("a", {"1": 1})
    a, file = str(tmp_path / "a"), str(tmp_path / "a" / "1.png")
    assert "--target_dir is missing; two folders need both" in refusal("", input_dir=a)
    assert "--input_dir is missing" in refusal("", target_dir=a)
    message = refusal("", input_dir=a, target_dir=f"{a}x")
    assert f"--target_dir={a}x: no such folder" in message
    assert "a file; expected a folder" in refusal("", input_dir=file, target_dir=a)


def test_two_sizes_within_a_pair(write, refusal):
    write("A", {"1": 1, "2": 2})
    write("B", {"1": 3})
    folder = write("B", {"2": 4}, height=14, width=18)
    for options in ({}, {"allow_mixed_sizes": True}):
        message = refusal(folder, val_fraction=0, **options)
        assert "1 of two sizes within a pair" in message
        assert "A/2.png: 16x12 (width x height), B/2.png: 18x14 (width x height)" in message
        assert "tfpix2pix pairs --task=combine" in message


def test_every_damaged_file_is_named(write, refusal):
    write("A", {"1": 1, "2": 2, "3": 3})
    folder = write("B", {"1": 4, "2": 5, "3": 6})
    (folder / "A" / "2.png").write_bytes(b"")
    (folder / "B" / "2.png").write_text("text")
    (folder / "B" / "3.png").write_text("text")
    message = refusal(folder, val_fraction=0)
    assert "3 of 6 images cannot be used" in message
    assert "A/2.png: an empty file" in message
    assert "B/2.png: not an image" in message
    assert "B/3.png: not an image" in message


def test_other_files_are_noted(write):
    write("A", {"1": 1})
    folder = write("B", {"1": 2})
    for name in ("A/readme.txt", "B/Thumbs.db"):
        (folder / name).write_text("")
    source = open_dataset(str(folder), val_fraction=0)
    source.check()
    assert source.notes() == ["2 other files ignored (A/readme.txt, B/Thumbs.db)"]
