"""Headless Chromium for tests: `visit` opens a page and waits for what it posts; `Browser` has it
used as people do, with mouse, keys, downloads and pictures of the screen.

Chromium is looked for on PATH (or TFPIX2PIX_CHROMIUM names it). WebGPU runs on SwiftShader, a
graphics processor in software that comes with Chromium, so no real one is needed.
"""

from __future__ import annotations

import base64
import fcntl
import functools
import http.server
import itertools
import json
import os
import queue
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
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


# === Used as people do ===


class Browser:
    """Chromium, told what to do through a pipe, in the words of its DevTools protocol.

    Args:
      folder: a new or empty one, for its profile; what pages save is in `downloads` within it.
      webgpu: whether it has WebGPU.
    """

    def __init__(self, folder: Path, webgpu: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self.downloads = folder / "downloads"
        self._log = folder / "stderr.txt"
        self._numbers = itertools.count(1)
        self._kept: list[dict[str, Any]] = []
        self._rest = b""
        self._process = self._start(folder, webgpu)
        where = {"behavior": "allow", "downloadPath": str(self.downloads)}
        self.call("Browser.setDownloadBehavior", **where)

    def _start(self, folder: Path, webgpu: bool) -> int:
        command = [str(shutil.which(find())), *_FLAGS, *(_WEBGPU if webgpu else ())]
        command += ["--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]
        command += ["--enable-logging=stderr", "about:blank"]
        # It reads from 3 and writes to 4, which ours must not be in the way of.
        ends = [end for pair in (os.pipe(), os.pipe()) for end in pair]
        its_read, self._to, self._from, its_write = (
            fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends
        )
        for end in ends:
            os.close(end)
        process = os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(self._log), os.O_WRONLY | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_DUP2, its_read, 3),
                (os.POSIX_SPAWN_DUP2, its_write, 4),
            ],
            setpgroup=0,  # its many processes end together
        )
        os.close(its_read)
        os.close(its_write)
        return process

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The result of a method of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._kept.append(answer)

    def events(self, method: str, session: str) -> list[dict[str, Any]]:
        """Those of a page that came until now, taken out."""
        found = [m for m in self._kept if m.get("method") == method and m["sessionId"] == session]
        self._kept = [message for message in self._kept if message not in found]
        return [message["params"] for message in found]

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + _WAIT
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0, end - time.monotonic()))
            data = os.read(self._from, 1 << 20) if ready else b""
            if not data:
                pytest.fail(f"Chromium answers no more:\n{self._log.read_text()[-3000:]}")
            self._rest += data
        first, _, self._rest = self._rest.partition(b"\0")
        return json.loads(first)

    def open(self, url: str, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """A page in a window of that many pixels."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, attached["sessionId"])
        page.call("Page.enable")
        page.call("Runtime.enable")
        page.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.go(url)
        return page

    def saved(self, name: str) -> Path:
        """A file that a page saves, once it is whole."""
        path = self.downloads / name
        for _ in range(60 * 20):
            if path.exists():
                return path
            time.sleep(0.05)
        there = sorted(each.name for each in self.downloads.glob("*"))
        return pytest.fail(f"{name} was not saved; there is {', '.join(there) or 'nothing'}")


class Page:
    """A page that `Browser.open` opened."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **parameters)

    def go(self, url: str) -> None:
        told = self.call("Page.navigate", url=url)
        assert not told.get("errorText"), f"{url}: {told['errorText']}"

    def run(self, code: str) -> Any:
        """The value of a JavaScript expression, promises awaited; what it throws fails the test."""
        asked = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        told = self.call("Runtime.evaluate", expression=code, **asked)
        if wrong := told.get("exceptionDetails"):
            text = wrong.get("exception", {}).get("description") or wrong["text"]
            pytest.fail(f"{code}: {text}")
        return told["result"].get("value")

    def until(self, code: str, seconds: float = 60) -> Any:
        """The value of an expression as soon as it is true, as JavaScript has it: an element is."""
        end = time.monotonic() + seconds
        while (value := self.run(code)) in (None, False, 0, ""):
            if time.monotonic() > end:
                pytest.fail(f"not within {seconds} s: {code}\n{self.faults()}")
            time.sleep(0.05)
        return value

    def faults(self) -> list[str]:
        """What the page threw and nobody caught, and what it wrote to the console as an error."""
        thrown = self.browser.events("Runtime.exceptionThrown", self.session)
        told = self.browser.events("Runtime.consoleAPICalled", self.session)
        texts = [
            each["exceptionDetails"].get("exception", {}).get("description", "")
            or each["exceptionDetails"]["text"]
            for each in thrown
        ]
        return texts + [
            " ".join(str(arg.get("value", arg.get("description"))) for arg in each["args"])
            for each in told
            if each["type"] == "error"
        ]

    def resize(self, width: int, height: int, touch: bool = False) -> None:
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.call("Emulation.setDeviceMetricsOverride", **sizes)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)

    def drag(self, *points: tuple[float, float]) -> None:
        """Presses the mouse at the first point, moves it over the others, and lets go; one point
        is a click."""
        for kind, (x, y) in [
            ("mouseMoved", points[0]),
            ("mousePressed", points[0]),
            *(("mouseMoved", point) for point in points[1:]),
            ("mouseReleased", points[-1]),
        ]:
            button = {"button": "left", "buttons": 1, "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def touch(self, *points: tuple[float, float]) -> None:
        """A finger from the first point to the last."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[_at(points[0])])
        for point in points[1:]:
            self.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[_at(point)])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def click(self, selector: str) -> None:
        """Scrolls an element into view and clicks on its middle."""
        x, y, width, height = self.box(selector)
        self.drag((x + width / 2, y + height / 2))

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element within the window, into which it is brought."""
        return tuple(
            self.run(
                f"""(() => {{
                const element = document.querySelector({json.dumps(selector)});
                element.scrollIntoView({{ block: "nearest", inline: "nearest" }});
                const {{ x, y, width, height }} = element.getBoundingClientRect();
                return [x, y, width, height];
                }})()"""
            )
        )

    def key(self, key: str, *, control: bool = False, shift: bool = False) -> None:
        """Presses a key: ``a``, ``Enter``, ``ArrowLeft``."""
        code = _KEYS.get(key) or ord(key.upper())
        typed = {"text": {"Enter": "\r"}.get(key, key)} if len(key) == 1 or key == "Enter" else {}
        if control:
            typed = {}
        names = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 2 * control + 8 * shift}
        names["code"] = f"Key{key.upper()}" if len(key) == 1 and key.isalpha() else key
        self.call("Input.dispatchKeyEvent", type="keyDown", **names, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **names)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Gives files to an ``input``."""
        found = self.call("Runtime.evaluate", expression=f"document.querySelector({selector!r})")
        identity = found["result"]["objectId"]
        self.call("DOM.setFileInputFiles", objectId=identity, files=[str(f) for f in files])

    def screenshot(self, path: Path) -> None:
        """The window as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


_KEYS = {
    **{"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38},
    **{"ArrowRight": 39, "ArrowDown": 40, "Delete": 46, "Backspace": 8, "Home": 36, "End": 35},
}


def _at(point: tuple[float, float]) -> dict[str, float]:
    return {"x": point[0], "y": point[1]}
