"""The ONNX files run in onnxruntime-web's WebAssembly build, under Node.

Node's packages are not Python's; where they are looked for is told at the fixture `web_modules`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")

WEB = Path(__file__).resolve().parent / "web"


@pytest.fixture(scope="module")
def in_node(web_modules, tmp_path_factory):
    """`in_node(model, requests) -> results`: each request is a dict of arrays, a result y."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")

    def run(model: Path, requests: list[dict[str, np.ndarray]]) -> list[np.ndarray]:
        folder = tmp_path_factory.mktemp("node")
        plan = []
        for number, arrays in enumerate(requests):
            inputs = {}
            for name, array in arrays.items():
                file = folder / f"{number}_{name}.bin"
                array.astype("<f4").tofile(file)
                inputs[name] = {"file": str(file), "shape": list(array.shape)}
            plan.append({"inputs": inputs, "output": str(folder / f"{number}_y.bin")})
        (folder / "requests.json").write_text(json.dumps(plan))
        command = ["node", WEB / "run.mjs", web_modules, model, folder / "requests.json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        wanted = json.loads((WEB / "package.json").read_text())["dependencies"]["onnxruntime-web"]
        assert told["version"] == wanted
        assert set(told["inputs"]) == set(requests[0])
        return [
            np.fromfile(each["output"], "<f4").reshape(result["shape"])
            for each, result in zip(plan, told["results"], strict=True)
        ]

    return run


RECIPE = {
    **{"norm": "group", "ngf": 8, "bottleneck": 8, "upsampling": "smooth"},
    **{"padding": "replicate", "noise_channels": 4, "last_channels": 8},
}


@pytest.fixture(scope="module", params=[{}, RECIPE], ids=["paper", "recipe"])
def exported(request, job, make_run, tmp_path_factory):
    """The job, and its files by quantisation."""
    from tfpix2pix.export.formats import load_format

    folder = tmp_path_factory.mktemp("web")
    made = job(make_run(folder / "run", **request.param), quantize=("none", "float16", "int8"))
    artifacts = load_format("onnx").write(made, folder)
    return made, {each.quantize: folder / each.path for each in artifacts}


@pytest.fixture(scope="module")
def requests(exported):
    """Inputs of three sizes in batches of one and two, and what Keras makes of them."""
    translator = exported[0].translator
    random = np.random.default_rng(3)
    requests, expected = [], []
    for batch, height, width in ((1, 32, 32), (2, 64, 32), (1, 96, 160)):
        x = random.uniform(-1, 1, (batch, height, width, 3)).astype(np.float32)
        z = translator.noise(x, range(batch))
        requests.append({"x": x, "z": z})
        expected.append(translator.network(x, z))
    return requests, expected


def test_webassembly_gives_the_pictures_of_keras(in_node, exported, requests):
    *found, other = in_node(exported[1]["none"], [*requests[0], _other_z(requests[0][0])])
    for y, expected in zip(found, requests[1], strict=True):
        np.testing.assert_allclose(y, expected, atol=1e-4, rtol=0)
    # z is honoured: another one gives another picture.
    assert np.abs(found[0] - other).max() > 0.1


@pytest.mark.parametrize("quantize", ["float16", "int8"])
def test_quantised_files_run_there_as_in_onnxruntime(in_node, exported, requests, quantize):
    """The same file gives the same picture; an 8-bit step may fall to the other side of a half."""
    from tfpix2pix.export.formats import load_format

    path = exported[1][quantize]
    engine = load_format("onnx").open(path, threads=1)
    found = in_node(path, requests[0])
    for y, request in zip(found, requests[0], strict=True):
        difference = np.abs(y - engine(request["x"], request["z"]))
        if quantize == "float16":
            assert difference.max() < 1e-4
        else:
            assert difference.mean() < 0.02


def _other_z(request: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"x": request["x"], "z": 1 - request["z"]}
