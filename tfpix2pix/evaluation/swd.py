"""SWD: do generated pictures have the same small patches as true ones, at several scales?"""

from __future__ import annotations

import functools

import numpy as np

from tfpix2pix.evaluation.base import Number, OfSets, Statistics

LEVELS = 3
"""Full size, half and quarter."""
PATCH = 7
STRIDES = (5, 3, 2)
"""Pixels from patch to patch, by level; odd at the finest one, so that no pattern of 2, 4 or 8
pixels is always seen in the same phase."""
DIRECTIONS = 24
SEED = 0
BINS = 64
"""Of a histogram; their width grows from 1.6 grey levels at 0."""
_CORE = 8.0  # grey levels around 0 in which bins are about equally wide
_LARGEST = 2048.0  # grey levels; what is beyond falls into the outermost bins


class SWD(OfSets):
    """Sliced Wasserstein distance (Karras et al. 2018, section 5): how far the patches of generated
    pictures are from those of true ones, whichever picture they are of. It needs no labels and no
    network, and counts texture, blur, patterns and colours alike; where things stand plays no part.

    Of each picture a Laplacian pyramid is made, and 7x7 patches are taken from its levels
    (``swd_full``: detail at full size, ``swd_half``: detail at half the size, ``swd_quarter``: what
    is left at a quarter). Patches are projected onto 24 random directions, the same ones always;
    for each the Wasserstein distance of the two distributions of values is taken, and their mean
    divided by the standard deviation of the truth's values. ``swd`` is the mean over levels. 0 is
    equal; 1: as far as the truth's patches are from their mean.

    Two things differ from the paper. It divides by the standard deviation of each set itself, which
    hides blur and lack of contrast. And values are counted in histograms of 64 bins instead of
    being kept, from all patches at fixed distances instead of 128 random ones, so that nothing is
    left to chance but the directions, and sums over images are enough. Bins are wider the further
    they are from 0, which costs about a hundredth of a value.

    Two halves of one data set differ by chance: by about 0.03 with 100 pictures each of 128 pixels.
    Levels below 7 pixels have no value and are left out of the mean. 18 KiB are kept of an image.
    """

    name = "swd"
    numbers_of = (
        Number("swd", "SWD, mean over scales", "lower"),
        Number("swd_full", "SWD, full size", "lower"),
        Number("swd_half", "SWD, half size", "lower"),
        Number("swd_quarter", "SWD, quarter size", "lower"),
    )

    def of_pictures(self, pictures: np.ndarray) -> Statistics:
        return {"": counts(pictures)}

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = [
                sums[whose] / sums[whose].sum(axis=-1, keepdims=True) for whose in ("fake", "truth")
            ]
            distances = wasserstein(*shares).mean(axis=-1)  # [..., levels]
            distances = distances / spread(shares[1])
        there = np.isfinite(distances)
        total = np.where(there, distances, 0.0).sum(axis=-1)
        many = there.sum(axis=-1)
        mean = np.where(many > 0, total / np.maximum(many, 1), np.nan)
        levels = (np.where(there, distances, np.nan)[..., level] for level in range(LEVELS))
        values = (mean, *levels)
        return {number.name: v for number, v in zip(cls.numbers_of, values, strict=True)}


def counts(pictures: np.ndarray) -> np.ndarray:
    """How many projected patches fall into each bin.

    Args:
      pictures: ``[B, H, W, C]``, values 0 to 255.

    Returns:
      uint16 ``[B, LEVELS, DIRECTIONS, BINS]``; 0 at levels that are too small for a patch.
    """
    found = np.zeros((len(pictures), LEVELS, DIRECTIONS, BINS), np.uint16)
    levels = pyramid(pictures.astype(np.float32) - 127.5)
    for index, (level, stride) in enumerate(zip(levels, STRIDES, strict=True)):
        if min(level.shape[1:3]) < PATCH:
            continue
        values = projections(level, stride)
        scale = BINS / 2 / np.arcsinh(_LARGEST / _CORE)
        places = np.floor(np.arcsinh(values / _CORE) * scale).astype(np.int64) + BINS // 2
        places = np.clip(places, 0, BINS - 1) + BINS * np.arange(DIRECTIONS)
        for image, row in enumerate(places):
            counted = np.bincount(row.ravel(), minlength=DIRECTIONS * BINS)
            found[image, index] = counted.reshape(DIRECTIONS, BINS)
    return found


def projections(level: np.ndarray, stride: int) -> np.ndarray:
    """The patches of a level of the pyramid ``[B, H, W, C]``, in each of the directions: float32
    ``[B, patches, DIRECTIONS]``."""
    views = np.lib.stride_tricks.sliding_window_view(level, (PATCH, PATCH), axis=(1, 2))
    views = views[:, ::stride, ::stride]  # [B, rows, columns, C, 7, 7]
    patches = views.reshape(len(level), -1, level.shape[-1] * PATCH**2)
    return patches @ directions(level.shape[-1]).T


@functools.cache
def directions(channels: int) -> np.ndarray:
    """Random unit vectors, float32 ``[DIRECTIONS, channels * 49]``."""
    vectors = np.random.default_rng(SEED).normal(size=(DIRECTIONS, channels * PATCH**2))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


@functools.cache
def edges() -> np.ndarray:
    """The edges of the bins, float64 ``[BINS + 1]``: equally far apart in the inverse hyperbolic
    sine of the value."""
    reach = np.arcsinh(_LARGEST / _CORE)
    return _CORE * np.sinh(np.linspace(-reach, reach, BINS + 1))


def wasserstein(fake: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The distance of two distributions on the line, the area between their cumulative functions,
    which are taken as straight within a bin.

    Args:
      fake, truth: shares of the bins, ``[..., BINS]``.

    Returns:
      Grey levels, ``[...]``.
    """
    gaps = np.cumsum(fake - truth, axis=-1)
    left = np.concatenate([np.zeros_like(gaps[..., :1]), gaps[..., :-1]], axis=-1)
    return (np.abs(left + gaps) / 2 @ np.diff(edges())).astype(np.float64)


def spread(shares: np.ndarray) -> np.ndarray:
    """The standard deviation of values by their histograms, the root of the mean variance over
    directions: ``[..., DIRECTIONS, BINS]`` to ``[...]``; NaN where it is 0."""
    middles = (edges()[1:] + edges()[:-1]) / 2
    means = shares @ middles
    variance = (shares @ np.square(middles) - np.square(means)).mean(axis=-1)
    return np.sqrt(np.where(variance > 0, variance, np.nan))


def pyramid(pictures: np.ndarray) -> list[np.ndarray]:
    """The Laplacian pyramid (Burt and Adelson 1983) of float32 ``[B, H, W, C]``: what each halving
    loses, and at the end what is left."""
    levels = []
    for _ in range(LEVELS - 1):
        smaller = halved(pictures)
        levels.append(pictures - doubled(smaller, pictures.shape[1:3]))
        pictures = smaller
    return [*levels, pictures]


def halved(pictures: np.ndarray) -> np.ndarray:
    """Smoothed by (1, 4, 6, 4, 1) / 16 along both axes, mirrored at the borders, and every second
    pixel of it."""
    for axis in (1, 2):
        values = np.moveaxis(pictures, axis, 0)
        padded = np.pad(values, ((2, 2), (0, 0), (0, 0), (0, 0)), "reflect")
        size = len(values)
        taken = [padded[start : start + size : 2] for start in range(5)]
        smooth = (taken[0] + taken[4]) / 16 + (taken[1] + taken[3]) / 4 + taken[2] * 0.375
        pictures = np.moveaxis(smooth, 0, axis)
    return pictures


def doubled(pictures: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """The reverse of `halved`: zeros between pixels, smoothed by twice its weights."""
    for axis, length in zip((1, 2), size, strict=True):
        values = np.moveaxis(pictures, axis, 0)
        padded = np.concatenate([values[1:2], values, values[-1:]])
        larger = np.empty((2 * len(values), *values.shape[1:]), values.dtype)
        larger[::2] = (padded[:-2] + padded[2:]) / 8 + values * 0.75
        larger[1::2] = (values + padded[2:]) / 2
        pictures = np.moveaxis(larger[:length], 0, axis)
    return pictures
