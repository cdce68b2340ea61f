"""Training a scorer: photos in, classes out, checkpoints on the way, one folder at the end.

It is a run like any other (`tfpix2pix.training.run`), of the algorithm `scorer`; at its end the
weights that were best on val are kept and the checkpoints go.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.algorithms.configs.scorer import ScorerConfig
from tfpix2pix.base.files import check_writable
from tfpix2pix.base.options import plain_values
from tfpix2pix.base.progress import ProgressLine, say
from tfpix2pix.data import PairSource
from tfpix2pix.evaluation.confusion import counted_classes
from tfpix2pix.models.weights import named_weights
from tfpix2pix.scorer.fcn import fcn8s
from tfpix2pix.scorer.labelled import palette_of
from tfpix2pix.scorer.pretrained import vgg_weights
from tfpix2pix.scorer.scores import scores_of
from tfpix2pix.scorer.settings import FULL_WIDTH, SCRATCH_WIDTH, Settings
from tfpix2pix.scorer.store import FACTS, Scorer, load_scorer, reader, save_scorer
from tfpix2pix.training.batches import open_split
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.run import train
from tfpix2pix.training.stop import StopRequest


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
        steps = int(scorer.facts["steps"])
        return ScorerOutcome(scorer, steps, steps, 0)
    settings = _resolved(settings, say)
    check_writable(folder, "--output")
    folder.mkdir(parents=True, exist_ok=True)
    settings.save(folder)
    config = config_of_settings(settings, cache=cache, data_dir=data_dir)
    outcome = train(config, folder, source, stop=stop, say=say)
    trained = None
    if outcome.steps_done >= outcome.steps_total:
        trained = _finish(settings, config, folder, source, outcome.best)
    return ScorerOutcome(
        trained,
        outcome.steps_done,
        outcome.steps_total,
        outcome.trained_now,
        outcome.stopped_by,
        outcome.exit_code,
    )


def config_of_settings(settings: Settings, **run: Any) -> ScorerConfig:
    """The run that settings, resolved, stand for; ``run`` are further fields of its config."""
    same = ("load_size", "epochs", "steps", "batch_size", "seed", "val_every", "checkpoint_every")
    own = ("width", "init", "balance", "learning_rate", "lr_schedule", "lr_decay_from")
    values = {name: getattr(settings, name) for name in (*same, *own)}
    return ScorerConfig(crop_size=settings.size, **values, **run)


def _finish(
    settings: Settings,
    config: ScorerConfig,
    folder: Path,
    source: PairSource,
    best: Any,
) -> Scorer:
    """Keeps the best weights and what they are, and nothing else."""
    palette = palette_of(source.spec)
    counted = counted_classes(palette)
    model = fcn8s(len(counted), settings.width, vgg=settings.init == "imagenet").model
    weights = named_weights(model)
    checkpoints = Checkpoints(folder)
    facts = checkpoints.restore({"weights": weights}, int(best["step"]) if best else None)
    assert facts is not None, "what was trained has a checkpoint"
    val = open_split(source, "val", settings.size, config, say)
    with ProgressLine("measuring", val.count, "photo") as line:
        scores = scores_of(
            reader(model, tf.constant(counted, tf.uint8)), val, settings.size, line.show
        )
    scorer = save_scorer(
        folder,
        {
            "network": "FCN-8s",
            "palette": json.loads(palette.to_json()),
            "size": settings.size.value,
            "width": settings.width,
            "init": settings.init,
            "steps": checkpoints.steps()[-1],
            "best_step": int(facts["step"]),
            "val": scores,
            "settings": plain_values(settings),
            "dataset": source.identity(),
            "tensorflow": tf.__version__,
        },
        {name: variable.numpy() for name, variable in weights.items()},
    )
    shutil.rmtree(checkpoints.folder, ignore_errors=True)
    return scorer


def _resolved(settings: Settings, say: Callable[[str], None]) -> Settings:
    """Settings without anything left open."""
    vgg: dict[str, np.ndarray] = {}
    if settings.init == "imagenet" or (
        settings.init == "auto" and settings.width in (0, FULL_WIDTH)
    ):
        vgg = vgg_weights(required=settings.init == "imagenet", say=say)
    return dataclasses.replace(
        settings,
        init="imagenet" if vgg else "scratch",
        width=settings.width or (FULL_WIDTH if vgg else SCRATCH_WIDTH),
        learning_rate=settings.learning_rate or (1e-4 if vgg else 1e-3),
    )
