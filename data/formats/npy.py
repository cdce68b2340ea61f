"""NumPy's .npy: ``[H, W]`` or ``[H, W, C]``, the channels last and none of them alpha.

Types as `common.kept` says: bool, uint8, uint16 and floats, and whole numbers exact as float32.
"""

from __future__ import annotations

import io
import math
import os
import threading
from typing import BinaryIO

import numpy as np

from tfpix2pix.data.formats.common import (
    Decoded,
    Header,
    Refused,
    check_size,
    kept,
    kept_dtype,
)

# NumPy reads headers by Python's own parser, and CPython up to 3.11 counts that parser's depth for
# all threads together: two at once, with any callback of the garbage collector between them, and
# a good file fails with "AST constructor recursion depth mismatch" (gh-106905).
_PARSER_LOCK = threading.Lock()

SIGNATURE = b"\x93NUMPY"
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_header(file: BinaryIO) -> Header:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    version = np.lib.format.read_magic(file)
    if version not in _HEADER_READERS:
        raise Refused(f".npy of version {version[0]}.{version[1]}, where 1.0 or 2.0 was expected")
    try:
        with _PARSER_LOCK:
            shape, _, dtype = _HEADER_READERS[version](file)
    except Exception:  # NumPy reads it as Python's own syntax.
        raise Refused("damaged (its .npy header cannot be read)") from None
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise Refused(f"an array of shape {list(shape)}, where [H, W] or [H, W, C] was expected")
    height, width = shape[:2]
    check_size(height, width)
    channels = shape[2] if len(shape) == 3 else 1
    result = Header(height, width, channels, False, kept_dtype(dtype))
    # Before NumPy would set aside the memory for it.
    if file.tell() + math.prod(shape) * dtype.itemsize > size:
        raise Refused("cut short (truncated)")
    return result


def decode(data: bytes) -> Decoded:
    header = read_header(io.BytesIO(data))
    with _PARSER_LOCK:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
    array, notes = kept(loaded)
    array = np.ascontiguousarray(array).reshape(header.height, header.width, header.channels)
    return Decoded(array, False, None, tuple(notes))
