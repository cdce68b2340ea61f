"""What the tests of the networks share."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models.weights import named_weights


@pytest.fixture(autouse=True)
def exact_products(full_float32):
    """Every test of this folder computes in full float32."""


@pytest.fixture
def scramble() -> Callable[..., dict[str, np.ndarray]]:
    """`scramble(model, seed)` gives every weight a value that matters, and returns them by name.

    Kernels keep the scale of the signal; scales, offsets and biases are far from 1 and 0, so that
    one which is left out is seen.
    """

    def set_weights(model: tf.keras.Model, seed: int = 0) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        values = {}
        for name, variable in named_weights(model).items():
            shape = tuple(variable.shape)
            value = random.normal(size=shape)
            if name.endswith("kernel"):
                # A transposed kernel is [h, w, out, in]; every output pixel gets 2 x 2 of 4 x 4.
                transposed = name.startswith("up")
                fan_in = (
                    math.prod(shape[:2]) * shape[3] / 4 if transposed else math.prod(shape[:-1])
                )
                value *= np.sqrt(1.0 / fan_in)
            elif name.endswith("gamma"):
                value = 1.0 + 0.3 * value
            elif name.endswith("moving_variance"):
                value = np.abs(value) + 0.5
            else:
                value *= 0.3
            values[name] = value.astype(np.float32)
            variable.assign(values[name])
        return values

    return set_weights
