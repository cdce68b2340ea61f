"""Diversity by hand and pair by pair, and what the samples show."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tfpix2pix.base.size import Size
from tfpix2pix.data.label_classes import LabelClass, Palette
from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.confusion import confusion, segmentation_scores
from tfpix2pix.evaluation.diversity import (
    Diversity,
    FCNSamples,
    ScorerDiversity,
    mean_pairwise_l1,
    mean_pairwise_unit,
)

PALETTE = Palette(
    "test",
    (
        LabelClass("red", (200, 0, 0), (0,)),
        LabelClass("green", (0, 200, 0), (1,)),
        LabelClass("void", (0, 0, 0), (2,), void=True),
    ),
)


class Scorer:
    """Sees red or green, whichever is brighter, and colours as they are."""

    palette, size = PALETTE, Size(16, 16)

    def classes(self, photos):
        assert photos.dtype == np.uint8
        return (photos[..., 1] > photos[..., 0]).astype(np.uint8)

    def activations(self, photos):
        assert photos.dtype == np.uint8
        return [photos.astype(np.float32), photos[:, ::4, ::4].astype(np.float32)]


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


# === In the scorer's features ===


def test_features_of_one_length_by_hand():
    # At one place (1, 0) and (0, 1), which are 2 apart, at the other the same direction.
    layer = np.array([[[[3, 0], [1, 1]]], [[[0, 7], [5, 5]]]], np.float32)
    assert mean_pairwise_unit([layer]) == pytest.approx((2 + 0) / 2)
    third = np.array([[[[1, 0], [0, 2]]]], np.float32)
    three = np.concatenate([layer, third])
    apart = 2 - np.sqrt(2)  # of (1, 1) and (0, 1), made 1 long
    assert mean_pairwise_unit([three]) == pytest.approx(((2 + 0 + 2) / 3 + 2 * apart / 3) / 2)
    assert mean_pairwise_unit([layer, layer, three]) == pytest.approx(
        2 * mean_pairwise_unit([layer]) + mean_pairwise_unit([three])
    )


def test_features_pair_by_pair():
    random = np.random.default_rng(0)
    layers = [random.normal(0, 1, (5, 4, 6, 8)), np.maximum(random.normal(0, 1, (5, 2, 3, 16)), 0)]
    layers[1][:, 0, 0] = 0  # nothing is seen there
    expected = 0.0
    for layer in layers:
        unit = layer / (np.linalg.norm(layer, axis=-1, keepdims=True) + 1e-10)
        pairs = [np.square(a - b).sum(-1).mean() for a, b in itertools.combinations(unit, 2)]
        expected += np.mean(pairs)
    assert mean_pairwise_unit(layers) == pytest.approx(expected)
    assert mean_pairwise_unit([layer[[1, 1, 1]] for layer in layers]) == 0


# === What the samples show ===


def batch_of(samples: np.ndarray, classes: np.ndarray) -> Batch:
    names = [str(i) for i in range(samples.shape[1])]
    return Batch(names, samples[0], samples[0], classes, samples)


def painted(shares: np.ndarray) -> np.ndarray:
    """Samples ``[n, B, 16, 16, 3]`` that are green in this share ``[n, B]`` of their rows."""
    rows = np.arange(16)[:, None] < 16 * shares[..., None, None]
    pixels = np.broadcast_to(rows, (*shares.shape, 16, 16))
    return PALETTE.colors[pixels.astype(int)].astype(np.uint8)


def scores(samples: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    evaluator = FCNSamples(Scorer())
    evaluator.update(batch_of(samples, classes))
    return evaluator.result()


def test_all_samples_and_each_inputs_worst_by_hand():
    # All is green. Of the first input 1/2, 1 and 1/4 are right, of the second 1, 3/4 and 1.
    shares = np.array([[1 / 2, 1], [1, 3 / 4], [1 / 4, 1]])
    found = scores(painted(shares), np.ones((2, 16, 16), np.uint8))
    assert found["fcn_samples_per_pixel"] == pytest.approx(shares.mean())
    assert found["fcn_worst_per_pixel"] == pytest.approx((1 / 4 + 3 / 4) / 2)
    # Red is found where none is, so that it has an IoU of 0.
    assert found["fcn_samples_iou"] == pytest.approx(shares.mean() / 2)
    assert found["fcn_worst_iou"] == pytest.approx((1 / 4 + 3 / 4) / 4)


def test_the_scores_are_those_of_the_confusion_of_each_sample():
    random = np.random.default_rng(0)
    classes = random.integers(0, 3, (3, 16, 16)).astype(np.uint8)
    samples = random.integers(0, 256, (4, 3, 16, 16, 3)).astype(np.uint8)
    found = scores(samples, classes)
    every = np.stack([confusion(classes, Scorer().classes(one), PALETTE) for one in samples])
    expected = segmentation_scores(every.sum(axis=(0, 1)))
    parts = ("per_pixel", "per_class", "iou")
    assert [found[f"fcn_samples_{part}"] for part in parts] == pytest.approx(
        [*map(float, expected)]
    )
    right = [[np.trace(matrix) for matrix in of] for of in every]
    worst = sum(every[np.argmin([of[image] for of in right]), image] for image in range(3))
    expected = segmentation_scores(worst)
    assert [found[f"fcn_worst_{part}"] for part in parts] == pytest.approx([*map(float, expected)])


def test_noise_is_diverse_and_shows_no_label():
    random = np.random.default_rng(3)
    classes = random.integers(0, 2, (2, 16, 16)).astype(np.uint8)
    right = PALETTE.colors[classes].astype(np.uint8)
    tinted = np.stack([np.clip(right.astype(int) + shade, 0, 255) for shade in (0, 20, 40, 55)])
    noise = random.integers(0, 256, (4, *right.shape))
    measured = {}
    for name, samples in (("tinted", tinted), ("noise", noise), ("same", right[None].repeat(4, 0))):
        batch = batch_of(samples.astype(np.uint8), classes)
        found = {}
        for evaluator in (Diversity(), ScorerDiversity(Scorer()), FCNSamples(Scorer())):
            evaluator.update(batch)
            found |= evaluator.result()
        measured[name] = found
    for number in ("diversity", "scorer_diversity"):
        assert measured["same"][number] == 0
        assert measured["noise"][number] > 2 * measured["tinted"][number] > 0
    assert measured["tinted"]["fcn_samples_iou"] == measured["same"]["fcn_worst_iou"] == 1
    assert measured["noise"]["fcn_samples_iou"] < 0.4
    assert measured["noise"]["fcn_worst_iou"] < measured["noise"]["fcn_samples_iou"]
