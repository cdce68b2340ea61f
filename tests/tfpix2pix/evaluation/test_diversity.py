"""Diversity by hand and pair by pair."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.diversity import Diversity, mean_pairwise_l1


def flat(*levels: int) -> np.ndarray:
    """Samples ``[n, 1, 4, 4, 3]`` of one input, each of one level."""
    return np.stack([np.full((1, 4, 4, 3), level, np.uint8) for level in levels])


def result(samples: np.ndarray) -> float:
    names = [str(i) for i in range(samples.shape[1])]
    evaluator = Diversity()
    evaluator.update(Batch(names, samples[0], samples[0], None, samples))
    return evaluator.result()["diversity"]


def test_two_samples_by_hand():
    assert result(flat(0, 255)) == pytest.approx(2)
    assert result(flat(10, 11)) == pytest.approx(1 / 127.5)


def test_three_samples_by_hand():
    # Distances 10, 30 and 40 levels.
    assert result(flat(20, 60, 30)) == pytest.approx((10 + 30 + 40) / 3 / 127.5)


def test_equal_samples_have_none():
    assert result(flat(7, 7, 7, 7)) == 0
    random = np.random.default_rng(0).uniform(0, 255, (1, 2, 8, 8, 3))
    assert result(random.repeat(5, axis=0)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("count", [2, 3, 4, 7])
@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_all_pairs_count_alike(count, kind):
    samples = np.random.default_rng(count).uniform(0, 255, (count, 3, 6, 5, 3)).astype(kind)
    pairs = [
        np.abs(a.astype(float) - b.astype(float)).mean(axis=(1, 2, 3)) / 127.5
        for a, b in itertools.combinations(samples, 2)
    ]
    np.testing.assert_allclose(mean_pairwise_l1(samples), np.mean(pairs, axis=0))
    assert result(samples) == pytest.approx(np.mean(pairs))


def test_the_order_of_samples_does_not_matter():
    samples = np.random.default_rng(1).integers(0, 256, (4, 2, 6, 6, 1)).astype(np.uint8)
    assert result(samples[::-1]) == pytest.approx(result(samples))
