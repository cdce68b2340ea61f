"""Per-image normalisation, and dropout by explicit noise."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models import InstanceNormalization, NoiseDropout
from tfpix2pix.models.layers import (
    BilinearDouble,
    Convolution,
    DepthToSpace,
    GroupNormalization,
    InputNoise,
    NearestConvolution,
    PhasedConvolution,
    ReplicatePadding,
    Smoothing,
    SpectralConvolution,
    ZeroChannels,
    normalization,
    spectral_norm,
)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# === InstanceNormalization ===


def test_every_channel_of_every_image_gets_mean_beta_and_deviation_gamma():
    layer = InstanceNormalization()
    features = 5 + 3 * normal(0, 2, 16, 8, 3) * np.array([1, 10, 100], np.float32)
    layer(features)
    layer.gamma.assign([1.0, 2.0, -3.0])
    layer.beta.assign([0.0, 0.5, 7.0])
    out = layer(features).numpy()
    np.testing.assert_allclose(out.mean(axis=(1, 2)), [[0, 0.5, 7]] * 2, atol=1e-4)
    np.testing.assert_allclose(out.std(axis=(1, 2)), [[1, 2, 3]] * 2, rtol=1e-3)


def test_without_weights_it_is_that_of_scale_1_and_offset_0():
    plain, bare = InstanceNormalization(), InstanceNormalization(affine=False)
    features = 5 + 3 * normal(0, 2, 16, 8, 3) * np.array([1, 10, 100], np.float32)
    np.testing.assert_allclose(bare(features), plain(features), rtol=0, atol=2e-6)
    assert bare.weights == []


def test_epsilon_is_added_to_the_biased_variance():
    layer = InstanceNormalization(epsilon=0.25)
    # Values -1 and 1: mean 0, biased variance 1 (unbiased it would be 2).
    out = layer(np.array([[[[-1.0]], [[1.0]]]], np.float32)).numpy()
    np.testing.assert_allclose(out.ravel(), [-1 / 1.25**0.5, 1 / 1.25**0.5], rtol=1e-6)


def test_default_epsilon_is_torchs():
    assert InstanceNormalization().epsilon == 1e-5


def test_float16_statistics_are_taken_in_float32():
    layer = InstanceNormalization()
    # Squares of these overflow float16.
    features = (1000 * normal(0, 1, 8, 8, 2)).astype(np.float16)
    layer(features.astype(np.float32))
    out = layer.call(tf.constant(features)).numpy()
    assert out.dtype == np.float16
    np.testing.assert_allclose(out.astype(np.float32).std(axis=(1, 2)), 1, rtol=1e-2)


def test_instance_normalization_equals_tensorflow_addons():
    addons = pytest.importorskip("tensorflow_addons", reason="needs the extra [addons]")
    ours = InstanceNormalization(epsilon=1e-3)
    theirs = addons.layers.InstanceNormalization(axis=-1, epsilon=1e-3)
    features = tf.constant(2 + 3 * normal(0, 3, 8, 6, 5))
    for layer in (ours, theirs):
        layer(features)
        layer.gamma.assign(1 + 0.5 * normal(1, 5))
        layer.beta.assign(normal(2, 5))
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(features)
            out = layer(features)
            loss = tf.reduce_sum(out * normal(3, *out.shape))
        results.append((out, *tape.gradient(loss, [features, layer.gamma, layer.beta])))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)


# === GroupNormalization ===


def results_with_gradients(layer, features, weighing):
    """The layer's result and the gradients of its weighted sum, by the input and both weights."""
    features = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        out = layer(features)
        loss = tf.reduce_sum(out * weighing)
    return [out, *tape.gradient(loss, [features, layer.gamma, layer.beta])]


@pytest.mark.parametrize("groups", [1, 3, 6])
def test_group_normalization_equals_numpys(groups):
    layer, features = GroupNormalization(groups, epsilon=1e-3), 2 + 3 * normal(0, 2, 5, 4, 6)
    layer(features)
    layer.gamma.assign(1 + 0.5 * normal(1, 6))
    layer.beta.assign(normal(2, 6))
    grouped = features.astype(np.float64).reshape(2, 5, 4, groups, 6 // groups)
    mean = grouped.mean(axis=(1, 2, 4), keepdims=True)
    variance = grouped.var(axis=(1, 2, 4), keepdims=True)
    plain = ((grouped - mean) / np.sqrt(variance + 1e-3)).reshape(features.shape)
    expected = layer.gamma.numpy() * plain + layer.beta.numpy()
    np.testing.assert_allclose(layer(features).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_its_gradient_is_that_of_the_plain_formula():
    layer, features = GroupNormalization(2), 2 + 3 * normal(0, 2, 5, 4, 6)
    layer(features)
    layer.gamma.assign(1 + 0.5 * normal(1, 6))
    weighing = normal(3, 2, 5, 4, 6)
    found = results_with_gradients(layer, features, weighing)

    def plain(x):
        grouped = tf.reshape(x, [2, 5, 4, 2, 3])
        mean, variance = tf.nn.moments(grouped, [1, 2, 4], keepdims=True)
        return tf.reshape((grouped - mean) / tf.sqrt(variance + 1e-5), x.shape)

    x, gamma = tf.constant(features, tf.float64), tf.cast(layer.gamma, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch([x, gamma])
        loss = tf.reduce_sum(plain(x) * gamma * weighing)
    for one, other in zip(found[1:3], tape.gradient(loss, [x, gamma]), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-4)


def test_group_normalization_equals_tensorflow_addons():
    addons = pytest.importorskip("tensorflow_addons", reason="needs the extra [addons]")
    features, weighing = 2 + 3 * normal(0, 3, 8, 6, 8), normal(3, 3, 8, 6, 8)
    results = []
    layers = (
        GroupNormalization(4, epsilon=1e-3),
        addons.layers.GroupNormalization(groups=4, axis=-1, epsilon=1e-3),
    )
    for layer in layers:
        layer(features)
        layer.gamma.assign(1 + 0.5 * normal(1, 8))
        layer.beta.assign(normal(2, 8))
        results.append(results_with_gradients(layer, features, weighing))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="6 channels do not divide into 4 groups"):
        GroupNormalization(4)(normal(0, 1, 2, 2, 6))


# === Up-sampling ===


def convolved(image, kernel):
    """3x3 ``[3, 3, C, O]``, nothing padded."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))
    return np.einsum("bhwcij,ijco->bhwo", windows, kernel, optimize=True)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("replicate", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 6)], ids=str)
def test_nearest_convolution_is_doubling_and_then_3x3_weights(size, replicate, training):
    layer, x = NearestConvolution(4, replicate=replicate), normal(0, 2, *size, 3)
    layer.build(x.shape)
    layer.kernel.assign(normal(1, 3, 3, 4, 3))
    layer.bias.assign([1.0, -2.0, 3.0, 0.0])
    doubled = x.astype(np.float64).repeat(2, axis=1).repeat(2, axis=2)
    mode = "edge" if replicate else "constant"
    padded = np.pad(doubled, [(0, 0), (1, 1), (1, 1), (0, 0)], mode=mode)
    kernel = layer.kernel.numpy()[::-1, ::-1].transpose(0, 1, 3, 2)
    expected = convolved(padded, kernel) + layer.bias.numpy()
    found = layer(x, training=training).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("replicate", [False, True])
def test_nearest_convolution_has_the_same_gradient_either_way(replicate):
    layer, x = NearestConvolution(4, replicate=replicate), tf.constant(normal(0, 2, 4, 6, 3))
    layer.build(x.shape)
    layer.kernel.assign(normal(1, 3, 3, 4, 3))
    found = []
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=training) * normal(2, 2, 8, 12, 4))
        found.append(tape.gradient(loss, [x, layer.kernel, layer.bias]))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-4)


def test_bilinear_doubling_is_that_of_tf_image():
    x = normal(0, 2, 5, 3, 4)
    found = BilinearDouble()(x).numpy()
    np.testing.assert_allclose(found, tf.image.resize(x, [10, 6]).numpy(), rtol=0, atol=1e-6)


def test_smoothing_is_the_filter_of_1_2_1():
    x = normal(0, 2, 5, 1, 4)
    padded = np.pad(x.astype(np.float64), [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    kernel = np.outer([1, 2, 1], [1, 2, 1])[:, :, None, None] / 16 * np.eye(4)
    np.testing.assert_allclose(Smoothing()(x).numpy(), convolved(padded, kernel), atol=1e-6)


def test_smoothing_makes_nearest_bilinear():
    """The 3x3 convolution of bilinearly doubled features, whose steps a nearest one has."""
    layer, x = NearestConvolution(4, replicate=True), normal(0, 2, 5, 6, 3)
    layer.build(x.shape)
    layer.kernel.assign(normal(1, 3, 3, 4, 3))
    kernel = layer.kernel.numpy()[::-1, ::-1].transpose(0, 1, 3, 2)
    doubled = tf.image.resize(x, [10, 12]).numpy().astype(np.float64)
    found = Smoothing()(layer(x)).numpy()[:, 1:-1, 1:-1]
    np.testing.assert_allclose(found, convolved(doubled, kernel), rtol=1e-5, atol=1e-5)


def test_replicate_padding_is_numpys_edge():
    x = normal(0, 2, 3, 1, 4)
    expected = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    np.testing.assert_array_equal(ReplicatePadding()(x).numpy(), expected)


@pytest.mark.parametrize("norm", ["instance", "group", "batch", "none"])
@pytest.mark.parametrize("upsampling", ["nearest", "smooth", "bilinear"])
def test_a_constant_input_stays_constant(norm, upsampling):
    """Nothing of where a pixel stands comes in: that is what replicated borders are for."""
    from tfpix2pix.models import build_generator

    model = build_generator(
        crop_size=32, ngf=8, norm=norm, bottleneck=4, upsampling=upsampling, padding="replicate"
    )
    for variable in model.weights:
        if "variance" not in variable.name:
            variable.assign(0.3 * normal(7, *variable.shape))
    z = -np.ones((1, *(32 // 4, 32 // 4), model.inputs[1].shape[-1]), np.float32)
    x = np.ones((1, 32, 32, 3), np.float32) * np.array([0.3, -0.7, 0.9], np.float32)
    y = model([x, z], training=False).numpy()
    # Rounding alone, which a normalisation of a constant map enlarges by 1 / sqrt(1e-5) a layer.
    assert np.ptp(y[0], axis=(0, 1)).max() < 2e-2


# === SpectralConvolution ===


@pytest.mark.parametrize("shape", [(4, 4, 3, 8), (4, 4, 16, 1), (1, 1, 8, 8)], ids=str)
def test_the_spectral_norm_is_numpys_from_below(shape):
    weights = normal(0, *shape)
    largest = np.linalg.svd(weights.reshape(-1, shape[-1]), compute_uv=False)[0]
    found = float(spectral_norm(tf.constant(weights), SpectralConvolution.ITERATIONS))
    # Eight power iterations: for random weights, whose values lie close together, a few percent.
    assert 0.93 * largest < found < largest * 1.0001
    assert float(spectral_norm(tf.constant(weights), 400)) == pytest.approx(largest, rel=1e-3)


def test_a_spectral_convolution_is_one_of_divided_weights():
    layer, plain = SpectralConvolution(5, 4, strides=2), Convolution(5, 4, strides=2)
    x = normal(0, 2, 10, 8, 3)
    for each in (layer, plain):
        each.build(x.shape)
    layer.kernel.assign(normal(1, 4, 4, 3, 5))
    layer.bias.assign(normal(2, 5))
    norm = spectral_norm(tf.convert_to_tensor(layer.kernel), layer.ITERATIONS)
    plain.kernel.assign(tf.convert_to_tensor(layer.kernel) / norm)
    plain.bias.assign(tf.convert_to_tensor(layer.bias))
    for training in (False, True):
        found, expected = (each(x, training=training).numpy() for each in (layer, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_sees_the_division():
    """The result does not change with the scale of the weights, so neither does it towards it."""
    layer, x = SpectralConvolution(5, 4), normal(0, 2, 8, 8, 3)
    layer(x)
    layer.kernel.assign(normal(1, 4, 4, 3, 5))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * normal(2, 2, 5, 5, 5))
    gradient = tape.gradient(loss, layer.kernel)
    along = float(tf.reduce_sum(gradient * tf.convert_to_tensor(layer.kernel)))
    assert abs(along) < 1e-3 * float(tf.norm(gradient)) * float(tf.norm(layer.kernel))


# === InputNoise ===


def test_input_noise_is_z_between_minus_1_and_1_beside_x():
    x, z = normal(0, 1, 4, 6, 3), np.zeros((1, 2, 3, 10), np.float32)
    z[..., 2:] = np.random.default_rng(1).uniform(0, 1, (1, 2, 3, 8))
    z[0, 1, 2, 2:] = -1  # of a block of 2x2 pixels: no noise
    found = InputNoise(2, 2, 2)([x, z]).numpy()
    assert found.shape == (1, 4, 6, 5)
    np.testing.assert_array_equal(found[..., :3], x)
    pixels = z[..., 2:].reshape(1, 2, 3, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(1, 4, 6, 2)
    np.testing.assert_allclose(found[..., 3:], np.where(pixels < 0, 0, 2 * pixels - 1), atol=1e-6)
    assert not found[0, 2:, 4:, 3:].any()


def test_without_z_its_channels_are_zeros():
    x = normal(0, 1, 4, 6, 3)
    found = ZeroChannels(2)(x).numpy()
    np.testing.assert_array_equal(
        found, InputNoise(2, 0, 1)([x, -np.ones((1, 4, 6, 2), np.float32)]).numpy()
    )


# === NoiseDropout ===


def test_noise_below_the_rate_drops_and_the_rest_is_scaled_up():
    features = np.full((1, 1, 5, 1), 3.0, np.float32)
    below = np.nextafter(np.float32(0.25), np.float32(0))
    z = np.array([0.0, below, 0.25, 0.5, 0.999], np.float32).reshape(1, 1, 5, 1)
    out = NoiseDropout(0.25, 0, 1)([features, z]).numpy()
    np.testing.assert_array_equal(out.ravel(), [0, 0, 4, 4, 4])


def test_negative_noise_is_the_exact_identity():
    features = normal(0, 2, 3, 3, 4)
    for value in (-1.0, -1e-6):
        z = np.full((2, 3, 3, 4), value, np.float32)
        np.testing.assert_array_equal(NoiseDropout(0.7, 0, 1)([features, z]).numpy(), features)


def test_rate_zero_is_the_exact_identity_for_any_noise():
    features = normal(0, 2, 3, 3, 4)
    z = np.random.default_rng(1).uniform(0, 1, features.shape).astype(np.float32)
    z[0, 0, 0] = 0.0
    np.testing.assert_array_equal(NoiseDropout(0.0, 0, 1)([features, z]).numpy(), features)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_uniform_noise_drops_its_share_and_keeps_the_mean(rate):
    shape = (4, 64, 64, 16)
    z = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    out = NoiseDropout(rate, 0, 1)([np.ones(shape, np.float32), z]).numpy()
    # Six standard deviations of a share among 262,144.
    six = 6 * (rate * (1 - rate) / out.size) ** 0.5
    assert abs((out == 0).mean() - rate) < six
    assert abs(out.mean() - 1) < six / (1 - rate)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(ValueError, match="rate"):
        NoiseDropout(rate, 0, 1)


def test_offset_and_block_pick_every_features_own_number():
    # Features [1, 4, 4, 2] from z [1, 2, 2, 3 + 8 + 1]: three channels before, one after.
    z = np.full((1, 2, 2, 12), 0.9, np.float32)
    z[0, 1, 0, 3 + (0 * 2 + 1) * 2 + 1] = 0.1  # block (1, 0), row 0 and column 1 in it, channel 1
    out = NoiseDropout(0.5, 3, 2)([np.ones((1, 4, 4, 2), np.float32), z]).numpy()
    assert np.argwhere(out == 0).tolist() == [[0, 2, 1, 1]]


# === normalization ===


def test_batch_normalization_has_torchs_constants():
    layer = normalization("batch", "n")
    assert layer.momentum == 0.9
    assert layer.epsilon == 1e-5


def test_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="'layer'"):
        normalization("layer", "n")


LAYERS = [
    InstanceNormalization(1e-3),
    InstanceNormalization(affine=False),
    NoiseDropout(0.3, 4, 2),
    GroupNormalization(4, 1e-3),
    InputNoise(3, 2, 4),
    ZeroChannels(2),
    ReplicatePadding(),
    BilinearDouble(),
    DepthToSpace(2),
    NearestConvolution(3, replicate=True),
    Smoothing(),
    SpectralConvolution(3, 4),
]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_rebuilt_from_its_config(layer):
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config


def test_a_layer_of_before_has_scale_and_offset():
    config = InstanceNormalization().get_config()
    del config["affine"]
    assert InstanceNormalization.from_config(config).affine


def test_a_transposed_convolution_by_phases_is_the_plain_one():
    features = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype(np.float32)
    layers = [
        kind(6, 4, strides=2, padding="same")
        for kind in (tf.keras.layers.Conv2DTranspose, PhasedConvolution)
    ]
    for layer in layers:
        layer.build(features.shape)
    layers[1].set_weights([layers[0].get_weights()[0], np.arange(6, dtype=np.float32)])
    layers[0].set_weights(layers[1].get_weights())
    np.testing.assert_allclose(layers[1](features), layers[0](features), atol=1e-5)
    np.testing.assert_allclose(layers[1](features, training=True), layers[0](features), atol=1e-5)
