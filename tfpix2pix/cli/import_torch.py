"""``tfpix2pix import-torch``: a run from the weights of the authors' PyTorch code."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from tfpix2pix.algorithms.registry import config_fields
from tfpix2pix.base.errors import UserError
from tfpix2pix.cli.flags import Parser, add_field, given_data_config

USAGE = "tfpix2pix import-torch FILE --workdir=RUN [--discriminator=FILE] [--dataset=FOLDER]"
DESCRIPTION = """\
Makes a run of weights that pytorch-CycleGAN-and-pix2pix trained: a generator unet_256, unet_128 (or
another depth), resnet_6blocks or resnet_9blocks, and, for training on, a discriminator basic,
n_layers (1, 3 or 5) or pixel; of CycleGAN one generator or both. Sizes and channels are read off
the weights. Files are state dicts, .pth (read without running code) or
.safetensors.

`tfpix2pix translate --workdir=RUN` then works as for any run; `tfpix2pix train --workdir=RUN
--steps=N` trains on; --dataset (or --input_dir and --target_dir) may be given here or there."""

# What the weights do not tell, in this order; crop_size is told and may be given as a check.
FIELDS = (
    "norm",
    "direction",
    "crop_size",
    "dropout",
    "dropout_layers",
    "dataset",
    "input_dir",
    "target_dir",
    "load_size",
    "batch_size",
    "loss",
    "learning_rate",
    "seed",
)
_HELP = {
    "norm": "statistics when translating: 'instance', each image's own, as the PyTorch code's test "
    "without --eval; 'batch', moving averages, as with --eval [instance]",
    "crop_size": "a check: the size that the generator's depth must give, pixels",
    "dataset": "pairs to train on with, later: as --dataset of `tfpix2pix train`",
    "dropout": "share of features dropped; 0 if it was trained with --no_dropout [0.5]",
    "dropout_layers": "where dropout stands: 'pytorch', as the PyTorch code has it, or 'paper' "
    "[pytorch]",
    "load_size": "side to which pairs are resized before the random crop, pixels [286 for 256]",
    "loss": "the objective [l1+cgan; l1+gan for a discriminator that sees y alone]",
}


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to import")
    group.add_argument(
        "file", nargs="?", metavar="FILE", help="the generator, such as latest_net_G.pth (required)"
    )
    group.add_argument("--generator", metavar="FILE", help="the same, as a flag")
    group.add_argument(
        "--discriminator", metavar="FILE", help="its discriminator, such as latest_net_D.pth"
    )
    group.add_argument(
        "--generator_back",
        metavar="FILE",
        help="of CycleGAN: the generator of the way back, latest_net_G_B.pth where the first one "
        "is latest_net_G_A.pth",
    )
    group.add_argument(
        "--discriminator_back",
        metavar="FILE",
        help="what judges its pictures, latest_net_D_B.pth (--discriminator is latest_net_D_A.pth)",
    )
    group.add_argument("--workdir", metavar="RUN", help="the folder to make (required)")
    group = parser.add_argument_group("What the weights do not tell")
    fields = config_fields()
    for name in FIELDS:
        add_field(group, fields[name], _HELP.get(name))


def main(args: argparse.Namespace) -> int:
    if args.file and args.generator and args.file != args.generator:
        raise UserError(
            f"--generator={args.generator} and {args.file} are two generators; give one"
        )
    generator = args.generator or args.file
    if not generator:
        raise UserError(
            "the generator's file is missing; see `tfpix2pix import-torch --help`"
            if args.workdir
            else "the generator's file and --workdir are missing; see `tfpix2pix import-torch "
            "--help`"
        )
    if not args.workdir:
        raise UserError("--workdir is missing; see `tfpix2pix import-torch --help`")
    # `generator` is a field of the config too, and another thing there.
    given = given_data_config(args)
    settings = {name: given[name] for name in FIELDS if name in given}

    from tfpix2pix.export.torch.files import check_readable
    from tfpix2pix.export.torch.options import Networks
    from tfpix2pix.export.torch.runs import check_new, read_networks, write_run

    # What can be refused without TensorFlow is.
    check_new(Path(args.workdir).expanduser())
    for flag, path in (
        ("--generator", generator),
        ("--discriminator", args.discriminator),
        ("--generator_back", args.generator_back),
        ("--discriminator_back", args.discriminator_back),
    ):
        if path:
            check_readable(path, flag)

    from tfpix2pix.base.progress import say

    imported = read_networks(
        generator,
        args.discriminator,
        settings,
        generator_back=args.generator_back,
        discriminator_back=args.discriminator_back,
    )
    config = imported.config

    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    write_run(imported, args.workdir)
    for note in imported.notes:
        say(f"note: {note}")
    run, made = shlex.quote(args.workdir), Networks.of(config)
    say(
        f"imported a {made.generator} of {config.crop_size} px, ngf {made.ngf}, "
        f"{config.x_channels} to {config.y_channels} channels, norm {made.norm}"
        + (", a bias in every layer" if made.bias_layers == "pytorch" else "")
        + (
            f", and a discriminator of {made.receptive_field} px, ndf {made.ndf}"
            if args.discriminator
            else ""
        )
        + f", into {args.workdir}"
    )
    say(f"to use it: tfpix2pix translate --workdir={run} --input=IMAGES --output=translated")
    if config.dataset or config.input_dir:
        say(f"to train on: tfpix2pix train --workdir={run} --steps=N")
    return 0
