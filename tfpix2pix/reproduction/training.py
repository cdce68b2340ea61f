"""Trains what is left of a reproduction, one run after the other."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import TrainingDiverged, UserError
from tfpix2pix.base.progress import duration, say
from tfpix2pix.reproduction.plan import Run

if TYPE_CHECKING:
    from tfpix2pix.data import PairSource
    from tfpix2pix.training.stop import StopRequest


def train_runs(
    runs: Sequence[Run],
    sources: Mapping[str, PairSource],
    stop: StopRequest,
    command: str = "",
) -> list[Run]:
    """Trains every run that is not finished; what is finished is not touched.

    Args:
      runs: in their order.
      sources: the data set by task, already checked.
      stop: asked after every step; the run in progress is saved and the rest left.
      command: how the user started it, for the runs' reports.

    Returns:
      The runs that diverged.
    """
    import tensorflow as tf

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
                    sources[run.variant.task],
                    stop=stop,
                    command=command,
                    say=lambda text: say(f"  {text}"),
                )
            except TrainingDiverged as error:
                say(f"{run.workdir}: {error}")
                diverged.append(run)
            # What Keras remembers of a run's graphs would otherwise add up over dozens of runs.
            tf.keras.backend.clear_session()
            gc.collect()
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
    mean.
    """
    speeds: dict[str, list[float]] = {}
    for run in runs:
        steps = run.steps_done
        if steps and run.seconds:
            speeds.setdefault(run.variant.key, []).append(run.seconds / steps)
    if not speeds:
        return 0.0
    own = {key: sum(values) / len(values) for key, values in speeds.items()}
    usual = sum(own.values()) / len(own)
    return sum(
        (run.config.steps - run.steps_done) * own.get(run.variant.key, usual)
        for run in runs
        if not run.trained
    )


def seconds_per_step(runs: Sequence[Run], sources: Mapping[str, PairSource], steps: int) -> float:
    """Seconds that one step of every variant takes together, measured.

    Args:
      runs: one of each variant.
      sources: the data set by task.
      steps: to time, after two that build the graphs.

    Raises:
      UserError: a split is too small to be timed.
    """
    import time

    import tensorflow as tf

    from tfpix2pix.algorithms.registry import algorithm_class
    from tfpix2pix.data import open_store, training_batches

    total = 0.0
    stores = {}
    for run in runs:
        config, task = run.config, run.variant.task
        if task not in stores:
            stores[task] = open_store(sources[task], "train", size=config.load_size)
        algorithm = algorithm_class(config.algorithm)(config)
        batches = iter(
            training_batches(
                stores[task],
                crop_size=config.crop_size,
                flip=config.flip,
                batch_size=config.batch_size,
                seed=config.seed,
                start_step=0,
                stop_step=steps + 2,
            )
        )
        for _ in range(2):
            algorithm.train_step(*next(batches))
        started = time.monotonic()
        for _ in range(steps):
            losses = algorithm.train_step(*next(batches))
        float(next(iter(losses.values())))
        total += (time.monotonic() - started) / steps
        tf.keras.backend.clear_session()
        gc.collect()
    if total <= 0:
        raise UserError("a step took no time, so --budget cannot be turned into steps; use --steps")
    return total
