"""The generators of the paper (appendix 6.1.1): U-Net, and the encoder-decoder without skips."""

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
    Convolution,
    DepthToSpace,
    InputNoise,
    NearestConvolution,
    NoiseDropout,
    PhasedConvolution,
    ReplicatePadding,
    Smoothing,
    TransposedConvolution,
    normalization,
    statistics_of,
    with_biases,
    with_latent,
)
from tfpix2pix.models.precision import layers_compute_in

# The paper's decoder is CD512-CD512-CD512-C512-...: dropout in the first three full-width layers.
DROPOUT_LAYERS = 3
WIDEST = 8  # channels never exceed 8 * ngf
UPSAMPLINGS = ("transposed", "nearest", "smooth", "bilinear", "subpixel")
ONE_GROUP = 8  # side of features, at the crop size, up to which all their channels are one group


def depth_for(crop_size: int, bottleneck: int = 1) -> int:
    """Levels of the generator: each halves the image, the last leaves the bottleneck (256 -> 8).

    Args:
      crop_size: power of two from 32 to 1024.
      bottleneck: side of what the last level leaves of it, pixels: 1 (the paper's), 2, 4 or 8.
    """
    if not 32 <= crop_size <= 1024 or crop_size & (crop_size - 1):
        raise ValueError(f"crop_size must be a power of two from 32 to 1024, got {crop_size}")
    if bottleneck not in (1, 2, 4, 8):
        raise ValueError(f"bottleneck must be 1, 2, 4 or 8 pixels, got {bottleneck}")
    return int(math.log2(crop_size // bottleneck))


def noise_factor(crop_size: int, dropout_layers: str = "paper", bottleneck: int = 1) -> int:
    """Input pixels per pixel of z, along each axis."""
    return 2 ** (_dropout_levels(depth_for(crop_size, bottleneck), dropout_layers)[0] - 1)


def _channels(level: int, ngf: int) -> int:
    """Encoder channels at a level (1 is the first): 64, 128, 256, 512, 512, ... for ngf 64."""
    return ngf * min(2 ** (level - 1), WIDEST)


def _dropout_levels(depth: int, dropout_layers: str) -> list[int]:
    """Decoder levels with dropout, coarsest first, all of them full-width.

    ``"paper"``: the first three, as the paper's Torch code. ``"pytorch"``: every one but the
    innermost, as the authors' PyTorch code (8 levels: 7, 6, 5 where the paper has 8, 7, 6).
    """
    full_width = [up for up in range(depth, 1, -1) if _channels(up - 1, 1) == WIDEST]
    full_width = full_width or [depth]  # few levels, which a bottleneck of several pixels leaves
    if dropout_layers == "paper":
        return full_width[:DROPOUT_LAYERS]
    if dropout_layers != "pytorch":
        raise ValueError(f"dropout_layers must be 'paper' or 'pytorch', got {dropout_layers!r}")
    if not full_width[1:]:
        raise ValueError("a crop_size of 32 has no layer for dropout_layers='pytorch'")
    return full_width[1:]


def noise_channels(
    crop_size: int,
    ngf: int,
    dropout_layers: str = "paper",
    bottleneck: int = 1,
    input_noise: int = 0,
) -> int:
    """Channels Z of the generator's z input."""
    levels = _dropout_levels(depth_for(crop_size, bottleneck), dropout_layers)
    dropped = sum(_channels(level - 1, ngf) * 4**i for i, level in enumerate(levels))
    return dropped + input_noise * noise_factor(crop_size, dropout_layers, bottleneck) ** 2


def unet(
    *,
    crop_size: int,
    input_channels: int,
    output_channels: int,
    ngf: int,
    norm: str = "instance",
    dropout: float = 0.5,
    dropout_layers: str = "paper",
    skips: bool = True,
    bottleneck: int = 1,
    upsampling: str = "transposed",
    input_noise: int = 0,
    padding: str = "zeros",
    last_channels: int = 0,
    activation: str = "tanh",
    latent: LatentSpec | None = None,
    name: str = "generator",
    **layers: Any,
) -> Generator:
    """The U-Net, or the encoder-decoder, as a `Generator`; arguments as `build_generator`."""
    papers = _is_papers(norm, upsampling, padding, input_noise, last_channels, latent)
    sizes: dict[str, Any] = {
        "crop_size": crop_size,
        "input_channels": input_channels,
        "output_channels": output_channels,
        "ngf": ngf,
        "norm": norm,
        "dropout": dropout,
        "dropout_layers": dropout_layers,
        "skips": skips,
        "bottleneck": bottleneck,
        "upsampling": upsampling,
        "input_noise": input_noise,
        "padding": padding,
        "last_channels": last_channels,
        "activation": activation,
        "latent": latent,
    }
    return Generator(
        # The exporters' shortcuts know the layers of the paper's network alone.
        "unet" if papers else "unet_variant",
        crop_size // bottleneck,
        input_channels,
        output_channels,
        NoiseSpec(
            noise_factor(crop_size, dropout_layers, bottleneck),
            noise_channels(crop_size, ngf, dropout_layers, bottleneck, input_noise),
            dropout,
        ),
        functools.partial(build_generator, **sizes, **layers),
        activation,
        statistics=statistics_of(norm),
        name=name,
        features=_features(depth_for(crop_size, bottleneck), input_channels, ngf),
        kernels=_kernels(
            depth_for(crop_size, bottleneck),
            input_channels + input_noise,
            output_channels,
            ngf,
            skips,
            upsampling,
            last_channels,
            latent,
        ),
        x_last=last_channels > 0,
        latent=latent,
    )


def _features(depth: int, input_channels: int, ngf: int) -> dict[str, int]:
    """Of `Generator.features`: the input and what the first four convolutions make of it."""
    levels = range(1, min(depth, 4) + 1)
    return {"x": input_channels} | {f"down{level}": _channels(level, ngf) for level in levels}


def _is_papers(
    norm: str,
    upsampling: str,
    padding: str,
    input_noise: int,
    last_channels: int,
    latent: LatentSpec | None,
) -> bool:
    """Whether the network has the paper's layers alone, at whatever depth and width."""
    added = norm == "group" or padding != "zeros" or input_noise or last_channels or latent
    return upsampling == "transposed" and not added


def _kernels(
    depth: int,
    input_channels: int,
    output_channels: int,
    ngf: int,
    skips: bool,
    upsampling: str,
    last_channels: int,
    latent: LatentSpec | None,
) -> dict[str, Kernel]:
    """``[4, 4, C_in, C_out]`` of ``down1 .. downD``; of ``upD .. up1`` ``[4, 4, C_out, C_in]``
    where they are transposed, else ``[3, 3, ...]``."""

    def channels(level: int) -> int:
        return _channels(level, ngf) if level else input_channels

    kernels = {}
    for level in range(1, depth + 1):
        one = channels(level - 1) + latent_channels(latent, level)
        other = channels(level)
        features = ((one, 2 ** (level - 1)), (other, 2**level))
        kernels[f"down{level}"] = Kernel((4, 4, one, other), features)
    for level in range(depth, 0, -1):
        read = channels(level) * (2 if skips and level < depth else 1)
        out = channels(level - 1) if level > 1 else last_channels or output_channels
        # Only the bilinear one reads features that are enlarged already.
        finer = upsampling == "bilinear"
        features = ((read, 2 ** (level - finer)), (out, 2 ** (level - 1)))
        shape = {
            "transposed": (4, 4, out, read),
            "nearest": (3, 3, out, read),
            "smooth": (3, 3, out, read),
            "bilinear": (3, 3, read, out),
            "subpixel": (3, 3, read, 4 * out),
        }[upsampling]
        kernels[f"up{level}"] = Kernel(shape, features)
    if last_channels:
        read = last_channels + (input_channels if skips else 0)
        features = ((read, 1), (output_channels, 1))
        kernels["last"] = Kernel((3, 3, read, output_channels), features)
    return kernels


def build_generator(
    *,
    crop_size: int = 256,
    input_channels: int = 3,
    output_channels: int = 3,
    ngf: int = 64,
    norm: str = "instance",
    bias_layers: str = "paper",
    dropout: float = 0.5,
    dropout_layers: str = "paper",
    skips: bool = True,
    bottleneck: int = 1,
    upsampling: str = "transposed",
    input_noise: int = 0,
    padding: str = "zeros",
    last_channels: int = 0,
    activation: str = "tanh",
    latent: LatentSpec | None = None,
    noise: bool = True,
    precision: str = "none",
    name: str = "generator",
) -> tf.keras.Model:
    """G(x, z): the U-Net (``skips=True``) or the encoder-decoder, as a Keras functional model.

    Encoder ``down1 .. downD``: LeakyReLU 0.2, then a 4x4 stride-2 convolution, then normalisation
    (none at ``down1``, which also has no activation before it, and none at the bottleneck
    ``downD``). Decoder ``upD .. up1``: ReLU, then a 4x4 stride-2 transposed convolution, then
    normalisation, then dropout in some of the full-width layers; tanh after ``up1``. The skip
    into ``up{i}`` is the output of ``down{i}`` *before* any activation. D follows ``crop_size``.

    **z** is one input tensor ``[B, H / f, W / f, Z]`` with ``f = noise_factor(...)``: the
    resolution of the coarsest dropout layer (for an image of the crop size 2 x 2 in the paper's
    network, where ``f = 2**(D - 1)``, and 4 x 4 with ``dropout_layers="pytorch"``). Its channels
    hold the noise of the dropout layers one after the other, coarsest first: ``8 ngf`` channels for
    the first layer, ``4 * 8 ngf`` for the second, ``16 * 8 ngf`` for the third and so on, whose
    features are two and four times finer; ``tf.nn.depth_to_space`` with block 2 and 4 unfolds those
    to ``[B, 2 H / f, 2 W / f, 8 ngf]`` and ``[B, 4 H / f, 4 W / f, 8 ngf]``. So every feature of
    every dropout layer has exactly one number of z: uniform in [0, 1) for the paper's dropout,
    negative for none (see ``NoiseDropout``).

    Args:
      crop_size: power of two from 32 to 1024; decides the depth. The model itself takes any height
        and width that are multiples of it.
      input_channels, output_channels: of x and of the result.
      ngf: channels of the first layer.
      norm: ``instance``, ``instance_plain`` (no scale, no offset; every convolution has a bias),
        ``batch``, ``group`` (8 groups of channels; one where the features of an image of the crop
        size are at most 8 pixels wide, among them the bottleneck) or ``none``.
      bias_layers: ``paper``: ``up1`` alone has a bias, normalisations have a scale and an offset;
        ``pytorch``: ``instance`` means ``instance_plain``, as the authors' PyTorch code builds
        ``--norm instance``; for that norm only; ``all``: with ``instance`` every convolution has a
        bias, and normalisations have a scale and an offset.
      dropout: rate in [0, 1).
      dropout_layers: ``paper``: the first three full-width layers, ``upD`` among them; ``pytorch``:
        every full-width layer but ``upD`` (``up{D-1} .. up5``), as the authors' PyTorch code has
        it; not for a crop size of 32, which has none then.
      skips: False for the encoder-decoder.
      bottleneck: side of the innermost features of an image of the crop size: 1 (the paper's), 2,
        4 or 8; sizes are then multiples of ``crop_size / bottleneck``.
      upsampling: of the decoder. ``transposed``: as above; ``nearest`` or ``bilinear``: enlarged so
        by 2, then a 3x3 convolution; ``smooth``: ``nearest``, but ``up1`` bilinear, see
        `Smoothing`; ``subpixel``: a 3x3 convolution to four times the channels,
        which become 2x2 pixels (Shi et al. 2016, arXiv 1609.05158).
      input_noise: channels of noise beside x, see `InputNoise`; their numbers are the last of z.
      padding: of the convolutions: ``zeros`` (the paper's), or ``replicate`` (the border's own
        values, so that nothing tells the network where the border is; not with ``transposed``).
      last_channels: where not 0, ``up1`` has so many channels and the picture is made from them and
        x, with its noise, by one more 3x3 convolution ``last``, at full resolution.
      activation: of y: ``tanh``, or ``logits`` for none.
      latent: read by ``down1``, or by all of ``down1 .. downD``, beside x or the features of the
        level above (before their activation), never by ``last``.
      noise: False for G(x), the same network without dropout and without the input z.
      precision: what the layers compute in, see ``layers_compute_in``.

    Returns:
      A model ``[x, z] -> y``: x float32 ``[B, H, W, input_channels]`` in [-1, 1], z as above, y
      float32 ``[B, H, W, output_channels]``, in [-1, 1] with ``tanh``. 54,413,955 parameters at the
      defaults. With ``noise=False`` a model ``x -> y``. A latent, float32
      ``[B, n]``, is the last input.

    Raises:
      ValueError: a size, norm, rate, place of biases or dropout, or precision out of range.
    """
    depth = depth_for(crop_size, bottleneck)
    if upsampling not in UPSAMPLINGS:
        raise ValueError(f"upsampling must be one of {', '.join(UPSAMPLINGS)}, got {upsampling!r}")
    if padding not in ("zeros", "replicate"):
        raise ValueError(f"padding must be 'zeros' or 'replicate', got {padding!r}")
    if padding == "replicate" and upsampling == "transposed":
        raise ValueError("upsampling='transposed' has a border of its own; padding must be 'zeros'")
    norm, bias = with_biases(norm, bias_layers)
    noisy = _dropout_levels(depth, dropout_layers)
    numbers = noise_channels(crop_size, ngf, dropout_layers, bottleneck, input_noise)
    factor = noise_factor(crop_size, dropout_layers, bottleneck)
    beside = None
    if input_noise:
        beside = InputNoise(
            input_noise, numbers - input_noise * factor**2, factor, name="input_noise"
        )
    x = tf.keras.Input((None, None, input_channels), name="x")
    z = tf.keras.Input((None, None, numbers), name="z")
    code = tf.keras.Input((latent.size,), name="latent") if latent else None

    with layers_compute_in(precision):
        y = _layers(
            x,
            z,
            code,
            depth=depth,
            noisy=noisy if noise else [],
            output_channels=output_channels,
            ngf=ngf,
            norm=norm,
            bias=bias,
            dropout=dropout,
            skips=skips,
            bottleneck=bottleneck,
            upsampling=upsampling,
            beside=beside,
            noise=noise,
            replicate=padding == "replicate",
            last_channels=last_channels,
            activation=activation,
            latent=latent,
            papers=_is_papers(norm, upsampling, padding, input_noise, last_channels, latent),
        )
    with layers_compute_in("none"):
        return tf.keras.Model(inputs_of(x, (z if noise else None, code)), y, name=name)


def _layers(
    x: tf.Tensor,
    z: tf.Tensor,
    code: tf.Tensor | None,
    *,
    depth: int,
    noisy: list[int],
    output_channels: int,
    ngf: int,
    norm: str,
    bias: str,
    dropout: float,
    skips: bool,
    bottleneck: int,
    upsampling: str,
    beside: InputNoise | None,
    noise: bool,
    replicate: bool,
    last_channels: int,
    activation: str,
    latent: LatentSpec | None,
    papers: bool,
) -> tf.Tensor:
    """y of the symbolic x and z, and of the latent's ``code``.

    ``noisy`` are the decoder levels with dropout; ``bias`` is that of the layers before a
    normalisation.
    """

    def normalize(features: tf.Tensor, level: int, name: str) -> tf.Tensor:
        """``level``: of the features, 0 for those as large as the image."""
        side = bottleneck * 2 ** (depth - level)
        groups = 1 if side <= ONE_GROUP else math.gcd(GROUPS, features.shape[-1])
        layer = normalization(norm, name, groups=groups)
        return features if layer is None else layer(features)

    # === Encoder ===
    features, skip = x, {0: x}
    if beside is not None:
        # Without z its channels are what no noise makes of them: 0.
        features = skip[0] = beside([x, z]) if noise else beside.silent(x)
    for level in range(1, depth + 1):
        features = with_latent(features, code, latent, level, f"down{level}")
        if level > 1:
            features = tf.keras.layers.LeakyReLU(0.2, name=f"down{level}_relu")(features)
        width = _channels(level, ngf)
        # Of one channel at a single pixel nothing is left (the paper's erratum).
        normed = 1 < level < depth or (level == depth and norm == "group")
        before = bias if normed else _beside(bias)
        features = _convolved(features, width, 4, 2, before, f"down{level}", replicate)
        if normed:
            features = normalize(features, level, f"down{level}_norm")
        skip[level] = features

    # === Decoder ===
    offset = 0
    for level in range(depth, 0, -1):
        if skips and level < depth:
            features = tf.keras.layers.Concatenate(name=f"up{level}_skip")([features, skip[level]])
        features = tf.keras.layers.ReLU(name=f"up{level}_relu")(features)
        last = level == 1
        channels = last_channels or output_channels if last else _channels(level - 1, ngf)
        features = _enlarged(
            features,
            upsampling,
            channels,
            "added" if last else bias,
            f"up{level}",
            smooth=upsampling == "smooth" and last,
            replicate=replicate,
            papers=papers,
        )
        if last:
            break
        features = normalize(features, level - 1, f"up{level}_norm")
        if level in noisy:
            block = 2 ** noisy.index(level)
            features = NoiseDropout(dropout, offset, block, name=f"up{level}_dropout")(
                [features, z]
            )
            offset += channels * block**2
    if last_channels:
        features = tf.keras.layers.ReLU(name="last_relu")(features)
        if skips:
            features = tf.keras.layers.Concatenate(name="last_skip")([features, skip[0]])
        features = _convolved(features, output_channels, 3, 1, "added", "last", replicate)
    # float32 whatever the layers compute in: the result is a picture, not a feature.
    return tf.keras.layers.Activation(KERAS_NAMES[activation], dtype="float32", name="y")(features)


def _beside(bias: str) -> str:
    """The bias of a layer that no normalisation follows, given that of the others."""
    return "none" if bias == "none" else "added"


def _enlarged(
    features: tf.Tensor,
    upsampling: str,
    channels: int,
    bias: str,
    name: str,
    *,
    smooth: bool,
    replicate: bool,
    papers: bool,
) -> tf.Tensor:
    """Features of twice the height and width, by a convolution of that name.

    ``papers``: the network is the paper's, which exporters rewrite; others are exported as they
    are.
    """
    if upsampling == "transposed":
        kind = TransposedConvolution if papers else PhasedConvolution
        layer = kind(channels, 4, strides=2, padding="same", name=name, **BIASES[bias])
        return layer(features)
    if upsampling in ("nearest", "smooth"):
        layer = NearestConvolution(channels, replicate=replicate, name=name, **BIASES[bias])
        features = layer(features)
        return Smoothing(name=f"{name}_smooth")(features) if smooth else features
    if upsampling == "bilinear":
        features = BilinearDouble(name=f"{name}_double")(features)
        return _convolved(features, channels, 3, 1, bias, name, replicate)
    # Each of the four pixels has a bias of its own, which no normalisation takes away.
    features = _convolved(features, 4 * channels, 3, 1, _beside(bias), name, replicate)
    return DepthToSpace(2, name=f"{name}_pixels")(features)


def _convolved(
    features: tf.Tensor,
    channels: int,
    kernel: int,
    stride: int,
    bias: str,
    name: str,
    replicate: bool,
) -> tf.Tensor:
    """A convolution with one pixel around the features, zeros or the border's own values."""
    padding = "same"
    if replicate:
        features, padding = ReplicatePadding(name=f"{name}_pad")(features), "valid"
    layer = Convolution(
        channels, kernel, strides=stride, padding=padding, name=name, **BIASES[bias]
    )
    return layer(features)
