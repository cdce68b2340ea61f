"""A run, from its first step or its newest checkpoint to its last: reads downwards in one order.

It knows a config, a data set, and an algorithm of which it knows what `algorithms.base` says; every
file that it writes stands in the workdir.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpix2pix.algorithms.registry import algorithm_class
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.progress import ProgressLine, say
from tfpix2pix.base.size import Size
from tfpix2pix.config import Config
from tfpix2pix.config.dataset import resolved
from tfpix2pix.data import PairSource, PairStore
from tfpix2pix.report.records import read_records
from tfpix2pix.training.batches import batches_from, changes, open_split
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.cluster import WorkerLost, lost
from tfpix2pix.training.history import read_history
from tfpix2pix.training.initial import start_from
from tfpix2pix.training.observe import Observer
from tfpix2pix.training.periodic import Every
from tfpix2pix.training.stop import StopRequest
from tfpix2pix.training.workdir import make_workdir
from tfpix2pix.training.workers import Workers

__all__ = ["Outcome", "train"]


@dataclass(frozen=True)
class Outcome:
    """How a call of ``train`` ended.

    Attributes:
      steps_done, steps_total: of the whole run.
      report: path of ``report.html``, or None when nothing has been drawn yet.
      trained_now: steps done by this call.
      seconds: spent training, over all sittings.
      stopped_by: name of the signal that ended it early, or None.
      exit_code: 0, or 128 + the signal's number.
      best: the best measure on val (``metric``, ``value``, ``step``), or None.
      workdir: the run's folder; what takes a path takes the whole outcome for it.
      source: what it was trained on.
      out_of_patience: whether it ended before its last step because of ``patience``.
    """

    steps_done: int
    steps_total: int
    report: Path | None
    trained_now: int
    seconds: float
    stopped_by: str | None = None
    exit_code: int = 0
    best: Mapping[str, Any] | None = None
    workdir: Path = Path()
    source: PairSource | None = dataclasses.field(default=None, repr=False, compare=False)
    out_of_patience: bool = False

    def __fspath__(self) -> str:
        return os.fspath(self.workdir)


def train(
    config: Config,
    workdir: str | os.PathLike[str],
    source: PairSource,
    *,
    strategy: tf.distribute.Strategy | None = None,
    command: str = "",
    stop: StopRequest | None = None,
    say: Callable[[str], None] = say,
    moved: str = "",
) -> Outcome:
    """Trains until ``config`` is fulfilled, continuing from the newest checkpoint of the workdir.

    Args:
      config: what to train, and by which algorithm; saved in the workdir.
      workdir: the run's folder; made if it is missing.
      source: the data set that ``config.dataset`` names, already checked.
      strategy: where to train; one device by default. Of several workers all must call this with
        the same arguments and see one workdir; the first alone writes into it.
      command: how the user started it, for the report.
      stop: asked after every step whether to leave.
      say: receives messages, a sentence each.
      moved: where the pairs of this run lay before, if `source` is to be the same ones elsewhere.

    Returns:
      How far the run is.

    Raises:
      UserError: the workdir cannot be written or its checkpoints cannot be used, a file of the
        data set cannot be read any more.
      TrainingDiverged: NaN or infinite losses or weights.
      WorkerLost: another worker of the strategy is gone.
    """
    workers = Workers(strategy or tf.distribute.get_strategy())
    run = _Run(config, Path(workdir), source, strategy, workers, command, stop, say, moved)
    try:
        return run.run()
    except BrokenPipeError:  # whoever read our output left: nothing to mend
        raise
    except OSError as error:
        raise UserError(run.unwritten(error.strerror or str(error))) from None
    except tf.errors.OpError as error:
        if workers.is_lost(error):
            raise WorkerLost(lost(error, Checkpoints(workdir).steps())) from None
        text = " ".join(error.message.split())[:200]
        if "OOM" in text or "llocat" in text:
            raise UserError(
                f"out of memory ({text}); use a smaller {config.SMALLER} in a new {config.FLAG}; "
                f"{run.observer.kept()}"
            ) from None
        raise UserError(run.unwritten(text)) from None


class _Run:
    """One call of ``train``."""

    def __init__(
        self,
        config: Config,
        workdir: Path,
        source: PairSource,
        strategy: tf.distribute.Strategy | None,
        workers: Workers,
        command: str,
        stop: StopRequest | None,
        say: Callable[[str], None],
        moved: str,
    ) -> None:
        config = resolved(config, source.spec)
        self.moved = moved
        self.config, self.workdir, self.source = config, workdir, source
        self.workers, self.stop, self.say = workers, stop or StopRequest(), say
        self.identity = source.identity()  # looks at every file, so once and not per checkpoint
        self.total = config.total_steps(source.count("train"))
        self.algorithm = algorithm_class(config.algorithm)(
            config,
            strategy,
            spec=source.spec,
            total_steps=self.total,
            decay_from=config.decay_start(source.count("train")),
            train_images=source.count("train"),
        )
        self.notes: list[str] = []  # of this call, for the report too
        self.checkpoints = Checkpoints(workdir, config.keep_checkpoints)
        self.saved_step = -1
        self.observer = Observer(
            config, workdir, source, self.algorithm, self.checkpoints, self.total, command, say
        )

    def run(self) -> Outcome:
        start = self.restore()
        self.agree(start)
        if start >= self.total or self.observer.out_of_patience:
            return self.nothing_to_do(start)
        self.warn_of_schedule()
        if start:
            self.say(f"continuing from step {start:,} of {self.total:,} in {self.workdir}")
        elif self.saved_step < 0 and self.workers.chief and read_history(self.workdir):
            self.say(f"note: {self.checkpoints.folder} holds no checkpoint, so starting again")
        store = self.open_split("train", self.config.load_size)
        self.notes += self.algorithm.prepare(store)
        for note in self.notes:
            self.say(f"note: {note}")
        if self.workers.chief:  # not before there is something to learn
            make_workdir(self.workdir, self.config, self.source.spec)
        return (self.lead if self.workers.chief else self.follow)(store, start)

    # === Before the first step ===

    def restore(self) -> int:
        """Reads the newest checkpoint; returns its step, 0 where there is none."""
        algorithm = self.algorithm
        facts = self.checkpoints.restore(
            algorithm.state(), say=self.say, optional=algorithm.OPTIONAL
        )
        if facts is None:
            if self.config.init_from:
                self.observer.init_from, notes = start_from(algorithm, self.config)
                self.notes += notes
            return 0
        self.saved_step = int(facts["step"])
        algorithm.step.assign(self.saved_step)
        self.observer.best = facts.get("best")
        self.observer.stale = int(facts.get("stale", self.counted(facts)))
        self.observer.seconds = float(facts.get("seconds", 0.0))
        self.observer.init_from = facts.get("init_from")
        self.compare_rates(facts.get("learning_rate", {}))
        changed = changes(facts.get("dataset", {}), self.identity)
        if self.moved:
            self.accept_moved(changed)
        elif changed:
            self.say(
                f"note: the data set has changed since this run was last saved ({changed}); the "
                "result will not be that of an uninterrupted run"
            )
        return self.saved_step

    def compare_rates(self, before: Mapping[str, float]) -> None:
        """Notes a learning rate that goes on otherwise than the run was saved to go on."""
        now = self.algorithm.rates(self.saved_step)
        if before and before != now and self.saved_step < self.total:
            self.notes.append(
                f"the learning rate is {_rates(now)} from step {self.saved_step + 1:,} on; by the "
                f"settings so far it would have been {_rates(before)}"
            )

    def accept_moved(self, changed: str) -> None:
        """Refuses to go on with other pairs than those that the run was trained on."""
        name, run = self.source.name, self.workdir
        if changed:
            raise UserError(
                f"{name} holds other pairs than {run} was trained on ({changed}), so nothing was "
                "changed; to start a new run on them from its weights, give "
                f"--init_from={run} and another --workdir"
            )
        self.notes.append(f"the pairs of this run, before in {self.moved}, are now {name}")

    def counted(self, facts: Mapping[str, Any]) -> int:
        """How often val was measured since the best, by the records: runs of before `--patience`
        have no such number in their checkpoints."""
        best = facts.get("best")
        return sum(
            record.get("kind") == "val" and best["step"] < record["step"] <= facts["step"]
            for record in read_history(self.workdir)
            if best
        )

    def agree(self, start: int) -> None:
        """Refuses workers that would not do the same work: another config, data set or folder."""
        for text, what, advice in (
            (self.config.to_json(), "other settings", "give all of them the same flags"),
            (
                json.dumps(self.identity, sort_keys=True),
                "another data set",
                "give all of them the same files",
            ),
            (
                str(start),
                "other checkpoints",
                f"--workdir={self.workdir} must be one folder that all of them share",
            ),
        ):
            if not self.workers.same(text):
                raise UserError(f"the workers do not agree: one of them has {what}; {advice}")

    def nothing_to_do(self, start: int) -> Outcome:
        """The config is fulfilled already."""
        page = None
        if self.workers.chief:
            if read_records(self.workdir).run.get("steps_done") != start:
                self.observer.write_facts(start)  # killed between its last checkpoint and line
            page = self.observer.draw_report()
        return self.outcome(start, 0, page)

    def open_split(self, split: str, size: Size) -> PairStore:
        return open_split(self.source, split, size, self.config, self.say)

    def batches(self, store: PairStore, start: int) -> Iterator[Any]:
        strategy = self.algorithm.strategy
        return batches_from(start, store, self.config, self.total, strategy, self.workers)

    # === The loop ===

    def lead(self, store: PairStore, start: int) -> Outcome:
        """The loop of the process that writes: the only one, or the first of several workers."""
        config, observer, step = self.config, self.observer, start
        val = self.open_split("val", config.whole_size) if self.source.count("val") else None
        with observer.observing(store, val, start):
            for note in self.notes:
                observer.note(start, note)
            if config.init_from and not start:
                self.save(start)  # from here on the other run is not needed
            # Saving comes last, so that where a checkpoint exists everything else of its step does.
            actions = [
                Every(config.log_every, observer.log),
                Every(config.val_every, self.validate),
                Every(config.sample_every, observer.sample),
                Every(config.checkpoint_every, self.save),
                Every(1, self.save_if_best),
            ]
            batches = batches_from(
                start, store, config, self.total, self.algorithm.strategy, self.workers
            )
            while not (self.ends(step) or self.workers.stopping(step, self.stop)):
                observer.pending.append(self.algorithm.train_step(*next(batches)))
                step += 1
                observer.show(step)
                for action in actions:
                    action(step, last=self.ends(step))
            if step < self.total:
                observer.log(step)
                self.save(step)
            page = observer.finish(step)
        self.workers.wait()
        return self.outcome(step, step - start, page)

    def follow(self, store: PairStore, start: int) -> Outcome:
        """The loop of a worker that is not the chief: the same steps, and nothing is written."""
        step, observer = start, self.observer
        check = Every(self.config.log_every, observer.resolve)
        heed = Every(self.config.val_every, self.heed)
        batches = self.batches(store, start)
        with ProgressLine("training", self.total, "step", start) as line:
            while not (self.ends(step) or self.workers.stopping(step, self.stop)):
                observer.pending.append(self.algorithm.train_step(*next(batches)))
                step += 1
                line.show(step, "")
                check(step, last=step == self.total)
                heed(step, last=step == self.total)
        self.workers.wait()  # until the chief has saved it all
        return self.outcome(step, step - start, None)

    def ends(self, step: int) -> bool:
        """Whether the run is done after this step."""
        return step >= self.total or self.observer.out_of_patience

    def validate(self, step: int) -> None:
        """Measures on val; if that was once too often, this is the last step."""
        self.observer.validate(step)
        self.heed(step)
        if step < self.total and self.observer.out_of_patience:
            self.observer.log(step)  # before it is saved

    def heed(self, step: int) -> None:
        """Lets all workers know what the first of them measured."""
        if self.config.patience and self.workers.count > 1:
            stale = self.observer.stale if self.workers.chief else 0
            self.observer.stale = int(self.workers.gather(stale).max())

    def save(self, step: int) -> None:
        if self.saved_step == step:
            return
        facts = {**self.observer.before_saving(step), "dataset": self.identity}
        self.checkpoints.save(self.algorithm.state(), step, facts)
        self.saved_step = step
        self.observer.exclude_saving()

    def save_if_best(self, step: int) -> None:
        if self.observer.best is not None and self.observer.best["step"] == step:
            self.save(step)

    def outcome(self, step: int, trained_now: int, page: Path | None) -> Outcome:
        observer = self.observer
        outcome = Outcome(
            step,
            self.total,
            page,
            trained_now,
            observer.seconds,
            best=observer.best,
            workdir=self.workdir,
            source=self.source,
            out_of_patience=step < self.total and observer.out_of_patience,
        )
        signal = None if outcome.out_of_patience or step >= self.total else self.stop.signal
        if signal is None:
            return outcome
        return dataclasses.replace(outcome, stopped_by=signal.name, exit_code=self.stop.exit_code)

    def warn_of_schedule(self) -> None:
        """Notes a decay of the learning rate that never comes."""
        config, images = self.config, self.source.count("train")
        given = f"--lr_decay_from={config.lr_decay_from}"
        falls = config.lr_schedule.startswith("linear")
        if falls and config.decay_start(images) >= self.total:
            self.notes.append(
                f"{given} is not before the end of the run, step {self.total:,}, so the learning "
                "rate does not fall; give an earlier one"
            )
        elif not falls and config.decay_start(images) != self.total // 2:
            self.notes.append(f"{given} does nothing without --lr_schedule=linear")

    def unwritten(self, reason: str) -> str:
        return (
            f"{self.config.FLAG}={self.workdir}: a file could not be written or read ({reason}); "
            f"{self.observer.kept()}; free space or mend the folder, then run the same command "
            "again"
        )


def _rates(rates: Mapping[str, float]) -> str:
    """Learning rates by group; one number where they are all the same."""
    if len(set(rates.values())) == 1:
        return f"{next(iter(rates.values())):.4g}"
    return ", ".join(f"{rate:.4g} ({group})" for group, rate in rates.items())
