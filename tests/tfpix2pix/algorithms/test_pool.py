"""The pool of earlier images against its rule, played by hand in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.pool import NUMBERS, ImagePool

SHAPE = (2, 2, 1)


def by_hand(images: list[float], numbers: np.ndarray, size: int) -> tuple[list[float], list[float]]:
    """What is returned and what is kept, image after image: CycleGAN's code, section 4 of the
    paper."""
    kept: list[float] = []
    returned = []
    for image, (luck, which) in zip(images, numbers, strict=True):
        if len(kept) < size:
            kept.append(image)
            returned.append(image)
        elif luck > 0.5:
            slot = int(np.float32(which) * np.float32(size))
            returned.append(kept[slot])
            kept[slot] = image
        else:
            returned.append(image)
    return returned, kept


def as_images(values: list[float]) -> tf.Tensor:
    return tf.reshape(tf.repeat(tf.constant(values, tf.float32), 4), [len(values), *SHAPE])


@pytest.mark.parametrize(("size", "batch"), [(3, 1), (4, 3), (2, 5), (1, 2)])
def test_it_follows_the_rule(size, batch):
    values = [float(i + 1) for i in range(30)]
    numbers = np.random.default_rng(size).random((30, NUMBERS), np.float32)
    expected, kept = by_hand(values, numbers, size)
    pool = ImagePool(size, SHAPE)
    exchange = tf.function(pool.exchange)
    found = []
    for start in range(0, 30, batch):
        part = slice(start, start + batch)
        shown = exchange(
            as_images(values[part]), tf.constant(numbers[part]), tf.constant(0, tf.int64)
        )
        assert shown.shape == (batch, *SHAPE)
        found += shown[:, 0, 0, 0].numpy().tolist()
    assert found == expected
    assert pool.images[:, 1, 1, 0].numpy().tolist() == kept
    assert int(pool.count) == size
    assert expected != values  # earlier ones were shown at all


def test_while_it_fills_the_new_ones_are_shown_and_kept():
    pool = ImagePool(50, SHAPE)
    numbers = tf.fill([3, NUMBERS], 0.999)
    shown = pool.exchange(as_images([5.0, 6.0, 7.0]), numbers, tf.constant(0, tf.int64))
    assert shown[:, 0, 0, 0].numpy().tolist() == [5, 6, 7]
    assert int(pool.count) == 3
    assert pool.images[:4, 0, 0, 0].numpy().tolist() == [5, 6, 7, 0]


@pytest.mark.parametrize(("luck", "shown"), [(0.5, 9.0), (0.51, 2.0)])
def test_a_full_one_exchanges_above_one_half(luck, shown):
    pool = ImagePool(2, SHAPE)
    pool.images.assign(as_images([1.0, 2.0]))
    pool.count.assign(2)
    numbers = tf.constant([[luck, 0.9999999]])  # the last slot, never the one behind it
    found = pool.exchange(as_images([9.0]), numbers, tf.constant(0, tf.int64))
    assert found[0, 0, 0, 0] == shown
    assert pool.images[:, 0, 0, 0].numpy().tolist() == [1.0, 9.0 if luck > 0.5 else 2.0]
