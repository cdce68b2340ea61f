"""The encoder of BicycleGAN: its parameters, its layers against PyTorch, sizes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models.encoder import build_encoder, encoder
from tfpix2pix.models.weights import named_weights


def block(one: int, other: int) -> int:
    """Weights and biases of 3x3 to the same, 3x3 and 1x1 to other channels."""
    return (9 * one * one + one) + (9 * one * other + other) + (one * other + other)


@pytest.mark.parametrize(
    ("crop_size", "widths", "golden"),
    [
        (128, [64, 128, 192, 256], 1_344_080),
        (256, [64, 128, 192, 256, 256], 2_590_032),
    ],
)
def test_the_authors_have_as_many_parameters(crop_size, widths, golden):
    expected = 4 * 4 * 3 * 64 + 64 + 2 * (256 * 8 + 8)
    expected += sum(block(one, other) for one, other in itertools.pairwise(widths))
    assert expected == golden
    assert build_encoder(crop_size=crop_size).count_params() == golden


def test_it_is_pytorchs(scramble):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    f = torch.nn.functional
    model = build_encoder(crop_size=64, channels=2, latent=3, nef=2)
    values = {
        name: torch.from_numpy(
            np.ascontiguousarray(value.transpose((3, 2, 0, 1) if value.ndim == 4 else None))
        )
        for name, value in scramble(model).items()
    }

    def conv(x, name, **how):
        return f.conv2d(x, values[f"{name}/kernel"], values[f"{name}/bias"], **how)

    def active(x):
        return f.leaky_relu(f.instance_norm(x), 0.2)

    y = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 2)).astype(np.float32)
    x = conv(torch.from_numpy(y.transpose(0, 3, 1, 2).copy()), "first", stride=2, padding=1)
    for name in ("block1", "block2"):
        inner = conv(active(conv(active(x), f"{name}a", padding=1)), f"{name}b", padding=1)
        x = f.avg_pool2d(inner, 2) + conv(f.avg_pool2d(x, 2), f"{name}_shortcut")
    x = f.avg_pool2d(f.leaky_relu(x, 0.2), 8).flatten(1)
    for part, found in zip(("mean", "log_variance"), model(y, training=True), strict=True):
        expected = f.linear(x, values[f"{part}/kernel"], values[f"{part}/bias"])
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_size_from_the_least_on_has_a_code():
    made = encoder(crop_size=64, channels=1, latent=5, nef=1)
    model = made.build()
    assert model.name == "encoder"
    for size in ((made.least_size, 29), (100, 51)):
        found = model(tf.random.uniform([2, *size, 1], -1, 1, seed=1))
        assert [of.shape for of in found] == [(2, 5), (2, 5)]
        assert all(np.isfinite(of).all() for of in found)


@pytest.mark.parametrize("norm", ["instance", "group", "batch", "none"])
def test_other_norms_have_its_layers(norm):
    names = set(named_weights(build_encoder(crop_size=32, nef=1, norm=norm, bias_layers="paper")))
    assert {"first/bias", "block1a/kernel", "block1b/bias", "block1_shortcut/bias"} <= names
    assert "block1a/bias" not in names  # before a normalisation


@pytest.mark.parametrize("size", [8, 96])
def test_other_crop_sizes_are_an_error(size):
    with pytest.raises(ValueError, match="power of two from 16"):
        build_encoder(crop_size=size)
