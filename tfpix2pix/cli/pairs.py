"""``tfpix2pix pairs``: make a data set of pairs from single images, or from two folders."""

from __future__ import annotations

import argparse
import dataclasses
import sys

from tfpix2pix.base.errors import UserError
from tfpix2pix.cli.flags import Parser, fail, number
from tfpix2pix.config import nearest
from tfpix2pix.data.tasks import TASKS, Task, make_pairs

USAGE = "tfpix2pix pairs --task=TASK --input=FOLDER --output=FOLDER"
DESCRIPTION = """\
Makes pairs in the pix2pix layout: side by side, A (the made input) left and B (the original, the
target) right, in OUTPUT/train and OUTPUT/val, with the channels and depth of the images: PNGs of 8
or 16 bits, TIFFs of floats. Where A and B of combine differ in these, they go to OUTPUT/A and
OUTPUT/B. OUTPUT/preview.png shows a few.

Called again it makes what is missing. An image that cannot be read is reported and skipped, the
rest is done, and the exit code is 1."""


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to make")
    group.add_argument(
        "--task", metavar="|".join(TASKS), help="what A is; see below for each (required)"
    )
    group.add_argument(
        "--input",
        metavar="FOLDER",
        help="a folder of images; with train/, val/, test/ below it these are kept (required, but "
        "for combine with --input_a and --input_b)",
    )
    group.add_argument(
        "--output",
        metavar="FOLDER",
        help="the folder of pairs, new, empty or of an earlier call with the same flags (required)",
    )
    group = parser.add_argument_group("Sizes and splits")
    group.add_argument(
        "--size",
        type=number(int),
        default=0,
        metavar="INT",
        help="side to which each image is resized (its shorter side) and cropped (its centre), "
        "pixels; 0 keeps each image's size [0]",
    )
    group.add_argument(
        "--val_fraction",
        type=number(float),
        metavar="FLOAT",
        help="share of the images that become val, by a hash of their names, so that adding images "
        "never moves others; where the input has no split folders [0.1]",
    )
    for name, task in TASKS.items():
        group = parser.add_argument_group(f"--task={name}", task.about)
        for field in dataclasses.fields(task):
            _add_field(group, field)


def _add_field(group: argparse._ArgumentGroup, field: dataclasses.Field) -> None:
    kind = {"int": int, "float": float, "str": str}[str(field.type)]
    default = "" if field.default == "" else f" [{field.default:g}]" if kind is float else None
    group.add_argument(
        f"--{field.name}",
        type=number(kind),
        default=argparse.SUPPRESS,
        metavar="|".join(field.metadata["choices"]) or kind.__name__.upper(),
        help=field.metadata["help"] + (f" [{field.default}]" if default is None else default),
    )


def main(args: argparse.Namespace) -> int:
    task = _task(args)
    if not args.output:
        raise UserError("--output is missing; see `tfpix2pix pairs --help`")

    from tfpix2pix.base.progress import line_of, say

    failed = 0

    def skip(fault: str) -> None:
        nonlocal failed
        failed += 1
        sys.stdout.flush()
        print(f"tfpix2pix pairs: skipped: {fault}", file=sys.stderr, flush=True)

    with line_of("making pairs", "image") as show:
        made = make_pairs(
            task,
            args.input,
            args.output,
            size=args.size,
            val_fraction=args.val_fraction,
            progress=lambda done, total: show(done, total, f"{failed:,} failed" if failed else ""),
            on_skip=skip,
        )
    for note in made.notes:
        say(f"note: {note}")
    total = sum(made.counts.values())
    if total:
        sizes = [f"{width}x{height}" for height, width in made.sizes]
        size = sizes[0] if len(sizes) == 1 else f"{len(sizes):,} sizes"
        counts = ", ".join(f"{count:,} {split}" for split, count in made.counts.items())
        say(
            f"{args.output}: {counts} pairs of {size} ({made.new:,} made now, "
            f"{total - made.new:,} there before)"
        )
        say(f"look at {args.output.rstrip('/')}/preview.png")
    if made.train_command:
        say(f"then: {made.train_command}")
    if failed:
        return fail("tfpix2pix pairs", f"{failed:,} of {total + failed:,} images failed", 1)
    return 0


def _task(args: argparse.Namespace) -> Task:
    """The task and its settings.

    Raises:
      UserError: no or an unknown task, a flag of another one, a value out of range.
    """
    if not args.task:
        raise UserError(f"--task is missing; choose one of {', '.join(TASKS)}")
    if args.task not in TASKS:
        raise UserError(
            f"--task={args.task} is not one of {', '.join(TASKS)}{nearest(args.task, TASKS)}"
        )
    owners = {field.name: name for name, t in TASKS.items() for field in dataclasses.fields(t)}
    given = {name: getattr(args, name) for name in owners if hasattr(args, name)}
    for name in given:
        if owners[name] != args.task:
            raise UserError(
                f"--{name} is a flag of --task={owners[name]}, not of --task={args.task}; leave it "
                "out"
            )
    return TASKS[args.task](**given)
