"""Resizing stored images: bilinear and antialiased, or by nearest neighbour for class numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from tfpix2pix.base.size import Size

if TYPE_CHECKING:
    from tfpix2pix.data.spec import ImageSpec


def resize(image: tf.Tensor, size: Size | int, nearest: bool = False) -> tf.Tensor:
    """Resizes an image; one that has the size already stays as it is, bit for bit.

    Args:
      image: ``[H, W, C]`` of any number type.
      size: of the result; a number for a square.
      nearest: take the pixel whose area holds the centre of the new one, as
        ``tf.image.resize(..., "nearest")`` does, so that every value is one that came in. Else
        bilinear, antialiased where it gets smaller (the op behind ``tf.image.resize(...,
        antialias=True)``).

    Returns:
      ``[height, width, C]`` of the same type; whole numbers are rounded, as image libraries do.
    """
    image, sides = tf.convert_to_tensor(image), list(Size.of(size))
    if image.shape[:2] == sides:
        return image
    resized = tf.cond(
        tf.reduce_all(tf.shape(image)[:2] == sides),
        lambda: image,
        lambda: (_nearest if nearest else _bilinear)(image, sides),
    )
    return tf.ensure_shape(resized, [*sides, image.shape[-1]])


def resize_stored(image: tf.Tensor, size: Size | int, spec: ImageSpec) -> tf.Tensor:
    """`resize` of a stored image: classes by nearest neighbour, and so where it is measured."""
    if spec.is_classes or not spec.has_mask:
        return resize(image, size, nearest=spec.is_classes)
    values = resize(image[..., :-1], size)
    return tf.concat([values, resize(image[..., -1:], size, nearest=True)], axis=-1)


def _nearest(image: tf.Tensor, sides: list[int]) -> tf.Tensor:
    # In whole numbers, so that no rounding decides.
    for axis, side in enumerate(sides):
        centres = 2 * tf.range(side) + 1  # in halves of a new pixel
        image = tf.gather(image, centres * tf.shape(image)[axis] // (2 * side), axis=axis)
    return image


def _bilinear(image: tf.Tensor, sides: list[int]) -> tf.Tensor:
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=sides,
        scale=tf.constant(sides, tf.float32) / tf.cast(tf.shape(image)[:2], tf.float32),
        translation=tf.zeros([2]),
        kernel_type="triangle",
        antialias=True,
    )[0]
    if image.dtype.is_integer:
        # Weights are positive and add up to one, so that nothing leaves the type's range.
        resized = tf.round(resized)
    return tf.cast(resized, image.dtype)
