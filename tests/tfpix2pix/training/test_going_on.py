"""Other weights to start from, another learning rate on the way, the same pairs elsewhere."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import load_config
from tfpix2pix.data import open_dataset
from tfpix2pix.training.batches import changes
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.history import read_history
from tfpix2pix.training.workdir import workdir_and_config

pytestmark = pytest.mark.usefixtures("eagerly")
TINY = {
    "crop_size": 32,
    "load_size": 36,
    "ngf": 2,
    "ndf": 2,
    "norm": "instance",
    "bottleneck": 4,
    "batch_size": 2,
    "log_every": 2,
    "val_every": 0,
    "sample_every": 0,
    "sample_images": 1,
}


def draw(folder, first=0, channels=3, count=6):
    """Side-by-side pairs of 40 px: B is A, inverted."""
    (folder / "train").mkdir(parents=True)
    for index in range(first, first + count):
        a = np.random.default_rng(index).integers(0, 256, (40, 40, channels), np.uint8)
        pair = np.concatenate([a, 255 - a], axis=1)
        Image.fromarray(pair.squeeze()).save(folder / "train" / f"{index}.png")
    return folder


def stored(run, part):
    return Checkpoints(run).parts()[1](part)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of four steps on its own pairs, with averages."""
    folder = tmp_path_factory.mktemp("finished")
    run = folder / "run"
    tfpix2pix.train(draw(folder / "pairs"), workdir=run, steps=4, ema=0.9, **TINY)
    return run


@pytest.fixture
def other(tmp_path):
    """Other pairs."""
    return draw(tmp_path / "other", first=100)


# === --init_from ===


def test_a_new_run_starts_from_the_weights_and_not_from_the_moments(finished, other, tmp_path):
    run = tmp_path / "run"
    again = tfpix2pix.train(other, workdir=run, init_from=finished, steps=1, learning_rate=0.0)
    assert (again.steps_done, again.trained_now) == (1, 1)
    for part in ("generator", "discriminator", "generator_average"):
        old, new = stored(finished, part), stored(run, part)
        assert old.keys() == new.keys()
        for name in old:
            # The average has moved towards the weights by a step; nothing else has moved.
            assert np.allclose(new[name], old[name], atol=0 if part[-1] == "r" else 1e-2), name
    made = json.loads((run / "run.json").read_text())["init_from"]
    assert made == {"run": str(finished), "step": 4}
    config, saved = load_config(run), load_config(finished)
    assert (config.ngf, config.norm, config.ema, config.crop_size) == (2, "instance", 0.9, 32)
    assert config.init_from == str(finished)
    assert f"{finished}, step 4" in (run / "report.html").read_text()
    assert saved.steps == 4


def test_it_goes_on_to_the_bit_without_the_other_run(finished, other, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    settings = {"init_from": copy, "checkpoint_every": 0}
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    tfpix2pix.train(other, workdir=whole, steps=3, **settings)
    tfpix2pix.train(other, workdir=pieces, steps=1, **settings)
    shutil.rmtree(pieces / "checkpoints" / "step_00000001")
    shutil.rmtree(copy)  # killed after the weights were put in: they stand in the run's own folder
    assert Checkpoints(pieces).steps() == [0]
    tfpix2pix.train(workdir=pieces, steps=3)
    again = tfpix2pix.train(other, workdir=pieces, steps=3, init_from=copy)
    assert again.trained_now == 0
    for part in ("generator", "discriminator", "generator_average"):
        one, two = stored(whole, part), stored(pieces, part)
        assert all(np.array_equal(one[name], two[name]) for name in one)


def test_layers_for_other_channels_start_anew_with_a_note(finished, tmp_path, capsys):
    grey = draw(tmp_path / "grey", channels=1)
    tfpix2pix.train(grey, workdir=tmp_path / "run", init_from=finished, steps=1, learning_rate=0)
    said = capsys.readouterr().out
    assert "of the generator these layers start anew, for another number of channels: " in said
    old, new = stored(finished, "generator"), stored(tmp_path / "run", "generator")
    other = {name for name in old if old[name].shape != new[name].shape}
    layers = {name.split("/")[0] for name in other}
    assert "down1" in layers
    assert all(layer in said for layer in layers)
    assert len(other) < len(old) // 2
    assert all(np.array_equal(old[name], new[name]) for name in old if name not in other)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ngf": 4}, ["--ngf: the run has 2, the command says 4"]),
        ({"preset": "paper"}, ["leave out --preset", "--ngf: the run has 2, the command says 64"]),
        ({"crop_size": 64}, ["--crop_size=64", "--crop_size=32"]),
        ({"dataset": ""}, ["give the pairs to train on"]),
        ({"init_from": "nowhere"}, ["--init_from=", "no such folder"]),
        ({"init_from": "other"}, ["no config.json there"]),
    ],
)
def test_what_does_not_go_together_is_refused(finished, other, tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    settings = {"dataset": str(other), "init_from": str(finished), **given}
    with pytest.raises(UserError) as caught:
        tfpix2pix.train(workdir=tmp_path / "run", **settings)
    for words in said:
        assert words in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_larger_crop_with_a_wider_bottleneck_has_the_same_layers(finished, other):
    given = {"dataset": str(other), "init_from": str(finished), "crop_size": 64, "bottleneck": 8}
    _, config = workdir_and_config("new", given)
    assert (config.crop_size, config.bottleneck, config.load_size) == (64, 8, 72)


def test_one_of_its_checkpoints_may_be_named(finished, other, tmp_path):
    given = {"init_from": finished / "checkpoints" / "step_00000004", "steps": 1}
    tfpix2pix.train(other, workdir=tmp_path / "run", **given)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["init_from"]["step"] == 4


# === The learning rate ===


def test_another_rate_is_taken_with_a_note_and_kept(other, tmp_path, capsys, charts):
    run = tmp_path / "run"
    tfpix2pix.train(other, workdir=run, steps=2, loss="l1", **TINY)
    capsys.readouterr()
    tfpix2pix.train(workdir=run, learning_rate=0.0001, steps=4)
    note = (
        "the learning rate is 0.0001 from step 3 on; by the settings so far it would have been "
        "0.0002"
    )
    assert f"note: {note}" in capsys.readouterr().out
    tfpix2pix.train(workdir=run, steps=6)
    assert "learning rate" not in capsys.readouterr().out
    rates = [r["learning_rate"]["generator"] for r in read_history(run) if r["kind"] == "train"]
    assert rates == [0.0002, 0.0001, 0.0001]
    page = (run / "report.html").read_text()
    assert note in page
    assert "Training: the learning rate" in page


def test_a_rate_that_falls_goes_on_to_the_bit(other, tmp_path):
    # 6 pairs, 2 at a time: an epoch is three steps. Worked out by hand: from step 3 on, with
    # three steps left, whole, two thirds, a third.
    settings = {**TINY, "loss": "l1", "lr_schedule": "linear", "lr_decay_from": "1epochs"}
    settings |= {"log_every": 1, "steps": 6, "learning_rate": 0.003}
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    tfpix2pix.train(other, workdir=whole, checkpoint_every=4, keep_checkpoints=3, **settings)
    shutil.copytree(whole, pieces)
    shutil.rmtree(pieces / "checkpoints" / "step_00000006")
    assert tfpix2pix.train(workdir=pieces).trained_now == 2
    for run in (whole, pieces):
        history = [r for r in read_history(run) if r["kind"] == "train"]
        rates = [record["learning_rate"]["generator"] for record in history]
        assert np.allclose(rates, [0.003, 0.003, 0.003, 0.003, 0.002, 0.001])
    one, two = stored(whole, "generator"), stored(pieces, "generator")
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_fall_that_never_comes_is_said(other, tmp_path, capsys):
    settings = {**TINY, "loss": "l1", "steps": 1, "lr_decay_from": "9epochs"}
    tfpix2pix.train(other, workdir=tmp_path / "a", **settings)
    assert "--lr_decay_from=9epochs does nothing without" in capsys.readouterr().out
    tfpix2pix.train(other, workdir=tmp_path / "b", lr_schedule="linear", **settings)
    assert "--lr_decay_from=9epochs is not before the end" in capsys.readouterr().out


# === Pairs that were moved ===


@pytest.fixture
def run_on_pairs(other, tmp_path):
    run = tmp_path / "run"
    tfpix2pix.train(other, workdir=run, steps=1, loss="l1", **TINY)
    return run


def test_the_same_files_elsewhere_are_continued_with(run_on_pairs, other, tmp_path, capsys):
    moved = tmp_path / "moved"
    other.rename(moved)
    with pytest.raises(UserError, match=r"if they were moved, go on with --dataset=NEW"):
        tfpix2pix.train(workdir=run_on_pairs, steps=2)
    with pytest.raises(UserError, match=r"say with --dataset=FOLDER, .* where they are now"):
        tfpix2pix.evaluate(run_on_pairs, split="train")
    measured = tfpix2pix.evaluate(run_on_pairs, dataset=moved, split="train", metrics="l1")
    assert measured.numbers["l1"] > 0
    again = tfpix2pix.train(moved, workdir=run_on_pairs, steps=2)
    assert again.trained_now == 1
    assert f"before in {other}, are now --dataset={moved}" in capsys.readouterr().out
    assert load_config(run_on_pairs).dataset == str(moved)
    assert tfpix2pix.train(workdir=run_on_pairs, steps=3).trained_now == 1


def test_a_manifest_of_the_same_pairs_will_do(other, tmp_path):
    halves, table = tmp_path / "halves", ["input,target,split"]
    for side, box in (("A", (0, 0, 40, 40)), ("B", (40, 0, 80, 40))):
        (halves / "train" / side).mkdir(parents=True)
        for path in (other / "train").iterdir():
            Image.open(path).crop(box).save(halves / "train" / side / path.name)
    for name in sorted(path.name for path in (other / "train").iterdir()):
        table.append(f"halves/train/A/{name},halves/train/B/{name},train")
    listed = tmp_path / "pairs.csv"
    listed.write_text("\n".join(table))
    folder, manifest = (open_dataset(str(each)).identity() for each in (halves, listed))
    assert changes(folder, manifest) == ""
    # And the fingerprint tells splits apart, and pairs of other contents.
    listed.write_text("\n".join(table).replace("train\n", "val\n", 1))
    assert "other names or contents" in changes(folder, open_dataset(str(listed)).identity())


def test_other_pairs_are_refused(run_on_pairs, other, tmp_path):
    before = load_config(run_on_pairs)
    changed = tmp_path / "changed"
    shutil.copytree(other, changed)
    victim = changed / "train" / "101.png"
    Image.open(victim).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(victim)
    with pytest.raises(UserError) as caught:
        tfpix2pix.train(changed, workdir=run_on_pairs, steps=2)
    assert "other names or contents of files" in str(caught.value)
    assert f"--init_from={run_on_pairs}" in str(caught.value)
    assert load_config(run_on_pairs) == before
    fewer = draw(tmp_path / "fewer", first=100, count=4)
    with pytest.raises(UserError, match=r"'train': 6\} before.*'train': 4\} now"):
        tfpix2pix.train(fewer, workdir=run_on_pairs, steps=2)
