"""Downloads: resumed, and held to their checksums.

What is half done never counts: a download grows as ``NAME.part`` and gets its name when it is
whole. Where nobody told us a file's
checksum, the first complete download writes it into ``checksums.tsv`` beside the file, and every
later one is held to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import write_json, write_text
from tfpix2pix.base.lock import locked
from tfpix2pix.data.sources.archives import ByteProgress, cannot_write

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
CHECKSUMS = "checksums.tsv"


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

    from tfpix2pix.base.connections import TimedSession

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
