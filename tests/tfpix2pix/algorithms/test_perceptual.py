"""The term on a scorer's features, against NumPy and differences of the loss itself."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.perceptual import Perceptual
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.models.weights import named_weights
from tfpix2pix.scorer.fcn import fcn8s
from tfpix2pix.scorer.store import Scorer, save_scorer

PALETTE = {
    "name": "two",
    "classes": [{"name": "sky", "color": [0, 0, 255]}, {"name": "ground", "color": [0, 255, 0]}],
}
VAL = {"per_pixel": 0.5, "per_class": 0.4, "iou": 0.3, "images": 2}


def facts_and_weights(seed: int = 0, init: str = "scratch", size: int = 32):
    """An untrained scorer whose normalisations are not those of a new network."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, variable in named_weights(fcn8s(2, 2, vgg=init == "imagenet").model).items():
        value = random.normal(0, 0.3, tuple(variable.shape)).astype(np.float32)
        if name.endswith(("gamma", "variance")):
            value = abs(value) + 0.5
        weights[name] = value
    return {"palette": PALETTE, "size": size, "width": 2, "init": init, "val": VAL}, weights


@pytest.fixture
def scorer():
    return Scorer(*facts_and_weights())


@pytest.fixture
def folder(tmp_path):
    """`folder(seed, size)`: of a scorer."""

    def write(seed: int = 0, size: int = 32):
        path = tmp_path / f"scorer{seed}_{size}"
        path.mkdir(exist_ok=True)
        save_scorer(path, *facts_and_weights(seed, size=size))
        return str(path)

    return write


def photos(seed: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


def scaled(images: np.ndarray) -> tf.Tensor:
    return tf.constant(images / 127.5 - 1, tf.float32)


@pytest.mark.parametrize("init", ["scratch", "imagenet"])
def test_its_layers_are_those_of_the_scorer(init):
    of = Scorer(*facts_and_weights(init=init))
    expected = of.activations(photos(1))
    found = of.layers()(scaled(photos(1)))
    assert len(found) == len(expected) == 4
    for ours, keras in zip(found, expected, strict=True):
        assert keras.max() > 0
        np.testing.assert_allclose(ours, keras, rtol=1e-4, atol=1e-4 * keras.max())


def test_it_is_the_difference_of_features_in_shares_of_the_targets(scorer):
    y, fake = photos(1), photos(2)
    wanted, seen = scorer.activations(y), scorer.activations(fake)
    expected = np.mean(
        [
            abs(a - b).mean(axis=(1, 2, 3)) / b.mean(axis=(1, 2, 3))
            for a, b in zip(seen, wanted, strict=True)
        ],
        axis=0,
    )
    term = Perceptual(scorer)
    found = term(scaled(y), scaled(fake)).numpy()
    assert found.shape == (2,)
    assert found.min() > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(term(scaled(y), scaled(y)), 0, atol=1e-6)


def test_its_gradient_is_that_of_its_value_and_not_the_targets(scorer):
    term = Perceptual(scorer)
    y, fake = scaled(photos(1, 1)), scaled(photos(2, 1))
    with tf.GradientTape() as tape:
        tape.watch([y, fake])
        value = tf.reduce_sum(term(y, fake))
    of_y, of_fake = tape.gradient(value, [y, fake])
    assert of_y is None or not np.any(of_y.numpy())
    way = of_fake / tf.norm(of_fake)
    step = 1e-3
    ahead, behind = (float(tf.reduce_sum(term(y, fake + s * way))) for s in (step, -step))
    assert (ahead - behind) / (2 * step) == pytest.approx(float(tf.norm(of_fake)), rel=0.02)


def test_a_layer_that_sees_nothing_in_the_target_is_not_scaled_up(scorer):
    dark = {name: np.zeros_like(value) for name, value in scorer.weights.items()}
    nothing = Perceptual(Scorer(scorer.facts, dark))
    assert np.all(nothing(scaled(photos(1)), scaled(photos(2))).numpy() == 0)


# === In pix2pix ===


@pytest.mark.parametrize(("asked", "weight"), [({}, 10.0), ({"lambda_perceptual": 3.0}, 3.0)])
def test_a_step_has_it_with_its_weight(tiny_config, pairs, folder, eagerly, asked, weight):
    algorithm = Pix2Pix(tiny_config(loss="l1", perceptual=folder(), **asked))
    losses = {key: float(value) for key, value in algorithm.train_step(*pairs()).items()}
    assert losses["perceptual"] > 0.01
    expected = 100 * losses["l1"] + weight * losses["perceptual"]
    assert losses["generator"] == pytest.approx(expected, rel=1e-5)


def test_it_trains_the_generator_towards_what_the_scorer_sees(tiny_config, pairs, folder):
    config = tiny_config(loss="l1", lambda_l1=0.0, perceptual=folder(), learning_rate=2e-3)
    algorithm = Pix2Pix(config)
    first = float(algorithm.train_step(*pairs())["perceptual"])
    for _ in range(30):
        last = float(algorithm.train_step(*pairs())["perceptual"])
    assert last < 0.8 * first


def test_what_was_not_measured_does_not_count(tiny_config, pairs, folder, eagerly):
    x, y = pairs()
    algorithm = Pix2Pix(tiny_config(loss="l1", perceptual=folder()))
    losses = algorithm.train_step(x, y, tf.zeros_like(y[..., :1]))
    assert float(losses["perceptual"]) == pytest.approx(0, abs=1e-6)


def test_a_run_goes_on_with_the_scorer_that_it_began_with(tiny_config, folder):
    first = Pix2Pix(tiny_config(perceptual=folder(0)))
    assert not first.state()["perceptual"]["scorer"].numpy().any()
    first.prepare(None)
    name = first.state()["perceptual"]["scorer"].numpy()
    assert name.any()
    for seed in (0, 1):
        later = Pix2Pix(tiny_config(perceptual=folder(seed)))
        later.state()["perceptual"]["scorer"].assign(name)  # as a checkpoint is restored
        if seed == 0:
            later.prepare(None)
            continue
        with pytest.raises(UserError, match="not the scorer that this run began with; put that"):
            later.prepare(None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"target_channels": 1}, "--perceptual=x: .*targets are of 1 channels; leave it out"),
        (
            {"target_encoding": "onehot", "label_palette": "facades"},
            "--perceptual=x: .*targets are classes",
        ),
        (
            {"perceptual": "", "lambda_perceptual": 5.0},
            "--lambda_perceptual=5.0: there is no such term; leave it out, or add --perceptual=DIR",
        ),
    ],
)
def test_what_has_no_such_term_is_refused(fields, words):
    with pytest.raises(UserError, match=words):
        Pix2PixConfig(**{"perceptual": "x", **fields})


def test_a_scorer_of_another_size_or_none_is_refused(tiny_config, folder, tmp_path):
    with pytest.raises(UserError, match=r"for images of 64 pixels and would be shown 32"):
        Pix2Pix(tiny_config(perceptual=folder(size=64)))
    with pytest.raises(UserError, match="no such folder; give one that `tfpix2pix train-scorer`"):
        Pix2Pix(tiny_config(perceptual=str(tmp_path / "nothing")))
