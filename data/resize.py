"""Resizing stored images: bilinear and antialiased, or by nearest neighbour for class numbers."""

from __future__ import annotations

import tensorflow as tf


def resize(image: tf.Tensor, size: int, nearest: bool = False) -> tf.Tensor:
    """Resizes to a square; an image of that size stays as it is, bit for bit.

    Args:
      image: ``[H, W, C]`` of any number type.
      size: height and width of the result.
      nearest: take the pixel whose area holds the centre of the new one, as
        ``tf.image.resize(..., "nearest")`` does, so that every value is one that came in. Else
        bilinear, antialiased where it gets smaller (the op behind ``tf.image.resize(...,
        antialias=True)``).

    Returns:
      ``[size, size, C]`` of the same type; whole numbers are rounded, as image libraries do.
    """
    image = tf.convert_to_tensor(image)
    if image.shape[:2] == [size, size]:
        return image
    resized = tf.cond(
        tf.reduce_all(tf.shape(image)[:2] == size),
        lambda: image,
        lambda: (_nearest if nearest else _bilinear)(image, size),
    )
    return tf.ensure_shape(resized, [size, size, image.shape[-1]])


def _nearest(image: tf.Tensor, size: int) -> tf.Tensor:
    # In whole numbers, so that no rounding decides.
    centres = 2 * tf.range(size) + 1  # in halves of a new pixel
    rows, columns = (centres * tf.shape(image)[axis] // (2 * size) for axis in (0, 1))
    return tf.gather(tf.gather(image, rows), columns, axis=1)


def _bilinear(image: tf.Tensor, size: int) -> tf.Tensor:
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=[size, size],
        scale=size / tf.cast(tf.shape(image)[:2], tf.float32),
        translation=tf.zeros([2]),
        kernel_type="triangle",
        antialias=True,
    )[0]
    if image.dtype.is_integer:
        # Weights are positive and add up to one, so that nothing leaves the type's range.
        resized = tf.round(resized)
    return tf.cast(resized, image.dtype)
