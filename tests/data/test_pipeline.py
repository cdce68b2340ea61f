"""Batches: the paired draw, epochs as permutations, resuming bit for bit."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfpix2pix.data import (
    ImageSpec,
    augment,
    epoch_position,
    evaluation_batches,
    open_dataset,
    open_store,
    training_batches,
)

few_examples = settings(max_examples=15, deadline=None)


def coordinates(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A pair whose pixels say where they come from: x holds (row, column), y (column, row)."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    x = np.stack([rows, columns], -1).astype(np.float32)
    return x, np.ascontiguousarray(x[..., ::-1])


def draw(seed, position, *, size=16, crop_size=12, flip=True, jitter=augment):
    """(top, left, mirrored) of one draw without resizing, read off the pixels."""
    x, _ = jitter(
        *coordinates(size, size), seed, position, load_size=size, crop_size=crop_size, flip=flip
    )
    x = x.numpy()
    mirrored = bool(crop_size > 1 and x[0, 0, 1] > x[0, 1, 1])
    return int(x[0, 0, 0]), int(x[0].min(axis=0)[1]), mirrored


# === The paired draw ===


@few_examples
@given(
    height=st.integers(2, 24),
    width=st.integers(2, 24),
    load_size=st.integers(4, 32),
    data=st.data(),
    seed=st.integers(0, 2**40),
    position=st.integers(0, 2**40),
)
def test_both_images_get_the_same_draw(height, width, load_size, data, seed, position):
    crop_size = data.draw(st.integers(1, load_size))
    x, y = augment(
        *coordinates(height, width),
        seed,
        position,
        load_size=load_size,
        crop_size=crop_size,
        flip=True,
    )
    assert x.shape == y.shape == (crop_size, crop_size, 2)
    np.testing.assert_array_equal(x[..., 0], y[..., 1])
    np.testing.assert_array_equal(x[..., 1], y[..., 0])


@few_examples
@given(size=st.integers(2, 20), data=st.data(), seed=st.integers(0, 2**31), flip=st.booleans())
def test_without_resizing_pixels_are_cut_out_exactly(size, data, seed, flip):
    crop_size = data.draw(st.integers(1, size))
    image = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    x, _ = augment(image, image, seed, 5, load_size=size, crop_size=crop_size, flip=flip)
    top, left, mirrored = draw(seed, 5, size=size, crop_size=crop_size, flip=flip)
    expected = image[top : top + crop_size, left : left + crop_size].astype(np.float32)
    if crop_size == 1:
        np.testing.assert_array_equal(x, expected)
    else:
        np.testing.assert_array_equal(x, expected[:, ::-1] if mirrored else expected)


@pytest.mark.parametrize(
    ("height", "width", "load_size"), [(16, 16, 18), (15, 21, 40), (40, 33, 20)]
)
def test_resizing_is_bilinear_antialiased_then_cropped(height, width, load_size):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    crop_size = load_size - 3
    x, _ = augment(image, image, 1, 2, load_size=load_size, crop_size=crop_size, flip=False)
    top, left, _ = draw(1, 2, size=load_size, crop_size=crop_size, flip=False)
    window = np.s_[top : top + crop_size, left : left + crop_size]

    by_tensorflow = tf.image.resize(image, [load_size, load_size], antialias=True).numpy()
    np.testing.assert_allclose(x, by_tensorflow[window], atol=0.501)
    unrounded, _ = augment(
        image.astype(np.float32), image, 1, 2, load_size=load_size, crop_size=crop_size, flip=False
    )
    np.testing.assert_allclose(unrounded, by_tensorflow[window], atol=0.05)
    by_pillow = Image.fromarray(image).resize((load_size, load_size), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(
        tf.cast(x, tf.float32), np.asarray(by_pillow, np.float32)[window], atol=1.001
    )


def test_crops_cover_their_range_and_half_are_mirrored():
    jitter = tf.function(augment)  # a graph, for there are many
    places = tf.range(400, dtype=tf.int64)
    draws = [draw(3, position, jitter=jitter) for position in places]
    tops, lefts, mirrored = zip(*draws, strict=True)
    assert set(tops) == set(lefts) == set(range(5))
    for offsets in (tops, lefts):
        assert min(collections.Counter(offsets).values()) > 400 / 5 * 0.6
    assert 160 < sum(mirrored) < 240
    # Independent of each other and from one position to the next.
    assert abs(np.corrcoef(tops, lefts)[0, 1]) < 0.2
    assert abs(np.corrcoef(tops, mirrored)[0, 1]) < 0.2
    assert abs(np.corrcoef(tops[1:], tops[:-1])[0, 1]) < 0.2
    assert abs(np.corrcoef(mirrored[1:], mirrored[:-1])[0, 1]) < 0.2


def test_draws_depend_on_seed_and_position_only():
    draws = [draw(seed, position) for seed in range(3) for position in range(8)]
    again = [draw(seed, position) for seed in range(3) for position in range(8)]
    assert draws == again
    assert draws[:8] != draws[8:16]


def test_draws_are_those_of_earlier_versions():
    """So that a run goes on after an update as it would have without."""
    drawn = [(0, 0, True), (3, 0, True), (3, 2, False), (3, 2, True)]
    assert [draw(3, position) for position in range(4)] == drawn
    order = [4, 5, 0, 3, 6, 1, 2, 4, 6, 0, 1, 2, 3, 5]
    assert [int(epoch_position(position, 7, 3)) for position in range(14)] == order


def test_no_jitter_when_switched_off():
    assert {draw(0, i, size=8, crop_size=8, flip=False) for i in range(20)} == {(0, 0, False)}
    with pytest.raises(ValueError, match="crop_size=9"):
        augment(*coordinates(8, 8), 0, 0, load_size=8, crop_size=9, flip=False)


# === Order ===


@few_examples
@given(count=st.integers(1, 40), seed=st.integers(0, 2**40), epoch=st.integers(0, 2**30))
def test_every_epoch_is_a_permutation(count, seed, epoch):
    positions = range(epoch * count, (epoch + 1) * count)
    assert sorted(int(epoch_position(p, count, seed)) for p in positions) == list(range(count))


def test_epochs_and_seeds_differ():
    def order(seed, epoch):
        return [int(epoch_position(epoch * 20 + place, 20, seed)) for place in range(20)]

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len({tuple(o) for o in orders}) == 6
    assert order(0, 1) == orders[1]
    assert all(o != sorted(o) for o in orders)


# === Batches ===

SETTINGS = {"crop_size": 12, "flip": True, "seed": 5}


@pytest.fixture
def store(pairs_folder):
    source = open_dataset(str(pairs_folder(train=5)), target_channels=1)
    return open_store(source, "train", size=14)


def collect(batches) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(x.numpy(), y.numpy()) for x, y in batches]


def assert_same(left, right):
    assert len(left) == len(right)
    for (left_x, left_y), (right_x, right_y) in zip(left, right, strict=True):
        np.testing.assert_array_equal(left_x, right_x)
        np.testing.assert_array_equal(left_y, right_y)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_resuming_at_any_step_is_bit_for_bit(store, batch_size):
    options = {**SETTINGS, "batch_size": batch_size, "stop_step": 12}
    whole = collect(training_batches(store, start_step=0, **options))
    assert len(whole) == 12
    x, y = whole[0]
    assert x.shape == (batch_size, 12, 12, 3)
    assert y.shape == (batch_size, 12, 12, 1)
    assert x.dtype == y.dtype == np.float32
    assert -1 <= min(x.min(), y.min()) < max(x.max(), y.max()) <= 1
    for start in (1, 7, 11, 12):
        assert_same(collect(training_batches(store, start_step=start, **options)), whole[start:])


@pytest.mark.parametrize("batch_size", [1, 3])
def test_streaming_equals_in_memory(store, batch_size):
    streamed = open_store(store.source, "train", size=14, cache="none")
    options = {**SETTINGS, "batch_size": batch_size, "start_step": 2, "stop_step": 8}
    assert_same(
        collect(training_batches(streamed, **options)), collect(training_batches(store, **options))
    )
    assert_same(
        collect(evaluation_batches(streamed, size=10)), collect(evaluation_batches(store, size=10))
    )


def test_batch_size_does_not_change_the_stream_of_images(store):
    ones = collect(training_batches(store, batch_size=1, start_step=0, stop_step=12, **SETTINGS))
    threes = collect(training_batches(store, batch_size=3, start_step=0, stop_step=4, **SETTINGS))
    np.testing.assert_array_equal(
        np.concatenate([x for x, _ in ones]), np.concatenate([x for x, _ in threes])
    )


def test_a_training_batch_is_the_augmented_pair(store):
    options = {**SETTINGS, "batch_size": 1, "start_step": 9, "stop_step": 10}
    ((x, y),) = collect(training_batches(store, **options))
    pair = store.source.load("train", int(epoch_position(9, store.count, 5)))
    expected = augment(*pair, 5, 9, load_size=14, crop_size=12, flip=True)
    for found, image in zip((x[0], y[0]), expected, strict=True):
        np.testing.assert_allclose(found, image.numpy() / 127.5 - 1, atol=1e-6)


def test_each_epoch_shows_every_pair(store):
    options = {"crop_size": 14, "flip": False, "seed": 0, "batch_size": 1}
    shown = collect(training_batches(store, start_step=0, stop_step=10, **options))
    for epoch in (shown[:5], shown[5:]):
        assert len({x.tobytes() for x, _ in epoch}) == 5


def test_mixed_sizes_are_batched(pairs_folder):
    folder = pairs_folder(train=3)
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(folder / "train" / "other.png")
    source = open_dataset(str(folder), allow_mixed_sizes=True)
    for cache in ("memory", "none"):
        mixed = open_store(source, "train", size=14, cache=cache)
        options = {**SETTINGS, "batch_size": 4, "start_step": 0, "stop_step": 2}
        assert [x.shape for x, _ in training_batches(mixed, **options)] == [(4, 12, 12, 3)] * 2
        assert [y.shape for _, y in evaluation_batches(mixed, size=9, batch_size=4)] == [
            (4, 9, 9, 3)
        ]


def test_static_shapes_are_known(store):
    options = {**SETTINGS, "batch_size": 2, "start_step": 0, "stop_step": 1}
    for kept in (store, open_store(store.source, "train", size=14, cache="none")):
        x, y = training_batches(kept, **options).element_spec
        assert x.shape == (2, 12, 12, 3)
        assert y.shape == (2, 12, 12, 1)


def test_steps_that_make_no_sense(store):
    with pytest.raises(ValueError, match="batch_size=0"):
        training_batches(store, batch_size=0, start_step=0, stop_step=1, **SETTINGS)
    with pytest.raises(ValueError, match="start_step=3"):
        training_batches(store, batch_size=1, start_step=3, stop_step=1, **SETTINGS)


def test_evaluation_keeps_order_and_the_partial_batch(store):
    batches = collect(evaluation_batches(store, size=12, batch_size=2))
    assert [len(x) for x, _ in batches] == [2, 2, 1]
    images = np.concatenate([x for x, _ in batches])
    for index, image in enumerate(images):
        expected = tf.image.resize(store.pair(index)[0], [12, 12], antialias=True)
        # The store's pictures are of whole levels, and so are these.
        np.testing.assert_allclose(image, expected / 127.5 - 1, atol=0.501 / 127.5)
    assert len(collect(evaluation_batches(store, size=12, limit=3))) == 3
    assert len(collect(evaluation_batches(store, size=12, limit=30))) == 5
    chosen = collect(evaluation_batches(store, size=12, indices=[4, 1]))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in chosen]), images[[4, 1]])


# === Pixels ===


def test_8_bit_range_and_its_round_trip():
    levels = np.arange(256, dtype=np.uint8)[:, None]
    floats = ImageSpec(1).to_network(tf.cast(levels, tf.float32)).numpy()
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats[[0, 255], 0], [-1, 1])
    np.testing.assert_array_equal(ImageSpec(1).from_network(floats), levels)
    outside = np.array([[-1.5], [1.5], [0.0031], [0.0]], np.float32)
    assert ImageSpec(1).from_network(outside)[:, 0].tolist() == [0, 255, 128, 128]
