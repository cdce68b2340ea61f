"""CIELAB (D65, 2 degrees) from sRGB and back, in TensorFlow operations.

The formulas and constants of CIE 15 and IEC 61966-2-1 as scikit-image has them, with which
training data are converted (`tfpix2pix.data.spec`).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

# Linear sRGB to CIE XYZ, and the white of D65.
_XYZ_OF_RGB = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_RGB_OF_XYZ = np.linalg.inv(_XYZ_OF_RGB)
_WHITE = (0.95047, 1.0, 1.08883)


def lightness(rgb: tf.Tensor) -> tf.Tensor:
    """L of sRGB: float32 ``[..., 3]`` in [0, 1] to float32 ``[..., 1]``, 0 to 100."""
    linear = tf.where(rgb > 0.04045, tf.pow((rgb + 0.055) / 1.055, 2.4), rgb / 12.92)
    # Sums of products, no matrix product: an accelerator might round that to fewer digits.
    luminance = tf.reduce_sum(linear * _XYZ_OF_RGB[1].astype(np.float32), -1, keepdims=True)
    root = tf.pow(tf.maximum(luminance, 1e-9), 1 / 3)
    return 116.0 * tf.where(luminance > 0.008856, root, 7.787 * luminance + 16 / 116) - 16.0


def to_rgb(lab: tf.Tensor) -> tf.Tensor:
    """sRGB of Lab: float32 ``[..., 3]`` to float32 ``[..., 3]``, clipped to [0, 1]."""
    lightness, a, b = tf.unstack(lab, axis=-1)
    y = (lightness + 16.0) / 116.0
    parts = tf.stack([a / 500.0 + y, y, tf.maximum(y - b / 200.0, 0.0)], axis=-1)
    low = (parts - 16 / 116) / 7.787
    xyz = tf.where(parts > 0.2068966, parts * parts * parts, low) * tf.constant(_WHITE)
    rows = _RGB_OF_XYZ.astype(np.float32)
    linear = tf.stack([tf.reduce_sum(xyz * row, axis=-1) for row in rows], axis=-1)
    bright = 1.055 * tf.pow(tf.maximum(linear, 1e-9), 1 / 2.4) - 0.055
    return tf.clip_by_value(tf.where(linear > 0.0031308, bright, linear * 12.92), 0.0, 1.0)
