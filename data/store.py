"""Decoded pairs of one split as TensorFlow sees them: held in memory once, or read as needed."""

from __future__ import annotations

import abc
import collections
import contextlib
import functools
import io
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.data.forms import PairForm
from tfpix2pix.data.source import PairSource, Progress
from tfpix2pix.errors import DataError
from tfpix2pix.files import write_bytes

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
      form: what both images of a pair are.
      failure: the first `DataError` that reading met inside a tf.data pipeline; see `explain`.
    """

    in_memory: bool

    def __init__(self, source: PairSource, split: str):
        self.source = source
        self.split = split
        self.count = source.count(split)
        self.form: PairForm = source.form
        self.failure: DataError | None = None

    @abc.abstractmethod
    def joined(self, index: tf.Tensor) -> tf.Tensor:
        """Pair number `index` (int64 scalar tensor) with x and y joined along the channels.

        One tensor, so that whatever is done to it is done to both images alike.

        Returns:
          Stored values ``[H, W, form.x.stored_channels + form.y.stored_channels]`` of type
          ``form.stored_dtype``.
        """

    @abc.abstractmethod
    def describe(self) -> str:
        """A few words on how the pairs are kept: ``400 train pairs in memory (150 MiB)``."""

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Pair number `index` as `PairSource.load` gives it: NumPy ``[H, W, C]`` each."""
        return self.source.load(self.split, index)

    def pair_name(self, index: int) -> str:
        """The pair's name for captions."""
        return self.source.pair_name(self.split, index)

    def _load_joined(self, index: int) -> np.ndarray:
        x, y = self.source.load(self.split, int(index))
        return np.concatenate([x, y], axis=-1, dtype=self.form.stored_dtype)

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

    @property
    def _joined_channels(self) -> int:
        return self.form.x.stored_channels + self.form.y.stored_channels


class _MemoryStore(PairStore):
    """All pairs as flat buffers, which hold images of differing size as well.

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
        dtype = np.dtype(self.form.stored_dtype)
        buffer = np.empty(0, dtype)
        size = 0
        for index, pair in enumerate(self._read_ahead()):
            if size + pair.size > buffer.size:
                self._add_buffer(buffer[:size])
                buffer, size = np.empty(max(_BUFFER_BYTES // dtype.itemsize, pair.size), dtype), 0
            places[index], shapes[index] = (len(self._buffers), size), pair.shape
            buffer[size : size + pair.size] = pair.ravel()
            size += pair.size
            if progress:
                progress(index + 1, self.count)
        self._add_buffer(buffer[:size])
        self._bytes = int(shapes.prod(axis=1).sum()) * dtype.itemsize
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
        cut = self.form.x.stored_channels
        x, y = joined[..., :cut], joined[..., cut:]
        return x.astype(self.form.x.dtype), y.astype(self.form.y.dtype)

    def describe(self) -> str:
        return f"{self.count} {self.split} pairs in memory ({_mebibytes(self._bytes)})"


class _StreamingStore(PairStore):
    """Pairs are decoded each time they are asked for."""

    in_memory = False

    def __init__(self, source: PairSource, split: str, why: str):
        super().__init__(source, split)
        self._why = why
        self._lock = threading.Lock()

    def joined(self, index: tf.Tensor) -> tf.Tensor:
        # Declared stateless: a stateful op would make tf.data map serially under op determinism,
        # and reading a file that does not change is a function of its number.
        dtype = tf.as_dtype(self.form.stored_dtype)
        joined = tf.numpy_function(self._load_or_note, [index], dtype, stateful=False)
        return tf.ensure_shape(joined, [None, None, self._joined_channels])

    def _load_or_note(self, index: np.ndarray) -> np.ndarray:
        try:
            return self._load_joined(int(index))
        except DataError as error:
            with self._lock:
                self.failure = self.failure or error
            raise

    def describe(self) -> str:
        return (
            f"{self.count} {self.split} pairs read and decoded each time they are needed "
            f"({self._why})"
        )


class _FileStore(_StreamingStore):
    """Pairs are decoded once into one large file, and read from there.

    The file is named by the data's state, so that another run of the same data finds it, and
    changed data never do. It is whole or not there: written under another name, then moved.
    """

    def __init__(self, source: PairSource, split: str, folder: Path, progress: Progress | None):
        super().__init__(source, split, why="")
        stem = folder / source.cache_key(split)
        self._path = stem.with_suffix(".pairs")
        index_path = stem.with_suffix(".npz")
        if not (self._path.exists() and index_path.exists()):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._write(index_path, progress)
            except OSError as error:
                raise DataError(
                    f"--data_dir: {folder} cannot take the decoded pairs "
                    f"({error.strerror or error}); free some space there, give another --data_dir, "
                    "or --cache=none."
                ) from None
        with np.load(index_path) as index:
            self._starts, self._shapes = index["starts"], index["shapes"]
        self._values = np.memmap(self._path, np.dtype(self.form.stored_dtype), mode="r")

    def _write(self, index_path: Path, progress: Progress | None) -> None:
        starts = np.zeros(self.count, np.int64)
        shapes = np.zeros((self.count, 3), np.int64)
        handle, name = tempfile.mkstemp(dir=self._path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                size = 0
                for index, pair in enumerate(self._read_ahead()):
                    starts[index], shapes[index] = size, pair.shape
                    file.write(np.ascontiguousarray(pair).data)
                    size += pair.size
                    if progress:
                        progress(index + 1, self.count)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        content = io.BytesIO()
        np.savez(content, starts=starts, shapes=shapes)
        write_bytes(index_path, content.getvalue())

    def _load_joined(self, index: int) -> np.ndarray:
        if not hasattr(self, "_values"):  # the file is just being written
            return super()._load_joined(index)
        start, shape = self._starts[index], self._shapes[index]
        return np.array(self._values[start : start + shape.prod()]).reshape(shape)

    def describe(self) -> str:
        size = _mebibytes(self._values.nbytes)
        return f"{self.count} {self.split} pairs decoded once into {self._path} ({size})"


CACHES = ("auto", "memory", "file", "none")


def open_store(
    source: PairSource,
    split: str,
    *,
    cache: str = "auto",
    memory_budget: int | None = None,
    cache_dir: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> PairStore:
    """Decodes a split once, into memory or a file, or arranges to stream it.

    Args:
      source: the data set.
      split: train, val or test.
      cache: ``memory``, ``file`` (in `cache_dir`), ``none`` (decode whenever a pair is needed), or
        ``auto``: the first of them that the decoded pairs fit, by size.
      memory_budget: bytes that decoded pairs may take in memory by ``auto``; None for a quarter of
        what is available now, at least 256 MiB.
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
    needed = source.decoded_bytes(split)
    if memory_budget is None:
        memory_budget = max(_LEAST_BUDGET, _available_memory() // 4)
    why = f"{_mebibytes(needed)} decoded, the memory spared for it is {_mebibytes(memory_budget)}"
    if cache == "auto":
        if needed <= memory_budget:
            cache = "memory"
        elif cache_dir is None:
            cache = "none"
        elif needed <= _free_space(Path(cache_dir)) // 2:
            cache = "file"
        else:
            cache, why = "none", f"{why}, and no twice that is free in {cache_dir}"
    elif cache == "none":
        why = "--cache=none"
    if cache == "memory":
        return _MemoryStore(source, split, progress)
    if cache == "file":
        if cache_dir is None:
            raise ValueError("cache='file' needs cache_dir")
        return _FileStore(source, split, Path(cache_dir), progress)
    return _StreamingStore(source, split, why)


def cache_dir(data_dir: str = "") -> Path:
    """The folder of decoded pairs below `data_dir` (empty: the default one); all of it may be
    deleted at any time."""
    from tfpix2pix.data.paper_sets import default_data_dir

    return (Path(data_dir).expanduser() if data_dir else default_data_dir()) / "decoded"


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


def _free_space(folder: Path) -> int:
    """Bytes free where `folder` is, or will be."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
