"""Layers that Keras does not have: per-image normalisation, dropout with explicit noise, and
convolutions that train faster.

All use ``tf.*`` operations only, so that they are the same under Keras 2 and Keras 3 and leave
nothing hidden in an exported graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfpix2pix.models import kernels
from tfpix2pix.models.base import LatentSpec, latent_channels


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
        # One cast: of two, each would bring a gradient of half precision of its own.
        return tf.cast(self.normalized(features, mean, variance), inputs.dtype)

    def normalized(self, inputs: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        """`call` with given moments of each channel, ``[B, 1, 1, C]``: of an image of which the
        inputs are a part."""
        features = tf.cast(inputs, tf.float32)
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
class GroupNormalization(tf.keras.layers.Layer):
    """Normalises groups of channels of every image by their common mean and variance (Wu and He
    2018, arXiv 1803.08494).

    As `InstanceNormalization`, but with statistics over height, width and the channels of a group:
    a channel that hardly varies is not blown up to the variance of the others, as happens to a
    single one over a constant map. No statistic is of more than one image.

    Shapes: ``[B, H, W, C]`` to the same. ``gamma`` and ``beta`` are ``[C]``. Statistics are taken
    in float32.

    Args:
      groups: into which channels are divided, neighbours together; C must be a multiple.
      epsilon: added to the variance.

    Raises:
      ValueError: the channels do not divide into so many groups.
    """

    def __init__(self, groups: int, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups, self.epsilon = groups, epsilon

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(f"{channels} channels do not divide into {self.groups} groups")
        self.gamma = self.add_weight(name="gamma", shape=(channels,), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(channels,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        features = tf.cast(inputs, tf.float32)
        moments = tf.nn.moments(features, axes=[1, 2])
        return tf.cast(self.normalized(features, *moments), inputs.dtype)

    def normalized(self, inputs: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        """`call` with given moments of each channel, ``[B, C]`` or ``[B, 1, 1, C]``: of an image of
        which the inputs are a part."""
        features = tf.cast(inputs, tf.float32)
        # Of each channel first, then of a group's: the features themselves are not reshaped, so
        # nothing of their size is asked for, and every format has the operators.
        channels = inputs.shape[-1]
        grouped = [self.groups, channels // self.groups]
        mean, variance = (tf.reshape(moment, [-1, *grouped]) for moment in (mean, variance))
        common = tf.reduce_mean(mean, axis=2, keepdims=True)
        variance = tf.reduce_mean(
            variance + tf.math.squared_difference(mean, common), axis=2, keepdims=True
        )
        gamma = tf.reshape(tf.cast(self.gamma, tf.float32), grouped)
        beta = tf.reshape(tf.cast(self.beta, tf.float32), grouped)
        scale = tf.math.rsqrt(variance + self.epsilon) * gamma
        offset = beta - common * scale
        scale, offset = (tf.reshape(each, [-1, 1, 1, channels]) for each in (scale, offset))
        return tf.cast(features * scale + offset, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "epsilon": self.epsilon}


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class InputNoise(tf.keras.layers.Layer):
    """Channels of noise beside the input, from a part of ``z``.

    A number ``u`` of z in [0, 1) becomes ``2 u - 1``, and a negative one (no noise) 0.

    Args:
      channels: of noise.
      offset: first channel of ``z`` that belongs to this layer.
      block: input pixels per pixel of z, along each axis; the layer uses ``channels * block**2``
        channels of ``z``, laid out as ``tf.nn.depth_to_space`` expects.

    Inputs: ``[x [B, H, W, C], z [B, H / block, W / block, Z]]``; output
    ``[B, H, W, C + channels]``.
    """

    def __init__(self, channels: int, offset: int, block: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.channels, self.offset, self.block = channels, offset, block

    def call(self, inputs: Any) -> tf.Tensor:
        x, z = inputs
        noise = z[..., self.offset : self.offset + self.channels * self.block**2]
        if self.block > 1:
            noise = tf.nn.depth_to_space(noise, self.block)
        wanted = tf.cast(noise >= 0.0, tf.float32)
        return tf.concat([x, tf.cast((2.0 * noise - 1.0) * wanted, x.dtype)], axis=-1)

    def silent(self, x: tf.Tensor) -> tf.Tensor:
        """What a z of no noise gives, without z: channels of zeros beside the symbolic x."""
        return ZeroChannels(self.channels, name=self.name)(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        x = input_shape[0]
        return (*x[:-1], x[-1] + self.channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "offset": self.offset,
            "block": self.block,
        }


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class ZeroChannels(tf.keras.layers.Layer):
    """Channels of zeros behind those of an image, ``[B, H, W, C + channels]`` in all."""

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.pad(inputs, [[0, 0], [0, 0], [0, 0], [0, self.channels]])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], input_shape[-1] + self.channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels}


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class LatentChannels(tf.keras.layers.Layer):
    """The numbers of a latent as channels behind those of features, the same at every pixel.

    Inputs: ``[features [B, H, W, C], latent [B, n]]``; output ``[B, H, W, C + n]``.
    """

    def call(self, inputs: Any) -> tf.Tensor:
        features, latent = inputs
        # Added to zeros of that size, which every engine of an export knows and no tiling is.
        zeros = features[..., :1] * 0.0
        return tf.concat([features, zeros + tf.reshape(latent, [-1, 1, 1, latent.shape[-1]])], -1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        features, latent = input_shape
        return (*features[:-1], features[-1] + latent[-1])


def with_latent(
    features: tf.Tensor, code: tf.Tensor | None, latent: LatentSpec | None, level: int, name: str
) -> tf.Tensor:
    """What a convolution of the encoder reads: features, with the latent where it reads that.

    Args:
      features: symbolic, ``[B, H, W, C]``.
      code: the latent, symbolic, ``[B, n]``; None where there is none.
      latent: what it is.
      level: of the convolution; 1 is the first.
      name: of the convolution.
    """
    if not latent_channels(latent, level):
        return features
    return LatentChannels(name=f"{name}_latent")([features, code])


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class ReplicatePadding(tf.keras.layers.Layer):
    """A pixel more on every side, of the value of its neighbour: ``[B, H, W, C]`` to
    ``[B, H + 2, W + 2, C]``.

    Zeros tell a convolution where the border is; this does not: a constant map stays one.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return replicated(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        return (batch, *(side and side + 2 for side in (height, width)), channels)


def replicated(x: tf.Tensor) -> tf.Tensor:
    """See `ReplicatePadding`. Joined from slices, which every format has an operator for."""
    x = tf.concat([x[:, :1], x, x[:, -1:]], axis=1)
    return tf.concat([x[:, :, :1], x, x[:, :, -1:]], axis=2)


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class ReflectPadding(tf.keras.layers.Layer):
    """Pixels more on every side, those within mirrored at the border's own: ``[B, H, W, C]`` to
    ``[B, H + 2 pixels, W + 2 pixels, C]``.

    Args:
      pixels: how many; height and width must be larger.
    """

    def __init__(self, pixels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pixels = pixels

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        sides = inputs.shape[1:3]
        large = sides.is_fully_defined() and min(sides) >= 2 * self.pixels + 2
        if training and large and not kernels.accelerators():
            return kernels.mirrored(inputs, self.pixels)
        around = [self.pixels, self.pixels]
        return tf.pad(inputs, [[0, 0], around, around, [0, 0]], "REFLECT")

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        return (batch, *(side and side + 2 * self.pixels for side in (height, width)), channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pixels": self.pixels}


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class BilinearDouble(tf.keras.layers.Layer):
    """Twice the height and width by bilinear interpolation, as ``tf.image.resize`` does it:
    ``[B, H, W, C]`` to ``[B, 2 H, 2 W, C]``.

    Each pixel becomes two along an axis, three parts of itself and one of the neighbour on that
    side, the border's being itself. No size is asked for, and every format has the operators.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = replicated(inputs)
        rows = [0.25 * x[:, :-2] + 0.75 * x[:, 1:-1], 0.75 * x[:, 1:-1] + 0.25 * x[:, 2:]]
        phases = []
        for row in rows:
            phases.append(0.25 * row[:, :, :-2] + 0.75 * row[:, :, 1:-1])
            phases.append(0.75 * row[:, :, 1:-1] + 0.25 * row[:, :, 2:])
        return tf.nn.depth_to_space(tf.concat(phases, axis=-1), 2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        return (batch, *(side and 2 * side for side in (height, width)), channels)


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class DepthToSpace(tf.keras.layers.Layer):
    """``[B, H, W, block**2 C]`` to ``[B, block H, block W, C]``, see ``tf.nn.depth_to_space``."""

    def __init__(self, block: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(inputs, self.block)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        sides = (side and side * self.block for side in (height, width))
        return (batch, *sides, channels // self.block**2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block": self.block}


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


class _IdleBias:
    """A convolution that may have a bias and not add it, ``idle_bias=True``, for files that have
    one: the normalisation behind it takes away what it would add.

    Its gradient would be nothing but what rounding leaves of 0, of which Adam makes whole steps.
    """

    def __init__(self, *args: Any, idle_bias: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle_bias = idle_bias
        if idle_bias:
            self.use_bias = False

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)  # type: ignore[misc]
        if self.idle_bias:
            self.idle = self.add_weight(  # type: ignore[attr-defined]
                name="bias",
                shape=(self.filters,),  # type: ignore[attr-defined]
                initializer="zeros",
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "idle_bias": self.idle_bias}  # type: ignore[misc]


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class Convolution(_IdleBias, tf.keras.layers.Conv2D):
    """Keras's ``Conv2D``, with 4x4 weights computed in a faster way while training on a CPU.

    With ``training=True`` and a size that is known when the graph is made, the result comes from
    ``kernels.convolution`` and equals the plain layer's up to rounding (1e-5 of its largest value);
    otherwise, so also in an export, this is the plain layer. Weights are the plain layer's.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        faster = self._faster(inputs) if training else None
        if faster:
            return faster() + self.bias if self.use_bias else faster()
        return super().call(inputs)

    def _faster(self, inputs: tf.Tensor) -> Callable[[], tf.Tensor] | None:
        size = inputs.shape[1:3]
        same = self.padding == "same"
        # "same" is a pixel on every side where the stride is 2 and the size even.
        if same and not (self.strides == (2, 2) and _even(size)):
            return None
        weights = tf.convert_to_tensor(self.kernel)
        return kernels.convolution(inputs, weights, self.strides[0], int(same))


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class PaddedConvolution(Convolution):
    """Likewise with the 3x3 and 7x7 weights of a ResNet, see ``kernels.padded_convolution``.

    Its padding is a layer before it: of zeros, a pixel on every side, where the stride is 2. (A
    class of its own: the 3x3 layers of a U-Net give to the bit what they always gave.)
    """

    def _faster(self, inputs: tf.Tensor) -> Callable[[], tf.Tensor] | None:
        weights = tf.convert_to_tensor(self.kernel)
        return kernels.padded_convolution(inputs, weights, self.strides[0])


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class SpectralConvolution(Convolution):
    """A convolution whose weights are divided by their spectral norm (Miyato et al. 2018, arXiv
    1802.05957), the largest singular value of the ``[kh kw C_in, C_out]`` matrix.

    Found by `ITERATIONS` power iterations from a fixed vector, a function of the weights alone. The
    paper makes one a step from where the last step ended, which is state that would differ between
    the forward passes of a step and between replicas.
    """

    ITERATIONS: ClassVar[int] = 8

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        weights = tf.convert_to_tensor(self.kernel)
        normal = weights / tf.cast(spectral_norm(weights, self.ITERATIONS), weights.dtype)
        padding = self.padding.upper()
        result = None
        if training and self.padding == "valid":
            faster = kernels.convolution(inputs, normal, self.strides[0], 0)
            result = faster() if faster else None
        if result is None:
            result = tf.nn.conv2d(inputs, tf.cast(normal, inputs.dtype), self.strides, padding)
        return result + tf.cast(self.bias, result.dtype) if self.use_bias else result


def spectral_norm(weights: tf.Tensor, iterations: int) -> tf.Tensor:
    """The largest singular value of ``[..., O]`` as a matrix of O columns, from below; float32.

    Its gradient is that of ``u^T W v`` with constant u and v.
    """
    matrix = tf.cast(tf.reshape(weights, [-1, weights.shape[-1]]), tf.float32)
    fixed = tf.stop_gradient(matrix)
    v = tf.ones([matrix.shape[1], 1])
    for _ in range(iterations):
        u = tf.math.l2_normalize(tf.matmul(fixed, v))
        v = tf.math.l2_normalize(tf.matmul(fixed, u, transpose_a=True))
    return tf.reduce_sum(tf.matmul(matrix, v) * u) + 1e-12


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class TransposedConvolution(_IdleBias, tf.keras.layers.Conv2DTranspose):
    """Keras's ``Conv2DTranspose`` of stride 2 with "same" padding, likewise."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if training and self.padding == "same" and self.strides == (2, 2):
            faster = kernels.transposed_convolution(inputs, tf.convert_to_tensor(self.kernel))
            if faster:
                return faster() + self.bias if self.use_bias else faster()
        return super().call(inputs)


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class NearestConvolution(TransposedConvolution):
    """Nearest-neighbour up-sampling by 2 and a 3x3 convolution, as one transposed convolution.

    Each pixel of the 4x4 kernel is the sum of the 3x3 kernel's pixels that meet the same input
    pixel, so the result is that of the two operations up to rounding, at the price of the
    transposed convolution of stride 2. After training, so also in an export, as a plain one.

    Args:
      filters: C_out.
      replicate: pad with the border's own values, see `ReplicatePadding`, not with zeros.

    The weights are ``kernel [3, 3, C_out, C_in]``, mirrored against a convolution's as a transposed
    one has them, and ``bias``.
    """

    def __init__(self, filters: int, replicate: bool = False, **kwargs: Any) -> None:
        kwargs |= {"kernel_size": 3, "strides": 2, "padding": "same"}
        super().__init__(filters, **kwargs)
        self.replicate = replicate

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training:
            padded = replicated(inputs) if self.replicate else tf.pad(inputs, _ZEROS_AROUND)
            return by_phases(padded, self._weights(inputs.dtype), self.bias)
        result = self._transposed(inputs)
        return result + tf.cast(self.bias, result.dtype) if self.use_bias else result

    def _weights(self, dtype: tf.DType) -> tf.Tensor:
        """Of the transposed convolution, ``[4, 4, C_out, C_in]``."""
        small = tf.convert_to_tensor(self.kernel)
        both = [[0, 0], [0, 0]]
        rows = tf.pad(small, [[0, 1], [0, 0], *both]) + tf.pad(small, [[1, 0], [0, 0], *both])
        weights = tf.pad(rows, [[0, 0], [0, 1], *both]) + tf.pad(rows, [[0, 0], [1, 0], *both])
        return tf.cast(weights, dtype)

    def _transposed(self, inputs: tf.Tensor) -> tf.Tensor:
        weights = self._weights(inputs.dtype)
        if self.replicate:
            inputs = replicated(inputs)
        faster = kernels.transposed_convolution(inputs, weights)
        if faster:
            result = faster()
        else:
            size = tf.shape(inputs)
            shape = tf.stack([size[0], 2 * size[1], 2 * size[2], self.filters])
            result = tf.nn.conv2d_transpose(inputs, weights, shape, 2, "SAME")
        # Of the pixels added only the neighbours were wanted.
        return result[:, 2:-2, 2:-2] if self.replicate else result

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for fixed in ("kernel_size", "strides", "padding"):
            config.pop(fixed)
        return {**config, "replicate": self.replicate}


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class Smoothing(tf.keras.layers.Layer):
    """[1, 2, 1] / 4 along each axis, beyond the border its own value: ``[B, H, W, C]`` to the same.

    Doubling by nearest neighbours and then this filter is bilinear interpolation, and filters
    commute: after `NearestConvolution` it makes that the 3x3 convolution of features that were
    doubled bilinearly, but for the pixels at the border, at the price of the fewer channels.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = replicated(inputs)
        for _ in range(2):
            x = tf.nn.avg_pool2d(x, 2, 1, "VALID")
        return x


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class PhasedConvolution(TransposedConvolution):
    """The same, after training as `by_phases` computes it."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if training:
            return super().call(inputs, training)
        weights = tf.cast(tf.convert_to_tensor(self.kernel), inputs.dtype)
        return by_phases(tf.pad(inputs, _ZEROS_AROUND), weights, self.bias)


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class DoublingConvolution(_IdleBias, tf.keras.layers.Conv2DTranspose):
    """A 3x3 transposed convolution of stride 2 to twice the height and width, with the padding of
    PyTorch's ``ConvTranspose2d(..., 3, 2, padding=1, output_padding=1)``.

    Input pixel m is spread over 2 m - 1, 2 m and 2 m + 1. TensorFlow's "same" has it over 2 m to
    2 m + 2, a pixel off; "valid" has a row and a column before these, which are dropped. After
    training it is a plain convolution, see `doubled`.

    Args:
      filters: C_out.

    The weights are ``kernel [3, 3, C_out, C_in]`` and ``bias``.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        kwargs |= {"kernel_size": 3, "strides": 2, "padding": "same"}
        super().__init__(filters, **kwargs)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        weights = tf.cast(tf.convert_to_tensor(self.kernel), inputs.dtype)
        if not training:
            return doubled(inputs, weights, self.bias)
        faster = kernels.doubling_convolution(inputs, weights)
        if faster:
            result = faster()
        else:
            size = tf.shape(inputs)
            shape = tf.stack([size[0], 2 * size[1] + 1, 2 * size[2] + 1, self.filters])
            result = tf.nn.conv2d_transpose(inputs, weights, shape, 2, "VALID")[:, 1:, 1:]
        return result + tf.cast(self.bias, result.dtype) if self.use_bias else result

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for fixed in ("kernel_size", "strides", "padding"):
            config.pop(fixed)
        return config


def doubled(x: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """`DoublingConvolution` as a plain convolution with 2x2 weights for each of the four pixels
    that an input pixel becomes; as `by_phases`, it asks for no size.

    Args:
      x: ``[B, H, W, C_in]``.
      weights: ``[3, 3, C_out, C_in]``.
      bias: ``[C_out]`` or None.

    Returns:
      ``[B, 2 H, 2 W, C_out]``.
    """
    # Pixel 2 m is made of the input pixel m alone, pixel 2 m + 1 of m and m + 1.
    rows = tf.transpose(weights, [0, 1, 3, 2])
    phases = []
    for row in (tf.stack([rows[1], tf.zeros_like(rows[1])]), tf.stack([rows[2], rows[0]])):
        phases.append(tf.stack([row[:, 1], tf.zeros_like(row[:, 1])], axis=1))
        phases.append(tf.stack([row[:, 2], row[:, 0]], axis=1))
    padded = tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]])
    result = tf.nn.conv2d(padded, tf.concat(phases, axis=-1), 1, "VALID")
    if bias is not None:
        result = tf.nn.bias_add(result, tf.tile(tf.cast(bias, result.dtype), [4]))
    return tf.nn.depth_to_space(result, 2)


_ZEROS_AROUND = [[0, 0], [1, 1], [1, 1], [0, 0]]


def by_phases(padded: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """A 4x4 transposed convolution of stride 2 as a plain one, which asks for no size and which
    every engine has, also in 8 bits: 2x2 weights for each of the four pixels that an input pixel
    becomes.

    Args:
      padded: ``[B, H + 2, W + 2, C_in]``, the input with a pixel around it.
      weights: ``[4, 4, C_out, C_in]``.
      bias: ``[C_out]`` or None.

    Returns:
      ``[B, 2 H, 2 W, C_out]``.
    """
    # Pixel 2 m is made of the input pixels m - 1 and m, pixel 2 m + 1 of m and m + 1.
    rows = tf.transpose(weights, [0, 1, 3, 2])
    phases = []
    for row in (tf.stack([rows[3], rows[1]]), tf.stack([rows[2], rows[0]])):
        phases.append(tf.stack([row[:, 3], row[:, 1]], axis=1))
        phases.append(tf.stack([row[:, 2], row[:, 0]], axis=1))
    # A row and a column too many.
    result = tf.nn.conv2d(padded, tf.concat(phases, axis=-1), 1, "VALID")
    if bias is not None:
        result = tf.nn.bias_add(result, tf.tile(tf.cast(bias, result.dtype), [4]))
    n = weights.shape[2]
    pixels = [
        result[:, :-1, :-1, :n],
        result[:, :-1, 1:, n : 2 * n],
        result[:, 1:, :-1, 2 * n : 3 * n],
        result[:, 1:, 1:, 3 * n :],
    ]
    return tf.nn.depth_to_space(tf.concat(pixels, axis=-1), 2)


def _even(size: tf.TensorShape) -> bool:
    return size.is_fully_defined() and all(pixels % 2 == 0 for pixels in size)


GROUPS = 8  # of channels that `"group"` normalises together
NORMS = ("instance", "instance_plain", "group", "batch", "none")


def normalization(kind: str, name: str, *, groups: int = GROUPS) -> tf.keras.layers.Layer | None:
    """The normalisation layer of that kind, or None for ``"none"``.

    ``"instance_plain"`` is ``"instance"`` without scale and offset. ``"batch"`` is Keras's own
    layer with the constants of Torch: statistics of the batch where the model is called with
    ``training=True``, moving averages otherwise. ``groups`` is of ``"group"`` alone.
    """
    if kind in ("instance", "instance_plain"):
        return InstanceNormalization(affine=kind == "instance", name=name)
    if kind == "batch":
        return tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)
    if kind == "group":
        return GroupNormalization(groups, name=name)
    if kind == "none":
        return None
    raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {kind!r}")


def statistics_of(norm: str) -> str:
    """By what features are normalised after training, as `Generator.statistics` says it."""
    return norm if norm in ("batch", "none") else "instance"


BIASES: dict[str, dict[str, bool]] = {
    "none": {"use_bias": False},
    "idle": {"use_bias": True, "idle_bias": True},
    "added": {"use_bias": True},
}
"""What a convolution's bias is, as its arguments; see `with_biases`."""


def with_biases(norm: str, bias_layers: str) -> tuple[str, str]:
    """What two settings say together: the normalisation, and which of `BIASES` stands before it.

    Args:
      norm: one of `NORMS`.
      bias_layers: ``paper``: only ``instance_plain`` has biases before it; ``pytorch``: it is what
        ``instance`` means, as for PyTorch, and biases are trained, as there, by what rounding
        leaves of their gradients; ``all``: ``instance`` has them beside its scales and offsets.

    Raises:
      ValueError: another ``bias_layers``, or ``pytorch`` with another norm.
    """
    if bias_layers not in ("paper", "pytorch", "all"):
        raise ValueError(f"bias_layers must be 'paper', 'pytorch' or 'all', got {bias_layers!r}")
    if bias_layers == "pytorch":
        if norm not in ("instance", "instance_plain"):
            raise ValueError(f"bias_layers='pytorch' needs norm='instance', got {norm!r}")
        return "instance_plain", "added"
    idle = norm == "instance_plain" or (norm == "instance" and bias_layers == "all")
    return norm, "idle" if idle else "none"
