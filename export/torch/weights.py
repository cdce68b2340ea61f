"""Weights by the names of pytorch-CycleGAN-and-pix2pix, the authors' PyTorch code, and back.

Pure functions of arrays: no PyTorch, no TensorFlow, no files. What differs between the two:

* Kernels: PyTorch ``[out, in, kh, kw]`` (transposed convolutions ``[in, out, kh, kw]``), here
  ``[kh, kw, in, out]`` (``[kh, kw, out, in]``): one permutation for both.
* Skips: PyTorch joins ``[skip, decoder]``, we join ``[decoder, skip]``: the two halves of the input
  channels of ``up{i}`` change places. Its skips carry LeakyReLU(x), since its activations work in
  place, and ours x; ``ReLU(LeakyReLU(x)) = ReLU(x)``, so the decoder sees the same.
* Biases: with batch normalisation and with none both have them in the same places. What it trained
  with instance normalisation has one on every convolution and no scale or offset, as our networks
  of ``bias_layers="pytorch"``. Other networks with more biases than the PyTorch code gives them are
  taken where it makes no difference: one before a normalisation cancels and is left out, on
  ``down1`` and on the bottleneck none follows, so only zeros can be taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.export.torch.layers import (
    LEVELS,
    RECEPTIVE_FIELDS,
    RESNET_BLOCKS,
    TorchLayer,
    discriminator_layers,
    generator_layers,
    resnet_layers,
)

State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class TorchGenerator:
    """A generator read from a state dict.

    Attributes:
      weights: by our names; all that a network of ``norm="batch"`` has, without the moving averages
        where ``norm`` is ``instance``, and without scales and offsets where every convolution has
        a bias.
      norm: what it was trained with: ``batch``, ``instance`` or ``none``.
      bias_layers: as in ``build_generator``; ``pytorch`` with ``instance`` alone.
      crop_size: of a U-Net 2 to the number of its levels, pixels; 0 of a ResNet.
      ngf, input_channels, output_channels: as in ``build_generator``.
      blocks: of a ResNet; 0 of a U-Net.
      dropout: whether the blocks of a ResNet have it; a U-Net's weights do not tell.
    """

    weights: dict[str, np.ndarray]
    norm: str
    bias_layers: str
    crop_size: int
    ngf: int
    input_channels: int
    output_channels: int
    blocks: int = 0
    dropout: bool = True


@dataclass(frozen=True)
class TorchDiscriminator:
    """A discriminator read from a state dict.

    Attributes:
      weights, norm, bias_layers: as in `TorchGenerator`.
      receptive_field: 1, 16, 70 or 286 pixels.
      ndf: channels of its first layer.
      channels: that it sees: of x and y together, or of y alone if it is unconditional.
    """

    weights: dict[str, np.ndarray]
    norm: str
    bias_layers: str
    receptive_field: int
    ndf: int
    channels: int


# === From PyTorch ===


def generator_from_torch(state: State, source: str) -> TorchGenerator:
    """Reads the state dict of a ``unet_256``, ``unet_128`` or another depth of the same network, or
    of a ``resnet_6blocks`` or ``resnet_9blocks``.

    Args:
      state: arrays by key. What wrappers put into the keys is taken off: ``module.`` (DataParallel)
        and ``_orig_mod.`` (torch.compile) anywhere, ``netG.`` (of a whole model: its keys alone).
      source: what to call it in errors, such as the file's name.

    Raises:
      UserError: a key or shape that does not fit, a bias that has no place, a value that is NaN or
        infinite.
    """
    state = _unwrapped(state, "netG", source)
    if any(".conv_block." in key for key in state):
        return _resnet_from_torch(state, source)
    if "model.model.0.weight" not in state:
        raise UserError(f"{source} {_no_generator(state)}")
    first = _kernel(state, "model.model.0.weight", source)
    levels, prefix = 2, "model.model.1.model."
    while any(key.startswith(f"{prefix}3.model.") for key in state):
        levels, prefix = levels + 1, f"{prefix}3.model."
    if levels not in LEVELS:
        raise UserError(
            f"{source} holds a U-Net of {levels} levels; expected {LEVELS[0]} to {LEVELS[-1]} "
            "(unet_128 has 7, unet_256 has 8)"
        )
    last = _kernel(state, "model.model.3.weight", source)
    ngf, input_channels, output_channels = first.shape[0], first.shape[1], last.shape[1]
    layers = generator_layers(levels, ngf, input_channels, output_channels)
    what = f"a U-Net generator of {levels} levels, ngf {ngf}"
    weights, norm, biases = _read(state, layers, source, what)
    return TorchGenerator(weights, norm, biases, 2**levels, ngf, input_channels, output_channels)


def _resnet_from_torch(state: State, source: str) -> TorchGenerator:
    blocks = len({key.split(".")[1] for key in state if key.split(".")[2:3] == ["conv_block"]})
    if blocks not in (6, 9):
        raise UserError(
            f"{source} holds a ResNet of {blocks} blocks; expected 6 or 9 (resnet_6blocks, "
            "resnet_9blocks)"
        )
    first = _kernel(state, "model.1.weight", source)
    last = _kernel(state, f"model.{RESNET_BLOCKS + blocks + 7}.weight", source)
    ngf, input_channels, output_channels = *first.shape[:2], last.shape[0]
    # Behind the dropout a module more.
    within = f"model.{RESNET_BLOCKS}.conv_block"
    dropout = np.ndim(state.get(f"{within}.6.weight", 0)) == 4
    layers = resnet_layers(blocks, ngf, input_channels, output_channels, dropout)
    what = f"a ResNet generator of {blocks} blocks, ngf {ngf}"
    weights, norm, biases = _read(state, layers, source, what)
    return TorchGenerator(
        weights, norm, biases, 0, ngf, input_channels, output_channels, blocks, dropout
    )


def discriminator_from_torch(state: State, source: str) -> TorchDiscriminator:
    """Reads the state dict of a ``basic``, ``n_layers`` or ``pixel`` discriminator.

    Args:
      state, source: as in `generator_from_torch`, with ``netD.``.

    Raises:
      UserError: as `generator_from_torch`; also a receptive field other than 1, 16, 70 and 286.
    """
    state = _unwrapped(state, "netD", source)
    if "net.0.weight" in state:
        strided, field, key = 0, 1, "net.0.weight"
    elif "model.0.weight" in state and "model.2.weight" in state:
        key = "model.0.weight"
        strided = 0
        while f"model.{2 + 3 * (strided + 1)}.weight" in state:
            strided += 1
        if strided not in RECEPTIVE_FIELDS:
            pixels = 7
            for _ in range(strided):
                pixels = 2 * pixels + 2
            raise UserError(
                f"{source} holds a discriminator of {strided} strided layers (n_layers), which "
                f"sees patches of {pixels} pixels; expected 1, 3 or 5 (16, 70 or 286 pixels)"
            )
        field = RECEPTIVE_FIELDS[strided]
    else:
        raise UserError(f"{source} {_no_discriminator(state)}")
    first = _kernel(state, key, source)
    ndf, channels = first.shape[:2]
    what = f"a discriminator of {field} pixels, ndf {ndf}"
    layers = discriminator_layers(field, ndf, channels)
    weights, norm, biases = _read(state, layers, source, what)
    return TorchDiscriminator(weights, norm, biases, field, ndf, channels)


# === To PyTorch ===


def generator_to_torch(weights: State, dropout: bool = True) -> dict[str, np.ndarray]:
    """The state dict of a U-Net or a ResNet, from its weights by our names (``named_weights``).

    Normalisation is written as batch normalisation. Where there are no moving averages (per-image
    statistics) they are 0 and 1, which PyTorch uses in eval mode only. One without scale and offset
    (``bias_layers="pytorch"``) has nothing to write, as PyTorch's instance normalisation.

    Args:
      weights: all of a ResNet, or of a generator with skips, of any depth.
      dropout: whether a ResNet's blocks have it.
    """
    if "first/kernel" in weights:
        first, last = weights["first/kernel"], weights["last/kernel"]
        blocks = sum(name.startswith("block") and name.endswith("a/kernel") for name in weights)
        return _write(
            weights,
            resnet_layers(blocks, first.shape[3], first.shape[2], last.shape[3], dropout),
        )
    levels = sum(name.startswith("down") and name.endswith("kernel") for name in weights)
    first, last = weights["down1/kernel"], weights["up1/kernel"]
    return _write(weights, generator_layers(levels, first.shape[3], first.shape[2], last.shape[2]))


def discriminator_to_torch(weights: State) -> dict[str, np.ndarray]:
    """The state dict of a discriminator, from all its weights; see `generator_to_torch`."""
    first = weights["conv1/kernel"]
    strided = sum(name.endswith("kernel") for name in weights) - 2
    field = 1 if first.shape[0] == 1 else RECEPTIVE_FIELDS[strided]
    return _write(weights, discriminator_layers(field, first.shape[3], first.shape[2]))


# === Reading and writing ===

_STATISTICS = {"running_mean": "moving_mean", "running_var": "moving_variance"}
_AFFINE = {"weight": "gamma", "bias": "beta"}
_COUNTER = "num_batches_tracked"


def _read(
    state: State, layers: list[TorchLayer], source: str, what: str
) -> tuple[dict[str, np.ndarray], str, str]:
    """Our weights, the normalisation that the state dict was trained with, and its biases."""
    norm, affine, biased = _kind_of(state, layers)
    expected: dict[str, tuple[int, ...]] = {}
    optional = set()
    for layer in layers:
        vector = (layer.channels,)
        expected[f"{layer.key}.weight"] = layer.shape
        expected[f"{layer.key}.bias"] = vector
        if not (layer.biased or biased):
            optional.add(f"{layer.key}.bias")
        if layer.norm and norm != "none":
            parts: dict[str, tuple[int, ...]] = dict.fromkeys(
                (*(_AFFINE if affine else ()), *_STATISTICS), vector
            )
            parts[_COUNTER] = ()
            expected |= {f"{layer.norm}.{part}": shape for part, shape in parts.items()}
            free = [_COUNTER] if norm == "batch" else [*_STATISTICS, _COUNTER]
            optional |= {f"{layer.norm}.{part}" for part in free}
    _check(state, expected, optional, source, what)

    weights: dict[str, np.ndarray] = {}
    for layer in layers:
        weights[f"{layer.name}/kernel"] = _kernel_from_torch(state[f"{layer.key}.weight"], layer)
        bias = state.get(f"{layer.key}.bias")
        if layer.biased or biased:
            weights[f"{layer.name}/bias"] = _float32(state[f"{layer.key}.bias"])
        if biased:
            continue
        normalised = bool(layer.norm) and norm != "none"
        if not layer.biased and not normalised and bias is not None and np.any(bias):
            raise UserError(
                f"{source} cannot be taken over: '{layer.key}.bias' is not zero (largest "
                f"{np.abs(bias).max():.3g}), and {what} has no bias there here; use one that "
                "was trained with --norm batch, which has none either"
            )
        if not normalised:
            continue
        ones, zeros = np.ones(layer.channels), np.zeros(layer.channels)
        name = f"{layer.name}_norm"
        weights[f"{name}/gamma"] = _float32(state.get(f"{layer.norm}.weight", ones))
        weights[f"{name}/beta"] = _float32(state.get(f"{layer.norm}.bias", zeros))
        if norm == "batch":
            mean = _float32(state[f"{layer.norm}.running_mean"])
            # A bias moves the mean and nothing else.
            weights[f"{name}/moving_mean"] = mean if bias is None else mean - _float32(bias)
            weights[f"{name}/moving_variance"] = _float32(state[f"{layer.norm}.running_var"])
    return weights, norm, "pytorch" if biased else "paper"


def _kind_of(state: State, layers: list[TorchLayer]) -> tuple[str, bool, bool]:
    """The normalisation, by what any of its layers has, so that a key that is missing is missed;
    whether it has scales and offsets; whether all convolutions have biases in their place.
    """
    norms = [layer.norm for layer in layers if layer.norm]
    affine = any(f"{norm}.{part}" in state for norm in norms for part in _AFFINE)
    running = any(f"{norm}.{part}" in state for norm in norms for part in _STATISTICS)
    extra = any(f"{layer.key}.bias" in state for layer in layers if not layer.biased)
    if affine and running:
        return "batch", affine, False
    norm = "instance" if affine or running or extra else "none"
    return norm, affine, extra and not affine


def _check(
    state: State,
    expected: Mapping[str, tuple[int, ...]],
    optional: set[str],
    source: str,
    what: str,
) -> None:
    for key, shape in expected.items():
        if key not in state:
            if key in optional:
                continue
            raise UserError(
                f"{source} lacks '{key}' of shape {list(shape)}, which {what} has; give a whole "
                "state dict"
            )
        found = tuple(state[key].shape)
        if found != shape:
            raise UserError(
                f"{source}: '{key}' has the shape {list(found)}, and {what} has {list(shape)} "
                "there; only the networks of pytorch-CycleGAN-and-pix2pix as they are can be taken "
                "over"
            )
        if not np.all(np.isfinite(state[key])):
            raise UserError(f"{source}: '{key}' holds NaN or infinite values; give another file")
    for key in state:
        if key not in expected:
            raise UserError(
                f"{source} holds '{key}' of shape {list(state[key].shape)}, which {what} does not "
                "have; only the networks of pytorch-CycleGAN-and-pix2pix as they are can be taken "
                "over"
            )


def _write(weights: State, layers: list[TorchLayer]) -> dict[str, np.ndarray]:
    state: dict[str, np.ndarray] = {}
    for layer in layers:
        state[f"{layer.key}.weight"] = _kernel_to_torch(weights[f"{layer.name}/kernel"], layer)
        name = f"{layer.name}_norm"
        # One that goes before a scale and an offset adds nothing, and PyTorch has none there.
        if f"{layer.name}/bias" in weights and f"{name}/gamma" not in weights:
            state[f"{layer.key}.bias"] = _float32(weights[f"{layer.name}/bias"])
        if f"{name}/gamma" not in weights:
            continue
        for part, ours in _AFFINE.items():
            state[f"{layer.norm}.{part}"] = _float32(weights[f"{name}/{ours}"])
        neutral = {"moving_mean": np.zeros, "moving_variance": np.ones}
        for part, ours in _STATISTICS.items():
            values = weights.get(f"{name}/{ours}")
            state[f"{layer.norm}.{part}"] = _float32(
                neutral[ours](layer.channels) if values is None else values
            )
        state[f"{layer.norm}.{_COUNTER}"] = np.array(0, np.int64)
    return state


def _kernel_from_torch(kernel: np.ndarray, layer: TorchLayer) -> np.ndarray:
    kernel = kernel.transpose(2, 3, 1, 0)
    return _float32(_swapped(kernel, 3) if layer.joined else kernel)


def _kernel_to_torch(kernel: np.ndarray, layer: TorchLayer) -> np.ndarray:
    kernel = kernel.transpose(3, 2, 0, 1)
    return _float32(_swapped(kernel, 0) if layer.joined else kernel)


def _swapped(kernel: np.ndarray, axis: int) -> np.ndarray:
    """With the two halves of an axis exchanged."""
    return np.roll(kernel, kernel.shape[axis] // 2, axis)


def _float32(values: np.ndarray) -> np.ndarray:
    return np.array(values, np.float32, order="C")


# === What a state dict is ===


_WRAPPERS = ("module", "_orig_mod")


def _unwrapped(state: State, model: str, source: str) -> State:
    """The keys as the network itself has them.

    Args:
      state: arrays by key.
      model: what a whole model calls the network.
      source: as in `generator_from_torch`.
    """
    plain: dict[str, np.ndarray] = {}
    parts = {key: [part for part in key.split(".") if part not in _WRAPPERS] for key in state}
    whole = any(names[0] == model for names in parts.values() if names)
    for key, names in parts.items():
        if whole and names[:1] != [model]:
            continue  # of the other network
        while names[:1] == [model]:
            names = names[1:]
        name = ".".join(names)
        if name in plain:
            raise UserError(f"{source} holds '{name}' twice ('{key}'); save net.state_dict() alone")
        plain[name] = state[key]
    return plain


def _kernel(state: State, key: str, source: str) -> np.ndarray:
    """A kernel that says how wide the network is."""
    if key not in state:
        raise UserError(f"{source} lacks '{key}'; give a whole state dict of a unet generator")
    kernel = state[key]
    if kernel.ndim != 4 or 0 in kernel.shape:
        raise UserError(
            f"{source}: '{key}' has the shape {list(kernel.shape)}; expected four dimensions"
        )
    return kernel


def _no_generator(state: State) -> str:
    if "net.0.weight" in state or "model.0.weight" in state:
        return "holds a discriminator; expected a generator (the file *_net_G.pth)"
    return (
        "holds no U-Net or ResNet generator: it lacks 'model.model.0.weight' and 'conv_block' "
        f"({_keys(state)})"
    )


def _no_discriminator(state: State) -> str:
    if "model.model.0.weight" in state or any(".conv_block." in key for key in state):
        return "holds a generator; expected a discriminator (the file *_net_D.pth)"
    return f"holds no PatchGAN discriminator: it lacks 'model.0.weight' ({_keys(state)})"


def _keys(state: State) -> str:
    return f"its first key is '{next(iter(state))}'" if state else "it is empty"
