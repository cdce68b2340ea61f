"""Damaged checkpoints, a full disk, no permission, numbers that run away."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


@pytest.fixture
def newest(run_copy) -> Path:
    """The data file of the newest checkpoint, of step 6; the one before is of step 4."""
    return next((run_copy / "checkpoints" / "step_00000006").glob("state.data*"))


def only_sentences(text: str) -> bool:
    return bool(text) and "Traceback" not in text and "Error:" not in text


# === Damaged checkpoints ===


def test_train_continues_from_the_checkpoint_before_a_damaged_one(
    run_cli, run_copy, newest, flip_a_byte, trained
):
    flip_a_byte(newest)
    done = run_cli("train", f"--workdir={run_copy}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "was changed after it was written; using the checkpoint of step 4" in done.stdout
    assert "continuing from step 4 of 6" in done.stdout
    # Done again, and what comes out is what had been there.
    again, before = (
        json.loads((run / "checkpoints" / "step_00000006" / "meta.json").read_text())["files"]
        for run in (run_copy, trained)
    )
    assert again[newest.name] == before[newest.name]


def test_translate_uses_the_checkpoint_before_a_damaged_one(run_cli, run_copy, newest, tmp_path):
    newest.unlink()
    done = run_cli(
        "translate", f"--workdir={run_copy}", f"--input={run_copy}/samples/inputs", "--output=out"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be read" in done.stdout
    assert "using the checkpoint of step 4 instead" in done.stdout
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_with_every_checkpoint_damaged_nothing_is_trained(run_cli, run_copy, hashes):
    for meta in (run_copy / "checkpoints").glob("*/meta.json"):
        meta.write_text("{")
    before = hashes(run_copy)
    done = run_cli("train", f"--workdir={run_copy}", "--steps=9")
    assert done.returncode == 2
    assert only_sentences(done.stderr)
    assert done.stderr.count("\n") == 1
    assert "no checkpoint in" in done.stderr
    assert "train again in a new --workdir" in done.stderr
    assert hashes(run_copy) == before


# === No room, no permission ===


def test_a_full_disk_while_saving_leaves_the_older_checkpoint(run_cli, run_copy, newest, hashes):
    resource = pytest.importorskip("resource")
    assert resource.RLIMIT_FSIZE is not None
    # No file may grow as large as a checkpoint's data: writing it fails as on a full disk.
    limit = newest.stat().st_size - 1
    before = hashes(newest.parent)
    done = run_cli(
        "train",
        f"--workdir={run_copy}",
        "--steps=7",
        prelude=f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))",
    )
    err = done.stderr
    assert done.returncode == 2
    assert only_sentences(err)
    assert err.count("\n") == 1
    assert "the checkpoint of step 7 could not be written" in err
    assert "the checkpoint of step 6 is intact" in err
    assert hashes(newest.parent) == before
    assert not list((run_copy / "checkpoints").glob("*0007"))
    assert not list((run_copy / "checkpoints").glob(".*"))


def test_a_workdir_that_may_not_be_written(refused, tmp_path, tiny):
    if os.geteuid() == 0:
        place = Path("/proc")  # where not even root can make a folder
        if not place.is_dir():
            pytest.skip("root may write everywhere here")
    else:
        place = tmp_path / "closed"
        place.mkdir()
        place.chmod(0o500)
    said = refused("train", *tiny, f"--workdir={place / 'run'}", early=False)
    assert "cannot be written" in said
    assert str(place / "run") in said


def test_a_checkpoint_that_cannot_be_written_leaves_the_older_one(run_cli, run_copy):
    # Permissions bind everyone but root, so something is in the way instead.
    (run_copy / "checkpoints" / ".unfinished_00000007").write_text("in the way")
    done = run_cli("train", f"--workdir={run_copy}", "--steps=7")
    assert done.returncode == 2
    assert only_sentences(done.stderr)
    assert "the checkpoint of step 7 could not be written" in done.stderr
    assert "the checkpoint of step 6 is intact" in done.stderr


# === Divergence ===


def test_numbers_that_run_away_stop_the_run_in_plain_words(run_cli, tmp_path, tiny):
    done = run_cli(
        "train",
        *tiny,
        "--sample_pairs=4",
        "--steps=30",
        "--learning_rate=1e20",
        "--checkpoint_every=1",
        "--val_every=0",
        "--sample_every=0",
        "--workdir=run",
    )
    assert done.returncode == 1
    assert only_sentences(done.stderr)
    assert done.stderr.count("\n") == 1
    assert "NaN or infinite" in done.stderr
    assert "smaller --learning_rate" in done.stderr
    kept = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert kept
    assert f"the checkpoint of step {int(max(kept)[5:])} is intact" in done.stderr
