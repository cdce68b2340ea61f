"""What one draws on the page is what `tfpix2pix translate` makes of it: `tfpix2pix demo`, a folder
on a server, and a folder without one, in headless Chromium, by the real command line.

Skipped without Chromium or onnxruntime-web; see `browser.py` and the fixture `web_modules`.
"""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")

chromium = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("browser.py"))))
RUNTIME = "TFPIX2PIX_ONNXRUNTIME_WEB"


@pytest.fixture(scope="module")
def runtime(web_modules) -> str:
    """Where onnxruntime-web is."""
    chromium.find()
    return str(web_modules / "onnxruntime-web")


@pytest.fixture(scope="module")
def exported(runtime, make_run, run_command, tmp_path_factory) -> Path:
    """An export of a network of labels that reads z and a latent, as a page too."""
    folder = tmp_path_factory.mktemp("exported")
    run = make_run(folder / "run", dataset="sample", sample_pairs=8, latent=3)
    output = folder / "out"
    flags = [f"--workdir={run}", f"--output={output}", "--formats=onnx,web", "--check_count=1"]
    told = f"import os; os.environ[{RUNTIME!r}] = {runtime!r}"
    done = run_command("export", *flags, cwd=folder, prelude=told)
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture
def open_page(tmp_path):
    """`open_page(url)`: the page, once it has drawn; what it saves is in `tmp_path`."""
    with chromium.Browser(tmp_path / "browser") as browser:

        def go(url: str):
            page = browser.open(url)
            # Where the server sends no headers for threads, the page is loaded twice.
            page.until("document.getElementById('time')?.textContent", 120)
            return page

        yield go


def draw(page, seed: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Input and output as they are saved, of a drawing of that height and width."""
    height, width = size
    for field, value in (("size-width", width), ("size-height", height), ("seed", seed)):
        page.click(f"#{field}")
        page.key("a", control=True)
        page.type(str(value))
        page.key("Enter")
    page.until(f"document.getElementById('drawing').width === {width}")
    page.click('[data-tool="rectangle"]')
    left, top, across, down = page.box("#drawing")
    for number, (x, y) in enumerate(((0.1, 0.2), (0.4, 0.5))):
        page.key(str(3 + number))  # another class
        page.drag(
            (left + x * across, top + y * down), (left + (x + 0.4) * across, top + 0.9 * down)
        )
    # The newest picture: it is asked for with the next frame.
    page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.until("!document.getElementById('output-frame').classList.contains('working')")
    pictures = []
    for part, name in (("input", "run-input.png"), ("output", f"run-seed{seed}-output.png")):
        page.click(f"#save-{part}")
        with Image.open(page.browser.saved(name)) as image:
            pictures.append(np.asarray(image.convert("RGB")))
    assert page.faults() == []
    x, y = pictures
    assert x.shape == y.shape == (*size, 3)
    assert len(np.unique(x.reshape(-1, 3), axis=0)) > 2
    assert y.std() > 10
    return x, y


def check(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(found.astype(int) - expected).max() <= 1


def engine_of(page) -> str:
    return page.run("document.getElementById('engine').textContent")


def test_tfpix2pix_demo(exported, runtime, open_page, run_cli, tmp_path):
    """And `tfpix2pix translate` of the input that was saved."""
    serving = subprocess.Popen(
        [sys.executable, "-m", "tfpix2pix", "demo", f"--model={exported}"],
        env={**os.environ, RUNTIME: runtime},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert serving.stdout is not None
        said = ""
        while "the page is at" not in said:
            said = serving.stdout.readline()
            assert said, "it ended"
        page = open_page(re.search(r"http://127\.0\.0\.1:\d+/", said)[0])
        assert page.run("crossOriginIsolated")
        x, y = draw(page, 5, (32, 32))
        assert re.search("WebAssembly", engine_of(page))
    finally:
        serving.send_signal(signal.SIGINT)
        assert serving.wait(60) == 0
    Image.fromarray(x).save(tmp_path / "drawn.png")
    flags = [f"--model={exported}", "--input=drawn.png", "--output=translated", "--seed=5"]
    done = run_cli("translate", *flags)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "translated" / "drawn.png") as image:
        check(y, np.asarray(image))


def translated(exported: Path, x: np.ndarray, seed: int) -> np.ndarray:
    from tfpix2pix.export import open_model

    return open_model(exported).translate(x, seed=seed)


def test_a_folder_on_any_server(exported, open_page):
    """One that sends no headers: the page sees to its threads itself. A size that is padded."""
    with chromium.Server(exported / "web") as server:
        page = open_page(f"{server.url}/index.html")
        page.until("crossOriginIsolated")
        x, y = draw(page, -7, (40, 52))
    check(y, translated(exported, x, -7))


def test_a_folder_without_a_server(exported, open_page):
    page = open_page((exported / "web" / "index.html").as_uri())
    assert not page.run("crossOriginIsolated")
    x, y = draw(page, 2**40 + 1, (64, 32))
    check(y, translated(exported, x, 2**40 + 1))
