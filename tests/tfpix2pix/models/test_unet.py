"""The generators' structure: sizes, levels, skips, and the bottleneck of the paper's erratum."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models import InstanceNormalization, build_generator, noise
from tfpix2pix.models.unet import depth_for, noise_channels, noise_factor
from tfpix2pix.models.weights import named_weights

SIZES = [32, 64, 128, 256, 512, 1024]


def inputs(model, crop_size, batch=1, height=None, width=None, seed=0):
    """Uniform (x, z) for a generator."""
    height, width = height or crop_size, width or crop_size
    factor = noise_factor(crop_size)
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (batch, height, width, model.inputs[0].shape[-1]))
    z = random.uniform(0, 1, (batch, height // factor, width // factor, model.inputs[1].shape[-1]))
    return tf.constant(x, tf.float32), tf.constant(z, tf.float32)


def output_of(model, *layers):
    return tf.keras.Model(model.inputs, [model.get_layer(layer).output for layer in layers])


# === Parameter counts ===

# A 4x4 kernel has 16 weights per pair of channels; a normalisation 2 numbers per channel.
ENCODER = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 4 * 512 * 512)
ENCODER_NORMS = 2 * (128 + 256 + 4 * 512)  # none on the first layer and on the bottleneck
DECODER_NORMS = 2 * (4 * 512 + 256 + 128 + 64)  # none on the last layer


def test_unet_has_the_papers_parameters():
    decoder = (
        16
        * (
            512 * 512
            + 3 * (512 + 512) * 512
            + (512 + 512) * 256
            + (256 + 256) * 128
            + (128 + 128) * 64
            + (64 + 64) * 3
        )
        + 3
    )
    assert ENCODER + ENCODER_NORMS + decoder + DECODER_NORMS == 54_413_955
    assert build_generator().count_params() == 54_413_955


def test_encoder_decoder_lacks_the_skips_weights_only():
    decoder = 16 * (4 * 512 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 3
    expected = ENCODER + ENCODER_NORMS + decoder + DECODER_NORMS
    assert build_generator(skips=False).count_params() == expected


def test_parameters_of_a_small_generator_of_other_channels():
    # crop 64: six levels of 5, 10, 20, 40, 40, 40 channels, from 1 channel to 2.
    encoder = 16 * (1 * 5 + 5 * 10 + 10 * 20 + 20 * 40 + 2 * 40 * 40)
    decoder = 16 * (40 * 40 + 80 * 40 + 80 * 20 + 40 * 10 + 20 * 5 + 10 * 2) + 2
    norms = 2 * (10 + 20 + 40 + 40) + 2 * (40 + 40 + 20 + 10 + 5)
    model = build_generator(crop_size=64, input_channels=1, output_channels=2, ngf=5)
    assert model.count_params() == encoder + decoder + norms


def test_without_normalisation_only_kernels_and_the_last_bias_remain():
    names = set(named_weights(build_generator(crop_size=32, ngf=2, norm="none")))
    convolutions = {f"{side}{level}/kernel" for side in ("down", "up") for level in range(1, 6)}
    assert names == convolutions | {"up1/bias"}


@pytest.mark.parametrize("skips", [True, False])
def test_with_a_bias_in_every_layer_nothing_else_but_kernels_is_left(skips):
    model = build_generator(crop_size=32, ngf=2, skips=skips, bias_layers="pytorch")
    layers = [f"{side}{level}" for side in ("down", "up") for level in range(1, 6)]
    expected = {f"{layer}/{part}" for layer in layers for part in ("kernel", "bias")}
    assert set(named_weights(model)) == expected


# === Levels ===


@pytest.mark.parametrize(("crop_size", "depth"), zip(SIZES, [5, 6, 7, 8, 9, 10], strict=True))
def test_levels_and_channels_follow_the_crop_size(crop_size, depth):
    assert depth_for(crop_size) == depth
    model = build_generator(crop_size=crop_size, ngf=2)
    names = {layer.name for layer in model.layers}
    encoder = [2, 4, 8] + [16] * (depth - 3)
    assert [model.get_layer(f"down{i}").filters for i in range(1, depth + 1)] == encoder
    assert [model.get_layer(f"up{i}").filters for i in range(1, depth + 1)] == [3, *encoder[:-1]]
    assert f"down{depth + 1}" not in names
    assert f"up{depth + 1}" not in names
    for level in range(1, depth + 1):
        for side, kind in (
            ("down", tf.keras.layers.Conv2D),
            ("up", tf.keras.layers.Conv2DTranspose),
        ):
            layer = model.get_layer(f"{side}{level}")
            assert isinstance(layer, kind)
            assert tuple(layer.kernel_size) == (4, 4)
            assert tuple(layer.strides) == (2, 2)
    normalised = {name for name in names if name.endswith("_norm")}
    assert normalised == {f"down{i}_norm" for i in range(2, depth)} | {
        f"up{i}_norm" for i in range(2, depth + 1)
    }


@pytest.mark.parametrize(
    ("crop_size", "noisy"),
    [(32, [5]), (64, [6, 5]), (128, [7, 6, 5]), (256, [8, 7, 6]), (1024, [10, 9, 8])],
)
def test_dropout_stands_in_the_first_three_full_width_decoder_layers(crop_size, noisy):
    model = build_generator(crop_size=crop_size, ngf=1)
    found = [layer.name for layer in model.layers if layer.name.endswith("_dropout")]
    assert found == [f"up{level}_dropout" for level in noisy]


@pytest.mark.parametrize(
    ("crop_size", "noisy"), [(64, [5]), (128, [6, 5]), (256, [7, 6, 5]), (512, [8, 7, 6, 5])]
)
def test_dropout_of_the_pytorch_code_leaves_the_innermost_out(crop_size, noisy):
    model = build_generator(crop_size=crop_size, ngf=1, dropout_layers="pytorch")
    found = [layer.name for layer in model.layers if layer.name.endswith("_dropout")]
    assert found == [f"up{level}_dropout" for level in noisy]


@pytest.mark.parametrize(
    ("crop_size", "places"),
    [*((size, "paper") for size in SIZES), *((size, "pytorch") for size in SIZES[1:])],
)
def test_z_has_a_number_for_every_feature_that_dropout_touches(crop_size, places):
    model = build_generator(crop_size=crop_size, ngf=1, dropout_layers=places)
    coarsest = noise_factor(crop_size, places)
    touched = 0
    for layer in model.layers:
        if layer.name.endswith("_dropout"):
            level = int(layer.name[2:].split("_")[0])
            scale = 2 ** (level - 1)  # after up{level}, a feature stands for this many pixels
            touched += (crop_size // scale) ** 2 * layer.output.shape[-1]
    channels = model.inputs[1].shape[-1]
    assert channels == noise_channels(crop_size, 1, places)
    assert (crop_size // coarsest) ** 2 * channels == touched


def test_every_number_of_z_has_a_say():
    model = build_generator(crop_size=64, ngf=1, dropout=0.5)
    x, _ = inputs(model, 64)
    layers = ["up6_dropout", "up5_dropout"]
    features = output_of(model, *layers)
    channels = model.inputs[1].shape[-1]
    dropped = [int(np.sum(f == 0)) for f in features([x, tf.fill([1, 2, 2, channels], 0.9)])]
    assert dropped == [0, 0]
    for channel in range(channels):
        z = np.full((1, 2, 2, channels), 0.9, np.float32)
        z[0, 1, 0, channel] = 0.1
        dropped = [int(np.sum(f == 0)) for f in features([x, tf.constant(z)])]
        assert dropped == ([1, 0] if channel < 8 else [0, 1])


# === Arguments ===


@pytest.mark.parametrize("crop_size", [0, 1, 16, 31, 33, 100, 255, 257, 2048, -64])
def test_crop_sizes_other_than_powers_of_two_are_refused(crop_size):
    with pytest.raises(ValueError):  # noqa: PT011
        build_generator(crop_size=crop_size, ngf=1)


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ({"norm": "layer"}, "layer"),
        ({"bias_layers": "no"}, "bias_layers must be 'paper', 'pytorch' or 'all', got 'no'"),
        ({"bias_layers": "pytorch", "norm": "batch"}, "needs norm='instance', got 'batch'"),
        ({"dropout": 1.0}, "rate"),
        ({"dropout_layers": "torch"}, "torch"),
        ({"dropout_layers": "pytorch"}, "32"),
    ],
)
def test_bad_arguments_are_refused(argument, named):
    with pytest.raises(ValueError, match=named):
        build_generator(crop_size=32, ngf=1, **argument)


# === Any size that fits ===


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 32), (32, 128), (96, 160)])
def test_any_multiple_of_the_crop_size_is_translated(height, width):
    model = build_generator(crop_size=32, ngf=2, output_channels=1)
    y = model(list(inputs(model, 32, 2, height, width)))
    assert y.shape == (2, height, width, 1)
    assert np.abs(y.numpy()).max() <= 1


# === The bottleneck (the paper's erratum) ===


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_bottleneck_is_alive_at_batch_one(norm, scramble):
    model = build_generator(crop_size=32, ngf=4, norm=norm)
    scramble(model)
    bottleneck = output_of(model, "down5")
    one, other = (bottleneck(list(inputs(model, 32, seed=s)), training=True) for s in (0, 1))
    assert one.shape == (1, 1, 1, 32)
    assert np.abs(one).min() > 0
    assert np.abs(one.numpy() - other.numpy()).mean() > 0.1

    kernel = named_weights(model)["down5/kernel"]
    with tf.GradientTape() as tape:
        y = model(list(inputs(model, 32)), training=True)
        loss = tf.reduce_mean(tf.abs(y - 0.5))
    assert np.abs(tape.gradient(loss, kernel).numpy()).max() > 1e-4


def test_bottleneck_would_be_dead_with_a_normalisation(scramble):
    model = build_generator(crop_size=32, ngf=4)
    scramble(model)
    bottleneck, norm = output_of(model, "down5"), InstanceNormalization()
    one = norm(bottleneck(list(inputs(model, 32, seed=0)))).numpy()
    other = norm(bottleneck(list(inputs(model, 32, seed=1)))).numpy()
    np.testing.assert_array_equal(one, other)

    kernel = named_weights(model)["down5/kernel"]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(norm(bottleneck(list(inputs(model, 32)))) - 1))
    np.testing.assert_array_equal(tape.gradient(loss, kernel).numpy(), 0)


# === Skips ===


def test_skips_carry_features_from_before_the_activation(scramble):
    model = build_generator(crop_size=64, ngf=4)
    scramble(model)
    pair = list(inputs(model, 64, batch=2))
    for level in range(1, 6):
        source = f"down{level}" if level == 1 else f"down{level}_norm"
        joined, features = output_of(model, f"up{level}_skip", source)(pair)
        channels = features.shape[-1]
        carried = joined[..., -channels:].numpy()
        assert joined.shape[-1] == 2 * channels
        np.testing.assert_array_equal(carried, features.numpy())
        # A leaky ReLU would leave a fifth of the negative side.
        assert np.abs(carried[carried < 0]).mean() > 0.5 * carried[carried > 0].mean()


def test_encoder_decoder_has_no_skips():
    model = build_generator(crop_size=32, ngf=2, skips=False)
    assert not [layer.name for layer in model.layers if "skip" in layer.name]


# === Batch-mates ===


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", ["instance", "none"])
def test_a_result_does_not_change_with_its_batch_mates(norm, training, scramble):
    model = build_generator(crop_size=64, ngf=8, norm=norm)
    scramble(model)
    x, z = inputs(model, 64, batch=5)
    together = model([x, z], training=training).numpy()
    alone = [model([x[i : i + 1], z[i : i + 1]], training=training).numpy() for i in range(5)]
    # Convolutions sum in another order at another batch size; how, depends on the machine.
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=0, atol=5e-6)
    assert np.abs(together[0] - together[1]).mean() > 0.01


def test_batch_norm_uses_moving_averages_after_training(scramble):
    model = build_generator(crop_size=32, ngf=4, norm="batch")
    weights = scramble(model)
    x, z = inputs(model, 32, batch=4)
    before, after = output_of(model, "down2", "down2_norm")([x, z], training=False)
    w = {
        name: weights[f"down2_norm/{name}"]
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    expected = w["gamma"] * (before - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 1e-5)
    np.testing.assert_allclose(after.numpy(), expected + w["beta"], atol=1e-4)


def test_batch_norm_uses_the_batch_in_training(scramble):
    model = build_generator(crop_size=32, ngf=4, norm="batch")
    weights = scramble(model)
    x, z = inputs(model, 32, batch=4)
    before, after = output_of(model, "down2", "down2_norm")([x, z], training=True)
    before = before.numpy()
    mean, variance = before.mean(axis=(0, 1, 2)), before.var(axis=(0, 1, 2))
    expected = (before - mean) / np.sqrt(variance + 1e-5)
    expected = weights["down2_norm/gamma"] * expected + weights["down2_norm/beta"]
    np.testing.assert_allclose(after.numpy(), expected, atol=1e-4)
    moved = named_weights(model)["down2_norm/moving_mean"].numpy()
    np.testing.assert_allclose(
        moved, 0.9 * weights["down2_norm/moving_mean"] + 0.1 * mean, atol=1e-5
    )


# === Noise ===


def test_noise_changes_the_picture_and_its_absence_does_not(scramble):
    model = build_generator(crop_size=32, ngf=4)
    scramble(model)
    x, z = inputs(model, 32)
    other = inputs(model, 32, seed=1)[1]
    y = model([x, z]).numpy()
    np.testing.assert_array_equal(model([x, z]).numpy(), y)
    assert np.abs(model([x, other]).numpy() - y).mean() > 1e-3
    quiet = noise.no_noise(1, z.shape[1:])
    assert np.abs(model([x, quiet]).numpy() - y).mean() > 1e-3
