"""Exports of a run with an encoder: what makes a latent of an image, in every format."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tfpix2pix.algorithms.registry import algorithm_class
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import config_of
from tfpix2pix.data import decode, write_image
from tfpix2pix.export.client.remote import open_remote
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine_check import Refused, check_stored
from tfpix2pix.export.exporter import Request, export_run, verify
from tfpix2pix.export.manifest import Manifest
from tfpix2pix.export.onnx.check import check_onnx
from tfpix2pix.export.opening import open_engine, open_model
from tfpix2pix.export.proof import Prover
from tfpix2pix.inference import KerasEncoder, Model
from tfpix2pix.inference.files import Manner
from tfpix2pix.models.weights import named_weights
from tfpix2pix.training.checkpoints import Checkpoints

SIZE = 3
FILES = ("onnx/encoder_float32.onnx", "tflite/encoder_float32.tflite", "network_encoder")
# Of another size than the run's, which both sides resize it to.
PICTURE = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)


def make_run(workdir: Path, **changes) -> Path:
    """A BicycleGAN run with random weights that keep the features alive."""
    values = {"crop_size": 32, "load_size": 32, "ngf": 2, "ndf": 2, "nef": 4, "latent": SIZE}
    values |= {"receptive_field": 16, "discriminator_scales": 1, "sample_pairs": 8}
    config = config_of({**values, "dataset": "sample", "algorithm": "bicyclegan", **changes})
    workdir.mkdir(parents=True)
    config.save(workdir)
    algorithm = algorithm_class("bicyclegan")(config)
    random = np.random.default_rng(5)
    for network in ("generator", "encoder"):
        for variable in named_weights(algorithm.networks[network]).values():
            variable.assign(random.normal(0, 0.2, tuple(variable.shape)).astype(np.float32))
    Checkpoints(workdir).save(algorithm.state(), 1, {"best": None})
    return workdir


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run, and its export in every format. Read only."""
    pytest.importorskip("tensorflow_serving")
    place = tmp_path_factory.mktemp("encoder")
    make_run(place / "run")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Prover, "_make_cases", one_case)
        export_run(place / "run", place / "out", Request(), check_count=1)
    return place


def one_case(self, all_cases=Prover._make_cases):
    """One of the cases of the generator, which is not what is tested here."""
    return all_cases(self)[:1]


@pytest.fixture(scope="module")
def run(folder):
    return tfpix2pix.load(folder / "run")


@pytest.mark.parametrize(
    "path",
    ["", "onnx/generator_float32.onnx", "tflite/generator_float32.tflite", "network"],
)
def test_every_format_finds_the_latent_that_the_run_finds(folder, run, path):
    model = open_model(folder / "out" / path)
    expected = run.style(PICTURE)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(model.style(PICTURE), expected, atol=1e-4)
    np.testing.assert_allclose(model.style(PICTURE[::-1]), run.style(PICTURE[::-1]), atol=1e-4)
    y = np.random.default_rng(1).uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(model.encoder(y), run.encoder(y), atol=1e-4)
    # It is used as the run's is.
    one, other = (each.translate(PICTURE, latent=each.style(PICTURE)) for each in (model, run))
    assert np.abs(one.astype(int) - other).max() <= 1


def test_the_command_takes_a_style_from_an_export(folder, run, run_cli, tmp_path):
    for name in ("in.png", "like.png"):
        write_image(tmp_path / name, PICTURE)
    done = run_cli(
        *("translate", f"--model={folder / 'out' / 'onnx' / 'generator_float32.onnx'}"),
        *("--input=in.png", "--output=out.png", "--style=like.png"),
    )
    assert done.returncode == 0, done.stderr
    assert "note: like.png is --latent=" in done.stdout
    expected = run.translate(PICTURE, latent=run.style(PICTURE))
    found = decode(tmp_path / "out.png").array
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_signatures_take_images_of_any_size_and_files(folder, run, serving):
    encoder = open_engine(folder / "out").open_encoder()
    small = np.ascontiguousarray(PICTURE[:9, :7])
    for images in (np.stack([PICTURE, PICTURE[::-1]]), small[None]):
        found = encoder.style(images)
        for code, image in zip(found, images, strict=True):
            np.testing.assert_allclose(code, run.style(image), atol=1e-3)
    signature = encoder._model.signatures["encoded_style"]
    files = tf.constant([tf.io.encode_png(image).numpy() for image in (PICTURE, small)])
    codes = signature(image_bytes=files)["latent"].numpy()
    for code, image in zip(codes, (PICTURE, small), strict=True):
        np.testing.assert_allclose(code, run.style(image), atol=1e-3)
    with pytest.raises(UserError, match="at most 16,777,216 pixels"):
        encoder.style(np.zeros((1, 4097, 4097, 3), np.uint8))
    with serving(folder / "out" / "saved_model" / "1") as server:
        model = open_remote(f"{server.rest}/v1/models/model")
        np.testing.assert_allclose(model.style(PICTURE), run.style(PICTURE), atol=1e-4)
        assert server.requests == ["contract", "encoder"]


def test_the_export_says_what_it_holds_and_that_it_was_proved(folder):
    values = json.loads((folder / "out" / "export.json").read_text())
    assert [each["path"] for each in values["encoders"]] == [FILES[1], FILES[0], FILES[2]]
    assert not any("encoder" in each["path"] for each in values["artifacts"])
    assert values["contract"]["encoder"]["y"] == "float32 [B, 32, 32, 3] in [-1, 1]"
    assert values["contract"]["encoder"]["latent"] == "float32 [B, 3]"
    rows = {row["path"]: row for row in values["proof"]["encoders"]}
    assert set(rows) == {"saved_model/1", *FILES}
    assert all(0 <= row["max_difference"] <= 1e-4 for row in rows.values())
    assert 0 <= rows["saved_model/1"]["style_difference"] <= 1e-3
    page = (folder / "out" / "export_report.html").read_text()
    assert "saved_model/1, encoder" in page
    assert FILES[0] in page


def test_verify_looks_at_encoders_without_the_run(folder, tmp_path, monkeypatch):
    alone = tmp_path / "alone"
    shutil.copytree(folder / "out", alone)
    manifest = Manifest.load(alone)
    manifest.run = str(tmp_path / "gone")
    manifest.artifacts = [one for one in manifest.artifacts if one[0].format == "savedmodel"]
    manifest.encoders = [one for one in manifest.encoders if one[0].format == "onnx"]
    (alone / "export.json").write_text(manifest.to_json())
    write_image(tmp_path / "in.png", PICTURE)
    monkeypatch.setattr(Prover, "_make_cases", one_case)
    found = verify(alone, check_images=str(tmp_path / "in.png"), check_count=1).proof
    assert [row.faults for row in found.encoders] == [[], []]

    class Wrong(KerasEncoder):
        def __call__(self, y):
            return super().__call__(y) + np.float32(0.01)

    monkeypatch.setattr("tfpix2pix.inference.KerasEncoder", Wrong)
    found = verify(alone, check_images=str(tmp_path / "in.png"), check_count=1).proof
    said = "its latents differ from Keras's by up to 0.01, where 0.0001 is allowed"
    assert [row.faults[0] for row in found.encoders] == [said, said]
    assert f"saved_model/1: {said}" in found.faults
    (alone / FILES[0]).write_bytes((alone / FILES[0]).read_bytes()[:-1])
    assert verify(alone).damaged == [f"{alone / FILES[0]} is not what was exported"]


def test_another_export_to_the_folder_keeps_what_is_the_same(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(Prover, "_make_cases", one_case)
    output = tmp_path / "out"
    shutil.copytree(folder / "out", output)
    made = export_run(folder / "run", output, Request(("network",)), check_count=1)
    manifest = Manifest.load(output)
    assert [each.path for each, _ in manifest.encoders] == [FILES[2], FILES[1], FILES[0]]
    assert {row["path"] for row in manifest.proof["encoders"]} == {"saved_model/1", *FILES}
    assert set(FILES) <= set(made.paths())


# === What is not there ===


def test_a_file_alone_has_no_encoder_beside_it(folder, tmp_path):
    path = tmp_path / "generator.onnx"
    shutil.copy(folder / "out" / "onnx" / "generator_float32.onnx", path)
    with pytest.raises(UserError, match="there is no encoder beside it; give the folder that"):
        open_model(path).style(PICTURE)
    shutil.copy(path, tmp_path / "encoder_float32.onnx")
    with pytest.raises(UserError, match=r"encoder_float32.onnx cannot be loaded .*; export again"):
        open_model(path).style(PICTURE)


def test_exports_of_before_are_used_without_a_style(folder):
    contract = Manifest.load(folder / "out").contract
    values = contract.to_dict()
    del values["encoder"]
    old = Contract.parse(json.dumps(values), "old")
    assert old == dataclasses.replace(contract, encodes=False)
    with pytest.raises(Refused, match="knows of no encoder"):
        check_stored(old, 1 << 30, encoder=True)
    model = tfpix2pix.load(folder / "run")
    model._open_encoder = None  # as `open_model` leaves it then
    with pytest.raises(UserError, match="without its encoder, as exports of earlier versions do"):
        Manner().check_latent(Model.of_translator("exported", model), "a.png")


def test_other_algorithms_exports_know_nothing_of_it(exported_run, job):
    contract = job(exported_run).contract
    assert not contract.encodes
    assert "encoder" not in contract.to_dict()
    assert "encoders" not in json.loads(Manifest(contract, [], "run").to_json())
    with pytest.raises(UserError, match="does not carry the contract"):
        Contract.parse(json.dumps({**contract.to_dict(), "encoder": {}}), "it")


def test_a_file_too_small_for_its_encoder_is_not_loaded(folder):
    path = folder / "out" / FILES[0]
    contract = check_onnx(path, "tfpix2pix", encoder=True)
    with pytest.raises(Refused, match=r"describes an encoder of [\d,]+ weights"):
        check_stored(contract, 100, encoder=True)
