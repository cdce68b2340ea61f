"""Runs of random weights on the embedded set; nothing is trained."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_EXPORT = runpy.run_path(str(Path(__file__).parents[2] / "export" / "conftest.py"))
_DATA = {
    "dataset": "sample", "sample_pairs": 40, "input_channels": 3, "input_dtype": "uint8",
    "input_range": "0:255", "input_ignore": "none", "target_channels": 3, "target_dtype": "uint8",
    "target_range": "0:255", "target_ignore": "none",
}  # fmt: skip


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """`make_run(workdir, *, palette="", std=0.2, **config)`: 40 pairs of train and 10 of val, 32
    pixels; see `tests/export/conftest.py`."""

    def make(workdir: Path, *, palette: str = "", std: float = 0.2, **changes: Any) -> Path:
        return _EXPORT["_make_run"](workdir, palette=palette, std=std, **{**_DATA, **changes})

    return make
