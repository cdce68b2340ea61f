"""What a TFLite file may hold to be run here: see `engine_check`.

Interpreters look custom operators up in whatever was linked to them (those of TensorFlow itself
read and write files), and allocate the sizes that the file names. So the few operators of our
exports are followed here with the shapes of their tensors, and with the values of those small
whole numbers that shapes are computed from.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine_check import Refused, check_stored, sizes_to_check, too_large
from tfpix2pix.export.tflite.file import METADATA, names_of, opened_model, schema

SIGNATURE = "serving_default"
_BYTES = {
    **{"FLOAT32": 4, "FLOAT16": 2, "INT64": 8, "INT32": 4, "INT16": 2},
    **{"INT8": 1, "UINT8": 1, "BOOL": 1},
}
_INTEGERS = {"INT32": np.int32, "INT64": np.int64}
_SMALL = 64  # whole numbers of a tensor that says what shapes others have


@dataclass
class _Tensor:
    """A shape, and the values where they are few whole numbers that are known."""

    shape: tuple[int, ...]
    value: np.ndarray | None = None


def check_tflite(path: Path, encoder: bool = False) -> Contract:
    """Reads a TFLite file without running any of it.

    Args:
      path: the file, whose offsets were followed (`tflite_file.check_whole`).
      encoder: whether it is to hold an encoder, and not a generator.

    Returns:
      The contract that it carries.

    Raises:
      Refused: it holds more than an export.
      UserError: it carries no contract, or has other inputs than that says.
      ValueError: it is damaged.
      OSError: it cannot be read.
    """
    with opened_model(path) as model:
        text = next((m[1] for m in _metadata(model) if m[0] == METADATA), b"")
        contract = Contract.parse(text, str(path))
        _check_parts(model)
        graph = model.Subgraphs(0)
        names = (("y",), "latent") if encoder else (contract.inputs, "y")
        places = _signature(model, *names, path)
        check_stored(contract, path.stat().st_size, encoder)
        expected: Mapping[str, tuple[int | None, ...]]
        if encoder:
            expected = {"y": contract.encoder_shape}
        else:
            expected = contract.shapes(*(contract.image_size or (None, None)))
        _check_recorded(graph, places, expected)
        for shapes, allowed in sizes_to_check(contract, encoder):
            inputs = {places[name]: shape for name, shape in shapes.items()}
            numbers = _Sizes(model, graph).run(inputs, allowed)
            if numbers > allowed:
                raise too_large(numbers, shapes)
    return contract


def _metadata(model: Any) -> list[tuple[str, bytes]]:
    found = []
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        data = model.Buffers(entry.Buffer()).DataAsNumpy()
        name = (entry.Name() or b"").decode("utf-8", "replace")
        found.append((name, bytes(data) if isinstance(data, np.ndarray) else b""))
    return found


def _check_parts(model: Any) -> None:
    names = names_of(schema().BuiltinOperator)
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        custom = (code.CustomCode() or b"").decode("utf-8", "replace")
        if custom or name not in _RULES:
            raise Refused(f"it runs the operator {custom or name!r}")
    if model.SubgraphsLength() != 1:
        raise Refused("it holds not one graph")
    types, graph = names_of(schema().TensorType), model.Subgraphs(0)
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        if tensor.IsVariable() or tensor.Sparsity() is not None:
            raise Refused("it holds sparse weights or such that change")
        if types[tensor.Type()] not in _BYTES:
            raise Refused(f"it holds a tensor of the type {types[tensor.Type()]}")
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        # Data behind the FlatBuffer, which files of less than 2 GB need not have.
        if getattr(buffer, "Offset", int)() > 1 or getattr(buffer, "Size", int)() > 1:
            raise Refused("its weights are behind its end")


def _signature(model: Any, takes: Sequence[str], gives: str, path: Path) -> dict[str, int]:
    """The input tensors of the signature, by name: those that it has to take."""
    from tfpix2pix.base.errors import UserError

    inputs, outputs = {}, []
    for i in range(model.SignatureDefsLength()):
        found = model.SignatureDefs(i)
        if (found.SignatureKey() or b"").decode("utf-8", "replace") != SIGNATURE:
            continue
        for k in range(found.InputsLength()):
            inputs[(found.Inputs(k).Name() or b"").decode()] = found.Inputs(k).TensorIndex()
        outputs = [(found.Outputs(k).Name() or b"").decode() for k in range(found.OutputsLength())]
    if set(inputs) != set(takes) or outputs != [gives]:
        expected = ", ".join([*takes, gives])
        raise UserError(
            f"{path}: its inputs and output are not the {expected} of its contract; export again"
        )
    return inputs


def _check_recorded(
    graph: Any, places: dict[str, int], expected: Mapping[str, tuple[int | None, ...]]
) -> None:
    """Sees that the file's own sizes of its inputs, which an interpreter begins with, are right."""
    for name, place in places.items():
        shape = _shape_of(graph.Tensors(place))
        # What is open is written as 1.
        if shape != (1, *(side or 1 for side in expected[name])):
            raise Refused(f"its input {name} has the size {list(shape)}")


def _shape_of(tensor: Any) -> tuple[int, ...]:
    shape = tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))
    if any(side < 0 for side in shape):
        raise ValueError("a tensor has a size below zero")
    return shape


class _Sizes:
    """The shapes of all tensors of a graph, followed from its inputs."""

    def __init__(self, model: Any, graph: Any) -> None:
        self.model, self.graph = model, graph
        types = names_of(schema().TensorType)
        self.known: dict[int, _Tensor] = {}
        for i in range(graph.TensorsLength()):
            tensor = graph.Tensors(i)
            data = model.Buffers(tensor.Buffer()).DataAsNumpy()
            if not isinstance(data, np.ndarray):
                continue
            shape, kind = _shape_of(tensor), types[tensor.Type()]
            if math.prod(shape) * _BYTES[kind] != data.size:
                raise Refused("a constant claims another size than it has")
            value = None
            if kind in _INTEGERS and math.prod(shape) <= _SMALL:
                value = np.frombuffer(data.tobytes(), _INTEGERS[kind]).reshape(shape)
            self.known[i] = _Tensor(shape, value)

    def run(self, inputs: dict[int, tuple[int, ...]], enough: int) -> int:
        """How many numbers all tensors hold together for inputs of those shapes.

        Counting ends where that is more than enough.
        """
        names = names_of(schema().BuiltinOperator)
        known = self.known | {place: _Tensor(shape) for place, shape in inputs.items()}
        total = sum(math.prod(shape) for shape in inputs.values())
        for i in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(i)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            places = [operator.Inputs(k) for k in range(operator.InputsLength())]
            if operator.OutputsLength() != 1 or any(p >= 0 and p not in known for p in places):
                raise ValueError(f"its operator {name} is connected to nothing")
            # -1: an input that is left out, as a convolution's bias.
            sources = [known[place] for place in places if place >= 0]
            options = _Options(operator.BuiltinOptions())
            try:
                result = _RULES[name](sources, options)
            except (IndexError, ValueError, TypeError, OverflowError):
                raise ValueError(f"the sizes at its operator {name} do not fit") from None
            numbers = math.prod(result.shape)
            if result.value is not None and numbers > _SMALL:
                result.value = None
            known[operator.Outputs(0)] = result
            total += numbers
            if total > enough:
                break
        return total


class _Options:
    """The options of an operator: those of the class that its rule asks for."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __call__(self, name: str) -> Any:
        found = getattr(schema(), name)()
        if self._table is None:
            raise ValueError("it has no options")
        found.Init(self._table.Bytes, self._table.Pos)
        return found


# === What each operator makes of its inputs' shapes ===

_Rule = Callable[[list[_Tensor], _Options], _Tensor]


def _ints(tensor: _Tensor) -> list[int]:
    if tensor.value is None:
        raise ValueError("a size that is not known")
    return [int(value) for value in tensor.value.ravel()]


def _sizes(values: list[int]) -> tuple[int, ...]:
    if any(value < 0 for value in values):
        raise ValueError("a size below zero")
    return tuple(values)


def _same(sources: list[_Tensor], options: _Options) -> _Tensor:
    return _Tensor(sources[0].shape)


def _broadcast(sources: list[_Tensor], options: _Options) -> _Tensor:
    return _Tensor(np.broadcast_shapes(*(source.shape for source in sources)))


def _computed(function: Callable[..., np.ndarray]) -> _Rule:
    def rule(sources: list[_Tensor], options: _Options) -> _Tensor:
        result = _broadcast(sources, options)
        values = [source.value for source in sources if source.value is not None]
        if len(values) == len(sources):
            result.value = function(*(value.astype(np.int64) for value in values))
        return result

    return rule


def _shape(sources: list[_Tensor], options: _Options) -> _Tensor:
    shape = sources[0].shape
    return _Tensor((len(shape),), np.array(shape, np.int64))


def _strided_slice(sources: list[_Tensor], options: _Options) -> _Tensor:
    source, (begin, end, step) = sources[0], map(_ints, sources[1:4])
    masks = options("StridedSliceOptions")
    if masks.EllipsisMask() or masks.NewAxisMask():
        raise ValueError("an ellipsis")
    index: list[int | slice] = []
    for axis, (first, last, by) in enumerate(zip(begin, end, step, strict=True)):
        bit = 1 << axis
        if masks.ShrinkAxisMask() & bit:
            index.append(first)
            continue
        start = None if masks.BeginMask() & bit else first
        stop = None if masks.EndMask() & bit else last
        index.append(slice(start, stop, by))
    place = tuple(index)
    value = None if source.value is None else np.asarray(source.value[place])
    # Of one number, seen as that many: nothing is allocated.
    return _Tensor(np.broadcast_to(np.int8(0), source.shape)[place].shape, value)


def _pack(sources: list[_Tensor], options: _Options) -> _Tensor:
    axis = options("PackOptions").Axis()
    shape = list(sources[0].shape)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, len(sources))
    values = [source.value for source in sources if source.value is not None]
    value = np.stack(values, axis) if len(values) == len(sources) else None
    return _Tensor(tuple(shape), value)


def _concatenation(sources: list[_Tensor], options: _Options) -> _Tensor:
    axis = options("ConcatenationOptions").Axis() % len(sources[0].shape)
    shape = list(sources[0].shape)
    shape[axis] = sum(source.shape[axis] for source in sources)
    return _Tensor(tuple(shape))


def _filled(place: int) -> _Rule:
    """An operator whose result has the shape that the values of one of its inputs say."""

    def rule(sources: list[_Tensor], options: _Options) -> _Tensor:
        return _Tensor(_sizes(_ints(sources[place])))

    return rule


def _reshape(sources: list[_Tensor], options: _Options) -> _Tensor:
    wanted = _ints(sources[1])
    rest = math.prod(size for size in wanted if size != -1)
    free = math.prod(sources[0].shape) // rest if rest else 0
    shape = _sizes([free if size == -1 else size for size in wanted])
    if math.prod(shape) != math.prod(sources[0].shape):
        raise ValueError("another number of values")
    value = None if sources[0].value is None else sources[0].value.reshape(shape)
    return _Tensor(shape, value)


def _pad(sources: list[_Tensor], options: _Options) -> _Tensor:
    margins = np.reshape(_ints(sources[1]), (len(sources[0].shape), 2))
    pairs = zip(sources[0].shape, margins, strict=True)
    return _Tensor(_sizes([side + int(margin.sum()) for side, margin in pairs]))


def _transpose(sources: list[_Tensor], options: _Options) -> _Tensor:
    return _Tensor(tuple(sources[0].shape[axis] for axis in _ints(sources[1])))


def _arg_max(sources: list[_Tensor], options: _Options) -> _Tensor:
    shape = list(sources[0].shape)
    del shape[_ints(sources[1])[0]]
    return _Tensor(tuple(shape))


def _expand_dims(sources: list[_Tensor], options: _Options) -> _Tensor:
    shape, place = list(sources[0].shape), _ints(sources[1])[0]
    shape.insert(place if place >= 0 else len(shape) + 1 + place, 1)
    return _Tensor(tuple(shape))


def _mean(sources: list[_Tensor], options: _Options) -> _Tensor:
    shape = list(sources[0].shape)
    axes = {axis % len(shape) for axis in _ints(sources[1])}
    if options("ReducerOptions").KeepDims():
        return _Tensor(tuple(1 if i in axes else side for i, side in enumerate(shape)))
    return _Tensor(tuple(side for i, side in enumerate(shape) if i not in axes))


def _conv_2d(
    sources: list[_Tensor], options: _Options, kind: str = "Conv2DOptions", out: int = 0
) -> _Tensor:
    """`out`: which side of the weights is the channels of the result."""
    (batch, height, width, _), (_, tall, wide, _) = sources[0].shape, sources[1].shape
    channels, how = sources[1].shape[out], options(kind)
    valid = how.Padding() == schema().Padding.VALID

    def side(size: int, kernel: int, stride: int, dilation: int) -> int:
        if stride < 1 or dilation < 1:
            raise ValueError("a stride below one")
        reach = (kernel - 1) * dilation if valid else 0
        return max(0, -(-(size - reach) // stride))

    down = side(height, tall, how.StrideH(), how.DilationHFactor())
    right = side(width, wide, how.StrideW(), how.DilationWFactor())
    return _Tensor((batch, down, right, channels))


def _average_pool(sources: list[_Tensor], options: _Options) -> _Tensor:
    (batch, height, width, channels), how = sources[0].shape, options("Pool2DOptions")
    valid = how.Padding() == schema().Padding.VALID

    def side(size: int, reach: int, stride: int) -> int:
        if stride < 1:
            raise ValueError("a stride below one")
        return max(0, -(-(size - (reach - 1 if valid else 0)) // stride))

    down = side(height, how.FilterHeight(), how.StrideH())
    return _Tensor((batch, down, side(width, how.FilterWidth(), how.StrideW()), channels))


def _fully_connected(sources: list[_Tensor], options: _Options) -> _Tensor:
    channels, read = sources[1].shape
    if read < 1:
        raise ValueError("weights of nothing")
    return _Tensor((math.prod(sources[0].shape) // read, channels))


def _depth_to_space(sources: list[_Tensor], options: _Options) -> _Tensor:
    batch, height, width, channels = sources[0].shape
    block = options("DepthToSpaceOptions").BlockSize()
    return _Tensor((batch, height * block, width * block, channels // block**2))


# What the converters make of our generators, and near relatives of it.
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("LEAKY_RELU", "RELU", "TANH", "RSQRT", "SQRT", "SQUARE", "ZEROS_LIKE"), _same),
    **dict.fromkeys(("QUANTIZE", "DEQUANTIZE", "CAST", "NEG", "SOFTMAX"), _same),
    **dict.fromkeys(("LESS", "GREATER_EQUAL", "SELECT", "SELECT_V2"), _broadcast),
    **dict.fromkeys(("SQUARED_DIFFERENCE", "DIV"), _broadcast),
    "ADD": _computed(np.add),
    "SUB": _computed(np.subtract),
    "MUL": _computed(np.multiply),
    "SHAPE": _shape,
    "STRIDED_SLICE": _strided_slice,
    "PACK": _pack,
    "CONCATENATION": _concatenation,
    "BROADCAST_TO": _filled(1),
    "FILL": _filled(0),
    "TRANSPOSE_CONV": _filled(0),
    "RESHAPE": _reshape,
    "PAD": _pad,
    "MIRROR_PAD": _pad,
    "TRANSPOSE": _transpose,
    **dict.fromkeys(("MEAN", "REDUCE_MAX"), _mean),
    "ARG_MAX": _arg_max,
    "EXPAND_DIMS": _expand_dims,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": functools.partial(_conv_2d, kind="DepthwiseConv2DOptions", out=3),
    "DEPTH_TO_SPACE": _depth_to_space,
    "AVERAGE_POOL_2D": _average_pool,
    "FULLY_CONNECTED": _fully_connected,
}
