"""Sharpness by hand, against NumPy's gradient, and on pictures that are blurred."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.sharpness import Sharpness, gradient


def photos(images: int = 4) -> np.ndarray:
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (images, 8, 8, 3))
    return blocks.repeat(6, axis=1).repeat(6, axis=2).astype(np.uint8)


def blurred(pictures: np.ndarray, sigma: float) -> np.ndarray:
    values = gaussian_filter(pictures.astype(float), (0, sigma, sigma, 0))
    return np.rint(values).astype(np.uint8)


def result(fake: np.ndarray, y: np.ndarray) -> dict[str, float]:
    evaluator = Sharpness()
    evaluator.update(Batch([str(i) for i in range(len(y))], y, fake))
    return evaluator.result()


def test_the_more_blur_the_less_sharpness():
    y = photos()
    ratios = [result(blurred(y, sigma), y)["sharpness_ratio"] for sigma in (0.5, 1, 2, 4)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] < 1
    assert ratios[-1] < 0.5


def test_noise_is_sharp():
    y = blurred(photos(), 3)
    noise = np.random.default_rng(1).normal(0, 20, y.shape)
    noisy = np.clip(y + noise, 0, 255).astype(np.uint8)
    assert result(noisy, y)["sharpness_ratio"] > 1


def test_equal_pictures_have_a_ratio_of_one():
    y = photos()
    found = result(y.copy(), y)
    assert found["sharpness_ratio"] == 1
    assert found["sharpness"] == found["sharpness_truth"] > 0


def test_a_ramp_by_hand():
    # 3 levels a pixel to the right, 4 down: the gradient is 5 everywhere.
    rows, columns = np.mgrid[:12, :16]
    ramp = (3 * columns + 4 * rows).astype(np.uint8)[None, ..., None]
    assert gradient(ramp) == pytest.approx([5])
    assert gradient(ramp.repeat(3, axis=-1)) == pytest.approx([5])
    assert gradient(ramp.repeat(2, axis=-1)) == pytest.approx([5])


def test_one_edge_by_hand():
    # 8 rows of which one edge of 100 levels is seen, in 1 of 9 places across.
    edge = np.zeros((1, 9, 10, 1), np.uint8)
    edge[:, :, 4:] = 100
    assert gradient(edge) == pytest.approx([100 / 9])


def test_luminance_is_that_of_video():
    columns = np.mgrid[:8, :8][1]
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        picture = np.zeros((1, 8, 8, 3))
        picture[0, ..., channel] = 10.0 * columns
        assert gradient(picture) == pytest.approx([10 * weight])


def test_numpys_differences_agree():
    y = photos()
    luminance = y @ np.array([0.299, 0.587, 0.114])
    across = np.diff(luminance, axis=2)[:, :-1]
    down = np.diff(luminance, axis=1)[:, :, :-1]
    np.testing.assert_allclose(gradient(y), np.sqrt(across**2 + down**2).mean(axis=(1, 2)))


def test_the_ratio_is_that_of_the_means():
    y = np.concatenate([photos(2), blurred(photos(2), 3)])
    fake = blurred(y, 1)
    found = result(fake, y)
    assert found["sharpness"] == pytest.approx(gradient(fake).mean())
    assert found["sharpness_ratio"] == pytest.approx(gradient(fake).mean() / gradient(y).mean())


def test_beside_a_flat_truth_there_is_no_ratio():
    assert math.isnan(result(photos(), np.full((4, 48, 48, 3), 7, np.uint8))["sharpness_ratio"])
