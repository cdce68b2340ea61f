"""The latent: its numbers, where it goes in, and the weights that read it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.inference.sizes import kernel_numbers
from tfpix2pix.models import noise
from tfpix2pix.models.base import Generator, LatentSpec, inputs_of
from tfpix2pix.models.resnet import resnet
from tfpix2pix.models.unet import unet
from tfpix2pix.models.weights import named_weights

X = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)), tf.float32)
PLACES = tf.constant([4, 9], tf.int64)


def network(kind: str, reach: str, **settings) -> Generator:
    shared = {"input_channels": 3, "output_channels": 2, "ngf": 4, "input_noise": 1, "dropout": 0.5}
    shared |= {"latent": LatentSpec(5, reach), **settings}
    if kind == "resnet":
        return resnet(blocks=2, **shared)
    shared = {"last_channels": 4, "upsampling": "nearest", "bottleneck": 8, **shared}
    return unet(crop_size=32, **shared)


# === Draws ===


def latents(seed=0, stream=noise.INFERENCE, positions=(0,), size=4):
    return noise.draw_latent(seed, stream, tf.constant(positions, tf.int64), size).numpy()


def test_known_numbers():
    # Written down once: a seed means the same picture in every release and TensorFlow version.
    np.testing.assert_allclose(
        latents(), [[0.8918363452, 0.6443349719, 1.6325968504, -1.0607848167]], rtol=0, atol=1e-6
    )


def test_an_images_latent_is_a_function_of_seed_stream_and_position():
    together = latents(positions=[3, 2**40, 3, *range(20)])
    for index, position in enumerate([3, 2**40, 3]):
        np.testing.assert_array_equal(together[index], latents(positions=[position])[0])
    others = [latents(seed=1), latents(stream=noise.TRAINING), latents(positions=[1])]
    assert len({each.tobytes() for each in [latents(), *others]}) == 4


def test_latents_are_standard_normal():
    numbers = latents(positions=range(4), size=1000)
    correlation = np.corrcoef(numbers) - np.eye(4)
    assert np.abs(correlation).max() < 4 / 1000**0.5
    numbers = numbers.ravel()
    error = 1 / len(numbers) ** 0.5
    assert abs(numbers.mean()) < 4 * error
    assert abs(numbers.std() - 1) < 4 * error / 2**0.5
    shares = [np.mean(np.abs(numbers) < bound) for bound in (0.6745, 1.6449)]
    np.testing.assert_allclose(shares, [0.5, 0.9], atol=4 * 0.5 * error)


def test_z_stays_what_it_is_without_a_latent():
    made = network("unet", "input")
    z, latent = made.draw(3, noise.TRAINING, PLACES, X)
    (alone,) = network("unet", "input", latent=None).draw(3, noise.TRAINING, PLACES, X)
    np.testing.assert_array_equal(z, alone)
    np.testing.assert_array_equal(latent, latents(3, noise.TRAINING, [4, 9], 5))


# === Where it goes in ===


@pytest.mark.parametrize(
    ("biases", "reach", "count"),
    [
        ("paper", "input", 54_413_955 + 8_192),
        ("paper", "all", 54_413_955 + 16 * 8 * (64 + 128 + 256 + 5 * 512)),
        # BicycleGAN's: a bias in every convolution, normalisations without scale and offset.
        ("pytorch", "input", 54_417_795),
        ("pytorch", "all", 54_794_627),
    ],
)
def test_parameters_at_full_width(biases, reach, count):
    made = unet(
        crop_size=256,
        input_channels=3,
        output_channels=3,
        ngf=64,
        bias_layers=biases,
        latent=LatentSpec(8, reach),
    )
    scales_and_biases = {"paper": 9_859, "pytorch": 5_507}[biases]
    assert kernel_numbers(made) + scales_and_biases == count
    if (biases, reach) == ("pytorch", "all"):
        assert made.build().count_params() == count


@pytest.mark.parametrize("reach", ["input", "all"])
@pytest.mark.parametrize("kind", ["unet", "resnet"])
def test_the_weights_that_read_it_are_told_of_and_no_others(kind, reach):
    made, without = network(kind, reach), network(kind, reach, latent=None)
    model = made.build()
    assert [each.name for each in model.inputs] == ["x", "z", "latent"]
    kernels = {
        name.removesuffix("/kernel"): tuple(value.shape)
        for name, value in named_weights(model).items()
        if name.endswith("kernel")
    }
    assert kernels == {name: kernel.shape for name, kernel in made.kernels.items()}
    first = "down1" if kind == "unet" else "first"
    readers = [name for name in kernels if kernels[name] != without.kernels[name].shape]
    assert readers == [
        name for name in kernels if name == first or (reach == "all" and name.startswith("down"))
    ]
    for name in readers:
        more = np.subtract(kernels[name], without.kernels[name].shape)
        np.testing.assert_array_equal(more, [0, 0, 5, 0])


@pytest.mark.parametrize("kind", ["unet", "resnet"])
def test_it_is_as_channels_of_x_that_are_the_same_at_every_pixel(kind):
    alone = {"input_noise": 0, "dropout": 0.0, "norm": "group", "ngf": 16}
    alone |= {"last_channels": 0} if kind == "unet" else {}
    model = network(kind, "input", **alone).build(noise=False)
    wide = network(kind, "input", **{**alone, "input_channels": 8, "latent": None})
    other = wide.build(noise=False)
    for name, weight in named_weights(other).items():
        weight.assign(named_weights(model)[name])
    latent = tf.constant(np.random.default_rng(1).normal(size=(2, 5)), tf.float32)
    tiled = tf.tile(latent[:, None, None, :], [1, 32, 32, 1])
    found = model(inputs_of(X, (None, latent))).numpy()
    np.testing.assert_allclose(found, other(tf.concat([X, tiled], -1)), rtol=0, atol=1e-5)
    assert not np.allclose(found, model([X, latent + 1.0]), atol=1e-4)


@pytest.mark.parametrize(
    ("norm", "ngf", "batch"), [("instance", 16, 2), ("group", 8, 2), ("batch", 16, 1)]
)
def test_a_resnets_normalisation_would_take_it_away_again(norm, ngf, batch):
    """What is the same at every pixel of a channel has no part in what it makes of that, so that a
    config refuses it."""
    alone = {"input_noise": 0, "dropout": 0.0, "norm": norm, "ngf": ngf}
    model = network("resnet", "input", **alone).build(noise=False)
    found, other = (model([X[:batch], tf.fill([batch, 5], of)], training=True) for of in (0.0, 2.0))
    np.testing.assert_allclose(found, other, rtol=0, atol=1e-4)
    sizes = {"crop_size": 32, "load_size": 36, "batch_size": batch}
    with pytest.raises(UserError, match="--norm=group with --ngf=16"):
        Pix2PixConfig(generator="resnet6", latent=5, norm=norm, ngf=ngf, **sizes)
    Pix2PixConfig(generator="resnet6", latent=5, norm="group", ngf=16, **sizes)


@pytest.mark.parametrize(("kind", "levels"), [("unet", [32, 16]), ("resnet", [32, 32, 16])])
def test_every_convolution_of_the_encoder_reads_it(kind, levels):
    model = network(kind, "all").build(noise=False)
    read = [layer for layer in model.layers if layer.name.endswith("_latent")]
    latent = np.array([[1.0, -2.0, 3.0, 0.0, 0.5]] * 2, np.float32)
    found = tf.keras.Model(model.inputs, [layer.output for layer in read])([X, tf.constant(latent)])
    assert [of.shape[1] for of in found] == levels
    for of in found:
        expected = np.broadcast_to(latent[:, None, None, :], (*of.shape[:3], 5))
        np.testing.assert_array_equal(of[..., -5:], expected)
