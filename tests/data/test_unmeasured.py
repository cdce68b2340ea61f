"""Values that mean "nothing measured", and masks: what is found, kept out, and proposed."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import (
    ArraySource,
    Decoded,
    ImageSpec,
    Palette,
    evaluation_batches,
    open_dataset,
    open_store,
    training_batches,
)
from tfpix2pix.data.check.palette_search import distinct_colors, find_palette
from tfpix2pix.data.check.values import limits, marks_of, values_of
from tfpix2pix.data.label_classes import LabelClass
from tfpix2pix.data.spec import ImageWish, PairWish, classes_of
from tfpix2pix.data.unmeasured import filled, missing_in, parse_ignore

TWO = ((0, "background", 0), (1, "thing", 255))


def decoded(array, nodata=None) -> Decoded:
    array = np.asarray(array)
    return Decoded(array[..., None] if array.ndim == 2 else array, False, None, (), nodata=nodata)


def ramp(low: float, high: float, dtype="float32") -> np.ndarray:
    return np.linspace(low, high, 400).reshape(20, 20).astype(dtype)


def with_value(array: np.ndarray, value: float, pixels: int = 20) -> np.ndarray:
    array = array.copy()
    array.reshape(-1)[:pixels] = value
    return array


def found(*arrays, index_maps=True, nodata=None) -> list[str]:
    return marks_of([values_of(decoded(a, nodata)) for a in arrays], index_maps)


# === What is found ===


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (with_value(ramp(0, 8848), -9999), ["-9999"]),
        (with_value(ramp(-10, 3000), -32768), ["-32768"]),
        (with_value(ramp(200, 310), 1e38), ["9.99999968e+37"]),
        (with_value(ramp(200, 310), -3.4028235e38), ["-3.40282347e+38"]),
        (with_value(ramp(0, 4095, "uint16"), 65535), ["65535"]),
        (with_value(ramp(0, 1), 77.0), ["77"]),  # no name, but far away and often
        (with_value(with_value(ramp(0, 9), np.nan), -9999, 7), ["nan", "-9999"]),
        (ramp(-12000, 0), []),
        (ramp(0, 65535, "uint16"), []),
        (with_value(ramp(0, 200, "uint8"), 255), []),  # highlights of a photograph
        (with_value(ramp(0, 1), 77.0, 2), []),  # two hot pixels
        ((ramp(0, 1) > 0.5).astype(np.uint16) * 65535, []),  # a mask
        ((ramp(0, 1) > 0.5).astype(np.uint8) * 255, []),
        (with_value(ramp(0, 2.9, "uint8"), 255), ["255"]),
        (with_value(ramp(0, 18.9, "uint8"), 255, 3), ["255"]),
        (with_value(ramp(0, 3.9).round(), -1), ["-1"]),
        (ramp(0, 3.9, "uint8") * 85, []),  # 0, 85, 170, 255
        (ramp(0, 2.9, "uint8") * 127, []),
    ],
)
def test_values_that_mean_nothing_measured(array, words):
    assert found(array) == words


def test_an_image_of_nothing_else_does_not_hide_the_value_of_the_others():
    empty, other = np.full((20, 20), -9999, np.float32), with_value(ramp(0, 50), -9999)
    seen = [values_of(decoded(array)) for array in (empty, other)]
    assert marks_of(seen, index_maps=False) == ["-9999"]
    assert limits(seen, ["-9999"]) == pytest.approx((50 * 20 / 399, 50))
    assert limits(seen, []) == pytest.approx((-9999, 50))


def test_what_files_say_themselves():
    photo = ramp(0, 255, "uint8")
    assert found(photo, nodata=0.0) == ["0"]
    mask = (ramp(0, 1) > 0.5).astype(np.uint8)
    assert found(mask, nodata=0.0) == [], "or nothing would be left to learn"


def test_255_among_inputs_is_a_class():
    assert found(with_value(ramp(0, 2.9, "uint8"), 255), index_maps=False) == []


def test_one_channel_of_a_float_is_enough_and_whole_numbers_need_all():
    array = np.ones((2, 2, 3), np.float32)
    array[0, 0, 1], array[1, 1] = np.inf, -9999
    missing = missing_in(decoded(array), ("nan", "-9999"))
    np.testing.assert_array_equal(missing, [[True, False], [False, True]])
    green = np.array([[[0, 255, 0], [0, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(missing_in(decoded(green), ("0",)), [[False, True]])


def test_the_nearest_measurement_stands_in():
    array = np.array([[1, 9, 2], [3, 9, 4]], np.uint8)
    missing = array == 9
    result = filled(decoded(array), missing).array[..., 0]
    assert set(result[:, 1]) <= {1, 2, 3, 4}
    np.testing.assert_array_equal(result[:, [0, 2]], array[:, [0, 2]])
    assert not filled(decoded(np.full((2, 2), np.nan)), np.ones((2, 2), bool)).array.any()


def test_words():
    assert parse_ignore("255, NaN,-9999.0,255", "target") == ("255", "nan", "-9999")
    assert parse_ignore("none", "target") == parse_ignore("", "target") == ()
    with pytest.raises(DataError, match="--target_ignore=none,255: expected a value"):
        parse_ignore("none,255", "target")


# === What networks see ===


@pytest.fixture
def holed():
    """Arrays of 8 pairs whose input misses row 3 and whose target misses column 5."""
    x = np.stack([ramp(i, 50 + i)[..., None] for i in range(8)])
    y = np.stack([ramp(-1 - i, 1)[..., None] for i in range(8)])
    x[:, 3], y[:, :, 5] = -9999, np.nan
    return {"train": (x, y), "val": (x[:2], y[:2])}


def test_what_is_not_measured_is_grey_and_does_not_count(holed):
    source = open_dataset(holed)
    assert (source.spec.x.ignore, source.spec.y.ignore) == (("-9999",), ("nan",))
    assert (source.spec.x.low, source.spec.x.high) == (0, 57)
    notes = " ".join(source.notes())
    assert "the input's value -9999 (in 10 of 10 images, 5.00% of the pixels) is taken for" in notes
    assert "the target's NaN or infinity (in 10 of 10 images, 5.00% of the pixels)" in notes
    (x, y, measured), *_ = evaluation_batches(open_store(source, "val", size=20), size=20)
    expected = np.ones((20, 20))
    expected[3] = expected[:, 5] = 0
    np.testing.assert_array_equal(measured[0, ..., 0], expected)
    np.testing.assert_array_equal(x[0, 3], np.zeros((20, 1)))
    np.testing.assert_array_equal(y[0, :, 5], np.zeros((20, 1)))
    np.testing.assert_allclose(x[0, 0, :, 0], ramp(0, 50)[0] / 28.5 - 1, atol=1e-6)


def test_the_mask_is_cropped_and_mirrored_with_its_image(holed):
    store = open_store(open_dataset(holed), "train", size=30)
    batches = training_batches(
        store, crop_size=16, flip=True, batch_size=4, seed=3, start_step=0, stop_step=4
    )
    for x, y, measured in batches.as_numpy_iterator():
        # Grey where one of both is missing; elsewhere hardly a value is just that.
        grey = (x == 0) | (y == 0)
        assert grey[measured == 0].all()
        assert np.mean(grey[measured == 1]) < 0.01
        assert 0.05 < np.mean(measured == 0) < 0.2


def test_void_classes_of_a_target_do_not_count():
    names = ("sky", "road", "unknown")
    colors = distinct_colors(3)
    classes = (
        LabelClass(n, c, (k,), n == "unknown")
        for k, (n, c) in enumerate(zip(names, colors, strict=True))
    )
    spec = ImageSpec(3, palette=Palette("mine", tuple(classes)), ignore=("void",))
    assert spec.stored_channels == 1
    values = np.array([[[0], [2]], [[1], [2]]], np.float32)
    np.testing.assert_array_equal(spec.measured(values)[..., 0], [[1, 0], [1, 0]])


def test_all_of_an_image_that_is_measured_stays_as_it_was():
    spec = ImageSpec(1)
    assert spec.measured(np.zeros((1, 1, 1))) is None
    assert spec.stored_channels == 1


# === Masks ===


def test_colours_are_far_apart():
    colors = np.array(distinct_colors(20))
    assert colors[:2].tolist() == [[0, 0, 0], [255, 255, 255]]
    for count, least in ((8, 255), (20, 127)):
        off = np.linalg.norm(colors[:count, None] - colors[None, :count], axis=-1)
        assert off[~np.eye(count, dtype=bool)].min() >= least


@pytest.mark.parametrize("channels", [1, 3])
def test_the_palette_of_index_maps_reads_them_and_tells_them_apart(channels):
    values = np.repeat(with_value(ramp(0, 2.9, "uint8"), 255)[..., None], channels, axis=-1)
    picture = decoded(values)
    palette = find_palette([picture], lossless=True, ignore=("255",)).palette()
    assert [(c.name, c.indices, c.void) for c in palette.classes] == [
        ("class_0", (0,), False),
        ("class_1", (1,), False),
        ("class_2", (2,), False),
        ("ignore", (255,), True),
    ]
    assert palette.colors.tolist() == [list(color) for color in distinct_colors(4)]
    np.testing.assert_array_equal(palette.to_indices(classes_of(picture, palette)), values[..., 0])


def test_greys_that_are_far_apart_stay():
    picture = decoded(ramp(0, 2.9, "uint8") * 127)
    palette = find_palette([picture], lossless=True).palette()
    assert palette.colors.tolist() == [[0] * 3, [127] * 3, [254] * 3]


def test_an_indexed_image_keeps_its_indices():
    indices = ramp(0, 2.9, "uint8") + np.uint8(4)
    table = np.zeros((256, 3), np.uint8)
    table[4:7] = [[200, 0, 0], [0, 90, 0], [9, 9, 200]]
    picture = Decoded(table[indices], False, indices, ())
    palette = find_palette([picture], lossless=True).palette()
    np.testing.assert_array_equal(palette.to_indices(classes_of(picture, palette)), indices)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_index_maps_of_other_types(dtype):
    values = ramp(0, 2.9, "uint8").astype(dtype) * 300
    palette = find_palette([decoded(values)], lossless=True).palette()
    assert [c.indices for c in palette.classes] == [(0,), (300,), (600,)]
    classes = classes_of(decoded(values), palette)
    np.testing.assert_array_equal(palette.to_indices(classes), values.astype(np.uint16))


def test_a_mask_of_0_and_1_is_told_with_the_flag(tmp_path):
    for k, split in enumerate(("train", "val")):
        for side, values in (("A", ramp(0, 255, "uint8")), ("B", (ramp(0, 1) > 0.6) * 1)):
            (tmp_path / side / split).mkdir(parents=True)
            array = np.roll(values.astype(np.uint8), k, 0)
            tifffile.imwrite(tmp_path / side / split / "0.tif", array)
    source = open_dataset(str(tmp_path))
    source.check()
    assert any("values end at 1 of 255; --target_range=0:1" in note for note in source.notes())
    source = open_dataset(str(tmp_path), target_range="0:1")
    source.check()
    assert not any("values end" in note for note in source.notes())


def test_a_value_that_is_no_class_is_named_with_the_flag():
    x = np.stack([np.repeat(ramp(0, 255 - k, "uint8")[..., None], 3, -1) for k in range(4)])
    x[..., 1] = x[:, ::-1, :, 1]
    y = np.stack([with_value(ramp(0, 1.9, "uint8"), 255, 9 + k)[..., None] for k in range(4)])
    palette = Palette("two", tuple(LabelClass(c, (v, v, v), (k,)) for k, c, v in TWO))
    with pytest.raises(DataError, match="255 is no class: --target_ignore=255 leaves"):
        ArraySource((x, y), wish=PairWish(palette=palette)).check()
    wish = PairWish(y=ImageWish("target", ignore="255"), palette=palette)
    source = ArraySource((x, y), wish=wish)
    source.check()
    assert source.spec.y.ignore == ("255",)
    _, stored = source.load("train", 0)
    np.testing.assert_array_equal(
        stored[..., 1] == 0, y[int(source.pair_name("train", 0)), ..., 0] == 255
    )


def test_a_known_palette_is_not_found_where_it_lacks_a_colour():
    array = np.zeros((40, 40, 3), np.uint8)
    array[:20], array[39, 39] = (128, 0, 0), (1, 200, 1)
    found_one = find_palette([decoded(array)], lossless=True)
    assert (found_one.builtin, len(found_one.colors)) == ((), 3)
    assert find_palette([decoded(array)], lossless=False).builtin == ("camvid",)
