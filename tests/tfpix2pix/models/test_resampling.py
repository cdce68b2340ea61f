"""Blur filters around halving and doubling, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models.resampling import BlurDownsampling, BlurUpsampling


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def filtered(x: np.ndarray, weights: list[float], axis: int) -> np.ndarray:
    """Along one axis, only where the filter fits."""
    return np.apply_along_axis(np.convolve, axis, x, np.array(weights), "valid")


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (2, 3)])
def test_down_is_1_2_1_around_every_second_pixel_of_the_reflected_image(size):
    x = normal(0, 2, *size, 3)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect")
    low = filtered(filtered(padded, [0.25, 0.5, 0.25], 1), [0.25, 0.5, 0.25], 2)
    found = BlurDownsampling()(x)
    np.testing.assert_allclose(found.numpy(), low[:, ::2, ::2], atol=1e-6)
    assert found.shape == BlurDownsampling().compute_output_shape(x.shape)


@pytest.mark.parametrize("training", [False, True])
def test_up_is_1_3_3_1_over_zeros_between_the_pixels(training):
    x = normal(1, 2, 3, 5, 4)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "edge")
    spread = np.zeros([2, 10, 14, 4], np.float32)
    spread[:, ::2, ::2] = padded
    low = filtered(filtered(spread, [0.25, 0.75, 0.75, 0.25], 1), [0.25, 0.75, 0.75, 0.25], 2)
    found = BlurUpsampling()(x, training=training)
    np.testing.assert_allclose(found.numpy(), low[:, :6, :10], atol=1e-6)


def test_both_are_the_antialiased_layers_of_pytorch():
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    functional = torch.nn.functional
    x = normal(2, 1, 6, 8, 3)
    images = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())

    def weights(*of: float):
        row = torch.tensor(of)
        return (row[:, None] * row / row.sum() ** 2).expand(3, 1, -1, -1)

    down = functional.conv2d(
        functional.pad(images, (1, 1, 1, 1), "reflect"), weights(1, 2, 1), stride=2, groups=3
    )
    up = functional.conv_transpose2d(
        functional.pad(images, (1, 1, 1, 1), "replicate"),
        4 * weights(1, 3, 3, 1),
        stride=2,
        padding=3,
        groups=3,
    )
    for layer, expected in ((BlurDownsampling(), down), (BlurUpsampling(), up)):
        np.testing.assert_allclose(layer(x), expected.numpy().transpose(0, 2, 3, 1), atol=1e-6)


def test_doubling_has_the_same_gradient_in_training():
    x, weight = tf.constant(normal(3, 1, 4, 6, 2)), normal(4, 1, 8, 12, 2)
    gradients = []
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(BlurUpsampling()(x, training=training) * weight)
        gradients.append(tape.gradient(value, x).numpy())
    np.testing.assert_allclose(*gradients, atol=1e-5)


@pytest.mark.parametrize("layer", [BlurDownsampling(name="a"), BlurUpsampling(name="b")])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_they_compute_in_half_precision_too_and_keep_constants(layer, policy):
    kind = type(layer)
    layer = kind.from_config({**layer.get_config(), "dtype": policy})
    found = layer(np.full([1, 4, 4, 2], 0.5, np.float32), training=True)
    assert found.dtype.name == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(tf.cast(found, tf.float32).numpy(), 0.5)
