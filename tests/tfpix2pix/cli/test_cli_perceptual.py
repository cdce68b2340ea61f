"""``--perceptual`` from the command line: training, going on, using, and the recipe's rows."""

from __future__ import annotations

import json
import shutil

import numpy as np

from tfpix2pix.scorer.store import load_scorer, save_scorer

FLAGS = ("--sample_pairs=8", "--sample_images=1", "--log_every=1", "--val_every=0")
FLAGS += ("--sample_every=0", "--checkpoint_every=2")


def test_a_run_goes_on_to_the_same_bits_and_with_no_other_scorer(
    run_cli, scorer, tiny, variables, tmp_path
):
    own = shutil.copytree(scorer, tmp_path / "judge")
    flags = (*tiny, *FLAGS)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    done = run_cli(  # the folder as one writes it; what is kept is found from anywhere
        "train", f"--workdir={whole}", "--perceptual=judge", "--steps=4", *flags, cwd=tmp_path,
        eagerly=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((whole / "config.json").read_text())["perceptual"] == str(own)
    records = [json.loads(line) for line in (whole / "metrics.jsonl").open()]
    assert all(r["losses"]["perceptual"] > 0 for r in records if r["kind"] == "train")

    first = ("train", f"--workdir={parts}", f"--perceptual={own}", "--steps=2", *flags)
    assert run_cli(*first, eagerly=True).returncode == 0
    again = ("train", f"--workdir={parts}", "--steps=4")
    kept = load_scorer(own)
    save_scorer(own, kept.facts, {name: value + 1e-3 for name, value in kept.weights.items()})
    refused = run_cli(*again, eagerly=True)
    assert refused.returncode == 2
    assert f"--perceptual={own}: it is not the scorer that this run began with" in refused.stderr
    assert "Traceback" not in refused.stderr
    save_scorer(own, kept.facts, kept.weights)
    done = run_cli(*again, eagerly=True)
    assert done.returncode == 0, done.stderr
    expected, found = variables(whole, 4), variables(parts, 4)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)

    # Whoever uses the run needs no scorer.
    shutil.rmtree(own)
    pictures = whole / "samples" / "inputs"
    done = run_cli(
        "translate", f"--workdir={whole}", f"--input={pictures}", f"--output={tmp_path / 'out'}"
    )
    assert done.returncode == 0, done.stderr
    refused = run_cli("train", f"--workdir={parts}", "--steps=6", eagerly=True)
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
    assert f"{own}: no such folder" in refused.stderr


def test_what_is_no_scorer_leaves_no_workdir(refused, tiny, tmp_path):
    workdir = tmp_path / "run"
    said = refused(
        "train", f"--workdir={workdir}", *tiny, f"--perceptual={tmp_path / 'x'}", early=False
    )
    assert "no such folder; give one that `tfpix2pix train-scorer` wrote" in said
    assert not workdir.exists()


# What a table would train, without a scorer's or a network's step.
ROWS = """
import tfpix2pix.reproduction.recipe as r
r.PAPER = {**r.PAPER, "receptive_field": 16}
r.ROWS = (r.Recipe("paper", "Paper", {}), r.Recipe("seen", "Seen", {}, ("perceptual",)))
import tfpix2pix.reproduction.run as m
m.train_runs = lambda runs, *args, **named: print(
    [(run.variant.key, bool(run.config.perceptual)) for run in runs]) or []
m._with_paces = lambda plan, *rest: plan
"""


def test_rows_of_the_recipe_have_it_where_it_is_given(run_cli, scorer, tmp_path):
    flags = ("reproduce", "--table=recipe", "--seeds=1", "--crop_size=32", "--sample_pairs=8")
    flags += ("--label_palette=facades", "--steps=2", "--stage=train")

    def run(folder, *more):
        words = (*flags, f"--output={tmp_path / folder}", *more)
        done = run_cli(*words, prelude=ROWS)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    code, said = run("plain")
    assert (code, "[('recipe-paper', False)]" in said) == (0, True), said
    code, said = run("seen", f"--perceptual={scorer}")
    assert "[('recipe-paper', False), ('recipe-seen', True)]" in said
    code, said = run("seen", "--rows=seen")  # which goes on with the scorer that it has
    assert (code, "[('recipe-seen', True)]" in said) == (0, True), said
    code, said = run("none", "--rows=paper,seen")
    assert code == 2
    assert "its row seen cannot be trained so: --perceptual is not given" in said
    code, said = run("decided", "--rows=paper", f"--perceptual={scorer}")
    assert code == 2
    assert "--perceptual: the rows of --table=recipe decide it" in said
    code, said = run("judged", f"--perceptual={scorer}", f"--scorer={scorer}", "--stage=all")
    assert code == 2
    assert "is the scorer that judges here" in said
