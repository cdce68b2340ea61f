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

from tfpix2pix.algorithms.registry import config_fields
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_json, write_text
from tfpix2pix.base.options import as_kept
from tfpix2pix.base.size import Size
from tfpix2pix.config import Config, load_config, resolve
from tfpix2pix.export.torch.files import check_readable, read_state
from tfpix2pix.export.torch.layers import LEVELS
from tfpix2pix.export.torch.options import Networks
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
) -> Imported:
    """Reads networks that PyTorch trained. Does not need TensorFlow.

    Args:
      generator: its state dict, ``.pth`` or ``.safetensors``.
      discriminator: its state dict, likewise.
      settings: config fields that the weights do not tell, such as ``norm``, ``dataset``,
        ``direction``, ``dropout``; what the weights do tell may be given and must agree.

    Raises:
      UserError: a file that cannot be read or does not fit, settings that do not go with it.
    """
    path_g = check_readable(generator, "--generator")
    path_d = check_readable(discriminator, "--discriminator") if discriminator else None
    net_g = generator_from_torch(read_state(path_g), str(path_g))
    net_d = discriminator_from_torch(read_state(path_d), str(path_d)) if path_d else None
    config, notes = config_for(net_g, net_d, dict(settings or {}), str(path_g), str(path_d))
    weights = {"generator": net_g.weights}
    files = {"generator": _facts(path_g, net_g)}
    if path_d is not None and net_d is not None:
        weights["discriminator"] = net_d.weights
        files["discriminator"] = _facts(path_d, net_d)
    return Imported(config, weights, files, notes)


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
) -> tuple[Config, list[str]]:
    """The config of an imported run: what the weights tell, and the settings for the rest.

    Args:
      net_g, net_d: the networks that were read.
      settings: config fields that were asked for.
      source_g, source_d: what to call the two in errors.

    Returns:
      The config and notes for the user.

    Raises:
      UserError: settings or networks that do not go together.
    """
    notes: list[str] = []
    values = {"preset": "paper", **settings}
    # The depth is all that weights tell of a size: that of its smaller side.
    given = as_kept(config_fields()["crop_size"], values.get("crop_size"))
    if not isinstance(given, Size) or 1 << given.smaller.bit_length() - 1 != net_g.crop_size:
        _agree(values, "crop_size", net_g.crop_size, source_g)
    _agree(values, "ngf", net_g.ngf, source_g)
    _agree(values, "input_channels", net_g.input_channels, source_g)
    _agree(values, "target_channels", net_g.output_channels, source_g)
    values["norm"] = _norm(settings.get("norm"), net_g.norm, source_g)
    _agree(values, "bias_layers", net_g.bias_layers, source_g)
    for field, plain in _PLAIN.items():
        _agree(values, field, plain, source_g)
    if net_g.crop_size < 64:
        _agree(values, "dropout", 0.0, source_g)  # so shallow a U-Net has no dropout there
    else:
        values.setdefault("dropout_layers", "pytorch")
    if net_d is not None:
        _agree(values, "receptive_field", net_d.receptive_field, source_d)
        _agree(values, "ndf", net_d.ndf, source_d)
        for field, plain in {"spectral_norm": False, "discriminator_scales": 1}.items():
            _agree(values, field, plain, source_d)
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

    for name, variable in named_weights(network).items():
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
      network: ``generator`` or ``discriminator``.
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

    translator = load(workdir, checkpoint, say, weights)
    config, model = translator.config, translator.generator
    if network == "discriminator":
        model = algorithm_class(config.algorithm)(config).networks["discriminator"]
        Checkpoints(workdir).restore({"discriminator": named_weights(model)}, translator.step)
    values = {name: variable.numpy() for name, variable in named_weights(model).items()}
    to_torch = generator_to_torch if network == "generator" else discriminator_to_torch
    return to_torch(values), config, translator.step


def check_exportable(config: Config, network: str, workdir: str | os.PathLike[str]) -> None:
    """Refuses networks that the PyTorch code does not have.

    Raises:
      UserError: an encoder-decoder, layers of another kind, a discriminator where there is none, or
        another algorithm's.
    """
    run = Networks.of(config)
    if network == "generator" and run.generator != "unet":
        raise UserError(
            f"--workdir={workdir}: its generator is an {run.generator}, which the PyTorch code "
            "does not have; only U-Nets (--generator=unet) can be exported"
        )
    wanted: dict[str, Any] = {
        "norm": "instance, batch or none" if run.norm == "group" else run.norm
    }
    if network == "generator":
        wanted |= {name: value for name, value in _PLAIN.items() if name != "bottleneck"}
    else:
        wanted["spectral_norm"] = False
    for name, value in wanted.items():
        found = getattr(run, name)
        if found != value:
            raise UserError(
                f"--workdir={workdir} was trained with --{name}={str(found).lower()}, which the "
                f"PyTorch code's {network} does not have; only such with "
                f"--{name}={str(value).lower()} can be exported"
            )
    levels = config.size_multiple.bit_length() - 1
    if network == "generator" and levels not in LEVELS:
        raise UserError(
            f"--workdir={workdir}: its generator has {levels} levels (crop_size "
            f"{config.crop_size}, bottleneck {run.bottleneck}), and the PyTorch code's has "
            f"{LEVELS[0]} or more"
        )
    if network == "discriminator" and not config.has_discriminator:
        raise UserError(
            f"--workdir={workdir} was trained with --loss=l1 and has no discriminator; use "
            "--network=generator"
        )
