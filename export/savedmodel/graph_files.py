"""JPEG and PNG files to pixels inside a TensorFlow graph, with nothing lost and nothing turned.

`size_of` reads a file's size from its header: who sends a few kilobytes must not be able to make
the decoder fill the memory.
"""

from __future__ import annotations

import tensorflow as tf

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# Signature and header chunk; what is shorter has no depth and no colour type.
_LEAST_PNG = 33
# Length and name of the chunk that has to be a PNG's first.
_PNG_HEADER = b"\x00\x00\x00\x0dIHDR"
# Each scan of a progressive JPEG goes through all of the picture, and takes a few bytes where it
# changes nothing. Programs write about ten.
_MOST_SCANS = 100
# A camera writes its EXIF block first; it is at most 64 KiB long.
_EXIF_REACH = 1 << 16

# Many operations that depend on no run: as functions of their own they are traced once, and stand
# once in a graph, however many signatures take files.
_of_a_file = tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def is_png(data: tf.Tensor) -> tf.Tensor:
    """Whether a file, a string scalar, begins as a PNG."""
    signed = tf.equal(tf.strings.substr(data, 0, len(_PNG)), _PNG)
    return tf.logical_and(signed, tf.strings.length(data) >= _LEAST_PNG)


def is_jpeg(data: tf.Tensor) -> tf.Tensor:
    """Whether a file, a string scalar, begins as a JPEG."""
    return tf.equal(tf.strings.substr(data, 0, len(_JPEG)), _JPEG)


@_of_a_file
def size_of(data: tf.Tensor) -> tf.Tensor:
    """Height and width that decoding will give, from the file's header; nothing is decoded.

    Args:
      data: string scalar.

    Returns:
      int64 ``[2]``, as the pixels are stored, so before they are turned.

    Raises:
      tf.errors.InvalidArgumentError: when the graph runs, for what is neither JPEG nor PNG, or
        holds no size where these have it.
    """

    def png() -> tf.Tensor:
        found = tf.equal(tf.strings.substr(data, 8, len(_PNG_HEADER)), _PNG_HEADER)
        check = tf.debugging.Assert(
            found, ["image_bytes: a damaged PNG file (it does not begin with its header chunk)"]
        )
        with tf.control_dependencies([check]):
            sides = tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.int32, little_endian=False)
        # Of 31 bits; what is taken for a negative number the decoder refuses.
        return tf.cast(sides, tf.int64)[::-1]

    def jpeg() -> tf.Tensor:
        # By libjpeg, like the decoding, so that the two cannot disagree.
        with tf.control_dependencies([_check_scans(data)]):
            sides = tf.image.extract_jpeg_shape(tf.identity(data))
        return tf.cast(sides, tf.int64)[:2]

    with tf.control_dependencies([_check_kind(data)]):
        return tf.ensure_shape(tf.cond(tf.identity(is_png(data)), png, jpeg), [2])


def _check_kind(data: tf.Tensor) -> tf.Operation | None:
    return tf.debugging.Assert(
        tf.logical_or(is_png(data), is_jpeg(data)),
        ["image_bytes: neither a JPEG nor a PNG file; bytes:", tf.strings.length(data)],
    )


def _check_scans(data: tf.Tensor) -> tf.Operation | None:
    """Refuses a JPEG whose scans would keep the decoder busy for hours."""
    values = tf.io.decode_raw(data, tf.uint8)
    starts = tf.equal(values[:-1], 0xFF) & tf.equal(values[1:], 0xDA)
    scans = tf.reduce_sum(tf.cast(starts, tf.int32))
    # In other files these bytes may stand for something else: phones put a film behind the picture.
    few = tf.logical_or(scans <= _MOST_SCANS, _is_sequential(values))
    return tf.debugging.Assert(
        few,
        [
            f"image_bytes: a progressive JPEG file of more than {_MOST_SCANS} scans, as no program "
            "writes; scans:",
            scans,
        ],
    )


def _is_sequential(values: tf.Tensor) -> tf.Tensor:
    """Whether a JPEG (uint8 ``[N]``) is not progressive, from segment to segment as libjpeg reads.

    False where the segments are not as they should be.
    """
    size = tf.size(values)

    def at(place: tf.Tensor) -> tf.Tensor:
        return tf.cast(values[tf.minimum(place, size - 1)], tf.int32)

    def goes_on(place: tf.Tensor, frame: tf.Tensor) -> tf.Tensor:
        marker = at(place + 1)
        is_marker = tf.equal(at(place), 0xFF) & tf.not_equal(marker, 0) & (place + 4 <= size)
        # Up to the frame's header, or the first scan.
        return is_marker & tf.equal(frame, 0) & tf.not_equal(marker, 0xDA)

    def step(place: tf.Tensor, frame: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        marker = at(place + 1)
        is_table = tf.reduce_any(tf.equal(marker, [0xC4, 0xC8, 0xCC]))
        is_frame = (marker >= 0xC0) & (marker <= 0xCF) & ~is_table
        is_fill = tf.equal(marker, 0xFF)
        is_alone = tf.equal(marker, 1) | ((marker >= 0xD0) & (marker <= 0xD9))
        length = 2 + tf.maximum(256 * at(place + 2) + at(place + 3), 2)
        length = tf.where(is_fill, 1, tf.where(is_alone, 2, length))
        return place + length, tf.where(is_frame, marker, 0)

    _, frame = tf.while_loop(goes_on, step, [tf.constant(2), tf.constant(0)])
    return tf.equal(frame, 0xC0) | tf.equal(frame, 0xC1)


@_of_a_file
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

    with tf.control_dependencies([_check_kind(data)]):
        rgba, deep, grey = tf.cond(tf.identity(is_png(data)), png, jpeg)
    return tf.ensure_shape(rgba, [None, None, 4]), deep, grey


def _byte(data: tf.Tensor, place: int) -> tf.Tensor:
    """One byte of a string scalar as int32."""
    return tf.cast(tf.io.decode_raw(tf.strings.substr(data, place, 1), tf.uint8)[0], tf.int32)


# === Orientation ===


@_of_a_file
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
