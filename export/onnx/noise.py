"""What the ONNX graph computes from z: a few operators for each dropout layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.export.onnx.nodes import TO_NCHW, TO_NHWC, Graph, perm_of

if TYPE_CHECKING:
    import onnx

    from tfpix2pix.models.layers import NoiseDropout


def rewrite_noise(graph: Graph, layers: list[NoiseDropout], channels: int) -> None:
    """Computes the multipliers of the dropout layers anew, channels first.

    Args:
      graph: of a generator with as many dropout layers, of any width.
      layers: the dropout layers, coarsest first.
      channels: of z.

    Raises:
      ValueError: the graph uses z in another way.
    """
    if not layers:
        return
    joints = _noise_joints(graph)
    if len(joints) != len(layers):
        raise ValueError(f"{len(joints)} uses of z were found for {len(layers)} layers")
    ends = [layer.offset for layer in layers[1:]] + [channels]
    sizes = [end - layer.offset for layer, end in zip(layers, ends, strict=True)]
    parts = [f"z_{layer.name}" for layer in layers]
    head = [graph.node("Transpose", ["z"], "z_channels_first", perm=TO_NCHW)]
    if len(layers) > 1:
        split = graph.node("Split", ["z_channels_first"], parts[0], axis=1)
        split.input.append(graph.constant(np.array(sizes, np.int64), "z_sizes"))
        split.output.extend(parts[1:])
        head.append(split)
    else:
        parts = ["z_channels_first"]
    changes = {}
    for layer, part, (joint, features) in zip(layers, parts, joints, strict=True):
        changes[joint.output[0]] = _dropout(graph, layer, part, joint.output[0], features)
    graph.replace(changes)
    graph.nodes = head + graph.nodes
    graph.index()


def _noise_joints(graph: Graph) -> list[tuple[onnx.NodeProto, str]]:
    """The products of features with what comes from z alone, and their features, in order."""
    from_x, from_z, joints = {"x"}, {"z"}, []
    for node in graph.nodes:
        if from_x & set(node.input):
            from_x.update(node.output)
            others = [name for name in node.input if name in from_z]
            if others and node.op_type == "Mul":
                (features,) = set(node.input) - set(others)
                joints.append((node, features))
        elif from_z & set(node.input):
            from_z.update(node.output)
    return joints


def _dropout(
    graph: Graph, layer: NoiseDropout, z: str, result: str, features: str
) -> list[onnx.NodeProto]:
    """Features times the multiplier of `NoiseDropout`, as nodes that make `result`."""
    name, nodes = layer.name, []

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(graph.node(kind, inputs, output, **attributes))
        return output

    def number(value: float) -> str:
        return graph.constant(np.array(value, np.float32), f"{name}_number")

    if layer.block > 1:
        z = add("DepthToSpace", [z], f"{name}_z", blocksize=layer.block, mode="DCR")
    dropped = add("Less", [z, number(layer.rate)], f"{name}_dropped")
    off = add("Less", [z, number(0.0)], f"{name}_off")
    kept = number(1.0 / (1.0 - layer.rate))
    multiplier = add("Where", [dropped, number(0.0), kept], f"{name}_kept")
    multiplier = add("Where", [off, number(1.0), multiplier], f"{name}_multiplier")
    turned = graph.made_by(features, "Transpose")
    if turned and perm_of(turned) == TO_NHWC:
        product = add("Mul", [turned.input[0], multiplier], f"{name}_product")
        add("Transpose", [product], result, perm=TO_NHWC)
    else:
        add("Mul", [features, multiplier], result)
    return nodes
