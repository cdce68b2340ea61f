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
    encoded = {1: convolve(x, w["down1/kernel"], 2, 1)}
    for level in range(2, levels + 1):
        features = convolve(leaky(encoded[level - 1]), w[f"down{level}/kernel"], 2, 1)
        if level < levels:
            norm = f"down{level}_norm"
            features = standardize(features, w[f"{norm}/gamma"], w[f"{norm}/beta"])
        encoded[level] = features

    features = encoded[levels]
    for level in range(levels, 1, -1):
        if skips and level < levels:
            features = np.concatenate([features, encoded[level]], axis=-1)
        features = spread(np.maximum(features, 0), w[f"up{level}/kernel"])
        norm = f"up{level}_norm"
        features = standardize(features, w[f"{norm}/gamma"], w[f"{norm}/beta"])
        if level in noisy:
            place = noisy.index(level)
            first = wide * sum(4**k for k in range(place))
            noise = z[..., first : first + wide * 4**place]
            features = drop(features, unfold(noise, 2**place), rate)
    if skips:
        features = np.concatenate([features, encoded[1]], axis=-1)
    return np.tanh(spread(np.maximum(features, 0), w["up1/kernel"]) + w["up1/bias"])


def reference_discriminator(weights, pair, kernel_size, strides):
    """Appendix 6.1.2: `strides` of the layers with an activation, then one layer to a logit."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    pad = 1 if kernel_size == 4 else 0
    features = pair
    for number, stride in enumerate(strides, start=1):
        features = convolve(features, w[f"conv{number}/kernel"], stride, pad)
        if number == 1:
            features = features + w["conv1/bias"]
        else:
            norm = f"conv{number}_norm"
            features = standardize(features, w[f"{norm}/gamma"], w[f"{norm}/beta"])
        features = leaky(features)
    last = f"conv{len(strides) + 1}"
    logits = convolve(features, w[f"{last}/kernel"], 1, pad)
    return logits + w[f"{last}/bias"] if kernel_size == 4 else logits


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


@pytest.mark.parametrize("conditional", [True, False])
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
    receptive_field, kernel_size, strides, size, conditional, scramble
):
    model = build_discriminator(
        receptive_field=receptive_field,
        ndf=4,
        input_channels=2,
        output_channels=3,
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
