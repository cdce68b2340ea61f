"""What the tests of the algorithms share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.config import Config

# The smallest networks that have every kind of layer.
TINY = {
    "crop_size": 32,
    "load_size": 32,
    "ngf": 4,
    "bottleneck": 4,
    "ndf": 4,
    "receptive_field": 16,
    "batch_size": 2,
    "seed": 3,
}


@pytest.fixture(autouse=True)
def exact_products(full_float32):
    """Every test of this folder computes in full float32."""


@pytest.fixture
def tiny_config() -> Callable[..., Config]:
    return lambda **changes: Pix2PixConfig(**{**TINY, **changes})


@pytest.fixture
def pairs() -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """`pairs(batch, seed)`: x and y of 32 pixels, uniform in [-1, 1]."""

    def draw(batch: int = 2, seed: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
        random = np.random.default_rng(seed)
        images = random.uniform(-1, 1, (2, batch, 32, 32, 3)).astype(np.float32)
        return tf.constant(images[0]), tf.constant(images[1])

    return draw
