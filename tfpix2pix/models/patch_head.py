"""The network that compares patches of a picture with those of its input (Park et al. 2020, arXiv
2007.15651, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfpix2pix.models.precision import layers_compute_in


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class UnitLength(tf.keras.layers.Layer):
    """Vectors ``[..., C]`` divided by their length, to which 1e-7 is added; zeros stay zeros."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        square = tf.reduce_sum(tf.square(inputs), axis=-1, keepdims=True)
        # The root of 0 has no gradient.
        return inputs / (tf.sqrt(tf.maximum(square, 1e-30)) + 1e-7)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def build_patch_head(
    channels: Sequence[int], *, width: int = 256, name: str = "head"
) -> tf.keras.Model:
    """F: for the features of each layer an MLP of its own, to `width`, ReLU, `width`, unit length.

    Args:
      channels: of the features of each layer.
      width: of both layers of every MLP.

    Returns:
      A model of a list of features ``[B, n, C_i]``, n positions of each image, to a list of
      ``[B, n, width]``; all float32, whatever other networks compute in: the features are small at
      first, and half precision loses their squares. 560,384 parameters for the five layers of a
      ResNet generator of width 64 with RGB.
    """
    inputs = [
        tf.keras.Input((None, of), name=f"features{i}") for i, of in enumerate(channels, start=1)
    ]
    outputs = []
    with layers_compute_in("none"):
        for i, features in enumerate(inputs, start=1):
            features = tf.keras.layers.Dense(width, activation="relu", name=f"mlp{i}_1")(features)
            features = tf.keras.layers.Dense(width, name=f"mlp{i}_2")(features)
            outputs.append(UnitLength(name=f"unit{i}")(features))
        return tf.keras.Model(inputs, outputs, name=name)
