"""Trains what is left of a reproduction, one run after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import TrainingDiverged
from tfpix2pix.base.progress import duration, say
from tfpix2pix.reproduction.memory import forget
from tfpix2pix.reproduction.plan import Run
from tfpix2pix.reproduction.tables import Pairs

if TYPE_CHECKING:
    from tfpix2pix.data import PairSource
    from tfpix2pix.training.stop import StopRequest


def training_source(run: Run, sources: Mapping[Pairs, PairSource]) -> PairSource:
    """What a run is trained on: the pairs of its task, in an order that breaks them where its
    algorithm learns from none.

    Args:
      run: whose.
      sources: the pairs by how they are opened, already checked.
    """
    from tfpix2pix.data.sources.unpaired import BrokenPairs

    pairs, config = sources[run.variant.pairs], run.config
    if not config.unpaired:
        return pairs
    return BrokenPairs(pairs, seed=config.seed, disjoint=config.disjoint_stems)


def train_runs(
    runs: Sequence[Run],
    sources: Mapping[Pairs, PairSource],
    stop: StopRequest,
    command: str = "",
) -> list[Run]:
    """Trains every run that is not finished; what is finished is not touched.

    Args:
      runs: in their order.
      sources: the data set by how it is opened, already checked.
      stop: asked after every step; the run in progress is saved and the rest left.
      command: how the user started it, for the runs' reports.

    Returns:
      The runs that diverged.
    """
    from tfpix2pix.training.run import train

    diverged = []
    waiting = [run for run in runs if not run.trained]
    done = len(runs) - len(waiting)
    if done:
        say(f"{done:,} of {len(runs):,} runs are trained already")
    for run in runs:
        if stop.signal is not None:
            break
        if not run.trained:
            say(f"run {done + 1:,} of {len(runs):,}: {run.variant.key}, seed {run.seed}")
            try:
                train(
                    run.config,
                    run.workdir,
                    training_source(run, sources),
                    stop=stop,
                    command=command,
                    say=lambda text: say(f"  {text}"),
                )
            except TrainingDiverged as error:
                say(f"{run.workdir}: {error}")
                diverged.append(run)
            forget()
            done += 1
            if stop.signal is None:
                say(left(runs))
    return diverged


def left(runs: Sequence[Run]) -> str:
    """One sentence: how many runs are left, and about how long they take."""
    waiting = [run for run in runs if not run.trained]
    if not waiting:
        return f"all {len(runs):,} runs are trained"
    seconds = expected_seconds(runs)
    eta = f", about {duration(seconds)}" if seconds else ""
    done = len(runs) - len(waiting)
    return f"{done:,} of {len(runs):,} runs are trained; {len(waiting):,} left{eta}"


def expected_seconds(runs: Sequence[Run]) -> float:
    """How long the rest takes, from what the finished steps took; 0 before there are any.

    A variant that was trained with another seed is expected to take as long again, others the
    mean of all, by what their steps cost beside each other.
    """
    speeds: dict[str, list[float]] = {}
    for run in runs:
        steps = run.steps_done
        if steps and run.seconds:
            speeds.setdefault(run.variant.key, []).append(run.seconds / steps)
    if not speeds:
        return 0.0
    own = {key: sum(values) / len(values) for key, values in speeds.items()}
    costs = {run.variant.key: run.cost for run in runs}
    usual = sum(own[key] / costs[key] for key in own) / len(own)  # of a step that costs 1
    return sum(
        (run.config.steps - run.steps_done) * own.get(run.variant.key, usual * run.cost)
        for run in runs
        if not run.trained
    )
