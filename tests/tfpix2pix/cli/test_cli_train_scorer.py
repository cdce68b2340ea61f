"""`tfpix2pix train-scorer` as a user meets it: from pairs to a scorer, and what it refuses."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base.errors import UserError
from tfpix2pix.scorer import load_scorer

COLORS = np.array([[128, 128, 128], [128, 0, 0], [128, 64, 128], [0, 0, 0]], np.uint8)
FLAGS = ("--size=32", "--width=2", "--init=scratch", "--steps=4", "--val_every=2")


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> Path:
    """Pairs in colours of the palette camvid: labels left, photos right; three in train."""
    folder = tmp_path_factory.mktemp("streets")
    random = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        (folder / split).mkdir()
        for index in range(count):
            classes = np.repeat(np.repeat(random.integers(0, 4, (4, 4)), 8, 0), 8, 1)
            photo = np.clip(COLORS[classes] / 2 + random.normal(60, 20, (32, 32, 3)), 0, 255)
            both = np.concatenate([COLORS[classes], photo.astype(np.uint8)], axis=1)
            Image.fromarray(both).save(folder / split / f"{index}.png")
    return folder


def test_it_trains_a_scorer_and_then_says_that_it_is_done(run_cli, streets, tmp_path, refused):
    output = tmp_path / "scorer"
    command = ("train-scorer", f"--dataset={streets}", f"--output={output}", *FLAGS)
    done = run_cli(*command, eagerly=True)
    assert done.returncode == 0, done.stderr
    assert "the labels are painted in the palette 'camvid'" in done.stdout
    assert "2 images" in done.stdout
    assert "always the commonest class" in done.stdout
    scorer = load_scorer(output)
    assert (scorer.palette.name, scorer.size, scorer.width) == ("camvid", 32, 2)
    assert f"IoU {scorer.val['iou']:.4f}, 2 images" in done.stdout
    facts = json.loads((output / "scorer.json").read_text())
    assert facts["weights_sha256"] == scorer.identity
    assert facts["settings"]["data"]["dataset"] == str(streets)

    before = (output / "weights.npz").read_bytes()
    # What is written does not need TensorFlow to be looked at, nor to be defended.
    assert "another configuration (--width 2 there, 4" in refused(*command, "--width=4")
    again = run_cli(*command)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("already trained: ")
    assert (output / "weights.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--size=100",), "multiple of 32"),
        (("--width=8", "--init=imagenet"), "--width=8"),
        (("--label_palette=camvdi",), "did you mean 'camvid'"),
        (("--learning_rate=fast",), "expected a number"),
        (("--balance=2",), "--balance=2.0 is too large; the largest allowed is 1"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_bad_flags_are_refused_at_once(refused, streets, tmp_path, flags, expected):
    output = tmp_path / "scorer"
    said = refused("train-scorer", f"--dataset={streets}", f"--output={output}", *flags)
    assert expected in said
    assert not output.exists()


def test_a_data_set_without_labels_is_refused(refused, pairs, tmp_path):
    said = refused("train-scorer", f"--dataset={pairs}", f"--output={tmp_path / 'scorer'}")
    assert "--label_palette" in said


def test_an_empty_train_split_is_refused(refused, streets, tmp_path):
    folder = tmp_path / "empty"
    (folder / "train").mkdir(parents=True)
    (folder / "val").symlink_to(streets / "val")
    said = refused("train-scorer", f"--dataset={folder}", f"--output={tmp_path / 'scorer'}")
    assert str(folder) in said


def test_a_folder_that_holds_something_else_is_refused(refused, streets, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    said = refused("train-scorer", f"--dataset={streets}", f"--output={tmp_path}")
    assert "holds other files" in said
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_an_output_below_a_file_is_refused(refused, streets, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    output = tmp_path / "letter.txt" / "scorer"
    said = refused("train-scorer", f"--dataset={streets}", f"--output={output}")
    assert said.startswith(f"tfpix2pix train-scorer: --output={output}")
    assert "is a file" in said


def test_sigterm_saves_what_was_learned(start_cli, streets, tmp_path):
    output = tmp_path / "scorer"
    flags = ("--size=32", "--width=1", "--init=scratch", "--steps=1000000", "--val_every=2")
    process = start_cli("train-scorer", f"--dataset={streets}", f"--output={output}", *flags)
    for line in process.stdout:
        if line.startswith("step 2:"):
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    step = int(re.search(r"stopped by SIGTERM at step ([\d,]+) of", out)[1].replace(",", ""))
    assert (output / "checkpoints" / f"step_{step:08d}" / "meta.json").exists()
    with pytest.raises(UserError, match="not trained to its end"):
        load_scorer(output)
