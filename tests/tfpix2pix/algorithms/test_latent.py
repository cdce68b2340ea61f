"""pix2pix with a latent: the terms that keep its outputs apart, and a step with them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms import losses
from tfpix2pix.algorithms.configs.pix2pix import LATENT_CHART
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import resolve
from tfpix2pix.data import evaluation_batches, open_dataset, open_store
from tfpix2pix.models import noise
from tfpix2pix.models.weights import named_weights

pytestmark = pytest.mark.usefixtures("eagerly")
PLACES = tf.constant([0, 1], tf.int64)


def arrays(*shapes, seed=0):
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]


# === The terms ===


def test_golden_values_at_a_ratio_of_a_tenth():
    latent, other_latent = tf.zeros([1, 8]), tf.ones([1, 8])
    made, other = tf.zeros([1, 4, 4, 3]), tf.fill([1, 4, 4, 3], 0.1)
    ratio = losses.latent_ratio(made, other, latent, other_latent)
    assert float(ratio[0]) == pytest.approx(0.1, rel=2e-5)
    tenth = tf.constant([0.1])
    assert float(8.0 * losses.dsgan(tenth)[0]) == pytest.approx(-0.8)
    assert float(losses.msgan(tenth)[0]) == pytest.approx(9.9990, abs=5e-5)


@pytest.mark.parametrize(("kind", "masked"), [("dsgan", True), ("msgan", False)])
def test_values_and_gradients_are_torchs(kind, masked):
    torch = pytest.importorskip("torch")
    shapes = [(3, 6, 5, 2)] * 2 + [(3, 8)] * 2
    values = arrays(*shapes)
    values[1][2] = values[0][2] + 0.4  # of which the bound holds the last back
    measured = np.float32(np.random.default_rng(1).random((3, 6, 5, 1)) < 0.6)
    masks = [measured] if masked else []

    made, *rest = map(tf.constant, values)
    with tf.GradientTape() as tape:
        tape.watch(made)
        ratio = losses.latent_ratio(made, *rest, *masks)
        found = losses.dsgan(ratio, 0.5) if kind == "dsgan" else losses.msgan(ratio)
    gradient = tape.gradient(found, made)

    one, other, code, other_code = (torch.tensor(value) for value in values)
    one.requires_grad_(True)
    weights = torch.tensor(measured) if masked else torch.ones(3, 6, 5, 1)
    pixels = weights.expand(one.shape)
    apart = ((one - other).abs() * pixels).flatten(1).sum(1) / pixels.flatten(1).sum(1)
    distances = apart / ((code - other_code).abs().mean(1) + 1e-5)
    expected = -distances.clamp(max=0.5) if kind == "dsgan" else 1 / (distances + 1e-5)
    expected.sum().backward()
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(gradient, one.grad.numpy(), rtol=1e-4, atol=1e-7)


def test_msgans_slope_is_bounded_where_outputs_are_alike():
    ratios = tf.constant([0.0, 1e-6, 0.005, 0.01, 0.0101, 0.1, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(ratios)
        value = losses.msgan(ratios)
    slope = tape.gradient(value, ratios).numpy()
    plain = 1.0 / (ratios.numpy() + 1e-5)
    steepest = -1.0 / 0.01001**2
    np.testing.assert_allclose(value[3:], plain[3:], rtol=1e-5)
    np.testing.assert_allclose(slope[4:], -np.square(plain[4:]), rtol=1e-5)
    np.testing.assert_allclose(slope[:3], [steepest] * 3, rtol=1e-5)
    np.testing.assert_allclose(value[0], 1 / 0.01001 - 0.01 * steepest, rtol=1e-5)
    assert (np.diff(value) < 0).all()


def test_shares_of_classes_are_apart_as_images_are():
    logits = tf.constant([[[[90.0, 0.0, 0.0]]], [[[0.0, 90.0, 0.0]]]])
    one, other = tf.split(losses.shares(logits), 2)
    assert float(losses.l1(one, other)[0]) == pytest.approx(2.0)
    assert float(losses.l1(one, one)[0]) == 0.0


# === A step ===


def values_of(model):
    return {name: weight.numpy() for name, weight in named_weights(model).items()}


@pytest.mark.parametrize(
    ("diversity", "updates", "weight"),
    [("dsgan", "alternating", 8.0), ("msgan", "joint", 1.0)],
)
def test_a_step_equals_a_plain_recomputation(diversity, updates, weight, tiny_config, pairs):
    config = tiny_config(latent=8, diversity=diversity, updates=updates, loss="l1+gan")
    algorithm = Pix2Pix(config)
    x, y = pairs()
    made = algorithm._made
    z, latent = made.draw(3, noise.TRAINING, PLACES, x)
    other_latent = noise.draw_latent(3, noise.OTHER, PLACES, 8)
    assert not np.allclose(latent, other_latent)
    copy = made.build()
    for name, weights in named_weights(copy).items():
        weights.assign(named_weights(algorithm.generator)[name])

    found = algorithm.train_step(x, y)

    teacher = algorithm.discriminator  # that has moved
    if updates == "joint":
        teacher = Pix2Pix(config).discriminator
    weights = named_weights(copy, trainable_only=True)
    with tf.GradientTape() as tape:
        fake = copy([x, z, latent], training=True)
        other = copy([x, z, other_latent], training=True)
        distance = tf.reduce_mean(tf.abs(fake - tf.stop_gradient(other)), axis=[1, 2, 3])
        ratio = distance / (tf.reduce_mean(tf.abs(latent - other_latent), axis=1) + 1e-5)
        term = tf.reduce_mean(-ratio if diversity == "dsgan" else 1.0 / (ratio + 1e-5))
        gan = tf.reduce_mean(tf.math.softplus(-teacher(fake, training=True)))
        total = gan + 100.0 * tf.reduce_mean(tf.abs(y - fake)) + weight * term
    assert float(found["diversity"]) == pytest.approx(float(term), rel=1e-4)
    assert float(found["generator"]) == pytest.approx(float(total), rel=1e-4)
    gradients = tape.gradient(total, list(weights.values()))
    moments = algorithm.state()["generator_adam"]["m"]
    for name, gradient in zip(weights, gradients, strict=True):
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(
            2 * moments[name].numpy(), gradient, rtol=2e-3, atol=2e-4 * scale, err_msg=name
        )


def test_without_the_term_a_latent_takes_no_part_in_the_objective(tiny_config, pairs):
    found = Pix2Pix(tiny_config(latent=8, loss="l1")).train_step(*pairs())
    assert set(found) == {"generator", "l1"}


def test_nothing_is_kept_apart_where_nothing_is_measured(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(latent=8, diversity="msgan"))
    before = values_of(algorithm.generator)
    algorithm.train_step(*pairs(), tf.zeros([2, 32, 32, 1]))
    for name, value in values_of(algorithm.generator).items():
        np.testing.assert_array_equal(before[name], value)


def test_it_keeps_outputs_apart(tiny_config, pairs):
    """Of what L1 alone, whose best answer is one, brings together."""
    x, y = pairs()
    apart = {}
    for diversity in ("none", "dsgan"):
        small = {"bottleneck": 8, "loss": "l1", "lambda_l1": 10.0, "learning_rate": 5e-3}
        config = tiny_config(latent=8, diversity=diversity, **small)
        algorithm = Pix2Pix(config)
        for _ in range(8):
            algorithm.train_step(x, y)
        z, latent = algorithm._made.draw(3, noise.VALIDATION, PLACES, x)
        made = [algorithm.generator([x, z, code]) for code in (latent, -latent)]
        apart[diversity] = float(tf.reduce_mean(losses.l1(*made)))
    assert apart["dsgan"] > 1.5 * apart["none"]


# === What a config says ===


def test_the_papers_weight_of_l1_comes_with_it():
    assert resolve({"latent": 8}).lambda_l1 == 50.0
    for preset in ("quick", "paper"):
        config = resolve({"preset": preset, "latent": 8, "diversity": "msgan"})
        assert config.closeness == {"l1": 10.0, "diversity": 1.0}
    config = resolve({"latent": 8, "diversity": "dsgan", "lambda_l1": 30.0})
    assert config.closeness == {"l1": 30.0, "diversity": 8.0}
    assert config.replace(lambda_diversity=2.0).closeness["diversity"] == 2.0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"diversity": "dsgan"}, "--diversity=dsgan keeps .* no latent; add --latent=8"),
        ({"lambda_diversity": 3.0}, "--lambda_diversity=3.0: there is no such term"),
        ({"latent": 8, "diversity_bound": 1.0}, "--diversity_bound=1.0: there is no such term"),
        (
            {"latent": 8, "diversity": "msgan", "diversity_bound": 1.0},
            "--diversity_bound=1.0 is of --diversity=dsgan",
        ),
        ({"latent_reach": "all"}, "--latent_reach=all: there is no latent; add --latent=8"),
        ({"latent": 8, "algorithm": "cut"}, "--latent=8: nothing .* --algorithm=cut would"),
        ({"latent": 8, "algorithm": "cyclegan"}, "--algorithm=cyclegan would make"),
        ({"latent": -1}, "--latent=-1 is too small"),
    ],
)
def test_flags_that_do_not_go_together_are_told(flags, said):
    with pytest.raises(UserError, match=said):
        resolve(flags)


# === Looking at it ===


def test_a_grid_has_several_answers_of_one_input(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(latent=8))
    x, _ = pairs()
    found = algorithm.columns(x, PLACES, algorithm.networks)
    assert list(found) == ["generated", "latent_2", "latent_3"]
    made = algorithm._made
    z, latent = made.draw(3, noise.VALIDATION, PLACES, x)
    np.testing.assert_array_equal(found["generated"], algorithm.generator([x, z, latent]))
    shared = noise.draw_latent(3, noise.VALIDATION, tf.constant([-1, -1], tf.int64), 8)
    np.testing.assert_array_equal(found["latent_2"], algorithm.generator([x, z, shared]))
    plain = Pix2Pix(tiny_config())
    assert list(plain.columns(x, PLACES, plain.networks)) == ["generated"]


@pytest.mark.filterwarnings("ignore:Even though")  # data are read in graphs all the same
def test_what_the_latent_changes_is_measured_on_val(tiny_config):
    config = tiny_config(latent=8, dataset="sample", sample_pairs=8)
    source = open_dataset(config, sample_size=config.load_size)
    val = open_store(source, "val", size=config.load_size)
    algorithm = Pix2Pix(config, spec=source.spec)

    def generate(x, positions):
        return algorithm.columns(x, positions, algorithm.networks)["generated"]

    found = algorithm.validate(val, algorithm.networks, generate, 2, lambda done: None)
    expected = []
    for place, (x, _) in enumerate(evaluation_batches(val, size=config.whole_size, limit=2)):
        columns = algorithm.columns(x, tf.constant([place], tf.int64), algorithm.networks)
        expected.append(np.abs(columns["generated"] - columns["latent_2"]).mean())
    assert found["latent_distance"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert {"l1", "swd"} <= set(found)
    assert [chart for chart in config.charts if chart not in tiny_config().charts] == [LATENT_CHART]
    assert LATENT_CHART.lines[0][2] in found


def test_a_latent_that_is_ignored_is_told_once(tiny_config):
    algorithm = Pix2Pix(tiny_config(latent=8))
    assert algorithm.watch_val(500, {"latent_distance": 0.001}) is None
    said = algorithm.watch_val(1000, {"latent_distance": 0.001})
    assert said.startswith("the latent is ignored: another one changes outputs by 0.0010")
    assert said.endswith("--diversity=dsgan makes it count")
    assert algorithm.watch_val(1500, {"latent_distance": 0.001}) is None
    assert algorithm.watch_val(2000, {"latent_distance": 0.02}) is None
    assert "ignored" in algorithm.watch_val(2500, {"latent_distance": 0.001})
    algorithm = Pix2Pix(tiny_config(latent=8, diversity="msgan"))
    assert "a smaller --lambda_l1" in algorithm.watch_val(1000, {"latent_distance": 0.0})
    assert Pix2Pix(tiny_config()).watch_val(1000, {"l1": 0.1}) is None
