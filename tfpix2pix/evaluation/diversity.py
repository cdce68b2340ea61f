"""Diversity: how much the noise z changes the picture."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import Batch, MeanOverImages, Number


class Diversity(MeanOverImages):
    """The mean L1 distance of two generated pictures of one input, over all pairs of its samples,
    on the scale [-1, 1]: 0 where z changes nothing. The paper finds "minor stochasticity"
    (section 3.1). It says nothing about whether the samples are good: noise is diverse."""

    name = "diversity"
    of_pairs = False
    needs = frozenset({"samples"})
    numbers_of = (Number("diversity", "diversity over z (L1)"),)

    def values(self, batch: Batch) -> np.ndarray:
        assert batch.samples is not None, "update refuses such a batch"
        return mean_pairwise_l1(batch.samples)


def mean_pairwise_l1(samples: np.ndarray) -> np.ndarray:
    """Mean absolute difference of two of n samples ``[n, B, H, W, C]`` (0 to 255) on [-1, 1].

    Returns:
      float64 ``[B]``, the mean over the n (n - 1) / 2 pairs.
    """
    count = len(samples)
    # In sorted order the i-th of n values is the larger one in i pairs and the smaller one in
    # n - 1 - i, so that one pass serves all pairs.
    ordered = np.sort(samples, axis=0)
    sums = sum(
        (2 * i - count + 1) * ordered[i].astype(np.float64).mean(axis=(1, 2, 3))
        for i in range(count)
    )
    # Equal samples leave a sum of rounding errors, which may be negative.
    return np.maximum(sums, 0.0) / (count * (count - 1) / 2) / 127.5
