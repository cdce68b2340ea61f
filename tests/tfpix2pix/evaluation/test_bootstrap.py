"""Bootstrap standard errors against the formula that holds for means, and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tfpix2pix.evaluation import L1
from tfpix2pix.evaluation.bootstrap import draws, resampled, standard_errors


def test_the_standard_error_of_a_mean_is_the_formulas():
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    found = standard_errors(L1, {"l1": values}, count=4000)["l1"]
    assert found == pytest.approx(values.std() / math.sqrt(400), rel=0.05)


def test_scipys_bootstrap_agrees():
    values = np.random.default_rng(2).exponential(1.0, 60)
    ours = standard_errors(L1, {"l1": values}, count=4000)["l1"]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, random_state=0).standard_error
    assert ours == pytest.approx(theirs, rel=0.06)


def test_every_draw_takes_as_many_images_as_there_are():
    blocks = list(draws(7, 250))
    assert sum(len(block) for block in blocks) == 250
    assert all((block.sum(axis=1) == 7).all() for block in blocks)


def test_the_same_seed_draws_the_same_images():
    values = {"l1": np.arange(9.0)}

    def drawn(seed):
        return resampled(L1, values, 50, seed)["l1"].tolist()

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_one_image_says_nothing_about_others():
    assert math.isnan(standard_errors(L1, {"l1": np.array([0.5])})["l1"])
