"""The features in which FID and KID are measured: InceptionV3's last pooling layer."""

from __future__ import annotations

import abc
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation.base import OfSets, Statistics

Features = Callable[[np.ndarray], np.ndarray]
"""Pictures ``[B, H, W, 3]`` of values 0 to 255 to features ``[B, D]``."""

SIZE = 299
FEATURES = 2048
WEIGHTS_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
TIMEOUT = 15.0  # seconds until a silent host counts as unreachable


class RememberedFeatures(abc.ABC):
    """Features of pictures, those of the last two arrays remembered, so that FID and KID compute
    them once."""

    def __init__(self) -> None:
        self._known: list[tuple[np.ndarray, np.ndarray]] = []

    @abc.abstractmethod
    def of(self, pictures: np.ndarray) -> np.ndarray:
        """Features ``[B, D]`` of pictures ``[B, H, W, 3]``, values 0 to 255."""

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """`of` them, computed or remembered."""
        for known, features in self._known:
            if known is pictures:
                return features
        features = self.of(pictures)
        self._known = [*self._known[-1:], (pictures, features)]
        return features


class InceptionFeatures(RememberedFeatures):
    """The 2048 averages that InceptionV3 takes of its last convolutions, for each picture.

    The network and its ImageNet weights are those of ``tf.keras.applications``, which downloads
    them once. FID's original code has another InceptionV3: a graph of 2015, trained with 1008
    outputs, with other weights and inputs scaled by (value - 128) / 128. Here values are scaled to
    [-1, 1] as these weights expect it. Pictures are resized to 299 as there: bilinear, corners
    aligned in TensorFlow 1's way, no antialiasing. Values are therefore not comparable with those
    of papers, only with each other.

    Args:
      weights: ``imagenet``, the path of a weights file, or None for random ones (in tests).

    Raises:
      UserError: the weights are neither in Keras's cache nor to be downloaded.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = "imagenet") -> None:
        super().__init__()
        self._network = _network(os.fspath(weights) if weights is not None else None)

    def of(self, pictures: np.ndarray) -> np.ndarray:
        """float32 ``[B, 2048]``."""
        return np.asarray(self._network(resized(pictures) / 127.5 - 1.0, training=False))


class OfFeatures(OfSets):
    """Base of the distances between the features of generated and true pictures.

    Two rows of features, float32, are kept of an image: 16 KiB. The bootstrap takes 30 draws, since
    one costs seconds with thousands of images.

    Args:
      features: what to measure in; None for `InceptionFeatures`.

    Raises:
      UserError: no features are given, and InceptionV3's weights are not to be had.
    """

    needs = frozenset({"rgb"})
    additive = False
    bootstrap_draws = 30

    def __init__(self, features: Features | None = None) -> None:
        super().__init__()
        self.features = InceptionFeatures() if features is None else features

    def of_pictures(self, pictures: np.ndarray) -> Statistics:
        return {"": np.asarray(self.features(pictures), np.float32)}


def resized(pictures: np.ndarray) -> np.ndarray:
    """Pictures at 299x299 as FID's original code resizes them: float32 ``[B, 299, 299, C]``.

    Output pixel i is taken at i * size / 299, between its two neighbours, whether pictures grow or
    shrink.
    """
    import tensorflow as tf

    return tf.raw_ops.ResizeBilinear(
        images=tf.cast(pictures, tf.float32),
        size=[SIZE, SIZE],
        align_corners=False,
        half_pixel_centers=False,
    ).numpy()


def cache_folder() -> Path:
    """Where Keras keeps the weights of its applications."""
    import tensorflow as tf

    # Keras 2, the one without `ops`, looks at no variable.
    home = os.environ.get("KERAS_HOME") if hasattr(tf.keras, "ops") else None
    return (Path(home) if home else Path.home() / ".keras") / "models"


def _network(weights: str | None):
    import tensorflow as tf

    try:
        with _impatient():
            return tf.keras.applications.InceptionV3(
                include_top=False, pooling="avg", weights=weights, input_shape=(SIZE, SIZE, 3)
            )
    except Exception as error:  # Keras raises a bare Exception where a download fails
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason.rpartition(" -- ")[2]  # what stands before names the address
        raise UserError(
            "--metrics=fid,kid: InceptionV3's ImageNet weights are not to be had "
            f"({reason[:200]}); leave these metrics out, or put the file {WEIGHTS_FILE} of Keras's "
            f"applications into {cache_folder()}"
        ) from None


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Connections that are silent for `TIMEOUT` fail: Keras sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
