"""Side-by-side folders: what is read, and what each unusable folder is answered with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import open_dataset, split_decoded, split_pair
from tfpix2pix.data.check import scan
from tfpix2pix.data.images import Decoded


def pixels(seed: int, height: int = 12, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# === What is read ===


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_halves_by_direction(pairs_folder, direction):
    folder = pairs_folder(train=3)
    source = open_dataset(str(folder), direction=direction)
    whole = np.asarray(Image.open(folder / "train" / "01.png"))
    left, right = whole[:, :16], whole[:, 16:]
    x, y = source.load("train", 1)
    assert x.dtype == y.dtype == np.uint8
    np.testing.assert_array_equal(x, left if direction == "AtoB" else right)
    np.testing.assert_array_equal(y, right if direction == "AtoB" else left)


def test_split_pair_refuses_odd_widths():
    with pytest.raises(ValueError, match="odd width"):
        split_pair(np.zeros((4, 5, 3), np.uint8), "AtoB")


def test_split_decoded_cuts_indices_and_keeps_the_rest():
    array = np.arange(2 * 6 * 2, dtype=np.uint8).reshape(2, 6, 2)
    indices = np.arange(12, dtype=np.uint8).reshape(2, 6)
    x, y = split_decoded(Decoded(array, True, indices, ("turned",)), "BtoA")
    np.testing.assert_array_equal(x.array, array[:, 3:])
    np.testing.assert_array_equal(y.array, array[:, :3])
    np.testing.assert_array_equal(x.indices, [[3, 4, 5], [9, 10, 11]])
    np.testing.assert_array_equal(y.indices, [[0, 1, 2], [6, 7, 8]])
    assert x.has_alpha
    assert y.has_alpha
    assert x.notes == y.notes == ("turned",)


def test_all_three_splits(pairs_folder):
    source = open_dataset(str(pairs_folder(train=3, val=2, test=1)))
    assert [source.count(split) for split in ("train", "val", "test")] == [3, 2, 1]
    assert source.describe().startswith("3 train, 2 val, 1 test pairs of 16x12 (side by side, AtoB")


def test_extensions_in_any_case_sorted_and_others_ignored(tmp_path):
    train = tmp_path / "train"
    train.mkdir()
    for name in ("c.JPG", "a.Jpeg", "b.PNG", "d.jpg", "e.png", ".hidden.png"):
        image_format = "PNG" if name.lower().endswith("png") else "JPEG"
        Image.fromarray(pixels(1)).save(train / name, image_format)
    (train / "notes.txt").write_text("ignored")
    (train / "folder.png").mkdir()
    source = open_dataset(str(tmp_path))
    assert [source.pair_name("train", i) for i in range(source.count("train"))] == list("abcde")
    assert source.count("val") == source.count("test") == source.count("nonsense") == 0
    source.check()
    assert "1 other file ignored (train/notes.txt)" in source.notes()


def test_channels_of_each_side(pairs_folder, refusal):
    folder = pairs_folder(train=1)
    rgb_x, rgb_y = open_dataset(str(folder)).load("train", 0)
    source = open_dataset(str(folder), input_channels=1)
    x, y = source.load("train", 0)
    np.testing.assert_array_equal(x[..., 0], np.asarray(Image.fromarray(rgb_x).convert("L")))
    np.testing.assert_array_equal(y, rgb_y)
    assert source.spec.stored_bytes == 1 + 3
    assert "--target_channels=5" in refusal(folder, target_channels=5)


def test_describe_identity_and_progress(pairs_folder):
    folder = pairs_folder(train=5, val=2)
    source = open_dataset(str(folder))
    assert source.describe() == (
        "5 train, 2 val pairs of 16x12 (side by side, AtoB: left to right; RGB, 8 bit)"
    )
    seen = []
    source.check(lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, 7) for i in range(7)]
    identity = source.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert open_dataset(str(folder), direction="BtoA").identity() == identity
    moved = folder.rename(folder.with_name("elsewhere"))
    assert open_dataset(str(moved)).identity() == identity
    Image.fromarray(pixels(9)).save(moved / "val" / "09.png")
    assert open_dataset(str(moved)).identity() != identity


def test_grey_stays_grey_and_images_that_look_single_are_noted(tmp_path):
    (tmp_path / "train").mkdir()
    for index in range(3):
        image = Image.fromarray(pixels(index, 16, 16)).convert("L")
        image.save(tmp_path / "train" / f"{index}.png")
    source = open_dataset(str(tmp_path))
    source.check()
    (note,) = source.notes()
    assert note.startswith("3 images no wider than high (train/0.png)")
    assert "side by side?" in note
    assert (source.spec.x.channels, source.spec.y.channels) == (1, 1)
    coloured = open_dataset(str(tmp_path), target_channels=3)
    coloured.check()
    assert coloured.notes()[0] == "3 images: grey image repeated into 3 channels"


def test_facades(shared_data):
    source = open_dataset(str(shared_data / "facades"), direction="BtoA")
    assert (source.count("train"), source.count("val")) == (400, 100)
    source.check()
    assert source.describe().startswith("400 train, 100 val pairs of 256x256")
    x, y = source.load("val", 99)
    assert x.shape == y.shape == (256, 256, 3)


# === What is refused ===


def test_path_is_a_file(tmp_path, refusal):
    (tmp_path / "a.png").write_bytes(b"x")
    message = refusal(tmp_path / "a.png")
    assert "a.png: a file, where a folder" in message
    assert ".csv" in message


def test_bad_direction(pairs_folder, refusal):
    assert "--direction=BtoC" in refusal(pairs_folder(train=1), direction="BtoC")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_empty_split(pairs_folder, split, refusal):
    folder = pairs_folder(**{"train": 2, "val": 2, split: 0})
    assert f"{split}/ holds no images;" in refusal(folder)
    (folder / split / "a.psd").write_bytes(b"x")
    assert f"{split}/ holds no images (only 1 other file)" in refusal(folder)


def test_odd_width(pairs_folder, refusal):
    folder = pairs_folder(train=2)
    Image.fromarray(pixels(0, 12, 33)).save(folder / "train" / "odd.png")
    message = refusal(folder)
    assert "1 of 3 images cannot be used; mend or remove it" in message
    assert "odd width" in message
    assert "train/odd.png: 33x12" in message
    source = open_dataset(
        str(folder),
        **{f"{s}_{k}": v for s in ("input", "target") for k, v in WHOLE_FORM.items()},
    )
    with pytest.raises(DataError, match=r"odd\.png: 33x12"):
        source.load("train", 2)


# With all of it wished, no file has to be looked at to know the form.
WHOLE_FORM = {"channels": 3, "dtype": "uint8", "range": "0:255"}


def break_files(folder):
    noise = pixels(3, 64, 128)
    Image.fromarray(noise).save(folder / "train" / "cut.jpg")
    data = (folder / "train" / "cut.jpg").read_bytes()
    (folder / "train" / "cut.jpg").write_bytes(data[: len(data) // 2])
    (folder / "val" / "text.png").write_text("not a picture")
    (folder / "train" / "zero.jpeg").write_bytes(b"")


@pytest.mark.parametrize("full_check_bytes", [1 << 30, 0])
def test_unreadable_files_are_listed_with_reasons(
    pairs_folder, monkeypatch, full_check_bytes, refusal
):
    # Without a budget for decoding, the missing end marker gives the cut file away.
    monkeypatch.setattr(scan, "FULL_CHECK_BYTES", full_check_bytes)
    folder = pairs_folder(train=2, val=1)
    break_files(folder)
    message = refusal(folder)
    assert f"--dataset={folder}: 3 of 6 images cannot be used; mend or remove them" in message
    assert "3 unreadable" in message
    assert "train/cut.jpg: cut short (truncated)" in message
    assert "val/text.png: not an image of a known format" in message
    assert "train/zero.jpeg: an empty file (0 bytes)" in message


def test_only_the_first_ten_are_listed(pairs_folder, refusal):
    folder = pairs_folder(train=1)
    for index in range(14):
        (folder / "train" / f"bad{index:02d}.png").write_bytes(b"")
    message = refusal(folder)
    assert "14 unreadable" in message
    assert "bad09.png" in message
    assert "bad10.png" not in message
    assert "and 4 more" in message


def test_differing_sizes(pairs_folder, refusal):
    folder = pairs_folder(train=3)
    Image.fromarray(pixels(0, 20, 40)).save(folder / "train" / "big.png")
    message = refusal(folder)
    assert "another size than train/00.png (32x12 (width x height))" in message
    assert "train/big.png: 40x20" in message
    assert "--allow_mixed_sizes" in message
    assert "load_size" in message
    source = open_dataset(str(folder), allow_mixed_sizes=True)
    source.check()
    assert "of 2 sizes" in source.describe()


def test_several_kinds_in_one_message(pairs_folder, refusal):
    folder = pairs_folder(train=2, val=1)
    break_files(folder)
    Image.fromarray(pixels(0, 12, 33)).save(folder / "train" / "odd.png")
    Image.fromarray(pixels(0, 20, 40)).save(folder / "val" / "big.png")
    message = refusal(folder)
    assert "5 of 8 images" in message
    for text in ("3 unreadable", "1 of odd width", "1 of another size", "odd.png", "val/big.png"):
        assert text in message


def test_nothing_readable_at_all(pairs_folder, refusal):
    folder = pairs_folder(train=2)
    for path in (folder / "train").iterdir():
        path.write_bytes(b"")
    assert "2 of 2 images cannot be used" in refusal(folder)
    with pytest.raises(DataError, match="2 of 2 images cannot be used"):
        _ = open_dataset(str(folder)).spec


def test_load_names_the_file(pairs_folder):
    folder = pairs_folder(train=1, val=1)
    source = open_dataset(str(folder))
    source.check()
    (folder / "train" / "00.png").write_text("not a picture")
    with pytest.raises(DataError, match=r"00\.png: not an image of a known format"):
        source.load("train", 0)
    # A file exchanged for another kind after the check.
    Image.fromarray(pixels(0, 12, 32)).convert("L").save(folder / "val" / "00.png")
    x, _ = source.load("val", 0)
    assert x.shape == (12, 16, 3)  # grey turns into RGB, as everywhere
