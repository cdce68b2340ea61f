"""``tfpix2pix compare``: do two models differ by more than chance?"""

from __future__ import annotations

import argparse
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
        help="also write FOLDER/comparison.json and FOLDER/comparison.html [nothing is written]",
    )


def main(args: argparse.Namespace) -> int:
    from tfpix2pix.cli.tables import print_table
    from tfpix2pix.evaluation.comparison import compare_models
    from tfpix2pix.evaluation.results import check_output
    from tfpix2pix.report.comparison_page import FILE, HEADINGS, PAGE, note, rows, write_comparison

    if len(args.models) < 2:
        raise UserError(
            f"{len(args.models)} models were named; name at least two folders that `tfpix2pix "
            "evaluate` wrote: tfpix2pix compare A B"
        )
    output = Path(args.output).expanduser() if args.output else None
    if output is not None:
        check_output(output, (FILE, PAGE))
    comparison = compare_models(args.models, args.split)
    first = comparison.evaluations[0]
    facts = first.facts
    print(
        f"{first.counted} {facts.get('split')} images of {facts.get('size')}x"
        f"{facts.get('size')}, {facts.get('dataset', {}).get('name')}"
    )
    for name, differences in comparison.found.items():
        print(f"\nA: {comparison.names[0]}\nB: {name}")
        print_table(HEADINGS, rows(differences))
        print(note(differences))
    if output is not None:
        write_comparison(output, comparison)
        print(f"\nwrote {output / FILE}\npage: {output / PAGE}")
    sys.stdout.flush()
    return 0
