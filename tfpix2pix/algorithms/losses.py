"""The paper's objectives (section 3.1) and others that came after it.

Every function returns one value per image, float32 ``[B]``, so that a batch split over several
devices is averaged over the whole batch and not per device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf


def l1(y: tf.Tensor, fake: tf.Tensor, measured: tf.Tensor | None = None) -> tf.Tensor:
    """Mean absolute difference of two images ``[B, H, W, C]`` in [-1, 1]; from 0 to 2.

    With `measured`, 1 or 0 ``[B, H, W, 1]``, of the pixels where that is 1; 0 where none is.
    """
    difference = tf.abs(y - fake)
    if measured is None:
        return _mean(difference)
    return tf.math.divide_no_nan(_mean(difference * measured), _mean(measured))


def cross_entropy(
    y: tf.Tensor,
    logits: tf.Tensor,
    measured: tf.Tensor | None = None,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """Mean over the pixels of -log p of the true class, in nats, p the softmax of the logits.

    Args:
      y: one-hot classes, ``[B, H, W, C]``.
      logits: the same shape.
      measured: 1 or 0 ``[B, H, W, 1]``: the pixels that count; 0 nats where none does.
      weights: of the classes, ``[C]``: how often a pixel of each counts.
    """
    value = -tf.reduce_sum(y * tf.nn.log_softmax(logits), axis=-1, keepdims=True)
    if weights is not None:
        value *= tf.reduce_sum(y * weights, axis=-1, keepdims=True)
    if measured is None:
        return _mean(value)
    return tf.math.divide_no_nan(_mean(value * measured), _mean(measured))


def straight_through(logits: tf.Tensor) -> tf.Tensor:
    """The likeliest class of every pixel as a one-hot ``[B, H, W, C]``, exactly; gradients pass as
    if it were the softmax of the logits (Bengio et al. 2013, arXiv 1308.3432, section 4)."""
    probabilities = tf.nn.softmax(logits)
    likeliest = tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1], dtype=logits.dtype)
    return likeliest + (probabilities - tf.stop_gradient(probabilities))


def _cross_entropy(logits: tf.Tensor, real: bool) -> tf.Tensor:
    # As softplus its gradient is one operation. TensorFlow's cross-entropy has four terms there,
    # which are added in the order in which their memory happens to be free: not the same bits
    # in every run.
    return _mean(tf.math.softplus(-logits if real else logits))


def discriminator(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, kind: str = "vanilla"
) -> tf.Tensor:
    """D's objective, halved as in the paper (section 3.3); logits ``[B, h, w, 1]``.

    ``vanilla``: cross entropy; ``ln 2 = 0.693`` where D cannot tell, 0 where it always can.
    ``lsgan``: squares against 1 and 0 (Mao et al. 2017, arXiv 1611.04076); 0.25 where D says 0.5 of
    everything. ``hinge``: 1 - D(real) and 1 + D(fake), at least 0 (Lim and Ye 2017, arXiv
    1705.02894); 1 where D says 0.
    """
    if kind == "vanilla":
        return 0.5 * (_cross_entropy(real_logits, True) + _cross_entropy(fake_logits, False))
    if kind == "lsgan":
        return 0.5 * (_mean(tf.square(real_logits - 1.0)) + _mean(tf.square(fake_logits)))
    if kind == "hinge":
        return 0.5 * (_mean(tf.nn.relu(1.0 - real_logits)) + _mean(tf.nn.relu(1.0 + fake_logits)))
    raise ValueError(f"gan_loss must be 'vanilla', 'lsgan' or 'hinge', got {kind!r}")


def generator_gan(fake_logits: tf.Tensor, kind: str = "vanilla") -> tf.Tensor:
    """G's part: ``vanilla``, the non-saturating loss, maximise log D(x, G(x, z)) (section 3.3);
    ``lsgan``, the square of D - 1; ``hinge``, -D."""
    if kind == "vanilla":
        return _cross_entropy(fake_logits, True)
    return _mean(tf.square(fake_logits - 1.0)) if kind == "lsgan" else -_mean(fake_logits)


def judgement(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, kind: str = "vanilla"
) -> dict[str, tf.Tensor]:
    """What D thinks, 0 to 1, ``[B]`` each: how real it holds ``real`` and ``fake`` images to be,
    and ``accuracy``, the share of patches of both that it is right about."""
    border = 0.5 if kind == "lsgan" else 0.0
    rightly = 0.5 * (_share(real_logits > border) + _share(fake_logits < border))

    def certainty(logits: tf.Tensor) -> tf.Tensor:
        return _mean(tf.clip_by_value(logits, 0.0, 1.0) if kind == "lsgan" else tf.sigmoid(logits))

    return {"real": certainty(real_logits), "fake": certainty(fake_logits), "accuracy": rightly}


def _share(truth: tf.Tensor) -> tf.Tensor:
    """Of the patches of each image, ``[B]``."""
    return _mean(tf.cast(truth, tf.float32))


def feature_matching(real: Sequence[tf.Tensor], fake: Sequence[tf.Tensor]) -> tf.Tensor:
    """The sum over D's layers of the mean absolute difference of their features ``[B, h, w, C]``
    (pix2pixHD, Wang et al. 2018, arXiv 1711.11585, section 3.3). The real ones are constants."""
    return tf.add_n(
        [
            _mean(tf.abs(tf.stop_gradient(tf.cast(r, tf.float32)) - tf.cast(f, tf.float32)))
            for r, f in zip(real, fake, strict=True)
        ]
    )


def shares(logits: tf.Tensor) -> tf.Tensor:
    """C times the softmax of logits ``[B, H, W, C]``: by `l1` two of them are apart as images are,
    0 to 2."""
    return tf.nn.softmax(logits) * logits.shape[-1]


def latent_ratio(
    made: tf.Tensor,
    other: tf.Tensor,
    latent: tf.Tensor,
    other_latent: tf.Tensor,
    measured: tf.Tensor | None = None,
) -> tf.Tensor:
    """How far apart what is made with two latents is, by how far apart these are: both the mean
    absolute difference, of images as `l1` has it.

    Args:
      made, other: of the same inputs, ``[B, H, W, C]``.
      latent, other_latent: with which, ``[B, n]``.
      measured: as `l1` takes it.
    """
    apart = tf.reduce_mean(tf.abs(latent - other_latent), axis=-1)
    return l1(made, other, measured) / (apart + 1e-5)


def dsgan(ratio: tf.Tensor, bound: float = 0.0) -> tf.Tensor:
    """The less the further apart outputs of different latents are: minus the ratio of
    `latent_ratio`, up to a bound, 0 for none (Yang et al. 2019, arXiv 1901.09024, section 3)."""
    return -(tf.minimum(ratio, bound) if bound else ratio)


def msgan(ratio: tf.Tensor) -> tf.Tensor:
    """The same as one by that ratio (Mao et al. 2019, arXiv 1903.05628, equation 5).

    Its slope grows as the square of that, up to 1e10 where outputs are alike: no other term would
    count, and Adam's memory of it would keep steps small for thousands of them. So below
    `_STEEPEST`, which is about one grey level, it goes on along its tangent.
    """
    floor = tf.maximum(ratio, _STEEPEST) + 1e-5
    return 1.0 / floor + tf.minimum(ratio - _STEEPEST, 0.0) * -1.0 / tf.square(_STEEPEST + 1e-5)


_STEEPEST = 0.01


def patch_nce(query: tf.Tensor, key: tf.Tensor, temperature: float = 0.07) -> tf.Tensor:
    """How hard it is to tell, by its features, which place of the input a place of the picture was
    made from (Park et al. 2020, arXiv 2007.15651, equation 3).

    The cross entropy of ``query . key / temperature``: right is the key of the same position, wrong
    are those of the other positions of the same image. The keys are constants. The authors' code
    writes this as a column of right answers beside a matrix whose diagonal is -10: up to exp(-140)
    the same.

    Args:
      query, key: vectors of length 1, ``[B, n, C]``, of n positions of each image.
      temperature: 0.07, the authors'.

    Returns:
      ``[B]``, the mean over positions: ln n where nothing can be told, near 0 where everything can.
    """
    alike = tf.matmul(query, tf.stop_gradient(key), transpose_b=True) / temperature
    right = tf.linalg.diag_part(alike)
    return tf.reduce_mean(tf.reduce_logsumexp(alike, axis=-1) - right, axis=-1)


def kl(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """Nats by which normal distributions of independent numbers, ``[B, n]`` each, differ from the
    standard normal one: the Kullback-Leibler divergence, the sum over the n (Zhu et al. 2017, arXiv
    1711.11586, equation 5). Mean 1 and variance 1 of 8 numbers: 4."""
    each = tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance
    return 0.5 * tf.reduce_sum(each, axis=1)


def latent_l1(latent: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference of two latents ``[B, n]`` (equation 7 there); `UNTOLD` on average
    where a standard normal latent is not found at all, and 0 is said of it."""
    return tf.reduce_mean(tf.abs(latent - found), axis=1)


UNTOLD = math.sqrt(2 / math.pi)  # the mean absolute value of a standard normal number


def r1(gradient: tf.Tensor) -> tf.Tensor:
    """Half the squared norm of the gradient of D's value (its mean over patches) by the real image,
    ``[B, H, W, C]`` (Mescheder et al. 2018, arXiv 1801.04406, section 4.1)."""
    return 0.5 * tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])


def _mean(value: tf.Tensor) -> tf.Tensor:
    """Of each image, ``[B, h, w, C]`` to ``[B]``."""
    return tf.reduce_mean(value, axis=[1, 2, 3])
