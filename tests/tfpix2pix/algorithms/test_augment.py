"""DiffAugment: neutral numbers change nothing, and what is changed is changed alike."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.augment import NUMBERS, augmented

# No brightness, saturation or contrast, no shift; the hole is moved out where its place allows.
NEUTRAL = [0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0]
HOLE = slice(0, 4)  # within a quarter of 16 pixels of the corner


def pictures(seed: int = 0, count: int = 2) -> tf.Tensor:
    random = np.random.default_rng(seed)
    return tf.constant(random.uniform(-1, 1, (count, 16, 16, 3)), tf.float32)


def with_numbers(**changes: float) -> tf.Tensor:
    """The neutral numbers of two pictures, some replaced: ``n0=0.1`` is the first."""
    numbers = list(NEUTRAL)
    for name, value in changes.items():
        numbers[int(name[1:])] = value
    return tf.constant([numbers] * 2, tf.float32)


def outside(y: tf.Tensor) -> np.ndarray:
    """The pixels that no hole at the corner reaches."""
    return y.numpy()[:, 4:, 4:]


def test_neutral_numbers_change_nothing_but_the_hole():
    y = pictures()
    found = augmented(y, with_numbers())
    np.testing.assert_allclose(outside(found), outside(y), atol=1e-6)
    assert not found.numpy()[:, HOLE, HOLE].any()


@pytest.mark.parametrize(
    ("changes", "of"),
    [
        ({"n0": 0.9}, lambda y: y + 0.4),
        ({"n1": 0.0}, lambda y: np.broadcast_to(y.mean(-1, keepdims=True), y.shape)),
        (
            {"n2": 0.0},
            lambda y: (
                0.5 * (y - y.mean((1, 2, 3), keepdims=True)) + y.mean((1, 2, 3), keepdims=True)
            ),
        ),
    ],
    ids=["brightness", "saturation", "contrast"],
)
def test_colours(changes, of):
    y = pictures()
    found = augmented(y, with_numbers(**changes)).numpy()
    np.testing.assert_allclose(found[:, 4:, 4:], of(y.numpy())[:, 4:, 4:], atol=1e-5)


@pytest.mark.parametrize(("number", "shift"), [(0.0, -2), (0.999, 2)])
def test_a_picture_moves_by_up_to_an_eighth(number, shift):
    y = pictures().numpy()
    found = augmented(tf.constant(y), with_numbers(n4=number, n5=0.999, n6=0.999)).numpy()
    moved = np.zeros_like(y)
    for column in range(16):
        if 0 <= column + shift < 16:
            moved[:, :, column] = y[:, :, column + shift]
    np.testing.assert_allclose(found[:, :11, :11], moved[:, :11, :11], atol=1e-6)


def test_real_and_generated_pictures_are_changed_alike():
    """Their difference is changed as pictures are, but for brightness, which falls out."""
    numbers = np.random.default_rng(1).uniform(0, 1, (2, NUMBERS)).astype(np.float32)
    real, fake = pictures(0), pictures(1)
    difference = augmented(real, numbers) - augmented(fake, numbers)
    numbers[:, 0] = 0.5
    np.testing.assert_allclose(
        difference.numpy(), augmented(real - fake, numbers).numpy(), atol=1e-5
    )


def test_every_picture_has_changes_of_its_own():
    numbers = np.random.default_rng(1).uniform(0, 1, (2, NUMBERS)).astype(np.float32)
    y = pictures()
    both = augmented(y, numbers).numpy()
    for i in range(2):
        one = augmented(y[i : i + 1], numbers[i : i + 1]).numpy()
        np.testing.assert_allclose(both[i : i + 1], one, atol=1e-6)


def test_a_generator_learns_through_it():
    y = pictures()
    numbers = tf.random.stateless_uniform([2, NUMBERS], [0, 1])
    with tf.GradientTape() as tape:
        tape.watch(y)
        loss = tf.reduce_sum(tf.square(augmented(y, numbers)))
    gradient = tape.gradient(loss, y).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient != 0).mean() > 0.3
