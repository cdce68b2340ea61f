"""A small server of a page's files, as a rule for this machine alone.

It hands out the files that it was given and nothing else, so that no path leads out of them.
"""

from __future__ import annotations

import errno
import ipaddress
import mimetypes
import os
import shutil
import signal
import socketserver
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from tfpix2pix.base.errors import UserError

INDEX = "index.html"
_SECONDS = 30.0  # that a request may be silent
_ENDS = (signal.SIGINT, signal.SIGTERM)
# What systems may say otherwise; browsers run no script and no module of another kind.
_KINDS = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Content = Path | bytes


class FileServer(ThreadingHTTPServer):
    """Serves files until `shutdown`.

    Args:
      files: by their paths, ``pictures/1.png``; ``index.html`` also stands at ``/``.
      host: address to listen on; of loopback only this machine comes in.
      port: 0 for a free one.
      headers: sent with each answer.

    Raises:
      UserError: the port or the host cannot be had.
    """

    daemon_threads = True

    def __init__(
        self,
        files: Mapping[str, Content],
        host: str = "127.0.0.1",
        port: int = 0,
        headers: Mapping[str, str] | None = None,
        handler: type[FileHandler] | None = None,
    ) -> None:
        self.files: dict[str, Content] = {}
        self._serving = threading.Thread()
        self.offer(files)
        self.headers = {**_HEADERS, **(headers or {})}
        try:
            super().__init__((host, port), handler or FileHandler)
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

    def offer(self, files: Mapping[str, Content]) -> None:
        """Serves further files."""
        self.files |= {f"/{name}": content for name, content in files.items()}
        if INDEX in files:
            self.files["/"] = files[INDEX]

    def serve_until_stopped(self, work: Callable[[], None] = lambda: None) -> None:
        """Serves until Ctrl-C or SIGTERM, and closes.

        Args:
          work: done meanwhile; ended like the rest, and an error of it ends everything.
        """
        # Asked for, since a shell that starts it in the background has SIGINT ignored.
        # Noted too: what is raised in the middle of `work` may be swallowed by a library.
        stopped = self._stopped = threading.Event()

        def end(number: int, frame: FrameType | None) -> None:
            stopped.set()
            raise KeyboardInterrupt

        before = {n: signal.signal(n, end) for n in _ENDS}
        self._serving = threading.Thread(target=self.serve_forever, daemon=True)
        self._serving.start()
        try:
            work()
            self.wait()
        except KeyboardInterrupt:
            pass
        finally:
            self.shutdown()
            self.server_close()
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self) -> None:
        """For `work` that has something to keep until the end."""
        while self._serving.is_alive() and not self._stopped.is_set():
            self._serving.join(1.0)

    def server_bind(self) -> None:
        """As the base's, without looking the host's name up, which may take long."""
        socketserver.TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away closes its connections: nothing to say."""


def size_of(content: Content) -> int:
    """Bytes of a file, or of what stands in its place."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def files_of(folder: Path) -> dict[str, Content]:
    """Every file of a folder by its path below it."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found}


class FileHandler(BaseHTTPRequestHandler):
    """Answers the requests of a `FileServer`."""

    server: FileServer
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def version_string(self) -> str:
        return "tfpix2pix"

    def log_message(self, format: str, *args: Any) -> None:
        pass  # addresses of visitors are nobody's business

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if not self.is_foreign():
            self.give(self.path.split("?")[0].split("#")[0])

    def give(self, path: str) -> None:
        """Answers with the file of a path."""
        if path == "/favicon.ico" and path not in self.server.files:
            self.answer(HTTPStatus.NO_CONTENT, b"", "")  # browsers ask for it by themselves
            return
        content = self.server.files.get(path)
        if content is None:
            self.say(HTTPStatus.NOT_FOUND, "there is no such file here")
            return
        suffix = Path(INDEX if path == "/" else path).suffix
        known = _KINDS.get(suffix) or mimetypes.guess_type(f"file{suffix}")[0]
        kind = known or "application/octet-stream"
        if isinstance(content, bytes):
            self.answer(HTTPStatus.OK, content, kind)
            return
        try:
            file = open(content, "rb")  # noqa: SIM115 - closed below
        except OSError:  # it was taken away
            self.say(HTTPStatus.NOT_FOUND, "there is no such file here")
            return
        with file:
            self._head(HTTPStatus.OK, kind, os.fstat(file.fileno()).st_size)
            if self.command != "HEAD":
                shutil.copyfileobj(file, self.wfile)

    def is_foreign(self) -> bool:
        """Refuses who came by another name than this machine's (a page that rebinds its own)."""
        name = self.headers.get("Host", "").rsplit(":", 1)[0].strip("[]")
        if not self.server.is_local or name in ("localhost", "127.0.0.1", "::1"):
            return False
        if name == str(self.server.server_address[0]):
            return False
        self.say(HTTPStatus.MISDIRECTED_REQUEST, "this is a server for this machine alone")
        return True

    def say(self, status: HTTPStatus, text: str) -> None:
        """Answers with a sentence."""
        self.answer(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

    def answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        """Answers with content of a MIME type; empty for none."""
        self._head(status, kind, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, kind: str, size: int) -> None:
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        if kind:
            self.send_header("Content-Type", kind)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(size))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def _refusal(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"--port={port} is in use; give another, or leave --port out for a free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"--port={port} may not be had by this user; give one from 1024 on"
    return (
        f"--host={host} is no address of this machine ({error.strerror or error}); leave it out "
        "for this machine alone, or give 0.0.0.0 for its network"
    )
