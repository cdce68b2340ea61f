"""L1: mean absolute error."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import Batch, MeanOverImages, Number


class L1(MeanOverImages):
    """Mean absolute difference on the scale of the networks' images, [-1, 1]: 0 is equal, 2 is
    black against white; one 8-bit level is 1 / 127.5."""

    name = "l1"
    numbers_of = (Number("l1", "L1", "lower"),)

    def values(self, batch: Batch) -> np.ndarray:
        difference = np.abs(batch.y.astype(np.float64) - batch.fake.astype(np.float64))
        return difference.mean(axis=(1, 2, 3)) / 127.5
