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
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.export.core import Core
from tfpix2pix.models.layers import NoiseDropout

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
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
# Transposed kernel 4, stride 2, padding 1: output pixel 2 m + a is made of the taps below, applied
# to the input pixels m - 1 + a and m + a.
_TAPS = ((3, 1), (2, 0))


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
    import tf2onnx

    # Twice the crop size: no feature is a single pixel then, which would be a case of its own.
    side = 2 * contract.size_multiple
    core = Core(generator, dataclasses.replace(contract, image_size=(side, side)))
    with quiet_logs():
        model, _ = tf2onnx.convert.from_function(
            core.run, input_signature=core.signature, opset=OPSET
        )
    graph = _Graph(model)
    graph.restore_transposes()
    graph.use_instance_normalization()
    graph.rewrite_noise([layer for layer in generator.layers if isinstance(layer, NoiseDropout)])
    graph.drop_transpose_pairs()
    graph.fold_scales()
    graph.split_transposed_convolutions()
    graph.finish()
    odd = {node.op_type for node in model.graph.node} - _SIZE_FREE
    if odd:
        raise ValueError(
            f"tf2onnx {tf2onnx.__version__} leaves operators that may depend on the image's size: "
            f"{', '.join(sorted(odd))}"
        )
    set_sizes(model, contract)
    return model


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


class _Graph:
    """A model's graph while it is rewritten, in place."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.graph = model, model.graph
        self.nodes = list(model.graph.node)
        self._names = 0
        self.constants: dict[str, np.ndarray] = {}
        import onnx

        for tensor in model.graph.initializer:
            self.constants[tensor.name] = onnx.numpy_helper.to_array(tensor)
        self._index()

    def _index(self) -> None:
        self.producer = {output: node for node in self.nodes for output in node.output}

    def _made_by(self, name: str, *kinds: str) -> onnx.NodeProto | None:
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
        self._index()

    def restore_transposes(self) -> None:
        """An image of one channel is turned by a Reshape to the traced size; turns it properly."""
        changes = {}
        for node in self.nodes:
            if node.op_type != "Reshape":
                continue
            result = node.output[0]
            if node.input[0] == "x":
                changes[result] = [self.node("Transpose", ["x"], result, perm=_TO_NCHW)]
            elif result == "y":
                changes[result] = [self.node("Transpose", [node.input[0]], result, perm=_TO_NHWC)]
        self.replace(changes)

    # === Normalisation ===

    def use_instance_normalization(self) -> None:
        """``features * scale + (beta - mean * scale)`` over one image as one operator.

        The chain ends in an Add; from there it is read backwards. A chain that reads otherwise
        stays as it is.
        """
        changes = {}
        for node in self.nodes:
            found = self._instance_norm(node)
            if found is None:
                continue
            features, gamma, beta, epsilon = found
            name = node.output[0]
            inputs = [
                features,
                self.constant(gamma.reshape(-1), "gamma"),
                self.constant(beta.reshape(-1), "beta"),
            ]
            changes[name] = [self.node("InstanceNormalization", inputs, name, epsilon=epsilon)]
        self.replace(changes)

    def _instance_norm(
        self, node: onnx.NodeProto
    ) -> tuple[str, np.ndarray, np.ndarray, float] | None:
        """Features, gamma, beta and epsilon, if the node ends such a chain."""
        if node.op_type != "Add":
            return None
        for first, second in (node.input, reversed(node.input)):
            scaled, offset = self._made_by(first, "Mul"), self._made_by(second, "Sub")
            if not scaled or not offset or offset.input[0] not in self.constants:
                continue
            shifted = self._made_by(offset.input[1], "Mul")
            if not shifted:
                continue
            shared = set(scaled.input) & set(shifted.input)
            if len(shared) != 1:
                continue
            (scale,) = shared
            (features,) = set(scaled.input) - shared
            (mean,) = set(shifted.input) - shared
            pool = self._made_by(self._through_reshapes(mean), "GlobalAveragePool")
            gamma_epsilon = self._scale(scale)
            if pool and pool.input[0] == features and gamma_epsilon:
                gamma, epsilon = gamma_epsilon
                return features, gamma, self.constants[offset.input[0]], epsilon
        return None

    def _scale(self, name: str) -> tuple[np.ndarray, float] | None:
        """gamma and epsilon of ``gamma / sqrt(variance + epsilon)``."""
        product = self._made_by(name, "Mul")
        if not product:
            return None
        for factor, other in (product.input, reversed(product.input)):
            inverse = self._made_by(factor, "Reciprocal")
            root = inverse and self._made_by(inverse.input[0], "Sqrt")
            total = root and self._made_by(root.input[0], "Add")
            if total and other in self.constants:
                for epsilon in total.input:
                    if epsilon in self.constants and self.constants[epsilon].size == 1:
                        return self.constants[other], float(self.constants[epsilon].reshape(()))
        return None

    def _through_reshapes(self, name: str) -> str:
        while node := self._made_by(name, "Reshape", "Transpose"):
            name = node.input[0]
        return name

    def fold_scales(self) -> None:
        """Makes a factor, or a summand, of each output channel part of the convolution before."""
        uses: dict[str, int] = {}
        for node in self.nodes:
            for name in node.input:
                uses[name] = uses.get(name, 0) + 1
        folded = []
        for node in self.nodes:
            for name, other in (node.input, reversed(node.input)) if len(node.input) == 2 else ():
                layer = self._made_by(name, "Conv", "ConvTranspose")
                value = self.constants.get(other)
                if node.op_type not in ("Mul", "Add") or not layer or value is None:
                    continue
                if uses[name] > 1 or value.ndim != 4 or value.size != value.shape[1]:
                    continue
                self._fold(node, layer, value)
                folded.append(node.output[0])
                self.producer[node.output[0]] = layer
                break
        self.nodes = [
            node
            for node in self.nodes
            if node.output[0] not in folded or node.op_type not in ("Mul", "Add")
        ]

    def _fold(self, node: onnx.NodeProto, layer: onnx.NodeProto, value: np.ndarray) -> None:
        """Changes the layer to do what the node does after it."""
        axis = 0 if layer.op_type == "Conv" else 1
        kernel = self.constants[layer.input[1]]
        channels = kernel.shape[axis]
        bias = np.zeros(channels, np.float32)
        if len(layer.input) > 2:
            bias = self.constants[layer.input[2]]
        value = np.broadcast_to(value.reshape(-1), [channels])
        if node.op_type == "Mul":
            kernel = kernel * value.reshape([-1 if i == axis else 1 for i in range(kernel.ndim)])
            bias = bias * value
        else:
            bias = bias + value
        name = node.output[0]
        inputs = [layer.input[0], self.constant(kernel, f"{name}_kernel")]
        inputs.append(self.constant(bias, f"{name}_bias"))
        del layer.input[:]
        layer.input.extend(inputs)
        layer.output[0] = name

    # === Noise ===

    def rewrite_noise(self, layers: list[NoiseDropout]) -> None:
        """Computes the multipliers of the dropout layers anew, channels first."""
        if not layers:
            return
        joints = self._noise_joints()
        if len(joints) != len(layers):
            raise ValueError(f"{len(joints)} uses of z were found for {len(layers)} layers")
        ends = [layer.offset for layer in layers[1:]] + [self._noise_channels()]
        sizes = [end - layer.offset for layer, end in zip(layers, ends, strict=True)]
        parts = [f"z_{layer.name}" for layer in layers]
        head = [self.node("Transpose", ["z"], "z_channels_first", perm=_TO_NCHW)]
        if len(layers) > 1:
            split = self.node("Split", ["z_channels_first"], parts[0], axis=1)
            split.input.append(self.constant(np.array(sizes, np.int64), "z_sizes"))
            split.output.extend(parts[1:])
            head.append(split)
        else:
            parts = ["z_channels_first"]
        changes = {}
        for layer, part, (joint, features) in zip(layers, parts, joints, strict=True):
            changes[joint.output[0]] = self._dropout(layer, part, joint.output[0], features)
        self.replace(changes)
        self.nodes = head + self.nodes
        self._index()

    def _noise_channels(self) -> int:
        (z,) = (each for each in self.graph.input if each.name == "z")
        return z.type.tensor_type.shape.dim[-1].dim_value

    def _noise_joints(self) -> list[tuple[onnx.NodeProto, str]]:
        """The products of features with what comes from z alone, and their features, in order."""
        from_x, from_z, joints = {"x"}, {"z"}, []
        for node in self.nodes:
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
        self, layer: NoiseDropout, z: str, result: str, features: str
    ) -> list[onnx.NodeProto]:
        """Features times the multiplier of `NoiseDropout`, as nodes that make `result`."""
        name, nodes = layer.name, []

        def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
            nodes.append(self.node(kind, inputs, output, **attributes))
            return output

        def number(value: float) -> str:
            return self.constant(np.float32(value), f"{name}_number")

        if layer.block > 1:
            z = add("DepthToSpace", [z], f"{name}_z", blocksize=layer.block, mode="DCR")
        dropped = add("Less", [z, number(layer.rate)], f"{name}_dropped")
        off = add("Less", [z, number(0.0)], f"{name}_off")
        kept = number(1.0 / (1.0 - layer.rate))
        multiplier = add("Where", [dropped, number(0.0), kept], f"{name}_kept")
        multiplier = add("Where", [off, number(1.0), multiplier], f"{name}_multiplier")
        turned = self._made_by(features, "Transpose")
        if turned and _perm(turned) == _TO_NHWC:
            product = add("Mul", [turned.input[0], multiplier], f"{name}_product")
            add("Transpose", [product], result, perm=_TO_NHWC)
        else:
            add("Mul", [features, multiplier], result)
        return nodes

    def drop_transpose_pairs(self) -> None:
        """Takes out what turns features over and back again."""
        same = {}
        for node in self.nodes:
            before = node.op_type == "Transpose" and self._made_by(node.input[0], "Transpose")
            if before and _perm(node) == _TO_NCHW and _perm(before) == _TO_NHWC:
                same[node.output[0]] = before.input[0]
        for node in self.nodes:
            for index, name in enumerate(node.input):
                node.input[index] = same.get(name, name)

    # === Transposed convolution ===

    def split_transposed_convolutions(self) -> None:
        """The 4x4 transposed convolutions of stride 2 as 2x2 convolutions; others stay."""
        changes = {}
        for node in self.nodes:
            if node.op_type == "ConvTranspose" and _is_doubling(node):
                changes[node.output[0]] = self._four_convolutions(node)
        self.replace(changes)

    def _four_convolutions(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        result, kernel = node.output[0], self.constants[node.input[1]]
        nodes = []
        for row, rows in enumerate(_TAPS):
            for column, columns in enumerate(_TAPS):
                taps = kernel[:, :, rows][:, :, :, columns]  # [in, out, 2, 2]
                taps = np.ascontiguousarray(taps.transpose(1, 0, 2, 3))
                name = f"{result}_{row}{column}"
                nodes.append(
                    self.node(
                        "Conv",
                        [node.input[0], self.constant(taps, name), *node.input[2:]],
                        name,
                        kernel_shape=[2, 2],
                        strides=[1, 1],
                        pads=[1 - row, 1 - column, row, column],
                    )
                )
        names = [each.output[0] for each in nodes]
        nodes.append(self.node("Concat", names, f"{result}_parities", axis=1))
        nodes.append(
            self.node("DepthToSpace", [f"{result}_parities"], result, blocksize=2, mode="DCR")
        )
        return nodes

    # === The end ===

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
        self.graph.name = "generator"
        self.model.ir_version = _IR_VERSION
        del self.model.opset_import[:]
        self.model.opset_import.append(onnx.helper.make_opsetid("", OPSET))


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    import onnx

    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def _perm(node: onnx.NodeProto) -> list[int]:
    return list(_attributes(node)["perm"])


def _is_doubling(node: onnx.NodeProto) -> bool:
    """Whether the layer is a kernel of 4 with stride 2 and padding 1, with nothing besides."""
    values = _attributes(node)
    plain = values.get("group", 1) == 1 and set(values.get("dilations", [1])) == {1}
    return (
        plain
        and list(values.get("kernel_shape", [])) == [4, 4]
        and list(values.get("strides", [])) == [2, 2]
        and list(values.get("pads", [])) == [1, 1, 1, 1]
        and not any(values.get("output_padding", [0]))
        and "output_shape" not in values
    )
