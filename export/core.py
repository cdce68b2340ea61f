"""The generator as plain TensorFlow: what every format is made from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfpix2pix.inference.sizes import kernel_shapes
from tfpix2pix.models.base import inputs_of
from tfpix2pix.models.layers import InstanceNormalization
from tfpix2pix.models.weights import named_weights

if TYPE_CHECKING:
    from tfpix2pix.export.contract import Contract
    from tfpix2pix.models.base import Generator

NORM = "_norm"
"""What a normalisation is called after its convolution."""


def export_generator(
    described: Generator, weights: dict[str, np.ndarray], *, noise: bool
) -> tf.keras.Model:
    """A float32 generator with given weights, whatever precision the run trained in.

    Args:
      described: what the run's algorithm says of it.
      weights: by the names of `named_weights`.
      noise: G(x, z), or G(x) without dropout.

    Raises:
      ValueError: the weights are not those of such a generator.
    """
    for layer, shape in kernel_shapes(described).items():  # before memory is taken for them
        if np.shape(weights.get(f"{layer}/kernel", ())) != shape:
            raise ValueError(f"weights of another generator: {layer}/kernel is not {list(shape)}")
    generator = described.build(noise=noise)
    variables = named_weights(generator)
    if set(variables) != set(weights):
        odd = sorted(set(variables) ^ set(weights))
        raise ValueError(f"weights of another generator: {', '.join(odd[:3])} and others")
    for name, variable in variables.items():
        variable.assign(tf.cast(weights[name], variable.dtype))
    return generator


def weights_of(generator: tf.keras.Model) -> dict[str, np.ndarray]:
    """The weights by name, as float32 arrays."""
    named = named_weights(generator)
    return {name: np.asarray(variable, np.float32) for name, variable in named.items()}


def affine_weights(generator: tf.keras.Model) -> dict[str, np.ndarray]:
    """The weights of the same function, with a scale and an offset in every normalisation.

    Where an image's own statistics come without them (``bias_layers="pytorch"``), they are 1 and 0,
    and the bias in front of them, which cancels, is left out.
    """
    weights = weights_of(generator)
    for name in bare_norms(generator):
        channels = len(weights.pop(f"{name.removesuffix(NORM)}/bias"))
        weights[f"{name}/gamma"] = np.ones(channels, np.float32)
        weights[f"{name}/beta"] = np.zeros(channels, np.float32)
    return weights


def bare_norms(generator: tf.keras.Model) -> list[str]:
    """Names of the per-image normalisations without scale and offset."""
    return [
        layer.name
        for layer in generator.layers
        if isinstance(layer, InstanceNormalization) and not layer.affine
    ]


# What is added to the logit of a class that cannot be; float16 holds it.
_NEVER = np.float32(-6e4)


def y_of(logits: tf.Tensor, contract: Contract) -> tf.Tensor:
    """What an export gives of a generator's logits ``[B, H, W, K]``: the probabilities of the
    classes, or with ``argmax`` the likeliest one, uint8 ``[B, H, W, 1]``."""
    added = never(contract)
    if added.any():
        # From the largest on: converters would make an addition to the logits themselves part of
        # the convolution's bias, and so of the range that it has in 8 bits.
        logits = logits - tf.reduce_max(logits, axis=-1, keepdims=True) + added
    if not contract.argmax:
        return tf.nn.softmax(logits)
    classes = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return tf.cast(tf.expand_dims(classes, -1), tf.uint8)


def never(contract: Contract) -> np.ndarray:
    """What is added to the logits, float32 ``[K]``, so that no class is found that the training
    left out: 0 for the others."""
    return np.where(contract.spec.y.unlearned, _NEVER, np.float32(0))


class Core(tf.Module):
    """G(x, z), or G(x), as one function of float32 tensors, the variables by their names.

    Args:
      generator: from `export_generator`.
      contract: whether there is z, and the size.
      batch: images of a batch, None for any.
      logits: whether y are a generator's logits themselves, and not what is made of them.
    """

    def __init__(
        self,
        generator: tf.keras.Model,
        contract: Contract,
        batch: int | None = None,
        logits: bool = False,
    ) -> None:
        super().__init__(name="core")
        # The names as keys, so that the weights can be read back from the SavedModel.
        self.weights = named_weights(generator)
        self.signature = signature(contract, batch)
        height, width = contract.image_size or (None, None)
        result = [batch, height, width, contract.channels[1]]

        def run(x: tf.Tensor, *drawn: tf.Tensor) -> dict[str, tf.Tensor]:
            y = generator(inputs_of(x, drawn), training=False)
            # Transposed convolutions of unknown size lose what is known of the shape. Told, not
            # asserted: converters for other platforms know no operator that asserts it.
            y.set_shape(result)
            return {"y": y_of(y, contract) if contract.labels_out and not logits else y}

        self.run = tf.function(run, input_signature=self.signature)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes a SavedModel whose only signature, ``serving_default``, is this function."""
        function = self.run.get_concrete_function()
        tf.saved_model.save(self, os.fspath(folder), signatures={"serving_default": function})
        return Path(folder)


def signature(contract: Contract, batch: int | None = None) -> list[tf.TensorSpec]:
    """The inputs of an export's network, in its order."""
    shapes = contract.shapes(*(contract.image_size or (None, None)))
    return [tf.TensorSpec([batch, *shape], name=name) for name, shape in shapes.items()]
