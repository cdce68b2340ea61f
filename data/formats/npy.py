"""NumPy's .npy, ``[H, W]``, ``[H, W, C]`` or ``[C, H, W]`` without alpha, and .npz.

Types as `common.kept` says: bool, uint8, uint16 and floats, and whole numbers exact as float32.
"""

from __future__ import annotations

import dataclasses
import io
import math
import os
import threading
import zipfile
from typing import IO, BinaryIO

import numpy as np

from tfpix2pix.data.formats.common import (
    Decoded,
    Header,
    Refused,
    check_size,
    kept,
    kept_dtype,
)
from tfpix2pix.data.formats.planes import (
    AUTO,
    FIRST,
    MOST_BANDS,
    Choice,
    Stack,
    chosen,
    joined,
    joined_header,
    numbers_of,
)

# NumPy reads headers by Python's own parser, and CPython up to 3.11 counts that parser's depth for
# all threads together: two at once, with any callback of the garbage collector between them, and
# a good file fails with "AST constructor recursion depth mismatch" (gh-106905).
_PARSER_LOCK = threading.Lock()

SIGNATURE = b"\x93NUMPY"
ARCHIVE = b"PK\x03\x04"
_LISTED = 5
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_header(file: BinaryIO, planes: str = AUTO) -> Header:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return _header(file, size, planes)[0]


def decode(data: bytes, planes: str = AUTO) -> Decoded:
    return _decode(io.BytesIO(data), len(data), planes)


def read_archive_header(file: BinaryIO, planes: str = AUTO) -> Header:
    with zipfile.ZipFile(file) as archive:
        member, planes = _member(archive, planes)
        with archive.open(member) as content:
            return _header(content, member.file_size, planes)[0]


def decode_archive(data: bytes, planes: str = AUTO) -> Decoded:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        member, planes = _member(archive, planes)
        return _decode(io.BytesIO(archive.read(member)), member.file_size, planes)


def _member(archive: zipfile.ZipFile, planes: str) -> tuple[zipfile.ZipInfo, str]:
    """The array of an .npz that is read, and what is left of the wish for its own planes."""
    members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
    if not members:
        raise Refused("a ZIP archive without arrays")
    if len(members) == 1:
        return members[0], planes
    numbers = numbers_of(planes)
    names = ", ".join(m.filename[: -len(".npy")] for m in members[:_LISTED])
    held = f"an .npz of {len(members)} arrays ({names}{', ...' if members[_LISTED:] else ''})"
    if len(numbers) != 1:
        raise Refused(
            f"{held}, where one was expected; --input_planes=N or --target_planes=N reads the N-th"
        )
    if numbers[0] >= len(members):
        raise Refused(f"{held}, and number {numbers[0] + 1} was asked for")
    return members[numbers[0]], AUTO


def _header(file: IO[bytes], size: int, planes: str) -> tuple[Header, Choice, tuple[int, ...]]:
    """What an array's header tells, and where its height, width and channels are in its shape."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADER_READERS:
        raise Refused(f".npy of version {version[0]}.{version[1]}, where 1.0 or 2.0 was expected")
    try:
        with _PARSER_LOCK:
            shape, _, dtype = _HEADER_READERS[version](file)
    except Exception:  # NumPy reads it as Python's own syntax.
        raise Refused("damaged (its .npy header cannot be read)") from None
    # One image of a batch of one.
    inner = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
    if len(inner) not in (2, 3) or min(inner) < 1:
        more = ""
        if len(shape) == 4:
            more = "; save each image in a file of its own, or hand the arrays over from Python"
        raise Refused(
            f"an array of shape {list(shape)}, where [H, W], [H, W, C] or [C, H, W] was expected"
            + more
        )
    first = len(inner) == 3 and planes != FIRST and _channels_first(*inner)
    height, width, channels = (*inner[1:], inner[0]) if first else (*inner, 1)[:3]
    check_size(height, width)
    told = ""
    if first:
        told = f"{list(inner)} read as [C, H, W], {channels} channels"
    choice = dataclasses.replace(chosen(Stack(1, "array"), planes), besides=told)
    header = Header(height, width, channels, False, kept_dtype(dtype))
    # Before NumPy would set aside the memory for it.
    if file.tell() + math.prod(shape) * dtype.itemsize > size:
        raise Refused("cut short (truncated)")
    return joined_header([header], choice), choice, inner


def _channels_first(first: int, second: int, third: int) -> bool:
    """Whether ``[first, second, third]`` is [C, H, W]: as [H, W, C] it would be a narrow strip of
    very many channels. As PyTorch and most readers of satellite images hand arrays out."""
    return first <= MOST_BANDS and min(second, third) > 2 * MOST_BANDS


def _decode(file: IO[bytes], size: int, planes: str) -> Decoded:
    _, choice, inner = _header(file, size, planes)
    file.seek(0)
    with _PARSER_LOCK:
        loaded = np.load(file, allow_pickle=False)
    array, notes = kept(loaded.reshape(inner))
    if choice.besides:
        array = np.moveaxis(array, 0, -1)
    array = np.ascontiguousarray(array).reshape(*array.shape[:2], -1)
    return joined([Decoded(array, False, None, tuple(notes))], choice)
