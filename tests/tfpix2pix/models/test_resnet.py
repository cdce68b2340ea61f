"""The ResNet generator and the discriminator of single images: sizes, structure, what they see."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models.base import inputs_of
from tfpix2pix.models.patchgan import build_discriminator
from tfpix2pix.models.resnet import build_resnet, resnet
from tfpix2pix.models.weights import named_weights


def weights_in(model) -> int:
    """Without moving averages, which PyTorch counts as buffers."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


# === Parameter counts ===

CONVOLUTIONS = [(7, 3, 64), (3, 64, 128), (3, 128, 256), (3, 256, 128), (3, 128, 64), (7, 64, 3)]


def expected_weights(blocks: int, width: int, biases: bool, scales: bool) -> int:
    """Counted by hand, layer by layer."""
    sizes = [
        (k, *(n if n == 3 else n * width // 64 for n in channels)) for k, *channels in CONVOLUTIONS
    ] + 2 * blocks * [(3, 4 * width, 4 * width)]
    normed = sum(out for _, _, out in sizes) - 3
    count = sum(k * k * one * out for k, one, out in sizes) + 3
    return count + biases * normed + scales * 2 * normed


@pytest.mark.parametrize(
    ("blocks", "norm", "bias_layers", "count"),
    [
        (9, "instance_plain", "all", 11_378_179),
        (9, "instance", "pytorch", 11_378_179),
        (9, "instance", "all", 11_388_675),
        (9, "batch", "all", 11_383_427),
        (6, "instance_plain", "all", 7_837_699),
        (6, "instance", "all", 7_845_123),
        (6, "batch", "all", 7_841_411),
    ],
)
def test_resnet_has_the_authors_parameters(blocks, norm, bias_layers, count):
    scales = norm == "batch" or (norm == "instance" and bias_layers == "all")
    assert expected_weights(blocks, 64, norm != "batch", scales) == count
    model = build_resnet(blocks=blocks, norm=norm, bias_layers=bias_layers)
    assert weights_in(model) == count


@pytest.mark.parametrize(
    ("blocks", "width", "count"),
    [(6, 16, 494_083), (9, 16, 715_651), (6, 32, 1_965_059), (9, 32, 2_850_563)],
)
def test_narrow_resnets(blocks, width, count):
    assert weights_in(build_resnet(blocks=blocks, ngf=width, norm="instance_plain")) == count


@pytest.mark.parametrize(
    ("norm", "count"),
    [("instance_plain", 2_764_737), ("instance", 2_766_529), ("batch", 2_765_633)],
)
def test_discriminator_of_images_alone_has_the_authors_parameters(norm, count):
    model = build_discriminator(norm=norm, bias_layers="all", conditional=False)
    assert weights_in(model) == count
    shapes = [model.compute_output_shape((1, side, side, 3)) for side in (256, 128)]
    assert shapes == [(1, 30, 30, 1), (1, 14, 14, 1)]


def multiplications(generator, side: int, transposed_at_output: bool) -> int:
    """Of one square image, from `Generator.kernels` alone."""
    total = 0
    for name, kernel in generator.kernels.items():
        pixels = [size for _, size in kernel.features]
        enlarges = transposed_at_output and name.startswith("up")
        total += math.prod(kernel.shape) * (side // (min if enlarges else max)(pixels)) ** 2
    return total


@pytest.mark.parametrize(
    ("blocks", "side", "ngf", "published", "done"),
    [(9, 256, 64, 56.80, 49.55), (6, 128, 64, 10.58, 8.76), (6, 128, 16, 0.72, 0.61)],
)
def test_multiplications(blocks, side, ngf, published, done):
    """Published counts take a transposed convolution for one over its enlarged input, zeros and
    all; each weight meets each input pixel once."""
    generator = resnet(input_channels=3, output_channels=3, ngf=ngf, blocks=blocks)
    assert round(multiplications(generator, side, True) / 1e9, 2) == published
    assert round(multiplications(generator, side, False) / 1e9, 2) == done


@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "smooth", "bilinear", "subpixel"])
def test_kernels_are_those_of_the_model(upsampling):
    generator = resnet(
        input_channels=2, output_channels=1, ngf=4, blocks=2, upsampling=upsampling, input_noise=1
    )
    model = generator.build()
    found = {
        name.removesuffix("/kernel"): tuple(value.shape)
        for name, value in named_weights(model).items()
        if name.endswith("kernel")
    }
    assert found == {name: kernel.shape for name, kernel in generator.kernels.items()}
    assert list(found) == list(generator.kernels)
    x = tf.zeros([1, 8, 12, 2])
    assert model(inputs_of(x, generator.draw(0, 1, tf.constant([0]), x))).shape == (1, 8, 12, 1)


# === What a pixel sees ===


def seen_by(gradient) -> tuple[int, int]:
    """Rows and columns of the input of which an output depends."""
    rows, columns = np.nonzero(np.abs(gradient).sum(-1)[0])
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def positive(model):
    """Weights that cancel nowhere, so that a gradient of 0 means that nothing is seen."""
    for name, variable in named_weights(model).items():
        variable.assign(tf.fill(variable.shape, 0.01 if name.endswith("kernel") else 0.0))
    return model


def gradient_at(model, side: int, row: int, channels: int = 3):
    x = tf.ones([1, side, side, channels])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)[0, row, row, 0]
    return tape.gradient(y, x).numpy()


@pytest.mark.parametrize(("blocks", "fields"), [(1, {37, 41}), (6, {117, 121}), (9, {165, 169})])
def test_receptive_field_of_the_generator(blocks, fields):
    """Going back: the 7 pixels that the last layer sees are made of 3 of the coarsest, or of 4 for
    pixel 4 m + 2; a block adds 4; each strided layer makes 2 n + 1 of n, and the first adds 6."""
    assert fields == {4 * (n + 4 * blocks) + 3 + 6 for n in (3, 4)}
    side = max(fields) // 4 * 4 + 16
    model = positive(build_resnet(ngf=1, blocks=blocks, norm="none"))
    middle = side // 8 * 4
    found = [seen_by(gradient_at(model, side, middle + i)) for i in (0, 2)]
    assert found == [(size, size) for size in sorted(fields)]


@pytest.mark.parametrize(("field", "side"), [(1, 8), (16, 32), (70, 128)])
def test_receptive_field_of_the_discriminator(field, side):
    model = positive(
        build_discriminator(
            receptive_field=field, ndf=1, norm="none", conditional=False, output_channels=3
        )
    )
    middle = model.compute_output_shape((1, side, side, 3))[1] // 2
    assert seen_by(gradient_at(model, side, middle)) == (field, field)
