"""The page of an export: the format `web`, and exports as `tfpix2pix demo` shows them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")

from tfpix2pix.base.errors import UserError
from tfpix2pix.demo.kinds import Drawn
from tfpix2pix.demo.page import read_list
from tfpix2pix.export import export_run, open_model, verify
from tfpix2pix.export.exporter import Request
from tfpix2pix.export.manifest import Manifest
from tfpix2pix.export.web import runs
from tfpix2pix.export.web.models import models_of, with_names
from tfpix2pix.inference import load

FACADES = (Path(__file__).parents[2] / "data" / "palettes" / "facades.json").read_text("utf-8")


@pytest.fixture(scope="module")
def run(make_run, tmp_path_factory) -> Path:
    """A run of the embedded set, whose inputs are labels in colours without a palette."""
    folder = tmp_path_factory.mktemp("runs") / "my run"
    return make_run(folder, dataset="sample", sample_pairs=8, load_size=40, bottleneck=4)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    """With ONNX files of two precisions."""
    output = tmp_path_factory.mktemp("exported") / "out"
    export_run(run, output, Request(("onnx",), ("none", "float16")), check_count=1)
    return output


def export_page(run: Path, output: Path, *quantize: str, **options):
    request = Request(("web",), quantize or ("none",), **options)
    return export_run(run, output, request, check_count=1)


def test_an_export_on_a_page(run, exported):
    (model,) = models_of(exported, examples=2)
    assert (model.name, model.title, model.precision) == ("my-run", "my run", "float32")
    assert model.file == exported / "onnx" / "generator_float32.onnx"
    assert model.contract == json.loads((exported / "export.json").read_text())["contract"]
    # What the sample says is what Keras makes of it.
    translator, sample = load(run), model.sample
    assert set(sample) == {"x", "z", "y"}
    np.testing.assert_array_equal(sample["z"], translator.noise(sample["x"], [0]))
    found = translator.network(sample["x"], sample["z"])
    np.testing.assert_allclose(sample["y"], found, atol=1e-4, rtol=0)
    assert sample["x"].std() > 0.3
    # Inputs of the val split as files have them.
    assert model.drawn.kind == "labels"
    assert model.drawn.labels["name"] == "sample"
    assert len(model.examples) == 2
    assert all(e.shape == (32, 32, 3) and e.dtype == np.uint8 for e in model.examples)
    assert "float32, " in model.summary()


def test_a_file_of_an_export(exported, tmp_path):
    path = exported / "onnx" / "generator_float16.onnx"
    (model,) = models_of(path)
    assert (model.name, model.precision, model.examples) == ("my-run-float16", "float16", [])
    alone = shutil.copy(path, tmp_path / "alone.onnx")
    (other,) = models_of(alone)
    assert (other.name, other.drawn.kind) == ("sample-float16", "labels")
    assert models_of(path, draw="photo")[0].drawn == Drawn("photo")
    assert models_of(path, draw="lines")[0].drawn == Drawn("lines")
    assert models_of(path, draw="labels")[0].drawn == model.drawn
    names = [(m.name, m.title) for m in with_names([model, other, other])]
    assert names == [
        ("my-run-float16", "my run, float16"),
        ("sample-float16", "sample, float16"),
        ("sample-float16-2", "sample, float16 (2)"),
    ]


def test_what_is_no_export_for_a_page(exported, make_run, runtime_folder, tmp_path):
    def said(path, **options) -> str:
        with pytest.raises(UserError) as caught:
            models_of(path, **options)
        return str(caught.value)

    assert "no such file or folder" in said(tmp_path / "none")
    assert "holds no export.json" in said(tmp_path)
    assert "expected an .onnx file" in said(exported / "export.json")
    assert "is of AtoB; leave --direction out" in said(exported, direction="BtoA")
    other = Path(shutil.copytree(exported, tmp_path / "other"))
    told = json.loads((other / "export.json").read_text())
    for artifact in told["artifacts"]:
        artifact["format"] = "tflite"
    (other / "export.json").write_text(json.dumps(told))
    assert re.search("holds tflite, .* export the run with --formats=onnx", said(other))
    # Data that are gone: refused only where they are asked for.
    gone = make_run(tmp_path / "gone", dataset=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="--examples=2: the run's val images cannot be had"):
        export_page(gone, tmp_path / "out", examples=2)


def test_the_format_web(run, make_run, runtime_folder, tmp_path):
    """Proved from its scripts, published as a whole, joined by another precision, and gone with
    the next checkpoint."""
    output = tmp_path / "out"
    made = export_page(run, output, examples=2, draw="photo")
    (row,) = made.proof.rows
    assert (row.path, row.format, row.engine) == ("web/models/my_run", "web", "onnxruntime")
    assert row.max_difference < 1e-4
    page = output / "web"
    (entry,) = read_list(page)["models"]
    assert entry["input"] == "photo"
    assert len(entry["examples"]) == 2
    manifest = Manifest.load(output)
    named = {*manifest.files, *(f"web/models/{n}" for _, sums in manifest.artifacts for n in sums)}
    there = {p.relative_to(output).as_posix() for p in page.rglob("*") if p.is_file()}
    assert there <= named
    assert verify(output, check_count=1).good
    # The picture of the run.
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    found = open_model(output).translate(picture, seed=4).astype(int)
    assert np.abs(found - load(run).translate(picture, seed=4)).max() <= 1
    assert models_of(output)[0].file[:1]  # a page takes it from there
    export_page(run, output, "float16")
    names = [m["name"] for m in read_list(page)["models"]]
    assert names == ["my_run-float16", "my_run"]
    assert verify(output, check_count=1).good
    script = next((page / "models" / "my_run").glob("generator.onnx.0.js"))
    script.write_text(script.read_text()[:-20])
    with pytest.raises(UserError, match=r"cannot be loaded .*part 0"):
        open_model(page.parent)
    assert not verify(output, check_count=1).good
    settings = {"dataset": "sample", "sample_pairs": 8, "bottleneck": 4}
    other = make_run(tmp_path / "my run", **settings, seed=3)
    export_page(other, output)
    (entry,) = read_list(page)["models"]
    assert (entry["name"], entry["seed"]) == ("my_run", 3)
    assert [path.name for path in (page / "models").iterdir()] == ["my_run"]


def test_a_run_whose_data_are_gone_in_a_folder_that_cannot_be_written(
    make_run, tmp_path, monkeypatch, capsys
):
    """It is proved on a picture that is drawn, and kept elsewhere while it is used."""
    monkeypatch.setattr(runs, "_is_writable", lambda workdir: False)
    run = make_run(tmp_path / "run", dataset=str(tmp_path / "edges2cats"), bottleneck=4)
    runs.check_run(run)
    with runs.exported(run) as folder:
        (model,) = models_of(folder)
        assert (model.title, model.drawn.kind) == ("run", "lines")  # by the data set's name
        assert not folder.is_relative_to(tmp_path)
    assert not folder.exists()
    assert not (run / "demo").exists()
    assert "exporting it to ONNX" in capsys.readouterr().out
    with (
        pytest.raises(UserError, match="val images, which cannot be had"),
        runs.exported(run, dataset=str(tmp_path / "none")),
    ):
        pass


def test_labels_with_a_palette_and_a_latent(make_run, runtime_folder, tmp_path):
    run = make_run(
        tmp_path / "run",
        palette=FACADES,
        **{"dataset": "sample", "sample_pairs": 8, "label_palette": "facades"},
        **{"label_side": "input", "input_encoding": "onehot", "input_channels": 12, "latent": 3},
        bottleneck=4,
    )
    output = tmp_path / "out"
    export_page(run, output)
    (entry,) = read_list(output / "web")["models"]
    assert entry["labels"]["classes"][1]["name"] == json.loads(FACADES)["classes"][1]["name"]
    (model,) = models_of(output, examples=1)
    assert set(model.sample) == {"x", "z", "latent", "y"}
    assert set(np.unique(model.sample["x"])) == {0, 1}  # one-hot
    colours = {tuple(c["color"]) for c in entry["labels"]["classes"]}
    assert {*map(tuple, model.examples[0].reshape(-1, 3))} <= colours
    assert models_of(output, draw="photo")[0].drawn == Drawn("photo")
    assert models_of(output, draw="labels")[0].drawn == model.drawn
    with pytest.raises(UserError, match=r"--draw=lines: .* takes labels of a palette; draw labels"):
        models_of(output, draw="lines")


def test_pictures_that_no_page_has(make_run, runtime_folder, tmp_path):
    run = make_run(tmp_path / "run", input_channels=9, dataset="sample", sample_pairs=8)
    with pytest.raises(UserError, match="takes 9 channels, 8 bit, and a page has grey or RGB"):
        export_page(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_requests(run):
    with pytest.raises(UserError, match=r"--examples=2 is of a page .* add web to --formats"):
        Request(("onnx",), examples=2)
    with pytest.raises(UserError, match="--examples=-1: expected 0 to 100"):
        Request(("web",), examples=-1)
    with pytest.raises(UserError, match=r"--draw=photo is of a page .* add web to --formats"):
        Request(("onnx",), draw="photo")
    with pytest.raises(UserError, match="--draw=line: expected auto, labels, lines, photo"):
        Request(("web",), draw="line")
    assert Request(("web",), opset=13).opset == 13
    assert "web" not in Request().formats


def test_a_model_too_large_for_a_browser(exported, monkeypatch):
    monkeypatch.setattr("tfpix2pix.demo.models.MOST_MEMORY", 1000)
    with pytest.raises(UserError, match="a page in a browser has at most"):
        models_of(exported)


def test_an_engine_that_is_not_installed(exported, monkeypatch):
    from tfpix2pix.export.web.models import check_named

    check_named(exported)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"onnx, which is not installed: .*tfpix2pix\[onnx\]"):
        check_named(exported)
