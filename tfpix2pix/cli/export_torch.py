"""``tfpix2pix export-torch``: a run's weights for the authors' PyTorch code."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfpix2pix.cli.flags import Parser
from tfpix2pix.config import Config
from tfpix2pix.errors import UserError

USAGE = "tfpix2pix export-torch --workdir=RUN --output=FILE.pth|FILE.safetensors"
DESCRIPTION = """\
Writes a run's weights as a state dict of pytorch-CycleGAN-and-pix2pix: a U-Net as its unet_256 or
unet_128 (or that depth), a discriminator as its basic, n_layers or pixel, with batch normalisation
in its names; a run of --bias_layers=pytorch as one of --norm instance."""


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to export")
    group.add_argument("--workdir", metavar="RUN", help="the run's folder (required)")
    group.add_argument(
        "--output",
        metavar="FILE",
        help="the file to write: .pth, or .safetensors, which needs no torch (required)",
    )
    group.add_argument(
        "--network",
        default="generator",
        metavar="generator|discriminator",
        help="which network [generator]",
    )
    group.add_argument(
        "--checkpoint",
        default="latest",
        metavar="latest|best|STEP",
        help="which weights: the newest, the best by the run's val measure, or a step's [latest]",
    )


def main(args: argparse.Namespace) -> int:
    for flag in ("workdir", "output"):
        if not getattr(args, flag):
            raise UserError(f"--{flag} is missing; see `tfpix2pix export-torch --help`")
    if args.network not in ("generator", "discriminator"):
        raise UserError(f"--network={args.network}: expected generator or discriminator")
    from tfpix2pix.export.torch_files import check_suffix, write_state
    from tfpix2pix.export.torch_runs import check_exportable, export_state

    output = Path(args.output).expanduser()
    if output.is_dir():
        raise UserError(f"--output={args.output} is a folder; give a file (.pth or .safetensors)")
    check_suffix(output, "--output")
    check_exportable(Config.load(args.workdir), args.network, args.workdir)

    from tfpix2pix.progress import say
    from tfpix2pix.quiet import import_tensorflow

    import_tensorflow()
    state, config, step = export_state(args.workdir, args.network, args.checkpoint, say)
    write_state(output, state)
    say(f"{args.workdir} at step {step:,}: {args.network}, {len(state):,} tensors: {args.output}")
    say(f"in the PyTorch code: {_options(config, args.network)}")
    for note in _notes(config, args.network):
        say(f"note: {note}")
    return 0


def _options(config: Config, network: str) -> str:
    """The options of the PyTorch code that build this network."""
    norm = "none" if config.norm == "none" else "batch"
    if config.bias_layers == "pytorch":
        norm = "instance"
    if network == "generator":
        levels = config.crop_size.bit_length() - 1
        kind = {7: "--netG unet_128", 8: "--netG unet_256"}.get(
            levels, f"UnetGenerator with num_downs={levels}"
        )
        options = f"--ngf {config.ngf}"
    else:
        kind = {
            1: "--netD pixel",
            16: "--netD n_layers --n_layers_D 1",
            70: "--netD basic",
            286: "--netD n_layers --n_layers_D 5",
        }[config.receptive_field]
        options = f"--ndf {config.ndf}"
    channels = f"--input_nc {config.x_channels} --output_nc {config.y_channels}"
    return f"{kind} {options} {channels} --norm {norm}"


def _notes(config: Config, network: str) -> list[str]:
    notes = []
    if config.norm == "instance" and config.bias_layers == "paper":
        notes.append(
            "the run's statistics are those of each image, so the file has no moving averages (0 "
            "and 1); use it in train mode with batch size 1, as the PyTorch code's test does; "
            "eval mode (--eval) would give wrong pictures"
        )
    if network == "generator" and config.dropout_layers == "paper" and config.dropout:
        notes.append(
            "the run has dropout in the innermost decoder layers, as the paper; the PyTorch code "
            "has it elsewhere, so its pictures agree with dropout off (--no_dropout) only"
        )
    if network == "generator" and config.dropout not in (0.0, 0.5):
        notes.append(f"the run's dropout is {config.dropout:g}; the PyTorch code's is 0.5")
    return notes
