"""What a SavedModel may hold to be loaded here: the operators of our exports, and nothing besides.

A SavedModel is a program: its graph can read and write files (``ReadFile``, ``WriteFile``,
``SaveV2``), start Python (``PyFunc``), print into a file, and run a part of itself as soon as it is
loaded. So the file is read as data first, and what no export of ours holds is refused by its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorflow.core.framework import function_pb2, node_def_pb2, tensor_pb2
    from tensorflow.core.protobuf import meta_graph_pb2

# They compute tensors from tensors, or call functions of the same file; none knows a file, a
# process, a network, a clock or a state other than the weights, which it can only read. What our
# exports hold (`tests/export/test_saved_model_check.py`) and its nearest relatives, so that a
# graph of another version of TensorFlow, or of this package, is not refused for a synonym.
_NAMES = """
Abs Add AddN AddV2 All Any ArgMax ArgMin AsString Assert AvgPool BatchMatMulV2
BiasAdd Bitcast BitwiseAnd BitwiseOr
BitwiseXor BroadcastArgs BroadcastTo Cast Ceil ClipByValue ConcatOffset ConcatV2 Const Conv2D
Conv2DBackpropInput DecodeAndCropJpeg DecodeImage DecodeJpeg DecodePng DecodeRaw DepthToSpace
DepthwiseConv2dNative Div DivNoNan EncodePng EnsureShape Equal Exp ExpandDims ExtractJpegShape Fill
Floor FloorDiv FloorMod FusedBatchNormV3 GatherNd GatherV2 Greater GreaterEqual Identity IdentityN
If InvertPermutation IsFinite IsNan LeakyRelu LeftShift Less LessEqual Log LogicalAnd LogicalNot
LogicalOr MatMul Max Maximum Mean Min Minimum MirrorPad Mul MulNoNan Neg NoOp NotEqual OneHot
OnesLike Pack
Pad PadV2 PartitionedCall Placeholder PlaceholderWithDefault Pow Prod Range Rank ReadVariableOp
RealDiv Reciprocal Relu Reshape ResizeBilinear ResizeNearestNeighbor ReverseV2 RightShift Rint Round
Rsqrt ScaleAndTranslate Select SelectV2 Shape ShapeN Sign Size Slice Softmax SpaceToDepth Split
SplitV Sqrt
Square SquaredDifference Squeeze StatefulPartitionedCall StatelessIf StatelessRandomGetAlg
StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormalV2
StatelessRandomUniformFullIntV2 StatelessRandomUniformV2 StatelessWhile StopGradient StridedSlice
StringFormat StringJoin StringLength Sub Substr Sum Tanh TensorListConcatV2 TensorListFromTensor
TensorListGetItem TensorListLength TensorListReserve TensorListSetItem TensorListStack Tile
Transpose TruncateDiv TruncateMod Unpack VarHandleOp Where While ZerosLike
"""
OPERATORS = frozenset(_NAMES.split())
# TensorFlow puts a function that writes the variables and one that reads them into every
# SavedModel. Nothing that is loaded here calls them.
_SAVER = re.compile(r"__inference__traced_(save|restore)_\d+")
_SAVER_OPERATORS = OPERATORS | {
    *("AssignVariableOp", "DisableCopyOnRead", "MergeV2Checkpoints", "RestoreV2", "SaveV2"),
    *("ShardedFilename", "StaticRegexFullMatch"),
}
# What an object graph of ours consists of. A resource (a table, an asset) has a function that runs
# while it is loaded; other objects are made by classes that are registered under a name.
_KINDS = {"user_object", "function", "bare_concrete_function", "variable"}
_OBJECTS = {"_generic_user_object", "signature_map"}
_OBJECTS |= {"trackable_dict_wrapper", "trackable_list_wrapper"}
_INIT = "__saved_model_init_op"
_OTHER_GRAPHS = ("saved_model.pbtxt", "saved_model.cpb")
_FREE = 64 << 20  # bytes of constants that may be said to be of one value repeated


class Refused(Exception):
    """The SavedModel holds what no export of ours holds; says what, without a full stop."""


def check_saved_model(path: Path) -> None:
    """Reads the graph of a SavedModel without running any of it.

    Args:
      path: the folder of one version.

    Raises:
      Refused: it holds more than an export.
      ValueError: it is damaged.
      OSError: it cannot be read.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    for name in _OTHER_GRAPHS:
        if (path / name).exists():
            raise Refused(f"it holds {name}")
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((path / "saved_model.pb").read_bytes())
    except DecodeError:
        raise ValueError("saved_model.pb is no graph") from None
    # Without an object graph TensorFlow would load it as version 1 did: initialisers and all.
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise Refused("it holds not one graph with its objects")
    graph = model.meta_graphs[0]
    if len(graph.asset_file_def):
        raise Refused(f"it holds the asset {graph.asset_file_def[0].filename!r}")
    _check_operators(graph)
    _check_init(graph)
    _check_objects(graph)


def _check_operators(graph: meta_graph_pb2.MetaGraphDef) -> None:
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    free = _FREE
    for node in graph.graph_def.node:
        free -= _check_node(node, OPERATORS, functions, saver=True)
    for name, function in functions.items():
        saver = bool(_SAVER.fullmatch(name))
        allowed = _SAVER_OPERATORS if saver else OPERATORS
        for node in function.node_def:
            free -= _check_node(node, allowed, functions, saver)
    if free < 0:
        raise Refused("its constants claim more than it holds")


def _check_node(
    node: node_def_pb2.NodeDef,
    allowed: frozenset[str],
    functions: dict[str, function_pb2.FunctionDef],
    saver: bool,
) -> int:
    """Bytes that the node's constants claim beyond what is stored."""
    if node.op not in allowed:
        raise Refused(f"it runs the operator {node.op!r}")
    claimed = 0
    for value in node.attr.values():
        for called in [value.func, *value.list.func]:
            if called.name and called.name not in functions:
                raise Refused(f"it calls {called.name!r}, which it does not hold")
            if not saver and _SAVER.fullmatch(called.name):
                raise Refused(f"it calls {called.name!r}, which writes or reads files")
        for tensor in [value.tensor, *value.list.tensor]:
            claimed += _unstored(tensor)
    return claimed


def _unstored(tensor: tensor_pb2.TensorProto) -> int:
    """Bytes that a constant takes beyond those that are stored for it."""
    from tensorflow import dtypes

    if not tensor.dtype:
        return 0
    sizes = [dimension.size for dimension in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise ValueError("a constant of no shape")
    # A text is at least as long as TensorFlow's string object.
    size = 24 if tensor.dtype == dtypes.string else dtypes.as_dtype(tensor.dtype).size
    return max(0, math.prod(sizes) * max(1, size) - tensor.ByteSize())


def _check_init(graph: meta_graph_pb2.MetaGraphDef) -> None:
    """Sees that what a server runs on loading does nothing."""
    nodes = {node.name: node for node in graph.graph_def.node}
    names = [output.name for output in graph.signature_def[_INIT].outputs.values()]
    for key, collection in graph.collection_def.items():
        if key != "saved_model_main_op":
            raise Refused(f"it holds the collection {key!r}")
        names += collection.node_list.value
        if collection.WhichOneof("kind") not in (None, "node_list"):
            raise Refused(f"its collection {key!r} is no list of operators")
    for name in names:
        node = nodes.get(name.removeprefix("^").split(":")[0])
        if node is None or node.op != "NoOp" or node.input:
            raise Refused(f"it runs {name!r} when it is loaded ({_INIT})")


def _check_objects(graph: meta_graph_pb2.MetaGraphDef) -> None:
    for node in graph.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        if kind not in _KINDS:
            raise Refused(f"it holds an object of the kind {kind!r}")
        if kind == "user_object" and node.user_object.identifier not in _OBJECTS:
            raise Refused(f"it holds the object {node.user_object.identifier!r}")
        for field in ("registered_name", "registered_saver"):
            if getattr(node, field):
                raise Refused(f"it holds an object of the class {getattr(node, field)!r}")
        if node.HasField("serialized_user_proto") or node.saveable_objects:
            raise Refused("it holds an object with functions of its own for loading")
        for name in _functions_of(node):
            if _SAVER.fullmatch(name):
                raise Refused(f"it calls {name!r}, which writes or reads files")


def _functions_of(node: Any) -> Iterator[str]:
    yield from node.function.concrete_functions
    yield node.bare_concrete_function.concrete_function_name
