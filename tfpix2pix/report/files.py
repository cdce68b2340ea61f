"""Files that are either the old one or the new one, never half of each."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Writes `content` to `path` through a temporary file in the same folder.

    A reader sees the old file or the new one. When writing fails the old file
    stays and the temporary one is removed.

    Raises:
      OSError: the folder does not exist or cannot be written, or the disk is full.
    """
    path = Path(path)
    # Not `tempfile`: its files are private to the user (mode 0600), a report is to be shown.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
