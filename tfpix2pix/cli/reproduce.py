"""``tfpix2pix reproduce``: the paper's ablation tables, on a data set of labels and photographs."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.algorithms.registry import config_fields
from tfpix2pix.base.errors import UserError
from tfpix2pix.cli.flags import Parser, add_field, number
from tfpix2pix.cli.train import given_data_config
from tfpix2pix.config import GROUPS, Config, allowed_changes, differences, resolve, with_preset
from tfpix2pix.reproduction.plan import Plan, Run
from tfpix2pix.reproduction.tables import TABLES, Table, chosen_tables, variants_of

if TYPE_CHECKING:
    from tfpix2pix.data import PairSource
    from tfpix2pix.training.stop import StopRequest

USAGE = "tfpix2pix reproduce --table=TABLE [--dataset=FOLDER] [--seeds=3] --output=DIR"
DESCRIPTION = """\
Trains every network of a table of the paper with the same seeds, data order and number of steps,
scores them as the paper did, and writes the table with means and standard errors beside the
paper's own figures, grids of pictures, all configs, and a page, DIR/report.html.

Run the same command again and it continues: finished runs are not run again. Another --table or
more --seeds with the same DIR add what is missing; networks that tables share are trained once."""

# What the tables decide themselves, and what would make no sense in them.
_NOT_HERE = {
    "direction",
    "label_side",
    "loss",
    "generator",
    "receptive_field",
    "color_space",
    "input_encoding",
    "input_dir",
    "target_dir",
    "best_metric",
}
_STAGES = ("all", "train", "score")


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to reproduce")
    tables = "; ".join(f"{t.name}: {t.paper['number']}" for t in TABLES.values())
    group.add_argument(
        "--table",
        metavar="|".join(TABLES),
        help=f"{tables}; several with commas between them, or all (required)",
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
        if field.name not in _NOT_HERE:
            add_field(groups[field.metadata["group"]], field)


def main(args: argparse.Namespace) -> int:
    for flag in ("table", "output"):
        if not getattr(args, flag):
            raise UserError(f"--{flag} is missing; see `tfpix2pix reproduce --help`")
    tables = chosen_tables(args.table)
    _check(args)
    plan = Plan.load(args.output)
    given = given_data_config(args)
    if plan is None:
        plan, is_new = Plan(Path(args.output), _base(given)), True
    else:
        plan, is_new = Plan(plan.folder, _continued(plan, given, args)), False
    for variant in variants_of(tables):
        plan.config(variant, plan.base.seed)  # refused before anything is trained

    from tfpix2pix.base import lock
    from tfpix2pix.base.progress import say

    with lock.held(plan.folder, f"--output={plan.folder}", say):
        return _reproduce(plan, is_new, tables, args)


def _reproduce(plan: Plan, is_new: bool, tables: list[Table], args: argparse.Namespace) -> int:
    from tfpix2pix.base.progress import say
    from tfpix2pix.base.quiet import import_tensorflow

    if is_new:
        plan = Plan(plan.folder, _turned(plan.base))
    sources = _sources(plan, tables)
    import_tensorflow()
    from tfpix2pix.training.stop import StopRequest

    variants = variants_of(tables)
    with StopRequest() as stop:
        if is_new:
            plan = _settle_steps(plan, sources, tables, args)
            plan.save()
        runs = plan.runs(variants, args.seeds)
        say(
            f"{', '.join(t.paper['number'] for t in tables)}: {len(variants)} networks x "
            f"{args.seeds} seeds, {plan.base.steps:,} steps each, in {plan.folder}"
        )
        return _run(plan, tables, runs, sources, stop, args)


def _run(
    plan: Plan,
    tables: list[Table],
    runs: list[Run],
    sources: dict[str, PairSource],
    stop: StopRequest,
    args: argparse.Namespace,
) -> int:
    from tfpix2pix.base.progress import say
    from tfpix2pix.cli.tables import print_table
    from tfpix2pix.reproduction.publish import publish, read_metrics, verdicts
    from tfpix2pix.reproduction.scoring import open_scorer, score_runs
    from tfpix2pix.reproduction.training import train_runs

    command = shlex.join(["tfpix2pix", *sys.argv[1:]])
    scorer, diverged = None, []
    scoring = args.stage != "train"
    if scoring and any(table.evaluator == "fcn" for table in tables):
        scorer = open_scorer(
            plan, next(iter(sources.values())), args.scorer, stop, args.scorer_steps
        )
    if args.stage != "score" and stop.signal is None:
        diverged = train_runs(runs, sources, stop, command=command)
    if scoring and stop.signal is None:
        score_runs(runs, sources, scorer, stop)
    if scoring and stop.signal is None:
        facts = scorer and {"size": scorer.size, "val": scorer.val, "identity": scorer.identity}
        for result in publish(plan, tables, runs, read_metrics(runs), facts, command):
            say(f"\n{result.table.paper['number']}: {result.table.paper['title']}")
            print_table(
                ["", *result.table.headings],
                [[row.title, *result.texts(row)] for row in result.all_rows],
            )
            say(verdicts(result))
        say(f"\nresults: {plan.folder / 'results'}")
        say(f"report: {plan.folder / 'report.html'}")
    if stop.signal is not None:
        say(f"stopped by {stop.signal.name}; everything is saved. To continue: {command}")
        return stop.exit_code
    for run in diverged:
        say(f"diverged: {run.workdir}")
    return 1 if diverged else 0


# === The config ===


def _check(args: argparse.Namespace) -> None:
    if args.seeds < 1:
        raise UserError(f"--seeds={args.seeds}: expected 1 or more")
    if args.stage not in _STAGES:
        raise UserError(f"--stage={args.stage}: expected {', '.join(_STAGES)}")
    if args.budget is not None:
        if args.budget <= 0:
            raise UserError(f"--budget={args.budget:g}: expected minutes, more than 0")
        for flag in ("steps", "epochs"):
            if hasattr(args, flag):
                raise UserError(f"--budget and --{flag} were given; give the one that is meant")


def _base(given: dict[str, Any]) -> Config:
    """The config that all runs share, as the flags say; steps and direction are still open."""
    config = resolve(given)
    palette = config.label_palette or {"sample": "facades"}.get(config.dataset, "")
    if not palette and config.dataset in ("facades", "cityscapes"):
        palette = config.dataset
    if not palette:
        raise UserError(
            f"--dataset={config.dataset}: the tables need labels, so say which colours they have "
            "with --label_palette=NAME|FILE (`tfpix2pix inspect` finds them)"
        )
    return config.replace(label_palette=palette)


def _continued(plan: Plan, given: dict[str, Any], args: argparse.Namespace) -> Config:
    """The saved config, with what a continued reproduction may change.

    Raises:
      UserError: the flags say something else.
    """
    saved = plan.base
    wanted = dict(given)
    if "preset" in given:
        wanted = with_preset(given, saved.dataset, leave=_NOT_HERE)
    lines = differences(saved, wanted)
    steps = wanted.get("steps")
    if steps and steps != saved.steps:
        lines.append(f"--steps: the runs have {saved.steps}, the command says {steps}")
    if lines:
        raise UserError(
            f"{plan.folder} holds a reproduction of another configuration, and a table compares "
            "equals, so nothing was changed; give another --output, or drop the flags that "
            "differ:\n  " + "\n  ".join(lines)
        )
    if args.budget is not None:
        from tfpix2pix.base.progress import say

        say(f"note: the runs of {plan.folder} have {saved.steps:,} steps, so --budget is not used")
    return saved.replace(
        **{**allowed_changes(saved, given), "steps": saved.steps, "epochs": saved.epochs}
    )


def _turned(base: Config) -> Config:
    """The config with the direction from labels to photographs."""
    from tfpix2pix.pair_form import open_source

    source = open_source(base.replace(direction="AtoB", label_side=""))
    side = source.form.label_side
    return base.replace(direction="AtoB" if side == "input" else "BtoA")


def _sources(plan: Plan, tables: list[Table]) -> dict[str, PairSource]:
    """The data set by task, looked at once."""
    from tfpix2pix.base.progress import say
    from tfpix2pix.pair_form import check_source, open_source

    sources = {}
    for variant in {t.task: t.variants[0] for t in tables}.values():
        source = open_source(plan.config(variant, plan.base.seed))
        check_source(source)
        sources[variant.task] = source
    first = next(iter(sources.values()))
    if not first.count("val"):
        raise UserError(
            f"{first.name} has no val split to score on; make one (--val_fraction, or a folder "
            "val/)"
        )
    say(f"data: {first.describe()}")
    return sources


def _settle_steps(
    plan: Plan, sources: dict[str, PairSource], tables: list[Table], args: argparse.Namespace
) -> Plan:
    """The plan with the steps of every run, and with how often a run looks up."""
    from tfpix2pix.base.progress import say

    base = plan.base
    steps = base.total_steps(next(iter(sources.values())).count("train"))
    if args.budget is not None:
        from tfpix2pix.reproduction.training import seconds_per_step

        say("timing a step of every network")
        runs = plan.runs(variants_of(tables), 1)
        seconds = seconds_per_step(runs, sources, 10) * args.seeds
        steps = int(args.budget * 60 / seconds)
        if not steps:
            raise UserError(
                f"--budget={args.budget:g} minutes do not carry a step of each of the "
                f"{len(runs) * args.seeds} runs; give more, fewer --seeds, or a smaller --crop_size"
            )
    changes: dict[str, Any] = {"steps": steps}
    for field, share in (("val_every", 4), ("checkpoint_every", 8)):
        if not hasattr(args, field):
            changes[field] = -(-steps // share)
    if not hasattr(args, "sample_every"):
        changes["sample_every"] = 0
    return Plan(plan.folder, base.replace(**changes))
