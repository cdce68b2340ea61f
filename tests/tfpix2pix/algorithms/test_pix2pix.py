"""One training step against a plain recomputation, its noise, and that it learns."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.adversarial import halved
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.algorithms.registry import default_generator
from tfpix2pix.models import build, noise
from tfpix2pix.models.weights import initialize, named_weights

LOSSES = ["l1", "gan", "cgan", "l1+gan", "l1+cgan"]


def values(model: tf.keras.Model) -> dict[str, np.ndarray]:
    return {name: variable.numpy() for name, variable in named_weights(model).items()}


def discriminator_of(config):
    conditions = config.x_channels if config.conditional else 0
    return build.discriminator_of(config, config.y_channels, conditions)


def generator_of(config):
    return default_generator(config).build()


def copy_of(net: tf.keras.Model, build, config) -> tf.keras.Model:
    copy = build(config)
    for name, variable in named_weights(copy).items():
        variable.assign(named_weights(net)[name])
    return copy


# === One step ===


def binary_cross_entropy(logits, label):
    probability = tf.sigmoid(tf.cast(logits, tf.float64))
    wanted = probability if label else 1 - probability
    return tf.cast(-tf.reduce_mean(tf.math.log(wanted)), tf.float32)


def plain_step(config, generator, discriminator, teacher, x, y, z):
    """Gradients of both networks as section 3 has them, each by its own tape, nothing updated.

    G learns from the ``teacher``: the discriminator, or that after its step.
    """

    def judge(image, judging=None):
        judging = judging or discriminator
        return judging([x, image] if "cgan" in config.loss else image, training=True)

    g_weights = named_weights(generator, trainable_only=True)
    with tf.GradientTape() as tape:
        fake = generator([x, z], training=True)
        l1 = tf.reduce_mean(tf.abs(fake - y))
        objective = {"l1": 100.0 * l1}.get(config.loss)
        if objective is None:
            gan = objective = binary_cross_entropy(judge(fake, teacher), True)
            if config.loss.startswith("l1"):
                objective = gan + 100.0 * l1
    result = {"generator": objective, "l1": l1}
    gradients = {
        "generator": dict(
            zip(g_weights, tape.gradient(objective, list(g_weights.values())), strict=True)
        )
    }
    if discriminator is None:
        return result, gradients

    d_weights = named_weights(discriminator, trainable_only=True)
    with tf.GradientTape() as tape:
        real_logits, fake_logits = judge(y), judge(tf.stop_gradient(fake))
        loss = 0.5 * (
            binary_cross_entropy(real_logits, True) + binary_cross_entropy(fake_logits, False)
        )
    gradients["discriminator"] = dict(
        zip(d_weights, tape.gradient(loss, list(d_weights.values())), strict=True)
    )
    rightly = 0.5 * (np.mean(real_logits > 0) + np.mean(fake_logits < 0))
    result |= {
        "gan": gan,
        "discriminator": loss,
        "accuracy": rightly,
        "real": tf.reduce_mean(tf.sigmoid(real_logits)),
        "fake": tf.reduce_mean(tf.sigmoid(fake_logits)),
    }
    return result, gradients


@pytest.mark.usefixtures("eagerly")
def test_the_generator_learns_nothing_where_nothing_is_measured(tiny_config, pairs):
    x, y = pairs()
    algorithm = Pix2Pix(tiny_config())
    before = values(algorithm.generator)
    means = algorithm.train_step(x, y, tf.zeros([2, 32, 32, 1]))
    after = values(algorithm.generator)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    assert means["l1"] == 0


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_equals_a_plain_recomputation(loss, updates, tiny_config, pairs, request):
    if loss != "l1+cgan":  # in a graph one will do
        request.getfixturevalue("eagerly")
    # A large learning rate, so that a gradient taken at other weights would be seen.
    config = tiny_config(loss=loss, learning_rate=0.02, updates=updates)
    algorithm = Pix2Pix(config)
    x, y = pairs()
    generator = copy_of(algorithm.generator, generator_of, config)
    discriminator = None
    if loss != "l1":
        discriminator = copy_of(algorithm.discriminator, discriminator_of, config)
    z_spec = default_generator(config).noise
    z = z_spec.draw(config.seed, noise.TRAINING, tf.constant([0, 1], tf.int64), x)

    found = algorithm.train_step(x, y)

    teacher = discriminator
    if discriminator is not None and updates == "alternating":
        teacher = copy_of(algorithm.discriminator, discriminator_of, config)
    expected, gradients = plain_step(config, generator, discriminator, teacher, x, y, z)

    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].numpy(), value, rtol=1e-4, atol=1e-6, err_msg=name)
    assert set(gradients) == set(algorithm.networks)
    for net, of_net in gradients.items():
        before = values({"generator": generator, "discriminator": discriminator}[net])
        after = values(algorithm.networks[net])
        moments = algorithm.state()[f"{net}_adam"]["m"]
        for name, gradient in of_net.items():
            gradient = gradient.numpy().astype(np.float64)
            scale = np.abs(gradient).max()
            assert scale > 1e-6, f"{name} has no gradient"
            # Adam's first moment is half the gradient: beta1 is 0.5.
            np.testing.assert_allclose(
                2 * moments[name].numpy(), gradient, rtol=1e-3, atol=1e-4 * scale, err_msg=name
            )
            # Adam's first step is the gradient's sign, at gradients that are more than rounding.
            sure = np.abs(gradient) > 1e-3 * scale
            stepped = before[name] - 0.02 * gradient / (np.abs(gradient) + 1e-8 / 0.001**0.5)
            np.testing.assert_allclose(
                after[name][sure], stepped[sure], rtol=0, atol=1e-5, err_msg=name
            )


@pytest.mark.usefixtures("eagerly")
def test_biases_train_where_every_layer_has_one(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(bias_layers="pytorch", bottleneck=1))
    x, y = pairs()
    algorithm.train_step(x, y)
    # Those behind which no normalisation follows; the others' gradients are rounding.
    seen = {"generator": ("down1", "down5", "up1"), "discriminator": ("conv1", "conv3")}
    for name, network in algorithm.networks.items():
        moments = algorithm.state()[f"{name}_adam"]["m"]
        weights = values(network)
        assert {k for k in weights if k.endswith("bias")} == {k for k in moments if "bias" in k}
        for layer in seen[name]:
            moved = np.abs(weights[f"{layer}/bias"]).max()
            assert moved == pytest.approx(2e-4, rel=0.01)  # Adam's first step from 0


def test_the_l1_objective_has_no_discriminator(tiny_config):
    algorithm = Pix2Pix(tiny_config(loss="l1"))
    assert algorithm.discriminator is None
    assert set(algorithm.networks) == {"generator"}
    assert set(algorithm.state()) == {"step", "generator", "generator_adam"}


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_only_the_conditional_discriminator_sees_x(loss, tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(loss=loss))
    _, y = pairs()
    results = []
    for seed in (0, 1):
        x, _ = pairs(seed=seed)
        ((logits,),) = algorithm._discriminate(x, y, tf.zeros([]))
        results.append(logits.numpy())
    conditional = "cgan" in loss
    assert len(algorithm.discriminator.inputs) == 1 + conditional
    assert np.array_equal(*results) != conditional


@pytest.mark.usefixtures("eagerly")
def test_the_two_orders_differ_in_the_generators_step_alone(tiny_config, pairs):
    """D's gradient is the same in both; G's is taken against another D."""
    moments = {}
    for updates in ("alternating", "joint"):
        algorithm = Pix2Pix(tiny_config(updates=updates, learning_rate=0.02, loss="cgan"))
        algorithm.train_step(*pairs())
        state = algorithm.state()
        moments[updates] = {
            net: {name: m.numpy() for name, m in state[f"{net}_adam"]["m"].items()}
            for net in ("generator", "discriminator")
        }
    for net, differ in (("discriminator", False), ("generator", True)):
        one, other = (
            moments[updates][net]["down2/kernel" if differ else "conv2/kernel"]
            for updates in moments
        )
        gap = np.abs(one - other).max() / np.abs(one).max()
        assert gap > 0.01 if differ else gap < 1e-4, net


# === What came after the paper ===

EVERYTHING = {
    "norm": "group",
    "ngf": 8,
    "ndf": 8,
    "bottleneck": 4,
    "upsampling": "nearest",
    "padding": "replicate",
    "noise_channels": 2,
    "gan_loss": "hinge",
    "lambda_feature_matching": 10.0,
    "lambda_r1": 1.0,
    "augment": "diffaugment",
    "learning_rate_d": 4e-4,
    "discriminator_scales": 2,
    "spectral_norm": True,
    "ema": 0.9,
}


def test_every_ingredient_together_takes_a_step(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(**EVERYTHING))
    found = algorithm.train_step(*pairs())
    assert all(np.isfinite(float(value)) for value in found.values())
    expected = found["gan"] + 100.0 * found["l1"] + 10.0 * found["feature_matching"]
    assert float(found["generator"]) == pytest.approx(float(expected), rel=1e-5)
    expected = found["d_loss"] + 1.0 * found["r1"]
    assert float(found["discriminator"]) == pytest.approx(float(expected), rel=1e-5)
    assert {"discriminator", "discriminator_2", "generator", "generator_average"} <= {
        *algorithm.state()
    }


@pytest.mark.usefixtures("eagerly")
def test_the_discriminator_has_its_own_learning_rate(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(learning_rate=1e-3, learning_rate_d=4e-3))
    before = {name: values(network) for name, network in algorithm.networks.items()}
    algorithm.train_step(*pairs())
    for name, rate in (("generator", 1e-3), ("discriminator", 4e-3)):
        after = values(algorithm.networks[name])
        moved = max(np.abs(after[key] - before[name][key]).max() for key in after)
        assert moved == pytest.approx(rate, rel=0.01)  # Adam's first step


@pytest.mark.usefixtures("eagerly")
def test_r1_is_the_squared_gradient_of_the_real_logits(tiny_config, pairs):
    """Against differences of the discriminator itself, along a few directions."""
    config = tiny_config(lambda_r1=2.0, receptive_field=1, norm="none", batch_size=1)
    algorithm = Pix2Pix(config)
    x, y = pairs(1)
    judge = copy_of(algorithm.discriminator, discriminator_of, config)
    found = float(algorithm.train_step(x, y)["r1"])
    # A discriminator of 1 pixel: each pixel's gradient by its own channels.
    step, norms = 1e-2, 0.0
    for channel in range(3):
        unit = np.zeros((1, 1, 1, 3), np.float32)
        unit[..., channel] = step
        difference = judge([x, y + unit]) - judge([x, y - unit])
        norms += np.square(difference.numpy() / (2 * step)).sum()
    expected = 0.5 * norms / (y.shape[1] * y.shape[2]) ** 2  # D's value is the mean over pixels
    assert found == pytest.approx(expected, rel=0.05)


def test_halving_takes_means_of_3x3_pixels_that_are_there():
    images = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype(np.float32)
    expected = np.zeros((2, 3, 4, 3))
    for row in range(3):
        for column in range(4):
            rows = slice(max(0, 2 * row - 1), 2 * row + 2)
            columns = slice(max(0, 2 * column - 1), 2 * column + 2)
            expected[:, row, column] = images[:, rows, columns].mean(axis=(1, 2))
    np.testing.assert_allclose(halved(tf.constant(images)).numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_the_networks_that_are_looked_at_have_the_averages(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(ema=0.9))
    for _ in range(3):
        algorithm.train_step(*pairs())
    averages = algorithm.state()["generator_average"]
    seen, trained = values(algorithm.exact()["generator"]), values(algorithm.generator)
    for name, average in averages.items():
        np.testing.assert_array_equal(seen[name], average.numpy())
    assert any(np.abs(seen[name] - trained[name]).max() > 1e-6 for name in seen)


@pytest.mark.usefixtures("eagerly")
def test_lambda_weighs_l1_in_the_objective(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(lambda_l1=7.0))
    found = algorithm.train_step(*pairs())
    expected = found["gan"] + 7.0 * found["l1"]
    np.testing.assert_allclose(found["generator"].numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_steps_are_counted(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config())
    assert algorithm.step.numpy() == 0
    for _ in range(3):
        algorithm.train_step(*pairs())
    assert algorithm.step.numpy() == 3


def test_weights_start_from_the_seed(tiny_config):
    config = tiny_config(seed=11)
    algorithm, expected = Pix2Pix(config), generator_of(config)
    initialize(expected, 11)
    for name, value in values(expected).items():
        np.testing.assert_array_equal(values(algorithm.generator)[name], value)


@pytest.mark.parametrize(
    "network",
    [{"norm": "batch"}, {"bias_layers": "pytorch"}],
    ids=["batch", "pytorch"],
)
@pytest.mark.usefixtures("eagerly")
def test_state_is_all_that_a_continued_run_needs(tiny_config, pairs, network):
    """Of everything together: test_cli_averages.py, by its checkpoints."""
    x, y = pairs()
    config = tiny_config(**network)
    one, other = Pix2Pix(config), Pix2Pix(config.replace(seed=config.seed))
    one.train_step(x, y)
    for mine, theirs in zip(
        tf.nest.flatten(other.state()), tf.nest.flatten(one.state()), strict=True
    ):
        mine.assign(theirs)
    for algorithm in (one, other):
        algorithm.train_step(y, x)
    for net in ("generator", "discriminator"):
        for name, value in values(one.networks[net]).items():
            np.testing.assert_array_equal(values(other.networks[net])[name], value)


# === Noise ===


@pytest.fixture
def noise_of_steps(tiny_config, pairs, monkeypatch, eagerly):
    """`noise_of_steps(seed, batch_size, steps)`: the z that each training step gave to G."""

    def record(seed: int, batch_size: int, steps: int) -> np.ndarray:
        algorithm = Pix2Pix(tiny_config(seed=seed, batch_size=batch_size, loss="l1"))
        seen = []
        draw = algorithm.draw

        def spy(*args):
            drawn = draw(*args)
            seen.extend(drawn[0])
            return drawn

        monkeypatch.setattr(algorithm, "draw", spy)
        for _ in range(steps):
            algorithm.train_step(*pairs(batch_size))
        return np.stack([z.numpy() for z in seen])

    return record


def test_a_steps_noise_is_a_function_of_seed_and_step(noise_of_steps):
    one = noise_of_steps(seed=3, batch_size=2, steps=3)
    np.testing.assert_array_equal(one, noise_of_steps(seed=3, batch_size=2, steps=3))
    other = noise_of_steps(seed=4, batch_size=2, steps=3)
    numbers = [z.tobytes() for run in (one, other) for step in run for z in step]
    assert len(set(numbers)) == 2 * 3 * 2, "two images of different step, place or seed share noise"


def test_noise_follows_the_images_place_in_the_stream(noise_of_steps):
    by_one = noise_of_steps(seed=3, batch_size=1, steps=4)
    by_two = noise_of_steps(seed=3, batch_size=2, steps=2)
    np.testing.assert_array_equal(by_one.reshape(by_two.shape), by_two)


# === Several devices ===

TWO_DEVICES = """
import json, sys
import numpy as np
import tensorflow as tf

tf.config.set_visible_devices([], "GPU")
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.models.weights import named_weights

config = Pix2PixConfig(**json.loads(sys.argv[1]))
random = np.random.default_rng(0)
x, y = random.uniform(-1, 1, (2, 2, 32, 32, 3)).astype(np.float32)

def train(strategy):
    algorithm = Pix2Pix(config, strategy)
    batches = tf.data.Dataset.from_tensors((x, y)).unbatch().batch(2)
    if strategy:
        batches = strategy.experimental_distribute_dataset(batches)
    losses = algorithm.train_step(*next(iter(batches)))
    read = lambda state: {k: read(v) for k, v in state.items()} if isinstance(state, dict) \\
        else state.numpy()
    return read(algorithm.state()), {k: float(v) for k, v in losses.items()}

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
(one, one_losses), (two, two_losses) = train(None), train(strategy)
gaps = {}
for net in one:
    if net == "step":
        assert one[net] == two[net] == 1
    elif net.endswith("_adam"):
        gaps[net] = max(float(np.abs(one[net]["m"][n] - two[net]["m"][n]).max()
                              / np.abs(one[net]["m"][n]).max()) for n in one[net]["m"])
    else:
        gaps[net] = max(float(np.abs(one[net][n] - two[net][n]).max()) for n in one[net])
print(json.dumps({"gaps": gaps, "losses": [one_losses, two_losses]}))
"""


def test_two_devices_train_as_one_with_both_images(run_python):
    config = {
        "crop_size": 32,
        "load_size": 32,
        "ngf": 4,
        "bottleneck": 8,
        "ndf": 4,
        "receptive_field": 16,
        "batch_size": 2,
        "lambda_chroma": 5.0,
    }
    done = run_python(TWO_DEVICES, json.dumps(config))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    one, two = found["losses"]
    assert two == pytest.approx(one, rel=1e-5)
    gaps = found["gaps"]
    assert gaps.pop("chroma") < 1e-6
    assert set(gaps) == {"generator", "generator_adam", "discriminator", "discriminator_adam"}
    assert max(gaps["generator"], gaps["discriminator"]) < 1e-5
    assert max(gaps["generator_adam"], gaps["discriminator_adam"]) < 1e-3


def test_a_batch_that_does_not_divide_over_the_devices_is_refused(tiny_config, monkeypatch):
    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(type(strategy), "num_replicas_in_sync", property(lambda self: 2))
    with pytest.raises(ValueError, match="batch_size 3"):
        Pix2Pix(tiny_config(batch_size=3), strategy)


# === Learning ===


@pytest.mark.parametrize("loss", ["l1", "l1+cgan"])
def test_a_small_network_learns_one_pair(loss, tiny_config):
    algorithm = Pix2Pix(tiny_config(loss=loss, ngf=8, batch_size=1, learning_rate=2e-3))
    ramp = np.linspace(-0.8, 0.8, 32, dtype=np.float32)
    rows, columns = np.meshgrid(ramp, ramp, indexing="ij")
    x = tf.constant(np.stack([rows, columns, rows], axis=-1)[None])
    y = tf.constant(np.stack([columns, -rows, np.sign(columns) * 0.5], axis=-1)[None])
    history = [float(algorithm.train_step(x, y)["l1"]) for _ in range(60)]
    assert history[0] > 0.35
    assert np.mean(history[-5:]) < 0.5 * history[0]
