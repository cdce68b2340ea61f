"""``tfpix2pix export-torch``: a run's weights for the authors' PyTorch code."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfpix2pix.base.errors import UserError
from tfpix2pix.cli.flags import Parser, add_weights
from tfpix2pix.config import load_config

USAGE = "tfpix2pix export-torch --workdir=RUN --output=FILE.pth|FILE.safetensors"
DESCRIPTION = """\
Writes a run's weights as a state dict of pytorch-CycleGAN-and-pix2pix: a U-Net as its unet_256 or
unet_128 (or that depth), a ResNet as its resnet_6blocks or resnet_9blocks, a discriminator as its
basic, n_layers or pixel, with batch normalisation in its names; a run of --bias_layers=pytorch or
--norm=instance_plain as one of --norm instance."""


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
        help="which network; of a run that learned both ways also generator_back and "
        "discriminator_back, from targets to inputs [generator]",
    )
    group.add_argument(
        "--checkpoint",
        default="latest",
        metavar="latest|best|STEP",
        help="which weights: the newest, the best by the run's val measure, or a step's [latest]",
    )
    add_weights(group, "a generator trained")


def main(args: argparse.Namespace) -> int:
    for flag in ("workdir", "output"):
        if not getattr(args, flag):
            raise UserError(f"--{flag} is missing; see `tfpix2pix export-torch --help`")
    if args.network.removesuffix("_back") not in ("generator", "discriminator"):
        raise UserError(
            f"--network={args.network}: expected generator or discriminator, or of a run that "
            "learned both ways generator_back or discriminator_back"
        )
    from tfpix2pix.inference import check_weights

    check_weights(args.weights)
    from tfpix2pix.export.torch.files import check_suffix, write_state
    from tfpix2pix.export.torch.options import notes_of, options_of
    from tfpix2pix.export.torch.runs import check_exportable, export_state

    output = Path(args.output).expanduser()
    if output.is_dir():
        raise UserError(f"--output={args.output} is a folder; give a file (.pth or .safetensors)")
    check_suffix(output, "--output")
    check_exportable(load_config(args.workdir), args.network, args.workdir)

    from tfpix2pix.base.progress import say
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    state, config, step = export_state(
        args.workdir, args.network, args.checkpoint, say, args.weights
    )
    write_state(output, state)
    say(f"{args.workdir} at step {step:,}: {args.network}, {len(state):,} tensors: {args.output}")
    say(f"in the PyTorch code: {options_of(config, args.network)}")
    for note in notes_of(config, args.network):
        say(f"note: {note}")
    return 0
