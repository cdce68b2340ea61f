"""The network alone: one function for converters, published, proved and kept like the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.export import Request, export_run, open_model, verify
from tfpix2pix.export.core import weights_of
from tfpix2pix.export.savedmodel.format import saved_weights


@pytest.fixture(scope="module")
def run(make_run, tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "run", sample_pairs=8, dataset="sample")


def export(run: Path, output: Path, *formats: str, **options) -> Path:
    export_run(run, output, Request(formats or ("network",), **options), check_count=1)
    return output


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    return export(run, tmp_path_factory.mktemp("exported") / "out")


@pytest.fixture
def out(exported, tmp_path) -> Path:
    """The same, a copy."""
    return Path(shutil.copytree(exported, tmp_path / "out"))


@pytest.mark.parametrize("inference", ["paper", "deterministic"])
def test_a_converter_that_is_given_the_path_finds_one_function(run, exported, tmp_path, inference):
    out = exported
    if inference != "paper":
        out = export(run, tmp_path / "out", inference=inference, image_size=(32, 64))
    # As coremltools does: every signature, of which it takes one alone.
    loaded = tf.saved_model.load(str(out / "network"))
    (function,) = loaded.signatures.values()
    assert list(loaded.signatures) == ["serving_default"]
    inputs = function.structured_input_signature[1]
    if inference == "paper":
        assert {k: v.shape.as_list() for k, v in inputs.items()} == {
            "x": [None, None, None, 3],
            "z": [None, None, None, 32],
        }
    else:
        assert {k: v.shape.as_list() for k, v in inputs.items()} == {"x": [None, 32, 64, 3]}
    assert {each.dtype for each in inputs.values()} == {tf.float32}
    assert list(function.structured_outputs) == ["y"]


def test_it_is_the_run(run, exported):
    keras = tfpix2pix.load(run)
    for place in (exported, exported / "network"):
        model = open_model(place)
        x = np.random.default_rng(0).uniform(-1, 1, (2, 64, 32, 3)).astype(np.float32)
        z = keras.noise(x, [1, 2])
        np.testing.assert_allclose(model.network(x, z), keras.network(x, z), atol=1e-5, rtol=0)
    image = np.random.default_rng(1).integers(0, 256, (40, 33, 3), np.uint8)
    off = model.translate(image, seed=4).astype(int) - keras.translate(image, seed=4)
    assert np.abs(off).max() <= 1
    expected, found = weights_of(keras.generator), saved_weights(exported / "network")
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], value) for name, value in expected.items())


def test_every_file_of_it_has_its_checksum(out):
    (artifact,) = json.loads((out / "export.json").read_text())["artifacts"]
    assert artifact["path"] == artifact["format"] == "network"
    assert set(artifact["sha256"]) == {name for name in files(out) if name.startswith("network/")}
    assert "network/variables/variables.data-00000-of-00001" in artifact["sha256"]
    found = verify(out, check_count=1)
    assert found.good
    assert found.proof.rows[0].max_difference < 1e-5
    path = out / "network/saved_model.pb"
    path.write_bytes(path.read_bytes()[:-1])
    (fault,) = verify(out, check_count=1).damaged
    assert fault == f"{path} is not what was exported"


def test_another_export_takes_its_place(run, out):
    first = (out / "network/saved_model.pb").read_bytes()
    (out / "network/assets").mkdir()
    export(run, out, inference="deterministic")
    assert (out / "network/saved_model.pb").read_bytes() != first
    assert verify(out, check_count=1).good
    # Of another checkpoint or inference, it must not stay.
    export(run, out, "tflite")
    assert not (out / "network").exists()


def test_what_is_no_network_of_ours_is_refused(exported, tmp_path):
    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="other")])
        def run(self, other):
            return {"y": other}

    module = Other()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"serving_default": module.run})
    (tmp_path / "m/assets.extra").mkdir()
    contract = (exported / "network/assets.extra/contract.json").read_text()
    (tmp_path / "m/assets.extra/contract.json").write_text(contract)
    with pytest.raises(UserError, match=r"no signature 'float' of x and z\)"):
        open_model(tmp_path / "m")
