"""Exports of a run of one-hot targets: the classes of Keras in every format."""

from __future__ import annotations

import dataclasses
import json
import re
import types

import numpy as np
import pytest

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.data.palette import load_palette
from tfpix2pix.export import open_model, proof
from tfpix2pix.export.client.remote import open_remote
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine import Engine
from tfpix2pix.export.exporter import Request, export_run, verify
from tfpix2pix.export.opening import open_engine
from tfpix2pix.export.torch.runs import check_exportable

for package in ("onnx", "tf2onnx", "onnxruntime", "tensorflow_serving"):
    pytest.importorskip(package)

PICTURE = np.random.default_rng(0).integers(0, 256, (37, 51, 3), np.uint8)
VOID, CLASSES = 2, 12
TARGETS = {
    "dataset": "sample", "sample_pairs": 8, "bottleneck": 4,
    "direction": "BtoA", "label_side": "target",
    "target_encoding": "onehot", "target_channels": CLASSES, "target_dtype": "uint8",
    "target_range": "0:255", "target_ignore": "void", "input_channels": 3, "input_dtype": "uint8",
    "input_range": "0:255", "input_ignore": "none",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(make_run, tmp_path_factory):
    """A run on the sample set, of whose 12 classes one is void; indices are 3, 13, 23, ..."""
    folder = tmp_path_factory.mktemp("labels")
    palette = json.loads(load_palette("facades").to_json())
    for k, each in enumerate(palette["classes"]):
        each |= {"index": 10 * k + 3, "void": k == VOID}
    text = json.dumps(palette)
    (folder / "palette.json").write_text(text)
    flag = {"label_palette": str(folder / "palette.json")}
    return make_run(folder / "run", palette=text, **TARGETS, **flag)


@pytest.fixture(scope="module")
def model(run):
    return tfpix2pix.load(run)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """Probabilities, any size: float32 and int8."""
    request = Request(("savedmodel", "tflite", "onnx"), ("none", "int8"))
    return export_run(run, tmp_path_factory.mktemp("exports") / "out", request, check_count=1)


@pytest.fixture(scope="module")
def of_classes(run, tmp_path_factory):
    """With the argmax inside, one size."""
    formats = ("tflite", "onnx", "network")
    request = Request(formats, image_size=(32, 32), argmax=True, inference="deterministic")
    return export_run(run, tmp_path_factory.mktemp("exports") / "out", request, check_count=1)


def paths(made):
    return {a.path: (made.output / a.path, a.quantize) for a, _ in made.manifest.artifacts}


def test_every_format_finds_the_classes_of_keras(exported, model):
    expected = {
        labels: model.translate(PICTURE, seed=3, labels=labels)
        for labels in ("raw", "index", "probabilities")
    }
    assert (expected["probabilities"][..., VOID] == 0).all()
    assert set(np.unique(expected["index"])) <= set(range(3, 123, 10)) - {10 * VOID + 3}
    assert len(np.unique(expected["index"])) > 3
    found = paths(exported)
    assert len(found) == 5
    for path, quantize in found.values():
        export = open_model(path)
        maps = export.translate(PICTURE, seed=3, labels="index")
        colours = export.translate(PICTURE, seed=3)
        soft = export.translate(PICTURE, seed=3, labels="probabilities")
        np.testing.assert_array_equal(colours, export.spec.y.palette.to_colors(maps // 10))
        np.testing.assert_allclose(soft.sum(-1), 1, atol=1e-5)
        assert (soft[..., VOID] == 0).all()
        equal = (maps == expected["index"]).mean()
        assert equal >= (0.999 if quantize == "none" else 0.8), path
        if quantize == "none":
            np.testing.assert_allclose(soft, expected["probabilities"], atol=1e-5)


def test_the_proof_counts_pixels_of_the_same_class(exported):
    for row in exported.proof.rows:
        exact = row.quantize == "none"
        assert row.equal >= (0.999 if exact else 0.8)
        assert row.psnr_keras is row.psnr_target is row.levels is None
        assert 0 < row.max_difference < (1e-5 if exact else 0.5)
        assert 0 <= row.accuracy <= 1
        assert row.accuracy_keras == exported.proof.accuracy_keras
    page = exported.report.read_text(encoding="utf-8")
    assert "equal to Keras" in page
    assert "the probability of each class of the palette" in page


def test_the_argmax_is_in_the_graph(of_classes, model):
    expected = model.translate(PICTURE[:32, :32], deterministic=True, labels="index")
    assert len(paths(of_classes)) == 3
    for path, _ in paths(of_classes).values():
        engine = open_engine(path)
        y = engine(np.zeros((1, 32, 32, 3), np.float32), None)
        assert (y.dtype, y.shape) == (np.uint8, (1, 32, 32, 1))
        export = open_model(path)
        found = export.translate(PICTURE[:32, :32], labels="index")
        assert (found == expected).mean() >= 0.999, path
        with pytest.raises(UserError, match=r"made with --argmax and gives classes alone"):
            export.translate(PICTURE[:32, :32], labels="probabilities")
    assert all(row.equal >= 0.999 and row.max_difference < 1e-3 for row in of_classes.proof.rows)


def test_it_is_verified_without_the_run(of_classes):
    again = verify(of_classes, check_count=1)
    assert again.good, again.faults
    assert [row.equal for row in again.proof.rows] == [row.equal for row in of_classes.proof.rows]


def test_the_contract_says_what_y_is(exported, of_classes):
    y = exported.manifest.contract.to_dict()["y"]
    assert y["tensor"] == "float32 [B, H, W, 12] in [0, 1]"
    assert y["activation"] == "softmax"
    assert y["channels"][:2] == ["background", "facade"]
    contract = of_classes.manifest.contract
    said = contract.to_dict()
    assert said["y"]["tensor"] == "uint8 [B, 32, 32, 1]"
    assert (said["y"]["activation"], said["argmax"]) == ("argmax", True)
    assert said["palette"]["classes"][1]["name"] == "facade"
    assert Contract.parse(json.dumps(said), "here") == contract
    del said["argmax"]  # as earlier versions wrote it
    earlier = Contract.parse(json.dumps(said), "here")
    assert earlier == dataclasses.replace(contract, argmax=False)


class Turned(Engine):
    """The classes of Keras, each taken for the next one in a share of the pixels."""

    name = "turned"

    def __init__(self, model, contract, rows):
        self.contract, self._model, self._rows = contract, model, rows

    def run(self, inputs):
        y = np.array(self._model.network(inputs["x"], inputs["z"]))
        y[:, : self._rows] = np.roll(y[:, : self._rows], 1, axis=-1)
        return y


@pytest.mark.parametrize(
    ("quantize", "rows", "said"),
    [
        ("none", 1, r"9\d\.\d\d% of its pixels have the class that Keras finds, where 99\.9%"),
        ("int8", 1, ""),
        ("int8", 30, r"of its pixels have the class that Keras finds, where 80\.0% is asked"),
    ],
)
def test_other_classes_than_keras_finds_are_a_fault(
    exported, model, monkeypatch, quantize, rows, said
):
    contract = exported.manifest.contract
    opened = types.SimpleNamespace(open=lambda path: Turned(model, contract, rows))
    monkeypatch.setattr(proof, "load_format", lambda name: opened)
    source = next(iter(paths(exported)))
    artifact = next(a for a, _ in exported.manifest.artifacts if a.path == source)
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (32, 32, 3)).astype(np.float32)
    prover = proof.Prover(model, contract, [proof.CheckPicture("a", x)], "here")
    found = prover.prove([dataclasses.replace(artifact, quantize=quantize)], exported.output)
    assert bool(found.faults) == bool(said)
    assert all(re.search(said, fault) for fault in found.faults[:1])


def test_a_server_gives_the_same_maps(exported, model, serving):
    with serving(paths(exported)["saved_model/1"][0]) as server:
        served = open_remote(f"{server.rest}/v1/models/{server.name}")
        for labels in ("raw", "index", "probabilities"):
            found = served.translate(PICTURE, seed=3, labels=labels)
            expected = model.translate(PICTURE, seed=3, labels=labels)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=1e-5)


def test_a_run_of_pictures_has_no_argmax(exported_run, tmp_path):
    with pytest.raises(UserError, match=r"--argmax is for runs of --target_encoding=onehot"):
        export_run(exported_run, tmp_path / "out", Request(argmax=True))
    assert not (tmp_path / "out").exists()


def test_pytorch_has_no_generator_of_logits(model, run):
    with pytest.raises(UserError, match=r"--target_encoding=onehot: its generator ends in logits"):
        check_exportable(model.config, "generator", run)
