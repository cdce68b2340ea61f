"""What came after the paper, all at once: continued to the bit, and which weights are used."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from tests.tfpix2pix.inference.test_translator import make_run

TINY = (
    *("--crop_size=32", "--ngf=8", "--ndf=8", "--receptive_field=16", "--sample_pairs=8"),
    *("--log_every=2", "--val_every=0", "--sample_every=0", "--sample_images=1"),
    *("--checkpoint_every=2", "--steps=3"),
)
# Each ingredient in one of the two.
RECIPES = {
    "one": (
        *("--norm=group", "--bottleneck=4", "--upsampling=nearest", "--padding=replicate"),
        *("--noise_channels=2", "--gan_loss=hinge", "--lambda_feature_matching=10"),
        *("--lambda_r1=1", "--augment=diffaugment", "--learning_rate_d=4e-4"),
        *("--spectral_norm", "--ema=0.9"),
    ),
    "other": (
        *("--updates=joint", "--gan_loss=lsgan", "--bottleneck=8", "--upsampling=bilinear"),
        *("--norm=batch", "--discriminator_scales=2", "--ema=0.99"),
    ),
}


def trained_in_parts(recipe, run_command, folder):
    """A folder of a run without and one with an interruption, after step 2 of 3."""
    flags = (*TINY, *RECIPES[recipe])
    for name in ("whole", "parts"):
        done = run_command("train", f"--workdir={name}", *flags, cwd=folder, eagerly=True)
        assert (done.returncode, done.stderr) == (0, "")
        if name == "whole":  # what the other one had when it was interrupted
            shutil.copytree(folder / "whole", folder / "parts")
            shutil.rmtree(folder / "parts" / "checkpoints" / "step_00000003")
        else:
            assert "continuing from step 2 of 3" in done.stdout
    return folder


@pytest.fixture(scope="module")
def runs(run_command, tmp_path_factory):
    """Those of the recipe that has the most."""
    return trained_in_parts("one", run_command, tmp_path_factory.mktemp("one"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_continued_run_has_the_bits_of_one_that_was_not_interrupted(
    recipe, runs, run_command, tmp_path
):
    import tensorflow as tf

    folder = runs if recipe == "one" else trained_in_parts(recipe, run_command, tmp_path)
    one, other = (
        tf.train.load_checkpoint(str(folder / name / "checkpoints" / "step_00000003" / "state"))
        for name in ("whole", "parts")
    )
    types = one.get_variable_to_dtype_map()
    assert set(types) == set(other.get_variable_to_dtype_map())
    for part in ("generator_average", *(["discriminator_2"] if recipe == "other" else [])):
        assert any(name.startswith(f"{part}/") for name in types)
    for name, kind in types.items():
        if kind != tf.string:
            np.testing.assert_array_equal(
                one.get_tensor(name), other.get_tensor(name), err_msg=name
            )


def test_the_average_stays_what_it_is(runs, run_cli):
    done = run_cli("train", f"--workdir={runs / 'whole'}", "--steps=20", "--ema=0.5")
    assert done.returncode == 2
    assert "--ema: the run has" in done.stderr


def test_translate_takes_the_average_unless_it_is_told(runs, run_cli, tmp_path):
    import tfpix2pix

    run = runs / "whole"
    source = next((run / "samples" / "inputs").glob("*.png"))
    for name, flags in (("average", ()), ("raw", ("--weights=raw",))):
        done = run_cli(
            "translate", f"--workdir={run}", f"--input={source}", f"--output={name}.npy", *flags
        )
        assert (done.returncode, done.stderr) == (0, "")
        pixels = np.load(tmp_path / f"{name}.npy")
        model = tfpix2pix.load(run, weights=name)
        np.testing.assert_array_equal(pixels, model.translate(_image(source)))
    assert (np.load(tmp_path / "average.npy") != np.load(tmp_path / "raw.npy")).any()


def test_evaluate_says_which_weights_it_measured(runs, run_cli, tmp_path):
    values = {}
    for name, flags in (("average", ()), ("raw", ("--weights=raw",))):
        done = run_cli(
            "evaluate",
            f"--workdir={runs / 'whole'}",
            "--metrics=l1",
            "--limit=1",
            f"--output={name}",
            *flags,
        )
        assert (done.returncode, done.stderr) == (0, "")
        text = (tmp_path / name / "metrics.json").read_text()
        assert f'"weights": "{name}"' in text
        values[name] = json.loads(text)
    assert values["average"] != values["raw"]


def _image(path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture)


# === Refusals ===


@pytest.mark.parametrize("command", ["translate", "evaluate", "export", "export-torch"])
def test_unknown_weights(command, refused, trained):
    flags = {
        "translate": ("--input=in.png", "--output=out.png"),
        "evaluate": ("--output=out",),
        "export": ("--output=out",),
        "export-torch": ("--output=out.safetensors",),
    }[command]
    said = refused(command, f"--workdir={trained}", "--weights=ema", *flags)
    assert "--weights=ema: expected average or raw" in said


@pytest.mark.parametrize("command", ["translate", "evaluate"])
def test_weights_are_of_runs(command, refused):
    flags = ("--input=in.png", "--output=out.png") if command == "translate" else ()
    said = refused(command, "--model=exported", "--weights=raw", *flags)
    assert "--weights=raw is for --workdir" in said


def test_a_run_without_averages_takes_either(run_cli, draw, tmp_path):
    make_run(tmp_path / "run", ema=0.0)
    source = draw(tmp_path / "in.png", 32, 40)
    for name in ("average", "raw"):
        done = run_cli(
            "translate",
            "--workdir=run",
            f"--input={source}",
            f"--output={name}.png",
            f"--weights={name}",
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "average.png").read_bytes() == (tmp_path / "raw.png").read_bytes()
