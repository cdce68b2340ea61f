"""L1: mean absolute error."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import MeanOverImages


class L1(MeanOverImages):
    """Mean absolute difference on the scale of the networks' images, [-1, 1]: 0 is equal, 2 is
    black against white; one 8-bit level is 1 / 127.5."""

    name = "l1"

    def per_image(self, y: np.ndarray, fake: np.ndarray) -> np.ndarray:
        difference = np.abs(y.astype(np.float64) - fake.astype(np.float64))
        return difference.mean(axis=(1, 2, 3)) / 127.5
