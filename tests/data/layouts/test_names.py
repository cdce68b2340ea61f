"""Folders and files as people name them: other words for A, B and splits, constant parts of names.

The pixels of the input of pair i are ``draw(i)``, and those of its target ``draw(100 + i)``.
"""

from __future__ import annotations

import numpy as np
import pytest

from tfpix2pix.data import open_dataset
from tfpix2pix.data.layouts.splits import fraction_for_both, split_of


@pytest.fixture
def fill(tmp_path, draw, save):
    """`fill("images/{}.png", "masks/{}.png", range(3))` writes pairs; returns their folder."""

    def write(a: str, b: str, numbers=range(3)):
        for number in numbers:
            save(tmp_path / "set" / a.format(number), draw(number))
            save(tmp_path / "set" / b.format(number), draw(100 + number))
        return tmp_path / "set"

    return write


def assert_pairs(source, draw, numbers=range(3), split="train") -> None:
    assert source.count(split) == len(numbers)
    for index, number in enumerate(numbers):
        x, y = source.load(split, index)
        np.testing.assert_array_equal(x, draw(number))
        np.testing.assert_array_equal(y, draw(100 + number))


# === Words for A and B, and names that differ by a constant part ===


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("images/{}.png", "masks/{}.png"),
        ("input/{}.png", "target/{}.png"),
        ("Inputs/{}.png", "Outputs/{}.png"),
        ("a/{}.png", "b/{}.png"),
        ("train_A/{}.png", "train_B/{}.png"),
        ("A_train/{}.png", "B_train/{}.png"),
        ("train_label/{}.png", "train_img/{}.png"),
        ("train_images/{}.png", "train_masks/{}.png"),
        ("images/training/{}.png", "masks/training/{}.png"),
        ("Training/input/{}.png", "Training/target/{}.png"),
        ("A/{}.png", "B/{}_mask.png"),
        ("A/img_{}_in.png", "B/img_{}_out.png"),
        ("A/cam0_{}.png", "B/cam1_{}.png"),
        ("{}_A.png", "{}_B.png"),
        ("{}.png", "{}_mask.png"),
        ("img_{}_in.png", "img_{}_out.png"),
        ("train/input_{}.png", "train/target_{}.png"),
        ("s{}_day.png", "s{}_night.png"),
    ],
)
def test_pairs_are_found_by_what_they_are_called(fill, draw, a, b):
    source = open_dataset(str(fill(a, b)), val_fraction=0)
    source.check()
    assert_pairs(source, draw)


def test_names_follow_the_input_for_predictions(fill):
    folder = str(fill("A/{}_A.png", "B/{}_B.png"))
    assert open_dataset(folder, val_fraction=0).pair_name("train", 0) == "0_A"
    turned = open_dataset(folder, val_fraction=0, direction="BtoA")
    assert turned.pair_name("train", 0) == "0_B"


def test_named_folders_with_a_suffix(fill, draw):
    folder = fill("photos/{}.png", "seg/{}_seg.png")
    source = open_dataset(
        "", input_dir=f"{folder}/photos", target_dir=f"{folder}/seg", val_fraction=0
    )
    assert_pairs(source, draw)
    assert "partners by their names, N and N_seg" in source.notes()


def test_a_constant_part_proves_no_pairs_in_folders_that_unpaired_sets_have(fill, draw, refusal):
    folder = fill("trainA/{}_A.png", "trainB/{}_B.png")
    message = refusal(folder)
    assert "unpaired, 0 of the 3 images" in message
    flags = f"--input_dir={folder}/trainA --target_dir={folder}/trainB"
    assert f"if NA and NB are partners, give {flags}" in message
    source = open_dataset(
        "", input_dir=f"{folder}/trainA", target_dir=f"{folder}/trainB", val_fraction=0
    )
    assert_pairs(source, draw)


def test_what_was_decided_by_names_is_said(fill):
    notes = open_dataset(str(fill("images/{}.png", "masks/{}.png")), val_fraction=0).notes()
    assert any("A is images/ and B is masks/" in note for note in notes)


# === Splits by other names ===


@pytest.mark.parametrize(
    "form", ["{split}/{side}", "{side}/{split}", "{split}_{side}", "{split}{side}"]
)
def test_splits_by_other_names(fill, draw, form):
    for split, first in (("Training", 0), ("validation", 10), ("TESTING", 20)):
        a, b = (form.format(split=split, side=side) + "/{}.png" for side in "AB")
        folder = fill(a, b, range(first, first + 2))
    source = open_dataset(str(folder))
    for split, first in (("train", 0), ("val", 10), ("test", 20)):
        assert_pairs(source, draw, range(first, first + 2), split)


def test_side_by_side_splits_by_other_names(tmp_path, draw, save):
    for name in ("training", "Dev", "testing"):
        save(tmp_path / name / "1.png", draw(1, width=32))
    source = open_dataset(str(tmp_path))
    assert [source.count(split) for split in ("train", "val", "test")] == [1, 1, 1]


def test_two_folders_of_one_split_are_refused(fill, refusal):
    fill("train/A/{}.png", "train/B/{}.png")
    fill("val/A/{}.png", "val/B/{}.png")
    message = refusal(fill("valid/A/{}.png", "valid/B/{}.png"))
    assert "val/ and valid/ both stand for val" in message


@pytest.mark.parametrize("form", ["test/{}.png", "A/test/{}.png", "test/A/{}.png", "testA/{}.png"])
def test_a_test_split_alone_can_be_measured_on(fill, form, refusal):
    folder = fill(form, form.replace("A", "B"))
    assert open_dataset(str(folder), training=False).count("test") == 3
    assert "no pairs are left for training (found: 3 test)" in refusal(folder)


# === What is not used, and what may be read in two ways ===


def test_what_is_not_used_is_named(fill, tmp_path, draw, save):
    folder = fill("images/{}.png", "masks/{}.png")
    save(folder / "extra" / "1.png", draw(1))
    (folder / "empty").mkdir()
    assert "not used: extra/ (1 image)" in open_dataset(str(folder), val_fraction=0).notes()


def test_two_pairs_of_folders_are_refused(fill, refusal):
    fill("images/{}.png", "masks/{}.png")
    message = refusal(fill("images/{}.png", "labels/{}.png"))
    assert "images/ with masks/ or images/ with labels/" in message
    assert "--input_dir=FOLDER --target_dir=FOLDER" in message


def test_two_partners_for_each_are_refused(fill, refusal):
    fill("A/{}.png", "B/{}_x.png")
    message = refusal(fill("A/{}.png", "B/{}_y.png"))
    assert "N and N_x, or N and N_y" in message
    assert "--dataset=pairs.csv" in message


def test_folders_and_images_are_refused_with_flags_that_work(fill, draw, save, refusal):
    folder = fill("images/{}.png", "masks/{}.png")
    save(folder / "train" / "1.png", draw(1))
    message = refusal(folder)
    assert "--layout=two_folders or --layout=side_by_side" in message
    assert open_dataset(str(folder), layout="two_folders", val_fraction=0).count("train") == 3
    assert open_dataset(str(folder), layout="side_by_side").count("train") == 1


def test_a_folder_inside_is_advised(fill, refusal):
    folder = fill("inner/images/{}.png", "inner/masks/{}.png")
    assert f"give --dataset={folder / 'inner'}" in refusal(folder)


def test_numbers_are_whole(fill, refusal):
    folder = fill("A/{}.png", "B/1{}.png", range(3))
    assert "no pairs" in refusal(folder)


# === Seams ===


def test_photographs_are_not_taken_for_pairs_in_silence(tmp_path, save):
    x = np.arange(64)
    for number in range(6):
        wave = 127 + 60 * np.sin((x + 7 * number) / 9)
        photo = np.repeat(np.tile(wave, (32, 1))[..., None], 3, -1).astype(np.uint8)
        save(tmp_path / "photos" / f"{number}.png", photo)
        save(tmp_path / "pairs" / f"{number}.png", np.hstack([photo, 255 - photo]))
        white = np.full((32, 64, 3), 255, np.uint8)
        white[8:16, 8:16] = number
        save(tmp_path / "white" / f"{number}.png", np.hstack([white, white]))
    said = {}
    for name in ("photos", "pairs", "white"):
        source = open_dataset(str(tmp_path / name), val_fraction=0)
        source.check()
        said[name] = " ".join(source.notes())
    assert "side by side?" in said["photos"]
    assert "side by side?" not in said["pairs"]
    assert "side by side?" not in said["white"]  # white meets white: nothing to tell


# === A val split of small sets ===


def test_small_sets_are_told_a_fraction_that_works(fill):
    numbers = [i for i in range(200) if split_of(f"{i}", 0.1) == "train"][:10]
    folder = fill("A/{}.png", "B/{}.png", numbers)
    source = open_dataset(str(folder))
    assert source.count("val") == 0
    advice = source.no_val_advice()
    fraction = float(advice.split("--val_fraction=")[1].split()[0])
    again = open_dataset(str(folder), val_fraction=fraction)
    assert again.count("val") >= 1
    assert again.count("train") >= 1
    assert f"holds out {again.count('val')} of 10 pairs" in advice


def test_the_fraction_leaves_both_splits():
    stems = [f"n{i}" for i in range(5)]
    fraction, held_out = fraction_for_both(stems)
    assert held_out == sum(split_of(stem, fraction) == "val" for stem in stems)
    assert 0 < held_out < 5
    assert fraction_for_both([]) is None
