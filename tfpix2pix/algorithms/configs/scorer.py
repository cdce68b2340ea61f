"""The scorer as a run: what `tfpix2pix.scorer.settings.Settings` come to for the training loop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tfpix2pix.base.options import option
from tfpix2pix.base.size import Size
from tfpix2pix.config.base import Config, Preset
from tfpix2pix.config.declared import ChartSpec, Measure


@dataclass(frozen=True)
class ScorerConfig(Config):
    """A network that learns to read the class of every pixel of a photo."""

    PRESETS: ClassVar[Mapping[str, Preset]] = {
        "scorer": Preset("an FCN-8s from labelled photos", {})
    }
    DEFAULT_PRESET: ClassVar[str] = "scorer"
    FLAG: ClassVar[str] = "--output"
    SMALLER: ClassVar[str] = "--batch_size, --size or --width"
    MEASURES: ClassVar[tuple[Measure, ...]] = (
        Measure("per_pixel", "per-pixel", "higher", 3, meaning="share of pixels read rightly"),
        Measure("per_class", "per-class", "higher", 3, meaning="the same, mean over classes"),
        Measure("iou", "IoU", "higher", 3, meaning="intersection over union, mean over classes"),
    )
    CHARTS: ClassVar[tuple[ChartSpec, ...]] = (
        ChartSpec(
            "val-iou",
            "Validation: class IoU",
            "Intersection over union of true and found classes on photos that it never trains on, "
            "mean over the classes. The weights of the best point are kept.",
            "IoU on val (0 to 1)",
            (("IoU", "val", "iou"), ("per-class accuracy", "val", "per_class")),
            mark="max",
        ),
        ChartSpec(
            "cross-entropy",
            "Training: cross entropy",
            "Mean over the pixels that are not void, each weighed by its class.",
            "cross entropy (nats)",
            (("cross entropy", "train", "losses", "cross_entropy"),),
            from_zero=True,
        ),
    )

    algorithm: str = option("scorer", "what is learned, and how", "first", choices=("scorer",))
    best_metric: str = option(
        "iou", "as for a run", "run", choices=("per_pixel", "per_class", "iou")
    )
    keep_checkpoints: int = option(1, "as for a run", "run", minimum=1, may_change=True)
    log_every: int = option(25, "as for a run", "run", minimum=1, may_change=True)
    width: int = option(16, "channels of the first block", "model", minimum=1, maximum=256)
    init: str = option("scratch", "of VGG-16", "model", choices=("imagenet", "scratch"))
    balance: float = option(0.5, "how much rare classes weigh", "loss", minimum=0.0, maximum=1.0)
    learning_rate: float = option(
        1e-3, "Adam's step size at first", "loss", minimum=0.0, may_change=True
    )
    lr_schedule: str = option(
        "poly",
        "as for a run, or 'poly': falling to 0 by the power 0.9 of what is left",
        "loss",
        choices=("poly", "constant", "linear"),
        may_change=True,
    )

    @property
    def whole_size(self) -> Size:
        return self.crop_size

    def save(self, workdir: str | os.PathLike[str]) -> None:
        """Nothing: a scorer's settings stand in ``training.json``."""
