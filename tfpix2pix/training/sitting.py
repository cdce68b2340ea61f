"""A run as `tfpix2pix train` and `tfpix2pix.train` make it: the workdir held, the data checked,
TensorFlow started, trained, and said how it went."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base import lock
from tfpix2pix.base.errors import DataError, UserError
from tfpix2pix.base.files import check_writable
from tfpix2pix.config import Config
from tfpix2pix.config.dataset import check_source, missing_place, open_source
from tfpix2pix.config.shapes import squeeze_note
from tfpix2pix.data.config import LEARNS_UNPAIRED, PAIRS
from tfpix2pix.training.cluster import read_cluster
from tfpix2pix.training.strategies import build_strategy, check_strategy, slower_here
from tfpix2pix.training.workdir import moved_from, workdir_and_config

if TYPE_CHECKING:
    from tfpix2pix.data import PairArrays, PairSource
    from tfpix2pix.training.run import Outcome


class Sitting:
    """One call of either.

    Args:
      workdir: the run's folder; None for ``runs/NAME``.
      given: fields of the config that the user gave, with absolute paths.
      strategy: of `tfpix2pix.training.strategies.STRATEGIES`.
      tpu: which TPU the strategy ``tpu`` uses.
      command: how the user started it, for the report.
      arrays: the pairs, where the data set is arrays.
      python: say how to go on in Python, not on the command line.
      stop: set by the caller's other threads to end it as Ctrl-C does.
    """

    def __init__(
        self,
        workdir: str | None,
        given: Mapping[str, Any],
        *,
        strategy: str = "default",
        tpu: str = "",
        command: str = "",
        arrays: PairArrays | None = None,
        python: bool = False,
        stop: threading.Event | None = None,
    ) -> None:
        self._workdir, self._given = workdir, given
        self._strategy, self._tpu, self._command = strategy, tpu, command
        self._arrays, self._python, self._stop = arrays, python, stop
        # Arrays have no name, so that other ones get another folder by what they hold.
        self._name = f"arrays-{arrays.digest[:8]}" if arrays else ""
        self.workdir, self.config = self._resolved()
        check_strategy(strategy, self.config, tpu=tpu)
        check_writable(self.workdir, "--workdir")

    def _resolved(self) -> tuple[Path, Config]:
        workdir, config = workdir_and_config(self._workdir, self._given, self._name)
        if config.patience and not config.val_every:
            raise UserError(
                f"--patience={config.patience} counts measurements on val, and --val_every=0 takes "
                "none but the last; give --val_every, or --patience=0"
            )
        return workdir, config

    def alone(self) -> Outcome:
        """Trains in the workdir while nobody else does.

        Raises:
          UserError: another process trains there, or as `together`.
        """
        from tfpix2pix.base.progress import say

        with lock.held(self.workdir, f"--workdir={self.workdir}", say):
            # Read when nobody else writes it any more.
            self.workdir, self.config = self._resolved()
            return self.together()

    def together(self) -> Outcome:
        """Trains; of several workers the chief alone holds the workdir, by `alone`.

        Raises:
          UserError: the data or the run cannot be used.
          TrainingDiverged, WorkerLost: as `tfpix2pix.training.run.train`.
        """
        from tfpix2pix.base.progress import say

        config, workdir = self.config, self.workdir
        moved = moved_from(workdir, config)
        source = self._opened()
        if not source.count("train"):
            raise DataError(
                f"{source.name}: no {source.unit}s are left for training; give more, a train "
                "split, or a smaller --val_fraction."
            )
        check_source(source)
        for note in self._notes(source):
            say(f"note: {note}")
        if not source.count("val"):
            say(f"note: the data set has no val split; {source.no_val_advice()}")
        say(f"data: {source.describe()}")
        say(
            f"run: {workdir}, preset {config.preset}: {config.crop_size} px, "
            f"{config.networks}, batch {config.batch_size}"
        )

        from tfpix2pix.base.quiet import import_tensorflow, wake_compiler

        import_tensorflow(wake=self._strategy not in ("multi_worker", "tpu"))
        if self._strategy == "multi_worker":
            cluster = read_cluster()
            say(f"worker {cluster.index} of {len(cluster)}, waiting for all of them")
        strategy = build_strategy(self._strategy, config, self._tpu)
        if config.jit_compile:
            wake_compiler()
        slower = slower_here(config)
        if slower:
            say(f"note: {slower}")
        from tfpix2pix.training.run import train
        from tfpix2pix.training.stop import StopRequest

        with StopRequest(self._stop) as stop:
            outcome = train(
                config,
                workdir,
                source,
                strategy=strategy,
                command=self._command,
                stop=stop,
                moved=moved,
            )
        self._tell(outcome)
        return outcome

    def _notes(self, source: PairSource) -> list[str]:
        """What to say of the data; of their shape only while that can be changed."""
        notes = source.notes()
        if not (self.workdir / "config.json").exists():
            notes.append(squeeze_note(self.config, source.image_sizes()))
        return [note for note in notes if note]

    def _opened(self) -> PairSource:
        config = self.config
        gone = missing_place(config, self._given)
        if gone:
            flags = "--input_dir=NEW --target_dir=NEW" if config.input_dir else "--dataset=NEW"
            raise DataError(
                f"--workdir={self.workdir}: its pairs are not in {gone} any more; if they were "
                f"moved, go on with {flags}"
            )
        if config.unpaired and config.DATA == PAIRS:
            raise UserError(
                f"--data=unpaired: {config.algorithm} learns from pairs; leave it out, or give an "
                f"algorithm that needs none, {LEARNS_UNPAIRED}"
            )
        return open_source(config, self.workdir, self._arrays)

    def _tell(self, outcome: Outcome) -> None:
        """Says how it ended and how to go on."""
        from tfpix2pix.base.progress import duration, say

        if outcome.stopped_by:
            say(
                f"stopped by {outcome.stopped_by} at step {outcome.steps_done:,} of "
                f"{outcome.steps_total:,}; everything is saved. To continue: {self._to_continue()}"
            )
            return
        if self._strategy == "multi_worker" and read_cluster().index > 0:
            say(
                f"step {outcome.steps_done:,} is done and saved by the first worker in "
                f"{self.workdir}"
            )
            return
        if outcome.out_of_patience:
            assert outcome.best is not None, "what else would not have become better"
            best, patience = outcome.best, self.config.patience
            had = "stopped" if outcome.trained_now else "had stopped"
            say(
                f"{had} at step {outcome.steps_done:,} of {outcome.steps_total:,}: "
                f"{best['metric']} on val has not become better in {patience:,} measurements, "
                f"since step {best['step']:,} (--checkpoint=best); to go on, give a larger "
                "--patience, or 0"
            )
            if outcome.trained_now:
                say(f"to use it: {self._to_use()}")
        elif not outcome.trained_now:
            say(
                f"already trained: {self.workdir} has done {outcome.steps_done:,} steps, and "
                f"{outcome.steps_total:,} are asked for; give a larger --steps or --epochs to "
                "train on"
            )
        else:
            say(f"trained {outcome.steps_done:,} steps in {duration(outcome.seconds)}")
            say(f"to use it: {self._to_use()}")
        say(f"report: {outcome.report}")

    def _to_continue(self) -> str:
        run = os.fspath(self.workdir)
        if self._python:
            pairs = "(x, y), " if self._arrays else ""
            return f"tfpix2pix.train({pairs}workdir={run!r})"
        return f"tfpix2pix train --workdir={shlex.quote(run)}"

    def _to_use(self) -> str:
        run = os.fspath(self.workdir)
        if self._python:
            return f"tfpix2pix.load({run!r}).translate(image)"
        run = shlex.quote(run)
        inputs = f"{run}/samples/inputs"
        several = " --samples=8" if self.config.latent_size else ""
        return f"tfpix2pix translate --workdir={run} --input={inputs} --output=translated{several}"
