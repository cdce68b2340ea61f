"""The ResNet generator of CycleGAN (arXiv 1703.10593, appendix 7.2), after Johnson et al. 2016."""

from __future__ import annotations

import functools
import math
from typing import Any

import tensorflow as tf

from tfpix2pix.models.base import (
    KERAS_NAMES,
    Generator,
    Kernel,
    LatentSpec,
    NoiseSpec,
    inputs_of,
    latent_channels,
)
from tfpix2pix.models.layers import (
    BIASES,
    GROUPS,
    BilinearDouble,
    DepthToSpace,
    DoublingConvolution,
    InputNoise,
    NearestConvolution,
    NoiseDropout,
    PaddedConvolution,
    ReflectPadding,
    Smoothing,
    normalization,
    statistics_of,
    with_biases,
    with_latent,
)
from tfpix2pix.models.precision import layers_compute_in
from tfpix2pix.models.resampling import BlurDownsampling, BlurUpsampling, check_resampling

SIZE_MULTIPLE = 4  # it halves the image twice
UPSAMPLINGS = ("transposed", "nearest", "smooth", "bilinear", "subpixel")


def resnet(
    *,
    input_channels: int,
    output_channels: int,
    ngf: int,
    blocks: int,
    dropout: float = 0.0,
    norm: str = "instance",
    upsampling: str = "transposed",
    resampling: str = "conv",
    input_noise: int = 0,
    activation: str = "tanh",
    latent: LatentSpec | None = None,
    name: str = "generator",
    **layers: Any,
) -> Generator:
    """The ResNet as a `Generator`; arguments as `build_resnet`. Without dropout and input noise it
    is G(x)."""
    sizes: dict[str, Any] = {
        "input_channels": input_channels,
        "output_channels": output_channels,
        "ngf": ngf,
        "blocks": blocks,
        "dropout": dropout,
        "norm": norm,
        "upsampling": upsampling,
        "resampling": resampling,
        "input_noise": input_noise,
        "activation": activation,
        "latent": latent,
    }
    channels = _noise_channels(ngf, blocks, dropout, input_noise)
    return Generator(
        "resnet",
        SIZE_MULTIPLE,
        input_channels,
        output_channels,
        NoiseSpec(SIZE_MULTIPLE, channels, dropout) if channels else None,
        functools.partial(build_resnet, **sizes, **layers),
        activation,
        statistics=statistics_of(norm),
        name=name,
        features={
            "first_pad": input_channels + input_noise + latent_channels(latent, 1),
            "down1": 2 * ngf,
            "down2": 4 * ngf,
            "block1_sum": 4 * ngf,
            f"block{min(blocks, 5)}_sum": 4 * ngf,
        },
        kernels=_kernels(
            input_channels + input_noise,
            output_channels,
            ngf,
            blocks,
            "blur" if resampling == "blur" else upsampling,
            latent,
        ),
        latent=latent,
    )


def _noise_channels(ngf: int, blocks: int, dropout: float, input_noise: int) -> int:
    """Channels of z: first those of the blocks' dropout, then those beside x."""
    dropped = blocks * 4 * ngf if dropout else 0
    return dropped + input_noise * SIZE_MULTIPLE**2


def _kernels(
    input_channels: int,
    output_channels: int,
    ngf: int,
    blocks: int,
    enlarging: str,
    latent: LatentSpec | None,
) -> dict[str, Kernel]:
    """``[k, k, C_in, C_out]``; of ``up2`` and ``up1`` ``[3, 3, C_out, C_in]`` where transposed or
    nearest."""

    def plain(size: int, one: int, other: int, level: int, to: int) -> Kernel:
        return Kernel((size, size, one, other), ((one, 2**level), (other, 2**to)))

    read = input_channels + latent_channels(latent, 1)
    kernels = {"first": plain(7, read, ngf, 0, 0)}
    for level in (1, 2):
        to = level - (enlarging == "blur")  # which halves after the convolution
        read = ngf * level + latent_channels(latent, level + 1)
        kernels[f"down{level}"] = plain(3, read, ngf * 2 * level, level - 1, to)
    for block in range(1, blocks + 1):
        for half in ("a", "b"):
            kernels[f"block{block}{half}"] = plain(3, 4 * ngf, 4 * ngf, 2, 2)
    for level in (2, 1):
        one, other = ngf * 2 * level, ngf * level
        # Only these read features that are enlarged already.
        finer = enlarging in ("bilinear", "blur")
        shape = {
            "transposed": (3, 3, other, one),
            "nearest": (3, 3, other, one),
            "smooth": (3, 3, other, one),
            "bilinear": (3, 3, one, other),
            "blur": (3, 3, one, other),
            "subpixel": (3, 3, one, 4 * other),
        }[enlarging]
        features = ((one, 2 ** (level - finer)), (other, 2 ** (level - 1)))
        kernels[f"up{level}"] = Kernel(shape, features)
    kernels["last"] = plain(7, ngf, output_channels, 0, 0)
    return kernels


def build_resnet(
    *,
    input_channels: int = 3,
    output_channels: int = 3,
    ngf: int = 64,
    blocks: int = 9,
    norm: str = "instance",
    bias_layers: str = "all",
    dropout: float = 0.0,
    upsampling: str = "transposed",
    resampling: str = "conv",
    features_read: bool = False,
    input_noise: int = 0,
    activation: str = "tanh",
    latent: LatentSpec | None = None,
    noise: bool = True,
    precision: str = "none",
    name: str = "generator",
) -> tf.keras.Model:
    """G(x), or G(x, z), as a Keras functional model.

    ``first``: a 7x7 convolution to ``ngf`` channels; ``down1``, ``down2``: 3x3 convolutions of
    stride 2 to 2 ``ngf`` and 4 ``ngf``; blocks ``block1 .. blockN`` of two 3x3 convolutions ``a``
    and ``b``, whose result is added to what came in; ``up2``, ``up1``: 3x3 transposed convolutions
    of stride 2 back to 2 ``ngf`` and ``ngf``; ``last``: a 7x7 convolution to the picture, tanh.
    Normalisation and ReLU follow every convolution but ``b``, which has no ReLU, not after the
    addition either, and ``last``. The 7x7 convolutions and the blocks' mirror the image at its
    border; the others have zeros, one pixel on every side, around it.

    Args:
      input_channels, output_channels: of x and of the result.
      ngf: channels of the first layer.
      blocks: 6 (the paper's for 128 pixels) or 9 (for 256 and more), or another number.
      norm: ``instance``, ``instance_plain`` (no scale, no offset; PyTorch's), ``batch``, ``group``
        (8 groups of channels) or ``none``.
      bias_layers: ``all``: with ``instance`` and ``instance_plain`` every convolution has a bias,
        as the authors' code builds it; with another norm ``last`` alone. ``pytorch``:
        ``instance`` means ``instance_plain``.
      dropout: rate in [0, 1) between the two convolutions of a block, as PyTorch's ``use_dropout``.
      upsampling: of ``up2`` and ``up1``. ``transposed``: as above; ``nearest``, ``smooth``,
        ``bilinear`` or ``subpixel`` as in ``build_generator``, mirrored at the border.
      resampling: ``conv``: as above; ``blur``, as CUT's code has it: ``down1`` and ``down2`` have
        stride 1, and a fixed filter halves after their ReLU; ``up2`` and ``up1`` are 3x3
        convolutions of features that another one has doubled, see `BlurDownsampling` and
        `BlurUpsampling`. It has no other ``upsampling``.
      features_read: whether `Generator.features` are read in training: then a bias of ``down1`` and
        ``down2`` that a normalisation takes away counts all the same.
      input_noise: channels of noise beside x, see `InputNoise`; their numbers are the last of z.
      activation: of y: ``tanh``, or ``logits`` for none.
      latent: read by ``first``, or by ``first``, ``down1`` and ``down2``, beside x or features.
      noise: False for G(x), the same network without dropout and without the input z.
      precision: what the layers compute in, see ``layers_compute_in``.

    Returns:
      A model ``x -> y``, float32 ``[B, H, W, C]``, y in [-1, 1] with ``tanh``, height and width
      multiples of 4 from 8 on. With dropout or input noise ``[x, z] -> y``, where z
      ``[B, H / 4, W / 4, Z]`` has a number for each feature that is dropped or not, 4 ``ngf`` of
      each block, see `NoiseDropout`.
      A latent, float32 ``[B, n]``, is the last input. 11,388,675 parameters at the defaults.

    Raises:
      ValueError: a norm, rate, up-sampling, place of biases or precision out of range.
    """
    if upsampling not in UPSAMPLINGS:
        raise ValueError(f"upsampling must be one of {', '.join(UPSAMPLINGS)}, got {upsampling!r}")
    blur = check_resampling(resampling) == "blur"
    if blur and upsampling != "transposed":
        raise ValueError(f"resampling='blur' enlarges by a way of its own, not by {upsampling!r}")
    norm, bias = with_biases(norm, bias_layers)
    numbers = _noise_channels(ngf, blocks, dropout, input_noise)
    noise = noise and numbers > 0
    x = tf.keras.Input((None, None, input_channels), name="x")
    z = tf.keras.Input((None, None, numbers), name="z") if noise else None
    code = tf.keras.Input((latent.size,), name="latent") if latent else None

    def convolved(
        features: tf.Tensor,
        name: str,
        channels: int,
        size: int = 3,
        stride: int = 1,
        bias: str = bias,
        zeros: bool = False,
    ) -> tf.Tensor:
        # TensorFlow's "same" is a pixel off where the stride is 2.
        pad = tf.keras.layers.ZeroPadding2D if zeros else ReflectPadding
        features = pad(size // 2, name=f"{name}_pad")(features)
        kind = functools.partial(PaddedConvolution, strides=stride, padding="valid", **BIASES[bias])
        return kind(channels, size, name=name)(features)

    def enlarged(features: tf.Tensor, name: str, channels: int) -> tf.Tensor:
        if blur:
            features = BlurUpsampling(name=f"{name}_blur")(features)
            return convolved(features, name, channels, zeros=True)
        if upsampling == "transposed":
            return DoublingConvolution(channels, name=name, **BIASES[bias])(features)
        if upsampling in ("nearest", "smooth"):  # mirrored at its border: each pixel stands twice
            layer = NearestConvolution(channels, replicate=True, name=name, **BIASES[bias])
            features = layer(features)
            smooth = upsampling == "smooth" and name == "up1"
            return Smoothing(name=f"{name}_smooth")(features) if smooth else features
        if upsampling == "bilinear":
            return convolved(BilinearDouble(name=f"{name}_double")(features), name, channels)
        # Each of the four pixels has a bias of its own, which no normalisation takes away.
        own = "none" if bias == "none" else "added"
        features = convolved(features, name, 4 * channels, bias=own)
        return DepthToSpace(2, name=f"{name}_pixels")(features)

    def normalized(features: tf.Tensor, name: str, relu: bool = True) -> tf.Tensor:
        groups = math.gcd(GROUPS, features.shape[-1])
        layer = normalization(norm, f"{name}_norm", groups=groups)
        features = features if layer is None else layer(features)
        return tf.keras.layers.ReLU(name=f"{name}_relu")(features) if relu else features

    with layers_compute_in(precision):
        features = x
        if input_noise:
            offset = numbers - input_noise * SIZE_MULTIPLE**2
            beside = InputNoise(input_noise, offset, SIZE_MULTIPLE, name="input_noise")
            # Without z its channels are what no noise makes of them: 0.
            features = beside.silent(x) if z is None else beside([x, z])
        features = with_latent(features, code, latent, 1, "first")
        features = normalized(convolved(features, "first", ngf, 7), "first")
        for level in (1, 2):
            stride = 1 if blur else 2
            counts = "added" if features_read and bias != "none" else bias
            features = with_latent(features, code, latent, level + 1, f"down{level}")
            down = convolved(
                features, f"down{level}", 2 * level * ngf, stride=stride, bias=counts, zeros=True
            )
            features = normalized(down, f"down{level}")
            if blur:
                features = BlurDownsampling(name=f"down{level}_blur")(features)
        for number in range(1, blocks + 1):
            block = f"block{number}"
            inner = normalized(convolved(features, f"{block}a", 4 * ngf), f"{block}a")
            if dropout and z is not None:
                offset = (number - 1) * 4 * ngf
                inner = NoiseDropout(dropout, offset, 1, name=f"{block}_dropout")([inner, z])
            inner = normalized(convolved(inner, f"{block}b", 4 * ngf), f"{block}b", relu=False)
            features = tf.keras.layers.Add(name=f"{block}_sum")([features, inner])
        for level in (2, 1):
            features = normalized(enlarged(features, f"up{level}", ngf * level), f"up{level}")
        features = convolved(features, "last", output_channels, 7, bias="added")
        # float32 whatever the layers compute in: the result is a picture, not a feature.
        y = tf.keras.layers.Activation(KERAS_NAMES[activation], dtype="float32", name="y")(features)
    with layers_compute_in("none"):
        return tf.keras.Model(inputs_of(x, (z, code)), y, name=name)
