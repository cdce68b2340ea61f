"""What every test may use: the real command line, and the real images beside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before TensorFlow is imported: no start-up lines in the tests' output, and no claim on all of an
# accelerator's memory, which the commands that the tests start need too.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
_SET_HERE = {name for name in _QUIET if name not in os.environ}
for _name in _SET_HERE:
    os.environ[_name] = _QUIET[_name]
if "PYTEST_XDIST_WORKER" in os.environ:
    # Several test processes share the cores; each with threads for all of them is slower.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, `../shared/data` or `$TFPIX2PIX_SHARED_DATA`; else a skip.

    A variable that names no folder is an error, not a skip: somebody meant to run these tests.
    """
    named = os.environ.get("TFPIX2PIX_SHARED_DATA")
    if named:
        folder = Path(named).resolve()
        assert folder.is_dir(), f"TFPIX2PIX_SHARED_DATA names no folder: {folder}"
        return folder
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the repository (or set TFPIX2PIX_SHARED_DATA)")
    return folder


@pytest.fixture
def full_float32():
    """An accelerator's shortened products (TF32) would hide what numerical tests look for."""
    import tensorflow as tf

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


@pytest.fixture
def run_cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real command line in a process of its own, as a user would start it.

    `run_cli(*args, cwd=tmp_path, timeout=300, env=None)` runs `python -m tfpix2pix *args` and
    returns its `CompletedProcess` with `stdout` and `stderr` as text; no exit code raises. `env`
    holds variables to set on top of this process's own, or to remove (value None). The log level
    that silences TensorFlow here is not handed on: the command has to be quiet by itself.
    """

    def run(
        *args: str | os.PathLike[str],
        cwd: str | os.PathLike[str] | None = None,
        timeout: float = 300,
        env: Mapping[str, str | None] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        full = dict(os.environ)
        if "TF_CPP_MIN_LOG_LEVEL" in _SET_HERE:
            full.pop("TF_CPP_MIN_LOG_LEVEL", None)
        for name, value in (env or {}).items():
            if value is None:
                full.pop(name, None)
            else:
                full[name] = str(value)
        return subprocess.run(
            [sys.executable, "-m", "tfpix2pix", *map(os.fspath, args)],
            cwd=tmp_path if cwd is None else cwd,
            env=full,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )

    return run
