"""The generator as an ONNX graph: tf2onnx's, rewritten to the few operators that it needs.

tf2onnx translates operation by operation. What it makes of our layers is right but roundabout, and
partly fixed to the size it was traced at. These rewrites leave a graph of convolutions,
normalisations and activations alone, the same for every size:

* the mean, variance and scaling of a per-image normalisation become ``InstanceNormalization``;
* moving averages (``--norm=batch``) become part of the convolutions' weights;
* what is computed from z becomes a few operators per dropout layer, channels first;
* a 4x4 transposed convolution of stride 2 becomes four 2x2 convolutions, one for each parity of the
  output pixel, and ``DepthToSpace``. It multiplies the same numbers; onnxruntime's convolution is
  faster than its transposed one (benchmarks/inference.py), and has an int8 form.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.export import onnx_rewrites
from tfpix2pix.export.core import Core
from tfpix2pix.export.onnx_nodes import Graph
from tfpix2pix.export.onnx_noise import rewrite_noise
from tfpix2pix.models.layers import InstanceNormalization, NoiseDropout

if TYPE_CHECKING:
    import onnx
    import tensorflow as tf

    from tfpix2pix.export.contract import Contract

# The newest that needs nothing newer than onnxruntime 1.12 (2022) to run; what 18 changed (padding,
# splitting, reductions over axes given as inputs) is not used here.
OPSET = 17
_IR_VERSION = 8  # of the same time
# Operators whose meaning depends on no height or width.
_SIZE_FREE = {
    "Add",
    "BatchNormalization",
    "Cast",
    "Concat",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "GlobalAveragePool",
    "InstanceNormalization",
    "LeakyRelu",
    "Less",
    "Mul",
    "Relu",
    "Split",
    "Sub",
    "Tanh",
    "Transpose",
    "Where",
}


def convert(generator: tf.keras.Model, contract: Contract) -> onnx.ModelProto:
    """The generator as an ONNX model of opset `OPSET`.

    Args:
      generator: from `core.export_generator`.
      contract: whether there is z, and the size; it is not yet written into the model.

    Returns:
      A model of x ``[batch, H, W, C_in]`` (and z ``[batch, h, w, Z]``) to y ``[batch, H, W,
      C_out]``, float32; sizes are symbolic where the contract has none.

    Raises:
      ValueError: this tf2onnx makes a graph that is not independent of the image's size.
    """
    import onnx
    import tf2onnx

    # Twice the crop size: no feature is a single pixel then, which would be a case of its own.
    side = 2 * contract.size_multiple
    core = Core(generator, dataclasses.replace(contract, image_size=(side, side)))
    with quiet_logs(), _told_apart(generator) as values:
        model, _ = tf2onnx.convert.from_function(
            core.run, input_signature=core.signature, opset=OPSET
        )
    graph = Graph(model)
    onnx_rewrites.restore_transposes(graph)
    onnx_rewrites.use_instance_normalization(graph, values)
    rewrite_noise(graph, [layer for layer in generator.layers if isinstance(layer, NoiseDropout)])
    onnx_rewrites.drop_transpose_pairs(graph)
    onnx_rewrites.fold_scales(graph)
    onnx_rewrites.split_transposed_convolutions(graph)
    graph.finish()
    model.graph.name = "generator"
    model.ir_version = _IR_VERSION
    # tf2onnx names a second set of operators, which is not used.
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    odd = {node.op_type for node in model.graph.node} - _SIZE_FREE
    if odd:
        raise ValueError(
            f"tf2onnx {tf2onnx.__version__} leaves operators that may depend on the image's size: "
            f"{', '.join(sorted(odd))}"
        )
    set_sizes(model, contract)
    return model


@contextlib.contextmanager
def _told_apart(
    generator: tf.keras.Model,
) -> Iterator[dict[float, tuple[np.ndarray, np.ndarray]]]:
    """Meanwhile every per-image normalisation has a gamma and beta of its own making.

    A gamma of 1 or a beta of 0, as untrained and imported weights have them, would be simplified
    away, and the chain be another one. Gives the true ones by the first number of the stand-in.
    """
    layers = [each for each in generator.layers if isinstance(each, InstanceNormalization)]
    values, before = {}, []
    for number, layer in enumerate(layers, start=2):
        gamma, beta = (np.asarray(each, np.float32) for each in (layer.gamma, layer.beta))
        values[float(number)] = gamma, beta
        before.append((layer, gamma, beta))
        steps = np.arange(len(gamma), dtype=np.float32) / (2 * len(gamma))
        layer.gamma.assign(number + steps)
        layer.beta.assign(-number - steps)
    try:
        yield values
    finally:
        for layer, gamma, beta in before:
            layer.gamma.assign(gamma)
            layer.beta.assign(beta)


def set_sizes(model: onnx.ModelProto, contract: Contract) -> None:
    """Writes the contract's sizes, or symbols, into the model's inputs and outputs."""
    height, width = contract.image_size or ("height", "width")
    config = contract.config
    z = ("z_height", "z_width", contract.noise_channels)
    if contract.image_size:
        z = contract.noise_shape(*contract.image_size)
    sizes = {
        "x": ("batch", height, width, config.x_channels),
        "z": ("batch", *z),
        "y": ("batch", height, width, config.y_channels),
    }
    for value in [*model.graph.input, *model.graph.output]:
        for dimension, size in zip(
            value.type.tensor_type.shape.dim, sizes[value.name], strict=True
        ):
            dimension.Clear()
            if isinstance(size, str):
                dimension.dim_param = size
            else:
                dimension.dim_value = int(size)
    # Shapes between were those of the tracing.
    del model.graph.value_info[:]


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """No log line below an error: converters tell what is nothing to the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
