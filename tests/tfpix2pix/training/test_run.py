"""The loop from Python; what it does through the command is tested in tests/tfpix2pix/cli."""

from __future__ import annotations

import itertools
import json
import math
import re
import signal

import pytest

from tfpix2pix.algorithms import loss_scale
from tfpix2pix.base.errors import TrainingDiverged
from tfpix2pix.config import Config, resolve
from tfpix2pix.data import open_dataset
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.history import read_history
from tfpix2pix.training.observe import SKIPS, not_finite
from tfpix2pix.training.run import train
from tfpix2pix.training.stop import StopRequest

TINY = {
    "crop_size": 32,
    "ngf": 4,
    "ndf": 4,
    "bottleneck": 8,
    "sample_pairs": 4,
    "loss": "l1",
    "steps": 4,
    "checkpoint_every": 0,
    "val_every": 0,
    "sample_every": 0,
    "log_every": 2,
    "sample_images": 1,
}


def source_of(config: Config, pairs: int | None = None):
    return open_dataset("sample", sample_pairs=pairs or config.sample_pairs, sample_size=36)


def test_a_stop_before_the_first_step_saves_and_continues(tmp_path):
    config, stop = resolve(TINY), StopRequest()
    stop.signal = signal.SIGTERM
    said: list[str] = []
    stopped = train(config, tmp_path, source_of(config), stop=stop, say=said.append)
    assert (stopped.steps_done, stopped.stopped_by, stopped.exit_code) == (0, "SIGTERM", 143)
    # What a kill in the middle of writing a file leaves, and what is not ours.
    (tmp_path / ".report.html.0123abcd.tmp").touch()
    (tmp_path / "samples" / ".fixed.npz.0123abcd.tmp").touch()
    (tmp_path / ".notes").touch()
    outcome = train(config, tmp_path, source_of(config), say=said.append)
    assert (outcome.steps_done, outcome.steps_total, outcome.exit_code) == (4, 4, 0)
    assert outcome.report == tmp_path / "report.html"
    assert json.loads((tmp_path / "run.json").read_text())["finished"] is True
    assert Checkpoints(tmp_path).steps()[-1] == 4
    assert {path.name for path in tmp_path.rglob(".*")} == {".notes"}

    # The finished run again: nothing to train, whatever asks it to stop.
    again = train(config, tmp_path, source_of(config), stop=stop, say=said.append)
    assert (again.trained_now, again.exit_code) == (0, 0)

    # A data set that is no longer the one that it was trained on is said.
    said.clear()
    longer = config.replace(steps=5)
    train(longer, tmp_path, source_of(config, pairs=8), say=said.append)
    assert any("the data set has changed" in text for text in said)


def test_numbers_that_run_away_before_any_checkpoint(tmp_path):
    config = resolve({**TINY, "learning_rate": 1e30, "steps": 20})
    with pytest.raises(TrainingDiverged) as caught:
        train(config, tmp_path, source_of(config), say=lambda text: None)
    assert "NaN or infinite" in str(caught.value)
    assert "no checkpoint" in str(caught.value)
    assert "smaller --learning_rate" in str(caught.value)
    assert Checkpoints(tmp_path).steps() == []
    note = read_history(tmp_path)[-1]
    assert (note["kind"], note["text"]) == ("note", str(caught.value))


# === float16 ===

HALF = {**TINY, "noise_channels": 4, "mixed_precision": "float16", "log_every": 1}


def test_steps_that_float16_skips_are_no_end(tmp_path, monkeypatch):
    monkeypatch.setattr(loss_scale, "INITIAL", 2.0**28)
    config = resolve({**HALF, "steps": 20})
    outcome = train(config, tmp_path, source_of(config), say=lambda text: None)
    assert outcome.steps_done == 20
    records = [record for record in read_history(tmp_path) if record["kind"] == "train"]
    assert records[0]["step"] > 6
    assert len(records) > 1
    # A point has the skipped steps before it in its share, and not in its means.
    steps = [0, *(record["step"] for record in records)]
    for record, (last, step) in zip(records, itertools.pairwise(steps), strict=True):
        assert record["skipped"] == pytest.approx((step - last - 1) / (step - last))
    assert records[-1]["skipped"] == 0
    assert all(0 < record["losses"]["l1"] < 2 for record in records)


def test_a_long_row_of_skipped_steps_is_one(tmp_path):
    # The first update sends the weights where float16 has no numbers.
    config = resolve({**HALF, "learning_rate": 1e10, "steps": 200, "log_every": 10})
    with pytest.raises(TrainingDiverged, match="NaN or infinite by step") as caught:
        train(config, tmp_path, source_of(config), say=lambda text: None)
    step = int(re.search(r"by step (\d+)", str(caught.value))[1])
    assert SKIPS <= step <= SKIPS + 20


def test_losses_that_are_no_numbers_are_named():
    losses = {"l1": 0.1, "gan": math.nan, "generator": math.inf, "discriminator": -math.inf}
    assert not_finite(losses) == ["gan", "generator", "discriminator"]
    assert not_finite({"l1": 0.0}) == []
