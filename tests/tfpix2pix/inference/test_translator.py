"""A run that was saved is loaded and translates pictures of any size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.data import Decoded
from tfpix2pix.inference import KerasEncoder, Model, Translator
from tfpix2pix.models import noise
from tfpix2pix.models.encoder import encoder
from tfpix2pix.models.weights import named_weights
from tfpix2pix.training.checkpoints import Checkpoints

SIZE = 32


def make_run(workdir: Path, steps=(5,), best=None, **changes) -> Pix2Pix:
    """A workdir as training leaves it; the weights differ from step to step."""
    values = {"crop_size": SIZE, "load_size": SIZE, "ngf": 4, "loss": "l1", "seed": 9, **changes}
    config = Pix2PixConfig(**values)
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "config.json").write_text(config.to_json())
    algorithm = Pix2Pix(config)
    for step in steps:
        random = np.random.default_rng(step)
        for name, variable in named_weights(algorithm.generator).items():
            value = random.normal(0, 0.2, tuple(variable.shape))
            variable.assign((value + name.endswith("gamma")).astype(np.float32))
        algorithm.step.assign(step)
        Checkpoints(workdir, keep=9).save(algorithm.state(), step, {"best": best})
    return algorithm


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    """A colour run: its algorithm, as it was saved, and its workdir."""
    workdir = tmp_path_factory.mktemp("runs") / "colour"
    return make_run(workdir), workdir


@pytest.fixture(scope="module")
def model(colour):
    return tfpix2pix.load(colour[1])


@pytest.fixture(scope="module")
def grey_model(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "grey"
    make_run(workdir, input_channels=1, target_channels=1)
    return tfpix2pix.load(workdir)


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def gap(one: np.ndarray, other: np.ndarray) -> float:
    return np.abs(one.astype(int) - other.astype(int)).mean()


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_a_seed_beyond_64_bits_is_refused(model, seed):
    with pytest.raises(ValueError, match="64 bits"):
        model.translate(picture(8, 8, 3), seed=seed)


# === Sizes ===


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 40), (31, 57), (65, 40), (SIZE, SIZE), (2, 70), (64, 96)]
)
def test_the_result_is_the_padded_forward_cropped_back(colour, model, height, width):
    image = picture(height, width, 3)
    bottom, right = -height % SIZE, -width % SIZE
    mode = "reflect" if min(height, width) > 1 else "edge"
    padded = np.pad(image, [(0, bottom), (0, right), (0, 0)], mode)
    x = tf.constant(padded[None] / 127.5 - 1, tf.float32)
    generator = colour[0].generator
    shape = [x.shape[1] // 16, x.shape[2] // 16, generator.inputs[1].shape[-1]]
    z = noise.draw(9, noise.INFERENCE, tf.constant([4], tf.int64), shape)
    y = generator([x, z], training=False).numpy()[0, :height, :width]
    expected = np.rint((y + 1) * 127.5)

    found = model.translate(image, seed=4)
    assert found.dtype == np.uint8
    assert found.shape == (height, width, 3)
    # One level where the two sums, rounded in another order, fall on two sides of a half.
    assert np.abs(found - expected).max() <= 1
    assert np.mean(found != expected) < 0.01


def test_the_picture_given_is_not_changed(model):
    image = picture(40, 40, 4)
    before = image.copy()
    model.translate(image)
    np.testing.assert_array_equal(image, before)


def test_the_picture_decides_the_result(model):
    assert gap(model.translate(picture(32, 32, 3)), model.translate(picture(32, 32, 3, seed=1))) > 1


def test_a_view_of_an_array_is_translated_like_a_copy(model):
    view = picture(64, 128, 3)[::2, ::-2]
    np.testing.assert_array_equal(model.translate(view), model.translate(view.copy()))


# === Noise ===


def test_a_seed_gives_the_same_picture_again(colour, model):
    image = picture(32, 40, 3)
    first = model.translate(image, seed=3)
    np.testing.assert_array_equal(model.translate(image, seed=3), first)
    np.testing.assert_array_equal(tfpix2pix.load(colour[1]).translate(image, seed=3), first)


def test_seeds_give_different_pictures_and_0_is_the_default(model):
    image = picture(32, 32, 3)
    pictures = [model.translate(image, seed=seed) for seed in (0, 1, 2**40)]
    np.testing.assert_array_equal(model.translate(image), pictures[0])
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert gap(pictures[i], pictures[j]) > 0.5


def test_deterministic_is_without_dropout(colour, model):
    image = picture(32, 32, 3)
    generator = colour[0].generator
    x = tf.constant(image[None] / 127.5 - 1, tf.float32)
    z = -tf.ones([1, 2, 2, generator.inputs[1].shape[-1]])
    expected = np.rint((generator([x, z], training=False).numpy()[0] + 1) * 127.5)
    found = model.translate(image, deterministic=True)
    assert np.abs(found - expected).max() <= 1
    assert gap(found, expected) < 0.01
    np.testing.assert_array_equal(model.translate(image, seed=5, deterministic=True), found)
    assert gap(found, model.translate(image)) > 0.5


# === Channels ===


def test_grey_is_taken_as_equal_colours(model):
    grey = picture(20, 33)
    expected = model.translate(np.stack([grey] * 3, axis=-1))
    np.testing.assert_array_equal(model.translate(grey), expected)
    np.testing.assert_array_equal(model.translate(grey[..., None]), expected)


def test_transparency_lies_on_white(model):
    colour = picture(20, 33, 3)
    alpha = picture(20, 33, 1, seed=1)
    alpha[0, 0], alpha[0, 1] = 0, 255
    share = alpha / 255
    on_white = np.rint(colour * share + 255 * (1 - share)).astype(np.uint8)
    assert on_white[0, 0].tolist() == [255, 255, 255]
    assert on_white[0, 1].tolist() == colour[0, 1].tolist()
    found = model.translate(np.concatenate([colour, alpha], axis=-1))
    assert gap(found, model.translate(on_white)) < 0.5
    assert gap(found, model.translate(colour)) > 1


def test_an_opaque_picture_is_its_colours(model):
    colour = picture(20, 33, 3)
    opaque = np.concatenate([colour, np.full((20, 33, 1), 255, np.uint8)], axis=-1)
    np.testing.assert_array_equal(model.translate(opaque), model.translate(colour))


def test_a_grey_run_makes_grey_pictures_of_anything(grey_model):
    grey = picture(20, 33)
    expected = grey_model.translate(grey)
    assert expected.shape == (20, 33, 1)
    np.testing.assert_array_equal(grey_model.translate(grey[..., None]), expected)
    # Equal colours have the grey level that they are made of.
    np.testing.assert_array_equal(grey_model.translate(np.stack([grey] * 3, axis=-1)), expected)
    assert grey_model.translate(picture(20, 33, 4)).shape == (20, 33, 1)
    # Red is not green: luma, not the first channel or the mean.
    red, green = np.zeros((2, 32, 32, 3), np.uint8)
    red[..., 0], green[..., 1] = 255, 255
    np.testing.assert_array_equal(
        grey_model.translate(red), grey_model.translate(np.full((32, 32), 76, np.uint8))
    )
    np.testing.assert_array_equal(
        grey_model.translate(green), grey_model.translate(np.full((32, 32), 150, np.uint8))
    )


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), np.float32),  # floats have no scale that an 8-bit run knows
        np.zeros((8, 8, 3), np.int64),
        np.zeros((8, 8, 3), bool),
        np.zeros((8,), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 0, 3), np.uint8),
        np.zeros((8, 8, 0), np.uint8),
        np.zeros((8, 8, 5), np.uint8),
    ],
    ids=lambda image: f"{image.dtype}{list(image.shape)}",
)
def test_what_is_no_picture_is_refused(model, image):
    with pytest.raises(ValueError, match=r"expected|channels|float32 values"):
        model.translate(image)


def test_16_bits_are_brought_to_the_runs_depth(model):
    eight = picture(20, 33, 3)
    notes = []
    found = model.translate(eight * np.uint16(257), notes=notes)
    np.testing.assert_array_equal(found, model.translate(eight))
    assert notes == ["uint16 values brought to uint8"]


def test_a_fitted_picture_keeps_its_size_and_is_what_the_network_made_of_the_small_one(model):
    flat = np.full((SIZE * 3, SIZE * 2, 3), (10, 200, 90), np.uint8)
    small = model.translate(flat[:SIZE, :SIZE], seed=3)
    found = model.translate(flat, seed=3, fit=True)
    assert found.shape == flat.shape
    # Enlarging keeps the mean, up to the weight of border pixels and rounding.
    assert abs(found.astype(float).mean() - small.astype(float).mean()) < 3


# === Loading ===


@pytest.fixture(scope="module")
def three_steps(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "three"
    make_run(workdir, steps=(5, 10, 15), best={"metric": "l1", "value": 0.1, "step": 10})
    return workdir


def test_the_newest_checkpoint_is_the_default(three_steps):
    assert tfpix2pix.load(three_steps).step == 15
    assert tfpix2pix.load(str(three_steps), "latest").step == 15


@pytest.mark.parametrize(("checkpoint", "step"), [("best", 10), (5, 5), ("10", 10)])
def test_a_checkpoint_is_loaded_by_its_name(three_steps, checkpoint, step):
    model = tfpix2pix.load(three_steps, checkpoint)
    assert model.step == step
    kernel = named_weights(model.generator)["down1/kernel"].numpy()
    expected = np.random.default_rng(step).normal(0, 0.2, kernel.shape).astype(np.float32)
    np.testing.assert_array_equal(kernel, expected)


@pytest.mark.parametrize("checkpoint", [7, "7", "newest", "", -5, "²"])
def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(three_steps, checkpoint):
    with pytest.raises(UserError, match="5, 10, 15"):
        tfpix2pix.load(three_steps, checkpoint)


def test_there_is_no_best_without_measures(colour):
    with pytest.raises(UserError, match="never measured on a val split"):
        tfpix2pix.load(colour[1], "best")


# === Which weights ===


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """A run whose averages are its initial weights: the algorithm, and its workdir."""
    workdir = tmp_path_factory.mktemp("runs") / "averaged"
    return make_run(workdir, ema=0.9), workdir


@pytest.mark.parametrize(
    ("weights", "part"), [("average", "generator_average"), ("raw", "generator")]
)
def test_a_run_with_averages_gives_them_unless_it_is_told(averaged, weights, part):
    algorithm, workdir = averaged
    model = tfpix2pix.load(workdir, weights=weights)
    assert model.weights == weights
    stored = algorithm.state()[part]
    for name, variable in named_weights(model.generator).items():
        np.testing.assert_array_equal(variable.numpy(), stored[name].numpy())


def test_the_average_is_the_default(averaged):
    assert tfpix2pix.load(averaged[1]).weights == "average"


@pytest.mark.parametrize("weights", ["average", "raw"])
def test_a_run_without_averages_gives_its_weights(colour, weights):
    algorithm, workdir = colour
    model = tfpix2pix.load(workdir, weights=weights)
    assert model.weights == "raw"
    for name, variable in named_weights(model.generator).items():
        stored = named_weights(algorithm.generator)[name]
        np.testing.assert_array_equal(variable.numpy(), stored.numpy())


def test_other_weights_are_refused(colour):
    for open_run in (tfpix2pix.load, Model.of_run):
        with pytest.raises(UserError, match=r"^--weights=best: expected average or raw$"):
            open_run(colour[1], weights="best")


def test_a_wider_bottleneck_needs_less_padding_and_fits_to_the_same_size(tmp_path):
    make_run(tmp_path, bottleneck=4)
    model = tfpix2pix.load(tmp_path)
    assert model.stride == 8
    sizes = []
    network = model.network

    class Spy:
        takes_noise, image_size, max_pixels = True, None, None

        def __call__(self, x, z):
            sizes.append(x.shape[1:3])
            return network(x, z)

    model.network = Spy()
    image = picture(19, 43, 3)
    for fit in (False, True):
        assert model.translate(image, fit=fit).shape == image.shape
    assert sizes == [(24, 48), (SIZE, SIZE)]


def test_a_damaged_newest_checkpoint_is_passed_over_and_said(tmp_path):
    make_run(tmp_path, steps=(5, 10))
    data = next(Checkpoints(tmp_path).path(10).glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:-1])
    said = []
    assert tfpix2pix.load(tmp_path, say=said.append).step == 5
    assert len(said) == 1
    assert "step 5" in said[0]


def test_the_best_is_found_though_the_newest_is_damaged(tmp_path):
    make_run(tmp_path, steps=(5, 10), best={"metric": "l1", "value": 0.1, "step": 5})
    data = next(Checkpoints(tmp_path).path(10).glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:-1])
    assert tfpix2pix.load(tmp_path, "best").step == 5


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        tfpix2pix.load(tmp_path)
    with pytest.raises(UserError, match=r"no config\.json"):
        tfpix2pix.load(tmp_path / "none")


def test_a_run_without_checkpoint_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(Pix2PixConfig().to_json())
    with pytest.raises(UserError, match="no checkpoint yet"):
        tfpix2pix.load(tmp_path)


def test_a_checkpoint_of_other_networks_is_refused(tmp_path):
    make_run(tmp_path)
    (tmp_path / "config.json").write_text(
        Pix2PixConfig(crop_size=SIZE, load_size=SIZE, ngf=6, loss="l1").to_json()
    )
    with pytest.raises(UserError, match=r"config\.json"):
        tfpix2pix.load(tmp_path)


# === Import ===


def test_importing_the_package_does_not_import_tensorflow(tmp_path):
    code = (
        "import sys, tfpix2pix; tfpix2pix.__version__; print('tensorflow' in sys.modules);"
        "print(callable(tfpix2pix.load))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["False", "True"]


def test_load_is_one_of_the_packages_names():
    assert "load" in tfpix2pix.__all__
    with pytest.raises(AttributeError, match="nothing_here"):
        tfpix2pix.nothing_here  # noqa: B018


# === What is loaded later ===


def test_an_input_is_translated_like_its_picture(model):
    image = picture(40, 33, 3)
    x = model.spec.read_input(Decoded(image, False, None, ()))
    np.testing.assert_array_equal(model.translate_x(x, seed=3), model.translate(image, seed=3))


def test_a_model_is_known_before_it_is_loaded(colour, model):
    waiting = Model.of_run(str(colour[1]))
    assert (waiting.name, waiting.spec) == (str(colour[1]), model.spec)
    image = picture(32, 32, 3)
    np.testing.assert_array_equal(
        waiting.open(print).translate(image, seed=1), model.translate(image, seed=1)
    )
    assert Model.of_translator("here", model).open(print) is model


def test_a_model_that_is_no_run_is_refused_without_tensorflow(tmp_path):
    code = (
        "import sys\n"
        "from tfpix2pix.base.errors import UserError\n"
        "from tfpix2pix.inference import Model\n"
        "try:\n"
        f"    Model.of_run({str(tmp_path)!r})\n"
        "except UserError:\n"
        "    sys.exit('tensorflow' in sys.modules)\n"
        "sys.exit(2)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_resnet_takes_pictures_of_any_size_but_the_smallest(tmp_path, dropout):
    make_run(tmp_path / "run", generator="resnet6", dropout=dropout)
    model = tfpix2pix.load(tmp_path / "run")
    assert model.takes_noise == (dropout > 0)
    for height, width in ((5, 30), (33, 8)):
        picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        assert model.translate(picture).shape == (height, width, 3)
        tiled = model.translate(picture, tile=64).astype(int)
        assert np.abs(tiled - model.translate(picture, tile="off")).max() <= 1
    with pytest.raises(ValueError, match=r"12x4 pixels .* takes 8 or more a side; use --fit"):
        model.translate(np.zeros((3, 9, 3), np.uint8))


# === A latent ===


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """A run with a latent: its algorithm, and its translator."""
    workdir = tmp_path_factory.mktemp("runs") / "coded"
    return make_run(workdir, latent=3), tfpix2pix.load(workdir)


def forward(algorithm: Pix2Pix, image: np.ndarray, seed: int, code) -> np.ndarray:
    """What the network makes of a picture of one tile with the z of a seed and a latent."""
    x = tf.constant(image[None] / 127.5 - 1, tf.float32)
    (described,) = algorithm.generators(algorithm.config).values()
    drawn = described.z.draw(9, noise.INFERENCE, tf.constant([seed], tf.int64), x)
    y = algorithm.generator([x, drawn, tf.constant([code], tf.float32)], training=False)
    return np.clip(np.rint((y.numpy()[0] + 1) * 127.5), 0, 255)


def test_a_seed_decides_the_latent_beside_the_noise(coded):
    algorithm, model = coded
    (code,) = model.latent([4])
    expected = noise.draw_latent(9, noise.INFERENCE, tf.constant([4], tf.int64), 3)
    np.testing.assert_array_equal(code, expected[0])
    image = picture(SIZE, SIZE, 3)
    found = model.translate(image, seed=4)
    assert np.abs(found - forward(algorithm, image, 4, code)).max() <= 1
    np.testing.assert_array_equal(found, model.translate(image, seed=4, latent=code))
    assert model.latent([0, 1, 2]).shape == (3, 3)
    assert model.latent_size == 3


def test_a_latent_of_ones_own_goes_with_the_noise_of_the_seed(coded):
    algorithm, model = coded
    image, code = picture(SIZE, SIZE, 3), [0.5, -2.0, 1.0]
    found = model.translate(image, seed=4, latent=code)
    assert np.abs(found - forward(algorithm, image, 4, code)).max() <= 1
    assert gap(found, model.translate(image, seed=4)) > 1
    assert gap(found, model.translate(image, seed=5, latent=code)) > 0.1
    x = image / np.float32(127.5) - 1
    np.testing.assert_array_equal(model.translate_x(x, seed=4, latent=code), found)
    fitted = model.translate(image, seed=4, latent=code, fit=True)
    assert gap(fitted, found) < 0.01


def test_without_dropout_the_latent_stays(coded):
    _, model = coded
    image = picture(SIZE, SIZE, 3)
    one, other = (model.translate(image, seed=seed, deterministic=True) for seed in (0, 1))
    assert gap(one, other) > 1
    again = model.translate(image, seed=7, latent=model.latent([1])[0], deterministic=True)
    np.testing.assert_array_equal(again, other)


def test_tiles_have_the_latent_of_the_whole(coded):
    _, model = coded
    image, code = picture(100, 140, 3), [2.0, -1.0, 0.5]
    whole = model.translate(image, seed=1, latent=code, tile="off")
    tiled = model.translate(image, seed=1, latent=code, tile=64)
    assert np.abs(tiled.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("latent", [[1.0, 2.0], [[1.0, 2.0, 3.0]], [1.0, 2.0, np.nan], 1.0])
def test_a_latent_that_cannot_be_is_refused(coded, latent):
    with pytest.raises(ValueError, match="where 3 finite numbers were expected"):
        coded[1].translate(picture(8, 8, 3), latent=latent)


def test_a_run_without_a_latent_takes_none(model):
    assert model.latent_size == 0
    for ask in (
        lambda: model.translate(picture(8, 8, 3), latent=[1.0]),
        lambda: model.latent([0]),
        lambda: model.style(picture(8, 8, 3)),
    ):
        with pytest.raises(ValueError, match="it was trained without a latent"):
            ask()


def test_what_a_seed_decides_is_told(coded, model):
    _, with_latent = coded
    assert with_latent.drawn_by(3) == "latent and noise of seed 3"
    assert with_latent.drawn_by(3, True) == "latent of seed 3, without noise"
    assert (model.drawn_by(3), model.drawn_by(3, True)) == ("noise of seed 3", "without noise")
    assert with_latent.varies(True)
    assert [model.varies(), model.varies(True)] == [True, False]


def test_a_style_is_the_mean_of_what_the_encoder_says_of_a_target(coded):
    _, model = coded
    made = encoder(crop_size=SIZE, channels=3, latent=3, nef=4).build()
    opened = []
    styled = Translator(
        *(model.config, model.network, 5, model.spec),
        encoder=lambda: opened.append(1) or KerasEncoder(made),
    )
    assert styled.encodes
    assert not model.encodes
    image = picture(SIZE, SIZE, 3)
    large = picture(70, 90, 3)
    small = tf.image.resize(large, [SIZE, SIZE], antialias=True)  # to the size of training
    for given, seen in ((image, image), (large, small)):
        mean, _ = made(tf.constant(seen[None] / 127.5 - 1, tf.float32), training=False)
        code = styled.style(given)
        np.testing.assert_allclose(code, mean[0], rtol=1e-4, atol=1e-5)
    assert styled.translate(image, latent=code).shape == image.shape
    notes: list[str] = []
    assert styled.style(picture(40, 60), notes).shape == (3,)
    assert notes == ["grey image repeated into 3 channels"]
    assert opened == [1]
    with pytest.raises(ValueError, match="5 channels"):
        styled.style(picture(9, 9, 5))
    with pytest.raises(ValueError, match="it has no encoder"):
        model.style(image)
