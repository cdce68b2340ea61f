"""The command ``tfpix2pix``: finds the subcommand and runs it."""

from __future__ import annotations

import importlib
import io
import os
import sys
import textwrap
from types import ModuleType
from typing import Any

from absl import app

from tfpix2pix.algorithms.registry import presets
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.version import __version__
from tfpix2pix.cli.flags import Parser, fail
from tfpix2pix.config import Preset, nearest

# Name -> (module, one line of help). The modules import TensorFlow only when they run.
COMMANDS = {
    "train": ("tfpix2pix.cli.train", "learn from pairs of images; continues where it stopped"),
    "translate": ("tfpix2pix.cli.translate", "use what a run learned on your images"),
    "evaluate": ("tfpix2pix.cli.evaluate", "how good are the pictures, in every measure?"),
    "compare": ("tfpix2pix.cli.compare", "do two models differ by more than chance?"),
    "demo": ("tfpix2pix.cli.demo", "draw, and see what a run makes of it, in the browser"),
    "study": ("tfpix2pix.cli.study", "whom do the pictures fool? people judge them on a page"),
    "train-scorer": ("tfpix2pix.cli.train_scorer", "the network that judges photos by labels"),
    "reproduce": ("tfpix2pix.cli.reproduce", "the paper's ablation tables on your labels"),
    "export": ("tfpix2pix.cli.export", "SavedModel, TFLite and ONNX, each proved against Keras"),
    "verify": ("tfpix2pix.cli.verify", "does an export still give the pictures of its run?"),
    "pairs": ("tfpix2pix.cli.pairs", "make pairs from single images: edges, grey, holes, ..."),
    "inspect": ("tfpix2pix.cli.inspect", "look at a data set: would training accept it?"),
    "import-torch": ("tfpix2pix.cli.import_torch", "a run from the weights of PyTorch code"),
    "export-torch": ("tfpix2pix.cli.export_torch", "a run's weights for PyTorch code"),
}


def _preset(name: str, preset: Preset) -> str:
    """A preset's lines of the manual."""
    lines = [f"  {name:<16}{preset.about}"]
    if preset.expects:
        lines += textwrap.wrap(
            f"expect: {preset.expects}", 90, initial_indent=" " * 18, subsequent_indent=" " * 18
        )
    return "\n".join(lines)


def _manual() -> str:
    commands = "\n".join(f"  {name:<14}{text}" for name, (_, text) in COMMANDS.items())
    named = "\n".join(_preset(name, preset) for name, preset in presets().items())
    return f"""\
tfpix2pix {__version__}: paired image-to-image translation (pix2pix, arXiv 1611.07004)

Usage
  tfpix2pix COMMAND [--flag=value ...]
  tfpix2pix COMMAND --help

Commands
{commands}

First steps
  tfpix2pix train
      learns from the embedded house fronts for some minutes and ends with the path of a page of
      pictures, runs/sample/report.html
  tfpix2pix train --dataset=FOLDER
      the same with your pairs: FOLDER/train/ (and val/, test/) of side-by-side images, or A/ and
      B/ with images of one name; `tfpix2pix inspect --dataset=FOLDER` looks at them first
  tfpix2pix train --algorithm=cyclegan --dataset=FOLDER
      the same without pairs: FOLDER/trainA and FOLDER/trainB, two sides of any images; translates
      both ways
  tfpix2pix translate --workdir=runs/sample --input=IMAGE_OR_FOLDER --output=IMAGE_OR_FOLDER
      translates new images; no flag of the training is repeated

Presets (tfpix2pix train --preset=NAME; other flags override them)
{named}

Exit codes
  0 done; 1 something failed on the way (what could be done was done); 2 bad input, nothing was
  done; 130 or 143 stopped by Ctrl-C or SIGTERM, saved, ready to continue.
"""


def parse(argv: list[str]) -> tuple[ModuleType, Any] | str:
    """The subcommand's module and its arguments, or a text to print."""
    arguments = argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "--helpfull", "--helpshort", "help"):
        _mark_parsed(argv)
        return _manual()
    if arguments[0] == "--version":
        _mark_parsed(argv)
        return f"tfpix2pix {__version__}\n"
    name = arguments[0]
    if name not in COMMANDS:
        what = "flag" if name.startswith("-") else "command"
        hint = nearest(name, COMMANDS) if what == "command" else "; the command comes first"
        sys.exit(
            fail(
                "tfpix2pix",
                f"unknown {what} {name!r}{hint} (there are {', '.join(COMMANDS)}; "
                "see `tfpix2pix --help`)",
            )
        )
    module = importlib.import_module(COMMANDS[name][0])
    parser = Parser(prog=f"tfpix2pix {name}", description=module.DESCRIPTION, usage=module.USAGE)
    parser.leaf = True
    module.add_flags(parser)
    return module, parser.parse_args(arguments[1:])


def _mark_parsed(argv: list[str]) -> None:
    from absl import flags

    flags.FLAGS(argv[:1])


def main(parsed: tuple[ModuleType, Any] | str) -> int:
    if isinstance(parsed, str):
        print(parsed, end="")
        return 0
    module, args = parsed
    program = f"tfpix2pix {module.__name__.rsplit('.', 1)[-1].replace('_', '-')}"
    try:
        return module.main(args)
    except UserError as error:
        return fail(program, str(error))
    except KeyboardInterrupt:
        return fail(program, "stopped by Ctrl-C; what was saved before is whole", 130)
    except BrokenPipeError:
        # The reader of our output left (`tfpix2pix ... | head`): nothing to complain about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return fail(program, f"{place}{error.strerror or error}")


def run() -> None:
    """Entry point of the command and of ``python -m tfpix2pix``."""
    # Names of files may hold what no encoding of the output can say.
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # else it was replaced by something of another kind
        sys.stdout.reconfigure(errors="backslashreplace")
    app.run(main, flags_parser=parse)
