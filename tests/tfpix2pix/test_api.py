"""`tfpix2pix.train`, `evaluate` and `export` beside `load`: what the commands do, from Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfpix2pix
from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import load_config
from tfpix2pix.data import PairArrays
from tfpix2pix.training.history import read_history

SETTINGS = {
    "crop_size": 32,
    "ngf": 4,
    "loss": "l1",
    "steps": 4,
    "log_every": 2,
    "val_every": 0,
    "sample_every": 0,
    "checkpoint_every": 0,
    "sample_images": 1,
}
FLAGS = [f"--{name}={value}" for name, value in SETTINGS.items()]


@pytest.fixture(scope="session")
def train(graphless):
    """`tfpix2pix.train` without graphs."""

    def call(*args, **settings) -> tfpix2pix.api.Outcome:
        with graphless():
            return tfpix2pix.train(*args, **settings)

    return call


def weights(run) -> list[np.ndarray]:
    return [w.numpy() for w in tfpix2pix.load(run).generator.weights]


def assert_same_weights(run, other) -> None:
    for one, two in zip(weights(run), weights(other), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.fixture(scope="module")
def arrays() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    dice = np.random.default_rng(0)

    def images(number: int) -> np.ndarray:
        return dice.integers(0, 256, (number, 40, 40, 3), np.uint8)

    return {"train": (images(5), images(5)), "val": (images(3), images(3))}


@pytest.fixture(scope="module")
def folder(arrays, tmp_path_factory) -> Path:
    """The same pairs as files, side by side."""
    root = tmp_path_factory.mktemp("data") / "pairs"
    for split, sides in arrays.items():
        (root / split).mkdir(parents=True)
        for i, pair in enumerate(zip(*sides, strict=True)):
            Image.fromarray(np.concatenate(pair, axis=1)).save(root / split / f"{i:05d}.png")
    return root


@pytest.fixture(scope="module")
def run(train, folder, tmp_path_factory):
    """Trained on the folder."""
    workdir = tmp_path_factory.mktemp("runs") / "pairs"
    return train(folder, workdir=workdir, **SETTINGS)


@pytest.fixture(scope="module")
def of_arrays(train, arrays, tmp_path_factory):
    """Trained on the arrays."""
    workdir = tmp_path_factory.mktemp("runs") / "arrays"
    return train(arrays, workdir=workdir, **SETTINGS)


# === Train ===


BY_PYTHON = """
import json, sys, tfpix2pix
tfpix2pix.train(sys.argv[1], workdir="by_python", **json.loads(sys.argv[2]))
"""


def test_it_is_the_command(run, folder, run_cli, run_python, tmp_path):
    done = run_cli("train", f"--dataset={folder}", "--workdir=by_command", *FLAGS)
    assert done.returncode == 0, done.stderr
    # In a process of its own as well: what other tests have set here moves the last bits.
    done = run_python(BY_PYTHON, folder, json.dumps(SETTINGS))
    assert done.returncode == 0, done.stderr
    by_command = tmp_path / "by_command"
    assert load_config(by_command) == load_config(tmp_path / "by_python") == load_config(run)
    assert_same_weights(tmp_path / "by_python", by_command)
    assert json.loads((run.workdir / "run.json").read_text())["command"] == (
        f"tfpix2pix.train({str(folder)!r}, workdir={str(run.workdir)!r}, "
        + ", ".join(f"{name}={value!r}" for name, value in SETTINGS.items())
        + ")"
    )


def test_the_outcome_stands_for_its_folder(run):
    assert (run.steps_done, run.steps_total, run.stopped_by) == (4, 4, None)
    assert Path(run) == run.workdir
    assert run.report == run.workdir / "report.html"
    assert "PairSource" not in repr(run)


def test_arrays_give_what_the_same_files_give(run, of_arrays):
    assert_same_weights(run, of_arrays)
    config = load_config(of_arrays)
    assert config.dataset == "python:arrays"
    assert config == load_config(run).replace(dataset="python:arrays")


def test_it_trains_on_and_says_how_it_went(train, run, tmp_path, capsys):
    workdir = tmp_path / "run"
    shutil.copytree(run, workdir)
    capsys.readouterr()
    longer = train(workdir=workdir, steps=np.int64(5))
    said = capsys.readouterr().out.splitlines()
    assert f"continuing from step 4 of 5 in {workdir}" in said
    assert f"to use it: tfpix2pix.load({str(workdir)!r}).translate(image)" in said
    assert said[-1] == f"report: {longer.report}"
    assert longer.trained_now == 1
    again = tfpix2pix.train(workdir=workdir)
    assert again.trained_now == 0
    assert f"already trained: {workdir} has done 5 steps" in capsys.readouterr().out


def test_other_arrays_are_noticed_in_the_same_folder(of_arrays, arrays, capsys):
    x, y = arrays["train"]
    again = tfpix2pix.train({**arrays, "train": (x, 255 - y)}, workdir=of_arrays)
    assert again.trained_now == 0
    assert "note: the data set has changed since this run was last saved" in capsys.readouterr().out


def test_without_a_workdir_other_arrays_get_another_one(train, arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workdir = train(arrays, **{**SETTINGS, "steps": 1}).workdir
    assert workdir == Path("runs", f"arrays-{PairArrays(arrays).digest[:8]}")
    assert PairArrays(arrays["train"]).digest[:8] not in workdir.name


class SetAfter(threading.Event):
    """Set when it has been looked at so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def is_set(self) -> bool:
        self._looks -= 1
        return self._looks < 0


def test_another_thread_stops_it_and_it_continues(train, run, arrays, tmp_path, capsys):
    outcomes = []

    def work() -> None:
        outcomes.append(train(arrays, workdir=tmp_path / "run", stop=SetAfter(2), **SETTINGS))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (stopped,) = outcomes
    assert (stopped.steps_done, stopped.stopped_by, stopped.exit_code) == (2, "SIGINT", 130)
    assert (
        "stopped by SIGINT at step 2 of 4; everything is saved. To continue: "
        f"tfpix2pix.train((x, y), workdir={str(tmp_path / 'run')!r})"
    ) in capsys.readouterr().out
    assert_same_weights(run, train(arrays, workdir=stopped))


# === Evaluate ===


def test_the_numbers_are_the_commands(run, run_cli, tmp_path):
    evaluation = tfpix2pix.evaluate(run, metrics=["l1", "psnr"], seed=3, output=tmp_path / "python")
    done = run_cli(
        *("evaluate", f"--workdir={run.workdir}", "--metrics=l1,psnr", "--seed=3"),
        "--output=command",
    )
    assert done.returncode == 0, done.stderr
    by_command, by_python = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("command", "python")
    )
    assert by_python == by_command
    assert evaluation.numbers == by_command["numbers"]
    assert evaluation.errors == by_command["standard_errors"]
    assert evaluation.page == tmp_path / "python" / "evaluation.html"
    assert evaluation.page.is_file()


def test_an_evaluation_reads_as_a_table(run):
    evaluation = tfpix2pix.evaluate(run, metrics="l1,psnr")
    rows = repr(evaluation).splitlines()
    assert rows[0].split() == [
        "l1",
        f"{evaluation.numbers['l1']:.4f}",
        "±",
        f"{evaluation.errors['l1']:.4f}",
    ]
    assert rows[1].startswith("psnr ")
    assert rows[2:] == [
        "3 images of val",
        f"page: {run.workdir / 'evaluation' / 'val' / 'evaluation.html'}",
    ]


def test_a_run_on_arrays_knows_them_and_a_path_is_told(of_arrays, arrays, run, tmp_path):
    expected = tfpix2pix.evaluate(run, metrics="l1").numbers
    assert tfpix2pix.evaluate(of_arrays, metrics="l1").numbers == expected
    by_path = tfpix2pix.evaluate(
        str(of_arrays.workdir), dataset={"val": arrays["val"]}, metrics="l1"
    )
    assert by_path.numbers == expected
    loaded = tfpix2pix.load(of_arrays)
    held_out = {"test": arrays["val"]}
    of_test = tfpix2pix.evaluate(
        loaded, dataset=held_out, split="test", metrics="l1", output=tmp_path
    )
    assert of_test.numbers == expected
    of_files = tfpix2pix.evaluate(
        predictions=run.workdir / "samples" / "inputs",
        dataset={"val": tuple(side[:1] for side in arrays["val"])},
        metrics="l1",
        output=tmp_path,
        size=32,
    )
    assert of_files.images == 1


# === Export ===


@pytest.fixture(scope="module")
def exported(of_arrays, tmp_path_factory):
    return tfpix2pix.export(
        of_arrays, tmp_path_factory.mktemp("exported"), formats=("tflite",), check_count=2
    )


def test_an_export_is_proved_on_the_arrays_and_opens(exported, of_arrays, arrays):
    assert repr(exported).splitlines() == [
        f"exported to {exported.output}: tflite/generator_float32.tflite",
        f"report: {exported.report}",
    ]
    assert exported.proof.pictures == "2 val pairs of python:arrays"
    image = arrays["val"][0][0]
    picture = tfpix2pix.export.open_model(exported).translate(image, seed=3)
    keras = tfpix2pix.load(of_arrays).translate(image, seed=3)
    assert np.abs(picture.astype(int) - keras.astype(int)).max() <= 1


def test_an_export_is_evaluated(exported, of_arrays, arrays, tmp_path):
    numbers = tfpix2pix.evaluate(
        exported, dataset={"val": arrays["val"]}, metrics="l1", output=tmp_path
    ).numbers
    expected = tfpix2pix.evaluate(of_arrays, metrics="l1").numbers
    assert numbers["l1"] == pytest.approx(expected["l1"], abs=1e-4)


# === What is refused ===


def refused(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ngff": 8}, "there is no setting 'ngff'; did you mean 'ngf'?"),
        ({"ngf": "many"}, "--ngf=many: expected a whole number"),
        ({"crop_size": 33}, "--crop_size=33"),
        ({"preset": "quik"}, "did you mean 'quick'?"),
        ({"strategy": "multi_worker"}, "for the command"),
        ({"strategy": "many"}, "--strategy=many"),
        ({"direction": "BtoA"}, "hand over (y, x)"),
    ],
)
def test_wrong_settings(arrays, settings, words, tmp_path):
    call = {**SETTINGS, **settings}
    assert words in refused(lambda: tfpix2pix.train(arrays, workdir=tmp_path / "new", **call))
    assert not (tmp_path / "new").exists()


def test_data_that_cannot_be_trained_on(arrays, tmp_path):
    def message(dataset) -> str:
        workdir = tmp_path / "new"
        text = refused(lambda: tfpix2pix.train(dataset, workdir=workdir, **SETTINGS))
        assert not workdir.exists()
        return text

    x, y = arrays["train"]
    assert "no pairs are left for training" in message({"val": (x, y)})
    assert "x has 5 images and y 4" in message((x, y[:4]))
    assert "no such folder" in message("nowhere")


def test_another_configuration_and_a_workdir_in_use(run):
    text = refused(lambda: tfpix2pix.train(workdir=run, ngf=8))
    assert "--ngf: the run has 4, the command says 8" in text
    with lock.held(run.workdir, "--workdir", print):
        assert "--workdir=" in refused(lambda: tfpix2pix.train(workdir=run, steps=9))


def test_a_run_on_arrays_without_them(of_arrays, run_cli):
    """By path: from Python, and on the command line, in a sentence that says how to go on."""
    how = "tfpix2pix.train((x, y), workdir=...)"
    assert how in refused(lambda: tfpix2pix.train(workdir=str(of_arrays.workdir)))
    for command in (
        ("train", "--steps=9"),
        ("evaluate",),
        ("export", "--output=exported", "--formats=tflite"),
    ):
        done = run_cli(*command, f"--workdir={of_arrays.workdir}")
        assert done.returncode == 2
        assert how in done.stderr
        assert "Traceback" not in done.stderr


def test_what_cannot_be_evaluated_or_exported(run, tmp_path):
    assert "expected a model, or predictions" in refused(tfpix2pix.evaluate)
    assert "nowhere: no such run" in refused(lambda: tfpix2pix.evaluate("nowhere"))
    assert "did you mean 'psnr'" in refused(lambda: tfpix2pix.evaluate(run, metrics="psnrr"))
    assert "no setting 'ngf'" in refused(lambda: tfpix2pix.evaluate(run, ngf=3))
    text = refused(lambda: tfpix2pix.export(run, tmp_path, formats=["onxx"]))
    assert "did you mean 'onnx'" in text
    assert "--check_count=0" in refused(lambda: tfpix2pix.export(run, tmp_path, check_count=0))


# === The front door ===


def test_it_is_found_and_imports_nothing_heavy():
    code = """
import sys, tfpix2pix
names = ("load", "train", "evaluate", "export")
assert all(name in dir(tfpix2pix) for name in names), dir(tfpix2pix)
assert all(callable(getattr(tfpix2pix, name)) for name in names[1:])
assert not {"tensorflow", "keras", "PIL", "matplotlib"} & {*sys.modules}
import tfpix2pix.export.publish
from tfpix2pix.export import __all__
assert callable(tfpix2pix.export)
assert "export_run" in dir(tfpix2pix.export)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_exports_keywords_are_the_commands_flags():
    from tfpix2pix.cli import export
    from tfpix2pix.cli.flags import Parser
    from tfpix2pix.export.call import KEYWORDS

    parser = Parser(prog="export")
    export.add_flags(parser)
    flags = {flag for group in parser._action_groups[2:] for flag in group._group_actions}
    assert {flag.dest for flag in flags} == {*KEYWORDS, "workdir", "output"}


def test_history_is_that_of_a_run(run):
    assert [r["step"] for r in read_history(run.workdir) if r["kind"] == "train"] == [2, 4]
