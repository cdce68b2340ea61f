"""Smaller ONNX models: weights in 16 bits, convolutions in 8."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.export.onnx.graph import set_sizes
from tfpix2pix.export.onnx.logs import quiet_logs

if TYPE_CHECKING:
    import onnx

    from tfpix2pix.export.formats import Job

CALIBRATION_IMAGES = 32
_SMALL = 64  # constants of fewer numbers stay float32


def quantization_of(path: Path) -> str:
    """Which of them made an ONNX file of this package: ``none``, ``float16`` or ``int8``."""
    import onnx

    graph = onnx.load(path).graph
    if any(node.op_type == "QuantizeLinear" for node in graph.node):
        return "int8"
    halves = onnx.TensorProto.FLOAT16
    return "float16" if any(t.data_type == halves for t in graph.initializer) else "none"


def float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large weights stored in 16 bits; it computes in float32.

    onnxruntime, on the CPU and in WebAssembly, has float16 forms of few of the operators and turns
    the others' inputs to float32 and back at every run. Weights that are turned once, when the
    model is loaded, halve the file at the speed of float32, and only the weights are rounded.
    """
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    casts = []
    for tensor in made.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < _SMALL:
            continue
        name = tensor.name
        largest = np.finfo(np.float16).max
        half = np.clip(value, -largest, largest).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}_float16"))
        casts.append(
            onnx.helper.make_node(
                "Cast", [f"{name}_float16"], [name], name=f"{name}_cast", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *made.graph.node]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    return made


def int8(model: onnx.ModelProto, job: Job) -> onnx.ModelProto:
    """The model with its convolutions in 8 bits, the ranges seen on training images.

    Weights are quantised per output channel, what goes into and comes out of a convolution per
    tensor. Statistics, normalisation, dropout and activations stay in float32. Weights use 7 of
    their 8 bits: x86 processors without VNNI add two products in 16 bits, which 8 would overflow.
    A last convolution that reads x beside its features (`last_channels`) stays in float32 too.

    There is no ``dynamic`` beside it, which would take the ranges anew at every run: onnxruntime
    takes them over the whole batch, so that an image's result would depend on its neighbours', and
    is not faster with them than in float32.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    free = onnx.ModelProto()
    free.CopyFrom(model)
    # The images of the calibration have the training's size, whatever the export's is.
    set_sizes(free, dataclasses.replace(job.contract, image_size=None))
    convolutions = [node.name for node in free.graph.node if node.op_type == "Conv"]
    exact = convolutions[-1:] if job.contract.generator.x_last else []
    with tempfile.TemporaryDirectory() as folder, quiet_logs():
        source, target = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
        onnx.save(free, source)
        quantize_static(
            str(source),
            str(target),
            _reader(job),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=exact,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        made = onnx.load(target)
    set_sizes(made, job.contract)
    return made


def _reader(job: Job) -> object:
    """Gives onnxruntime's calibration training inputs, each with a seed of its own."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            images = enumerate(job.training_inputs(CALIBRATION_IMAGES))
            self._inputs = (job.inputs_of(x, seed) for seed, x in images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._inputs, None)

    return Reader()
