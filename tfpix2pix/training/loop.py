"""The training loop: reads top to bottom as what a run is.

It knows a config, a data set, and "networks and a step"; every file that it writes stands in the
workdir.
"""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix import report
from tfpix2pix.algorithms import Pix2Pix
from tfpix2pix.algorithms.pix2pix import draw_noise
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import clear_temporary, write_bytes, write_json, write_text
from tfpix2pix.base.progress import ProgressLine, say
from tfpix2pix.base.version import __version__
from tfpix2pix.config import Config
from tfpix2pix.data import (
    PairForm,
    PairSource,
    PairStore,
    cache_dir,
    evaluation_batches,
    explain,
    open_store,
    training_batches,
    write_image,
)
from tfpix2pix.evaluation import L1, PSNR, SSIM, evaluate
from tfpix2pix.models import noise
from tfpix2pix.pair_form import save_palette, settled
from tfpix2pix.report.records import read_records
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.cluster import WorkerLost
from tfpix2pix.training.history import History, read_history
from tfpix2pix.training.periodic import Every
from tfpix2pix.training.stop import StopRequest
from tfpix2pix.training.watch import DiscriminatorWatch, not_finite
from tfpix2pix.training.workers import Workers

# Steps in a row that float16 may skip: more than the scale of the losses needs to reach its least.
SKIPS = 50
REPORT_INTERVAL = 60.0  # seconds; the page takes a moment to draw, so it is not redrawn more often


class TrainingDiverged(Exception):
    """Losses or weights became NaN or infinite; the message says what is left and what to do."""


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
    """

    steps_done: int
    steps_total: int
    report: Path | None
    trained_now: int
    seconds: float
    stopped_by: str | None = None
    exit_code: int = 0


def train(
    config: Config,
    workdir: str | os.PathLike[str],
    source: PairSource,
    *,
    strategy: tf.distribute.Strategy | None = None,
    command: str = "",
    stop: StopRequest | None = None,
    say: Callable[[str], None] = say,
) -> Outcome:
    """Trains until ``config`` is fulfilled, continuing from the newest checkpoint of the workdir.

    Args:
      config: what to train; saved as ``config.json``.
      workdir: the run's folder; made if it is missing.
      source: the data set that ``config.dataset`` names, already checked.
      strategy: where to train; one device by default. Of several workers all must call this with
        the same arguments and see one workdir; the first alone writes into it.
      command: how the user started it, for the report.
      stop: asked after every step whether to leave.
      say: receives messages, a sentence each.

    Returns:
      How far the run is.

    Raises:
      UserError: the workdir cannot be written or its checkpoints cannot be used, a file of the
        data set cannot be read any more.
      TrainingDiverged: NaN or infinite losses or weights.
      WorkerLost: another worker of the strategy is gone.
    """
    workers = Workers(strategy or tf.distribute.get_strategy())
    stop = stop or StopRequest()
    try:
        return _Run(config, Path(workdir), source, strategy, workers, command, stop, say).run()
    except tf.errors.OpError as error:
        if not workers.is_lost(error):
            raise
        raise WorkerLost(_lost(error, Checkpoints(workdir).steps())) from None


class _Run:
    """One call of ``train``: what the periodic actions share."""

    def __init__(
        self,
        config: Config,
        workdir: Path,
        source: PairSource,
        strategy: tf.distribute.Strategy | None,
        workers: Workers,
        command: str,
        stop: StopRequest,
        say: Callable[[str], None],
    ) -> None:
        config = settled(config, source.form)
        self.config, self.workdir, self.source = config, workdir, source
        self.workers = workers
        self.command, self.stop, self.say = command, stop, say
        self.form = source.form
        self.identity = source.identity()  # looks at every file, so once and not per checkpoint
        self.total = config.total_steps(source.count("train"))
        self.algorithm = Pix2Pix(config, strategy)
        self.checkpoints = Checkpoints(workdir, config.keep_checkpoints)
        self.generator = self.algorithm.generator  # the one whose pictures are looked at
        self.best: dict[str, Any] | None = None
        self.seconds = 0.0  # of training, over all sittings
        self.saved_step = -1
        self.pending: list[dict[str, tf.Tensor]] = []  # losses since the last point of the curves
        self.watch = DiscriminatorWatch()
        self.report_drawn = float("-inf")

    def run(self) -> Outcome:
        # The config after that: a run that is not continued keeps the one it has.
        start = self._restore()
        self._agree(start)
        if start >= self.total:
            if not self.workers.chief:
                return Outcome(start, self.total, None, 0, self.seconds)
            if read_records(self.workdir).run.get("steps_done") != start:
                self._write_facts(start)  # killed between its last checkpoint and its last line
            return Outcome(start, self.total, self._draw_report(), 0, self.seconds)
        if self.workers.chief:
            _make_workdir(self.workdir, self.config, self.form)
        if start:
            self.say(f"continuing from step {start:,} of {self.total:,} in {self.workdir}")
        elif self.workers.chief and read_history(self.workdir):
            self.say(f"note: {self.checkpoints.folder} holds no checkpoint, so starting again")
        try:
            return self._train_from(start)
        except BrokenPipeError:  # whoever read our output left: nothing to mend
            raise
        except OSError as error:
            raise UserError(self._unwritten(error.strerror or str(error))) from None
        except tf.errors.OpError as error:
            if self.workers.is_lost(error):
                raise
            text = " ".join(error.message.split())[:200]
            if "OOM" in text or "llocat" in text:
                raise UserError(
                    f"out of memory ({text}); use a smaller --batch_size, --crop_size or --ngf "
                    f"in a new --workdir; {self._kept()}"
                ) from None
            raise UserError(self._unwritten(text)) from None

    def _restore(self) -> int:
        algorithm = self.algorithm
        facts = self.checkpoints.restore(
            algorithm.state(), say=self.say, optional=algorithm.OPTIONAL
        )
        if facts is None:
            return 0
        self.best, self.seconds = facts.get("best"), float(facts.get("seconds", 0.0))
        self.saved_step = int(facts["step"])
        changed = _changes(facts.get("dataset", {}), self.identity)
        if changed:
            self.say(
                f"note: the data set has changed since this run was last saved ({changed}); the "
                "result will not be that of an uninterrupted run"
            )
        return self.saved_step

    def _agree(self, start: int) -> None:
        """Refuses workers that would not do the same work: another config, data set or folder."""
        fields = self.config.to_json(), json.dumps(self.identity, sort_keys=True)
        for same, what, advice in (
            (self.workers.same(fields[0]), "other settings", "give all of them the same flags"),
            (self.workers.same(fields[1]), "another data set", "give all of them the same files"),
            (
                self.workers.same(str(start)),
                "other checkpoints",
                f"--workdir={self.workdir} must be one folder that all of them share",
            ),
        ):
            if not same:
                raise UserError(f"the workers do not agree: one of them has {what}; {advice}")

    # === The loop ===

    def _train_from(self, start: int) -> Outcome:
        config = self.config
        self.store = self._open_store("train", config.load_size)
        if not self.workers.chief:
            return self._follow_from(start)
        has_val = bool(self.source.count("val"))
        self.val = self._open_store("val", config.crop_size) if has_val else None
        if self.val is None:
            self.say(
                "note: the data set has no val split, so nothing is measured, the newest "
                "checkpoint is the best there is, and the pictures show training pairs"
            )
        self.history = History(self.workdir, start)
        self._keep_fixed_pairs()
        self._write_facts(start)
        step = start
        # Saving comes last, so that where a checkpoint exists everything else of its step does too.
        actions = [
            Every(config.log_every, self._log),
            Every(config.val_every, self._validate),
            Every(config.sample_every, self._sample),
            Every(config.checkpoint_every, self._save),
            Every(1, self._save_if_best),
        ]
        batches = iter(self._batches(start))
        self.clock = time.monotonic()
        self.logged = (self.clock, start)
        try:
            with ProgressLine("training", self.total, "step", start) as self.line:
                self.say, outer_say = self.line.say, self.say
                try:
                    while step < self.total and not self.workers.stopping(step, self.stop):
                        x, y = self._next(batches)
                        self.pending.append(self.algorithm.train_step(x, y))
                        step += 1
                        self._show(step)
                        for action in actions:
                            action(step, last=step == self.total)
                    if step < self.total:
                        self._log(step)
                        self._save(step)
                finally:
                    self.say = outer_say
            return self._finish(step, step - start)
        finally:
            self.history.close()

    def _follow_from(self, start: int) -> Outcome:
        """The loop of a worker that is not the chief: the same steps, and nothing is written."""
        step = start
        check = Every(self.config.log_every, self._settle)
        batches = iter(self._batches(start))
        with ProgressLine("training", self.total, "step", start) as line:
            while step < self.total and not self.workers.stopping(step, self.stop):
                x, y = self._next(batches)
                self.pending.append(self.algorithm.train_step(x, y))
                step += 1
                line.show(step, "")
                check(step, last=step == self.total)
        self.workers.wait()  # until the chief has saved it all
        return self._outcome(step, step - start, None)

    def _settle(self, step: int) -> dict[str, float] | None:
        """Means since the last point of the curves, or None where no step since then updated the
        networks: those are left for the next point, until ``_check_finite`` has seen enough."""
        if not self.pending:
            return None
        means = _means(self.pending)
        self._check_finite(step, means)
        if means.get("skipped") == 1:
            return None
        self.pending.clear()
        return means

    def _batches(self, start: int) -> Any:
        config = self.config
        strategy, workers = self.algorithm.strategy, self.workers

        def batches(_: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
            return training_batches(
                self.store,
                crop_size=config.crop_size,
                flip=config.flip,
                batch_size=config.batch_size,
                seed=config.seed,
                start_step=start,
                stop_step=self.total,
                worker=workers.index,
                workers=workers.count,
                devices=strategy.num_replicas_in_sync // workers.count,
            )

        if strategy.num_replicas_in_sync == 1:
            return batches()
        return strategy.distribute_datasets_from_function(batches)

    def _next(self, batches: Any) -> Any:
        try:
            return next(batches)
        except tf.errors.OpError as error:
            raise explain(error, self.store) from None

    def _finish(self, step: int, trained_now: int) -> Outcome:
        self._write_facts(step)
        page = self._draw_report()
        self.history.flush()
        self.workers.wait()
        return self._outcome(step, trained_now, page)

    def _outcome(self, step: int, trained_now: int, page: Path | None) -> Outcome:
        outcome = Outcome(step, self.total, page, trained_now, self.seconds)
        if step == self.total or self.stop.signal is None:
            return outcome
        return dataclasses.replace(
            outcome, stopped_by=self.stop.signal.name, exit_code=self.stop.exit_code
        )

    # === Periodic actions ===

    def _log(self, step: int) -> None:
        """A point of the curves: means since the last one."""
        means = self._settle(step)
        if means is None:
            return
        now = time.monotonic()
        then, since = self.logged
        self.logged = (now, step)
        speed = (step - since) * self.config.batch_size / max(now - then, 1e-9)
        record = {
            "epoch": self._epoch(step),
            "seconds": self._training_seconds(),
            "images_per_second": speed,
            "losses": {k: v for k, v in means.items() if k not in _NO_LOSSES},
        }
        if "skipped" in means:
            record["skipped"] = means["skipped"]
        judgements = {k: v for k, v in means.items() if k in _JUDGEMENTS}
        if judgements:
            record["discriminator"] = judgements
            news = self.watch(step, judgements)
            if news:
                self._note(step, news)
        self.history.train(step, record)

    def _validate(self, step: int) -> None:
        if self.val is None:
            return
        batches = evaluation_batches(
            self.val, size=self.config.crop_size, limit=self.config.val_images or None
        )
        total = min(self.config.val_images or self.val.count, self.val.count)
        started = time.monotonic()
        self.generator = self.algorithm.exact_generator()
        try:
            results = evaluate(
                [L1(), PSNR(), SSIM()],
                batches,
                self._generate,
                on_batch=lambda done: self.line.show(step, f"measuring on val {done:,}/{total:,}"),
                form=self.form,
            )
        except tf.errors.OpError as error:
            raise explain(error, self.val) from None
        self._exclude_from_speed(started)
        self.history.val(step, results)
        self.say(
            f"step {step:,}: val L1 {results['l1']:.4f}, PSNR {results['psnr']:.2f} dB, "
            f"SSIM {results['ssim']:.4f} on {results['images']:,} images"
        )
        metric = self.config.best_metric
        if (
            self.best is None
            or self.best["metric"] != metric
            or _better(metric, results[metric], self.best["value"])
        ):
            self.best = {"metric": metric, "value": results[metric], "step": step}

    def _sample(self, step: int) -> None:
        """The fixed pairs as G sees them now: on disk, for TensorBoard and for the report."""
        started = time.monotonic()
        self.generator = self.algorithm.exact_generator()
        fake = np.concatenate(
            [
                self.form.picture_of_y(
                    x[None].numpy(),
                    self._generate(x[None], tf.constant([index], tf.int64)).numpy(),
                )
                for index, x in zip(self.fixed_indices, self.fixed_x, strict=True)
            ]
        )
        report.save_strip(report.strip_path(self.workdir, step), fake)
        report.write_sample_grid(self.workdir, step)
        self.history.images(step, {"x": self.fixed["x"], "y": self.fixed["y"], "generated": fake})
        if step < self.total and time.monotonic() - self.report_drawn > REPORT_INTERVAL:
            self._write_facts(step)
            self._draw_report()
        self._exclude_from_speed(started)

    def _save(self, step: int) -> None:
        if self.saved_step == step:
            return
        if self.pending:
            self._check_finite(step, _means(self.pending))
        started = time.monotonic()
        for name, network in self.algorithm.networks().items():
            if not all(bool(tf.reduce_all(tf.math.is_finite(w))) for w in network.weights):
                raise TrainingDiverged(self._diverged(step, f"the weights of the {name}"))
        self.history.flush()
        facts = {
            "best": self.best,
            "seconds": self._training_seconds(),
            "dataset": self.identity,
        }
        self.checkpoints.save(self.algorithm.state(), step, facts)
        self.saved_step = step
        self._exclude_from_speed(started)

    def _save_if_best(self, step: int) -> None:
        if self.best is not None and self.best["step"] == step:
            self._save(step)

    # === What they use ===

    def _generate(self, x: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        z = draw_noise(self.generator, self.config, x, noise.VALIDATION, positions)
        return self._forward(x, z)

    @tf.function(reduce_retracing=True, autograph=False)
    def _forward(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        return self.generator([x, z], training=False)

    def _open_store(self, split: str, size: int) -> PairStore:
        total = self.source.count(split)
        with ProgressLine(f"reading {split}", total, "pair") as line:
            store = open_store(
                self.source,
                split,
                size=size,
                cache=self.config.cache,
                cache_dir=cache_dir(self.config.data_dir),
                progress=lambda done, _: line.show(done),
            )
        if split == "train" or not store.in_memory:
            self.say(f"pairs: {store.describe()}")
        return store

    def _keep_fixed_pairs(self) -> None:
        """Chooses the pairs that every grid shows, evenly over the split, and stores them."""
        store = self.val or self.store
        count = min(self.config.sample_images, store.count)
        self.fixed_indices = [index * store.count // count for index in range(count)]
        # Through the same pipeline as validation, so that the grids show what is measured.
        pairs = list(
            evaluation_batches(store, size=self.config.crop_size, indices=self.fixed_indices)
        )
        self.fixed_x = [x[0] for x, _ in pairs]
        x, y = (np.stack([pair[side][0].numpy() for pair in pairs]) for side in (0, 1))
        self.fixed = {"x": self.form.picture_of_x(x), "y": self.form.picture_of_y(x, y)}
        names = np.array([store.pair_name(index) for index in self.fixed_indices])
        folder = self.workdir / "samples"
        folder.mkdir(exist_ok=True)
        content = io.BytesIO()
        np.savez_compressed(content, names=names, **self.fixed)
        write_bytes(folder / "fixed.npz", content.getvalue())
        # As single images too: something to try `tfpix2pix translate` on.
        (folder / "inputs").mkdir(exist_ok=True)
        for name, image in zip(names, self.form.input_file(x), strict=True):
            suffix = ".png" if image.dtype != np.float32 and image.shape[-1] <= 4 else ".tif"
            write_image(folder / "inputs" / f"{Path(str(name)).name}{suffix}", image)

    def _show(self, step: int) -> None:
        if not self.line.due:
            return
        newest = {name: float(value) for name, value in self.pending[-1].items()}
        parts = [f"epoch {self._epoch(step):.1f}", f"L1 {newest['l1']:.3f}"]
        if "gan" in newest:
            parts += [f"GAN {newest['gan']:.2f}", f"D {newest['discriminator']:.2f}"]
        then, since = self.logged
        elapsed = time.monotonic() - then
        if step > since and elapsed > 0:
            parts.append(f"{(step - since) * self.config.batch_size / elapsed:.1f} img/s")
        self.line.show(step, "  ".join(parts))

    def _epoch(self, step: int) -> float:
        return step * self.config.batch_size / self.store.count

    def _training_seconds(self) -> float:
        now = time.monotonic()
        self.seconds += now - self.clock
        self.clock = now
        return self.seconds

    def _exclude_from_speed(self, started: float) -> None:
        """Takes the time since then out of images per second, which is about training alone."""
        then, since = self.logged
        self.logged = (then + time.monotonic() - started, since)

    def _note(self, step: int, text: str) -> None:
        self.history.note(step, text)
        self.say(f"step {step:,}: {text}")

    def _check_finite(self, step: int, means: Mapping[str, float]) -> None:
        broken = not_finite({k: v for k, v in means.items() if k not in _NO_LOSSES})
        if means.get("skipped") == 1:
            # A step that float16 could not hold is no harm; a long row of nothing else is.
            if len(self.pending) < SKIPS:
                return
            broken = broken or ["scaled for float16"]
        if broken:
            what = "the loss" if len(broken) == 1 else "the losses"
            raise TrainingDiverged(self._diverged(step, f"{what} {', '.join(broken)}"))

    def _diverged(self, step: int, what: str) -> str:
        text = (
            f"{what} became NaN or infinite by step {step:,}, so training stopped; {self._kept()}; "
            "start a new --workdir with a smaller --learning_rate or another --seed"
        )
        if self.workers.chief:
            self.history.note(step, text)
        return text

    def _kept(self) -> str:
        kept = self.checkpoints.steps()
        return f"the checkpoint of step {kept[-1]:,} is intact" if kept else "no checkpoint was due"

    def _unwritten(self, reason: str) -> str:
        return (
            f"--workdir={self.workdir}: a file could not be written or read ({reason}); "
            f"{self._kept()}; free space or mend the folder, then run the same command again"
        )

    # === Report ===

    def _write_facts(self, step: int) -> None:
        """``run.json``: what the report says of the run besides its config and measurements."""
        networks = self.algorithm.networks()
        counts = {name: networks[name].count_params() for name in networks}
        write_json(
            self.workdir / "run.json",
            {
                "dataset_summary": self.source.describe(),
                "parameters": {
                    "generator": counts["generator"],
                    "discriminator": counts.get("discriminator"),
                },
                "versions": _versions(),
                "command": self.command,
                "steps_done": step,
                "steps_total": self.total,
                "train_seconds": self.seconds,
                "epochs": step * self.config.batch_size / self.source.count("train"),
                "finished": step >= self.total,
            },
        )

    def _draw_report(self) -> Path:
        path = report.write_report(self.workdir)
        self.report_drawn = time.monotonic()
        return path


_JUDGEMENTS = ("real", "fake", "accuracy")
_NO_LOSSES = (*_JUDGEMENTS, "skipped")


def _lost(error: tf.errors.OpError, kept: list[int]) -> str:
    # The last words are the cause; before them stands where in the graph it was met.
    cause = str(error.message).replace("\\n", " ").split("Collective ops is aborted by:")[-1]
    reason = " ".join(cause.split("Additional GRPC")[0].split(". ")[0].split())
    reason = reason if len(reason) < 200 else reason[:200] + "…"
    saved = f"the checkpoint of step {kept[-1]:,} is intact" if kept else "nothing was saved yet"
    return (
        f"another worker has ended or cannot be reached any more ({reason}), so this one "
        f"stops too; {saved}; start all workers again with the same command to continue"
    )


def _means(pending: list[dict[str, tf.Tensor]]) -> dict[str, float]:
    """Means over the steps that updated the networks, of ``skipped`` over all; over all as well
    where none did."""
    records = [{name: float(value) for name, value in record.items()} for record in pending]
    made = [record for record in records if not record.get("skipped")] or records
    return {
        name: float(np.mean([record[name] for record in (records if name == "skipped" else made)]))
        for name in records[0]
    }


def _better(metric: str, new: float, old: float) -> bool:
    return new < old if metric == "l1" else new > old


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """In a few words, in what two identities of a data set differ."""
    return ", ".join(
        f"{key} {old[key]} before, {new.get(key)} now"
        for key in old
        if key in new and new[key] != old[key]
    )


def _make_workdir(workdir: Path, config: Config, form: PairForm) -> None:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        # What a run that was killed while it wrote a file has left of it.
        for folder in (workdir, workdir / "samples", workdir / "samples" / "inputs"):
            clear_temporary(folder)
        save_palette(form, workdir)
        write_text(workdir / "config.json", config.to_json())
        (workdir / "samples").mkdir(exist_ok=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "give a folder that you may write to"
        raise UserError(
            f"--workdir={workdir} cannot be written ({error.strerror}); {advice}"
        ) from None


def _versions() -> dict[str, str]:
    return {
        "tfpix2pix": __version__,
        "tensorflow": tf.__version__,
        "keras": tf.keras.__version__ if hasattr(tf.keras, "__version__") else "2",
        "python": platform.python_version(),
    }
