"""Differences to the first row, against NumPy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfpix2pix.reproduction.against import against

NO_DRAWS: tuple[list, list] = ([], [])


def test_over_seeds_the_error_is_that_of_a_difference_of_two_means():
    first, own = (0.30, 0.34, 0.32), (0.20, 0.24, 0.28)
    found = against("row", 0, "lower", (first, own), NO_DRAWS)
    assert found.difference == pytest.approx(-0.08)
    errors = [np.std(some, ddof=1) / np.sqrt(3) for some in (first, own)]
    assert found.error == pytest.approx(np.hypot(*errors))
    assert found.errors_apart == pytest.approx(-0.08 / np.hypot(*errors))
    assert found.verdict == "better"


def test_rows_of_unequal_seeds_share_one_deviation():
    found = against("row", 0, "higher", ((1.0, 3.0, 2.0), (2.5,)), NO_DRAWS)
    assert found.error == pytest.approx(np.std([1.0, 3.0, 2.0], ddof=1) * math.sqrt(1 / 3 + 1))
    assert found.verdict == "too close to tell"


def test_over_images_both_rows_are_drawn_on_the_same_ones():
    random = np.random.default_rng(0)
    images = random.normal(0, 1, 500)  # what an easy or hard sample does to every model
    first = [images + random.normal(0, 0.01, 500) for _ in range(2)]
    own = [images + 0.2 + random.normal(0, 0.01, 500) for _ in range(2)]
    found = against("row", 0, "higher", ((1.0, 1.0), (1.2, 1.2)), (first, own))
    assert found.error == pytest.approx(np.std(np.mean(own, 0) - np.mean(first, 0), ddof=1))
    assert found.error < 0.02
    assert found.verdict == "better"


def test_the_larger_error_counts():
    draws = ([np.array([0.0, 1.0, 2.0])], [np.array([3.0, 1.0, 0.0])])
    found = against("row", 0, "higher", ((1.0, 1.1), (1.2, 1.3)), draws)
    assert found.error == pytest.approx(np.std([3.0, 0.0, -2.0], ddof=1))


def test_of_a_share_the_nearer_to_one_is_better():
    close = ((0.80, 0.81), (1.05, 1.06))
    assert against("row", 0, "1", close, NO_DRAWS).verdict == "better"
    assert against("row", 0, "1", close[::-1], NO_DRAWS).verdict == "worse"
    # 0.9 and 1.1 are equally far, however sure their difference is.
    mirrored = ((0.90, 0.90001), (1.10, 1.09999))
    assert against("row", 0, "1", mirrored, NO_DRAWS).verdict == "too close to tell"


def test_text_and_json():
    found = against("row", 0, "lower", ((0.30, 0.32), (0.20, 0.22)), NO_DRAWS)
    assert found.text(3) == "-0.100 (7.1 s.e., better)"
    assert found.to_json()["verdict"] == "better"
    alone = against("row", 0, "lower", ((0.3,), (0.2,)), NO_DRAWS)
    assert alone.text(2) == "-0.10 (better)"
    assert alone.to_json()["standard_error"] is None
