"""Per-image normalisation, and dropout by explicit noise."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models import InstanceNormalization, NoiseDropout
from tfpix2pix.models.layers import normalization


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
]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_rebuilt_from_its_config(layer):
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config


def test_a_layer_of_before_has_scale_and_offset():
    config = InstanceNormalization().get_config()
    del config["affine"]
    assert InstanceNormalization.from_config(config).affine
