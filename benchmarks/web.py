"""The browser's side of inference.py: an ONNX file in onnxruntime-web, in a browser or under Node.

Needs Node or Chromium, and `npm install onnxruntime-web`. `web.mjs` runs there and takes its work
from a server here, so that it is the same in both.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.parse
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.errors import UserError

NODE, CHROMIUM = "Node", "Chromium"
_COMMANDS = {
    NODE: ("node",),
    CHROMIUM: ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
}
# --no-sandbox: containers allow no other; the page is our own.
_FLAGS = ("--headless", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run")
# Without these two headers a page gets one thread.
_ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
_TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm"}
_DIST = ("onnxruntime-web", "dist")
_RUNS = 5  # of one measurement by the processors' clock, so that what is sent hardly counts
_WAIT = 300  # seconds; what says nothing until then has failed
_PAGE = """<!doctype html>
<meta charset="utf-8">
<script type="module">
import * as ort from "/dist/ort.wasm.bundle.min.mjs";
import { work } from "/web.mjs";
await work(ort, location.origin);
</script>
"""


def command(engine: str) -> str | None:
    """The command of `NODE` or `CHROMIUM` on this machine, if there is one."""
    return next(filter(None, map(shutil.which, _COMMANDS[engine])), None)


def require(engine: str, modules: str) -> None:
    """
    Raises:
      UserError: the engine or onnxruntime-web is not there.
    """
    if command(engine) is None:
        raise UserError(f"--engines={engine.lower()}: no {' or '.join(_COMMANDS[engine])} on PATH")
    if not Path(modules, *_DIST).is_dir():
        raise UserError(
            f"--node_modules={modules}: no onnxruntime-web there; npm install onnxruntime-web"
        )


def package_version(modules: str) -> str:
    """Of onnxruntime-web."""
    text = Path(modules, _DIST[0], "package.json").read_text(encoding="utf-8")
    return json.loads(text)["version"]


def version(engine: str) -> str:
    """``Node 20.20.2``."""
    words = [str(command(engine)), "--version"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    (number,) = re.findall(r"[\d.]*\d\.\d+", told)[:1]
    return f"{engine} {number}"


class WebNetwork:
    """An ONNX file in onnxruntime-web's WebAssembly, as a `Network` on arrays that are there.

    Args:
      engine: `NODE` or `CHROMIUM`.
      model: the file.
      threads: that it computes on.
      modules: the folder of Node's packages.

    Raises:
      UserError: it cannot be run.
    """

    def __init__(self, engine: str, model: str, threads: int, modules: str) -> None:
        self._engine = engine
        self._jobs: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._told: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self._arrays: list[np.ndarray] = []
        self._stack = contextlib.ExitStack()
        try:
            dist = Path(modules, *_DIST).resolve()
            server = self._serve(dist, Path(model), {"threads": threads, "provider": "wasm"})
            self._start(f"http://127.0.0.1:{server.server_port}", dist)
            self._answer()
        except BaseException:
            self.close()
            raise

    def prepare(self, array: np.ndarray) -> int:
        """The number of an array, which is sent once."""
        self._arrays.append(np.ascontiguousarray(array, "<f4"))
        return len(self._arrays) - 1

    def __call__(self, *numbers: int | None) -> np.ndarray:
        """y of x, z and latent by their numbers; None: not taken."""
        headers, body = self._run(numbers)
        return np.frombuffer(body, "<f4").reshape(json.loads(headers["shape"]))

    def timed(self, numbers: Sequence[int | None], clock: str) -> float:
        """Seconds of a picture: ``wall``, as the engine tells it, or of the ``processor``."""
        if clock == "wall":
            return float(self._run(numbers)[0]["milliseconds"]) / 1e3
        start = _processor_seconds(self._process)
        self._run(numbers, _RUNS)
        return (_processor_seconds(self._process) - start) / _RUNS

    def _run(self, numbers: Sequence[int | None], runs: int = 1) -> tuple[dict[str, str], bytes]:
        named = zip(("x", "z", "latent"), numbers, strict=False)
        feeds = {name: number for name, number in named if number is not None}
        self._jobs.put({"feeds": feeds, "runs": runs})
        return self._answer()

    def close(self) -> None:
        self._jobs.put(None)
        self._stack.close()

    def _answer(self) -> tuple[dict[str, str], bytes]:
        try:
            headers, body = self._told.get(timeout=_WAIT)
        except queue.Empty:
            raise UserError(f"{self._engine} said nothing for {_WAIT} seconds") from None
        if "error" in headers:
            raise UserError(f"{self._engine}: {urllib.parse.unquote(headers['error'])}")
        return headers, body

    def _start(self, origin: str, dist: Path) -> None:
        if self._engine == NODE:
            words = [str(Path(__file__).with_name("web.mjs")), origin, str(dist)]
        else:
            profile = self._stack.enter_context(
                tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            )
            words = [*_FLAGS, f"--user-data-dir={profile}", origin]
        process = subprocess.Popen(
            [str(command(self._engine)), *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if self._engine == CHROMIUM else None,
            start_new_session=True,  # a browser's many processes end together
        )
        self._process = process.pid
        self._stack.callback(process.wait)
        self._stack.callback(_kill, process.pid)

    def _serve(self, dist: Path, model: Path, settings: dict[str, Any]) -> ThreadingHTTPServer:
        network = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                first, _, rest = self.path.lstrip("/").partition("/")
                if not first:
                    self._send(_PAGE.encode(), "text/html")
                elif first == "settings":
                    self._send(json.dumps(settings).encode())
                elif first == "model.onnx":
                    self._send(model.read_bytes())
                elif first == "web.mjs":
                    self._send(Path(__file__).with_name(first).read_bytes(), "text/javascript")
                elif first == "array":
                    array = network._arrays[int(rest)]
                    self._send(array.tobytes(), shape=json.dumps(array.shape))
                elif first == "dist" and Path(rest).name == rest and (dist / rest).is_file():
                    kind = _TYPES.get(Path(rest).suffix, "application/octet-stream")
                    self._send((dist / rest).read_bytes(), kind)
                elif first == "job" and (job := network._jobs.get()) is not None:
                    self._send(json.dumps(job).encode())
                else:
                    self._send(b"", status=204 if first == "job" else 404)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._send(b"")
                network._told.put(({k.lower(): v for k, v in self.headers.items()}, body))

            def _send(
                self,
                body: bytes,
                kind: str = "application/octet-stream",
                status: int = 200,
                **headers: str,
            ) -> None:
                self.send_response(status)
                lengths = {"Content-Type": kind, "Content-Length": str(len(body))}
                for name, value in {**lengths, **_ISOLATED, **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A browser that is ended closes its connections."""

        server = Quiet(("127.0.0.1", 0), Handler)
        self._stack.callback(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._stack.callback(server.shutdown)
        return server


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _processor_seconds(session: int) -> float:
    """That the processes of a session have run, those of their threads that are there."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):  # it ended
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            for task in process.glob("task/*/schedstat"):
                with contextlib.suppress(OSError):
                    total += int(task.read_text().split()[0])
    return total / 1e9
