"""The algorithms that conformance takes through everything, and a set of pairs for each."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.algorithms import registry
from tfpix2pix.algorithms.base import Algorithm
from tfpix2pix.config import Config, config_of
from tfpix2pix.config.dataset import resolved
from tfpix2pix.data import PairSource, open_dataset

TOY = "toy_algorithm"  # a module of its own name, as a user's would be


def _register_toy() -> None:
    spec = importlib.util.spec_from_file_location(TOY, Path(__file__).with_name("toy.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[TOY] = module
    spec.loader.exec_module(module)
    registry.register("toy", f"{TOY}:Toy", f"{TOY}:ToyConfig")


_register_toy()

# What makes an algorithm small; one that is not here has to be small by itself.
SMALL: dict[str, dict[str, Any]] = {
    "pix2pix": {"bottleneck": 4, "ngf": 4, "ndf": 4, "receptive_field": 16},
    "cyclegan": {
        "generator": "unet",
        "bottleneck": 8,
        "dropout": 0.5,
        "norm": "instance",
        "ngf": 4,
        "ndf": 4,
        "receptive_field": 16,
        "pool_size": 3,
    },
    "cut": {
        "generator": "resnet6",
        "ngf": 4,
        "ndf": 4,
        "receptive_field": 16,
        "nce_channels": 16,
    },
    # "group": of a channel alone a normalisation leaves nothing of a latent but at the border, and
    # of the weights in the middle rounding, which two replicas do not share.
    "bicyclegan": {
        "norm": "group",
        "bottleneck": 8,
        "ngf": 4,
        "ndf": 4,
        "nef": 2,
        "latent": 3,
        "receptive_field": 16,
        "discriminator_scales": 1,
    },
    "scorer": {"width": 2, "label_palette": "facades"},
    "toy": {},
}
# Settings of an algorithm that are taken through everything like one of their own.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "onehot": (
        "pix2pix",
        {
            "target_encoding": "onehot",
            "label_palette": "facades",
            "direction": "BtoA",
            "bottleneck": 8,
            "best_metric": "labels_iou",
        },
    ),
    "recipe": (
        "pix2pix",
        {
            "ngf": 8,
            "norm": "group",
            "bottleneck": 8,
            "upsampling": "nearest",
            "padding": "replicate",
            "noise_channels": 2,
            "last_channels": 4,
            "gan_loss": "hinge",
            "lambda_feature_matching": 10.0,
            "discriminator_scales": 2,
            "ema": 0.9,
            "latent": 3,
            "diversity": "dsgan",
        },
    ),
}
COMMON = {
    "dataset": "sample",
    "crop_size": 32,
    "load_size": 36,
    "sample_pairs": 8,
    "batch_size": 2,
    "steps": 4,
    "log_every": 2,
    "val_every": 2,
    "sample_every": 2,
    "sample_images": 2,
    "checkpoint_every": 2,
    "seed": 5,
}


@dataclass(frozen=True)
class Case:
    """An algorithm under test.

    Attributes:
      name: of the algorithm, or of a variant.
      config: a small one.
      source: pairs for it.
    """

    name: str
    config: Config
    source: PairSource

    @property
    def kind(self) -> type[Algorithm]:
        return registry.algorithm_class(self.config.algorithm)

    def build(self, strategy: Any = None, **changes: Any) -> Algorithm:
        kind = self.kind
        config = self.config.replace(**changes)
        return kind(config, strategy, spec=self.source.spec, total_steps=config.steps)


def case_of(name: str, **changes: Any) -> Case:
    """The case of an algorithm, or of a variant, by its name."""
    algorithm, settings = VARIANTS.get(name, (name, {}))
    small = SMALL.get(algorithm, {})
    values = {**COMMON, **small, **settings, **changes, "algorithm": algorithm}
    config = config_of(values)
    source = open_dataset(config, sample_size=config.load_size)
    return Case(name, resolved(config, source.spec), source)


@pytest.fixture(params=[*registry.ALGORITHMS, *VARIANTS])
def case(request) -> Case:
    """Every registered algorithm and every variant, one after the other."""
    return case_of(request.param)


@pytest.fixture
def odd_picture(tmp_path) -> Callable[[int], Path]:
    """A picture of a size that no network has: `odd_picture(channels)`."""

    def write(channels: int = 3) -> Path:
        pixels = np.random.default_rng(0).integers(0, 256, (37, 51, channels), np.uint8)
        path = tmp_path / "odd.png"
        Image.fromarray(pixels if channels > 1 else pixels[..., 0]).save(path)
        return path

    return write
