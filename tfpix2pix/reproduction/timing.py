"""How long a training step of a variant takes, by itself and beside that of another one."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from tfpix2pix.algorithms.registry import algorithm_class
from tfpix2pix.base.errors import UserError
from tfpix2pix.config.dataset import resolved
from tfpix2pix.data import open_store, training_batches
from tfpix2pix.reproduction.memory import forget
from tfpix2pix.reproduction.plan import Run
from tfpix2pix.reproduction.tables import Pairs
from tfpix2pix.reproduction.training import training_source

if TYPE_CHECKING:
    from tfpix2pix.data import PairSource, PairStore

ROUNDS = 9  # in which two variants take turns
TURN = 0.5  # seconds that a turn lasts at least
_LONGEST = 50  # steps of a turn
_FIRST = 2  # steps that build the graphs


class Stepper:
    """A variant in training, for its time alone: nothing of it is kept.

    Args:
      run: whose config is trained.
      source: its data set.
      store: the train split of it.
    """

    def __init__(self, run: Run, source: PairSource, store: PairStore) -> None:
        config = resolved(run.config, source.spec)
        self._algorithm = algorithm_class(config.algorithm)(
            config, spec=source.spec, total_steps=config.steps or 1
        )
        self._algorithm.prepare(store)
        self._batches: Iterator[tuple[tf.Tensor, tf.Tensor]] = iter(
            training_batches(
                store,
                crop_size=config.crop_size,
                flip=config.flip,
                batch_size=config.batch_size,
                seed=config.seed,
                start_step=0,
                stop_step=1 << 30,
            )
        )
        self.seconds(_FIRST)

    def seconds(self, steps: int) -> float:
        """Trains so many steps; returns what one of them took."""
        started = time.monotonic()
        for _ in range(steps):
            losses = self._algorithm.train_step(*next(self._batches))
        float(next(iter(losses.values())))
        return (time.monotonic() - started) / steps


class Steppers:
    """Opens the train split of each task, and of its pairs broken apart, once.

    Args:
      sources: the data set by how it is opened.
    """

    def __init__(self, sources: Mapping[Pairs, PairSource]) -> None:
        self._sources = sources
        self._opened: dict[tuple[Pairs, bool], tuple[PairSource, PairStore]] = {}

    def of(self, run: Run) -> Stepper:
        """A run's variant, ready to be timed."""
        kind = (run.variant.pairs, run.config.unpaired)
        if kind not in self._opened:
            source = training_source(run, self._sources)
            self._opened[kind] = source, open_store(source, "train", size=run.config.load_size)
        return Stepper(run, *self._opened[kind])


class Turns:
    """Times variants beside a reference, by turns, so that what else the machine does meets both.

    Args:
      reference: the run whose step is the unit.
      sources: the data set by how it is opened.
    """

    def __init__(self, reference: Run, sources: Mapping[Pairs, PairSource]) -> None:
        self._steppers = Steppers(sources)
        self._reference = self._steppers.of(reference)
        # One alone, so that the next turn is sized by a step that builds nothing any more.
        self._turn = _turn(self._reference.seconds(_FIRST))
        self.seconds = statistics.median(
            self._reference.seconds(self._turn) for _ in range(ROUNDS // 3)
        )
        forget()

    def ratio(self, run: Run) -> tuple[float, float]:
        """Times a variant.

        Returns:
          The median over the rounds of its step's seconds by those of the reference's, and the
          median of its own seconds.
        """
        other = self._steppers.of(run)
        turn = _turn(other.seconds(_FIRST))
        ratios, seconds = [], []
        for round_ in range(ROUNDS):
            # Who comes first changes, so that a load that grows or falls favours neither.
            if round_ % 2:
                own = other.seconds(turn)
                unit = self._reference.seconds(self._turn)
            else:
                unit = self._reference.seconds(self._turn)
                own = other.seconds(turn)
            ratios.append(own / max(unit, 1e-9))
            seconds.append(own)
        del other
        forget()
        return statistics.median(ratios), statistics.median(seconds)


def _turn(seconds: float) -> int:
    """Steps of a turn, where one takes so long."""
    return max(1, min(_LONGEST, math.ceil(TURN / max(seconds, 1e-9))))


def seconds_per_step(
    runs: Sequence[Run], sources: Mapping[Pairs, PairSource], steps: int
) -> list[float]:
    """Seconds that one step of each run takes, measured.

    Args:
      runs: one of each variant.
      sources: the data set by how it is opened.
      steps: to time, after those that build the graphs.

    Raises:
      UserError: no step took any time.
    """
    found, steppers = [], Steppers(sources)
    for run in runs:
        found.append(steppers.of(run).seconds(steps))
        forget()
    if sum(found) <= 0:
        raise UserError("a step took no time, so --budget cannot be turned into steps; use --steps")
    return found
