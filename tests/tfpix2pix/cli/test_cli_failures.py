"""Damaged checkpoints, a full disk, no permission, two at once, files and clocks that change."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tfpix2pix.base import lock
from tfpix2pix.base.lock import held


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
    assert "train again in a new folder" in done.stderr
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
        eagerly=True,
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
    done = run_cli("train", f"--workdir={run_copy}", "--steps=7", eagerly=True)
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
        "--preset=paper",
        "--updates=joint",
        "--learning_rate=1e20",
        "--checkpoint_every=1",
        "--val_every=0",
        "--sample_every=0",
        "--workdir=run",
        eagerly=True,
    )
    assert done.returncode == 1
    assert only_sentences(done.stderr)
    assert done.stderr.count("\n") == 1
    assert "NaN or infinite" in done.stderr
    assert "smaller --learning_rate" in done.stderr
    kept = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert kept
    assert f"the checkpoint of step {int(max(kept)[5:])} is intact" in done.stderr


# === Two processes ===


def test_a_second_process_on_one_workdir_is_refused(refused, run_copy, hashes):
    with held(run_copy, "--workdir=x"):
        before = hashes(run_copy)
        said = refused("train", f"--workdir={run_copy}", "--steps=9")
        assert hashes(run_copy) == before
    assert said.startswith(
        f"tfpix2pix train: --workdir={run_copy} is in use: process {os.getpid()}"
    )
    assert "wait until it ends, stop it, or give another folder" in said


def test_reading_a_run_that_is_trained_goes_on(run_cli, run_copy, tmp_path):
    with held(run_copy, "--workdir=x"):
        done = run_cli(
            "translate",
            f"--workdir={run_copy}",
            f"--input={run_copy}/samples/inputs",
            "--output=out",
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_command_that_is_refused_leaves_no_folder(refused, tmp_path):
    refused("train", "--dataset=nowhere", "--workdir=runs/new")
    assert list(tmp_path.iterdir()) == []


def test_a_workdir_that_holds_nothing_but_a_lock_is_a_new_one(run_cli, tmp_path, tiny):
    """A run that was killed while it checked its data left that."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / lock.NAME).write_text('{"pid": 1, "host": "gone", "since": "once"}')
    done = run_cli("train", *tiny, "--workdir=run", "--dataset=nowhere")
    assert "--dataset=nowhere: no such folder" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


# === Input files and clocks ===


def test_an_input_file_deleted_in_mid_training(start_cli, run_cli, pairs, tiny, tmp_path):
    run = tmp_path / "run"
    flags = (f"--dataset={pairs}", "--cache=none", "--checkpoint_every=20", "--val_every=0")
    flags += ("--loss=l1",)
    process = start_cli("train", *tiny, *flags, f"--workdir={run}", "--steps=100000")
    deadline = time.monotonic() + 120
    while not list(run.glob("checkpoints/step_*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    gone = pairs / "train" / "2.png"
    content = gone.read_bytes()
    gone.unlink()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert only_sentences(err)
    assert err.count("\n") == 1
    assert f"{gone}: no such file" in err
    from tfpix2pix.training.checkpoints import Checkpoints

    # What is there is whole, and once the file is back it goes on.
    gone.write_bytes(content)
    newest = Checkpoints(run).steps()[-1]
    assert Checkpoints(run).meta(newest)["step"] == newest
    done = run_cli("train", f"--workdir={run}", f"--steps={newest + 1}", eagerly=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"continuing from step {newest} of {newest + 1}" in done.stdout


def test_a_clock_that_jumps_changes_nothing(run_cli, trained, trained_flags, tmp_path):
    """Hours forward and days back, each time that somebody asks Python for the time of day."""
    jumping = (
        "import itertools, time\n"
        "jumps = itertools.cycle([0, 3e4, -9e5, 7e7, -1e9])\n"
        "real = time.time\n"
        "time.time = lambda: real() + next(jumps)\n"
        "time.time_ns = lambda: int(time.time() * 1e9)\n"
    )
    done = run_cli("train", *trained_flags, "--workdir=run", prelude=jumping)
    assert (done.returncode, done.stderr) == (0, "")
    for step in ("step_00000004", "step_00000006"):
        ours, theirs = (
            json.loads((run / "checkpoints" / step / "meta.json").read_text())["files"]
            for run in (tmp_path / "run", trained)
        )
        assert ours == theirs
    records = [
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (tmp_path / "run", trained)
    ]
    for ours, theirs in zip(*records, strict=True):
        assert ours.get("losses") == theirs.get("losses")
        assert 0 <= ours.get("seconds", 0) < 3600
        assert ours.get("images_per_second", 1) > 0


# === From a stranger ===


def test_a_config_of_a_network_that_no_memory_holds_is_refused(refused, run_copy):
    """It is compared with what the checkpoint holds before anything of it is made."""
    path = run_copy / "config.json"
    before = json.loads(path.read_text())
    words = [f"--workdir={run_copy}", f"--input={run_copy}/samples/inputs", "--output=out"]
    for ngf in (10**6, 10**18):
        path.write_text(json.dumps({**before, "ngf": ngf}))
        assert f"--ngf={ngf} is too large; the largest allowed is 512" in refused(
            "translate", *words
        )
    path.write_text(json.dumps({**before, "ngf": 512, "crop_size": 1024, "load_size": 1024}))
    said = refused("translate", *words, early=False)
    assert "describes a generator of" in said
    assert "(ngf 512, loss l1+cgan, crop_size 1024) and its checkpoint holds" in said
    assert "restore the config.json" in said
