"""Weights by name: our own names, the same under Keras 2 and 3, and seeded initial values."""

from __future__ import annotations

import math
import zlib

import tensorflow as tf

STDDEV = 0.02  # the paper's appendix 6.2


def named_weights(model: tf.keras.Model, trainable_only: bool = False) -> dict[str, tf.Variable]:
    """The model's variables by ``layer/weight`` (``down1/kernel``), in the order of its layers.

    The names depend on the layers' names alone, not on the version of Keras, so checkpoints keep
    their meaning across versions.
    """
    named = {}
    for layer in model.layers:
        for weight in layer.trainable_weights if trainable_only else layer.weights:
            last = weight.name.split("/")[-1].split(":")[0]
            named[f"{layer.name}/{last}"] = _variable(weight)
    return named


def _variable(weight: tf.Variable) -> tf.Variable:
    """The ``tf.Variable`` behind a weight (Keras 3 wraps it)."""
    return weight if isinstance(weight, tf.Variable) else weight.value


def initialize(model: tf.keras.Model, seed: int, xavier: bool = False) -> None:
    """Sets the paper's initial weights: N(0, 0.02), normalisation scales N(1, 0.02), biases 0.

    Every weight is a function of (seed, model's name, weight's name), so the same in every
    version of Keras. Source: the paper's appendix 6.2 and its public code (scales).

    With `xavier` the deviation of convolutions and dense layers is 0.02 times Glorot and Bengio's
    (2010): sqrt(2 / (in + out)) of the weights that meet in an output, and that an input goes into.
    """
    for name, variable in named_weights(model, trainable_only=True).items():
        last = name.split("/")[-1]
        if last in ("bias", "beta"):
            variable.assign(tf.zeros_like(variable))
            continue
        mean, scale = 1.0 if last == "gamma" else 0.0, STDDEV
        if xavier and last != "gamma":
            *places, one, other = variable.shape
            scale *= math.sqrt(2 / (math.prod(places) * (one + other)))
        key = tf.constant([seed, zlib.crc32(f"{model.name}/{name}".encode())], tf.int64)
        normal = tf.random.stateless_normal(variable.shape, key, alg="philox")
        variable.assign(mean + scale * normal)
