"""`tfpix2pix demo`: a page from a run, served on this machine, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import urllib.request

import pytest

# What stands for onnxruntime-web, whose files are of another size here.
PRELUDE = "; ".join(
    [
        "from tfpix2pix.demo import runtime",
        "pinned = {**runtime.pin(), 'files': {}}",
        "runtime.pin = lambda: pinned",
    ]
)


def read(url: str) -> tuple[bytes, dict[str, str]]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read(), dict(answer.headers)


def lines_until(words: str, serving) -> list[str]:
    """What the command prints until it says so."""
    lines = []
    while not lines or words not in lines[-1]:
        lines.append(serving.stdout.readline())
        assert lines[-1], serving.stderr.read()
    return lines


def test_a_run_on_a_page(start_cli, run_copy):
    """Exported once; the second start takes what the first one made."""
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    for start in ("first", "second"):
        flags = [f"--workdir={run_copy}", "--examples=1"] + ["--draw=photo"] * (start == "second")
        serving = start_cli("demo", *flags, prelude=PRELUDE)
        lines = lines_until("the page is at", serving)
        assert any("exporting it to ONNX" in line for line in lines) == (start == "first")
        drawn = "labels of 'sample'" if start == "first" else "photographs"
        assert re.fullmatch(rf"run: float32, [\d.]+ MB, for {drawn}\n", lines[-2])
        url = re.search(r"http://127\.0\.0\.1:\d+/", lines[-1])[0]
        html, headers = read(url)
        assert b'id="drawing"' in html
        # With these a browser allows threads.
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        (entry,) = json.loads(read(f"{url}models.json")[0])["models"]
        exported = json.loads((run_copy / "demo" / "export.json").read_text())
        assert entry["contract"] == exported["contract"]
        network, headers = read(url + entry["file"])
        assert network == (run_copy / "demo/onnx/generator_float32.onnx").read_bytes()
        assert read(url + entry["examples"][0])[0].startswith(b"\x89PNG")
        # The gallery comes later; Ctrl-C ends it on its way.
        assert b'href="gallery.html"' in html
        if start == "second":
            lines_until("the gallery is at", serving)
            gallery = json.loads(read(f"{url}gallery.json")[0])
            assert gallery["split"] == "val"
            assert b'id="gallery"' in read(f"{url}gallery.html")[0]
            for folder in (gallery["input"], gallery["runs"][0]["folder"], gallery["target"]):
                assert read(f"{url}{folder}/00000.png")[0].startswith(b"\x89PNG")
        serving.send_signal(signal.SIGINT)
        assert serving.wait(60) == 0
        assert serving.stderr.read() == ""


# The page itself is not of interest.
WITHOUT_PAGE = f"""{PRELUDE}
from tfpix2pix.base.serving import FileServer
from tfpix2pix.cli import demo
demo._models = lambda args, stack: []
FileServer.serve_until_stopped = lambda self, work=lambda: None: work()
FileServer.wait = lambda self: None
"""


def test_runs_that_do_not_stand_side_by_side(run_cli, run_copy, tmp_path):
    """Can be drawn with; somebody who asks for their gallery is refused."""
    other = shutil.copytree(run_copy, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "sample_pairs": 40}))
    both = ("demo", f"--workdir={run_copy}", f"--workdir={other}")
    done = run_cli(*both, prelude=WITHOUT_PAGE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "note: no gallery, for --workdir=" in done.stdout
    assert "have different val splits (2 and 10 images)" in done.stdout
    assert "the page is at" in done.stdout
    done = run_cli(*both, "--gallery", prelude=WITHOUT_PAGE)
    assert done.returncode == 2
    assert "have different val splits (2 and 10 images)" in done.stderr
    assert done.stderr.count("\n") == 1
    # One alone, as files.
    flags = (f"--gallery_output={tmp_path / 'page'}", "--limit=1")
    done = run_cli("demo", f"--workdir={other}", *flags, prelude=WITHOUT_PAGE)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"wrote {tmp_path / 'page' / 'gallery.html'}" in done.stdout
    assert (tmp_path / "page" / "gallery" / "1" / "00000.png").is_file()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "name what to draw with: --workdir=RUN, or --model=EXPORT"),
        (("--model=none",), "--model=none: no such file or folder"),
        (("--model=.",), "holds no export.json"),
        (("--model=a", "--model=a"), "--model=a was given twice"),
        (("--workdir=none",), "none"),
        (("--model=a", "--direction=up"), "--direction=up is not one of AtoB, BtoA"),
        (("--model=a", "--examples=-1"), "--examples=-1: expected 0 to 100"),
        (("--model=a", "--draw=line"), "--draw=line is not one of auto, labels, lines, photo"),
        (("--model=a", "--limit=9"), "--limit is for the gallery of runs; name one with --workdir"),
        (("--workdir=a", "--nogallery", "--split=val"), "--split and --nogallery exclude each"),
        (("--model=a", "--port=x"), "--port"),
    ],
)
def test_what_is_refused(refused, flags, said):
    assert said in refused("demo", *flags)


def test_a_run_without_checkpoints(refused, untrained):
    said = refused("demo", f"--workdir={untrained}")
    assert "has no checkpoint yet; train it first" in said
    assert not (untrained / "demo").exists()


def test_an_installation_without_onnxruntime_web(run_cli, trained, tmp_path):
    """Refused before anything is made."""
    nowhere = {"TFPIX2PIX_ONNXRUNTIME_WEB": str(tmp_path)}
    page = (f"--output={tmp_path / 'out'}", "--formats=web")
    for command in (("demo",), ("export", *page)):
        done = run_cli(*command, f"--workdir={trained}", env=nowhere)
        assert done.returncode == 2
        assert re.search(r"holds no onnxruntime-web@[\d.]+, .* `npm install onnx", done.stderr)
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_port_in_use(start_cli, trained):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start_cli("demo", f"--workdir={trained}", f"--port={port}", prelude=PRELUDE)
        said = done.communicate(timeout=120)[1]
    assert done.returncode == 2
    assert said.count("\n") == 1
    assert f"--port={port} is in use" in said
