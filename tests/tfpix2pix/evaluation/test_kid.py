"""The kernel distance against plain loops, and what is to be expected of an unbiased estimate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfpix2pix.evaluation import Batch, kid
from tfpix2pix.evaluation.kid import KID, kernel, kernel_distances, mmd2


def k(x, y) -> float:
    return float(sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3


def loops(fake, truth) -> float:
    """The unbiased squared maximum mean discrepancy, term by term (Binkowski et al., eq. 4)."""
    m, n = len(fake), len(truth)
    xx = sum(k(fake[i], fake[j]) for i in range(m) for j in range(m) if i != j)
    yy = sum(k(truth[i], truth[j]) for i in range(n) for j in range(n) if i != j)
    xy = sum(k(x, y) for x in fake for y in truth)
    return xx / (m * (m - 1)) + yy / (n * (n - 1)) - 2 * xy / (m * n)


def estimate(fake, truth) -> float:
    return mmd2(
        kernel(fake, fake), kernel(truth, truth), kernel(fake, truth),
        np.arange(len(fake)), np.arange(len(truth)),
    )  # fmt: skip


def test_two_and_two_numbers_by_hand():
    # k(x, y) = (xy + 1)^3. Within: k(0, 1) = 1 and k(1, 2) = 27; across: k(0, 1) = 1, k(0, 2) = 1,
    # k(1, 1) = 8 and k(1, 2) = 27.
    found = estimate(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]))
    assert found == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)


def test_loops_agree():
    random = np.random.default_rng(0)
    fake, truth = random.normal(size=(6, 4)), random.normal(1, 2, size=(9, 4))
    assert estimate(fake, truth) == pytest.approx(loops(fake, truth))


def test_mean_and_standard_deviation_over_subsets_are_those_of_loops():
    random = np.random.default_rng(1)
    fake, truth = random.normal(size=(14, 3)), random.normal(0.5, 1, size=(14, 3))
    drawn = [(np.arange(14),) * 2]
    ((mean, deviation),) = kernel_distances(fake, truth, drawn, subsets=8, size=5, seed=3)
    draw = np.random.default_rng(3)
    values = []
    for _ in range(8):
        i = draw.choice(14, 5, replace=False)
        j = draw.choice(14, 5, replace=False)
        values.append(loops(fake[i], truth[j]))
    average = sum(values) / 8
    assert mean == pytest.approx(average)
    assert deviation == pytest.approx(math.sqrt(sum((v - average) ** 2 for v in values) / 8))


def test_computing_pairs_subset_by_subset_gives_the_same(monkeypatch):
    random = np.random.default_rng(2)
    fake, truth = random.normal(size=(2, 30, 6))
    once = kernel_distances(fake, truth, [(np.arange(30),) * 2], subsets=5, size=10)
    monkeypatch.setattr(kid, "WHOLE", 10)
    parts = kernel_distances(fake, truth, [(np.arange(30),) * 2], subsets=5, size=10)
    np.testing.assert_allclose(parts, once)


def test_two_samples_of_one_distribution_are_expected_at_zero():
    random = np.random.default_rng(3)
    values = np.array([estimate(*random.gamma(2.0, size=(2, 12, 4))) for _ in range(1500)])
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean()) < 3 * error
    # The estimate that takes pairs of an image with itself in would be off by many errors.
    fake, truth = random.gamma(2.0, size=(2, 1500, 12, 4))
    biased = [kernel(x, x).mean() + kernel(y, y).mean() - 2 * kernel(x, y).mean()
              for x, y in zip(fake, truth, strict=True)]  # fmt: skip
    assert np.mean(biased) > 10 * error


def test_the_expectation_does_not_depend_on_the_number_of_images():
    random = np.random.default_rng(4)

    def mean(count: int) -> tuple[float, float]:
        values = [
            estimate(random.normal(0.5, 1, (count, 2)), random.normal(size=(count, 2)))
            for _ in range(1200)
        ]
        return np.mean(values), np.std(values) / math.sqrt(1200)

    (few, few_error), (many, many_error) = mean(5), mean(20)
    assert few > 5 * few_error
    assert abs(few - many) < 3 * math.hypot(few_error, many_error)


def test_an_image_drawn_twice_makes_no_pair_with_itself():
    random = np.random.default_rng(5)
    fake, truth = random.normal(size=(2, 6, 3))
    i = np.array([0, 0, 1, 4])
    blocks = kernel(fake[i], fake[i]), kernel(truth[i], truth[i]), kernel(fake[i], truth[i])
    pairs = [(a, b) for a in range(4) for b in range(4) if i[a] != i[b]]
    within = sum(
        np.mean([k(features[i[a]], features[i[b]]) for a, b in pairs]) for features in (fake, truth)
    )
    across = np.mean([k(fake[a], truth[b]) for a in i for b in i])
    assert mmd2(*blocks, i, i) == pytest.approx(within - 2 * across)


def test_the_bootstrap_is_not_shifted_by_images_drawn_twice():
    random = np.random.default_rng(6)
    statistics = {"fake": random.normal(0.4, 1, (200, 5)), "truth": random.normal(size=(200, 5))}
    number = KID.measure(statistics, np.ones((1, 200)))["kid"][0]
    drawn = KID.measure(statistics, random.multinomial(200, [1 / 200] * 200, size=40))["kid"]
    assert abs(drawn.mean() - number) < 1.0 * drawn.std()


def test_subsets_are_at_most_half_of_the_images():
    features = np.random.default_rng(7).normal(size=(2, 40, 3))
    ((_, deviation),) = kernel_distances(*features, [(np.arange(40),) * 2], size=1000)
    assert deviation > 0
    half = kernel_distances(*features, [(np.arange(40),) * 2], size=20)
    assert half[0, 1] == deviation


def test_three_images_are_too_few():
    assert np.isnan(kernel_distances(*np.ones((2, 3, 4)), [(np.arange(3),) * 2])).all()


def test_the_evaluator_measures_in_the_features_it_is_given():
    random = np.random.default_rng(8)
    y, fake = random.integers(0, 256, (2, 16, 8, 8, 3)).astype(np.uint8)

    def features(pictures):
        return pictures.reshape(len(pictures), -1)[:, :5].astype(np.float32) / 255

    evaluator = KID(features)
    evaluator.update(Batch([str(i) for i in range(16)], y, fake))
    found = evaluator.result()
    expected = kernel_distances(features(fake), features(y), [(np.arange(16),) * 2])[0]
    assert [found["kid"], found["kid_std"]] == pytest.approx(expected.tolist())
