"""Layers that Keras does not have: per-image normalisation, dropout with explicit noise, and
convolutions that train faster.

All use ``tf.*`` operations only, so that they are the same under Keras 2 and Keras 3 and leave
nothing hidden in an exported graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.models import kernels


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class InstanceNormalization(tf.keras.layers.Layer):
    """Normalises every channel of every image by its own mean and variance.

    ``out = gamma * (in - mean) / sqrt(variance + epsilon) + beta`` with mean and (biased) variance
    over height and width. At batch size 1 this is what the paper calls batch normalisation
    (section 3.2 and appendix 6.1); here it is so at every batch size, in training and after it.

    Shapes: ``[B, H, W, C]`` to the same. ``gamma`` and ``beta`` are ``[C]``. Statistics are taken
    in float32 whatever the layer computes in. At 1 x 1 pixel the result is ``beta`` whatever came
    in, which is why the bottleneck has no normalisation (the paper's erratum).

    Args:
      epsilon: added to the variance; 1e-5 as in Torch.
      affine: False for no weights: ``gamma`` is 1 and ``beta`` 0, as PyTorch's
        ``InstanceNorm2d`` has it.
    """

    def __init__(self, epsilon: float = 1e-5, affine: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon, self.affine = epsilon, affine

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1]
        if self.affine:
            self.gamma = self.add_weight(name="gamma", shape=(channels,), initializer="ones")
            self.beta = self.add_weight(name="beta", shape=(channels,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        features = tf.cast(inputs, tf.float32)
        mean, variance = tf.nn.moments(features, axes=[1, 2], keepdims=True)
        scale = tf.math.rsqrt(variance + self.epsilon)
        if not self.affine:
            return tf.cast((features - mean) * scale, inputs.dtype)
        scale *= tf.cast(self.gamma, tf.float32)
        offset = tf.cast(self.beta, tf.float32) - mean * scale
        return tf.cast(features * scale + offset, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon, "affine": self.affine}


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class NoiseDropout(tf.keras.layers.Layer):
    """Dropout whose mask is computed from a part of the noise ``z``, an ordinary input.

    For each feature with noise value ``u`` the multiplier is

    * ``0`` where ``0 <= u < rate`` (dropped),
    * ``1 / (1 - rate)`` where ``u >= rate`` (kept, scaled up),
    * ``1`` where ``u < 0`` (no dropout at all).

    With ``u`` uniform in [0, 1) this is the dropout of the paper (rate 0.5, section 3.2.1).

    Args:
      rate: share of the features that a uniform ``z`` drops, in [0, 1).
      offset: first channel of ``z`` that belongs to this layer.
      block: how many times finer than ``z`` the features are, per axis; the layer uses
        ``C * block**2`` channels of ``z``, laid out as ``tf.nn.depth_to_space`` expects.

    Inputs: ``[features [B, H, W, C], z [B, H / block, W / block, Z]]``; output like ``features``.
    z stays float32 where the features are of half precision: rounded, a ``u`` just below the rate
    would become the rate.
    """

    def __init__(self, rate: float, offset: int, block: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be in [0, 1), got {rate}")
        self.rate, self.offset, self.block = rate, offset, block

    def call(self, inputs: Any) -> tf.Tensor:
        features, z = inputs
        channels = features.shape[-1]
        noise = z[..., self.offset : self.offset + channels * self.block**2]
        if self.block > 1:
            noise = tf.nn.depth_to_space(noise, self.block)
        # Sums of products, no tf.where: of two numbers, Core ML's converter makes a number of it,
        # and it knows no operator for tensors of ones.
        kept = tf.cast(noise >= self.rate, tf.float32)
        off = tf.cast(noise < 0.0, tf.float32)
        multiplier = kept * (np.float32(1.0) / np.float32(1.0 - self.rate)) + off
        return features * tf.cast(multiplier, features.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "offset": self.offset,
            "block": self.block,
        }


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class Convolution(tf.keras.layers.Conv2D):
    """Keras's ``Conv2D``, with 4x4 weights computed in a faster way while training on a CPU.

    With ``training=True`` and a size that is known when the graph is made, the result comes from
    ``kernels.convolution`` and equals the plain layer's up to rounding (1e-5 of its largest value);
    otherwise, so also in an export, this is the plain layer. Weights are the plain layer's.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        size = inputs.shape[1:3]
        same = self.padding == "same"
        # "same" is a pixel on every side where the stride is 2 and the size even.
        if training and (not same or (self.strides == (2, 2) and _even(size))):
            weights = tf.convert_to_tensor(self.kernel)
            faster = kernels.convolution(inputs, weights, self.strides[0], int(same))
            if faster:
                return faster() + self.bias if self.use_bias else faster()
        return super().call(inputs)


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class TransposedConvolution(tf.keras.layers.Conv2DTranspose):
    """Keras's ``Conv2DTranspose`` of stride 2 with "same" padding, likewise."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if training and self.padding == "same" and self.strides == (2, 2):
            faster = kernels.transposed_convolution(inputs, tf.convert_to_tensor(self.kernel))
            if faster:
                return faster() + self.bias if self.use_bias else faster()
        return super().call(inputs)


def _even(size: tf.TensorShape) -> bool:
    return size.is_fully_defined() and all(pixels % 2 == 0 for pixels in size)


def normalization(kind: str, name: str, affine: bool = True) -> tf.keras.layers.Layer | None:
    """The normalisation layer of that kind, or None for ``"none"``.

    ``"batch"`` is Keras's own layer with the constants of Torch: statistics of the batch where
    the model is called with ``training=True``, moving averages otherwise. ``affine`` is of
    ``"instance"`` alone, see `InstanceNormalization`.
    """
    if kind == "instance":
        return InstanceNormalization(affine=affine, name=name)
    if kind == "batch":
        return tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)
    if kind == "none":
        return None
    raise ValueError(f"norm must be 'instance', 'batch' or 'none', got {kind!r}")


def all_biased(bias_layers: str, norm: str) -> bool:
    """Whether every convolution has a bias, and no normalisation a scale and an offset.

    Args:
      bias_layers: ``paper`` or ``pytorch``, see ``build_generator``.
      norm: that the network has; ``pytorch`` goes with ``instance`` alone.

    Raises:
      ValueError: another value, or another norm.
    """
    if bias_layers not in ("paper", "pytorch"):
        raise ValueError(f"bias_layers must be 'paper' or 'pytorch', got {bias_layers!r}")
    if bias_layers == "pytorch" and norm != "instance":
        raise ValueError(f"bias_layers='pytorch' needs norm='instance', got {norm!r}")
    return bias_layers == "pytorch"
