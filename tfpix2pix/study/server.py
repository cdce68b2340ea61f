"""A small server for a study: the page's files, and a place that takes results.

It hands out the files that were in the page's folder when it started and nothing else, so that no
path leads out of it. What is posted must be a whole result of this study.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import mimetypes
import os
import socketserver
import threading
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown
from tfpix2pix.study.folder import Study
from tfpix2pix.study.results import LARGEST, Session, parse_result, read_results

FILE = "served.jsonl"
_SECONDS = 30.0  # that a request may be silent
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'self'; base-uri 'none'",
}


class StudyServer(ThreadingHTTPServer):
    """Serves a study until `shutdown`.

    Args:
      study: to serve.
      host: address to listen on; of loopback only this machine comes in.
      port: 0 for a free one.
      on_result: told of each session that was kept, and how many there are now.

    Raises:
      UserError: the port or the host cannot be had, or the study's results are broken.
    """

    daemon_threads = True

    def __init__(
        self,
        study: Study,
        host: str = "127.0.0.1",
        port: int = 0,
        on_result: Callable[[Session, int], None] = lambda session, count: None,
    ) -> None:
        self.study, self._on_result = study, on_result
        self.files = _files_of(study.page)
        study.results.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        some = any(study.results.glob("*.jsonl"))
        self._kept = {s.participant: s for s in (read_results(study) if some else ())}
        self._handed_out: Counter[int] = Counter()
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise UserError(_refusal(error, host, port)) from None
        except OverflowError:
            raise UserError(f"--port={port}: expected 0 to 65535; 0 takes a free one") from None

    @property
    def url(self) -> str:
        """Of the page."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"

    @property
    def is_local(self) -> bool:
        """Whether only this machine comes in."""
        return ipaddress.ip_address(str(self.server_address[0])).is_loopback

    def assignment(self) -> int | None:
        """The matchup of the next participant: the one with the fewest; None for all of them."""
        if self.study.settings.session == "all":
            return None
        with self._lock:
            finished = Counter(s.matchup for s in self._kept.values())
            places = range(len(self.study.matchups))
            chosen = min(places, key=lambda place: finished[place] + self._handed_out[place])
            self._handed_out[chosen] += 1
            return chosen

    def keep(self, content: bytes) -> None:
        """Appends a result; one that is there already, sent again, is not kept twice.

        Raises:
          ValueError: it is no whole result of this study, or another one of this participant.
          OSError: it cannot be written.
        """
        session = parse_result(self.study, content)
        with self._lock:
            before = self._kept.get(session.participant)
            if before == session:
                return
            if before is not None:
                raise ValueError("another result of this participant is there already")
            _append(self.study.results / FILE, json.dumps(json.loads(content)).encode())
            self._kept[session.participant] = session
            if session.matchup is not None:
                self._handed_out[session.matchup] = max(0, self._handed_out[session.matchup] - 1)
            count = len(self._kept)
        self._on_result(session, count)

    def server_bind(self) -> None:
        """As the base's, without looking the host's name up, which may take long."""
        socketserver.TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)

    def server_close(self) -> None:
        """A result that is being written is written."""
        with self._lock:
            super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away closes its connections: nothing to say."""


def _files_of(page: Path) -> dict[str, Path]:
    """Path of the address -> file."""
    if not (page / "index.html").is_file():
        raise UserError(
            f"{shown(page)} holds no index.html; make the study anew by `tfpix2pix study --make`"
        )
    found = {"/" + p.relative_to(page).as_posix(): p for p in page.rglob("*") if p.is_file()}
    return {"/": page / "index.html", **found}


def _refusal(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"--port={port} is in use; give another, or leave --port out for a free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"--port={port} may not be had by this user; give one from 1024 on"
    return (
        f"--host={host} is no address of this machine ({error.strerror or error}); leave it out "
        "for this machine alone, or give 0.0.0.0 for its network"
    )


def _append(path: Path, line: bytes) -> None:
    """Adds a line as a whole: in one write, behind the end of a line, and onto the disk."""
    with open(path, "a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        # A line that a full disk or a power cut left unfinished does not take this one along.
        file.seek(max(0, end - 1))
        whole = (b"\n" if file.read(1) not in (b"", b"\n") else b"") + line + b"\n"
        if file.write(whole) != len(whole):
            file.truncate(end)
            raise OSError(errno.ENOSPC, "no room left on the device")
        os.fsync(file.fileno())


class _Handler(BaseHTTPRequestHandler):
    server: StudyServer
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def version_string(self) -> str:
        return "tfpix2pix"

    def log_message(self, format: str, *args: Any) -> None:
        pass  # addresses of participants are nobody's business

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self._is_foreign():
            return
        path = self.path.split("?")[0].split("#")[0]
        if path == "/assignment":
            content = json.dumps({"matchup": self.server.assignment()}).encode()
            self._answer(HTTPStatus.OK, content, "application/json")
            return
        if path == "/favicon.ico":  # browsers ask for it by themselves
            self._answer(HTTPStatus.NO_CONTENT, b"", "")
            return
        file = self.server.files.get(path)
        try:
            content = file.read_bytes() if file else b""
        except OSError:  # it was taken away
            file = None
        if file is None:
            self._say(HTTPStatus.NOT_FOUND, "there is no such file in this study")
            return
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self._answer(HTTPStatus.OK, content, kind)

    def do_POST(self) -> None:
        # The rest of what comes may be left unread.
        self.close_connection = True
        if self._is_foreign():
            return
        if self.path != "/results":
            self._say(HTTPStatus.NOT_FOUND, "results are sent to /results")
            return
        # Pages of other places can send other kinds without asking.
        if self.headers.get_content_type() != "application/json":
            self._say(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            self._say(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length")
            return
        if len(length) > 12 or int(length) > LARGEST:
            self._say(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a result has at most {LARGEST:,} bytes"
            )
            return
        content = self.rfile.read(int(length))
        try:
            self.server.keep(content)
        except ValueError as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        except OSError as error:
            said = f"the result cannot be written ({error.strerror or error})"
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, said)
        else:
            self._answer(HTTPStatus.NO_CONTENT, b"", "")

    def _is_foreign(self) -> bool:
        """Refuses who came by another name than this machine's (a page that rebinds its own)."""
        name = self.headers.get("Host", "").rsplit(":", 1)[0].strip("[]")
        if not self.server.is_local or name in ("localhost", "127.0.0.1", "::1"):
            return False
        if name == str(self.server.server_address[0]):
            return False
        self._say(HTTPStatus.MISDIRECTED_REQUEST, "this is a server for this machine alone")
        return True

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._answer(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

    def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        if kind:
            self.send_header("Content-Type", kind)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
