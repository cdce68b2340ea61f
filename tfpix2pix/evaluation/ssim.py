"""SSIM: structural similarity."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfpix2pix.evaluation.base import MeanOverImages


class SSIM(MeanOverImages):
    """Structural similarity (Wang et al. 2004) by ``tf.image.ssim``: Gaussian window of 11 pixels,
    sigma 1.5, K1 0.01, K2 0.03, range 255, the mean over channels; 1 is equal."""

    name = "ssim"

    def per_image(self, y: np.ndarray, fake: np.ndarray) -> np.ndarray:
        return tf.image.ssim(
            tf.cast(y, tf.float32), tf.cast(fake, tf.float32), max_val=255.0
        ).numpy()
