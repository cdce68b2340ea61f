"""L2: mean squared error."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import Batch, MeanOverImages, Number


class L2(MeanOverImages):
    """Mean squared difference on the scale of the networks' images, [-1, 1], without a root: 0 is
    equal, 4 is black against white."""

    name = "l2"
    numbers_of = (Number("l2", "L2 (mean squared)", "lower"),)

    def values(self, batch: Batch) -> np.ndarray:
        difference = (batch.y.astype(np.float64) - batch.fake.astype(np.float64)) / 127.5
        return np.square(difference).mean(axis=(1, 2, 3))
