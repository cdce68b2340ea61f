"""PatchGAN: its parameters, its patches, and what it sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models import build_discriminator
from tfpix2pix.models.weights import named_weights

# Layers before the one that makes the logit, as (kernel, stride), from appendix 6.1.2.
LAYERS = {
    1: [(1, 1), (1, 1)],
    16: [(4, 2), (4, 1)],
    70: [(4, 2), (4, 2), (4, 2), (4, 1)],
    286: [(4, 2)] * 5 + [(4, 1)],
}


# === Parameter counts ===


def test_pixel_discriminator_has_the_papers_parameters():
    # 1x1: six channels to 64 with bias, 64 to 128 with a normalisation, 128 to the logit.
    assert (6 * 64 + 64) + (64 * 128 + 2 * 128) + 128 == 9_024
    assert build_discriminator(receptive_field=1).count_params() == 9_024


@pytest.mark.parametrize(
    ("receptive_field", "widths", "golden"),
    [
        (16, [64, 128], 139_585),
        (70, [64, 128, 256, 512], 2_768_705),
        (286, [64, 128, 256, 512, 512, 512], 11_159_361),
    ],
)
def test_patch_discriminators_have_the_papers_parameters(receptive_field, widths, golden):
    expected = 16 * 6 * widths[0] + widths[0]  # the first layer has a bias and no normalisation
    for before, after in itertools.pairwise(widths):
        expected += 16 * before * after + 2 * after
    expected += 16 * widths[-1] + 1
    assert expected == golden
    assert build_discriminator(receptive_field=receptive_field).count_params() == golden


def test_parameters_of_a_small_unconditional_discriminator():
    # y alone, one channel; 16 pixels; 3 and 6 channels.
    expected = (16 * 1 * 3 + 3) + (16 * 3 * 6 + 2 * 6) + (16 * 6 * 1 + 1)
    model = build_discriminator(
        receptive_field=16, ndf=3, output_channels=1, input_channels=7, conditional=False
    )
    assert model.count_params() == expected


@pytest.mark.parametrize(("receptive_field", "layers"), [(1, 3), (16, 3), (70, 5), (286, 7)])
def test_with_a_bias_in_every_layer_nothing_else_but_kernels_is_left(receptive_field, layers):
    model = build_discriminator(receptive_field=receptive_field, ndf=2, bias_layers="pytorch")
    names = [f"conv{number}" for number in range(1, layers + 1)]
    expected = {f"{name}/{part}" for name in names for part in ("kernel", "bias")}
    assert set(named_weights(model)) == expected


# === Patches ===


@pytest.mark.parametrize("receptive_field", LAYERS)
@pytest.mark.parametrize("size", [128, 256])
def test_number_of_patches_is_torchs(receptive_field, size):
    patches = size
    for kernel, stride in [*LAYERS[receptive_field], (LAYERS[receptive_field][0][0], 1)]:
        pad = 1 if kernel == 4 else 0
        patches = (patches + 2 * pad - kernel) // stride + 1
    model = build_discriminator(receptive_field=receptive_field, ndf=1)
    pair = [tf.zeros([1, size, size, 3])] * 2
    assert model(pair).shape == (1, patches, patches, 1)


def test_70_pixel_patches_of_a_256_pixel_image_are_30_by_30():
    pair = [tf.zeros([1, 256, 256, 3])] * 2
    assert build_discriminator(ndf=1)(pair).shape == (1, 30, 30, 1)


@pytest.mark.parametrize(("receptive_field", "size"), [(1, 33), (16, 64), (70, 160), (286, 416)])
def test_a_logit_sees_exactly_its_receptive_field(receptive_field, size):
    model = build_discriminator(receptive_field=receptive_field, ndf=1, norm="none")
    # Weights all positive, so that no two paths can cancel.
    for name, variable in named_weights(model).items():
        if name.endswith("kernel"):
            fan_in = np.prod(variable.shape[:3])
            variable.assign(np.full(variable.shape, 1 / fan_in, np.float32))
    x = tf.random.stateless_uniform([1, size, size, 3], [1, 2])
    y = tf.random.stateless_uniform([1, size, size, 3], [3, 4])
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        logits = model([x, y])
        centre = logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]
    for gradient in tape.gradient(centre, [x, y]):
        seen = np.abs(gradient.numpy()[0]).sum(axis=-1) > 0
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        assert rows.min() > 0, "cut off by the border: the input is too small for this test"
        assert rows.max() < size - 1
        assert seen.sum() == receptive_field**2
        assert rows.max() - rows.min() + 1 == receptive_field
        assert columns.max() - columns.min() + 1 == receptive_field


# === What it sees ===


def test_unconditional_discriminator_takes_y_alone():
    model = build_discriminator(ndf=1, conditional=False)
    assert [tensor.name.split(":")[0] for tensor in model.inputs] == ["y"]


def test_conditional_discriminator_sees_both(scramble):
    model = build_discriminator(receptive_field=16, ndf=4)
    scramble(model)
    x, y, other = (tf.random.stateless_uniform([1, 32, 32, 3], [0, i], -1, 1) for i in range(3))
    logits = model([x, y]).numpy()
    assert np.abs(model([other, y]).numpy() - logits).max() > 0.1
    assert np.abs(model([x, other]).numpy() - logits).max() > 0.1


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", ["instance", "none"])
def test_a_verdict_does_not_change_with_its_batch_mates(norm, training, scramble):
    model = build_discriminator(ndf=8, norm=norm)
    scramble(model)
    x, y = (tf.random.stateless_uniform([5, 64, 64, 3], [0, i], -1, 1) for i in range(2))
    together = model([x, y], training=training).numpy()
    alone = [model([x[i : i + 1], y[i : i + 1]], training=training).numpy() for i in range(5)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=0, atol=1e-6)


# === Arguments ===


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ({"receptive_field": 34}, "34"),
        ({"norm": "layer"}, "layer"),
        ({"bias_layers": "pytorch", "norm": "none"}, "needs norm='instance', got 'none'"),
    ],
)
def test_bad_arguments_are_refused(argument, named):
    with pytest.raises(ValueError, match=named):
        build_discriminator(ndf=1, **argument)
