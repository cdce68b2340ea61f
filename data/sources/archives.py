"""Archives to folders, safely: nothing outside, no links, no bombs.

What is half done never counts: an archive is unpacked into ``DESTINATION.incomplete``, which gets
its name when it is whole.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from tfpix2pix.base.errors import DataError

# What is unpacked may be so many times as large as the archive. Pictures are compressed already;
# tables of labels shrink to a tenth or so, and what shrinks to a thousandth holds nothing.
RATIO = 50
ALWAYS = 1 << 30  # bytes that may be unpacked whatever the archive's size
MEMBERS = 2_000_000  # files of an archive, at most; the largest set of the paper has 140,000
# Bytes between two members of a .tar: headers, and long names, which are read into memory.
_BETWEEN = 4 << 20
_CHUNK = 1 << 18  # bytes per read

ByteProgress = Callable[[int, int], None]
"""Called as ``progress(done_bytes, total_bytes)``; the total is 0 where the server tells none."""


def extract(
    archive: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    top: str | None = None,
    progress: ByteProgress | None = None,
) -> Path:
    """Unpacks an archive into a folder, whole or not at all.

    Only files and folders are taken. A link, or a name that leads out of the destination, is
    refused, on every Python version alike (`tarfile` has filters from 3.12 on only); so is what
    would unpack to more than `RATIO` times the archive (and `ALWAYS`), or to `MEMBERS` files.

    Args:
      archive: a .tar, .tar.gz (.tgz) or .zip file.
      destination: a folder that does not exist yet.
      top: the folder inside the archive that becomes `destination`; by default all of it does.
      progress: called with the bytes of the archive that are read, and its size.

    Returns:
      `destination`.

    Raises:
      DataError: the archive is damaged (it is removed, for the next try to download it anew), has
        no folder `top`, holds what is refused, or the disk cannot be written.
    """
    archive, destination = Path(archive), Path(destination)
    scratch = destination.with_name(destination.name + ".incomplete")
    try:
        if scratch.exists():
            shutil.rmtree(scratch)
        scratch.mkdir(parents=True)
        try:
            unpack = _unpack_zip if archive.suffix.lower() == ".zip" else _unpack_tar
            count = unpack(archive, scratch, progress)
        except _DAMAGE as error:
            archive.unlink(missing_ok=True)
            raise DataError(
                f"{archive}: a damaged archive ({str(error).rstrip('.') or 'cut short'}); it was "
                "removed. Run the command again to download it anew."
            ) from None
        inner = scratch / top if top else scratch
        if not count or not inner.is_dir():
            raise DataError(
                f"{archive}: it holds no {f'folder {top}/' if top else 'files'}; expected the "
                "archive that its authors publish. Remove the file and run the command again."
            )
        os.replace(inner, destination)
    except OSError as error:
        raise DataError(cannot_write(destination, error)) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return destination


# gzip.BadGzipFile is an OSError, so it has to be caught before the disk's errors.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    NotImplementedError,
    # Of a tar's numbers, and of names in a zip that are no text.
    ValueError,
    OverflowError,
    struct.error,
)


class _Budget:
    """What an archive may be unpacked to."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._limit = max(ALWAYS, RATIO * archive.stat().st_size)
        self._bytes, self._files = 0, 0

    def spend(self, size: int) -> None:
        """Before a file of so many bytes is written."""
        self._bytes, self._files = self._bytes + size, self._files + 1
        if self._bytes > self._limit or self._files > MEMBERS:
            raise self.refusal()

    def refusal(self) -> DataError:
        return DataError(
            f"{self._archive}: an archive of {self._archive.stat().st_size:,} bytes that unpacks "
            f"to more than {self._limit:,} bytes or {MEMBERS:,} files, as no data set does; "
            "nothing was unpacked. Do not use this archive."
        )


class _Metered(io.BufferedIOBase):
    """A stream that gives no more than it is allowed to."""

    def __init__(self, stream: io.BufferedIOBase, budget: _Budget) -> None:
        self._stream, self._budget, self._left = stream, budget, _BETWEEN

    def allow(self, size: int) -> None:
        """So many bytes from here on, and `_BETWEEN`."""
        self._left = size + _BETWEEN

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise self._budget.refusal()
        return data


def _unpack_tar(archive: Path, folder: Path, progress: ByteProgress | None) -> int:
    total, count = archive.stat().st_size, 0
    with open(archive, "rb") as raw, contextlib.ExitStack() as stack:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: io.BufferedIOBase = raw
        if is_gzip:
            stream = stack.enter_context(gzip.open(raw))
        budget = _Budget(archive)
        metered = _Metered(stream, budget)
        # A stream ("r|") is read once, in order: no second pass through gigabytes.
        with tarfile.open(fileobj=metered, mode="r|") as tar:
            while member := tar.next():
                # Kept for looking up by name, which nobody does.
                tar.members.clear()  # type: ignore[attr-defined]  # the stubs leave it out
                budget.spend(member.size if member.isfile() else 0)
                metered.allow(member.size)
                target = _safe(archive, folder, member.name)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif member.isfile():
                    _write(target, tar.extractfile(member))
                    count += 1
                else:
                    raise _refusal(archive, member.name, "a link or device")
                if progress:
                    progress(raw.tell(), total)
        # tarfile stops at its end mark; gzip's checksum stands behind it.
        metered.allow(ALWAYS)
        while metered.read(1 << 20):
            pass
    return count


def _unpack_zip(archive: Path, folder: Path, progress: ByteProgress | None) -> int:
    total, done, count = archive.stat().st_size, 0, 0
    budget = _Budget(archive)
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            # No more than this is read of it.
            budget.spend(member.file_size)
            target = _safe(archive, folder, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _refusal(archive, member.filename, "a link")
            if member.flag_bits & 1:
                raise _refusal(archive, member.filename, "an encrypted file")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refusal(archive, member.filename, "a file packed otherwise than by Deflate")
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                with file.open(member) as content:
                    _write(target, content)
                count += 1
            done += member.compress_size
            if progress:
                progress(done, total)
    return count


def _safe(archive: Path, folder: Path, name: str) -> Path:
    """Where a member goes, if that is inside `folder`."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    absolute = name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name)
    if absolute or ".." in parts or "\0" in name:
        raise _refusal(archive, name, "a name that leads out of the folder")
    return folder.joinpath(*parts)


def _refusal(archive: Path, name: str, what: str) -> DataError:
    return DataError(
        f"{archive}: it holds {what} ({name!r}), which no data set needs; nothing was unpacked. "
        "Do not use this archive."
    )


def _write(target: Path, content: IO[bytes] | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as file:
        if content is not None:
            shutil.copyfileobj(content, file, _CHUNK)


def cannot_write(folder: Path, error: OSError) -> str:
    """The sentence for a disk that is full or closed."""
    return (
        f"{error.filename or folder}: it cannot be written ({error.strerror or error}); make room "
        "or choose another data folder (--data_dir, or environment variable TFPIX2PIX_DATA_DIR)."
    )
