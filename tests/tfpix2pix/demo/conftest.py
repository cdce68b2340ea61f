"""A page without TensorFlow: networks of a few bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfpix2pix.demo.kinds import PHOTO, Drawn
from tfpix2pix.demo.models import PageModel


@pytest.fixture
def page_model() -> Callable[..., PageModel]:
    """`page_model(name="a", **changes)`: of bytes that are no network."""

    def make(name: str = "a", **changes: Any) -> PageModel:
        random = np.random.default_rng(len(name))
        sample = {key: random.random((1, 4, 4, 3), np.float32) for key in ("x", "y")}
        values: dict[str, Any] = {
            **{"name": name, "title": name.upper(), "precision": "float32", "tolerance": 1.0},
            **{"file": random.bytes(1000), "contract": {"config": {"seed": 3}}},
            **{"sample": sample, "drawn": Drawn(PHOTO)},
            "examples": [np.full((2, 2, 3), 9, np.uint8)],
        }
        return PageModel(**{**values, **changes})

    return make
