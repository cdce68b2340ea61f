"""The paper's objectives (section 3.1), each image's value first and the mean over the batch last.

Every function returns one value per image, float32 ``[B]``, so that a batch split over several
devices is averaged over the whole batch and not per device.
"""

from __future__ import annotations

import tensorflow as tf


def l1(y: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference of two images ``[B, H, W, C]`` in [-1, 1]; from 0 to 2."""
    return tf.reduce_mean(tf.abs(y - fake), axis=[1, 2, 3])


def _cross_entropy(logits: tf.Tensor, real: bool) -> tf.Tensor:
    # As softplus its gradient is one operation. TensorFlow's cross-entropy has four terms there,
    # which are added in the order in which their memory happens to be free: not the same bits
    # in every run.
    per_patch = tf.math.softplus(-logits if real else logits)
    return tf.reduce_mean(per_patch, axis=[1, 2, 3])


def discriminator(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """D's objective, halved as in the paper (section 3.3); logits ``[B, h, w, 1]``.

    ``ln 2 = 0.693`` where D cannot tell; 0 where it always can.
    """
    return 0.5 * (_cross_entropy(real_logits, True) + _cross_entropy(fake_logits, False))


def generator_gan(fake_logits: tf.Tensor) -> tf.Tensor:
    """The non-saturating loss: maximise log D(x, G(x, z)) (section 3.3)."""
    return _cross_entropy(fake_logits, True)
