"""PatchGAN, the discriminator of the paper (section 3.2.2, appendix 6.1.2)."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfpix2pix.models.base import with_outputs
from tfpix2pix.models.layers import (
    BIASES,
    GROUPS,
    Convolution,
    SpectralConvolution,
    normalization,
    with_biases,
)
from tfpix2pix.models.precision import layers_compute_in
from tfpix2pix.models.resampling import BlurDownsampling, check_resampling

# Receptive field in pixels -> number of 4x4 stride-2 layers; two 4x4 stride-1 layers follow.
_STRIDED_LAYERS = {16: 1, 70: 3, 286: 5}
WIDEST = 8


def build_discriminator(
    *,
    receptive_field: int = 70,
    input_channels: int = 3,
    output_channels: int = 3,
    ndf: int = 64,
    norm: str = "instance",
    bias_layers: str = "paper",
    conditional: bool = True,
    spectral_norm: bool = False,
    resampling: str = "conv",
    precision: str = "none",
    name: str = "discriminator",
) -> tf.keras.Model:
    """D(x, y), or D(y) when not conditional: one logit per patch, as a Keras functional model.

    70: C64-C128-C256-C512 and a last convolution to one channel; 16 and 286 have fewer and more
    strided layers; 1 (the paper's PixelGAN) has 1x1 convolutions C64-C128 and the last. LeakyReLU
    0.2 throughout, no normalisation on the first layer. The 4x4 convolutions pad one pixel on
    every side as in Torch, so a 256 pixel image has 30 x 30 patches of 70 x 70.

    Args:
      receptive_field: 1, 16, 70 or 286 pixels.
      input_channels: of x (not used when not conditional).
      output_channels: of y.
      ndf: channels of the first layer.
      norm: ``instance``, ``instance_plain`` (no scale, no offset; every convolution has a bias),
        ``batch``, ``group`` (8 groups of channels) or ``none``.
      bias_layers: ``paper``: the first and (but for 1 pixel) the last convolution have a bias,
        normalisations a scale and an offset; ``pytorch``: as in ``build_generator``; ``all``: with
        ``instance`` every convolution has a bias, normalisations a scale and an offset, as in
        CycleGAN's Lua code.
      conditional: whether D sees x beside y (cGAN) or y alone (GAN).
      spectral_norm: divide the weights of every convolution by their spectral norm, see
        `SpectralConvolution`.
      resampling: how a strided layer halves the image: ``conv``: by its stride; ``blur``: the
        convolution has stride 1, and a fixed filter halves after its LeakyReLU, see
        `BlurDownsampling` (CUT's code). The sizes of logits are the same.
      precision: what the layers compute in, see ``layers_compute_in``.

    Returns:
      A model ``[x, y] -> logits`` (``y -> logits`` when not conditional), images float32
      ``[B, H, W, C]`` in [-1, 1], logits float32 ``[B, h, w, 1]``, large for "real".

    Raises:
      ValueError: a receptive field, norm, place of biases or precision that is not known.
    """
    y = tf.keras.Input((None, None, output_channels), name="y")
    inputs = y
    if conditional:
        inputs = [tf.keras.Input((None, None, input_channels), name="x"), y]
    with layers_compute_in(precision):
        norms = with_biases(norm, bias_layers)
        blur = check_resampling(resampling) == "blur"
        logits = _layers(inputs, receptive_field, ndf, *norms, spectral_norm, blur)
    with layers_compute_in("none"):
        return tf.keras.Model(inputs, logits, name=name)


def with_features(discriminator: tf.keras.Model) -> tf.keras.Model:
    """The same D, with the features of its layers before the logits.

    Returns:
      A model of the same inputs and weights to a list: of every layer but the last its features
      after the LeakyReLU, float32 or half ``[B, h, w, C]``; at the end the logits.
    """
    layers = [layer.name for layer in discriminator.layers if layer.name.endswith("_relu")]
    return with_outputs(discriminator, [*layers, "logits"])


def _layers(
    inputs: Any,
    receptive_field: int,
    ndf: int,
    norm: str,
    bias: str,
    spectral: bool,
    blur: bool,
) -> tf.Tensor:
    """The logits of the symbolic [x, y], or of y alone; ``bias`` as in the generator."""
    features = inputs
    if isinstance(inputs, list):
        features = tf.keras.layers.Concatenate(name="pair")(inputs)
    if receptive_field == 1:
        kernel, strides, widths = 1, [1, 1], [1, 2]
    elif receptive_field in _STRIDED_LAYERS:
        strided = _STRIDED_LAYERS[receptive_field]
        kernel, strides = 4, [2] * strided + [1]
        widths = [min(2**i, WIDEST) for i in range(strided + 1)]
    else:
        raise ValueError(f"receptive_field must be 1, 16, 70 or 286, got {receptive_field}")

    for number, (stride, width) in enumerate(zip(strides, widths, strict=True), start=1):
        first = number == 1
        name = f"conv{number}"
        before = "added" if first else bias
        step = 1 if blur else stride
        features = _convolution(features, ndf * width, kernel, step, before, name, spectral)
        groups = math.gcd(GROUPS, ndf * width)
        normalize = None
        if not first:
            normalize = normalization(norm, f"{name}_norm", groups=groups)
        if normalize is not None:
            features = normalize(features)
        features = tf.keras.layers.LeakyReLU(0.2, name=f"{name}_relu")(features)
        if step < stride:
            features = BlurDownsampling(name=f"{name}_blur")(features)
    # The paper's 1x1 network has no bias in its last layer (9,024 parameters).
    last = "none" if kernel == 1 and bias == "none" else "added"
    name = f"conv{len(strides) + 1}"
    features = _convolution(features, 1, kernel, 1, last, name, spectral)
    return tf.keras.layers.Activation("linear", dtype="float32", name="logits")(features)


def _convolution(
    features: tf.Tensor,
    channels: int,
    kernel: int,
    stride: int,
    bias: str,
    name: str,
    spectral: bool,
) -> tf.Tensor:
    if kernel > 1:
        features = tf.keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(features)
    kind = SpectralConvolution if spectral else Convolution
    layer = kind(channels, kernel, strides=stride, padding="valid", name=name, **BIASES[bias])
    return layer(features)
