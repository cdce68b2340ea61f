"""What pairs are: depth, range, channels, labels and Lab, from files to networks and back."""

from __future__ import annotations

import dataclasses
import re
import warnings

import numpy as np
import pytest
from PIL import Image
from skimage import color as skcolor

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import decode, load_palette, open_dataset, write_image
from tfpix2pix.data.images import Decoded
from tfpix2pix.data.spec import ImageSpec, ImageWish, LabSpec, PairSpec, lab_of, rgb_of

FACADES = load_palette("facades")
COLORS = np.array([c.color for c in FACADES.classes], np.uint8)


def decoded(array: np.ndarray, has_alpha: bool = False) -> Decoded:
    return Decoded(array, has_alpha, None, ())


def network(side: ImageSpec, stored: np.ndarray) -> np.ndarray:
    """What a network sees of a stored array."""
    return np.asarray(side.to_network(stored.astype(np.float32)))


@pytest.fixture
def opened(tmp_path, save):
    """`opened(a, b, extensions, **options)`: a set of one pair (or of lists of them), checked."""

    def write(a, b, extensions=(".png", ".png"), **options):
        for name, arrays, extension in (("A", a, extensions[0]), ("B", b, extensions[1])):
            for index, array in enumerate(arrays if isinstance(arrays, list) else [arrays]):
                save(tmp_path / "set" / name / f"{index}{extension}", array)
        source = open_dataset(str(tmp_path / "set"), val_fraction=0, **options)
        source.check()
        return source

    return write


# === Depth ===


@pytest.mark.parametrize("extensions", [(".png", ".tif"), (".tif", ".npy"), (".npy", ".png")])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_kept(opened, draw, extensions, channels):
    a, b = (draw(seed, channels, "uint16") for seed in (1, 2))
    source = opened(a, b, extensions)
    x, y = source.load("train", 0)
    assert x.dtype == y.dtype == np.uint16
    np.testing.assert_array_equal(x, a)
    np.testing.assert_array_equal(y, b)
    assert source.spec.x == source.spec.y == ImageSpec(channels, "uint16", 0.0, 65535.0)
    assert source.spec.x.value_range == "0:65535"
    assert source.spec.stored_bytes == 2 * 2 * channels


def test_8_bits_beside_16(opened, draw):
    a, b = draw(1, 3, "uint8"), draw(2, 1, "uint16")
    source = opened(a, b)
    x, y = source.load("train", 0)
    assert (x.dtype, y.dtype) == (np.uint8, np.uint16)
    assert source.spec.describe() == "RGB, 8 bit to grey, 16 bit"
    assert source.spec.stored_bytes == 3 * 1 + 1 * 2


@pytest.mark.parametrize(
    ("side", "stored", "seen"),
    [
        (ImageSpec(1), [0, 51, 255], [-1, -0.6, 1]),
        (ImageSpec(1, "uint16", 0, 65535), [0, 13107, 65535], [-1, -0.6, 1]),
        (ImageSpec(1, "uint16", 0, 4095), [0, 819, 4095, 60000], [-1, -0.6, 1, 1]),
        (ImageSpec(1, "uint16", 1000, 3000), [0, 1000, 2500, 65535], [-1, -1, 0.5, 1]),
        (ImageSpec(1, "uint8", 100, 200), [0, 125, 255], [-1, -0.5, 1]),
        (ImageSpec(1, "float32", 0, 1), [0, 0.25, 1, 1.5], [-1, -0.5, 1, 1]),
        (ImageSpec(1, "float32", -1, 1), [-1, 0.25, 1], [-1, 0.25, 1]),
        (ImageSpec(1, "float32", -20, 60), [-20, 0, 60, -99], [-1, -0.5, 1, -1]),
    ],
)
def test_what_networks_see(side, stored, seen):
    stored = np.array(stored, side.dtype).reshape(1, -1, 1)
    image = network(side, stored)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image.ravel(), seen, atol=2e-7)
    back = side.from_network(image)
    assert back.dtype == side.dtype
    expected = np.clip(stored, side.low, side.high)
    np.testing.assert_allclose(back, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "side",
    [
        ImageSpec(1),
        ImageSpec(1, "uint8", 16, 235),
        ImageSpec(1, "uint16", 0, 65535),
        ImageSpec(1, "uint16", 0, 4095),
        ImageSpec(1, "uint16", 300, 41234),
    ],
)
def test_every_whole_value_comes_back(side):
    values = np.arange(int(side.low), int(side.high) + 1, dtype=side.dtype).reshape(1, -1, 1)
    image = network(side, values)
    assert image.min() == -1
    assert image.max() == 1
    np.testing.assert_array_equal(side.from_network(image), values)


def test_what_networks_paint_beyond_the_scale_is_clipped():
    image = np.array([-1.5, -1, 1, 1.5], np.float32).reshape(1, 4, 1)
    for side, expected in (
        (ImageSpec(1), [0, 0, 255, 255]),
        (ImageSpec(1, "uint16", 0, 65535), [0, 0, 65535, 65535]),
        (ImageSpec(1, "uint16", 10.5, 20.5), [11, 11, 20, 20]),  # whole numbers inside the range
    ):
        np.testing.assert_array_equal(side.from_network(image).ravel(), expected)


def test_depth_is_converted_where_it_is_wished(opened, draw):
    a, b = draw(1, 1, "uint8"), draw(2, 1, "uint16")
    source = opened(a, b, input_dtype="uint16", target_dtype="uint8")
    x, y = source.load("train", 0)
    np.testing.assert_array_equal(x, a.astype(np.uint16) * 257)
    np.testing.assert_array_equal(y, np.rint(b / 257).astype(np.uint8))
    assert (source.spec.x.high, source.spec.y.high) == (65535, 255)
    assert source.notes() == ["1 image: 16 bits reduced to 8", "1 image: 8 bits brought to 16"]


# === Ranges ===


def test_floats_get_their_range_from_the_training_images(tmp_path, draw, save):
    unit = draw(1, 1, "float32")
    for low, high, expected in (
        (0.2, 0.9, (0.0, 1.0)),
        (0.0, 1.0, (0.0, 1.0)),
        (-0.1, 0.5, (-1.0, 1.0)),
        (-3.0, 0.5, (-3.0, 0.5)),
        (0.0, 900.0, (0.0, 900.0)),
    ):
        folder = tmp_path / f"{low}_{high}"
        values = np.float32(low) + unit * np.float32(high - low)
        values.flat[:2] = low, high
        for side in "AB":
            save(folder / side / "train" / "1.npy", values)
            # What val shows must not decide.
            save(folder / side / "val" / "1.npy", values * 50 - 7)
        source = open_dataset(str(folder))
        source.check()
        limits = (source.spec.x.low, source.spec.x.high)
        assert limits == pytest.approx(expected, rel=1e-7)
        # As the config holds it, it is the same range again.
        assert ImageWish("input", value_range=source.spec.x.value_range).limits() == limits
        x, _ = source.load("val", 0)
        seen = network(source.spec.x, x)
        assert seen.min() >= -1
        assert seen.max() <= 1


def test_a_range_of_ones_own(opened, draw):
    a = draw(1, 1, "float32") * 100 - 50
    source = opened(a, draw(2), (".tif", ".png"), input_range="-25:75", target_range="0:100")
    spec = source.spec
    assert (spec.x.low, spec.x.high, spec.x.value_range) == (-25, 75, "-25:75")
    x, y = source.load("train", 0)
    np.testing.assert_array_equal(x, a)  # stored as they are, clipped for the network
    np.testing.assert_allclose(network(spec.x, x), np.clip((a - 25) / 50, -1, 1), atol=1e-6)
    np.testing.assert_allclose(network(spec.y, y), np.clip(y / 50.0 - 1, -1, 1), atol=1e-6)
    assert spec.describe() == "grey, 32-bit float, -25:75 to RGB, 8 bit, 0:100"


def test_12_bits_in_16_are_noticed(opened, draw):
    a = draw(1, 1, "uint16") >> 4
    a.flat[0] = 4000
    source = opened(a, draw(2, 1, "uint16"))
    (note,) = source.notes()
    assert "of 65,535; --input_range=0:4095 would use the whole scale" in note
    assert source.spec.x.high == 65535
    assert opened(a, draw(2, 1, "uint16"), input_range="0:4095").notes() == []


def test_floats_of_one_value_are_refused(tmp_path, save, draw, refusal):
    save(tmp_path / "A" / "1.npy", np.full((12, 16, 1), 3, np.float32))
    save(tmp_path / "B" / "1.png", draw(1))
    message = refusal(tmp_path, val_fraction=0)
    assert "every value of the input is 3, so there is nothing to learn" in message
    source = open_dataset(str(tmp_path), val_fraction=0, input_range="0:6")
    source.check()
    assert not network(source.spec.x, source.load("train", 0)[0]).any()


# === Channels ===


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 5, 7])
def test_any_number_of_channels(opened, draw, dtype, channels):
    a, b = draw(1, channels, dtype), draw(2, 1, dtype)
    source = opened(a, b, (".npy", ".npy"))
    x, y = source.load("train", 0)
    np.testing.assert_array_equal(x, a)
    np.testing.assert_array_equal(y, b)
    assert source.spec.x.channels == channels
    assert source.spec.x.picture(network(source.spec.x, x)).shape[-1] == (1 if channels == 2 else 3)


def test_grey_and_colour_turn_into_each_other(opened, draw):
    grey, colour = draw(1, 1), draw(2, 3)
    source = opened(grey, colour, input_channels=3, target_channels=1)
    x, y = source.load("train", 0)
    np.testing.assert_array_equal(x, np.repeat(grey, 3, axis=-1))
    np.testing.assert_array_equal(y[..., 0], np.asarray(Image.fromarray(colour).convert("L")))
    assert source.notes() == [
        "1 image: colour image reduced to grey",
        "1 image: grey image repeated into 3 channels",
    ]


def test_alpha_is_placed_on_white_unless_asked_for(opened, draw):
    rgba, la = draw(1, 4), draw(2, 2)
    source = opened(rgba, la)
    x, y = source.load("train", 0)
    white = Image.new("RGBA", (16, 12), "white")
    on_white = Image.alpha_composite(white, Image.fromarray(rgba)).convert("RGB")
    np.testing.assert_allclose(x.astype(int), np.asarray(on_white), atol=1)
    value, alpha = la[..., 0] / 255, la[..., 1] / 255
    np.testing.assert_allclose(y[..., 0], 255 * (value * alpha + 1 - alpha), atol=0.51)
    assert source.notes() == ["2 images: transparency placed on white"]

    source = opened(rgba, la, input_channels=4, target_channels=2)
    x, y = source.load("train", 0)
    np.testing.assert_array_equal(x, rgba)
    np.testing.assert_array_equal(y, la)
    assert source.notes() == []
    assert source.spec.describe() == "RGBA, 8 bit to grey with alpha, 8 bit"


def test_alpha_is_added_where_it_is_asked_for(opened, draw):
    source = opened(draw(1, 3), draw(2, 1), input_channels=4, target_channels=2)
    x, y = source.load("train", 0)
    assert (x[..., 3] == 255).all()
    assert (y[..., 1] == 255).all()


def test_some_files_with_alpha_are_no_mixture(opened, draw):
    source = opened([draw(1, 3), draw(2, 4)], [draw(3), draw(4)])
    assert source.spec.x.channels == 3


# === Mixtures and their remedies ===


def test_mixed_channels(tmp_path, draw, save, refusal, loaded):
    for index in range(4):
        save(tmp_path / "A" / f"{index}.png", draw(index, 3 if index else 1))
        save(tmp_path / "B" / f"{index}.png", draw(index))
    message = refusal(tmp_path, val_fraction=0)
    assert "1 of 8 images cannot be used" in message
    assert (
        "1 of another number of channels (the others: 3); --input_channels=3 makes them alike:\n"
        "    A/0.png: 1"
    ) in message
    source = open_dataset(str(tmp_path), val_fraction=0, input_channels=3)
    source.check()
    assert {x.shape for x, _ in loaded(source).values()} == {(12, 16, 3)}
    # The other way round it is the target.
    assert "--target_channels=3" in refusal(tmp_path, val_fraction=0, direction="BtoA")


def test_mixed_channels_side_by_side(tmp_path, draw, save, refusal):
    for index in range(4):
        save(tmp_path / "train" / f"{index}.png", draw(index, 3 if index else 1, width=32))
    message = refusal(tmp_path)
    assert "1 of 4 images cannot be used" in message
    assert "--input_channels=3 --target_channels=3 makes them alike" in message
    source = open_dataset(str(tmp_path), input_channels=3, target_channels=3)
    source.check()
    assert source.spec.y.channels == 3


def test_mixed_channels_without_a_remedy(tmp_path, draw, save, refusal):
    for index, channels in enumerate((3, 3, 5)):
        save(tmp_path / "A" / f"{index}.npy", draw(index, channels))
        save(tmp_path / "B" / f"{index}.png", draw(index))
    message = refusal(tmp_path, val_fraction=0)
    assert "of another number of channels (the others: 3); convert them to one" in message
    message = refusal(tmp_path, val_fraction=0, input_channels=3)
    assert "1 of other channels than --input_channels=3 can be made of" in message
    assert "A/2.npy: an image of 5 channels does not turn into one of 3" in message


def test_mixed_depths(tmp_path, draw, save, refusal, loaded):
    for index in range(4):
        save(tmp_path / "A" / f"{index}.png", draw(index))
        save(tmp_path / "B" / f"{index}.png", draw(index, 1, "uint16" if index else "uint8"))
    message = refusal(tmp_path, val_fraction=0)
    assert (
        "1 of another depth (the others: 16 bit); --target_dtype=uint16 makes them alike:\n"
        "    B/0.png: 8 bit"
    ) in message
    source = open_dataset(str(tmp_path), val_fraction=0, target_dtype="uint16")
    source.check()
    pairs = loaded(source)
    assert {y.dtype.name for _, y in pairs.values()} == {"uint16"}
    np.testing.assert_array_equal(pairs["0"][1], draw(0, 1, "uint8").astype(np.uint16) * 257)


def test_floats_among_whole_numbers(tmp_path, draw, save, refusal):
    for index, dtype in enumerate(("float32", "float32", "uint16")):
        save(tmp_path / "A" / f"{index}.tif", draw(index, 1, dtype))
        save(tmp_path / "B" / f"{index}.png", draw(index))
    message = refusal(tmp_path, val_fraction=0)
    assert "1 of another depth (the others: 32-bit float); convert them to one" in message
    message = refusal(tmp_path, val_fraction=0, input_dtype="uint8")
    assert "2 of a depth that cannot become --input_dtype=uint8; convert them" in message


# === Labels ===


def label_image(seed: int, block: int = 8, rows: int = 3, columns: int = 4):
    """Classes [H, W] in blocks, and the same painted in the palette's colours."""
    coarse = np.random.default_rng(seed).integers(0, len(FACADES), (rows, columns), np.uint8)
    coarse.flat[:12] = np.arange(12)
    classes = coarse.repeat(block, 0).repeat(block, 1)
    return classes, COLORS[classes]


def test_one_hot(opened, draw):
    classes, colors = label_image(0)
    source = opened(
        colors, draw(1, height=24, width=32), label_palette="facades", input_encoding="onehot"
    )
    spec = source.spec
    assert (spec.x.channels, spec.x.stored_channels, spec.label_side) == (12, 1, "input")
    x, _ = source.load("train", 0)
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(x[..., 0], classes)
    seen = network(spec.x, x)
    assert seen.shape == (24, 32, 12)
    np.testing.assert_array_equal(seen, np.eye(12, dtype=np.float32)[classes])
    np.testing.assert_array_equal(spec.x.picture(seen), colors)
    assert spec.describe().startswith("12 classes of 'facades' (onehot) to RGB")
    assert spec.stored_bytes == 1 + 3


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_labels_in_colours_and_on_whichever_side(opened, draw, direction):
    classes, colors = label_image(0)
    photo = draw(1, height=24, width=32)
    source = opened(colors, photo, label_palette="facades", direction=direction)
    side = source.spec.x if direction == "AtoB" else source.spec.y
    assert source.spec.label_side == ("input" if direction == "AtoB" else "target")
    assert (side.channels, side.encoding) == (3, "color")
    stored = source.load("train", 0)[direction == "BtoA"]
    np.testing.assert_array_equal(stored[..., 0], classes)
    np.testing.assert_allclose(
        network(side, stored), colors.astype(np.float32) / 127.5 - 1, atol=1e-6
    )
    np.testing.assert_array_equal(side.from_network(network(side, stored)), colors)


def test_colours_that_jpeg_smeared_snap_back(tmp_path, draw, save):
    classes, colors = label_image(0, block=16)
    pair = np.hstack([draw(1, height=48, width=64), colors])
    (tmp_path / "train").mkdir()
    Image.fromarray(pair).save(tmp_path / "train" / "1.jpg", quality=75)
    source = open_dataset(str(tmp_path), label_palette="facades", direction="BtoA")
    source.check()
    x, _ = source.load("train", 0)
    inside = np.zeros((48, 64), bool)
    for row in range(0, 48, 16):
        for column in range(0, 64, 16):
            inside[row + 2 : row + 14, column + 2 : column + 14] = True
    np.testing.assert_array_equal(x[..., 0][inside], classes[inside])


@pytest.mark.parametrize("kind", ["grey", "grey 16 bit", "indexed", "indexed in true colours"])
def test_index_maps_are_read_as_they_are(tmp_path, draw, save, kind):
    classes, _ = label_image(0)
    values = classes + 1  # CMP's own numbers start at 1
    save(tmp_path / "B" / "1.png", draw(1, height=24, width=32))
    path = tmp_path / "A" / "1.png"
    if kind == "grey":
        save(path, values[..., None])
    elif kind == "grey 16 bit":
        save(path, values[..., None].astype(np.uint16))
    else:
        table = np.random.default_rng(3).integers(0, 30, (256, 3), np.uint8)
        if kind == "indexed in true colours":
            # The numbers say another class than the colours: people see the colours.
            values = np.uint8(12) - classes
            table[:13] = 0
            table[12 - np.arange(12)] = COLORS
        path.parent.mkdir(parents=True)
        indexed = Image.fromarray(values)
        indexed.putpalette(table.tobytes())
        assert indexed.mode == "P"
        indexed.save(path)
    for encoding in ("color", "onehot"):
        source = open_dataset(
            str(tmp_path), val_fraction=0, label_palette="facades", input_encoding=encoding
        )
        source.check()
        assert source.spec.label_side == "input"
        np.testing.assert_array_equal(source.load("train", 0)[0][..., 0], classes)


def test_index_maps_beside_the_pairs(tmp_path, draw, save):
    """As ../shared/data/camvid has them: train_index/ holds what train/ shows in colours."""
    classes, colors = label_image(0)
    photo = draw(1, height=24, width=32)
    other = (classes + 1) % 12
    save(tmp_path / "train" / "1.png", np.hstack([photo, colors]))
    save(tmp_path / "train" / "2.png", np.hstack([photo, colors]))
    save(tmp_path / "train_index" / "1.png", (other + 1)[..., None].astype(np.uint8))
    for direction, side in (("BtoA", 0), ("AtoB", 1)):
        source = open_dataset(str(tmp_path), label_palette="facades", direction=direction)
        source.check()
        assert "1 of 2 label images of train are read from train_index/" in source.notes()
        np.testing.assert_array_equal(source.load("train", 0)[side][..., 0], other)
        np.testing.assert_array_equal(source.load("train", 1)[side][..., 0], classes)
    # Without a palette they are another folder.
    assert open_dataset(str(tmp_path)).load("train", 0)[1].shape == (24, 32, 3)


def test_index_maps_beside_the_pairs_that_do_not_fit(tmp_path, draw, save, refusal):
    _, colors = label_image(0)
    for index in (1, 2):
        pair = np.hstack([draw(1, height=24, width=32), colors])
        save(tmp_path / "train" / f"{index}.png", pair)
    save(tmp_path / "train_index" / "1.png", np.full((24, 32, 1), 99, np.uint8))
    save(tmp_path / "train_index" / "2.png", np.ones((20, 32, 1), np.uint8))
    message = refusal(tmp_path, label_palette="facades")
    assert "2 index maps that do not fit" in message
    assert "train_index/1.png: index value 99 not in the palette 'facades'" in message
    assert "train_index/2.png: 32x20 (width x height), where its pair's images are 32x24" in message


def test_a_palette_that_does_not_cover(opened, draw, tmp_path, refusal):
    _, colors = label_image(0)
    opened(colors, draw(1, height=24, width=32))
    folder = tmp_path / "set"
    message = refusal(folder, val_fraction=0, label_palette="camvid")
    assert "--label_palette=camvid: its colours cover " in message
    assert "at least 90% of a label image's are expected" in message
    assert "\n" not in message
    # The side that was named is looked at, and no other.
    message = refusal(folder, val_fraction=0, label_palette="facades", label_side="target")
    assert re.search(r"its colours cover \d% of the target's pixels", message)
    message = refusal(
        folder,
        val_fraction=0,
        label_palette="facades",
        input_encoding="onehot",
        direction="BtoA",
    )
    assert re.search(r"its colours cover \d% of the input's pixels", message)
    assert "check --direction" in message


def test_other_channels_than_labels_have(opened, draw, tmp_path, refusal):
    _, colors = label_image(0)
    opened(colors, draw(1, height=24, width=32))
    message = refusal(tmp_path / "set", val_fraction=0, label_palette="facades", input_channels=1)
    assert "--input_channels=1: --label_palette=facades (color) makes that 3; drop" in message


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"input_dtype": "uint16"}, "--input_dtype=uint16: --color_space=lab makes that float32"),
        ({"target_channels": 3}, "--target_channels=3: --color_space=lab makes that 2"),
        ({"input_range": "0:255"}, "--input_range=0:255: --color_space=lab makes that 0:100"),
    ],
)
def test_what_lab_settles_cannot_be_asked_for_otherwise(flags, said):
    with pytest.raises(DataError, match=said):
        open_dataset("sample", color_space="lab", **flags)
    # What a run has recorded of it is the same again.
    spec = open_dataset("sample", color_space="lab").spec
    again = open_dataset(
        "sample",
        color_space="lab",
        input_channels=1,
        target_channels=2,
        input_dtype="float32",
        target_dtype="float32",
        input_range=spec.x.value_range,
        target_range=spec.y.value_range,
    )
    assert again.spec == spec


# === Lab ===


def test_lab_is_that_of_scikit_image(opened, draw):
    grey, photo = draw(1, 1), draw(2)
    source = opened(grey, photo, color_space="lab")
    x, y = source.load("train", 0)
    lab = skcolor.rgb2lab(photo)  # float64
    assert x.dtype == y.dtype == np.float32
    np.testing.assert_allclose(x, lab[..., :1], atol=1e-3)
    np.testing.assert_allclose(y, lab[..., 1:], atol=2e-3)
    spec = source.spec
    np.testing.assert_allclose(network(spec.x, x), lab[..., :1] / 50 - 1, atol=1e-4)
    np.testing.assert_allclose(network(spec.y, y), lab[..., 1:] / 110, atol=1e-4)
    assert spec.describe() == "L to ab of CIELAB"


def test_lab_limits_hold_every_colour():
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 15, np.uint8)] * 3), -1).reshape(1, -1, 3)
    lab = lab_of(decoded(cube))
    assert lab[..., 0].min() >= 0
    assert lab[..., 0].max() <= 100.001
    assert abs(lab[..., 1:]).max() < 110


def test_lab_there_and_back_keeps_every_level():
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 5, np.uint8)] * 3), -1).reshape(52, -1, 3)
    spec = LabSpec()
    x, y = spec.store(decoded(cube), decoded(cube))
    x, y = network(spec.x, x), network(spec.y, y)
    result = spec.result(x, y)
    assert result.dtype == np.uint8
    assert abs(result.astype(int) - cube).max() <= 1
    np.testing.assert_array_equal(spec.picture_of_y(x, y), result)
    np.testing.assert_array_equal(spec.levels(x, y), result)
    assert spec.suffix == ".png"


def test_lab_of_grey_16_bits_and_transparency(draw):
    grey = draw(1, 1)
    np.testing.assert_allclose(
        lab_of(decoded(grey)), lab_of(decoded(np.repeat(grey, 3, -1))), atol=1e-5
    )
    deep = draw(1, 3, "uint16")
    np.testing.assert_allclose(lab_of(decoded(deep)), skcolor.rgb2lab(deep / 65535.0), atol=2e-3)
    with pytest.raises(ValueError, match="a float image"):
        lab_of(decoded(draw(1, 3, "float32")))


def test_colours_beyond_the_screen_are_clipped_silently():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rgb = rgb_of(np.array([[[50.0, 110.0, -110.0]]], np.float32))
    assert rgb.dtype == np.uint8


def test_lab_of_something_else_is_refused(tmp_path, draw, save, refusal):
    for side, channels, dtype in (("A", 1, "uint8"), ("B", 5, "uint8")):
        save(tmp_path / side / "1.npy", draw(1, channels, dtype))
        save(tmp_path / side / "2.npy", draw(1, 3, "float32"))
    message = refusal(tmp_path, val_fraction=0, color_space="lab")
    assert "2 no photographs of 8 or 16 bits" in message
    assert "B/1.npy: 5 channels, uint8" in message
    assert "B/2.npy: 3 channels, float32" in message


# === Files of inputs and results ===

LAB = LabSpec()
SIDES = {
    "8 bit RGB": ImageSpec(3),
    "8 bit grey": ImageSpec(1),
    "RGBA": ImageSpec(4),
    "16 bit grey": ImageSpec(1, "uint16", 0, 65535),
    "12 bit": ImageSpec(1, "uint16", 0, 4095),
    "16 bit RGBA": ImageSpec(4, "uint16", 0, 65535),
    "floats": ImageSpec(1, "float32", 0, 1),
    "floats of a range": ImageSpec(3, "float32", -20.25, 60.5),
    "five channels": ImageSpec(5, "float32", 0, 1),
    "seven channels of 8 bits": ImageSpec(7),
    "labels": ImageSpec(3, palette=FACADES),
    "one-hot": ImageSpec(12, palette=FACADES, encoding="onehot"),
}


def stored_of(side: ImageSpec) -> np.ndarray:
    """A stored array of a side that uses its whole range."""
    dice = np.random.default_rng(5)
    if side.is_classes:
        return dice.integers(0, len(FACADES), (24, 32, 1), np.uint8).repeat(2, 0).repeat(2, 1)
    values = side.low + dice.random((24, 32, side.channels)) * (side.high - side.low)
    if side.dtype != "float32":
        values = np.rint(values)
    return values.astype(side.dtype)


@pytest.mark.parametrize("name", SIDES)
def test_an_input_file_reads_back_as_the_same_input(tmp_path, name):
    side = SIDES[name]
    spec = PairSpec(side, ImageSpec(3))
    x = network(side, stored_of(side))
    array = spec.input_file(x)
    extension = ".tif" if side.dtype == "float32" or array.shape[-1] > 4 else ".png"
    write_image(tmp_path / f"x{extension}", array)
    notes = []
    again = spec.read_input(decode(tmp_path / f"x{extension}"), notes)
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, x, atol=2e-7)
    assert notes == []


def test_an_input_file_of_lab_reads_back_as_the_same_lightness(tmp_path):
    x = np.linspace(-1, 1, 256, dtype=np.float32).reshape(16, 16, 1)
    write_image(tmp_path / "x.png", LAB.input_file(x))
    # An 8-bit step of grey is at most 0.56 of L's 100, half of it rounding.
    np.testing.assert_allclose(LAB.read_input(decode(tmp_path / "x.png")), x, atol=0.3 / 50)


@pytest.mark.parametrize("name", [*SIDES, "lab"])
def test_what_a_run_takes_and_gives_is_told(name):
    side = SIDES.get(name)
    spec = PairSpec(side, SIDES["16 bit grey"]) if side else LAB
    x = network(side, stored_of(side)) if side else np.zeros((8, 8, 1), np.float32)
    array = spec.input_file(x)
    picture = decoded(array)
    for given in (array, spec.input_pixels(picture)):
        assert given.dtype == spec.input_image.dtype
        assert given.shape[-1] == spec.input_image.channels
    np.testing.assert_array_equal(spec.input_pixels(picture), array)
    assert len(spec.channel_names["x"]) == spec.x.channels == x.shape[-1]
    result = spec.result(x, np.zeros((*x.shape[:2], spec.y.channels), np.float32))
    assert result.dtype == spec.result_image.dtype
    assert result.shape[-1] == spec.result_image.channels


def test_lab_is_like_nothing_but_lab():
    assert LAB.is_like(LabSpec())
    assert not LAB.is_like(PairSpec(LAB.x, LAB.y))
    assert not PairSpec(LAB.x, LAB.y).is_like(LAB)
    one, other = (PairSpec(ImageSpec(1, "float32", 0, 1 + d), ImageSpec(3)) for d in (0, 1e-8))
    assert one.is_like(other)
    assert not one.is_like(PairSpec(ImageSpec(1, "float32", 0, 1.1), ImageSpec(3)))
    assert not one.is_like(PairSpec(one.y, one.x))


@pytest.mark.parametrize("name", SIDES)
def test_results_have_the_depth_and_range_of_targets(tmp_path, name):
    side = SIDES[name]
    spec = PairSpec(ImageSpec(3), side)
    stored = stored_of(side)
    result = spec.result(np.zeros((48, 64, 3), np.float32), network(side, stored))
    expected = COLORS[stored[..., 0]] if side.is_classes else stored
    assert result.dtype == side.dtype
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-5)
    # The usual extension holds it.
    write_image(tmp_path / f"y{spec.suffix}", result)
    np.testing.assert_array_equal(decode(tmp_path / f"y{spec.suffix}").array, result)


@pytest.mark.parametrize(
    ("side", "image", "levels"),
    [
        (ImageSpec(1), [-1, 0.2, 1], [0, 153, 255]),
        # 16 bits are measured in steps of their own: 0.2 is 39321.
        (ImageSpec(1, "uint16", 0, 65535), [-1, 0.2, 1], [0, 39321 / 257, 255]),
        (ImageSpec(1, "uint16", 1000, 2000), [-1, 0.2, 1, 1.5], [0, 0.6 * 255, 255, 255]),
        (ImageSpec(1, "float32", -20, 60), [-1, 0.2, 1], [0, 0.6 * 255, 255]),
        (ImageSpec(1, "uint8", 100, 200), [-1, 0, 1], [0, 127.5, 255]),
    ],
)
def test_levels_for_measures(side, image, levels):
    found = side.levels(np.array(image, np.float32).reshape(1, -1, 1))
    np.testing.assert_allclose(found.ravel(), levels, atol=1e-4)
    assert found.dtype == (np.uint8 if side == ImageSpec(1) else np.float64)


def test_pictures_for_people():
    ramp = np.linspace(-1, 1, 5, dtype=np.float32).reshape(1, 5, 1)
    expected = [[0, 64, 128, 191, 255]]
    for side in (ImageSpec(1), ImageSpec(1, "uint16", 0, 4095), ImageSpec(1, "float32", -3, 9)):
        np.testing.assert_array_equal(side.picture(ramp)[..., 0], expected)
    five = np.concatenate([ramp, -ramp, ramp, ramp, ramp], -1)
    assert ImageSpec(5).picture(five).shape == (1, 5, 3)
    np.testing.assert_array_equal(ImageSpec(5).picture(five)[..., 1], np.array(expected)[:, ::-1])


# === Arrays that do not fit ===


def test_pictures_of_another_form_are_refused(draw):
    spec = PairSpec(ImageSpec(3), ImageSpec(1, "uint16", 0, 65535))
    with pytest.raises(ValueError, match="5 channels does not turn into one of 3"):
        spec.store(decoded(draw(1, 5)), decoded(draw(1, 1)))
    with pytest.raises(ValueError, match="float32 values do not turn into uint16"):
        spec.store(decoded(draw(1, 3)), decoded(draw(1, 1, "float32")))
    with pytest.raises(ValueError, match="images of 16x12 and 18x12"):
        spec.store(decoded(draw(1)), decoded(draw(1, width=18)))
    labels = dataclasses.replace(spec, x=ImageSpec(3, palette=FACADES))
    for wrong, said in (
        (draw(1, 3, "float32"), "float32 values do not turn into uint8"),
        (draw(1, 1, "float32"), "not whole"),
        (draw(1, 5), "5 channels does not turn into one of 3"),
    ):
        with pytest.raises(ValueError, match=said):
            labels.store(decoded(wrong), decoded(draw(1, 1, "uint16")))


def test_reading_an_input_says_what_it_changed(draw):
    spec = PairSpec(ImageSpec(1, "uint16", 0, 65535), ImageSpec(3))
    notes = []
    x = spec.read_input(decoded(draw(1, 4), has_alpha=True), notes)
    assert x.shape == (12, 16, 1)
    assert notes == [
        "transparency placed on white",
        "colour image reduced to grey",
        "uint8 values brought to uint16",
    ]


def test_an_unsettled_form_settles_itself_once(opened, draw, tmp_path):
    opened(draw(1), draw(2))
    source = open_dataset(str(tmp_path / "set"), val_fraction=0)
    assert source.spec is source.spec
    (tmp_path / "set" / "A" / "0.png").write_bytes(b"")
    assert source.spec.x == ImageSpec(3)
    with pytest.raises(DataError, match=r"A/0\.png: an empty file"):
        _ = open_dataset(str(tmp_path / "set"), val_fraction=0).spec


# === Images like the targets ===


def test_a_target_of_its_own_is_read_as_training_reads_it(draw):
    spec = PairSpec(ImageSpec(3), ImageSpec(1, "uint16", 0, 4095))
    pixels = draw(1, 1, "uint16") % 4096
    notes: list[str] = []
    np.testing.assert_array_equal(spec.read_target(decoded(pixels), notes), network(spec.y, pixels))
    assert notes == []
    with pytest.raises(ValueError, match="an image of 5 channels does not turn into one of 1"):
        spec.read_target(decoded(np.zeros((4, 4, 5), np.uint8)))
    photo = draw(2, 3, "uint8")
    expected = network(LAB.y, lab_of(decoded(photo))[..., 1:])
    np.testing.assert_array_equal(LAB.read_target(decoded(photo)), expected)


def test_labels_are_told_from_what_is_none(draw):
    labels = ImageSpec(3, palette=FACADES)
    painted, photo = decoded(COLORS[np.arange(64).reshape(8, 8) % 12]), decoded(draw(1, 3, "uint8"))
    indices = decoded((np.arange(64).reshape(8, 8, 1) % 12 + 1).astype(np.uint8))
    to_photo, to_labels = PairSpec(labels, ImageSpec(3)), PairSpec(ImageSpec(3), labels)
    for shown, other, fits in (
        (photo, painted, to_photo), (photo, indices, to_photo),
        (painted, photo, to_labels), (indices, photo, to_labels),
    ):  # fmt: skip
        fits.check_target(shown)
        with pytest.raises(ValueError, match=r"it shows (no )?labels of 'facades'"):
            fits.check_target(other)
    PairSpec(ImageSpec(3), ImageSpec(3)).check_target(painted)  # who knows?
