"""Both networks against a second implementation of the paper's description, in NumPy alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models import build_discriminator, build_generator

# === The paper's building blocks, float64 ===


def convolve(image, kernel, stride, pad):
    """``[B, H, W, C]`` by ``[k, k, C, O]``, `pad` zeros on every side."""
    padded = np.pad(image, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))
    return np.einsum("bhwcij,ijco->bhwo", windows[:, ::stride, ::stride], kernel, optimize=True)


def spread(image, kernel):
    """The transposed convolution: every pixel paints kernel ``[4, 4, O, C]`` at twice its place."""
    batch, height, width, _ = image.shape
    canvas = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[2]))
    for i in range(4):
        for j in range(4):
            painted = image @ kernel[i, j].T
            canvas[:, i : i + 2 * height : 2, j : j + 2 * width : 2] += painted
    return canvas[:, 1:-1, 1:-1]


def standardize(image, gamma, beta):
    mean = image.mean(axis=(1, 2), keepdims=True)
    variance = ((image - mean) ** 2).mean(axis=(1, 2), keepdims=True)
    return gamma * (image - mean) / np.sqrt(variance + 1e-5) + beta


def convolved(w, name, features, convolution, *shape):
    """A layer with its bias, where it has one."""
    return convolution(features, w[f"{name}/kernel"], *shape) + w.get(f"{name}/bias", 0.0)


def normalised(w, name, features):
    """A normalisation with its scale and offset, where it has them."""
    return standardize(features, w.get(f"{name}/gamma", 1.0), w.get(f"{name}/beta", 0.0))


def leaky(image):
    return np.where(image < 0, 0.2 * image, image)


def unfold(noise, block):
    """Channels to pixels: channel ``(i * block + j) * C + c`` goes to pixel (i, j) of the block."""
    batch, height, width, channels = noise.shape
    cells = noise.reshape(batch, height, width, block, block, channels // block**2)
    rows = cells.transpose(0, 1, 3, 2, 4, 5)
    return rows.reshape(batch, height * block, width * block, -1)


def drop(image, noise, rate):
    mask = np.where(noise < rate, 0.0, 1.0 / (1.0 - rate))
    return image * np.where(noise < 0, 1.0, mask)


# === The networks ===


def reference_generator(weights, x, z, *, levels, noisy, wide, rate, skips):
    """Appendix 6.1.1, with the errata: encoder C-C-...-C, decoder CD-...-C.

    `noisy` are the decoder's levels with dropout, coarsest first; `wide` is their channel count.
    """
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    encoded = {1: convolved(w, "down1", x, convolve, 2, 1)}
    for level in range(2, levels + 1):
        features = convolved(w, f"down{level}", leaky(encoded[level - 1]), convolve, 2, 1)
        if level < levels:
            features = normalised(w, f"down{level}_norm", features)
        encoded[level] = features

    features = encoded[levels]
    for level in range(levels, 1, -1):
        if skips and level < levels:
            features = np.concatenate([features, encoded[level]], axis=-1)
        features = convolved(w, f"up{level}", np.maximum(features, 0), spread)
        features = normalised(w, f"up{level}_norm", features)
        if level in noisy:
            place = noisy.index(level)
            first = wide * sum(4**k for k in range(place))
            noise = z[..., first : first + wide * 4**place]
            features = drop(features, unfold(noise, 2**place), rate)
    if skips:
        features = np.concatenate([features, encoded[1]], axis=-1)
    assert "up1/bias" in w
    return np.tanh(convolved(w, "up1", np.maximum(features, 0), spread))


def reference_discriminator(weights, pair, kernel_size, strides):
    """Appendix 6.1.2: `strides` of the layers with an activation, then one layer to a logit."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    pad = 1 if kernel_size == 4 else 0
    features = pair
    for number, stride in enumerate(strides, start=1):
        features = convolved(w, f"conv{number}", features, convolve, stride, pad)
        if number > 1:
            features = normalised(w, f"conv{number}_norm", features)
        features = leaky(features)
    last = f"conv{len(strides) + 1}"
    assert "conv1/bias" in w
    assert f"{last}/bias" in w or kernel_size == 1
    return convolved(w, last, features, convolve, 1, pad)


# === Tests ===


@pytest.mark.parametrize("skips", [True, False], ids=["unet", "encoder_decoder"])
@pytest.mark.parametrize("noise", ["uniform", "none"])
@pytest.mark.parametrize(("crop_size", "noisy"), [(32, [5]), (64, [6, 5]), (128, [7, 6, 5])])
def test_generator_is_the_papers(crop_size, noisy, noise, skips, scramble):
    ngf, rate = 4, 0.4
    model = build_generator(
        crop_size=crop_size, input_channels=2, output_channels=3, ngf=ngf, dropout=rate, skips=skips
    )
    weights = scramble(model)
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, (2, crop_size, crop_size, 2))
    z = random.uniform(0, 1, (2, 2, 2, 8 * ngf * sum(4**k for k in range(len(noisy)))))
    if noise == "none":
        z = np.full_like(z, -1.0)
    expected = reference_generator(
        weights,
        x,
        z,
        levels=crop_size.bit_length() - 1,
        noisy=noisy,
        wide=8 * ngf,
        rate=rate,
        skips=skips,
    )
    assert np.abs(expected).mean() > 0.1, "a picture of nothing would prove nothing"
    found = model([tf.constant(x, tf.float32), tf.constant(z, tf.float32)]).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_generator_with_a_bias_in_every_layer(scramble):
    model = build_generator(crop_size=64, ngf=4, bias_layers="pytorch")
    weights = scramble(model)
    assert sum(name.endswith("bias") for name in weights) == 12
    random = np.random.default_rng(1)
    x, z = random.uniform(-1, 1, (2, 64, 64, 3)), random.uniform(0, 1, (2, 2, 2, 32 + 128))
    expected = reference_generator(
        weights, x, z, levels=6, noisy=[6, 5], wide=32, rate=0.5, skips=True
    )
    assert np.abs(expected).mean() > 0.1
    found = model([tf.constant(x, tf.float32), tf.constant(z, tf.float32)]).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_generator_of_a_wide_picture_is_the_papers(scramble):
    model = build_generator(crop_size=64, ngf=4)
    weights = scramble(model)
    random = np.random.default_rng(1)
    x, z = random.uniform(-1, 1, (1, 64, 192, 3)), random.uniform(0, 1, (1, 2, 6, 32 + 128))
    expected = reference_generator(
        weights, x, z, levels=6, noisy=[6, 5], wide=32, rate=0.5, skips=True
    )
    found = model([tf.constant(x, tf.float32), tf.constant(z, tf.float32)]).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("conditional", "bias_layers"), [(True, "paper"), (False, "paper"), (True, "pytorch")]
)
@pytest.mark.parametrize(
    ("receptive_field", "kernel_size", "strides", "size"),
    [
        (1, 1, [1, 1], 64),
        (16, 4, [2, 1], 64),
        (70, 4, [2, 2, 2, 1], 64),
        (286, 4, [2, 2, 2, 2, 2, 1], 128),
    ],
)
def test_discriminator_is_the_papers(
    receptive_field, kernel_size, strides, size, conditional, bias_layers, scramble
):
    model = build_discriminator(
        receptive_field=receptive_field,
        ndf=4,
        input_channels=2,
        output_channels=3,
        bias_layers=bias_layers,
        conditional=conditional,
    )
    weights = scramble(model)
    random = np.random.default_rng(2)
    x, y = random.uniform(-1, 1, (2, size, size, 2)), random.uniform(-1, 1, (2, size, size, 3))
    pair = np.concatenate([x, y], axis=-1) if conditional else y
    expected = reference_discriminator(weights, pair, kernel_size, strides)
    x, y = tf.constant(x, tf.float32), tf.constant(y, tf.float32)
    found = model([x, y] if conditional else y).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)
