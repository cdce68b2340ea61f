"""Weights of the same generator whose features fit into int8, which has one scale for all channels.

Three facts make it the same function. Normalisation per image undoes the scale of every channel,
if epsilon is scaled with the variance: with ``k' = k / s`` the convolution gives ``a / s``, and

    (a / s - mean / s) / sqrt(var / s^2 + epsilon / s^2) = (a - mean) / sqrt(var + epsilon).

LeakyReLU and ReLU are homogeneous, ``relu(a / s) = relu(a) / s`` for ``s > 0``, so the scale of the
first convolution, which has no normalisation, goes into the weights that read its features. A bias
is scaled with its kernel; in front of such a normalisation it cancels, and is 0 here. And weights
have a scale for each output channel in int8, so scaling them costs nothing. With s the
largest absolute value seen, every channel of every convolution fills the whole range.
Idea: cross-layer equalisation, Nagel et al., arXiv 1906.04721, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfpix2pix.export.core import NORM, bare_norms, export_generator, weights_of
from tfpix2pix.models.layers import InstanceNormalization

if TYPE_CHECKING:
    from tfpix2pix.models.base import Generator

# Families of generators whose layers have these names and facts.
KNOWN = ("unet",)
_FIRST = "down1"
_LAST = "up1"


def equalized(
    generator: tf.keras.Model, described: Generator, inputs: Iterable[Sequence[np.ndarray]]
) -> tf.keras.Model:
    """The same function with other weights.

    Args:
      generator: from `core.export_generator`; left as it is.
      described: what the run's algorithm says of it.
      inputs: representative inputs, each those of the network in their order, float32 with a batch
        axis.

    Returns:
      A new generator that gives the results of the old one up to rounding.
    """
    names = [_FIRST]
    names += [
        layer.name.removesuffix(NORM)
        for layer in generator.layers
        if isinstance(layer, InstanceNormalization)
    ]
    weights = weights_of(generator)
    for name in bare_norms(generator):
        bias = f"{name.removesuffix(NORM)}/bias"
        weights[bias] = np.zeros_like(weights[bias])
    result = export_generator(described, weights, noise=len(generator.inputs) > 1)
    largest = _largest(result, names, inputs)
    for name in names:
        scale = largest[name]
        # Axis of the output channels: [k, k, in, out], transposed [k, k, out, in].
        _scale(result, name, 1 / (scale if name.startswith("down") else scale[:, None]))
        _scale_bias(result, name, 1 / scale)
        if name != _FIRST:
            norm = result.get_layer(name + NORM)
            norm.epsilon = tf.constant(norm.epsilon / scale**2, tf.float32)
    first = largest[_FIRST]
    _scale(result, "down2", first[:, None])
    width = result.get_layer(_LAST).kernel.shape[-1]
    if width > len(first):  # the skip's features come last in what up1 reads
        _scale(result, _LAST, np.concatenate([np.ones(width - len(first)), first]))
    return result


def _largest(
    generator: tf.keras.Model, names: Sequence[str], inputs: Iterable[Sequence[np.ndarray]]
) -> dict[str, np.ndarray]:
    """The largest absolute value of every channel of some layers' results, none of them 0."""
    layers = [generator.get_layer(name).output for name in names]
    probe = tf.keras.Model(generator.inputs, layers)

    @tf.function(autograph=False)
    def maxima(*tensors: tf.Tensor) -> list[tf.Tensor]:
        found = probe(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
        return [tf.reduce_max(tf.abs(features), [0, 1, 2]) for features in tf.nest.flatten(found)]

    largest = [np.zeros(layer.shape[-1], np.float32) for layer in layers]
    for tensors in inputs:
        values = maxima(*map(tf.constant, tensors))
        largest = [np.maximum(old, new.numpy()) for old, new in zip(largest, values, strict=True)]
    # A channel that is (almost) dead keeps a scale that neither it nor its epsilon overflows at.
    least = [max(float(values.max()), 1.0) * 1e-3 for values in largest]
    return {
        name: np.maximum(values, low)
        for name, values, low in zip(names, largest, least, strict=True)
    }


def _scale(generator: tf.keras.Model, layer: str, factor: np.ndarray) -> None:
    kernel = generator.get_layer(layer).kernel
    kernel.assign((np.asarray(kernel) * factor).astype(np.float32))


def _scale_bias(generator: tf.keras.Model, layer: str, factor: np.ndarray) -> None:
    bias = generator.get_layer(layer).bias
    if bias is not None:
        bias.assign((np.asarray(bias) * factor).astype(np.float32))
