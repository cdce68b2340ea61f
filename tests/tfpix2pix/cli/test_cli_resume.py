"""A run killed at any moment ends with the weights of one that was never interrupted."""

from __future__ import annotations

import json
import random
import re
import signal
import time

import numpy as np
import pytest

STEPS = 300
# A step takes some milliseconds at least, so that no machine is too fast to be interrupted.
PACED = """
import time
import tfpix2pix.training.run as training
whole = training.batches_from
def batches_from(*args):
    for batch in whole(*args):
        time.sleep(0.004)
        yield batch
training.batches_from = batches_from
"""


@pytest.fixture(scope="module")
def train_to_the_end(start_cli, tiny):
    """Starts (or continues) the same training in a workdir."""
    flags = (
        *tiny,
        "--sample_pairs=8",
        f"--steps={STEPS}",
        "--checkpoint_every=20",
        "--val_every=100",
        "--sample_every=0",
        "--sample_images=1",
    )

    def start(workdir, prelude=""):
        return start_cli("train", f"--workdir={workdir}", *flags, prelude=prelude)

    return start


def checkpoints(workdir):
    """Steps of the checkpoints that are there now."""
    return {int(path.name[5:]) for path in (workdir / "checkpoints").glob("step_*")}


def interrupt(process, workdir, number):
    """Sends a signal at a random moment after the process has written a checkpoint."""
    before = max(checkpoints(workdir), default=0)
    deadline = time.monotonic() + 240
    while max(checkpoints(workdir), default=0) <= before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.2))
    process.send_signal(number)
    return process.communicate(timeout=120)


@pytest.fixture(scope="module")
def sittings(train_to_the_end, run_command, tmp_path_factory):
    """One run without and one with interruptions, and what the interrupted one said each time."""
    whole, pieces = (tmp_path_factory.mktemp("resume") / name for name in ("whole", "pieces"))
    reference = train_to_the_end(whole)  # beside the others: it takes the other core
    said = {}
    for name in ("SIGKILL", "SIGTERM", "SIGINT"):
        process = train_to_the_end(pieces, prelude=PACED)
        out, err = interrupt(process, pieces, signal.Signals[name])
        said[name] = (process, out, err, checkpoints(pieces))
    # The workdir alone says it all.
    last = run_command("train", f"--workdir={pieces}", cwd=pieces.parent)
    said["end"] = (last, last.stdout, last.stderr, checkpoints(pieces))
    reference.communicate(timeout=300)
    assert reference.returncode == 0
    return whole, pieces, said


def test_sigkill_leaves_whole_checkpoints_and_the_next_sitting_continues(sittings):
    _, _, said = sittings
    assert said["SIGKILL"][0].returncode == -signal.SIGKILL
    step = int(re.search(r"continuing from step (\d+) of", said["SIGTERM"][1])[1])
    assert step == max(said["SIGKILL"][3])


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_says_how_to_continue(sittings, name):
    _, pieces, said = sittings
    process, out, err, left = said[name]
    assert process.returncode == 128 + signal.Signals[name]
    assert err == ""
    step = int(re.search(rf"stopped by {name} at step (\d+) of {STEPS}", out)[1])
    assert f"To continue: tfpix2pix train --workdir={pieces}" in out
    assert step < STEPS
    assert step == max(left)


def test_the_workdir_alone_continues_to_the_end(sittings):
    _, pieces, said = sittings
    process, out, err, left = said["end"]
    assert (process.returncode, err) == (0, "")
    assert f"continuing from step {max(said['SIGINT'][3])} of {STEPS}" in out
    assert out.splitlines()[-1] == f"report: {pieces / 'report.html'}"
    assert max(left) == STEPS


def test_every_variable_is_the_same_bit_for_bit(sittings):
    import tensorflow as tf

    whole, pieces, _ = sittings
    one, other = (
        tf.train.load_checkpoint(str(run / "checkpoints" / f"step_{STEPS:08d}" / "state"))
        for run in (whole, pieces)
    )
    names = set(one.get_variable_to_shape_map())
    assert names == set(other.get_variable_to_shape_map())
    variables = sorted(name for name in names if one.get_variable_to_dtype_map()[name] != tf.string)
    # Two networks, and for each weight of them the optimizer's two moments.
    for part in ("generator", "discriminator"):
        assert sum(part in name for name in variables) > 10
    for name in variables:
        np.testing.assert_array_equal(one.get_tensor(name), other.get_tensor(name), err_msg=name)


def test_no_step_is_recorded_twice(sittings):
    _, pieces, _ = sittings
    records = [json.loads(line) for line in (pieces / "metrics.jsonl").read_text().splitlines()]
    steps = [(record["kind"], record["step"]) for record in records]
    assert len(set(steps)) == len(steps)
    assert [step for kind, step in steps if kind == "val"] == list(range(100, STEPS + 1, 100))
