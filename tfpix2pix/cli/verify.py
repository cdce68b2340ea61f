"""``tfpix2pix verify``: is an export still what it was, and does it still equal Keras?"""

from __future__ import annotations

import argparse

from tfpix2pix.base.errors import UserError
from tfpix2pix.cli.export import add_check_flags, show
from tfpix2pix.cli.flags import Parser, fail

USAGE = "tfpix2pix verify DIR [--workdir=RUN] [--flag=value]"
DESCRIPTION = """\
Repeats the proof of an export: its files are those that were exported (SHA-256), and each runs
beside Keras on val images of its run and gives the same picture. Exit code 0 if so, 1 if not.
Nothing is written."""


def add_flags(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", nargs="?", help="the folder of the export")
    parser.add_argument(
        "--workdir",
        default="",
        metavar="RUN",
        help="the run that it was made from [where it was then; if it is gone, Keras gets the "
        "weights of the SavedModel]",
    )
    add_check_flags(parser)


def main(args: argparse.Namespace) -> int:
    if not args.folder:
        raise UserError("DIR is missing; see `tfpix2pix verify --help`")
    from tfpix2pix.export.call import checked_count

    checked_count(args.check_count)
    from pathlib import Path

    from tfpix2pix.base.progress import StepLine, say
    from tfpix2pix.base.quiet import import_tensorflow
    from tfpix2pix.export.manifest import Index, Manifest
    from tfpix2pix.export.publish import check_published

    folder = Path(args.folder).expanduser()
    check_published(folder)
    if Index.find(folder) is None:
        Manifest.load(folder)
    import_tensorflow()
    from tfpix2pix.export.exporter import verify

    with StepLine("verifying") as reporter:
        found = verify(
            args.folder,
            workdir=args.workdir,
            dataset=args.dataset,
            check_images=args.check_images,
            check_count=args.check_count,
            reporter=reporter,
        )
    for name, each in (found.both or {"": found}).items():
        if each.proof is not None:
            say(f"{name}{': ' if name else ''}Keras: {each.reference}")
            show(each.proof)
    if found.good:
        say(f"verified: {args.folder} gives the pictures of its run")
        return 0
    return fail(
        "tfpix2pix verify", f"{args.folder} is not what it should be: {'; '.join(found.faults)}", 1
    )
