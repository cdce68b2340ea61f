"""The generator as an ONNX graph: tf2onnx's, rewritten to the few operators that it needs.

tf2onnx translates operation by operation. What it makes of our layers is right but roundabout, and
partly fixed to the size it was traced at; and it holds all weights dozens of times over (15 GB for
the paper's generator). So it is shown a narrow twin of the generator, and what it makes of that is
rewritten to convolutions, normalisations and activations alone, the same for every size:

* the mean, variance and scaling of a per-image normalisation become ``InstanceNormalization``;
* what is computed from z becomes a few operators per dropout layer, channels first;
* the weights of the generator itself are put in, the moving averages of ``--norm=batch`` as part of
  the convolutions';
* a 4x4 transposed convolution of stride 2 becomes four 2x2 convolutions, one for each parity of the
  output pixel, and ``DepthToSpace``. It multiplies the same numbers; onnxruntime's convolution is
  faster than its transposed one (by a tenth of the whole run), and has an int8 form.

A float32 graph without z keeps its transposed convolutions: ncnn, which has no operators for the
masks of z, then takes it too; ``DepthToSpace`` would stop it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.export.core import (
    Core,
    EncoderCore,
    affine_weights,
    export_generator,
    never,
    weights_of,
)
from tfpix2pix.export.onnx import rewrites
from tfpix2pix.export.onnx.nodes import Graph
from tfpix2pix.export.onnx.noise import rewrite_noise
from tfpix2pix.export.onnx.opset import set_opset
from tfpix2pix.export.onnx.weights import pour_weights
from tfpix2pix.models.layers import NoiseDropout

if TYPE_CHECKING:
    import onnx
    import tensorflow as tf

    from tfpix2pix.export.contract import Contract

# What tf2onnx is asked for; `onnx_opset` labels the file with the oldest that holds it.
OPSET = 17
# Families of generators whose layers the rewriting knows; others stay as tf2onnx makes them.
KNOWN = ("unet",)
_NARROW = 2  # ngf of what tf2onnx sees
# Operators whose meaning depends on no height or width.
_SIZE_FREE = {
    "Concat",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "InstanceNormalization",
    "LeakyRelu",
    "Less",
    "Mul",
    "Relu",
    "Slice",
    "Split",
    "Tanh",
    "Transpose",
    "Where",
}


def convert(
    generator: tf.keras.Model, contract: Contract, *, split: bool = True
) -> onnx.ModelProto:
    """The generator as an ONNX model of opset `OPSET`.

    Args:
      generator: from `core.export_generator`.
      contract: whether there is z, and the size; it is not yet written into the model.
      split: whether transposed convolutions become plain ones and ``DepthToSpace``.

    Returns:
      A model of the contract's inputs to y ``[batch, H, W, C_out]``, float32 (class numbers:
      uint8); sizes are symbolic where the contract has none.

    Raises:
      ValueError: this tf2onnx makes a graph that is not known.
    """
    import tf2onnx

    if contract.generator.family not in KNOWN:
        return _plain_model(generator, contract)
    model = _narrow_model(contract)
    graph = Graph(model)
    rewrites.use_instance_normalization(graph)
    noisy = [layer for layer in generator.layers if isinstance(layer, NoiseDropout)]
    rewrite_noise(graph, noisy, contract.noise_channels)
    rewrites.drop_transpose_pairs(graph)
    pour_weights(graph, affine_weights(generator), contract.generator.statistics)
    if split:
        step = contract.size_multiple  # pixels of x per pixel of the innermost features
        cells = None
        if contract.image_size is not None:
            cells = contract.image_size[0] // step, contract.image_size[1] // step
        rewrites.split_transposed_convolutions(graph, cells)
    graph.finish()
    model.graph.name = "generator"
    set_opset(model, OPSET)
    odd = {node.op_type for node in model.graph.node} - _SIZE_FREE
    if odd:
        raise ValueError(
            f"tf2onnx {tf2onnx.__version__} leaves operators that may depend on the image's size: "
            f"{', '.join(sorted(odd))}"
        )
    _end_logits(model, contract)
    set_sizes(model, contract)
    return model


def _end_logits(model: onnx.ModelProto, contract: Contract) -> None:
    """What `core.y_of` makes of logits, in operators of any opset."""
    from onnx import TensorProto, helper, numpy_helper

    if not contract.labels_out:
        return
    graph, last = model.graph, "logits"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [last if name == "y" else name for name in names]
    if (added := never(contract)).any():
        graph.initializer.append(numpy_helper.from_array(added, "never"))
        graph.node.append(helper.make_node("Add", [last, "never"], ["learned"], name="learned"))
        last = "learned"
    if not contract.argmax:
        graph.node.append(helper.make_node("Softmax", [last], ["y"], name="softmax", axis=3))
        return
    graph.node.extend(
        [
            helper.make_node("ArgMax", [last], ["class"], name="argmax", axis=3, keepdims=1),
            helper.make_node("Cast", ["class"], ["y"], name="cast", to=TensorProto.UINT8),
        ]
    )
    graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8


def _plain_model(generator: tf.keras.Model, contract: Contract) -> onnx.ModelProto:
    """tf2onnx's model of the generator itself, which it is shown without the weights."""
    from tfpix2pix.export.onnx.plain import convert_function

    model = convert_function(Core(generator, contract, logits=True), OPSET)
    model.graph.name = "generator"
    set_opset(model, OPSET)
    _end_logits(model, contract)
    set_sizes(model, contract)
    return model


def convert_encoder(encoder: tf.keras.Model, contract: Contract) -> onnx.ModelProto:
    """The encoder as an ONNX model of opset `OPSET`: y ``[batch, H, W, C_out]`` to latent
    ``[batch, n]``, float32.

    Raises:
      ValueError: this tf2onnx makes a graph that is not known.
    """
    from tfpix2pix.export.onnx.plain import convert_function

    model = convert_function(EncoderCore(encoder, contract), OPSET, "latent")
    model.graph.name = "encoder"
    set_opset(model, OPSET)
    _write_sizes(model, {"y": contract.encoder_shape, "latent": (contract.latent_size,)})
    return model


def _narrow_model(contract: Contract) -> onnx.ModelProto:
    """tf2onnx's model of the same network with few channels, at a size of its own."""
    import onnx

    # Moving averages become part of the convolutions' weights, so no operator stands for them.
    norm = "instance" if contract.generator.statistics == "instance" else "none"
    # Biases come with the weights; scales and offsets are what `onnx_rewrites` looks for.
    twin = {"ngf": _NARROW, "norm": norm, "bias_layers": "paper"}
    fields = {field.name for field in dataclasses.fields(contract.config)}
    config = contract.config.replace(**{k: v for k, v in twin.items() if k in fields})
    side = 2 * contract.size_multiple
    # Twice the crop size: no feature is a single pixel then, which would be a case of its own.
    narrow = dataclasses.replace(contract, config=config, image_size=(side, side))
    # What it is not made of, so that exports which differ in nothing else share it.
    narrow = dataclasses.replace(narrow, step=0, checkpoint="", max_pixels=None, weights="raw")
    return onnx.ModelProto.FromString(_translated_twin(narrow))


@functools.lru_cache(maxsize=8)
def _translated_twin(narrow: Contract) -> bytes:
    """tf2onnx's model of it with some weights, a few hundred kilobytes: an export with transposed
    convolutions both whole and split, of both directions, or with a page besides, wants it again.
    """
    from tfpix2pix.export.onnx.plain import translated

    described = narrow.generator
    random = np.random.default_rng(0)
    # Not the initial ones: a multiplication by 1 would be optimised away.
    weights = {
        name: random.normal(size=value.shape).astype(np.float32)
        for name, value in weights_of(described.build(noise=narrow.noise)).items()
    }
    generator = export_generator(described, weights, noise=narrow.noise)
    core = Core(generator, narrow, logits=True)
    return translated(core, OPSET).SerializeToString()


def set_sizes(model: onnx.ModelProto, contract: Contract) -> None:
    """Writes the contract's sizes, or symbols, into the model's inputs and outputs."""
    size = contract.image_size or (None, None)
    _write_sizes(model, {**contract.shapes(*size), "y": (*size, contract.result_channels)})


def _write_sizes(model: onnx.ModelProto, sizes: Mapping[str, tuple[int | None, ...]]) -> None:
    """Writes the sizes of inputs and outputs by name, without the batch, None for any."""
    for value in [*model.graph.input, *model.graph.output]:
        # Anew: what was inferred of them may have any rank.
        dimensions = value.type.tensor_type.shape.dim
        del dimensions[:]
        dimensions.add(dim_param="batch")
        prefix = "z_" if value.name == "z" else ""
        for side, name in zip(sizes[value.name], ("height", "width", "channels"), strict=False):
            if side is None:
                dimensions.add(dim_param=f"{prefix}{name}")
            else:
                dimensions.add(dim_value=int(side))
    # Shapes between were those of the tracing.
    del model.graph.value_info[:]
