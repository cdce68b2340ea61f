"""Halving and doubling of features through fixed blur filters (Zhang 2019, "Making Convolutional
Networks Shift-Invariant Again", arXiv 1904.11486), as CUT's networks have them.

A convolution of stride 2 looks at every second place, so its result changes with a shift by one
pixel. Here the convolution looks at all of them, and a low-pass filter goes before the halving.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.models.layers import BilinearDouble

RESAMPLINGS = ("conv", "blur")


def check_resampling(name: str) -> str:
    """The name, if it is one of `RESAMPLINGS`; raises ValueError."""
    if name not in RESAMPLINGS:
        raise ValueError(f"resampling must be 'conv' or 'blur', got {name!r}")
    return name


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class BlurDownsampling(tf.keras.layers.Layer):
    """Half the height and width: [1, 2, 1] / 4 along each axis around every second pixel, the first
    among them; beyond the border the reflected image.

    Shapes: ``[B, H, W, C]`` to ``[B, ceil(H / 2), ceil(W / 2), C]``, sides of 2 pixels at least.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        filters = np.repeat(_FILTER[:, :, None, None], inputs.shape[-1], axis=2)
        padded = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")
        filters = tf.constant(filters, inputs.dtype)
        return tf.nn.depthwise_conv2d(padded, filters, [1, 2, 2, 1], "VALID")

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        return (batch, *(side and -(-side // 2) for side in (height, width)), channels)


_FILTER = np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0]) / 16.0


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class BlurUpsampling(BilinearDouble):
    """Twice the height and width: zeros between the pixels, then [1, 3, 3, 1] / 4 along each axis,
    beyond the border its own value. That is bilinear interpolation.

    Shapes: ``[B, H, W, C]`` to ``[B, 2 H, 2 W, C]``. In training by TensorFlow's own operation,
    whose gradient takes a tenth of the time; else by what every format has an operator for.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training:
            return super().call(inputs)
        height, width = inputs.shape[1:3]
        size = tf.shape(inputs)[1:3] if None in (height, width) else (height, width)
        doubled = tf.image.resize(inputs, (2 * size[0], 2 * size[1]))
        return tf.cast(doubled, inputs.dtype)
