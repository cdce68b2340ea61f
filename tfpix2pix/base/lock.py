"""One process at a time: the second is refused or waits, a killed one stands in nobody's way.

`held` holds a folder and refuses the second process, `alone` says whether this one is the only
one, `locked` waits. `filelock` (4.3) was tried: it leaves the lock's file behind, so that a
folder made for nothing stays, and a file system without locks (ENOLCK) is an error to it.

The kernel holds the lock (``flock``; on Windows ``msvcrt.locking``) and lets go of it when the
process ends, however it ends; so no file that a killed run left behind has to be judged old or
taken away by hand. The file ``.lock`` only says who holds it. Reading a run takes no lock.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from tfpix2pix.base.errors import UserError

NAME = ".lock"

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
# Windows keeps others from reading what is locked, so a byte far behind the text is.
_LOCKED_BYTE = 1 << 20
_POLL = 0.2  # seconds


@contextlib.contextmanager
def held(
    folder: str | os.PathLike[str], shown: str, say: Callable[[str], None] = lambda text: None
) -> Iterator[None]:
    """Holds a folder for this process as long as the context is open.

    The folder is made if it is missing, and taken away again if it is still empty at the end.
    Two ways to one folder (a link, a relative path) are one folder. A child that is forked
    without starting another program holds it too.

    Args:
      folder: to hold.
      shown: how messages call it, with its flag: ``--workdir=RUN``.
      say: told, in a sentence, where the file system knows no locks (some network file systems):
        then nothing is held, and the work goes on.

    Raises:
      UserError: another process holds it (the message says which), or it cannot be written.
    """
    folder = Path(folder)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        handle = _locked(folder, shown, say)
    except OSError as error:
        _remove_empty(made)
        raise UserError(
            f"{shown} cannot be written ({error.strerror or error}); give a folder that you may "
            "write to"
        ) from None
    try:
        yield
    finally:
        # While it is held; on Windows what is open stays.
        with contextlib.suppress(OSError):
            (folder / NAME).unlink()
        os.close(handle)
        _remove_empty(made)


@contextlib.contextmanager
def alone(path: str | os.PathLike[str]) -> Iterator[bool]:
    """Whether this process alone holds the lock of a file, which it does as long as that is open.

    Args:
      path: the lock's file; made in a folder that is there, and left behind empty.

    Yields:
      False where another process holds it. True also on a file system that knows no locks.
    """
    with _opened(path) as file:
        yield _free(file.fileno())


@contextlib.contextmanager
def locked(
    path: str | os.PathLike[str], waiting: Callable[[], None] | None = None
) -> Iterator[None]:
    """Holds the lock of a file, after waiting for whoever holds it.

    Args:
      path: the lock's file; made with its folder, and left behind empty.
      waiting: called once if another process holds the lock.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path) as file:
        while not _free(file.fileno()):
            if waiting:
                waiting()
                waiting = None
            time.sleep(_POLL)
        yield


def _opened(path: str | os.PathLike[str]) -> IO[bytes]:
    """The lock's file, made if it is missing; a link or a pipe is not followed or waited for."""
    careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return open(os.open(path, os.O_RDWR | os.O_CREAT | careful, 0o666), "rb")


def holds_files(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is there and holds anything but a lock."""
    folder = Path(folder)
    return folder.is_dir() and any(entry.name != NAME for entry in folder.iterdir())


def _locked(folder: Path, shown: str, say: Callable[[str], None]) -> int:
    """A handle of the lock's file that holds the lock, where there are locks at all."""
    path = folder / NAME
    for _ in range(8):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            # A link is not followed: what it leads to would be cut to nothing and signed.
            no_link = getattr(os, "O_NOFOLLOW", 0)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | no_link, 0o644)
        except FileNotFoundError:  # the holder before us has just taken the folder away
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise UserError(
                f"{shown}: {path} is a link, where no link belongs; remove it, or give another "
                "folder"
            ) from None
        try:
            free = _try(handle)
        except OSError as error:
            free = True
            say(
                f"note: this file system knows no locks ({error.strerror or error}), so nothing "
                f"keeps a second process out of {folder}; start only one"
            )
        if not free:
            owner = _owner(path)
            os.close(handle)
            raise UserError(
                f"{shown} is in use: {owner} is working there, and two would spoil each "
                "other's files; wait until it ends, stop it, or give another folder"
            )
        if _is(handle, path):
            _sign(handle)
            return handle
        os.close(handle)  # its holder removed it while we asked
    raise OSError(errno.EBUSY, "others keep making and removing its lock")


def _free(handle: int) -> bool:
    """Takes the lock without waiting; True also where the file system knows no locks: one process
    alone does well without."""
    try:
        return _try(handle)
    except OSError:
        return True


def _try(handle: int) -> bool:
    """Takes the lock without waiting; False if another holds it, OSError if there are no locks."""
    try:
        _lock(handle)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def _lock(handle: int) -> None:
    """Takes the lock without waiting; OSError if it cannot be had."""
    try:
        import fcntl
    except ImportError:
        # By name: the stubs of the module are empty where there is none.
        msvcrt: Any = importlib.import_module("msvcrt")
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        return
    # Not lockf: that lets go as soon as the process closes any other handle of the file.
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is(handle: int, path: Path) -> bool:
    """Whether the path still leads to the open file."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(handle), os.stat(path))
    return False


def _sign(handle: int) -> None:
    now = datetime.now().astimezone().isoformat(" ", "seconds")
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    with contextlib.suppress(OSError):  # a full disk: the lock holds without a signature
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(facts).encode())


def _owner(path: Path) -> str:
    """Who holds the lock, in words."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        pid, host, since = int(facts["pid"]), str(facts["host"]), str(facts["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
    host, since = (" ".join(text.split())[:100] for text in (host, since))
    return f"process {pid} on {host} (since {since})"


def _remove_empty(made: list[Path]) -> None:
    for place in made:
        with contextlib.suppress(OSError):
            place.rmdir()
