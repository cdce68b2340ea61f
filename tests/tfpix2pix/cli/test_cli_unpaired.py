"""Images of two sides without pairs, through the real commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CYCLEGAN = (
    *("--algorithm=cyclegan", "--generator=unet", "--bottleneck=8"),
    *("--receptive_field=16", "--crop_size=32", "--load_size=36", "--ngf=4", "--ndf=4"),
)
FEW = ("--val_every=0", "--sample_every=0", "--sample_images=1")


@pytest.fixture(scope="session")
def two_sides(draw):
    """A function that writes three images of A and two of B, of another size, and one of each to
    val, into a folder."""

    def write(folder: Path) -> Path:
        for split, a, b in (("train", 3, 2), ("val", 1, 1)):
            for k in range(a):
                draw(folder / f"{split}A" / f"{split}a{k}.png", 40, 40, seed=k)
            for k in range(b):
                draw(folder / f"{split}B" / f"{split}b{k}.png", 48, 40, seed=10 + k)
        return folder

    return write


@pytest.fixture
def train_refused(refused, tmp_path, hashes):
    """`train` into a new workdir, refused at once with one sentence, and nothing written."""

    def run(*args: object, lines: int | None = 1) -> str:
        before = hashes(tmp_path)
        said = refused("train", f"--workdir={tmp_path / 'new'}", *args, lines=lines)
        assert hashes(tmp_path) == before
        assert not (tmp_path / "new").exists()
        return said

    return run


def test_two_sides_are_trained_on(run_cli, two_sides, tmp_path):
    folder = two_sides(tmp_path / "set")
    done = run_cli(
        "train",
        f"--workdir={tmp_path / 'run'}",
        f"--dataset={folder}",
        *CYCLEGAN,
        *FEW,
        "--steps=2",
        eagerly=True,
    )
    assert done.returncode == 0, done.stderr
    described = "3 and 2 train, 1 and 1 val images of 40x40 and 40x48 (unpaired, two folders, AtoB"
    assert f"data: {described}" in done.stdout
    assert "images: 3 images in memory (0 MiB) and 2 images in memory (0 MiB)" in done.stdout
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["dataset_summary"].startswith(described)
    assert facts["epochs"] == pytest.approx(2 / 3)


def test_pairs_are_no_two_sides_unless_that_is_said(train_refused, pairs):
    said = train_refused(f"--dataset={pairs}", *CYCLEGAN)
    assert f"--dataset={pairs}: pairs, and the algorithm learns from images of two sides" in said
    assert "--data=unpaired trains it on these" in said
    assert "--algorithm=pix2pix learns from them" in said


def test_two_sides_are_no_pairs(train_refused, two_sides, tmp_path, tiny):
    folder = two_sides(tmp_path / "set")
    said = train_refused(f"--dataset={folder}", *tiny)
    assert "unpaired, 0 of the 3 images in trainA/ have a partner" in said
    assert "--algorithm=cyclegan learns from such folders" in said
    said = train_refused(f"--dataset={folder}", "--data=unpaired", *tiny)
    assert "--data=unpaired: pix2pix learns from pairs; leave it out, or give an algorithm" in said


def test_an_empty_side_is_named(train_refused, two_sides, tmp_path):
    folder = two_sides(tmp_path / "set")
    for path in (folder / "trainB").iterdir():
        path.unlink()
    said = train_refused(f"--dataset={folder}", *CYCLEGAN)
    assert f"--dataset={folder}: trainB/ holds no images; put images there." in said


def test_damaged_images_of_both_sides_are_listed(train_refused, two_sides, tmp_path):
    folder = two_sides(tmp_path / "set")
    for name in ("trainA/traina1.png", "valB/valb0.png"):
        (folder / name).write_bytes(b"none")
    said = train_refused(f"--dataset={folder}", *CYCLEGAN, lines=None)
    assert "2 of 7 images cannot be used; mend or remove them." in said
    assert "trainA/traina1.png" in said
    assert "valB/valb0.png" in said
