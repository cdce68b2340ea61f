"""Grid and plaid on pictures made by hand: an added pattern of amplitude a reads as a."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.bootstrap import standard_errors
from tfpix2pix.evaluation.grid import CONSTANT, Grid, detail, flat_regions

SIZE, IMAGES = 64, 40
PLACES = np.arange(SIZE)


def texture(sigma: float = 1.0, images: int = IMAGES, seed: int = 0) -> np.ndarray:
    """Grey pictures of noise, smoothed, of standard deviation 12."""
    values = np.random.default_rng(seed).normal(size=(images, SIZE, SIZE, 1))
    values = gaussian_filter(values, (0, sigma, sigma, 0)) if sigma else values
    return values / values.std() * 12 + 128


def wave(period: float, amplitude: float, phase: float = 0.3) -> np.ndarray:
    return amplitude * np.cos(2 * np.pi * PLACES / period + phase)


def both(line: np.ndarray) -> np.ndarray:
    """The same along rows and columns, ``[H, W, 1]``."""
    return (line[:, None] + line[None, :])[..., None]


def result(fake, y=None, classes=None, x=None) -> dict[str, float]:
    evaluator = Grid()
    y = texture(images=len(fake)) if y is None else y
    evaluator.update(Batch([str(i) for i in range(len(fake))], y, fake, classes, None, x))
    return evaluator.result()


# === What it should read ===


@pytest.mark.parametrize("amplitude", [2.0, 10.0])
@pytest.mark.parametrize("period", [4, 8])
def test_a_grid_of_amplitude_a_reads_as_a(period, amplitude):
    found = result(texture() + both(wave(period, amplitude)))
    assert found["grid"] == pytest.approx(amplitude, rel=0.05, abs=0.2)
    assert found["plaid"] == pytest.approx(amplitude, rel=0.05, abs=0.2)
    assert found["grid_truth"] < 0.3
    assert found["plaid_truth"] < 0.3


def test_a_checked_pattern_reads_as_its_height_and_is_no_plaid():
    checked = np.where((PLACES[:, None] + PLACES[None, :]) % 2, 5.0, -5.0)[..., None]
    found = result(texture() + checked)
    assert found["grid"] == pytest.approx(5, rel=0.05)
    assert found["plaid"] < 0.3


def test_a_wave_along_one_axis_reads_as_its_root_mean_square():
    rows = np.broadcast_to(wave(4, 6.0)[:, None, None], (SIZE, SIZE, 1))
    for pattern in (rows, rows.swapaxes(0, 1)):
        found = result(texture() + pattern)
        assert found["grid"] == pytest.approx(6 / math.sqrt(2), rel=0.05)
        assert found["plaid"] == pytest.approx(6 / math.sqrt(2), rel=0.05)


def test_lines_that_are_not_periodic_are_plaid_and_no_grid():
    random = np.random.default_rng(5)
    line = random.normal(0, 6, SIZE)
    rest = detail(line[None, :, None], (1,))  # what of it is narrower than 8 pixels
    expected = math.sqrt(2) * np.sqrt(np.square(rest).mean())
    found = result(texture() + both(line))
    assert found["plaid"] == pytest.approx(expected, rel=0.05)
    assert found["grid"] < 0.5 * expected


def test_one_lone_line_by_hand():
    # One row of 56 that count; the local mean takes an eighth of it.
    picture = np.zeros((IMAGES, SIZE, SIZE, 1))
    picture[:, 20] = 40.0
    profile = np.zeros(SIZE)
    profile[20] = 40.0
    kernel = np.array([1, 2, 2, 2, 2, 2, 2, 2, 1]) / 16
    rest = (profile - np.convolve(profile, kernel, "same"))[4:-4]
    assert result(texture() + picture)["plaid"] == pytest.approx(
        np.sqrt(np.square(rest).mean()), rel=0.1
    )


@pytest.mark.parametrize("sigma", [0, 1, 2])
def test_texture_reads_as_nothing(sigma):
    found = result(texture(sigma), texture(sigma, seed=1))
    assert max(found[name] for name in ("grid", "plaid", "grid_truth", "plaid_truth")) < 0.5


def test_what_stands_elsewhere_in_every_picture_reads_as_nothing_but_for_each_alone():
    random = np.random.default_rng(2)
    fake = texture()
    for picture in fake:  # lines of 100 levels, each picture's own
        picture[random.integers(0, SIZE, 4)] += 50
        picture[:, random.integers(0, SIZE, 4)] += 50
    same = np.zeros((IMAGES, SIZE, SIZE), np.uint8)
    found = result(fake, classes=same)
    assert found["plaid"] < 2.5
    assert found["lines_flat"] > 10
    assert found["lines_flat_truth"] < 0.5


def test_a_stripe_across_a_part_of_the_picture_reads_as_that_part():
    whole, half = texture(), texture()
    pattern = np.broadcast_to(wave(5, 8.0)[:, None, None], (SIZE, SIZE, 1))
    whole += pattern
    half[:, :, : SIZE // 2] += pattern[:, : SIZE // 2]
    assert result(half)["plaid"] == pytest.approx(result(whole)["plaid"] / 2, rel=0.1)


def test_a_pattern_in_half_of_the_pictures_reads_as_half():
    fake = texture()
    fake[::2] += both(wave(4, 8.0))
    assert result(fake)["grid"] == pytest.approx(4, rel=0.1)


def test_what_is_wide_does_not_count():
    shade = both(np.linspace(0, 100, SIZE)) + both(wave(64, 20.0))
    found = result(texture() + shade)
    assert found["grid"] < 0.5
    assert found["plaid"] < 1


def test_colours_count_by_their_luminance():
    fake = np.repeat(texture(), 3, axis=-1)
    fake[..., 1:2] += both(wave(4, 10.0))  # green
    found = result(fake, np.repeat(texture(), 3, axis=-1))
    assert found["grid"] == pytest.approx(5.87, rel=0.05)


# === Flat regions ===


def test_only_flat_regions_count_where_it_says_so():
    classes = np.zeros((IMAGES, SIZE, SIZE), np.uint8)
    classes[:, SIZE // 2 :] = 1
    fake = texture()
    lines = np.broadcast_to(wave(4, 8.0)[None, :, None], (SIZE, SIZE, 1)).copy()
    lines[SIZE // 2 - 4 : SIZE // 2 + 4] *= 10  # beside the border
    found = result(fake + lines, classes=classes)
    assert found["plaid_flat"] == pytest.approx(8 / math.sqrt(2), rel=0.05)
    assert found["lines_flat"] == pytest.approx(8 / math.sqrt(2), rel=0.05)
    assert found["plaid_flat_truth"] < 0.5
    assert found["lines_flat_truth"] < 1


def test_the_inputs_colours_tell_what_is_flat_where_classes_do_not():
    classes = np.zeros((3, SIZE, SIZE), np.uint8)
    classes[:, 20:40, 10:50] = 1
    colours = np.array([[0.1, -0.5, 0.0], [0.9, -0.5, 0.3]], np.float32)
    x = colours[classes]
    y = texture(images=3)
    by_class = flat_regions(Batch(["", "", ""], y, y, classes))
    assert 0 < by_class.mean() < 1
    assert not by_class[:, :4].any()
    assert by_class[0, 4 + 20 : 36, 14:46].all()
    assert not by_class[0, 16:24].all(axis=1).any()
    np.testing.assert_array_equal(by_class, flat_regions(Batch(["", "", ""], y, y, None, None, x)))
    noisy = x + np.random.default_rng(0).uniform(-CONSTANT / 2, CONSTANT / 2, x.shape)
    np.testing.assert_array_equal(
        by_class, flat_regions(Batch(["", "", ""], y, y, None, None, noisy))
    )


def test_nothing_flat_is_no_number():
    found = result(texture())
    assert math.isnan(found["plaid_flat"])
    assert math.isnan(found["lines_flat_truth"])
    assert found["grid_truth"] >= 0
    busy = np.random.default_rng(0).integers(0, 9, (IMAGES, SIZE, SIZE)).astype(np.uint8)
    assert math.isnan(result(texture(), classes=busy)["plaid_flat"])


# === How few will do ===


def test_one_picture_has_only_its_own_lines():
    classes = np.zeros((1, SIZE, SIZE), np.uint8)
    found = result(texture(images=1) + both(wave(5, 9.0)), classes=classes)
    assert math.isnan(found["grid"])
    assert math.isnan(found["plaid"])
    assert math.isnan(found["plaid_flat"])
    assert found["lines_flat"] > 5


@pytest.mark.parametrize("side", [12, 15, 16, 24, 33])
def test_small_pictures_are_measured_or_have_no_value(side):
    pictures = texture()[:, :side, :side]
    found = result(pictures, pictures)
    assert math.isfinite(found["grid"]) == (side >= 16)
    assert math.isfinite(found["plaid"])


def test_pictures_drawn_twice_make_no_pair_with_themselves():
    fake = texture()
    evaluator = Grid()
    evaluator.update(Batch([str(i) for i in range(IMAGES)], fake, fake))
    weights = np.zeros((1, IMAGES))
    weights[0, :2] = (3, 1)
    statistics = evaluator.statistics
    twice = Grid.measure(statistics, weights)
    first_two = Grid.measure(statistics, np.eye(1, IMAGES) + np.eye(1, IMAGES, 1))
    assert twice["grid"] == pytest.approx(first_two["grid"])
    assert np.isnan(Grid.measure(statistics, 5 * np.eye(1, IMAGES))["grid"]).all()


def test_the_standard_error_is_about_the_images():
    fake = texture() + both(wave(4, 5.0))
    evaluator = Grid()
    evaluator.update(Batch([str(i) for i in range(IMAGES)], fake, texture(seed=3)))
    error = standard_errors(Grid, evaluator.statistics, count=200)["grid"]
    assert 0 < error < 0.5
