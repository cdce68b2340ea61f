"""Images decoded and resized inside tf.data pipelines, several at a time."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.size import Size
from tfpix2pix.data.resize import resize_stored
from tfpix2pix.data.sources.base import Progress
from tfpix2pix.data.spec import ImageSpec

# Around what tf.data maps: nothing there is for AutoGraph to convert, which would take longer than
# all else before the first batch.
as_written = tf.autograph.experimental.do_not_convert

Arrays = tuple[np.ndarray, ...]
Tensors = tuple[tf.Tensor, ...]


def parallel_calls() -> int:
    """Images that are worked on at a time: as many as there are cores, and some that wait."""
    return min(16, (os.cpu_count() or 1) + 2)


class Decoder:
    """Decodes and resizes what is read together: both images of a pair, or one image.

    Args:
      load: gives the stored arrays of a number, one for each of `specs`.
      specs: what they are.
      count: how many numbers there are.
      size: of the result, pixels.

    Attributes:
      failure: the first `DataError` that `load` raised inside a tf.data pipeline.
    """

    def __init__(
        self, load: Callable[[int], Arrays], specs: tuple[ImageSpec, ...], count: int, size: Size
    ):
        self.specs, self.count, self.size = specs, count, size
        self.failure: DataError | None = None
        self._load = load

    def __call__(self, index: tf.Tensor) -> Tensors:
        """The stored tensors ``[height, width, C]`` of a number."""
        # Declared stateless: a stateful op would make tf.data map serially under op determinism,
        # and reading a file that does not change is a function of its number.
        types = [tf.as_dtype(spec.dtype) for spec in self.specs]
        load = CALLS.counted(self._load_or_note)
        images = tf.nest.flatten(tf.numpy_function(load, [index], types, stateful=False))
        return tuple(
            resize_stored(
                tf.ensure_shape(image, [None, None, spec.stored_channels]), self.size, spec
            )
            for image, spec in zip(images, self.specs, strict=True)
        )

    def all(self, progress: Progress | None = None) -> Iterator[Arrays]:
        """The stored arrays of all numbers in order, several decoded at a time."""
        options = tf.data.Options()
        options.deterministic = True
        options.autotune.enabled = False
        numbers = tf.data.Dataset.range(self.count)
        rows = numbers.map(as_written(self.__call__), parallel_calls(), True)
        try:
            decoded = rows.prefetch(1).with_options(options).as_numpy_iterator()
            for done, images in enumerate(decoded, start=1):
                yield images
                if progress:
                    progress(done, self.count)
        except tf.errors.OpError as error:
            raise self.failure or error from None

    def _load_or_note(self, index: np.ndarray) -> Arrays:
        try:
            return self._load(int(index))
        except DataError as error:
            self.failure = self.failure or error
            raise


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

    def counted(self, function: Callable) -> Callable:
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


CALLS = _Calls()
