"""Images of two domains that are no pairs: each has an order and a jitter of its own."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import (
    ImageSource,
    ImageSpec,
    UnpairedStore,
    explain,
    open_images,
    training_batches,
)

LONG, SHORT = 7, 4
CROP = 12
CACHES = ("memory", "file", "none")
# (number, row, column, mirrored) at the first positions, seed 3.
GOLDEN_LONG = [(4, 2, 2, True), (5, 0, 1, True), (0, 2, 0, False), (3, 1, 1, True)]
GOLDEN_SHORT = [(1, 1, 5, False), (3, 0, 2, False), (0, 5, 5, True), (2, 5, 1, False)]


class Numbered(ImageSource):
    """Images whose pixels tell where they are from: ``(number, row, column)``."""

    def __init__(self, name: str, count: int, size: int, dtype: str = "uint8"):
        self.name = f"--dataset={name}"
        self.spec = ImageSpec(3, dtype, 0.0, 255.0 if dtype == "uint8" else 65535.0)
        self._count, self._size = count, size
        self.loaded: list[int] = []

    def count(self, split):
        return self._count if split == "train" else 0

    def load(self, split, index):
        self.loaded.append(index)
        place = np.arange(self._size)
        grid = np.meshgrid(place, place, indexing="ij")
        return np.stack([np.full_like(grid[0], index), *grid], -1).astype(self.spec.dtype)

    def cache_key(self, split):
        return f"{self.name[10:]}-{split}"


def sources() -> list[Numbered]:
    """A longer side of 16 bits and a shorter one of 8, of different sizes."""
    return [Numbered("long", LONG, 14, "uint16"), Numbered("short", SHORT, 17)]


def opened(given=None, cache="memory", cache_dir=None) -> UnpairedStore:
    x, y = given or sources()
    options = {"cache": cache, "cache_dir": cache_dir}
    return UnpairedStore(
        open_images(x, "train", size=14, **options), open_images(y, "train", size=17, **options)
    )


def batches(store, start=0, stop=10, batch_size=2, seed=3, flip=True, **options):
    dataset = training_batches(
        store,
        crop_size=CROP,
        flip=flip,
        batch_size=batch_size,
        seed=seed,
        start_step=start,
        stop_step=stop,
        **options,
    )
    return [(x.numpy(), y.numpy()) for x, y in dataset]


def drawn(store, positions: int, seed: int = 3) -> tuple[list, list]:
    """Of each side, ``(number, row, column, mirrored)`` of the piece at each position."""
    sides: tuple[list, list] = ([], [])
    for pair in batches(store, stop=positions, batch_size=1, seed=seed):
        for side, (image,), high in zip(sides, pair, (65535, 255), strict=True):
            values = np.rint((image.astype(np.float64) + 1) * high / 2).astype(int)
            number, row, column = values[0].min(axis=0)
            expected = np.arange(CROP)
            mirrored = values[0, 0, 2] > values[0, 1, 2]
            # One whole piece of one image.
            assert (values[..., 0] == number).all()
            assert (values[..., 1] == row + expected[:, None]).all()
            assert (values[..., 2] == column + (expected[::-1] if mirrored else expected)).all()
            side.append((int(number), int(row), int(column), bool(mirrored)))
    return sides


def assert_same(left, right):
    for one, other in zip(left, right, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_epoch_shows_every_image_of_the_longer_side_once():
    store = opened()
    assert store.count == LONG
    epochs = 4
    sides = drawn(store, epochs * LONG)
    for side, count in zip(sides, (LONG, SHORT), strict=True):
        numbers = [number for number, *_ in side]
        runs = [numbers[i : i + count] for i in range(0, len(numbers), count)]
        assert all(sorted(run) == list(range(count)) for run in runs)
        assert len(set(map(tuple, runs))) > 1
    # Whichever of the two it is.
    x, y = sources()
    turned = UnpairedStore(
        open_images(y, "train", size=17, cache="memory"),
        open_images(x, "train", size=14, cache="memory"),
    )
    assert turned.count == LONG


def test_sides_are_drawn_independently():
    long, short = (np.array(side) for side in drawn(opened(), 560))
    together = collections.Counter(zip(long[:, 0], short[:, 0], strict=True))
    assert len(together) == LONG * SHORT
    # 20 of each are to be expected, give or take 4.4.
    assert 5 < min(together.values()) <= max(together.values()) < 40
    for mine in range(4):
        for theirs in range(4):
            assert abs(np.corrcoef(long[:, mine], short[:, theirs])[0, 1]) < 0.17, (mine, theirs)
    for side, rows in ((long, 14 - CROP + 1), (short, 17 - CROP + 1)):
        assert set(side[:, 1]) == set(side[:, 2]) == set(range(rows))
        assert 0.4 < side[:, 3].mean() < 0.6


def test_equal_sides_are_not_drawn_alike():
    """As many images of one size on both sides, which paired drawing would keep in step."""
    x, y = Numbered("a", 6, 14, "uint16"), Numbered("b", 6, 14)
    store = UnpairedStore(
        open_images(x, "train", size=14, cache="none"),
        open_images(y, "train", size=14, cache="none"),
    )
    left, right = drawn(store, 120)
    alike = [np.mean([a[i] == b[i] for a, b in zip(left, right, strict=True)]) for i in range(4)]
    for share, expected in zip(alike, (1 / 6, 1 / 3, 1 / 3, 1 / 2), strict=True):
        assert abs(share - expected) < 0.18


def test_draws_are_those_of_earlier_versions():
    """So that a run goes on after an update as it would have without."""
    long, short = drawn(opened(), 4)
    assert long == GOLDEN_LONG
    assert short == GOLDEN_SHORT


@pytest.fixture(scope="module")
def whole():
    return batches(opened())


@pytest.mark.parametrize("cache", CACHES)
def test_any_step_is_a_function_of_seed_and_step(tmp_path, whole, cache):
    store = opened(cache=cache, cache_dir=tmp_path)
    assert store.in_memory == (cache == "memory")
    assert {x.shape for x, _ in whole} == {y.shape for _, y in whole} == {(2, CROP, CROP, 3)}
    for start in (0, 3):
        assert_same(batches(store, start=start), whole[start:])
    other = batches(store, seed=4)
    assert all((a[i] != b[i]).any() for a, b in zip(whole, other, strict=True) for i in (0, 1))


@pytest.mark.parametrize(("workers", "devices"), [(2, 1), (4, 1), (1, 2), (2, 2)])
def test_workers_and_devices_split_the_stream(workers, devices):
    store = opened()
    whole = batches(store, start=2, stop=5, batch_size=4)
    parts = [
        batches(
            store, start=2, stop=5, batch_size=4, worker=worker, workers=workers, devices=devices
        )
        for worker in range(workers)
    ]
    for step, pair in enumerate(whole):
        for side in (0, 1):
            pieces = [part[step * devices + d][side] for part in parts for d in range(devices)]
            np.testing.assert_array_equal(np.concatenate(pieces), pair[side])


def test_a_file_is_written_once_and_kept_by_side(tmp_path):
    first = sources()
    opened(first, "file", tmp_path)
    assert [sorted(source.loaded) for source in first] == [[*range(LONG)], [*range(SHORT)]]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["long-train-14.npy", "short-train-17.npy"]
    again = sources()
    store = opened(again, "file", tmp_path)
    assert [source.loaded for source in again] == [[], []]
    np.testing.assert_array_equal(store.y.image(2), again[1].load("train", 2))
    assert f"7 images decoded once into files in {tmp_path} (" in store.describe()
    (tmp_path / "long-train-14.npy").write_bytes(b"")
    np.testing.assert_array_equal(
        opened(again, "file", tmp_path).x.image(6), again[0].load("train", 6)
    )


def test_images_are_resized_and_their_reading_is_told():
    seen = []
    store = open_images(
        Numbered("a", 3, 20), "train", size=10, progress=lambda *done: seen.append(done)
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert store.describe() == "3 images in memory (0 MiB)"
    assert store.image(2)[..., 0].tolist() == [[2] * 10] * 10
    np.testing.assert_allclose(store.image(0)[5, :, 2], np.arange(10) * 2 + 0.5, atol=0.51)


@pytest.mark.parametrize("side", [0, 1])
def test_an_image_that_cannot_be_read_is_named(monkeypatch, side):
    given = sources()

    def load(split, index):
        raise DataError(f"{index}.png: an empty file")

    monkeypatch.setattr(given[side], "load", load)
    store = opened(given, "none")
    with pytest.raises(tf.errors.OpError) as caught:
        batches(store)
    assert "png: an empty file" in str(explain(caught.value, store))
    with pytest.raises(DataError, match=r"png: an empty file"):
        opened(given, "memory")


def test_a_split_without_images_is_refused():
    with pytest.raises(DataError, match="--dataset=long: it has no val images"):
        open_images(sources()[0], "val", size=14)


def test_a_crop_must_fit_the_smaller_side():
    store = UnpairedStore(
        open_images(Numbered("a", 2, 14), "train", size=14, cache="none"),
        open_images(Numbered("b", 2, 14), "train", size=CROP - 1, cache="none"),
    )
    with pytest.raises(ValueError, match=f"crop_size={CROP} must be between 1 and load_size=11"):
        batches(store)
