"""Colour distributions against scikit-image's conversion, NumPy and hand-worked values."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.color import EDGES, Color, intersection, lab_counts, summed


def flat(*colors: tuple[int, int, int]) -> np.ndarray:
    return np.array([np.full((4, 4, 3), color) for color in colors], np.uint8)


def result(fake: np.ndarray, y: np.ndarray) -> dict[str, float]:
    evaluator = Color()
    evaluator.update(Batch([str(i) for i in range(len(y))], y, fake))
    return evaluator.result()


def photos(seed: int, spread: float) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(120, spread, (3, 24, 20, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def test_equal_pictures_and_shuffled_pixels_intersect_wholly():
    y = photos(0, 60)
    assert result(y.copy(), y) == pytest.approx({"color_l": 1, "color_a": 1, "color_b": 1})
    shuffled = np.random.default_rng(1).permutation(y.reshape(-1, 3)).reshape(y.shape)
    assert result(shuffled, y) == pytest.approx({"color_l": 1, "color_a": 1, "color_b": 1})


def test_colours_that_differ_everywhere_do_not_intersect():
    # Pure red is (53, 80, 67) in CIELAB, pure blue (32, 79, -108), pure green (88, -86, 83).
    assert result(flat((0, 255, 0)), flat((0, 0, 255))) == {
        "color_l": 0, "color_a": 0, "color_b": 0,
    }  # fmt: skip


def test_greys_share_a_and_b_but_not_l():
    found = result(flat((50, 50, 50)), flat((200, 200, 200)))
    assert found == {"color_l": 0, "color_a": 1, "color_b": 1}


def test_by_hand():
    # Of the truth's pixels 1/4 are black and 3/4 white, of the fakes' 2/4 and 2/4.
    black, white = (0, 0, 0), (255, 255, 255)
    found = result(flat(black, black, white, white), flat(black, white, white, white))
    assert found["color_l"] == pytest.approx(1 / 4 + 2 / 4)


def test_an_independent_computation_agrees():
    fake, y = photos(2, 30), photos(3, 60)
    found = result(fake, y)
    for channel, (axis, width) in enumerate((("l", 100), ("a", 220), ("b", 220))):
        shares = []
        for pictures in (fake, y):
            values = rgb2lab(pictures)[..., channel].ravel() + (0 if axis == "l" else 110)
            counts = np.bincount((values // 2).astype(int), minlength=width // 2)
            shares.append(counts / counts.sum())
        assert found[f"color_{axis}"] == pytest.approx(np.minimum(*shares).sum())
        assert 0.3 < found[f"color_{axis}"] < 0.95


def test_every_colour_of_srgb_lies_within_the_bins():
    corners = np.array(np.meshgrid(*[np.linspace(0, 255, 18)] * 3)).reshape(3, -1).T
    lab = rgb2lab(corners.reshape(1, -1, 1, 3) / 255)
    for channel, edges in enumerate(EDGES.values()):
        assert edges[0] - 1e-9 <= lab[..., channel].min()
        assert lab[..., channel].max() <= edges[-1] + 1e-9
    counts = lab_counts(corners.reshape(1, -1, 1, 3))
    assert all(values.sum() == len(corners) for values in counts.values())


def test_histograms_of_all_images_for_plots():
    fake, y = photos(4, 20), photos(5, 40)
    evaluator = Color()
    evaluator.update(Batch(["a", "b", "c"], y, fake))
    for whose, pictures in (("fake", fake), ("truth", y)):
        histograms = summed(evaluator.statistics, whose)
        a = rgb2lab(pictures)[..., 1].ravel()
        np.testing.assert_array_equal(histograms["a"], np.histogram(a, EDGES["a"])[0])


def test_ten_thousand_images_stay_small():
    evaluator = Color()
    evaluator.update(Batch(["a"], *[flat((1, 2, 3))] * 2))
    assert sum(values.nbytes for values in evaluator.statistics.values()) == 2160


def test_nothing_has_no_intersection():
    assert np.isnan(intersection(np.zeros(4), np.ones(4)))
