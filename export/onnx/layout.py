"""tf2onnx's graph with its channels first throughout, as ONNX's convolutions have them.

tf2onnx translates networks whose channels come last, and turns features over before and behind a
convolution. What it cannot carry past an operator is left: here about two turns a layer, each as
dear as an activation. A pattern that is not known stays as it is, turns and all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.export.onnx.nodes import TO_NCHW, TO_NHWC, Graph, attributes_of, perm_of

if TYPE_CHECKING:
    import onnx

_PLACE = {0: 0, 1: 2, 2: 3, 3: 1, -1: 1, -2: 3, -3: 2, -4: 0}  # of an axis, channels first
# Operators of each number alone, whose further inputs are numbers for all of them.
_ALONE = {"LeakyRelu", "Relu", "Tanh", "Cast", "Neg", "Not", "Sqrt", "Reciprocal", "Clip"}
_TOGETHER = {"Add", "Sub", "Mul", "Div", "Less", "Greater", "GreaterOrEqual"}


def simplify(graph: Graph, pictures: Sequence[str]) -> None:
    """All rewrites of this module, in their order.

    Args:
      graph: of a network.
      pictures: its inputs that have channels, which come last.
    """
    reshape_once(graph)
    use_older_operators(graph)
    put_channels_first(graph, pictures)
    use_edge_padding(graph)


def reshape_once(graph: Graph) -> None:
    """A Reshape of what a Squeeze or a Reshape made reads what that read."""
    for node in graph.nodes:
        if node.op_type == "Reshape" and _sizes(graph, node) is not None:
            while before := graph.made_by(node.input[0], "Squeeze", "Reshape"):
                node.input[0] = before.input[0]


def _sizes(graph: Graph, node: onnx.NodeProto) -> list[int] | None:
    """What a Reshape makes, where nothing of it is taken over from its input by place."""
    sizes = graph.constants.get(node.input[1])
    return None if sizes is None or 0 in sizes else sizes.tolist()


def use_older_operators(graph: Graph) -> None:
    """``a >= b`` as not ``a < b``, which engines have had for longer."""
    changes = {}
    for node in graph.nodes:
        if node.op_type == "GreaterOrEqual":
            name = node.output[0]
            less = graph.node("Less", list(node.input), f"{name}_less")
            changes[name] = [less, graph.node("Not", [less.output[0]], name)]
    graph.replace(changes)


# === Channels first ===


def put_channels_first(graph: Graph, pictures: Sequence[str]) -> None:
    """Computes every tensor that it can with channels first, and turns only what is still read
    otherwise."""
    _Turner(graph).run(pictures)


class _Turner:
    """Makes, node by node, a twin with channels first of each tensor that has channels last."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.twins: dict[str, str] = {}

    def run(self, pictures: Sequence[str]) -> None:
        graph = self.graph
        for name in pictures:
            self._make("Transpose", [name], name, perm=TO_NCHW)
        same: dict[str, str] = {}
        for node in graph.nodes:
            for place, name in enumerate(node.input):
                node.input[place] = same.get(name, name)
            turned = perm_of(node) if node.op_type == "Transpose" else None
            if turned == TO_NHWC:
                self.twins[node.output[0]] = node.input[0]
                self.nodes.append(node)
            elif turned == TO_NCHW and node.input[0] in self.twins:
                same[node.output[0]] = self.twins[node.input[0]]
            elif self._turned(node):
                name = node.output[0]
                # For whoever reads it so; nobody, as a rule, and then it is dropped.
                self.nodes.append(graph.node("Transpose", [self.twins[name]], name, perm=TO_NHWC))
            else:
                self.nodes.append(node)
        graph.nodes = self.nodes
        graph.index()

    def _make(self, kind: str, inputs: list[str], of: str, **attributes: object) -> None:
        """A node that makes the twin of a tensor."""
        name = f"{of}_channels_first"
        self.nodes.append(self.graph.node(kind, inputs, name, **attributes))
        self.twins[of] = name

    def _turned(self, node: onnx.NodeProto) -> bool:
        """Whether a twin of the node's result could be made."""
        kind, inputs = node.op_type, list(node.input)
        known = [name in self.twins for name in inputs]
        if not any(known):
            return False
        attributes = attributes_of(node)
        if kind in _ALONE and known[0]:
            if any(self._number(name) is None for name in inputs[1:] if name):
                return False
            inputs[0] = self.twins[inputs[0]]
        elif kind == "Concat" and all(known):
            attributes["axis"] = _PLACE[attributes["axis"]]
            inputs = [self.twins[name] for name in inputs]
        elif kind == "Slice" and known[0] and len(inputs) > 3:
            axes = self.graph.constants.get(inputs[3])
            if axes is None:
                return False
            turned = np.array([_PLACE[axis] for axis in axes.tolist()], np.int64)
            inputs[0] = self.twins[inputs[0]]
            inputs[3] = self.graph.constant(turned, f"{node.output[0]}_axes")
        elif kind == "Pad" and known[0]:
            sides = self.graph.constants.get(inputs[1])
            if sides is None or sides.size != 8:
                return False
            turned = sides.reshape(2, 4)[:, [0, 3, 1, 2]].reshape(-1)
            inputs[0] = self.twins[inputs[0]]
            inputs[1] = self.graph.constant(turned, f"{node.output[0]}_sides")
        elif kind in _TOGETHER:
            others = [self._broadcast(name) for name in inputs]
            if None in others:
                return False
            inputs = [str(name) for name in others]
        else:
            return False
        self._make(kind, inputs, node.output[0], **attributes)
        return True

    def _number(self, name: str) -> str | None:
        value = self.graph.constants.get(name)
        return name if value is not None and value.size == 1 and value.ndim <= 1 else None

    def _broadcast(self, name: str) -> str | None:
        """What an operator of two tensors reads in the place of a tensor with channels last."""
        if name in self.twins:
            return self.twins[name]
        value = self.graph.constants.get(name)
        if value is not None:
            if value.size == 1:
                return self.graph.constant(value.reshape(()), name)
            if value.shape in ((value.size,), (1, 1, 1, value.size)):
                return self.graph.constant(value.reshape(1, -1, 1, 1), name)
            return None
        made = self.graph.made_by(name, "Reshape")
        sizes = made and _sizes(self.graph, made)
        if not made or not sizes or len(sizes) != 4 or sizes[1:3] != [1, 1]:
            return None
        wanted = self.graph.constant(
            np.array([sizes[0], sizes[3], 1, 1], np.int64), f"{name}_sizes"
        )
        self._make("Reshape", [made.input[0], wanted], name)
        return self.twins[name]


# === Padding ===


def use_edge_padding(graph: Graph) -> None:
    """A row and a column joined to every side, each the one beside it, as one operator."""
    changes = {}
    for node in graph.nodes:
        inner = _grown(graph, node.output[0], 3)
        source = _grown(graph, inner, 2) if inner else None
        if source:
            sides = graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "one_each_side")
            name = node.output[0]
            changes[name] = [graph.node("Pad", [source, sides], name, mode="edge")]
    graph.replace(changes)


def _grown(graph: Graph, name: str, axis: int) -> str | None:
    """The tensor to which its own first and last part along an axis were joined."""
    node = graph.made_by(name, "Concat")
    if not node or len(node.input) != 3 or attributes_of(node)["axis"] != axis:
        return None
    first, source, last = node.input
    if _cut(graph, first, axis) == (source, 0, 1) and _cut(graph, last, axis) == (source, -1, None):
        return source
    return None


def _cut(graph: Graph, name: str, axis: int) -> tuple[str, int, int | None] | None:
    """Source, start and end (None: to the end) of a Slice along one axis alone."""
    node = graph.made_by(name, "Slice")
    if not node or len(node.input) < 4:
        return None
    values = [graph.constants.get(each) for each in node.input[1:]]
    if any(value is None for value in values):
        return None
    starts, ends, axes, *steps = (value.tolist() for value in values if value is not None)
    if any(step != 1 for step in (steps[0] if steps else [])):
        return None
    found = None
    for start, end, along in zip(starts, ends, axes, strict=True):
        whole = end >= np.iinfo(np.int32).max
        if along == axis:
            found = node.input[0], start, None if whole else end
        elif start or not whole:
            return None
    return found
