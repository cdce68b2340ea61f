"""Which layout a folder is taken for, and what a folder of none is answered with."""

from __future__ import annotations

import numpy as np
import pytest

from tfpix2pix.data import LAYOUTS, open_dataset

PHOTO = 7  # a seed


@pytest.fixture
def fill(tmp_path, draw, save):
    """`fill("A/train/1.png", ...)` writes pictures of 16x12 and returns the data set's folder."""

    def write(*names: str, width: int = 16):
        for number, name in enumerate(names):
            save(tmp_path / "set" / name, draw(number, width=width))
        return tmp_path / "set"

    return write


def layout_of(folder, **options) -> str:
    return open_dataset(str(folder), **options).identity()["layout"]


# === Recognised by looking ===


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["train/1.png"], "side_by_side"),
        (["train/1.png", "val/1.png", "test/2.png"], "side_by_side"),
        (["1.png", "2.png"], "side_by_side"),
        (["A/train/1.png", "B/train/1.png"], "two_folders"),
        (["A/1.png", "B/1.png"], "two_folders"),
        (["trainA/1.png", "trainB/1.png"], "two_folders"),
        (["train/A/1.png", "train/B/1.png"], "two_folders"),
    ],
)
def test_every_layout_is_recognised(fill, names, layout):
    folder = fill(*names)
    assert layout_of(folder, val_fraction=0) == layout
    assert layout_of(folder, val_fraction=0, layout=layout) == layout


def test_the_names_of_the_layouts():
    assert [layout.name for layout in LAYOUTS] == [
        "two_folders",
        "one_folder",
        "side_by_side",
        "single",
    ]


def test_a_folder_of_both_kinds_is_what_the_flag_says(fill):
    folder = fill("train/1.png", "A/5.png", "B/5.png", width=32)
    assert layout_of(folder, val_fraction=0) == "two_folders"
    assert layout_of(folder, layout="side_by_side") == "side_by_side"


def test_single_pictures_are_for_lab(fill, refusal):
    folder = fill("train/1.png", "train/2.png")
    source = open_dataset(str(folder), layout="single", color_space="lab")
    x, y = source.load("train", 0)
    assert (x.shape, y.shape) == ((12, 16, 1), (12, 16, 2))
    source.check()
    assert source.notes() == []
    assert source.describe() == ("2 train pairs of 16x12 (single pictures; L to ab of CIELAB)")
    message = refusal(folder, layout="single")
    assert "single pictures are no pairs; give --color_space=lab" in message


def test_a_path_with_a_tilde(fill, monkeypatch):
    folder = fill("train/1.png")
    monkeypatch.setenv("HOME", str(folder.parent))
    assert open_dataset("~/set").count("train") == 1


# === Which layout single photographs in --color_space=lab have ===


def test_lab_takes_photographs_whole_and_pairs_with_a_grey_half_as_pairs(tmp_path, draw, save):
    colour = draw(PHOTO, width=32)
    grey = np.repeat(draw(1, 1, width=16), 3, axis=-1)
    save(tmp_path / "photos" / "train" / "1.png", colour)
    save(tmp_path / "pairs" / "train" / "1.png", np.hstack([grey, colour[:, :16]]))
    save(tmp_path / "odd" / "train" / "1.png", draw(PHOTO, width=33))

    def shape(name, **options):
        return open_dataset(str(tmp_path / name), color_space="lab", **options).load("train", 0)

    assert shape("photos")[0].shape == (12, 32, 1)
    assert shape("odd")[0].shape == (12, 33, 1)
    paired = shape("pairs")
    assert paired[0].shape == (12, 16, 1)
    # The colour half is y; by direction it is the one on the left.
    assert abs(paired[1]).max() > 20
    assert abs(shape("pairs", direction="BtoA")[1]).max() < 0.1
    # By hand it is one or the other.
    assert shape("pairs", layout="single")[0].shape == (12, 32, 1)
    assert shape("photos", layout="side_by_side")[0].shape == (12, 16, 1)


# === What is refused ===


def test_no_such_data_set_suggests_the_nearest(fill, tmp_path, monkeypatch, refusal):
    monkeypatch.chdir(tmp_path)
    assert refusal("sampel") == (
        "--dataset=sampel: no such folder and no such data set; did you mean 'sample'?"
    )
    assert "did you mean 'facades'" in refusal("facade")
    folder = fill("train/1.png")
    assert f"did you mean '{folder}'" in refusal(folder.with_name("sets"))
    message = refusal(tmp_path / "nowhere" / "at" / "all")
    assert "no such folder" in message
    assert "train/" in message
    assert "expected 'sample'" in refusal("")


def test_unknown_folders(tmp_path, refusal):
    message = refusal(tmp_path)
    assert "it holds no images and no train/ (found: no folders)" in message
    assert "A/ beside B/" in message
    (tmp_path / "photos").mkdir()
    (tmp_path / ".git").mkdir()
    assert "(found: photos/);" in refusal(tmp_path)
    (tmp_path / "A").mkdir()
    assert "(found: A/, photos/);" in refusal(tmp_path)


def test_an_empty_folder_of_a_split_is_not_the_data_set(tmp_path, refusal):
    (tmp_path / "val").mkdir()
    assert "it holds no images and no train/; expected" in refusal(tmp_path / "val")


def test_the_folder_of_one_split_is_a_flat_set(fill):
    folder = fill("train/1.png", "train/2.png", "val/1.png", width=32)
    assert open_dataset(str(folder / "train"), val_fraction=0).count("train") == 2


def test_layouts_asked_for_that_are_not_there(fill, refusal):
    folder = fill("train/1.png")
    message = refusal(folder, layout="two_folders")
    assert "--layout=two_folders, but there is neither A/ beside B/" in message
    assert "--input_dir=FOLDER --target_dir=FOLDER" in message
    assert (
        "--layout=towers is not one of auto, side_by_side, two_folders, one_folder, single"
        in refusal(folder, layout="towers")
    )
    empty = folder.parent / "empty"
    empty.mkdir()
    assert "neither train/ nor images" in refusal(empty, layout="side_by_side")


def test_a_folder_without_permission(fill, refusal):
    folder = fill("train/1.png")
    folder.chmod(0)
    try:
        if any(True for _ in _try_listing(folder)):
            pytest.skip("this user may read everything")
        message = refusal(folder)
    finally:
        folder.chmod(0o700)
    assert "permission denied" in message


def _try_listing(folder):
    try:
        yield from folder.iterdir()
    except PermissionError:
        return


# === Options ===


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"input_channels": -1}, "--input_channels=-1 is too small; the smallest allowed is 0"),
        ({"target_dtype": "int8"}, "--target_dtype=int8 is not one of uint8, uint16, float32"),
        ({"input_range": "0-255"}, "--input_range=0-255: expected LOW:HIGH"),
        ({"input_range": "5:5"}, "--input_range=5:5: expected LOW:HIGH"),
        ({"target_range": "0:inf"}, "--target_range=0:inf: expected LOW:HIGH"),
        ({"target_range": "a:b"}, "--target_range=a:b: expected LOW:HIGH"),
        ({"input_encoding": "onehot"}, "needs to know the classes; give --label_palette="),
        ({"target_encoding": "onehot"}, "needs to know the classes; give --label_palette="),
        (
            {"label_palette": "facades", "target_encoding": "onehot", "label_side": "input"},
            "--label_side=input says that they are the input; drop one of the two, or turn",
        ),
        (
            {"label_palette": "facades", "target_encoding": "onehot", "input_encoding": "onehot"},
            "one of the two images shows labels; drop one of the two",
        ),
        ({"target_encoding": "onehot", "color_space": "lab"}, "drop one of the two"),
        ({"label_palette": "facade"}, "did you mean 'facades'"),
        ({"label_palette": "facades", "color_space": "lab"}, "drop one of the two"),
        (
            {"label_palette": "facades", "input_encoding": "onehot", "label_side": "target"},
            "--label_side=target says that they are the target",
        ),
        ({"val_fraction": 1.5}, "--val_fraction=1.5"),
    ],
)
def test_options_out_of_range(fill, refusal, options, said):
    assert said in refusal(fill("train/1.png"), **options)


def test_the_sample_set_has_options_of_its_own(refusal):
    assert "--label_side=target" in refusal("sample", label_palette="facades", label_side="target")
    assert "the labels of the sample set are the input" in refusal(
        "sample", label_palette="facades", target_encoding="onehot"
    )
    assert "--input_dtype=float32: the sample set is drawn in 8 bits" in refusal(
        "sample", input_dtype="float32"
    )
