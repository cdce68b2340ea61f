"""Folders of pairs: what is read, and what each unusable folder is answered with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.data import open_dataset, side_by_side
from tfpix2pix.data.side_by_side import SideBySideSource, split_pair
from tfpix2pix.errors import DataError


def pixels(seed: int, height: int = 12, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def refusal(folder, **options) -> str:
    """The message with which opening or checking `folder` is refused."""
    with pytest.raises(DataError) as caught:
        open_dataset(str(folder), **options).check()
    return str(caught.value)


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
    assert source.notes() == ["1 other file ignored (train/notes.txt)"]


def test_channels_of_each_side(pairs_folder):
    folder = pairs_folder(train=1)
    rgb_x, rgb_y = open_dataset(str(folder)).load("train", 0)
    source = open_dataset(str(folder), input_channels=1)
    x, y = source.load("train", 0)
    np.testing.assert_array_equal(x[..., 0], np.asarray(Image.fromarray(rgb_x).convert("L")))
    np.testing.assert_array_equal(y, rgb_y)
    assert source.decoded_bytes("train") == x.size + y.size
    message = refusal(folder, target_channels=2)
    assert "--target_channels=2" in message


def test_describe_identity_and_progress(pairs_folder):
    folder = pairs_folder(train=5, val=2)
    source = open_dataset(str(folder))
    assert source.decoded_bytes("train") == 5 * 12 * 32 * 3
    assert source.decoded_bytes("test") == 0
    assert source.describe().startswith("5 train, 2 val pairs of 16x12 (")
    seen = []
    source.check(lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, 7) for i in range(7)]
    identity = source.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert open_dataset(str(folder), direction="BtoA").identity() == identity
    Image.fromarray(pixels(9)).save(folder / "val" / "09.png")
    assert open_dataset(str(folder)).identity() != identity


def test_notes_on_conversions_and_on_images_that_look_single(tmp_path):
    (tmp_path / "train").mkdir()
    for index in range(3):
        image = Image.fromarray(pixels(index, 16, 16)).convert("L")
        image.save(tmp_path / "train" / f"{index}.png")
    source = open_dataset(str(tmp_path))
    source.check()
    notes = source.notes()
    assert notes[0] == "3 images: grey image repeated into 3 channels"
    assert "train/0.png" in notes[1]
    assert "side by side?" in notes[1]


def test_facades(shared_data):
    source = open_dataset(str(shared_data / "facades"), direction="BtoA")
    assert (source.count("train"), source.count("val")) == (400, 100)
    source.check()
    assert source.describe().startswith("400 train, 100 val pairs of 256x256")
    assert source.decoded_bytes("train") == 400 * 256 * 256 * 6
    x, y = source.load("val", 99)
    assert x.shape == y.shape == (256, 256, 3)


# === What is refused ===


def test_no_such_data_set_suggests_the_nearest(tmp_path, pairs_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal("sampel") == (
        "--dataset=sampel: no such folder and no such data set; did you mean 'sample'?"
    )
    folder = pairs_folder(train=1)
    assert f"did you mean '{folder}'" in refusal(folder.with_name("pair"))
    message = refusal(tmp_path / "nowhere" / "at" / "all")
    assert "no such folder" in message
    assert "train/" in message
    assert "expected 'sample'" in refusal("")


def test_path_is_a_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    message = refusal(tmp_path / "a.png")
    assert "a.png: a file, where a folder" in message


def test_bad_direction(pairs_folder):
    assert "--direction=BtoC" in refusal(pairs_folder(train=1), direction="BtoC")


def test_folder_without_train(tmp_path):
    assert "found: no folders" in refusal(tmp_path)
    (tmp_path / "photos").mkdir()
    assert "found: photos/" in refusal(tmp_path)
    Image.fromarray(pixels(0)).save(tmp_path / "a.png")
    message = refusal(tmp_path)
    assert "1 image but no train/" in message
    assert "move the training images into train/" in message


@pytest.mark.parametrize("names", [("trainA", "trainB"), ("A", "B")])
def test_two_folder_layouts_are_said_to_be_missing(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir()
    message = refusal(tmp_path)
    assert f"{names[0]}/ and {names[1]}/" in message
    assert "not supported yet" in message


def test_path_of_a_split_points_to_the_folder_above(pairs_folder):
    message = refusal(pairs_folder(train=2, val=1) / "val")
    assert "but no train/" in message


@pytest.mark.parametrize("split", ["train", "val"])
def test_empty_split(pairs_folder, split):
    folder = pairs_folder(**{"train": 2, "val": 2, split: 0})
    assert f"{split}/ holds no images;" in refusal(folder)
    (folder / split / "a.webp").write_bytes(b"x")
    assert f"{split}/ holds no images (only 1 other file)" in refusal(folder)


def test_source_without_train_names_it(tmp_path):
    with pytest.raises(DataError, match="it holds no train/"):
        SideBySideSource(tmp_path)


def test_odd_width(pairs_folder):
    folder = pairs_folder(train=2)
    Image.fromarray(pixels(0, 12, 33)).save(folder / "train" / "odd.png")
    message = refusal(folder)
    assert "1 of 3 images cannot be used" in message
    assert "odd width" in message
    assert "train/odd.png: 33x12" in message
    with pytest.raises(DataError, match=r"odd\.png: 33x12"):
        open_dataset(str(folder)).load("train", 2)


def break_files(folder):
    noise = pixels(3, 64, 128)
    Image.fromarray(noise).save(folder / "train" / "cut.jpg")
    data = (folder / "train" / "cut.jpg").read_bytes()
    (folder / "train" / "cut.jpg").write_bytes(data[: len(data) // 2])
    (folder / "val" / "text.png").write_text("not a picture")
    (folder / "train" / "zero.jpeg").write_bytes(b"")


@pytest.mark.parametrize("full_check_bytes", [1 << 30, 0])
def test_unreadable_files_are_listed_with_reasons(pairs_folder, monkeypatch, full_check_bytes):
    # Without a budget for decoding, the missing end marker gives the cut file away.
    monkeypatch.setattr(side_by_side, "FULL_CHECK_BYTES", full_check_bytes)
    folder = pairs_folder(train=2, val=1)
    break_files(folder)
    message = refusal(folder)
    assert f"--dataset={folder}: 3 of 6 images cannot be used; mend or remove them" in message
    assert "3 unreadable" in message
    assert "train/cut.jpg: cut short (truncated)" in message
    assert "val/text.png: not a JPEG or PNG image" in message
    assert "train/zero.jpeg: an empty file (0 bytes)" in message


def test_only_the_first_ten_are_listed(pairs_folder):
    folder = pairs_folder(train=1)
    for index in range(14):
        (folder / "train" / f"bad{index:02d}.png").write_bytes(b"")
    message = refusal(folder)
    assert "14 unreadable" in message
    assert "bad09.png" in message
    assert "bad10.png" not in message
    assert "and 4 more" in message


def test_differing_sizes(pairs_folder):
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
    assert source.decoded_bytes("train") == 3 * (3 * 12 * 32 + 20 * 40)


def test_several_kinds_in_one_message(pairs_folder):
    folder = pairs_folder(train=2, val=1)
    break_files(folder)
    Image.fromarray(pixels(0, 12, 33)).save(folder / "train" / "odd.png")
    Image.fromarray(pixels(0, 20, 40)).save(folder / "val" / "big.png")
    message = refusal(folder)
    assert "5 of 8 images" in message
    for text in ("3 unreadable", "1 of odd width", "1 of another size", "odd.png", "val/big.png"):
        assert text in message


def test_load_names_the_file(pairs_folder):
    folder = pairs_folder(train=1, val=1)
    break_files(folder)
    with pytest.raises(DataError, match=r"cut\.jpg: cut short"):
        open_dataset(str(folder)).load("train", 1)
