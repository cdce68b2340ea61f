"""Stores: in memory, in a file and streamed, the same pairs; a failing file keeps its name."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import cache_choice, explain, open_dataset, open_store, training_batches
from tfpix2pix.data import store as store_module

SIZE = 10


def kept(source, index: int, size: int = SIZE) -> list[np.ndarray]:
    """What a store of this size has to hold of a training pair."""
    images = []
    for image, side in zip(
        source.load("train", index), (source.spec.x, source.spec.y), strict=True
    ):
        if side.is_classes:
            image = tf.image.resize(image, [size, size], "nearest").numpy()
        elif image.shape[:2] != (size, size):
            resized = tf.image.resize(image, [size, size], antialias=True).numpy()
            image = (np.rint(resized) if image.dtype != np.float32 else resized).astype(image.dtype)
        images.append(image)
    return images


def assert_holds(store, source, index: int, size: int = SIZE) -> None:
    for found, expected in zip(store.pair(index), kept(source, index, size), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def add_larger_pair(folder):
    wide = np.random.default_rng(7).integers(0, 256, (20, 44, 3), dtype=np.uint8)
    Image.fromarray(wide).save(folder / "train" / "wide.png")


@pytest.mark.parametrize("size", [16, 11])
@pytest.mark.parametrize("budget", [0, None])
@pytest.mark.parametrize("mixed", [False, True])
def test_pairs_are_those_of_the_source_resized(pairs_folder, budget, mixed, size):
    folder = pairs_folder(train=4)
    if mixed:
        add_larger_pair(folder)
    source = open_dataset(str(folder), input_channels=1, allow_mixed_sizes=True)
    store = open_store(source, "train", size=size, budget=budget)
    assert store.in_memory == (budget is None)
    assert store.count == 4 + mixed
    for index in range(store.count):
        assert_holds(store, source, index, size)
        corner = tf.constant([2, 1])
        for piece, whole in zip(
            store.cut(tf.constant(index, tf.int64), corner, 6), store.pair(index), strict=True
        ):
            np.testing.assert_array_equal(piece, whole[2:8, 1:7])
        assert store.pair_name(index) == source.pair_name("train", index)


def test_progress_and_description(pairs_folder):
    source = open_dataset(str(pairs_folder(train=4)))
    seen = []
    store = open_store(
        source, "train", size=SIZE, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert store.describe() == "4 train pairs in memory (0 MiB)"
    described = open_store(source, "train", size=SIZE, budget=0).describe()
    assert described.startswith("4 train pairs read and decoded each time they are needed (")


def test_pairs_spread_over_several_buffers(pairs_folder, monkeypatch):
    source = open_dataset(str(pairs_folder(train=5)))
    whole = open_store(source, "train", size=SIZE)
    # Two images of a side fit into each buffer.
    monkeypatch.setattr(store_module, "_BUFFER_BYTES", 2 * SIZE * SIZE * 3 + 1)
    spread = open_store(source, "train", size=SIZE)
    for index in range(5):
        assert_holds(spread, source, index)
    options = {"crop_size": 8, "flip": True, "batch_size": 2, "seed": 1}
    for left, right in zip(
        training_batches(whole, start_step=0, stop_step=5, **options),
        training_batches(spread, start_step=0, stop_step=5, **options),
        strict=True,
    ):
        np.testing.assert_array_equal(left[0], right[0])
        np.testing.assert_array_equal(left[1], right[1])


def test_absent_split(pairs_folder):
    with pytest.raises(DataError, match="no val pairs"):
        open_store(open_dataset(str(pairs_folder(train=1))), "val", size=SIZE)


def test_memory_store_reports_a_bad_file_when_opened(pairs_folder):
    folder = pairs_folder(train=3)
    source = open_dataset(str(folder))
    source.check()
    (folder / "train" / "01.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"01\.png: an empty file"):
        open_store(source, "train", size=SIZE)


def test_streaming_error_is_explained(pairs_folder):
    folder = pairs_folder(train=3)
    source = open_dataset(str(folder))
    store = open_store(source, "train", size=SIZE, cache="none")
    (folder / "train" / "01.png").write_bytes(b"")
    batches = training_batches(
        store, crop_size=8, flip=False, batch_size=1, seed=0, start_step=0, stop_step=3
    )
    with pytest.raises(tf.errors.OpError) as caught:
        list(batches)
    explained = explain(caught.value, store)
    assert isinstance(explained, DataError)
    assert "01.png: an empty file" in str(explained)

    healthy = open_store(source, "train", size=SIZE, cache="none")
    assert explain(caught.value, healthy) is caught.value


READS_AHEAD = """
import sys
from tfpix2pix.data import open_dataset, open_store, training_batches

source = open_dataset(sys.argv[1])
store = open_store(source, "train", size=12, cache=sys.argv[2], cache_dir=sys.argv[3])
options = dict(crop_size=12, flip=True, batch_size=1, seed=0, start_step=0, stop_step=10**6)
batches = iter(training_batches(store, **options))
for _ in range(3):
    next(batches)
print("done", flush=True)
"""


@pytest.mark.parametrize("cache", ["none", "file"])
def test_a_program_ends_while_pairs_are_read_ahead(pairs_folder, tmp_path, run_python, cache):
    """tf.data's threads are in the middle of calls then; see `decoding._Calls`."""
    folder = pairs_folder(train=5)
    for _ in range(2):
        done = run_python(READS_AHEAD, folder, cache, tmp_path)
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


# === Every depth, kept everywhere ===

# A and B: channels and type.
KINDS = {
    "uint8": ((3, "uint8"), (3, "uint8")),
    "uint16": ((1, "uint16"), (3, "uint16")),
    "float32": ((1, "float32"), (5, "float32")),
    "8 bits to 16": ((3, "uint8"), (1, "uint16")),
    "16 bits to 8": ((1, "uint16"), (3, "uint8")),
    "8 bits to floats": ((3, "uint8"), (1, "float32")),
    "floats to 16 bits": ((2, "float32"), (1, "uint16")),
}


@pytest.fixture
def set_of(tmp_path, draw, save):
    """`set_of(kind, count=4)`: an opened data set, of two sizes."""

    def write(kind: str, count: int = 4):
        folder = tmp_path / kind
        for name, first, (channels, dtype) in zip("AB", (0, 100), KINDS[kind], strict=True):
            for index in range(count):
                size = {"height": 8 + index % 2, "width": 10}
                save(folder / name / f"{index}.npy", draw(first + index, channels, dtype, **size))
        return open_dataset(str(folder), val_fraction=0, allow_mixed_sizes=True)

    return write


def labels_set(tmp_path, draw, save):
    """Index maps of facades to photographs, one-hot."""
    for index in range(3):
        classes = np.random.default_rng(index).integers(1, 13, (9, 10, 1), np.uint8)
        save(tmp_path / "labels" / "A" / f"{index}.png", classes)
        save(tmp_path / "labels" / "B" / f"{index}.png", draw(index, height=9, width=10))
    return open_dataset(
        str(tmp_path / "labels"),
        val_fraction=0,
        label_palette="facades",
        input_encoding="onehot",
    )


@pytest.mark.parametrize("kind", [*KINDS, "classes"])
def test_every_store_has_the_pairs_of_the_source(tmp_path, draw, save, set_of, kind):
    source = labels_set(tmp_path, draw, save) if kind == "classes" else set_of(kind)
    stores = [
        open_store(source, "train", size=SIZE, cache=cache, cache_dir=tmp_path / "cache")
        for cache in ("memory", "file", "none")
    ]
    # Once more, from the file that is there now.
    stores.append(
        open_store(source, "train", size=SIZE, cache="file", cache_dir=tmp_path / "cache")
    )
    assert [store.in_memory for store in stores] == [True, False, False, False]
    for store in stores:
        assert store.count == source.count("train")
        for index in range(store.count):
            assert_holds(store, source, index)


@pytest.mark.parametrize("kind", ["8 bits to 16", "classes"])
def test_every_store_trains_alike(tmp_path, draw, save, set_of, kind):
    source = labels_set(tmp_path, draw, save) if kind == "classes" else set_of(kind)
    options = {"crop_size": 8, "flip": True, "batch_size": 2, "seed": 3}
    batches = [
        list(
            training_batches(
                open_store(source, "train", size=9, cache=cache, cache_dir=tmp_path / "cache"),
                start_step=0,
                stop_step=4,
                **options,
            )
        )
        for cache in ("memory", "file", "none")
    ]
    for memory, file, none in zip(*batches, strict=True):
        for side in range(2):
            np.testing.assert_array_equal(memory[side], file[side])
            np.testing.assert_array_equal(memory[side], none[side])


# === The file of decoded pairs ===


@pytest.fixture
def cached(tmp_path):
    """`cached(source)` opens the train split with its file in `tmp_path / "cache"`."""
    return lambda source, **options: open_store(
        source, "train", size=SIZE, cache="file", cache_dir=tmp_path / "cache", **options
    )


def files_in(folder) -> dict[str, int]:
    """Names in a folder with the time of their last change."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_the_file_is_written_once_and_found_again(tmp_path, set_of, cached, monkeypatch):
    source = set_of("uint16")
    assert (
        cached(source)
        .describe()
        .startswith(f"4 train pairs decoded once into files in {tmp_path / 'cache'} (")
    )
    written = files_in(tmp_path / "cache")
    assert sorted(name.split(".", 1)[1] for name in written) == ["x.npy", "y.npy"]
    again = open_dataset(str(tmp_path / "uint16"), val_fraction=0, allow_mixed_sizes=True)
    _ = again.spec
    monkeypatch.setattr(type(again), "load", lambda *args: pytest.fail("decoded again"))
    seen = []
    store = cached(again, progress=lambda *args: seen.append(args))
    assert [image.shape for image in store.pair(0)] == [(SIZE, SIZE, 1), (SIZE, SIZE, 3)]
    assert seen == []
    assert files_in(tmp_path / "cache") == written


def test_a_changed_image_is_never_met_again(tmp_path, draw, save, set_of, cached):
    source = set_of("uint8")
    cached(source)
    path = tmp_path / "uint8" / "A" / "1.npy"
    old = path.stat()
    save(path, draw(77, height=9, width=10))  # of the same size in pixels and bytes
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    changed = open_dataset(str(tmp_path / "uint8"), val_fraction=0, allow_mixed_sizes=True)
    assert_holds(cached(changed), changed, 1)
    assert not np.array_equal(cached(changed).pair(1)[0], cached(source).pair(2)[0])


def test_another_reading_of_the_same_files_is_another_file(tmp_path, draw, save, cached):
    for index in range(2):
        save(tmp_path / "train" / f"{index}.png", draw(index, width=32))
    for options in (
        {"direction": "AtoB"},
        {"direction": "BtoA"},
        {"input_channels": 1},
        {"target_dtype": "uint16"},
        {"color_space": "lab"},
        {"color_space": "lab", "layout": "side_by_side"},
    ):
        source = open_dataset(str(tmp_path), **options)
        store = cached(source)
        assert_holds(store, source, 1)


def test_splits_have_files_of_their_own(tmp_path, draw, save, cached):
    for index, split in enumerate(("train", "val")):
        save(tmp_path / split / "1.png", draw(index, width=32))
    source = open_dataset(str(tmp_path))
    cached(source)
    val = open_store(source, "val", size=16, cache="file", cache_dir=tmp_path / "cache")
    expected = tf.image.resize(draw(1, width=32)[:, :16], [16, 16], antialias=True)
    np.testing.assert_array_equal(val.pair(0)[0], np.rint(expected))


def test_sizes_have_files_of_their_own(tmp_path, set_of, cached):
    source = set_of("uint8")
    cached(source)
    other = open_store(source, "train", size=7, cache="file", cache_dir=tmp_path / "cache")
    assert_holds(other, source, 2, 7)
    assert_holds(cached(source), source, 2)


@pytest.mark.parametrize(
    ("error", "met"),
    [(DataError("bad"), DataError), (MemoryError("full"), tf.errors.OpError)],
)
def test_writing_that_fails_leaves_nothing(tmp_path, set_of, cached, monkeypatch, error, met):
    source = set_of("uint8")
    real = source.load

    def load(split, index):
        if index == 2:
            raise error
        return real(split, index)

    monkeypatch.setattr(source, "load", load)
    with pytest.raises(met):
        cached(source)
    assert files_in(tmp_path / "cache") == {}
    monkeypatch.setattr(source, "load", real)
    assert_holds(cached(source), source, 2)


def test_a_full_disk_is_answered_with_a_sentence(tmp_path, set_of, cached, monkeypatch):
    source = set_of("uint8")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(DataError) as caught:
        cached(source)
    message = str(caught.value)
    assert (
        f"{tmp_path / 'cache'} cannot take the decoded pairs (No space left on device)" in message
    )
    assert "--cache=none" in message
    assert files_in(tmp_path / "cache") == {}


def test_what_a_killed_writer_leaves_is_not_taken(tmp_path, set_of, cached):
    source = set_of("uint8")
    folder = tmp_path / "cache"
    folder.mkdir()
    # Killed while writing, and killed between moving the one file and the other.
    (folder / "tmpabc.part").write_bytes(b"half")
    cached(source)
    (y,) = folder.glob("*.y.npy")
    y.unlink()
    assert_holds(cached(source), source, 3)
    assert y.exists()


def test_a_damaged_file_is_written_anew(tmp_path, set_of, cached):
    """As a copy that ran out of space, or a disk, leaves it."""
    source = set_of("uint8")
    cached(source)
    folder = tmp_path / "cache"
    (x,), (y,) = folder.glob("*.x.npy"), folder.glob("*.y.npy")
    content = {path: path.read_bytes() for path in (x, y)}
    for path, damage in ((x, content[x][:-7]), (x, b""), (y, b"no numbers"), (y, content[y][:40])):
        path.write_bytes(damage)
        assert_holds(cached(source), source, 3)
        assert path.read_bytes() == content[path]


def test_two_writers_at_once(tmp_path, set_of, cached):
    source = set_of("uint16", 6)
    with ThreadPoolExecutor(2) as pool:
        stores = list(pool.map(cached, [source, source]))
    for store in stores:
        for index in range(6):
            assert_holds(store, source, index)
    assert len(files_in(tmp_path / "cache")) == 2


def test_a_folder_that_cannot_be_made(tmp_path, set_of):
    source = set_of("uint8")
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "decoded"
    with pytest.raises(DataError, match=r"--data_dir: .* cannot take the decoded pairs"):
        open_store(source, "train", size=SIZE, cache="file", cache_dir=folder)


# === By size ===


def test_auto_takes_the_first_that_fits_and_says_why(tmp_path, set_of, monkeypatch):
    source = set_of("float32")
    needed = 4 * SIZE * SIZE * (1 + 5) * 4

    def opened(**options):
        return open_store(source, "train", size=SIZE, **options)

    assert opened(budget=needed).in_memory
    assert "in memory" in opened(budget=needed).describe()
    short = {"budget": needed - 1}
    said = opened(**short).describe()
    assert "each time they are needed" in said
    assert "the memory spared for it is 0 MiB" in said
    assert "decoded once into" in opened(**short, cache_dir=tmp_path / "cache").describe()
    # The file may take half of what is free.
    monkeypatch.setattr(cache_choice, "free_space", lambda folder: 2 * needed)
    assert "decoded once into" in opened(**short, cache_dir=tmp_path / "b").describe()
    monkeypatch.setattr(cache_choice, "free_space", lambda folder: 2 * needed - 1)
    said = opened(**short, cache_dir=tmp_path / "c").describe()
    assert "each time they are needed" in said
    assert str(tmp_path / "c") in said
    assert not (tmp_path / "c").exists()
    # What was asked for is done, whatever fits.
    assert opened(budget=0, cache="memory").in_memory
    assert "(--cache=none)" in opened(cache="none").describe()
    assert "decoded once into" in opened(cache="file", cache_dir=tmp_path / "d").describe()


def test_other_caches(set_of):
    with pytest.raises(DataError, match="--cache=disk: expected one of auto, memory, file, none"):
        open_store(set_of("uint8"), "train", size=SIZE, cache="disk")
