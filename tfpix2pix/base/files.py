"""Files that are either the old ones or the new ones, never something between."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import UserError


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
    # The name's beginning only: with all of a long one it would be too long.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.tmp")
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
    # What cannot be UTF-8 can only come from the name of a file.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Replaces a JSON file in one step; see ``write_bytes``."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def clear_temporary(folder: str | os.PathLike[str]) -> None:
    """Removes what a ``write_bytes`` left there that was killed; nobody else may be writing."""
    for entry in Path(folder).glob(".*.tmp"):
        if re.fullmatch(r"\..*\.[0-9a-f]{8}\.tmp", entry.name, re.DOTALL):
            with contextlib.suppress(OSError):
                entry.unlink()


def shown(path: str | os.PathLike[str]) -> str:
    """A path as messages show it, on one line whatever the name holds.

    Line ends, terminal codes, marks that turn the reading direction and bytes that are no text
    are shown by their numbers, as Python writes them: ``a\\nb.png``.
    """
    text = os.fspath(path)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def existing_place(path: str | os.PathLike[str]) -> Path:
    """The path itself, or the nearest thing above it that is there already."""
    place = Path(path).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def check_writable(path: str | os.PathLike[str], flag: str) -> None:
    """Refuses at once a folder that would fail only after minutes of work.

    Args:
      path: the folder, which need not be there yet.
      flag: that named it, for the message.

    Raises:
      UserError: it is a file, or may not be written.
    """
    place = existing_place(path)
    if not place.is_dir():
        raise UserError(f"{flag}={path} cannot be written: {place} is a file; give another")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(
            f"{flag}={path} cannot be written (no permission for {place}); give a folder that you "
            "may write to"
        )


def to_disk(path: str | os.PathLike[str]) -> None:
    """Makes the kernel write a file or folder out, so that a power cut cannot empty it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
