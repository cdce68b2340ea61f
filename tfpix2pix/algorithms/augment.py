"""DiffAugment: the same random changes to what D sees of real and generated pictures (Zhao et al.
2020, arXiv 2006.10738), for sets of few images. Differentiable, so G learns through them."""

from __future__ import annotations

import tensorflow as tf

NUMBERS = 7  # per image: brightness, saturation, contrast, shift by y and x, hole at y and x


def augmented(y: tf.Tensor, numbers: tf.Tensor, colors: bool = True) -> tf.Tensor:
    """Pictures in other colours, moved by up to an eighth, with a hole of half their side.

    Args:
      y: float32 ``[B, H, W, C]`` in [-1, 1].
      numbers: uniform in [0, 1), ``[B, NUMBERS]``.
      colors: False where channels are no colours: only the place is changed then.

    Returns:
      The same shape, no longer within [-1, 1]; 0 where the picture was moved away or is cut out.
    """
    brightness, saturation, contrast, *places = tf.split(
        numbers[:, :, None, None], [1] * NUMBERS, axis=1
    )
    if colors:
        y = y + (brightness - 0.5)
        grey = tf.reduce_mean(y, axis=3, keepdims=True)
        y = (y - grey) * (2.0 * saturation) + grey
        mean = tf.reduce_mean(y, axis=[1, 2, 3], keepdims=True)
        y = (y - mean) * (contrast + 0.5) + mean
    for axis in (1, 2):
        y = _moved(y, places[axis - 1][:, 0, 0, 0], axis)
    return y * (1.0 - _inside(y, places[2], 1) * _inside(y, places[3], 2))


def _moved(y: tf.Tensor, share: tf.Tensor, axis: int) -> tf.Tensor:
    size = tf.shape(y)[axis]
    most = size // 8
    shift = tf.cast(tf.floor(share * tf.cast(2 * most + 1, tf.float32)), tf.int32) - most
    source = tf.range(size)[None] + shift[:, None]
    there = tf.cast((source >= 0) & (source < size), tf.float32)
    y = tf.gather(y, tf.clip_by_value(source, 0, size - 1), axis=axis, batch_dims=1)
    return y * (there[:, :, None, None] if axis == 1 else there[:, None, :, None])


def _inside(y: tf.Tensor, centre: tf.Tensor, axis: int) -> tf.Tensor:
    """1 where a pixel is within a quarter of the side of the centre, along one axis."""
    size = tf.cast(tf.shape(y)[axis], tf.float32)
    place = tf.range(size)
    place = place[None, :, None, None] if axis == 1 else place[None, None, :, None]
    return tf.cast(tf.abs(place - tf.floor(centre * size)) < size / 4, tf.float32)
