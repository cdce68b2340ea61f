"""Headless Chromium for tests: it opens pages, and what they post comes back.

Chromium is looked for on PATH (or TFPIX2PIX_CHROMIUM names it). WebGPU runs on SwiftShader, a
graphics processor in software that comes with Chromium, so no real one is needed.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# --no-sandbox: containers allow no other; the pages are our own. --disable-dev-shm-usage: there
# /dev/shm is small.
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-quic", "--disable-extensions", "--no-default-browser-check"),
)
_WEBGPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
_WAIT = 240  # seconds; a page that says nothing until then fails the test


def find() -> str:
    """The command of Chromium; else a skip. A variable that names none is an error."""
    named = os.environ.get("TFPIX2PIX_CHROMIUM")
    if named:
        assert shutil.which(named), f"TFPIX2PIX_CHROMIUM names no command: {named}"
        return named
    for name in _NAMES:
        if shutil.which(name):
            return name
    return pytest.skip(f"no Chromium on PATH ({', '.join(_NAMES)})")


class Server:
    """Serves a folder on a port of its own, and keeps what is posted, as JSON, in `posted`."""

    def __init__(self, folder: Path, headers: Mapping[str, str] | None = None) -> None:
        posted: queue.Queue[Any] = queue.Queue()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def end_headers(self) -> None:
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                super().end_headers()

            def do_POST(self) -> None:
                posted.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A browser that is ended closes its connections."""

        self.posted = posted
        self._server = Quiet(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def visit(url: str, posted: queue.Queue[Any], webgpu: bool = False) -> Any:
    """Opens a page and waits for what it posts.

    Args:
      url: of the page.
      posted: where that arrives (`Server.posted`).
      webgpu: whether the browser has WebGPU.
    """
    command = [find(), *_FLAGS, *(_WEBGPU if webgpu else ())]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        log = Path(profile, "stderr.txt")
        with log.open("w") as errors:
            browser = subprocess.Popen(
                [*command, "--enable-logging=stderr", f"--user-data-dir={profile}", url],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # its many processes end together
            )
            try:
                return posted.get(timeout=_WAIT)
            except queue.Empty:
                pytest.fail(f"{url} posted nothing:\n{log.read_text()[-3000:]}")
            finally:
                os.killpg(browser.pid, signal.SIGKILL)
                browser.wait()
