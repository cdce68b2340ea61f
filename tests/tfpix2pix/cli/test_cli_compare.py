"""`compare`: from the files of two evaluations alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tfpix2pix.evaluation.results import Evaluation

FACTS = {
    "split": "val",
    "size": 32,
    "targets_sha256": "aa",
    "dataset": {"name": "--dataset=pairs"},
    "model": {"path": "gone", "step": 7},
    "scorer": None,
    "classes": None,
}


def write(folder, values, **facts):
    """A saved evaluation of L1, of models and pictures that are nowhere."""
    values = np.asarray(values, np.float64)
    names = tuple(f"{i:03d}" for i in range(len(values)))
    statistics = {"l1": {"l1": values}}
    Evaluation(
        {"l1": float(values.mean())}, {"l1": math.nan}, names, statistics, {**FACTS, **facts}
    ).save(folder)
    return folder


@pytest.fixture
def two(tmp_path):
    """Two evaluations of 50 images; the second is worse by about 0.05 in each."""
    random = np.random.default_rng(0)
    a = random.random(50)
    write(tmp_path / "a", a)
    write(tmp_path / "b", a + random.normal(0.05, 0.02, 50))
    return tmp_path


def test_models_are_compared_without_pictures_or_tensorflow(two, run_cli, without_tensorflow):
    done = run_cli("compare", "a", "b", "--output=made/c", env=without_tensorflow, fresh=True)
    assert (done.returncode, done.stderr) == (0, "")
    content = json.loads((two / "made" / "c" / "comparison.json").read_text())
    (comparison,) = content["comparisons"]
    found = comparison["numbers"]["l1"]
    assert found["difference"] == pytest.approx(0.05, abs=0.01)
    assert found["low"] < found["difference"] < found["high"]
    assert found["p"] == found["p_holm"] == 1e-4
    assert content["images"] == 50
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("L1")]
    assert row.endswith("0.0001    0.0001  A")
    assert "p (Holm)" in done.stdout
    page = (two / "made" / "c" / "comparison.html").read_text()
    assert f"{found['a']:.4f}" in page
    assert "http" not in page
    # The same again, over the old files.
    again = run_cli("compare", "a", "b", "--output=made/c", env=without_tensorflow)
    assert again.stdout == done.stdout


def test_runs_stand_for_their_evaluations_and_several_are_compared_with_the_first(two, run_cli):
    for name in "ab":
        run = two / f"run_{name}"
        (run / "evaluation").mkdir(parents=True)
        (run / "config.json").write_text("{}")
        (two / name).rename(run / "evaluation" / "val")
    write(two / "c", np.zeros(50))
    done = run_cli("compare", "run_a", "run_b", "c")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("A: run_a") == 2
    assert "B: run_b" in done.stdout
    assert "B: c" in done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "0 models were named"),
        (("a",), "1 models were named"),
        (("a", "nowhere"), "nowhere: no such folder"),
        (("a", "empty"), "holds no metrics.json"),
        (("a", "./a"), "was named twice"),
        (("a", "run"), "run was not evaluated on val yet"),
        (("a", "other_size"), "different sizes (32 and 64)"),
        (("a", "fewer"), "different numbers of images (50 and 9)"),
        (("a", "damaged"), "is not of the evaluation of its metrics.json"),
        (("a", "b", "--output=empty/file"), "empty/file is a file"),
        (("a", "b", "--output=a"), "holds other files (metrics.json)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_does_not_compare(two, refused, hashes, args, said, flip_a_byte):
    write(two / "other_size", np.zeros(50), size=64)
    write(two / "fewer", np.zeros(9))
    write(two / "damaged", np.zeros(50))
    flip_a_byte(two / "damaged" / "statistics.npz")
    (two / "empty").mkdir()
    (two / "empty" / "file").write_text("")
    (two / "run").mkdir()
    (two / "run" / "config.json").write_text("{}")
    before = hashes(two)
    assert said in refused("compare", *args)
    assert hashes(two) == before
