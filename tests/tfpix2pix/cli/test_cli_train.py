"""`train`: what a run leaves behind, running it again, and training further."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.algorithms.configs.pix2pix import MEASURES
from tfpix2pix.config import load_config


@pytest.fixture(scope="session")
def metrics(trained):
    return [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def events(trained):
    """Steps of every tag in the event files."""
    import tensorflow as tf

    steps = defaultdict(list)
    for file in (trained / "events").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                steps[value.tag].append(event.step)
    return dict(steps)


# === What it says ===


def test_it_succeeds_without_a_word_on_standard_error(training):
    _, code, _, err = training
    assert (code, err) == (0, "")


def test_the_last_line_names_the_report(training):
    workdir, _, out, _ = training
    assert out.splitlines()[-1] == f"report: {workdir / 'report.html'}"
    assert (workdir / "report.html").read_text(encoding="utf-8").count('<svg class="chart"') > 5


def test_it_says_how_to_use_the_run_and_that_works_as_typed(training):
    workdir, _, out, _ = training
    inputs = re.search(r"--input=(\S+)", out)[1]
    assert f"tfpix2pix translate --workdir={workdir}" in out
    assert list((workdir / "samples" / "inputs").glob("*.png"))
    assert inputs == str(workdir / "samples" / "inputs")


def test_on_a_pipe_there_are_only_plain_lines(training):
    _, _, out, _ = training
    assert not re.search(r"[\r\x1b\b]", out)


# === What it leaves ===


def test_the_workdir_holds_the_parts_of_a_run_and_nothing_unfinished(trained):
    assert {path.name for path in trained.iterdir()} == {
        "config.json",
        "checkpoints",
        "events",
        "metrics.jsonl",
        "report.html",
        "run.json",
        "samples",
    }
    assert [path for path in trained.rglob("*") if path.name.startswith(".")] == []


def test_the_config_is_the_resolved_one(trained, trained_config):
    assert load_config(trained) == trained_config
    assert (trained / "config.json").read_text() == trained_config.to_json()


def test_only_the_newest_checkpoints_and_the_best_are_kept(trained, metrics):
    l1 = {record["step"]: record["l1"] for record in metrics if record["kind"] == "val"}
    best = min(l1, key=l1.get)
    kept = {path.name for path in (trained / "checkpoints").iterdir()}
    assert kept == {f"step_{step:08d}" for step in {4, 6, best}}


def test_metrics_are_recorded_at_their_intervals(metrics):
    steps = {
        kind: [record["step"] for record in metrics if record["kind"] == kind]
        for kind in ("train", "val")
    }
    assert steps == {"train": [2, 4, 6], "val": [2, 4, 6]}


def test_a_record_of_training_has_its_fields(metrics):
    record = next(record for record in metrics if record["kind"] == "train")
    assert set(record) == {
        "kind",
        "step",
        "epoch",
        "seconds",
        "images_per_second",
        "learning_rate",
        "losses",
        "discriminator",
    }
    assert record["learning_rate"] == {"generator": 2e-4, "discriminator": 2e-4}
    assert record["epoch"] == 2 / 8
    named = {"generator", "gan", "l1", "feature_matching", "discriminator"}
    assert set(record["losses"]) == named
    assert set(record["discriminator"]) == {"real", "fake", "accuracy"}
    assert all(0 <= value <= 1 for value in record["discriminator"].values())
    assert record["images_per_second"] > 0


def test_a_record_of_validation_has_its_fields(metrics):
    record = next(record for record in metrics if record["kind"] == "val")
    named = {measure.name for measure in MEASURES} | {"sharpness_truth", "images"}
    assert named | {"kind", "step"} <= set(record)
    assert {"l1", "psnr", "ssim", "swd", "sharpness_ratio", "grid", "plaid"} <= named
    assert record["images"] == 2


def test_the_event_files_hold_the_curves(events):
    names = [f"losses/{name}" for name in ("generator", "gan", "l1", "discriminator")]
    names += [f"discriminator/{name}" for name in ("real", "fake", "accuracy")]
    names += [f"val/{name}" for name in ("l1", "psnr", "ssim")]
    for name in [*names, "images_per_second"]:
        assert events[name] == [2, 4, 6], name


def test_the_event_files_hold_the_pictures(events):
    for name in ("x", "y", "generated"):
        assert events[f"val/{name}"] == [3, 6]


def test_the_grids_are_pictures_of_the_sampled_steps(trained):
    for step in (3, 6):
        with Image.open(trained / "samples" / f"grid_{step:08d}.png") as grid:
            assert np.asarray(grid).std() > 0
    assert len(list((trained / "samples").glob("grid_*.png"))) == 2


def test_the_fixed_pairs_are_there_as_single_images(trained):
    for path in (trained / "samples" / "inputs").iterdir():
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("PNG", (32, 32))


# === Again ===


def test_a_finished_run_is_already_trained(run_cli, run_copy, hashes, trained_config):
    before = hashes(run_copy)
    # Fewer steps than it has done: nothing to do, and nothing to forget either.
    done = run_cli("train", f"--workdir={run_copy}", "--steps=5", "--ngf=4")
    assert (done.returncode, done.stderr) == (0, "")
    assert "already trained" in done.stdout
    assert "6 steps" in done.stdout
    assert done.stdout.splitlines()[-1] == f"report: {run_copy / 'report.html'}"
    after = hashes(run_copy)
    before.pop("report.html"), after.pop("report.html")  # drawn anew: it names its folder
    assert after == before


def test_more_steps_continue_from_the_checkpoint(run_cli, run_copy):
    done = run_cli(
        "train",
        f"--workdir={run_copy}",
        "--steps=8",
        "--log_every=1",
        prelude="import tfpix2pix.base.progress as p; p.INTERVAL = 0",
        eagerly=True,
    )
    out = done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert "continuing from step 6 of 8" in out
    # Progress shows as plain lines (here after no interval at all).
    assert re.search(
        r"^training: step 7/8  epoch 0\.9  L1 \S+  GAN \S+  D \S+ .*ETA ", out, re.MULTILINE
    )
    assert not re.search(r"[\r\x1b]", out)
    records = (run_copy / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in records if '"train"' in line]
    assert steps == [2, 4, 6, 7, 8]
    assert (run_copy / "checkpoints" / "step_00000008" / "meta.json").is_file()
    assert load_config(run_copy).steps == 8


# === Other data, other losses ===


def test_an_own_folder_without_val_in_the_other_direction(run_cli, pairs, draw, tmp_path, tiny):
    for file in (pairs / "val").iterdir():
        file.unlink()
    (pairs / "val").rmdir()
    draw(pairs / "train" / "mixed.JpG", 32, 64)
    draw(pairs / "train" / "LOUD.PNG", 32, 64)
    done = run_cli(
        "train",
        *tiny,
        "--dataset=pairs",
        "--direction=BtoA",
        "--loss=l1",
        "--steps=2",
        "--workdir=run",
        eagerly=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 train pairs of 32x32 (side by side, BtoA: right to left; RGB, 8 bit)" in done.stdout
    assert "no val split" in done.stdout
    assert (tmp_path / "run" / "report.html").is_file()
    config = load_config(tmp_path / "run")
    assert (config.direction, config.dataset) == ("BtoA", str(pairs))
    last = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1]
    assert set(json.loads(last)["losses"]) >= {"l1"}
    assert "discriminator" not in json.loads(last)


def test_the_unconditional_objective_into_the_default_workdir(run_cli, tmp_path, tiny):
    done = run_cli(
        "train",
        *tiny,
        "--sample_pairs=4",
        "--loss=gan",
        "--steps=1",
        "--receptive_field=16",
        "--norm=batch",
        "--generator=encoder_decoder",
        eagerly=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "report: runs/sample/report.html"
    assert (tmp_path / "runs" / "sample" / "report.html").is_file()


def test_real_facades(run_cli, shared_data, tmp_path, tiny):
    folder = shared_data / "facades"
    if not (folder / "train").is_dir():
        pytest.skip("no facades among the shared data sets")
    done = run_cli(
        "train",
        *tiny,
        "--preset=facades",
        f"--dataset={folder}",
        "--steps=2",
        "--val_images=4",
        "--workdir=run",
    )
    assert (done.returncode, done.stderr) == (0, "")
    config = load_config(tmp_path / "run")
    assert (config.direction, config.preset, config.steps) == ("BtoA", "facades", 2)
    assert (tmp_path / "run" / "report.html").is_file()
