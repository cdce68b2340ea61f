"""Decoded pairs of one split as TensorFlow sees them: all of one size, in memory, in a file, or
read as needed."""

from __future__ import annotations

import abc
import atexit
import contextlib
import functools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.cache_choice import choose_cache, memory_budget
from tfpix2pix.data.forms import PairForm
from tfpix2pix.data.resize import resize
from tfpix2pix.data.sources.base import PairSource, Progress

CACHES = ("auto", "memory", "file", "none")
_BUFFER_BYTES = 256 << 20
# Pairs stay in host memory: by default a large constant would move to the accelerator.
_HOST = "/CPU:0"

# Around what tf.data maps: nothing there is for AutoGraph to convert, which would take longer than
# all else before the first batch.
as_written = tf.autograph.experimental.do_not_convert

Arrays = tuple[np.ndarray, np.ndarray]
Tensors = tuple[tf.Tensor, tf.Tensor]


class PairStore(abc.ABC):
    """The pairs of one split, decoded and resized, by number.

    Attributes:
      source: where they come from.
      split: which split of it.
      size: height and width of every image.
      count: number of pairs, at least 1.
      in_memory: whether they are held decoded in memory.
      form: what both images of a pair are.
      failure: the first `DataError` that reading met inside a tf.data pipeline; see `explain`.
    """

    in_memory: bool

    def __init__(self, source: PairSource, split: str, size: int):
        self.source = source
        self.split = split
        self.size = size
        self.count = source.count(split)
        self.form: PairForm = source.form
        self.failure: DataError | None = None
        self._calls = _Calls()

    @abc.abstractmethod
    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: int) -> Tensors:
        """The same piece of both images of a pair.

        Args:
          index: the pair's number, int64 scalar.
          corner: int32 ``[2]``: row and column where the piece begins.
          crop_size: its height and width.

        Returns:
          ``(x, y)``: stored values ``[crop_size, crop_size, stored_channels]``, each of the type
          of its side.
        """

    @abc.abstractmethod
    def describe(self) -> str:
        """A few words on how the pairs are kept: ``400 train pairs in memory (150 MiB)``."""

    def pair(self, index: int) -> Arrays:
        """Pair number `index`: stored NumPy arrays ``[size, size, C]``."""
        x, y = self.cut(tf.constant(index, tf.int64), tf.zeros([2], tf.int32), self.size)
        return x.numpy(), y.numpy()

    def pair_name(self, index: int) -> str:
        """The pair's name for captions."""
        return self.source.pair_name(self.split, index)

    def _shape(self, channels: int) -> list[int]:
        return [self.size, self.size, channels]

    def _sides(self) -> tuple[tuple[np.dtype, int], tuple[np.dtype, int]]:
        """(type, stored channels) of x and of y."""
        x, y = self.form.x, self.form.y
        return (np.dtype(x.dtype), x.stored_channels), (np.dtype(y.dtype), y.stored_channels)

    def _decoded(self, index: tf.Tensor) -> Tensors:
        """A pair decoded and resized: stored tensors ``[size, size, C]``."""
        sides = (self.form.x, self.form.y)
        # Declared stateless: a stateful op would make tf.data map serially under op determinism,
        # and reading a file that does not change is a function of its number.
        types = [tf.as_dtype(side.dtype) for side in sides]
        load = self._calls.counted(self._load_or_note)
        images = tf.numpy_function(load, [index], types, stateful=False)
        x, y = (
            resize(
                tf.ensure_shape(image, [None, None, side.stored_channels]),
                self.size,
                nearest=side.is_classes,
            )
            for image, side in zip(images, sides, strict=True)
        )
        return x, y

    def _load_or_note(self, index: np.ndarray) -> Arrays:
        try:
            return self.source.load(self.split, int(index))
        except DataError as error:
            self.failure = self.failure or error
            raise

    def _all_decoded(self) -> Iterator[Arrays]:
        """All pairs in order, several decoded at a time."""
        options = tf.data.Options()
        options.deterministic = True
        options.autotune.enabled = False
        numbers = tf.data.Dataset.range(self.count)
        pairs = numbers.map(as_written(self._decoded), parallel_calls(), True)
        try:
            yield from pairs.prefetch(1).with_options(options).as_numpy_iterator()
        except tf.errors.OpError as error:
            raise explain(error, self) from None


class _Calls:
    """Calls from tf.data's threads into Python, which must have ended before the interpreter does.

    tf.data reads ahead, so that calls are on their way when a program has had its last batch, and
    a thread that asks for the interpreter's lock while the interpreter ends waits for ever, and
    the program with it. So at exit calls are answered with an error at once, until tf.data's
    buffers are full of that and no further call comes.
    """

    _QUIET, _LONGEST = 0.1, 5.0  # seconds

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._last = 0.0
        self._closed = False
        atexit.register(self._drain)

    def counted(self, function: Callable[..., Arrays]) -> Callable[..., Arrays]:
        """The function, known to this object while it runs."""

        def call(*args: np.ndarray) -> Arrays:
            with self._lock:
                self._running += 1
            try:
                if self._closed:
                    raise RuntimeError("the program is ending")
                return function(*args)
            finally:
                with self._lock:
                    self._running -= 1
                    self._last = time.monotonic()

        return call

    def _drain(self) -> None:
        self._closed = True
        started = time.monotonic()
        while time.monotonic() - started < self._LONGEST:
            with self._lock:
                idle = not self._running and time.monotonic() - self._last > self._QUIET
            if idle:
                return
            time.sleep(0.01)


class _MemoryStore(PairStore):
    """All pairs in a few large tensors.

    Several rather than one: TensorFlow copies what it is given, and so the copy being made never
    doubles the whole. x and y apart, so that a piece of either is few runs of memory.
    """

    in_memory = True

    def __init__(self, source: PairSource, split: str, size: int, progress: Progress | None):
        super().__init__(source, split, size)
        bytes_of_pair = size * size * self.form.stored_bytes
        self._per_buffer = min(self.count, max(1, _BUFFER_BYTES // bytes_of_pair))
        self._bytes = self.count * bytes_of_pair
        self._buffers: list[Tensors] = []
        pairs: Arrays | None = None
        for index, pair in enumerate(self._all_decoded()):
            place = index % self._per_buffer
            if pairs is None:
                number = min(self._per_buffer, self.count - index)
                pairs = tuple(np.empty((number, *image.shape), image.dtype) for image in pair)
            for buffer, image in zip(pairs, pair, strict=True):
                buffer[place] = image
            if place == len(pairs[0]) - 1:
                self._add(pairs)
                pairs = None
            if progress:
                progress(index + 1, self.count)

    def _add(self, pairs: Arrays) -> None:
        with tf.device(_HOST):
            # TensorFlow lets go of NumPy arrays it has copied only when it next runs an op.
            x, y = (tf.identity(tf.convert_to_tensor(images)) for images in pairs)
            self._buffers.append((x, y))

    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: int) -> Tensors:
        place = tf.cast(index % self._per_buffer, tf.int32)
        begin = tf.concat([[place], corner, [0]], 0)

        def piece(buffer: tf.Tensor) -> tf.Tensor:
            return tf.slice(buffer, begin, [1, crop_size, crop_size, buffer.shape[-1]])[0]

        def pieces(buffers: Tensors) -> Tensors:
            return piece(buffers[0]), piece(buffers[1])

        if len(self._buffers) == 1:
            return pieces(self._buffers[0])
        choices = [functools.partial(pieces, buffers) for buffers in self._buffers]
        return tf.switch_case(tf.cast(index // self._per_buffer, tf.int32), choices)

    def describe(self) -> str:
        return f"{self.count:,} {self.split} pairs in memory ({_mebibytes(self._bytes)})"


class _StreamingStore(PairStore):
    """Pairs are decoded each time they are asked for."""

    in_memory = False

    def __init__(self, source: PairSource, split: str, size: int, why: str):
        super().__init__(source, split, size)
        self._why = why

    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: int) -> Tensors:
        return _cut(self._decoded(index), corner, crop_size)

    def describe(self) -> str:
        return (
            f"{self.count:,} {self.split} pairs read and decoded each time they are needed "
            f"({self._why})"
        )


class _FileStore(PairStore):
    """Pairs are decoded once into two large .npy files, one for x and one for y, and read there.

    The files are named by the data's state, so that another run of the same data finds them, and
    changed data never do. They are whole or not there: written under other names, then moved.
    """

    in_memory = False

    def __init__(
        self, source: PairSource, split: str, size: int, folder: Path, progress: Progress | None
    ):
        super().__init__(source, split, size)
        stem = f"{source.cache_key(split)}-{size}"
        self._paths = [folder / f"{stem}.{side}.npy" for side in "xy"]
        if not self._open():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._write(folder, progress)
                if not self._open():
                    raise OSError("they cannot be read back")
            except OSError as error:
                raise DataError(
                    f"--data_dir: {folder} cannot take the decoded pairs "
                    f"({error.strerror or error}); free some space there, give another --data_dir, "
                    "or --cache=none."
                ) from None

    def _open(self) -> bool:
        """Opens the two files; False if they are not there, or not whole."""
        try:
            opened = [np.load(path, mmap_mode="r") for path in self._paths]
        except (OSError, ValueError, EOFError):
            return False
        for array, (dtype, channels) in zip(opened, self._sides(), strict=True):
            if array.dtype != dtype or array.shape != (self.count, *self._shape(channels)):
                return False
        self._images = opened
        return True

    def _write(self, folder: Path, progress: Progress | None) -> None:
        scratch = []
        try:
            for _ in self._paths:
                handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
                os.close(handle)
                scratch.append(name)
            with contextlib.ExitStack() as files:
                opened = [files.enter_context(open(name, "wb")) for name in scratch]
                for file, (dtype, channels) in zip(opened, self._sides(), strict=True):
                    shape = (self.count, *self._shape(channels))
                    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                for index, pair in enumerate(self._all_decoded()):
                    for file, image in zip(opened, pair, strict=True):
                        file.write(np.ascontiguousarray(image).data)
                    if progress:
                        progress(index + 1, self.count)
                for file in opened:
                    file.flush()
                    os.fsync(file.fileno())
            for name, path in zip(scratch, self._paths, strict=True):
                os.replace(name, path)
        finally:
            for name in scratch:
                with contextlib.suppress(OSError):
                    os.unlink(name)

    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: int) -> Tensors:
        types = [tf.as_dtype(dtype) for dtype, _ in self._sides()]
        images = tf.numpy_function(self._calls.counted(self._read), [index], types, stateful=False)
        x, y = (
            tf.ensure_shape(image, self._shape(channels))
            for image, (_, channels) in zip(images, self._sides(), strict=True)
        )
        return _cut((x, y), corner, crop_size)

    def _read(self, index: np.ndarray) -> Arrays:
        x, y = (np.array(images[int(index)]) for images in self._images)
        return x, y

    def describe(self) -> str:
        size = _mebibytes(sum(images.nbytes for images in self._images))
        folder = self._paths[0].parent
        return f"{self.count:,} {self.split} pairs decoded once into files in {folder} ({size})"


def parallel_calls() -> int:
    """Images that are worked on at a time: as many as there are cores, and some that wait."""
    return min(16, (os.cpu_count() or 1) + 2)


def _cut(images: Tensors, corner: tf.Tensor, crop_size: int) -> Tensors:
    begin = tf.concat([corner, [0]], 0)
    x, y = (tf.slice(i, begin, [crop_size, crop_size, i.shape[-1]]) for i in images)
    return x, y


def open_store(
    source: PairSource,
    split: str,
    *,
    size: int,
    cache: str = "auto",
    budget: int | None = None,
    cache_dir: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> PairStore:
    """Decodes and resizes a split once, into memory or a file, or arranges to stream it.

    Args:
      source: the data set.
      split: train, val or test.
      size: height and width to which every image is resized; see `tfpix2pix.data.resize`.
      cache: ``memory``, ``file`` (in `cache_dir`), ``none`` (decode whenever a pair is needed), or
        ``auto``: the first of them that the pairs fit, by size. What is read is the same.
      budget: bytes that pairs may take in memory by ``auto``; None for a quarter of what is
        available now, at least 256 MiB.
      cache_dir: folder of the files; ``auto`` uses up to half of the space that is free there,
        and no file when it is None.
      progress: called as ``progress(done, total)`` while pairs are decoded.

    Raises:
      DataError: the split has no pairs, a pair cannot be read, the file cannot be written.
    """
    if not source.count(split):
        raise DataError(f"{source.name}: it has no {split} pairs; add {split}/.")
    if cache not in CACHES:
        raise DataError(f"--cache={cache}: expected one of {', '.join(CACHES)}.")
    why = "--cache=none"
    if cache == "auto":
        needed = source.count(split) * size * size * source.form.stored_bytes
        budget = memory_budget() if budget is None else budget
        cache = choose_cache(needed, cache_dir, budget)
        why = f"{_mebibytes(needed)} decoded; the memory spared for it is {_mebibytes(budget)}"
        if cache_dir is not None:
            why += f", and twice as much is not free in {cache_dir}"
    if cache == "memory":
        return _MemoryStore(source, split, size, progress)
    if cache == "file":
        if cache_dir is None:
            raise ValueError("cache='file' needs cache_dir")
        return _FileStore(source, split, size, Path(cache_dir), progress)
    return _StreamingStore(source, split, size, why)


def explain(error: BaseException, store: PairStore) -> BaseException:
    """What to raise in place of an error that iterating over a dataset raised.

    TensorFlow wraps whatever fails inside a pipeline in an error of its own. Where the cause was
    a file that cannot be read, this returns the `DataError` that names it; else `error` itself::

        try:
            x, y = next(batches)
        except tf.errors.OpError as error:
            raise explain(error, store) from None
    """
    return store.failure or error


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
