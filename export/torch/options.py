"""How the authors' PyTorch code is told what network a run's weights are of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import plain_values
from tfpix2pix.config import Config

RESNETS = {"resnet6": "resnet_6blocks", "resnet9": "resnet_9blocks"}
"""The PyTorch code's names of ours."""


@dataclass(frozen=True)
class Networks:
    """The fields of a config that say which of the PyTorch code's networks a run has."""

    generator: str
    ngf: int
    ndf: int
    receptive_field: int
    norm: str
    bias_layers: str
    dropout: float
    dropout_layers: str
    bottleneck: int
    upsampling: str
    padding: str
    noise_channels: int
    last_channels: int
    spectral_norm: bool
    discriminator_scales: int = 1
    latent: int = 0

    @classmethod
    def of(cls, config: Config) -> Networks:
        """Those of a run.

        Raises:
          UserError: the run's algorithm has other networks.
        """
        values = plain_values(config)
        fields = dataclasses.fields(cls)
        names = [field.name for field in fields if field.name in values]
        needed = {field.name for field in fields if field.default is dataclasses.MISSING}
        if not needed <= set(names):
            raise UserError(
                f"the PyTorch code does not have the networks of --algorithm={config.algorithm}"
            )
        return cls(**{name: values[name] for name in names})


def options_of(config: Config, network: str) -> str:
    """The options of the PyTorch code that build a run's ``generator`` or ``discriminator``."""
    run = Networks.of(config)
    norm = "none" if run.norm == "none" else "batch"
    if run.bias_layers == "pytorch" or run.norm == "instance_plain":
        norm = "instance"
    if network.startswith("generator") and run.generator in RESNETS:
        kind = f"--netG {RESNETS[run.generator]}"
        options = f"--ngf {run.ngf}" + ("" if run.dropout else " --no_dropout")
    elif network.startswith("generator"):
        levels = config.size_multiple.bit_length() - 1
        kind = {7: "--netG unet_128", 8: "--netG unet_256"}.get(
            levels, f"UnetGenerator with num_downs={levels}"
        )
        options = f"--ngf {run.ngf}"
    else:
        kind = {
            1: "--netD pixel",
            16: "--netD n_layers --n_layers_D 1",
            70: "--netD basic",
            286: "--netD n_layers --n_layers_D 5",
        }[run.receptive_field]
        options = f"--ndf {run.ndf}"
    channels = f"--input_nc {config.x_channels} --output_nc {config.y_channels}"
    return f"{kind} {options} {channels} --norm {norm}"


def notes_of(config: Config, network: str) -> list[str]:
    """What a user of the PyTorch code must know of a run's weights, a sentence each."""
    notes, run = [], Networks.of(config)
    if run.norm == "instance" and run.bias_layers != "pytorch":
        notes.append(
            "the run's statistics are those of each image, so the file has no moving averages (0 "
            "and 1); use it in train mode with batch size 1, as the PyTorch code's test does; "
            "eval mode (--eval) would give wrong pictures"
        )
    innermost = run.dropout_layers == "paper" and run.generator not in RESNETS
    if network.startswith("generator") and innermost and run.dropout:
        notes.append(
            "the run has dropout in the innermost decoder layers, as the paper; the PyTorch code "
            "has it elsewhere, so its pictures agree with dropout off (--no_dropout) only"
        )
    if network == "discriminator" and run.discriminator_scales > 1:
        notes.append(
            f"the run has {run.discriminator_scales} discriminators; this is the one that sees "
            "images of the full size"
        )
    if network.startswith("generator") and run.dropout not in (0.0, 0.5):
        notes.append(f"the run's dropout is {run.dropout:g}; the PyTorch code's is 0.5")
    return notes
