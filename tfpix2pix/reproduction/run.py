"""A reproduction from beginning to end: what is missing is trained, scored and published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import clear_temporary
from tfpix2pix.base.progress import say
from tfpix2pix.base.quiet import import_tensorflow
from tfpix2pix.config import Config
from tfpix2pix.config.dataset import check_source, open_source
from tfpix2pix.reproduction.memory import forget
from tfpix2pix.reproduction.plan import MINUTES, SHARES, Plan, Run, share_of
from tfpix2pix.reproduction.publish import publish
from tfpix2pix.reproduction.results import Result
from tfpix2pix.reproduction.scoring import open_scorer, score_runs
from tfpix2pix.reproduction.tables import Pairs, Table, Variant, variants_of
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

    _tidy(plan)
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
            score_runs(as_scored(runs, wish.tables), sources, scorer, stop)
        if wish.score and stop.signal is None:
            facts: dict[str, Any] | None = None
            if scorer is not None:
                facts = {"size": scorer.size.value, "val": scorer.val, "identity": scorer.identity}
            results = publish(plan, wish.tables, runs, facts, wish.command)
        if stop.signal is not None:
            return Outcome(results, diverged, stop.signal.name, stop.exit_code)
    return Outcome(results, diverged)


def as_scored(runs: Sequence[Run], tables: Sequence[Table]) -> list[Run]:
    """Every training of these, once for each task in which a table scores it."""
    return [
        run.in_task(task)
        for run in runs
        for task in dict.fromkeys(t.task for t in tables if run.variant in t.variants)
    ]


def _tidy(plan: Plan) -> None:
    """Removes what a call that was killed while it wrote a file has left of it; of the runs
    themselves their training does."""
    own = (plan.folder, plan.folder / "results", plan.folder / "grids")
    for folder in (*own, *plan.folder.glob("runs/*/seed*/evaluation/*")):
        clear_temporary(folder)


# === What a new one finds out ===


def _turned(base: Config) -> Config:
    """The config with the direction from labels to photographs."""
    source = open_source(base.replace(direction="AtoB", label_side=""))
    side = source.spec.label_side
    return base.replace(direction="AtoB" if side == "input" else "BtoA")


def _sources(plan: Plan, wish: Wish) -> dict[Pairs, PairSource]:
    """The data set in every way in which it is opened, looked at once each."""
    sources = {}
    scored = [replace(v.pairs, task=table.task) for table in wish.tables for v in table.variants]
    for pairs in dict.fromkeys([*(v.pairs for v in variants_of(wish.tables)), *scored]):
        source = open_source(plan.data_of(pairs))
        check_source(source)
        sources[pairs] = source
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
    plan: Plan, sources: Mapping[Pairs, PairSource], tables: Sequence[Table], stop: StopRequest
) -> Plan:
    """The plan with a pace for every row of tables whose rows are chosen, timed once and saved."""
    for unit, variants in _by_unit(tables).items():
        waiting = [variant for variant in variants if variant.key not in plan.paces]
        if not waiting:
            continue
        if plan.same != MINUTES:
            for variant in waiting:
                plan = plan.with_pace(variant, None, None)
            plan.save()
            continue
        from tfpix2pix.reproduction.timing import Turns

        say(f"timing a step of {len(waiting)} networks, by turns with {unit.key}'s")
        turns = Turns(_timed(plan, unit), sources)
        for variant in waiting:
            if stop.signal is not None:
                break
            ratio, seconds = 1.0, turns.seconds
            if variant != unit:
                ratio, seconds = turns.ratio(_timed(plan, variant))
            plan = plan.with_pace(variant, ratio, seconds)
            plan.save()
            steps = plan.steps_of(variant)
            say(f"  {variant.key}: {ratio:.3f} of its seconds, so {steps:,} steps")
        del turns
        forget()
    return plan


def _by_unit(tables: Sequence[Table]) -> dict[Variant, list[Variant]]:
    """The networks of the tables whose rows are chosen, by the one whose step is their unit."""
    found: dict[Variant, list[Variant]] = {}
    for table in tables:
        if table.unit:
            found.setdefault(table.unit_variant, []).extend(table.variants)
    return {unit: list(dict.fromkeys(variants)) for unit, variants in found.items()}


def _timed(plan: Plan, variant: Variant) -> Run:
    return plan.runs([variant], 1)[0]


def _with_steps(plan: Plan, sources: Mapping[Pairs, PairSource], wish: Wish) -> Plan:
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


def _affordable(plan: Plan, sources: Mapping[Pairs, PairSource], wish: Wish, seconds: float) -> int:
    """Steps of the base config with which all runs together take so long."""
    from tfpix2pix.reproduction.timing import seconds_per_step

    of_units = _by_unit(wish.tables) if plan.same == MINUTES else {}
    # A run of the same minutes takes as long as one of its unit, whatever its own steps.
    shared = {variant for variants in of_units.values() for variant in variants}
    timed = [variant for variant in variants_of(wish.tables) if variant not in shared]
    say(f"timing a step of {len(timed) + len(of_units)} networks")
    found = seconds_per_step(plan.runs([*timed, *of_units], 1), sources, 10)
    runs = [1] * len(timed) + [len(variants) for variants in of_units.values()]
    together = sum(count * of_one for count, of_one in zip(runs, found, strict=True))
    return int(seconds / (together * wish.seeds))
