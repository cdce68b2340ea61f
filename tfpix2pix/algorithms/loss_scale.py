"""Dynamic loss scaling, without which float16 loses small gradients (Micikevicius et al. 2018,
"Mixed Precision Training", arXiv 1710.03740, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

INITIAL, LEAST = 2.0**15, 1.0
PATIENCE = 2000  # good steps in a row after which the scale is tried twice as large


class LossScale:
    """The number that losses are multiplied with before their gradients are taken.

    A power of two, so that multiplying and dividing round nothing. Halved after a step whose
    gradients were not finite, doubled after ``PATIENCE`` good ones in a row. Create this under the
    ``tf.distribute`` scope of the weights.

    Args:
      updates: how many updates a step has, each left out by itself.

    Attributes:
      scale: float32 variable.
      good_steps: int64 variable, good steps since the scale last changed.
      skipped: int64 variables, one for each update: of how many steps in all it was left out,
        because its gradients were not finite.
    """

    def __init__(self, updates: int = 1) -> None:
        self.scale = _variable(INITIAL, tf.float32, "scale")
        self.good_steps = _variable(0, tf.int64, "good_steps")
        self._names = ["skipped", *(f"skipped_{number}" for number in range(2, updates + 1))]
        self.skipped = [_variable(0, tf.int64, name) for name in self._names]

    def variables(self) -> dict[str, tf.Variable]:
        """What a checkpoint must hold, by name."""
        skipped = dict(zip(self._names, self.skipped, strict=True))
        return {"scale": self.scale, "good_steps": self.good_steps, **skipped}

    def update(self, done: Sequence[tf.Tensor]) -> None:
        """After a step. Call in cross-replica context.

        Args:
          done: of each update a bool scalar, whether its gradients were finite.
        """
        finite = tf.reduce_all(tf.stack(done))
        good = tf.convert_to_tensor(self.good_steps) + 1
        scale = tf.convert_to_tensor(self.scale)
        # A doubling that is not finite would never come back.
        doubled = tf.minimum(scale * 2.0, 2.0**127)
        grows = good >= PATIENCE
        self.scale.assign(
            tf.where(finite, tf.where(grows, doubled, scale), tf.maximum(scale / 2.0, LEAST))
        )
        self.good_steps.assign(tf.where(finite & ~grows, good, tf.zeros_like(good)))
        for skipped, was_done in zip(self.skipped, done, strict=True):
            skipped.assign_add(tf.cast(~was_done, tf.int64))


def all_finite(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """Whether every number of all gradients of this replica is finite: a bool scalar."""
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])


def _variable(value: float, dtype: tf.DType, name: str) -> tf.Variable:
    return tf.Variable(
        value,
        dtype=dtype,
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
