"""The arithmetic of sizes and positions, from a file's pixels to the network and back."""

from __future__ import annotations

import collections
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import resolve
from tfpix2pix.data import epoch_position
from tfpix2pix.data.layouts.pair_files import split_pair
from tfpix2pix.data.resize import resize
from tfpix2pix.inference import pad, resized

few_examples = settings(max_examples=12, deadline=None)
sides = st.integers(1, 40)


def picture(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def folded(place: int, length: int) -> int:
    """The row that reflection shows at a place behind the last one, step by step."""
    at, step = 0, 1
    for _ in range(place):
        if not 0 <= at + step < length:
            step = -step
        at += step if length > 1 else 0
    return at


# === Sizes ===


@few_examples
@given(height=sides, width=sides, multiple=st.sampled_from([1, 2, 8, 32, 64]), seed=sides)
def test_padding_is_the_least_and_keeps_the_picture(height, width, multiple, seed):
    image = picture(seed, height, width)
    padded = pad(image, multiple)
    assert padded.shape[0] == math.ceil(height / multiple) * multiple
    assert padded.shape[1] == math.ceil(width / multiple) * multiple
    np.testing.assert_array_equal(padded[:height, :width], image)
    if min(height, width) > 1:
        rows = [folded(row, height) for row in range(padded.shape[0])]
        columns = [folded(column, width) for column in range(padded.shape[1])]
        np.testing.assert_array_equal(padded, image[rows][:, columns])
    else:  # repeated instead
        assert set(map(tuple, padded.reshape(-1, 3))) == set(map(tuple, image.reshape(-1, 3)))


@few_examples
@given(height=sides, width=sides, size=sides, seed=sides, deep=st.booleans())
def test_resizing_stays_within_what_came_in(height, width, size, seed, deep):
    image = picture(seed, height, width).astype(np.uint16 if deep else np.uint8) * (1 + 256 * deep)
    found = resize(image, size).numpy()
    assert found.shape == (size, size, 3)
    assert found.dtype == image.dtype
    for channel in range(3):
        assert image[..., channel].min() <= found[..., channel].min()
        assert found[..., channel].max() <= image[..., channel].max()
    if (height, width) == (size, size):
        np.testing.assert_array_equal(found, image)
    even = np.full_like(image, image[0, 0, 0])
    assert (resize(even, size).numpy() == image[0, 0, 0]).all()


@few_examples
@given(height=sides, width=sides, size=sides, seed=sides)
def test_nearest_takes_the_pixel_below_the_centre(height, width, size, seed):
    image = picture(seed, height, width, 1)
    found = resize(image, size, nearest=True).numpy()
    rows, columns = (
        [math.floor((place + 0.5) * side / size) for place in range(size)]
        for side in (height, width)
    )
    np.testing.assert_array_equal(found, image[rows][:, columns])


@few_examples
@given(height=sides, width=sides, size=st.sampled_from([32, 64]), nearest=st.booleans())
def test_fit_there_and_back_has_the_pictures_own_size(height, width, size, nearest):
    image = picture(height, height, width).astype(np.float32)
    there = resized(image, size, size, nearest)
    back = resized(there, height, width, nearest)
    assert there.shape == (size, size, 3)
    assert back.shape == image.shape
    assert image.min() - 1e-3 <= back.min() <= back.max() <= image.max() + 1e-3


@few_examples
@given(height=sides, width=sides, direction=st.sampled_from(["AtoB", "BtoA"]))
def test_the_two_halves_are_the_whole(height, width, direction):
    image = picture(width, height, width)
    if width % 2:
        with pytest.raises(ValueError, match="odd width"):
            split_pair(image, direction)
        return
    halves = split_pair(image, direction)
    assert halves[0].shape == halves[1].shape == (height, width // 2, 3)
    left_first = halves if direction == "AtoB" else halves[::-1]
    np.testing.assert_array_equal(np.concatenate(left_first, axis=1), image)


@few_examples
@given(crop_size=st.integers(1, 2000))
def test_the_load_size_of_a_crop_size_holds_it(crop_size):
    try:
        config = resolve({"crop_size": crop_size})
    except UserError:
        assert crop_size not in (32, 64, 128, 256, 512, 1024)
        return
    assert config.crop_size == crop_size
    assert crop_size < config.load_size.height <= crop_size * 286 / 256 + 0.5


# === Positions ===


@few_examples
@given(
    count=st.integers(1, 12),
    seed=st.integers(0, 2**31 - 1),
    start=st.one_of(st.integers(0, 100), st.integers(2**40, 2**40 + 100)),
    length=st.integers(1, 60),
)
def test_any_stretch_of_the_stream_shows_all_pairs_about_equally(count, seed, start, length):
    """A whole epoch within it has every pair once; only its two ends may show one more or less."""
    seen = collections.Counter(
        int(epoch_position(position, count, seed)) for position in range(start, start + length)
    )
    assert set(seen) <= set(range(count))
    first, last = math.ceil(start / count), (start + length) // count
    whole = max(0, last - first)
    for index in range(count):
        assert whole <= seen[index] <= whole + 2


@few_examples
@given(
    epochs=st.integers(1, 300),
    pairs=st.integers(1, 10**6),
    batch_size=st.integers(1, 100),
    steps=st.sampled_from([0, 1, 777]),
)
def test_the_steps_cover_the_epochs_and_no_step_more(epochs, pairs, batch_size, steps):
    config = Pix2PixConfig(epochs=epochs, batch_size=batch_size, steps=steps)
    total = config.total_steps(pairs)
    if steps:
        assert total == steps
    else:
        assert total * batch_size >= epochs * pairs > (total - 1) * batch_size
