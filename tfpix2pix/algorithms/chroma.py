"""A term on the colours of all pictures together: not of each, which nobody can know.

A target's colours are often a matter of chance: the label map says wall, not which colour. What
compares a picture with its own target, pixel by pixel or by histograms, is then least for the
middle of all colours, which is grey. So this compares the pictures made lately, as a set, with the
targets seen lately, and says of each pixel's colour where it would lie if both sets had the same
distribution.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tfpix2pix.data import cielab

DIRECTIONS = 4  # of the plane (a, b): 0, 45, 90 and 135 degrees
REACH = 136  # CIELAB units; sRGB's strongest colour has a chroma of 133.8
BINS = 2 * REACH  # 1 unit wide
MEMORY = 64  # images: the time constant of the running histograms


class ColourTransport:
    """How far colours must move so that the pictures of the last steps have, together, the colours
    of their targets; in hundreds of CIELAB units.

    The plane (a, b) is projected onto `DIRECTIONS` lines. On each, the way that moves one
    distribution to the other at the least cost keeps the order of values (optimal transport on a
    line; of a plane's projections: Pitie, Kokaram and Dahyot 2007, "Automated colour grading using
    colour distribution transfer"; as a loss, the sliced Wasserstein distance of Bonneel et al.
    2015). The distributions are running histograms of `MEMORY` images; where a pixel's colour is
    to go is a constant, so that the gradient moves each pixel's colour towards it, and how far is
    the value: 0 once both sets are alike to half a bin.

    Histograms are of the images of all replicas, so that several have those of one. Create this
    under the ``tf.distribute`` scope of its use.

    Args:
      batch: images of a step, of all replicas.
    """

    def __init__(self, batch: int) -> None:
        self.rate = min(1.0, batch / MEMORY)
        once = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.shares = {
            name: tf.Variable(
                tf.zeros([DIRECTIONS, BINS]),
                trainable=False,
                name=f"chroma/{name}",
                aggregation=once,
            )
            for name in ("fake", "truth")
        }
        self.count = tf.Variable(
            0, dtype=tf.int64, trainable=False, name="chroma/count", aggregation=once
        )

    def variables(self) -> dict[str, tf.Variable]:
        """What a checkpoint must hold."""
        return {**self.shares, "count": self.count}

    def __call__(
        self, y: tf.Tensor, fake: tf.Tensor, measured: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Takes in a batch, and says how far its pictures' colours are from where they should be.
        Call in replica context.

        Args:
          y, fake: RGB targets and pictures of this replica, float32 ``[B, H, W, 3]`` in [-1, 1].
          measured: 1 or 0 ``[B, H, W, 1]``, the pixels that count; None for all.

        Returns:
          float32 ``[B]``: the mean over pixels and directions; 0 where no pixel counts.
        """
        values = {"fake": projected(fake), "truth": projected(y)}
        weights = tf.ones_like(y[..., :1]) if measured is None else measured
        shares = self._updated({n: histogram(v, weights) for n, v in values.items()})
        moves = transport(shares["fake"], shares["truth"])
        found = values["fake"]
        move = tf.stop_gradient(tf.gather(tf.reshape(moves, [-1]), _places(found)))
        target = tf.stop_gradient(found) + move
        off = tf.abs(found - target) * weights
        total = tf.reduce_sum(off, axis=[1, 2, 3]) / (100.0 * DIRECTIONS)
        return tf.math.divide_no_nan(total, tf.reduce_sum(weights, axis=[1, 2, 3]))

    def _updated(self, counts: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The running histograms after this batch, by the pixels that it counts."""
        replica = tf.distribute.get_replica_context()
        # By handle: each replica writes its own copy, and all of them the same into it.
        count = tf.raw_ops.ReadVariableOp(resource=self.count.handle, dtype=tf.int64)
        count += 1
        shares = {}
        for name, found in counts.items():
            if replica.num_replicas_in_sync > 1:
                found = replica.all_reduce(tf.distribute.ReduceOp.SUM, found)
            handle = self.shares[name].handle
            old = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)
            new = tf.math.divide_no_nan(found, tf.reduce_sum(found, axis=-1, keepdims=True))
            # At first the plain mean, and nothing where no pixel counts.
            rate = tf.maximum(self.rate, 1.0 / tf.cast(count, tf.float32))
            some = tf.reduce_sum(found) > 0
            shares[name] = tf.where(some, old + rate * (new - old), old)
            tf.raw_ops.AssignVariableOp(resource=handle, value=shares[name])
        tf.raw_ops.AssignVariableOp(resource=self.count.handle, value=count)
        return shares


def projected(rgb: tf.Tensor) -> tf.Tensor:
    """The colours of RGB images ``[B, H, W, 3]`` in [-1, 1], on the lines through (a, b): CIELAB
    units, ``[B, H, W, DIRECTIONS]``."""
    ab = lab(rgb)[..., 1:]
    angles = [math.pi * line / DIRECTIONS for line in range(DIRECTIONS)]
    return tf.linalg.matmul(
        ab, tf.constant([[math.cos(t) for t in angles], [math.sin(t) for t in angles]])
    )


def lab(rgb: tf.Tensor) -> tf.Tensor:
    """CIELAB (D65, 2 degrees) of sRGB images ``[..., 3]`` in [-1, 1], ``[..., 3]``; its gradient is
    finite everywhere."""
    return cielab.from_rgb(tf.clip_by_value(rgb * 0.5 + 0.5, 0.0, 1.0))


def histogram(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """How many pixels fall into each bin.

    Args:
      values: as `projected` gives them, ``[B, H, W, DIRECTIONS]``.
      weights: of the pixels, ``[B, H, W, 1]``, 1 or 0; whole numbers, so that sums are exact in any
        order.

    Returns:
      float32 ``[DIRECTIONS, BINS]``.
    """
    counted = tf.broadcast_to(weights, tf.shape(values))
    total = tf.math.unsorted_segment_sum(
        tf.reshape(counted, [-1]), tf.reshape(_places(values), [-1]), DIRECTIONS * BINS
    )
    return tf.reshape(total, [DIRECTIONS, BINS])


def _places(values: tf.Tensor) -> tf.Tensor:
    """The bin of each value, counted through all directions, int32."""
    bins = tf.clip_by_value(tf.cast(tf.floor(values), tf.int32) + REACH, 0, BINS - 1)
    return bins + BINS * tf.range(DIRECTIONS)


def transport(fake: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """How far, and in which direction, the values of each bin are to move.

    Args:
      fake, truth: shares of the bins, ``[DIRECTIONS, BINS]``; within one values are spread evenly.

    Returns:
      ``[DIRECTIONS, BINS]``: from the middle of each bin of `fake` to where `truth` has as large a
      share below; 0 where that is less than half a bin. Of empty bins it means nothing.
    """
    below, fakes = tf.cumsum(truth, axis=-1), tf.cumsum(fake, axis=-1)
    rank = tf.math.divide_no_nan(fakes - fake / 2.0, fakes[:, -1:])
    # Sums that are rounded must not send the last pixel behind the last bin.
    rank = (tf.clip_by_value(rank, 1e-5, 1.0 - 1e-5) * below[:, -1:])[..., None]  # [D, BINS, 1]
    short = below[:, None, :] < rank  # bins of the truth that end below the rank
    place = tf.minimum(tf.reduce_sum(tf.cast(short, tf.int32), axis=-1), BINS - 1)
    start = tf.gather(below - truth, place, batch_dims=1)
    share = tf.gather(truth, place, batch_dims=1)
    part = tf.clip_by_value(tf.math.divide_no_nan(rank[..., 0] - start, share), 0.0, 1.0)
    move = tf.cast(place - tf.range(BINS), tf.float32) + part - 0.5
    return tf.where(tf.abs(move) < 0.5, 0.0, move)
