"""Rewrites of tf2onnx's graph to what the generator is; why is told in `onnx_graph`.

A pattern that a rewrite does not know stays as it is, and `convert` then refuses the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.export.onnx.nodes import TO_NCHW, TO_NHWC, Graph, attributes_of, perm_of

if TYPE_CHECKING:
    import onnx

# Transposed kernel 4, stride 2, padding 1: output pixel 2 m + a is made of the taps below, applied
# to the input pixels m - 1 + a and m + a.
_TAPS = ((3, 1), (2, 0))


# === Normalisation ===


def use_instance_normalization(graph: Graph) -> None:
    """``features * scale + (beta - mean * scale)`` over one image as one operator.

    The chain ends in an Add; from there it is read backwards. A chain that reads otherwise
    stays as it is.
    """
    changes = {}
    for node in graph.nodes:
        found = _instance_norm(graph, node)
        if found is None:
            continue
        features, gamma, beta, epsilon = found
        name = node.output[0]
        flat = (graph.constant(graph.constants[each].reshape(-1), each) for each in (gamma, beta))
        inputs = [features, *flat]
        changes[name] = [graph.node("InstanceNormalization", inputs, name, epsilon=epsilon)]
    graph.replace(changes)


def _instance_norm(graph: Graph, node: onnx.NodeProto) -> tuple[str, str, str, float] | None:
    """The names of features, gamma and beta, and epsilon, if the node ends such a chain."""
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
            return features, gamma, offset.input[0], epsilon
    return None


def _scale(graph: Graph, name: str) -> tuple[str, float] | None:
    """The name of gamma, and epsilon, of ``gamma / sqrt(variance + epsilon)``."""
    product = graph.made_by(name, "Mul")
    if not product:
        return None
    for factor, other in (product.input, reversed(product.input)):
        inverse = _inverse(graph, factor)
        if inverse and other in graph.constants:
            return other, inverse[1]
    return None


def _inverse(graph: Graph, name: str) -> tuple[str, float] | None:
    """The name of the variance, and epsilon, of ``1 / sqrt(variance + epsilon)``."""
    node = graph.made_by(name, "Reciprocal")
    root = node and graph.made_by(node.input[0], "Sqrt")
    total = root and graph.made_by(root.input[0], "Add")
    if not total:
        return None
    for variance, epsilon in (total.input, reversed(total.input)):
        if epsilon in graph.constants and graph.constants[epsilon].size == 1:
            return variance, float(graph.constants[epsilon].reshape(()))
    return None


def use_bare_instance_normalization(graph: Graph, channels: Mapping[str, int]) -> None:
    """``(features - mean) / sqrt(variance + epsilon)`` over one image as one operator, whose scale
    is 1 and whose offset is 0.

    Args:
      graph: of a network.
      channels: of each tensor of features, where known; the chain of others stays.
    """
    changes = {}
    for node in graph.nodes:
        found = _bare_instance_norm(graph, node)
        if found is None or found[0] not in channels:
            continue
        features, epsilon = found
        name, count = node.output[0], channels[features]
        scale = graph.constant(np.ones(count, np.float32), f"{name}_scale")
        offset = graph.constant(np.zeros(count, np.float32), f"{name}_offset")
        inputs = [features, scale, offset]
        changes[name] = [graph.node("InstanceNormalization", inputs, name, epsilon=epsilon)]
    graph.replace(changes)


def _bare_instance_norm(graph: Graph, node: onnx.NodeProto) -> tuple[str, float] | None:
    """The name of features, and epsilon, if the node ends such a chain."""
    if node.op_type != "Mul":
        return None
    for first, second in (node.input, reversed(node.input)):
        features, inverse = _centred(graph, first), _inverse(graph, second)
        if not features or not inverse:
            continue
        variance, epsilon = inverse
        pool = graph.made_by(_through_reshapes(graph, variance), "GlobalAveragePool")
        square = pool and graph.made_by(pool.input[0], "Mul")
        over = square.input[0] if square and square.input[0] == square.input[1] else ""
        if _centred(graph, over) == features:
            return features, epsilon
    return None


def _centred(graph: Graph, name: str) -> str | None:
    """The features of which a tensor is what is over or under their mean."""
    node = graph.made_by(name, "Sub")
    pool = node and graph.made_by(_through_reshapes(graph, node.input[1]), "GlobalAveragePool")
    return node.input[0] if node and pool and pool.input[0] == node.input[0] else None


def _through_reshapes(graph: Graph, name: str) -> str:
    while node := graph.made_by(name, "Reshape", "Transpose"):
        name = node.input[0]
    return name


def drop_transpose_pairs(graph: Graph) -> None:
    """Takes out what turns features over and back again."""
    same = {}
    for node in graph.nodes:
        before = node.op_type == "Transpose" and graph.made_by(node.input[0], "Transpose")
        if before and perm_of(node) == TO_NCHW and perm_of(before) == TO_NHWC:
            same[node.output[0]] = before.input[0]
    graph.rename_inputs(same)


# === Transposed convolution ===


def split_transposed_convolutions(graph: Graph, cells: tuple[int, int] | None) -> None:
    """The 4x4 transposed convolutions of stride 2 as 2x2 convolutions; others stay.

    Args:
      graph: of one chain of layers, each transposed convolution doubling height and width.
      cells: height and width of the first one's input, or None for any.
    """
    changes: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.nodes:
        if node.op_type == "ConvTranspose" and _is_doubling(node):
            # Any size: one that is a multiple of 4 cells is not 2.
            square = cells == (2, 2) if cells else len(changes) < 2
            changes[node.output[0]] = _four_convolutions(graph, node, square)
            cells = cells and (2 * cells[0], 2 * cells[1])
    graph.replace(changes)


def _four_convolutions(graph: Graph, node: onnx.NodeProto, square: bool) -> list[onnx.NodeProto]:
    """Args: square: whether the layer's input may be 2x2.

    onnxruntime's WebGPU takes a convolution whose kernel has its input's height and width for a
    matrix product if nothing is padded before, and forgets what is padded behind (seen in
    onnxruntime-web 1.30). So the one that pads only behind gets a row before, which is cut off.
    """
    result, kernel = node.output[0], graph.constants[node.input[1]]
    nodes, names = [], []
    for row, rows in enumerate(_TAPS):
        for column, columns in enumerate(_TAPS):
            taps = kernel[:, :, rows][:, :, :, columns]  # [in, out, 2, 2]
            taps = np.ascontiguousarray(taps.transpose(1, 0, 2, 3))
            name = f"{result}_{row}{column}"
            inputs = [node.input[0], graph.constant(taps, name), *node.input[2:]]
            extra = 1 if square and row == column == 1 else 0
            nodes.append(
                graph.node(
                    "Conv",
                    inputs,
                    f"{name}_more" if extra else name,
                    kernel_shape=[2, 2],
                    strides=[1, 1],
                    pads=[1 - row + extra, 1 - column, row, column],
                )
            )
            if extra:
                bounds = (extra, np.iinfo(np.int64).max, 2)  # starts, ends, axes
                cut = [graph.constant(np.array([n], np.int64), f"{name}_cut") for n in bounds]
                nodes.append(graph.node("Slice", [f"{name}_more", *cut], name))
            names.append(name)
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
