"""An ONNX graph that is being rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


class Graph:
    """A model's graph while it is rewritten; `finish` writes it back.

    Args:
      model: whose graph it is.

    Attributes:
      nodes: in an order in which they can be computed.
      constants: the values of initializers by name.
      producer: the node that makes an output, by the output's name.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.graph = model, model.graph
        self.nodes = list(model.graph.node)
        self._names = 0
        self.constants: dict[str, np.ndarray] = {}
        import onnx

        for tensor in model.graph.initializer:
            self.constants[tensor.name] = onnx.numpy_helper.to_array(tensor)
        self.index()

    def index(self) -> None:
        """Brings `producer` up to date after a change of `nodes`."""
        self.producer = {output: node for node in self.nodes for output in node.output}

    def made_by(self, name: str, *kinds: str) -> onnx.NodeProto | None:
        """The node that makes a tensor, if it is one of those kinds."""
        node = self.producer.get(name)
        return node if node is not None and node.op_type in kinds else None

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> onnx.NodeProto:
        """A new node whose name is that of its one output."""
        import onnx

        return onnx.helper.make_node(kind, inputs, [name], name=name, **attributes)

    def constant(self, value: np.ndarray, name: str) -> str:
        """The name of a new constant."""
        self._names += 1
        self.constants[f"{name}_{self._names}"] = value
        return f"{name}_{self._names}"

    def replace(self, changes: dict[str, list[onnx.NodeProto]]) -> None:
        """Puts nodes in the place of the ones that make the given outputs."""
        nodes = []
        for node in self.nodes:
            nodes += changes.get(node.output[0], [node])
        self.nodes = nodes
        self.index()

    def rename_inputs(self, names: dict[str, str]) -> None:
        """Lets nodes read other tensors, by old name to new."""
        for node in self.nodes:
            for place, name in enumerate(node.input):
                node.input[place] = names.get(name, name)

    def finish(self) -> None:
        """Writes what is still needed back into the model."""
        import onnx

        needed, kept = {output.name for output in self.graph.output}, []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed.update(node.input)
                kept.append(node)
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(reversed(kept))
        for name, value in self.constants.items():
            if name in needed:
                self.graph.initializer.append(onnx.numpy_helper.from_array(value, name))


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    import onnx

    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def perm_of(node: onnx.NodeProto) -> list[int]:
    return list(attributes_of(node)["perm"])
