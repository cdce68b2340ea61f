"""Images of two sides that are no pairs: from folders, arrays, and pairs whose order is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import SPLITS, PairArrays, evaluation_batches, open_dataset, open_store


def flat(level: int, height: int = 8, width: int = 8, channels: int = 3) -> np.ndarray:
    """An image of the whole scale that is known by its least value, `level`."""
    image = (np.arange(height * width).reshape(height, width, 1) % 7 + level).astype(np.uint8)
    image[-1, -1] = 255
    image = np.repeat(image, channels, axis=-1)
    image[0, 0, 1:] += 1  # no index map
    return image


def save(folder: Path, **images: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
            folder / f"{name}.png"
        )
    return folder


@pytest.fixture
def two_sides(tmp_path) -> Path:
    """Three images of A, 8x8, and two of B, 16x12; one of each to test."""
    save(tmp_path / "trainA", **{f"a{k}": flat(10 * k) for k in range(3)})
    save(tmp_path / "trainB", **{f"b{k}": flat(100 + 10 * k, 12, 16) for k in range(2)})
    save(tmp_path / "testA", a9=flat(90))
    save(tmp_path / "testB", b9=flat(190, 12, 16))
    return tmp_path


def unpaired(dataset, **fields):
    return open_dataset(dataset, data="unpaired", **fields)


def levels(source, split="train") -> tuple[list[int], list[int]]:
    """By what the inputs and the targets of a split are known."""
    images = [source.load(split, index) for index in range(source.count(split))]
    x, y = ([int(pair[side].min()) for pair in images] for side in (0, 1))
    return x, y


def refused(*args, **fields) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(*args, **fields).check()
    return str(caught.value)


# === Folders ===


def test_each_side_has_its_own_number_and_size(two_sides):
    source = unpaired(two_sides)
    source.check()
    assert [source.sides(split) for split in SPLITS] == [(3, 2), (0, 0), (1, 1)]
    assert [source.count(split) for split in SPLITS] == [3, 0, 1]
    assert not source.paired("train")
    assert levels(source) == ([0, 10, 20], [100, 110, 100])
    assert [source.pair_name("train", i) for i in range(3)] == ["a0", "a1", "a2"]
    assert source.image_sizes() == {(8, 8): 4, (12, 16): 3}
    assert source.describe() == (
        "3 and 2 train, 1 and 1 test images of 8x8 and 16x12 (unpaired, two folders, AtoB; RGB, "
        "8 bit)"
    )


def test_the_direction_says_which_side_is_the_input(two_sides):
    back = unpaired(two_sides, direction="BtoA")
    assert levels(back) == ([100, 110, 100], [0, 10, 20])
    there = unpaired(two_sides)
    assert back.identity() == there.identity()
    assert there.identity()["counts"] == {"train": [3, 2], "test": [1, 1]}
    assert back.x.cache_key("train") == there.y.cache_key("train")


def test_what_is_shown_of_a_split_has_each_side_whole(two_sides):
    store = open_store(unpaired(two_sides), "train", size=8, cache="none")
    assert not store.paired
    assert (store.count, store.x.count, store.y.count) == (3, 3, 2)
    batches = list(evaluation_batches(store, size=8))
    lowest = [[np.rint((side.numpy() + 1) * 127.5).min() for side in pair] for pair in batches]
    x, y = map(list, zip(*lowest, strict=True))
    assert x == [0, 10, 20]
    assert y[0] == y[2] != y[1]
    assert store.describe().startswith("3 images read and decoded each time")


@pytest.mark.parametrize("form", ["{side}/{split}", "{split}/{side}", "{split}_{side}"])
def test_sides_are_found_in_the_forms_of_pairs(tmp_path, form):
    counts = {("train", "A"): 3, ("train", "B"): 2, ("val", "A"): 1, ("val", "B"): 2}
    for (split, side), count in counts.items():
        folder = tmp_path / form.format(split=split, side=side)
        save(folder, **{f"{side}{k}": flat(k) for k in range(count)})
    source = unpaired(tmp_path)
    assert [source.sides(split) for split in SPLITS] == [(3, 2), (1, 2), (0, 0)]
    assert source.count("val") == 2


def test_sides_without_splits_hold_out_some_of_each_by_name(tmp_path):
    for side in "AB":
        save(tmp_path / side, **{f"{side}{k}": flat(k) for k in range(30)})
    source = unpaired(tmp_path, val_fraction=0.3)
    for side in (source.x, source.y):
        assert side.count("train") + side.count("val") == 30
        assert 3 < side.count("val") < 18
    named = unpaired("", input_dir=f"{tmp_path}/A", target_dir=f"{tmp_path}/B", val_fraction=0.3)
    assert [named.sides(split) for split in SPLITS] == [source.sides(split) for split in SPLITS]
    assert "0 val" not in named.describe()


def test_how_to_hold_out_some_is_advised_and_works(two_sides):
    advice = unpaired(two_sides).no_val_advice()
    folders = {"input_dir": f"{two_sides}/trainA", "target_dir": f"{two_sides}/trainB"}
    assert " ".join(f"--{name}={place}" for name, place in folders.items()) in advice
    assert unpaired("", **folders, val_fraction=0).sides("train") == (3, 2)


def test_an_empty_or_missing_side_is_named(two_sides):
    for path in (two_sides / "trainB").iterdir():
        path.unlink()
    assert f"--dataset={two_sides}: trainB/ holds no images; put images there." == refused(
        two_sides, data="unpaired"
    )
    (two_sides / "trainB").rmdir()
    save(two_sides / "trainB", b=flat(3))
    (two_sides / "testB" / "b9.png").unlink()
    (two_sides / "testB").rmdir()
    assert "there is no testB/; expected it beside its counterpart" in refused(
        two_sides, data="unpaired"
    )


def test_one_image_of_each_is_enough_unless_one_is_held_out(tmp_path):
    save(tmp_path / "A", one=flat(0))
    save(tmp_path / "B", other=flat(100))
    source = unpaired(tmp_path, val_fraction=0)
    assert levels(source) == ([0], [100])
    said = refused(tmp_path, data="unpaired", val_fraction=0.9)
    assert said == (
        f"--dataset={tmp_path}: no input and target images are left for training; give more "
        "images, or --val_fraction=0."
    )


def test_sides_differ_in_size_freely_and_images_of_a_side_on_demand(two_sides):
    save(two_sides / "trainA", odd=flat(3, 9, 9))
    said = refused(two_sides, data="unpaired")
    assert "of another size than trainA/a0.png (8x8 (width x height))" in said
    assert "--allow_mixed_sizes" in said
    assert "trainB" not in said
    source = unpaired(two_sides, allow_mixed_sizes=True)
    source.check()
    assert "2 sizes and 16x12" in source.describe()


def test_wildly_different_sizes_are_noted(two_sides):
    source = unpaired(two_sides)
    source.check()
    assert source.notes() == []
    save(two_sides / "testB", b9=flat(190, 64, 64))
    for k in range(2):
        save(two_sides / "trainB", **{f"b{k}": flat(100, 64, 64)})
    source = unpaired(two_sides)
    source.check()
    assert source.notes()[0].startswith("the target images have 64 times as many pixels")


@pytest.mark.parametrize(
    ("few", "said"),
    [
        (1, "the target has one training image, which is all that could be learned"),
        (
            2,
            "the target has 2 training images and the input 40, so that each of the former is "
            "seen 20 times as often",
        ),
        (3, ""),
    ],
)
def test_very_few_images_of_a_side_are_noted(tmp_path, few, said):
    save(tmp_path / "trainA", **{f"a{k}": flat(k) for k in range(40)})
    save(tmp_path / "trainB", **{f"b{k}": flat(k) for k in range(few)})
    source = unpaired(tmp_path)
    source.check()
    assert [note.startswith(said) for note in source.notes()] == ([True] if said else [])


def test_grey_and_colour_are_each_what_they_are(two_sides):
    for name in ("trainA/a0", "trainA/a1", "trainA/a2", "testA/a9"):
        save(two_sides / Path(name).parent, **{Path(name).name: flat(1, channels=1)})
    source = unpaired(two_sides)
    source.check()
    assert (source.spec.x.channels, source.spec.y.channels) == (1, 3)
    (note,) = source.notes()
    assert "the input has 1 channel and the target has 3 channels" in note
    assert "--input_channels=3 makes them alike" in note
    alike = unpaired(two_sides, input_channels=3)
    alike.check()
    assert alike.spec.x == alike.spec.y
    back = unpaired(two_sides, direction="BtoA")
    back.check()
    assert any("--target_channels=3 makes them alike" in note for note in back.notes())


def test_faults_of_both_sides_are_listed_at_once(two_sides):
    (two_sides / "trainA" / "a1.png").write_bytes(b"no picture")
    (two_sides / "trainB" / "b0.png").write_bytes(b"")
    said = refused(two_sides, data="unpaired")
    assert said.startswith(f"--dataset={two_sides}: 2 of 7 images cannot be used; mend or remove")
    assert "trainA/a1.png: " in said
    assert "trainB/b0.png: " in said


def test_values_that_mean_nothing_are_found_on_each_side(tmp_path):
    for side, mark in (("A", -9999.0), ("B", np.nan)):
        (tmp_path / side).mkdir()
        image = np.random.default_rng(0).random((8, 8, 1), np.float32)
        image[2, 3 if side == "A" else 4] = mark
        np.save(tmp_path / side / f"{side}.npy", image)
    source = unpaired(tmp_path, val_fraction=0)
    source.check()
    assert (source.spec.x.ignore, source.spec.y.ignore) == (("-9999",), ("nan",))
    (batch,) = evaluation_batches(open_store(source, "train", size=8), size=8)
    measured = batch[2].numpy()[0, ..., 0]
    assert np.argwhere(measured == 0).tolist() == [[2, 3], [2, 4]]


def test_labels_may_be_one_of_the_sides(two_sides):
    from tfpix2pix.data import load_palette

    colours = load_palette("facades").colors
    for name in ("trainA/a0", "trainA/a1", "trainA/a2", "testA/a9"):
        painted = np.repeat(colours[np.arange(8) % len(colours)][None], 8, axis=0)
        save(two_sides / Path(name).parent, **{Path(name).name: painted.astype(np.uint8)})
    source = unpaired(two_sides, label_palette="facades", input_encoding="onehot")
    source.check()
    assert source.spec.label_side == "input"
    assert source.x.load("train", 0)[0, :, 0].tolist() == [k % len(colours) for k in range(8)]


def test_moved_folders_hold_the_same_images(two_sides, tmp_path_factory):
    before = unpaired(two_sides).identity()
    elsewhere = tmp_path_factory.mktemp("moved") / "set"
    two_sides.rename(elsewhere)
    assert unpaired(elsewhere).identity() == before
    save(elsewhere / "trainB", b0=flat(77, 12, 16))
    assert unpaired(elsewhere).identity()["pairs"] != before["pairs"]


# === What is refused, and what to do ===


def test_pairs_need_pairs(two_sides):
    said = refused(two_sides)
    assert "0 of the 3 images in trainA/ have a partner of the same stem" in said
    assert "--algorithm=cyclegan learns from such folders" in said


def test_colours_are_learned_from_pairs(two_sides):
    said = refused(two_sides, data="unpaired", color_space="lab")
    assert "leave it out with images that are no pairs" in said


def test_stems_of_two_sides_are_disjoint_anyway(two_sides):
    said = refused(two_sides, data="unpaired", disjoint_stems=True)
    assert "--disjoint_stems keeps the partners of pairs apart" in said


# === Pairs whose order is broken ===


@pytest.fixture
def pairs(tmp_path) -> Path:
    """Nine pairs side by side to train, two to val."""
    for split, count in (("train", 9), ("val", 2)):
        images = {
            f"p{k}": np.concatenate([flat(10 * k), flat(100 + 10 * k)], 1) for k in range(count)
        }
        save(tmp_path / split, **images)
    return tmp_path


def test_pairs_train_unpaired_and_are_measured_as_pairs(pairs):
    source = unpaired(pairs)
    source.check()
    assert [source.paired(split) for split in ("train", "val")] == [False, True]
    assert source.sides("train") == (9, 9)
    assert levels(source, "val") == ([0, 10], [100, 110])
    assert not open_store(source, "train", size=8).paired
    assert open_store(source, "val", size=8).paired
    assert source.describe().endswith("; training sees them in an order that breaks the pairs")


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_halves_share_no_pair_and_follow_the_seed(pairs, direction):
    def halves(seed: int) -> tuple[set[int], set[int]]:
        source = unpaired(pairs, disjoint_stems=True, seed=seed, direction=direction)
        x, y = ({level % 100 // 10 for level in side} for side in levels(source))
        return (x, y) if direction == "AtoB" else (y, x)

    a, b = halves(0)
    assert (len(a), len(b)) == (5, 4)
    assert a | b == set(range(9))
    assert halves(0) == (a, b)
    assert any(halves(seed) != (a, b) for seed in (1, 2))
    other = unpaired(pairs, disjoint_stems=True, seed=0)
    assert {level // 10 for level in levels(other)[0]} == a, "A is the same half either way"
    assert other.paired("val")


def test_halves_have_files_of_their_own(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoded")
    keys = set()
    for fields in ({"disjoint_stems": True}, {"disjoint_stems": True, "seed": 1}):
        source = unpaired(pairs, **fields)
        store = open_store(source, "train", size=8, cache="file", cache_dir=folder)
        assert (store.x.count, store.y.count) == source.sides("train")
        keys |= {source.x.cache_key("train"), source.y.cache_key("train")}
        for index in range(store.x.count):
            np.testing.assert_array_equal(store.x.image(index), source.x.load("train", index))
    assert len(keys) == len(list(folder.glob("*.npy"))) == 4


def test_whole_pairs_are_kept_as_those_of_paired_training(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoded")
    stores = [
        open_store(open_dataset(pairs, data=data), "train", size=8, cache="file", cache_dir=folder)
        for data in ("pairs", "unpaired")
    ]
    assert [store.paired for store in stores] == [True, False]
    assert len(list(folder.glob("*.npy"))) == 2
    np.testing.assert_array_equal(stores[0].y.image(3), stores[1].y.image(3))


def test_one_pair_has_no_halves(pairs):
    for k in range(1, 9):
        (pairs / "train" / f"p{k}.png").unlink()
    assert "--disjoint_stems with 1 training pair" in refused(
        pairs, data="unpaired", disjoint_stems=True
    )


def test_folders_of_partners_are_pairs_where_that_is_asked_for(tmp_path):
    for split in ("train", "val"):
        for side, level in (("A", 0), ("B", 100)):
            save(tmp_path / side / split, **{f"{k}": flat(level + k) for k in range(4)})
    assert unpaired(tmp_path).paired("val")
    # Of other sizes they can be none, whatever their names are.
    save(tmp_path / "B" / "val", **{"0": flat(100, 12, 16)})
    assert not unpaired(tmp_path, allow_mixed_sizes=True).paired("val")
    save(tmp_path / "B" / "val", **{"0": flat(100), "alone": flat(3)})
    source = unpaired(tmp_path)
    assert not source.paired("val")
    assert source.sides("val") == (4, 5)


def test_the_sample_set_has_two_sides_too():
    source = unpaired("sample", sample_pairs=8, sample_size=32, disjoint_stems=True)
    assert source.sides("train") == (4, 4)
    assert source.paired("test")
    inputs = [source.x.image_name("train", k) for k in range(4)]
    targets = [source.y.image_name("train", k) for k in range(4)]
    assert not set(inputs) & set(targets)


# === Arrays ===


def test_arrays_of_any_counts():
    x = np.stack([flat(10 * k) for k in range(3)])
    y = [flat(100 + 10 * k, 8, 16, 1) for k in range(5)]
    source = unpaired((x, y), val_fraction=0)
    source.check()
    assert source.sides("train") == (3, 5)
    assert levels(source) == ([0, 10, 20, 0, 10], [100, 110, 120, 130, 140])
    assert source.describe() == "3 and 5 train images (unpaired, arrays; RGB, 8 bit to grey, 8 bit)"
    assert source.identity()["counts"] == {"train": [3, 5]}
    split = unpaired({"train": (x, y), "val": (x[:1], y[:2])})
    assert [split.sides(name) for name in SPLITS] == [(3, 5), (1, 2), (0, 0)]
    assert split.identity()["arrays"] != source.identity()["arrays"]


def test_arrays_that_are_no_pairs_say_so_where_pairs_are_needed():
    x, y = np.stack([flat(k) for k in range(3)]), np.stack([flat(k) for k in range(2)])
    said = refused(PairArrays((x, y)))
    assert said == (
        "dataset: x has 3 images and y 2; expected as many, x[i] and y[i] being a pair; "
        "--algorithm=cyclegan learns from images that are no pairs."
    )
    broken = unpaired((x, x[::-1]), val_fraction=0)
    assert not broken.paired("train")
    assert broken.paired("val")


def test_images_of_an_array_may_differ_in_size_on_demand():
    x = [flat(0), flat(1, 9, 9)]
    said = refused((x, [flat(3)]), data="unpaired", val_fraction=0)
    assert "x[1]: 9x9 (width x height)" in said
    source = unpaired((x, [flat(3)]), val_fraction=0, allow_mixed_sizes=True)
    source.check()
    assert source.image_sizes() == {(8, 8): 2, (9, 9): 1}
