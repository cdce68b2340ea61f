"""Exports of a generator with a latent: an input of its own everywhere, drawn from the seed or
handed over."""

from __future__ import annotations

import json
import runpy

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.export.client.remote import open_remote
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.exporter import Request, export_run
from tfpix2pix.export.opening import open_engine, open_model
from tfpix2pix.export.savedmodel.serving_graph import ServingGraph
from tfpix2pix.export.savedmodel.warmup import warmup_inputs

SIZE = 3
FLOAT = "generator_float32.onnx"
PICTURE = np.random.default_rng(0).integers(0, 256, (19, 45, 3), np.uint8)
OTHER = np.array([1.5, -0.5, 2.0], np.float32)


@pytest.fixture(scope="module")
def folder(make_run, tmp_path_factory):
    """A run and its exports: ``any`` with z, in every format, and ``fixed``, in 8 bits, without.

    Read only.
    """
    pytest.importorskip("tensorflow_serving")
    place = tmp_path_factory.mktemp("latent")
    settings = {"latent": SIZE, "latent_reach": "all", "bottleneck": 4}
    settings |= {"dataset": "sample", "sample_pairs": 8}
    make_run(place / "run", **settings)
    export_run(place / "run", place / "any", Request(), check_count=1)
    request = Request(("tflite", "onnx"), ("int8",), "deterministic", (32, 64))
    export_run(place / "run", place / "fixed", request, check_count=1)
    return place


@pytest.fixture(scope="module")
def run(folder):
    return tfpix2pix.load(folder / "run")


def paths(folder, *names):
    """Of the artefacts of these exports, and whether each is quantised."""
    for name in names:
        made = json.loads((folder / name / "export.json").read_text())
        for artifact in made["artifacts"]:
            yield folder / name / artifact["path"], artifact["quantize"] != "none"


def levels(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def test_every_format_has_keras_y_of_the_same_inputs(folder, run):
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, (2, 32, 64, 3)).astype(np.float32)
    latent = random.normal(size=(2, SIZE)).astype(np.float32)
    z = run.noise(x, [4, 5])
    found = 0
    for path, quantized in paths(folder, "any", "fixed"):
        engine = open_engine(path)
        assert engine.latent_size == SIZE
        keras = run.network(x, z if engine.takes_noise else np.full_like(z, -1), latent)
        off = np.abs(engine(x, z, latent) - keras)
        assert off.mean() < 0.1 if quantized else off.max() < 1e-4, path
        # Each image has its own, and it is used.
        assert np.abs(engine(x, z, latent[::-1]) - keras).mean() > 3 * off.mean()
        with pytest.raises(ValueError, match="and latent; give latent"):
            engine(x, z)
        found += 1
    assert found == 4 + 2


def test_pictures_are_the_runs_by_seed_and_by_latent(folder, run):
    expected = run.translate(PICTURE, seed=3)
    own = run.translate(PICTURE, seed=3, latent=OTHER)
    assert levels(own, expected) > 3
    for path, _ in paths(folder, "any"):
        model = open_model(path)
        assert levels(model.translate(PICTURE, seed=3), expected) <= 1
        assert levels(model.translate(PICTURE, seed=3, latent=OTHER), own) <= 1


def test_signatures_for_pictures_take_a_seed_or_a_latent(folder, run):
    images, latents = np.stack([PICTURE[:, :32]] * 2), np.stack([OTHER, -OTHER])
    engine = open_engine(folder / "any" / "saved_model")
    default, seeded = engine.translate(images), engine.translate(images, [0, 7])
    assert levels(default[0], default[1]) <= 1
    assert levels(seeded[0], default[0]) <= 1
    assert levels(seeded[1], run.translate(images[0], seed=7)) <= 1
    own = engine.translate(images, [0, 7], latents)
    for seed, latent, found in zip((0, 7), latents, own, strict=True):
        assert levels(found, run.translate(images[0], seed=seed, latent=latent)) <= 1


def taken_by(signatures):
    """The names of what each of them takes."""
    flat = {k: tf.nest.flatten(f.structured_input_signature) for k, f in signatures.items()}
    return {k: [spec.name for spec in specs] for k, specs in flat.items()}


def test_a_signature_takes_what_the_network_takes(folder, job):
    made = job(folder / "run", "deterministic")
    signatures = ServingGraph(made.generator, made.contract).signatures()
    taken = taken_by(signatures)
    assert taken == {
        "serving_default": ["image"],
        "seeded": ["image", "seed"],
        "latent": ["image", "latent"],
        "encoded": ["image_bytes"],
        "encoded_seeded": ["image_bytes", "seed"],
        "encoded_latent": ["image_bytes", "latent"],
        "float": ["x", "latent"],
        "contract": ["query"],
    }
    requests = warmup_inputs(made.contract)
    assert requests.keys() == taken.keys()
    for name, inputs in requests.items():
        signatures[name](*(tf.constant(inputs.pop(each)) for each in taken[name]))
        assert not inputs


@pytest.fixture(scope="module")
def server(folder, serving):
    with serving(folder / "any" / "saved_model" / "1") as found:
        yield found


def test_warm_up_requests_are_what_its_signatures_take(folder, server):
    requests = warmup_inputs(open_engine(folder / "any" / "onnx" / FLOAT).contract)
    taken = taken_by(server.model.signatures)
    assert {k: set(v) for k, v in requests.items()} == {k: set(v) for k, v in taken.items()}
    assert set(taken["encoded_latent"]) == {"image_bytes", "seed", "latent"}


@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_a_server_takes_one_too(run, server, way):
    rest = f"{server.rest}/v1/models/{server.name}"
    model = open_remote(rest if way == "rest" else f"grpc://{server.grpc}/{server.name}")
    server.requests.clear()
    assert model.latent_size == SIZE
    for options in ({"seed": 3}, {"seed": 3, "latent": OTHER}):
        assert levels(model.translate(PICTURE, **options), run.translate(PICTURE, **options)) <= 1
    options = {"latent": OTHER, "deterministic": True}
    assert levels(model.translate(PICTURE, **options), run.translate(PICTURE, **options)) <= 1
    prefix = "encoded_" if way == "rest" else ""
    assert server.requests == [f"{prefix}seeded", f"{prefix}latent", "float"]
    with pytest.raises(ValueError, match="3 finite numbers"):
        model.translate(PICTURE, latent=[1.0])
    model.close()


def test_the_smoke_test_sends_one(folder, server):
    script = runpy.run_path(str(folder / "any" / "serving" / "smoke_test.py"))
    server.requests.clear()
    script["check"](f"{server.rest}/v1/models/{server.name}")
    assert {"encoded", "encoded_seeded", "encoded_latent"} <= set(server.requests)


def test_the_contract_says_what_the_latent_is(folder, run):
    values = json.loads((folder / "fixed" / "export.json").read_text())["contract"]
    assert values["latent"]["size"] == SIZE
    assert values["latent"]["latent"] == "float32 [B, 3]"
    assert "normal" in values["latent"]["distribution"]
    contract = Contract.of(run)
    assert contract.inputs == ("x", "z", "latent")
    assert contract.formula == "G(x, z, latent)"
    assert contract.shapes(32, 64)["latent"] == (SIZE,)
    assert "normal of mean 0" in (folder / "any" / "export_report.html").read_text()


def test_the_inputs_are_in_the_networks_order(folder):
    # By position is how Swift hands them over.
    orders = {}
    for name in ("any", "fixed"):
        for path, _ in paths(folder, name):
            if path.suffix == ".onnx":
                orders[name, "onnx"] = [
                    each.name for each in open_engine(path).session.get_inputs()
                ]
            elif path.suffix == ".tflite":
                details = open_engine(path)._interpreter.get_input_details()
                orders[name, "tflite"] = [each["name"].split("_")[-1][:-2] for each in details]
    with_z, without = ["x", "z", "latent"], ["x", "latent"]
    kinds = ("onnx", "tflite")
    assert orders == {("any", kind): with_z for kind in kinds} | {
        ("fixed", kind): without for kind in kinds
    }


def test_a_contract_of_before_has_none(exported_run):
    contract = Contract.of(tfpix2pix.load(exported_run))
    values = contract.to_dict()
    assert values.pop("latent") is None
    del values["config"]["latent"], values["config"]["latent_reach"]
    again = Contract.parse(json.dumps(values), "here")
    assert (again, again.latent_size, again.inputs) == (contract, 0, ("x", "z"))


def test_the_pytorch_code_has_no_such_generator(folder):
    from tfpix2pix.export.torch.runs import export_state

    with pytest.raises(UserError, match=r"reads a latent of 3 numbers, which the PyTorch code's"):
        export_state(folder / "run")
