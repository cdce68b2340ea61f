"""The config: its rules, its presets, its file, and what a continued run may change."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from tfpix2pix.algorithms.configs.pix2pix import PRESETS, Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import Preset, differences, load_config, nearest, resolve
from tfpix2pix.data.sources.paper_sets import PAPER_SETS
from tfpix2pix.training.workdir import workdir_and_config

# === Defaults ===


def test_defaults_are_the_papers():
    config = Pix2PixConfig()
    assert (config.crop_size, config.load_size, config.flip) == (256, 286, True)
    assert (config.ngf, config.ndf, config.receptive_field) == (64, 64, 70)
    assert (config.generator, config.norm, config.dropout) == ("unet", "instance", 0.5)
    assert (config.loss, config.lambda_l1) == ("l1+cgan", 100.0)
    assert (config.learning_rate, config.beta1, config.beta2) == (2e-4, 0.5, 0.999)
    assert (config.batch_size, config.epochs) == (1, 200)


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Pix2PixConfig().ngf = 3


def test_replace_gives_a_changed_copy_and_checks_it():
    config = Pix2PixConfig()
    assert config.replace(ngf=3).ngf == 3
    assert config.ngf == 64
    with pytest.raises(UserError, match="--ngf=0"):
        config.replace(ngf=0)


def test_only_l1_has_no_discriminator():
    losses = ("l1", "gan", "cgan", "l1+gan", "l1+cgan")
    found = [Pix2PixConfig(loss=loss).has_discriminator for loss in losses]
    assert found == [False, True, True, True, True]


# === Every field is checked ===

# One value of the wrong kind, and values of the right kind that lie outside, for each field.
BAD = {
    "dataset": (3, []),
    "direction": (1, ["BtoB", "atob", ""]),
    "preset": (None, []),
    "crop_size": (256.0, [0, 16, 2048, -64, 100, 255, 257]),
    "epochs": (1.5, [0, -1]),
    "steps": ("10", [-1]),
    "batch_size": (1.0, [0]),
    "seed": (0.5, [-1, 2**31]),
    "load_size": ("256x", [31, 4097]),
    "flip": (1, []),
    "data": (1, ["both", "Pairs"]),
    "disjoint_stems": ("true", []),
    "layout": (1, ["sidebyside", ""]),
    "input_dir": (None, []),
    "target_dir": (3, []),
    "val_fraction": ("0.1", [-0.1, 0.95, math.nan]),
    "input_key": (0, []),
    "target_key": (None, []),
    "split_key": (None, []),
    "input_channels": (True, [-1, 1025]),
    "target_channels": ("3", [-1, 1025]),
    "input_dtype": (8, ["uint32", "16"]),
    "target_dtype": (None, ["int16"]),
    "input_range": (255, []),
    "input_planes": (2, []),
    "target_planes": (2, []),
    "input_alpha": ("yes", []),
    "target_alpha": ("yes", []),
    "target_range": (None, []),
    "input_ignore": (255, []),
    "target_ignore": (None, []),
    "label_palette": (True, []),
    "label_side": (0, ["left", "A"]),
    "input_encoding": (1, ["one_hot", "colour"]),
    "target_encoding": (1, ["color", "one_hot"]),
    "color_space": (None, ["hsv", "Lab"]),
    "cache": (True, ["disk", ""]),
    "data_dir": (None, []),
    "sample_labels": (1, ["CMP", "fine"]),
    "sample_pairs": (4.0, [3, 1_000_001]),
    "allow_mixed_sizes": ("true", []),
    "generator": (None, ["resnet"]),
    "ngf": (64.0, [0, -1]),
    "receptive_field": ("70", [0, 34, 71]),
    "ndf": (None, [0]),
    "norm": (False, ["layer", "Instance"]),
    "bias_layers": (1, ["every", ""]),
    "dropout": ("0.5", [-0.1, 0.96, 1.0, math.nan]),
    "dropout_layers": (3, ["torch", ""]),
    "bottleneck": (1.5, [0, 3, 16]),
    "upsampling": (1, ["bicubic", ""]),
    "resampling": (1, ["pool", ""]),
    "padding": (None, ["reflect"]),
    "last_channels": (1.0, [-1, 513]),
    "noise_channels": ("1", [-1, 17]),
    "latent": (8.0, [-1, 257]),
    "latent_reach": (1, ["some", ""]),
    "diversity": (1, ["ada", ""]),
    "lambda_diversity": ("8", [-1.0, math.inf, math.nan]),
    "diversity_bound": (None, [-1.0, math.nan]),
    "discriminator_scales": (1.0, [0, 4]),
    "spectral_norm": (1, []),
    "updates": (2, ["both", ""]),
    "gan_loss": (None, ["wgan", "bce"]),
    "lambda_feature_matching": ("10", [-1.0, math.nan, math.inf]),
    "lambda_r1": (None, [-1.0, math.nan]),
    "augment": (True, ["ada"]),
    "learning_rate_d": ("1", [-1e-9, math.inf]),
    "ema": (None, [-0.1, 1.0, math.nan]),
    "lr_schedule": (1, ["cosine", ""]),
    "lr_decay_from": (0.5, [-1, "", "-5", "half", "1.5epochs", "10 minutes"]),
    "init_from": (1, []),
    "loss": (1, ["l2", "cgan+l1"]),
    "lambda_l1": ("100", [-1.0, math.inf, math.nan]),
    "lambda_chroma": ("1", [-1.0, math.nan]),
    "perceptual": (1, []),
    "lambda_perceptual": ("10", [-1.0, math.nan]),
    "lambda_ce": ("100", [-1.0, math.inf, math.nan]),
    "balance": ("0", [-0.1, 1.1, math.nan]),
    "learning_rate": (None, [-1e-9, math.nan, math.inf]),
    "beta1": ("0.5", [-0.1, 1.0]),
    "beta2": (True, [-0.1, 1.0, math.nan]),
    "mixed_precision": (16, ["fp16", "half", ""]),
    "jit_compile": (1, []),
    "log_every": (1.0, [0]),
    "val_every": (None, [-1]),
    "val_images": ("all", [-1]),
    "sample_every": (2.0, [-1]),
    "sample_images": (True, [0, 65]),
    "checkpoint_every": ("x", [-1]),
    "keep_checkpoints": (2.5, [1, 0]),
    "best_metric": (1, ["fid"]),
    "patience": (None, [-1]),
    "algorithm": (1, ["pix2pixHD", ""]),
}


def test_the_table_of_bad_values_has_every_field():
    assert sorted(BAD) == sorted(field.name for field in dataclasses.fields(Pix2PixConfig))


@pytest.mark.parametrize("field", BAD)
def test_a_value_of_another_kind_is_refused(field):
    with pytest.raises(UserError, match=f"--{field}=.*expected (a|text|true)"):
        Pix2PixConfig(**{field: BAD[field][0]})


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, (_, values) in BAD.items() for value in values]
)
def test_a_value_out_of_range_is_refused(field, value):
    with pytest.raises(UserError, match=f"^--{field}="):
        Pix2PixConfig(**{field: value})


@pytest.mark.parametrize(
    "edge",
    [
        {"crop_size": 32, "load_size": 32, "receptive_field": 70},
        {"crop_size": 1024, "load_size": 4096},
        {"seed": 2**31 - 1},
        {"dropout": 0.0},
        {"dropout": 0.95},
        {"beta1": 0.0, "beta2": 0.0},
        {"lambda_l1": 0.0},
        {"keep_checkpoints": 2, "sample_images": 64, "val_every": 0},
        {"crop_size": 64, "load_size": 64, "dropout_layers": "pytorch"},
        {"bias_layers": "pytorch", "norm": "instance"},
        {"crop_size": 128, "load_size": 128, "receptive_field": 286},
        {"crop_size": 64, "load_size": 64, "receptive_field": 286, "loss": "l1"},
    ],
)
def test_values_at_the_edge_are_accepted(edge):
    assert dataclasses.asdict(Pix2PixConfig(**edge)).items() >= edge.items()


@pytest.mark.parametrize("size", [100, 127, 129, 513])
def test_the_message_names_the_powers_of_two_on_both_sides(size):
    lower = 1 << (size.bit_length() - 1)
    with pytest.raises(UserError, match=f"--crop_size={lower} or --crop_size={2 * lower}$"):
        Pix2PixConfig(crop_size=size, load_size=1024)


def test_a_crop_larger_than_the_image_is_refused_with_the_size_that_fits():
    with pytest.raises(UserError, match=r"--crop_size=256 .*--load_size=200.*--load_size=286"):
        Pix2PixConfig(load_size=200)


@pytest.mark.parametrize(
    ("crop_size", "receptive_field", "scales", "advice"),
    [
        (64, 286, 1, {"crop_size": 128, "receptive_field": 70}),
        (64, 286, 3, {"crop_size": 512, "receptive_field": 16}),
        (32, 70, 2, {"crop_size": 64, "receptive_field": 16, "discriminator_scales": 1}),
        (64, 70, 3, {"crop_size": 128, "receptive_field": 16, "discriminator_scales": 1}),
    ],
)
def test_a_patch_larger_than_the_image_is_refused_with_what_fits(
    crop_size, receptive_field, scales, advice
):
    values = {
        "crop_size": crop_size,
        "load_size": 1024,
        "receptive_field": receptive_field,
        "discriminator_scales": scales,
    }
    with pytest.raises(UserError, match=f"--receptive_field={receptive_field} leaves no") as said:
        Pix2PixConfig(**values)
    _, use = str(said.value).split("; use ")
    assert use.replace(" or more", "") == " or ".join(f"--{k}={v}" for k, v in advice.items())
    for name, value in advice.items():
        Pix2PixConfig(**{**values, name: value})
    Pix2PixConfig(**values, loss="l1")  # without a discriminator


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_bias_in_every_layer_goes_with_instance_normalisation_alone(norm):
    with pytest.raises(UserError, match=f"^--bias_layers=pytorch does not go with --norm={norm}"):
        Pix2PixConfig(bias_layers="pytorch", norm=norm)


# === Nearest names ===


@pytest.mark.parametrize(
    ("word", "expected"),
    [("facade", "facades"), ("facades_gpu", "facades_cpu"), ("papr", "paper"), ("quikc", "quick")],
)
def test_the_nearest_preset_is_suggested(word, expected):
    with pytest.raises(UserError, match=f"--preset={word} .*did you mean '{expected}'"):
        resolve({"preset": word})


def test_the_nearest_choice_is_suggested():
    with pytest.raises(UserError, match="did you mean 'instance'"):
        Pix2PixConfig(norm="instanc")


def test_nothing_is_suggested_where_nothing_is_near():
    assert nearest("zzzz", ["crop_size", "ngf"]) == ""


# === Presets ===


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_resolves_to_its_values_on_top_of_the_defaults(name):
    config = dataclasses.asdict(resolve({"preset": name, "dataset": "somewhere"}))
    expected = {**dataclasses.asdict(Pix2PixConfig()), **PRESETS[name].values}
    assert config == {**expected, "dataset": "somewhere", "preset": name}
    assert PRESETS[name].about


def test_without_a_preset_it_is_quick_on_the_sample_set():
    config = resolve({})
    assert (config.preset, config.dataset, config.crop_size) == ("quick", "sample", 128)


@pytest.mark.parametrize(
    ("name", "epochs", "batch_size", "direction"),
    [
        ("facades", 200, 1, "BtoA"),
        ("maps", 200, 1, "AtoB"),
        ("cityscapes", 200, 1, "BtoA"),
        ("edges2shoes", 15, 4, "AtoB"),
        ("edges2handbags", 15, 4, "AtoB"),
        ("night2day", 17, 4, "BtoA"),
    ],
)
def test_the_papers_experiments_have_its_settings(name, epochs, batch_size, direction):
    config = resolve({"preset": name, "dataset": "somewhere"})
    assert (config.epochs, config.batch_size, config.steps) == (epochs, batch_size, 0)
    assert config.direction == direction
    assert (config.crop_size, config.load_size) == (256, 286)


@pytest.mark.parametrize(
    ("name", "dataset"),
    [("facades", "facades"), ("facades_cpu", "facades"), ("maps", "maps"), ("quick", "sample")],
)
def test_a_preset_names_its_data_set(name, dataset):
    assert resolve({"preset": name}).dataset == dataset
    assert resolve({"preset": name, "dataset": "/mine"}).dataset == "/mine"


@pytest.mark.parametrize("name", PAPER_SETS)
def test_a_set_of_the_paper_is_learned_in_its_direction(name):
    assert resolve({"dataset": name}).direction == PAPER_SETS[name].direction
    assert resolve({"preset": name}).direction == PAPER_SETS[name].direction
    assert resolve({"dataset": name, "direction": "BtoA"}).direction == "BtoA"
    assert resolve({"dataset": name, "direction": "AtoB"}).direction == "AtoB"
    assert resolve({"dataset": f"/somewhere/{name}"}).direction == "AtoB"


def test_two_folders_stand_for_data_set_and_direction():
    config = resolve({"preset": "facades", "input_dir": "/a", "target_dir": "/b"})
    assert (config.dataset, config.direction) == ("", "AtoB")
    for flag, value in (("dataset", "/c"), ("direction", "BtoA")):
        with pytest.raises(UserError, match=f"--{flag}={value} does not go with --input_dir"):
            resolve({"input_dir": "/a", "target_dir": "/b", flag: value})


def test_flags_win_over_the_preset():
    config = resolve({"preset": "facades_cpu", "dataset": "d", "ngf": 7, "direction": "AtoB"})
    assert (config.ngf, config.direction, config.ndf) == (7, "AtoB", 32)


def test_epochs_win_over_the_presets_steps():
    config = resolve({"epochs": 2})
    assert (config.epochs, config.steps) == (2, 0)
    config = resolve({"epochs": 2, "steps": 7})
    assert (config.epochs, config.steps) == (2, 7)


@pytest.mark.parametrize(
    ("crop_size", "load_size"),
    [(32, 36), (64, 72), (128, 143), (256, 286), (512, 572), (1024, 1144)],
)
def test_load_size_follows_crop_size_in_the_papers_ratio(crop_size, load_size):
    assert resolve({"crop_size": crop_size}).load_size == load_size


def test_load_size_stays_where_it_is_given():
    assert resolve({"crop_size": 64, "load_size": 64}).load_size == 64
    assert resolve({"load_size": 300}).load_size == 300


def test_the_coupled_size_does_not_hide_a_bad_crop_size():
    for crop_size in (100, 0, -5, "64x", 8192):
        with pytest.raises(UserError, match="--crop_size="):
            resolve({"crop_size": crop_size})


def test_an_unknown_flag_is_named():
    with pytest.raises(UserError, match="'crop_siz'; did you mean 'crop_size'"):
        resolve({"crop_siz": 64})


def test_presets_are_only_data():
    for preset in PRESETS.values():
        assert isinstance(preset, Preset)
        assert "preset" not in preset.values


# === Steps ===


def test_steps_are_whole_batches_of_all_epochs():
    # 3 epochs of 10 pairs in batches of 4: 30 pairs are 7.5 batches.
    assert Pix2PixConfig(epochs=3, batch_size=4).total_steps(10) == 8
    assert Pix2PixConfig(epochs=200).total_steps(400) == 80_000


def test_steps_win_over_epochs():
    assert Pix2PixConfig(epochs=3, steps=5).total_steps(10) == 5


# === File ===


def save(folder, text: str) -> None:
    (folder / "config.json").write_text(text)


def test_a_config_survives_its_file(tmp_path):
    config = resolve({"crop_size": 64, "lambda_l1": 12.5, "flip": False, "dataset": "ä/🏠 x"})
    save(tmp_path, config.to_json())
    assert load_config(tmp_path) == config


def test_a_whole_number_in_the_file_does_for_a_fraction(tmp_path):
    save(tmp_path, json.dumps({"lambda_l1": 10}))
    found = load_config(tmp_path).lambda_l1
    assert found == 10.0
    assert isinstance(found, float)


def test_a_whole_number_does_for_a_fraction_in_python_too():
    assert isinstance(Pix2PixConfig(lambda_l1=100).lambda_l1, float)
    assert Pix2PixConfig().replace(dropout=0).dropout == 0.0


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "config.json").write_bytes(b'{"dataset": "\xff"}')
    with pytest.raises(UserError, match="not valid JSON"):
        load_config(tmp_path)


def test_fields_that_the_file_lacks_have_their_defaults(tmp_path):
    save(tmp_path, json.dumps({"ngf": 5}))
    earlier = {
        "updates": "joint",
        "input_planes": "first",
        "target_planes": "first",
        "input_alpha": True,
        "target_alpha": True,
        "input_ignore": "none",
        "target_ignore": "none",
        "sample_labels": "cmp",
    }
    assert load_config(tmp_path) == Pix2PixConfig(ngf=5, **earlier)


def test_a_run_of_before_goes_on_with_the_order_of_updates_that_it_had(tmp_path):
    old = dataclasses.asdict(Pix2PixConfig())
    del old["updates"]
    save(tmp_path, json.dumps(old, default=lambda size: size.value))
    found = load_config(tmp_path)
    assert found.updates == "joint"
    assert differences(found, {}) == []


def test_the_papers_recipe_has_none_of_what_came_after_it():
    config = Pix2PixConfig()
    assert (config.updates, config.gan_loss, config.augment) == ("alternating", "vanilla", "none")
    assert (config.ema, config.lambda_feature_matching, config.lambda_r1) == (0, 0, 0)
    assert (config.bottleneck, config.upsampling, config.padding) == (1, "transposed", "zeros")
    assert (config.noise_channels, config.last_channels) == (0, 0)
    assert (config.discriminator_scales, config.lr_schedule) == (1, "constant")
    assert (config.spectral_norm, config.learning_rate_d) == (False, 0)


# What the preset `quick` was before it became another recipe.
BEFORE_RECIPE = {
    "norm": "instance",
    "bottleneck": 1,
    "upsampling": "transposed",
    "padding": "zeros",
    "noise_channels": 0,
    "last_channels": 0,
    "gan_loss": "vanilla",
    "lambda_feature_matching": 0.0,
    "lambda_l1": 100.0,
    "ema": 0.0,
}


# What the preset `best` was at first.
FIRST_RECIPE = {
    "norm": "group",
    "bottleneck": 8,
    "upsampling": "nearest",
    "padding": "replicate",
    "noise_channels": 4,
    "gan_loss": "hinge",
    "lambda_feature_matching": 10.0,
    "lambda_l1": 80.0,
    "ema": 0.995,
    "best_metric": "l1",
}


@pytest.mark.parametrize("given", [{}, {"preset": "quick"}])
def test_a_run_of_before_goes_on_with_what_its_preset_was(tmp_path, given):
    """The same command, in the version in which quick became another recipe."""
    old = dataclasses.asdict(resolve({**BEFORE_RECIPE, "preset": "quick"}))
    del old["updates"]
    save(tmp_path, json.dumps(old, default=lambda size: size.value))
    _, config = workdir_and_config(tmp_path, given)
    assert (config.norm, config.ema, config.updates) == ("instance", 0.0, "joint")
    lines = differences(load_config(tmp_path), dataclasses.asdict(resolve(given)), given)
    assert lines == []


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [("noise_channels", 4, 0), ("lambda_l1", 80.0, 50.0), ("upsampling", "nearest", "smooth")],
)
def test_a_run_of_quick_keeps_what_its_preset_had(tmp_path, name, before, now):
    save(tmp_path, resolve({"preset": "quick", name: before}).to_json())
    _, config = workdir_and_config(tmp_path, {})
    assert getattr(config, name) == before
    assert getattr(resolve({"preset": "quick"}), name) == now
    lines = differences(load_config(tmp_path), dataclasses.asdict(resolve({})), {})
    assert lines == []


def test_a_run_of_best_goes_on_with_the_first_recipe(tmp_path):
    fields = {**FIRST_RECIPE, "last_channels": 32, "preset": "best"}
    save(tmp_path, resolve(fields).to_json())
    given = {"preset": "best"}
    _, config = workdir_and_config(tmp_path, given)
    assert (config.norm, config.lambda_l1, config.last_channels) == ("group", 80.0, 32)
    assert config.best_metric == "l1"
    lines = differences(load_config(tmp_path), dataclasses.asdict(resolve(given)), given)
    assert lines == []


def test_a_run_of_facades_cpu_goes_on_with_the_papers_recipe(tmp_path):
    given = {"preset": "facades_cpu", "dataset": str(tmp_path / "pairs")}
    old = dataclasses.asdict(resolve({**given, **BEFORE_RECIPE}))
    save(tmp_path, json.dumps(old, default=lambda size: size.value))
    _, config = workdir_and_config(tmp_path, given)
    assert (config.bottleneck, config.gan_loss, config.lambda_l1) == (1, "vanilla", 100.0)


def test_what_is_asked_for_by_hand_must_agree_all_the_same(tmp_path):
    old = dataclasses.asdict(resolve({**BEFORE_RECIPE, "preset": "quick"}))
    save(tmp_path, json.dumps(old, default=lambda size: size.value))
    with pytest.raises(UserError, match="--norm: the run has instance, the command says group"):
        workdir_and_config(tmp_path, {"norm": "group"})


def test_replicated_borders_go_with_plain_convolutions_alone():
    with pytest.raises(UserError, match=r"^--padding=replicate does not go with --upsampling="):
        Pix2PixConfig(padding="replicate")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"crop_sise": 64}', "unknown field 'crop_sise'; did you mean 'crop_size'"),
        ('{"zzz": 64}', "unknown field 'zzz'$"),
        ('{"ngf": 0}', "--ngf=0 is too small"),
        ('{"ngf": 1000000}', "--ngf=1000000 is too large; the largest allowed is 512"),
        ('{"ngf": 1000000000000000000}', "too large; the largest allowed is 512"),
        ('{"ndf": 513}', "--ndf=513 is too large; the largest allowed is 512"),
        ('{"ngf": 1e6}', "--ngf=1000000.0: expected a whole number"),
        ('{"batch_size": 1000000000}', "the largest allowed is 65536"),
        ('{"steps": 1000000000000000000}', "--steps=1000000000000000000 is too large"),
        ('{"crop_size": 1099511627776}', "the largest allowed is 1024"),
        ('{"input_channels": 1000000}', "the largest allowed is 1024"),
        ('{"ngf": true}', "--ngf=True: expected a whole number"),
        ('{"lambda_l1": NaN}', "--lambda_l1=nan"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("[1, 2]", "no JSON object"),
        ("[" * 100_000, "not valid JSON"),
        ('{"lambda_l1": 1' + "0" * 400 + "}", "expected a number"),
    ],
)
def test_a_file_that_is_no_config_is_refused_in_a_sentence_that_names_it(tmp_path, text, said):
    save(tmp_path, text)
    with pytest.raises(UserError, match=said) as caught:
        load_config(tmp_path)
    assert str(tmp_path / "config.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_config_is_no_run(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        load_config(tmp_path)


# === What a continued run may change ===

MAY_CHANGE = {
    "epochs": 7,
    "steps": 7,
    "log_every": 7,
    "val_every": 7,
    "val_images": 7,
    "sample_every": 7,
    "checkpoint_every": 7,
    "keep_checkpoints": 7,
    "best_metric": "ssim",
    "patience": 7,
    "lr_schedule": "linear",
    "lr_decay_from": "7epochs",
    "learning_rate": 7.0,
    "learning_rate_d": 1e-4,
    "mixed_precision": "bfloat16",
    "jit_compile": True,
    "cache": "none",
    "data_dir": "/elsewhere",
}
MAY_NOT = {
    "data": "pairs",
    "disjoint_stems": True,
    "layout": "two_folders",
    "input_dir": "/a",
    "target_dir": "/b",
    "val_fraction": 0.2,
    "input_key": "x",
    "target_key": "y",
    "split_key": "s",
    "input_dtype": "uint16",
    "target_dtype": "uint16",
    "input_range": "0:4095",
    "input_planes": "2",
    "target_planes": "channels",
    "input_alpha": True,
    "target_alpha": True,
    "target_range": "0:4095",
    "input_ignore": "-9999",
    "target_ignore": "255,nan",
    "label_palette": "facades",
    "label_side": "input",
    "input_encoding": "onehot",
    "target_encoding": "onehot",
    "color_space": "lab",
    "dataset": "other",
    "direction": "BtoA",
    "crop_size": 128,
    "batch_size": 2,
    "seed": 1,
    "load_size": 300,
    "flip": False,
    "input_channels": 1,
    "target_channels": 1,
    "sample_labels": "detailed",
    "sample_pairs": 10,
    "allow_mixed_sizes": True,
    "generator": "encoder_decoder",
    "ngf": 7,
    "receptive_field": 16,
    "ndf": 7,
    "norm": "batch",
    "bias_layers": "pytorch",
    "dropout": 0.1,
    "dropout_layers": "pytorch",
    "bottleneck": 4,
    "upsampling": "nearest",
    "resampling": "blur",
    "padding": "replicate",
    "last_channels": 16,
    "noise_channels": 4,
    "latent": 8,
    "latent_reach": "all",
    "diversity": "dsgan",
    "lambda_diversity": 4.0,
    "diversity_bound": 0.5,
    "discriminator_scales": 2,
    "spectral_norm": True,
    "updates": "joint",
    "gan_loss": "hinge",
    "lambda_feature_matching": 10.0,
    "lambda_r1": 1.0,
    "augment": "diffaugment",
    "init_from": "/a/run",
    "ema": 0.995,
    "loss": "gan",
    "lambda_l1": 7.0,
    "lambda_ce": 7.0,
    "balance": 0.7,
    "lambda_chroma": 1.0,
    "perceptual": "/a/scorer",
    "lambda_perceptual": 3.0,
    "beta1": 0.7,
    "beta2": 0.7,
    "sample_images": 7,
}


def test_both_lists_together_have_every_field():
    fields = {field.name for field in dataclasses.fields(Pix2PixConfig)}
    assert fields == {*MAY_CHANGE, *MAY_NOT, "preset", "algorithm"}


def test_what_may_change_makes_no_difference():
    assert differences(Pix2PixConfig(), {**MAY_CHANGE, "preset": "quick"}) == []


@pytest.mark.parametrize("field", MAY_NOT)
def test_every_other_field_makes_one(field):
    old = getattr(Pix2PixConfig(), field)
    lines = differences(Pix2PixConfig(), {field: MAY_NOT[field]})
    assert lines == [f"--{field}: the run has {old}, the command says {MAY_NOT[field]}"]


@pytest.mark.parametrize(
    ("field", "resolved", "other"),
    [
        ("input_channels", 1, 3),
        ("target_dtype", "uint16", "uint8"),
        ("label_side", "input", "target"),
    ],
)
def test_what_the_data_resolved_is_no_difference_to_what_was_left_open(field, resolved, other):
    saved = Pix2PixConfig(**{field: resolved})
    assert differences(saved, dataclasses.asdict(Pix2PixConfig())) == []
    assert len(differences(saved, {field: other})) == 1


def test_the_same_value_makes_no_difference():
    assert differences(Pix2PixConfig(), dataclasses.asdict(Pix2PixConfig())) == []


# === Where the learning rate begins to fall ===


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("0", 50),  # half of the run, which is 2 epochs of 100 pairs, 2 at a time: 100 steps
        ("30", 30),
        (30, 30),  # from Python, and of files of earlier versions
        ("30steps", 30),
        ("1epochs", 50),
        ("1epoch", 50),
        ("2 epochs", 100),
    ],
)
def test_the_fall_of_the_rate_begins_at_a_step_or_after_epochs(text, step):
    config = Pix2PixConfig(epochs=2, batch_size=2, lr_schedule="linear", lr_decay_from=text)
    assert config.decay_start(100) == step
    assert Pix2PixConfig(**dataclasses.asdict(config)) == config


# === ResNets ===


@pytest.mark.parametrize(
    ("name", "value"),
    [("bottleneck", 8), ("padding", "replicate"), ("last_channels", 16)],
)
def test_a_resnet_refuses_what_only_a_unet_has(name, value):
    with pytest.raises(UserError, match=rf"--{name}={value} is of a U-Net.*--generator=unet"):
        Pix2PixConfig(generator="resnet9", upsampling="nearest", **{name: value})


def test_a_presets_settings_of_a_unet_do_not_stand_in_a_resnets_way():
    quick = resolve({"dataset": "d"})
    assert (quick.bottleneck, quick.padding, quick.last_channels) == (8, "replicate", 16)
    config = resolve({"dataset": "d", "generator": "resnet6", "crop_size": 132})
    assert (config.bottleneck, config.padding, config.last_channels) == (1, "zeros", 0)
    assert (config.upsampling, config.norm) == (quick.upsampling, quick.norm)
    assert (config.size_multiple, config.blocks) == (4, 6)
    with pytest.raises(UserError, match="--bottleneck=4 is of a U-Net"):
        resolve({"dataset": "d", "generator": "resnet6", "bottleneck": 4})
    with pytest.raises(UserError, match="--generator=resnet9 the generator takes multiples of 4"):
        resolve({"dataset": "d", "generator": "resnet9", "crop_size": 130})


def test_noise_of_a_resnet_is_its_dropout():
    resnet = Pix2PixConfig(generator="resnet6")
    still = resnet.replace(dropout=0.0)
    assert [resnet.takes_noise, resnet.noisy] == [True, True]
    assert [still.takes_noise, still.noisy] == [False, False]
    assert still.replace(noise_channels=1).takes_noise
    assert Pix2PixConfig(dropout=0.0).takes_noise  # a U-Net keeps its input z
