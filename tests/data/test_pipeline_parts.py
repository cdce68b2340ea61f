"""Batches shared by workers and devices: together exactly the batches of one."""

from __future__ import annotations

import numpy as np
import pytest

from tfpix2pix.data import open_dataset, open_store, training_batches

STEPS = {"start_step": 3, "stop_step": 8}


@pytest.fixture(scope="module", params=["memory", "none"])
def store(request):
    source = open_dataset("sample", sample_pairs=6, sample_size=36)
    return open_store(source, "train", size=36, cache=request.param)


def batches(store, **options):
    dataset = training_batches(
        store, crop_size=32, flip=True, batch_size=4, seed=5, **STEPS, **options
    )
    return [(x.numpy(), y.numpy()) for x, y in dataset]


@pytest.mark.parametrize(("workers", "devices"), [(2, 1), (4, 1), (1, 2), (2, 2)])
def test_parts_put_together_are_the_whole(store, workers, devices):
    whole = batches(store)
    parts = [
        batches(store, worker=worker, workers=workers, devices=devices) for worker in range(workers)
    ]
    assert all(len(part) == len(whole) * devices for part in parts)
    for step, pair in enumerate(whole):
        for side in (0, 1):
            pieces = [
                part[step * devices + device][side] for part in parts for device in range(devices)
            ]
            np.testing.assert_array_equal(np.concatenate(pieces), pair[side])


def test_a_worker_reads_nothing_but_its_part(monkeypatch):
    source = open_dataset("sample", sample_pairs=8, sample_size=36)
    store = open_store(source, "train", size=36, cache="none")
    read = []
    load = source.load
    monkeypatch.setattr(source, "load", lambda *a: read.append(a[1]) or load(*a))
    seen = []
    for worker in range(2):
        read.clear()
        dataset = training_batches(
            store,
            crop_size=36,
            flip=False,
            batch_size=4,
            seed=5,
            start_step=0,
            stop_step=2,
            worker=worker,
            workers=2,
        )
        list(dataset)
        assert len(read) == 4
        seen += read
    # Two steps of four are one epoch of eight: every image once over both workers.
    assert sorted(seen) == list(range(8))


@pytest.mark.parametrize(
    "options", [{"workers": 3}, {"workers": 2, "devices": 4}, {"worker": 2, "workers": 2}]
)
def test_parts_that_do_not_exist(store, options):
    with pytest.raises(ValueError, match="batch_size"):
        batches(store, **options)
