"""Archives from the network to folders: resumed, held to their checksums, safely unpacked.

What is half done never counts. A download grows as ``NAME.part`` and an archive is unpacked into
``DESTINATION.incomplete``; both get their names when they are whole. Where nobody told us a file's
checksum, the first complete download writes it into ``checksums.tsv`` beside the file, and every
later one is held to it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import write_json, write_text
from tfpix2pix.base.lock import locked

CONNECT_TIMEOUT = 5.0  # seconds until a silent host counts as unreachable
READ_TIMEOUT = 30.0  # seconds without a byte until a connection counts as lost
# Tries in a row that bring no byte. Two of them, each CONNECT_TIMEOUT long, with the pause between
# them: whoever has no network reads so after 11 s.
TRIES = 2
PAUSE = 1.0  # seconds between two tries
CHUNK = 1 << 18  # bytes per read
# Seconds for a chunk, or for the answer to begin: 4 kB a second, less than a telephone line's.
SLOWEST = 60.0
# Bytes of a download of which nothing is known; eight times the largest archive of the paper's.
LARGEST = 64 << 30
# What is unpacked may be so many times as large as the archive. Pictures are compressed already;
# tables of labels shrink to a tenth or so, and what shrinks to a thousandth holds nothing.
RATIO = 50
ALWAYS = 1 << 30  # bytes that may be unpacked whatever the archive's size
MEMBERS = 2_000_000  # files of an archive, at most; the largest set of the paper has 140,000
# Bytes between two members of a .tar: headers, and long names, which are read into memory.
_BETWEEN = 4 << 20
CHECKSUMS = "checksums.tsv"

ByteProgress = Callable[[int, int], None]
"""Called as ``progress(done_bytes, total_bytes)``; the total is 0 where the server tells none."""


# === Downloading ===


def fetch(
    url: str,
    folder: str | os.PathLike[str],
    *,
    name: str | None = None,
    sha256: str | None = None,
    size: int | None = None,
    largest: int = LARGEST,
    progress: ByteProgress | None = None,
) -> Path:
    """Downloads a file, or goes on with a download that was cut off, and checks it.

    A complete file of that name (put there by hand, perhaps) is checked and not downloaded.

    Args:
      url: http or https.
      folder: where to put it; made if need be.
      name: the file's name; by default the last part of the URL's path.
      sha256: the checksum in hexadecimal, where it is known. Otherwise the first complete download
        records it in ``folder/checksums.tsv`` (url, bytes, sha256; TFDS's order).
      size: bytes, where they are known.
      largest: bytes, at most, where they are not; a server that claims or sends more is refused.
      progress: see `ByteProgress`.

    Returns:
      The file's path.

    Raises:
      DataError: no network, a server that refuses, another content than expected, or a disk that
        cannot be written. A part that has arrived is kept, and the next call goes on from there.
    """
    folder = Path(folder)
    target = folder / (name or PurePosixPath(urlsplit(url).path).name)
    try:
        with locked(folder / f".{target.name}.lock"):
            digest = (
                None
                if target.is_file()
                else _download(url, target, size or largest, size, progress)
            )
            complete = target if digest is None else _part(target)
            digest = digest or _sha256(complete, progress)
            _check(url, complete, target, digest, sha256, size)
            if complete != target:
                os.replace(complete, target)
                _facts_file(target).unlink(missing_ok=True)
            if sha256 is None:
                _record(url, folder, target.stat().st_size, digest)
    except OSError as error:
        raise DataError(cannot_write(folder, error)) from None
    return target


def recorded_checksum(folder: str | os.PathLike[str], url: str) -> tuple[int, str] | None:
    """Returns (bytes, sha256) that the first complete download of `url` recorded, if any."""
    return _records(Path(folder)).get(url)


def forget_checksum(folder: str | os.PathLike[str], url: str) -> None:
    """Removes what was recorded for `url`: the download turned out to be no archive."""
    records = _records(Path(folder))
    if records.pop(url, None):
        _write_records(Path(folder), records)


def _download(
    url: str, target: Path, largest: int, size: int | None, progress: ByteProgress | None
) -> str:
    """Completes ``target.part``; returns its sha256."""
    import requests
    from urllib3.exceptions import HTTPError

    from tfpix2pix.connections import TimedSession

    part, fruitless = _part(target), 0
    with TimedSession() as session:
        while True:
            before = part.stat().st_size if part.exists() else 0
            slow = False
            try:
                return _one_try(session, url, target, largest, size, progress)
            except _FailedError as failed:
                reason, final, slow = failed.reason, failed.final, failed.slow
            except (requests.RequestException, HTTPError) as error:
                # Any other OSError is the disk's, and for the caller.
                reason, final = why_unreachable(error), _is_name_error(error)
            after = part.stat().st_size if part.exists() else 0
            fruitless = 0 if after - before >= (CHUNK if slow else 1) else fruitless + 1
            if final or fruitless >= TRIES:
                kept = f" The {after:,} bytes that have arrived are kept." if after else ""
                raise DataError(
                    f"{url} cannot be downloaded: {reason}. Run the command again later, or "
                    f"download the file by hand and put it at {target}, or give --dataset=FOLDER "
                    f"with a folder of pairs that you have.{kept}"
                ) from None
            time.sleep(PAUSE)


class _FailedError(Exception):
    """One try failed; `final` where another cannot help, `slow` where bytes came and too few."""

    def __init__(self, reason: str, final: bool = False, slow: bool = False):
        super().__init__(reason)
        self.reason, self.final, self.slow = reason, final, slow


def _one_try(
    session: Any,
    url: str,
    target: Path,
    largest: int,
    size: int | None,
    progress: ByteProgress | None,
) -> str:
    part, facts = _part(target), _read_facts(target, url)
    have = part.stat().st_size if facts and part.exists() else 0
    # identity: the archive's own bytes; a server may otherwise wrap them once more.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        # With If-Range a server whose file has changed sends the whole of it instead of a rest
        # that does not fit. A weak tag ("W/...") is not allowed there.
        tag = facts.get("etag") or ""
        validator = tag if tag and not tag.startswith("W/") else facts.get("modified")
        if validator:
            headers["If-Range"] = validator
    with _answer(session, url, headers) as response:
        status = response.status_code
        if status == 206 and have:
            start, total = _content_range(response.headers.get("Content-Range", ""))
            if total < 0:
                total = have + int(response.headers.get("Content-Length") or -have)
            if start != have or (facts.get("total") and total != facts["total"]):
                _drop(target)
                raise _FailedError("the server's file has changed since the download began")
        elif status == 416 and have:
            _, total = _content_range(response.headers.get("Content-Range", ""))
            if total == have:
                return _sha256(part, None)
            _drop(target)
            raise _FailedError("the server's file has changed since the download began")
        elif status == 200:
            have, total = 0, int(response.headers.get("Content-Length") or 0)
        else:
            raise _FailedError(
                f"{urlsplit(url).netloc} answered {status} {response.reason or ''}".rstrip(),
                final=status < 500 and status not in (408, 429),
            )
        if size and total and total != size:
            raise _FailedError(
                f"{urlsplit(url).netloc} offers a file of {total:,} bytes where {size:,} were "
                "expected",
                final=True,
            )
        if total > largest:
            raise _FailedError(_too_long(url, f"offers a file of {total:,} bytes", largest), True)
        if not have:
            _drop(target)
            write_json(
                _facts_file(target),
                {
                    "url": url,
                    "total": total,
                    "etag": response.headers.get("ETag"),
                    "modified": response.headers.get("Last-Modified"),
                },
            )
        return _receive(session, response, target, have, total, largest, progress)


def _answer(session: Any, url: str, headers: dict[str, str]) -> Any:
    """The beginning of a server's answer."""
    with session.within(SLOWEST) as clock:
        try:
            return session.get(
                url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
            )
        except OSError:
            if not clock.expired:
                raise
    raise _FailedError(f"the host did not begin to answer within {SLOWEST:g} s", slow=True)


def _too_long(url: str, what: str, largest: int) -> str:
    return (
        f"{urlsplit(url).netloc} {what} where {largest:,} at most were expected, so this is not "
        "the archive"
    )


def _receive(
    session: Any,
    response: Any,
    target: Path,
    have: int,
    total: int,
    largest: int,
    progress: ByteProgress | None,
) -> str:
    """Appends what arrives to the part of `target`; returns the sha256 of the whole."""
    from urllib3.exceptions import HTTPError, ProtocolError

    digest, broken, slow = hashlib.sha256(), False, False
    part = _part(target)
    if have:
        _feed(digest, part, None)
    with open(part, "ab") as file:
        while not slow:
            with session.within(SLOWEST) as clock:
                try:
                    # Undecoded: some servers call a .tar.gz "gzip-encoded" and mean the file.
                    chunk = response.raw.read(CHUNK, decode_content=False)
                except ProtocolError:
                    # urllib3 2 notices a short body itself, urllib3 1 leaves it to us: one answer.
                    chunk, broken = b"", True
                except (HTTPError, OSError):
                    if not clock.expired:
                        raise
                    chunk = b""
                slow = clock.expired
            if not chunk:
                break
            if have + len(chunk) > largest:
                file.close()
                _drop(target)
                raise _FailedError(
                    _too_long(response.url, f"sends {have + len(chunk):,} bytes and more", largest),
                    final=True,
                )
            file.write(chunk)
            digest.update(chunk)
            have += len(chunk)
            if progress:
                progress(have, total)
    if slow and not (total and have >= total):
        raise _FailedError(f"the host sent less than {CHUNK:,} bytes in {SLOWEST:g} s", slow=True)
    if have < total or (broken and not total):
        of_total = f" of {total:,}" if total else ""
        raise _FailedError(f"the connection broke off after {have:,}{of_total} bytes")
    return digest.hexdigest()


def why_unreachable(error: BaseException) -> str:
    """The cause of a network failure in a few words, found in the chain of its wrappers."""
    names = {type(link).__name__ for link in _chain(error)}
    if _is_name_error(error):
        return "the host's name cannot be resolved (is there a network?)"
    if "ConnectTimeout" in names or "ConnectTimeoutError" in names:
        return f"the host did not answer within {CONNECT_TIMEOUT:g} s"
    if names & {"ReadTimeout", "ReadTimeoutError"}:
        return f"the host sent nothing for {READ_TIMEOUT:g} s"
    if "ConnectionRefusedError" in names:
        return "the host refused the connection"
    if "ProxyError" in names:
        return "the proxy named in the environment cannot be used"
    if names & {"SSLError", "SSLCertVerificationError"}:
        return "the host's certificate cannot be verified"
    if names & {"InvalidURL", "MissingSchema", "InvalidSchema"}:
        return "it is no http address"
    if "TooManyRedirects" in names:
        return "the host redirects in a circle"
    return "the connection failed"


def _is_name_error(error: BaseException) -> bool:
    return any(
        isinstance(link, socket.gaierror) or type(link).__name__ == "NameResolutionError"
        for link in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it wraps and what caused it (requests and urllib3 do all three)."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]


def _content_range(header: str) -> tuple[int, int]:
    """(first byte, size of the whole) of a Content-Range header; -1 for what it does not tell."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", header.strip())
    if not match:
        return -1, -1
    start, total = match.groups()
    return (int(start) if start else -1), (int(total) if total != "*" else -1)


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _facts_file(target: Path) -> Path:
    return target.with_name(target.name + ".part.json")


def _read_facts(target: Path, url: str) -> dict[str, Any]:
    """What the server said when ``target.part`` was begun; empty where that does not hold."""
    try:
        facts = json.loads(_facts_file(target).read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and facts.get("url") == url else {}


def _drop(target: Path) -> None:
    _part(target).unlink(missing_ok=True)
    _facts_file(target).unlink(missing_ok=True)


def cannot_write(folder: Path, error: OSError) -> str:
    """The sentence for a disk that is full or closed."""
    return (
        f"{error.filename or folder}: it cannot be written ({error.strerror or error}); make room "
        "or choose another data folder (--data_dir, or environment variable TFPIX2PIX_DATA_DIR)."
    )


# === Checksums ===


def _check(
    url: str, complete: Path, target: Path, digest: str, sha256: str | None, size: int | None
) -> None:
    """Raises a DataError, and sets the file aside as .bad, unless it is what was expected."""
    found_size = complete.stat().st_size
    recorded = recorded_checksum(target.parent, url)
    if sha256:
        expected_size, expected, source = size, sha256.lower(), "the checksum known to tfpix2pix"
        remedy = "Download it again; if that does not help, the authors have replaced the file."
    elif recorded:
        expected_size, expected = recorded
        book = target.parent / CHECKSUMS
        source = f"the checksum that the first download recorded in {book}"
        remedy = (
            f"Download it again; if you trust the new file, remove its line from {book} and run "
            "the command again."
        )
    elif size:
        expected_size, expected, source, remedy = size, digest, "", "Download it again."
    else:
        return
    if digest == expected and expected_size in (None, found_size):
        return
    bad = target.with_name(target.name + ".bad")
    os.replace(complete, bad)
    _drop(target)
    what = (
        f"sha256 {digest} where {expected} was expected, {source}"
        if digest != expected
        else f"{found_size:,} bytes where {expected_size:,} were expected"
    )
    raise DataError(
        f"{target}: the download from {url} is not the file it should be: {what}. It was set "
        f"aside as {bad.name} and is not used. {remedy}"
    )


def _sha256(path: Path, progress: ByteProgress | None) -> str:
    digest = hashlib.sha256()
    _feed(digest, path, progress)
    return digest.hexdigest()


def _feed(digest: Any, path: Path, progress: ByteProgress | None) -> None:
    total, done = path.stat().st_size, 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)


def _records(folder: Path) -> dict[str, tuple[int, str]]:
    try:
        lines = (folder / CHECKSUMS).read_text().splitlines()
    except OSError:
        return {}
    records = {}
    for line in lines:
        cells = line.split("\t")
        if len(cells) == 3 and cells[1].isdigit():
            records[cells[0]] = (int(cells[1]), cells[2])
    return records


def _record(url: str, folder: Path, size: int, digest: str) -> None:
    # Two downloads into one folder may end at once; neither line may get lost.
    with locked(folder / f".{CHECKSUMS}.lock"):
        records = _records(folder)
        if url not in records:
            _write_records(folder, {**records, url: (size, digest)})


def _write_records(folder: Path, records: dict[str, tuple[int, str]]) -> None:
    lines = [f"{url}\t{size}\t{digest}\n" for url, (size, digest) in sorted(records.items())]
    write_text(folder / CHECKSUMS, "".join(lines))


# === Unpacking ===


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
            shutil.copyfileobj(content, file, CHUNK)
