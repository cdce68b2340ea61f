"""Images that are not square: sizes as flags have them, and what each part makes of them."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.config import config_of, differences, load_config, resolve
from tfpix2pix.config.shapes import squeeze_note
from tfpix2pix.data import (
    PairArrays,
    SampleSource,
    augment,
    evaluation_batches,
    open_store,
    training_batches,
    write_image,
)
from tfpix2pix.data.resize import resize
from tfpix2pix.data.sources.arrays import ArraySource

# === A size ===


@pytest.mark.parametrize("given", [64, "64", " 64 ", (64,), [64, 64], "64x64", np.int64(64)])
def test_a_square_size_is_its_side(given):
    size = Size.of(given)
    assert size == 64
    assert (str(size), size.value, hash(size), list(range(100))[size]) == ("64", 64, hash(64), 64)


@pytest.mark.parametrize("given", ["64x128", "64X128", "64 × 128", (64, 128), Size(64, 128)])
def test_height_stands_first(given):
    size = Size.of(given)
    assert (size.height, size.width, size.value, size.shown) == (64, 128, "64x128", "128x64")
    assert size not in (64, 128, Size(128, 64))
    with pytest.raises(TypeError, match="64x128"):
        range(size)


@pytest.mark.parametrize(
    "given", ["", "x", "64x", "64x128x3", "64,128", 64.0, None, True, (1, 2, 3)]
)
def test_what_is_no_size_is_refused(given):
    with pytest.raises(ValueError, match="HEIGHTxWIDTH such as 256x512"):
        Size.of(given)


# === A config ===


def test_the_smaller_side_decides_the_depth():
    paper = {"preset": "paper", "dataset": "d"}
    square, wide, high = (resolve({**paper, "crop_size": c}) for c in (64, "64x192", "128x64"))
    assert square.size_multiple == wide.size_multiple == high.size_multiple == 64
    assert wide.load_size == Size(72, 214)  # 192 * 286 / 256 = 214.5, to even
    assert (wide.whole_size, square.whole_size) == (Size(64, 192), 64)
    # Of no power of two: multiples of 64 / 8.
    assert resolve({"crop_size": "96x160"}).size_multiple == 8


@pytest.mark.parametrize(
    ("size", "use"),
    [
        ("64x100", ["64", "64x128"]),
        ("250x500", ["128x384", "256x512"]),
        ("100", ["64", "128"]),
        ("96x160", ["64x128", "128x256"]),
        ("1000x1100", ["512x1024", "1024x2048"]),
    ],
)
def test_sizes_that_the_depth_does_not_allow_are_refused_with_near_ones_that_work(size, use):
    with pytest.raises(UserError, match="takes multiples of") as refusal:
        resolve({"preset": "paper", "crop_size": size})
    assert " or ".join(f"--crop_size={near}" for near in use) in str(refusal.value)
    for near in use:
        resolve({"preset": "paper", "crop_size": near})
    if "--bottleneck=8" in str(refusal.value):
        resolve({"preset": "paper", "crop_size": size, "bottleneck": 8})


@pytest.mark.parametrize("size", ["16x64", "2048", "64x4160", "64x", "32x-64"])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(UserError, match=f"--crop_size={size}"):
        resolve({"crop_size": size})


def test_a_crop_must_fit_on_both_sides():
    with pytest.raises(UserError, match="--load_size=72x143"):
        resolve({"crop_size": "64x128", "load_size": "286x100"})


def test_the_file_holds_a_number_or_height_x_width(tmp_path):
    config = resolve({"crop_size": "64x128"})
    config.save(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert (values["crop_size"], values["load_size"]) == ("64x128", "72x143")
    assert load_config(tmp_path) == config == config_of(values)
    assert json.loads(Pix2PixConfig().to_json())["load_size"] == 286
    assert differences(config, {"crop_size": (64, 128)}) == []
    assert differences(config, {"crop_size": 64}) == [
        "--crop_size: the run has 64x128, the command says 64"
    ]


def test_whole_images_keep_the_shape_from_which_crops_are_cut():
    strips = resolve({"crop_size": "64x128", "load_size": "64x1024"})
    assert strips.whole_size == Size(64, 1024)
    # 286x508 by 256/286 is 256x454.7; the paper's network takes multiples of 256.
    assert resolve({"preset": "paper", "load_size": "286x508"}).whole_size == Size(256, 512)


# === What is said of a squeeze ===


@pytest.mark.parametrize("given", [{}, {"preset": "paper"}, {"crop_size": 64}])
@pytest.mark.parametrize(
    ("height", "width", "times"), [(64, 1024, "16"), (1080, 1920, "1.78"), (300, 200, "1.5")]
)
def test_a_squeeze_is_said_with_flags_that_avoid_it(given, height, width, times):
    note = squeeze_note(resolve(given), {(height, width): 5})
    assert f"{width}x{height} (width x height), squeezed to" in note
    assert f"{times} times in {'width' if width > height else 'height'}" in note
    flags = dict(part[2:].split("=") for part in note.split() if part.startswith("--"))
    assert squeeze_note(resolve({**given, **flags}), {(height, width): 5}) == ""


def test_a_few_percent_are_not_worth_a_line():
    assert squeeze_note(resolve({}), {(256, 250): 3, (64, 64): 1}) == ""
    assert "2 of 5 images" in squeeze_note(resolve({}), {(64, 64): 3, (64, 128): 2})


# === Data ===


def gradient(height, width):
    """Red says the row, green the column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows * 0], -1).astype(np.uint8)


def test_crops_of_a_pair_are_cut_anywhere_with_one_draw():
    image, seen = gradient(12, 40), set()
    for position in range(300):
        x, y = augment(image, image, 0, position, load_size=(12, 40), crop_size=(8, 16), flip=False)
        np.testing.assert_array_equal(x, y)
        row, column = (int(n) for n in x[0, 0, :2])
        np.testing.assert_array_equal(x, image[row : row + 8, column : column + 16])
        seen.add((row, column))
    assert {row for row, _ in seen} == set(range(5))
    assert {column for _, column in seen} == set(range(25))


@pytest.mark.parametrize("cache", ["memory", "file", "none"])
def test_batches_have_the_shape_of_the_crop(tmp_path, cache):
    pairs = np.stack([gradient(20, 50)] * 3)
    source = ArraySource(PairArrays({"train": (pairs, pairs)}))
    source.check()
    store = open_store(source, "train", size=Size(20, 50), cache=cache, cache_dir=tmp_path)
    assert store.pair(0)[0].shape == (20, 50, 3)

    def walk(start):
        return training_batches(
            store,
            crop_size=Size(16, 32),
            flip=True,
            batch_size=2,
            seed=3,
            start_step=start,
            stop_step=4,
        )

    all_of_them = [x.numpy() for x, _ in walk(0)]
    assert all_of_them[0].shape == (2, 16, 32, 3)
    for late, early in zip(walk(2), all_of_them[2:], strict=True):
        np.testing.assert_array_equal(late[0], early)
    whole, _ = next(iter(evaluation_batches(store, size=Size(10, 50))))
    assert whole.shape == (1, 10, 50, 3)


def test_nearest_takes_each_side_by_its_own_factor():
    image = gradient(4, 6)
    np.testing.assert_array_equal(resize(image, (2, 3), nearest=True), image[1::2, 1::2])
    np.testing.assert_array_equal(resize(image, Size(8, 6), nearest=True), image.repeat(2, 0))
    small = resize(tf.constant(image[..., :1], tf.float32), (4, 3))
    np.testing.assert_allclose(small[:, :, 0], np.arange(4)[:, None].repeat(3, 1), atol=1e-5)


def test_the_sample_set_is_cut_from_a_square_scene():
    square, wide = SampleSource(pairs=4, size=48), SampleSource(pairs=4, size=Size(32, 48))
    for one, other in zip(square.load("train", 1), wide.load("train", 1), strict=True):
        np.testing.assert_array_equal(one[8:40], other)
    assert "48x32" in wide.describe()


# === A run ===


def test_a_wide_run_resumes_to_the_bit_and_is_evaluated_in_its_shape(tmp_path, graphless):
    given = {"dataset": "sample", "crop_size": "32x64", "ngf": 4, "ndf": 4, "sample_pairs": 4}
    given |= {"preset": "paper", "loss": "l1", "val_every": 0, "sample_images": 1}
    for name, steps in (("one", (2,)), ("two", (1, 2))):
        for until in steps:
            with graphless():
                tfpix2pix.train(workdir=tmp_path / name, steps=until, **given)
    one, two = (tfpix2pix.load(tmp_path / name) for name in ("one", "two"))
    for a, b in zip(one.generator.weights, two.generator.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    image = np.zeros((50, 70, 3), np.uint8)
    assert one.translate(image).shape == one.translate(image, fit=True).shape == (50, 70, 3)
    with np.load(tmp_path / "one" / "samples" / "fixed.npz") as fixed:
        assert fixed["x"].shape == (1, 32, 64, 3)
    found = tfpix2pix.evaluate(tmp_path / "one", metrics="l1,ssim,grid,swd")
    assert found.facts["size"] == "32x64"
    other = tfpix2pix.evaluate(tmp_path / "one", metrics="l1", size=(48, 96))
    assert (other.facts["size"], 0 < other.numbers["l1"] < 2) == ("48x96", True)


def test_predictions_are_scored_at_their_own_size(tmp_path):
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        pair = random.integers(0, 256, (64, 2 * 190, 3), np.uint8)
        for split in ("train", "val"):
            write_image(make(tmp_path / "d" / split) / f"{name}.png", pair)
        write_image(make(tmp_path / "p") / f"{name}.png", pair[:, 190:])
    found = tfpix2pix.evaluate(
        predictions=tmp_path / "p",
        dataset=str(tmp_path / "d"),
        metrics="l1,ssim,ms_ssim,psnr",
        output=tmp_path / "e",
    )
    assert found.facts["size"] == "64x190"
    assert found.numbers["l1"] == 0
    assert found.numbers["ssim"] == pytest.approx(1)


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder
