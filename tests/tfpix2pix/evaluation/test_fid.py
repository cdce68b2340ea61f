"""The Frechet distance on Gaussians of known means and covariances, and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg

from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.fid import FID, frechet_distance


def gaussian(mean: np.ndarray, covariance: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Features ``[count, D]`` whose sample mean and covariance are exactly these."""
    raw = np.random.default_rng(seed).normal(size=(count, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ linalg.inv(linalg.cholesky(np.cov(raw, rowvar=False)))
    return white @ linalg.sqrtm(covariance).real + mean


def covariance(seed: int, size: int) -> np.ndarray:
    factors = np.random.default_rng(seed).normal(size=(size, size + 3))
    return factors @ factors.T / size


def textbook(fake: np.ndarray, truth: np.ndarray) -> float:
    """With the square root of a matrix product by SciPy."""
    s1, s2 = np.cov(fake, rowvar=False), np.cov(truth, rowvar=False)
    root = linalg.sqrtm(s1 @ s2)
    difference = fake.mean(axis=0) - truth.mean(axis=0)
    return float(difference @ difference + np.trace(s1 + s2 - 2 * root.real))


@pytest.mark.parametrize("count", [5, 40, 400])  # fewer images than features, and more
def test_shifted_by_a_vector(count):
    features = np.random.default_rng(0).normal(size=(count, 30))
    shift = np.linspace(-1, 1, 30)
    assert frechet_distance(features + shift, features) == pytest.approx(shift @ shift)


@pytest.mark.parametrize("count", [60, 12])
def test_commuting_covariances(count):
    # For diagonal covariances the distance is that of means and of standard deviations.
    m1, m2 = np.linspace(0, 2, 9), np.linspace(1, -1, 9)
    d1, d2 = np.linspace(0.5, 3, 9), np.linspace(2, 0.1, 9)
    fake = gaussian(m1, np.diag(d1**2), count, 1)
    truth = gaussian(m2, np.diag(d2**2), count, 2)
    expected = ((m1 - m2) ** 2).sum() + ((d1 - d2) ** 2).sum()
    assert frechet_distance(fake, truth) == pytest.approx(expected)


def test_one_dimension():
    fake = gaussian(np.array([3.0]), np.array([[4.0]]), 20, 3)
    truth = gaussian(np.array([1.0]), np.array([[25.0]]), 20, 4)
    assert frechet_distance(fake, truth) == pytest.approx((3 - 1) ** 2 + (2 - 5) ** 2)


def test_known_gaussians_with_correlations():
    s1, s2 = covariance(1, 8), covariance(2, 8)
    m1, m2 = np.arange(8.0), np.arange(8.0)[::-1] / 2
    expected = ((m1 - m2) ** 2).sum() + np.trace(s1 + s2 - 2 * linalg.sqrtm(s1 @ s2).real)
    fake, truth = gaussian(m1, s1, 50, 5), gaussian(m2, s2, 50, 6)
    assert frechet_distance(fake, truth) == pytest.approx(expected)


@pytest.mark.parametrize("count", [15, 200])
def test_scipys_square_root_agrees(count):
    random = np.random.default_rng(count)
    fake = random.normal(size=(count, 12)) @ random.normal(size=(12, 12))
    truth = random.gamma(2.0, size=(count, 12)) @ random.normal(size=(12, 12))
    assert frechet_distance(fake, truth) == pytest.approx(textbook(fake, truth), rel=1e-6)


def test_singular_covariances_are_no_trouble():
    # 6 images, 200 features: the textbook's root of a singular matrix is inexact here.
    features = np.random.default_rng(1).normal(size=(6, 200)).astype(np.float32)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)
    # Sets in orthogonal subspaces share nothing: only means and traces are left.
    fake, truth = np.zeros((2, 6, 200))
    fake[:, :100], truth[:, 100:] = features[:, :100], features[:, 100:]
    mean = features.mean(axis=0).astype(float)
    expected = mean @ mean + features.astype(float).var(axis=0, ddof=1).sum()
    assert frechet_distance(fake, truth) == pytest.approx(expected)


def test_rotating_the_features_changes_nothing():
    random = np.random.default_rng(2)
    fake, truth = random.normal(size=(2, 40, 10)) * np.arange(1, 11)
    turn = linalg.qr(random.normal(size=(10, 10)))[0]
    assert frechet_distance(fake @ turn, truth @ turn) == pytest.approx(
        frechet_distance(fake, truth)
    )


@pytest.mark.parametrize("size", [4, 30])
def test_weights_repeat_images(size):
    random = np.random.default_rng(3)
    fake, truth = random.normal(size=(2, 12, size)) + np.arange(12)[None, :, None] / 4
    weights = random.multinomial(12, [1 / 12] * 12)
    assert (weights == 0).any()
    repeated = [np.repeat(features, weights, axis=0) for features in (fake, truth)]
    assert frechet_distance(fake, truth, weights) == pytest.approx(frechet_distance(*repeated))
    assert frechet_distance(fake, truth, weights) != pytest.approx(frechet_distance(fake, truth))


def test_one_image_has_no_covariance():
    assert math.isnan(frechet_distance(np.ones((1, 4)), np.ones((1, 4))))


def test_the_evaluator_measures_in_the_features_it_is_given():
    random = np.random.default_rng(4)
    y, fake = random.integers(0, 256, (2, 30, 8, 8, 3)).astype(np.uint8)

    def features(pictures):
        return pictures.reshape(len(pictures), -1)[:, :5] / 255

    evaluator = FID(features)
    evaluator.update(Batch([str(i) for i in range(30)], y, fake))
    expected = textbook(features(fake), features(y))
    assert evaluator.result()["fid"] == pytest.approx(expected, rel=1e-5)


def test_features_that_are_not_finite_have_no_distance():
    good, broken = np.ones((3, 2)), np.array([[1.0, 2.0], [np.nan, 1.0], [0.0, 1.0]])
    assert math.isnan(frechet_distance(good, broken))
    assert frechet_distance(good, good) == 0
