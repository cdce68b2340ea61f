"""A run that learned both ways: each direction is used, exported, proved and refused by itself."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import config_of
from tfpix2pix.config.dataset import open_source, resolved
from tfpix2pix.data import decode, write_image
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.exporter import Request, export_run, verify
from tfpix2pix.export.manifest import Index, Manifest
from tfpix2pix.export.opening import open_model, open_named
from tfpix2pix.export.publish import check_published
from tfpix2pix.export.savedmodel.serving_config import write_serving
from tfpix2pix.inference import Model
from tfpix2pix.inference.files import Manner, find_jobs, input_column, make_folders, translate_files

ONNX = {"formats": ("onnx",)}
PATHS = ["AtoB/onnx/generator_float32.onnx", "BtoA/onnx/generator_float32.onnx"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of colour images to grey ones of 16 bits and back, with random weights."""
    from tfpix2pix.algorithms.registry import algorithm_class
    from tfpix2pix.models.weights import named_weights
    from tfpix2pix.training.checkpoints import Checkpoints

    folder = tmp_path_factory.mktemp("both")
    random = np.random.default_rng(0)
    for side, count, channels, depth in (("A", 3, 3, "uint8"), ("B", 4, 1, "uint16")):
        for split in ("train", "val"):
            (folder / "data" / f"{split}{side}").mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 256, (32, 32, channels)).astype(depth)
                pixels = pixels * 257 if depth == "uint16" else pixels
                write_image(folder / "data" / f"{split}{side}" / f"{i}.png", pixels)
    values = {"algorithm": "cyclegan", "dataset": str(folder / "data"), "lambda_identity": 0.0}
    values |= {"generator": "unet", "bottleneck": 8}  # a small one: it is not what is tested
    config = config_of({**values, "crop_size": 32, "load_size": 32, "ngf": 2, "ndf": 2})
    source = open_source(config)
    source.check()
    config = resolved(config, source.spec)
    config.save(folder)
    algorithm = algorithm_class("cyclegan")(config)
    for network in algorithm.networks.values():
        for name, variable in named_weights(network).items():
            value = random.normal(0, 0.2, tuple(variable.shape)) + name.endswith("gamma")
            variable.assign(value.astype(np.float32))
    algorithm.step.assign(5)
    Checkpoints(folder, keep=9).save(algorithm.state(), 5, {"best": None})
    return folder


@pytest.fixture(scope="module")
def both(run, tmp_path_factory):
    pytest.importorskip("onnxruntime")
    output = tmp_path_factory.mktemp("exports") / "both"
    return export_run(run, output, Request(**ONNX), check_count=2)


def picture(channels: int, depth: str = "uint8") -> np.ndarray:
    top = np.iinfo(depth).max
    return (
        np.random.default_rng(1).integers(0, top, (30, 41, channels), endpoint=True).astype(depth)
    )


# === The run ===


def test_each_direction_has_the_channels_and_depths_of_its_sides(run):
    there, back = tfpix2pix.load(run), tfpix2pix.load(run, direction="BtoA")
    assert (there.direction, back.direction) == ("AtoB", "BtoA")
    made = there.translate(picture(3))
    assert (made.shape, made.dtype) == ((30, 41, 1), np.uint16)
    again = back.translate(made)
    assert (again.shape, again.dtype) == ((30, 41, 3), np.uint8)
    assert back.spec == there.spec.turned()
    with pytest.raises(UserError, match=r"^--direction=A: expected AtoB or BtoA$"):
        tfpix2pix.load(run, direction="A")


def test_files_are_translated_by_what_the_direction_takes(run, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    pair = np.concatenate([picture(3), np.repeat(picture(1), 3, axis=-1)], axis=1)
    write_image(source / "pair.png", pair)
    model = tfpix2pix.load(run, direction="BtoA")
    jobs = find_jobs(str(source), str(tmp_path / "out"), model.spec.suffix)
    make_folders(jobs, str(tmp_path / "out"))
    (notes,) = translate_files(model, jobs, Manner(side_by_side=True))
    assert isinstance(notes, list)
    expected = model.translate(decode(source / "pair.png").array[:, 41:])  # the right half
    np.testing.assert_array_equal(decode(tmp_path / "out" / "pair.png").array, expected)
    config = model.config.replace(input_key="photo", target_key="map")
    assert [input_column(config, way) for way in ("AtoB", "BtoA")] == ["photo", "map"]
    assert input_column(model.config, "BtoA") == "target"


def test_a_run_of_one_direction_says_which(make_run, tmp_path):
    one = make_run(tmp_path / "one", direction="BtoA")
    sentence = rf"^--direction=AtoB: the run {one} translates BtoA only; leave --direction out$"
    for ask in (
        lambda: tfpix2pix.load(one, direction="AtoB"),
        lambda: Model.of_run(str(one), direction="AtoB"),
        lambda: export_run(one, tmp_path / "out", Request(direction="AtoB")),
    ):
        with pytest.raises(UserError, match=sentence):
            ask()
    with pytest.raises(UserError, match=r"^--direction=both: .* translates BtoA only; leave"):
        export_run(one, tmp_path / "out", Request(direction="both"))
    assert tfpix2pix.load(one, direction="BtoA").direction == "BtoA"
    with pytest.raises(UserError, match=r"--direction=ba: expected AtoB, BtoA, both"):
        Request(direction="ba")


def test_either_direction_is_evaluated(run, both, tmp_path):
    there = tfpix2pix.evaluate(run, metrics="sharpness")
    back = tfpix2pix.evaluate(run, metrics="sharpness,variety", direction="BtoA")
    assert there.page.parent == run / "evaluation" / "val"
    assert back.page.parent == run / "evaluation" / "val-BtoA"
    assert (there.images, len(there.truths)) == (3, 4)
    assert (back.images, len(back.truths)) == (4, 3)
    assert back.facts["model"]["direction"] == "BtoA"
    assert "The way back from" in back.page.read_text(encoding="utf-8")
    exported = tfpix2pix.evaluate(
        both, metrics="sharpness,variety", direction="BtoA", output=tmp_path / "scores"
    )
    for name, value in back.numbers.items():
        assert exported.numbers[name] == pytest.approx(value, abs=0.02)


# === Its export ===


def test_both_directions_are_whole_exports_under_one_index(run, both):
    assert both.paths() == PATHS
    assert Index.find(both.output).directions == ("AtoB", "BtoA")
    for direction, part in zip(("AtoB", "BtoA"), both.parts, strict=True):
        expected = tfpix2pix.load(run, direction=direction)
        seen = picture(*((3,) if direction == "AtoB" else (1, "uint16")))
        wanted = expected.translate(seen).astype(float)
        for path in (both.output, part.output, part.output / "onnx/generator_float32.onnx"):
            model = open_named(str(path), direction)
            assert (model.direction, model.spec) == (direction, expected.spec)
            found = model.translate(seen).astype(float)
            # 1e-4 of the scale, on [-1, 1], and a rounding.
            assert np.abs(found - wanted).max() <= 1 + 5e-5 * wanted.max()
        manifest = Manifest.load(part.output)
        assert manifest.contract.direction == direction
        assert Contract.parse(manifest.contract.to_json(), "it") == manifest.contract
        assert manifest.proof["psnr_keras_target"] is None  # there are no pairs
    assert open_model(both.output).direction == "AtoB"


def test_verify_looks_at_both(both, tmp_path):
    assert verify(both.output, check_count=1).good
    copy = shutil.copytree(both.output, tmp_path / "copy")
    file = copy / PATHS[1]
    file.write_bytes(file.read_bytes() + b"0")
    found = verify(copy, check_count=1)
    assert not found.good
    assert [fault.split(":")[0] for fault in found.faults] == ["BtoA"]


def test_one_direction_alone_is_an_export_like_any_other(run, both, tmp_path):
    pytest.importorskip("onnxruntime")
    made = export_run(run, tmp_path / "one", Request(**ONNX, direction="BtoA"), check_count=1)
    assert made.paths() == ["onnx/generator_float32.onnx"]
    assert Index.find(tmp_path / "one") is None
    assert open_model(tmp_path / "one").direction == "BtoA"
    with pytest.raises(
        UserError,
        match=r"^--direction=AtoB: the export .*one translates BtoA only; leave --direction out, "
        r"or export its run with --direction=AtoB$",
    ):
        open_named(str(tmp_path / "one"), "AtoB")
    for folder, direction, words in (
        (tmp_path / "one", "", "holds the export of BtoA alone; give another folder"),
        (both.output, "AtoB", "in folders of their own, and --direction=AtoB makes one without"),
    ):
        before = sorted(folder.rglob("*"))
        with pytest.raises(UserError, match=words):
            export_run(run, folder, Request(**ONNX, direction=direction), check_count=1)
        assert sorted(folder.rglob("*")) == before


def test_a_direction_that_was_not_moved_yet_is_waited_for(both, tmp_path, monkeypatch):
    monkeypatch.setattr("tfpix2pix.export.publish._PATIENCE", 0.0)
    (tmp_path / "AtoB").mkdir()
    (tmp_path / ".publish.json").write_text(json.dumps({"moves": [], "removes": []}))
    with pytest.raises(UserError, match="half published"):
        check_published(tmp_path / "AtoB")


def test_a_damaged_index_is_named(tmp_path):
    text = {"kind": "tfpix2pix export of several directions", "directions": ["../x"], "files": []}
    (tmp_path / "export.json").write_text(json.dumps({**text, "run": "r", "made": {}}))
    with pytest.raises(UserError, match=r"export\.json is damaged; export again"):
        open_named(str(tmp_path))


def test_one_server_serves_both(tmp_path):
    models = {"horses_AtoB": "AtoB/saved_model", "horses_BtoA": "BtoA/saved_model"}
    write_serving(tmp_path, "horses", models)
    config = (tmp_path / "serving" / "models.config").read_text()
    for model, place in models.items():
        assert f'name: "{model}"\n    base_path: "/models/horses/{place}"' in config
    compose = (tmp_path / "serving" / "compose.yaml").read_text()
    assert "v1/models/horses_AtoB (or horses_BtoA), gRPC" in compose
    assert (
        'MODELS = ["horses_AtoB", "horses_BtoA"]'
        in (tmp_path / "serving" / "smoke_test.py").read_text()
    )


def test_a_page_for_each_direction_and_one_for_both(run, both, runtime_folder, tmp_path):
    from tfpix2pix.demo.page import read_list
    from tfpix2pix.export.web.models import models_of

    export_run(run, tmp_path / "out", Request(("web",)), check_count=1)
    index = Index.find(tmp_path / "out")
    assert {f"{way}/web/index.html" for way in ("AtoB", "BtoA")} <= set(index.files)
    for way in ("AtoB", "BtoA"):
        (entry,) = read_list(tmp_path / "out" / way / "web")["models"]
        assert entry["contract"]["direction"] == way
    models = models_of(both)  # as `tfpix2pix demo` has them
    assert [m.title for m in models] == [f"{run.name} {way}" for way in ("AtoB", "BtoA")]
    assert [m.sample["x"].shape[-1] for m in models] == [3, 1]
    assert [m.title for m in models_of(both, "BtoA")] == [f"{run.name} BtoA"]
