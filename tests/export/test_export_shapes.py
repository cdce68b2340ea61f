"""Exports of a run whose images are not square."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfpix2pix.export.exporter import Request, export_run
from tfpix2pix.export.opening import open_model


@pytest.mark.parametrize("fixed", [False, True])
def test_a_run_of_wide_images_is_proved_at_their_size(make_run, tmp_path, fixed):
    pytest.importorskip("tf2onnx")
    run = make_run(
        tmp_path / "run", crop_size="32x64", load_size="32x64", sample_pairs=4, bottleneck=4
    )
    size = (32, 64) if fixed else None
    request = Request(("onnx", "tflite"), image_size=size)
    export_run(str(run), tmp_path / "out", request, check_count=1)
    manifest = json.loads((tmp_path / "out" / "export.json").read_text())
    contract = manifest["contract"]
    assert contract["config"]["crop_size"] == "32x64"
    assert (contract["size_multiple"], contract["image_size"]) == (8, [32, 64] if fixed else "any")
    assert "native 64x32" in json.dumps(manifest)
    image = np.zeros((32, 64, 3), np.uint8) if fixed else np.zeros((40, 90, 3), np.uint8)
    pictures = [
        open_model(tmp_path / "out" / path).translate(image, seed=1)
        for path in ("onnx/generator_float32.onnx", "tflite/generator_float32.tflite")
    ]
    assert pictures[0].shape == image.shape
    np.testing.assert_allclose(*(picture.astype(int) for picture in pictures), atol=1)
