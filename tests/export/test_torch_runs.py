"""Runs made of PyTorch weights, and back."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import tfpix2pix
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import load_config
from tfpix2pix.export.torch.files import write_state
from tfpix2pix.export.torch.options import notes_of, options_of
from tfpix2pix.export.torch.runs import check_exportable, export_state, read_networks, write_run
from tfpix2pix.export.torch.weights import discriminator_to_torch, generator_to_torch
from tfpix2pix.models import build_discriminator, build_generator
from tfpix2pix.models.weights import named_weights
from tfpix2pix.training.checkpoints import CheckpointError, Checkpoints

pytest.importorskip("safetensors", reason="needs the extra [torch]")


def random_weights(model, seed):
    random = np.random.default_rng(seed)
    return {
        name: random.normal(size=tuple(w.shape)).astype(np.float32)
        for name, w in named_weights(model).items()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of networks, as they would come from PyTorch."""
    place = tmp_path_factory.mktemp("weights")
    generators = {
        "G": {"crop_size": 64, "input_channels": 1, "output_channels": 3, "norm": "batch"},
        "G32": {"crop_size": 32, "norm": "batch"},
        "Gnone": {"crop_size": 64, "norm": "none"},
        "Gbiased": {"crop_size": 64, "bias_layers": "pytorch"},
    }
    for name, settings in generators.items():
        weights = random_weights(build_generator(ngf=2, **settings), 1)
        write_state(place / f"{name}.safetensors", generator_to_torch(weights))
    discriminators = {
        "D": {"input_channels": 1, "norm": "batch", "receptive_field": 16},
        "Dy": {"norm": "batch", "conditional": False},
        "D7": {"input_channels": 4, "norm": "batch"},
        "Dnone": {"norm": "none"},
        "Dbiased": {"bias_layers": "pytorch", "receptive_field": 1},
    }
    for name, settings in discriminators.items():
        weights = random_weights(build_discriminator(ndf=3, **settings), 2)
        write_state(place / f"{name}.safetensors", discriminator_to_torch(weights))
    return place


def read(folder, generator="G", discriminator=None, **settings):
    d = folder / f"{discriminator}.safetensors" if discriminator else None
    return read_networks(folder / f"{generator}.safetensors", d, settings)


# === Config ===


def test_sizes_are_read_off_the_weights(folder):
    imported = read(folder, "G", "D", dataset="sample")
    expected = Pix2PixConfig().replace(
        crop_size=64,
        load_size=72,
        ngf=2,
        input_channels=1,
        target_channels=3,
        receptive_field=16,
        ndf=3,
        dropout_layers="pytorch",
    )
    assert imported.config == expected
    assert imported.files["discriminator"]["trained_with_norm"] == "batch"


def test_what_the_weights_do_not_tell_is_asked_for(folder):
    config = read(
        folder, direction="BtoA", dropout=0.0, norm="batch", dropout_layers="paper"
    ).config
    assert (config.direction, config.dropout, config.norm) == ("BtoA", 0.0, "batch")
    assert (config.dropout_layers, config.dataset) == ("paper", "")


def test_a_discriminator_of_y_alone_is_unconditional(folder):
    assert read(folder, "G", "Dy").config.loss == "l1+gan"


def test_the_smallest_net_has_no_dropout_there(folder):
    config = read(folder, "G32").config
    assert (config.crop_size, config.dropout, config.dropout_layers) == (32, 0.0, "paper")
    with pytest.raises(UserError, match=r"^--dropout=0\.5 does not go with"):
        read(folder, "G32", dropout=0.5)


@pytest.mark.parametrize("discriminator", [None, "Dbiased"])
def test_networks_with_a_bias_in_every_layer(folder, discriminator):
    config = read(folder, "Gbiased", discriminator).config
    assert (config.norm, config.bias_layers) == ("instance", "pytorch")
    assert read(folder, "G", "D").config.bias_layers == "paper"


def test_networks_without_normalisation(folder):
    assert read(folder, "Gnone", "Dnone").config.norm == "none"


@pytest.mark.parametrize(
    ("generator", "discriminator", "settings", "said"),
    [
        ("G", None, {"crop_size": 256}, r"^--crop_size=256 does not go with .*G\.s.* has 64"),
        ("G", None, {"norm": "none"}, "^--norm=none does not go with .*has batch normalisation"),
        ("Gnone", None, {"norm": "batch"}, "^--norm=batch does not go with .*no normalisation"),
        ("G", "Dnone", {}, r"^--norm=instance does not go with .*Dnone"),
        ("G", "Dbiased", {}, r"Dbiased\S+ has a bias in every conv.* and \S*G\.safe\S+ has not"),
        ("Gbiased", "Dy", {}, r"Gbiased\S+ has a bias in every conv.* and \S*Dy\.safe\S+ has not"),
        ("Gbiased", None, {"norm": "batch"}, "^--norm=batch does not go with .*Gbiased"),
        ("G", "D7", {}, "D7.* sees 7 channels.* have 4 together, and y alone has 3"),
        ("G", "D", {"loss": "l1"}, r"^--loss=l1 does not go with .*use --loss=l1\+cgan"),
        ("G", "Dy", {"loss": "cgan"}, r"^--loss=cgan does not go with .*use --loss=l1\+gan"),
        ("D", None, {}, "holds a discriminator"),
        ("G", "G", {}, "holds a generator"),
        ("G", None, {"dropout": 2.0}, "^--dropout=2.0"),
    ],
)
def test_what_does_not_go_together_is_refused(folder, generator, discriminator, settings, said):
    with pytest.raises(UserError, match=said):
        read(folder, generator, discriminator, **settings)


# === Workdir ===


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_an_imported_run_has_the_weights_and_a_fresh_optimizer(folder, tmp_path, norm):
    imported = read(folder, "G", "D", norm=norm, dataset="sample")
    write_run(imported, tmp_path / "run")
    assert sorted(os.listdir(tmp_path)) == ["run"]
    assert {"config.json", "checkpoints", "import.json"} <= set(os.listdir(tmp_path / "run"))
    config = load_config(tmp_path / "run")
    assert config == imported.config
    algorithm = Pix2Pix(config)
    # The whole state of a run, or this would complain.
    facts = Checkpoints(tmp_path / "run").restore(algorithm.state())
    assert (facts["step"], int(algorithm.step)) == (0, 0)
    for name, network in algorithm.networks.items():
        for key, variable in named_weights(network).items():
            np.testing.assert_array_equal(variable.numpy(), imported.weights[name][key])
    for slots in algorithm.state()["discriminator_adam"].values():
        assert all(not slot.numpy().any() for slot in slots.values())


def test_without_a_discriminator_there_is_an_untrained_one(folder, tmp_path):
    imported = read(folder, dataset="sample")
    assert any("untrained" in note for note in imported.notes)
    write_run(imported, tmp_path / "run")
    algorithm = Pix2Pix(imported.config)
    fresh = {k: v.numpy() for k, v in named_weights(algorithm.discriminator).items()}
    Checkpoints(tmp_path / "run").restore(algorithm.state())
    for name, variable in named_weights(algorithm.discriminator).items():
        np.testing.assert_array_equal(variable.numpy(), fresh[name])


@pytest.mark.parametrize("network", ["generator", "discriminator"])
@pytest.mark.parametrize(("kind", "norm"), [("", "batch"), ("biased", "instance")])
def test_what_was_imported_is_exported_bit_for_bit(folder, tmp_path, network, kind, norm):
    from safetensors.numpy import load_file

    write_run(read(folder, f"G{kind}", f"D{kind}", norm=norm), tmp_path / "run")
    state, config, step = export_state(tmp_path / "run", network)
    assert (config.norm, step) == (norm, 0)
    original = load_file(folder / f"{network[0].upper()}{kind}.safetensors")
    assert set(state) == set(original)
    for key, value in original.items():
        np.testing.assert_array_equal(state[key], value, err_msg=key)


@pytest.mark.parametrize(
    ("norm", "biases"),
    [("instance", "paper"), ("instance", "pytorch"), ("batch", "paper"), ("none", "paper")],
)
def test_what_was_exported_is_imported_bit_for_bit(tmp_path, norm, biases):
    config = Pix2PixConfig(crop_size=64, load_size=64, ngf=2, ndf=2, norm=norm, dataset="sample")
    config = config.replace(bias_layers=biases)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(config.to_json())
    algorithm = Pix2Pix(config)
    weights = {}
    for seed, (name, model) in enumerate(algorithm.networks.items()):
        weights[name] = random_weights(model, seed)
        for key, variable in named_weights(model).items():
            variable.assign(weights[name][key])
    Checkpoints(run).save(algorithm.state(), 7, {"best": None})
    for name in weights:
        state, _, step = export_state(run, name)
        assert step == 7
        write_state(tmp_path / f"{name}.safetensors", state)
    imported = read(tmp_path, "generator", "discriminator", norm=norm, dropout_layers="paper")
    assert imported.config == config.replace(
        dataset="", load_size=72, input_channels=3, target_channels=3
    )
    for name, values in weights.items():
        for key, value in values.items():
            np.testing.assert_array_equal(imported.weights[name][key], value, err_msg=key)


def test_a_workdir_in_use_is_refused_and_left_alone(folder, tmp_path):
    imported = read(folder)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, said in [("used", "is not empty"), ("file", "is a file")]:
        with pytest.raises(UserError, match=said):
            write_run(imported, tmp_path / name)
    with pytest.raises(UserError, match="cannot be written"):
        write_run(imported, tmp_path / "file" / "run")
    assert sorted(os.listdir(tmp_path)) == ["file", "used"]
    assert os.listdir(tmp_path / "used") == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    write_run(imported, tmp_path / "empty")
    assert load_config(tmp_path / "empty") == imported.config


@pytest.mark.parametrize("error", [CheckpointError("full"), KeyboardInterrupt()])
def test_a_run_that_could_not_be_written_leaves_nothing(folder, tmp_path, monkeypatch, error):
    def save(self, state, step, facts):
        raise error

    monkeypatch.setattr(Checkpoints, "save", save)
    with pytest.raises(type(error)):
        write_run(read(folder), tmp_path / "run")
    assert os.listdir(tmp_path) == []


def test_what_a_killed_import_left_is_cleared_away(folder, tmp_path):
    (tmp_path / ".run.0123abcd.tmp" / "checkpoints").mkdir(parents=True)
    (tmp_path / ".running.0123abcd.tmp").mkdir()
    write_run(read(folder), tmp_path / "run")
    assert sorted(os.listdir(tmp_path)) == [".running.0123abcd.tmp", "run"]


def test_networks_that_the_pytorch_code_does_not_have():
    with pytest.raises(UserError, match="its generator is an encoder_decoder"):
        check_exportable(Pix2PixConfig(generator="encoder_decoder"), "generator", "run")
    check_exportable(Pix2PixConfig(generator="encoder_decoder"), "discriminator", "run")
    with pytest.raises(UserError, match="--loss=l1 and has no discriminator"):
        check_exportable(Pix2PixConfig(loss="l1"), "discriminator", "run")


@pytest.mark.parametrize(
    ("network", "settings", "said"),
    [
        ("generator", {"norm": "group"}, "--norm=group"),
        ("discriminator", {"norm": "group"}, "--norm=group"),
        ("generator", {"upsampling": "nearest"}, "--upsampling=nearest"),
        ("generator", {"upsampling": "subpixel", "padding": "replicate"}, "--upsampling=subpixel"),
        ("generator", {"noise_channels": 4}, "--noise_channels=4"),
        ("generator", {"last_channels": 16}, "--last_channels=16"),
        ("generator", {"bottleneck": 8, "crop_size": 128}, "has 4 levels"),
        ("discriminator", {"spectral_norm": True}, "--spectral_norm=true"),
    ],
)
def test_layers_that_the_pytorch_code_does_not_have(network, settings, said):
    with pytest.raises(UserError, match=f"^--workdir=run.*{said}"):
        check_exportable(Pix2PixConfig(**settings), network, "run")


def test_a_wider_bottleneck_is_a_unet_of_fewer_levels():
    config = Pix2PixConfig(bottleneck=4, discriminator_scales=2)
    check_exportable(config, "generator", "run")
    assert "num_downs=6" in options_of(config, "generator")
    assert "2 discriminators" in " ".join(notes_of(config, "discriminator"))


def test_the_average_is_what_is_exported(tmp_path, make_run):
    run = make_run(tmp_path / "run", ema=0.9)
    found = {}
    for weights in ("average", "raw"):
        found[weights] = export_state(run, weights=weights)[0]
        expected = tfpix2pix.load(run, weights=weights).generator
        kernel = named_weights(expected)["down1/kernel"].numpy().transpose(3, 2, 0, 1)
        np.testing.assert_array_equal(found[weights]["model.model.0.weight"], kernel)
    assert np.abs(found["average"]["model.model.0.weight"] - kernel).max() > 0.01


def test_an_imported_run_with_averages_begins_with_them_at_its_weights(folder, tmp_path):
    write_run(read(folder, ema=0.9), tmp_path / "run")
    pictures = [
        tfpix2pix.load(tmp_path / "run", weights=weights).translate(np.zeros((64, 64), np.uint8))
        for weights in ("average", "raw")
    ]
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize(
    "setting",
    [{"upsampling": "nearest"}, {"bottleneck": 2}, {"noise_channels": 1}, {"last_channels": 8}],
    ids=str,
)
def test_settings_of_networks_that_it_never_trains_are_refused(folder, setting):
    (name,) = setting
    with pytest.raises(UserError, match=f"^--{name}="):
        read(folder, **setting)


@pytest.mark.parametrize("field", ["dropout_layers", "bias_layers"])
def test_runs_from_before_have_the_papers_dropout_and_biases(tmp_path, field):
    values = json.loads(Pix2PixConfig().to_json())
    del values[field]
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert load_config(tmp_path) == Pix2PixConfig()
    assert getattr(Pix2PixConfig(), field) == "paper"
