"""``tfpix2pix export``: hand a trained model to servers, phones and browsers, with proof."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from contextlib import AbstractContextManager
from types import FrameType
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import UserError
from tfpix2pix.cli.flags import Parser, add_boolean, add_draw, add_weights, fail, number

if TYPE_CHECKING:
    from tfpix2pix.export.proof import Proof

USAGE = (
    "tfpix2pix export --workdir=RUN --output=DIR [--formats=...] [--quantize=...] [--flag=value]"
)
DESCRIPTION = """\
Writes a run's generator as a SavedModel (for TensorFlow Serving), as TFLite files (for phones), as
an ONNX file (for other engines and browsers) and as a page to draw on. Every file is run beside
Keras on real images before it is put in its place; where one differs by more than is allowed
nothing is published, and the exit code is 1. `tfpix2pix verify DIR` repeats that,
`tfpix2pix translate --model=DIR` uses it.

  DIR/saved_model/VERSION/    a new version with each export; a server that watches takes it over
  DIR/serving/                configuration for TensorFlow Serving in Docker, and a smoke test
  DIR/tflite/, DIR/onnx/      generator_float32 and so on
  DIR/web/                    the page, for any server of files or opened as it is
  DIR/network/                the network alone, for Core ML's, TensorFlow.js's and other converters
  DIR/export.json             the contract: sizes, value ranges, noise, checkpoint; and the proof
  DIR/export_report.html      the same to look at, with pictures side by side"""


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to export")
    group.add_argument("--workdir", metavar="RUN", help="the run's folder (required)")
    group.add_argument(
        "--output", metavar="DIR", help="the folder of the export, made if missing (required)"
    )
    group.add_argument(
        "--formats",
        default="savedmodel,tflite,onnx,network",
        metavar="LIST",
        help="some of savedmodel (for servers), tflite, onnx, network (a SavedModel of one "
        "function, for converters to other platforms) and web (a page to draw on, as "
        "`tfpix2pix demo` shows it), with commas [savedmodel,tflite,onnx,network]",
    )
    group.add_argument(
        "--quantize",
        default="none",
        metavar="LIST",
        help="of the TFLite and ONNX files, those of a page too: some of none (float32), float16 "
        "(half the size), dynamic (8-bit weights) and int8 (8-bit arithmetic, made on images of "
        "the run's training split), one file each [none]",
    )
    group.add_argument(
        "--inference",
        default="paper",
        metavar="paper|deterministic",
        help="paper: dropout stays on, by the noise z, an input (of the server: a seed); "
        "deterministic: no dropout and no z, equal inputs give equal results; a latent stays an "
        "input of both [paper]",
    )
    group.add_argument(
        "--direction",
        default="",
        metavar="AtoB|BtoA|both",
        help="of a run that learned both ways: one, as of any other run, or both, each in a folder "
        "of its own, DIR/AtoB/ and DIR/BtoA/, with one export.json and one serving/ above them "
        "[all that the run has]",
    )
    add_boolean(
        group,
        "argmax",
        "of a run of --target_encoding=onehot: y has the likeliest class of each pixel, uint8, in "
        "the place of the probability of each class [false]",
    )
    group.add_argument(
        "--image_size",
        default="any",
        metavar="any|256|512x256",
        help="pixels, width x height, multiples of crop_size / bottleneck of the run; one size is "
        "faster on phones and takes that size only [any]",
    )
    group.add_argument(
        "--opset",
        default="oldest",
        metavar="oldest|N",
        help="version of the ONNX files' operators; oldest: the oldest that holds each file, which "
        "the most engines run [oldest]",
    )
    group.add_argument(
        "--examples",
        type=number(int),
        default=0,
        metavar="INT",
        help="of the page: how many inputs of the run's val split can be opened on it, which are "
        "published with it; without them examples are drawn [0]",
    )
    add_draw(group, "of the page: ")
    group.add_argument(
        "--max_pixels",
        type=number(int),
        metavar="INT",
        help="of the SavedModel, with --image_size=any: larger images (height x width, padded) are "
        "refused before they are decoded [16777216, which is 4096x4096]",
    )
    group.add_argument(
        "--checkpoint",
        default="latest",
        metavar="latest|best|STEP",
        help="which weights, as in translate [latest]",
    )
    add_weights(group)
    group.add_argument(
        "--name", default="", metavar="NAME", help="of the model on a server [the run's name]"
    )
    add_check_flags(parser)


def add_check_flags(parser: Parser) -> None:
    """The flags of what an export is checked on."""
    group = parser.add_argument_group("What to check it on")
    group.add_argument(
        "--check_images",
        default="",
        metavar="PATH",
        help="an image or a folder of images instead of pairs of the run's val split",
    )
    group.add_argument(
        "--check_count",
        type=number(int),
        default=12,
        metavar="INT",
        help="how many images PSNR is taken on [12]",
    )
    group.add_argument(
        "--dataset",
        default="",
        metavar="FOLDER",
        help="where the run's data set is now, if it was moved",
    )


def main(args: argparse.Namespace) -> int:
    for flag in ("workdir", "output"):
        if not getattr(args, flag):
            raise UserError(f"--{flag} is missing; see `tfpix2pix export --help`")
    from tfpix2pix.base.progress import say
    from tfpix2pix.export.call import KEYWORDS, export
    from tfpix2pix.export.exporter import ExportMismatch

    # Its keywords are the flags.
    settings = {key: value for key, value in vars(args).items() if key in KEYWORDS}
    try:
        with Terminating():
            made = export(args.workdir, args.output, **settings)
    except ExportMismatch as error:
        show(error.proof)
        return fail("tfpix2pix export", str(error), 1)
    several = len(made.parts) > 1
    for part in made.parts:
        if several:
            say(f"{part.manifest.contract.direction}:")
        show(part.proof)
    folder = shlex.quote(str(made.output))
    for part in made.parts:
        if any(artifact.format == "web" for artifact, _ in part.manifest.artifacts):
            page = part.output / "web" / "index.html"
            say(f"the page to draw on: {page} (open it, or put its folder on a server)")
    say(f"exported: {', '.join(made.paths())}")
    say(
        f"to use it: tfpix2pix translate --model={folder} --input=IMAGES --output=FOLDER"
        + (f" (and --direction={made.parts[1].manifest.contract.direction})" if several else "")
        + f"; to check it again: tfpix2pix verify {folder}"
    )
    for part in made.parts:
        say(f"report: {part.report}")
    return 0


def show(proof: Proof) -> None:
    """Prints the proof as a table."""
    from rich.console import Console

    from tfpix2pix.export.report import table_of

    console = Console(file=sys.stdout, highlight=False)
    # A table that is cut at 80 columns in a log says nothing.
    console.width = max(console.width, 160) if not console.is_terminal else console.width
    console.print(table_of(proof))
    sys.stdout.flush()


class Terminating(AbstractContextManager):
    """While it is open, SIGTERM unwinds the program like Ctrl-C, so that it clears up first."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._stop)

    @staticmethod
    def _stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(fail("tfpix2pix", "stopped by SIGTERM; nothing was published", 143))

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)
