"""The faster ways to convolve, against TensorFlow's own convolution in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.models import build_discriminator, build_generator, kernels
from tfpix2pix.models.layers import Convolution, TransposedConvolution
from tfpix2pix.models.resnet import build_resnet
from tfpix2pix.models.weights import initialize

TOLERANCE = 1e-5  # of the largest value


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def exact(x: np.ndarray, weights: np.ndarray, stride: int, padding: int) -> tf.Tensor:
    edge = [padding, padding]
    return tf.nn.conv2d(x, weights, stride, [[0, 0], edge, edge, [0, 0]])


def exact_transposed(x: np.ndarray, weights: np.ndarray) -> tf.Tensor:
    batch, height, width, _ = x.shape
    shape = [batch, 2 * height, 2 * width, weights.shape[2]]
    return tf.nn.conv2d_transpose(x, weights, shape, 2, "SAME")


def with_gradients(function, x, weights, direction) -> list[np.ndarray]:
    """The result, and its gradients by image and weights along a direction."""
    x, weights, direction = (tf.constant(value, x.dtype) for value in (x, weights, direction))
    with tf.GradientTape() as tape:
        tape.watch([x, weights])
        y = function(x, weights)
    return [y.numpy(), *(g.numpy() for g in tape.gradient(y, [x, weights], direction))]


def assert_close(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max())


# === Each way by itself ===

SIZES = [(1, 8, 8), (3, 6, 10), (2, 2, 4)]


@pytest.mark.parametrize(("batch", "height", "width"), SIZES)
@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 1), (1, 2), (2, 2), (2, 3)])
def test_matmul_is_the_convolution(batch, height, width, stride, padding):
    x, weights = normal(0, batch, height, width, 24), normal(1, 4, 4, 24, 40)
    plain = lambda x, w: exact(x, w, stride, padding)  # noqa: E731
    direction = normal(2, *plain(x, weights).shape)
    found = with_gradients(
        lambda x, w: kernels.matmul(x, w, stride, padding),
        *(value.astype(np.float32) for value in (x, weights, direction)),
    )
    assert_close(found, with_gradients(plain, x, weights, direction))


@pytest.mark.parametrize(("batch", "height", "width"), [*SIZES, (2, 1, 1), (1, 3, 5)])
def test_matmul_transposed_is_the_transposed_convolution(batch, height, width):
    x, weights = normal(0, batch, height, width, 24), normal(1, 4, 4, 40, 24)
    direction = normal(2, batch, 2 * height, 2 * width, 40)
    found = with_gradients(
        kernels.matmul_transposed,
        *(value.astype(np.float32) for value in (x, weights, direction)),
    )
    assert_close(found, with_gradients(exact_transposed, x, weights, direction))


# Outputs per axis that fill the tiles of three, and that leave one or two over.
@pytest.mark.parametrize(
    ("batch", "height", "width"), [(1, 34, 34), (3, 12, 9), (2, 4, 5), (1, 7, 11)]
)
@pytest.mark.parametrize("padding", [0, 1])
def test_winograd_is_the_convolution(batch, height, width, padding):
    x, weights = normal(0, batch, height, width, 48), normal(1, 4, 4, 48, 40)
    plain = lambda x, w: exact(x, w, 1, padding)  # noqa: E731
    direction = normal(2, *plain(x, weights).shape)
    found = with_gradients(
        lambda x, w: kernels.winograd(x, w, padding),
        *(value.astype(np.float32) for value in (x, weights, direction)),
    )
    assert_close(found, with_gradients(plain, x, weights, direction))


def test_winograd_by_hand():
    # Sums of the 4 x 4 windows of 0 .. 24: sixteen times the window's middle.
    x = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    y = kernels.winograd(tf.constant(x), tf.ones([4, 4, 1, 1]), 0).numpy()
    np.testing.assert_allclose(y[0, :, :, 0], [[144, 160], [224, 240]], rtol=1e-5)


# A ResNet's layers: outputs that fill the tiles of four, and that leave one to three over.
@pytest.mark.parametrize(
    ("batch", "height", "width"), [(1, 34, 34), (3, 11, 8), (2, 4, 5), (1, 6, 9)]
)
@pytest.mark.parametrize("kind", ["ones", "positive", "normal"])
def test_winograd_of_3x3_weights_is_the_convolution(batch, height, width, kind):
    x, weights = normal(0, batch, height, width, 48), normal(1, 3, 3, 48, 40)
    x = {"ones": np.ones_like(x), "positive": np.maximum(x, 0) + 1, "normal": x}[kind]
    direction = normal(2, batch, height - 2, width - 2, 40)
    assert_way(
        lambda x, w: kernels.winograd(x, w, 0),
        lambda x, w: exact(x, w, 1, 0),
        *(x, weights, direction),
    )


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 8, 8), (3, 6, 10), (2, 2, 4)])
def test_halved_and_doubled_are_the_convolutions_of_stride_2(batch, height, width):
    edge = [[0, 0], [1, 1], [1, 1], [0, 0]]
    assert_way(
        lambda x, w: kernels.halved(tf.pad(x, edge), w),
        lambda x, w: exact(x, w, 2, 1),
        normal(0, batch, height, width, 24),
        normal(1, 3, 3, 24, 40),
        normal(2, batch, height // 2, width // 2, 40),
    )

    def plain(x, w):
        shape = [batch, 2 * height + 1, 2 * width + 1, 40]
        return tf.nn.conv2d_transpose(x, w, shape, 2, "VALID")[:, 1:, 1:]

    assert_way(
        kernels.doubled,
        plain,
        normal(0, batch, height, width, 24),
        normal(1, 3, 3, 40, 24),
        normal(2, batch, 2 * height, 2 * width, 40),
    )


@pytest.mark.parametrize("out", [1, 3, 4])
def test_a_convolution_by_columns_is_the_convolution(out):
    x, weights, direction = (
        normal(0, 2, 14, 11, 24),
        normal(1, 7, 7, 24, out),
        normal(2, 2, 8, 5, out),
    )
    assert_way(kernels.by_columns, lambda x, w: exact(x, w, 1, 0), x, weights, direction)


@pytest.mark.parametrize(("pixels", "height", "width"), [(1, 4, 7), (3, 8, 9), (3, 12, 8)])
def test_mirrored_is_the_padding_with_its_gradient(pixels, height, width):
    around = [pixels, pixels]
    x = normal(0, 2, height, width, 3)
    direction = normal(1, 2, height + 2 * pixels, width + 2 * pixels, 3)
    found = with_gradients(lambda x, w: kernels.mirrored(x, pixels) * w, x, [1.0], direction)
    expected = with_gradients(
        lambda x, w: tf.pad(x, [[0, 0], around, around, [0, 0]], "REFLECT") * w, x, [1.0], direction
    )
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def assert_way(way, plain, x, weights, direction) -> None:
    """A way in float32, with its gradients, is the plain operation in float64."""
    found = with_gradients(way, *(v.astype(np.float32) for v in (x, weights, direction)))
    assert_close(found, with_gradients(plain, x, weights, direction))


# === Which way is taken ===


def shapes(*x: int, weights: tuple[int, int], dtype=tf.float32):
    return tf.zeros(x, dtype), tf.zeros([4, 4, *weights], dtype)


def test_a_few_pixels_with_many_weights_are_one_product_and_a_large_image_is_not():
    assert kernels.convolution(*shapes(1, 8, 8, 256, weights=(256, 256)), 2, 1)
    assert not kernels.convolution(*shapes(1, 64, 64, 256, weights=(256, 256)), 2, 1)
    assert kernels.transposed_convolution(*shapes(1, 4, 4, 256, weights=(256, 256)))
    assert not kernels.transposed_convolution(*shapes(1, 64, 64, 256, weights=(256, 256)))


def test_wide_layers_of_stride_1_are_tiled_and_narrow_ones_are_not():
    assert kernels.convolution(*shapes(1, 34, 34, 256, weights=(256, 512)), 1, 0)
    assert not kernels.convolution(*shapes(1, 34, 34, 16, weights=(16, 32)), 1, 0)
    assert not kernels.convolution(*shapes(1, 34, 34, 512, weights=(512, 1)), 1, 0)


def test_half_precision_other_kernels_and_open_sizes_are_tensorflows():
    half = shapes(1, 4, 4, 256, weights=(256, 256), dtype=tf.bfloat16)
    assert not kernels.convolution(*half, 2, 1)
    assert not kernels.convolution(tf.zeros([1, 4, 4, 256]), tf.zeros([3, 3, 256, 256]), 2, 1)
    chosen = []

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 256])])
    def of_any_size(x):
        chosen.append(kernels.convolution(x, tf.zeros([4, 4, 256, 256]), 2, 1))
        return x

    of_any_size.get_concrete_function()
    assert chosen
    assert not any(chosen)


def test_the_layers_of_a_resnet_have_ways_of_their_own():
    def way(x, weights, stride=1):
        return kernels.padded_convolution(tf.zeros(x), tf.zeros(weights), stride)

    assert way([1, 34, 34, 256], [3, 3, 256, 256]).func is kernels.winograd
    assert way([1, 34, 34, 64], [3, 3, 64, 128], 2).func is kernels.halved
    assert way([1, 38, 38, 64], [7, 7, 64, 3]).func is kernels.by_columns
    assert not way([1, 34, 34, 16], [3, 3, 16, 16])
    assert not way([1, 38, 38, 3], [7, 7, 3, 64])
    half = tf.zeros([1, 34, 34, 256], tf.bfloat16), tf.zeros([3, 3, 256, 256], tf.bfloat16)
    assert not kernels.padded_convolution(*half, 1)
    assert kernels.doubling_convolution(tf.zeros([1, 8, 8, 32]), tf.zeros([3, 3, 16, 32]))
    # Keras's layer and the U-Net's give what they always gave.
    assert not kernels.convolution(tf.zeros([1, 34, 34, 256]), tf.zeros([3, 3, 256, 256]), 1, 0)


# === In layers, networks and a step ===


def test_a_convolution_is_keras_own_outside_training_and_has_its_weights():
    for ours, theirs, size in [
        (Convolution(64, 4, 2, "same"), tf.keras.layers.Conv2D(64, 4, 2, "same"), 4),
        (Convolution(128, 4), tf.keras.layers.Conv2D(128, 4), 16),
        (
            TransposedConvolution(64, 4, 2, "same"),
            tf.keras.layers.Conv2DTranspose(64, 4, 2, "same"),
            2,
        ),
    ]:
        x = tf.constant(normal(0, 1, size, size, 128), tf.float32)
        ours(x), theirs(x)
        theirs.set_weights([normal(1, *w.shape) for w in ours.get_weights()])
        ours.set_weights(theirs.get_weights())
        np.testing.assert_array_equal(ours(x), theirs(x))
        trained = ours(x, training=True).numpy()
        assert not np.array_equal(trained, theirs(x))  # another way, so rounded otherwise
        scale = np.abs(trained).max()
        np.testing.assert_allclose(trained, theirs(x), rtol=0, atol=TOLERANCE * scale)
        again = type(ours).from_config(ours.get_config())
        assert again.get_config() == ours.get_config()


def test_networks_give_the_same_in_training_as_outside():
    x, y = (tf.constant(np.tanh(normal(i, 2, 64, 64, 3)), tf.float32) for i in range(2))
    g = build_generator(crop_size=64, ngf=32)
    z = tf.random.stateless_uniform([2, *_noise_size(g, x)], (1, 2))
    d = build_discriminator(ndf=32)
    for network, inputs in ((g, [x, z]), (d, [x, y])):
        plain, faster = network(inputs), network(inputs, training=True)
        assert not np.array_equal(plain, faster)
        scale = float(tf.reduce_max(tf.abs(plain)))
        np.testing.assert_allclose(faster, plain, rtol=0, atol=TOLERANCE * scale)


def _noise_size(generator: tf.keras.Model, x: tf.Tensor) -> list[int]:
    from tfpix2pix.models.unet import noise_factor

    factor = noise_factor(64)
    return [x.shape[1] // factor, x.shape[2] // factor, generator.inputs[1].shape[-1]]


def test_gradients_of_a_step_are_those_of_the_plain_layers(monkeypatch):
    batch = 2
    config = Pix2PixConfig(crop_size=64, load_size=64, ngf=32, ndf=32, batch_size=batch)
    x, y = (tf.constant(np.tanh(normal(i, batch, 64, 64, 3)), tf.float32) for i in range(2))
    states = []
    for faster in (True, False):
        if not faster:
            monkeypatch.setattr(kernels, "convolution", lambda *args: None)
            monkeypatch.setattr(kernels, "transposed_convolution", lambda *args: None)
        algorithm = Pix2Pix(config)
        metrics = algorithm.train_step(x, y)
        states.append((algorithm.state(), {k: float(v) for k, v in metrics.items()}))
    (faster, its_metrics), (plain, metrics) = states
    for name in metrics:
        assert its_metrics[name] == pytest.approx(metrics[name], rel=1e-5, abs=1e-6), name
    equal = []
    for network in ("generator_adam", "discriminator_adam"):
        # After one step the first moments are half the gradients. Layer by layer these agree to
        # 1e-5; through all of them an activation near zero may fall on the other side of it.
        for name, moment in plain[network]["m"].items():
            found, expected = faster[network]["m"][name].numpy(), moment.numpy()
            equal.append(np.array_equal(found, expected))
            np.testing.assert_allclose(
                found, expected, rtol=0, atol=1e-4 * np.abs(expected).max(), err_msg=name
            )
    assert not all(equal)  # the other way was really taken


@pytest.mark.parametrize(("height", "width"), [(32, 32), (36, 44)])
def test_a_resnet_gives_the_same_in_training_as_outside(height, width):
    x = tf.constant(np.tanh(normal(0, 2, height, width, 3)), tf.float32)
    g = build_resnet(ngf=32, blocks=2, norm="instance_plain")
    initialize(g, seed=0)
    plain, faster = g(x), g(x, training=True)
    assert not np.array_equal(plain, faster)
    # Each of its layers is within the tolerance.
    np.testing.assert_allclose(faster, plain, rtol=0, atol=5 * TOLERANCE)
    weights = [weight for weight in g.trainable_variables if len(weight.shape) == 4]
    gradients = []
    for training in (True, False):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(g(x, training=training) - 0.5))
        gradients.append(tape.gradient(loss, weights))
    for weight, ours, theirs in zip(weights, *gradients, strict=True):
        # Layer by layer they agree to 1e-5; through all of them an activation near zero may fall on
        # the other side of it, which in so small an image tells.
        assert np.linalg.norm(ours - theirs) < 2e-2 * np.linalg.norm(theirs), weight.name
