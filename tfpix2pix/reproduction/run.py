"""A reproduction from beginning to end: what is missing is trained, scored and published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.progress import say
from tfpix2pix.base.quiet import import_tensorflow
from tfpix2pix.config import Config
from tfpix2pix.config.dataset import check_source, open_source
from tfpix2pix.reproduction.memory import forget
from tfpix2pix.reproduction.plan import MINUTES, SHARES, Plan, Run, share_of
from tfpix2pix.reproduction.publish import publish
from tfpix2pix.reproduction.results import Result
from tfpix2pix.reproduction.scoring import open_scorer, score_runs
from tfpix2pix.reproduction.tables import OWN, TABLES, Table, Variant, variants_of
from tfpix2pix.reproduction.training import train_runs

if TYPE_CHECKING:
    from tfpix2pix.data import PairSource
    from tfpix2pix.training.stop import StopRequest


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
      split: that is scored on.
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
    split: str = "val"
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
        plan = replace(plan, base=_turned(plan.base))
    sources = _sources(plan, wish)
    import_tensorflow()
    from tfpix2pix.training.stop import StopRequest

    variants = variants_of(wish.tables)
    scorer, diverged, results = None, [], None
    with StopRequest() as stop:
        if is_new:
            plan = _with_steps(plan, sources, wish)
            plan.save()
        if wish.train:
            plan = _with_paces(plan, sources, wish.tables, stop)
        runs = plan.runs(variants, wish.seeds, wish.split)
        say(
            f"{', '.join(t.label for t in wish.tables)}: {len(variants)} networks x "
            f"{wish.seeds} seeds, {_steps(runs)} steps each, in {plan.folder}"
        )
        is_fcn = any("fcn" in table.evaluators for table in wish.tables)
        if wish.score and is_fcn and stop.signal is None:
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
                facts = {"size": scorer.size.value, "val": scorer.val, "identity": scorer.identity}
            results = publish(plan, wish.tables, runs, facts, wish.command)
        if stop.signal is not None:
            return Outcome(results, diverged, stop.signal.name, stop.exit_code)
    return Outcome(results, diverged)


# === What a new one finds out ===


def _turned(base: Config) -> Config:
    """The config with the direction from labels to photographs."""
    source = open_source(base.replace(direction="AtoB", label_side=""))
    side = source.spec.label_side
    return base.replace(direction="AtoB" if side == "input" else "BtoA")


def _sources(plan: Plan, wish: Wish) -> dict[str, PairSource]:
    """The data set by task, looked at once."""
    sources = {}
    for variant in {t.task: t.variants[0] for t in wish.tables}.values():
        source = open_source(plan.config(variant, plan.base.seed))
        check_source(source)
        sources[variant.task] = source
    first = next(iter(sources.values()))
    if not first.count("val"):
        raise UserError(f"{first.name} has no val split to score on; {first.no_val_advice()}")
    if not first.count(wish.split):
        raise UserError(
            f"--score_split={wish.split}: {first.name} has no {wish.split} split; add a folder "
            f"{wish.split}/, or leave the flag out"
        )
    say(f"data: {first.describe()}")
    return sources


def _steps(runs: Sequence[Run]) -> str:
    """``4,000``, or ``2,104 to 4,000``."""
    steps = sorted({run.config.steps for run in runs})
    return f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"


def _with_paces(
    plan: Plan, sources: Mapping[str, PairSource], tables: Sequence[Table], stop: StopRequest
) -> Plan:
    """The plan with a pace for every row of our own tables, timed once and saved."""
    own = [table for table in tables if table.name in OWN]
    waiting = [variant for variant in variants_of(own) if variant.key not in plan.paces]
    if not waiting:
        return plan
    if plan.same != MINUTES:
        for variant in waiting:
            plan = plan.with_pace(variant, None, None)
        plan.save()
        return plan
    from tfpix2pix.reproduction.timing import Turns

    reference: Variant = TABLES[own[0].name].variants[0]
    say(f"timing a step of {len(waiting)} networks, by turns with {reference.key}'s")
    turns = Turns(_timed(plan, reference), sources)
    for variant in waiting:
        if stop.signal is not None:
            break
        ratio, seconds = 1.0, turns.seconds
        if variant != reference:
            ratio, seconds = turns.ratio(_timed(plan, variant))
        plan = plan.with_pace(variant, ratio, seconds)
        plan.save()
        say(f"  {variant.key}: {ratio:.3f} of its seconds, so {plan.steps_of(variant):,} steps")
    del turns
    forget()
    return plan


def _timed(plan: Plan, variant: Variant) -> Run:
    return plan.runs([variant], 1)[0]


def _with_steps(plan: Plan, sources: Mapping[str, PairSource], wish: Wish) -> Plan:
    """The plan with the steps of every run, and with how often a run looks up."""
    base = plan.base
    steps = base.total_steps(next(iter(sources.values())).count("train"))
    if wish.budget is not None:
        steps = _affordable(plan, sources, wish, wish.budget * 60)
        if not steps:
            raise UserError(
                f"--budget={wish.budget:g} minutes do not carry a step of each of the "
                f"{len(variants_of(wish.tables)) * wish.seeds} runs; give more, fewer --seeds, or "
                "a smaller --crop_size"
            )
    changes: dict[str, Any] = {"steps": steps}
    for name, parts in SHARES.items():
        if name not in wish.given:
            changes[name] = share_of(steps, parts)
    if "sample_every" not in wish.given:
        changes["sample_every"] = 0
    return replace(plan, base=base.replace(**changes))


def _affordable(plan: Plan, sources: Mapping[str, PairSource], wish: Wish, seconds: float) -> int:
    """Steps of the base config with which all runs together take so long."""
    from tfpix2pix.reproduction.timing import seconds_per_step

    variants = variants_of(wish.tables)
    own = variants_of(t for t in wish.tables if t.name in OWN) if plan.same == MINUTES else []
    # A run of the same minutes takes as long as one of the first row, whatever its own steps.
    timed = [variant for variant in variants if variant not in own]
    units = [TABLES[OWN[0]].variants[0]] if own else []
    say(f"timing a step of {len(timed + units)} networks")
    found = seconds_per_step(plan.runs(timed + units, 1), sources, 10)
    together = sum(found[: len(timed)]) + len(own) * (found[-1] if own else 0.0)
    return int(seconds / (together * wish.seeds))
