"""The ONNX files run in a browser: WebGPU and WebAssembly in headless Chromium.

Skipped without Chromium or the packages of Node; see `browser.py` and `test_onnx_web.py`.
"""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")

HERE = Path(__file__).resolve().parent
browser = SimpleNamespace(**runpy.run_path(str(HERE / "browser.py")))
# Without both, a page gets one thread.
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
# Inference, run, size of the export, and height and width of x. At the training size the second
# transposed convolution has an input of 2x2; at twice that the first one.
CASES = (
    ("paper", "run_32", None, (32, 32)),
    ("paper", "run_32", (64, 64), (64, 64)),
    ("deterministic", "run_32", None, (64, 64)),
    ("paper", "recipe_32", None, (32, 48)),
)
SHAPED = (0, 3)  # on WebGPU: its software processor takes seconds for every shape of a layer
RECIPE = {
    **{"norm": "group", "ngf": 8, "bottleneck": 8, "upsampling": "smooth"},
    **{"padding": "replicate", "noise_channels": 4, "last_channels": 8},
}


@pytest.fixture(scope="module")
def site(web_modules, make_run, job, tmp_path_factory) -> Path:
    """A folder with the page, the models, their inputs and what Keras makes of them."""
    from tfpix2pix.export.formats import load_format

    browser.find()
    folder = tmp_path_factory.mktemp("site")
    (folder / "node_modules").symlink_to(web_modules)
    shutil.copy(HERE / "web" / "run.html", folder)
    plan = []
    for number, (inference, name, image_size, (height, width)) in enumerate(CASES):
        run, (kind, crop) = folder / name, name.split("_")
        if not run.exists():
            sizes = {"crop_size": int(crop), "load_size": int(crop)}
            make_run(run, **sizes, **(RECIPE if kind == "recipe" else {}))
        made = job(run, inference, image_size)
        (artifact,) = load_format("onnx").write(made, folder / str(number))
        x = np.random.default_rng(number).uniform(-1, 1, (1, height, width, 3)).astype(np.float32)
        z = made.translator.noise(x, [number], inference == "deterministic")
        y = np.asarray(made.translator.network(x, z))
        assert y.std() > 0.1
        inputs = {}
        for name, array in {"x": x, "z": z, "y": y}.items():
            inputs[name] = {"file": f"{number}_{name}.bin", "shape": list(array.shape)}
            array.astype("<f4").tofile(folder / f"{number}_{name}.bin")
        expected = inputs.pop("y")["file"]
        if inference == "deterministic":
            del inputs["z"]
        model = f"{number}/{artifact.path}"
        plan.append({"model": model, "inputs": inputs, "expected": expected})
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def run(
    site: Path,
    query: str,
    headers: dict[str, str] | None = None,
    webgpu: bool = False,
    cases: tuple[int, ...] = tuple(range(len(CASES))),
):
    query += f"&cases={','.join(map(str, cases))}"
    with browser.Server(site, headers) as server:
        told = browser.visit(f"{server.url}/run.html?{query}", server.posted, webgpu)
    if told.get("error") == "Error: no WebGPU adapter":
        pytest.skip("this Chromium has no WebGPU adapter")
    assert "error" not in told, told["error"]
    assert [each["shape"][1:3] for each in told["results"]] == [list(CASES[n][-1]) for n in cases]
    return told


def test_webgpu_gives_the_pictures_of_keras(site):
    """onnxruntime-web 1.30 forgets pads behind an input of the kernel's size; none is written."""
    told = run(site, "engine=webgpu", webgpu=True, cases=SHAPED)
    assert max(each["difference"] for each in told["results"]) < 1e-4


def test_webassembly_with_threads_in_an_isolated_page(site):
    told = run(site, "engine=wasm&threads=2", ISOLATED)
    assert told["isolated"]
    assert told["threads"] == 2
    assert max(each["difference"] for each in told["results"]) < 1e-4
