"""Putting an export in its place as a whole: the old state or the new one, never between.

Everything is made in a hidden folder inside the output folder. What is ready is written down in a
journal, and only then moved; the next `export` to the folder finishes first what a kill in the
middle of the moves left. Whoever only reads the folder (`translate`, `verify`) moves nothing and
says that it is half published. A version of a SavedModel appears by one rename, so that a server
that polls the folder never sees half of one.

The folder may come from a stranger, and a journal with it. So a journal is only a list of plain
names: from the hidden folder to the places that an export has, no link anywhere on the way.
Anything else is refused before anything is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import existing_place, to_disk, write_json
from tfpix2pix.export.manifest import FOLDERS, PLACES, is_place, plain

_STAGING, _JOURNAL, _LOCK = ".export-", ".publish.json", ".export.lock"
_STAGING_NAME = re.compile(r"\.export-[0-9a-f]{8}")
# The moves of one publication are renames: they take no longer.
_PATIENCE, _PAUSE = 1.0, 0.05


def check_output(output: str | os.PathLike[str]) -> Path:
    """The output folder, refused where nothing could be written.

    Raises:
      UserError: it is a file, lies below one, or may not be written; a link stands where files are
        to be written; it holds a journal that no export wrote.
    """
    path = Path(output).expanduser()
    place = existing_place(path)
    if not place.is_dir():
        what = "is a file" if place == path.absolute() else f"lies below the file {place}"
        raise UserError(f"--output={output} {what}; give a folder, it is made if it is missing")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(
            f"--output={output} cannot be written (no permission for {place}); give a folder that "
            "you may write to"
        )
    # Before anything is made there: what is refused leaves the folder as it was.
    _check_places(path)
    _read_journal(path)
    return path


class Staging:
    """A hidden folder inside the output folder, and its publication.

    Use it as a context: on leaving, what was not published is removed, and so is the output
    folder if it was made for nothing.

    Args:
      output: the folder of the export, made if it is missing.

    Attributes:
      folder: where to write.

    Raises:
      UserError: another process is exporting to the same folder.
    """

    def __init__(self, output: str | os.PathLike[str]) -> None:
        self.output = check_output(output)

    def __enter__(self) -> Staging:
        self._made = [p for p in [self.output, *self.output.parents] if not p.exists()]
        self._locked, self._alone = contextlib.ExitStack(), False
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            self._alone = self._locked.enter_context(lock.alone(self.output / _LOCK))
            if not self._alone:
                raise UserError(
                    f"--output={self.output}: another export is writing there; wait for it, or "
                    "give another folder"
                )
            _finish(self.output)
            for entry in self.output.glob(f"{_STAGING}*"):
                shutil.rmtree(entry, ignore_errors=True)
            for entry in self.output.glob(f".{_JOURNAL}.*.tmp"):
                entry.unlink(missing_ok=True)
            self.folder = self.output / f"{_STAGING}{secrets.token_hex(4)}"
            self.folder.mkdir()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # With a journal the folder holds what is still to be moved, by whoever comes next.
        if self._alone and not (self.output / _JOURNAL).exists():
            shutil.rmtree(getattr(self, "folder", ""), ignore_errors=True)
        with contextlib.suppress(OSError):
            if self._made and self._alone:
                (self.output / _LOCK).unlink(missing_ok=True)
        self._locked.close()
        with contextlib.suppress(OSError):
            for folder in self._made:  # innermost first; one that holds something stays
                folder.rmdir()

    def publish(self, moves: Sequence[tuple[str, str]], removes: Sequence[str] = ()) -> None:
        """Moves what is in `folder` to its place.

        Args:
          moves: from a path below `folder` to one below the output folder. A file replaces what is
            there; a folder goes to a name that is free.
          removes: files below the output folder that the new state no longer has.

        Raises:
          UserError: a path that no export has, or a link on it; nothing was moved.
        """
        plan = _Plan([(f"{self.folder.name}/{old}", new) for old, new in moves], list(removes))
        _check_places(self.output)
        plan.check(self.output)
        for path in [*self.folder.rglob("*"), self.folder]:
            to_disk(path)
        # Whole from here on: the journal says how to go on.
        write_json(self.output / _JOURNAL, {"moves": plan.moves, "removes": plan.removes})
        try:
            _finish(self.output)
        except BaseException:  # Ctrl-C between two moves: the rest takes no time
            _finish(self.output)
            raise


def check_published(output: Path) -> None:
    """Sees that a folder is not half published; waits a moment for an export that is at it.

    Nothing is changed: only an export completes what another one left.

    Args:
      output: the folder of an export, or any other.

    Raises:
      UserError: a journal is there, so an export was interrupted while it moved its files.
    """
    if output.absolute().name in FOLDERS and os.path.lexists(output.parent / _JOURNAL):
        output = output.parent  # which publishes both directions
    end = time.monotonic() + _PATIENCE
    while os.path.lexists(output / _JOURNAL):
        if time.monotonic() > end:
            raise UserError(
                f"{output} is half published: an export was interrupted while it put its files in "
                f"their places ({_JOURNAL} tells); run `tfpix2pix export` with --output={output} "
                "again, which completes it, or give another folder"
            )
        time.sleep(_PAUSE)


def free_version(folder: Path) -> int:
    """The next free version number of a model folder: one more than the largest."""
    taken = [0]
    if folder.is_dir():
        taken += [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()]
    return max(taken) + 1


# === The journal ===


@dataclass(frozen=True)
class _Plan:
    """What a journal says: ``moves`` from the hidden folder to places, and files to remove."""

    moves: list[tuple[str, str]]
    removes: list[str]

    @classmethod
    def of(cls, values: Any) -> _Plan:
        """Of what stands in the file; raises ValueError for any other shape or name."""
        if not isinstance(values, dict) or set(values) != {"moves", "removes"}:
            raise ValueError("it is no object of moves and removes")
        moves, removes = values["moves"], values["removes"]
        if not isinstance(moves, list) or not isinstance(removes, list):
            raise ValueError("its moves or removes are no list")
        for move in moves:
            if not isinstance(move, list) or len(move) != 2:
                raise ValueError("a move is no pair of paths")
            source = move[0]
            first, _, rest = source.partition("/") if isinstance(source, str) else ("", "", "")
            if not _STAGING_NAME.fullmatch(first):
                raise ValueError(f"it moves {source!r}, which no export made")
            plain(rest)
        for target in [*(new for _, new in moves), *removes]:
            if not is_place(plain(target)):
                raise ValueError(f"it changes {target!r}, which no export has")
        return cls([(old, new) for old, new in moves], list(removes))

    def check_links(self, output: Path) -> None:
        """Raises ValueError where a link stands on one of the paths."""
        for name in [*(each for move in self.moves for each in move), *self.removes]:
            place = output
            for part in name.split("/"):
                place /= part
                if place.is_symlink():
                    raise ValueError(f"{name!r} leads over the link {place.relative_to(output)}")
        for old, _ in self.moves:
            for folder, folders, files in os.walk(output / old):
                for entry in [*folders, *files]:
                    if Path(folder, entry).is_symlink():
                        raise ValueError(f"{old!r} holds the link {entry}")

    def check(self, output: Path) -> None:
        """Sees that every step can be done, before the first one is.

        Raises:
          UserError: one cannot.
        """
        try:
            _Plan.of({"moves": [list(move) for move in self.moves], "removes": self.removes})
            self.check_links(output)
            for old, new in self.moves:
                source, target = output / old, output / new
                if target.exists() and source.exists() and (source.is_dir() or target.is_dir()):
                    raise ValueError(f"{new!r} is there already")
            for name in self.removes:
                if (output / name).is_dir():
                    raise ValueError(f"{name!r} is a folder")
        except ValueError as error:
            raise _refused(output, error) from None


def _read_journal(output: Path) -> _Plan | None:
    """What the journal in a folder says; None where there is none.

    Raises:
      UserError: no export wrote it.
    """
    path = output / _JOURNAL
    try:
        kind = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if not stat.S_ISREG(kind):
            raise ValueError("it is no file")
        plan = _Plan.of(json.loads(path.read_text(encoding="utf-8")))
        plan.check_links(output)
    except FileNotFoundError:
        return None  # another export has just completed it
    except (ValueError, RecursionError) as error:
        raise _refused(output, error) from None
    return plan


def _refused(output: Path, error: Exception) -> UserError:
    reason = {
        RecursionError: "it is nested too deep",
        json.JSONDecodeError: "it is not valid JSON",
        UnicodeDecodeError: "it is no text",
    }.get(type(error), str(error))
    return UserError(
        f"--output={output}: {output / _JOURNAL} is not what an export of this program leaves "
        f"({reason}), so nothing was touched; give another folder, or look at what stands in it, "
        "remove it, and run the same command again"
    )


def _check_places(output: Path) -> None:
    """Refuses an output folder in which a link stands where files are to be written.

    Raises:
      UserError: one does.
    """
    inner = (f"{folder}/{place}" for folder in FOLDERS for place in PLACES)
    for name in (*PLACES, _LOCK, *FOLDERS, *inner):
        if (output / name).is_symlink():
            raise UserError(
                f"--output={output}: {output / name} is a link, through which an export would "
                "write into another place; give another folder, or put the real one there"
            )


def _finish(output: Path) -> None:
    """Does what the journal says, each step of it as often as it takes."""
    plan = _read_journal(output)
    if plan is None:
        return
    plan.check(output)
    for old, new in plan.moves:
        source, target = output / old, output / new
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    for name in plan.removes:
        (output / name).unlink(missing_ok=True)
    for place in {name.split("/")[0] for name in plan.removes if "/" in name}:
        # Folders that nothing is left in, the innermost first.
        for folder in [*sorted((output / place).rglob("*"), reverse=True), output / place]:
            with contextlib.suppress(OSError):
                folder.rmdir()
    (output / _JOURNAL).unlink()
