"""CycleGAN's step against a plain recomputation, its golden numbers, and its settings."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.base import Draws
from tfpix2pix.algorithms.configs.cyclegan import CycleGANConfig
from tfpix2pix.algorithms.cyclegan import CycleGAN
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import resolve
from tfpix2pix.data import UnpairedStore, open_dataset, open_store
from tfpix2pix.models.build import discriminator_of
from tfpix2pix.models.weights import initialize, named_weights

TINY = {
    "crop_size": 32,
    "load_size": 32,
    "generator": "unet",  # of two levels
    "bottleneck": 8,
    "ngf": 2,
    "ndf": 2,
    "receptive_field": 16,
    "batch_size": 2,
    "pool_size": 0,
    "seed": 3,
}
WAYS = ("", "_back")
PLACE = tf.constant([0, 1], tf.int64)


def tiny(**changes):
    return CycleGANConfig(**{**TINY, **changes})


def networks_of(config) -> dict[str, tf.keras.Model]:
    """Networks of a run's initial weights, apart from any algorithm."""
    made = {g.name: g.build(noise=False) for g in CycleGAN.generators(config).values()}
    for way in WAYS:
        name = f"discriminator{way}"
        made[name] = discriminator_of(config, 3, name=name)
    for network in made.values():
        initialize(network, config.seed)
    return made


# === The golden numbers ===


@pytest.mark.usefixtures("eagerly")
def test_a_discriminator_that_says_a_constant(pairs):
    algorithm = CycleGAN(tiny(lambda_forward=0.0, lambda_backward=0.0))
    for constant in (0.0, 0.5, 1.0, -0.7):
        for way in WAYS:
            for name, weight in named_weights(algorithm.networks[f"discriminator{way}"]).items():
                weight.assign(tf.fill(weight.shape, constant if name == "conv3/bias" else 0.0))
        found = algorithm.train_step(*pairs())
        for way in WAYS:
            expected = ((constant - 1) ** 2 + constant**2) / 2
            assert float(found[f"discriminator{way}"]) == pytest.approx(expected, abs=1e-6)
            assert float(found[f"gan{way}"]) == pytest.approx((constant - 1) ** 2, abs=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_the_gradient_of_a_bias_before_the_plain_normalisation_is_0(pairs):
    algorithm = CycleGAN(tiny(norm="instance_plain", bottleneck=4))
    algorithm.train_step(*pairs())
    moments = algorithm.state()["generators_adam"]["m"]
    largest = max(np.abs(m.numpy()).max() for m in moments.values())
    biases = {name: np.abs(m.numpy()).max() for name, m in moments.items() if "/bias" in name}
    # What comes first and last, and the bottleneck, has no normalisation behind it.
    seen = [n for n in biases if n.split("/")[1] in ("down1", "down3", "up1")]
    assert len(biases) == 2 * 6
    for name, value in biases.items():
        assert (value > 1e-3 * largest) if name in seen else (value < 1e-5 * largest), name


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(1, 1.0), (100, 1.0), (101, 1 - 1 / 101), (150, 1 - 50 / 101), (200, 1 - 100 / 101)],
)
@pytest.mark.parametrize("batch", [1, 2])
def test_the_rate_falls_by_epochs(epoch, factor, batch):
    images = 4
    config = tiny(epochs=200, batch_size=batch, lr_schedule="linear_epochs")
    algorithm = CycleGAN(config, total_steps=config.total_steps(images), train_images=images)
    steps = images // batch
    for step in ((epoch - 1) * steps, epoch * steps - 1):  # the epoch's first and last
        rates = algorithm.rates(step)
        assert rates == pytest.approx(dict.fromkeys(rates, 2e-4 * factor), rel=1e-6)


# === A step ===


def squares(logits: tf.Tensor, wanted: float) -> tf.Tensor:
    return tf.reduce_mean((tf.cast(logits, tf.float64) - wanted) ** 2)


def away(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.abs(tf.cast(one, tf.float64) - tf.cast(other, tf.float64)))


def plain_step(config, networks, x, y):
    """Losses and gradients as section 3 of the paper and its authors' code have them, nothing
    updated: the identity of targets goes by the weight of their cycle."""
    there, back = networks["generator"], networks["generator_back"]
    of_y, of_x = networks["discriminator"], networks["discriminator_back"]
    with tf.GradientTape(persistent=True) as tape:
        fake_y, fake_x = there(x), back(y)
        found = {
            "gan": squares(of_y(fake_y), 1),
            "gan_back": squares(of_x(fake_x), 1),
            "cycle": away(x, back(fake_y)),
            "cycle_back": away(y, there(fake_x)),
            "identity": away(y, there(y)),
            "identity_back": away(x, back(x)),
        }
        weights = {"cycle": config.lambda_forward, "cycle_back": config.lambda_backward}
        weights |= {
            "identity": config.lambda_identity * config.lambda_backward,
            "identity_back": config.lambda_identity * config.lambda_forward,
        }
        found["generators"] = sum(weights.get(name, 1.0) * value for name, value in found.items())
    gradients = {
        f"generators_adam/{name}/{key}": tape.gradient(found["generators"], weight)
        for name in ("generator", "generator_back")
        for key, weight in named_weights(networks[name], trainable_only=True).items()
    }
    for way, judge, real, fake in (("", of_y, y, fake_y), ("_back", of_x, x, fake_x)):
        weights = named_weights(judge, trainable_only=True)
        with tf.GradientTape() as tape:
            loss = (squares(judge(real), 1) + squares(judge(tf.stop_gradient(fake)), 0)) / 2
        found[f"discriminator{way}"] = loss
        for key, gradient in zip(weights, tape.gradient(loss, list(weights.values())), strict=True):
            gradients[f"discriminators_adam/discriminator{way}/{key}"] = gradient
    found["discriminators"] = found["discriminator"] + found["discriminator_back"]
    return found, gradients


def test_a_step_equals_a_plain_recomputation(pairs):
    weights = {"lambda_forward": 4.0, "lambda_backward": 1.0, "lambda_identity": 0.3}
    # Both discriminators learn from what the generators made before they moved: with this rate
    # other pictures would be seen.
    config = tiny(norm="instance", learning_rate=0.02, **weights)
    algorithm, x, y = CycleGAN(config), *pairs()
    expected, gradients = plain_step(config, networks_of(config), x, y)
    found = algorithm.train_step(x, y)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, err_msg=name)
    state = algorithm.state()
    for name, gradient in gradients.items():
        group, key = name.split("/", 1)
        # Adam's first moment is half the gradient: beta1 is 0.5.
        moment, scale = 2 * state[group]["m"][key].numpy(), np.abs(gradient).max()
        if "bias" in key and scale < 1e-4:
            continue  # before a normalisation: rounding
        np.testing.assert_allclose(moment, gradient, rtol=1e-3, atol=2e-4 * scale, err_msg=name)


def test_the_discriminators_are_shown_the_pool(pairs):
    config = tiny(pool_size=2, jit_compile=True)
    algorithm, networks, (x, y) = CycleGAN(config), networks_of(config), pairs()
    kept = {way: pairs(seed=7 + i)[0] for i, way in enumerate(WAYS)}
    for way in WAYS:
        algorithm._pools[way].images.assign(kept[way])
        algorithm._pools[way].count.assign(2)
    numbers = algorithm.draw((x, y), Draws(3, tf.constant(0, tf.int64), PLACE, PLACE[0])).pool
    found = algorithm.train_step(x, y)
    for way, given, real in (("", x, y), ("_back", y, x)):
        pool, fakes = list(kept[way]), networks[f"generator{way}"](given)
        shown = []
        for fake, (luck, which) in zip(fakes, numbers[way].numpy(), strict=True):
            shown.append(fake)
            if luck > 0.5:
                slot = int(which * 2)
                shown[-1], pool[slot] = pool[slot], fake
        judge = networks[f"discriminator{way}"]
        expected = (squares(judge(real), 1) + squares(judge(tf.stack(shown)), 0)) / 2
        np.testing.assert_allclose(found[f"discriminator{way}"], expected, rtol=1e-4)
        state = algorithm.state()[f"pool{way}"]
        np.testing.assert_allclose(state["images"], tf.stack(pool), atol=1e-5)


def test_what_is_drawn_is_a_function_of_the_place_in_the_stream(pairs):
    algorithm, batch = CycleGAN(tiny(pool_size=2)), pairs()

    def drawn(first: int, step: int):
        place = tf.constant([first, first + 1], tf.int64)
        return algorithm.draw(batch, Draws(3, tf.constant(step, tf.int64), place, place[0] * 0))

    one, two = drawn(4, 2).pool, drawn(5, 9).pool
    np.testing.assert_array_equal(one[""][1], two[""][0])
    assert not np.array_equal(one[""], one["_back"])


ALONE = {
    "cycle alone": ({"lambda_gan": 0.0}, {"cycle", "cycle_back", "identity", "identity_back"}),
    "GAN alone": ({"lambda_forward": 0.0, "lambda_backward": 0.0}, {"gan", "gan_back"}),
    "GAN and forward": (
        {"lambda_backward": 0.0, "lambda_identity": 0.0},
        {"gan", "gan_back", "cycle"},
    ),
    "GAN and backward": (
        {"lambda_forward": 0.0, "lambda_identity": 0.0},
        {"gan", "gan_back", "cycle_back"},
    ),
    "backward and its identity": (
        {"lambda_forward": 0.0, "lambda_gan": 0.0},
        {"cycle_back", "identity"},
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_term_without_weight_is_left_out(name, pairs):
    changes, parts = ALONE[name]
    algorithm = CycleGAN(tiny(norm="none", **changes))
    drawn = algorithm.draw(pairs(), Draws(3, tf.constant(0, tf.int64), PLACE, PLACE[0]))
    updates = list(algorithm.updates(pairs(), drawn))
    found = {name for u in updates for o in u.objectives for name in o.losses}
    found |= {name for u in updates for name in u.observed}
    has_d = changes.get("lambda_gan", 1.0) > 0
    assert algorithm.config.has_discriminator == has_d
    judged = {f"{of}{way}" for of in ("real", "fake", "accuracy") for way in WAYS}
    of_d = {"discriminator", "discriminator_back", *judged}
    assert found == parts | (of_d if has_d else set())
    assert len(algorithm.networks) == (4 if has_d else 2)


def test_the_generators_are_one_adam_and_both_have_averages(pairs):
    algorithm = CycleGAN(tiny(ema=0.9, learning_rate_d=1e-3))
    assert algorithm.order() == (("generators",), ("discriminators",))
    assert algorithm.rates(0) == {"generators": 2e-4, "discriminators": 1e-3}
    assert set(algorithm.averages) == {"generator", "generator_back"}


def test_each_direction_has_its_generator():
    config = tiny(direction="BtoA", input_channels=1, lambda_identity=0.0)
    made = CycleGAN.generators(config)
    assert list(made) == ["BtoA", "AtoB"]
    assert [(g.input_channels, g.output_channels, g.name) for g in made.values()] == [
        (1, 3, "generator"),
        (3, 1, "generator_back"),
    ]
    algorithm = CycleGAN(config)
    assert algorithm.networks["discriminator_back"].inputs[0].shape[-1] == 1


# === Settings ===


def test_the_preset_is_the_codes():
    config = resolve({"algorithm": "cyclegan", "preset": "cyclegan"})
    assert (config.crop_size, config.load_size, config.epochs, config.batch_size) == (
        256,
        286,
        200,
        1,
    )
    assert (config.generator, config.norm, config.dropout) == ("resnet9", "instance_plain", 0)
    assert (config.ngf, config.ndf, config.receptive_field) == (64, 64, 70)
    assert (config.learning_rate, config.beta1, config.beta2) == (2e-4, 0.5, 0.999)
    assert (config.gan_loss, config.pool_size, config.lambda_identity) == ("lsgan", 50, 0.5)
    assert (config.lambda_gan, config.lambda_forward, config.lambda_backward) == (1, 10, 10)
    assert config.lr_schedule == "linear_epochs"
    assert config.decay_epochs(1067) == (100, 200)


def test_without_a_preset_it_has_its_own_default():
    assert resolve({"algorithm": "cyclegan"}).preset == "cyclegan_quick"
    assert resolve({}).preset == "quick"


def test_a_preset_alone_says_of_which_algorithm_it_is():
    assert resolve({"preset": "cyclegan", "lambda_forward": 5.0}).algorithm == "cyclegan"
    assert resolve({"preset": "best"}).algorithm == "pix2pix"
    with pytest.raises(UserError, match=r"--preset=best is of --algorithm=pix2pix; give that"):
        resolve({"preset": "best", "algorithm": "cyclegan"})
    with pytest.raises(UserError, match=r"--preset=cycleggan is not known.*mean 'cyclegan'"):
        resolve({"preset": "cycleggan"})


@pytest.mark.parametrize(
    ("flag", "algorithm"), [("lambda_l1", "cyclegan"), ("pool_size", "pix2pix")]
)
def test_a_flag_of_another_algorithm_is_refused(flag, algorithm):
    with pytest.raises(
        UserError, match=f"--{flag} is no setting of --algorithm={algorithm}; leave"
    ):
        resolve({flag: 1, "algorithm": algorithm})


def test_images_of_other_channels_are_not_compared():
    with pytest.raises(UserError, match=r"inputs have 1 channels, targets 3.*--lambda_identity=0"):
        tiny(input_channels=1)
    assert not tiny(input_channels=1, lambda_identity=0.0).has_identity
    assert not tiny(input_channels=1, lambda_forward=0.0, lambda_backward=0.0).has_identity


def test_nothing_to_learn_is_refused():
    with pytest.raises(UserError, match="leaves nothing to learn"):
        tiny(lambda_gan=0.0, lambda_forward=0.0, lambda_backward=0.0)


# === What is measured, and what is said of it ===


@pytest.fixture(scope="module")
def two_sides() -> UnpairedStore:
    """Sixteen inputs and four targets, of the embedded set."""
    config = tiny(dataset="sample", sample_pairs=16)
    source = open_dataset(config, sample_size=32)
    train, val = (open_store(source, split, size=32) for split in ("train", "val"))
    return UnpairedStore(train.x, val.y)


def validated(
    store: UnpairedStore, there, back, limit: int = 100
) -> tuple[dict[str, float], str | None]:
    """What is measured of two functions as generators, and what is said of it."""
    algorithm = CycleGAN(tiny(lambda_gan=0.0))
    # z, which these U-Nets take, is the second of the inputs.
    networks = {
        "generator": lambda inputs, training: there(inputs[0]),
        "generator_back": lambda inputs, training: back(inputs[0]),
    }
    seen = []
    measured = algorithm.validate(store, networks, None, limit, seen.append)
    counts = min(16, limit), min(4, limit)
    assert measured["images"] == counts[0]
    assert seen == [*range(1, counts[0] + 1), *range(1, counts[1] + 1)]
    said = algorithm.watch_val(1, measured)
    assert algorithm.watch_val(2, measured) is None  # once is enough
    return measured, said


def test_generators_that_copy_are_found(two_sides):
    measured, said = validated(two_sides, tf.identity, tf.identity)
    for way in WAYS:
        assert measured[f"change{way}"] == measured[f"cycle{way}"] == 0
        assert measured[f"swd{way}"] == measured[f"swd_copy{way}"] > 0.1
    assert measured["swd_mean"] == (measured["swd"] + measured["swd_back"]) / 2
    assert "inputs to targets gives its inputs back almost unchanged" in said
    assert "targets to inputs gives its inputs back almost unchanged" in said


def test_an_image_that_hides_in_noise_is_found(two_sides):
    # One grey level of contrast, from which all of it is read again.
    measured, said = validated(two_sides, lambda x: x / 100, lambda y: y * 100)
    assert measured["cycle"] < 1e-5
    assert measured["shaken"] > 0.3
    assert "inputs to targets hides its input in noise that nobody sees" in said
    assert "unchanged" not in said


def test_an_honest_way_there_and_back_is_not_reported(two_sides):
    measured, said = validated(two_sides, lambda x: -0.9 * x, lambda y: -0.9 * y, limit=3)
    assert said is None
    # Noise of up to four grey levels, of which the way back leaves nine tenths.
    assert 0 < measured["cycle"] < measured["shaken"] < measured["cycle"] + 0.9 * 4 / 127.5
