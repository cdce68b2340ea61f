"""`evaluate`: a run, its translations and its export score alike; what cannot be scored is said."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from tfpix2pix.config.dataset import open_source
from tfpix2pix.data import write_image

RUN_METRICS = "--metrics=l1,psnr,ssim,sharpness"
VAL = 2  # of the tiny run's sample set


@pytest.fixture(scope="module")
def results(trained, run_command, tmp_path_factory, trained_config):
    """The run evaluated; its val inputs translated by the command; the translations evaluated."""
    root = tmp_path_factory.mktemp("evaluated")
    run = shutil.copytree(trained, root / "run")
    from tfpix2pix.data import open_store

    store = open_store(open_source(trained_config), "val", size=32)
    for i in range(store.count):
        (root / "in").mkdir(exist_ok=True)
        write_image(root / "in" / f"{store.pair_name(i)}.png", store.pair(i)[0])
    done = {}
    for name, words in {
        "run": ("evaluate", "--workdir=run", RUN_METRICS, "--seed=4"),
        "translate": ("translate", "--workdir=run", "--input=in", "--output=out", "--seed=4"),
        "predictions": (
            *("evaluate", "--predictions=out", "--dataset=sample", "--sample_pairs=8"),
            RUN_METRICS,
        ),
    }.items():
        done[name] = run_command(*words, cwd=root)
        assert (done[name].returncode, done[name].stderr) == (0, ""), done[name].stderr
    return root, run, done


def metrics(folder) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_a_run_scores_digit_for_digit_as_its_translations(results):
    root, run, _ = results
    one, other = metrics(run / "evaluation" / "val"), metrics(root / "evaluation" / "out-val")
    for key in ("numbers", "standard_errors", "targets_sha256", "pictures_sha256", "images"):
        assert one[key] == other[key], key
    assert one["statistics_sha256"] == other["statistics_sha256"]
    assert one["images"] == VAL
    assert one["model"]["step"] == 6
    assert one["model"]["path"] == "run"
    assert one["seed"] == 4
    assert other["model"] == {"path": "out", "step": None, "checkpoint": None}


def test_the_table_has_the_numbers_of_the_file(results):
    _, run, done = results
    numbers = metrics(run / "evaluation" / "val")["numbers"]
    lines = done["run"].stdout.splitlines()
    assert "run at step 6, noise of seed 4" in lines
    assert re.split(r"\s{2,}", next(line for line in lines if line.startswith("L1")))[:2] == [
        "L1",
        f"{numbers['l1']:.4f}",
    ]
    assert any(re.match(r"PSNR \(dB\) .* higher is better", line) for line in lines)
    assert lines[-1] == "page: run/evaluation/val/evaluation.html"
    assert (run / "evaluation" / "val" / "evaluation.html").is_file()
    assert {path.name for path in (run / "evaluation" / "val").iterdir()} == {
        "metrics.json",
        "statistics.npz",
        "evaluation.html",
    }


def test_the_same_command_writes_the_same_files(results, run_command, tmp_path):
    root, run, _ = results
    before = {path.name: path.read_bytes() for path in (run / "evaluation" / "val").iterdir()}
    done = run_command("evaluate", "--workdir=run", RUN_METRICS, "--seed=4", cwd=root)
    assert done.returncode == 0
    after = {path.name: path.read_bytes() for path in (run / "evaluation" / "val").iterdir()}
    assert after == before


def test_an_export_is_scored_on_its_runs_data_by_all_that_fits(results, run_command):
    root, _, _ = results
    done = run_command("export", "--workdir=run", "--output=exported", "--formats=tflite", cwd=root)
    assert done.returncode == 0, done.stderr
    done = run_command(
        *("evaluate", "--model=exported", "--samples=3", "--seed=4", "--split=test"),
        *("--label_palette=facades", "--limit=1", "--output=export-scores", "--rank_by=ssim"),
        cwd=root,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = metrics(root / "export-scores")
    assert found["numbers"]["diversity"] > 0
    assert (found["images"], found["split"], found["samples"]) == (1, "test", 3)
    assert found["classes"][:2] == ["background", "facade"]
    # One image says nothing about others.
    assert set(found["standard_errors"].values()) == {None}
    assert "SSIM" in done.stdout
    assert "Best and worst by SSIM" in (root / "export-scores" / "evaluation.html").read_text()


def test_the_scorers_ground_truth_row_is_always_printed(results, run_command, scorer):
    root, _, _ = results
    done = run_command(
        *("evaluate", "--workdir=run", "--label_palette=facades", f"--scorer={scorer}"),
        *("--metrics=fcn,grid,swd,scorer_kid,scorer_fid", "--output=fcn"),
        cwd=root,
        charts=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = metrics(root / "fcn")
    for part in ("per_pixel", "per_class", "iou"):
        assert 0 <= found["numbers"][f"fcn_truth_{part}"] <= 1
    assert "FCN class IoU, truth" in done.stdout
    assert "on its own val split per-pixel 0.5000" in done.stdout
    assert found["scorer"]["val"]["images"] == 7
    assert {"plaid_flat", "swd_quarter", "scorer_kid", "scorer_fid"} <= {*found["numbers"]}
    assert found["numbers"]["scorer_fid"] > 0
    assert found["numbers"]["grid"] is not None
    page = (root / "fcn" / "evaluation.html").read_text()
    for title in ("The scorer on the generated pictures", "The scorer on the true photographs"):
        assert title in page


# === Refusals ===


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "--workdir, --model or --predictions is missing"),
        (("--workdir=RUN", "--model=x"), "--workdir and --model were given"),
        (("--workdir=nowhere",), "no config.json there"),
        (("--model=nowhere",), "no such file or folder"),
        (("--workdir=RUN", "--split=validation"), "expected train, val, test"),
        (("--workdir=RUN", "--metrics=l1,sim"), "there is no metric 'sim'; did you mean 'ssim'?"),
        (("--workdir=RUN", "--metrics=,"), "no metric is named"),
        (("--workdir=RUN", "--size=8"), "expected 16 to 4096"),
        (("--workdir=RUN", "--limit=-1"), "expected a number of pairs"),
        (("--workdir=RUN", "--samples=0"), "expected 1 or more"),
        (("--workdir=RUN", "--seed=9223372036854775807", "--samples=2"), "does not fit in 64 bits"),
        (("--workdir=RUN", "--metrics=fcn"), "needs the class of every pixel"),
        (("--workdir=RUN", "--metrics=labels"), "needs the class of every pixel"),
        (("--workdir=RUN", "--metrics=diversity"), "ask for more with --samples=8"),
        (("--workdir=RUN", "--metrics=fcn", "--label_palette=facades"), "needs a trained scorer"),
        (("--workdir=RUN", "--metrics=labels", "--label_palette=facades"), "labels are the input"),
        (("--workdir=RUN", "--label_palette=facade"), "did you mean 'facades'"),
        (("--workdir=RUN", "--scorer=nowhere"), "nowhere"),
        (("--workdir=RUN", "--rank_by=sharpness"), "--rank_by=sharpness: expected a number"),
        (("--workdir=RUN", "--dataset=nowhere"), "no such folder"),
        (("--model=x", "--checkpoint=best"), "is for --workdir"),
        (("--predictions=out",), "--dataset is missing"),
        (("--predictions=nowhere", "--dataset=sample"), "no such folder"),
        (("--predictions=out", "--dataset=sample", "--samples=2"), "--predictions are made alread"),
        (("--predictions=out", "--dataset=sample", "--seed=1"), "--predictions are made already"),
        (("--workdir=RUN", "--output=file/below"), "file is a file"),
        (("--workdir=RUN", "--output=taken"), "holds other files (thesis.tex)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    refused, trained, tmp_path, hashes, flags, said
):
    (tmp_path / "file").write_text("")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("years")
    before = hashes(tmp_path)
    assert said in refused("evaluate", *(flag.replace("RUN", str(trained)) for flag in flags))
    assert hashes(tmp_path) == before
    assert not (trained / "evaluation").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--label_palette=camvid",), "trained for the palette 'facades'"),
        (("--label_palette=facades", "--size=64"), "images of 32 pixels and would be shown 64"),
        (("--label_palette=facades", "--metrics=l1"), "--metrics=l1 leaves these out"),
        (("--metrics=fcn",), "needs the class of every pixel"),
    ],
    ids=["palette", "size", "not asked for", "no palette"],
)
def test_a_scorer_of_another_kind(refused, trained, scorer, pairs, flags, said):
    assert said in refused("evaluate", f"--workdir={trained}", f"--scorer={scorer}", *flags)


def test_an_empty_split(refused, trained, pairs):
    said = refused("evaluate", f"--workdir={trained}", f"--dataset={pairs}", "--split=test")
    assert "its test split is empty; give --split=train or val" in said


def test_pairs_of_another_kind_than_the_run_knows(refused, trained, pairs, draw):
    said = refused("evaluate", f"--workdir={trained}", "--color_space=lab", f"--dataset={pairs}")
    assert "--color_space=lab" in said or "was trained on RGB" in said


def test_names_that_do_not_match(refused, pairs, draw, tmp_path):
    draw(tmp_path / "out" / "0.png", 32, 32)
    draw(tmp_path / "out" / "seven.png", 32, 32)
    said = refused("evaluate", "--predictions=out", f"--dataset={pairs}")
    assert "1 of 2 val pairs have no picture (1)" in said
    assert "1 of 2 pictures belong to no val pair (seven)" in said


def test_a_broken_target_is_named_and_nothing_is_written(refused, trained, pairs, tmp_path):
    (pairs / "val" / "1.png").write_text("no picture")
    said = refused(
        *("evaluate", f"--workdir={trained}", f"--dataset={pairs}", "--output=scores"),
        early=False,
    )
    assert "1.png" in said
    assert not (tmp_path / "scores").exists()
