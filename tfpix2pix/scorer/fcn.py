"""FCN-8s: the network that reads the classes of a photo, pixel by pixel.

Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015:
the trunk of VGG-16, its fully connected layers as convolutions, class scores at strides 32, 16 and
8 that are fused by addition, and upsampling that starts as bilinear interpolation.

Two things differ from the paper. Convolutions are padded by zeros ("same"), where the paper pads
the image by 100 pixels and crops the result. And where the trunk does not start from ImageNet's
weights every convolution is followed by batch normalisation (VGG-16-BN), without which 16 layers
hardly learn from a few hundred images. It normalises by moving averages after training, so that
an image's classes never depend on other images.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfpix2pix.models.layers import NoiseDropout
from tfpix2pix.models.weights import named_weights

STRIDE = 32
"""Height and width of an image are multiples of this."""

BLOCKS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))
"""VGG-16: of each block the channels, in widths, and the number of 3 x 3 convolutions."""

FULL_WIDTH = 64
FC = 64  # channels of fc6 and fc7, in widths: 4096 at the full width
DROPOUT = 0.5
EPSILON = 1e-5  # of batch normalisation

# What VGG-16 was trained with: BGR, 0 to 255, less these means.
_VGG_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class FCN8s:
    """The network in its two forms, which share every weight.

    Attributes:
      model: photos, float32 ``[B, H, W, 3]`` in [-1, 1], to class scores ``[B, H, W, K]``.
      trained: ``[photos, z]`` to the same with dropout, whose masks are made of the noise z,
        uniform in [0, 1), ``[B, H / 32, W / 32, z_channels]``.
      z_channels: channels of z.
    """

    model: tf.keras.Model
    trained: tf.keras.Model
    z_channels: int


def fcn8s(classes: int, width: int = FULL_WIDTH, vgg: bool = False) -> FCN8s:
    """Builds FCN-8s for images of any size that is a multiple of 32.

    Args:
      classes: K, without void.
      width: channels of the first block; 64 is VGG-16, everything else scales with it.
      vgg: plain VGG-16 that expects what ImageNet's weights expect, without batch normalisation.
    """
    layers = tf.keras.layers
    image = tf.keras.Input((None, None, 3), name="photo")
    z = tf.keras.Input((None, None, 2 * FC * width), name="z")

    def convolve(x: tf.Tensor, name: str, channels: int, size: int) -> tf.Tensor:
        x = layers.Conv2D(channels, size, padding="same", use_bias=vgg, name=name)(x)
        if not vgg:
            x = layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    def score(x: tf.Tensor, name: str) -> tf.Tensor:
        return layers.Conv2D(classes, 1, name=name)(x)

    x = VGGInput(name="vgg_input")(image) if vgg else image
    pools = []
    for block, (channels, convolutions) in enumerate(BLOCKS, 1):
        for number in range(1, convolutions + 1):
            x = convolve(x, f"block{block}_conv{number}", channels * width, 3)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
        pools.append(x)

    conv6 = layers.Conv2D(FC * width, 7, padding="same", use_bias=vgg, name="fc6")
    conv7 = layers.Conv2D(FC * width, 1, use_bias=vgg, name="fc7")
    norm6, norm7 = (
        None if vgg else layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, name=f"{name}_bn")
        for name in ("fc6", "fc7")
    )
    drop6 = NoiseDropout(DROPOUT, 0, 1, name="fc6_dropout")
    drop7 = NoiseDropout(DROPOUT, FC * width, 1, name="fc7_dropout")
    relu = layers.ReLU(name="fc_relu")
    score_fc7 = layers.Conv2D(classes, 1, name="score_fc7")
    score_pool4, score_pool3 = score(pools[3], "score_pool4"), score(pools[2], "score_pool3")
    up_fc7 = upsampling(classes, 2, "up_fc7")
    up_pool4 = upsampling(classes, 2, "up_pool4")
    up_pool3 = upsampling(classes, 8, "up_pool3", trainable=False)
    add_pool4, add_pool3 = layers.Add(name="fuse_pool4"), layers.Add(name="fuse_pool3")

    def head(noise: tf.Tensor | None) -> tf.Tensor:
        x = pools[4]
        for conv, norm, drop in ((conv6, norm6, drop6), (conv7, norm7, drop7)):
            x = conv(x)
            x = relu(norm(x) if norm else x)
            x = drop([x, noise]) if noise is not None else x
        fused = add_pool4([up_fc7(score_fc7(x)), score_pool4])
        fused = add_pool3([up_pool4(fused), score_pool3])
        return up_pool3(fused)

    return FCN8s(
        tf.keras.Model(image, head(None), name="fcn8s"),
        tf.keras.Model([image, z], head(z), name="fcn8s_trained"),
        2 * FC * width,
    )


def last_activations(network: tf.keras.Model) -> list[tf.Tensor]:
    """The outputs of the last ReLU of each of the blocks 2 to 5, before pooling."""
    names = [
        f"block{block}_conv{convolutions}_relu"
        for block, (_, convolutions) in enumerate(BLOCKS, 1)
        if block > 1
    ]
    return [network.get_layer(name).output for name in names]


def looking(weights: Mapping[str, np.ndarray], vgg: bool) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """What computes `last_activations` of a trained network, for gradients to go through.

    Nothing is left to train: each normalisation, whose statistics are fixed, is a part of the
    convolution before it.

    Args:
      weights: of the network, by name, as `named_weights` has them.
      vgg: as of `fcn8s`.

    Returns:
      RGB images, float32 ``[B, H, W, 3]`` in [-1, 1], to float32 ``[B, H / 2, W / 2, 2 * width]``
      to ``[B, H / 16, W / 16, 8 * width]``.

    Raises:
      KeyError: a weight is missing.
    """
    blocks = [
        [_convolution(weights, f"block{block}_conv{n}", vgg) for n in range(1, convolutions + 1)]
        for block, (_, convolutions) in enumerate(BLOCKS, 1)
    ]
    enter = VGGInput() if vgg else tf.identity

    def look(images: tf.Tensor) -> list[tf.Tensor]:
        x, found = enter(images), []
        for number, block in enumerate(blocks):
            if number:
                x = tf.nn.max_pool2d(x, 2, 2, "SAME")
            for kernel, bias in block:
                x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
            found.append(x)
        return found[1:]

    return look


def _convolution(
    weights: Mapping[str, np.ndarray], name: str, vgg: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Kernel and bias of a convolution and the normalisation behind it, if there is one."""
    kernel = weights[f"{name}/kernel"]
    if vgg:
        return tf.constant(kernel), tf.constant(weights[f"{name}/bias"])
    gamma, beta, mean, variance = (
        weights[f"{name}_bn/{of}"] for of in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    return tf.constant(kernel * scale, tf.float32), tf.constant(beta - mean * scale, tf.float32)


# === Layers ===


@tf.keras.utils.register_keras_serializable("tfpix2pix")
class VGGInput(tf.keras.layers.Layer):
    """RGB in [-1, 1] to what VGG-16's published weights expect: BGR less ImageNet's means."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reverse(inputs * 127.5 + 127.5, [-1]) - tf.constant(_VGG_MEANS)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape


def upsampling(
    classes: int, factor: int, name: str, trainable: bool = True
) -> tf.keras.layers.Layer:
    """A transposed convolution to `factor` times the size, each class for itself at first.

    Its kernel starts as bilinear interpolation, see `bilinear`; the paper fixes that of the last
    one (section 4.3) and learns the others from there.
    """
    return tf.keras.layers.Conv2DTranspose(
        classes,
        2 * factor,
        strides=factor,
        padding="same",
        use_bias=False,
        trainable=trainable,
        name=name,
    )


def bilinear(classes: int, factor: int) -> np.ndarray:
    """The kernel by which a transposed convolution interpolates bilinearly.

    Returns:
      float32 ``[2 * factor, 2 * factor, classes, classes]``: a pyramid from class to same class.
    """
    line = 1.0 - np.abs(np.arange(2 * factor) - (factor - 0.5)) / factor
    return np.einsum("h,w,oi->hwoi", line, line, np.eye(classes)).astype(np.float32)


# === Initial weights ===


def initialize(network: FCN8s, seed: int) -> None:
    """Initial weights, each a function of (seed, its name) alone, the same in every Keras.

    Convolutions have He's (He et al. 2015: normal, variance 2 / fan in), class scores zero and
    upsampling bilinear interpolation (both as in the paper's section 4.3), biases 0, normalisation
    scales 1.
    """
    for name, variable in named_weights(network.model).items():
        layer, last = name.split("/")
        if last in ("gamma", "moving_variance"):
            variable.assign(tf.ones_like(variable))
        elif last != "kernel" or layer.startswith("score_"):
            variable.assign(tf.zeros_like(variable))
        elif layer.startswith("up_"):
            variable.assign(bilinear(variable.shape[-1], variable.shape[0] // 2))
        else:
            key = tf.constant([seed, zlib.crc32(name.encode())], tf.int64)
            normal = tf.random.stateless_normal(variable.shape, key, alg="philox")
            variable.assign(normal * math.sqrt(2.0 / math.prod(variable.shape[:3])))
