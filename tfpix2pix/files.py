"""Files that are either the old ones or the new ones, never something between."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_bytes(path: str | os.PathLike[str], content: bytes, sync: bool = True) -> None:
    """Replaces a file in one step, through a temporary one in the same folder.

    A reader or a crash meets the old file or the new one; with ``sync`` a power cut does too, at
    the price of waiting for the disk.

    Raises:
      OSError: the folder cannot be written or the disk is full; the old file is untouched and the
        temporary one is gone.
    """
    path = Path(path)
    # Not `tempfile`: its files are private to the user (mode 0600), a report is to be shown.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replaces a text file in one step; see ``write_bytes``."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Replaces a JSON file in one step; see ``write_bytes``."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def existing_place(path: str | os.PathLike[str]) -> Path:
    """The path itself, or the nearest thing above it that is there already."""
    place = Path(path).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def to_disk(path: str | os.PathLike[str]) -> None:
    """Makes the kernel write a file or folder out, so that a power cut cannot empty it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
