"""Label images in the pipeline: nearest neighbour, one-hot, the same draw as the photo."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfpix2pix.data import (
    augment,
    epoch_position,
    evaluation_batches,
    load_palette,
    open_dataset,
    open_store,
    training_batches,
)

few_examples = settings(max_examples=15, deadline=None)
SEED, LOAD, CROP = 5, 20, 12


def nearest(size: int, load_size: int) -> np.ndarray:
    """Which of `size` pixels holds the centre of each of `load_size` new ones, in fractions."""
    return np.array([int((i + 0.5) * size / load_size) for i in range(load_size)])


@pytest.fixture(scope="module")
def palette():
    return load_palette("facades")


@pytest.fixture(scope="module")
def source():
    return open_dataset(
        "sample", sample_size=16, sample_pairs=8, label_palette="facades", input_encoding="onehot"
    )


@few_examples
@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    load_size=st.integers(1, 40),
    data=st.data(),
    seed=st.integers(0, 2**40),
    position=st.integers(0, 2**40),
    flip=st.booleans(),
)
def test_labels_and_photo_are_cut_from_one_place(
    height, width, load_size, data, seed, position, flip
):
    crop_size = data.draw(st.integers(1, load_size))
    classes = np.random.default_rng(seed).integers(0, 12, (height, width, 1), np.uint8)
    sizes = {"load_size": load_size, "crop_size": crop_size, "flip": flip}
    x, _ = augment(classes, classes, seed, position, nearest=(True, False), **sizes)
    x = x.numpy()
    assert set(np.unique(x)) <= set(np.unique(classes))

    # The photo's draw, read off an image of the load size, which is only cut.
    rows, columns = np.meshgrid(np.arange(load_size), np.arange(load_size), indexing="ij")
    where = np.stack([rows, columns], -1).astype(np.float32)
    _, cut = augment(where, where, seed, position, **sizes)
    rows, columns = np.moveaxis(cut.numpy().astype(int), -1, 0)
    expected = classes[nearest(height, load_size)[rows], nearest(width, load_size)[columns]]
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize(
    ("height", "width", "load_size"), [(16, 16, 18), (15, 21, 40), (40, 33, 20)]
)
def test_nearest_is_tensorflows_nearest(height, width, load_size):
    classes = np.random.default_rng(1).integers(0, 12, (height, width, 1), np.uint8)
    x, _ = augment(
        classes,
        classes,
        0,
        0,
        load_size=load_size,
        crop_size=load_size,
        flip=False,
        nearest=(True, True),
    )
    expected = tf.image.resize(classes, [load_size, load_size], "nearest")
    np.testing.assert_array_equal(x, expected)


def test_training_sees_one_class_at_every_pixel(source, palette):
    store = open_store(source, "train", size=LOAD)
    batches = training_batches(
        store,
        crop_size=CROP,
        flip=True,
        batch_size=3,
        seed=SEED,
        start_step=0,
        stop_step=6,
    )
    plain = open_dataset("sample", sample_size=16, sample_pairs=8, sample_labels="cmp")
    position = 0
    for x, y in batches:
        assert x.shape == (3, CROP, CROP, len(palette))
        assert y.shape == (3, CROP, CROP, 3)
        assert set(np.unique(x)) == {0.0, 1.0}
        np.testing.assert_array_equal(tf.reduce_sum(x, -1), np.ones((3, CROP, CROP)))
        for image, photo in zip(x, y, strict=True):
            index = int(epoch_position(position, 8, SEED))
            label, picture = plain.load("train", index)
            classes = palette.to_classes(label)[..., None]
            sizes = {"load_size": LOAD, "crop_size": CROP, "flip": True}
            expected, expected_y = augment(
                classes, picture, SEED, position, nearest=(True, False), **sizes
            )
            np.testing.assert_array_equal(tf.argmax(image, -1), expected[..., 0])
            np.testing.assert_allclose(photo, expected_y.numpy() / 127.5 - 1, atol=1e-6)
            # And the photograph is what it is without labels beside it.
            _, alone = augment(label, picture, SEED, position, **sizes)
            np.testing.assert_array_equal(alone, expected_y)
            position += 1


def test_coloured_labels_stay_colours_of_the_palette(palette):
    source = open_dataset("sample", sample_size=16, sample_pairs=4, label_palette="facades")
    store = open_store(source, "train", size=20)
    for x, _ in evaluation_batches(store, size=23):
        colours = np.unique(np.rint((x.numpy() + 1) * 127.5).astype(int).reshape(-1, 3), axis=0)
        assert {tuple(c) for c in colours.tolist()} <= {tuple(c) for c in palette.colors.tolist()}


@few_examples
@given(
    batch_size=st.integers(1, 7),
    start=st.integers(0, 9),
    seed=st.integers(0, 2**20),
    epoch=st.integers(0, 5),
)
def test_an_epochs_order_is_a_function_of_seed_and_epoch(source, batch_size, start, seed, epoch):
    """However the stream is batched and wherever it starts, epoch e has the same order."""
    store = open_store(source, "train", size=16)
    count = store.count
    expected = [int(epoch_position(epoch * count + i, count, seed)) for i in range(count)]
    assert sorted(expected) == list(range(count))

    first = epoch * count // batch_size
    first = max(0, first - start)
    last = -(-(epoch + 1) * count // batch_size)
    # No jitter: a pair is known by its photograph.
    batches = training_batches(
        store,
        crop_size=16,
        flip=False,
        batch_size=batch_size,
        seed=seed,
        start_step=first,
        stop_step=last,
    )
    photos = [to_bytes(photo) for _, y in batches for photo in y]
    names = {to_bytes(store.pair(i)[1] / np.float32(127.5) - 1): i for i in range(count)}
    assert len(names) == count
    offset = epoch * count - first * batch_size
    assert [names[photo] for photo in photos[offset : offset + count]] == expected


def to_bytes(photo) -> bytes:
    return np.rint((np.asarray(photo) + 1) * 127.5).astype(np.uint8).tobytes()
