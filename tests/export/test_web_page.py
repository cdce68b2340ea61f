"""The page of docs/web.md, taken from there, in headless Chromium.

Skipped without Chromium or onnxruntime-web; see `browser.py` and the fixture `web_modules`.
"""

from __future__ import annotations

import contextlib
import re
import runpy
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")

HERE = Path(__file__).resolve().parent
DOC = HERE.parents[1] / "docs" / "web.md"
browser = SimpleNamespace(**runpy.run_path(str(HERE / "browser.py")))
PORT = "8000"  # in the document


@pytest.fixture(scope="module")
def text() -> str:
    if not DOC.is_file():
        pytest.skip("docs/web.md is not beside the tests")
    return DOC.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(make_run, tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("run") / "run", bottleneck=4)


def page_folder(text, web_modules, run, folder: Path, height: int, width: int, **request) -> Path:
    """What the document asks for: page, export and the files that it names; and a picture."""
    from tfpix2pix.export import Request, export_run

    (page,) = re.findall(r"```html\n(.*?)```", text, re.DOTALL)
    (folder / "index.html").write_text(page, encoding="utf-8")
    dist = Path("node_modules", "onnxruntime-web", "dist")
    (folder / dist).mkdir(parents=True)
    paragraph = text.split("To publish it")[1].split("\n\n")[0]
    names = re.findall(r"`(ort[\w.-]+)`", paragraph)
    assert len(names) == 3
    for name in names:
        shutil.copy(web_modules / "onnxruntime-web" / "dist" / name, folder / dist)
    shutil.copy(HERE / "web" / "drive.html", folder)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (5 + c)) * np.cos(columns / (9 - c)) for c in range(3)]
    Image.fromarray(np.uint8(127 + 120 * np.stack(waves, -1))).save(folder / "input.png")
    made = Request(formats=("onnx",), quantize=("float16",), **request)
    export_run(run, folder / "exported", made, check_images=str(folder / "input.png"))
    return folder


@contextlib.contextmanager
def serving(folder: Path, words: list[str]) -> Iterator[str]:
    """A server as the document starts it, on a free port instead of 8000."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    assert any(PORT in word for word in words)
    command = [sys.executable, *(word.replace(PORT, str(port)) for word in words)]
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert server.poll() is None, "the server ended"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def visit(url: str, folder: Path, webgpu: bool) -> dict:
    with browser.Server(folder) as listening:
        url = f"{url}/drive.html?post={listening.url}"
        told = browser.visit(url, listening.posted, webgpu)
    assert "error" not in told, told["error"]
    return told


def keras(run: Path, folder: Path, noise: bool) -> np.ndarray:
    """The picture that the run's network makes of input.png with the driver's random numbers."""
    from tfpix2pix.inference import load, pad

    translator = load(run)
    with Image.open(folder / "input.png") as image:
        picture = np.asarray(image)
    height, width = picture.shape[:2]
    x = pad(picture.astype(np.float32) / 127.5 - 1, translator.stride)[None]
    z = np.full_like(translator.noise(x, [0]), -1)
    if noise:
        seed, numbers = 1, []
        for _ in range(z.size):
            seed = seed * 16807 % 2147483647
            numbers.append(seed / 2147483647)
        z = np.array(numbers, np.float32).reshape(z.shape)
    y = np.asarray(translator.network(x, z))[0, :height, :width]
    return np.rint((y + 1) * 127.5)


def check(told: dict, expected: np.ndarray) -> None:
    """The same to one level of 8 bits: weights are in 16 bits."""
    height, width = expected.shape[:2]
    assert (told["height"], told["width"]) == (height, width)
    found = np.array(told["pixels"], np.float32).reshape(height, width, 4)
    assert expected.std() > 20
    assert (found[..., 3] == 255).all()
    assert np.abs(found[..., :3] - expected).max() <= 1


def test_with_webgpu_of_any_size(text, web_modules, run, tmp_path):
    browser.find()
    folder = page_folder(text, web_modules, run, tmp_path, height=50, width=70)
    (command,) = re.findall(r"`python (-m http\.server [^`]*)`", text)
    with serving(folder, command.split()) as url:
        told = visit(url, folder, webgpu=True)
    if not told["told"].startswith("webgpu"):
        pytest.skip("this Chromium has no WebGPU adapter")
    assert not told["isolated"]
    check(told, keras(run, folder, noise=True))


def test_with_webassembly_in_an_isolated_page(text, web_modules, run, tmp_path):
    """And an export of one size without z."""
    browser.find()
    request = {"inference": "deterministic", "image_size": (64, 32)}
    folder = page_folder(text, web_modules, run, tmp_path, height=64, width=32, **request)
    (code,) = re.findall(r"```python\n(import http\.server.*?)```", text, re.DOTALL)
    with serving(folder, ["-c", code]) as url:
        told = visit(url, folder, webgpu=False)
    assert re.match(r"wasm, \d+ thread", told["told"])
    assert told["isolated"]
    check(told, keras(run, folder, noise=False))
