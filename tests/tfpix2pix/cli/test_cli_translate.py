"""`translate`: one image, a folder, a pattern, and the same from Python."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfpix2pix
from tfpix2pix.data import write_image

# Names of the folder of differing pictures: (height, width, channels).
PICTURES = {
    "odd.png": (33, 47, 3),
    "smaller.png": (9, 17, 3),
    "grey.png": (40, 30, 1),
    "clear.png": (20, 24, 4),
    "same.jpg": (16, 16, 3),
    "same.png": (24, 24, 3),
}


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def model(trained):
    """The run from Python."""
    return tfpix2pix.load(trained)


# === A folder ===


@pytest.fixture(scope="module")
def folder(start_cli, trained, tmp_path_factory, draw):
    """A folder of differing pictures, one of them broken, translated: the command's process."""
    root = tmp_path_factory.mktemp("folder")
    for seed, (name, (height, width, channels)) in enumerate(PICTURES.items()):
        draw(root / "in" / name, height, width, channels, seed)
    (root / "in" / "broken.png").write_text("no picture")
    (root / "in" / "readme.txt").write_text("no picture's name")
    process = start_cli(
        "translate", f"--workdir={trained}", "--input=in", "--output=made/out", cwd=root
    )
    out, err = process.communicate(timeout=300)
    return root, process.returncode, out, err


def test_each_picture_becomes_a_png_of_its_size(folder):
    root, *_ = folder
    sizes = {path.name: read(path).shape for path in (root / "made" / "out").iterdir()}
    expected = {f"{Path(name).stem}.png": (*size[:2], 3) for name, size in PICTURES.items()}
    del expected["same.png"]
    # Two that would get the same name keep their old extension in it.
    expected |= {"same.jpg.png": (16, 16, 3), "same.png.png": (24, 24, 3)}
    assert sizes == expected


def test_a_broken_file_is_reported_and_skipped_and_the_exit_code_tells(folder):
    _, code, out, err = folder
    assert code == 1
    skipped, total = err.splitlines()
    assert "skipped: in/broken.png" in skipped
    assert "1 of 7 images failed" in total
    assert "translated 6 of 7 images: made/out" in out


def test_conversions_are_said(folder):
    _, _, out, _ = folder
    assert re.search(r"note: grey image repeated into 3 channels \(1 of 7", out)
    assert re.search(r"note: transparency placed on white \(1 of 7", out)


def test_it_says_which_checkpoint_and_which_noise(folder, trained):
    _, _, out, _ = folder
    assert out.splitlines()[0] == f"{trained} at step 6, noise of seed 0"


def test_the_inputs_are_left_alone(folder):
    root, *_ = folder
    assert sorted(path.name for path in (root / "in").iterdir()) == sorted(
        [*PICTURES, "broken.png", "readme.txt"]
    )


@pytest.mark.parametrize("name", ["odd.png", "smaller.png", "grey.png"])
def test_python_makes_the_same_picture_as_the_command(folder, model, name):
    root, *_ = folder
    made = model.translate(read(root / "in" / name))
    np.testing.assert_array_equal(made, read(root / "made" / "out" / name))


def test_a_transparent_picture_is_translated_as_it_looks_on_white(folder, model):
    root, *_ = folder
    picture = Image.open(root / "in" / "clear.png")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    on_white = np.asarray(Image.alpha_composite(white, picture).convert("RGB"))
    made = read(root / "made" / "out" / "clear.png")
    np.testing.assert_array_equal(made, model.translate(on_white))


# === One image, a pattern ===


def test_one_image_to_a_jpeg_with_a_seed_from_the_best_checkpoint(run_cli, trained, tmp_path, draw):
    photo = draw(tmp_path / "photo.jpeg", 30, 50)
    done = run_cli(
        "translate",
        f"--workdir={trained}",
        f"--input={photo}",
        "--output=new/made.jpg",
        "--seed=7",
        "--checkpoint=best",
    )
    assert (done.returncode, done.stderr) == (0, "")
    made = tmp_path / "new" / "made.jpg"
    assert done.stdout.splitlines()[-1] == "translated 1 of 1 images: new/made.jpg"
    with Image.open(made) as picture:
        assert (picture.format, picture.size) == ("JPEG", (50, 30))
    expected = tfpix2pix.load(trained, "best").translate(read(photo), seed=7)
    write_image(tmp_path / "expected.jpg", expected)
    assert made.read_bytes() == (tmp_path / "expected.jpg").read_bytes()


def test_a_pattern_keeps_the_subfolders(run_cli, trained, tmp_path, draw):
    for name in ("a/one.png", "a/b/two.png", "c/one.png"):
        draw(tmp_path / "in" / name, 20, 20)
    done = run_cli(
        "translate",
        f"--workdir={trained}",
        "--input=in/**/*.png",
        "--output=out",
        "--deterministic",
        "--checkpoint=4",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{trained} at step 4, without noise" in done.stdout
    made = sorted(
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")
    )
    assert made == ["a/b/two.png", "a/one.png", "c/one.png"]
    model = tfpix2pix.load(trained, 4)
    expected = model.translate(read(tmp_path / "in" / "a" / "one.png"), deterministic=True)
    np.testing.assert_array_equal(read(tmp_path / "out" / "a" / "one.png"), expected)


def test_a_checkpoint_that_is_not_there(refused, trained, tmp_path, draw):
    photo = draw(tmp_path / "photo.png", 20, 20)
    said = refused(
        "translate",
        f"--workdir={trained}",
        f"--input={photo}",
        "--output=out.png",
        "--checkpoint=5",
        early=False,
    )
    assert "latest, best or one of the steps" in said
    assert "6" in said
    assert not (tmp_path / "out.png").exists()


# === Pairs ===


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_side_by_side_takes_the_half_that_is_the_input(
    run_cli, run_copy, model, pairs, tmp_path, direction
):
    config = run_copy / "config.json"
    config.write_text(config.read_text().replace('"AtoB"', f'"{direction}"'))
    done = run_cli(
        "translate",
        f"--workdir={run_copy}",
        f"--input={pairs / 'val'}",
        "--output=out",
        "--side_by_side",
    )
    assert (done.returncode, done.stderr) == (0, "")
    for path in (pairs / "val").iterdir():
        pair = read(path)
        half = pair[:, :32] if direction == "AtoB" else pair[:, 32:]
        np.testing.assert_array_equal(read(tmp_path / "out" / path.name), model.translate(half))


# === From Python ===


def test_the_seed_decides_the_picture(model):
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    one, again, other = (model.translate(picture, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_without_noise_the_seed_decides_nothing(model):
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    one, other = (model.translate(picture, seed=seed, deterministic=True) for seed in (1, 2))
    np.testing.assert_array_equal(one, other)
    assert (one != model.translate(picture, seed=1)).any()


@pytest.mark.parametrize(("height", "width"), itertools.product((1, 31, 32, 70), repeat=2))
def test_any_size_is_kept(model, height, width):
    made = model.translate(np.zeros((height, width, 3), np.uint8))
    assert (made.dtype, made.shape) == (np.uint8, (height, width, 3))


def test_a_grey_picture_needs_no_channel_axis(model):
    grey = np.arange(32 * 32, dtype=np.uint32).reshape(32, 32).astype(np.uint8)
    np.testing.assert_array_equal(model.translate(grey), model.translate(grey[..., None]))
    np.testing.assert_array_equal(
        model.translate(grey), model.translate(np.repeat(grey[..., None], 3, axis=-1))
    )


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((8,), np.uint8),
        np.zeros((8, 8, 5), np.uint8),
    ],
    ids=lambda image: f"{image.dtype}{list(image.shape)}",
)
def test_an_array_that_is_no_picture_is_refused(model, image):
    with pytest.raises(ValueError, match=r"expected|channels|float32 values"):
        model.translate(image)


def test_the_best_checkpoint_survives_a_damaged_newest_one(trained, tmp_path):
    """Which one is the best stands in every checkpoint's facts, the older ones' too."""
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "checkpoints" / "step_00000006" / "meta.json").write_text("{")
    said: list[str] = []
    assert tfpix2pix.load(run, "best", said.append).step == 4
    assert "step_00000006" in said[0]
