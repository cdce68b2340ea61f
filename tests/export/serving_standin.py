"""A stand-in for TensorFlow Serving: a SavedModel behind the official service definitions.

No TensorFlow Serving binary comes from a package registry, so the tests cannot start the real one.
This one answers the official gRPC stubs of `tensorflow-serving-api` (PredictionService and
ModelService) over a real connection, and the REST form as its documentation and source state it
(row and column form, base64 objects, names ending ``_bytes``, one output without its name, no
uint16, status codes). It can put requests that arrive together into one batch, with the rule of
the real one that images of several sizes then fail; and it can misbehave on demand. What it does
not show: the real server's scheduling, its loading of versions, and its speed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

_HTTP = {"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "NOT_FOUND": 404}
_HTTP |= {"UNAVAILABLE": 503, "RESOURCE_EXHAUSTED": 429, "DEADLINE_EXCEEDED": 504, "INTERNAL": 500}
# What the real server's JSON knows (tensorflow_serving/util/json_tensor.cc).
_JSON_TYPES = ("float32", "float64", "int32", "int16", "int8", "uint8", "object", "int64", "bool")
_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata|:predict)?")


class Fault(Exception):
    """An answer that is an error, by the name of its gRPC status code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class StandIn:
    """Serves one version of a model on two free ports; see the module.

    Args:
      path: the folder of the version.
      name: of the model.
      batching: seconds to wait for requests to share a batch; None: each runs alone.

    Attributes:
      grpc: ``host:port``.
      rest: ``http://host:port``.
      faults: what the next requests get instead of an answer: names of status codes, ``"hang"``
        (answers after `hang` seconds), ``"garbage"``, or a function of an output array.
      requests: signature names, in the order of arrival.
      batches: how many images each run of the model had.
    """

    def __init__(self, path: Path, name: str = "model", batching: float | None = None) -> None:
        self.name, self.batching = name, batching
        self.version = int(path.name)
        self.model = tf.saved_model.load(str(path))
        self.faults: list[Any] = []
        self.hang = 3.0
        self.requests: list[str] = []
        self.batches: list[int] = []
        self._lock = threading.Lock()
        self._waiting: dict[str, list[dict[str, Any]]] = {}
        self._server = grpc.server(
            futures.ThreadPoolExecutor(16),
            options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            _Prediction(self), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(self), self._server)
        self.grpc = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.rest = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()

    # === Work ===

    def check_model(self, name: str, version: int | None) -> None:
        if name != self.name or version not in (None, self.version):
            wanted = f"Specific({name}, {version})" if version else f"Latest({name})"
            raise Fault("NOT_FOUND", f"Servable not found for request: {wanted}")

    def signature(self, name: str) -> Any:
        name = name or "serving_default"
        if name not in self.model.signatures:
            raise Fault(
                "INVALID_ARGUMENT", f'Serving signature name: "{name}" not found in signature def'
            )
        return self.model.signatures[name]

    def predict(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a request, alone or in a batch."""
        with self._lock:
            self.requests.append(signature or "serving_default")
            fault = self.faults.pop(0) if self.faults else None
        if fault == "hang":
            time.sleep(self.hang)
        elif isinstance(fault, str) and fault != "garbage":
            raise Fault(fault, f"{fault.lower()} on demand")
        specs = self.signature(signature).structured_input_signature[1]
        if set(specs) != set(inputs):
            raise Fault(
                "INVALID_ARGUMENT",
                f"input keys expected: {sorted(specs)}, received: {sorted(inputs)}",
            )
        if self.batching is None:
            outputs = self._run(signature, inputs)
        else:
            outputs = self._in_batch(signature, inputs)
        if fault == "garbage":
            return {name: np.zeros([3, 2], np.float32) for name in outputs}
        if callable(fault):
            return {name: fault(value) for name, value in outputs.items()}
        return outputs

    def _run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        function = self.signature(signature)
        specs = function.structured_input_signature[1]
        tensors = {}
        for name, value in inputs.items():
            spec = specs[name]
            if not spec.shape.is_compatible_with(value.shape):
                raise Fault("INVALID_ARGUMENT", f"{name}: {value.shape} for {spec.shape}")
            try:
                tensors[name] = tf.constant(value, spec.dtype)
            except (TypeError, ValueError) as error:
                raise Fault("INVALID_ARGUMENT", f"{name}: {error}") from None
        with self._lock:
            self.batches.append(len(next(iter(inputs.values()))))
        try:
            return {name: value.numpy() for name, value in function(**tensors).items()}
        except tf.errors.InvalidArgumentError as error:
            raise Fault("INVALID_ARGUMENT", error.message) from None

    def _in_batch(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        task = {"inputs": inputs, "done": threading.Event()}
        with self._lock:
            queue = self._waiting.setdefault(signature, [])
            queue.append(task)
            first = len(queue) == 1
        if first:
            time.sleep(self.batching)
            with self._lock:
                tasks = self._waiting.pop(signature)
            self._run_batch(signature, tasks)
        task["done"].wait(60)
        if "fault" in task:
            raise task["fault"]
        return task["outputs"]

    def _run_batch(self, signature: str, tasks: list[dict[str, Any]]) -> None:
        try:
            for name, value in tasks[0]["inputs"].items():
                if any(t["inputs"][name].shape[1:] != value.shape[1:] for t in tasks):
                    # FAILED_PRECONDITION and its words as in batching_session.cc.
                    raise Fault(
                        "FAILED_PRECONDITION",
                        f"Tensors with name '{name}' from different tasks have different shapes "
                        "and padding is turned off. Set pad_variable_length_inputs to true, or "
                        "ensure that all tensors with the same name have equal dimensions "
                        "starting with the first dim.",
                    )
            names = tasks[0]["inputs"]
            merged = {n: np.concatenate([t["inputs"][n] for t in tasks]) for n in names}
            outputs = self._run(signature, merged)
            start = 0
            for task in tasks:
                end = start + len(next(iter(task["inputs"].values())))
                task["outputs"] = {name: value[start:end] for name, value in outputs.items()}
                start = end
        except Fault as fault:
            for task in tasks:
                task["fault"] = fault
        finally:
            for task in tasks:
                task["done"].set()


@contextlib.contextmanager
def serving(path: Path, **options: Any) -> Iterator[StandIn]:
    """A `StandIn` that stops at the end."""
    server = StandIn(path, **options)
    try:
        yield server
    finally:
        server.stop()


# === gRPC ===


def _answering(call: Callable[[Any], Any], context: grpc.ServicerContext) -> Any:
    try:
        return call()
    except Fault as fault:
        context.abort(grpc.StatusCode[fault.code], fault.text)


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, server: StandIn) -> None:
        self._server = server

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        def answer() -> predict_pb2.PredictResponse:
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None
            self._server.check_model(spec.name, version)
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            outputs = self._server.predict(spec.signature_name, inputs)
            response = predict_pb2.PredictResponse()
            response.model_spec.name = spec.name
            response.model_spec.version.value = self._server.version
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return response

        return _answering(answer, context)

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        def answer() -> get_model_metadata_pb2.GetModelMetadataResponse:
            self._server.check_model(request.model_spec.name, None)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = request.model_spec.name
            response.metadata["signature_def"].Pack(_signature_map(self._server))
            return response

        return _answering(answer, context)


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, server: StandIn) -> None:
        self._server = server

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        def answer() -> get_model_status_pb2.GetModelStatusResponse:
            self._server.check_model(request.model_spec.name, None)
            response = get_model_status_pb2.GetModelStatusResponse()
            status = response.model_version_status.add()
            status.version = self._server.version
            status.state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
            return response

        return _answering(answer, context)


def _signature_map(server: StandIn) -> Any:
    result = get_model_metadata_pb2.SignatureDefMap()
    for name, function in server.model.signatures.items():
        definition = result.signature_def[name]
        for key, spec in function.structured_input_signature[1].items():
            definition.inputs[key].dtype = spec.dtype.as_datatype_enum
        for key, spec in function.structured_outputs.items():
            definition.outputs[key].dtype = spec.dtype.as_datatype_enum
    return result


# === REST ===


def _handler(server: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def do_GET(self) -> None:
            self._answer(lambda what, _: self._status() if what is None else self._metadata())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(lambda _, version: _predict(server, body))

        def _answer(self, call: Callable[[str | None, str | None], Any]) -> None:
            try:
                path = _PATH.fullmatch(self.path)
                if path is None:
                    raise Fault("NOT_FOUND", f"Malformed request: {self.command} {self.path}")
                server.check_model(path[1], int(path[2]) if path[2] else None)
                code, content = 200, call(path[3], path[2])
            except Fault as fault:
                code, content = _HTTP[fault.code], {"error": fault.text}
            data = json.dumps(content).encode()
            with contextlib.suppress(OSError):  # the client went away
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def _status(self) -> Any:
            status = {"error_code": "OK", "error_message": ""}
            return {
                "model_version_status": [
                    {"version": str(server.version), "state": "AVAILABLE", "status": status}
                ]
            }

        def _metadata(self) -> Any:
            definitions = json_format.MessageToDict(_signature_map(server))["signatureDef"]
            return {
                "model_spec": {"name": server.name},
                "metadata": {"signature_def": {"signature_def": definitions}},
            }

    return Handler


def _predict(server: StandIn, body: bytes) -> Any:
    try:
        request = json.loads(body)
    except ValueError as error:
        raise Fault("INVALID_ARGUMENT", f"JSON Parse error: {error}") from None
    name = request.get("signature_name", "serving_default")
    specs = server.signature(name).structured_input_signature[1]
    rows = "instances" in request
    if rows == ("inputs" in request):
        raise Fault("INVALID_ARGUMENT", "Missing 'inputs' or 'instances' key, or both given")
    given = request["instances" if rows else "inputs"]
    if rows:
        named = isinstance(given[0], dict) and set(given[0]) != {"b64"}
        columns = {k: [row[k] for row in given] for k in given[0]} if named else None
    else:
        columns = given if isinstance(given, dict) else None
    if columns is None:
        if len(specs) != 1:
            raise Fault("INVALID_ARGUMENT", "instances is a plain list, but expecting a map")
        columns = {next(iter(specs)): given}
    inputs = {}
    for key, value in columns.items():
        if key not in specs:
            raise Fault("INVALID_ARGUMENT", f"JSON object: no input {key}")
        inputs[key] = _from_json(key, value, specs[key].dtype)
    outputs = server.predict(name, inputs)
    content = {key: _to_json(key, value) for key, value in outputs.items()}
    if len(content) == 1:
        content = next(iter(content.values()))
    elif rows:
        values = zip(*content.values(), strict=True)
        content = [dict(zip(content, row, strict=True)) for row in values]
    return {"predictions" if rows else "outputs": content}


def _from_json(key: str, value: Any, dtype: tf.DType) -> np.ndarray:
    def file(item: Any) -> bytes:
        if isinstance(item, dict):
            return base64.b64decode(item["b64"], validate=True)
        return item.encode()

    if dtype == tf.string:
        array = np.empty([len(value)], object)
        array[:] = [file(item) for item in value]
        return array
    if dtype.as_numpy_dtype.__name__ not in _JSON_TYPES:
        raise Fault("INVALID_ARGUMENT", f"JSON to tensor of {dtype.name} is not supported: {key}")
    try:
        return np.array(value, dtype.as_numpy_dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise Fault("INVALID_ARGUMENT", f"JSON Value of {key}: {error}") from None


def _to_json(key: str, value: np.ndarray) -> Any:
    if value.dtype == object:
        if key.endswith("_bytes"):
            return [{"b64": base64.b64encode(item).decode()} for item in value]
        return [item.decode() for item in value]
    if value.dtype.name not in _JSON_TYPES:
        raise Fault("INVALID_ARGUMENT", f"{value.dtype} to JSON is not supported: {key}")
    return value.tolist()
