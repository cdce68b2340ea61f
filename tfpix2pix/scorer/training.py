"""Training a scorer: photos in, classes out, checkpoints on the way, one folder at the end.

Everything random is a function of (seed, step), as in the training of a run, so a scorer that was
interrupted at any moment ends with the weights of one that never was.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.algorithms.adam import Adam
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.progress import ProgressLine, say
from tfpix2pix.data import (
    PairSource,
    PairStore,
    cache_dir,
    evaluation_batches,
    explain,
    open_store,
    training_batches,
)
from tfpix2pix.evaluation.confusion import (
    confusion,
    counted_classes,
    counted_names,
    segmentation_scores,
)
from tfpix2pix.models.weights import named_weights
from tfpix2pix.scorer.fcn import STRIDE, fcn8s, initialize
from tfpix2pix.scorer.labelled import palette_of, photos_and_classes
from tfpix2pix.scorer.pretrained import vgg_weights
from tfpix2pix.scorer.settings import FULL_WIDTH, SCRATCH_WIDTH, Settings
from tfpix2pix.scorer.store import FACTS, Scorer, load_scorer, reader, save_scorer
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.history import History
from tfpix2pix.training.loop import TrainingDiverged
from tfpix2pix.training.periodic import Every
from tfpix2pix.training.stop import StopRequest

LOG_EVERY = 25  # steps
_DROPOUT_STREAM = 17  # of the seed; order, crop, mirror and the generator's noise have others


@dataclass(frozen=True)
class ScorerOutcome:
    """How a call of `train_scorer` ended.

    Attributes:
      scorer: the finished one, or None where it was stopped.
      steps_done, steps_total: of the whole training.
      trained_now: steps done by this call.
      stopped_by: name of the signal that ended it early, or None.
      exit_code: 0, or 128 + the signal's number.
    """

    scorer: Scorer | None
    steps_done: int
    steps_total: int
    trained_now: int
    stopped_by: str | None = None
    exit_code: int = 0


def train_scorer(
    settings: Settings,
    folder: Path,
    source: PairSource,
    *,
    stop: StopRequest | None = None,
    say: Callable[[str], None] = say,
    cache: str = "auto",
    data_dir: str = "",
) -> ScorerOutcome:
    """Trains a scorer, continuing from its newest checkpoint.

    Args:
      settings: what to train; saved in the folder with what ``auto`` came to.
      folder: the scorer's; made if it is missing.
      source: pairs of which one image shows labels, checked by `check_labelled`.
      stop: asked after every step whether to leave.
      say: receives messages, a sentence each.
      cache, data_dir: where decoded pairs are kept, as in a run's config.

    Raises:
      UserError: the folder cannot be written, its checkpoints or a file of the data cannot be
        read, ImageNet's weights were asked for and cannot be had.
      TrainingDiverged: the loss became NaN or infinite.
    """
    if (folder / FACTS).exists():
        scorer = load_scorer(folder)
        done = int(scorer.facts["steps"])
        return ScorerOutcome(scorer, done, done, 0)
    training = _Training(settings, folder, source, stop or StopRequest(), say, cache, data_dir)
    try:
        return training.run()
    except BrokenPipeError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "give a folder that you may write to"
        raise UserError(
            f"--output={folder} cannot be written ({error.strerror or error}); {advice}, then run "
            "the same command again to continue"
        ) from None


class _Training:
    """One call of `train_scorer`."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        source: PairSource,
        stop: StopRequest,
        say: Callable[[str], None],
        cache: str,
        data_dir: str,
    ) -> None:
        self.folder, self.source, self.stop, self.say = folder, source, stop, say
        self.cache, self.data_dir = cache, data_dir
        self.palette = palette_of(source.form)
        self.counted = counted_classes(self.palette)
        self.settings, vgg = _settled(settings, say)
        self.total = self.settings.total_steps(source.count("train"))
        self.network = fcn8s(
            len(self.counted), self.settings.width, vgg=self.settings.init == "imagenet"
        )
        initialize(self.network, self.settings.seed)
        for name, values in vgg.items():
            self.weights[name].assign(values)
        self.rate = tf.Variable(0.0, trainable=False)
        trained = named_weights(self.network.model, trainable_only=True)
        self.adam = Adam(trained, self.rate, beta1=0.9)
        self.checkpoints = Checkpoints(folder, keep=1)
        self.best: dict[str, Any] | None = None
        self.pending: list[tf.Tensor] = []
        self.saved_step = -1
        self.read = reader(self.network.model, tf.constant(self.counted, tf.uint8))

    @property
    def weights(self) -> dict[str, tf.Variable]:
        return named_weights(self.network.model)

    def state(self) -> dict[str, Any]:
        return {"weights": self.weights, "adam": self.adam.variables()}

    def run(self) -> ScorerOutcome:
        facts = self.checkpoints.restore(self.state(), say=self.say)
        start = 0
        if facts is not None:
            start, self.best = int(facts["step"]), facts["best"]
            self.saved_step = start
            if facts["dataset"] != self.source.identity():
                self.say(
                    "note: the data set has changed since this scorer was last saved; the result "
                    "will not be that of an uninterrupted training"
                )
            self.say(f"continuing from step {start:,} of {self.total:,} in {self.folder}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings.save(self.folder)
        self.val = self._open_store("val", self.settings.size)
        step = start
        if start < self.total:
            store = self._open_store("train", self.settings.load_size)
            self.say(f"photos: {store.describe()}")
            step = self._train(store, start)
            if step < self.total:
                assert self.stop.signal is not None
                name = self.stop.signal.name
                return ScorerOutcome(
                    None, step, self.total, step - start, name, self.stop.exit_code
                )
        return ScorerOutcome(self._finish(step), step, self.total, step - start)

    # === Steps ===

    def _train(self, store: PairStore, start: int) -> int:
        settings = self.settings
        history = History(self.folder, start)
        batches = iter(
            training_batches(
                store,
                crop_size=settings.size,
                flip=True,
                batch_size=settings.batch_size,
                seed=settings.seed,
                start_step=start,
                stop_step=self.total,
            )
        )
        train_step = self._step_function(class_weights(self._shares(store), settings.balance))
        actions = [
            Every(LOG_EVERY, lambda step: self._log(history, step)),
            Every(settings.val_every, lambda step: self._validate(history, step)),
            Every(settings.checkpoint_every, self._save),
            Every(1, self._save_if_best),
        ]
        self.logged = (time.monotonic(), start)
        step = start
        try:
            with ProgressLine("training", self.total, "step", start) as self.line:
                self.say, outer_say = self.line.say, self.say
                try:
                    while step < self.total and self.stop.signal is None:
                        try:
                            x, y = next(batches)
                        except tf.errors.OpError as error:
                            raise explain(error, store) from None
                        self.rate.assign(settings.learning_rate * (1.0 - step / self.total) ** 0.9)
                        self.pending.append(train_step(x, y, tf.constant(step, tf.int64)))
                        step += 1
                        if self.line.due:
                            epoch = step * settings.batch_size / store.count
                            loss = float(self.pending[-1])
                            self.line.show(step, f"epoch {epoch:.1f}  loss {loss:.3f}")
                        for action in actions:
                            action(step, last=step == self.total)
                    if step < self.total:
                        self._log(history, step)
                        self._save(step)
                finally:
                    self.say = outer_say
        finally:
            history.close()
        return step

    def _step_function(self, weights: np.ndarray) -> Callable[..., tf.Tensor]:
        form, settings = self.source.form, self.settings
        losses = PixelLoss(self.counted, len(self.palette), weights)
        trained = self.adam.weights
        z_shape = (
            settings.batch_size,
            settings.size // STRIDE,
            settings.size // STRIDE,
            self.network.z_channels,
        )

        @tf.function
        def train_step(x: tf.Tensor, y: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
            photos, classes = photos_and_classes(form, x, y)
            key = tf.random.fold_in(
                tf.constant([settings.seed, _DROPOUT_STREAM], tf.int64), step, alg="philox"
            )
            z = tf.random.stateless_uniform(z_shape, key, alg="philox")
            with tf.GradientTape() as tape:
                loss = losses(classes, self.network.trained([photos, z], training=True))
            self.adam.apply(tape.gradient(loss, trained), step)
            return loss

        return train_step

    def _shares(self, store: PairStore) -> np.ndarray:
        """The pixels of every class that is not void, over the train split."""
        counts = np.zeros(len(self.palette), np.int64)
        if self.settings.balance:
            side = 0 if store.form.x.is_classes else 1
            for index in range(store.count):
                counts += np.bincount(store.pair(index)[side].ravel(), minlength=len(counts))
        return counts[self.counted]

    # === Periodic actions ===

    def _log(self, history: History, step: int) -> None:
        if not self.pending:
            return
        loss = float(np.mean([float(loss) for loss in self.pending]))
        self.pending.clear()
        if not np.isfinite(loss):
            kept = self.checkpoints.steps()
            rest = f"the checkpoint of step {kept[-1]:,} is intact" if kept else "nothing was saved"
            raise TrainingDiverged(
                f"the loss became NaN or infinite by step {step:,}, so training stopped; {rest}; "
                "train into a new --output with a smaller --learning_rate or another --seed"
            )
        now = time.monotonic()
        (then, since), self.logged = self.logged, (now, step)
        speed = (step - since) * self.settings.batch_size / max(now - then, 1e-9)
        history.train(step, {"losses": {"cross_entropy": loss}, "images_per_second": speed})

    def _validate(self, history: History, step: int) -> None:
        started = time.monotonic()
        scores = self._scores(lambda done: self.line.show(step, f"measuring on val {done:,}"))
        numbers = {name: scores[name] for name in ("per_pixel", "per_class", "iou")}
        history.val(step, {**numbers, "images": scores["images"]})
        self.say(f"step {step:,}: val {described(scores)}")
        if self.best is None or scores["iou"] > self.best["value"]:
            self.best = {"metric": "iou", "value": scores["iou"], "step": step}
        then, since = self.logged
        self.logged = (then + time.monotonic() - started, since)

    def _scores(self, on_image: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
        """The scores of the network as it is now on val, read as a `Scorer` reads."""
        return scores_of(self.read, self.val, self.settings.size, on_image)

    def _save_if_best(self, step: int) -> None:
        if self.best is not None and self.best["step"] == step:
            self._save(step)

    def _save(self, step: int) -> None:
        if self.saved_step == step:
            return
        facts = {"best": self.best, "dataset": self.source.identity()}
        self.checkpoints.save(self.state(), step, facts)
        self.saved_step = step

    # === The end ===

    def _finish(self, step: int) -> Scorer:
        """Keeps the best weights and what they are, and nothing else."""
        best = int(self.best["step"]) if self.best else step
        if best != step:
            self.checkpoints.restore({"weights": self.weights}, best)
        scores = self._scores()
        facts = {
            "network": "FCN-8s",
            "palette": json.loads(self.palette.to_json()),
            "size": self.settings.size,
            "width": self.settings.width,
            "init": self.settings.init,
            "steps": step,
            "best_step": best,
            "val": scores,
            "settings": dataclasses.asdict(self.settings),
            "dataset": self.source.identity(),
            "tensorflow": tf.__version__,
        }
        weights = {name: variable.numpy() for name, variable in self.weights.items()}
        scorer = save_scorer(self.folder, facts, weights)
        shutil.rmtree(self.checkpoints.folder, ignore_errors=True)
        return scorer

    def _open_store(self, split: str, size: int) -> PairStore:
        total = self.source.count(split)
        with ProgressLine(f"reading {split}", total, "pair") as line:
            return open_store(
                self.source,
                split,
                size=size,
                cache=self.cache,
                cache_dir=cache_dir(self.data_dir),
                progress=lambda done, _: line.show(done),
            )


def _settled(
    settings: Settings, say: Callable[[str], None]
) -> tuple[Settings, dict[str, np.ndarray]]:
    """Settings without anything left open, and ImageNet's weights where they are to be used."""
    vgg: dict[str, np.ndarray] = {}
    if settings.init == "imagenet" or (
        settings.init == "auto" and settings.width in (0, FULL_WIDTH)
    ):
        vgg = vgg_weights(required=settings.init == "imagenet", say=say)
    init = "imagenet" if vgg else "scratch"
    return (
        dataclasses.replace(
            settings,
            init=init,
            width=settings.width or (FULL_WIDTH if vgg else SCRATCH_WIDTH),
            learning_rate=settings.learning_rate or (1e-4 if vgg else 1e-3),
        ),
        vgg,
    )


# === Loss ===


class PixelLoss:
    """Mean cross entropy over the pixels that are not void, each weighed by its class.

    Args:
      counted: numbers of the K classes that are not void.
      classes: how many the palette has.
      weights: of the counted classes, ``[K]``.
    """

    def __init__(self, counted: np.ndarray, classes: int, weights: np.ndarray) -> None:
        place, weight = np.zeros(classes, np.int32), np.zeros(classes, np.float32)
        place[counted], weight[counted] = np.arange(len(counted)), weights
        self._place, self._weight = tf.constant(place), tf.constant(weight)

    def __call__(self, classes: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Class numbers ``[B, H, W]`` and scores ``[B, H, W, K]`` to a scalar; 0 if all is void."""
        entropy = tf.nn.softmax_cross_entropy_with_logits(
            tf.one_hot(tf.gather(self._place, classes), scores.shape[-1]), scores
        )
        weight = tf.gather(self._weight, classes)
        return tf.math.divide_no_nan(tf.reduce_sum(entropy * weight), tf.reduce_sum(weight))


def class_weights(pixels: np.ndarray, balance: float) -> np.ndarray:
    """Weights of classes in the loss: ``(median share / share) ** balance``.

    0 weighs every pixel alike; 1 is median frequency balancing (Eigen and Fergus, ICCV 2015).
    Classes without a pixel weigh nothing.
    """
    if not balance:
        return np.ones(len(pixels), np.float32)
    there = pixels > 0
    share = np.where(there, pixels, 1) / pixels.sum()
    weights = (np.median(share[there]) / share) ** balance
    return np.where(there, weights, 0.0).astype(np.float32)


# === Scores ===


def scores_of(
    read: Callable[[np.ndarray], np.ndarray],
    store: PairStore,
    size: int,
    on_image: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """What a reader of classes scores on the real photos of a split.

    Returns:
      ``per_pixel``, ``per_class``, ``iou``, ``images``, ``classes`` (each one's IoU and share of
      the pixels), ``commonest``: the per-pixel accuracy of always saying the commonest class.
    """
    form = store.form
    palette = palette_of(form)
    matrix, images = 0, 0
    try:
        for x, y in evaluation_batches(store, size=size):
            photos, classes = photos_and_classes(form, x, y)
            photos = np.rint((photos.numpy() + 1.0) * 127.5).astype(np.uint8)
            matrix = matrix + confusion(classes.numpy(), read(photos), palette).sum(axis=0)
            images += len(photos)
            on_image(images)
    except tf.errors.OpError as error:
        raise explain(error, store) from None
    per_pixel, per_class, iou = map(float, segmentation_scores(matrix))
    there = matrix.sum(axis=1)
    k = len(there)
    right = np.diagonal(matrix[:, :k])
    union = there + matrix[:, :k].sum(axis=0) - right
    classes = {
        name: {
            "iou": float(right[i] / union[i]) if union[i] else None,
            "share": float(there[i] / there.sum()),
        }
        for i, name in enumerate(counted_names(palette))
    }
    return {
        "per_pixel": per_pixel,
        "per_class": per_class,
        "iou": iou,
        "images": images,
        "commonest": float(there.max() / there.sum()),
        "classes": classes,
    }


def described(scores: dict[str, Any]) -> str:
    """Scores in a line."""
    return (
        f"per-pixel {scores['per_pixel']:.3f}, per-class {scores['per_class']:.3f}, "
        f"IoU {scores['iou']:.3f} on {scores['images']:,} images"
    )
