"""Rewrites of tf2onnx's graph to what the generator is; why is told in `onnx_graph`.

A pattern that a rewrite does not know stays as it is, slower and right.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.export.onnx_nodes import TO_NCHW, TO_NHWC, Graph, attributes_of, perm_of

if TYPE_CHECKING:
    import onnx

# Transposed kernel 4, stride 2, padding 1: output pixel 2 m + a is made of the taps below, applied
# to the input pixels m - 1 + a and m + a.
_TAPS = ((3, 1), (2, 0))


def restore_transposes(graph: Graph) -> None:
    """Features of one channel are turned by a Reshape to the traced size; not here."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(graph.model).graph
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
        for value in [*inferred.input, *inferred.value_info, *inferred.output]
    }
    changes, same = {}, {}
    for node in graph.nodes:
        if node.op_type != "Reshape" or node.input[1] not in graph.constants:
            continue
        source, result = node.input[0], node.output[0]
        before, after = shapes.get(source), graph.constants[node.input[1]].tolist()[1:]
        if not before or len(before) != 3 or len(after) != 3:
            continue
        if before == after and result != "y":
            same[result] = source
        elif before[2] == 1 == after[0] and before[:2] == after[1:]:
            changes[result] = [graph.node("Transpose", [source], result, perm=TO_NCHW)]
        elif before[0] == 1 == after[2] and before[1:] == after[:2]:
            changes[result] = [graph.node("Transpose", [source], result, perm=TO_NHWC)]
    graph.replace(changes)
    graph.rename_inputs(same)


# === Normalisation ===


def use_instance_normalization(
    graph: Graph, values: Mapping[float, tuple[np.ndarray, np.ndarray]]
) -> None:
    """``features * scale + (beta - mean * scale)`` over one image as one operator.

    The chain ends in an Add; from there it is read backwards. A chain that reads otherwise
    stays as it is.

    Args:
      graph: the graph.
      values: the gamma and beta to put there, by the first number of the gamma that stands there.
    """
    changes = {}
    for node in graph.nodes:
        found = _instance_norm(graph, node)
        if found is None:
            continue
        features, gamma, epsilon = found
        gamma, beta = values[float(gamma.reshape(-1)[0])]
        name = node.output[0]
        inputs = [
            features,
            graph.constant(gamma, "gamma"),
            graph.constant(beta, "beta"),
        ]
        changes[name] = [graph.node("InstanceNormalization", inputs, name, epsilon=epsilon)]
    graph.replace(changes)


def _instance_norm(graph: Graph, node: onnx.NodeProto) -> tuple[str, np.ndarray, float] | None:
    """Features, gamma and epsilon, if the node ends such a chain."""
    if node.op_type != "Add":
        return None
    for first, second in (node.input, reversed(node.input)):
        scaled, offset = graph.made_by(first, "Mul"), graph.made_by(second, "Sub")
        if not scaled or not offset or offset.input[0] not in graph.constants:
            continue
        shifted = graph.made_by(offset.input[1], "Mul")
        if not shifted:
            continue
        shared = set(scaled.input) & set(shifted.input)
        if len(shared) != 1:
            continue
        (scale,) = shared
        (features,) = set(scaled.input) - shared
        (mean,) = set(shifted.input) - shared
        pool = graph.made_by(_through_reshapes(graph, mean), "GlobalAveragePool")
        gamma_epsilon = _scale(graph, scale)
        if pool and pool.input[0] == features and gamma_epsilon:
            gamma, epsilon = gamma_epsilon
            return features, gamma, epsilon
    return None


def _scale(graph: Graph, name: str) -> tuple[np.ndarray, float] | None:
    """gamma and epsilon of ``gamma / sqrt(variance + epsilon)``."""
    product = graph.made_by(name, "Mul")
    if not product:
        return None
    for factor, other in (product.input, reversed(product.input)):
        inverse = graph.made_by(factor, "Reciprocal")
        root = inverse and graph.made_by(inverse.input[0], "Sqrt")
        total = root and graph.made_by(root.input[0], "Add")
        if total and other in graph.constants:
            for epsilon in total.input:
                if epsilon in graph.constants and graph.constants[epsilon].size == 1:
                    return graph.constants[other], float(graph.constants[epsilon].reshape(()))
    return None


def _through_reshapes(graph: Graph, name: str) -> str:
    while node := graph.made_by(name, "Reshape", "Transpose"):
        name = node.input[0]
    return name


def fold_scales(graph: Graph) -> None:
    """Makes a scale and offset of each output channel part of the convolution before it."""
    uses = collections.Counter(name for node in graph.nodes for name in node.input)
    folded = set()
    for node in graph.nodes:
        found = _scale_and_offset(graph, node)
        layer = found and graph.made_by(found[0], "Conv", "ConvTranspose")
        if not layer or uses[found[0]] > 1:
            continue
        result = node.output[0]
        _fold(graph, layer, *found[1:], result)
        folded.add(id(node))
        graph.producer[result] = layer
    graph.nodes = [node for node in graph.nodes if id(node) not in folded]


def _scale_and_offset(
    graph: Graph, node: onnx.NodeProto
) -> tuple[str, np.ndarray, np.ndarray] | None:
    """What a node multiplies and adds to each channel of which features; None for others."""
    if node.op_type == "BatchNormalization":
        gamma, beta, mean, variance = (graph.constants[name] for name in node.input[1:])
        scale = gamma / np.sqrt(variance + np.float32(attributes_of(node)["epsilon"]))
        return node.input[0], scale, beta - mean * scale
    if node.op_type not in ("Mul", "Add"):
        return None
    for features, other in (node.input, reversed(node.input)):
        value = graph.constants.get(other)
        if value is not None and value.ndim == 4 and value.size == value.shape[1]:
            value = value.reshape(-1)
            if node.op_type == "Mul":
                return features, value, np.zeros_like(value)
            return features, np.ones_like(value), value
    return None


def _fold(
    graph: Graph, layer: onnx.NodeProto, scale: np.ndarray, offset: np.ndarray, result: str
) -> None:
    """Changes a convolution to scale and shift its output, and to make `result`."""
    axis = 0 if layer.op_type == "Conv" else 1
    kernel = graph.constants[layer.input[1]]
    bias = graph.constants[layer.input[2]] if len(layer.input) > 2 else np.float32(0)
    kernel = kernel * scale.reshape([-1 if i == axis else 1 for i in range(kernel.ndim)])
    bias = np.broadcast_to(bias * scale + offset, [kernel.shape[axis]])
    inputs = [layer.input[0]]
    inputs.append(graph.constant(kernel.astype(np.float32), f"{result}_kernel"))
    inputs.append(graph.constant(bias.astype(np.float32), f"{result}_bias"))
    del layer.input[:]
    layer.input.extend(inputs)
    layer.output[0] = result


def drop_transpose_pairs(graph: Graph) -> None:
    """Takes out what turns features over and back again."""
    same = {}
    for node in graph.nodes:
        before = node.op_type == "Transpose" and graph.made_by(node.input[0], "Transpose")
        if before and perm_of(node) == TO_NCHW and perm_of(before) == TO_NHWC:
            same[node.output[0]] = before.input[0]
    graph.rename_inputs(same)


# === Transposed convolution ===


def split_transposed_convolutions(graph: Graph) -> None:
    """The 4x4 transposed convolutions of stride 2 as 2x2 convolutions; others stay."""
    changes = {}
    for node in graph.nodes:
        if node.op_type == "ConvTranspose" and _is_doubling(node):
            changes[node.output[0]] = _four_convolutions(graph, node)
    graph.replace(changes)


def _four_convolutions(graph: Graph, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    result, kernel = node.output[0], graph.constants[node.input[1]]
    nodes = []
    for row, rows in enumerate(_TAPS):
        for column, columns in enumerate(_TAPS):
            taps = kernel[:, :, rows][:, :, :, columns]  # [in, out, 2, 2]
            taps = np.ascontiguousarray(taps.transpose(1, 0, 2, 3))
            name = f"{result}_{row}{column}"
            nodes.append(
                graph.node(
                    "Conv",
                    [node.input[0], graph.constant(taps, name), *node.input[2:]],
                    name,
                    kernel_shape=[2, 2],
                    strides=[1, 1],
                    pads=[1 - row, 1 - column, row, column],
                )
            )
    names = [each.output[0] for each in nodes]
    nodes.append(graph.node("Concat", names, f"{result}_parities", axis=1))
    nodes.append(
        graph.node("DepthToSpace", [f"{result}_parities"], result, blocksize=2, mode="DCR")
    )
    return nodes


def _is_doubling(node: onnx.NodeProto) -> bool:
    """Whether the layer is a kernel of 4 with stride 2 and padding 1, with nothing besides."""
    values = attributes_of(node)
    plain = values.get("group", 1) == 1 and set(values.get("dilations", [1])) == {1}
    return (
        plain
        and list(values.get("kernel_shape", [])) == [4, 4]
        and list(values.get("strides", [])) == [2, 2]
        and list(values.get("pads", [])) == [1, 1, 1, 1]
        and not any(values.get("output_padding", [0]))
        and "output_shape" not in values
    )
