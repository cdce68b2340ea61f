"""Errors of single pixels: L1, L2 and PSNR."""

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
        return batch.means(difference) / 127.5


class L2(MeanOverImages):
    """Mean squared difference on the scale of the networks' images, [-1, 1], without a root: 0 is
    equal, 4 is black against white."""

    name = "l2"
    numbers_of = (Number("l2", "L2 (mean squared)", "lower"),)

    def values(self, batch: Batch) -> np.ndarray:
        difference = (batch.y.astype(np.float64) - batch.fake.astype(np.float64)) / 127.5
        return batch.means(np.square(difference))


class PSNR(MeanOverImages):
    """``10 log10(255^2 / mean squared error)`` in dB, per image over all pixels and channels, then
    the mean over images. Equal images count as 100 dB instead of infinity."""

    name = "psnr"
    numbers_of = (Number("psnr", "PSNR (dB)", "higher", 2),)
    highest = 100.0

    def values(self, batch: Batch) -> np.ndarray:
        return self._of(batch.means(_squares(batch.y, batch.fake)))

    def per_pair(self, y: np.ndarray, fake: np.ndarray) -> np.ndarray:
        """dB ``[B]`` of targets and images ``[B, H, W, C]``, values 0 to 255."""
        return self._of(_squares(y, fake).mean(axis=(1, 2, 3)))

    def _of(self, error: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.minimum(10 * np.log10(255.0**2 / error), self.highest)


def _squares(y: np.ndarray, fake: np.ndarray) -> np.ndarray:
    return np.square(y.astype(np.float64) - fake.astype(np.float64))
