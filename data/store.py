"""Decoded pairs of one split as TensorFlow sees them: held in memory once, or read as needed."""

from __future__ import annotations

import abc
import collections
import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.data.source import PairSource, Progress
from tfpix2pix.errors import DataError

_LEAST_BUDGET = 256 << 20
_BUFFER_BYTES = 256 << 20
# Pairs stay in host memory: by default a large constant would move to the accelerator.
_HOST = "/CPU:0"


class PairStore(abc.ABC):
    """The pairs of one split, decoded, by number.

    Attributes:
      source: where they come from.
      split: which split of it.
      count: number of pairs, at least 1.
      in_memory: whether they are held decoded in memory.
      input_channels: channels of x; `target_channels`: of y.
      failure: the first `DataError` that reading met inside a tf.data pipeline; see `explain`.
    """

    in_memory: bool

    def __init__(self, source: PairSource, split: str):
        self.source = source
        self.split = split
        self.count = source.count(split)
        self.input_channels = source.input_channels
        self.target_channels = source.target_channels
        self.failure: DataError | None = None

    @abc.abstractmethod
    def joined(self, index: tf.Tensor) -> tf.Tensor:
        """Pair number `index` (int64 scalar tensor) with x and y joined along the channels.

        One tensor, so that whatever is done to it is done to both images alike.

        Returns:
          uint8 ``[H, W, input_channels + target_channels]``.
        """

    @abc.abstractmethod
    def describe(self) -> str:
        """A few words on how the pairs are kept: ``400 train pairs in memory (150 MiB)``."""

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Pair number `index` as `PairSource.load` gives it: uint8 NumPy ``[H, W, C]`` each."""
        return self.source.load(self.split, index)

    def pair_name(self, index: int) -> str:
        """The pair's name for captions."""
        return self.source.pair_name(self.split, index)

    def _load_joined(self, index: int) -> np.ndarray:
        return np.concatenate(self.source.load(self.split, int(index)), axis=-1)


class _MemoryStore(PairStore):
    """All pairs as flat uint8 buffers, which hold images of differing size as well.

    Several buffers rather than one: TensorFlow copies what it is given, and so the copy being
    made never doubles the whole.
    """

    in_memory = True

    def __init__(self, source: PairSource, split: str, progress: Progress | None):
        super().__init__(source, split)
        # Of each pair: which buffer it lies in, where it starts there, and its shape.
        places = np.zeros((self.count, 2), np.int64)
        shapes = np.zeros((self.count, 3), np.int64)
        self._buffers: list[tf.Tensor] = []
        buffer = np.empty(0, np.uint8)
        size = 0
        for index, pair in enumerate(self._read_ahead()):
            if size + pair.size > buffer.size:
                self._add_buffer(buffer[:size])
                buffer, size = np.empty(max(_BUFFER_BYTES, pair.size), np.uint8), 0
            places[index], shapes[index] = (len(self._buffers), size), pair.shape
            buffer[size : size + pair.size] = pair.ravel()
            size += pair.size
            if progress:
                progress(index + 1, self.count)
        self._add_buffer(buffer[:size])
        self._bytes = int(shapes.prod(axis=1).sum())
        with tf.device(_HOST):
            self._places = tf.convert_to_tensor(places)
            self._shapes = tf.convert_to_tensor(shapes)
        alike = (shapes == shapes[0]).all(axis=0)
        self._static_shape = np.where(alike, shapes[0], None).tolist()

    def _add_buffer(self, pixels: np.ndarray) -> None:
        if pixels.size:
            with tf.device(_HOST):
                # TensorFlow lets go of NumPy arrays it has copied only when it next runs an op.
                self._buffers.append(tf.identity(tf.convert_to_tensor(pixels)))

    def _read_ahead(self) -> Iterator[np.ndarray]:
        """All pairs in order, decoded by several threads, only a few of them waiting at a time."""
        threads = min(16, (os.cpu_count() or 1) + 4)
        with ThreadPoolExecutor(threads) as pool:
            waiting: collections.deque[Future[np.ndarray]] = collections.deque()
            try:
                for index in range(self.count):
                    waiting.append(pool.submit(self._load_joined, index))
                    if len(waiting) > 2 * threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def joined(self, index: tf.Tensor) -> tf.Tensor:
        place, shape = self._places[index], self._shapes[index]

        def cut(buffer: tf.Tensor) -> tf.Tensor:
            return tf.slice(buffer, [place[1]], [tf.reduce_prod(shape)])

        if len(self._buffers) == 1:
            pixels = cut(self._buffers[0])
        else:
            cuts = [functools.partial(cut, buffer) for buffer in self._buffers]
            pixels = tf.switch_case(tf.cast(place[0], tf.int32), cuts)
        return tf.ensure_shape(tf.reshape(pixels, shape), self._static_shape)

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        joined = self.joined(tf.constant(index, tf.int64)).numpy()
        return joined[..., : self.input_channels], joined[..., self.input_channels :]

    def describe(self) -> str:
        return f"{self.count} {self.split} pairs in memory ({_mebibytes(self._bytes)})"


class _StreamingStore(PairStore):
    """Pairs are decoded each time they are asked for."""

    in_memory = False

    def __init__(self, source: PairSource, split: str, decoded_bytes: int):
        super().__init__(source, split)
        self._bytes = decoded_bytes
        self._lock = threading.Lock()

    def joined(self, index: tf.Tensor) -> tf.Tensor:
        # Declared stateless: a stateful op would make tf.data map serially under op determinism,
        # and reading a file that does not change is a function of its number.
        joined = tf.numpy_function(self._load_or_note, [index], tf.uint8, stateful=False)
        return tf.ensure_shape(joined, [None, None, self.input_channels + self.target_channels])

    def _load_or_note(self, index: np.ndarray) -> np.ndarray:
        try:
            return self._load_joined(int(index))
        except DataError as error:
            with self._lock:
                self.failure = self.failure or error
            raise

    def describe(self) -> str:
        return (
            f"{self.count} {self.split} pairs read as they are needed ({_mebibytes(self._bytes)} "
            "decoded, more than the memory budget)"
        )


def open_store(
    source: PairSource,
    split: str,
    *,
    memory_budget: int | None = None,
    progress: Progress | None = None,
) -> PairStore:
    """Decodes a split into memory if it fits, or arranges to stream it.

    Args:
      source: the data set.
      split: train, val or test.
      memory_budget: bytes that decoded pairs may take; None for a quarter of the memory
        available now, at least 256 MiB.
      progress: called as ``progress(done, total)`` while pairs are decoded into memory.

    Raises:
      DataError: the split has no pairs, or a pair cannot be read.
    """
    if not source.count(split):
        raise DataError(f"--dataset={source.name}: it has no {split} pairs; add {split}/.")
    decoded_bytes = source.decoded_bytes(split)
    if memory_budget is None:
        memory_budget = max(_LEAST_BUDGET, _available_memory() // 4)
    if decoded_bytes > memory_budget:
        return _StreamingStore(source, split, decoded_bytes)
    return _MemoryStore(source, split, progress)


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


def _available_memory() -> int:
    """Bytes of memory this process may still take: of the machine, or of its container."""
    available = _LEAST_BUDGET * 4
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        available = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    with contextlib.suppress(OSError, ValueError):
        # A container's limit is often far below what the machine has.
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        available = min(available, limit - int((group / "memory.current").read_text()))
    return max(0, available)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
