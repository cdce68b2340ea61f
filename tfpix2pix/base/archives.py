"""Arrays in ``.npz`` archives, read as data and no larger than what is stored."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def load_arrays(file: Path | BinaryIO, limit: int) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` archive by name.

    An array's header says how large it is, and as much memory is taken before its content is read;
    a packed content may be a thousand times its size on the disk.

    Args:
      file: the archive, or its path.
      limit: bytes that all arrays together may take.

    Raises:
      ValueError: an array claims more than is stored for it, holds Python objects, or all of them
        together are larger than the limit.
      zipfile.BadZipFile, OSError, EOFError, zlib.error: it is damaged or cannot be read.
    """
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > limit:
            raise ValueError(f"it unpacks to more than {limit:,} bytes")
        for entry in entries:
            with archive.open(entry) as stream:
                version = np.lib.format.read_magic(stream)
                if version not in _HEADERS:
                    raise ValueError(f"{entry.filename} is of an unknown version")
                shape, _, dtype = _HEADERS[version](stream)
                claimed = stream.tell() + math.prod(shape) * dtype.itemsize
            if dtype.hasobject or claimed != entry.file_size:
                raise ValueError(f"{entry.filename} claims another size than it has")
    if not isinstance(file, Path):
        file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
