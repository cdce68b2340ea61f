"""CycleGAN's networks against the same architecture in PyTorch, and its files here and back."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.base.errors import UserError
from tfpix2pix.export.torch.files import read_state
from tfpix2pix.export.torch.options import options_of
from tfpix2pix.export.torch.runs import export_state, read_networks, write_run
from tfpix2pix.export.torch.weights import (
    discriminator_from_torch,
    generator_from_torch,
    generator_to_torch,
)
from tfpix2pix.inference import load
from tfpix2pix.models.patchgan import build_discriminator
from tfpix2pix.models.resnet import build_resnet
from tfpix2pix.models.weights import named_weights

torch = pytest.importorskip("torch", reason="needs the extra [torch]")

networks = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "torch_networks.py")))


@pytest.fixture(autouse=True)
def exact_products(full_float32):
    """Every test of this file computes in full float32."""


def picture(height, width, channels, batch=1):
    return np.random.default_rng(0).uniform(-1, 1, (batch, height, width, channels))


def run_torch(network, x, train=True):
    network.train(train)
    with torch.no_grad():
        y = network(torch.tensor(x.transpose(0, 3, 1, 2), dtype=torch.float32))
    return y.numpy().transpose(0, 2, 3, 1)


def ours(imported, norm, bias_layers):
    model = build_resnet(
        input_channels=imported.input_channels,
        output_channels=imported.output_channels,
        ngf=imported.ngf,
        blocks=imported.blocks,
        norm=norm,
        bias_layers=bias_layers,
        dropout=0.5 if imported.dropout else 0.0,
    )
    for name, variable in named_weights(model).items():
        if name in imported.weights:
            variable.assign(imported.weights[name])
    return model


def assert_same(found, expected):
    assert expected.std() > 0.1, "a picture of nothing would prove nothing"
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("blocks", "inputs", "outputs", "ngf", "trained", "norm", "bias_layers"),
    [
        (6, 3, 3, 4, "instance", "instance_plain", "all"),
        (9, 1, 4, 2, "instance", "instance_plain", "all"),
        (9, 4, 2, 1, "instance", "instance", "pytorch"),
        (6, 2, 1, 3, "none", "none", "all"),
    ],
)
def test_a_resnet_makes_the_same_picture(blocks, inputs, outputs, ngf, trained, norm, bias_layers):
    network = networks.scramble(networks.ResNet(blocks, inputs, outputs, ngf, trained))
    imported = generator_from_torch(networks.arrays(network), "G")
    found = imported.norm, imported.blocks, imported.ngf, imported.dropout
    assert found == (trained, blocks, ngf, False)
    x = picture(20, 28, inputs)
    expected = run_torch(network, x)
    model = ours(imported, norm, bias_layers)
    for training in (False, True):  # as a plain convolution, and as a transposed one
        assert_same(model(tf.constant(x, tf.float32), training=training).numpy(), expected)


@pytest.mark.parametrize("mode", ["batch, eval", "batch, train", "affine"])
def test_scales_and_offsets_of_either_normalisation(mode):
    kind = "instance" if mode == "affine" else "batch"
    network = networks.scramble(networks.ResNet(6, 3, 3, 4, kind, affine=mode == "affine"))
    imported = generator_from_torch(networks.arrays(network), "G")
    norm = "batch" if mode == "batch, eval" else "instance"
    x = picture(24, 16, 3)
    expected = run_torch(network, x, train=mode != "batch, eval")
    assert_same(ours(imported, norm, "all")(tf.constant(x, tf.float32)).numpy(), expected)


def test_dropout_stands_where_the_reference_has_it():
    network = networks.scramble(networks.ResNet(6, 3, 3, 2, "instance", masked=True))
    imported = generator_from_torch(networks.arrays(network), "G")
    assert imported.dropout
    model = ours(imported, "instance_plain", "all")
    x, z = picture(16, 24, 3), np.random.default_rng(1).uniform(0, 1, (1, 4, 6, 6 * 8))
    for number, block in enumerate(network.blocks):
        kept = z[..., number * 8 : number * 8 + 8].transpose(0, 3, 1, 2) >= 0.5
        block.mask.mask = torch.tensor(kept * 2.0, dtype=torch.float32)
    found = model([tf.constant(x, tf.float32), tf.constant(z, tf.float32)]).numpy()
    assert_same(found, run_torch(network, x))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("norm", ["instance_plain", "instance"])
def test_a_discriminator_of_images_alone_judges_alike(channels, norm):
    trained = "instance" if norm == "instance_plain" else "batch"
    network = networks.scramble(networks.Discriminator(3, channels, 4, trained))
    imported = discriminator_from_torch(networks.arrays(network), "D")
    assert (imported.channels, imported.receptive_field, imported.ndf) == (channels, 70, 4)
    model = build_discriminator(
        output_channels=channels, ndf=4, norm=norm, bias_layers="all", conditional=False
    )
    for name, variable in named_weights(model).items():
        if name in imported.weights:
            variable.assign(imported.weights[name])
    x = picture(128, 128, channels)
    found = model(tf.constant(x, tf.float32)).numpy()
    assert found.shape == (1, 14, 14, 1)
    assert_same(found, run_torch(network, x))


def test_a_bias_before_a_plain_normalisation_has_no_gradient():
    """Of the reference nothing but rounding is left; here it is 0, and Adam lets it be."""
    network = networks.scramble(networks.ResNet(6, 3, 3, 2))
    y = network(torch.tensor(picture(16, 16, 3).transpose(0, 3, 1, 2), dtype=torch.float32))
    (y**2).mean().backward()
    grads = {name: p.grad.abs().max() for name, p in network.named_parameters()}
    last = "model.23.bias"
    assert all(g < 1e-6 for name, g in grads.items() if name.endswith("bias") and name != last)
    assert grads[last] > 1e-3
    model = build_resnet(ngf=2, blocks=6, norm="instance_plain")
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(picture(16, 16, 3), training=True) ** 2)
    weights = named_weights(model, trainable_only=True)
    found = dict(zip(weights, tape.gradient(loss, list(weights.values())), strict=True))
    biases = {name for name, gradient in found.items() if gradient is None}
    assert biases == {n for n in weights if n.endswith("/bias")} - {"last/bias"}


# === Files ===


def saved(path, network, **more):
    """As the PyTorch code saves it; ``more`` is of older versions."""
    torch.save({**network.state_dict(), **more}, path)
    return path


@pytest.mark.parametrize(("blocks", "masked"), [(9, False), (6, True)])
def test_a_file_becomes_a_run_and_a_file_again(tmp_path, blocks, masked):
    network = networks.scramble(networks.ResNet(blocks, 3, 1, 2, masked=masked))
    path = saved(tmp_path / "latest_net_G_A.pth", network)
    imported = read_networks(path, settings={"crop_size": 44})
    config = imported.config
    assert config.generator == f"resnet{blocks}"
    assert (config.norm, config.bias_layers, config.size_multiple) == ("instance", "pytorch", 4)
    assert (config.dropout, config.takes_noise) == ((0.5, True) if masked else (0.0, False))
    write_run(imported, tmp_path / "run")
    model = load(tmp_path / "run")
    x = picture(44, 44, 3).astype(np.float32)
    z = model.noise(x, [0], True) if masked else None
    assert_same(model.network(x, z), run_torch(network, x))
    state, config, _ = export_state(tmp_path / "run")
    before = read_state(path)
    assert list(state) == list(before)
    for key, value in before.items():
        np.testing.assert_array_equal(state[key], value, err_msg=key)
    ending = "" if masked else " --no_dropout"
    assert options_of(config, "generator") == (
        f"--netG resnet_{blocks}blocks --ngf 2{ending} --input_nc 3 --output_nc 1 --norm instance"
    )


def test_a_file_of_2017_has_averages_that_nothing_used():
    network = networks.scramble(networks.ResNet(6, ngf=2))
    state = networks.arrays(network)
    plain = generator_from_torch(state, "G")
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.InstanceNorm2d):
            state[f"{name}.running_mean"] = np.ones(module.num_features, np.float32)
            state[f"{name}.running_var"] = np.ones(module.num_features, np.float32)
    old = generator_from_torch(state, "G")
    assert (old.norm, old.bias_layers) == ("instance", "pytorch")
    for name, value in plain.weights.items():
        np.testing.assert_array_equal(old.weights[name], value)


def test_a_run_of_scales_and_offsets_fits_the_code_with_batch_normalisation():
    model = build_resnet(ngf=2, blocks=9, norm="instance")
    random = np.random.default_rng(0)
    for variable in named_weights(model).values():
        variable.assign(random.normal(0, 0.3, variable.shape))
    weights = {name: value.numpy() for name, value in named_weights(model).items()}
    network = networks.ResNet(9, ngf=2, norm="batch")
    state = generator_to_torch(weights, dropout=False)
    network.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    x = picture(16, 16, 3)
    assert_same(model(tf.constant(x, tf.float32)).numpy(), run_torch(network, x))


def test_other_resnets_are_refused_in_a_sentence():
    with pytest.raises(UserError, match="G holds a ResNet of 4 blocks; expected 6 or 9"):
        generator_from_torch(networks.arrays(networks.ResNet(4, ngf=1)), "G")
    state = networks.arrays(networks.ResNet(6, ngf=1))
    with pytest.raises(UserError, match="holds a generator; expected a discriminator"):
        discriminator_from_torch(state, "D")
    del state["model.12.conv_block.5.weight"]
    with pytest.raises(UserError, match=r"lacks 'model.12.conv_block.5.weight' of shape \[4, 4, 3"):
        generator_from_torch(state, "G")


# === CycleGAN's four files ===


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """G_A makes one channel of three, G_B three of one; each D judges what its G makes."""
    folder = tmp_path_factory.mktemp("cyclegan")
    made = {
        "G_A": networks.ResNet(6, 3, 1, 2),
        "G_B": networks.ResNet(6, 1, 3, 2),
        "D_A": networks.Discriminator(3, 1, 2, "instance"),
        "D_B": networks.Discriminator(3, 3, 2, "instance"),
    }
    for seed, (name, network) in enumerate(made.items()):
        saved(folder / f"latest_net_{name}.pth", networks.scramble(network, seed))
    return folder, made


PARTS = {
    "generator": "G_A",
    "generator_back": "G_B",
    "discriminator": "D_A",
    "discriminator_back": "D_B",
}


def test_four_files_become_a_run_both_ways_and_files_again(four, tmp_path):
    folder, made = four
    files = {part: folder / f"latest_net_{name}.pth" for part, name in PARTS.items()}
    settings = {"crop_size": 44, "lambda_identity": 0.0, "direction": "AtoB"}
    write_run(read_networks(settings=settings, **files), tmp_path / "run")
    for direction, name in (("AtoB", "G_A"), ("BtoA", "G_B")):
        model = load(tmp_path / "run", direction=direction)
        x = picture(44, 44, made[name].model[1].in_channels).astype(np.float32)
        assert_same(model.network(x, None), run_torch(made[name], x))
    for part, path in files.items():
        state, _, _ = export_state(tmp_path / "run", part)
        for key, value in read_state(path).items():
            np.testing.assert_array_equal(state[key], value, err_msg=f"{part}: {key}")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"generator": "G_A", "generator_back": "G_A"},
            "is not the way back of .*channels of its input: 3, expected 1",
        ),
        (
            {"generator": "G_A", "generator_back": "G_B", "discriminator": "D_B"},
            "D_B.pth does not go with .*G_A.pth: channels of what it sees: 3, expected 1",
        ),
        (
            {"generator": "G_A", "generator_back": "G_B", "discriminator_back": "D_A"},
            "channels of what it sees: 1, expected 3",
        ),
        ({"generator": "G_A", "discriminator_back": "D_B"}, "give that with --generator_back"),
    ],
)
def test_files_that_do_not_go_together(four, parts, said):
    folder, _ = four
    files = {part: folder / f"latest_net_{name}.pth" for part, name in parts.items()}
    with pytest.raises(UserError, match=said):
        read_networks(settings={"crop_size": 44, "lambda_identity": 0.0}, **files)


def test_a_run_of_one_direction_has_no_way_back(four, tmp_path):
    write_run(read_networks(four[0] / "latest_net_G_A.pth"), tmp_path / "run")
    with pytest.raises(UserError, match="learned one direction; use --network=generator"):
        export_state(tmp_path / "run", "generator_back")
