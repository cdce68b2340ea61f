"""The pictures of an evaluation: files that decode, and lines and cells that show their numbers."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.evaluation.color import EDGES, lab_counts
from tfpix2pix.report.evaluation_plots import color_plot, confusion_plot, log_shares, row_shares

BLUE_LINE, ORANGE_LINE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def pixels(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB")).astype(int)


def holds(image: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((np.abs(image - color).max(axis=-1) < 12).sum() > 40)


def histograms(seed: int, spread: float) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(seed).normal(120, spread, (2, 32, 32, 3))
    counts = lab_counts(np.clip(noise, 0, 255).astype(np.uint8))
    return {axis: values.sum(axis=0) for axis, values in counts.items()}


# === Colours ===


def test_log_shares():
    found = log_shares(np.array([1, 0, 9, 90]))
    assert found[[0, 2, 3]] == pytest.approx([-2, np.log10(0.09), np.log10(0.9)])
    assert np.isnan(found[1])
    assert np.isnan(log_shares(np.zeros(3))).all()


def test_each_model_has_a_line_beside_the_truth():
    truth = histograms(0, 60)
    one = pixels(color_plot({"L1": histograms(1, 20)}, truth))
    two = pixels(color_plot({"L1": histograms(1, 20), "L1+cGAN": histograms(2, 50)}, truth))
    assert holds(one, BLUE_LINE)
    assert not holds(one, ORANGE_LINE)
    assert holds(two, BLUE_LINE)
    assert holds(two, ORANGE_LINE)
    alone = pixels(color_plot({}, truth))
    assert not holds(alone, BLUE_LINE)
    assert holds(alone, (0, 0, 0))


def test_eight_models_and_names_with_dollars_are_drawn():
    models = {f"_model $_{i}$": histograms(i, 20 + 5 * i) for i in range(8)}
    assert pixels(color_plot(models, histograms(9, 60))).shape[2] == 3


def test_equal_numbers_make_equal_files():
    truth = histograms(0, 60)
    assert color_plot({"a": truth}, truth) == color_plot({"a": truth}, truth)


def test_nothing_but_empty_bins_is_drawn_too():
    empty = {axis: np.zeros(len(edges) - 1) for axis, edges in EDGES.items()}
    assert pixels(color_plot({"nothing": empty}, empty)).size


# === Confusion ===


def test_rows_are_shares_of_the_true_class():
    found = row_shares(np.array([[6, 2, 0], [0, 0, 0]]))
    assert found[0].tolist() == [0.75, 0.25, 0]
    assert np.isnan(found[1]).all()


def corner_counts(png: bytes) -> tuple[int, int]:
    """Dark blue pixels and those of the grey of rows without a pixel."""
    image = pixels(png)
    dark = (np.abs(image - (8, 48, 107)).max(axis=-1) < 12).sum()
    grey = (np.abs(image - (204, 204, 204)).max(axis=-1) < 3).sum()
    return int(dark), int(grey)


def test_cells_are_dark_where_pixels_are():
    names = ["sky", "road", "tree"]
    right = np.eye(3, 4) * 100
    dark, grey = corner_counts(confusion_plot(right, names))
    one, one_grey = corner_counts(confusion_plot(np.eye(3, 4) * [[100], [0], [0]], names))
    assert dark > 2.5 * one > 0
    assert grey < one_grey / 10  # two rows without a true pixel


def test_found_void_has_a_column_only_where_it_was_found():
    names = [f"class {i}" for i in range(6)]
    without = pixels(confusion_plot(np.eye(6, 7) * 9, names, "a title"))
    with_void = pixels(confusion_plot(np.eye(6, 7) * 9 + np.array([0, 0, 0, 0, 0, 0, 1]), names))
    assert with_void.shape[1] > without.shape[1]


def test_many_classes_are_drawn():
    matrix = np.random.default_rng(0).integers(0, 9, (30, 31))
    assert pixels(confusion_plot(matrix, [f"class {i}" for i in range(30)])).shape[0] > 1000
