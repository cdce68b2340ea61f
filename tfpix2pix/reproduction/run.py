"""A reproduction from beginning to end: what is missing is trained, scored and published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.progress import say
from tfpix2pix.base.quiet import import_tensorflow
from tfpix2pix.config import Config
from tfpix2pix.config.dataset import check_source, open_source
from tfpix2pix.reproduction.plan import Plan, Run
from tfpix2pix.reproduction.publish import publish, read_metrics
from tfpix2pix.reproduction.results import Result
from tfpix2pix.reproduction.scoring import open_scorer, score_runs
from tfpix2pix.reproduction.tables import Table, variants_of
from tfpix2pix.reproduction.training import seconds_per_step, train_runs

if TYPE_CHECKING:
    from tfpix2pix.data import PairSource


@dataclass(frozen=True)
class Wish:
    """What a call asks for.

    Attributes:
      tables: to reproduce.
      seeds: trainings of each network.
      train, score: which stages are done.
      budget: minutes of training for all runs of a new reproduction; None for the base config's
        own steps.
      scorer: folder of a scorer; None for the reproduction's own, trained when it is needed.
      scorer_steps: of its training; 0 for what `tfpix2pix train-scorer` does.
      given: fields of the config that the user gave.
      command: how it was started, for reports.
    """

    tables: Sequence[Table]
    seeds: int = 3
    train: bool = True
    score: bool = True
    budget: float | None = None
    scorer: str | None = None
    scorer_steps: int = 0
    given: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a call.

    Attributes:
      results: by table; None where nothing was published.
      diverged: runs whose training failed.
      stopped_by: the signal's name; empty where there was none.
      exit_code: of the program, after a signal.
    """

    results: list[Result] | None
    diverged: list[Run]
    stopped_by: str = ""
    exit_code: int = 0


def reproduce(plan: Plan, is_new: bool, wish: Wish) -> Outcome:
    """Does what is left of a reproduction; SIGTERM and Ctrl-C save first.

    Args:
      plan: as `tfpix2pix.reproduction.plan.begin` gives it.
      is_new: whether its direction and steps are still to be found out.
      wish: what is asked for.

    Raises:
      UserError: the data set or the scorer does not do, or the budget is too small.
    """
    if is_new:
        plan = Plan(plan.folder, _turned(plan.base))
    sources = _sources(plan, wish.tables)
    import_tensorflow()
    from tfpix2pix.training.stop import StopRequest

    variants = variants_of(wish.tables)
    scorer, diverged, results = None, [], None
    with StopRequest() as stop:
        if is_new:
            plan = _with_steps(plan, sources, wish)
            plan.save()
        runs = plan.runs(variants, wish.seeds)
        say(
            f"{', '.join(t.paper['number'] for t in wish.tables)}: {len(variants)} networks x "
            f"{wish.seeds} seeds, {plan.base.steps:,} steps each, in {plan.folder}"
        )
        if wish.score and any(table.evaluator == "fcn" for table in wish.tables):
            scorer = open_scorer(
                plan, next(iter(sources.values())), wish.scorer, stop, wish.scorer_steps
            )
        if wish.train and stop.signal is None:
            diverged = train_runs(runs, sources, stop, command=wish.command)
        if wish.score and stop.signal is None:
            score_runs(runs, sources, scorer, stop)
        if wish.score and stop.signal is None:
            facts: dict[str, Any] | None = None
            if scorer is not None:
                facts = {"size": scorer.size, "val": scorer.val, "identity": scorer.identity}
            results = publish(plan, wish.tables, runs, read_metrics(runs), facts, wish.command)
        if stop.signal is not None:
            return Outcome(results, diverged, stop.signal.name, stop.exit_code)
    return Outcome(results, diverged)


# === What a new one finds out ===


def _turned(base: Config) -> Config:
    """The config with the direction from labels to photographs."""
    source = open_source(base.replace(direction="AtoB", label_side=""))
    side = source.spec.label_side
    return base.replace(direction="AtoB" if side == "input" else "BtoA")


def _sources(plan: Plan, tables: Sequence[Table]) -> dict[str, PairSource]:
    """The data set by task, looked at once."""
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


def _with_steps(plan: Plan, sources: Mapping[str, PairSource], wish: Wish) -> Plan:
    """The plan with the steps of every run, and with how often a run looks up."""
    base = plan.base
    steps = base.total_steps(next(iter(sources.values())).count("train"))
    if wish.budget is not None:
        say("timing a step of every network")
        runs = plan.runs(variants_of(wish.tables), 1)
        seconds = seconds_per_step(runs, sources, 10) * wish.seeds
        steps = int(wish.budget * 60 / seconds)
        if not steps:
            raise UserError(
                f"--budget={wish.budget:g} minutes do not carry a step of each of the "
                f"{len(runs) * wish.seeds} runs; give more, fewer --seeds, or a smaller --crop_size"
            )
    changes: dict[str, Any] = {"steps": steps}
    for name, share in (("val_every", 4), ("checkpoint_every", 8)):
        if name not in wish.given:
            changes[name] = -(-steps // share)
    if "sample_every" not in wish.given:
        changes["sample_every"] = 0
    return Plan(plan.folder, base.replace(**changes))
