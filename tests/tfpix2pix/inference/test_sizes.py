"""What is said of a generator's size is what TensorFlow's own network has."""

from __future__ import annotations

import numpy as np
import pytest

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.registry import default_generator
from tfpix2pix.inference.sizes import feature_numbers, kernel_numbers, kernel_shapes
from tfpix2pix.models.weights import named_weights


@pytest.mark.parametrize(
    "changes",
    [
        {"crop_size": 32, "load_size": 32, "ngf": 3},
        {"crop_size": 128, "ngf": 2, "input_channels": 5, "target_channels": 1},
        {"crop_size": 64, "ngf": 2, "generator": "encoder_decoder", "norm": "none"},
    ],
)
def test_the_kernels_are_those_of_the_network(changes):
    generator = default_generator(Pix2PixConfig(**changes))
    weights = named_weights(generator.build())
    kernels = {
        name.removesuffix("/kernel"): tuple(value.shape)
        for name, value in weights.items()
        if name.endswith("/kernel")
    }
    assert kernel_shapes(generator) == kernels
    assert kernel_numbers(generator) == sum(np.prod(shape) for shape in kernels.values())


def test_the_papers_generator_has_the_papers_number_of_weights():
    # 54,413,955 with the output's 3 biases and the scales and offsets of 12 normalisations.
    vectors = 3 + 2 * (128 + 256 + 4 * 512 + 4 * 512 + 256 + 128 + 64)
    assert kernel_numbers(default_generator(Pix2PixConfig())) == 54_413_955 - vectors


def test_the_features_are_counted_at_the_inputs_and_results_of_convolutions():
    config = Pix2PixConfig(crop_size=32, load_size=32, ngf=1, input_channels=1, target_channels=1)
    # Sides 32 16 8 4 2 1; channels 1 | 1 2 4 8 8 down, 8 8 4 2 1 (x2 joined) | 1 up.
    down = (1024 + 256) + (256 + 64 * 2) + (64 * 2 + 16 * 4) + (16 * 4 + 4 * 8) + (4 * 8 + 8)
    up = (8 + 4 * 8) + (4 * 16 + 16 * 4) + (16 * 8 + 64 * 2) + (64 * 4 + 256) + (256 * 2 + 1024)
    assert feature_numbers(default_generator(config), 32, 32) == down + up
