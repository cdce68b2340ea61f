"""Runs that end because val has not become better, by the real command line."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.history import read_history

# A step size of nothing: the first measurement stays the best.
STILL = (
    "--dataset=sample", "--sample_pairs=8", "--crop_size=32", "--ngf=8", "--loss=l1",
    "--learning_rate=0", "--steps=12", "--val_every=2", "--checkpoint_every=5", "--sample_every=0",
    "--log_every=5", "--sample_images=1", "--best_metric=l1",
)  # fmt: skip


def facts(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def weights(run: Path, step: int) -> str:
    files = sorted(Checkpoints(run).path(step).glob("state.data*"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@pytest.fixture(scope="module")
def stopped(run_command, tmp_path_factory) -> Path:
    """A run that measured at 2, 4, 6 and 8 and then had lost its patience."""
    run = tmp_path_factory.mktemp("patience") / "run"
    words = ("train", *STILL, "--patience=3", f"--workdir={run}")
    done = run_command(*words, cwd=run.parent, charts=True, eagerly=True)
    assert done.returncode == 0, done.stderr
    assert "stopped at step 8 of 12: l1 on val has not become better in 3 measurements" in (
        done.stdout + done.stderr
    )
    return run


def test_the_run_is_finished_with_all_that_a_run_has(stopped):
    assert Checkpoints(stopped).steps() == [2, 5, 8]
    assert (facts(stopped)["finished"], facts(stopped)["steps_done"]) == (True, 8)
    assert facts(stopped)["best"]["step"] == 2
    assert (stopped / "samples" / "step_00000008.png").is_file()
    trained = [r["step"] for r in read_history(stopped) if r["kind"] == "train"]
    assert trained == [5, 8]
    page = (stopped / "report.html").read_text()
    assert "best checkpoint, step 2" in page
    assert "Validation: grid and plaid" in page
    assert "not finished" not in page


def test_patience_without_measurements_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"^--patience=3 counts .* give --val_every, or --patience"):
        tfpix2pix.train("sample", workdir=tmp_path / "run", patience=3, val_every=0)
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_killed_stops_at_the_same_step(stopped, run_command, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(stopped, run)
    shutil.rmtree(Checkpoints(run).path(8))  # killed before its last checkpoint
    done = run_command("train", f"--workdir={run}", cwd=tmp_path, eagerly=True)
    assert "continuing from step 5 of 12" in done.stdout + done.stderr
    assert Checkpoints(run).steps() == [2, 5, 8]
    assert weights(run, 8) == weights(stopped, 8)
    metas = [Checkpoints(folder).meta(8) for folder in (run, stopped)]
    assert metas[0]["best"] == metas[1]["best"]
    assert metas[0]["stale"] == metas[1]["stale"] == 3
    assert facts(run)["finished"] is True


def test_the_same_command_does_nothing_and_more_patience_goes_on(stopped, run_command):
    before = weights(stopped, 8)
    again = run_command("train", *STILL, "--patience=3", f"--workdir={stopped}", cwd=stopped.parent)
    assert again.returncode == 0
    assert "had stopped at step 8 of 12" in again.stdout + again.stderr
    assert weights(stopped, 8) == before
    words = ("train", f"--workdir={stopped}")
    on = run_command(*words, "--patience=4", cwd=stopped.parent, eagerly=True)
    assert "stopped at step 10 of 12" in on.stdout + on.stderr
    off = run_command(*words, "--patience=0", cwd=stopped.parent, eagerly=True)
    assert off.returncode == 0
    assert (facts(stopped)["finished"], facts(stopped)["steps_done"]) == (True, 12)
