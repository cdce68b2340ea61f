"""`train --mixed_precision --jit_compile`: what it says, and that every picture is float32's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import tfpix2pix
from tfpix2pix import report
from tfpix2pix.config import load_config


@pytest.fixture(scope="module")
def sittings(run_command, tmp_path_factory, tiny):
    """One run in three precisions: its workdir, and what each sitting printed."""
    root = tmp_path_factory.mktemp("precision")
    flags = ("train", "--workdir=run", "--log_every=1")
    first = ("--sample_pairs=8", "--sample_images=2", "--dropout=0", "--loss=l1", "--val_every=0")
    first += ("--keep_checkpoints=3", "--noise_channels=0")
    said = []
    for more in (
        (*tiny, *first, "--steps=2", "--mixed_precision=bfloat16", "--jit_compile"),
        ("--steps=3", "--mixed_precision=float16", "--nojit_compile"),
        ("--steps=4", "--mixed_precision=none"),
    ):
        eagerly = "--mixed_precision=none" in more  # its one step is looked at by nobody
        done = run_command(*flags, *more, cwd=root, eagerly=eagerly)
        assert (done.returncode, done.stderr) == (0, "")
        said.append((done.stdout, load_config(root / "run")))
    return root / "run", said


def test_it_says_once_that_a_cpu_is_slower_with_them(sittings):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    notes = [[line for line in out.splitlines() if "GPUs" in line] for out, _ in sittings[1]]
    assert notes == [
        [
            "note: --mixed_precision=bfloat16 and --jit_compile are meant for GPUs and make "
            "training slower on this machine, which has none"
        ],
        [
            "note: --mixed_precision=float16 is meant for GPUs and makes training slower on this "
            "machine, which has none"
        ],
        [],
    ]


def test_the_run_goes_on_in_another_precision(sittings):
    workdir, said = sittings
    settings = [(config.mixed_precision, config.jit_compile) for _, config in said]
    assert settings == [("bfloat16", True), ("float16", False), ("none", False)]
    for (out, _), start in zip(said[1:], (2, 3), strict=True):
        assert f"continuing from step {start} of {start + 1}" in out
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").open()]
    assert [r["step"] for r in records if r["kind"] == "val"] == [2, 3, 4]
    losses = {r["step"]: r for r in records if r["kind"] == "train"}
    assert ["skipped" in losses[step] for step in (1, 2, 4)] == [False] * 3
    assert losses.get(3, {"skipped": 0.0})["skipped"] == 0  # or its one step was skipped


@pytest.mark.parametrize("step", [2, 3])
def test_sample_and_translated_pictures_are_those_of_the_float32_network(sittings, step):
    workdir, _ = sittings
    model = tfpix2pix.load(workdir, checkpoint=step)
    assert {layer.compute_dtype for layer in model.generator.layers} == {"float32"}
    # Without dropout and noise beside the input there is no noise in a picture.
    with np.load(workdir / "samples" / "fixed.npz") as fixed:
        pictures = [model.translate(x) for x in fixed["x"]]
    with Image.open(report.strip_path(workdir, step)) as strip:
        found = np.asarray(strip)
    np.testing.assert_array_equal(found.reshape(-1), np.concatenate(pictures).reshape(-1))


def test_what_a_tpu_does_not_do_is_refused(run_cli, without_tensorflow, tmp_path):
    for flag, word in (
        ("--mixed_precision=float16", "--mixed_precision=bfloat16"),
        ("--jit_compile", "--nojit_compile"),
        ("--mixed_precision=half", "not one of none, float16, bfloat16"),
    ):
        done = run_cli("train", "--workdir=run", "--strategy=tpu", flag, env=without_tensorflow)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert word in done.stderr
    assert not (tmp_path / "run").exists()
