"""benchmarks/split_three.py: a test split that no choice sees, and no neighbours on both sides."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "split_three.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="benchmarks/ is not beside the tests")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("split_three", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def folder(path, train, val):
    for split, names in (("train", train), ("val", val)):
        (path / split).mkdir(parents=True)
        for name in names:
            (path / split / name).write_text(f"{split} {name}")
    (path / "train_index").mkdir()
    return path


def names_of(path):
    return {split.name: {p.name for p in split.iterdir()} for split in path.iterdir()}


def test_of_each_sequence_the_last_frames_are_val_with_a_gap_before_them(script, tmp_path):
    frames = [f"a_{30 * i:05d}.jpg" for i in range(40)] + [f"b_{i}.jpg" for i in range(8, 28)]
    source = folder(tmp_path / "in", frames, ["c_1.jpg"])
    counts = script.split(source, tmp_path / "out", 12, 0, 2)
    assert counts == {"train": 44, "val": 12, "test": 1, "left out": 4}
    found = names_of(tmp_path / "out")
    assert found["val"] == {*frames[32:40], *(f"b_{i}.jpg" for i in range(24, 28))}
    left_out = {"a_00900.jpg", "a_00930.jpg", "b_22.jpg", "b_23.jpg"}
    assert found["train"] == {*frames} - found["val"] - left_out
    assert found["test"] == {"c_1.jpg"}
    assert (tmp_path / "out" / "test" / "c_1.jpg").read_text() == "val c_1.jpg"


def test_bare_numbers_are_drawn_by_the_seed(script, tmp_path):
    names = [f"{i}.jpg" for i in range(1, 41)]
    source = folder(tmp_path / "in", names, ["1.jpg", "2.jpg"])
    drawn = []
    for place, seed in (("one", 0), ("again", 0), ("other", 1)):
        counts = script.split(source, tmp_path / place, 10, seed, 2)
        assert counts == {"train": 30, "val": 10, "test": 2, "left out": 0}
        found = names_of(tmp_path / place)
        assert found["train"] | found["val"] == {*names}
        drawn.append(found["val"])
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("val", [0, 3])
def test_refusals(script, tmp_path, val):
    source = folder(tmp_path / "in", ["1.jpg", "2.jpg", "3.jpg"], ["1.jpg"])
    with pytest.raises(SystemExit, match=f"--val={val}: expected 1 to 2"):
        script.split(source, tmp_path / "out", val, 0, 0)
    with pytest.raises(SystemExit, match="is not empty"):
        script.split(source, source, 1, 0, 0)
