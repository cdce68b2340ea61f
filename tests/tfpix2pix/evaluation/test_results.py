"""metrics.json and statistics.npz: whole or not at all, and read strictly."""

from __future__ import annotations

import hashlib
import io
import json
import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tfpix2pix.base import files
from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation.results import Evaluation, check_output

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "made_evaluation.py")))
FACTS, make = made.FACTS, made.make


def test_what_was_saved_is_loaded(tmp_path):
    saved = make()
    assert saved.save(tmp_path / "new" / "results") == tmp_path / "new" / "results"
    loaded = Evaluation.load(tmp_path / "new" / "results")
    assert loaded.numbers == saved.numbers
    assert loaded.errors == saved.errors
    assert loaded.names == saved.names == tuple(f"käse {i}" for i in range(5))
    assert loaded.facts == saved.facts
    for name, statistics in saved.statistics.items():
        assert set(loaded.statistics[name]) == set(statistics)
        for key, values in statistics.items():
            np.testing.assert_array_equal(loaded.statistics[name][key], values)
            assert loaded.statistics[name][key].dtype == values.dtype


def test_the_file_is_strict_json_with_flat_numbers(tmp_path):
    make(images=1).save(tmp_path)  # one image has no standard error

    def no_constant(name):
        raise AssertionError(name)

    text = (tmp_path / "metrics.json").read_text()
    content = json.loads(text, parse_constant=no_constant)
    assert content["numbers"]["l1"] > 0
    assert content["standard_errors"]["l1"] is None
    assert math.isnan(Evaluation.load(tmp_path).errors["l1"])
    packed = (tmp_path / "statistics.npz").read_bytes()
    assert content["statistics_sha256"] == hashlib.sha256(packed).hexdigest()


def test_the_same_evaluation_makes_the_same_files(tmp_path):
    for name in ("one", "other"):
        make().save(tmp_path / name)
    for file in ("metrics.json", "statistics.npz"):
        one, other = ((tmp_path / name / file).read_bytes() for name in ("one", "other"))
        assert one == other, file


@pytest.mark.parametrize("failing", [1, 2])
def test_a_call_that_dies_on_the_way_is_noticed_or_leaves_the_old_results(
    tmp_path, monkeypatch, failing
):
    make().save(tmp_path)
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    calls = 0

    def replace(source, target, real=files.os.replace):
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError("no space left")
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    with pytest.raises(OSError, match="no space"):
        make(seed=1).save(tmp_path)
    monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} == set(old)  # nothing half-written
    if failing == 1:
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old
    else:
        with pytest.raises(UserError, match="interrupted between the two"):
            Evaluation.load(tmp_path)
    make(seed=1).save(tmp_path)
    assert Evaluation.load(tmp_path).numbers == make(seed=1).numbers


# === Damage ===


@pytest.fixture
def saved(tmp_path):
    make().save(tmp_path)
    return tmp_path


def rewritten(folder, change) -> None:
    """Changes the arrays and the digest with them, as somebody who knows the format would."""
    with np.load(folder / "statistics.npz") as arrays:
        content = {key: arrays[key] for key in arrays.files}
    change(content)
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    (folder / "statistics.npz").write_bytes(buffer.getvalue())
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["statistics_sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    (folder / "metrics.json").write_text(json.dumps(metrics))


def test_objects_are_not_unpickled(saved):
    rewritten(saved, lambda arrays: arrays.update(names=np.array([{}] * 5, object)))
    with pytest.raises(UserError, match=r"statistics\.npz is damaged"):
        Evaluation.load(saved)


@pytest.mark.parametrize(
    ("key", "value"),
    [("l1/l1", np.zeros(4)), ("l1/l1", np.array(["a"] * 5)), ("names", np.arange(5))],
    ids=["fewer", "texts", "names"],
)
def test_arrays_that_do_not_fit_are_refused(saved, key, value):
    rewritten(saved, lambda arrays: arrays.update({key: value}))
    with pytest.raises(UserError, match=r"statistics\.npz is damaged"):
        Evaluation.load(saved)


def test_a_flipped_byte_is_noticed(saved):
    content = bytearray((saved / "statistics.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (saved / "statistics.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"statistics\.npz is not of the evaluation"):
        Evaluation.load(saved)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is damaged"),
        ("[]", "is no file of this version"),
        ("{}", "is no file of this version"),
        ('{"format": 1, "statistics_sha256": "a", "numbers": {"l1": "x"}, "standard_errors": {}}',
         "is no file of this version"),
    ],
)  # fmt: skip
def test_a_damaged_metrics_file(saved, text, said):
    (saved / "metrics.json").write_text(text)
    with pytest.raises(UserError, match=said):
        Evaluation.load(saved)


def test_missing_files(saved, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        Evaluation.load(tmp_path / "nowhere")
    (saved / "statistics.npz").unlink()
    with pytest.raises(UserError, match="is missing beside its"):
        Evaluation.load(saved)
    (saved / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"holds no metrics\.json"):
        Evaluation.load(saved)


def test_a_folder_of_other_things_is_not_written_to(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds other files \(thesis\.tex\)"):
        make().save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UserError, match="is a file"):
        check_output(tmp_path / "thesis.tex" / "below")
