"""``tfpix2pix reproduce --table=recipe`` from its command line: tiny networks, three rows."""

from __future__ import annotations

import json
import shutil
import signal

import numpy as np
import pytest
from PIL import Image

PAPER = {
    **{"loss": "l1+cgan", "generator": "unet", "receptive_field": 16, "bottleneck": 8},
    **{"norm": "instance", "dropout": 0.5, "ngf": 4, "ndf": 4},
}
ROWS = {"paper": {}, "wide": {"ngf": 24, "ndf": 24}, "plain": {"dropout": 0.0}}
FLAGS = ("--crop_size=32", "--sample_pairs=8", "--sample_images=1")
STEPS = 5
# The table is planned, its steps are found out, and nothing is trained.
PLANNED = "import tfpix2pix.reproduction.run as m; m.train_runs = lambda *args, **named: []"
# Steps of a known length, where a test says how many there are to be.
CLOCK = """
import tfpix2pix.reproduction.timing as timing
class Stepper:
    def __init__(self, run, source, store):
        self.own = {4: 0.01, 24: 0.025}[run.config.ngf] * (1 if run.config.dropout else 0.8)
    def seconds(self, steps):
        return self.own
timing.Stepper = Stepper
"""


def rows_are(**rows) -> str:
    """Python that gives the table these rows, and times them for a second, not for ten."""
    made = ", ".join(f"r.Recipe({key!r}, {key.title()!r}, {new!r})" for key, new in rows.items())
    return (
        f"import tfpix2pix.reproduction.recipe as r; r.PAPER = {PAPER!r}; r.ROWS = ({made},); "
        "import tfpix2pix.reproduction.timing as t; t.TURN = 0.05"
    )


@pytest.fixture(scope="session")
def recipe(run_command, tmp_path_factory):
    """Runs the command with `ROWS`, or others, and returns what it printed."""

    def run(*args, rows=ROWS, code=0, prelude=""):
        done = run_command(
            *("reproduce", "--table=recipe", *args),
            cwd=tmp_path_factory.getbasetemp(),
            timeout=400,
            prelude=f"{rows_are(**rows)}\n{prelude}",
            eagerly=True,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    return run


@pytest.fixture(scope="module")
def two_rows(recipe, scorer, tmp_path_factory):
    """Two rows of two seeds: the folder and what was printed."""
    folder = tmp_path_factory.mktemp("recipe") / "out"
    flags = (*FLAGS, "--label_palette=facades", f"--scorer={scorer}", f"--steps={STEPS}")
    flags = (*flags, f"--output={folder}")
    said = recipe("--rows=paper,wide", "--seeds=2", *flags, prelude=CLOCK)
    return folder, said


def content_of(folder, name="recipe"):
    return json.loads((folder / "results" / f"{name}.json").read_text())


def by_key(content):
    return {row["key"]: row for row in content["rows"]}


def paces_of(folder):
    return json.loads((folder / "reproduction.json").read_text())["paces"]


def scores(folder, row, split="val"):
    """``metrics.json`` of a row's seeds."""
    runs = sorted((folder / "runs" / f"recipe-{row}").iterdir())
    files = [run / "evaluation" / split / "metrics.json" for run in runs]
    return [json.loads(path.read_text())["numbers"] for path in files]


def test_every_row_has_the_steps_that_take_as_long_as_the_papers(two_rows):
    folder, said = two_rows
    paces = paces_of(folder)
    assert paces["recipe-paper"]["ratio"] == 1
    assert paces["recipe-paper"]["steps"] == STEPS
    wide = paces["recipe-wide"]
    assert (wide["ratio"], wide["steps"]) == (pytest.approx(2.5), 2)
    for key, pace in paces.items():
        for seed in (0, 1):
            run = folder / "runs" / key / f"seed{seed}"
            assert json.loads((run / "run.json").read_text())["steps_done"] == pace["steps"]
            config = json.loads((run / "config.json").read_text())
            assert config["val_every"] == -(-pace["steps"] // 4)
            assert config["checkpoint_every"] == -(-pace["steps"] // 8)
    assert "recipe-wide: 2.500 of its seconds, so 2 steps" in said


def test_the_table_has_what_was_measured_and_the_papers_figures_nowhere(two_rows):
    folder, said = two_rows
    content = content_of(folder)
    assert next(iter(content["columns"])) == "fcn_per_pixel"
    assert {"sharpness_ratio", "color_b", "l1", "psnr", "ssim"} <= set(content["columns"])
    assert "sharpness_truth" not in content["columns"]
    assert content["split"] == "val"
    assert content["missing"] == []
    assert "paper" not in content
    rows = by_key(content)
    assert list(rows) == ["paper", "wide", "truth"]
    assert rows["wide"]["settings"]["ngf"] == 24
    assert rows["wide"]["steps"] == paces_of(folder)["recipe-wide"]["steps"]
    assert rows["wide"]["minutes"] > 0
    assert len(content["configs"]) == 4
    assert "as in the paper" not in said
    assert "comparisons with Paper in one column" in said


def test_means_errors_and_differences_are_those_of_numpy(two_rows):
    folder, _ = two_rows
    rows = by_key(content_of(folder))
    for number in ("l1", "psnr", "sharpness_ratio"):
        first, own = ([s[number] for s in scores(folder, row)] for row in ("paper", "wide"))
        assert rows["wide"]["numbers"][number]["values"] == own
        against = rows["wide"]["against"][number]
        assert against["difference"] == pytest.approx(np.mean(own) - np.mean(first))
        over_seeds = np.hypot(*(np.std(some, ddof=1) / np.sqrt(2) for some in (first, own)))
        assert against["standard_error"] >= over_seeds * (1 - 1e-9)
        apart = against["difference"] / against["standard_error"]
        assert against["in_standard_errors"] == pytest.approx(apart)
        if abs(apart) < 2 and number != "sharpness_ratio":
            assert against["verdict"] == "too close to tell"
    assert rows["paper"]["against"] == {}


def test_page_and_pictures(two_rows):
    folder, _ = two_rows
    page = (folder / "report.html").read_text()
    assert "Against Paper" in page
    assert "against the paper's order" not in page
    # The embedded set's own images may be shown.
    whole = Image.open(folder / "grids" / "recipe.png")
    assert Image.open(folder / "results" / "recipe.jpg").size == whole.size
    assert str(folder.parent) not in (folder / "results" / "recipe.json").read_text()
    text = (folder / "results" / "recipe.md").read_text()
    assert "| Against Paper |" in text
    assert "| Wide |" in text


def test_a_further_row_is_added_and_the_others_stay(two_rows, recipe, scorer, tmp_path):
    folder = tmp_path / "out"
    flags = ("--seeds=1", f"--scorer={scorer}", f"--output={folder}")
    shutil.copytree(two_rows[0], folder)
    before, old = paces_of(folder), by_key(content_of(folder))
    stamps = {p: p.stat().st_mtime_ns for p in folder.glob("runs/*/*/checkpoints/*/*")}
    said = recipe("--rows=plain", "--score_split=test", *flags, prelude=CLOCK)
    assert "timing a step of 1 networks" in said
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    after = paces_of(folder)
    assert {key: after[key] for key in before} == before
    assert set(after) == {*before, "recipe-plain"}
    test = content_of(folder, "recipe-test")
    assert test["split"] == "test"
    assert list(by_key(test)) == ["plain", "truth"]  # nothing else is scored on test yet
    assert (folder / "report-test.html").is_file()

    recipe(*flags)
    rows = by_key(content_of(folder))
    assert [(key, row["seeds"]) for key, row in rows.items()] == [
        *(("paper", [0, 1]), ("wide", [0, 1]), ("plain", [0])),
        ("truth", []),
    ]
    assert rows["wide"]["numbers"] == old["wide"]["numbers"]
    assert rows["wide"]["against"] == old["wide"]["against"]


def test_killed_it_continues_with_the_same_steps_and_ends_with_the_same_weights(
    recipe, met_by, tmp_path
):
    flags = ("--rows=paper,plain", "--seeds=1", "--stage=train", *FLAGS, "--steps=4",
             "--checkpoint_every=2", "--val_every=0")  # fmt: skip
    pieces, whole = tmp_path / "pieces", tmp_path / "whole"
    last = pieces / "runs" / "recipe-plain" / "seed0" / "checkpoints"
    # Between two checkpoints of the row without dropout.
    killed = met_by(signal.SIGKILL, "not config.dropout")
    recipe(*flags, f"--output={pieces}", prelude=CLOCK + killed, code=-signal.SIGKILL)
    assert max(path.name for path in last.glob("step_*")) == "step_00000002"
    paces = paces_of(pieces)
    assert paces["recipe-plain"]["steps"] == 5
    shutil.copytree(pieces, whole)
    shutil.rmtree(whole / "runs" / "recipe-plain")  # trained again, without a kill
    for folder in (pieces, whole):
        said = recipe(*flags, f"--output={folder}")
        assert "timing" not in said
        assert ("continuing from step 2 of 5" in said) == (folder == pieces)
        assert paces_of(folder) == paces
    step = f"step_{paces['recipe-plain']['steps']:08d}"
    files = [
        {p.name: p.read_bytes() for p in (run / step).iterdir() if "data" in p.name}
        for run in (last, whole / last.relative_to(pieces))
    ]
    assert files[0]
    assert files[0] == files[1]


def test_the_same_steps_are_no_time(recipe, tmp_path):
    folder = tmp_path / "out"
    flags = ("--rows=paper,wide", "--seeds=1", "--stage=train", "--same=steps", *FLAGS)
    said = recipe(*flags, "--steps=2", f"--output={folder}", prelude=PLANNED)
    assert "timing" not in said
    assert {pace["steps"] for pace in paces_of(folder).values()} == {2}
    said = recipe("--rows=paper", "--same=minutes", f"--output={folder}", code=2)
    assert "the rows of" in said
    assert "have the same steps" in said


def test_a_budget_is_shared_by_all_runs(recipe, tmp_path):
    flags = ("--rows=paper,wide", "--seeds=1", "--stage=train", "--budget=0.05", *FLAGS)
    recipe(*flags, f"--output={tmp_path / 'out'}", prelude=f"{CLOCK}\n{PLANNED}")
    paces = paces_of(tmp_path / "out")  # three seconds are two times 150 steps of 10 ms
    steps = {key: pace["steps"] for key, pace in paces.items()}
    assert steps == {"recipe-paper": 150, "recipe-wide": 60}


def test_a_row_that_was_another_one_is_refused(two_rows, recipe):
    rows = {**ROWS, "wide": {"ngf": 16, "ndf": 24}}
    said = recipe("--rows=paper,wide", f"--output={two_rows[0]}", rows=rows, code=2)
    assert "recipe-wide of" in said
    assert "was another row, with ngf=24" in said


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--table=recipe", "--rows=emma"], "no row 'emma'; did you mean"),
        (["--table=recipe", "--rows="], "there is no row ''"),
        (["--table=losses", "--rows=l1"], "--rows=l1: rows are chosen of --table=recipe"),
        (["--table=losses", "--same=minutes"], "--same=minutes is for --table=recipe"),
        (["--table=recipe", "--same=hours"], "--same=hours: expected minutes or steps"),
        (["--table=recipe", "--score_split=train"], "--score_split=train: expected val or test"),
        (["--table=recipe", "--norm=batch"], "--norm: the rows of --table=recipe decide it"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_flags_that_cannot_be_meant(refused, args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in refused("reproduce", *args, "--output=o")
    assert list(tmp_path.iterdir()) == []
