"""Decoded images of one split as TensorFlow sees them: all of one size, in memory, in a file, or
read as needed.

An `ImageStore` holds one side. A `PairStore` is two of them with one index, an `UnpairedStore` two
that have nothing to do with each other.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.size import Size
from tfpix2pix.data.cache_choice import choose_cache, memory_budget
from tfpix2pix.data.decoding import CALLS, Arrays, Decoder, Tensors
from tfpix2pix.data.sources.base import ImageSource, PairSource, Progress
from tfpix2pix.data.sources.unpaired import BrokenPairs, UnpairedSource
from tfpix2pix.data.spec import ImageSpec, PairSpec

CACHES = ("auto", "memory", "file", "none")
# Of one side.
_BUFFER_BYTES = 128 << 20
# Images stay in host memory: by default a large constant would move to the accelerator.
_HOST = "/CPU:0"


# === One side ===


class ImageStore(abc.ABC):
    """The images of one side of one split, decoded and resized, by number.

    Attributes:
      spec: what every image is.
      count: number of images, at least 1.
      size: of every image, pixels.
      in_memory: whether they are held decoded in memory.
      failure: the first `DataError` that reading met inside a tf.data pipeline; see `explain`.
    """

    in_memory: bool

    def __init__(self, spec: ImageSpec, count: int, size: Size):
        self.spec = spec
        self.count = count
        self.size = size

    @abc.abstractmethod
    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: Size | int) -> tf.Tensor:
        """A piece of an image.

        Args:
          index: the image's number, int64 scalar.
          corner: int32 ``[2]``: row and column where the piece begins.
          crop_size: its size, a number for a square.

        Returns:
          Stored values ``[height, width, spec.stored_channels]`` of type ``spec.dtype``.
        """

    @abc.abstractmethod
    def where(self, size: int) -> str:
        """A few words on how images of `size` bytes are kept: ``in memory (150 MiB)``."""

    @property
    def failure(self) -> DataError | None:
        return None

    @property
    def bytes(self) -> int:
        """Of all images, decoded."""
        return self.count * self.size.pixels * self.spec.stored_bytes

    def describe(self) -> str:
        """A few words on how many there are and how they are kept."""
        return f"{self.count:,} images {self.where(self.bytes)}"

    def image(self, index: int) -> np.ndarray:
        """Image number `index`: a stored NumPy array ``[height, width, C]``."""
        return self.cut(tf.constant(index, tf.int64), tf.zeros([2], tf.int32), self.size).numpy()

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (*self.size, self.spec.stored_channels)


class _MemoryStore(ImageStore):
    """All images in a few large tensors, filled by `add`.

    Several rather than one: TensorFlow copies what it is given, and so the copy being made never
    doubles the whole.
    """

    in_memory = True

    def __init__(self, spec: ImageSpec, count: int, size: Size):
        super().__init__(spec, count, size)
        self._per_buffer = min(count, max(1, _BUFFER_BYTES // (self.bytes // count)))
        self._buffers: list[tf.Tensor] = []
        self._filling: np.ndarray | None = None

    def add(self, index: int, image: np.ndarray) -> None:
        """Takes image number `index`; they come in order."""
        place = index % self._per_buffer
        if self._filling is None:
            number = min(self._per_buffer, self.count - index)
            self._filling = np.empty((number, *self._shape), self.spec.dtype)
        self._filling[place] = image
        if place == len(self._filling) - 1:
            with tf.device(_HOST):
                # TensorFlow lets go of NumPy arrays it has copied only when it next runs an op.
                self._buffers.append(tf.identity(tf.convert_to_tensor(self._filling)))
            self._filling = None

    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: Size | int) -> tf.Tensor:
        place = tf.cast(index % self._per_buffer, tf.int32)
        begin = tf.concat([[place], corner, [0]], 0)
        extent = [1, *Size.of(crop_size), self.spec.stored_channels]

        def piece(buffer: tf.Tensor) -> tf.Tensor:
            return tf.slice(buffer, begin, extent)[0]

        if len(self._buffers) == 1:
            return piece(self._buffers[0])
        choices = [functools.partial(piece, buffer) for buffer in self._buffers]
        return tf.switch_case(tf.cast(index // self._per_buffer, tf.int32), choices)

    def where(self, size: int) -> str:
        return f"in memory ({_mebibytes(size)})"


class _FileStore(ImageStore):
    """Images in one large .npy file, of which the pieces that are asked for are read.

    Raises:
      OSError, ValueError, EOFError: the file is not there, or not whole.
    """

    in_memory = False

    def __init__(self, spec: ImageSpec, count: int, size: Size, path: Path):
        super().__init__(spec, count, size)
        self._folder = path.parent
        self._images = np.load(path, mmap_mode="r")
        if self._images.dtype != spec.dtype or self._images.shape != (count, *self._shape):
            raise ValueError(f"{path} holds other images")

    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: Size | int) -> tf.Tensor:
        height, width = Size.of(crop_size)

        def read(index: np.ndarray, corner: np.ndarray) -> np.ndarray:
            row, column = corner
            rows, columns = slice(row, row + height), slice(column, column + width)
            return np.array(self._images[int(index), rows, columns])

        # Stateless: see `Decoder`.
        dtype = tf.as_dtype(self.spec.dtype)
        piece = tf.numpy_function(CALLS.counted(read), [index, corner], dtype, stateful=False)
        return tf.ensure_shape(piece, [height, width, self.spec.stored_channels])

    def where(self, size: int) -> str:
        return f"decoded once into files in {self._folder} ({_mebibytes(size)})"


class _StreamingStore(ImageStore):
    """Images are decoded each time they are asked for: those at `place` of what `decode` gives."""

    in_memory = False

    def __init__(self, decode: Decoder, place: int, why: str):
        super().__init__(decode.specs[place], decode.count, decode.size)
        self._decode = decode
        self._place = place
        self._why = why

    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: Size | int) -> tf.Tensor:
        return _cut(self._decode(index)[self._place], corner, crop_size)

    def where(self, size: int) -> str:
        return f"read and decoded each time they are needed ({self._why})"

    @property
    def failure(self) -> DataError | None:
        return self._decode.failure


# === Two sides ===


class PairStore:
    """The pairs of one split: two image stores with one index.

    Attributes:
      source: where they come from.
      split: which split of it.
      x, y: input and target images; image `i` of the one belongs to image `i` of the other.
      spec: what both images of a pair are.
      size: of every image, pixels.
      count: number of pairs, at least 1.
      in_memory: whether they are held decoded in memory.
      paired: whether image `i` of the one belongs to image `i` of the other.
      failure: see `ImageStore`.
    """

    paired = True

    def __init__(
        self,
        source: PairSource,
        split: str,
        x: ImageStore,
        y: ImageStore,
        decode: Decoder | None = None,
    ):
        self.source = source
        self.split = split
        self.x, self.y = x, y
        self.spec: PairSpec = source.spec
        self.size, self.count, self.in_memory = x.size, x.count, x.in_memory
        self._decode = decode

    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: Size | int) -> Tensors:
        """The same piece ``(x, y)`` of both images of a pair; see `ImageStore.cut`."""
        if self._decode is not None:  # once for both: they may well be in one file
            x, y = (_cut(image, corner, crop_size) for image in self._decode(index))
            return x, y
        return self.x.cut(index, corner, crop_size), self.y.cut(index, corner, crop_size)

    @property
    def failure(self) -> DataError | None:
        return self.x.failure

    def describe(self) -> str:
        """A few words on how the pairs are kept: ``400 train pairs in memory (150 MiB)``."""
        where = self.x.where(self.x.bytes + self.y.bytes)
        return f"{self.count:,} {self.split} pairs {where}"

    def pair(self, index: int) -> Arrays:
        """Pair number `index`: stored NumPy arrays ``[height, width, C]``."""
        x, y = self.cut(tf.constant(index, tf.int64), tf.zeros([2], tf.int32), self.size)
        return x.numpy(), y.numpy()

    def pair_name(self, index: int) -> str:
        """The pair's name for captions."""
        return self.source.pair_name(self.split, index)


class UnpairedStore(PairStore):
    """Two image stores that share no index: of other counts, sizes and sources, as they come.

    As pairs they are image `i` of each, where the smaller side begins again when it is through.

    Attributes:
      x, y: images of the two domains.
      count: that of the larger one, which is the length of an epoch.
      in_memory: whether both are held decoded in memory.
      failure: see `ImageStore`.
    """

    paired = False

    def __init__(
        self,
        x: ImageStore,
        y: ImageStore,
        source: PairSource | None = None,
        split: str = "train",
    ):
        self.x, self.y = x, y
        self.split = split
        self.spec = PairSpec(x.spec, y.spec)
        self.size, self.count = x.size, max(x.count, y.count)
        self.in_memory = x.in_memory and y.in_memory
        if source is not None:
            self.source = source

    def cut(self, index: tf.Tensor, corner: tf.Tensor, crop_size: Size | int) -> Tensors:
        """The same piece of image `index` of each side."""
        x, y = (side.cut(index % side.count, corner, crop_size) for side in (self.x, self.y))
        return x, y

    @property
    def failure(self) -> DataError | None:
        return self.x.failure or self.y.failure

    def describe(self) -> str:
        """A few words on how both are kept."""
        return f"{self.x.describe()} and {self.y.describe()}"


# === Opening ===


def open_store(
    source: PairSource,
    split: str,
    *,
    size: Size | int,
    cache: str = "auto",
    budget: int | None = None,
    cache_dir: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> PairStore:
    """Decodes and resizes a split once, into memory or a file, or arranges to stream it.

    Of a split whose images are no pairs it is an `UnpairedStore`, each of whose sides is kept as
    `open_images` keeps it.

    Args:
      source: the data set.
      split: train, val or test.
      size: to which every image is resized, a number for a square; see `tfpix2pix.data.resize`.
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
        raise DataError(f"{source.name}: it has no {split} {source.unit}s; add {split}/.")
    if isinstance(source, BrokenPairs) and not (source.paired(split) or source.disjoint):
        pairs = open_store(  # both images of a pair are read once, and kept as those of pairs are
            source.pairs,
            split,
            size=size,
            cache=cache,
            budget=budget,
            cache_dir=cache_dir,
            progress=progress,
        )
        return UnpairedStore(pairs.x, pairs.y, source, split)
    if isinstance(source, UnpairedSource) and not source.paired(split):
        of_x, of_y = source.sides(split)

        def opened(side: ImageSource, before: int) -> ImageStore:
            return open_images(
                side,
                split,
                size=size,
                cache=cache,
                budget=budget,
                cache_dir=cache_dir,
                progress=_after(before, of_x + of_y, progress),
            )

        return UnpairedStore(opened(source.x, 0), opened(source.y, of_x), source, split)
    specs, size = (source.spec.x, source.spec.y), Size.of(size)
    decode = Decoder(lambda i: source.load(split, i), specs, source.count(split), size)
    x, y = _keep(
        decode,
        lambda: [f"{source.cache_key(split)}-{size}.{side}.npy" for side in "xy"],
        cache=cache,
        budget=budget,
        cache_dir=cache_dir,
        progress=progress,
    )
    streamed = isinstance(x, _StreamingStore)
    return PairStore(source, split, x, y, decode if streamed else None)


def open_images(
    source: ImageSource,
    split: str,
    *,
    size: Size | int,
    cache: str = "auto",
    budget: int | None = None,
    cache_dir: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> ImageStore:
    """As `open_store`, for the images of one side alone; see `UnpairedStore`."""
    if not source.count(split):
        raise DataError(f"{source.name}: it has no {split} images; add some.")
    size = Size.of(size)
    decode = Decoder(lambda i: (source.load(split, i),), (source.spec,), source.count(split), size)
    (store,) = _keep(
        decode,
        lambda: [f"{source.cache_key(split)}-{size}.npy"],
        cache=cache,
        budget=budget,
        cache_dir=cache_dir,
        progress=progress,
    )
    return store


def _after(before: int, total: int, progress: Progress | None) -> Progress | None:
    """The progress of a part that comes after `before` others."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)


def _keep(
    decode: Decoder,
    names: Callable[[], list[str]],
    *,
    cache: str,
    budget: int | None,
    cache_dir: str | os.PathLike | None,
    progress: Progress | None,
) -> Sequence[ImageStore]:
    """One store for each image that `decode` gives; `names` names their files in `cache_dir`."""
    if cache not in CACHES:
        raise DataError(f"--cache={cache}: expected one of {', '.join(CACHES)}.")
    why = "--cache=none"
    specs, count, size = decode.specs, decode.count, decode.size
    if cache == "auto":
        needed = count * size.pixels * sum(spec.stored_bytes for spec in specs)
        budget = memory_budget() if budget is None else budget
        cache = choose_cache(needed, cache_dir, budget)
        why = f"{_mebibytes(needed)} decoded; the memory spared for it is {_mebibytes(budget)}"
        if cache_dir is not None:
            why += f", and twice as much is not free in {cache_dir}"
    if cache == "memory":
        stores = [_MemoryStore(spec, count, size) for spec in specs]
        for index, images in enumerate(decode.all(progress)):
            for store, image in zip(stores, images, strict=True):
                store.add(index, image)
        return stores
    if cache == "file":
        if cache_dir is None:
            raise ValueError("cache='file' needs cache_dir")
        return _in_files(decode, [Path(cache_dir, name) for name in names()], progress)
    return [_StreamingStore(decode, place, why) for place in range(len(specs))]


# === The files of decoded images ===


def _in_files(
    decode: Decoder, paths: list[Path], progress: Progress | None
) -> Sequence[ImageStore]:
    """Stores that read `paths`, one for each image, which are written unless they are there.

    The files are named by the data's state, so that another run of the same data finds them, and
    changed data never do. They are whole or not there: written under other names, then moved.
    """

    def opened() -> Sequence[ImageStore]:
        return [
            _FileStore(spec, decode.count, decode.size, path)
            for spec, path in zip(decode.specs, paths, strict=True)
        ]

    with contextlib.suppress(OSError, ValueError, EOFError):
        return opened()
    folder = paths[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(decode, paths, progress)
        try:
            return opened()
        except (ValueError, EOFError):
            raise OSError("they cannot be read back") from None
    except OSError as error:
        what = "pairs" if len(paths) == 2 else "images"
        raise DataError(
            f"--data_dir: {folder} cannot take the decoded {what} "
            f"({error.strerror or error}); free some space there, give another --data_dir, "
            "or --cache=none."
        ) from None


def _write(decode: Decoder, paths: list[Path], progress: Progress | None) -> None:
    scratch: list[str] = []
    try:
        for path in paths:
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
            os.close(handle)
            scratch.append(name)
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(name, "wb")) for name in scratch]
            for file, spec in zip(files, decode.specs, strict=True):
                header = {
                    "descr": np.dtype(spec.dtype).str,
                    "fortran_order": False,
                    "shape": (decode.count, *decode.size, spec.stored_channels),
                }
                np.lib.format.write_array_header_1_0(file, header)
            for images in decode.all(progress):
                for file, image in zip(files, images, strict=True):
                    file.write(np.ascontiguousarray(image).data)
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        for name, path in zip(scratch, paths, strict=True):
            os.replace(name, path)
    finally:
        for name in scratch:
            with contextlib.suppress(OSError):
                os.unlink(name)


def explain(error: BaseException, store: ImageStore | PairStore) -> BaseException:
    """What to raise in place of an error that iterating over a dataset raised.

    TensorFlow wraps whatever fails inside a pipeline in an error of its own. Where the cause was
    a file that cannot be read, this returns the `DataError` that names it; else `error` itself::

        try:
            x, y = next(batches)
        except tf.errors.OpError as error:
            raise explain(error, store) from None
    """
    return store.failure or error


def _cut(image: tf.Tensor, corner: tf.Tensor, crop_size: Size | int) -> tf.Tensor:
    return tf.slice(image, tf.concat([corner, [0]], 0), [*Size.of(crop_size), image.shape[-1]])


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
