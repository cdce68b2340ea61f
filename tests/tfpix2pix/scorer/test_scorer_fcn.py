"""FCN-8s against numbers worked out by hand and a reference made of single operations."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models.weights import named_weights
from tfpix2pix.scorer.fcn import VGGInput, bilinear, fcn8s, initialize, upsampling

CONVOLUTIONS = [  # VGG-16 of width 1: (name, channels in widths)
    *(("block1_conv1", 1), ("block1_conv2", 1), "pool"),
    *(("block2_conv1", 2), ("block2_conv2", 2), "pool"),
    *(("block3_conv1", 4), ("block3_conv2", 4), ("block3_conv3", 4), "pool"),
    *(("block4_conv1", 8), ("block4_conv2", 8), ("block4_conv3", 8), "pool"),
    *(("block5_conv1", 8), ("block5_conv2", 8), ("block5_conv3", 8), "pool"),
]


def randomized(network, seed=0):
    """Weights in which nothing is zero or one, so that no part can hide."""
    initialize(network, seed)
    random = np.random.default_rng(seed)
    for name, variable in named_weights(network.model).items():
        last = name.split("/")[1]
        if last in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif last != "kernel" or name.startswith("score_"):
            variable.assign(random.normal(0, 0.2, variable.shape))
        elif name.startswith("up_"):
            variable.assign_add(random.normal(0, 0.02, variable.shape))
    return network


@pytest.fixture(scope="module")
def small():
    return randomized(fcn8s(3, width=2))


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(1).uniform(-1, 1, (2, 64, 96, 3)).astype(np.float32)


# === Form ===


def test_parameters_of_vgg_are_those_of_the_paper():
    """At width 64, by hand: the trunk has VGG-16's 14,714,688, fc6 102,764,544, fc7 16,781,312."""
    width, k = 2, 3
    shapes = {n: tuple(v.shape) for n, v in named_weights(fcn8s(k, width, vgg=True).model).items()}
    trunk = sum(np.prod(s) for n, s in shapes.items() if n.startswith("block"))
    # Kernels grow with the square of the width but for the first (3 channels in), biases with it.
    channels = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    full = sum(9 * a * b + b for a, b in zip([3, *channels], channels, strict=False))
    assert full == 14_714_688
    scaled = [c * width // 64 for c in channels]
    assert trunk == sum(9 * a * b + b for a, b in zip([3, *scaled], scaled, strict=False))
    assert shapes["fc6/kernel"] == (7, 7, 16, 128)
    assert shapes["fc7/kernel"] == (1, 1, 128, 128)
    assert shapes["score_fc7/kernel"] == (1, 1, 128, 3)
    assert shapes["score_pool4/kernel"] == (1, 1, 16, 3)
    assert shapes["score_pool3/kernel"] == (1, 1, 8, 3)
    assert shapes["up_fc7/kernel"] == shapes["up_pool4/kernel"] == (4, 4, 3, 3)
    assert shapes["up_pool3/kernel"] == (16, 16, 3, 3)
    assert not any("_bn" in name for name in shapes)


def test_the_names_of_the_trunk_are_those_of_keras():
    vgg = tf.keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    theirs = set(named_weights(vgg))
    ours = {n for n in named_weights(fcn8s(3, 2, vgg=True).model) if n.startswith("block")}
    assert ours == theirs


def test_the_last_upsampling_is_not_trained(small):
    trained = named_weights(small.model, trainable_only=True)
    assert "up_pool3/kernel" not in trained
    assert {"up_fc7/kernel", "up_pool4/kernel", "fc6/kernel"} <= set(trained)
    assert set(named_weights(small.model)) == set(named_weights(small.trained))


@pytest.mark.parametrize("size", [(32, 32), (64, 96)], ids=str)
def test_scores_have_the_size_of_the_photo(small, size):
    assert small.model(tf.zeros([2, *size, 3])).shape == (2, *size, 3)


# === Values ===


def reference(network, photos):
    """FCN-8s of single operations, from the weights by name."""
    w = {name: v.numpy() for name, v in named_weights(network.model).items()}

    def convolve(x, name):
        x = tf.nn.conv2d(x, w[f"{name}/kernel"], 1, "SAME").numpy()
        mean, variance = w[f"{name}_bn/moving_mean"], w[f"{name}_bn/moving_variance"]
        x = (x - mean) / np.sqrt(variance + 1e-5) * w[f"{name}_bn/gamma"] + w[f"{name}_bn/beta"]
        return np.maximum(x, 0)

    def score(x, name):
        return x @ w[f"{name}/kernel"][0, 0] + w[f"{name}/bias"]

    x, pools = photos, []
    for step in CONVOLUTIONS:
        if step == "pool":
            b, h, width, c = x.shape
            x = x.reshape(b, h // 2, 2, width // 2, 2, c).max(axis=(2, 4))
            pools.append(x)
        else:
            x = convolve(x, step[0])
    x = convolve(convolve(x, "fc6"), "fc7")
    fused = spread(score(x, "score_fc7"), w["up_fc7/kernel"], 2) + score(pools[3], "score_pool4")
    fused = spread(fused, w["up_pool4/kernel"], 2) + score(pools[2], "score_pool3")
    return spread(fused, w["up_pool3/kernel"], 8)


def spread(x, kernel, factor):
    """A transposed convolution, as every value stamping its kernel; `factor / 2` cropped off."""
    b, h, w, _ = x.shape
    out = np.zeros((b, (h + 1) * factor, (w + 1) * factor, kernel.shape[2]))
    for row in range(h):
        for column in range(w):
            stamp = np.einsum("bi,hwoi->bhwo", x[:, row, column], kernel)
            top, left = row * factor, column * factor
            out[:, top : top + 2 * factor, left : left + 2 * factor] += stamp
    half = factor // 2
    return out[:, half : half + h * factor, half : half + w * factor]


def test_the_network_is_the_reference(small, photos, full_float32):
    found = small.model(photos, training=False).numpy()
    np.testing.assert_allclose(found, reference(small, photos), rtol=1e-3, atol=1e-3)
    assert found.std() > 0.1


@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_starts_as_bilinear_interpolation(factor):
    layer = upsampling(2, factor, f"up{factor}")
    values = tf.random.stateless_normal([1, 6, 7, 2], [1, 2])
    layer.build(values.shape)
    layer.set_weights([bilinear(2, factor)])
    expected = tf.image.resize(values, [6 * factor, 7 * factor], "bilinear").numpy()
    inner = slice(factor, -factor)  # at the border a zero lies outside, not the nearest value
    found = layer(values).numpy()[:, inner, inner]
    np.testing.assert_allclose(found, expected[:, inner, inner], atol=1e-5)


def test_dropout_follows_the_noise(small, photos):
    plain = small.model(photos, training=False).numpy()
    shape = (2, 2, 3, small.z_channels)
    off = small.trained([photos, np.full(shape, -1, np.float32)], training=False).numpy()
    np.testing.assert_array_equal(off, plain)
    # With everything dropped fc7 says nothing: as a network whose score of fc7 is its bias.
    silent = small.trained([photos, np.zeros(shape, np.float32)], training=False).numpy()
    kernel = named_weights(small.model)["score_fc7/kernel"]
    kept = kernel.numpy()
    kernel.assign(tf.zeros_like(kernel))
    np.testing.assert_allclose(
        silent, small.model(photos, training=False).numpy(), rtol=1e-5, atol=1e-5
    )
    kernel.assign(kept)
    assert np.abs(silent - plain).max() > 0.01


def test_the_input_of_vgg_is_that_of_keras(photos):
    rgb = np.rint((photos + 1) * 127.5)
    expected = tf.keras.applications.vgg16.preprocess_input(rgb.copy())
    found = VGGInput()(tf.constant(rgb / 127.5 - 1, tf.float32)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)


# === Initial weights ===


def test_initial_weights_follow_from_the_seed():
    networks = [fcn8s(3, 2) for _ in range(3)]
    for network, seed in zip(networks, (5, 5, 6), strict=True):
        initialize(network, seed)
    one, same, other = (named_weights(network.model) for network in networks)
    for name, variable in one.items():
        np.testing.assert_array_equal(variable.numpy(), same[name].numpy())
    assert np.abs(one["fc6/kernel"].numpy() - other["fc6/kernel"].numpy()).max() > 0.01
    # He: variance 2 / fan in, here 7 * 7 * 16.
    assert one["fc6/kernel"].numpy().var() == pytest.approx(2 / 784, rel=0.05)
    assert not one["score_fc7/kernel"].numpy().any()
    assert not one["fc7_bn/beta"].numpy().any()
    assert (one["fc7_bn/moving_variance"].numpy() == 1).all()
