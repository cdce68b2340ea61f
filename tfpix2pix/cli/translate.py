"""``tfpix2pix translate``: use what a run learned on images, one or ten thousand."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib.util
import math
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown
from tfpix2pix.cli.flags import Parser, add_boolean, add_direction, add_weights, fail, number
from tfpix2pix.cli.models import model_of

if TYPE_CHECKING:
    from tfpix2pix.base.progress import ProgressLine
    from tfpix2pix.inference import Tile, Translator
    from tfpix2pix.inference.files import Job, Manner

PROGRAM = "tfpix2pix translate"
USAGE = "tfpix2pix translate --workdir=RUN|--model=EXPORT --input=IMAGES --output=IMAGE|FOLDER"
DESCRIPTION = """\
Translates images with a trained run, with what `tfpix2pix export` made of it, or on a server; the
same flags give the same pictures. They need no target and may have any size: each is padded to
what the network needs and the result cropped back. Results are named after the input, and have the
depth of the run's targets: PNG of 8 or 16 bits, TIFF for floats and more than four channels.

A file that cannot be read is reported and skipped, the rest is done, and the exit code is 1."""


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to translate")
    group.add_argument(
        "--workdir", metavar="RUN", help="the run's folder (this or --model is required)"
    )
    group.add_argument(
        "--model",
        metavar="EXPORT|URL",
        help="instead of a run: the folder of an export, one of its .tflite or .onnx files, or a "
        "TensorFlow Serving server, http://HOST:8501/v1/models/NAME or grpc://HOST:8500/NAME",
    )
    group.add_argument(
        "--input",
        metavar="PATH",
        help="an image, a folder of images, a manifest (.csv, .tsv, .jsonl), or a quoted pattern "
        "such as 'photos/**/*.jpg' (required)",
    )
    group.add_argument(
        "--input_key",
        default="",
        metavar="COLUMN",
        help="of a manifest as --input: the column of the inputs; red,nir: two columns, whose "
        "images are the channels of one [as the run was trained, else input]",
    )
    group.add_argument(
        "--output",
        metavar="PATH",
        help="a file for one image (.png, .jpg, .tif, .webp, .bmp or .npy), else a folder, made if "
        "it is missing (required)",
    )
    add_direction(group, "of a run that learned both ways, or of its export: which way")
    add_boolean(
        group,
        "side_by_side",
        "the images are pairs in the pix2pix layout: translate the half that the direction "
        "takes as input [false]",
    )
    group.add_argument(
        "--labels",
        default="raw",
        metavar="raw|color|index|probabilities",
        help="for a run that makes label images: as the network painted them, snapped to the "
        "palette's colours, or index maps; of --target_encoding=onehot the first two are one, and "
        "there are the probabilities of the classes, each a plane of a float TIFF or .npy [raw]",
    )
    group = parser.add_argument_group("How")
    group.add_argument(
        "--checkpoint",
        default="latest",
        metavar="latest|best|STEP",
        help="which weights: the newest, the best by the run's val measure, or a step's [latest]",
    )
    add_weights(group)
    group.add_argument(
        "--seed",
        type=number(int),
        default=0,
        metavar="INT",
        help="seed of the noise z and of the latent; the same seed gives the same pictures [0]",
    )
    add_boolean(group, "deterministic", "no dropout: leave the noise z out; a latent stays [false]")
    add_boolean(
        group,
        "fit",
        "resize each image to the size that the run was trained at, and the result back; for "
        "images at another scale than the training's [false]",
    )
    group.add_argument(
        "--tile",
        type=_tile,
        default="auto",
        metavar="auto|off|PIXELS",
        help="make a large image in tiles, where the memory asks for it, never, or by tiles of so "
        "many pixels a side; the picture is the same, without seams; for --workdir [auto]",
    )
    group = parser.add_argument_group("Several answers to one image (docs/variety.md)")
    group.add_argument(
        "--samples",
        type=number(int),
        metavar="INT",
        help="so many answers, of the seeds --seed, --seed + 1, ...: NAME_01.png, ... and a sheet "
        "of all of them beside the input, NAME_sheet.png, or --output where that is a file. Of a "
        "run with --latent the latents differ, and the noise is that of --seed",
    )
    group.add_argument(
        "--walk",
        type=number(int),
        metavar="INT",
        help="of a run with --latent: so many pictures on the way from the latent of --seed to the "
        "one of --seed + 1: NAME_walk_01.png, ... and an animation, NAME_walk.webp, or --output "
        "where that is a file (.webp, .gif or .png)",
    )
    group.add_argument(
        "--latent",
        default="",
        metavar="NUMBER,NUMBER",
        help="of a run with --latent: the latent itself, in the place of that of --seed",
    )
    group.add_argument(
        "--style",
        metavar="IMAGE",
        help="of a run with an encoder: the latent of this image, which is one like the targets, "
        "or a pair where --side_by_side says so",
    )
    group = parser.add_argument_group("Very many images (the extra `beam`)")
    add_boolean(
        group,
        "beam",
        "translate with Apache Beam: on many processes or machines that share the folders. Results "
        "that are there already are kept, so that it can be started again; what failed stands in "
        "failures.txt [false]",
    )
    group.add_argument(
        "--runner",
        metavar="NAME",
        default="",
        help="the Beam runner, and --beam; its own flags follow after --, as in "
        "`--runner=FlinkRunner -- --flink_master=HOST:8081` [DirectRunner]",
    )
    parser.add_argument("runner_flags", nargs="*", help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> int:
    _check(args)
    latent = _latent(args.latent)

    from tfpix2pix.base.progress import ProgressLine, say
    from tfpix2pix.inference.files import (
        Manner,
        find_jobs,
        input_column,
        make_folders,
        style_of,
        translate_files,
    )

    manner = Manner(
        args.labels,
        args.side_by_side,
        args.seed,
        args.deterministic,
        args.fit,
        args.tile,
        args.samples or 0,
        args.walk or 0,
        latent,
    )
    model = model_of(args, args.direction)
    manner.check(model.config, model.spec, args.output)
    manner.check_latent(model, args.style or "")
    input_key = args.input_key or input_column(model.config, model.direction)
    jobs = find_jobs(args.input, args.output, manner.suffix(model.spec), input_key, manner)
    if args.beam and any(job.more for job in jobs):
        raise UserError(
            f"--beam translates files one by one, and --input={args.input} has several for an "
            "image; leave --beam out"
        )
    translator = model.open(say)
    translator.check_labels(args.labels)
    told = []
    if args.style:
        code, notes_on_style = style_of(translator, args.style, manner)
        manner = dataclasses.replace(manner, latent=code)
        numbers = ",".join(f"{number:.9g}" for number in code)
        told = [f"{args.style} is --latent={numbers}"]
        told += [f"{args.style}: {note}" for note in notes_on_style]
    say(f"{model.title} at step {translator.step:,}, {manner.drawn(translator)}")
    for note in told + manner.notes(translator):
        say(f"note: {note}")
    make_folders(jobs, args.output)
    if args.beam:
        return _with_beam(args, translator, jobs, manner)

    notes: Counter[str] = Counter()
    failed = 0
    with ProgressLine("translating", len(jobs), "image") as line:
        tiles = _TileLine(line)
        results = translate_files(translator, jobs, manner, tiles.show)
        for done, result in enumerate(results, start=1):
            if isinstance(result, UserError):
                failed += 1
                sys.stdout.flush()
                print(f"{PROGRAM}: skipped: {result}", file=sys.stderr, flush=True)
            else:
                notes.update(result)
            tiles.images, tiles.image = done, None
            line.show(done, f"{failed:,} failed" if failed else "")
    where = jobs[0].last if len(jobs) == 1 else jobs[0].last.parent
    return _end(len(jobs), failed, notes, where)


def _tile(text: str) -> Tile:
    from tfpix2pix.inference import LEAST_TILE, check_tile

    try:
        tile: Any = text if text in ("auto", "off") else int(text)
        check_tile(tile)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected auto, off or pixels, {LEAST_TILE} or more, found {text!r}"
        ) from None
    return tile


class _TileLine:
    """Shows beside the count of images how far one is that takes long: it is made in tiles, or
    several pictures are made of it."""

    def __init__(self, line: ProgressLine) -> None:
        self._line, self.images = line, 0
        self.image: Path | None = None

    def show(self, image: Path, share: float) -> None:
        from tfpix2pix.base.progress import duration

        if image != self.image:
            self.image, self._start = image, time.monotonic()
        elif self._line.due:
            left = duration((time.monotonic() - self._start) * (1 - share) / share)
            self._line.show(self.images, f"{shown(image)}: {share:.0%}, {left} left")


def _check(args: argparse.Namespace) -> None:
    from tfpix2pix.inference.labels import check_known

    args.beam = args.beam or bool(args.runner)
    if args.runner_flags and not args.beam:
        raise UserError(
            f"unexpected argument {args.runner_flags[0]!r}; flags look like --name=value, and "
            "those of a Beam runner come after --beam --"
        )
    for flag in ("input", "output"):
        if not getattr(args, flag):
            raise UserError(f"--{flag} is missing; see `tfpix2pix translate --help`")
    if not args.workdir and not args.model:
        raise UserError("--workdir or --model is missing; see `tfpix2pix translate --help`")
    if args.workdir and args.model:
        raise UserError("--workdir and --model were given; give the one that is meant")
    if not -(2**63) <= args.seed < 2**63:
        raise UserError(f"--seed={args.seed} does not fit in 64 bits; give a smaller number")
    _check_several(args)
    if isinstance(args.tile, int) and args.model:
        raise UserError(
            f"--tile={args.tile} is for --workdir; an export makes an image as a whole, so leave "
            "it out"
        )
    check_known(args.labels)
    if args.model and args.checkpoint != "latest":
        raise UserError(
            f"--checkpoint={args.checkpoint} is for --workdir; an export holds the weights of one "
            "step"
        )
    if args.model and args.weights != "average":
        raise UserError(
            f"--weights={args.weights} is for --workdir; an export holds the ones that it was made "
            "of"
        )
    if args.beam and importlib.util.find_spec("apache_beam") is None:
        raise UserError(
            "--beam needs Apache Beam, which is not installed; install it by "
            "`python -m pip install apache-beam` (or tfpix2pix with its extra `beam`)"
        )


def _check_several(args: argparse.Namespace) -> None:
    from tfpix2pix.inference.several import MOST

    for flag, least in (("samples", 1), ("walk", 2)):
        count = getattr(args, flag)
        if count is not None and not least <= count <= MOST:
            raise UserError(f"--{flag}={count}: expected {least} to {MOST} pictures of an image")
    last = args.seed + max((args.samples or 1) - 1, int(args.walk is not None))
    if last >= 2**63:
        raise UserError(f"--seed={args.seed} leaves no seeds behind it; give a smaller number")
    if args.samples and args.walk:
        raise UserError("--samples and --walk were given; give the one that is meant")
    given = [flag for flag in ("samples", "latent", "style") if getattr(args, flag)]
    if len(given) > 1:
        raise UserError(
            f"--{given[0]} and --{given[1]} both say which latent is taken; give the one that is "
            "meant"
        )
    if args.style and not Path(args.style).expanduser().is_file():
        raise UserError(f"--style={args.style}: no such file; give one image like the targets")


def _latent(text: str) -> tuple[float, ...]:
    """The numbers of ``--latent``."""
    try:
        numbers = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise UserError(f"--latent={text}: expected numbers between commas, such as 0.3,-1.2,0.8")
    return numbers


def _with_beam(
    args: argparse.Namespace, translator: Translator, jobs: list[Job], manner: Manner
) -> int:
    from tfpix2pix.base.progress import say
    from tfpix2pix.inference import load_quietly
    from tfpix2pix.inference.beam import FAILURES, RunnerFailed, translate_with_beam

    if args.model:
        from tfpix2pix.export.opening import open_named

        reopen = functools.partial(open_named, args.model, translator.direction)
    else:
        # The step, and not its name: a training that goes on must not change what is meant.
        reopen = functools.partial(
            load_quietly,
            args.workdir,
            str(translator.step),
            weights=translator.weights,
            direction=translator.direction,
        )
    try:
        made = translate_with_beam(
            translator,
            jobs,
            manner,
            args.output,
            reopen,
            export=args.model or "",
            runner=args.runner or "DirectRunner",
            flags=args.runner_flags,
            say=say,
        )
    except RunnerFailed as error:
        return fail(PROGRAM, str(error), 1)
    sys.stdout.flush()
    for why in made.failed:
        print(f"{PROGRAM}: skipped: {why}", file=sys.stderr)
    sys.stderr.flush()
    see = f" (see {shown(made.folder / FAILURES)})"
    return _end(len(jobs), len(made.failed), made.notes, made.folder, see)


def _end(total: int, failed: int, notes: Counter[str], where: Path, see: str = "") -> int:
    """Says what came of the images; returns the exit code."""
    from tfpix2pix.base.progress import say

    for note, count in sorted(notes.items()):
        say(f"note: {note} ({count:,} of {total:,} images)")
    good = total - failed
    say(f"translated {good:,} of {total:,} images" + (f": {shown(where)}" if good else ""))
    if failed:
        return fail(PROGRAM, f"{failed:,} of {total:,} images failed{see}", 1)
    return 0
