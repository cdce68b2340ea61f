"""Measures without pairs against those of pairs, which they are where there are as many of both."""

from __future__ import annotations

import numpy as np
import pytest

from tfpix2pix.evaluation.base import Batch
from tfpix2pix.evaluation.likeness import Likeness
from tfpix2pix.evaluation.sharpness import Sharpness
from tfpix2pix.evaluation.swd import SWD


@pytest.fixture
def pictures() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = random.integers(0, 256, (3, 32, 32, 3), np.uint8)
    return truth, (truth * 0.6 + 20).astype(np.uint8)


def test_of_as_many_pictures_it_is_the_measures_of_pairs(pictures):
    truth, fake = pictures
    likeness, swd, sharpness = Likeness(), SWD(), Sharpness()
    likeness.add("truth", truth[:1])
    likeness.add("fake", fake)
    likeness.add("truth", truth[1:])
    for evaluator in (swd, sharpness):
        evaluator.update(Batch(["a", "b", "c"], truth, fake))
    expected = {**swd.result(), **sharpness.result()}
    for name, value in likeness.result().items():
        assert value == pytest.approx(expected[name], rel=1e-9)


def test_how_many_there_are_of_each_plays_no_part(pictures):
    truth, fake = pictures
    once, often = Likeness(), Likeness()
    for likeness, times in ((once, 1), (often, 4)):
        likeness.add("fake", fake)
        for _ in range(times):
            likeness.add("truth", truth)
    assert often.result() == pytest.approx(once.result())
    assert once.result()["swd"] > 0.1
