"""Networks with weights of PyTorch code against the same architecture in PyTorch."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.base.errors import UserError
from tfpix2pix.export.torch.weights import (
    discriminator_from_torch,
    discriminator_to_torch,
    generator_from_torch,
    generator_to_torch,
)
from tfpix2pix.models import build_discriminator, build_generator
from tfpix2pix.models.weights import named_weights

torch = pytest.importorskip("torch", reason="needs the extra [torch]")

networks = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "torch_networks.py")))
NGF = 4
STRIDED = {1: 0, 16: 1, 70: 3, 286: 5}


@pytest.fixture(autouse=True)
def exact_products(full_float32):
    """Every test of this file computes in full float32."""


def ours(imported, **settings):
    """Our generator with imported weights."""
    model = build_generator(
        crop_size=imported.crop_size,
        ngf=imported.ngf,
        input_channels=imported.input_channels,
        output_channels=imported.output_channels,
        **settings,
    )
    assign(model, imported.weights)
    return model


def assign(model, weights):
    for name, variable in named_weights(model).items():
        variable.assign(weights[name])


def picture(size, channels, seed=0, batch=1):
    return np.random.default_rng(seed).uniform(-1, 1, (batch, size, size, channels))


def run_torch(network, x, train):
    """NHWC in and out; the network keeps its running statistics."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train(train)
    with torch.no_grad():
        y = network(torch.tensor(x.transpose(0, 3, 1, 2), dtype=torch.float32))
    network.load_state_dict(before)
    return y.numpy().transpose(0, 2, 3, 1)


def run_ours(model, x, z=None):
    if z is None:
        z = np.full((len(x), x.shape[1] // 4, x.shape[2] // 4, model.inputs[1].shape[-1]), -1.0)
        size = x.shape[1]
        z = z[:, : z_size(model, size), : z_size(model, size)]
    return model([tf.constant(x, tf.float32), tf.constant(z, tf.float32)], training=False).numpy()


def z_size(model, size):
    """Pixels of z along an axis: those of the coarsest features with dropout."""
    levels = [int(layer.name[2:].split("_")[0]) for layer in model.layers if "_drop" in layer.name]
    return size // 2 ** (max(levels) - 1)


def assert_same(found, expected, spread=0.1):
    assert expected.std() > spread, "a picture of nothing would prove nothing"
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


# === Generators ===


@pytest.fixture(scope="module", params=[6, 7, 8], ids=["64", "unet_128", "unet_256"])
def unet(request):
    """A network of PyTorch, 2 to 3 channels, trained with batch normalisation, as it were."""
    return networks.scramble(networks.Generator(request.param, 2, 3, NGF))


@pytest.mark.parametrize(
    ("norm", "train"), [("batch", False), ("instance", True)], ids=["eval", "train"]
)
def test_a_generator_makes_the_same_picture(unet, norm, train):
    imported = generator_from_torch(networks.arrays(unet), "G")
    assert (imported.norm, imported.ngf) == ("batch", NGF)
    assert (imported.input_channels, imported.output_channels) == (2, 3)
    x = picture(imported.crop_size, 2)
    model = ours(imported, norm=norm, dropout_layers="pytorch")
    assert_same(run_ours(model, x), run_torch(unet, x, train))


def test_the_two_modes_differ(unet):
    # Or agreement in both would prove nothing.
    x = picture(2 ** (len(unet.masks) + 5), 2)
    assert np.abs(run_torch(unet, x, True) - run_torch(unet, x, False)).mean() > 0.05


def unfolded(noise, block):
    """Channels to pixels: channel ``(i * block + j) * C + c`` to pixel (i, j) of each block."""
    batch, height, width, channels = noise.shape
    cells = noise.reshape(batch, height, width, block, block, channels // block**2)
    cells = cells.transpose(0, 1, 3, 2, 4, 5)
    return cells.reshape(batch, height * block, width * block, -1)


def test_dropout_masks_the_layers_that_it_masks_there(unet):
    imported = generator_from_torch(networks.arrays(unet), "G")
    size = imported.crop_size
    levels = sorted(unet.masks, reverse=True)
    assert levels == {64: [5], 128: [6, 5], 256: [7, 6, 5]}[size]
    wide, x = 8 * NGF, picture(size, 2)
    channels = wide * sum(4**i for i in range(len(levels)))
    z = np.random.default_rng(1).uniform(0, 1, (1, 4, 4, channels))
    first = 0
    for place, level in enumerate(levels):
        noise = unfolded(z[..., first : first + wide * 4**place], 2**place)
        first += wide * 4**place
        mask = np.where(noise < 0.5, 0.0, 2.0).transpose(0, 3, 1, 2)
        unet.masks[level].mask = torch.tensor(mask, dtype=torch.float32)
    try:
        expected = run_torch(unet, x, True)
    finally:
        for mask in unet.masks.values():
            mask.mask = None
    assert np.abs(expected - run_torch(unet, x, True)).mean() > 0.05
    assert_same(run_ours(ours(imported, dropout_layers="pytorch"), x, z), expected)


def test_a_generator_with_a_bias_in_every_layer():
    unet = networks.scramble(networks.Generator(7, 3, 1, NGF, "instance"))
    imported = generator_from_torch(networks.arrays(unet), "G")
    assert (imported.norm, imported.bias_layers) == ("instance", "pytorch")
    model = ours(imported, bias_layers="pytorch")
    x = picture(128, 3)
    expected = run_torch(unet, x, True)
    assert_same(run_ours(model, x), expected)
    for layer in ("down1", "down7", "up1"):
        # No normalisation follows, so there it is seen.
        bias = named_weights(model)[f"{layer}/bias"]
        value = bias.numpy()
        bias.assign(np.zeros_like(value))
        assert np.abs(run_ours(model, x) - expected).max() > 0.01
        bias.assign(value)


@pytest.mark.parametrize("level", [1, 6])
def test_biases_that_have_no_place_must_be_zero(level):
    # Scales, offsets and biases together: the PyTorch code has no such network.
    unet = networks.scramble(networks.Generator(6, 3, 1, NGF))
    state = networks.arrays(unet)
    for key in [key for key in state if "running" in key or "tracked" in key]:
        del state[key]
    path = "model.model.0" if level == 1 else "model.model.1" + ".model.3" * 4 + ".model.1"
    width = NGF if level == 1 else 8 * NGF
    state[f"{path}.bias"] = np.zeros(width, np.float32)
    imported = generator_from_torch(state, "G")
    assert (imported.norm, imported.bias_layers) == ("instance", "paper")
    x = picture(64, 3)
    assert_same(run_ours(ours(imported), x), run_torch(unet, x, True))
    state[f"{path}.bias"][0] = 0.1
    with pytest.raises(UserError, match=rf"'{path}\.bias' is not zero \(largest 0\.1\)"):
        generator_from_torch(state, "G")


def test_a_generator_without_normalisation():
    unet = networks.scramble(networks.Generator(6, 3, 3, NGF, "none"))
    imported = generator_from_torch(networks.arrays(unet), "G")
    assert imported.norm == "none"
    x = picture(64, 3)
    assert_same(run_ours(ours(imported, norm="none"), x), run_torch(unet, x, True))


def test_a_bias_before_a_normalisation_moves_its_mean():
    unet = networks.scramble(networks.Generator(6, 3, 3, NGF))
    state = networks.arrays(unet)
    plain = generator_from_torch(state, "G").weights["down2_norm/moving_mean"]
    state["model.model.1.model.1.bias"] = np.full(2 * NGF, 0.5, np.float32)
    moved = generator_from_torch(state, "G").weights["down2_norm/moving_mean"]
    np.testing.assert_allclose(moved, plain - 0.5, atol=1e-6)


# === Discriminators ===


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("field", STRIDED)
def test_a_discriminator_judges_the_same(field, norm):
    network = networks.scramble(networks.Discriminator(STRIDED[field], 5, NGF, norm))
    imported = discriminator_from_torch(networks.arrays(network), "D")
    assert (imported.norm, imported.receptive_field) == (norm, field)
    assert (imported.ndf, imported.channels) == (NGF, 5)
    x, y = picture(128, 2, 0), picture(128, 3, 1)
    for kind, train in [("batch", False), ("instance", True)] if norm == "batch" else [(norm, 1)]:
        model = build_discriminator(
            receptive_field=field,
            input_channels=2,
            output_channels=3,
            ndf=NGF,
            norm=kind,
            bias_layers=imported.bias_layers,
        )
        assign(model, imported.weights)
        found = model([tf.constant(x, tf.float32), tf.constant(y, tf.float32)], training=False)
        expected = run_torch(network, np.concatenate([x, y], -1), bool(train))
        assert_same(found.numpy(), expected, spread=0.005)


# === Trained ===


@pytest.mark.parametrize(
    ("levels", "norm", "dropout", "strided"),
    [
        (7, "instance", 0.5, 3),
        (8, "instance", 0.0, 5),
        (6, "instance", 0.5, 0),
        (7, "batch", 0.5, 3),
        (6, "none", 0.0, 1),
    ],
)
def test_trained_networks_compute_the_same_and_come_back_bit_for_bit(
    levels, norm, dropout, strided
):
    size = 2**levels
    unet = networks.Generator(levels, 1, 3, NGF, norm)
    judge = networks.Discriminator(strided, 4, NGF, norm)
    networks.train(unet, judge, size, dropout)
    state_g, state_d = networks.arrays(unet), networks.arrays(judge)
    if norm == "instance":
        biases = [v for state in (state_g, state_d) for k, v in state.items() if k.endswith("bias")]
        assert len(biases) == 2 * levels + max(strided, 1) + 2  # every convolution has one
        # Adam's steps, which even those that cancel make of the rounding that is their gradient.
        assert sum(np.abs(bias).max() > 1e-4 for bias in biases) >= 5
    g, d = generator_from_torch(state_g, "G"), discriminator_from_torch(state_d, "D")
    places = "pytorch" if norm == "instance" else "paper"
    assert (g.norm, g.bias_layers, d.norm, d.bias_layers) == (norm, places, norm, places)

    x, y = picture(size, 1, 0), picture(size, 3, 1)
    expected = run_torch(unet, x, train=norm != "batch")
    assert expected.std() > 1e-3
    settings = {"norm": norm, "bias_layers": places}
    generator = ours(g, **settings, dropout_layers="pytorch")
    np.testing.assert_allclose(run_ours(generator, x), expected, rtol=0, atol=1e-5)
    discriminator = build_discriminator(
        receptive_field=d.receptive_field, input_channels=1, ndf=NGF, **settings
    )
    assign(discriminator, d.weights)
    pair = [tf.constant(each, tf.float32) for each in (x, y)]
    expected = run_torch(judge, np.concatenate([x, y], -1), train=norm != "batch")
    assert expected.std() > 1e-4
    found = discriminator(pair, training=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    for state, model, back in [
        (state_g, generator, generator_to_torch),
        (state_d, discriminator, discriminator_to_torch),
    ]:
        returned = back({name: w.numpy() for name, w in named_weights(model).items()})
        assert list(returned) == list(state)
        for key, value in state.items():
            if not key.endswith("num_batches_tracked"):
                np.testing.assert_array_equal(returned[key], value, err_msg=key)


# === There and back ===


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_a_state_dict_comes_back_bit_for_bit(norm):
    for network, there, back in [
        (networks.Generator(7, 1, 2, NGF, norm), generator_from_torch, generator_to_torch),
        (networks.Discriminator(3, 3, NGF, norm), discriminator_from_torch, discriminator_to_torch),
        (networks.Discriminator(0, 3, NGF, norm), discriminator_from_torch, discriminator_to_torch),
    ]:
        state = networks.arrays(networks.scramble(network))
        returned = back(there(state, "file").weights)
        assert list(returned) == list(state)  # PyTorch's order too
        for key, value in state.items():
            if key.endswith("num_batches_tracked"):
                assert returned[key] == 0
                continue
            np.testing.assert_array_equal(returned[key], value, err_msg=key)
        network.load_state_dict({key: torch.from_numpy(v) for key, v in returned.items()})


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_our_weights_come_back_bit_for_bit(norm):
    random = np.random.default_rng(0)
    for model, there, back in [
        (build_generator(crop_size=64, ngf=3, norm=norm), generator_to_torch, generator_from_torch),
        *(
            (
                build_discriminator(receptive_field=field, ndf=3, norm=norm),
                discriminator_to_torch,
                discriminator_from_torch,
            )
            for field in STRIDED
        ),
    ]:
        weights = {
            name: random.normal(size=w.shape).astype(np.float32)
            for name, w in named_weights(model).items()
        }
        returned = back(there(weights), "file").weights
        assert set(returned) >= set(weights)
        for name, value in weights.items():
            np.testing.assert_array_equal(returned[name], value, err_msg=name)


def test_the_name_that_data_parallel_puts_in_front():
    state = networks.arrays(networks.scramble(networks.Generator(6, 3, 3, 2)))
    plain = generator_from_torch(state, "G")
    wrapped = generator_from_torch({f"module.{key}": value for key, value in state.items()}, "G")
    for name, value in plain.weights.items():
        np.testing.assert_array_equal(wrapped.weights[name], value)


# === What does not fit ===


@pytest.fixture(scope="module")
def state_g():
    return networks.arrays(networks.scramble(networks.Generator(6, 3, 3, 2)))


@pytest.fixture(scope="module")
def state_d():
    return networks.arrays(networks.scramble(networks.Discriminator(3, 6, 2)))


NORM2 = "model.model.1.model.2"
DOWN3 = "model.model.1.model.3.model.1.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({DOWN3: None}, rf"G lacks '{DOWN3}' of shape \[8, 4, 4, 4\]"),
        (
            {DOWN3: np.zeros((8, 4, 3, 3))},
            rf"'{DOWN3}' has the shape \[8, 4, 3, 3\].*\[8, 4, 4, 4\] there",
        ),
        ({DOWN3: np.full((8, 4, 4, 4), np.nan)}, f"'{DOWN3}' holds NaN"),
        ({"model.model.7.weight": np.zeros(3)}, r"holds 'model\.model\.7\.weight' of shape \[3\]"),
        ({"model.model.3.bias": None}, r"lacks 'model\.model\.3\.bias' of shape \[3\]"),
        (
            {"model.model.1.model.2.running_var": None},
            r"lacks 'model\.model\.1\.model\.2\.running_var' of shape \[4\]",
        ),
        ({"model.model.0.weight": np.zeros(4)}, r"'model\.model\.0\.weight' has the shape \[4\]"),
        ({"model.model.3.weight": None}, r"lacks 'model\.model\.3\.weight'"),
        (
            {f"{NORM2}.running_mean": None, f"{NORM2}.running_var": None},
            rf"lacks '{NORM2}\.running_mean' of shape \[4\]",
        ),
        ({f"{NORM2}.weight": None}, rf"lacks '{NORM2}\.weight' of shape \[4\]"),
    ],
    ids=[
        *("missing", "shape", "nan", "unknown", "bias", "average", "dimensions", "last"),
        *("averages", "scale"),
    ],
)
def test_a_generator_that_does_not_fit_is_refused(state_g, change, said):
    state = {key: value for key, value in {**state_g, **change}.items() if value is not None}
    with pytest.raises(UserError, match=said):
        generator_from_torch(state, "G")


def test_other_networks_are_called_by_their_names(state_g, state_d):
    resnet = {"model.1.weight": np.zeros((4, 3, 7, 7)), "model.10.conv_block.1.weight": np.zeros(1)}
    with pytest.raises(UserError, match="holds a ResNet of 1 blocks; expected 6 or 9"):
        generator_from_torch(resnet, "G")
    with pytest.raises(UserError, match="holds a discriminator"):
        generator_from_torch(state_d, "G")
    with pytest.raises(UserError, match="holds a generator"):
        discriminator_from_torch(state_g, "D")
    with pytest.raises(UserError, match=r"first key is 'fc\.weight'"):
        generator_from_torch({"fc.weight": np.zeros(1)}, "G")
    for read in (generator_from_torch, discriminator_from_torch):
        with pytest.raises(UserError, match="it is empty"):
            read({}, "file")


def test_of_all_biases_or_none_one_may_not_be_missing():
    state = networks.arrays(networks.Generator(6, 3, 3, 2, "instance"))
    for key in ("model.model.0.bias", "model.model.1.model.1.bias"):
        with pytest.raises(UserError, match=f"G lacks '{key}' of shape"):
            generator_from_torch({k: v for k, v in state.items() if k != key}, "G")


def test_averages_that_instance_normalisation_once_tracked_are_left_out():
    # The PyTorch code had them in 2018, and its own loading takes them out.
    state = networks.arrays(networks.scramble(networks.Generator(6, 3, 3, 2, "instance")))
    averages = {
        f"{NORM2}.running_mean": np.ones(4, np.float32),
        f"{NORM2}.running_var": np.ones(4, np.float32),
        f"{NORM2}.num_batches_tracked": np.array(7),
    }
    imported = generator_from_torch({**state, **averages}, "G")
    assert (imported.norm, imported.bias_layers) == ("instance", "pytorch")
    returned = generator_to_torch(imported.weights)
    assert set(returned) == set(state)


@pytest.mark.parametrize(("strided", "pixels"), [(2, 34), (4, 142), (6, 574)])
def test_other_receptive_fields_are_refused(strided, pixels):
    state = networks.arrays(networks.Discriminator(strided, 6, 2))
    with pytest.raises(UserError, match=f"{strided} strided layers.*{pixels} pixels"):
        discriminator_from_torch(state, "D")


@pytest.mark.parametrize("levels", [4, 11])
def test_other_depths_are_refused(levels):
    state = networks.arrays(networks.Generator(levels, 1, 1, 1))
    with pytest.raises(UserError, match=f"U-Net of {levels} levels"):
        generator_from_torch(state, "G")


# === What wrappers put into the keys ===


@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "_orig_mod.", "netG.", "module._orig_mod.", "_orig_mod.module."),
        *(
            "netG.module.",
            "module.netG.",
            "netG._orig_mod.module.",
            "module.module._orig_mod.netG.",
        ),
    ],
)
def test_wrapped_networks_are_read(state_g, state_d, prefix):
    plain = generator_from_torch(state_g, "G")
    found = generator_from_torch({prefix + k: v for k, v in state_g.items()}, "G")
    assert_equal_weights(found.weights, plain.weights)
    prefix = prefix.replace("netG", "netD")
    found = discriminator_from_torch({prefix + k: v for k, v in state_d.items()}, "D")
    assert_equal_weights(found.weights, discriminator_from_torch(state_d, "D").weights)


def test_a_module_that_was_compiled_inside_of_another_is_read(state_g):
    wrapped = {k.replace("model.model.", "model._orig_mod.model."): v for k, v in state_g.items()}
    found = generator_from_torch(wrapped, "G")
    assert_equal_weights(found.weights, generator_from_torch(state_g, "G").weights)


def test_of_a_whole_model_each_network_is_taken(state_g, state_d):
    whole = {f"netG.module.{k}": v for k, v in state_g.items()}
    whole |= {f"netD.module.{k}": v for k, v in state_d.items()}
    found = generator_from_torch(whole, "model")
    assert_equal_weights(found.weights, generator_from_torch(state_g, "G").weights)
    found = discriminator_from_torch(whole, "model")
    assert_equal_weights(found.weights, discriminator_from_torch(state_d, "D").weights)


def test_two_keys_of_one_weight_are_refused(state_g):
    key = next(iter(state_g))
    with pytest.raises(UserError, match=f"G holds '{key}' twice"):
        generator_from_torch({**state_g, f"module.{key}": state_g[key]}, "G")


def assert_equal_weights(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
