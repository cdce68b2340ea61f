"""`translate` of a run with a latent, from the command line: sheets, walks, and refusals."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfpix2pix
from tests.tfpix2pix.inference.test_translator import make_run
from tfpix2pix.algorithms.registry import algorithm_class
from tfpix2pix.config import config_of
from tfpix2pix.data import decode, write_image
from tfpix2pix.inference.files import Manner, style_of
from tfpix2pix.training.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def coded(tmp_path_factory) -> Path:
    """A run with a latent of three numbers."""
    workdir = tmp_path_factory.mktemp("coded") / "run"
    make_run(workdir, latent=3)
    return workdir


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A run without a latent."""
    workdir = tmp_path_factory.mktemp("plain") / "run"
    make_run(workdir)
    return workdir


@pytest.fixture
def image(tmp_path, draw) -> Path:
    return draw(tmp_path / "in" / "a.png", 32, 40)


def test_a_folder_of_images_gives_a_sheet_of_each(run_cli, coded, image, draw, tmp_path):
    draw(image.with_name("b.png"), 40, 32)
    image.with_name("broken.png").write_text("no picture")
    done = run_cli(
        "translate", f"--workdir={coded}", "--input=in", "--output=out", "--samples=3", "--seed=4"
    )
    assert done.returncode == 1
    assert "latents of seeds 4 to 6, noise of seed 4" in done.stdout
    assert "translated 2 of 3 images: out" in done.stdout
    assert done.stderr.startswith("tfpix2pix translate: skipped: in/broken.png")
    ends = ("_01.png", "_02.png", "_03.png", "_sheet.png")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [name + end for name in "ab" for end in ends]
    model = tfpix2pix.load(coded)
    expected = model.translate(decode(image), seed=4, latent=model.latent([6])[0])
    np.testing.assert_array_equal(decode(tmp_path / "out" / "a_03.png").array, expected)


def test_a_walk_to_a_named_animation_from_a_latent_of_ones_own(run_cli, coded, image, tmp_path):
    done = run_cli(
        "translate", f"--workdir={coded}", f"--input={image}", "--output=way/a.gif", "--walk=3",
        "--latent=-1,0.5,2", "--deterministic", "--fit",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "latents from the one given to that of seed 1, without noise" in done.stdout
    assert done.stdout.endswith("translated 1 of 1 images: way/a.gif\n")
    with Image.open(tmp_path / "way" / "a.gif") as animation:
        assert animation.n_frames == 4
    model = tfpix2pix.load(coded)
    how = {"deterministic": True, "fit": True}
    first = model.translate(decode(image), latent=[-1, 0.5, 2], **how)
    np.testing.assert_array_equal(decode(tmp_path / "way" / "a_01.png").array, first)
    last = model.translate(decode(image), seed=1, **how)
    np.testing.assert_array_equal(decode(tmp_path / "way" / "a_03.png").array, last)


def test_a_run_without_a_latent_gives_a_sheet_by_its_dropout_and_says_so(
    run_cli, plain, image, tmp_path
):
    done = run_cli(
        "translate", f"--workdir={plain}", f"--input={image}", "--output=all.png", "--samples=2"
    )
    assert done.returncode == 0, done.stderr
    assert "noise of seeds 0 to 1\nnote: without a latent the answers differ by dropout alone" in (
        done.stdout
    )
    assert (tmp_path / "all.png").exists()
    one, two = (decode(tmp_path / f"all_0{number}.png").array for number in (1, 2))
    model = tfpix2pix.load(plain)
    np.testing.assert_array_equal(one, model.translate(decode(image)))
    np.testing.assert_array_equal(two, model.translate(decode(image), seed=1))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--walk=4"],
            ["--walk=4", "has no latent", "train a run with --latent=8 --diversity=dsgan"],
        ),
        (
            ["--latent=1,2"],
            ["--latent=1,2", "has no latent", "train a run with --latent=8 --diversity=dsgan"],
        ),
        (["--style=in/a.png"], ["--style=in/a.png", "has no latent"]),
        (["--style=no.png"], ["--style=no.png: no such file"]),
        (["--samples=0"], ["--samples=0: expected 1 to 999"]),
        (["--walk=1"], ["--walk=1: expected 2 to 999"]),
        (["--samples=1000"], ["--samples=1000: expected 1 to 999"]),
        (["--samples=3", "--walk=3"], ["--samples and --walk", "give the one"]),
        (["--samples=3", "--latent=1"], ["--samples and --latent", "give the one"]),
        (["--style=a.png", "--latent=1"], ["--latent and --style", "give the one"]),
        (["--latent=1,,2"], ["--latent=1,,2: expected numbers between commas"]),
        (["--latent=nan"], ["--latent=nan: expected numbers between commas"]),
        ([f"--seed={2**63 - 2}", "--samples=3"], ["--seed=", "no seeds behind it"]),
        ([f"--seed={2**63 - 1}", "--walk=3"], ["--seed=", "no seeds behind it"]),
    ],
)
def test_what_cannot_be_asked_of_a_run_without_a_latent(refused, plain, image, flags, words):
    said = refused("translate", f"--workdir={plain}", f"--input={image}", "--output=out", *flags)
    assert all(word in said for word in words), said


def test_a_latent_of_other_numbers_than_the_runs(refused, coded, image):
    said = refused(
        "translate", f"--workdir={coded}", f"--input={image}", "--output=out", "--latent=0.5,1"
    )
    assert "--latent=0.5,1: 2 numbers, and the latent of" in said
    assert "has 3" in said


def test_a_style_needs_an_encoder(refused, coded, image):
    said = refused(
        "translate", f"--workdir={coded}", f"--input={image}", "--output=out", f"--style={image}"
    )
    assert "has no encoder" in said
    assert said.endswith("train a run with --algorithm=bicyclegan\n")


# === Styles ===


@pytest.fixture(scope="module")
def bicycle(tmp_path_factory) -> Path:
    """A run with an encoder."""
    workdir = tmp_path_factory.mktemp("bicycle") / "run"
    workdir.mkdir()
    values = {"crop_size": 32, "load_size": 32, "ngf": 4, "ndf": 4, "nef": 4, "latent": 2}
    values |= {"receptive_field": 16, "discriminator_scales": 1}
    config = config_of({**values, "algorithm": "bicyclegan"})
    config.save(workdir)
    algorithm = algorithm_class("bicyclegan")(config)
    Checkpoints(workdir).save(algorithm.state(), 1, {})
    return workdir


def test_a_style_is_taken_from_an_image(run_cli, bicycle, image, draw, tmp_path):
    draw(tmp_path / "pair.png", 50, 80, seed=3)
    done = run_cli(
        "translate", f"--workdir={bicycle}", "--input=in", "--output=out", "--style=pair.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the latent given" in done.stdout.splitlines()[0]
    model = tfpix2pix.load(bicycle)
    code = model.style(decode(tmp_path / "pair.png"))
    expected = model.translate(decode(image), latent=code)
    found = decode(tmp_path / "out" / "a.png").array
    np.testing.assert_array_equal(found, expected)
    # What it tells is the very latent.
    told = re.search(r"note: pair.png is --latent=(\S+)", done.stdout)[1]
    again = model.translate(decode(image), latent=[float(number) for number in told.split(",")])
    np.testing.assert_array_equal(found, again)
    assert (model.translate(decode(image), latent=code + 1) != found).any()


def test_a_style_of_a_pair_is_of_its_target(bicycle, draw, tmp_path):
    model = tfpix2pix.load(bicycle)
    pair = decode(draw(tmp_path / "pair.png", 32, 64, seed=3))
    code, notes = style_of(model, str(tmp_path / "pair.png"), Manner(side_by_side=True))
    target = pair.array[:, 32:] if model.direction == "AtoB" else pair.array[:, :32]
    np.testing.assert_allclose(code, model.style(target), rtol=1e-5)
    assert notes == []


def test_a_style_image_of_another_kind(refused, bicycle, image):
    write_image(image.with_name("five.npy"), np.zeros((32, 32, 5), np.uint8))
    image.with_name("text.png").write_text("no picture")
    for name, words in (
        ("five.npy", "an image of 5 channels does not turn into one of 3"),
        ("text.png", "text.png"),
    ):
        style = image.with_name(name)
        said = refused(
            "translate", f"--workdir={bicycle}", f"--input={image}", "--output=out",
            f"--style={style}", early=False,
        )  # fmt: skip
        assert words in said
