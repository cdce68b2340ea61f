"""Structural similarity, at one scale (SSIM) and at several (MS-SSIM)."""

from __future__ import annotations

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation.base import Batch, MeanOverImages, Number


class SSIM(MeanOverImages):
    """Structural similarity (Wang et al. 2004) by ``tf.image.ssim``: Gaussian window of 11 pixels,
    sigma 1.5, K1 0.01, K2 0.03, range 255, the mean over channels; 1 is equal. Of pictures that are
    not measured everywhere the windows around pixels that are."""

    name = "ssim"
    numbers_of = (Number("ssim", "SSIM", "higher"),)

    def values(self, batch: Batch) -> np.ndarray:
        import tensorflow as tf

        y, fake = tf.cast(batch.y, tf.float32), tf.cast(batch.fake, tf.float32)
        if batch.measured is None:
            return tf.image.ssim(y, fake, max_val=255.0).numpy()
        places = tf.image.ssim(y, fake, max_val=255.0, return_index_map=True).numpy()
        edge = WINDOW // 2
        counted = batch.measured[:, edge:-edge, edge:-edge]
        # Where nothing but the border is measured, all of the picture counts.
        counted = counted | ~counted.any(axis=(1, 2), keepdims=True)
        return places.mean(axis=(1, 2), where=counted)


POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The exponents of Wang et al. 2003, finest scale first."""
WINDOW = 11


def scales(height: int, width: int) -> int:
    """How many scales an image carries: at most 5, each half as large as the one before (rounded
    up), the 11-pixel window within the smallest; 0 below 11 pixels.

    256 and 176 pixels carry 5, 128 carry 4, 64 carry 3, 32 carry 2, 16 carry 1.
    """
    count, side = 0, min(height, width)
    while count < len(POWERS) and side >= WINDOW:
        count, side = count + 1, (side + 1) // 2
    return count


def power_factors(count: int) -> tuple[float, ...]:
    """The exponents of the `count` finest scales: all five as published (their sum is 1.0001),
    fewer divided by their sum, so that they sum to 1."""
    if count == len(POWERS):
        return POWERS
    total = sum(POWERS[:count])
    return tuple(power / total for power in POWERS[:count])


class MSSSIM(MeanOverImages):
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003) by
    ``tf.image.ssim_multiscale``: the constants of SSIM, the mean over channels; 1 is equal.

    Five scales need 176 pixels (161 with the rounding). Smaller pictures have as many scales as fit
    (`scales`), with the exponents of those divided by their sum: such values compare with each
    other, not with those of five scales. Structure that is negatively correlated over a whole
    scale counts as 0, and so does then the picture.
    """

    name = "ms_ssim"
    numbers_of = (Number("ms_ssim", "MS-SSIM", "higher"),)

    def values(self, batch: Batch) -> np.ndarray:
        import tensorflow as tf

        height, width = batch.y.shape[1:3]
        count = scales(height, width)
        if not count:
            raise UserError(
                f"--metrics=ms_ssim: its window has {WINDOW} pixels, and these pictures have "
                f"{width}x{height}; leave the metric out"
            )
        return tf.image.ssim_multiscale(
            tf.cast(batch.y, tf.float32),
            tf.cast(batch.fake, tf.float32),
            max_val=255.0,
            power_factors=power_factors(count),
            filter_size=WINDOW,
        ).numpy()
