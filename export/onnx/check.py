"""What an ONNX file may hold to be run here: see `engine_check`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine_check import Refused, check_stored, sizes_to_check, too_large

if TYPE_CHECKING:
    import onnx

# What `onnx_graph` and `onnx_quantize` write, and near relatives of it. None makes a tensor out of
# a size alone (as ConstantOfShape, Expand, Tile, Range and Resize do), and none holds a graph.
_NAMES = """
Add ArgMax AveragePool BatchNormalization Cast Clip Concat Constant Conv ConvTranspose DepthToSpace
DequantizeLinear Div Gather Gemm
GlobalAveragePool Greater GreaterOrEqual Identity InstanceNormalization LeakyRelu Less MatMul Mul
Neg Not
Pad QuantizeLinear Reciprocal ReduceMean Relu Reshape Slice Softmax Split Sqrt Squeeze Sub Tanh
Transpose Unsqueeze Where
"""
OPERATORS = frozenset(_NAMES.split())
_DOMAINS = ("", "ai.onnx")
_SMALL = 1024  # numbers of a constant that says what shapes others have


def check_onnx(path: Path, metadata: str, encoder: bool = False) -> Contract:
    """Reads an ONNX file without running any of it.

    Args:
      path: the file.
      metadata: the key of the contract.
      encoder: whether it is to hold an encoder, and not a generator.

    Returns:
      The contract that it carries.

    Raises:
      Refused: it holds more than an export.
      UserError: it carries no contract.
      ValueError: it is damaged.
      OSError: it cannot be read.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        # Other files that it may name are not looked at.
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        raise ValueError("it is no ONNX model") from None
    properties = {each.key: each.value for each in model.metadata_props}
    contract = Contract.parse(properties.get(metadata, ""), str(path))
    _check_parts(model)
    check_stored(contract, path.stat().st_size, encoder)
    _check_sizes(model, sizes_to_check(contract, encoder))
    return contract


def _check_parts(model: onnx.ModelProto) -> None:
    if model.functions or model.training_info:
        raise Refused("it holds functions of its own")
    if model.graph.sparse_initializer:
        raise Refused("it holds sparse weights")
    for tensor in model.graph.initializer:
        _check_tensor(tensor)
    for node in model.graph.node:
        if node.domain not in _DOMAINS or node.op_type not in OPERATORS:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise Refused(f"it runs the operator {name!r}")
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise Refused(f"its operator {node.op_type!r} holds a graph of its own")
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise Refused("it holds sparse weights")
            for tensor in _tensors_of(attribute):
                _check_tensor(tensor)


def _tensors_of(attribute: Any) -> Iterator[onnx.TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors


def _check_tensor(tensor: onnx.TensorProto) -> None:
    import onnx

    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise Refused(f"its weights {tensor.name!r} are in another file")
    try:
        size = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, ValueError, TypeError):
        raise Refused(f"its weights {tensor.name!r} are of no known type") from None
    # Small numbers that are not stored raw take a byte each, whatever their type.
    if any(d < 0 for d in tensor.dims) or math.prod(tensor.dims) * size > 8 * tensor.ByteSize():
        raise Refused(f"its weights {tensor.name!r} claim more than it holds")


def _check_sizes(
    model: onnx.ModelProto, sizes: Iterable[tuple[dict[str, tuple[int, ...]], int]]
) -> None:
    """Follows the shapes of all tensors through the graph, and adds them up, for each of the
    `sizes_to_check`."""
    import onnx

    graph = onnx.ModelProto()
    graph.opset_import.extend(model.opset_import)
    graph.ir_version = model.ir_version
    graph.graph.name = "sizes"
    graph.graph.node.extend(model.graph.node)
    graph.graph.output.extend(model.graph.output)
    weights = []
    for tensor in model.graph.initializer:
        # The values of weights say nothing of shapes, and are most of the file.
        if math.prod(tensor.dims) <= _SMALL:
            graph.graph.initializer.append(tensor)
        else:
            weights.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    for output in graph.graph.output:
        output.type.tensor_type.ClearField("shape")
    results = {name for node in model.graph.node for name in node.output if name}
    for shapes, allowed in sizes:
        del graph.graph.input[:]
        graph.graph.input.extend(weights)
        for name, shape in shapes.items():
            graph.graph.input.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            )
        try:
            found = onnx.shape_inference.infer_shapes(graph, strict_mode=True, data_prop=True)
        except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()
            raise ValueError(reason[0] if reason else "its shapes do not fit") from None
        numbers, known = 0, set()
        for value in [*found.graph.value_info, *found.graph.output]:
            dimensions = value.type.tensor_type.shape.dim
            if value.type.tensor_type.HasField("shape") and all(
                d.HasField("dim_value") and d.dim_value >= 0 for d in dimensions
            ):
                numbers += math.prod(d.dim_value for d in dimensions)
                known.add(value.name)
        if numbers > allowed:
            raise too_large(numbers, shapes)
        if results - known:
            raise Refused(f"the size of its tensor {min(results - known)!r} cannot be told")
