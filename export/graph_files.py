"""JPEG and PNG files to pixels inside a TensorFlow graph, with nothing lost and nothing turned."""

from __future__ import annotations

import tensorflow as tf

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# Signature and header chunk; what is shorter has no depth and no colour type.
_LEAST_PNG = 33
# A camera writes its EXIF block first; it is at most 64 KiB long.
_EXIF_REACH = 1 << 16


def is_png(data: tf.Tensor) -> tf.Tensor:
    """Whether a file, a string scalar, begins as a PNG."""
    signed = tf.equal(tf.strings.substr(data, 0, len(_PNG)), _PNG)
    return tf.logical_and(signed, tf.strings.length(data) >= _LEAST_PNG)


def is_jpeg(data: tf.Tensor) -> tf.Tensor:
    """Whether a file, a string scalar, begins as a JPEG."""
    return tf.equal(tf.strings.substr(data, 0, len(_JPEG)), _JPEG)


def decode_rgba(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A file's pixels at its own depth.

    Args:
      data: string scalar.

    Returns:
      ``(rgba, deep, grey)``: int32 ``[H, W, 4]``, grey repeated and alpha opaque where the file has
      none; whether the values have 16 bits; whether the file is grey.

    Raises:
      tf.errors.InvalidArgumentError: when the graph runs, for what is neither JPEG nor PNG or is
        damaged.
    """

    def png() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # As 16 bits and four channels: the decoder widens 8 bits to v * 257, grey to equal
        # colours, a transparent colour to alpha, each without loss.
        wide = tf.cast(tf.io.decode_png(data, channels=4, dtype=tf.uint16), tf.int32)
        deep = tf.equal(_byte(data, 24), 16)
        colour_type = _byte(data, 25)
        grey = tf.logical_or(tf.equal(colour_type, 0), tf.equal(colour_type, 4))
        return tf.where(deep, wide, wide // 257), deep, grey

    def jpeg() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # The accurate transform is the one that Pillow uses.
        image = tf.io.decode_jpeg(data, channels=0, dct_method="INTEGER_ACCURATE")
        grey = tf.equal(tf.shape(image)[-1], 1)
        colours = tf.cond(grey, lambda: tf.repeat(image, 3, axis=-1), lambda: image[..., :3])
        colours = tf.cast(colours, tf.int32)
        opaque = tf.fill(tf.concat([tf.shape(image)[:2], [1]], 0), 255)
        return tf.concat([colours, opaque], -1), tf.constant(False), grey

    png_file = is_png(data)
    check = tf.debugging.Assert(
        tf.logical_or(png_file, is_jpeg(data)),
        ["image_bytes: neither a JPEG nor a PNG file; bytes:", tf.strings.length(data)],
    )
    with tf.control_dependencies([check]):
        rgba, deep, grey = tf.cond(tf.identity(png_file), png, jpeg)
    return tf.ensure_shape(rgba, [None, None, 4]), deep, grey


def _byte(data: tf.Tensor, place: int) -> tf.Tensor:
    """One byte of a string scalar as int32."""
    return tf.cast(tf.io.decode_raw(tf.strings.substr(data, place, 1), tf.uint8)[0], tf.int32)


# === Orientation ===


def orientation_of(data: tf.Tensor) -> tf.Tensor:
    """How a JPEG is to be turned, by the first orientation entry of its EXIF block.

    Args:
      data: string scalar.

    Returns:
      int32 scalar, 1 to 8; 1 for PNG and where nothing is said.
    """

    def search() -> tf.Tensor:
        size = tf.minimum(tf.strings.length(data), _EXIF_REACH)
        head = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 0, size), tf.uint8), tf.int32)
        # Tag 274, type 3 (SHORT), count 1, value; in the order of Motorola and of Intel.
        motorola = _find(head, b"\x01\x12\x00\x03\x00\x00\x00\x01\x00", 9)
        intel = _find(head, b"\x12\x01\x03\x00\x01\x00\x00\x00", 8)
        has_exif = _find(head, b"Exif\x00", 5) >= 0
        # In front of the image data, as in a JPEG's segments.
        value = tf.where(motorola > 0, motorola, intel)
        good = has_exif & (value >= 1) & (value <= 8)
        return tf.where(good, value, 1)

    return tf.cond(is_jpeg(data), search, lambda: tf.constant(1))


def _find(head: tf.Tensor, pattern: bytes, offset: int) -> tf.Tensor:
    """The byte `offset` behind the first place of a pattern; -1 where there is none."""
    room = tf.maximum(tf.size(head) - len(pattern), 0)
    hits = tf.fill([room], True)
    for i, byte in enumerate(pattern):
        hits &= tf.equal(head[i : i + room], byte)
    places = tf.where(hits)[:, 0]
    found = tf.size(places) > 0
    return tf.cond(found, lambda: head[tf.cast(places[0], tf.int32) + offset], lambda: -1)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors ``[H, W, C]`` as EXIF's orientation (int32 scalar, 1 to 8) says."""

    def among(*values: int) -> tf.Tensor:
        return tf.reduce_any(tf.equal(orientation, tf.constant(values)))

    image = tf.cond(among(5, 6, 7, 8), lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(among(3, 4, 7, 8), lambda: image[::-1], lambda: image)
    return tf.cond(among(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
