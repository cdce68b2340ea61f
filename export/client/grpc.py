"""TensorFlow Serving's gRPC interface, by its official messages (extra ``serving``)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.export.client.retry import (
    MixedSizes,
    NoSuchThing,
    ServerError,
    TimedOut,
    Transient,
    check_shape,
    said,
)
from tfpix2pix.export.formats import require
from tfpix2pix.export.wire import Expected

if TYPE_CHECKING:
    import grpc


class GrpcTransport:
    """Predict requests as protocol buffers.

    Args:
      address: ``host:port``.
      name: of the model.
      version: of it; None for the one that the server takes as its latest.
      timeout: seconds for a request and the whole of its answer.

    Raises:
      UserError: the packages of the extra ``serving`` are not installed.
    """

    prefers_files = False
    dtypes: tuple[str, ...] = ("uint8", "uint16", "float32")

    def __init__(self, address: str, name: str, version: int | None, timeout: float) -> None:
        for module, package in (
            ("grpc", "grpcio"),
            ("tensorflow_serving", "tensorflow-serving-api"),
        ):
            require(module, package, f"grpc://{address}/{name}", "serving")
        from tfpix2pix.base.quiet import import_tensorflow

        # The messages of tensorflow-serving-api hold those of TensorFlow, and import it.
        import_tensorflow()
        self._address, self._timeout = address, timeout
        self._name, self._version = name, version
        self._channels: dict[int, grpc.Channel] = {}
        self._lock = threading.Lock()

    def _channel(self, limit: int) -> grpc.Channel:
        """A channel that takes messages of so many bytes.

        A channel has one limit, so there is one for each power of two that was asked for.
        """
        import grpc

        # The largest that a message can have.
        limit = min(1 << (limit - 1).bit_length(), 2**31 - 1)
        with self._lock:
            if limit not in self._channels:
                self._channels[limit] = grpc.insecure_channel(self._address, _options(limit))
            return self._channels[limit]

    def predict(
        self, signature: str, inputs: dict[str, np.ndarray], output: str, expected: Expected
    ) -> np.ndarray:
        """Runs a signature; arrays of bytes are files.

        Raises:
          ServerError: it failed; `Transient` where it may work later.
        """
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._name
        request.model_spec.signature_name = signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        # A number takes up to ten bytes where it is no raw content.
        channel = self._channel(expected.limit(number=10, byte=1))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            reply = stub.Predict(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise _failure(error) from None
        if output not in reply.outputs:
            raise ServerError(f"its answer has no '{output}'")
        found = reply.outputs[output]
        # Before the array is made: a single value fills whatever shape is claimed.
        check_shape([axis.size for axis in found.tensor_shape.dim], expected)
        try:
            dtype = tf.as_dtype(found.dtype)
            if not (dtype == tf.string if expected.item else dtype.is_floating or dtype.is_integer):
                raise TypeError(f"its type is {dtype.name}")
            return tf.make_ndarray(found)
        except (TypeError, ValueError) as error:
            raise ServerError(f"its answer is damaged ({error})") from None

    def close(self) -> None:
        with self._lock:
            while self._channels:
                self._channels.popitem()[1].close()


def _options(limit: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_send_message_length", -1),
        # Pictures are larger than the 4 MB that gRPC allows by itself.
        ("grpc.max_receive_message_length", limit),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.enable_retries", 0),  # `Retrier` does that
    ]


def _failure(error: grpc.RpcError) -> ServerError:
    import grpc

    code = error.code()
    text = said(error.details() or "")
    message = f"{code.name}{': ' + text if text else ''}"
    if "have different shapes" in text:
        return MixedSizes(message)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TimedOut("it did not answer in time")
    if code is grpc.StatusCode.UNAVAILABLE:
        return Transient(f"it cannot be reached ({text})")
    if "message larger than max" in text:
        # By the limit of one side, so it would be so again.
        side = "the request" if "SERVER" in text else "its answer"
        return ServerError(f"{side} is larger than is taken ({message})")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Transient(message)
    if code is grpc.StatusCode.NOT_FOUND or "signature name" in text.lower():
        return NoSuchThing(message)
    return ServerError(message)
