"""Exports of generators that are not the paper's: every format, with proof, and which weights."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.exporter import Request, export_run, verify
from tfpix2pix.export.manifest import FILE
from tfpix2pix.export.opening import open_model

RECIPE = {
    "norm": "group",
    "ngf": 8,
    "bottleneck": 8,
    "upsampling": "smooth",
    "padding": "replicate",
    "noise_channels": 4,
    "last_channels": 8,
    "ema": 0.9,
}
VARIANTS = {
    "the recipe": {},
    "instance": {"upsampling": "nearest", "bottleneck": 4, "norm": "instance", "last_channels": 0},
    "bilinear": {"upsampling": "bilinear"},
    "subpixel": {"upsampling": "subpixel", "padding": "zeros", "norm": "batch"},
    "zeros": {"padding": "zeros", "noise_channels": 0, "generator": "encoder_decoder"},
    "transposed": {"upsampling": "transposed", "padding": "zeros"},
    "bottleneck": {
        "upsampling": "transposed",
        "padding": "zeros",
        "norm": "instance",
        "noise_channels": 0,
        "last_channels": 0,
    },
}
# Of these a SavedModel for servers is made, besides the network alone, which is the same function:
# the signatures around it know of a variant no more than whether there is z, and of what size.
SERVED = ("the recipe", "zeros")
LOST = 25.0  # dB of PSNR to Keras that int8 keeps at least, of networks with random weights


@pytest.fixture(scope="module", params=VARIANTS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def run(name, make_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("variant")
    changes = {"dataset": "sample", "sample_pairs": 8, **RECIPE, **VARIANTS[name]}
    return make_run(folder / "run", **changes)


def test_every_format_gives_the_pictures_of_keras_at_any_size(name, run, tmp_path):
    # The quantised files of the other variants: below, at a fixed size.
    quantize = ("none", "float16", "int8") if name == "the recipe" else ("none",)
    formats = ("savedmodel",) * (name in SERVED) + ("tflite", "onnx", "network")
    made = export_run(run, tmp_path / "out", Request(formats, quantize), check_count=2)
    assert len(made.proof.rows) == {"the recipe": 8, "zeros": 4}.get(name, 3)
    for row in made.proof.rows:
        if row.quantize != "none":
            assert row.psnr_keras > LOST, row.path
    assert made.proof.native == (32, 32)  # the training's, whatever the sizes are multiples of
    picture = np.random.default_rng(0).integers(0, 256, (19, 45, 3), np.uint8)
    keras = tfpix2pix.load(run)
    expected = keras.translate(picture, seed=3).astype(int)
    assert np.abs(expected - keras.translate(picture, seed=4)).max() > 0
    for row in made.proof.rows:
        if row.quantize == "none":
            found = open_model(tmp_path / "out" / row.path).translate(picture, seed=3)
            assert np.abs(found.astype(int) - expected).max() <= 1, row.path


def test_a_fixed_size_without_noise_too(name, run, tmp_path):
    if name in ("instance", "transposed"):
        pytest.skip("their parts are in other variants")
    request = Request(
        formats=("tflite", "onnx"),
        quantize=("none", "int8"),
        inference="deterministic",
        image_size=(32, 64),
    )
    made = export_run(run, tmp_path / "out", request, check_count=2)
    assert [row.path for row in made.proof.rows] == [
        *(f"tflite/generator_{name}.tflite" for name in ("float32", "int8")),
        *(f"onnx/generator_{name}.onnx" for name in ("float32", "int8")),
    ]
    for row in made.proof.rows[1::2]:
        assert row.psnr_keras > LOST, row.path


# === Which weights ===


@pytest.fixture(scope="module")
def averaged_run(make_run, tmp_path_factory):
    """A run whose averages are not its weights."""
    return make_run(
        tmp_path_factory.mktemp("averaged") / "run",
        **{"dataset": "sample", "sample_pairs": 8, "ema": 0.9, "bottleneck": 8},
    )


PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def test_an_export_holds_the_average_and_says_so(averaged_run, tmp_path):
    made = tfpix2pix.export(averaged_run, tmp_path / "out", formats="onnx,network", check_count=1)
    assert made.manifest.contract.weights == "average"
    assert json.loads((tmp_path / "out" / FILE).read_text())["contract"]["weights"] == "average"
    keras = tfpix2pix.load(averaged_run)
    assert keras.weights == "average"
    found = open_model(tmp_path / "out").translate(PICTURE).astype(int)
    assert np.abs(found - keras.translate(PICTURE)).max() <= 1
    raw = tfpix2pix.load(averaged_run, weights="raw").translate(PICTURE).astype(int)
    assert np.abs(found - raw).max() > 10


def test_an_export_of_other_weights_replaces_it_and_is_verified_with_these(averaged_run, tmp_path):
    out = tmp_path / "out"
    tfpix2pix.export(averaged_run, out, formats="onnx", check_count=1)
    made = tfpix2pix.export(averaged_run, out, formats="network", weights="raw", check_count=1)
    assert [artifact.path for artifact, _ in made.manifest.artifacts] == ["network"]
    assert not (out / "onnx" / "generator_float32.onnx").exists()
    made = tfpix2pix.export(averaged_run, out, formats="onnx", weights="raw", check_count=1)
    assert len(made.manifest.artifacts) == 2
    found = verify(out, check_count=1)
    assert found.good
    assert "averages" not in found.reference


def test_a_contract_of_before_is_of_the_only_weights_there_were(exported_run):
    contract = Contract.of(tfpix2pix.load(exported_run))
    assert contract.weights == "raw"
    values = contract.to_dict()
    del values["weights"]
    assert Contract.parse(json.dumps(values), "here") == contract


@pytest.mark.parametrize("weights", ["best", 3, None, "average"])
def test_a_contract_of_weights_that_a_run_cannot_have_is_refused(exported_run, weights):
    values = {**Contract.of(tfpix2pix.load(exported_run)).to_dict(), "weights": weights}
    with pytest.raises(UserError, match=r"^here "):
        Contract.parse(json.dumps(values), "here")


def test_other_weights_are_another_contract(averaged_run):
    contract = Contract.of(tfpix2pix.load(averaged_run))
    assert contract != dataclasses.replace(contract, weights="raw")


def test_unknown_weights_are_refused_at_once(averaged_run, tmp_path):
    with pytest.raises(UserError, match=r"^--weights=ema: expected average or raw$"):
        tfpix2pix.export(averaged_run, tmp_path / "out", weights="ema")
