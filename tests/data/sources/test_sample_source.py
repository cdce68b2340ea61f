"""The embedded sample as a source of pairs (what it draws is tested in test_sample.py)."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import open_dataset


def test_counts_names_and_sizes():
    source = open_dataset("sample", sample_pairs=6, sample_size=64, target_channels=1)
    assert [source.count(split) for split in ("train", "val", "test", "none")] == [6, 1, 1, 0]
    assert source.spec.stored_bytes == 4
    assert source.describe().startswith("6 train, 1 val, 1 test pairs of 64x64")
    assert source.pair_name("train", 5) != source.pair_name("train", 4)
    source.check()
    identity = source.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert open_dataset("sample", sample_pairs=6, sample_size=64, seed=1).identity() != identity


@pytest.mark.parametrize(
    ("option", "named"), [("sample_pairs", "--sample_pairs"), ("sample_size", "sample_size")]
)
def test_values_out_of_range(option, named):
    with pytest.raises(DataError, match=f"^{named}=0"):
        open_dataset("sample", **{option: 0})


def test_direction_channels_and_range():
    pytest.importorskip("tfpix2pix.data.sample")
    options = {"sample_pairs": 4, "sample_size": 32, "seed": 4}
    label, photo = open_dataset("sample", **options).load("train", 1)
    assert label.shape == photo.shape == (32, 32, 3)
    assert label.dtype == photo.dtype == np.uint8
    x, y = open_dataset("sample", direction="BtoA", input_channels=1, **options).load("train", 1)
    assert x.shape == (32, 32, 1)
    np.testing.assert_array_equal(y, label)
    with pytest.raises(IndexError, match="no pair 4"):
        open_dataset("sample", **options).load("train", 4)


def test_label_maps_are_those_of_the_palette_and_detailed_without_one():
    from tfpix2pix.data.sample import facade_pair

    options = {"sample_pairs": 4, "sample_size": 32}
    for asked, drawn in [
        ({}, "detailed"),
        ({"sample_labels": "detailed", "label_palette": "sample"}, "detailed"),
        ({"label_palette": "sample"}, "detailed"),
        ({"label_palette": "facades"}, "cmp"),
        ({"sample_labels": "cmp"}, "cmp"),
    ]:
        source = open_dataset("sample", **options, **asked)
        label, photo = facade_pair(0, 32, "train", 2, drawn)
        for found, expected in zip(source.load("train", 2), (label, photo), strict=True):
            if found.shape[-1] == 3:  # else class numbers of the palette
                np.testing.assert_array_equal(found, expected)
        # Caches and runs of versions that had CMP's label maps alone go on.
        assert source.identity().get("labels") == (None if drawn == "cmp" else "detailed")


@pytest.mark.parametrize(("labels", "palette"), [("cmp", "sample"), ("detailed", "facades")])
def test_label_maps_of_another_palette_are_refused(labels, palette):
    with pytest.raises(DataError, match=f"^--sample_labels={labels}: .*leave --sample_labels out"):
        open_dataset("sample", sample_labels=labels, label_palette=palette)
