"""Adam against its formulas in NumPy and against Keras's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.adam import Adam

RATE, BETA1, BETA2, EPSILON = 0.01, 0.5, 0.999, 1e-8


def gradients(steps: int) -> list[list[np.ndarray]]:
    random = np.random.default_rng(1)
    return [
        [random.normal(size=s).astype(np.float32) for s in ((3, 4), (5,))] for _ in range(steps)
    ]


def start() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=s).astype(np.float32) for s in ((3, 4), (5,))]


def ours(steps: int, epsilon: float = EPSILON) -> tuple[list[np.ndarray], Adam]:
    variables = {f"w{i}": tf.Variable(value) for i, value in enumerate(start())}
    adam = Adam(variables, RATE, BETA1, BETA2, epsilon)
    for step, values in enumerate(gradients(steps)):
        adam.apply([tf.constant(value) for value in values], tf.constant(step, tf.int64))
    return [variable.numpy() for variable in variables.values()], adam


@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_adam_follows_its_formulas(steps, epsilon):
    found, adam = ours(steps, epsilon)
    moments = adam.variables()
    for index, weight in enumerate(start()):
        w, m, v = weight.astype(np.float64), 0.0, 0.0
        for t, values in enumerate(gradients(steps), start=1):
            gradient = values[index].astype(np.float64)
            m = BETA1 * m + (1 - BETA1) * gradient
            v = BETA2 * v + (1 - BETA2) * gradient**2
            rate = RATE * np.sqrt(1 - BETA2**t) / (1 - BETA1**t)
            w = w - rate * m / (np.sqrt(v) + epsilon)
        np.testing.assert_allclose(found[index], w, rtol=0, atol=1e-6)
        np.testing.assert_allclose(moments["m"][f"w{index}"].numpy(), m, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(moments["v"][f"w{index}"].numpy(), v, rtol=1e-4)


def test_adam_equals_keras():
    variables = [tf.Variable(value) for value in start()]
    keras = tf.keras.optimizers.Adam(RATE, beta_1=BETA1, beta_2=BETA2, epsilon=EPSILON)
    for values in gradients(10):
        keras.apply_gradients(zip([tf.constant(v) for v in values], variables, strict=True))
    for found, expected in zip(ours(10)[0], variables, strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-6)


def test_first_step_is_the_learning_rate_against_the_gradients_sign():
    # With the correction for t = 1, m / sqrt(v) is the sign; a count from 0 would divide by zero,
    # one from 2 would take a smaller step.
    found, _ = ours(1)
    for new, old, gradient in zip(found, start(), gradients(1)[0], strict=True):
        np.testing.assert_allclose(old - new, RATE * np.sign(gradient), rtol=1e-4)


def test_the_step_counts_and_not_the_calls():
    weights = [tf.Variable([1.0]), tf.Variable([1.0])]
    for weight, step in zip(weights, (0, 1000), strict=True):
        Adam({"w": weight}, RATE, BETA1, BETA2).apply([tf.constant([1.0])], tf.constant(step))
    # At t = 1001 the corrections are sqrt(1 - 0.999^1001) = 0.7955 and 1, and m / sqrt(v) of a
    # first gradient is (1 - 0.5) / sqrt(1 - 0.999).
    late = RATE * np.sqrt(1 - BETA2**1001) * 0.5 / np.sqrt(1 - BETA2)
    assert 1 - weights[0].numpy()[0] == pytest.approx(RATE, rel=1e-4)
    assert 1 - weights[1].numpy()[0] == pytest.approx(late, rel=1e-4)


def test_slots_have_the_weights_names_and_start_at_zero():
    weights = {"a/kernel": tf.Variable(tf.ones([2, 3])), "b/bias": tf.Variable(tf.ones([4]))}
    slots = Adam(weights).variables()
    assert set(slots) == {"m", "v"}
    for of_kind in slots.values():
        assert {name: tuple(slot.shape) for name, slot in of_kind.items()} == {
            "a/kernel": (2, 3),
            "b/bias": (4,),
        }
        assert all((slot.numpy() == 0).all() for slot in of_kind.values())


def test_defaults_are_the_papers():
    adam = Adam({})
    assert (adam.learning_rate, adam.beta1, adam.beta2) == (2e-4, 0.5, 0.999)
