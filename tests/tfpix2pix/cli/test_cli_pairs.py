"""`pairs`: from photos to a data set that trains, and what it refuses."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.data.layouts.splits import split_of


@pytest.fixture
def photos(tmp_path, draw) -> Path:
    """Six photos in a flat folder; by their names' hashes some are val at 0.4."""
    for index in range(6):
        draw(tmp_path / "photos" / f"{index}.png", 40, 56, seed=index)
    return tmp_path / "photos"


@pytest.fixture
def two_folders(tmp_path, draw) -> Path:
    """A/ and B/ with three partners each."""
    for side, seed in (("A", 0), ("B", 10)):
        for index in range(3):
            draw(tmp_path / "both" / side / f"{index}.png", 24, 24, seed=seed + index)
    return tmp_path / "both"


@pytest.fixture
def pairs_refused(refused, tmp_path):
    """`pairs` into a new folder; asserts that none was made."""

    def run(*args: object, output: str = "new") -> str:
        said = refused("pairs", *map(str, args), f"--output={tmp_path / output}")
        assert not (tmp_path / output).exists()
        return said

    return run


# === From photos to a training ===


def test_a_set_is_made_without_tensorflow_and_trains(
    run_cli, without_tensorflow, photos, tmp_path, tiny
):
    done = run_cli(
        *("pairs", "--task=edges", "--input=photos", "--output=my pairs", "--size=32"),
        *("--val_fraction=0.4", "--sigma=1", "--min_edge=4"),
        env=without_tensorflow,
        fresh=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    val = sum(split_of(str(index), 0.4) == "val" for index in range(6))
    counts, look, then = done.stdout.splitlines()
    expected = f"my pairs: {6 - val} train, {val} val pairs of 32x32 (6 made now, 0 there before)"
    assert counts == expected
    assert look == "look at my pairs/preview.png"
    assert then == "then: tfpix2pix train '--dataset=my pairs'"
    assert (tmp_path / "my pairs" / "preview.png").exists()

    trained = run_cli(
        *("train", "--dataset=my pairs", "--workdir=run", *tiny, "--steps=2", "--load_size=32"),
        *("--sample_images=1", "--checkpoint_every=0", "--val_every=0", "--sample_every=0"),
        eagerly=True,
    )
    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize(
    ("flags", "then"),
    [
        (("--task=lab",), "tfpix2pix train --dataset=out --color_space=lab"),
        (("--task=blank", "--hole=random", "--hole_size=0.3"), "tfpix2pix train --dataset=out"),
        (("--task=lowres", "--factor=2"), "tfpix2pix train --dataset=out"),
    ],
)
def test_each_task_says_what_to_run_next(run_cli, without_tensorflow, photos, flags, then):
    args = ("pairs", *flags, "--input=photos", "--output=out", "--val_fraction=0")
    done = run_cli(*args, env=without_tensorflow)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("out: 6 train pairs of 56x40 (6 made now")
    assert done.stdout.splitlines()[-1] == f"then: {then}"
    again = run_cli(*args, env=without_tensorflow)
    assert "(0 made now, 6 there before)" in again.stdout


@pytest.mark.parametrize("named", ["one", "two"])
def test_two_folders_are_combined(run_cli, two_folders, tmp_path, named):
    where = ("--input=both",) if named == "one" else ("--input_a=both/A", "--input_b=both/B")
    done = run_cli("pairs", "--task=combine", *where, "--output=both/AB", "--val_fraction=0")
    assert done.returncode == 0, done.stderr
    assert "both/AB: 3 train pairs of 24x24" in done.stdout
    with Image.open(two_folders / "AB" / "train" / "2.png") as image:
        made = np.asarray(image)
    for half, side in zip(np.split(made, 2, axis=1), "AB", strict=True):
        with Image.open(two_folders / side / "2.png") as image:
            assert (half == np.asarray(image)).all()


def test_a_broken_file_is_reported_and_skipped_and_the_exit_code_tells(run_cli, photos, tmp_path):
    (photos / "bad.jpg").write_text("no picture")
    done = run_cli("pairs", "--task=grayscale", "--input=photos", "--output=out")
    assert done.returncode == 1
    skipped, total = done.stderr.splitlines()
    assert skipped.startswith("tfpix2pix pairs: skipped: photos/bad.jpg")
    assert "1 of 7 images failed" in total
    assert "(6 made now" in done.stdout
    assert len(list((tmp_path / "out").glob("*/*"))) == 6


# Killed as one of its threads is about to write: a few files are there, others on their way.
KILLED = """
import itertools, os, signal
import tfpix2pix.data.tasks.maker as maker
whole, calls = maker.write_image, itertools.count(1)
def write_image(path, *args, **named):
    if next(calls) > 6 and len(list(path.parent.glob("[0-9]*.png"))) >= 3:
        os.kill(os.getpid(), signal.SIGKILL)
    whole(path, *args, **named)
maker.write_image = write_image
"""


def test_killed_half_way_it_leaves_whole_files_and_continues(run_cli, draw, tmp_path):
    for index in range(24):
        draw(tmp_path / "in" / "train" / f"{index:02d}.png", 160, 160, seed=index)
    args = ("pairs", "--task=edges", "--input=in", "--output=out")
    assert run_cli(*args, prelude=KILLED).returncode == -signal.SIGKILL
    made = tmp_path / "out" / "train"
    first = {path: path.read_bytes() for path in made.glob("[0-9]*.png")}
    assert 3 <= len(first) < 24
    for path in first:
        with Image.open(path) as image:
            assert np.asarray(image).shape == (160, 320, 3)

    done = run_cli(*args)
    assert done.returncode == 0, done.stderr
    assert f"({24 - len(first)} made now, {len(first)} there before)" in done.stdout
    assert all(path.read_bytes() == content for path, content in first.items())
    assert len(list(made.glob("[0-9]*.png"))) == 24
    assert json.loads((tmp_path / "out" / "pairs.json").read_text())["counts"] == {"train": 24}


def test_the_manual_has_the_general_flags_first_then_each_task(run_cli, without_tensorflow):
    page = run_cli("pairs", "--help", env=without_tensorflow).stdout
    heads = ["--task=edges|", "--size=", "--sigma=", "--task=blank:", "--hole=", "--factor="]
    heads += ["--task=combine:", "--input_a="]
    places = [page.index(head) for head in heads]
    assert places == sorted(places)
    assert max(map(len, page.splitlines())) <= 100


# === Refusals ===


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "--task is missing; choose one of edges,"),
        (("--task=egdes",), "--task=egdes is not one of edges, grayscale, lab, blank, lowres, "),
        (("--task=egdes",), "did you mean 'edges'?"),
        (("--task=edges",), "--input is missing"),
        (("--task=edges", "--hole=center"), "--hole is a flag of --task=blank, not of --task=edge"),
        (("--task=lab", "--input_a=x"), "--input_a is a flag of --task=combine"),
        (("--task=edges", "--input=nowhere"), "--input=nowhere: no such folder"),
        (("--task=edges", "--input=photos/0.png"), "--input=photos/0.png: a file, where a folder"),
        (("--task=edges", "--input=photos", "--size=4"), "--size=4: expected 8 to 8192 pixels"),
        (("--task=edges", "--input=photos", "--size=-1"), "--size=-1: expected 8 to 8192 pixels"),
        (("--task=edges", "--input=photos", "--size=big"), "expected a whole number, found 'big'"),
        (("--task=edges", "--input=photos", "--val_fraction=1"), "--val_fraction=1.0: expected a"),
        (("--task=edges", "--sigma=0"), "--sigma=0.0 is too small; the smallest allowed is 0.5"),
        (("--task=edges", "--sigma=nan"), "--sigma=nan is not a finite number"),
        (("--task=edges", "--low=0.3", "--high=0.2"), "--low=0.3 is above --high=0.2"),
        (("--task=blank", "--hole=left"), "--hole=left is not one of center, random"),
        (("--task=blank", "--hole_size=2"), "--hole_size=2.0 is too large; the largest allowed"),
        (("--task=blank", "--hole_color=whit"), "--hole_color=whit: no colour"),
        (("--task=lowres", "--factor=1"), "--factor=1 is too small; the smallest allowed is 2"),
        (("--task=combine",), "--task=combine needs --input=FOLDER"),
        (("--task=combine", "--input_a=photos"), "both --input_a=FOLDER and --input_b=FOLDER"),
        (("--task=combine", "--input=photos"), "--input=photos holds no A/"),
        (("--task=combine", "--input=a", "--input_b=b"), "name the same thing twice"),
        (("--task=combine", "--input_a=photos", "--input_b=photos"), "are the same folder"),
    ],
)
def test_flags_that_cannot_be_meant(pairs_refused, photos, flags, words):
    assert words in pairs_refused(*flags)


def test_no_output(refused):
    assert "--output is missing" in refused("pairs", "--task=edges", "--input=photos", fresh=True)


def test_no_images(pairs_refused, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    said = pairs_refused("--task=edges", "--input=empty")
    assert "--input=empty holds no images; expected images in it, or in train/" in said
    (tmp_path / "splits" / "train").mkdir(parents=True)
    assert "holds no images in train/" in pairs_refused("--task=edges", "--input=splits")
    (tmp_path / "above").mkdir()
    photos.rename(tmp_path / "above" / "photos")
    assert "its folder photos/ does" in pairs_refused("--task=edges", "--input=above")


def test_images_beside_split_folders(pairs_refused, photos, draw):
    draw(photos / "test" / "x.png", 8, 8)
    said = pairs_refused("--task=edges", "--input=photos")
    assert "holds test/ and 6 images beside it (0.png)" in said


def test_a_share_for_a_folder_that_is_divided_already(pairs_refused, tmp_path, draw):
    draw(tmp_path / "in" / "train" / "x.png", 8, 8)
    said = pairs_refused("--task=edges", "--input=in", "--val_fraction=0.2")
    assert "--val_fraction=0.2: --input=in is divided into split folders already" in said


def test_output_and_input_in_one_another(refused, photos, hashes):
    before = hashes(photos)
    task = "--task=edges"
    said = refused("pairs", task, "--input=photos", "--output=photos/../photos")
    assert "--output=photos/../photos is the input folder itself" in said
    said = refused("pairs", task, "--input=photos", "--output=photos/made")
    assert "--output=photos/made lies inside --input=photos" in said
    assert "--input=photos lies inside --output=." in refused(
        "pairs", task, "--input=photos", "--output=."
    )
    assert hashes(photos) == before


def test_an_output_of_other_things_or_other_settings(refused, run_cli, photos, tmp_path, hashes):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    args = ("pairs", "--task=edges", "--input=photos")
    said = refused(*args, "--output=full")
    assert "--output=full is not empty (thesis.txt) and has no pairs.json" in said
    said = refused(*args, "--output=full/thesis.txt")
    assert "a file, where a folder was expected" in said

    assert run_cli(*args, "--output=out").returncode == 0
    before = hashes(tmp_path / "out")
    said = refused(*args, "--output=out", "--sigma=2", "--size=32")
    assert "holds pairs of other settings (sigma was 1.5, now 2.0; size was 0, now 32)" in said
    said = refused("pairs", "--task=lab", "--input=photos", "--output=out")
    assert "task was edges, now lab" in said
    assert hashes(tmp_path / "out") == before
    (tmp_path / "out" / "pairs.json").write_text("{")
    assert "pairs.json is damaged" in refused(*args, "--output=out")


def test_an_output_that_cannot_be_made(refused, photos, tmp_path):
    (tmp_path / "file").write_text("")
    said = refused("pairs", "--task=edges", "--input=photos", "--output=file/out")
    assert "--output=file/out" in said
    assert "cannot be made" in said


def test_names_that_meet(pairs_refused, photos, draw):
    draw(photos / "x.jpg", 8, 8)
    draw(photos / "x.png", 8, 8)
    draw(photos / "x.jpg.png", 8, 8)
    said = pairs_refused("--task=edges", "--input=photos", "--val_fraction=0")
    assert "would both become train/x.jpg.png" in said


# === Refusals of combine ===


def test_images_without_a_partner_are_listed_and_counted(pairs_refused, two_folders, draw):
    for index in range(3, 10):
        draw(two_folders / "A" / f"{index}.png", 8, 8)
    draw(two_folders / "B" / "lonely.png", 8, 8)
    said = pairs_refused("--task=combine", "--input=both")
    assert "8 images of --input=both/A and --input=both/B without a partner" in said
    assert "both/A/3.png, both/A/4.png" in said
    assert "both/A/7.png and 3 more" in said


def test_two_images_of_one_name(pairs_refused, two_folders, draw):
    draw(two_folders / "A" / "1.jpg", 8, 8)
    said = pairs_refused("--task=combine", "--input=both")
    assert "--input=both/A holds 1.jpg and 1.png: one name, two images" in said


def test_partners_of_another_size(pairs_refused, two_folders, draw):
    draw(two_folders / "B" / "1.png", 24, 30)
    said = pairs_refused("--task=combine", "--input=both")
    assert "1 pair whose A and B differ in size (width x height): 1 (A 24x24, B 30x24)" in said
    assert "--size=N" in said


def test_one_side_divided_the_other_not(pairs_refused, two_folders):
    (two_folders / "A" / "train").mkdir()
    for path in list((two_folders / "A").glob("*.png")):
        path.rename(two_folders / "A" / "train" / path.name)
    said = pairs_refused("--task=combine", "--input=both")
    assert "--input=both/A is divided into train/, --input=both/B is not" in said
