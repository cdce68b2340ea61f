"""BicycleGAN: a step against PyTorch, who learns from what, what is drawn, and what a run may not
ask for."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.base import Draws
from tfpix2pix.algorithms.bicyclegan import BicycleGAN
from tfpix2pix.algorithms.configs.bicyclegan import BicycleGANConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import config_of
from tfpix2pix.inference.sizes import kernel_numbers
from tfpix2pix.models.weights import named_weights

TINY = {
    "crop_size": 32,
    "load_size": 32,
    "ngf": 2,
    "ndf": 4,
    "nef": 2,
    "bottleneck": 4,
    "latent": 3,
    "receptive_field": 16,
    "batch_size": 2,
    "seed": 3,
}


def drawn(algorithm: BicycleGAN, step: int, x: tf.Tensor, replica: int = 0):
    """What a step draws, of the whole batch or of one image of two."""
    first = step * 2 + replica
    places = tf.range(first, first + x.shape[0], dtype=tf.int64)
    draws = Draws(3, tf.constant(step, tf.int64), places, tf.constant(replica, tf.int64))
    return algorithm.draw((x,), draws)


@pytest.fixture(scope="module")
def small() -> BicycleGAN:
    """Do not train."""
    algorithm = BicycleGAN(BicycleGANConfig(**TINY))
    louder(algorithm)
    return algorithm


def louder(algorithm: BicycleGAN, factor: float = 30.0) -> None:
    """Weights whose signals matter; the first ones are tiny."""
    for network in algorithm.networks.values():
        for name, weight in named_weights(network).items():
            if name.endswith("kernel"):
                weight.assign(factor * weight)


def our_name(name: str) -> str:
    """``block1_shortcut/kernel`` of ``blocks.0.shortcut.weight``."""
    *place, kind = name.replace("weight", "kernel").split(".")
    if len(place) > 1:
        _, number, part = place
        place = [f"block{int(number) + 1}{'_' + part if len(part) > 1 else part}"]
    return f"{place[0]}/{kind}"


# === A step ===


@pytest.mark.parametrize("conditional", [False, True])
def test_steps_are_pytorchs(conditional, pairs, eagerly):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    file = Path(__file__).parents[2] / "torch_bicyclegan.py"
    theirs = SimpleNamespace(**runpy.run_path(str(file)))
    lambdas = {"l1": 10.0, "kl": 5.0, "latent_l1": 5.0}  # so that each matters
    config = BicycleGANConfig(
        **TINY, lr_schedule="constant", conditional_d=conditional, lambda_kl=5.0, lambda_latent=5.0
    )
    algorithm = BicycleGAN(config)
    louder(algorithm)
    seen = 6 if conditional else 3
    networks = {
        "generator": theirs.Generator(5, 3, 3, 2, 3),
        "encoder": theirs.Encoder(2, 3, 2, 3),
        "discriminator": theirs.Judge(1, seen, 4),
        "discriminator_random": theirs.Judge(1, seen, 4),
    }
    for group, module in networks.items():
        ours = [
            weight
            for name in algorithm.groups()[group]
            for weight in named_weights(algorithm.networks[name]).values()
        ]
        if group == "encoder":  # whose branches have no order
            named = named_weights(algorithm.networks[group])
            ours = [named[our_name(name)] for name, _ in module.named_parameters()]
        for parameter, weight in zip(module.parameters(), ours, strict=True):
            value = weight.numpy()
            order = (3, 2, 0, 1) if value.ndim == 4 else tuple(range(value.ndim))[::-1]
            parameter.data = torch.from_numpy(np.transpose(value, order).copy())
    generator, encoder, *judges = networks.values()
    training = theirs.Training(generator, encoder, judges, conditional, lambdas)
    for step in range(2):
        x, y = pairs(seed=step)
        numbers = drawn(algorithm, step, x)
        images = [torch.from_numpy(of.numpy().transpose(0, 3, 1, 2).copy()) for of in (x, y)]
        codes = [torch.from_numpy(of.numpy()) for of in (numbers.latent, numbers.normal)]
        expected = training.step(*images, *codes)
        found = algorithm.train_step(x, y)
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(value, rel=1e-4), (step, name)
    assert expected["kl"] > 1e-3


# === Who learns from what ===


def test_the_encoder_learns_nothing_from_finding_random_latents(pairs, eagerly):
    def moved(**changes):
        algorithm = BicycleGAN(BicycleGANConfig(**TINY, **changes))
        louder(algorithm)
        algorithm.train_step(*pairs())
        return [
            {name: of.numpy() for name, of in named_weights(algorithm.networks[network]).items()}
            for network in ("encoder", "generator")
        ]

    (encoder, generator), (same, other) = moved(), moved(lambda_latent=100.0)
    for name, weight in encoder.items():
        np.testing.assert_array_equal(weight, same[name], err_msg=name)
    assert any(not np.array_equal(of, other[name]) for name, of in generator.items())


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"lambda_latent": 0.0}, {"latent_l1", "recovered"}),
        ({"lambda_gan": 0.0}, {"gan", "gan_random", "discriminator", "real_random"}),
        ({"lambda_gan": 0.0, "lambda_latent": 0.0}, {"gan", "latent_l1"}),
    ],
)
def test_what_has_no_weight_is_left_out(changes, absent, pairs, eagerly):
    algorithm = BicycleGAN(BicycleGANConfig(**TINY, **changes))
    means = algorithm.train_step(*pairs())
    assert not absent & set(means)
    assert {"l1", "kl"} <= set(means)
    assert ("discriminator" in algorithm.networks) == (changes.get("lambda_gan") != 0)


def test_where_nothing_is_measured_networks_see_the_target_and_nothing_is_learned(pairs, eagerly):
    algorithm = BicycleGAN(BicycleGANConfig(**TINY))
    x, y = pairs()
    means = algorithm.train_step(x, y, tf.zeros([2, 32, 32, 1]))
    assert float(means["l1"]) == 0.0
    # Both discriminators see twice the same, so that what they think of it is the same.
    for way in ("", "_random"):
        assert float(means[f"real{way}"]) == float(means[f"fake{way}"])


# === What is drawn ===


def test_draws_are_of_the_place_in_the_stream_and_unlike_each_other(small, pairs):
    x, _ = pairs()
    whole, other = (drawn(small, step, x) for step in (5, 6))
    part = drawn(small, 5, x[1:], replica=1)  # the second replica of two
    for of, of_part, of_other in (
        (whole.latent, part.latent, other.latent),
        (whole.normal, part.normal, other.normal),
    ):
        assert of.shape == (2, 3)
        np.testing.assert_array_equal(of[1:], of_part)
        assert not np.array_equal(of, of_other)
    assert not np.array_equal(whole.latent, whole.normal)


def test_columns_are_a_random_latent_others_for_all_rows_and_the_targets_own(small, pairs):
    algorithm = small
    (x, y), places = pairs(), tf.constant([4, 9], tf.int64)
    columns = algorithm.columns(x, places, algorithm.networks)
    assert list(columns) == ["generated", "latent_2", "latent_3"]
    # The same inputs at other places: the measured latent is the place's, the others are not.
    moved = algorithm.columns(x, places + 1, algorithm.networks)
    unlike = [name for name in columns if not np.allclose(columns[name], moved[name], atol=1e-5)]
    assert unlike == ["generated"]
    own = algorithm.columns_of_pairs(x, y, places, algorithm.networks)
    mean, _ = algorithm.networks["encoder"](y)
    z = algorithm.generators(algorithm.config)["AtoB"].draw(3, 2, places, x)[0]
    expected = algorithm.networks["generator"]([x, z, mean])
    np.testing.assert_allclose(own["reconstruction"], expected, atol=1e-6)


# === What a run says, and may not ask for ===


@pytest.mark.parametrize(("crop_size", "encoder"), [(256, 2_590_032), (128, 1_344_080)])
def test_the_authors_networks_have_their_sizes(crop_size, encoder):
    values = {"algorithm": "bicyclegan", "preset": "bicyclegan", "crop_size": crop_size}
    config = config_of(values)
    (made,) = BicycleGAN.generators(config).values()
    (code,) = BicycleGAN.encoders(config).values()
    assert code.build().count_params() == encoder
    assert (code.latent, code.name) == (config.latent_size, "encoder") == (8, "encoder")
    if crop_size == 256:
        assert kernel_numbers(made) + 5_507 == 54_794_627  # with the biases


def test_the_discriminator_of_half_the_size_has_half_the_channels(small):
    assert small.config.scales == 2
    widths = [[3, 4, 8, 1], [3, 2, 4, 1]]
    for name in ("discriminator", "discriminator_random"):
        for scale, of in zip(small.groups()[name], widths, strict=True):
            expected = sum(16 * one * other + other for one, other in itertools.pairwise(of))
            assert small.networks[scale].count_params() == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latent": 0}, "--latent=0: --algorithm=bicyclegan learns what a latent is for"),
        ({"lambda_gan": 0.0, "lambda_l1": 0.0}, "leaves nothing that says what an output is"),
        ({"receptive_field": 70}, "--discriminator_scales=1"),
        ({"target_encoding": "onehot"}, "are pictures"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(changes, words):
    with pytest.raises(UserError, match=words):
        BicycleGANConfig(**{**TINY, **changes})


def test_what_goes_wrong_is_told_of_each_network(small):
    judged = {
        "discriminator": {"real": 1.0, "fake": 0.0, "accuracy": 1.0},
        "discriminator_random": {"real_random": 0.0, "fake_random": 0.0, "accuracy_random": 0.5},
        "encoder": {"kl": 0.001},
    }
    assert small.watch(0, judged) is None
    said = small.watch(1000, judged)
    for words in (
        "the discriminator of outputs with the target's latent tells every",
        "the discriminator of outputs with random latents gives the same",
        "the encoder says nothing of its targets (KL 0.001 nats",
        "--norm=group, a smaller --lambda_kl",
    ):
        assert words in said
    said = small.watch_val(1000, {"latent_distance": 0.0})
    assert "--norm=group, a larger --lambda_latent makes it count" in said
