"""A crash, a full disk or a damaged file never costs more than the newest checkpoint."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.base.errors import UserError
from tfpix2pix.training.checkpoints import CheckpointError, Checkpoints


class Killed(BaseException):
    """Stands for `kill -9`: nothing may catch it, nothing is tidied up after it."""


def state(value: float, size: int = 300) -> dict[str, object]:
    """Variables nested as the trainer nests them."""
    return {
        "generator": {"down1/kernel": tf.Variable(tf.fill([size], value))},
        "step": tf.Variable(int(value), dtype=tf.int64),
    }


def value_of(variables: dict[str, object]) -> float:
    return float(variables["generator"]["down1/kernel"][0])


@pytest.fixture
def saved(tmp_path) -> Checkpoints:
    """Checkpoints of steps 10 and 20, whose variables hold 10 and 20."""
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (10, 20):
        checkpoints.save(state(step), step, {"best": None, "seconds": step / 2})
    return checkpoints


def restored(checkpoints: Checkpoints, step: int | None = None) -> tuple[float, list[str]]:
    """What a new process reads, and what it is told."""
    variables, said = state(-1), []
    Checkpoints(checkpoints.folder.parent).restore(variables, step, said.append)
    return value_of(variables), said


def data_file(checkpoints: Checkpoints, step: int) -> Path:
    return next(checkpoints.path(step).glob("state.data*"))


# === Saving and reading ===


def test_without_any_there_is_nothing_to_restore(tmp_path):
    variables = state(3)
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.steps() == []
    assert checkpoints.restore(variables) is None
    assert value_of(variables) == 3


def test_the_newest_is_restored_with_its_facts(saved):
    variables, said = state(-1), []
    facts = saved.restore(variables, say=said.append)
    assert (facts["step"], facts["seconds"]) == (20, 10.0)
    assert value_of(variables) == 20
    assert int(variables["step"]) == 20
    assert said == []


def test_a_step_can_be_asked_for(saved):
    assert restored(saved, 10) == (10, [])


def test_a_part_of_the_variables_can_be_read(saved):
    variables = state(-1)
    del variables["step"]
    saved.restore(variables)
    assert value_of(variables) == 20


def test_the_facts_record_every_file_with_its_checksum(saved):
    files = json.loads((saved.path(20) / "meta.json").read_text())["files"]
    present = {path.name for path in saved.path(20).iterdir()} - {"meta.json"}
    assert set(files) == present
    for name, facts in files.items():
        assert facts["bytes"] == (saved.path(20) / name).stat().st_size
        assert len(facts["sha256"]) == 64


def test_foreign_names_among_the_checkpoints_are_left_out(saved):
    (saved.folder / "step_new").mkdir()
    (saved.folder / "step_00000099").write_text("a file")
    (saved.folder / "notes").mkdir()
    assert saved.steps() == [10, 20]


def test_steps_of_nine_digits_are_in_order(saved):
    saved.save(state(1), 123_456_789, {})
    assert saved.steps() == [20, 123_456_789]


def test_only_the_newest_are_kept(saved):
    saved.save(state(30), 30, {"best": None})
    assert saved.steps() == [20, 30]


def test_the_best_is_kept_whatever_its_age(saved):
    best = {"best": {"metric": "l1", "value": 0.2, "step": 10}}
    for step in (30, 40, 50):
        saved.save(state(step), step, best)
    assert saved.steps() == [10, 40, 50]
    assert restored(saved, 10) == (10, [])


def test_a_former_best_goes(saved):
    saved.save(state(30), 30, {"best": {"metric": "l1", "value": 0.2, "step": 10}})
    saved.save(state(40), 40, {"best": {"metric": "l1", "value": 0.1, "step": 40}})
    assert saved.steps() == [30, 40]


def test_the_same_step_can_be_saved_again(saved):
    saved.save(state(21), 20, {})
    assert restored(saved) == (21, [])
    assert saved.steps() == [10, 20]


def test_variables_of_another_shape_do_not_fit(saved):
    with pytest.raises(CheckpointError, match=r"does not fit the networks that config\.json"):
        saved.restore(state(-1, size=299))


def test_variables_that_were_not_saved_do_not_fit(saved):
    variables = state(-1) | {"discriminator": {"kernel": tf.Variable([1.0])}}
    with pytest.raises(CheckpointError, match=r"does not fit the networks that config\.json"):
        saved.restore(variables)


# === A crash while saving ===


@pytest.mark.parametrize("moment", ["writing", "marking", "renaming"])
def test_a_kill_while_saving_leaves_the_older_ones(saved, monkeypatch, moment):
    def killed(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "writing":
            write = tf.train.Checkpoint.write

            def half(self, path: str, *args: object) -> None:
                write(self, path, *args)
                file = next(Path(path).parent.glob("state.data*"))
                file.write_bytes(file.read_bytes()[:100])
                raise Killed

            patch.setattr(tf.train.Checkpoint, "write", half)
        elif moment == "marking":
            patch.setattr(json, "dumps", killed)
        else:
            patch.setattr(os, "replace", killed)
        with pytest.raises(Killed):
            saved.save(state(30), 30, {})
    assert saved.steps() == [10, 20]
    assert restored(saved) == (20, [])
    # The next one clears away what the killed one left.
    saved.save(state(30), 30, {})
    assert {path.name for path in saved.folder.iterdir()} == {"step_00000020", "step_00000030"}
    assert restored(saved) == (30, [])


def test_a_kill_while_an_old_one_is_removed_leaves_the_new_one(saved, monkeypatch):
    import shutil

    rmtree = shutil.rmtree

    def half(path: Path, **kwargs: object) -> None:
        if Path(path).name == "step_00000010":
            data_file(saved, 10).unlink()
            raise Killed
        rmtree(path, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", half)
        with pytest.raises(Killed):
            saved.save(state(30), 30, {})
    assert restored(saved) == (30, [])


# As TensorFlow 2.21 put it when a disk was full in truth.
FULL = (
    "{{function_node __wrapped__SaveV2_dtypes_116_device_/job:localhost/replica:0/task:0/device:"
    "CPU:0}} /runs/a/checkpoints/.unfinished_00000004/state_temp/part-00000-of-00001.data-00000-of-"
    "00001.tempstate17: No space left on device [Op:SaveV2]"
)


@pytest.mark.parametrize(
    ("target", "name", "error"),
    [
        (tf.train.Checkpoint, "write", tf.errors.ResourceExhaustedError(None, None, FULL)),
        (os, "replace", OSError(28, "No space left on device")),
        (Path, "write_text", OSError(28, "No space left on device")),
        (os, "fsync", OSError(5, "Input/output error")),
    ],
    ids=["writing", "renaming", "marking", "to the disk"],
)
def test_a_full_disk_is_told_and_leaves_the_older_ones(saved, monkeypatch, target, name, error):
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(target, name, fail)
        with pytest.raises(CheckpointError) as caught:
            saved.save(state(30), 30, {})
    said = str(caught.value)
    assert "the checkpoint of step 30 could not be written" in said
    assert "No space left on device)" in said or "Input/output error)" in said
    assert "{{" not in said
    assert "the checkpoint of step 20 is intact" in said
    assert "\n" not in said
    assert sorted(path.name for path in saved.folder.iterdir()) == [
        "step_00000010",
        "step_00000020",
    ]
    assert restored(saved) == (20, [])


def test_the_first_one_that_fails_says_that_there_is_no_other(tmp_path):
    (tmp_path / "checkpoints").write_text("a file in the way")
    with pytest.raises(CheckpointError, match="there is no other"):
        Checkpoints(tmp_path).save(state(1), 1, {})


def test_a_checkpoint_error_is_the_users_to_mend():
    assert issubclass(CheckpointError, UserError)


# === Damage ===


def flip(checkpoints: Checkpoints) -> None:
    file = data_file(checkpoints, 20)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate(checkpoints: Checkpoints) -> None:
    file = data_file(checkpoints, 20)
    file.write_bytes(file.read_bytes()[:-1])


def in_facts(checkpoints: Checkpoints, old: str, new: str) -> None:
    """Changes a byte or two of meta.json so that it stays valid JSON."""
    file = checkpoints.path(20) / "meta.json"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


DAMAGE = {
    "a byte flipped": (flip, "was changed after it was written"),
    "cut short": (truncate, "bytes where"),
    "data missing": (lambda c: data_file(c, 20).unlink(), "cannot be read"),
    "index missing": (lambda c: (c.path(20) / "state.index").unlink(), "cannot be read"),
    "facts missing": (lambda c: (c.path(20) / "meta.json").unlink(), "cannot be read"),
    "facts empty": (lambda c: (c.path(20) / "meta.json").write_text(""), "cannot be read"),
    "facts no JSON": (lambda c: (c.path(20) / "meta.json").write_text("{"), "cannot be read"),
    "facts no object": (lambda c: (c.path(20) / "meta.json").write_text("[]"), "cannot be read"),
    "facts not text": (lambda c: (c.path(20) / "meta.json").write_bytes(b"\xff"), "cannot be read"),
    "facts without files": (
        lambda c: (c.path(20) / "meta.json").write_text('{"step": 20}'),
        "cannot be read",
    ),
    "facts of files wrong": (
        lambda c: in_facts(c, '"files": {', '"files": {"state.index": 1}, "old": {'),
        "step_00000020",
    ),
    "facts without a step": (lambda c: in_facts(c, '"step"', '"stfp"'), "meta.json"),
    "facts of another step": (lambda c: in_facts(c, '"step": 20', '"step": 24'), "meta.json"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newest_one_is_passed_over_and_that_is_said(saved, damage):
    harm, reason = DAMAGE[damage]
    harm(saved)
    value, said = restored(saved)
    assert value == 10
    assert len(said) == 1
    assert "step_00000020" in said[0]
    assert reason in said[0]
    assert "using the checkpoint of step 10 instead" in said[0]


@pytest.mark.parametrize("damage", ["a byte flipped", "facts no JSON"])
def test_a_damaged_one_that_was_asked_for_is_an_error(saved, damage):
    harm, reason = DAMAGE[damage]
    harm(saved)
    with pytest.raises(CheckpointError, match=reason):
        saved.restore(state(-1), 20)


def test_when_all_are_damaged_each_is_named(saved):
    flip(saved)
    data_file(saved, 10).unlink()
    variables = state(-1)
    with pytest.raises(CheckpointError) as caught:
        saved.restore(variables)
    said = str(caught.value)
    assert "step_00000010" in said
    assert "step_00000020" in said
    assert "\n" not in said
    assert value_of(variables) == -1


def test_a_damaged_newer_one_is_removed_once_an_older_step_is_saved(saved):
    flip(saved)
    saved.save(state(15), 15, {})
    assert saved.steps() == [10, 15]


def test_bits_are_kept_exactly(tmp_path):
    exact = np.array([np.pi, -0.0, 1e-45, 3.4e38], np.float32)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"weights": tf.Variable(exact)}, 1, {})
    read = tf.Variable(np.ones(4, np.float32))
    checkpoints.restore({"weights": read})
    assert read.numpy().tobytes() == exact.tobytes()


# === From a stranger ===


def rewritten(checkpoints: Checkpoints, step: int, change: dict) -> None:
    """A `meta.json` with other facts, and the checksum that goes with them."""
    from tfpix2pix.training.checkpoints import _digest_of

    path = checkpoints.path(step) / "meta.json"
    meta = {**json.loads(path.read_text()), **change}
    meta.pop("sha256")
    path.write_text(json.dumps({**meta, "sha256": _digest_of(meta)}))


@pytest.mark.parametrize(
    "change",
    [
        {"files": []},
        {"files": {"state.index": 3}},
        {"files": {"state.index": {}}},
        {"files": {"../../config.json": {"bytes": 1, "sha256": ""}}},
        {"files": {"/etc/hostname": {"bytes": 1, "sha256": ""}}},
        {"step": "20"},
        {"best": {"step": "x"}},
        {"best": 3},
    ],
)
def test_facts_of_another_shape_are_damage(saved, change):
    rewritten(saved, 20, change)
    value, said = restored(saved)
    assert value == 10
    assert "cannot be read" in said[0]


def test_tensors_that_claim_more_than_is_stored_are_not_read(saved):
    from tfpix2pix.training.checkpoints import _fingerprint, check_claims

    path = data_file(saved, 20)
    check_claims(str(saved.path(20) / "state"))
    with open(path, "r+b") as file:
        file.truncate(600)
    with pytest.raises(ValueError, match=r"claims [\d,]+ bytes and 600 are stored"):
        check_claims(str(saved.path(20) / "state"))
    files = {entry.name: _fingerprint(entry) for entry in saved.path(20).iterdir()}
    files.pop("meta.json")
    rewritten(saved, 20, {"files": files})
    with pytest.raises(CheckpointError, match="claims"):
        restored(saved)
