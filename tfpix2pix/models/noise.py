"""The noise z and the latent: their draws as pure functions of a seed.

z is one float32 tensor ``[B, h, w, Z]`` from which the decoder's dropout masks are computed (see
``NoiseDropout``). Uniform in [0, 1) it gives the paper's generator; filled with -1 (``no_noise``)
it switches dropout off. The latent is one float32 vector ``[B, n]``, standard normal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# One stream per use, so that no two uses of one seed ever share a draw.
TRAINING, VALIDATION, INFERENCE, AUGMENTATION, POOL, PATCHES = 1, 2, 3, 4, 5, 6
OTHER = 8  # the second latent of an image in training
ENCODED = 7  # where in an encoder's distribution a latent is
_LATENT = 64  # the latent of a use, so that z stays the numbers that it is without one


def seed_of(seed: Any, stream: int, position: Any) -> tf.Tensor:
    """A key for ``tf.random.stateless_*`` (int64 ``[2]``) from a seed, a stream and a position."""
    base = tf.stack([tf.cast(seed, tf.int64), tf.constant(stream, tf.int64)])
    return tf.random.fold_in(base, tf.cast(position, tf.int64), alg="philox")


def draw(seed: Any, stream: int, positions: tf.Tensor, shape: Any) -> tf.Tensor:
    """Uniform noise in [0, 1), each image's a function of (seed, stream, its position) alone.

    Because no image's noise depends on which batch or replica it falls into, two workers with one
    image each draw what one worker with both would.

    Args:
      seed: int scalar.
      stream: TRAINING, VALIDATION or INFERENCE.
      positions: int ``[B]``, for example the image's place in the endless training stream.
      shape: ``[h, w, Z]``, ints or an int tensor ``[3]``.

    Returns:
      float32 ``[B, h, w, Z]``.
    """

    def one(position: tf.Tensor) -> tf.Tensor:
        # Philox is named so that CPU, GPU and TPU draw the same numbers.
        return tf.random.stateless_uniform(shape, seed_of(seed, stream, position), alg="philox")

    return _each(one, positions)


def draw_latent(seed: Any, stream: int, positions: tf.Tensor, size: int) -> tf.Tensor:
    """Standard normal latents, each image's a function of (seed, stream, its position) alone.

    Args:
      seed, stream, positions: as `draw` takes them; the numbers have nothing to do with those of z.
      size: n.

    Returns:
      float32 ``[B, n]``.
    """

    def one(position: tf.Tensor) -> tf.Tensor:
        key = seed_of(seed, _LATENT + stream, position)
        return tf.random.stateless_normal([size], key, alg="philox")

    return _each(one, positions)


def _each(one: Callable[[tf.Tensor], tf.Tensor], positions: tf.Tensor) -> tf.Tensor:
    """What is drawn for each position, stacked."""
    count = positions.shape[0]
    if count is not None and count <= 16:
        return tf.stack([one(positions[i]) for i in range(count)])
    return tf.map_fn(one, positions, fn_output_signature=tf.float32)


def draw_rows(
    seed: Any, stream: int, position: Any, shape: tuple[int, int, int], first: int, last: int
) -> tf.Tensor:
    """Some rows of one image's z, the numbers that `draw` gives them, without the others.

    Args:
      seed, stream, position: as `draw` takes them.
      shape: ``(h, w, Z)`` of the whole.
      first, last: of the rows, the last excluded.

    Returns:
      float32 ``[last - first, w, Z]``.
    """
    row = shape[1] * shape[2]
    # Philox is a function of a counter, which makes four numbers at a time.
    block, surplus = divmod(first * row, 4)
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed_of(seed, stream, position))
    numbers = tf.raw_ops.StatelessRandomUniformV2(
        shape=[surplus + (last - first) * row],
        key=key,
        counter=counter + tf.constant([block, 0], tf.uint64),
        alg=1,  # Philox
    )
    return tf.reshape(numbers[surplus:], [last - first, *shape[1:]])


def no_noise(batch: Any, shape: Any) -> tf.Tensor:
    """The z that switches dropout off: ``[batch, *shape]`` filled with -1."""
    return tf.fill(tf.concat([[batch], shape], axis=0), -1.0)
