"""Pictures in the graph become what the same pictures become outside of it."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.data import Decoded, decode
from tfpix2pix.data.label_classes import LabelClass, Palette
from tfpix2pix.data.spec import ImageSpec, LabSpec, PairSpec
from tfpix2pix.export.savedmodel.graph_spec import GraphSpec
from tfpix2pix.inference import pad

PALETTE = Palette(
    "test",
    (
        LabelClass("sky", (0, 0, 0), (0, 9)),
        LabelClass("wall", (255, 0, 0), (1,)),
        LabelClass("roof", (250, 10, 0), (2,)),
        LabelClass("tree", (0, 200, 90), (7,)),
        LabelClass("void", (128, 128, 128), (255,), void=True),
    ),
)
EIGHT, SIXTEEN = ("uint8", 0.0, 255.0), ("uint16", 0.0, 65535.0)
SIDES = {
    "rgb": ImageSpec(3),
    "grey": ImageSpec(1),
    "rgba": ImageSpec(4),
    "grey with alpha": ImageSpec(2),
    "five channels": ImageSpec(5),
    "16 bits": ImageSpec(3, *SIXTEEN),
    "8 bits of a range": ImageSpec(1, "uint8", 16.0, 235.0),
    "8 bits of a broken range": ImageSpec(3, "uint8", 16.5, 200.25),
    "16 bits of a range": ImageSpec(1, "uint16", 100.0, 4095.0),
    "floats of a range": ImageSpec(3, "float32", -2.5, 7.0),
    "floats": ImageSpec(1, "float32", 0.0, 1.0),
}


def stored(side: ImageSpec, seed: int = 0, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    """Values of the side's type, some of them outside of its range."""
    random = np.random.default_rng(seed)
    shape = (*size, side.channels)
    if side.dtype == "float32":
        return random.uniform(side.low - 1, side.high + 1, shape).astype(np.float32)
    top = np.iinfo(side.dtype).max
    return random.integers(0, top, shape, side.dtype, endpoint=True)


def decoded(array: np.ndarray) -> Decoded:
    return Decoded(array, False, None, ())


def levels(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


# === Values ===


@pytest.mark.parametrize("side", SIDES.values(), ids=SIDES)
def test_x_is_that_of_the_spec(side):
    spec = PairSpec(side, ImageSpec(3))
    images = [stored(side, seed) for seed in (0, 1)]
    expected = [spec.read_input(decoded(image)) for image in images]
    graph = tf.function(GraphSpec(spec).to_x, autograph=False)
    found = graph(tf.constant(np.stack(images))).numpy()
    # TensorFlow's optimiser turns the division into a product with the reciprocal.
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=1.2e-7)
    assert found.min() >= -1
    assert found.max() <= 1


@pytest.mark.parametrize("side", SIDES.values(), ids=SIDES)
def test_results_are_those_of_the_spec(side):
    spec = PairSpec(ImageSpec(3), side)
    y = np.random.default_rng(0).uniform(-1, 1, (2, 60, 70, side.channels)).astype(np.float32)
    y[0, 0, 0], y[0, 0, 1] = -1, 1
    # Half-way values, which round to the even one.
    y[0, 1] = np.float32((127.5 + np.arange(70) % 5) / 127.5 - 1)[:, None]
    expected = spec.result(None, y)
    graph = GraphSpec(spec)
    found = tf.function(graph.from_y, autograph=False)(tf.zeros([2, 60, 70, 3]), y).numpy()
    assert found.dtype == expected.dtype == graph.output_dtype.as_numpy_dtype
    if side.dtype == "float32":
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 40), (3, 2), (5, 70), (31, 57), (32, 64), (64, 1), (16, 33), (7, 200)],
)
def test_padding_is_that_of_translate(height, width):
    graph = GraphSpec(PairSpec(ImageSpec(3), ImageSpec(3)))
    padded = tf.function(
        lambda x: graph.pad(x, 32),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
        autograph=False,
    )
    x = np.random.default_rng(0).uniform(-1, 1, (2, height, width, 3)).astype(np.float32)
    np.testing.assert_array_equal(padded(x).numpy(), np.stack([pad(image, 32) for image in x]))


# === Labels ===


def test_smeared_colours_snap_to_those_that_the_palette_says():
    random = np.random.default_rng(0)
    classes = np.repeat(np.repeat(random.integers(0, 5, (8, 8)), 6, 0), 6, 1)
    file = io.BytesIO()
    Image.fromarray(PALETTE.to_colors(classes)).save(file, "JPEG", quality=60)
    smeared = decode(file.getvalue()).array
    assert (smeared != PALETTE.to_colors(classes)).mean() > 0.1
    noise = random.integers(0, 256, (64, 64, 3), np.uint8)
    for encoding in ("color", "onehot"):
        channels = 3 if encoding == "color" else len(PALETTE)
        spec = PairSpec(ImageSpec(channels, palette=PALETTE, encoding=encoding), ImageSpec(3))
        graph = GraphSpec(spec)
        for image in (smeared, noise):
            expected = spec.read_input(decoded(image))
            np.testing.assert_array_equal(graph.to_x(tf.constant(image[None]))[0], expected)


def test_of_two_equally_near_colours_the_first_counts():
    palette = Palette("two", (LabelClass("a", (0, 0, 10), (0,)), LabelClass("b", (0, 0, 20), (1,))))
    spec = PairSpec(ImageSpec(2, palette=palette, encoding="onehot"), ImageSpec(3))
    x = GraphSpec(spec).to_x(tf.constant([[[[0, 0, 15], [0, 0, 16]]]], tf.uint8))
    assert x.numpy().tolist() == [[[[1, 0], [0, 1]]]]


# === Lab ===


def test_lab_is_that_of_the_form_within_a_level():
    spec = LabSpec()
    graph = GraphSpec(spec)
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (64, 64, 3), np.uint8)
    image[0, 0], image[0, 1] = 0, 255
    image[1] = random.integers(0, 12, (64, 3))  # where the curves are straight
    x = spec.read_input(decoded(image))
    np.testing.assert_allclose(graph.to_x(tf.constant(image[None]))[0], x, rtol=0, atol=1e-4)
    y = random.uniform(-1, 1, (64, 64, 2)).astype(np.float32)
    y[:, :32] /= 8  # colours that screens show
    expected = spec.result(x, y)
    found = graph.from_y(tf.constant(x[None]), tf.constant(y[None]))[0].numpy()
    assert found.dtype == np.uint8
    assert levels(found, expected) <= 1
    assert np.mean(found != expected) < 0.01


# === Files ===


def png(array: np.ndarray, **options) -> bytes:
    array = np.squeeze(array)
    if array.dtype == np.uint16:
        return imagecodecs.png_encode(np.ascontiguousarray(array))
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", **options)
    return file.getvalue()


def jpeg(array: np.ndarray, orientation: int = 0, order: str = "big") -> bytes:
    file = io.BytesIO()
    options = {}
    if orientation:
        exif = Image.Exif()
        exif.endian = ">" if order == "big" else "<"
        exif[0x010F] = "a camera"
        exif[0x0112] = orientation
        options["exif"] = exif
    Image.fromarray(np.squeeze(array)).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def pixels(*shape: int, dtype=np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def key_png() -> bytes:
    image = pixels(9, 7, 3)
    image[:3] = (10, 20, 30)
    return png(image, transparency=(10, 20, 30))


FILES = {
    "grey": png(pixels(9, 7)),
    "rgb": png(pixels(9, 7, 3)),
    "grey with alpha": png(pixels(9, 7, 2)),
    "rgba": png(pixels(9, 7, 4)),
    "grey 16": png(pixels(9, 7, dtype=np.uint16)),
    "rgb 16": png(pixels(9, 7, 3, dtype=np.uint16)),
    "rgba 16": png(pixels(9, 7, 4, dtype=np.uint16)),
    "one pixel": png(pixels(1, 1, 4)[:, :, :3].repeat(2, 0)),
    "a transparent colour": key_png(),
    "indexed": png(np.asarray(Image.fromarray(pixels(9, 7, 3)).quantize(5).convert("RGB"))),
    "jpeg": jpeg(pixels(19, 27, 3)),
    "grey jpeg": jpeg(pixels(19, 27)),
    **{f"jpeg turned {i}": jpeg(pixels(19, 27, 3), i) for i in range(2, 9)},
    "jpeg turned, little endian": jpeg(pixels(19, 27, 3), 6, "little"),
}


@pytest.fixture(scope="module")
def decoders():
    """For each spec: it, and its decoding of one file as a compiled function."""
    found = {}
    for name in ("rgb", "grey", "rgba", "grey with alpha", "16 bits", "16 bits of a range"):
        spec = PairSpec(SIDES[name], ImageSpec(3))
        function = tf.function(
            GraphSpec(spec).decode,
            input_signature=[tf.TensorSpec([], tf.string)],
            autograph=False,
        )
        found[name] = spec, function
    return found


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_files_are_decoded_and_brought_to_the_runs_spec(decoders, file):
    for spec, function in decoders.values():
        expected = spec.x.store(decode(file))
        found = function(file).numpy()
        assert found.dtype == expected.dtype
        # JPEG decoders of two builds may differ by a level; PNG is exact.
        limit = 0 if file[1:4] == b"PNG" else 257 if found.dtype == np.uint16 else 1
        assert levels(found, expected) <= limit


def test_a_grey_file_of_labels_is_an_index_map():
    spec = PairSpec(ImageSpec(3, palette=PALETTE), ImageSpec(3))
    graph = GraphSpec(spec)
    values = np.array([[0, 9, 1], [2, 7, 255]], np.uint8)
    for file in (png(values), png(values.astype(np.uint16)), png(PALETTE.to_colors(values % 5))):
        expected = spec.read_input(decode(file))
        np.testing.assert_array_equal(graph.to_x(graph.decode(tf.constant(file))), expected)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes: .*no class.*'test'"):
        graph.decode(tf.constant(png(np.array([[0, 3]], np.uint8))))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "neither a JPEG nor a PNG"),
        (b"nonsense", "neither a JPEG nor a PNG"),
        (b"GIF89a" + bytes(40), "neither a JPEG nor a PNG"),
        (FILES["rgb"][:60], "PNG"),
        (FILES["rgb"][:20], "PNG"),
        (FILES["jpeg"][:200], "JPEG"),
        (b"\xff\xd8\xff", "JPEG"),
    ],
    ids=["empty", "nonsense", "gif", "cut png", "png head", "cut jpeg", "jpeg head"],
)
def test_what_is_no_picture_is_an_error_in_words(decoders, file, words):
    for _, function in decoders.values():
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            function(file)


@pytest.mark.parametrize(
    ("side", "array"),
    [
        (ImageSpec(1), pixels(9, 7, 1)),
        (ImageSpec(3), pixels(9, 7, 3)),
        (ImageSpec(4), pixels(9, 7, 4)),
        (ImageSpec(2), pixels(9, 7, 2)),
        (ImageSpec(1, *SIXTEEN), pixels(9, 7, 1, dtype=np.uint16)),
        (ImageSpec(3, *SIXTEEN), pixels(9, 7, 3, dtype=np.uint16)),
    ],
    ids=lambda value: f"{value.channels} {value.dtype}" if isinstance(value, ImageSpec) else "",
)
def test_results_are_png_files_without_loss(side, array):
    graph = GraphSpec(PairSpec(ImageSpec(3), side))
    assert graph.has_files
    file = graph.encode(tf.constant(array)).numpy()
    np.testing.assert_array_equal(decode(file).array, array)


def test_floats_and_many_channels_have_no_files():
    for side in (ImageSpec(5), ImageSpec(3, "float32", 0.0, 1.0)):
        assert not GraphSpec(PairSpec(side, ImageSpec(3))).has_files
        assert not GraphSpec(PairSpec(ImageSpec(3), side)).has_files
    assert GraphSpec(LabSpec()).has_files
    onehot = ImageSpec(len(PALETTE), palette=PALETTE, encoding="onehot")
    assert GraphSpec(PairSpec(onehot, ImageSpec(3))).has_files
