"""TensorFlow Serving's gRPC interface, by its official messages (extra ``serving``)."""

from __future__ import annotations

import numpy as np

from tfpix2pix.export.formats import require
from tfpix2pix.export.remote_retry import MixedSizes, NoSuchThing, ServerError, Transient


class GrpcTransport:
    """Predict requests as protocol buffers.

    Args:
      address: ``host:port``.
      name: of the model.
      version: of it; None for the one that the server takes as its latest.
      timeout: seconds for a request.

    Raises:
      UserError: the packages of the extra ``serving`` are not installed.
    """

    prefers_files = False
    dtypes = ("uint8", "uint16", "float32")

    def __init__(self, address: str, name: str, version: int | None, timeout: float) -> None:
        for module, package in (
            ("grpc", "grpcio"),
            ("tensorflow_serving", "tensorflow-serving-api"),
        ):
            require(module, package, f"grpc://{address}/{name}", "serving")
        from tfpix2pix.base.quiet import import_tensorflow

        # The messages of tensorflow-serving-api hold those of TensorFlow, and import it.
        import_tensorflow()
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self._name, self._version, self._timeout = name, version, timeout
        self._channel = grpc.insecure_channel(
            address,
            options=[
                # Pictures are larger than the 4 MB that gRPC allows by itself.
                ("grpc.max_send_message_length", -1),
                ("grpc.max_receive_message_length", -1),
                ("grpc.initial_reconnect_backoff_ms", 200),
                ("grpc.min_reconnect_backoff_ms", 200),
                ("grpc.max_reconnect_backoff_ms", 2000),
                ("grpc.enable_retries", 0),  # `Retrier` does that
            ],
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, signature: str, inputs: dict[str, np.ndarray], output: str) -> np.ndarray:
        """Runs a signature; arrays of bytes are files.

        Raises:
          ServerError: it failed; `Transient` where it may work later.
        """
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._name
        request.model_spec.signature_name = signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            reply = self._stub.Predict(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise _failure(error) from None
        if output not in reply.outputs:
            raise ServerError(f"its answer has no '{output}'")
        try:
            return tf.make_ndarray(reply.outputs[output])
        except (TypeError, ValueError) as error:
            raise ServerError(f"its answer is damaged ({error})") from None

    def close(self) -> None:
        self._channel.close()


def _failure(error: object) -> ServerError:
    import grpc

    code = error.code()
    text = " ".join((error.details() or "").split())[:300]
    message = f"{code.name}{': ' + text if text else ''}"
    if "have different shapes" in text:
        return MixedSizes(message)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Transient("it did not answer in time")
    if code is grpc.StatusCode.UNAVAILABLE:
        return Transient(f"it cannot be reached ({text})")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Transient(message)
    if code is grpc.StatusCode.NOT_FOUND or "signature name" in text.lower():
        return NoSuchThing(message)
    return ServerError(message)
