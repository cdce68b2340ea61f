"""Training on several devices and workers: the numbers of one device, and an end in every case.

The workers are the real command, in processes that are forked from one with TensorFlow imported;
they talk through the loopback interface, as machines would through theirs.
"""

from __future__ import annotations

import json
import re
import signal

import numpy as np
import pytest

# Prints what became of the workers: argv is [workers, signal for the last one or 0, flags...].
TEAM = """
import json, os, runpy, signal, socket, sys, time
from pathlib import Path

count, number, workdir, *flags = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
addresses = [f"localhost:{s.getsockname()[1]}" for s in sockets]
for s in sockets:
    s.close()
children = []
for index in range(count):
    child = os.fork()
    if not child:
        task = {"type": "worker", "index": index}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{name}{index}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        words = ["train", "--strategy=multi_worker", f"--workdir={workdir}", *flags]
        sys.argv = ["tfpix2pix", *words]
        runpy.run_module("tfpix2pix", run_name="__main__", alter_sys=True)
    children.append(child)

def checkpoints():
    return {path.name for path in Path(workdir, "checkpoints").glob("step_*")}

codes = {}
before, deadline = checkpoints(), time.monotonic() + 200
while len(codes) < count:
    if number and checkpoints() - before:
        os.kill(children[-1], number)
        number = 0
    for index, child in enumerate(children):
        if index in codes:
            continue
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            codes[index] = os.waitstatus_to_exitcode(status)
    if time.monotonic() > deadline:
        for index, child in enumerate(children):
            if index not in codes:
                os.kill(child, 9)
                os.waitpid(child, 0)
                codes[index] = "hung"
    time.sleep(0.02)
said = [[Path(f"{name}{i}").read_text() for name in ("out", "err")] for i in range(count)]
print(json.dumps([[codes[i], *said[i]] for i in range(count)]))
"""

TWO_CPUS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


@pytest.fixture
def team(run_python, tmp_path):
    """`team(workdir, *flags, number=0)`: two workers; (exit code, stdout, stderr) of each.

    `number`: a signal that the second one gets after a new checkpoint.
    """

    def run(workdir, *flags, number=0, count=2):
        done = run_python(TEAM, count, int(number), workdir, *flags)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_two_workers_and_two_devices_train_as_one_with_the_whole_batch(
    run_cli, team, variables, tmp_path
):
    flags = ("--crop_size=32", "--bottleneck=4", "--ngf=4", "--ndf=4")
    flags += ("--batch_size=2", "--sample_pairs=8", "--sample_images=1")
    flags += ("--steps=3", "--log_every=1", "--val_every=0", "--sample_every=0")
    flags += ("--checkpoint_every=0",)
    one, two, mirrored = (tmp_path / name for name in ("one", "two", "mirrored"))
    alone = run_cli("train", f"--workdir={one}", *flags)
    assert alone.returncode == 0, alone.stderr

    devices = run_cli(
        "train", "--strategy=mirrored", f"--workdir={mirrored}", *flags, prelude=TWO_CPUS
    )
    assert (devices.returncode, devices.stderr) == (0, "")
    workers = team(two, *flags)
    assert [(code, err) for code, _, err in workers] == [(0, ""), (0, "")]
    assert f"report: {two / 'report.html'}" in workers[0][1]
    assert "step 3 is done and saved by the first worker" in workers[1][1]

    expected = variables(one, 3)
    for workdir in (mirrored, two):
        found = variables(workdir, 3)
        assert set(found) == set(expected)
        for name, value in expected.items():
            off = np.abs(found[name] - value)
            # A gradient that is next to nothing makes Adam take a whole step in a direction which
            # rounding decides: one weight in a thousand may be off, by the steps' length.
            few = 1e-3 if name.startswith(("generator/", "discriminator/")) else 0
            assert np.mean(off > 1e-5) <= few, f"{name}: {off.max()}"
            assert off.max() <= 3 * 2 * 2e-4, name
        # The second of two writers would leave a second file of events, or lines twice.
        assert {p.name for p in workdir.iterdir()} == {p.name for p in one.iterdir()}
        assert len(list((workdir / "events").iterdir())) == 1
        records = [json.loads(line) for line in (workdir / "metrics.jsonl").open()]
        whole = [json.loads(line) for line in (one / "metrics.jsonl").open()]
        assert [r["step"] for r in records] == [r["step"] for r in whole]
        for record, other in zip(records, whole, strict=True):
            if record["kind"] == "train":
                assert record["losses"] == pytest.approx(other["losses"], rel=1e-4)
    # Where it was trained is no part of what was trained.
    assert (two / "config.json").read_text() == (one / "config.json").read_text()


def test_workers_stop_together_and_end_when_one_is_killed(team, run_cli, tmp_path, tiny):
    flags = (*tiny, "--batch_size=2", "--sample_pairs=8", "--sample_images=1", "--loss=l1")
    flags += ("--steps=100000", "--checkpoint_every=10", "--val_every=0", "--sample_every=0")
    run = tmp_path / "run"

    # SIGTERM to the second alone: both stop at one step, which the first has saved.
    (code, out, err), (other_code, other_out, other_err) = team(run, *flags, number=signal.SIGTERM)
    assert (code, err, other_code, other_err) == (143, "", 143, "")
    stopped = [re.search(r"stopped by SIGTERM at step ([\d,]+) of", o)[1] for o in (out, other_out)]
    step = int(stopped[0].replace(",", ""))
    assert stopped[0] == stopped[1]
    assert max(checkpoints(run)) == step > 0

    # A kill of the second: the first ends, with a sentence, and what it saved is whole.
    (code, out, err), (other_code, _, _) = team(run, number=signal.SIGKILL)
    assert f"continuing from step {step:,} of" in out
    assert (code, other_code) == (1, -9)
    assert err.count("\n") == 1
    assert "another worker has ended or cannot be reached" in err
    last = max(checkpoints(run))
    assert last > step
    assert f"the checkpoint of step {last:,} is intact" in err

    # One alone goes on from there.
    done = run_cli("train", f"--workdir={run}", f"--steps={last + 2}", eagerly=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"continuing from step {last:,} of {last + 2:,}" in done.stdout
    assert max(checkpoints(run)) == last + 2


def checkpoints(workdir):
    return [int(path.name[5:]) for path in (workdir / "checkpoints").glob("step_*")]


# === Refusals, before TensorFlow is imported ===


def config_of(index=0, workers=("a:1", "b:2")):
    cluster = {"worker": list(workers)}
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})


@pytest.mark.parametrize(
    ("environment", "flags", "words"),
    [
        ({}, ["--strategy=multi_worker"], "TF_CONFIG is not set"),
        ({"TF_CONFIG": "{"}, ["--strategy=multi_worker"], "TF_CONFIG is no JSON"),
        (
            {"TF_CONFIG": config_of()},
            ["--strategy=multi_worker", "--batch_size=3"],
            "--batch_size=3 does not divide over the 2 workers",
        ),
        (
            {"TF_CONFIG": config_of()},
            ["--strategy=multi_worker", "--batch_size=2", "--norm=batch"],
            "use --norm=instance",
        ),
        ({"TF_CONFIG": config_of()}, ["--batch_size=2"], "give --strategy=multi_worker"),
        ({}, ["--tpu=local"], "give --strategy=tpu"),
        ({}, ["--strategy=rack"], "invalid choice: 'rack'"),
    ],
)
def test_what_cannot_train_together_is_refused_in_a_sentence(
    run_cli, without_tensorflow, tmp_path, environment, flags, words
):
    variables = {**without_tensorflow, "TF_CONFIG": None, **environment}
    done = run_cli("train", f"--workdir={tmp_path / 'run'}", *flags, env=variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not (tmp_path / "run").exists()
