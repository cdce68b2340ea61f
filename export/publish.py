"""Putting an export in its place as a whole: the old state or the new one, never between.

Everything is made in a hidden folder inside the output folder. What is ready is written down in a
journal, and only then moved; whoever comes next after a kill in the middle of the moves (a later
`export`, `verify` or `translate`) finishes them from the journal first. A version of a SavedModel
appears by one rename, so that a server that polls the folder never sees half of one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import existing_place, to_disk, write_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_STAGING, _JOURNAL, _LOCK = ".export-", ".publish.json", ".export.lock"


def check_output(output: str | os.PathLike[str]) -> Path:
    """The output folder, refused where nothing could be written.

    Raises:
      UserError: it is a file, lies below one, or may not be written.
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
            self._alone = self._locked.enter_context(_lock(self.output))
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
          removes: paths below the output folder that the new state no longer has.
        """
        for path in [*self.folder.rglob("*"), self.folder]:
            to_disk(path)
        # Whole from here on: the journal says how to go on.
        journal = {
            "moves": [[f"{self.folder.name}/{old}", new] for old, new in moves],
            "removes": list(removes),
        }
        write_json(self.output / _JOURNAL, journal)
        try:
            _finish(self.output)
        except BaseException:  # Ctrl-C between two moves: the rest takes no time
            _finish(self.output)
            raise


def finish_interrupted(output: Path) -> None:
    """Completes the publication that a kill interrupted, if there is one and nobody is at it."""
    if not (output / _JOURNAL).exists():
        return
    with _lock(output) as alone:
        if alone:
            _finish(output)


def free_version(folder: Path) -> int:
    """The next free version number of a model folder: one more than the largest."""
    taken = [0]
    if folder.is_dir():
        taken += [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()]
    return max(taken) + 1


def _finish(output: Path) -> None:
    """Does what the journal says, each step of it as often as it takes."""
    journal = output / _JOURNAL
    try:
        plan = json.loads(journal.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    for old, new in plan["moves"]:
        source, target = output / old, output / new
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    for name in plan["removes"]:
        path = output / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # where it was the last one
    journal.unlink()


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Whether this process alone works on the folder; a killed one's lock is gone with it."""
    if fcntl is None:
        yield True
        return
    with open(folder / _LOCK, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
