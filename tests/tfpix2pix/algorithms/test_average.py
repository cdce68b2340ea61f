"""The moving average of weights against its formula."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.average import EVERY, Average

DECAY = 0.6


def expected(values: list[float], start: float) -> float:
    """The average after the steps 1, 2, ... that left those weights, by the formula."""
    average = start
    for step, value in enumerate(values, start=1):
        if step < EVERY:
            keep = min(DECAY, step / (step + 9))
        elif step % EVERY == 0:
            keep = min(DECAY, step / (step + 9)) ** EVERY
        else:
            continue
        average += (1 - keep) * (value - average)
    return average


@pytest.mark.parametrize("steps", [1, 7, 8, 9, 3 * EVERY + 1])
def test_it_follows_its_formula(steps):
    weight = tf.Variable([5.0, -5.0])
    average = Average({"w": weight}, DECAY)
    np.testing.assert_array_equal(average.values["w"].numpy(), [5, -5])
    values = np.random.default_rng(0).normal(size=steps).tolist()
    update = tf.function(average.update)
    for step, value in enumerate(values, start=1):
        weight.assign([value, -value])
        update(tf.constant(step, tf.int64))
    wanted = expected(values, 5.0)
    np.testing.assert_allclose(average.values["w"].numpy(), [wanted, -wanted], rtol=1e-5)


def test_the_initial_weights_leave_no_trace():
    weight = tf.Variable(100.0)
    average = Average({"w": weight}, 0.995)
    weight.assign(1.0)
    for step in range(1, 2 * EVERY + 1):
        average.update(tf.constant(step, tf.int64))
    assert float(average.values["w"]) == pytest.approx(1.0, abs=1e-3)


def test_it_restarts_from_the_weights():
    weight = tf.Variable([1.0])
    average = Average({"w": weight}, DECAY)
    weight.assign([4.0])
    average.restart()
    assert average.values["w"].numpy().tolist() == [4.0]
