"""Stores: in memory and streamed, the same pairs; a failing file keeps its name."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.data import explain, open_dataset, open_store, training_batches
from tfpix2pix.data import store as store_module
from tfpix2pix.errors import DataError


def add_larger_pair(folder):
    wide = np.random.default_rng(7).integers(0, 256, (20, 44, 3), dtype=np.uint8)
    Image.fromarray(wide).save(folder / "train" / "wide.png")


@pytest.mark.parametrize("budget", [0, None])
@pytest.mark.parametrize("mixed", [False, True])
def test_pairs_are_those_of_the_source(pairs_folder, budget, mixed):
    folder = pairs_folder(train=4)
    if mixed:
        add_larger_pair(folder)
    source = open_dataset(str(folder), input_channels=1, allow_mixed_sizes=True)
    store = open_store(source, "train", memory_budget=budget)
    assert store.in_memory == (budget is None)
    assert store.count == 4 + mixed
    for index in range(store.count):
        x, y = source.load("train", index)
        store_x, store_y = store.pair(index)
        np.testing.assert_array_equal(store_x, x)
        np.testing.assert_array_equal(store_y, y)
        joined = store.joined(tf.constant(index, tf.int64))
        np.testing.assert_array_equal(joined, np.concatenate([x, y], -1))
        assert store.pair_name(index) == source.pair_name("train", index)


def test_progress_and_description(pairs_folder):
    source = open_dataset(str(pairs_folder(train=4)))
    seen = []
    store = open_store(source, "train", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert store.describe() == "4 train pairs in memory (0 MiB)"
    assert "as they are needed" in open_store(source, "train", memory_budget=0).describe()


def test_pairs_spread_over_several_buffers(pairs_folder, monkeypatch):
    source = open_dataset(str(pairs_folder(train=5)))
    whole = open_store(source, "train")
    # Two pairs of 12 x 16 x 6 bytes fit into each buffer.
    monkeypatch.setattr(store_module, "_BUFFER_BYTES", 2 * 12 * 16 * 6 + 1)
    spread = open_store(source, "train")
    for index in range(5):
        np.testing.assert_array_equal(spread.pair(index)[1], source.load("train", index)[1])
    options = {"load_size": 14, "crop_size": 8, "flip": True, "batch_size": 2, "seed": 1}
    for left, right in zip(
        training_batches(whole, start_step=0, stop_step=5, **options),
        training_batches(spread, start_step=0, stop_step=5, **options),
        strict=True,
    ):
        np.testing.assert_array_equal(left[0], right[0])
        np.testing.assert_array_equal(left[1], right[1])


def test_absent_split(pairs_folder):
    with pytest.raises(DataError, match="no val pairs"):
        open_store(open_dataset(str(pairs_folder(train=1))), "val")


def test_memory_store_reports_a_bad_file_when_opened(pairs_folder):
    folder = pairs_folder(train=3)
    source = open_dataset(str(folder))
    source.check()
    (folder / "train" / "01.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"01\.png: an empty file"):
        open_store(source, "train")


def test_streaming_error_is_explained(pairs_folder):
    folder = pairs_folder(train=3)
    source = open_dataset(str(folder))
    store = open_store(source, "train", memory_budget=0)
    (folder / "train" / "01.png").write_bytes(b"")
    batches = training_batches(
        store, load_size=8, crop_size=8, flip=False, batch_size=1, seed=0, start_step=0, stop_step=3
    )
    with pytest.raises(tf.errors.OpError) as caught:
        list(batches)
    explained = explain(caught.value, store)
    assert isinstance(explained, DataError)
    assert "01.png: an empty file" in str(explained)

    healthy = open_store(source, "train", memory_budget=0)
    assert explain(caught.value, healthy) is caught.value
