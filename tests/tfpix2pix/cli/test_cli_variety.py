"""`translate` of a run with a latent, from the command line: sheets, walks, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfpix2pix
from tests.tfpix2pix.inference.test_translator import make_run
from tfpix2pix.data import decode


@pytest.fixture(scope="module")
def coded(tmp_path_factory) -> Path:
    """A run with a latent of three numbers."""
    workdir = tmp_path_factory.mktemp("coded") / "run"
    make_run(workdir, latent=3)
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
    assert "latents from the latent given to that of seed 1, without noise" in done.stdout
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
    run_cli, trained, image, tmp_path
):
    done = run_cli(
        "translate", f"--workdir={trained}", f"--input={image}", "--output=all.png", "--samples=2"
    )
    assert done.returncode == 0, done.stderr
    assert "noise of seeds 0 to 1\nnote: without a latent the answers differ by dropout alone" in (
        done.stdout
    )
    assert (tmp_path / "all.png").exists()
    one, two = (decode(tmp_path / f"all_0{number}.png").array for number in (1, 2))
    model = tfpix2pix.load(trained)
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
        (["--style=a.png"], ["--style=a.png", "has no latent"]),
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
def test_what_cannot_be_asked_of_a_run_without_a_latent(refused, trained, image, flags, words):
    said = refused("translate", f"--workdir={trained}", f"--input={image}", "--output=out", *flags)
    assert all(word in said for word in words), said


def test_a_latent_of_other_numbers_than_the_runs(refused, coded, image):
    said = refused(
        "translate", f"--workdir={coded}", f"--input={image}", "--output=out", "--latent=0.5,1"
    )
    assert "--latent=0.5,1: 2 numbers, and the latent of" in said
    assert "has 3" in said


def test_a_style_needs_an_encoder(refused, coded, image):
    said = refused(
        "translate", f"--workdir={coded}", f"--input={image}", "--output=out",
        f"--style={image}", early=False,
    )  # fmt: skip
    assert "no encoder" in said


def test_an_export_has_no_style(refused, image):
    said = refused("translate", "--model=exported", f"--input={image}", "--output=o", "--style=a")
    assert "needs the encoder of a run (--workdir)" in said
