"""Which pairs a model is evaluated on: its own, unless flags name others."""

from __future__ import annotations

import pytest

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation.data import FIELDS, data_config, predictions_config

OWN = Pix2PixConfig(
    dataset="/data/mine",
    layout="side_by_side",
    direction="BtoA",
    input_channels=1,
    val_fraction=0.3,
    crop_size=64,
    input_key="",
    label_palette="facades",
    label_side="target",
)


def test_without_flags_it_is_the_runs_own():
    assert data_config(OWN, {}) == OWN
    assert data_config(OWN, {"val_fraction": 0.5}) == OWN.replace(val_fraction=0.5)


def test_another_set_is_recognised_anew_and_read_as_the_run_was_trained():
    found = data_config(OWN, {"dataset": "/data/other"})
    assert found == OWN.replace(dataset="/data/other", layout="auto")
    assert found.direction == "BtoA"
    assert found.input_channels == 1


def test_another_table_is_read_by_the_columns_of_the_runs():
    keys = {"input_key": "red,nir", "target_key": "map", "split_key": "fold"}
    own = OWN.replace(dataset="/data/mine.csv", layout="auto", **keys)
    found = data_config(own, {"dataset": "/other/pairs.tsv"})
    assert found == own.replace(dataset="/other/pairs.tsv")
    named = data_config(own, {"dataset": "/other/pairs.tsv", "input_key": "photo"})
    assert (named.input_key, named.target_key) == ("photo", "map")
    folder = data_config(own, {"dataset": "/other/pairs"})  # has no columns
    assert (folder.input_key, folder.split_key) == ("", "")


def test_two_folders_instead_of_a_set_and_the_other_way_round():
    folders = data_config(OWN, {"input_dir": "/a", "target_dir": "/b"})
    assert (folders.dataset, folders.input_dir, folders.target_dir) == ("", "/a", "/b")
    assert (folders.layout, folders.direction) == ("auto", "AtoB")
    back = data_config(folders, {"dataset": "/data/other", "direction": "BtoA"})
    assert (back.dataset, back.input_dir, back.target_dir) == ("/data/other", "", "")
    assert back.direction == "BtoA"


def test_the_palette_of_the_flag_is_not_the_runs():
    assert data_config(OWN, {"label_palette": "camvid"}).label_palette == "facades"


def test_an_imported_run_needs_a_data_set():
    with pytest.raises(UserError, match="--dataset is missing: the run was imported"):
        data_config(OWN.replace(dataset=""), {})


def test_of_predictions_only_flags_are_known():
    found = predictions_config({"dataset": "sample", "sample_pairs": 8}, 64)
    # The embedded set is drawn as a run of this crop size has it drawn.
    assert (found.sample_pairs, found.crop_size, found.load_size) == (8, 64, 72)
    assert predictions_config({"dataset": "sample"}, 50).crop_size == 128  # the preset's
    assert predictions_config({"dataset": "/data/mine"}, 64).allow_mixed_sizes


def test_every_flag_is_a_field_of_the_config():
    assert all(hasattr(OWN, name) for name in FIELDS)
