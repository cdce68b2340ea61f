"""A gallery's files: the scores are `evaluate`'s, the pictures those that were scored, and what was
made before is used as long as it is true."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import tfpix2pix
from tfpix2pix.algorithms.registry import algorithm_class
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import config_of
from tfpix2pix.config.dataset import open_source, resolved
from tfpix2pix.data.palette import load_palette
from tfpix2pix.evaluation.results import Evaluation
from tfpix2pix.evaluation.sharpness import gradient
from tfpix2pix.evaluation.subjects import ModelSubject
from tfpix2pix.gallery import judged
from tfpix2pix.gallery.judged import How, JudgedRun
from tfpix2pix.gallery.making import open_galleries, run_names, write_gallery
from tfpix2pix.inference import load
from tfpix2pix.training.checkpoints import Checkpoints

VAL = 10


@pytest.fixture(scope="module")
def runs(make_run, tmp_path_factory) -> list[Path]:
    """Two runs that differ in their weights and one setting. Other tests' galleries are in them."""
    root = tmp_path_factory.mktemp("runs")
    return [
        make_run(root / "one"),
        make_run(root / "other", std=0.3, lambda_l1=10.0),
    ]


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("page")
    said: list[str] = []
    page = write_gallery(runs, folder, How(seed=3), say=said.append)
    assert page == folder / "gallery.html"
    assert not said
    return folder, json.loads((folder / "gallery.json").read_text())


def variant(run: Path, folder: Path, **changes) -> Path:
    """A copy of a run with another config, of the same networks."""
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("gallery"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


def picture(folder: Path, where: str, index: int) -> np.ndarray:
    return np.asarray(Image.open(folder / where / f"{index:05d}.png"))


def test_scores_are_those_of_evaluate(runs, written, tmp_path):
    _, gallery = written
    for run, shown in zip(runs, gallery["runs"], strict=True):
        evaluation = tfpix2pix.evaluate(
            run, metrics="l1,ssim,psnr,chroma", rank_by="ssim", seed=3, output=tmp_path / "e"
        )
        assert shown["scores"]["ssim"] == list(evaluation.ranked.values)
        for number in ("l1", "ssim", "psnr", "chroma", "chroma_ratio"):
            assert shown["numbers"][number] == evaluation.numbers[number]
            assert shown["errors"][number] == evaluation.errors[number]
        statistics = Evaluation.load(tmp_path / "e").statistics
        for number in ("l1", "psnr"):
            assert shown["scores"][number] == statistics[number][number].tolist()
        ratio = statistics["chroma"]["fake_mean"] / statistics["chroma"]["truth_mean"]
        np.testing.assert_allclose(shown["scores"]["chroma_ratio"], ratio)
        assert gallery["names"] == list(evaluation.names)
    one, other = (run["scores"]["l1"] for run in gallery["runs"])
    assert one != other


def test_scores_are_of_the_pictures_that_are_shown(written):
    """By another library's formula."""
    folder, gallery = written
    assert len(gallery["names"]) == VAL
    for run in gallery["runs"]:
        for i in range(VAL):
            y, fake = (picture(folder, at, i) for at in (gallery["target"], run["folder"]))
            assert y.shape == fake.shape == (32, 32, 3)
            psnr = peak_signal_noise_ratio(y, fake, data_range=255)
            assert run["scores"]["psnr"][i] == pytest.approx(psnr)
    shown = {measure["name"] for measure in gallery["measures"] if not measure["truth"]}
    assert set(gallery["runs"][0]["scores"]) == shown
    assert "grid" not in shown  # a single picture has none
    assert set(gallery["truth"]) == {"sharpness_truth"}
    assert gallery["headline"] == ["l1", "psnr", "ssim"]
    assert [run["name"] for run in gallery["runs"]] == ["one", "other"]
    assert gallery["runs"][0]["about"] == "step 5 · noise of seed 3"
    assert gallery["runs"][1]["settings"]["lambda_l1"] == "10.0"


def test_pictures_are_those_of_translate(runs, written):
    folder, gallery = written
    model = tfpix2pix.load(runs[1])
    x = picture(folder, gallery["input"], 7)
    np.testing.assert_array_equal(
        picture(folder, gallery["runs"][1]["folder"], 7), model.translate(x, seed=3)
    )


def test_a_second_start_makes_nothing(runs, written, tmp_path):
    """And needs no TensorFlow, which takes seconds to import."""
    code = (
        "import sys; from tfpix2pix.gallery.making import How, write_gallery; "
        f"write_gallery({list(map(str, runs))!r}, {str(tmp_path / 'again')!r}, How(seed=3)); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    folder, gallery = written
    assert json.loads((tmp_path / "again" / "gallery.json").read_text()) == gallery
    for file in (folder / "gallery").rglob("*.png"):
        again = tmp_path / "again" / file.relative_to(folder)
        assert again.read_bytes() == file.read_bytes()


def makes(monkeypatch, run: Path, folder: Path, how: How | None = None) -> bool:
    """Whether a gallery of a run makes pictures."""
    made = []
    evaluate = ModelSubject.evaluate

    def counted(self, *args):
        made.append(self)
        return evaluate(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(ModelSubject, "evaluate", counted)
        write_gallery([run], folder, how)
    return bool(made)


def test_what_is_kept_is_never_stale(runs, make_run, tmp_path, monkeypatch):
    run = variant(runs[0], tmp_path / "run", sample_pairs=8)
    page = tmp_path / "page"
    assert makes(monkeypatch, run, page)
    assert not makes(monkeypatch, run, page)
    before = (page / "gallery" / "1" / "00000.png").read_bytes()
    make_run(run, std=0.4, sample_pairs=8)  # another checkpoint of the same step
    monkeypatch.setattr(judged, "KEPT", 1)
    assert makes(monkeypatch, run, page)
    assert (page / "gallery" / "1" / "00000.png").read_bytes() != before
    # Of the many that would come together a few stay.
    (kept,) = (run / "gallery").iterdir()
    # What was damaged, or was not finished, is made anew.
    (kept / "output" / "00001.png").write_bytes(b"")
    assert makes(monkeypatch, run, page)


def test_other_pictures_are_kept_by_other_names(runs, tmp_path):
    hows = [
        How(), How(seed=1), How(limit=1), How(split="test"), How(size=48), How(deterministic=True),
    ]  # fmt: skip
    keys = {JudgedRun(str(runs[0]), how).key for how in hows}
    keys |= {JudgedRun(str(variant(runs[0], tmp_path / "other", seed=1)), How()).key}
    assert len(keys) == len(hows) + 1
    assert JudgedRun(str(runs[0]), How(split="val")).key in keys


def test_a_run_that_cannot_be_written_to_is_shown_too(runs, tmp_path, capsys):
    run = variant(runs[0], tmp_path / "run", sample_pairs=8)
    (run / "gallery").write_text("")  # as a folder without permission, for root too
    write_gallery([run], tmp_path / "page", How(limit=1))
    assert (tmp_path / "page" / "gallery" / "1" / "00000.png").is_file()
    assert "made anew each time" in capsys.readouterr().out
    assert (run / "gallery").is_file()


def test_classes_are_shown_in_colours(make_run, tmp_path):
    """And where nothing is measured the target is, as `evaluate` has it."""
    told = json.loads(load_palette("facades").to_json())
    told["classes"][2]["void"] = True
    (tmp_path / "palette.json").write_text(json.dumps(told))
    palette = load_palette(tmp_path / "palette.json")
    run = make_run(
        tmp_path / "run",
        palette=palette.to_json(),
        label_palette=str(tmp_path / "palette.json"),
        sample_pairs=8,
        direction="BtoA",
        label_side="target",
        target_encoding="onehot",
        target_channels=len(palette),
        target_ignore="void",
    )
    write_gallery([run], tmp_path / "page")
    gallery = json.loads((tmp_path / "page" / "gallery.json").read_text())
    for where in (gallery["target"], "gallery/1"):
        shown = picture(tmp_path / "page", where, 0)
        colours = {tuple(colour) for colour in shown.reshape(-1, 3).tolist()}
        assert colours <= {tuple(each.color) for each in palette.classes}
        assert len(colours) > 1
    assert {"labels_iou", "labels_per_pixel"} <= set(gallery["runs"][0]["scores"])
    y, fake = (picture(tmp_path / "page", at, 1) for at in (gallery["target"], "gallery/1"))
    counted = ~palette.void[palette.to_classes(y)]
    assert not counted.all()
    assert (y == fake)[~counted].all()
    assert gallery["note"].endswith("not measured: there all outputs show the target.")
    right = (y == fake).all(axis=-1)[counted].mean()
    assert gallery["runs"][0]["scores"]["labels_per_pixel"][1] == pytest.approx(right)


@pytest.fixture
def folder_run(runs, tmp_path):
    """`folder_run(name, splits)`: a run on pairs side by side, so many of each split."""

    def make(name: str, splits: dict[str, int]) -> Path:
        random = np.random.default_rng(len(name))
        for split, count in splits.items():
            (tmp_path / f"{name}-data" / split).mkdir(parents=True)
            for i in range(count):
                pair = random.integers(0, 256, (32, 64, 3), np.uint8)
                Image.fromarray(pair).save(tmp_path / f"{name}-data" / split / f"{i}.png")
        return variant(runs[0], tmp_path / name, dataset=str(tmp_path / f"{name}-data"))

    return make


def test_a_run_without_val_shows_what_there_is(folder_run, tmp_path):
    run = folder_run("run", {"train": 3})
    said: list[str] = []
    write_gallery([run], tmp_path / "page", say=said.append)
    gallery = json.loads((tmp_path / "page" / "gallery.json").read_text())
    assert gallery["note"] == "The data set has no val split: these are its train pairs."
    assert said[0] == "note: the data set has no val split: these are its train pairs"
    assert gallery["note"] in (tmp_path / "page" / "gallery.html").read_text()
    with pytest.raises(UserError, match="its val split is empty; give --split=train"):
        write_gallery([run], tmp_path / "page", How(split="val"))


@pytest.fixture
def sides(tmp_path) -> dict[str, str]:
    """Flags of images without pairs: A has three of each split, B five."""
    random = np.random.default_rng(1)
    for side, count in (("A", 3), ("B", 5)):
        for split in ("train", "val"):
            (tmp_path / side / split).mkdir(parents=True)
            for i in range(count):
                image = random.integers(0, 256, (32, 32, 3), np.uint8)
                Image.fromarray(image).save(tmp_path / side / split / f"{side}{i}.png")
    return {"input_dir": str(tmp_path / "A"), "target_dir": str(tmp_path / "B")}


def test_images_without_pairs(runs, sides, tmp_path):
    """Inputs and outputs, with the scores that need no target of their own."""
    run = variant(runs[0], tmp_path / "run", dataset="", data="unpaired", **sides)
    write_gallery([run], tmp_path / "page")
    gallery = json.loads((tmp_path / "page" / "gallery.json").read_text())
    assert (gallery["unit"], gallery["target"], gallery["truth"]) == ("image", None, {})
    assert gallery["names"] == ["A0", "A1", "A2"]
    assert not (tmp_path / "page" / "gallery" / "target").exists()
    scores = gallery["runs"][0]["scores"]
    assert not {"l1", "psnr", "ssim", "sharpness_truth"} & set(scores)
    fakes = [picture(tmp_path / "page", "gallery/1", i) for i in range(3)]
    truths = [np.asarray(Image.open(tmp_path / "B" / "val" / f"B{i}.png")) for i in range(5)]
    np.testing.assert_allclose(scores["sharpness"], gradient(np.stack(fakes)))
    mean = gradient(np.stack(truths)).mean()
    np.testing.assert_allclose(scores["sharpness_ratio"], gradient(np.stack(fakes)) / mean)


def test_both_directions_of_a_run(sides, tmp_path):
    """One gallery for each, which link to each other; or the one that is asked for."""
    run, page = tmp_path / "run", tmp_path / "page"
    values = {"crop_size": 32, "load_size": 32, "ngf": 2, "ndf": 2, "lambda_identity": 0.0}
    values |= {"generator": "unet", "bottleneck": 8}
    config = config_of({"algorithm": "cyclegan", "dataset": "", **values, **sides})
    source = open_source(config)
    source.check()
    config = resolved(config, source.spec)
    run.mkdir()
    config.save(run)
    Checkpoints(run, keep=1).save(algorithm_class("cyclegan")(config).state(), 5, {"best": None})
    assert write_gallery([run], page) == page / "gallery.html"
    for place, names, other in (
        ("gallery", ["A0", "A1", "A2"], '<a href="gallery-BtoA.html">BtoA</a>'),
        ("gallery-BtoA", ["B0", "B1", "B2", "B3", "B4"], '<a href="gallery.html">AtoB</a>'),
    ):
        gallery = json.loads((page / f"{place}.json").read_text())
        assert gallery["names"] == names
        assert gallery["input"] == f"{place}/input"
        for i, name in enumerate(names):
            source = tmp_path / name[0] / "val" / f"{name}.png"
            expected = np.asarray(Image.open(source))
            np.testing.assert_array_equal(picture(page, gallery["input"], i), expected)
        assert (page / gallery["runs"][0]["folder"] / f"{len(names) - 1:05d}.png").is_file()
        assert other in (page / f"{place}.html").read_text()
    made = load(run, direction="BtoA").translate(np.asarray(Image.open(source)), seed=0)
    np.testing.assert_array_equal(picture(page, "gallery-BtoA/1", 4), made)
    said: list[str] = []
    (only,) = open_galleries([run], How(direction="BtoA"), say=said.append)
    assert (only.page, only.direction, only.count) == ("gallery.html", "BtoA", 0)  # it was made
    (first,) = open_galleries([run], How(direction="AtoB"), say=said.append)
    assert (first.direction, said) == ("AtoB", [])


def test_runs_that_do_not_go_together(runs, folder_run, tmp_path, monkeypatch):
    def never(*args):
        raise AssertionError("it is refused before pictures are made")

    monkeypatch.setattr(ModelSubject, "evaluate", never)
    one = runs[0]
    larger = variant(one, tmp_path / "larger", crop_size=64, load_size=64)
    fewer = variant(one, tmp_path / "fewer", sample_pairs=8)
    town = variant(one, tmp_path / "town", seed=8)
    files = folder_run("files", {"train": 1, "val": VAL})
    for other, words in {
        larger: "are of different sizes (32x32 and 64x64); give one for both, such as --size=32",
        fewer: "have different val splits (10 and 2 images)",
        town: "different val images of the same names (the sample set is another one for every",
        files: "have different val splits (one has val_0000 where the other has 0)",
        one: "was given twice",
        tmp_path / "none": "none",
    }.items():
        with pytest.raises(UserError) as refused:
            write_gallery([one, other], tmp_path / "page")
        assert words in str(refused.value)
        assert str(other) in str(refused.value)
    assert not (tmp_path / "page").exists()


def test_a_run_without_a_checkpoint(runs, tmp_path):
    run = shutil.copytree(runs[0], tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match="has no checkpoint yet; train it first"):
        write_gallery([run], tmp_path / "page")


def test_a_folder_of_somebody_elses_is_left_alone(runs, tmp_path):
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "mine.png").write_bytes(b"mine")
    with pytest.raises(UserError, match="is no gallery of ours"):
        write_gallery(runs[:1], tmp_path, How(seed=3))
    assert (tmp_path / "gallery" / "mine.png").read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["gallery"]


def test_names_of_runs_are_short_and_differ():
    assert run_names(["a/run", "b/run", "b/other"]) == ["a/run", "b/run", "b/other"]
    assert run_names(["runs/one", "runs/two"]) == ["one", "two"]
