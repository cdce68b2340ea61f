"""Runs without training, and what an export of them is asked for."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIZE = 32


def _make_run(workdir: Path, *, palette: str = "", std: float = 0.2, **changes: Any) -> Path:
    """A workdir as training leaves it, with random weights that keep the features alive.

    Args:
      workdir: made where it is missing.
      palette: JSON text of the run's palette, for runs with ``label_palette``.
      std: of the weights; averages, where there are any, are others.
      **changes: of the config; crop_size 32, ngf 4 otherwise.
    """
    from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
    from tfpix2pix.algorithms.pix2pix import Pix2Pix
    from tfpix2pix.models.weights import named_weights
    from tfpix2pix.training.checkpoints import Checkpoints

    values = {"crop_size": SIZE, "load_size": SIZE, "ngf": 4, "loss": "l1", "seed": 9, **changes}
    config = Pix2PixConfig(**values)
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "config.json").write_text(config.to_json())
    if palette:
        (workdir / "palette.json").write_text(palette)
    algorithm = Pix2Pix(config)
    random = np.random.default_rng(5)
    for name, variable in named_weights(algorithm.generator).items():
        value = random.normal(0, std, tuple(variable.shape))
        if name.endswith("variance"):
            value = np.abs(value) + 0.5
        variable.assign((value + name.endswith("gamma")).astype(np.float32))
    algorithm.restart_averages()
    for average in algorithm.averages.values():
        for variable in average.values.values():
            variable.assign(variable * random.uniform(0.5, 1.5, tuple(variable.shape)))
    algorithm.step.assign(5)
    Checkpoints(workdir, keep=9).save(algorithm.state(), 5, {"best": None})
    return workdir


def _smooth(count: int, size: int, channels: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Smooth random images, float32 ``[size, size, channels]`` in [-1, 1]."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / size
    for _ in range(count):
        image = np.zeros((size, size, channels))
        for _ in range(4):
            a, b = random.uniform(0.5, 3, 2)
            phase = random.uniform(0, 2 * np.pi, channels)
            wave = a * rows[..., None] + b * columns[..., None]
            image += np.sin(2 * np.pi * wave + phase) / 3
        yield np.clip(image, -1, 1).astype(np.float32)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """`make_run(workdir, *, palette="", std=0.2, **config) -> workdir`, see `_make_run`."""
    return _make_run


@pytest.fixture(scope="session")
def smooth_images() -> Callable[..., Iterator[np.ndarray]]:
    """`smooth_images(count, size, channels, seed=0)`: x-like images, see `_smooth`."""
    return _smooth


@pytest.fixture(scope="session")
def exported_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a small RGB run with the paper's inference. Read only."""
    return _make_run(tmp_path_factory.mktemp("exported") / "run")


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """`job(workdir, inference="paper", image_size=None, quantize=("none",), output=None,
    name="model", opset=None) -> formats.Job`: what the exporter would hand to a format."""
    from tfpix2pix.export import core, formats
    from tfpix2pix.export.contract import Contract
    from tfpix2pix.inference import load

    def make(
        workdir: Path,
        inference: str = "paper",
        image_size: tuple[int, int] | None = None,
        quantize: tuple[str, ...] = ("none",),
        output: Path | None = None,
        name: str = "model",
        opset: int | None = None,
    ) -> formats.Job:
        translator = load(workdir)
        contract = Contract.of(translator, inference, image_size)
        weights = core.weights_of(translator.generator)
        config = translator.config
        return formats.Job(
            contract,
            translator,
            core.export_generator(translator.described, weights, noise=contract.noise),
            quantize,
            output or tmp_path_factory.mktemp("output"),
            name,
            lambda count: _smooth(count, int(config.crop_size), config.x_channels),
            opset=opset,
        )

    return make


@pytest.fixture(scope="session")
def saved_model(exported_run: Path, job: Callable[..., Any], tmp_path_factory: Any) -> Path:
    """The folder of version 1 of `exported_run` as a SavedModel. Read only."""
    pytest.importorskip("tensorflow_serving")
    from tfpix2pix.export.savedmodel.format import FORMAT

    folder = tmp_path_factory.mktemp("export")
    (artifact,) = FORMAT.write(job(exported_run), folder)
    return folder / artifact.path


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """`serving(path, name="model", batching=None)`: a context with a `StandIn`."""
    pytest.importorskip("tensorflow_serving")
    return runpy.run_path(str(Path(__file__).with_name("serving_standin.py")))["serving"]


@pytest.fixture(scope="session")
def web_modules() -> Path:
    """The folder of Node's packages, with onnxruntime-web; else a skip.

    It is the one that TFPIX2PIX_NODE_MODULES names, else tests/export/web/node_modules (`npm ci
    --ignore-scripts` in tests/export/web). A variable that names none is an error, not a skip.
    """
    named = os.environ.get("TFPIX2PIX_NODE_MODULES")
    default = Path(__file__).resolve().parent / "web" / "node_modules"
    folder = Path(named).resolve() if named else default
    if not (folder / "onnxruntime-web").is_dir():
        assert not named, f"TFPIX2PIX_NODE_MODULES has no onnxruntime-web: {folder}"
        pytest.skip("onnxruntime-web is not installed: npm ci --ignore-scripts in tests/export/web")
    return folder
