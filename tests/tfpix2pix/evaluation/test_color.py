"""Colour distributions against scikit-image's conversion, NumPy and hand-worked values."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.color import EDGES, Chroma, Color, intersection, lab_counts, summed


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


# === Chroma ===


def chroma(fake: np.ndarray, y: np.ndarray) -> dict[str, float]:
    evaluator = Chroma()
    evaluator.update(Batch([str(i) for i in range(len(y))], y, fake))
    return evaluator.result()


def test_chroma_is_the_distance_from_grey_whatever_the_hue():
    y = photos(0, 60)
    assert chroma(y.copy(), y) == pytest.approx({"chroma": 1, "chroma_ratio": 1})
    # Red and green have chroma 104.6 and 119.8, grey has none.
    found = chroma(flat((120, 120, 120), (255, 0, 0)), flat((0, 255, 0), (255, 0, 0)))
    assert found["chroma"] == pytest.approx(1 / 2)
    assert found["chroma_ratio"] == pytest.approx(104.55 / (119.78 + 104.55), abs=1e-4)
    assert chroma(flat((9, 9, 9)), flat((0, 0, 255)))["chroma_ratio"] == pytest.approx(0, abs=1e-3)
    # Of a grey truth nobody knows what is too much.
    assert np.isnan(chroma(flat((0, 0, 255)), flat((90, 90, 90)))["chroma_ratio"])


def test_chroma_by_numpy():
    fake, y = photos(2, 30), photos(3, 60)
    lengths = [np.hypot(*np.moveaxis(rgb2lab(of)[..., 1:], -1, 0)).ravel() for of in (fake, y)]
    counts = [np.bincount((values // 2).astype(int), minlength=67) for values in lengths]
    found = chroma(fake, y)
    assert found["chroma"] == pytest.approx(np.minimum(*(of / of.sum() for of in counts)).sum())
    assert found["chroma_ratio"] == pytest.approx(lengths[0].mean() / lengths[1].mean())
    assert found["chroma"] < 0.9


def test_the_strongest_blue_lies_within_the_bins():
    evaluator = Chroma()
    evaluator.update(Batch(["a"], *[flat((0, 0, 255))] * 2))
    assert evaluator.statistics["fake_counts"][0, -1] == 16
    assert sum(values.nbytes for values in evaluator.statistics.values()) <= 560
