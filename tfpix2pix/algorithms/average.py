"""The moving average of a network's weights, whose pictures are better than the weights' own.

Adversarial training circles round what it is after; the mean of the last few hundred steps lies
nearer to it than any of them (Yazici et al. 2019, arXiv 1806.04498).
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

EVERY = 8  # steps from one update to the next: as good as each, at an eighth of the memory traffic


class Average:
    """Averages of weights, exponentially weighted.

    Updated after every `EVERY`-th step t, counted from 1, by ``average += (1 - d) (weight -
    average)`` with ``d = min(decay, t / (t + 9)) ** EVERY``: at first it forgets faster, so that
    the initial weights leave no trace. Before the `EVERY`-th step after each, with the power 1, so
    that a run of a few steps has an average too.

    Args:
      weights: variables by name, trained or moving averages themselves. Create this under the same
        ``tf.distribute`` scope.
      decay: share of the average that a step keeps, in (0, 1).

    Attributes:
      values: the averages, by the same names; at first the initial weights.
    """

    def __init__(self, weights: Mapping[str, tf.Variable], decay: float) -> None:
        self.weights, self.decay = dict(weights), decay
        self.values = {
            name: tf.Variable(
                weight.read_value(),
                trainable=False,
                name=f"average/{name}",
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for name, weight in weights.items()
        }

    def restart(self) -> None:
        """Makes the averages what the weights are now; for weights that were not trained here."""
        for name, weight in self.weights.items():
            self.values[name].assign(tf.convert_to_tensor(weight))

    def update(self, step: tf.Tensor) -> None:
        """After a step. Call in cross-replica context.

        Args:
          step: int64 scalar, steps done, this one among them.
        """
        time = tf.cast(step, tf.float32)
        first = step < EVERY
        keep = tf.pow(
            tf.minimum(self.decay, time / (time + 9.0)), tf.where(first, 1.0, float(EVERY))
        )

        def move() -> tf.Tensor:
            for name, weight in self.weights.items():
                average = self.values[name]
                now = tf.convert_to_tensor(average)
                average.assign(now + (1.0 - keep) * (tf.convert_to_tensor(weight) - now))
            return tf.constant(True)

        tf.cond(first | (step % EVERY == 0), move, lambda: tf.constant(False))
