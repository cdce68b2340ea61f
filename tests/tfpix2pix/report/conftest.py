"""A small workdir as a training run leaves it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tfpix2pix.report import save_strip, strip_path

STEPS = [1, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]


def train_record(step: int) -> dict:
    return {
        "kind": "train",
        "step": step,
        "epoch": step / 40,
        "seconds": step * 0.25,
        "images_per_second": 4.0,
        "losses": {"generator": 31.5, "gan": 1.5, "l1": 0.3, "discriminator": 0.5},
        "discriminator": {"real": 0.7, "fake": 0.3, "accuracy": 0.8},
    }


def write_samples(workdir: Path, n: int = 3, size: int = 32, channels: int = 3) -> None:
    """Fixed pairs and the outputs of `STEPS`, of random pixels."""
    rng = np.random.default_rng(0)
    shape = (n, size, size, channels)
    x, y = rng.integers(0, 256, (2, *shape), dtype=np.uint8)
    (workdir / "samples").mkdir()
    names = np.array([f"house_{i}" for i in range(n)])
    np.savez(workdir / "samples" / "fixed.npz", x=x, y=y, names=names)
    for step in STEPS:
        save_strip(strip_path(workdir, step), rng.integers(0, 256, shape, dtype=np.uint8))


def write_metrics(workdir: Path, records: list[dict], tail: str = "") -> None:
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (workdir / "metrics.jsonl").write_text(lines + tail)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A finished run: config, facts, metrics with a torn last line, samples."""
    folder = tmp_path / "my run"
    folder.mkdir()
    config = {"preset": "quick", "crop_size": 32, "loss": "l1+cgan", "epochs": None, "ngf": 16}
    run = {
        "dataset_summary": "sample: 40 train pairs, 10 val pairs",
        "parameters": {"generator": 54413955, "discriminator": 2768705},
        "versions": {"tensorflow": "2.21.0"},
        "command": "tfpix2pix train --preset=quick",
        "note": "Trained overnight.",
        "steps_done": 1000,
        "steps_total": 1000,
        "train_seconds": 3725.0,
        "finished": True,
        "epochs": 25.0,
    }
    records = [train_record(step) for step in range(10, 1001, 10)]
    for step, l1, psnr, ssim in [
        (250, 0.5012, 9.125, 0.1),
        (500, 0.3123, 12.875, 0.35),
        (1000, 0.3345, 12.5, 0.3333),
    ]:
        measured = {"l1": l1, "psnr": psnr, "ssim": ssim, "images": 10}
        records.append({"kind": "val", "step": step, **measured})
    records.append({"kind": "note", "step": 640, "text": "The discriminator has won."})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "run.json").write_text(json.dumps(run))
    write_metrics(folder, records, tail='{"kind": "val", "step": 1010, "l1": 0.0')
    write_samples(folder)
    return folder
