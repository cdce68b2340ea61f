"""The engine of the page to draw on, in headless Chromium: the pictures of `tfpix2pix translate`.

Skipped without Chromium or onnxruntime-web; see `browser.py` and the fixture `web_modules`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tfpix2pix
from tfpix2pix.data.palette import load_palette
from tfpix2pix.demo import runtime
from tfpix2pix.demo.models import PageModel
from tfpix2pix.demo.page import page_files, write_page
from tfpix2pix.report.scripts import web_script

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")

HERE = Path(__file__).resolve().parent
browser = SimpleNamespace(**runpy.run_path(str(HERE / "browser.py")))
PAGE = """<!doctype html><meta charset="utf-8">
<script type="application/json" id="plan">{plan}</script>
<script type="module">{script}</script>
"""
PICTURE = np.random.default_rng(0).integers(0, 256, (37, 50, 4), np.uint8)
SMALL = np.random.default_rng(1).integers(0, 256, (32, 64, 4), np.uint8)
SEED = 2**40 + 7
LATENT = [1.5, -0.5, 2.0]
WASM, WEBGPU = {"engine": "wasm"}, {"engine": "webgpu"}


def told(picture: np.ndarray) -> dict[str, Any]:
    height, width = picture.shape[:2]
    return {"height": height, "width": width, "data": picture.reshape(-1).tolist()}


def asked(picture: np.ndarray = PICTURE, **changes: Any) -> dict[str, Any]:
    return {"picture": told(picture), "seed": str(SEED), "noise": True, "latent": None, **changes}


@pytest.fixture(scope="module")
def runs(make_run, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    palette = load_palette("facades").to_json()
    classes = {
        **{"label_palette": "facades", "label_side": "target", "target_encoding": "onehot"},
        **{"target_channels": 12, "target_ignore": "none"},
    }
    return {
        "plain": make_run(folder / "plain"),
        "several": make_run(
            folder / "several", latent=3, latent_reach="all", input_channels=1, bottleneck=8
        ),
        "classes": make_run(folder / "classes", palette=palette, **classes),
    }


@pytest.fixture(scope="module")
def models(runs, job, tmp_path_factory) -> list[PageModel]:
    """Of G(x, z) every precision; of one size, G(x, latent); and class numbers."""
    from tfpix2pix.export.formats import load_format
    from tfpix2pix.export.web.models import models_of

    folder = tmp_path_factory.mktemp("onnx")
    jobs = {
        "plain": job(runs["plain"], quantize=("none", "float16", "int8")),
        "several": job(runs["several"], "deterministic", (32, 64)),
        "classes": job(runs["classes"]),
    }
    contract = dataclasses.replace(jobs["classes"].contract, argmax=True)
    jobs["classes"] = dataclasses.replace(jobs["classes"], contract=contract)
    found = []
    for name, made in jobs.items():
        for artifact in load_format("onnx").write(made, folder / name):
            (model,) = models_of(folder / name / artifact.path)
            precision = model.precision
            full = name if precision == "float32" else f"{name}-{precision}"
            found.append(dataclasses.replace(model, name=full))
    return found


@pytest.fixture(scope="module")
def in_browser(web_modules):
    """What a page needs; else a skip."""
    browser.find()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(runtime.VARIABLE, str(web_modules / "onnxruntime-web"))
        yield


def visit(
    folder: Path, steps: list[dict[str, Any]], where: Any = ".", url: str = "", **options: Any
) -> dict[str, Any]:
    """What the engine of a page does of a plan.

    Args:
      folder: with the page's files.
      steps, where: of the plan, see web/draw.js.
      url: of the folder; empty for that of a server.
      **options: of the browser.
    """
    plan = json.dumps({"where": where, "steps": steps}).replace("<", "\\u003c")
    script = str(web_script("demo", "engine.js"))
    *_, engine = re.findall(r"^const (module\d+) = ", script, re.M)
    drive = (HERE / "web" / "draw.js").read_text("utf-8").replace("ENGINE", engine)
    page = PAGE.format(plan=plan, script=script + drive)
    (folder / "drive.html").write_text(page, encoding="utf-8")
    with browser.Server(folder) as server:
        address = f"{url or server.url}/drive.html?post={server.url}/posted"
        found = browser.visit(address, server.posted, **options)
    assert "error" not in found, found
    return found


@pytest.fixture(scope="module")
def site(models, in_browser, tmp_path_factory) -> Path:
    """The page's folder as a server has it, with networks that are broken, too."""
    folder = tmp_path_factory.mktemp("site")
    for name, content in page_files(models).items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        else:
            shutil.copy(content, place)
    listed = json.loads((folder / "models.json").read_text())
    plain = listed["models"][0]
    listed["models"] += [changed(plain, {"name": name, **how}) for name, how in BROKEN.items()]
    (folder / "models.json").write_text(json.dumps(listed))
    return folder


BROKEN = {
    "unproved": {"proof": {"tolerance": -1}},
    "absent": {"file": "models/absent.onnx"},
    "short": {"bytes": 77},
    "huge": {"bytes": 3_000_000_000},
    "floats": {"contract": {"y": {"files": {"dtype": "float32"}}}},
    "channels": {"contract": {"x": {"channels": list("012345678")}}},
}


def changed(value: Any, changes: Any) -> Any:
    """A JSON value with some of its parts replaced."""
    if not isinstance(changes, dict):
        return changes
    return {**value, **{name: changed(value[name], part) for name, part in changes.items()}}


@pytest.fixture(scope="module")
def in_webassembly(site) -> dict[str, Any]:
    """By a server that sends no headers for threads, so that the page has to see to them."""
    both = [asked(), asked(noise=False)]
    latents = [asked(SMALL), asked(SMALL, latent=LATENT), asked(SMALL, latent=[1])]
    huge = {"picture": {"height": 100_001, "width": 100_001, "data": [0] * 4}, "seed": "0"}
    steps: dict[str, dict[str, Any]] = {
        "plain": {"draws": [*both, asked(seed="9" * 30), huge, asked(PICTURE[:1, :3])], "burst": 5},
        "plain-float16": {"draws": both[:1]},
        "plain-int8": {"draws": both[:1]},
        "several": {"draws": [*latents, asked()], "latent": "4"},
        "classes": {"draws": both[:1]},
        **{name: {} for name in [*BROKEN, "unknown"]},
    }
    options = {**WASM, "threads": 2}
    plan = [{"options": options, "load": name, **step} for name, step in steps.items()]
    last = {
        "promised": {"options": {}, "load": "plain", "promised": True},
        "without": {"options": WASM, "load": "plain", "without": "WebAssembly"},
    }
    found = visit(site, [*plan, *last.values()])
    told = dict(zip([*steps, *last], found["steps"], strict=True))
    return {"isolated": found["isolated"], **told}


def check(drawn: dict[str, Any], expected: np.ndarray, most: int = 1) -> None:
    height, width = expected.shape[:2]
    assert "error" not in drawn, drawn
    assert drawn["size"] == [height, width]
    found = np.array(drawn["pixels"]).reshape(height, width, 4)
    assert (found[..., 3] == 255).all()
    assert expected.std() > 20
    assert np.abs(found[..., :3] - expected.astype(int)).max() <= most


@pytest.mark.parametrize("name", ["plain", "plain-float16", "several", "classes"])
def test_the_pictures_are_those_of_translate(in_webassembly, runs, name):
    found = in_webassembly[name]
    assert "error" not in found, found
    assert found["info"]["engine"] == "wasm"
    assert found["info"]["difference"] < 0.1
    assert found["steady"]
    translator = tfpix2pix.load(runs[name.split("-")[0]])
    if name == "several":
        told = [{"deterministic": True}, {"deterministic": True, "latent": LATENT}]
    else:
        told = [{}, {"deterministic": True}]
    picture = SMALL if name == "several" else PICTURE
    pairs = list(zip(found["draws"], told, strict=False))
    for drawn, request in pairs:
        check(drawn, translator.translate(picture, seed=SEED, **request))
    if len(pairs) > 1:
        assert pairs[0][0]["pixels"] != pairs[1][0]["pixels"]


def test_eight_bits_are_those_of_onnxruntime(in_webassembly, models, runs):
    """An 8-bit step may fall to the other side of a half, so not to a level."""
    from tfpix2pix.export import open_model

    (model,) = [each for each in models if each.precision == "int8"]
    found = in_webassembly["plain-int8"]
    assert "error" not in found, found
    expected = open_model(model.file).translate(PICTURE, seed=SEED)
    colours = np.array(found["draws"][0]["pixels"]).reshape(*PICTURE.shape)[..., :3]
    assert np.abs(colours - expected.astype(int)).mean() < 2.5


def test_the_page_gets_its_threads_without_headers(in_webassembly):
    assert in_webassembly["isolated"]
    info = in_webassembly["plain"]["info"]
    assert info["threads"] == 2
    assert "with 2 threads" in info["note"]


def test_what_is_out_of_date_is_not_drawn(in_webassembly):
    """The one that is being drawn, and the newest."""
    burst = in_webassembly["plain"]["burst"]
    assert burst[-1]
    assert sum(burst) <= 2


def test_a_latent_is_that_of_the_seed(in_webassembly, runs):
    expected = tfpix2pix.load(runs["several"]).latent([4])[0]
    np.testing.assert_allclose(in_webassembly["several"]["latent"], expected, atol=1e-6)


def test_what_cannot_be_drawn_is_said(in_webassembly):
    said = {name: in_webassembly[name]["error"] for name in [*BROKEN, "unknown", "without"]}
    assert "computes other pictures than it should" in said["unproved"]
    assert said["absent"].startswith("models/absent.onnx did not arrive (404")
    assert "77 were expected" in said["short"]
    assert "(3000 MB) does not fit into the memory" in said["huge"]
    assert "its results are 32-bit floats" in said["floats"]
    assert "its inputs have 9 channels" in said["channels"]
    assert said["unknown"].startswith('no network "unknown"; there are plain, ')
    assert "this browser has no WebAssembly" in said["without"]
    plain, several = in_webassembly["plain"]["draws"], in_webassembly["several"]["draws"]
    assert plain[2]["error"] == f"seed {'9' * 30} does not fit in 64 bits"
    assert "100001x100001 pixels do not fit into the memory" in plain[3]["error"]
    assert "error" not in plain[4]  # what ended is started again
    assert several[2]["error"] == "a latent of 1 numbers, where 3 finite ones were expected"
    assert "this export takes 64x32 only" in several[3]["error"]


def test_where_webgpu_fails_webassembly_draws(in_webassembly):
    info = in_webassembly["promised"]["info"]
    assert info["engine"] == "wasm"
    assert "no WebGPU: it failed (" in info["note"]


def test_webgpu_is_used_where_it_gives_the_known_picture(site, runs):
    """And WebAssembly where it does not, or where the graphics processor is software, as here."""
    # A small network in the size of its sample: software takes seconds for each new program.
    step = {"load": "several", "draws": [asked(SMALL)]}
    tries = [{"options": WEBGPU}, {"options": {}}, {"options": WEBGPU, "doubted": True}]
    found = visit(site, [{**step, **each} for each in tries], webgpu=True)["steps"]
    if "no graphics processor" in found[0]["info"]["note"]:
        pytest.skip("this Chromium has no WebGPU adapter")
    picture = tfpix2pix.load(runs["several"]).translate(SMALL, seed=SEED, deterministic=True)
    assert [each["info"]["engine"] for each in found] == ["webgpu", "wasm", "wasm"]
    assert "an emulated one" in found[1]["info"]["note"]
    assert "no WebGPU: its picture is" in found[2]["info"]["note"]
    for each in found:
        assert each["steady"]
        check(each["draws"][0], picture)


def test_a_folder_needs_no_server(models, runs, in_browser, tmp_path):
    write_page(models[:1], tmp_path)
    where = {"url": ".", "list": json.loads((tmp_path / "models.json").read_text())}
    step = {"options": WASM, "load": "plain", "draws": [asked()]}
    (found,) = visit(tmp_path, [step], where, tmp_path.as_uri())["steps"]
    check(found["draws"][0], tfpix2pix.load(runs["plain"]).translate(PICTURE, seed=SEED))
    assert "a page without a server has one" in found["info"]["note"]
