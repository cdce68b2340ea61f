"""Initial weights, and weights by name through checkpoints and SavedModels."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.models import build_discriminator, build_generator
from tfpix2pix.models.weights import initialize, named_weights


def values(model) -> dict[str, np.ndarray]:
    return {name: variable.numpy() for name, variable in named_weights(model).items()}


def generator(seed: int, **changes):
    model = build_generator(**{"crop_size": 64, "ngf": 8, **changes})
    initialize(model, seed)
    return model


# === Initial values (appendix 6.2) ===


@pytest.mark.parametrize("build", [build_generator, build_discriminator])
def test_initial_weights_have_the_papers_statistics(build):
    sizes = {"crop_size": 64, "ngf": 16} if build is build_generator else {"ndf": 32}
    model = build(**sizes)
    initialize(model, 3)
    kernels, gammas = [], []
    for name, value in values(model).items():
        if name.endswith("kernel"):
            kernels.append(value.ravel())
            # Each by itself, to five standard errors.
            assert abs(value.mean()) < 5 * 0.02 / value.size**0.5
            assert abs(value.std() / 0.02 - 1) < 5 / (2 * value.size) ** 0.5
        elif name.endswith("gamma"):
            gammas.append(value)
        else:
            assert name.endswith(("bias", "beta"))
            np.testing.assert_array_equal(value, 0)
    kernels, gammas = np.concatenate(kernels), np.concatenate(gammas)
    # Normal and not cut off: beyond two deviations lie 4.55 %, beyond three 0.27 %.
    assert abs((np.abs(kernels) > 0.04).mean() - 0.0455) < 0.002
    assert abs((np.abs(kernels) > 0.06).mean() - 0.0027) < 0.0005
    assert abs(gammas.mean() - 1) < 5 * 0.02 / gammas.size**0.5
    assert abs(gammas.std() / 0.02 - 1) < 5 / (2 * gammas.size) ** 0.5


def test_xavier_is_of_the_weights_that_meet_in_a_pixel_and_that_one_goes_into():
    model = build_discriminator(ndf=32)
    initialize(model, 3, xavier=True)
    for name, value in values(model).items():
        if name.endswith("kernel"):
            # PyTorch's xavier_normal_ with gain 0.02.
            height, width, one, other = value.shape
            deviation = 0.02 * (2 / (height * width * (one + other))) ** 0.5
            assert abs(value.std() / deviation - 1) < 5 / (2 * value.size) ** 0.5, name
    scale = values(model)["conv2_norm/gamma"]
    assert abs(scale.std() / 0.02 - 1) < 5 / (2 * scale.size) ** 0.5


def test_batch_norms_moving_averages_stay_at_zero_and_one():
    found = values(generator(0, norm="batch"))
    np.testing.assert_array_equal(found["down2_norm/moving_mean"], 0)
    np.testing.assert_array_equal(found["down2_norm/moving_variance"], 1)


def test_initial_weights_are_a_function_of_the_seed():
    one, again, other = (values(generator(seed)) for seed in (5, 5, 6))
    for name, value in one.items():
        np.testing.assert_array_equal(value, again[name])
        if name.endswith(("kernel", "gamma")):
            assert not np.array_equal(value, other[name]), name


def test_layers_of_one_shape_start_differently():
    found = values(generator(0))
    assert found["down5/kernel"].shape == found["down6/kernel"].shape == found["up6/kernel"].shape
    firsts = [found[f"{name}/kernel"].ravel()[0] for name in ("down5", "down6", "up6")]
    assert len(set(firsts)) == 3


def test_two_models_of_different_names_start_differently():
    one, other = (values(generator(0, name=name)) for name in ("generator", "second"))
    assert not np.array_equal(one["down1/kernel"], other["down1/kernel"])


GOLDEN = {
    ("generator", "down1/kernel"): [0.00643597217, 0.00225031376, 0.0199788269],
    ("generator", "down2_norm/gamma"): [1.02902687, 0.975640476, 1.00388873],
    ("generator", "up1/kernel"): [-0.0152829159, -0.0398679301, -0.0303658694],
    ("discriminator", "conv1/kernel"): [-0.00369804516, 0.00398003496, -0.0101965079],
}


def test_known_initial_weights():
    # Written down once: the same in every version of TensorFlow and of Keras.
    nets = {"generator": generator(0, crop_size=32, ngf=2)}
    nets["discriminator"] = build_discriminator(receptive_field=16, ndf=2)
    initialize(nets["discriminator"], 0)
    for (net, name), expected in GOLDEN.items():
        found = values(nets[net])[name].ravel()[:3]
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-7)


# === Names ===


def test_names_are_ours_and_not_keras():
    names = list(named_weights(build_generator(crop_size=32, ngf=2)))
    assert names[:4] == ["down1/kernel", "down2/kernel", "down2_norm/gamma", "down2_norm/beta"]
    assert names[-2:] == ["up1/kernel", "up1/bias"]
    assert not [name for name in names if ":" in name or name.count("/") != 1]


def test_trainable_only_leaves_out_moving_averages():
    model = build_generator(crop_size=32, ngf=2, norm="batch")
    every, trainable = set(named_weights(model)), set(named_weights(model, trainable_only=True))
    assert every - trainable == {name for name in every if "/moving_" in name}
    assert len(every - trainable) == 2 * 7


def test_every_parameter_has_a_name():
    for model in (build_generator(crop_size=64, ngf=2), build_discriminator(ndf=2)):
        named = sum(int(np.prod(v.shape)) for v in named_weights(model).values())
        assert named == model.count_params()


# === Through a file and back ===


def nets():
    return {
        "unet": lambda: build_generator(crop_size=32, ngf=4),
        "encoder_decoder": lambda: build_generator(crop_size=32, ngf=4, skips=False),
        "batch": lambda: build_generator(crop_size=32, ngf=4, norm="batch"),
        "discriminator": lambda: build_discriminator(receptive_field=16, ndf=4),
    }


def some_inputs(model, batch):
    random = np.random.default_rng(batch)
    second = (batch, 2, 2, model.inputs[1].shape[-1])
    if model.name == "discriminator":
        second = (batch, 32, 32, 3)
    first = random.uniform(-1, 1, (batch, 32, 32, 3))
    return [
        tf.constant(first, tf.float32),
        tf.constant(random.uniform(0, 1, second), tf.float32),
    ]


@pytest.mark.parametrize("net", nets())
def test_a_model_survives_a_checkpoint(net, tmp_path, scramble):
    saved, read = nets()[net](), nets()[net]()
    scramble(saved, 0)
    scramble(read, 1)
    path = tf.train.Checkpoint(net=named_weights(saved)).write(str(tmp_path / "state"))
    status = tf.train.Checkpoint(net=named_weights(read)).read(path)
    status.assert_consumed()
    pair = some_inputs(saved, 2)
    np.testing.assert_array_equal(read(pair).numpy(), saved(pair).numpy())


@pytest.mark.parametrize("net", nets())
def test_a_model_survives_a_saved_model(net, tmp_path, scramble):
    model = nets()[net]()
    scramble(model)
    one, other = model.inputs
    module = tf.Module()
    module.weights = list(named_weights(model).values())
    module.forward = tf.function(
        lambda a, b: {"result": model([a, b], training=False)},
        input_signature=[
            tf.TensorSpec([None, None, None, one.shape[-1]], tf.float32, name="a"),
            tf.TensorSpec([None, None, None, other.shape[-1]], tf.float32, name="b"),
        ],
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.forward)
    # Written at no batch size at all; read back at two others.
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    for batch in (1, 3):
        a, b = some_inputs(model, batch)
        np.testing.assert_allclose(
            served(a=a, b=b)["result"].numpy(), model([a, b]).numpy(), rtol=0, atol=1e-6
        )
