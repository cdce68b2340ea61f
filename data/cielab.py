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
    # Sums of products, no matrix product: an accelerator might round that to fewer digits.
    luminance = _linear(rgb) * _XYZ_OF_RGB[1].astype(np.float32)
    return 116.0 * _bent(tf.reduce_sum(luminance, -1, keepdims=True)) - 16.0


def from_rgb(rgb: tf.Tensor) -> tf.Tensor:
    """Lab of sRGB: float32 ``[..., 3]`` in [0, 1] to float32 ``[..., 3]``; its gradient is finite
    everywhere."""
    to_xyz = tf.constant(_XYZ_OF_RGB / np.array(_WHITE)[:, None], tf.float32)
    xyz = tf.linalg.matmul(_linear(rgb), to_xyz, transpose_b=True)
    x, y, z = tf.unstack(_bent(xyz), axis=-1)
    return tf.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


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


# Where a power is not what is taken, its argument is one whose slope is finite.


def _linear(rgb: tf.Tensor) -> tf.Tensor:
    """Linear light of sRGB, both in [0, 1]."""
    bent = tf.pow((tf.maximum(rgb, 0.04045) + 0.055) / 1.055, 2.4)
    return tf.where(rgb > 0.04045, bent, rgb / 12.92)


def _bent(parts: tf.Tensor) -> tf.Tensor:
    """What CIELAB is made of: the cube root of shares of the white, a line near black."""
    root = tf.pow(tf.maximum(parts, 0.008856), 1 / 3)
    return tf.where(parts > 0.008856, root, 7.787 * parts + 16 / 116)
