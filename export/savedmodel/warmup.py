"""Warm-up requests: what TensorFlow Serving runs once before it lets a version answer.

The first request of each signature traces, allocates and picks kernels; with these records the
server has that behind it when it says that it is ready.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tfpix2pix.data.spec import ImageSpec
    from tfpix2pix.export.contract import Contract

WARMUP = "assets.extra/tf_serving_warmup_requests"


def warmup_inputs(contract: Contract) -> dict[str, dict[str, np.ndarray]]:
    """Small inputs for every signature, by its name; each a batch of one.

    Images are of the size that the network was trained at, or of the fixed size.
    """
    import tensorflow as tf

    from tfpix2pix.export.savedmodel.graph_spec import GraphSpec
    from tfpix2pix.export.wire import signature_name

    spec = GraphSpec(contract.spec)
    height, width = contract.image_size or contract.config.whole_size
    random = np.random.default_rng(0)
    shape = (1, height, width, spec.image_channels)
    image = _image(contract.spec.input_image, shape, random)
    network = {
        name: random.uniform(0, 1, (1, *shape)).astype(np.float32)
        for name, shape in contract.shapes(height, width).items()
    }
    seed = {"seed": np.array([1], np.int64)}
    ways: dict[str, dict[str, np.ndarray]] = {"": {}}
    if contract.seeded:
        ways["seeded"] = seed
    if contract.latent_size:
        ways["latent"] = {**(seed if contract.noise else {}), "latent": network["latent"]}
    sources = {"": {"image": image}}
    if spec.has_files:
        data = np.array([tf.io.encode_png(image[0]).numpy()], object)
        sources["encoded"] = {"image_bytes": data}
    inputs = {
        signature_name(source, way): {**first, **more}
        for source, first in sources.items()
        for way, more in ways.items()
    }
    if contract.encodes:
        inputs |= _of_encoder(contract, random)
    return {**inputs, "float": network, "contract": {"query": np.array([b""], object)}}


def _image(kind: ImageSpec, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """A random image of that kind."""
    if kind.dtype == "float32":
        return random.uniform(kind.low, kind.high, shape).astype(np.float32)
    return random.integers(0, np.iinfo(kind.dtype).max + 1, shape).astype(kind.dtype)


def _of_encoder(
    contract: Contract, random: np.random.Generator
) -> dict[str, dict[str, np.ndarray]]:
    """Inputs for the signatures of the encoder."""
    import tensorflow as tf

    from tfpix2pix.export.savedmodel.graph_spec import of_targets

    *size, channels = contract.encoder_shape
    image = _image(
        contract.spec.result_image, (1, *size, contract.spec.result_image.channels), random
    )
    y = random.uniform(-1, 1, (1, *size, channels)).astype(np.float32)
    inputs = {"style": {"image": image}, "encoder": {"y": y}}
    if of_targets(contract.spec).has_files:
        data = np.array([tf.io.encode_png(image[0]).numpy()], object)
        inputs["encoded_style"] = {"image_bytes": data}
    return inputs


def write_warmup(path: Path, contract: Contract, name: str) -> Path:
    """Writes the records into a version's folder.

    Args:
      path: the folder of the version.
      contract: of the export.
      name: of the model, as servers call it.

    Returns:
      The file: a TFRecord of ``PredictionLog`` messages.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    file = path / WARMUP
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, inputs in sorted(warmup_inputs(contract).items()):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
    return file
