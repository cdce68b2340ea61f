"""The SavedModel behind a server: official messages over gRPC, JSON over REST, batches, warm-up.

The server is a stand-in, see `serving_standin.py`.
"""

from __future__ import annotations

import base64
import json
import re
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
import tensorflow as tf

from tfpix2pix.data import decode
from tfpix2pix.export.savedmodel.format import FORMAT
from tfpix2pix.export.savedmodel.serving_config import FILES, write_serving

pytest.importorskip("tensorflow_serving")
import grpc
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def png(*shape: int, seed: int = 0) -> bytes:
    return tf.io.encode_png(picture(*shape, seed=seed)).numpy()


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def levels(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other.astype(int))


@pytest.fixture(scope="module")
def server(saved_model, serving):
    with serving(saved_model, name="facades") as found:
        yield found


@pytest.fixture(scope="module")
def engine(saved_model):
    return FORMAT.open(saved_model)


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request(signature: str = "", name: str = "facades", **inputs) -> predict_pb2.PredictRequest:
    found = predict_pb2.PredictRequest()
    found.model_spec.name, found.model_spec.signature_name = name, signature
    for key, value in inputs.items():
        found.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return found


# === gRPC ===


def test_the_default_signature_needs_a_picture_only(stub, engine):
    image = picture(2, 20, 33, 3)
    reply = stub.Predict(request(image=image), timeout=60)
    assert reply.model_spec.version.value == 1
    found = tf.make_ndarray(reply.outputs["output"])
    assert found.dtype == np.uint8
    assert levels(found, engine.translate(image)).max() <= 1


def test_seeds_over_grpc(stub, engine):
    image = np.stack([picture(20, 33, 3)] * 3)
    seed = np.array([1, 1, 2], np.int64)
    found = tf.make_ndarray(
        stub.Predict(request("seeded", image=image, seed=seed), timeout=60).outputs["output"]
    )
    assert levels(found, engine.translate(image, seed)).max() <= 1
    assert levels(found[0], found[1]).max() <= 1
    assert levels(found[0], found[2]).mean() > 0.5


def test_files_over_grpc(stub, engine):
    files = [png(20, 33, 3), png(40, 12, 3, seed=1)]
    reply = stub.Predict(request("encoded", image_bytes=files), timeout=60)
    for file, result in zip(files, reply.outputs["output_bytes"].string_val, strict=True):
        expected = engine.translate(decode(file).array[None])[0]
        assert levels(decode(result).array, expected).max() <= 1


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        ({"signature": "encoded", "image_bytes": [b"no image"]}, "INVALID_ARGUMENT", "image_bytes"),
        ({"signature": "nothing", "image": [1]}, "INVALID_ARGUMENT", "nothing"),
        ({"image": np.zeros([1, 8, 8, 4], np.uint8)}, "INVALID_ARGUMENT", "image"),
        ({"name": "other", "image": np.zeros([1, 8, 8, 3], np.uint8)}, "NOT_FOUND", "other"),
    ],
    ids=["no image", "signature", "channels", "model"],
)
def test_bad_requests_are_refused_in_words(stub, bad, code, words):
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(request(**bad), timeout=60)
    assert error.value.code().name == code
    assert words in error.value.details()


def test_the_model_is_available(server):
    wanted = get_model_status_pb2.GetModelStatusRequest()
    wanted.model_spec.name = "facades"
    with grpc.insecure_channel(server.grpc) as channel:
        reply = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(wanted, timeout=60)
    assert reply.model_version_status[0].state == 30  # AVAILABLE


# === Warm-up ===


def test_every_signature_has_a_warm_up_request_that_is_served(server, saved_model):
    file = saved_model / "assets.extra" / "tf_serving_warmup_requests"
    served = []
    with grpc.insecure_channel(server.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for record in tf.data.TFRecordDataset(str(file)):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            assert log.WhichOneof("log_type") == "predict_log"
            wanted = log.predict_log.request
            assert wanted.model_spec.name == "model"
            wanted.model_spec.name = "facades"
            assert stub.Predict(wanted, timeout=60).outputs
            served.append(wanted.model_spec.signature_name)
    assert sorted(served) == sorted(server.model.signatures)


# === REST ===


def post(server, body: dict, code: int = 200) -> dict:
    url = f"{server.rest}/v1/models/facades:predict"
    reply = requests.post(url, json=body, timeout=60)
    assert reply.status_code == code, reply.text
    return reply.json()


def test_rows_of_files_in_base64(server, engine):
    files = [png(20, 33, 3), png(9, 40, 3, seed=1)]
    rows = [{"image_bytes": b64(file), "seed": seed} for seed, file in enumerate(files)]
    reply = post(server, {"signature_name": "encoded_seeded", "instances": rows})
    for seed, (file, result) in enumerate(zip(files, reply["predictions"], strict=True)):
        assert result.keys() == {"b64"}  # names ending _bytes come back so
        found = decode(base64.b64decode(result["b64"])).array
        expected = engine.translate(decode(file).array[None], [seed])[0]
        assert levels(found, expected).max() <= 1


def test_columns_of_files_in_base64(server, engine):
    file = png(20, 33, 3)
    columns = {"image_bytes": [b64(file), b64(file)], "seed": [3, -4]}
    reply = post(server, {"signature_name": "encoded_seeded", "inputs": columns})
    found = [decode(base64.b64decode(each["b64"])).array for each in reply["outputs"]]
    expected = engine.translate(np.stack([decode(file).array] * 2), [3, -4])
    assert levels(np.stack(found), expected).max() <= 1


def test_a_single_input_needs_no_name(server, engine):
    image = picture(1, 4, 5, 3)
    reply = post(server, {"instances": image.tolist()})
    found = np.array(reply["predictions"], np.uint8)
    assert levels(found, engine.translate(image)).max() <= 1
    reply = post(server, {"signature_name": "encoded", "instances": [b64(png(20, 33, 3))]})
    assert decode(base64.b64decode(reply["predictions"][0]["b64"])).array.shape == (20, 33, 3)


def test_the_contract_over_rest(server, saved_model):
    reply = post(server, {"signature_name": "contract", "instances": [{"query": ""}]})
    text = (saved_model / "assets.extra" / "contract.json").read_text()
    assert json.loads(reply["predictions"][0]) == json.loads(text)


def test_bad_requests_over_rest(server):
    bad = {"signature_name": "encoded", "instances": [b64(b"no image")]}
    assert "image_bytes: neither a JPEG nor a PNG" in post(server, bad, 400)["error"]
    assert "other" in post(server, {"signature_name": "other", "instances": [1]}, 400)["error"]
    assert post(server, {"instances": [{"image": [[[1]]]}]}, 400)["error"]


# === Batches ===


def test_requests_that_share_a_batch_get_what_each_gets_alone(saved_model, serving, engine):
    images = [picture(1, 64, 96, 3, seed=i) for i in range(8)]
    with serving(saved_model, batching=0.5) as server:
        with grpc.insecure_channel(server.grpc) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

            def one(i: int) -> np.ndarray:
                wanted = request("seeded", "model", image=images[i], seed=np.array([i], np.int64))
                return tf.make_ndarray(stub.Predict(wanted, timeout=60).outputs["output"])

            with ThreadPoolExecutor(8) as pool:
                found = np.concatenate(list(pool.map(one, range(8))))
        assert max(server.batches) > 1
    alone = np.concatenate([engine.translate(images[i], [i]) for i in range(8)])
    off = levels(found, alone)
    assert off.max() <= 1
    assert np.mean(off > 0) < 1e-4


def test_files_of_several_sizes_share_a_batch_and_arrays_do_not(saved_model, serving, engine):
    files = [png(20 + i, 33, 3, seed=i) for i in range(4)]
    with serving(saved_model, batching=0.5) as server:
        with grpc.insecure_channel(server.grpc) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

            def file(data: bytes) -> np.ndarray:
                reply = stub.Predict(request("encoded", "model", image_bytes=[data]), timeout=60)
                return decode(reply.outputs["output_bytes"].string_val[0]).array

            def array(data: bytes) -> str:
                image = decode(data).array[None]
                try:
                    stub.Predict(request("", "model", image=image), timeout=60)
                except grpc.RpcError as error:
                    return error.code().name
                return "OK"

            with ThreadPoolExecutor(4) as pool:
                found = list(pool.map(file, files))
                codes = list(pool.map(array, files))
        assert max(server.batches) == 4
    for data, result in zip(files, found, strict=True):
        expected = engine.translate(decode(data).array[None])[0]
        assert levels(result, expected).max() <= 1
    assert "FAILED_PRECONDITION" in codes  # why docs/serving.md says to send files


# === Files for the real server ===


def test_the_configuration_is_that_of_the_model(tmp_path):
    names = write_serving(tmp_path, "My_facades-2")
    assert names == [f"serving/{file}" for file in FILES]
    texts = {file: (tmp_path / "serving" / file).read_text() for file in FILES}
    config = text_format.Parse(
        texts["models.config"], model_server_config_pb2.ModelServerConfig()
    ).model_config_list.config[0]
    assert config.name == "My_facades-2"
    assert config.base_path == "/models/My_facades-2/saved_model"
    assert config.model_version_policy.latest.num_versions == 1
    compose = texts["compose.yaml"]
    for line in (
        'name: "tfpix2pix-my_facades-2"',
        '"..:/models/My_facades-2:ro"',
        '"--model_config_file=/models/My_facades-2/serving/models.config"',
        '"--batching_parameters_file=/models/My_facades-2/serving/batching.config"',
    ):
        assert line in compose
    assert not re.search("@[A-Z]+@", "".join(texts.values()))
    fields = re.findall(r"^(\w+) \{ value: \w+ \}$", texts["batching.config"], re.MULTILINE)
    assert len(fields) == len(set(fields)) == 6


def test_the_smoke_test_passes_on_a_server_and_fails_without(server, tmp_path):
    write_serving(tmp_path, "facades")
    script = tmp_path / "serving" / "smoke_test.py"

    def run(url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", str(script), f"--url={url}", "--wait=2"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    done = run(f"{server.rest}/v1/models/facades")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "passed"
    assert "what is no image is refused in words" in done.stdout
    done = run(f"{server.rest}/v1/models/other")
    assert done.returncode == 1
    assert "FAILED: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_smoke_test_knows_exports_without_files(make_run, job, serving, tmp_path):
    floats = {"input_dtype": "float32", "target_dtype": "float32"}
    floats |= {"input_range": "0:9", "target_range": "-2:7", "input_channels": 1}
    workdir = make_run(tmp_path / "run", latent=2, **floats)
    (artifact,) = FORMAT.write(job(workdir), tmp_path)
    write_serving(tmp_path, "model")
    script = runpy.run_path(str(tmp_path / "serving" / "smoke_test.py"))
    with serving(tmp_path / artifact.path) as server:
        script["check"](f"{server.rest}/v1/models/model")
        assert server.requests == ["contract", "float"]


def test_the_smoke_tests_own_picture_is_a_picture():
    script = Path(sys.modules["tfpix2pix.export.savedmodel.serving_config"].__file__).parent
    made = runpy.run_path(str(script / "serving_files" / "smoke_test.py"))["png"]
    for channels in (1, 2, 3, 4):
        for bits in (8, 16):
            array = decode(made(7, 5, channels, bits)).array
            assert array.shape == (5, 7, channels)
            assert array.dtype == f"uint{bits}"
