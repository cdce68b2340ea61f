"""Translating by a server gives the run's pictures, and bears a server that stumbles."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.export.client.remote import open_remote
from tfpix2pix.export.client.retry import NoSuchThing, Retrier, Retry, Transient
from tfpix2pix.export.savedmodel.format import FORMAT

pytest.importorskip("tensorflow_serving")

QUICK = Retry(attempts=4, first_wait=0.02, longest_wait=0.1)
WAYS = ("rest", "grpc")


def picture(*shape: int, seed: int = 0, dtype=np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, shape, dtype, endpoint=True)


def assert_same_picture(found: np.ndarray, expected: np.ndarray, limit: float = 1) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    found, expected = found.astype(float), expected.astype(float)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert np.nanmax(np.abs(found - expected)) <= limit


def url_of(server, way: str) -> str:
    if way == "rest":
        return f"{server.rest}/v1/models/{server.name}"
    return f"grpc://{server.grpc}/{server.name}"


@pytest.fixture(scope="module")
def run(exported_run):
    return tfpix2pix.load(exported_run)


@pytest.fixture(scope="module")
def running(saved_model, serving):
    with serving(saved_model) as found:
        yield found


@pytest.fixture
def server(running):
    running.faults, running.hang = [], 3.0
    running.requests.clear()
    return running


@pytest.fixture(params=WAYS)
def way(request) -> str:
    return request.param


@pytest.fixture
def model(server, way):
    found = open_remote(url_of(server, way), timeout=20, retry=QUICK)
    server.requests.clear()
    yield found
    found.close()


# === The same pictures ===


def test_it_knows_what_it_serves(model, run):
    assert model.config == run.config
    assert model.spec == run.spec
    assert (model.step, model.checkpoint) == (5, run.checkpoint)
    assert model.contract.inference == "paper"
    assert model.takes_noise
    assert model.parallel > 1


@pytest.mark.parametrize("image", [picture(45, 70, 3), picture(9, 12), picture(33, 8, 4)])
def test_pictures_are_the_runs(model, server, run, way, image):
    notes, expected_notes = [], []
    found = model.translate(image, seed=-3, notes=notes)
    assert_same_picture(found, run.translate(image, seed=-3, notes=expected_notes))
    assert notes == expected_notes
    # Over REST as files in base64, which are smaller than JSON's numbers.
    assert server.requests == [{"rest": "encoded_seeded", "grpc": "seeded"}[way]]
    assert_same_picture(model.translate(image), run.translate(image))


def test_no_dropout_and_fitting_are_worked_out_here(model, server, run):
    image = picture(45, 20, 3)
    for options in (
        {"deterministic": True},
        {"fit": True, "seed": 4},
        {"fit": True, "deterministic": True},
    ):
        found = model.translate(image, **options)
        assert_same_picture(found, run.translate(image, **options))
    assert server.requests == ["float"] * 3


def test_what_is_no_input_is_refused_before_it_is_sent(model, server):
    for image in (np.zeros((8, 8, 5), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros(3)):
        with pytest.raises(ValueError, match=r"channels|float32|expected"):
            model.translate(image)
    with pytest.raises(ValueError, match="64 bits"):
        model.translate(picture(8, 8, 3), seed=2**63)
    assert server.requests == []


PALETTE = json.dumps(
    {
        "name": "two",
        "classes": [
            {"name": "sky", "color": [0, 0, 255], "index": 0, "void": False},
            {"name": "wall", "color": [200, 40, 0], "index": 7, "void": False},
        ],
    }
)
FORMS = {
    "labels": (
        {"label_palette": "two", "label_side": "input", "palette": PALETTE}
        | {"input_channels": 2, "input_encoding": "onehot", "target_channels": 3},
        picture(20, 33, 3),
        1,
    ),
    "16 bits": (
        {"input_channels": 1, "target_channels": 3}
        | {"input_dtype": "uint16", "target_dtype": "uint16"},
        picture(20, 33, dtype=np.uint16),
        20,
    ),
    "floats": (
        {"input_channels": 2, "target_channels": 1, "input_dtype": "float32"}
        | {"target_dtype": "float32", "input_range": "0:9", "target_range": "-2:7"}
        | {"input_ignore": "nan"},
        # Of which a corner was not measured.
        np.pad(
            np.random.default_rng(0).uniform(0, 9, (20, 33, 2)).astype(np.float32)[4:, 5:],
            ((4, 0), (5, 0), (0, 0)),
            constant_values=np.nan,
        ),
        1e-4,
    ),
    "five channels of 16 bits": (
        {"input_channels": 5, "target_channels": 1}
        | {"input_dtype": "uint16", "target_dtype": "uint16"},
        picture(20, 33, 5, dtype=np.uint16),
        20,
    ),
    "lab": (
        {"input_channels": 1, "target_channels": 2, "color_space": "lab"}
        | {"input_dtype": "float32", "target_dtype": "float32"}
        | {"input_range": "0:100", "target_range": "-110:110"},
        picture(20, 33, 3),
        1,
    ),
}


@pytest.mark.parametrize(("changes", "image", "limit"), FORMS.values(), ids=FORMS)
def test_every_form_of_run(make_run, job, serving, tmp_path, changes, image, limit):
    workdir = make_run(tmp_path / "run", **changes)
    (artifact,) = FORMAT.write(job(workdir), tmp_path)
    run = tfpix2pix.load(workdir)
    images = [image]
    if "palette" in changes:
        images.append(np.array([[0, 7, 7], [7, 0, 7]], np.uint8))  # an index map
    if "color_space" in changes:
        images.append(picture(20, 33, 3, dtype=np.uint16))
    with serving(tmp_path / artifact.path) as server:
        arrays = {"serving_default", "seeded", "float", "contract"}
        encoded = {"encoded", "encoded_seeded"} if run.spec.x.channels < 5 else set()
        if image.dtype == np.float32:
            encoded = set()
        assert set(server.model.signatures) == arrays | encoded
        for way in WAYS:
            model = open_remote(url_of(server, way), retry=QUICK)
            for each in images:
                found = model.translate(each, seed=2)
                assert_same_picture(found, run.translate(each, seed=2), limit)


def test_an_export_of_one_size_without_noise(run, exported_run, job, serving, tmp_path):
    (artifact,) = FORMAT.write(job(exported_run, "deterministic", (32, 64)), tmp_path)
    with serving(tmp_path / artifact.path) as server:
        for way in WAYS:
            model = open_remote(url_of(server, way), retry=QUICK)
            assert not model.takes_noise
            for image in (picture(32, 64, 3), picture(30, 50, 3)):
                expected = run.translate(image, deterministic=True)
                assert_same_picture(model.translate(image, seed=3), expected)
            with pytest.raises(ValueError, match="64x32 only"):
                model.translate(picture(33, 64, 3))
            fitted = model.translate(picture(70, 41, 3), fit=True)
            assert fitted.shape == (70, 41, 3)


def test_many_at_a_time(model, run):
    images = [picture(20 + i % 3, 33, 3, seed=i) for i in range(16)]
    with ThreadPoolExecutor(model.parallel) as pool:
        found = list(pool.map(lambda i: model.translate(images[i], seed=i), range(16)))
    for i, result in enumerate(found):
        assert_same_picture(result, run.translate(images[i], seed=i))


def test_sizes_that_a_server_will_not_batch_are_sent_as_files(saved_model, serving, run, way):
    with serving(saved_model, batching=0.2) as server:
        model = open_remote(url_of(server, way), retry=QUICK)
        images = [picture(20 + i, 33, 3, seed=i) for i in range(6)]
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(model.translate, images))
        assert max(server.batches) > 1
        for image, result in zip(images, found, strict=True):
            assert_same_picture(result, run.translate(image))
        if way == "grpc":
            assert {"seeded", "encoded_seeded"} <= set(server.requests)


def test_a_client_over_rest_needs_no_tensorflow(running, tmp_path):
    code = f"""
import sys
import numpy as np
from tfpix2pix.export.client.remote import open_remote
model = open_remote("{url_of(running, "rest")}")
print(model.translate(np.zeros((9, 12, 3), np.uint8), seed=1).shape)
print("tensorflow" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout.split("\n")[:2] == ["(9, 12, 3)", "False"], done.stderr


# === Servers that stumble ===


@pytest.mark.parametrize(
    "faults",
    [
        ["UNAVAILABLE", "UNAVAILABLE"],
        ["RESOURCE_EXHAUSTED"],
        ["DEADLINE_EXCEEDED", "UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    ],
    ids=len,
)
def test_a_busy_server_is_asked_again(model, server, run, faults):
    server.faults = list(faults)
    image = picture(9, 12, 3)
    assert_same_picture(model.translate(image), run.translate(image))
    assert len(server.requests) == len(faults) + 1


def test_a_server_that_refuses_at_first_is_opened(server, way):
    server.faults = ["UNAVAILABLE", "UNAVAILABLE"]
    assert open_remote(url_of(server, way), retry=QUICK).step == 5
    assert server.requests == ["contract"] * 3


def test_an_answer_that_does_not_come_is_asked_for_again(server, run, way):
    model = open_remote(url_of(server, way), timeout=1.5, retry=QUICK)
    image = picture(9, 12, 3)
    model.translate(image)  # what is slow the first time
    server.requests.clear()
    server.faults = ["hang"]
    assert_same_picture(model.translate(image), run.translate(image))
    assert len(server.requests) == 2


@pytest.mark.parametrize("fault", ["INVALID_ARGUMENT", "INTERNAL"])
def test_what_would_fail_again_is_not_asked_again(model, server, way, fault):
    server.faults = [fault]
    with pytest.raises(UserError, match=f"{fault.lower()} on demand") as error:
        model.translate(picture(9, 12, 3))
    assert str(error.value).startswith(url_of(server, way))
    assert len(server.requests) == 1


def test_a_server_that_stays_busy_is_given_up(model, server, way):
    server.faults = ["UNAVAILABLE"] * 50
    image = picture(9, 12, 3)
    with pytest.raises(UserError, match="unavailable on demand") as error:
        model.translate(image)
    assert str(error.value).startswith(url_of(server, way))
    assert len(server.requests) == QUICK.attempts
    # The next one does not wait as long, ...
    with pytest.raises(UserError):
        model.translate(image)
    assert len(server.requests) == QUICK.attempts + 1
    # ... until one succeeds.
    server.faults = []
    model.translate(image)
    server.faults = ["UNAVAILABLE"]
    model.translate(image)


@pytest.mark.parametrize(
    "fault", ["garbage", lambda value: value[:, 1:] if value.ndim > 1 else value[:0]]
)
def test_garbage_is_no_picture(model, server, way, fault):
    server.faults = [fault] * 4
    with pytest.raises(UserError, match="answer") as error:
        model.translate(picture(9, 12, 3))
    assert url_of(server, way) in str(error.value)


def test_garbage_is_no_network(model, server):
    server.faults = ["garbage"]
    with pytest.raises(UserError, match=r"\[3, 2\].*\[1, 32, 32, 3\] was expected"):
        model.translate(picture(9, 12, 3), deterministic=True)


# === Addresses ===


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_dead_server_is_named(scheme):
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as gone:
        port = gone.server_port
    path = "/v1/models/m" if scheme == "http" else "/m"
    url = f"{scheme}://127.0.0.1:{port}{path}"
    with pytest.raises(UserError, match="cannot be reached") as error:
        open_remote(url, retry=QUICK, timeout=2)
    assert str(error.value).startswith(url)
    assert "\n" not in str(error.value)


def test_models_and_versions_that_are_not_there(server, way):
    url = url_of(server, way)
    version = "/versions/{}" if way == "rest" else "?version={}"
    assert open_remote(url + version.format(1), retry=QUICK).step == 5
    for other in (url + version.format(9), url + "2"):
        with pytest.raises(UserError, match="no such model") as error:
            open_remote(other, retry=QUICK)
        assert str(error.value).startswith(other)
    if way == "rest":
        assert open_remote(url + ":predict", retry=QUICK).step == 5
        assert open_remote(url + "/", retry=QUICK).step == 5


def test_a_model_that_is_no_export_of_ours(serving, tmp_path):
    class Double(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def twice(self, x):
            return {"y": 2 * x}

    module = Double()
    signatures = {"serving_default": module.twice.get_concrete_function()}
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=signatures)
    with serving(tmp_path / "1") as server:
        for way in WAYS:
            with pytest.raises(UserError, match="no tfpix2pix export"):
                open_remote(url_of(server, way), retry=QUICK)


def test_a_web_server_that_is_no_tensorflow_serving():
    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome</html>")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(UserError, match="not that of TensorFlow Serving"):
            open_remote(f"http://127.0.0.1:{server.server_port}/v1/models/m", retry=QUICK)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8501",
        "http://localhost:8501/v1/models/",
        "http://localhost:8501/v1/models/m/versions/new",
        "http:///v1/models/m",
        "http://user:secret@localhost:port/v1/models/m",
        "https://user:secret@localhost/v2/models/m",
        "grpc://localhost:8500",
        "grpc://localhost:8500/a/b",
        "grpc://localhost:8500/m?version=new",
        "grpc://localhost:8500/m?label=new",
        "ftp://localhost/m",
    ],
)
def test_other_addresses_are_refused_with_those_that_are_meant(url):
    with pytest.raises(UserError, match=r"--model=.*expected http://HOST:8501/v1/models/NAME"):
        open_remote(url)
    with pytest.raises(UserError) as error:
        open_remote(url)
    assert "secret" not in str(error.value)


def test_without_the_packages_the_extra_is_named(monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "tensorflow_serving" else find(name, *rest),
    )
    with pytest.raises(UserError, match=r"tensorflow-serving-api.*tfpix2pix\[serving\]"):
        open_remote("grpc://localhost:8500/m")
    with pytest.raises(UserError, match=r"--formats=savedmodel.*tfpix2pix\[serving\]"):
        FORMAT.check()


# === Retrying ===


def test_waits_double_up_to_a_limit_and_vary():
    retry = Retry(first_wait=1, longest_wait=5)
    for failures, longest in ((1, 1), (2, 2), (3, 4), (4, 5), (9, 5)):
        waits = {retry.wait(failures) for _ in range(50)}
        assert longest / 2 <= min(waits) <= max(waits) <= longest
        assert len(waits) > 1


def test_only_what_is_transient_is_tried_again():
    calls = []

    def call(error):
        calls.append(error)
        raise error

    retrier = Retrier(Retry(3, 0, 0))
    for error, count in ((Transient("x"), 3), (NoSuchThing("x"), 1), (ValueError("x"), 1)):
        calls.clear()
        with pytest.raises(type(error)):
            Retrier(Retry(3, 0, 0))(lambda error=error: call(error))
        assert len(calls) == count
    calls.clear()
    with pytest.raises(Transient):
        retrier(lambda: call(Transient("x")), (Transient,))
    assert len(calls) == 1


# === The command line ===


def test_translate_by_a_server_writes_the_files_of_the_run(
    running, exported_run, run_cli, tmp_path
):
    from PIL import Image

    (tmp_path / "in").mkdir()
    for i in range(5):
        Image.fromarray(picture(20 + i, 33, 3, seed=i)).save(tmp_path / "in" / f"{i}.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    url = url_of(running, "rest")
    done = {}
    for name, source in (("server", f"--model={url}"), ("run", f"--workdir={exported_run}")):
        done[name] = run_cli(
            "translate", source, "--input=in", f"--output={name}", "--seed=3", timeout=120
        )
        assert done[name].returncode == 1, done[name].stderr  # bad.png
        assert "bad.png" in done[name].stderr
    names = [path.name for path in sorted((tmp_path / "run").iterdir())]
    assert names == [f"{i}.png" for i in range(5)]
    for name in names:
        found, expected = (
            np.asarray(Image.open(tmp_path / folder / name)) for folder in ("server", "run")
        )
        assert_same_picture(found, expected)
    refused = run_cli("translate", f"--model={url}2", "--input=in", "--output=none")
    assert refused.returncode == 2
    assert f"{url}2: the server has no such model" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "none").exists()
