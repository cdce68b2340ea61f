"""SSIM: structural similarity."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import Batch, MeanOverImages, Number


class SSIM(MeanOverImages):
    """Structural similarity (Wang et al. 2004) by ``tf.image.ssim``: Gaussian window of 11 pixels,
    sigma 1.5, K1 0.01, K2 0.03, range 255, the mean over channels; 1 is equal."""

    name = "ssim"
    numbers_of = (Number("ssim", "SSIM", "higher"),)

    def values(self, batch: Batch) -> np.ndarray:
        import tensorflow as tf

        return tf.image.ssim(
            tf.cast(batch.y, tf.float32), tf.cast(batch.fake, tf.float32), max_val=255.0
        ).numpy()
