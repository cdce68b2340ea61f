"""The command as a user meets it: tiny runs, tiny data sets, and what a refusal looks like."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.config import resolve

# The smallest networks there are: a step takes some milliseconds, and its graph is soon built.
TINY = ("--crop_size=32", "--ngf=4", "--ndf=4", "--bottleneck=8", "--receptive_field=16")
TRAINED = {
    "crop_size": 32,
    "ngf": 4,
    "ndf": 4,
    "receptive_field": 16,
    "sample_pairs": 8,
    "steps": 6,
    "checkpoint_every": 2,
    "val_every": 2,
    "sample_every": 3,
    "log_every": 2,
    "sample_images": 2,
}
AS_DRAWN = {
    "input_channels": 3,
    "target_channels": 3,
    "input_dtype": "uint8",
    "target_dtype": "uint8",
    "input_range": "0:255",
    "target_range": "0:255",
    "input_ignore": "none",
    "target_ignore": "none",
}


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Flags that make the networks tiny."""
    return TINY


@pytest.fixture(scope="session")
def hashes() -> Callable[[Path], dict[str, str]]:
    """What stands in a folder: each file's relative name with a hash of its content."""

    def of(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return of


# === Runs ===


@pytest.fixture(scope="session")
def met_by() -> Callable[[signal.Signals, str], str]:
    """`met_by(SIGNAL, where)`: a prelude with which the command is sent a signal before the fourth
    step of the trainings of which `where`, Python about their `config`, is true."""

    def prelude(number: signal.Signals, where: str) -> str:
        return f"""
import os
import tfpix2pix.training.run as training
whole = training.batches_from
def batches_from(start, store, config, *rest):
    for step, batch in enumerate(whole(start, store, config, *rest), start):
        if step == 3 and {where}:
            os.kill(os.getpid(), {int(number)})
        yield batch
training.batches_from = batches_from
"""

    return prelude


@pytest.fixture(scope="session")
def trained_flags() -> list[str]:
    """The flags of the tiny run, but for its workdir."""
    return [f"--{name}={value}" for name, value in TRAINED.items()]


@pytest.fixture(scope="session")
def training(run_command, trained_flags, tmp_path_factory) -> tuple[Path, int, str, str]:
    """One tiny run on the sample set: its workdir, exit code, stdout and stderr. Do not write."""
    folder = tmp_path_factory.mktemp("trained")
    words = ("train", f"--workdir={folder / 'run'}", *trained_flags)
    done = run_command(*words, cwd=folder, charts=True)
    return folder / "run", done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="session")
def trained(training) -> Path:
    """The workdir of the tiny run. Do not write to it: take `run_copy` for that."""
    workdir, code, _, err = training
    assert code == 0, err
    return workdir


@pytest.fixture
def run_copy(trained, tmp_path) -> Path:
    """A copy of the tiny run to do anything to."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture(scope="session")
def variables() -> Callable[[Path, int], dict[str, np.ndarray]]:
    """`variables(workdir, step)`: every number of a checkpoint, by name."""

    def of(workdir: Path, step: int) -> dict[str, np.ndarray]:
        import tensorflow as tf

        path = workdir / "checkpoints" / f"step_{step:08d}" / "state"
        found = tf.train.load_checkpoint(str(path))
        types = found.get_variable_to_dtype_map()
        return {name: found.get_tensor(name) for name in types if types[name] != tf.string}

    return of


@pytest.fixture(scope="session")
def trained_config():
    """The config that the flags of the tiny run make, with what the data resolved."""
    return resolve({**TRAINED, **AS_DRAWN})


@pytest.fixture
def untrained(tmp_path, trained_config) -> Path:
    """A run without a checkpoint, as one killed early leaves it."""
    workdir = tmp_path / "untrained"
    workdir.mkdir()
    (workdir / "config.json").write_text(trained_config.to_json())
    return workdir


@pytest.fixture(scope="session")
def flip_a_byte() -> Callable[[Path], None]:
    """Damages a file in its middle."""

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)

    return flip


# === Scorers ===


@pytest.fixture(scope="session")
def scorer(tmp_path_factory):
    """A folder with an untrained scorer of 32 pixels for the classes of facades. Do not write."""
    from tfpix2pix.data import load_palette
    from tfpix2pix.models.weights import named_weights
    from tfpix2pix.scorer.fcn import fcn8s
    from tfpix2pix.scorer.store import save_scorer

    folder = tmp_path_factory.mktemp("scorer")
    palette = load_palette("facades")
    network = fcn8s(int((~palette.void).sum()), 2).model
    random = np.random.default_rng(0)
    weights = {
        name: random.normal(0, 0.1, tuple(v.shape)).astype(np.float32)
        for name, v in named_weights(network).items()
    }
    weights |= {name: abs(v) for name, v in weights.items() if name.endswith("variance")}
    facts = {
        "palette": json.loads(palette.to_json()),
        "size": 32,
        "width": 2,
        "init": "scratch",
        "val": {"per_pixel": 0.5, "per_class": 0.4, "iou": 0.3, "images": 7},
    }
    save_scorer(folder, facts, weights)
    return folder


# === Refusals ===


@pytest.fixture
def without_tensorflow(tmp_path_factory) -> dict[str, str]:
    """Variables under which importing TensorFlow fails: what answers at once may not need it."""
    folder = tmp_path_factory.mktemp("shadow")
    (folder / "tensorflow.py").write_text("raise RuntimeError('TensorFlow was imported')\n")
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.fixture
def refused(run_cli, without_tensorflow) -> Callable[..., str]:
    """Runs the command on bad input; returns what it said on standard error.

    Asserts exit code 2, no traceback, nothing else than the refusal on standard error, one line
    of it unless `lines` (None: any number) says otherwise, and all that before TensorFlow is
    imported unless `early` is false. `fresh`: see `run_cli`.
    """

    def run(
        *args: str | os.PathLike[str],
        lines: int | None = 1,
        early: bool = True,
        fresh: bool = False,
    ) -> str:
        done = run_cli(*args, env=without_tensorflow if early else None, fresh=fresh)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert done.stderr.startswith("tfpix2pix")
        if lines is not None:
            assert done.stderr.count("\n") == lines, done.stderr
        return done.stderr

    return run


# === Pictures ===


def pixels(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Smooth random colours, so that JPEG keeps them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, channels), dtype=np.uint8)
    layers = [
        Image.fromarray(coarse[..., c]).resize((width, height), Image.BILINEAR)
        for c in range(channels)
    ]
    return np.stack([np.asarray(layer) for layer in layers], axis=-1)


@pytest.fixture(scope="session")
def draw() -> Callable[..., Path]:
    """`draw(path, height, width, channels=3, seed=0)` writes a picture; grey, RGB or RGBA."""

    def write(path: Path, height: int, width: int, channels: int = 3, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        array = pixels(seed, height, width, channels)
        Image.fromarray(array[..., 0] if channels == 1 else array).save(path)
        return path

    return write


@pytest.fixture
def pairs(tmp_path, draw) -> Path:
    """A small data set of pairs side by side: four in train/, two in val/, 64x32 pixels each."""
    folder = tmp_path / "pairs"
    for split, count in (("train", 4), ("val", 2)):
        for index in range(count):
            draw(folder / split / f"{index}.png", 32, 64, seed=index)
    return folder
