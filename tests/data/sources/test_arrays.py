"""Pairs of arrays: what is taken for one, how they are split and named, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import ArraySource, PairArrays, load_palette, open_dataset, open_store
from tfpix2pix.data.layouts.splits import split_of
from tfpix2pix.data.spec import ImageWish, PairWish


@pytest.fixture(scope="module")
def stack(draw):
    """`stack(n, ...)`: n images in one array; see `draw`."""

    def images(number: int, channels: int = 3, dtype: str = "uint8", **size: int) -> np.ndarray:
        return np.stack([draw(i, channels, dtype, **size) for i in range(number)])

    return images


def refused(given, **options) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(given, **options).check()
    return str(caught.value)


# === What they hold ===


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4, 7])
def test_every_depth_comes_back_as_it_is(stack, dtype, channels):
    x, y = stack(3, channels, dtype), stack(3, 1, "uint16")
    source = open_dataset({"train": (x, y)})
    source.check()
    spec = source.spec
    assert (spec.x.channels, spec.x.dtype, spec.y.channels, spec.y.dtype) == (
        channels,
        dtype,
        1,
        "uint16",
    )
    for i in range(3):
        for side, given in zip(source.load("train", i), (x[i], y[i]), strict=True):
            assert side.dtype == given.dtype
            np.testing.assert_array_equal(side, given)


def test_one_pair_of_arrays_is_split_by_the_pairs_numbers(stack):
    x, y = stack(60), stack(60)
    source = open_dataset((x, y), val_fraction=0.2)
    names = {
        split: [source.pair_name(split, i) for i in range(source.count(split))]
        for split in ("train", "val", "test")
    }
    assert names["test"] == []
    assert sorted(names["train"] + names["val"]) == [f"{i:05d}" for i in range(60)]
    for split in ("train", "val"):
        assert {split_of(name, 0.2) for name in names[split]} == {split}
    # More at the end move none.
    fewer = open_dataset((x[:40], y[:40]), val_fraction=0.2)
    assert [fewer.pair_name("val", i) for i in range(fewer.count("val"))] == [
        name for name in names["val"] if int(name) < 40
    ]
    index = names["val"].index(names["val"][-1])
    np.testing.assert_array_equal(source.load("val", index)[0], x[int(names["val"][-1])])


def test_named_splits_and_their_words(stack):
    source = open_dataset(
        {"train": (stack(4), stack(4)), "val": (stack(2), stack(2)), "test": (stack(1), stack(1))}
    )
    assert [source.count(split) for split in ("train", "val", "test")] == [4, 2, 1]
    assert source.describe() == ("4 train, 2 val, 1 test pairs of 16x12 (arrays; RGB, 8 bit)")


def test_lists_of_images_and_of_grey_without_an_axis(draw):
    x = [draw(i, 1)[..., 0] for i in range(3)]
    y = [draw(i) for i in range(3)]
    source = open_dataset({"train": (x, y)})
    assert (source.spec.x.channels, source.spec.y.channels) == (1, 3)
    np.testing.assert_array_equal(source.load("train", 2)[0][..., 0], x[2])


def test_mixed_sizes_where_they_are_allowed(draw):
    x = [draw(0), draw(1, height=20, width=30)]
    assert "--allow_mixed_sizes" in refused({"train": (x, x)})
    source = open_dataset({"train": (x, x)}, allow_mixed_sizes=True)
    source.check()
    assert "2 sizes" in source.describe()
    store = open_store(source, "train", size=16)
    assert store.pair(1)[0].shape == (16, 16, 3)


def test_what_numpy_sees_as_an_array_will_do(stack):
    import tensorflow as tf

    x = stack(3)
    source = open_dataset({"train": (tf.constant(x), memoryview(x))})
    np.testing.assert_array_equal(source.load("train", 1)[0], x[1])


def test_floats_are_scaled_by_what_the_train_split_shows(stack):
    x = stack(4, dtype="float32") * 4 - 2
    source = open_dataset({"train": (x, x), "val": (x * 3, x * 3)})
    assert source.spec.x.low == pytest.approx(x.min(), rel=1e-6)
    assert source.spec.x.high == pytest.approx(x.max(), rel=1e-6)


def test_labels_as_class_numbers_and_as_colours(stack):
    palette = load_palette("facades")
    classes = np.random.default_rng(0).integers(0, len(palette), (3, 12, 16, 1), np.uint8)
    numbers = classes + np.uint8(1)  # by which the data set itself counts them
    for x in (palette.to_colors(classes[..., 0]), numbers):
        source = open_dataset({"train": (x, stack(3))}, label_palette="facades")
        assert source.spec.label_side == "input"
        np.testing.assert_array_equal(source.load("train", 1)[0], classes[1])


def test_colours_in_lab(stack):
    source = open_dataset({"train": (stack(2), stack(2))}, color_space="lab")
    source.check()
    x, y = source.load("train", 0)
    assert (x.shape, y.shape, x.dtype) == ((12, 16, 1), (12, 16, 2), np.float32)


# === Identity ===


def test_the_identity_is_that_of_the_values(stack):
    x, y = stack(5), stack(5, 1)
    known = open_dataset({"train": (x, y)}).identity()
    assert open_dataset({"train": (list(x), y.copy())}).identity() == known
    changed = y.copy()
    changed[3, 2, 1, 0] ^= 1
    others = [
        {"train": (x, changed)},
        {"train": (x.astype(np.uint16), y)},
        {"train": (x[::-1], y)},
        {"train": (x, y), "val": (x, y)},
    ]
    for other in others:
        assert open_dataset(other).identity() != known
    assert open_dataset({"train": (x, y)}).cache_key("train") != open_dataset(
        {"train": (x, changed)}
    ).cache_key("train")


def test_arrays_are_checked_once(stack):
    arrays = PairArrays((stack(3), stack(3)))
    assert ArraySource(arrays).arrays is arrays


# === What is refused ===


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda s: s(3), "one array of shape [3, 12, 16, 3]; expected (x, y)"),
        (lambda s: (s(3),), "found 1 things; expected (x, y)"),
        (lambda s: 7, "found 7; expected (x, y)"),
        (lambda s: {}, "an empty dict"),
        (lambda s: {"training": (s(3), s(3))}, "a dict with 'training'"),
        (lambda s: {"train": s(3)}, "for 'train'; expected (x, y)"),
        (lambda s: (s(3), s(4)), "x has 3 images and y 4"),
        (lambda s: (s(3)[0], s(3)), "x has the shape [12, 16, 3]; expected an array [N, H, W, C]"),
        (lambda s: (s(3)[..., 0], s(3)), "x[..., None]"),
        (lambda s: (s(3), s(3) / 255), "y holds values of type float64"),
        (lambda s: (s(3).astype(bool), s(3)), "x holds values of type bool"),
        (lambda s: (s(3)[:0], s(3)[:0]), "x holds no images"),
        (lambda s: ([], []), "x holds no images"),
        (lambda s: (s(3), s(3)[:, :-1]), "x[0] is 16x12 (width x height), and its target 16x11"),
        (lambda s: ([np.zeros(3, np.uint8)], s(1)), "image 0 of x has the shape [3]"),
        (lambda s: (s(3).transpose(0, 3, 1, 2), s(3)), "x.transpose(0, 2, 3, 1)"),
    ],
)
def test_what_is_no_pair_of_arrays(stack, given, words):
    assert words in refused(given(stack))


def test_values_that_are_no_numbers_are_kept_out(stack):
    x = stack(4, dtype="float32")
    x[1, 0, 0, 0], x[2, 3, 3, 1] = np.nan, np.inf
    source = ArraySource({"train": (x, x)})
    assert source.spec.x.ignore == source.spec.y.ignore == ("nan",)
    stored, _ = source.load("train", 2)
    assert np.argwhere(stored[..., -1] == 0).tolist() == [[3, 3]]
    assert np.isfinite(stored).all()
    with pytest.raises(DataError, match="--input_ignore=nan"):
        ArraySource({"train": (x, x)}, wish=PairWish(ImageWish("input", ignore="none"))).check()


def test_images_of_another_depth_or_number_of_channels(draw):
    x = [draw(0), draw(1), draw(2, 1)]
    y = [draw(0), draw(1, dtype="uint16"), draw(2)]
    text = refused((x, y), val_fraction=0.0)
    assert "x[2]: 1" in text
    assert "y[1]: 16 bit" in text


def test_a_direction_and_arrays_that_are_missing(stack):
    assert "hand over (y, x)" in refused((stack(2), stack(2)), direction="BtoA")
    assert "tfpix2pix.train((x, y), workdir=...)" in refused("python:arrays")
    assert "--val_fraction=2" in refused((stack(2), stack(2)), val_fraction=2)
