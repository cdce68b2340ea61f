"""The sliced Wasserstein distance against sorted values, SciPy's, and pictures spoilt by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance
from skimage.transform import pyramid_expand

from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation import swd as module
from tfpix2pix.evaluation.swd import SWD, directions, doubled, edges, halved, pyramid, wasserstein

SIZE = 64


def photos(images: int = 24, seed: int = 0, size: int = SIZE) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = gaussian_filter(random.normal(size=(images, size, size, 3)), (0, 3, 3, 0))
    values = values / values.std() * 45 + 128 + random.normal(0, 6, values.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def result(fake, y) -> dict[str, float]:
    evaluator = SWD()
    evaluator.update(Batch([str(i) for i in range(len(y))], y, fake))
    return evaluator.result()


def plain(fake, y) -> list[float]:
    """The distance of each level by the definition: every patch kept, SciPy's distances."""
    found = []
    levels = zip(
        *(pyramid(p.astype(np.float32) - 127.5) for p in (fake, y)), module.STRIDES, strict=True
    )
    for of_fake, of_truth, stride in levels:
        sets = []
        for level in (of_fake, of_truth):
            last = level.shape[1] - 7
            sets.append(
                [
                    image[r : r + 7, c : c + 7].transpose(2, 0, 1).ravel()
                    for image in level
                    for r in range(0, last + 1, stride)
                    for c in range(0, last + 1, stride)
                ]
            )
        vectors = directions(level.shape[-1])
        a, b = (np.array(one) @ vectors.T for one in sets)
        distances = [wasserstein_distance(a[:, d], b[:, d]) for d in range(len(vectors))]
        found.append(np.mean(distances) / np.sqrt(b.var(axis=0).mean()))
    return found


def test_the_plain_definition_agrees():
    y = photos()
    fake = np.clip(gaussian_filter(photos(seed=1), (0, 1, 1, 0)) + 12.0, 0, 255)
    found, expected = result(fake, y), plain(fake, y)
    got = [found[f"swd_{level}"] for level in ("full", "half", "quarter")]
    assert got == pytest.approx(expected, rel=0.03, abs=0.003)
    assert found["swd"] == pytest.approx(np.mean(got))


def test_one_projection_against_scipy():
    random = np.random.default_rng(0)
    a, b = random.normal(0, 20, 5000), random.normal(6, 30, 5000)
    shares = [np.histogram(values, edges())[0] / 5000 for values in (a, b)]
    assert wasserstein(*shares) == pytest.approx(wasserstein_distance(a, b), rel=0.02)


def test_equal_sets_are_at_zero_in_any_order():
    y = photos()
    assert result(y[::-1].copy(), y) == {
        "swd": 0.0, "swd_full": 0.0, "swd_half": 0.0, "swd_quarter": 0.0,
    }  # fmt: skip


def test_two_halves_of_a_set_are_near():
    assert result(photos(seed=1), photos(seed=2))["swd"] < 0.1


def test_blur_shows_at_the_finest_scale():
    y = photos()
    found = result(gaussian_filter(y, (0, 0.8, 0.8, 0)), y)
    assert found["swd_full"] > 2 * found["swd_half"]
    assert found["swd_full"] > 0.2


def test_a_colour_cast_shows_at_the_coarsest_scale():
    y = photos()
    found = result(np.clip(y + np.array([25.0, 0, -25]), 0, 255), y)
    assert found["swd_quarter"] > 10 * found["swd_full"]


def test_more_of_a_pattern_is_further_away():
    y = photos()
    pattern = np.cos(np.pi * np.arange(SIZE) / 2)[:, None, None]
    values = [result(np.clip(y + a * pattern, 0, 255), y)["swd_full"] for a in (5, 10, 20)]
    assert values == sorted(values)
    assert values[0] > 0.02


def test_lack_of_contrast_counts():
    y = photos()
    assert result((y - 128.0) * 0.5 + 128, y)["swd"] > 0.3


def test_grey_pictures_and_small_ones():
    y = photos()
    assert math.isfinite(result(y[..., :1], photos(seed=1)[..., :1])["swd"])
    small = result(photos(size=16, seed=1), photos(size=16))
    assert math.isnan(small["swd_quarter"])
    assert small["swd"] == pytest.approx((small["swd_full"] + small["swd_half"]) / 2)


def test_a_flat_truth_has_no_distance():
    y = np.full((4, SIZE, SIZE, 3), 90, np.uint8)
    found = result(photos(4), y)
    assert math.isnan(found["swd_full"])


# === The pyramid ===


def test_the_levels_of_the_pyramid_add_up_to_the_picture():
    for size in (64, 37):
        picture = photos(2, size=size).astype(np.float32)
        levels = pyramid(picture)
        back = levels[-1]
        for level in levels[-2::-1]:
            back = level + doubled(back, level.shape[1:3])
        np.testing.assert_allclose(back, picture, atol=1e-3)


def test_halving_is_a_convolution():
    picture = photos(1).astype(np.float32)
    weights = np.array([1, 4, 6, 4, 1]) / 16
    from scipy.ndimage import convolve1d

    smooth = convolve1d(
        convolve1d(picture, weights, axis=1, mode="mirror"), weights, 2, mode="mirror"
    )
    np.testing.assert_allclose(halved(picture), smooth[:, ::2, ::2], atol=1e-3)


def test_doubling_keeps_what_is_smooth():
    ramp = np.arange(16, dtype=np.float32)[None, :, None, None] * np.ones(
        (1, 16, 16, 1), np.float32
    )
    larger = doubled(ramp, (32, 32))
    np.testing.assert_allclose(larger[0, 2:-3, 5, 0], np.arange(32)[2:-3] / 2, atol=1e-5)
    assert pyramid_expand(ramp[0, ..., 0]).shape == larger.shape[1:3]
