"""A perceptual loss: how different two pictures are to a network that reads photographs.

Pixel by pixel a window that stands two pixels further right is as wrong as none. In the features
of a network that was trained to name what it sees both have a window there.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfpix2pix.scorer.store import Scorer

FAINTEST = 1e-3  # mean activation of a target's layer below which differences are not scaled up


class Perceptual:
    """The L1 between a scorer's features of pictures and of their targets, in shares of the
    targets' own.

    The feature reconstruction loss of Johnson et al. 2016 (arXiv 1603.08155, section 3.2), with
    L1 on several layers as in pix2pixHD's code (arXiv 1711.11585), on the last activations of
    blocks 2 to 5 (`Scorer.activations`). Of each layer the mean difference is divided by the mean
    of the target's activations, so that a weight means the same whatever scorer it is: 0 where
    nothing differs, about 1 where the layer sees unlike things.

    Create this under the ``tf.distribute`` scope of its use.

    Args:
      scorer: whose features; it is not trained.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._look = scorer.layers()
        self._name = np.frombuffer(bytes.fromhex(scorer.identity), ">i8").astype(np.int64)
        self._identity = tf.Variable(
            tf.zeros(self._name.shape, tf.int64),
            trainable=False,
            name="perceptual/scorer",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def variables(self) -> dict[str, tf.Variable]:
        """What a checkpoint must hold: which scorer it is, zeros before `begin`."""
        return {"scorer": self._identity}

    def begin(self) -> bool:
        """Whether this is the scorer that the run began with; call once the state is restored."""
        if not self._identity.numpy().any():
            self._identity.assign(self._name)
        return bool(np.array_equal(self._identity.numpy(), self._name))

    def __call__(self, y: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """How different pictures look from their targets.

        Args:
          y, fake: RGB targets and pictures, float32 ``[B, H, W, 3]`` in [-1, 1], of the scorer's
            size.

        Returns:
          float32 ``[B]``: the mean over layers.
        """
        shares = []
        both = self._look(tf.concat([fake, tf.stop_gradient(y)], axis=0))
        for layer in both:
            seen, wanted = tf.split(layer, 2)
            wanted = tf.stop_gradient(wanted)
            off = tf.reduce_mean(tf.abs(seen - wanted), axis=[1, 2, 3])
            shares.append(off / tf.maximum(tf.reduce_mean(wanted, axis=[1, 2, 3]), FAINTEST))
        return tf.add_n(shares) / len(shares)
