"""Runs made of PyTorch weights, and PyTorch weights made of runs."""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.algorithms.registry import TWO_WAY, config_class, config_fields
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_json, write_text
from tfpix2pix.base.options import as_kept
from tfpix2pix.base.size import Size
from tfpix2pix.config import Config, load_config, resolve
from tfpix2pix.export.torch.files import check_readable, read_state
from tfpix2pix.export.torch.layers import LEVELS
from tfpix2pix.export.torch.options import RESNETS, Networks
from tfpix2pix.export.torch.weights import (
    TorchDiscriminator,
    TorchGenerator,
    discriminator_from_torch,
    discriminator_to_torch,
    generator_from_torch,
    generator_to_torch,
)

IMPORT_FILE = "import.json"
# Of the generators that the PyTorch code has.
_PLAIN = {
    "bottleneck": 1,
    "upsampling": "transposed",
    "padding": "zeros",
    "noise_channels": 0,
    "last_channels": 0,
    "latent": 0,
}


# === From PyTorch ===


@dataclass(frozen=True)
class Imported:
    """Networks that were read, and the run that they make.

    Attributes:
      config: of the run.
      weights: network's name -> weights by our names.
      files: network's name -> facts of the file, for ``import.json``.
      notes: for the user, in plain words.
    """

    config: Config
    weights: dict[str, dict[str, np.ndarray]]
    files: dict[str, dict[str, Any]]
    notes: list[str]


def read_networks(
    generator: str | os.PathLike[str],
    discriminator: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    generator_back: str | os.PathLike[str] | None = None,
    discriminator_back: str | os.PathLike[str] | None = None,
) -> Imported:
    """Reads networks that PyTorch trained. Does not need TensorFlow.

    Args:
      generator: its state dict, ``.pth`` or ``.safetensors``.
      discriminator: its state dict, likewise.
      settings: config fields that the weights do not tell, such as ``norm``, ``dataset``,
        ``direction``, ``dropout``; what the weights do tell may be given and must agree.
      generator_back: of CycleGAN, the generator from targets to inputs (``latest_net_G_B.pth``
        where the first is ``latest_net_G_A.pth``).
      discriminator_back: with it, what judges its pictures (``latest_net_D_B.pth``).

    Raises:
      UserError: a file that cannot be read or does not fit, settings that do not go with it.
    """
    path_g = check_readable(generator, "--generator")
    path_d = check_readable(discriminator, "--discriminator") if discriminator else None
    net_g = generator_from_torch(read_state(path_g), str(path_g))
    net_d = discriminator_from_torch(read_state(path_d), str(path_d)) if path_d else None
    found: dict[str, tuple[Path | None, TorchGenerator | TorchDiscriminator | None]] = {
        "generator": (path_g, net_g),
        "discriminator": (path_d, net_d),
    }
    both_ways = generator_back is not None
    if not both_ways and discriminator_back is not None:
        raise UserError(
            f"--discriminator_back={discriminator_back} judges the pictures of a second generator; "
            "give that with --generator_back, or give this one with --discriminator"
        )
    given = dict(settings or {})
    config, notes = config_for(net_g, net_d, given, str(path_g), str(path_d), both_ways)
    if generator_back is not None:
        back = check_readable(generator_back, "--generator_back")
        net_back = generator_from_torch(read_state(back), str(back))
        _check_alike(net_g, net_back, str(path_g), str(back))
        found["generator_back"] = back, net_back
    if discriminator_back is not None:
        back = check_readable(discriminator_back, "--discriminator_back")
        judge = discriminator_from_torch(read_state(back), str(back))
        _check_judge(config, net_g, judge, net_g.input_channels, str(back), str(path_g))
        found["discriminator_back"] = back, judge
    read = {name: (at, net) for name, (at, net) in found.items() if at and net}
    return Imported(
        config,
        {name: net.weights for name, (_, net) in read.items()},
        {name: _facts(at, net) for name, (at, net) in read.items()},
        notes,
    )


def _check_alike(one: TorchGenerator, back: TorchGenerator, source: str, source_back: str) -> None:
    """Refuses a generator that is not the way back of another."""
    for what, found, expected in (
        ("blocks", back.blocks, one.blocks),
        ("levels", back.crop_size.bit_length() - 1, one.crop_size.bit_length() - 1),
        ("channels of the first layer (ngf)", back.ngf, one.ngf),
        ("channels of its input", back.input_channels, one.output_channels),
        ("channels of its output", back.output_channels, one.input_channels),
        ("normalisation", back.norm, one.norm),
        ("dropout", back.dropout, one.dropout),
    ):
        if found != expected:
            raise UserError(
                f"{source_back} is not the way back of {source}: {what}: {found}, expected "
                f"{expected}; give the two generators of one run (latest_net_G_A.pth and "
                "latest_net_G_B.pth)"
            )


def _check_judge(
    config: Config,
    net_g: TorchGenerator,
    net_d: TorchDiscriminator,
    channels: int,
    source: str,
    source_g: str,
) -> None:
    """Refuses a discriminator that does not judge single images of so many channels, or that is not
    as the run's config has them."""
    run = Networks.of(config)
    for what, found, expected in (
        ("channels of what it sees", net_d.channels, channels),
        ("receptive field", net_d.receptive_field, run.receptive_field),
        ("channels of the first layer (ndf)", net_d.ndf, run.ndf),
        ("normalisation", net_d.norm, net_g.norm),
    ):
        if found != expected:
            raise UserError(
                f"{source} does not go with {source_g}: {what}: {found}, expected {expected}; give "
                "the discriminators that were trained with these generators"
            )


def write_run(imported: Imported, workdir: str | os.PathLike[str]) -> None:
    """Makes a workdir of networks that were read, to translate with or to train on.

    It has what a trained one has: ``config.json`` and a checkpoint (of step 0, with Adam's slots
    zero), and ``import.json``, which says where the weights came from. Without a discriminator its
    discriminator has seeded initial weights. The workdir is whole or not there.

    Args:
      imported: from `read_networks`.
      workdir: the folder to make; new or empty.

    Raises:
      UserError: the workdir is in use or cannot be written.
    """
    from tfpix2pix.algorithms.registry import algorithm_class
    from tfpix2pix.training.checkpoints import Checkpoints

    workdir = Path(workdir).expanduser()
    check_new(workdir)
    algorithm = algorithm_class(imported.config.algorithm)(imported.config)
    networks = algorithm.networks
    for name, weights in imported.weights.items():
        _assign(networks[name], weights)
    algorithm.restart_averages()

    # A sibling, so that the rename stays within one file system.
    place = workdir.absolute()
    for left in place.parent.glob(f".{glob.escape(place.name)}.????????.tmp"):
        shutil.rmtree(left, ignore_errors=True)  # of an import that was killed
    hidden = place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        (hidden / "samples").mkdir(parents=True)
        write_text(hidden / "config.json", imported.config.to_json())
        write_json(hidden / IMPORT_FILE, imported.files)
        facts: dict[str, Any] = {"best": None, "seconds": 0.0, "dataset": {}}
        Checkpoints(hidden).save(algorithm.state(), 0, facts)
        os.replace(hidden, workdir)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir} cannot be written ({error.strerror}); give a folder that you may "
            "write to"
        ) from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def check_new(workdir: Path) -> None:
    """Refuses a workdir that is in use.

    Raises:
      UserError: it is a file, or a folder with something in it.
    """
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is a file; give a new folder")
    if workdir.is_dir() and any(workdir.iterdir()):
        raise UserError(f"--workdir={workdir} is not empty; give a new folder")


def config_for(
    net_g: TorchGenerator,
    net_d: TorchDiscriminator | None,
    settings: Mapping[str, Any],
    source_g: str,
    source_d: str,
    both_ways: bool = False,
) -> tuple[Config, list[str]]:
    """The config of an imported run: what the weights tell, and the settings for the rest.

    Args:
      net_g, net_d: the networks that were read.
      settings: config fields that were asked for.
      source_g, source_d: what to call the two in errors.
      both_ways: whether there is a second generator, the way back.

    Returns:
      The config and notes for the user.

    Raises:
      UserError: settings or networks that do not go together.
    """
    notes: list[str] = []
    values = {"preset": "paper", **settings}
    if both_ways:
        values |= {"algorithm": TWO_WAY, "preset": config_class(TWO_WAY).preset}
    if net_g.blocks:
        values["generator"] = f"resnet{net_g.blocks}"
    # The depth is all that weights tell of a size: that of its smaller side.
    given = as_kept(config_fields()["crop_size"], values.get("crop_size"))
    fits = isinstance(given, Size) and 1 << given.smaller.bit_length() - 1 == net_g.crop_size
    if not net_g.blocks and not fits:
        _agree(values, "crop_size", net_g.crop_size, source_g)
    _agree(values, "ngf", net_g.ngf, source_g)
    _agree(values, "input_channels", net_g.input_channels, source_g)
    _agree(values, "target_channels", net_g.output_channels, source_g)
    values["norm"] = _norm(settings.get("norm"), net_g.norm, source_g)
    _agree(values, "bias_layers", net_g.bias_layers, source_g)
    for field, plain in _PLAIN.items():
        _agree(values, field, plain, source_g)
    if net_g.blocks:
        _agree(values, "dropout_layers", "paper", source_g)  # of U-Nets
        if not net_g.dropout:
            _agree(values, "dropout", 0.0, source_g)
        values.setdefault("dropout", 0.5)
    elif net_g.crop_size < 64:
        _agree(values, "dropout", 0.0, source_g)  # so shallow a U-Net has no dropout there
    else:
        values.setdefault("dropout_layers", "pytorch")
    if net_d is not None:
        _agree(values, "receptive_field", net_d.receptive_field, source_d)
        _agree(values, "ndf", net_d.ndf, source_d)
        _agree(values, "spectral_norm", False, source_d)
        if not both_ways:
            _agree(values, "discriminator_scales", 1, source_d)
        _norm(values["norm"], net_d.norm, source_d)  # raises where it does not fit
        if net_d.bias_layers != net_g.bias_layers:
            biased, other = source_d, source_g
            if net_g.bias_layers == "pytorch":
                biased, other = other, biased
            raise UserError(
                f"{biased} has a bias in every convolution (--norm instance) and {other} has not; "
                "give the discriminator that was trained with this generator, or leave "
                "--discriminator out"
            )
    if net_d is not None and not both_ways:
        conditional = net_g.input_channels + net_g.output_channels
        if net_d.channels not in (conditional, net_g.output_channels):
            raise UserError(
                f"{source_d} sees {net_d.channels} channels; the generator's x and y have "
                f"{conditional} together, and y alone has {net_g.output_channels}; give the "
                "discriminator that was trained with this generator"
            )
        losses = ("l1+cgan", "cgan") if net_d.channels == conditional else ("l1+gan", "gan")
        if values.setdefault("loss", losses[0]) not in losses:
            raise UserError(
                f"--loss={values['loss']} does not go with {source_d}, which sees {net_d.channels} "
                f"channels; use --loss={losses[0]}, or leave the flag out"
            )
    config = resolve(values)
    if net_d is not None and both_ways:
        _check_judge(config, net_g, net_d, net_g.output_channels, source_d, source_g)
    if not settings.get("dataset") and not config.input_dir:
        config = config.replace(dataset="")
        notes.append("no --dataset was given, so to train on, give it to `tfpix2pix train`")
    elif net_d is None and config.has_discriminator:
        notes.append("no --discriminator was given, so training on begins with an untrained one")
    if net_g.norm == "batch" and values["norm"] == "instance":
        notes.append(
            "statistics are those of each image, as the PyTorch code's test without --eval; for "
            "--eval give --norm=batch here and --deterministic to translate"
        )
    return config, notes


def _agree(values: dict[str, Any], field: str, found: Any, source: str) -> None:
    """Sets a field that the weights tell, unless it was given and is another."""
    if values.get(field, found) != found:
        raise UserError(
            f"--{field}={values[field]} does not go with {source}, whose network has {found}; "
            "leave the flag out"
        )
    values[field] = found


def _norm(wanted: str | None, trained: str, source: str) -> str:
    """The config's ``norm`` for weights that were trained with one."""
    possible = {"batch": ("instance", "batch"), "instance": ("instance",), "none": ("none",)}
    reasons = {
        "batch": "has batch normalisation",
        "instance": "was trained with instance normalisation and has no moving averages for it",
        "none": "has no normalisation",
    }
    if wanted is None:
        return possible[trained][0]
    if wanted not in possible[trained]:
        raise UserError(
            f"--norm={wanted} does not go with {source}, which {reasons[trained]}; use "
            f"--norm={' or --norm='.join(possible[trained])}"
        )
    return wanted


def _facts(path: Path, network: TorchGenerator | TorchDiscriminator) -> dict[str, Any]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": path.name, "sha256": digest, "trained_with_norm": network.norm}


def _assign(network: Any, weights: Mapping[str, np.ndarray]) -> None:
    from tfpix2pix.models.weights import named_weights

    idle = {layer.name for layer in network.layers if getattr(layer, "idle_bias", False)}
    for name, variable in named_weights(network).items():
        if name in weights or name.removesuffix("/bias") not in idle:
            variable.assign(weights[name])


# === To PyTorch ===


def export_state(
    workdir: str | os.PathLike[str],
    network: str = "generator",
    checkpoint: str | int = "latest",
    say: Any = lambda text: None,
    weights: str = "average",
) -> tuple[dict[str, np.ndarray], Config, int]:
    """The state dict of a run's network, by PyTorch's names.

    Args:
      workdir: the run's folder.
      network: ``generator`` or ``discriminator``, or of a run that learned both ways
        ``generator_back`` or ``discriminator_back``.
      checkpoint: ``latest``, ``best`` or a step.
      say: told in a sentence when a damaged checkpoint was passed over.
      weights: of the generator, ``average`` or ``raw``, as in `tfpix2pix.inference.load`.

    Returns:
      The tensors by key, the run's config, and the step that they come from.

    Raises:
      UserError: no run, no such checkpoint, or a network that the PyTorch code does not have.
    """
    check_exportable(load_config(workdir), network, workdir)
    from tfpix2pix.algorithms.registry import algorithm_class
    from tfpix2pix.inference import load
    from tfpix2pix.models.weights import named_weights
    from tfpix2pix.training.checkpoints import Checkpoints

    way = load_config(workdir).directions[-1 if network == "generator_back" else 0]
    translator = load(workdir, checkpoint, say, weights, way)
    config, model = translator.config, translator.generator
    if network.startswith("discriminator"):
        model = algorithm_class(config.algorithm)(config).networks[network]
        Checkpoints(workdir).restore({network: named_weights(model)}, translator.step)
    values = {name: variable.numpy() for name, variable in named_weights(model).items()}
    if network.startswith("discriminator"):
        return discriminator_to_torch(values), config, translator.step
    dropout = Networks.of(config).dropout > 0
    return generator_to_torch(values, dropout), config, translator.step


def check_exportable(config: Config, network: str, workdir: str | os.PathLike[str]) -> None:
    """Refuses networks that the PyTorch code does not have.

    Raises:
      UserError: an encoder-decoder, layers of another kind, a discriminator where there is none, or
        another algorithm's.
    """
    run, way, part = Networks.of(config), network.removesuffix("_back"), network
    if part != way and len(config.directions) == 1:
        raise UserError(
            f"--network={part}: --workdir={workdir} learned one direction; use --network={way}"
        )
    if way == "generator" and run.generator not in ("unet", *RESNETS):
        raise UserError(
            f"--workdir={workdir}: its generator is an {run.generator}, which the PyTorch code "
            f"does not have; only U-Nets and ResNets (--generator=unet, {', '.join(RESNETS)}) can "
            "be exported"
        )
    if way == "generator" and config.latent_size:
        raise UserError(
            f"--workdir={workdir}: its generator reads a latent of {config.latent_size} numbers, "
            "which the PyTorch code's does not have; hand it on in another format: "
            f"tfpix2pix export --workdir={workdir} --output=DIR"
        )
    wanted: dict[str, Any] = {
        "norm": "instance, batch or none" if run.norm == "group" else run.norm
    }
    if way == "generator":
        wanted |= {name: value for name, value in _PLAIN.items() if name != "bottleneck"}
    else:
        wanted["spectral_norm"] = False
    for name, value in wanted.items():
        found = getattr(run, name)
        if found != value:
            raise UserError(
                f"--workdir={workdir} was trained with --{name}={str(found).lower()}, which the "
                f"PyTorch code's {way} does not have; only such with "
                f"--{name}={str(value).lower()} can be exported"
            )
    if way == "generator" and config.labels_out:
        raise UserError(
            f"--workdir={workdir} was trained with --target_encoding={config.target_encoding}: its "
            "generator ends in logits, and the PyTorch code's in tanh; `tfpix2pix export` writes it"
        )
    levels = config.size_multiple.bit_length() - 1
    if way == "generator" and run.generator == "unet" and levels not in LEVELS:
        raise UserError(
            f"--workdir={workdir}: its generator has {levels} levels (crop_size "
            f"{config.crop_size}, bottleneck {run.bottleneck}), and the PyTorch code's has "
            f"{LEVELS[0]} or more"
        )
    if way == "discriminator" and not config.has_discriminator:
        raise UserError(
            f"--workdir={workdir} was trained with --loss=l1 and has no discriminator; use "
            "--network=generator"
        )
