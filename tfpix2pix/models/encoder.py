"""The encoder of BicycleGAN (Zhu et al. 2017, arXiv 1711.11586, section 4): which code an image
stands for."""

from __future__ import annotations

import functools
import math

import tensorflow as tf

from tfpix2pix.models.base import Encoder, Kernel
from tfpix2pix.models.layers import (
    BIASES,
    GROUPS,
    PaddedConvolution,
    normalization,
    with_biases,
)
from tfpix2pix.models.precision import layers_compute_in

WIDEST = 4  # channels never exceed 4 * nef
LEFT = 8  # pixels along an axis that are left of an image of the crop size, as in the authors' code


def halvings(crop_size: int) -> int:
    """How often the encoder halves an image: 5 times for 256 pixels, 4 for 128, so that 8 are left.

    Args:
      crop_size: power of two from 32 on.
    """
    if crop_size < 2 * LEFT or crop_size & (crop_size - 1):
        raise ValueError(f"crop_size must be a power of two from {2 * LEFT} on, got {crop_size}")
    return int(math.log2(crop_size // LEFT))


def encoder(
    *,
    crop_size: int,
    channels: int,
    latent: int,
    nef: int,
    norm: str = "instance_plain",
    bias_layers: str = "all",
    name: str = "encoder",
) -> Encoder:
    """The ResNet encoder as an `Encoder`; arguments as `build_encoder`."""
    build = functools.partial(
        build_encoder,
        crop_size=crop_size,
        channels=channels,
        latent=latent,
        nef=nef,
        norm=norm,
        bias_layers=bias_layers,
    )
    kernels = _kernels(halvings(crop_size), channels, latent, nef)
    return Encoder(2 ** halvings(crop_size), channels, latent, build, name, kernels)


def _wide(block: int, nef: int) -> int:
    """Channels of what a block gives; block 0 is the first convolution."""
    return nef * min(block + 1, WIDEST)


def _kernels(depth: int, channels: int, latent: int, nef: int) -> dict[str, Kernel]:
    """``[k, k, C_in, C_out]``, of the dense layers ``[C_in, C_out]``."""
    kernels = {"first": Kernel((4, 4, channels, nef), ((channels, 1), (nef, 2)))}
    for number in range(1, depth):
        block, one, other = f"block{number}", _wide(number - 1, nef), _wide(number, nef)
        fine, coarse = 2**number, 2 ** (number + 1)
        kernels[f"{block}_shortcut"] = Kernel((1, 1, one, other), ((one, coarse), (other, coarse)))
        kernels[f"{block}a"] = Kernel((3, 3, one, one), ((one, fine), (one, fine)))
        kernels[f"{block}b"] = Kernel((3, 3, one, other), ((one, fine), (other, fine)))
    for part in ("mean", "log_variance"):
        kernels[part] = Kernel((_wide(depth - 1, nef), latent), ())
    return kernels


def build_encoder(
    *,
    crop_size: int = 256,
    channels: int = 3,
    latent: int = 8,
    nef: int = 64,
    norm: str = "instance_plain",
    bias_layers: str = "all",
    precision: str = "none",
    name: str = "encoder",
) -> tf.keras.Model:
    """E(y): a ResNet that gives the normal distribution of an image's code, as a functional model.

    ``first``: a 4x4 convolution of stride 2 to ``nef`` channels. Blocks ``block1 .. blockN``, each
    of which halves: normalisation, LeakyReLU 0.2, a 3x3 convolution ``a`` that keeps the channels,
    normalisation, LeakyReLU 0.2, a 3x3 convolution ``b`` to the block's channels, means of 2x2
    pixels; to which is added ``shortcut``, a 1x1 convolution of the means of what came in. They
    have 2, 3, 4, 4, ... times ``nef`` channels. LeakyReLU 0.2, the mean over all pixels, and a
    dense layer each for ``mean`` and ``log_variance``, in float32.

    The mean over all pixels is what the authors' pooling of 8x8 is at their sizes; other sizes have
    a code as well.

    Args:
      crop_size: power of two from 32 on; decides the number of blocks, see `halvings`.
      channels: of y.
      latent: numbers of the code.
      nef: channels of the first layer.
      norm, bias_layers: as of ``build_resnet``; the defaults are the authors' code's.
      precision: what the layers compute in, see ``layers_compute_in``.

    Returns:
      A model of y, float32 ``[B, H, W, channels]`` in [-1, 1], to ``[mean, log_variance]``, float32
      ``[B, latent]`` each. 2,590,032 parameters at the defaults, 1,344,080 for 128 pixels.

    Raises:
      ValueError: a size, norm, place of biases or precision out of range.
    """
    norm, bias = with_biases(norm, bias_layers)
    y = tf.keras.Input((None, None, channels), name="y")

    def convolved(
        features: tf.Tensor, name: str, channels: int, size: int, stride: int = 1, bias: str = bias
    ) -> tf.Tensor:
        if size > 1:
            features = tf.keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(features)
        layer = PaddedConvolution(
            channels, size, strides=stride, padding="valid", name=name, **BIASES[bias]
        )
        return layer(features)

    def activated(features: tf.Tensor, name: str) -> tf.Tensor:
        groups = math.gcd(GROUPS, features.shape[-1])
        layer = normalization(norm, f"{name}_norm", groups=groups)
        features = features if layer is None else layer(features)
        return tf.keras.layers.LeakyReLU(0.2, name=f"{name}_relu")(features)

    def pooled(features: tf.Tensor, name: str) -> tf.Tensor:
        return tf.keras.layers.AveragePooling2D(2, name=f"{name}_pool")(features)

    with layers_compute_in(precision):
        features = convolved(y, "first", nef, 4, stride=2, bias="added")
        for number in range(1, halvings(crop_size)):
            block, wide = f"block{number}", _wide(number, nef)
            shortcut = pooled(features, f"{block}_shortcut")
            shortcut = convolved(shortcut, f"{block}_shortcut", wide, 1, bias="added")
            inner = activated(features, f"{block}_in")
            inner = activated(convolved(inner, f"{block}a", features.shape[-1], 3), f"{block}a")
            inner = pooled(convolved(inner, f"{block}b", wide, 3, bias="added"), f"{block}b")
            features = tf.keras.layers.Add(name=f"{block}_sum")([inner, shortcut])
        features = tf.keras.layers.LeakyReLU(0.2, name="last_relu")(features)
    with layers_compute_in("none"):
        features = tf.keras.layers.GlobalAveragePooling2D(name="all_pixels")(features)
        outputs = [
            tf.keras.layers.Dense(latent, name=part)(features) for part in ("mean", "log_variance")
        ]
        return tf.keras.Model(y, outputs, name=name)
