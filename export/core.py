"""The generator as plain TensorFlow: what every format is made from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfpix2pix.inference import KerasEncoder
from tfpix2pix.inference.sizes import kernel_shapes
from tfpix2pix.models.base import inputs_of
from tfpix2pix.models.layers import InstanceNormalization
from tfpix2pix.models.weights import named_weights

if TYPE_CHECKING:
    from tfpix2pix.export.contract import Contract
    from tfpix2pix.inference import Translator
    from tfpix2pix.models.base import Encoder, Generator

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
    _check_kernels(described, weights)
    return _with_weights(described.build(noise=noise), weights)


def export_encoder(described: Encoder, weights: dict[str, np.ndarray]) -> tf.keras.Model:
    """The same of an encoder."""
    _check_kernels(described, weights)
    return _with_weights(described.build(), weights)


def encoder_of(translator: Translator) -> tf.keras.Model | None:
    """The encoder of a run in Keras, in float32; None where it has none."""
    if not translator.encodes:
        return None
    assert isinstance(translator.encoder, KerasEncoder), "another engine runs the encoder"
    return translator.encoder.encoder


def _check_kernels(described: Generator | Encoder, weights: dict[str, np.ndarray]) -> None:
    """Raises ValueError for weights of another network, before memory is taken for it."""
    for layer, shape in kernel_shapes(described).items():
        if np.shape(weights.get(f"{layer}/kernel", ())) != shape:
            raise ValueError(
                f"weights of another {described.name}: {layer}/kernel is not {list(shape)}"
            )


def _with_weights(network: tf.keras.Model, weights: dict[str, np.ndarray]) -> tf.keras.Model:
    variables = named_weights(network)
    if set(variables) != set(weights):
        odd = sorted(set(variables) ^ set(weights))
        raise ValueError(f"weights of another {network.name}: {', '.join(odd[:3])} and others")
    for name, variable in variables.items():
        variable.assign(tf.cast(weights[name], variable.dtype))
    return network


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


class Exportable(tf.Module):
    """A network as one function of float32 tensors, the variables by their names.

    Args:
      network: the Keras model.
      signature: its inputs.
      run: the function: of these to its results by name.
    """

    def __init__(
        self,
        network: tf.keras.Model,
        signature: list[tf.TensorSpec],
        run: Callable[..., dict[str, tf.Tensor]],
    ) -> None:
        super().__init__(name="core")
        # The names as keys, so that the weights can be read back from the SavedModel.
        self.weights = named_weights(network)
        self.signature = signature
        self.run = tf.function(run, input_signature=signature, autograph=False)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes a SavedModel whose only signature, ``serving_default``, is this function."""
        function = self.run.get_concrete_function()
        tf.saved_model.save(self, os.fspath(folder), signatures={"serving_default": function})
        return Path(folder)


class EncoderCore(Exportable):
    """What makes latents of images like the targets: ``y`` to ``latent``, the mean of what the
    encoder says.

    Args:
      encoder: the Keras model, ``y -> [mean, log_variance]``, in float32.
      contract: of the export.
      batch: images of a batch, None for any.
    """

    def __init__(
        self, encoder: tf.keras.Model, contract: Contract, batch: int | None = None
    ) -> None:
        def run(y: tf.Tensor) -> dict[str, tf.Tensor]:
            mean, _ = encoder(y, training=False)
            return {"latent": mean}

        spec = tf.TensorSpec([batch, *contract.encoder_shape], name="y")
        super().__init__(encoder, [spec], run)


class Core(Exportable):
    """G(x, z), or G(x).

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
        height, width = contract.image_size or (None, None)
        result = [batch, height, width, contract.channels[1]]

        def run(x: tf.Tensor, *drawn: tf.Tensor) -> dict[str, tf.Tensor]:
            y = generator(inputs_of(x, drawn), training=False)
            # Transposed convolutions of unknown size lose what is known of the shape. Told, not
            # asserted: converters for other platforms know no operator that asserts it.
            y.set_shape(result)
            return {"y": y_of(y, contract) if contract.labels_out and not logits else y}

        super().__init__(generator, signature(contract, batch), run)


def signature(contract: Contract, batch: int | None = None) -> list[tf.TensorSpec]:
    """The inputs of an export's network, in its order."""
    shapes = contract.shapes(*(contract.image_size or (None, None)))
    return [tf.TensorSpec([batch, *shape], name=name) for name, shape in shapes.items()]
