"""benchmarks/engines.py: every engine that is installed here gives Keras's y.

The tests' own environment has onnxruntime and LiteRT; one with OpenVINO, ncnn and pnnx, MNN, OpenCV
or coremltools runs those too (docs/engines.md).
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "engines.py"
CASES = ("paper_fixed", "deterministic_any")


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def output(make_run, job, tmp_path_factory) -> Path:
    """As the script leaves it, of a small run without data."""
    for package in ("tf2onnx", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(package)
    from tfpix2pix.export.formats import load_format

    folder = tmp_path_factory.mktemp("engines")
    run, arrays = make_run(folder / "run", std=0.1), {}
    for case in CASES:
        inference, size = case.split("_")
        made = job(run, inference, (32, 32) if size == "fixed" else None)
        for name in ("onnx", "tflite", "network"):
            load_format(name).write(made, folder / case)
        shape = (1, 32 if size == "fixed" else 64, 32, 3)
        x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        z = made.translator.noise(x, [1], inference == "deterministic")
        arrays |= {f"{case}_x": x, f"{case}_y": made.translator.network(x, z)}
        if inference == "paper":
            arrays[f"{case}_z"] = z
    np.savez(folder / "inputs.npz", **arrays)
    return folder


def test_every_engine_that_is_here_gives_kerass_result(script, output):
    script["measure"].__globals__["CASES"] = CASES
    (output / "engines.json").write_text("{}")
    for engine in script["ENGINES"]:
        if engine.installed():
            script["measure"](engine, output)
    found = json.loads((output / "engines.json").read_text())
    assert {"onnxruntime", "LiteRT"} <= set(found)
    for name, row in found.items():
        for case in CASES:
            if name == "ncnn" and case.startswith("paper"):
                assert "torch.where" in row[case]  # it has no operators for the masks of z
            else:
                assert row[case] < 1e-4, (name, case)
    text = script["table"](found)
    assert text.count("\n") == 1 + len(found)
    assert f"| {found['LiteRT'][CASES[0]]:.1e} |" in text


def test_a_fault_of_an_engine_is_a_result(script, output):
    def broken(export, inputs, scratch):
        raise RuntimeError("no such operator")

    script["measure"].__globals__["CASES"] = CASES
    (output / "engines.json").write_text("{}")
    script["measure"](script["Engine"]("broken", "json", "numpy", "`onnx`", broken), output)
    found = json.loads((output / "engines.json").read_text())
    assert found["broken"][CASES[0]] == "no such operator"
    assert "| broken | " in script["table"](found)
    assert script["table"](found).count("refused") == len(CASES)
    assert found["broken"]["given"] == "`onnx`"
