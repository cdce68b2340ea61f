"""``tfpix2pix compare``: do two models differ by more than chance?"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tfpix2pix.base.errors import UserError
from tfpix2pix.cli.flags import Parser

USAGE = "tfpix2pix compare A B [C ...] [--output=FOLDER]"
DESCRIPTION = """\
Compares models that `tfpix2pix evaluate` has scored on the same images: each of B, C, ... with A.
For every number: the difference, its bootstrap standard error and 95 % interval over the same
images, and the p-value of a paired permutation test. Needs metrics.json and statistics.npz only;
the pictures and the models may be gone."""

FILE, PAGE = "comparison.json", "comparison.html"


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to compare")
    group.add_argument(
        "models",
        nargs="*",
        metavar="A B [C ...]",
        help="folders that `tfpix2pix evaluate` wrote, or runs, of which evaluation/SPLIT is taken",
    )
    group.add_argument(
        "--split", default="val", metavar="train|val|test", help="of runs: which evaluation [val]"
    )
    group.add_argument(
        "--output",
        metavar="FOLDER",
        help=f"also write FOLDER/{FILE} and FOLDER/{PAGE} [nothing is written]",
    )


def main(args: argparse.Namespace) -> int:
    from tfpix2pix.base.files import write_json, write_text
    from tfpix2pix.cli.tables import print_table
    from tfpix2pix.evaluation.comparison import PERMUTATIONS, compare, to_json
    from tfpix2pix.evaluation.results import Evaluation
    from tfpix2pix.report.comparison_page import HEADINGS, note, render_comparison, rows

    if len(args.models) < 2:
        raise UserError(
            f"{len(args.models)} models were named; name at least two folders that `tfpix2pix "
            "evaluate` wrote: tfpix2pix compare A B"
        )
    output = Path(args.output).expanduser() if args.output else None
    if output is not None:
        _check_output(output)
    names = _names(args.models)
    evaluations = [Evaluation.load(_folder(model, args.split)) for model in args.models]
    found = {
        name: compare(evaluations[0], evaluation, (names[0], name))
        for name, evaluation in zip(names[1:], evaluations[1:], strict=True)
    }
    facts = evaluations[0].facts
    print(
        f"{evaluations[0].images:,} {facts.get('split')} images of {facts.get('size')}x"
        f"{facts.get('size')}, {facts.get('dataset', {}).get('name')}"
    )
    for name, differences in found.items():
        print(f"\nA: {names[0]}\nB: {name}")
        print_table(HEADINGS, rows(differences))
        print(note(differences, PERMUTATIONS))
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        write_text(output / PAGE, render_comparison(names, evaluations[0], found, PERMUTATIONS))
        write_json(output / FILE, to_json(names, evaluations, found))
        print(f"\nwrote {output / FILE}\npage: {output / PAGE}")
    sys.stdout.flush()
    return 0


def _folder(model: str, split: str) -> Path:
    """The folder of results: itself, or a run's evaluation."""
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file() and not (folder / "metrics.json").is_file():
        results = folder / "evaluation" / split
        if not (results / "metrics.json").is_file():
            raise UserError(
                f"{model} was not evaluated on {split} yet; run `tfpix2pix evaluate "
                f"--workdir={model}{'' if split == 'val' else f' --split={split}'}`"
            )
        return results
    return folder


def _names(models: list[str]) -> list[str]:
    """The models as they were typed, each once."""
    seen: set[str] = set()
    for model in models:
        real = os.path.realpath(os.path.expanduser(model))
        if real in seen:
            raise UserError(f"{model} was named twice; name folders of different models")
        seen.add(real)
    return list(models)


def _check_output(folder: Path) -> None:
    from tfpix2pix.base.files import check_writable

    check_writable(folder, "--output")
    if folder.is_dir():
        there = {entry.name for entry in folder.iterdir()}
        if there and not there & {FILE, PAGE}:
            raise UserError(
                f"--output={folder} holds other files ({min(there)}) and no {FILE}; give a new or "
                "empty folder"
            )
