"""The ONNX files in OpenCV, whose reader of ONNX is not onnxruntime's. Skipped without OpenCV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")

MAJOR = int(cv2.__version__.split(".")[0])


def written(job, run: Path, folder: Path, *rest, **values):
    from tfpix2pix.export.formats import load_format

    made = job(run, *rest, **values)
    return made, [folder / each.path for each in load_format("onnx").write(made, folder)]


def in_opencv(path: Path, **inputs: np.ndarray) -> np.ndarray:
    net = cv2.dnn.readNetFromONNX(str(path))
    for name, value in inputs.items():
        net.setInput(value, name)
    return net.forward("y")


@pytest.mark.parametrize("inference", ["paper", "deterministic"])
def test_one_size(job, exported_run, tmp_path, inference):
    made, paths = written(
        job, exported_run, tmp_path, inference, (64, 32), quantize=("none", "float16")
    )
    x = np.random.default_rng(0).uniform(-1, 1, (2, 64, 32, 3)).astype(np.float32)
    z = made.translator.noise(x, [0, 1], deterministic=inference == "deterministic")
    expected = made.translator.network(x, z)
    assert np.std(expected) > 0.1
    inputs = {"x": x, "z": z} if inference == "paper" else {"x": x}
    for path, tolerance in zip(paths, (1e-4, 1e-2), strict=True):
        y = in_opencv(path, **inputs)
        np.testing.assert_allclose(y, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"generator": "resnet6", "dropout": 0.0, "norm": "instance_plain"},
        {"latent": 3, "latent_reach": "all", "norm": "group"},
    ],
    ids=["resnet", "latent"],
)
def test_other_networks(job, make_run, tmp_path, changes):
    made, (path,) = written(job, make_run(tmp_path / "run", **changes), tmp_path, "paper", (64, 32))
    run = made.translator
    inputs = {"x": np.random.default_rng(0).uniform(-1, 1, (1, 64, 32, 3)).astype(np.float32)}
    if run.takes_noise:
        inputs["z"] = run.noise(inputs["x"], [0])
    if run.latent_size:
        inputs["latent"] = run.latent([0])
    expected = run.network(*(inputs.get(name) for name in ("x", "z", "latent")))
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(in_opencv(path, **inputs), expected, atol=1e-4, rtol=0)


def test_any_size(job, exported_run, tmp_path):
    """Of OpenCV 4 docs/web.md says that it cannot."""
    made, (path,) = written(job, exported_run, tmp_path)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 64, 96, 3)).astype(np.float32)
    z = made.translator.noise(x, [0])
    if MAJOR < 5:
        with pytest.raises(cv2.error, match="Concat"):
            in_opencv(path, x=x, z=z)
        return
    y = in_opencv(path, x=x, z=z)
    np.testing.assert_allclose(y, made.translator.network(x, z), atol=1e-4, rtol=0)
