"""Looking at a run while it trains: curves, measures on val, pictures, its report.

What is written here can be drawn from the algorithm's own words (`algorithms.base`) and from the
measures and charts that its config declares; no algorithm is named.
"""

from __future__ import annotations

import contextlib
import io
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix import report
from tfpix2pix.algorithms.base import Algorithm
from tfpix2pix.base.errors import TrainingDiverged
from tfpix2pix.base.files import write_bytes, write_json
from tfpix2pix.base.progress import ProgressLine
from tfpix2pix.base.version import __version__
from tfpix2pix.config import Config
from tfpix2pix.data import (
    PairSource,
    PairStore,
    TurnedSource,
    evaluation_batches,
    explain,
    write_image,
)
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.history import History

# Steps in a row that float16 may skip: more than the scale of the losses needs to reach its least.
SKIPS = 50
REPORT_INTERVAL = 60.0  # seconds; the page takes a moment to draw, so it is not redrawn more often


class Observer:
    """Everything that a run writes besides checkpoints.

    Args:
      config, workdir, source, algorithm, checkpoints: the run's.
      total: steps of the whole run.
      command: how the user started it, for the report.
      say: receives messages, a sentence each.

    Attributes:
      best: the best measure so far (``metric``, ``value``, ``step``), or None.
      stale: measurements on val since then, none of them better.
      seconds: of training, over all sittings.
      init_from: the run and the step whose weights this one started from, or None.
      pending: what the steps since the last point of the curves returned.
    """

    def __init__(
        self,
        config: Config,
        workdir: Path,
        source: PairSource,
        algorithm: Algorithm,
        checkpoints: Checkpoints,
        total: int,
        command: str,
        say: Callable[[str], None],
    ) -> None:
        self.config, self.workdir, self.source = config, workdir, source
        self.algorithm, self.checkpoints = algorithm, checkpoints
        self.total, self.command, self.say = total, command, say
        self.spec = source.spec
        self.best: dict[str, Any] | None = None
        self.stale = 0
        self.seconds = 0.0
        self.init_from: dict[str, Any] | None = None
        self.pending: list[dict[str, tf.Tensor]] = []
        self._history: History | None = None
        self._judged = [name for of in algorithm.judgements.values() for name in of]
        self._shows = bool(algorithm.generators(config))
        self._networks = algorithm.networks  # those whose pictures are looked at
        self._report_drawn = float("-inf")

    @contextlib.contextmanager
    def observing(self, store: PairStore, val: PairStore | None, start: int) -> Iterator[None]:
        """Opens the records and the progress line for the steps from `start` on.

        Args:
          store: the train split.
          val: the val split, None where there is none.
          start: steps done.
        """
        self._store, self._val = store, val
        if val is None:
            what = f", and the pictures show training {self.source.unit}s"
            pictures = what if self._shows else ""
            self.say(
                "note: without a val split nothing is measured, the newest "
                f"checkpoint is the best there is{pictures}"
            )
        self._history = History(self.workdir, start)
        if self._shows:
            self._keep_fixed_pairs()
        self.write_facts(start)
        self._clock = time.monotonic()
        self._logged = (self._clock, start)
        self._saving = self._clock
        try:
            with ProgressLine("training", self.total, "step", start) as self._line:
                self.say, outer = self._line.say, self.say
                try:
                    yield
                finally:
                    self.say = outer
        finally:
            self._history.close()

    @property
    def _records(self) -> History:
        assert self._history is not None, "open while observing"
        return self._history

    def note(self, step: int, text: str) -> None:
        """A remark for the report, as of a step."""
        self._records.note(step, text)

    # === After every step ===

    def show(self, step: int) -> None:
        """The progress line, if it is time to."""
        if not self._line.due:
            return
        newest = {name: float(value) for name, value in self.pending[-1].items()}
        parts = [f"epoch {self._epoch(step):.1f}", self.algorithm.described(newest)]
        then, since = self._logged
        elapsed = time.monotonic() - then
        if step > since and elapsed > 0:
            parts.append(f"{(step - since) * self.config.batch_size / elapsed:.1f} img/s")
        self._line.show(step, "  ".join(part for part in parts if part))

    # === Every so many steps ===

    def log(self, step: int) -> None:
        """A point of the curves: means since the last one."""
        means = self.resolve(step)
        if means is None:
            return
        now = time.monotonic()
        then, since = self._logged
        self._logged = (now, step)
        record: dict[str, Any] = {
            "epoch": self._epoch(step),
            "seconds": self._training_seconds(),
            "images_per_second": (step - since) * self.config.batch_size / max(now - then, 1e-9),
            "losses": self._losses(means),
            "learning_rate": self.algorithm.rates(step - 1),  # of the step that was the last one
        }
        if "skipped" in means:
            record["skipped"] = means["skipped"]
        judged = {
            group: {name: means[name] for name in names}
            for group, names in self.algorithm.judgements.items()
            if all(name in means for name in names)
        }
        self._tell(step, self.algorithm.watch(step, judged))
        self._records.train(step, {**record, **judged})

    def _tell(self, step: int, news: str | None) -> None:
        """Says what goes wrong, to whoever looks on and in the report."""
        if news:
            self._records.note(step, news)
            self.say(f"step {step:,}: {news}")

    def resolve(self, step: int) -> dict[str, float] | None:
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

    def validate(self, step: int) -> None:
        """The config's measures on val."""
        if self._val is None:
            return
        started = time.monotonic()
        limit = self.config.val_images or self._val.count
        total = min(limit, self._val.count)
        self._networks = self.algorithm.exact()
        try:
            results = self.algorithm.validate(
                self._val,
                self._networks,
                self._generate,
                total,
                lambda done: self._line.show(step, f"measuring on val {done:,}/{total:,}"),
            )
        except tf.errors.OpError as error:
            raise explain(error, self._val) from None
        self._exclude_from_speed(started)
        results = {name: value for name, value in results.items() if math.isfinite(value)}
        self._records.val(step, results)
        said = ", ".join(
            f"{measure.title} {measure.written(results[measure.name])}"
            for measure in self.config.measures
            if measure.name in results
        )
        out = (
            f" ({results['left_out']:.2%} of the pixels left out)" if "left_out" in results else ""
        )
        self.say(f"step {step:,}: val {said} on {results['images']:,} images{out}")
        self._tell(step, self.algorithm.watch_val(step, results))
        measure = self.config.best_measure
        if measure.name in results and (
            self.best is None
            or self.best["metric"] != measure.name
            or measure.improves(results[measure.name], self.best["value"])
        ):
            self.best = {
                "metric": measure.name,
                "value": results[measure.name],
                "step": step,
            }
            self.stale = 0
        elif self.best is not None:
            self.stale += 1

    @property
    def out_of_patience(self) -> bool:
        """Whether the run ends here because val has not become better for long enough."""
        return 0 < self.config.patience <= self.stale

    def sample(self, step: int) -> None:
        """The fixed pairs as the networks see them now: on disk, for TensorBoard and the report."""
        started = time.monotonic()
        if self._shows:
            self._networks = self.algorithm.exact()
            pictures = self._pictures()
            report.save_strips(self.workdir, step, pictures)
            report.write_sample_grid(self.workdir, step)
            self._records.images(step, {**self._fixed, **pictures})
        if step < self.total and time.monotonic() - self._report_drawn > REPORT_INTERVAL:
            self.write_facts(step)
            self.draw_report()
        self._exclude_from_speed(started)

    def _pictures(self) -> dict[str, np.ndarray]:
        """The columns of a grid that are made: of every fixed pair, uint8 ``[N, H, W, C]``."""
        made: dict[str, list[np.ndarray]] = {}
        for index, (x, y) in zip(self._fixed_indices, self._fixed_xy, strict=True):
            place = tf.constant([index], tf.int64)
            columns = {
                **self._columns(x, place),
                **self._columns_of_pairs(x, y, place),
                **self._columns_back(y, place),
            }
            for name, image in columns.items():
                if name in self.algorithm.OF_INPUTS:
                    picture = self.spec.picture_of_x(image.numpy())
                else:
                    picture = self.spec.picture_of_y(x.numpy(), image.numpy())
                made.setdefault(name, []).append(picture)
        return {name: np.concatenate(of) for name, of in made.items()}

    # === Around a checkpoint ===

    def before_saving(self, step: int) -> dict[str, Any]:
        """Checks that what is to be saved is finite; returns the facts that go with it.

        Raises:
          TrainingDiverged: a loss or weight is not.
        """
        if self.pending:
            self._check_finite(step, _means(self.pending))
        self._saving = time.monotonic()
        for name, network in self.algorithm.networks.items():
            if not all(bool(tf.reduce_all(tf.math.is_finite(w))) for w in network.weights):
                raise TrainingDiverged(self._diverged(step, f"the weights of the {name}"))
        self._records.flush()
        return {
            "best": self.best,
            "stale": self.stale,
            "seconds": self._training_seconds(),
            **({"init_from": self.init_from} if self.init_from else {}),
            "learning_rate": self.algorithm.rates(step),
        }

    def exclude_saving(self) -> None:
        """Takes the time since `before_saving` out of the speed."""
        self._exclude_from_speed(self._saving)

    def finish(self, step: int) -> Path:
        """The report of a run that ends here, for now or for good."""
        self.write_facts(step)
        page = self.draw_report()
        self._records.flush()
        return page

    def kept(self) -> str:
        """What is left if it ends here, in words."""
        kept = self.checkpoints.steps()
        return f"the checkpoint of step {kept[-1]:,} is intact" if kept else "no checkpoint was due"

    # === Report ===

    def write_facts(self, step: int) -> None:
        """``run.json``: what the report says of the run besides its config and measurements."""
        write_json(
            self.workdir / "run.json",
            {
                "dataset_summary": self.source.describe(),
                "parameters": self.algorithm.parameter_counts(),
                "versions": {
                    "tfpix2pix": __version__,
                    "tensorflow": tf.__version__,
                    "keras": getattr(tf.keras, "__version__", "2"),
                    "python": platform.python_version(),
                },
                "command": self.command,
                **({"init_from": self.init_from} if self.init_from else {}),
                "steps_done": step,
                "steps_total": self.total,
                "train_seconds": self.seconds,
                "epochs": step * self.config.batch_size / self.source.count("train"),
                "finished": step >= self.total or self.out_of_patience,
                "best": self.best,
                "measures": [measure.to_dict() for measure in self.config.measures],
                "charts": [chart.to_dict() for chart in self.config.charts],
            },
        )

    def draw_report(self) -> Path:
        """Draws ``report.html``; returns its path."""
        path = report.write_report(self.workdir)
        self._report_drawn = time.monotonic()
        return path

    # === What they use ===

    def _generate(self, x: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """The first column: the picture that is measured."""
        if self.config.latent_size:  # others are made with other latents, not to be measured
            return self._first_column(x, positions)
        return next(iter(self._columns(x, positions).values()))

    @tf.function(reduce_retracing=True, autograph=False)
    def _first_column(self, x: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        return next(iter(self.algorithm.columns(x, positions, self._networks).values()))

    @tf.function(reduce_retracing=True, autograph=False)
    def _columns(self, x: tf.Tensor, positions: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.algorithm.columns(x, positions, self._networks)

    @tf.function(reduce_retracing=True, autograph=False)
    def _columns_of_pairs(
        self, x: tf.Tensor, y: tf.Tensor, positions: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return self.algorithm.columns_of_pairs(x, y, positions, self._networks)

    @tf.function(reduce_retracing=True, autograph=False)
    def _columns_back(self, y: tf.Tensor, positions: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.algorithm.columns_back(y, positions, self._networks)

    def _seen(self, store: PairStore, indices: list[int]) -> list[tuple[tf.Tensor, ...]]:
        """Images of these places as validation sees them."""
        return list(evaluation_batches(store, size=self.config.whole_size, indices=indices))

    def _keep_fixed_pairs(self) -> None:
        """Chooses the pairs that every grid shows, evenly over the split, and stores them."""
        store = self._val or self._store
        sides = (store.x.count, store.y.count)
        count = min(self.config.sample_images, *sides)
        # Of images that are no pairs each side has its own.
        self._fixed_indices, of_y = ([i * of // count for i in range(count)] for of in sides)
        # Through the same pipeline as validation, so that the grids show what is measured.
        seen_x = seen_y = self._seen(store, self._fixed_indices)
        if of_y != self._fixed_indices:
            seen_y = self._seen(store, of_y)
        self._fixed_xy = [(one[0], other[1]) for one, other in zip(seen_x, seen_y, strict=True)]
        x, y = (np.concatenate([of[side].numpy() for of in self._fixed_xy]) for side in (0, 1))
        self._fixed = {"x": self.spec.picture_of_x(x), "y": self.spec.picture_of_y(x, y)}
        names = np.array([store.pair_name(index) for index in self._fixed_indices])
        kept: dict[str, Any] = {"names": names, **self._fixed}
        if not store.paired:
            turned = TurnedSource(store.source)
            kept["names_y"] = np.array([turned.pair_name(store.split, i) for i in of_y])
        folder = self.workdir / "samples"
        folder.mkdir(exist_ok=True)
        content = io.BytesIO()
        np.savez_compressed(content, **kept)
        write_bytes(folder / "fixed.npz", content.getvalue())
        # As single images too: something to try `tfpix2pix translate` on.
        (folder / "inputs").mkdir(exist_ok=True)
        for name, image in zip(names, self.spec.input_file(x), strict=True):
            suffix = ".png" if image.dtype != np.float32 and image.shape[-1] <= 4 else ".tif"
            write_image(folder / "inputs" / f"{Path(str(name)).name}{suffix}", image)

    def _epoch(self, step: int) -> float:
        return step * self.config.batch_size / self._store.count

    def _training_seconds(self) -> float:
        now = time.monotonic()
        self.seconds += now - self._clock
        self._clock = now
        return self.seconds

    def _exclude_from_speed(self, started: float) -> None:
        """Takes the time since then out of images per second, which is about training alone."""
        then, since = self._logged
        self._logged = (then + time.monotonic() - started, since)

    def _losses(self, means: Mapping[str, float]) -> dict[str, float]:
        return {k: v for k, v in means.items() if k not in self._judged and k != "skipped"}

    def _check_finite(self, step: int, means: Mapping[str, float]) -> None:
        broken = not_finite(self._losses(means))
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
            f"{what} became NaN or infinite by step {step:,}, so training stopped; {self.kept()}; "
            f"start a new {self.config.FLAG} with a smaller --learning_rate or another --seed"
        )
        if self._history is not None:
            self._history.note(step, text)
        return text


def not_finite(losses: Mapping[str, float]) -> list[str]:
    """Names of the losses that are NaN or infinite."""
    return [name for name, value in losses.items() if not math.isfinite(value)]


def _means(pending: list[dict[str, tf.Tensor]]) -> dict[str, float]:
    """Means over the steps that updated the networks, of ``skipped`` over all; over all as well
    where none did."""
    records = [{name: float(value) for name, value in record.items()} for record in pending]
    made = [record for record in records if not record.get("skipped")] or records
    return {
        name: float(np.mean([record[name] for record in (records if name == "skipped" else made)]))
        for name in records[0]
    }
