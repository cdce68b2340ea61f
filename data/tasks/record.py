"""OUTPUT/pairs.json: what a folder of made pairs holds, so that another call may continue it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import write_json

NAME = "pairs.json"


def check_output(output: Path, named: str, settings: dict[str, Any]) -> None:
    """Makes sure that pairs of these settings may go into a folder.

    Args:
      output: the folder; it need not exist.
      named: how the user named it: ``--output=pairs``.
      settings: JSON-able, as `write_record` will record them.

    Raises:
      DataError: a file; a folder of other things; pairs of other settings; a damaged record.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise DataError(f"{named}: a file, where a folder was expected; give another name.")
    path = output / NAME
    if not path.exists():
        # Hidden files (.DS_Store) are no content that a person put there.
        strangers = sorted(p.name for p in output.iterdir() if not p.name.startswith("."))
        if strangers:
            raise DataError(
                f"{named} is not empty ({strangers[0]}) and has no {NAME}, so it is no folder of "
                "made pairs; give a new or an empty one."
            )
        return
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))["settings"]
        changes = [
            f"{name} was {saved.get(name)}, now {settings.get(name)}"
            for name in dict.fromkeys([*saved, *settings])
            if saved.get(name) != settings.get(name)
        ]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(f"{path} is damaged; delete {output} or give another --output.") from None
    if changes:
        raise DataError(
            f"{named} holds pairs of other settings ({'; '.join(changes)}); give another folder, "
            "or delete that one."
        )


def write_record(
    output: Path, settings: dict[str, Any], counts: dict[str, int] | None, skipped: list[str]
) -> None:
    """Writes the record, if it says anything new.

    Args:
      output: the folder of made pairs.
      settings: everything that decides what the pairs are.
      counts: pairs by split; none while they are being made.
      skipped: images that could not be used.
    """
    record = {"settings": settings, "counts": counts, "skipped": skipped}
    path = output / NAME
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) == record:
        return
    write_json(path, record)


def place_from(output: Path, folder: Path) -> str:
    """An input folder as seen from the output: both may be moved together."""
    try:
        return Path(os.path.relpath(folder.resolve(), output.resolve())).as_posix()
    except ValueError:  # another drive
        return folder.resolve().as_posix()
