"""KID: kernel distance of the features of generated and true pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpix2pix.evaluation.base import Number, Statistics
from tfpix2pix.evaluation.inception import OfFeatures

SUBSETS = 100
SUBSET_SIZE = 1000
WHOLE = 2048


def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``(x . y / D + 1)^3`` for features ``[M, D]`` and ``[N, D]``: float64 ``[M, N]``."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    base = one @ other.T / one.shape[1] + 1.0
    return base * base * base


def mmd2(
    fake: np.ndarray, truth: np.ndarray, across: np.ndarray, i: np.ndarray, j: np.ndarray
) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy.

    The mean of the kernel over pairs of different images within each set, less twice its mean over
    pairs across; it may be negative.

    Args:
      fake, truth, across: `kernel` of the set of fakes with itself, ``[M, M]``, of the truth with
        itself, ``[N, N]``, and of fake with truth, ``[M, N]``.
      i, j: which image each row of fake, and of truth, shows. One image may stand for several rows
        (in a bootstrap sample); it makes no pair with itself.
    """
    within = 0.0
    for values, images in ((fake, i), (truth, j)):
        pairs = images[:, None] != images[None, :]
        if not pairs.any():
            return float("nan")
        within += values[pairs].mean()
    return float(within - 2 * across.mean())


def kernel_distances(
    fake: np.ndarray,
    truth: np.ndarray,
    samples: Sequence[tuple[np.ndarray, np.ndarray]],
    subsets: int = SUBSETS,
    size: int = SUBSET_SIZE,
    seed: int = 0,
) -> np.ndarray:
    """`mmd2` over random subsets: its mean and its standard deviation (divided by their number).

    Args:
      fake, truth: features ``[N, D]`` and ``[M, D]``.
      samples: for each answer, the fakes and the true images to draw from, each as often as it
        stands there.
      subsets: how many.
      size: of each, drawn without replacement, independently from fake and truth; at most half of
        the smaller set, since subsets that are nearly the whole set hardly differ.
      seed: of the subsets; the same one draws the same.

    Returns:
      float64 ``[len(samples), 2]``; NaN with fewer than 4 images.
    """
    # All pairs at once where that is affordable (100 MB), since subsets share most of them.
    whole = max(len(fake), len(truth)) <= WHOLE
    if whole:
        pairs = kernel(fake, fake), kernel(truth, truth), kernel(fake, truth)

    def value(i: np.ndarray, j: np.ndarray) -> float:
        if whole:
            blocks = pairs[0][np.ix_(i, i)], pairs[1][np.ix_(j, j)], pairs[2][np.ix_(i, j)]
        else:
            f, t = fake[i], truth[j]
            blocks = kernel(f, f), kernel(t, t), kernel(f, t)
        return mmd2(*blocks, i, j)

    rows: list[tuple[float, float]] = []
    for of_both in samples:
        taken = min(size, min(map(len, of_both)) // 2)
        if taken < 2:
            rows.append((np.nan, np.nan))
            continue
        random = np.random.default_rng(seed)
        values = [
            value(*(random.choice(images, taken, replace=False) for images in of_both))
            for _ in range(subsets)
        ]
        rows.append((float(np.mean(values)), float(np.std(values))))
    return np.array(rows, np.float64).reshape(-1, 2)


class KID(OfFeatures):
    """Kernel Inception distance (Binkowski et al. 2018): the unbiased squared maximum mean
    discrepancy with a cubic kernel, its mean over 100 subsets of 1000 images (of half of them,
    where there are fewer than 2000) and its standard deviation over these. In the features of
    `InceptionFeatures`, which says why values are not comparable with those of papers.

    0 is expected of a perfect generator, at any number of images. The standard deviation is that
    of one subset; the bootstrap's standard error is about the mean.
    """

    name = "kid"
    numbers_of = (
        Number("kid", "KID (Keras's InceptionV3)", "lower", 5),
        Number("kid_std", "KID, standard deviation over subsets", "", 5),
    )

    @classmethod
    def measure(
        cls, statistics: Statistics, weights: np.ndarray, of_truth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        fake, truth = statistics["fake"], statistics["truth"]
        drawn = [
            [np.repeat(np.arange(len(row)), row.astype(np.int64)) for row in rows]
            for rows in (weights, weights if of_truth is None else of_truth)
        ]
        means, deviations = kernel_distances(fake, truth, list(zip(*drawn, strict=True))).T
        return {"kid": means, "kid_std": deviations}
