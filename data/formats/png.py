"""PNG: 8 bits and less by Pillow, 16 bits by imagecodecs (libpng).

Pillow hands out only the high byte of 16-bit colour, and drops a 16-bit colour key.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import struct
import threading
from typing import BinaryIO

from tfpix2pix.data.formats import by_pillow
from tfpix2pix.data.formats.common import (
    TURNED,
    Decoded,
    Header,
    Refused,
    upright,
    upright_size,
)
from tfpix2pix.data.formats.planes import AUTO, Stack, chosen, joined, joined_header

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour type of the IHDR chunk -> (colour channels, has alpha); type 3, palette, has no 16 bits.
_COLOUR_TYPES = {0: (1, False), 2: (3, False), 4: (1, True), 6: (3, True)}
_METADATA = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")
# Pictures of more pixels than these are decoded for their header's sake one at a time, so that
# many threads that only look do not fill the memory.
_LARGE = 1 << 24
_LARGE_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True)
class _Facts:
    """What the chunks tell of a PNG.

    Attributes:
      bits: per sample.
      colour_type: of the IHDR chunk.
      has_key: one colour is marked transparent (tRNS).
      has_late_metadata: text or EXIF stands behind the pixels, where Pillow finds it only by
        decoding them.
    """

    bits: int
    colour_type: int
    has_key: bool
    has_late_metadata: bool


def read_header(file: BinaryIO, planes: str = AUTO) -> Header:
    facts = _walk(file)
    with by_pillow.opened(file, "PNG") as image:
        if facts.has_late_metadata:
            large = image.height * image.width > _LARGE
            with _LARGE_LOCK if large else contextlib.nullcontext():
                image.load()
        size = upright_size(image.height, image.width, by_pillow.orientation_of(image))
    if facts.bits < 16:
        file.seek(0)
        header = by_pillow.read_header(file, "PNG", planes)
        return dataclasses.replace(header, height=size[0], width=size[1])
    channels, has_alpha = _COLOUR_TYPES[facts.colour_type]
    header = Header(*size, channels, has_alpha or facts.has_key, "uint16")
    return joined_header([header], chosen(Stack(1, "frame"), planes))


def decode(data: bytes, planes: str = AUTO) -> Decoded:
    facts = _walk(io.BytesIO(data))
    if facts.bits < 16:
        return by_pillow.decode(data, "PNG", planes)
    import imagecodecs

    with by_pillow.opened(io.BytesIO(data), "PNG") as image:
        if facts.has_late_metadata:
            image.load()
        orientation = by_pillow.orientation_of(image)
    array = imagecodecs.png_decode(data)
    channels, has_alpha = _COLOUR_TYPES[facts.colour_type]
    has_alpha = has_alpha or facts.has_key
    array = array.reshape(*array.shape[:2], channels + has_alpha)
    notes = (TURNED,) if orientation != 1 else ()
    picture = Decoded(upright(array, orientation), has_alpha, None, notes)
    return joined([picture], chosen(Stack(1, "frame"), planes))


def _walk(file: BinaryIO) -> _Facts:
    """Goes from chunk to chunk up to the end marker: decoders do not miss what is cut off there."""
    size = file.seek(0, os.SEEK_END)
    position = len(SIGNATURE)
    header, has_key, has_pixels, has_late_metadata = b"", False, False, False
    kind = b""
    while kind != b"IEND":
        file.seek(position)
        start = file.read(8)
        if len(start) < 8:
            raise Refused("cut short (truncated)")
        length, kind = struct.unpack(">I4s", start)
        if not kind.isalpha():
            raise Refused("damaged (what should be a PNG chunk is none)")
        position += 12 + length  # Length, kind, content, check sum.
        if position > size:
            raise Refused("cut short (truncated)")
        if kind == b"IHDR":
            header = file.read(length)
        has_key |= kind == b"tRNS"
        has_pixels |= kind == b"IDAT"
        has_late_metadata |= has_pixels and kind in _METADATA
    file.seek(0)
    if len(header) != 13:
        raise Refused("damaged (a PNG without its header chunk)")
    bits, colour_type = header[8], header[9]
    if bits == 16 and colour_type not in _COLOUR_TYPES:
        raise Refused("damaged (a PNG of no known colour type)")
    return _Facts(bits, colour_type, has_key, has_late_metadata)
