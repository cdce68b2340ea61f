"""``tfpix2pix reproduce --table=cyclegan`` from its command line: tiny networks, two rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import tfpix2pix
from tfpix2pix.reproduction.pictures import columns_of
from tfpix2pix.reproduction.plan import Plan
from tfpix2pix.reproduction.tables import TABLES

FLAGS = (
    *("--crop_size=32", "--ngf=4", "--ndf=4", "--sample_pairs=8", "--sample_images=2"),
    *("--steps=2", "--val_every=0", "--seeds=1", "--label_palette=facades"),
)
FORWARD = "cyclegan-forward"


def content_of(folder, name):
    return json.loads((folder / "results" / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def forward(run_command, scorer, tmp_path_factory):
    """One row of both tables, which is one training: its folder and what the command printed."""
    folder = tmp_path_factory.mktemp("unpaired") / "out"
    words = ("--table=cyclegan", "--rows=forward", *FLAGS, f"--scorer={scorer}")
    words = (*words, f"--output={folder}")
    done = run_command("reproduce", *words, cwd=folder.parent, timeout=400, eagerly=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_one_training_is_scored_both_ways(forward):
    folder, said = forward
    assert [path.name for path in (folder / "runs").iterdir()] == [FORWARD]
    run = folder / "runs" / FORWARD / "seed0"
    config = json.loads((run / "config.json").read_text())
    assert (config["lambda_forward"], config["lambda_backward"]) == (10, 0)
    for table, place, number in (
        ("cyclegan_photo", "val", "fcn_iou"),
        ("cyclegan_labels", "val-BtoA" if config["direction"] == "AtoB" else "val-AtoB",
         "labels_iou"),
    ):  # fmt: skip
        metrics = json.loads((run / "evaluation" / place / "metrics.json").read_text())
        rows = {row["key"]: row for row in content_of(folder, table)["rows"]}
        assert rows["forward"]["numbers"][number]["values"] == [metrics["numbers"][number]]
        assert metrics["dataset"]["direction"] == place[4:] or place == "val"
        assert rows["forward"]["steps"] == 2
    assert "CycleGAN's Tables 3 and 5" in said
    assert "arXiv 1703.10593" in (folder / "report.html").read_text()


def test_pictures_of_the_way_back_are_made_of_the_targets(forward):
    folder, _ = forward
    plan = Plan.load(folder)
    (run,) = plan.known_runs(TABLES["cyclegan_labels"])
    fixed, [(title, made)] = columns_of(TABLES["cyclegan_labels"], [run])
    with np.load(run.workdir / "samples" / "fixed.npz") as kept:
        assert np.array_equal(fixed.x, kept["y"])
        assert np.array_equal(fixed.y, kept["x"])
    model = tfpix2pix.load(run.workdir, direction=run.direction)
    assert title == "GAN+forward"
    for index, picture in enumerate(made):
        assert np.array_equal(picture, model.translate(fixed.x[index], seed=index))
    shown, whole = (
        np.asarray(Image.open(folder / place / f"cyclegan_labels.{kind}"))
        for place, kind in (("results", "jpg"), ("grids", "png"))
    )
    assert shown.shape[1] < whole.shape[1]  # by the columns of inputs and targets


def test_a_further_row_is_added_and_the_first_stays(forward, run_cli):
    folder, _ = forward
    stamps = {p: p.stat().st_mtime_ns for p in folder.glob("runs/*/*/checkpoints/*/*")}
    # What one that was killed while it scored leaves of a page.
    half = folder / "runs" / FORWARD / "seed0" / "evaluation" / "val" / ".page.html.0123abcd.tmp"
    half.write_text("half a page")
    done = run_cli(
        "reproduce", "--table=cyclegan_labels", "--rows=pix2pix", "--seeds=1", f"--output={folder}"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert not half.exists()
    assert {path.name for path in (folder / "runs").iterdir()} == {
        FORWARD,
        "cyclegan-pix2pix-photo_to_labels",
    }
    content = content_of(folder, "cyclegan_labels")
    rows = {row["key"]: row for row in content["rows"]}
    assert list(rows) == ["forward", "pix2pix"]
    assert rows["pix2pix"]["paper"]["labels_iou"] == 0.32
    assert not rows["forward"]["paper"]  # no source of it
    configs = content["configs"]
    assert configs[f"{FORWARD}/seed0"]["disjoint_stems"]
    assert configs["cyclegan-pix2pix-photo_to_labels/seed0"]["data"] == ""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--rows=forwards"], "no row 'forwards'; did you mean 'forward'"),
        (["--lambda_l1=10"], "--lambda_l1: the rows of --table=cyclegan decide it; drop the flag"),
        (["--norm=batch"], "--norm: the rows of --table=cyclegan decide it; drop the flag"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_flags_that_cannot_be_meant(refused, args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in refused("reproduce", "--table=cyclegan", *args, "--output=o")
    assert list(tmp_path.iterdir()) == []
