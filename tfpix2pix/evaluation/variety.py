"""Variety: how much the pictures of different inputs differ, beside how much true ones do."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import Number, OfSets, Statistics

SIDE = 16  # places along each axis at which pictures are compared


class Variety(OfSets):
    """The mean L1 distance of two generated pictures of different inputs, of two true ones, and
    their ratio: near 0 all inputs come out alike (a generator that has collapsed), near 1 outputs
    are as different as true pictures are. On the scale [-1, 1].

    Pictures are compared at 16x16 places, each the mean of what is there, so that noise is no
    variety. 3 KiB are kept of an RGB image for each side. NaN with fewer than two pictures.
    """

    name = "variety"
    additive = False
    bootstrap_draws = 100
    numbers_of = (
        Number("variety", "variety: distance of two outputs (L1)", ""),
        Number("variety_truth", "variety, truth", ""),
        Number("variety_ratio", "variety / truth", ""),
    )

    def of_pictures(self, pictures: np.ndarray) -> Statistics:
        return {"": thumbnails(pictures).reshape(len(pictures), -1)}

    @classmethod
    def measure(
        cls, statistics: Statistics, weights: np.ndarray, of_truth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        fake = mean_distances(statistics["fake"], weights)
        truth = mean_distances(statistics["truth"], weights if of_truth is None else of_truth)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(truth > 0, fake / truth, np.nan)
        return {"variety": fake, "variety_truth": truth, "variety_ratio": ratio}


def thumbnails(pictures: np.ndarray) -> np.ndarray:
    """The mean of each place of pictures ``[B, H, W, C]``, values 0 to 255: float32
    ``[B, 16, 16, C]`` on [-1, 1]; of fewer pixels there are fewer places."""
    values = pictures.astype(np.float64) / 127.5 - 1.0
    for axis in (1, 2):
        length = values.shape[axis]
        starts = np.arange(min(SIDE, length)) * length // min(SIDE, length)
        sums = np.add.reduceat(values, starts, axis=axis)
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        values = sums / np.diff([*starts, length]).reshape(shape)
    return values.astype(np.float32)


def mean_distances(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean absolute difference of two different pictures, over their values.

    Args:
      values: ``[N, D]``.
      weights: how often each picture counts, ``[R, N]``; one that counts twice makes no pair with
        itself.

    Returns:
      float64 ``[R]``; NaN where fewer than two pictures count.
    """
    # In ascending order a value is the larger one of its pairs with all that come before it.
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values.astype(np.float64), order, axis=0)
    found = []
    for row in np.asarray(weights, np.float64):
        counted = row[order]
        before = np.cumsum(counted, axis=0) - counted
        after = row.sum() - before - counted
        total = (counted * ordered * (before - after)).sum(axis=0).mean()
        pairs = (np.square(row.sum()) - np.square(row).sum()) / 2
        found.append(max(total, 0.0) / pairs if pairs > 0 else np.nan)
    return np.array(found)
