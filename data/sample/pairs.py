"""Label map and photo of a scene, and the random streams they are drawn from."""

from __future__ import annotations

import operator

import numpy as np

from tfpix2pix.data.sample.detailed import render_detailed
from tfpix2pix.data.sample.pictures import render_label, render_photo
from tfpix2pix.data.sample.scene import draw_scene

SPLITS = ("train", "val", "test")
LABELS = ("detailed", "cmp")
_MIN_SIZE = 16


def facade_pair(
    seed: int,
    size: int = 256,
    split: str = "train",
    index: int = 0,
    labels: str = "cmp",
) -> tuple[np.ndarray, np.ndarray]:
    """Draws one scene and returns its label map and its photo.

    The scene depends on (seed, split, index) alone; `size` is the resolution at
    which it is looked at. No two splits share a scene.

    Args:
      seed: non-negative integer, one per data set.
      size: height and width in pixels, at least 16.
      split: one of `SPLITS`.
      index: non-negative position in the split.
      labels: ``cmp``, which say what stands where, or ``detailed``, which also say what it looks
        like; the photo is the same.

    Returns:
      `(label, photo)`, both uint8 `[size, size, 3]`. Every label pixel is exactly
      a colour of `PALETTE`, or of `DETAILED`. The same arguments give the same bytes; from one
      version of numpy to another a rare pixel of a photo may differ by one level.

    Raises:
      ValueError: an argument is out of range.
    """
    seed, index = _natural("seed", seed), _natural("index", index)
    size = _natural("size", size, _MIN_SIZE)
    _check_split(split)
    geometry, style = (random_stream(seed, split, index, part) for part in (0, 1))
    if labels not in LABELS:
        raise ValueError(f"labels must be one of {', '.join(LABELS)}, got {labels!r}.")
    scene = draw_scene(geometry)
    photo, shown = render_photo(scene, style, size)
    if labels == "cmp":
        return render_label(scene, size), photo
    return render_detailed(scene, shown, size), photo


def facade_pairs(
    count: int, *, split: str, seed: int = 0, size: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the first `count` scenes of a split.

    Args:
      count: how many pairs, at least 0.
      split: one of `SPLITS`.
      seed: non-negative integer, one per data set.
      size: height and width in pixels, at least 16.

    Returns:
      `(labels, photos)`, both uint8 `[count, size, size, 3]`; item i is
      `facade_pair(seed, size, split, i)`.

    Raises:
      ValueError: an argument is out of range.
    """
    count, size = _natural("count", count), _natural("size", size, _MIN_SIZE)
    seed = _natural("seed", seed)
    _check_split(split)
    labels = np.empty((count, size, size, 3), np.uint8)
    photos = np.empty_like(labels)
    for i in range(count):
        labels[i], photos[i] = facade_pair(seed, size, split, i)
    return labels, photos


def _natural(name: str, value: int, least: int = 0) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer, got {value!r}.") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}.")
    return number


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}.")


def random_stream(seed: int, split: str, index: int, part: int) -> np.random.Generator:
    """A random stream of its own for each (seed, split, index, part)."""
    key = (SPLITS.index(split), index, part)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))
