"""CUT: a step against PyTorch, what is drawn, and what a run may not ask for."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.base import Draws
from tfpix2pix.algorithms.configs.cut import CutConfig
from tfpix2pix.algorithms.cut import Cut
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import config_of
from tfpix2pix.models.base import with_outputs
from tfpix2pix.models.build import discriminator_of
from tfpix2pix.models.patch_head import build_patch_head
from tfpix2pix.models.weights import named_weights

TINY = {
    "crop_size": 32,
    "load_size": 32,
    "generator": "resnet6",
    "ngf": 2,
    "ndf": 2,
    "nce_channels": 32,
    "nce_patches": 16,
    "batch_size": 2,
    "seed": 3,
}


def drawn(algorithm: Cut, step: int, batch: tuple[tf.Tensor, tf.Tensor], replica: int = 0):
    """What a step draws, of the whole batch or of one image of two."""
    first = step * 2 + replica
    places = tf.range(first, first + batch[0].shape[0], dtype=tf.int64)
    return algorithm.draw(
        batch, Draws(3, tf.constant(step, tf.int64), places, tf.constant(replica, tf.int64))
    )


# === A step ===


@pytest.mark.parametrize("fast", [False, True])
def test_steps_are_pytorchs(fast, pairs, eagerly):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    torch_cut = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "torch_cut.py")))
    changes = {"nce_idt": False, "flip_equivariance": True, "lambda_nce": 10.0} if fast else {}
    algorithm = Cut(CutConfig(**TINY, lr_schedule="constant", **changes))
    generator = torch_cut.Generator(3, 2, 6)
    mlps = torch_cut.head([3, 4, 8, 8, 8], 32)
    judge = torch_cut.discriminator(3, 2)
    for name, module in (("generator", generator), ("head", mlps), ("discriminator", judge)):
        ours = named_weights(algorithm.networks[name])
        names = list(ours)
        if name == "head":  # theirs one MLP after the other
            layers = [f"mlp{i}_{k}" for i in range(1, 6) for k in (1, 2)]
            names = [f"{layer}/{weight}" for layer in layers for weight in ("kernel", "bias")]
        for theirs, key in zip(module.parameters(), names, strict=True):
            value = ours[key].numpy()
            order = (3, 2, 0, 1) if value.ndim == 4 else tuple(range(value.ndim))[::-1]
            theirs.data = torch.from_numpy(np.transpose(value, order).copy())
    training = torch_cut.Training(generator, mlps, judge, algorithm.config.lambda_nce)

    def images(of: tf.Tensor):
        return torch.from_numpy(of.numpy().transpose(0, 3, 1, 2).copy())

    x, _ = pairs()
    made = algorithm.networks["generator"](x).numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(made, generator(images(x)).detach().numpy(), atol=1e-6)
    for step in range(2):
        batch = pairs(seed=step)
        made = drawn(algorithm, step, batch)
        places = [torch.from_numpy(of.numpy().astype(np.int64)) for of in made.places]
        mirrored = torch.from_numpy(made.mirrored.numpy()) if fast else None
        expected = training.step(*map(images, batch), places, mirrored)
        found = algorithm.train_step(*batch)
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(value, rel=1e-4), (step, name)
    # Although a normalisation takes it away: its features are read before that.
    bias = named_weights(algorithm.networks["generator"])["down1/bias"].numpy()
    assert np.abs(bias).max() > 1e-4


# === What is drawn ===


@pytest.fixture(scope="module")
def small() -> Cut:
    return Cut(CutConfig(**TINY))


def test_places_are_different_ones_of_each_layer(small, pairs):
    batch = pairs()
    # The padded input, the two convolutions before their halving, and the blocks.
    pixels = [38 * 38, 32 * 32, 16 * 16, 8 * 8, 8 * 8]
    found = drawn(small, 5, batch).places
    assert [of.shape for of in found] == [(4, 16)] * 5
    for of, most in zip(found, pixels, strict=True):
        for image in of.numpy():
            assert len(set(image)) == 16
            assert image.min() >= 0
            assert image.max() < most
    assert len({tuple(image) for image in found[0].numpy()}) == 4  # each image has its own


def test_of_a_layer_of_few_pixels_all_are_compared(pairs):
    config = CutConfig(**{**TINY, "nce_patches": 256, "generator": "unet", "nce_idt": False})
    found = drawn(Cut(config), 0, pairs()).places
    assert [of.shape for of in found] == [(2, n) for n in (256, 256, 64, 16, 4)]
    np.testing.assert_array_equal(np.sort(found[-1]), [[0, 1, 2, 3]] * 2)


def test_draws_are_of_the_place_in_the_stream(small, pairs):
    batch = pairs()
    whole, again, other = (drawn(small, step, batch).places for step in (5, 5, 6))
    # The second replica of two: x and y of the second image.
    part = drawn(small, 5, tuple(of[1:] for of in batch), replica=1).places
    for layer in range(5):
        np.testing.assert_array_equal(whole[layer], again[layer])
        np.testing.assert_array_equal(part[layer], whole[layer].numpy()[[1, 3]])
        assert not np.array_equal(whole[layer], other[layer])


def test_every_pixel_is_drawn_and_half_of_the_images_are_mirrored(small, pairs):
    batch = tuple(tf.repeat(of[:1], 100, axis=0) for of in pairs())
    found = drawn(small, 0, batch)
    counts = np.bincount(found.places[-1].numpy().ravel(), minlength=64)
    # 200 draws of 16 of 64: 50 of each, with a deviation of 6.1.
    assert counts.min() > 25
    assert counts.max() < 75
    assert 70 < found.mirrored.numpy().sum() < 130  # 100 with a deviation of 7


# === What a run says, and may not ask for ===


def test_the_paper_s_networks_have_their_sizes():
    algorithm_sizes = {"generator": 11_378_179, "head": 560_384, "discriminator": 2_764_737}
    config = config_of({"algorithm": "cut", "preset": "cut"})
    assert (config.epochs, config.lambda_nce, config.resampling) == (400, 1.0, "blur")
    (made,) = Cut.generators(config).values()
    head = build_patch_head(list(made.features.values()), width=config.nce_channels)
    models = {"generator": made.build(), "head": head}
    models["discriminator"] = discriminator_of(config, 3)
    assert {name: model.count_params() for name, model in models.items()} == algorithm_sizes


def test_one_direction_is_learned():
    for direction in ("AtoB", "BtoA"):
        assert list(Cut.generators(CutConfig(**TINY, direction=direction))) == [direction]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_channels": 1}, "inputs have 3 channels, targets 1"),
        ({"lambda_nce": 0.0}, "--lambda_nce=0 leaves nothing"),
        ({"upsampling": "nearest"}, "--resampling=blur does not go with --upsampling=nearest"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(changes, words):
    with pytest.raises(UserError, match=words):
        CutConfig(**{**TINY, **changes})


@pytest.mark.parametrize("changes", [{}, {"resampling": "conv"}, {"generator": "unet"}])
def test_features_are_of_layers_that_the_generator_has(changes):
    config = CutConfig(**{**TINY, **changes})
    (made,) = Cut.generators(config).values()
    outputs = with_outputs(made.build(), [*made.features, "y"]).outputs
    assert [of.shape[-1] for of in outputs] == [*made.features.values(), 3]
