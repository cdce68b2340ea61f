"""``tfpix2pix reproduce``: the papers' ablation tables, on a data set of labels and photographs,
and a table of what else there is."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tfpix2pix.algorithms.registry import config_fields
from tfpix2pix.base.errors import UserError
from tfpix2pix.cli.flags import Parser, add_field, given_data_config, number
from tfpix2pix.config import GROUPS
from tfpix2pix.reproduction.plan import begin
from tfpix2pix.reproduction.tables import (
    CHOSEN,
    DECIDED,
    MINUTES,
    STEPS,
    TABLES,
    chosen_rows,
    chosen_tables,
    rows_as_given,
    table_names,
)

if TYPE_CHECKING:
    from tfpix2pix.reproduction.results import Result

USAGE = "tfpix2pix reproduce --table=TABLE [--dataset=FOLDER] [--seeds=3] --output=DIR"
DESCRIPTION = """\
Trains every network of a table of the paper with the same seeds, data order and number of steps,
scores them as the paper did, and writes the table with means and standard errors beside the
paper's own figures, grids of pictures, all configs, and a page, DIR/report.html.

--table=recipe is not of the paper: its recipe, single ingredients on top of it, and several
together, each trained for as many minutes as the paper's, and held against it.

--table=cyclegan is CycleGAN's paper's: its loss and parts of it, and CUT, trained on photographs of
one half of the pairs and labels of the other, beside pix2pix on the pairs, in both directions.

--table=diversity is ours too: ways to get several answers to one input, 20 samples of each, by how
far apart they are and whether they still show their labels.

Run the same command again and it continues: finished runs are not run again. Another --table or
more --seeds with the same DIR add what is missing; networks that tables share are trained once."""

_SPLITS = ("val", "test")
_STAGES = ("all", "train", "score")


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to reproduce")
    labels = {name: [t for t in TABLES.values() if t.asked == name] for name in table_names()}
    tables = "; ".join(
        f"{name}: {' and '.join(t.label if t.paper else t.title for t in of_name)}"
        for name, of_name in labels.items()
    )
    group.add_argument(
        "--table",
        metavar="|".join(labels),
        help=f"{tables}; several with commas between them, or all of the pix2pix paper's "
        "(required)",
    )
    chosen = " and ".join(dict.fromkeys(TABLES[name].asked for name in CHOSEN))
    group.add_argument(
        "--rows",
        metavar="ROW,ROW",
        help=f"of --table={chosen}: the rows to train and score, with commas between them; the "
        "table keeps those of earlier calls [all]",
    )
    group.add_argument(
        "--output",
        metavar="DIR",
        help="the folder of the reproduction, new or of an earlier call (required)",
    )
    group.add_argument(
        "--seeds",
        type=number(int),
        default=3,
        metavar="INT",
        help="trainings of each network, with the seeds --seed, --seed + 1, ... [3]",
    )
    group.add_argument(
        "--budget",
        type=number(float),
        metavar="MINUTES",
        help="of training, for all runs of this call together: a step of each network is timed, "
        "and every run gets the number of steps that fits; instead of --steps and --epochs",
    )
    group.add_argument(
        "--same",
        metavar=f"{MINUTES}|{STEPS}",
        help=f"what the runs have the same of. minutes, for --table={chosen}: a step of each row "
        "is timed by turns with one of the paper's row (CycleGAN's), which has --steps, and the "
        "others get as many as take as long [minutes for recipe, steps for the others]",
    )
    group.add_argument(
        "--score_split",
        default="val",
        metavar="|".join(_SPLITS),
        help="split that is scored; what was chosen on val is reported on test [val]",
    )
    group.add_argument(
        "--scorer",
        metavar="FOLDER",
        help="what `tfpix2pix train-scorer` made of this data set at this size [DIR/scorer, "
        "trained when it is needed]",
    )
    group.add_argument(
        "--scorer_steps",
        type=number(int),
        default=0,
        metavar="INT",
        help="training steps of DIR/scorer; 0 for those of `tfpix2pix train-scorer` [0]",
    )
    group.add_argument(
        "--stage",
        default="all",
        metavar="|".join(_STAGES),
        help="train: only train; score: score and draw what is trained; all: both [all]",
    )
    groups = {key: parser.add_argument_group(title) for key, title in GROUPS.items()}
    for field in config_fields().values():
        if field.name not in DECIDED:
            add_field(groups[field.metadata["group"]], field)


def main(args: argparse.Namespace) -> int:
    for flag in ("table", "output"):
        if not getattr(args, flag):
            raise UserError(f"--{flag} is missing; see `tfpix2pix reproduce --help`")
    tables = chosen_tables(args.table)
    if args.rows is not None:
        tables = chosen_rows(tables, args.rows)
    _check(args)
    given = given_data_config(args)
    if args.rows is None:
        tables = rows_as_given(tables, given)
    has_budget = args.budget is not None
    plan, is_new = begin(args.output, given, tables, has_budget, args.same)

    from tfpix2pix.base import lock
    from tfpix2pix.base.progress import say
    from tfpix2pix.reproduction.run import Wish, reproduce

    command = shlex.join(["tfpix2pix", *sys.argv[1:]])
    wish = Wish(
        tables,
        args.seeds,
        train=args.stage != "score",
        score=args.stage != "train",
        budget=args.budget,
        scorer=args.scorer,
        scorer_steps=args.scorer_steps,
        split=args.score_split,
        given=given,
        command=command,
    )
    with lock.held(plan.folder, f"--output={plan.folder}", say):
        made = reproduce(plan, is_new, wish)
    if made.results is not None:
        _print(made.results, plan.folder, "" if wish.split == "val" else f"-{wish.split}")
    if made.stopped_by:
        say(f"stopped by {made.stopped_by}; everything is saved. To continue: {command}")
        return made.exit_code
    for run in made.diverged:
        say(f"diverged: {run.workdir}")
    return 1 if made.diverged else 0


def _print(results: list[Result], folder: Path, suffix: str) -> None:
    from tfpix2pix.base.progress import say
    from tfpix2pix.cli.tables import print_table
    from tfpix2pix.reproduction.publish import verdicts

    for result in results:
        headings = result.table.headings
        say(f"\n{result.table.label}: {result.table.title}")
        print_table(["", *headings], [[row.title, *result.texts(row)] for row in result.all_rows])
        if result.differences:
            rows = [[title, *texts] for title, texts in result.differences]
            say("")
            print_table([f"against {result.rows[0].title}", *headings], rows)
        if result.paces:
            say("")
            print_table(["", *result.pace_headings], result.paces)
        for sentence in (verdicts(result), *result.sentences):
            say(sentence)
    say(f"\nresults: {folder / 'results'}")
    say(f"report: {folder / f'report{suffix}.html'}")


def _check(args: argparse.Namespace) -> None:
    if args.seeds < 1:
        raise UserError(f"--seeds={args.seeds}: expected 1 or more")
    for flag, known in (("same", (MINUTES, STEPS)), ("score_split", _SPLITS)):
        value = getattr(args, flag)
        if value is not None and value not in known:
            raise UserError(f"--{flag}={value}: expected {' or '.join(known)}")
    if args.stage not in _STAGES:
        raise UserError(f"--stage={args.stage}: expected {', '.join(_STAGES)}")
    if args.budget is not None:
        if args.budget <= 0:
            raise UserError(f"--budget={args.budget:g}: expected minutes, more than 0")
        for flag in ("steps", "epochs"):
            if hasattr(args, flag):
                raise UserError(f"--budget and --{flag} were given; give the one that is meant")
