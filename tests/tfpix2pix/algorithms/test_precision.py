"""Training in half precision and compiled: against the plain float32 step, and its checkpoints."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms.loss_scale import INITIAL, PATIENCE, LossScale
from tfpix2pix.algorithms.pix2pix import Drawn, Pix2Pix
from tfpix2pix.algorithms.registry import default_generator
from tfpix2pix.models import build_generator, noise
from tfpix2pix.models.layers import NoiseDropout
from tfpix2pix.models.precision import layers_compute_in
from tfpix2pix.models.weights import named_weights
from tfpix2pix.training.checkpoints import Checkpoints

# Bits of the fraction: 10 of float16, 7 of bfloat16. A loss is the mean of many rounded numbers.
TOLERANCES = {"float16": 2e-3, "bfloat16": 1.5e-2}
HALF = tuple(TOLERANCES)


def numbers(state) -> dict[str, np.ndarray]:
    """Every variable of a state, by its path."""
    if not isinstance(state, dict):
        return {"": state.numpy()}
    found = {name: numbers(part) for name, part in state.items()}
    return {f"{n}/{rest}".rstrip("/"): v for n, part in found.items() for rest, v in part.items()}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert set(one) == set(other)
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


@pytest.fixture(scope="module")
def easy_pair() -> tuple[tf.Tensor, tf.Tensor]:
    """A pair that a small network learns fast."""
    ramp = np.linspace(-0.8, 0.8, 32, dtype=np.float32)
    rows, columns = np.meshgrid(ramp, ramp, indexing="ij")
    x = np.stack([rows, columns, rows], axis=-1)[None]
    y = np.stack([columns, -rows, np.sign(columns) * 0.5], axis=-1)[None]
    return tf.constant(x), tf.constant(y)


@pytest.fixture(scope="module")
def first_losses(easy_pair):
    """The plain step's first losses, by config."""
    found = {}

    def of(config):
        config = config.replace(mixed_precision="none", jit_compile=False)
        if config not in found:
            algorithm = Pix2Pix(config)  # a compiled method does not keep its object
            found[config] = algorithm.train_step(*easy_pair)
        return found[config]

    return of


# === It trains ===


@pytest.mark.parametrize(
    ("precision", "jit", "norm", "loss"),
    [
        ("float16", False, "instance", "l1+cgan"),
        ("bfloat16", False, "batch", "l1+cgan"),
        ("float16", True, "batch", "l1"),
    ],
)
def test_it_learns_one_pair_starting_from_the_losses_of_float32(
    precision, jit, norm, loss, tiny_config, easy_pair, first_losses
):
    config = tiny_config(
        bottleneck=1,
        batch_size=1,
        learning_rate=2e-3,
        norm=norm,
        loss=loss,
        mixed_precision=precision,
        jit_compile=jit,
    )
    algorithm = Pix2Pix(config)
    history = [
        {k: float(v) for k, v in algorithm.train_step(*easy_pair).items()} for _ in range(30)
    ]
    expected = first_losses(config)
    for name in expected:
        if name != "accuracy":  # a count of patches, some of which are near the fence
            wanted = float(expected[name])
            assert history[0][name] == pytest.approx(wanted, rel=TOLERANCES[precision]), name
    # Of so small an image a pixel counts for much: the scale may be too large at first.
    skipped = [step.get("skipped", 0.0) for step in history]
    assert sum(skipped) < 6
    assert skipped == sorted(skipped, reverse=True)
    assert np.mean([step["l1"] for step in history[-3:]]) < 0.8 * history[0]["l1"]
    assert {variable.dtype for variable in algorithm.generator.variables} <= {"float32", tf.float32}


def drawn_for(algorithm, x):
    """What the algorithm draws for its first images."""
    spec = default_generator(algorithm.config).noise
    z = spec.draw(0, noise.TRAINING, tf.range(len(x), dtype=tf.int64), x)
    return Drawn((z,), tf.zeros([]), tf.zeros([]))


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_a_compiled_step_is_the_plain_one(tiny_config, pairs, updates):
    plain, compiled = (
        Pix2Pix(tiny_config(jit_compile=jit, ngf=8, updates=updates)) for jit in (False, True)
    )
    losses = [algorithm.train_step(*pairs()) for algorithm in (plain, compiled)]
    assert set(losses[0]) == set(losses[1])
    for name, value in losses[0].items():
        np.testing.assert_allclose(losses[1][name], value, rtol=1e-5, err_msg=name)
    one, other = (numbers(algorithm.state()) for algorithm in (plain, compiled))
    for name, value in one.items():
        if "_adam/m/" in name:  # half the gradient
            scale = np.abs(value).max()
            np.testing.assert_allclose(
                other[name], value, rtol=1e-5, atol=5e-5 * scale, err_msg=name
            )
            # A weight's first step is its gradient's sign, where that is more than rounding.
            sure, weight = np.abs(value) > 1e-3 * scale, name.replace("_adam/m/", "/")
            np.testing.assert_allclose(other[weight][sure], one[weight][sure], rtol=0, atol=1e-5)
    drawn = drawn_for(compiled, pairs()[0])
    tf.random.set_seed(1)  # asked for by TensorFlow 2.15 where determinism is on
    if updates == "joint":
        ir = compiled._gradients.experimental_get_compiler_ir(pairs(), drawn, None)
        assert "HloModule" in ir()


def test_keras_policy_is_what_it_was(tiny_config):
    before = tf.keras.mixed_precision.global_policy().name
    Pix2Pix(tiny_config(mixed_precision="bfloat16"))
    with pytest.raises(ValueError, match="float8"), layers_compute_in("float8"):
        pass
    with pytest.raises(ZeroDivisionError), layers_compute_in("float16"):
        1 / 0  # noqa: B018
    assert tf.keras.mixed_precision.global_policy().name == before == "float32"


# === The noise ===


@pytest.mark.parametrize("precision", HALF)
def test_the_masks_are_those_of_float32(precision):
    # Numbers that half precision rounds to 0.5, and would keep what float32 drops.
    rate = 0.5
    z = np.full([1, 1, 1, 8], np.nextafter(np.float32(rate), np.float32(0)), np.float32)
    z[..., ::2] = rate
    with layers_compute_in(precision):
        features = tf.keras.Input((None, None, 8), dtype=precision)
        noise = tf.keras.Input((None, None, 8))
        layer = NoiseDropout(rate, 0, 1)
        model = tf.keras.Model([features, noise], layer([features, noise]))
    del model  # built, so that Keras has seen the layer's dtypes
    out = layer([tf.ones([1, 1, 1, 8], precision), tf.constant(z)])
    assert out.dtype == tf.as_dtype(precision)
    np.testing.assert_array_equal(tf.cast(out, tf.float32)[0, 0, 0], [2, 0] * 4)


@pytest.mark.parametrize("precision", HALF)
def test_the_generator_gives_its_layers_z_as_it_is(precision):
    # With every u just below the rate all features are dropped: then the results are those of any
    # z below it, and not those of the rate itself.
    generator = build_generator(crop_size=32, ngf=4, precision=precision)
    shape = [1, 1, 1, generator.inputs[1].shape[-1]]
    x = tf.constant(np.random.default_rng(0).uniform(-1, 1, [1, 32, 32, 3]), tf.float32)
    below = np.nextafter(np.float32(0.5), np.float32(0))
    y = {u: generator([x, tf.fill(shape, u)]).numpy() for u in (np.float32(0.25), below, 0.5)}
    np.testing.assert_array_equal(y[below], y[np.float32(0.25)])
    assert not np.array_equal(y[below], y[0.5])


# === Loss scaling ===


def test_scaling_changes_no_gradient(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(updates="joint"))
    x, y = pairs()
    drawn = drawn_for(algorithm, x)
    plain, _, _ = algorithm._gradients((x, y), drawn, None)
    scaled, _, finite = algorithm._gradients((x, y), drawn, tf.constant(INITIAL))
    assert finite
    for net, gradients in plain.items():
        for one, other in zip(gradients, scaled[net], strict=True):
            largest = np.abs(one).max()
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6 * largest)


def test_an_overflow_updates_nothing_and_halves_the_scale(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(mixed_precision="float16", loss="l1"))
    algorithm.train_step(*pairs())
    scale = algorithm._loss_scale
    assert (scale.scale.numpy(), scale.good_steps.numpy()) == (INITIAL, 1)
    too_large = 2.0**100
    scale.scale.assign(too_large)
    before = numbers(algorithm.state())
    losses = algorithm.train_step(*pairs())
    after = numbers(algorithm.state())
    assert losses["skipped"] == 1
    assert np.isfinite(losses["l1"])
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"step", "loss_scale/scale", "loss_scale/good_steps", "loss_scale/skipped"}
    assert (after["step"], after["loss_scale/scale"]) == (2, too_large / 2)
    assert (after["loss_scale/good_steps"], after["loss_scale/skipped"]) == (0, 1)
    # Adam's count is that of the updates: the next one is its second.
    scale.scale.assign(INITIAL)
    assert algorithm.train_step(*pairs())["skipped"] == 0
    assert not np.array_equal(
        numbers(algorithm.state())["generator/up1/bias"], after["generator/up1/bias"]
    )


@pytest.mark.usefixtures("eagerly")
def test_an_overflow_of_one_network_stops_both(tiny_config, pairs):
    algorithm = Pix2Pix(tiny_config(mixed_precision="float16"))
    # Weights of D's last layer that float16 cannot hold: D's logits, and with them the GAN loss.
    last = [w for w in named_weights(algorithm.discriminator).values() if len(w.shape) == 4][-1]
    last.assign(tf.fill(last.shape, 1e6))
    before = numbers(algorithm.state())
    assert algorithm.train_step(*pairs())["skipped"] == 1
    after = numbers(algorithm.state())
    for name in before:
        if name.split("/")[0] not in ("step", "loss_scale"):
            np.testing.assert_array_equal(before[name], after[name], err_msg=name)


def test_the_scale_grows_after_a_long_row_of_good_steps():
    scale = LossScale()
    for _ in range(2):
        scale.good_steps.assign(PATIENCE - 2)
        scale.update([tf.constant(True)])
        before = float(scale.scale)
        scale.update([tf.constant(True)])
        assert (float(scale.scale), int(scale.good_steps)) == (2 * before, 0)
    scale.good_steps.assign(PATIENCE - 1)
    for expected in (INITIAL * 2, INITIAL):
        scale.update([tf.constant(False)])
        assert (float(scale.scale), int(scale.good_steps)) == (expected, 0)
    scale.scale.assign(1.0)
    scale.update([tf.constant(False)])
    assert (float(scale.scale), int(scale.skipped[0])) == (1.0, 3)


# === Checkpoints ===


@pytest.mark.usefixtures("eagerly")
def test_a_checkpoint_moves_between_precisions(tiny_config, pairs, tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=9)
    previous = None
    for step, precision in enumerate(("none", "float16", "bfloat16", "none"), start=1):
        algorithm = Pix2Pix(tiny_config(mixed_precision=precision, norm="batch", seed=step))
        if previous is not None:
            assert checkpoints.restore(algorithm.state(), optional=algorithm.OPTIONAL)
            found = numbers(algorithm.state())
            for name, value in found.items():
                if not name.startswith("loss_scale"):
                    np.testing.assert_array_equal(value, previous[name], err_msg=name)
            if precision == "float16":
                assert found["loss_scale/scale"] == INITIAL
        losses = algorithm.train_step(*pairs())
        assert all(np.isfinite(value) for value in losses.values())
        previous = numbers(algorithm.state())
        checkpoints.save(algorithm.state(), step, {"best": None})
    assert previous["step"] == step


def test_what_is_not_optional_must_be_there(tiny_config, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    algorithm = Pix2Pix(tiny_config(loss="l1"))
    checkpoints.save(algorithm.state(), 1, {"best": None})
    state = Pix2Pix(tiny_config(loss="l1", mixed_precision="float16")).state()
    with pytest.raises(Exception, match="does not fit"):
        checkpoints.restore(state)
    assert checkpoints.restore(state, optional=("loss_scale",))
    with pytest.raises(Exception, match="does not fit"):
        checkpoints.restore({**state, "more": tf.Variable(0)}, optional=("loss_scale",))


def test_a_resumed_float16_run_is_the_uninterrupted_one(tiny_config, pairs, tmp_path):
    config = tiny_config(mixed_precision="float16", loss="l1")
    whole = Pix2Pix(config)
    whole._loss_scale.scale.assign(2.0**40)  # so that steps are skipped before and after
    skipped = []
    for step in range(28):
        if step == 14:
            Checkpoints(tmp_path).save(whole.state(), step, {"best": None})
        skipped.append(int(whole.train_step(*pairs(seed=step))["skipped"]))
    assert skipped[14] == 1
    assert skipped[-1] == 0
    resumed = Pix2Pix(config)
    Checkpoints(tmp_path).restore(resumed.state(), optional=resumed.OPTIONAL)
    for step in range(14, 28):
        resumed.train_step(*pairs(seed=step))
    assert_same(numbers(resumed.state()), numbers(whole.state()))


@pytest.mark.usefixtures("eagerly")
def test_pictures_come_from_a_float32_copy(tiny_config, pairs):
    plain = Pix2Pix(tiny_config(loss="l1"))
    assert plain.exact() is plain.networks
    algorithm = Pix2Pix(tiny_config(loss="l1", mixed_precision="bfloat16"))
    x, y = pairs()
    exact = algorithm.exact()["generator"]
    (z,) = drawn_for(algorithm, x).given
    np.testing.assert_array_equal(exact([x, z]), plain.generator([x, z]))
    assert not np.array_equal(exact([x, z]), algorithm.generator([x, z]))
    algorithm.train_step(x, y)
    assert algorithm.exact()["generator"] is exact
    trained = named_weights(algorithm.generator)
    for name, weight in named_weights(exact).items():
        np.testing.assert_array_equal(weight.numpy(), trained[name].numpy(), err_msg=name)


# === Several devices ===

TWO_DEVICES = """
import json
import numpy as np
import tensorflow as tf

tf.config.set_visible_devices([], "GPU")
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tfpix2pix.algorithms.pix2pix import Drawn, Pix2Pix
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig

config = Pix2PixConfig(
    crop_size=32, load_size=32, ngf=4, bottleneck=8, batch_size=2, loss="l1",
    mixed_precision="float16", jit_compile=True,
)
x, y = np.random.default_rng(0).uniform(-1, 1, (2, 2, 32, 32, 3)).astype(np.float32)
spoilt = y.copy()
spoilt[1] = np.nan  # the second device's image
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
algorithm = Pix2Pix(config, strategy)
with strategy.scope():
    algorithm._loss_scale.scale.assign(1024)  # so small a network's first gradients overflow

def weights():
    # Of every device.
    return [
        [v.numpy() for v in strategy.experimental_local_results(w)]
        for w in tf.nest.flatten(algorithm.state())
    ]

def step(y):
    batches = tf.data.Dataset.from_tensors((x, y)).unbatch().batch(2)
    batch = next(iter(strategy.experimental_distribute_dataset(batches)))
    before = weights()
    skipped = float(algorithm.train_step(*batch)["skipped"])
    after = weights()
    names = [all(np.array_equal(a, b) for a, b in zip(*p)) for p in zip(before, after)]
    alike = all(len(v) == 2 and np.array_equal(*v) for v in after)
    scale = float(algorithm._loss_scale.scale.read_value())
    return skipped, scale, sum(not same for same in names), alike

print(json.dumps([step(y), step(spoilt), step(y)]))
"""


def test_devices_agree_on_what_they_skip(run_python):
    done = run_python(TWO_DEVICES)
    assert done.returncode == 0, done.stderr
    good, spoilt, again = json.loads(done.stdout.splitlines()[-1])
    assert (good[0], good[1], good[3]) == (0, 1024, True)
    # The step, the scale, its count of good steps, and the count of skipped ones.
    assert spoilt == [1, 1024 / 2, 4, True]
    assert (again[0], again[1], again[3]) == (0, 1024 / 2, True)
    assert again[2] > 20
