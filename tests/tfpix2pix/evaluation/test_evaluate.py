"""The walk over a split."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.evaluation import L1, Evaluator, evaluate


class Recorder(Evaluator):
    name = "recorder"

    def __init__(self):
        super().__init__()
        self.batches = []

    def per_image(self, batch):
        self.batches.append((batch.y, batch.fake))
        return {"images": np.ones(len(batch))}

    @classmethod
    def score(cls, sums, count):
        return {"recorder": sums["images"]}


def batches(*sizes: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """x is all -1; y's images have the levels 0, 1, 2, ... of 255."""
    levels = iter(range(sum(sizes)))
    result = []
    for size in sizes:
        y = np.stack([np.full((4, 4, 3), next(levels) / 127.5 - 1) for _ in range(size)])
        result.append((-tf.ones([size, 4, 4, 3]), tf.constant(y, tf.float32)))
    return result


def test_positions_are_the_images_places_in_the_split():
    seen = []

    def generate(x, positions):
        assert positions.dtype == tf.int64
        assert positions.shape[0] == x.shape[0]
        seen.append(positions.numpy().tolist())
        return x

    evaluate([], batches(3, 3, 1), generate)
    assert seen == [[0, 1, 2], [3, 4, 5], [6]]


def test_images_and_progress_are_counted():
    progress = []
    found = evaluate([], batches(3, 3, 1), lambda x, positions: x, progress.append)
    assert found == {"images": 7}
    assert progress == [3, 6, 7]


def test_every_evaluator_gets_8_bit_targets_and_pictures():
    recorders = [Recorder(), Recorder()]
    found = evaluate(recorders[:1], batches(2, 1), lambda x, positions: x)
    assert found == {"recorder": 3.0, "images": 3}
    evaluate(recorders[1:], batches(2, 1), lambda x, positions: x + 0.5)
    for recorder, level in zip(recorders, (0, 64), strict=True):
        y = np.concatenate([pair[0] for pair in recorder.batches])
        fake = np.concatenate([pair[1] for pair in recorder.batches])
        assert y.dtype == fake.dtype == np.uint8
        assert y[:, 0, 0, 0].tolist() == [0, 1, 2]
        assert np.unique(fake).tolist() == [level]


def test_a_split_is_measured_image_by_image():
    # Pictures of level 0 against targets of level 0, 1, 2, 3, 4 in batches of 4 and 1.
    found = evaluate([L1()], batches(4, 1), lambda x, positions: x)
    assert found["l1"] == pytest.approx((0 + 1 + 2 + 3 + 4) / 5 / 127.5, rel=1e-6)


def test_generate_can_tell_images_by_their_position():
    def generate(x, positions):
        level = tf.cast(positions, tf.float32)[:, None, None, None]
        return tf.zeros_like(x) + level / 127.5 - 1

    assert evaluate([L1()], batches(3, 2), generate)["l1"] == 0


def test_pictures_outside_the_range_are_clipped_as_a_person_gets_them():
    recorder = Recorder()
    evaluate([recorder], batches(1), lambda x, positions: x * 3)
    assert recorder.batches[0][1].max() == 0


def test_an_empty_split_has_no_measure():
    found = evaluate([L1()], [], lambda x, positions: x)
    assert found["images"] == 0
    assert np.isnan(found["l1"])
