"""``tfpix2pix reproduce`` from its command line, on tiny networks and the embedded set."""

from __future__ import annotations

import json
import os
import shutil
import signal

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base import lock
from tfpix2pix.reproduction.tables import TABLES

FLAGS = (
    "--crop_size=32",
    "--bottleneck=8",
    "--ngf=4",
    "--ndf=4",
    "--sample_pairs=8",
    "--steps=3",
    "--sample_images=1",
    "--scorer_steps=2",
)


# Of two rows that the table of generators has not trained, one is left.
LESS_COLOUR = (
    "import dataclasses; from tfpix2pix.reproduction.tables import TABLES as tables; "
    "left = tuple(row for row in tables['colour'].rows if row.key != 'cgan'); "
    "tables['colour'] = dataclasses.replace(tables['colour'], rows=left)"
)


def stamps(folder):
    """When the checkpoints of every run were written."""
    return {str(p): p.stat().st_mtime_ns for p in folder.glob("runs/*/*/checkpoints/*/*")}


@pytest.fixture(scope="module")
def generators(run_command, tmp_path_factory):
    """A whole table: its folder and what the command printed."""
    folder = tmp_path_factory.mktemp("reproduce") / "out"
    words = ("--table=generators", "--seeds=1", *FLAGS, f"--output={folder}")
    done = run_command("reproduce", *words, cwd=folder.parent, timeout=400, eagerly=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_a_table_has_every_row_and_the_truth_beside_the_papers_figures(generators):
    folder, _ = generators
    content = json.loads((folder / "results" / "generators.json").read_text())
    rows = {row["key"]: row for row in content["rows"]}
    assert set(rows) == {*TABLES["generators"].paper["rows"], "truth"}
    row = rows["unet/l1+cgan"]
    assert row["paper"] == {"fcn_per_pixel": 0.55, "fcn_per_class": 0.2, "fcn_iou": 0.14}
    for number in TABLES["generators"].numbers:
        assert 0 <= row["numbers"][number]["mean"] <= 1
        assert row["numbers"][number]["standard_error_over_images"] >= 0
    assert 0 <= rows["truth"]["numbers"]["fcn_truth_per_pixel"]["mean"] <= 1
    assert content["missing"] == []
    assert len(content["order"]) == 18  # six pairs of rows, three columns


def test_the_figures_are_those_of_the_runs_own_evaluations(generators):
    folder, _ = generators
    content = json.loads((folder / "results" / "generators.json").read_text())
    run = folder / "runs" / "labels_to_photo-unet-l1" / "seed0"
    metrics = json.loads((run / "evaluation" / "val" / "metrics.json").read_text())
    row = next(row for row in content["rows"] if row["key"] == "unet/l1")
    assert row["numbers"]["fcn_iou"]["values"] == [metrics["numbers"]["fcn_iou"]]
    assert row["numbers"]["psnr"]["mean"] == pytest.approx(metrics["numbers"]["psnr"])


def test_runs_differ_in_nothing_but_what_the_table_compares(generators):
    folder, _ = generators
    configs = json.loads((folder / "results" / "generators.json").read_text())["configs"]
    assert len(configs) == 4
    first, *others = configs.values()
    for config in others:
        differing = {key for key in first if config[key] != first[key]}
        assert differing <= {"loss", "generator", "receptive_field"}


def test_what_is_to_be_published_shows_no_image_of_the_data_set_and_no_path(generators):
    folder, _ = generators
    text = (folder / "results" / "generators.json").read_text()
    assert str(folder.parent) not in text
    shown = np.asarray(Image.open(folder / "results" / "generators.jpg"))
    whole = np.asarray(Image.open(folder / "grids" / "generators.png"))
    assert whole.shape[1] > shown.shape[1]  # by the columns of inputs and targets


def test_it_prints_the_table_and_where_the_page_is(generators):
    folder, said = generators
    assert "Table 2: FCN-scores for different generator architectures" in said
    assert "Encoder-decoder" in said
    assert "Ground truth" in said
    assert f"report: {folder / 'report.html'}" in said
    page = (folder / "report.html").read_text()
    assert "Table 2" in page
    assert page.count("data:image/") == 1


def test_again_with_another_table_and_seed_only_what_is_missing_is_trained(generators, run_cli):
    folder, _ = generators
    before = stamps(folder)
    weights = (folder / "scorer" / "weights.npz").stat().st_mtime_ns
    words = ("reproduce", "--table=generators,colour", "--seeds=1", f"--output={folder}")
    done = run_cli(*words, prelude=LESS_COLOUR)
    assert done.returncode == 0, done.stderr
    after = stamps(folder)
    assert {path: after[path] for path in before} == before
    assert len({path.split("/runs/")[1].split("/")[0] for path in after}) == 4 + 1
    assert (folder / "scorer" / "weights.npz").stat().st_mtime_ns == weights
    assert "4 of 5 runs are trained already" in done.stdout
    assert "scoring 1 of 1" in done.stdout
    content = json.loads((folder / "results" / "colour.json").read_text())
    assert [row["key"] for row in content["rows"]] == ["l1", "l1+cgan", "pixelgan"]
    assert Image.open(folder / "results" / "colour.png").format == "PNG"


# Of the table's three rows the last one is as the second, so it is left out.
TWO_ROWS = (
    "import dataclasses; from tfpix2pix.reproduction.tables import TABLES as tables; "
    "tables['labels'] = dataclasses.replace(tables['labels'], rows=tables['labels'].rows[:2])\n"
)


# === Interruptions ===


def test_interrupted_it_continues_and_ends_with_the_same_weights(run_cli, met_by, tmp_path):
    flags = ("--table=labels", "--seeds=1", "--stage=train", *FLAGS[:5], "--steps=5",
             "--checkpoint_every=2", "--val_every=0")  # fmt: skip
    pieces, whole = tmp_path / "pieces", tmp_path / "whole"
    second = pieces / "runs" / "photo_to_labels-unet-cgan-patch70" / "seed0" / "checkpoints"
    words = ("reproduce", *flags, f"--output={pieces}")
    # Between two checkpoints of the second row.
    told = met_by(signal.SIGTERM, 'config.loss == "cgan"')
    done = run_cli(*words, prelude=TWO_ROWS + told, eagerly=True)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert (
        "stopped by SIGTERM; everything is saved. To continue: tfpix2pix reproduce" in done.stdout
    )
    assert max(path.name for path in second.glob("step_*")) == "step_00000004"
    for folder in (pieces, whole):
        done = run_cli("reproduce", *flags, f"--output={folder}", prelude=TWO_ROWS, eagerly=True)
        assert done.returncode == 0, done.stderr
        if folder == pieces:  # again, without an interruption
            shutil.copytree(pieces, whole)
            shutil.rmtree(whole / second.relative_to(pieces).parents[1])
    assert len(list((whole / "runs").iterdir())) == 2
    steps = [f / second.relative_to(pieces) / "step_00000005" for f in (pieces, whole)]
    files = [{p.name: p.read_bytes() for p in s.iterdir() if "data" in p.name} for s in steps]
    assert files[0]
    assert files[0] == files[1]


# === What a budget buys ===


# Whatever a step takes here, it counts as three tenths of a second.
KNOWN = """
import tfpix2pix.reproduction.timing as timing
class Known(timing.Stepper):
    def seconds(self, steps):
        assert super().seconds(1) > 0
        return 0.3
timing.Stepper = Known
"""


def test_a_budget_of_minutes_becomes_the_same_steps_for_every_run(run_cli, tmp_path):
    args = ("reproduce", "--table=labels", "--seeds=1", "--stage=train", "--crop_size=32")
    small = ("--bottleneck=8", "--ngf=4", "--ndf=4", "--sample_pairs=8", "--sample_images=1")
    small = (*small, "--budget=0.03", f"--output={tmp_path / 'out'}")
    done = run_cli(*args, *small, prelude=TWO_ROWS + KNOWN, eagerly=True)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads((tmp_path / "out" / "reproduction.json").read_text())["config"]["steps"]
    assert steps == 3  # of each of two runs in the 1.8 seconds
    runs = list((tmp_path / "out" / "runs").glob("*/seed0"))
    assert len(runs) == 2
    for run in runs:
        assert json.loads((run / "run.json").read_text())["steps_done"] == steps


# === Bad input ===


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--output=o"], "--table is missing"),
        (["--table=losses"], "--output is missing"),
        (["--table=loses", "--output=o"], "no table 'loses'; did you mean"),
        (["--table=losses", "--output=o", "--seeds=0"], "--seeds=0: expected 1 or more"),
        (["--table=losses", "--output=o", "--budget=-1"], "--budget=-1: expected minutes"),
        (["--table=losses", "--output=o", "--budget=5", "--steps=9"], "--budget and --steps"),
        (["--table=losses", "--output=o", "--stage=x"], "--stage=x: expected all, train, score"),
        (
            ["--table=patches", "--output=o", "--crop_size=64"],
            "--receptive_field=286 leaves no patch of a 64 pixel image",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_flags_that_cannot_be_meant(refused, args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in refused("reproduce", *args)
    assert list(tmp_path.iterdir()) == []


def test_a_set_without_a_palette_is_refused(refused, pairs, tmp_path):
    said = refused(
        "reproduce", "--table=losses", f"--dataset={pairs}", f"--output={tmp_path / 'o'}"
    )
    assert "--label_palette" in said
    assert "inspect" in said
    assert not (tmp_path / "o").exists()


def test_another_configuration_in_the_same_folder_is_refused(refused, generators):
    folder, _ = generators
    said = refused(
        "reproduce", "--table=generators", "--ngf=8", "--steps=5", f"--output={folder}", lines=3
    )
    assert "--ngf: the run has 4, the command says 8" in said
    assert "--steps: the runs have 3, the command says 5" in said


def test_a_folder_of_other_things_is_refused(refused, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    said = refused("reproduce", "--table=losses", f"--output={tmp_path}")
    assert "holds other files and no reproduction.json" in said


def test_a_second_process_in_the_same_folder_is_refused(refused, generators):
    folder, _ = generators
    with lock.held(folder, "here"):
        said = refused("reproduce", "--table=generators", f"--output={folder}")
    assert f"--output={folder} is in use: process {os.getpid()}" in said


def test_a_scorer_of_another_size_is_refused_before_anything_is_trained(
    refused, generators, tmp_path
):
    scorer = generators[0] / "scorer"
    said = refused(
        "reproduce", "--table=losses", "--seeds=1", *FLAGS[1:], "--crop_size=64",
        f"--scorer={scorer}", f"--output={tmp_path / 'o'}", early=False,
    )  # fmt: skip
    assert "trained for images of 32 pixels and would be shown 64" in said
    assert not (tmp_path / "o" / "runs").exists()
