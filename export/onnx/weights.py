"""A generator's weights, put into the ONNX graph of a narrower one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfpix2pix.export.onnx.nodes import Graph, attributes_of

_EPSILON = 1e-5  # of `tfpix2pix.models.layers.normalization`


def pour_weights(graph: Graph, weights: Mapping[str, np.ndarray], norm: str) -> None:
    """Replaces the weights of every convolution and normalisation.

    Both networks are one chain of layers, so the n-th of a kind is the n-th of the other.

    Args:
      graph: of a network with the same layers; for ``batch``, of one without normalisation.
      weights: by the names of `tfpix2pix.models.weights.named_weights`, with scales and offsets of
        every normalisation.
      norm: of the generator that they are from.

    Raises:
      ValueError: the graph has other layers than the weights.
    """
    _drop_added_biases(graph)
    layers = [name.split("/")[0] for name in weights if name.endswith("/kernel")]
    nodes = [node for node in graph.nodes if node.op_type in ("Conv", "ConvTranspose")]
    _check_number(nodes, layers, "convolutions")
    for node, layer in zip(nodes, layers, strict=True):
        kernel, bias = _convolution(weights, layer, norm)
        # TensorFlow: [height, width, in, out]; a transposed one has out before in in both.
        inputs = [graph.constant(kernel.transpose(3, 2, 0, 1), f"{layer}_kernel")]
        if bias is not None:
            inputs.append(graph.constant(bias, f"{layer}_bias"))
        del node.input[1:]
        node.input.extend(inputs)
    norms = [name.split("/")[0] for name in weights if name.endswith("/gamma")]
    nodes = [node for node in graph.nodes if node.op_type == "InstanceNormalization"]
    _check_number(nodes, norms if norm == "instance" else [], "normalisations")
    for node, layer in zip(nodes, norms, strict=False):
        if abs(attributes_of(node)["epsilon"] - _EPSILON) > 1e-9:
            raise ValueError("a normalisation has another epsilon")
        del node.input[1:]
        for name in ("gamma", "beta"):
            node.input.append(graph.constant(weights[f"{layer}/{name}"], f"{layer}_{name}"))


def _drop_added_biases(graph: Graph) -> None:
    """Takes out the additions of constants behind convolutions, where a bias was not put in."""
    same = {}
    for node in graph.nodes:
        if node.op_type == "Add" and len(node.input) == 2 and node.input[1] in graph.constants:
            layer = graph.made_by(node.input[0], "Conv", "ConvTranspose")
            if layer is not None:
                same[node.output[0]] = node.input[0]
    graph.rename_inputs(same)


def _check_number(nodes: list, layers: list[str], what: str) -> None:
    if len(nodes) != len(layers):
        raise ValueError(f"{len(nodes)} {what} were found for {len(layers)} layers")


def _convolution(
    weights: Mapping[str, np.ndarray], layer: str, norm: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Kernel and bias of a layer, with the moving averages behind it."""
    kernel, bias = weights[f"{layer}/kernel"], weights.get(f"{layer}/bias")
    if norm != "batch" or f"{layer}_norm/gamma" not in weights:
        return kernel, bias
    gamma, beta, mean, variance = (
        weights[f"{layer}_norm/{name}"]
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + np.float32(_EPSILON))
    # The last axis of a kernel is out, of a transposed one it is in.
    kernel = kernel * (scale if layer.startswith("down") else scale[:, None])
    bias = (np.float32(0) if bias is None else bias) - mean
    return kernel.astype(np.float32), (bias * scale + beta).astype(np.float32)
