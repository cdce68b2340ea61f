"""Folders of small side-by-side images, drawn as needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def side_by_side(seed: int, height: int = 12, width: int = 32) -> np.ndarray:
    """Random pixels, smooth enough for JPEG: the left half dark, the right half bright."""
    dice = np.random.default_rng(seed)
    image = dice.integers(0, 100, (height, width, 3), dtype=np.uint8)
    image[:, width // 2 :] += 150
    return image


@pytest.fixture
def pairs_folder(tmp_path):
    """A function ``(train=3, val=2, ...) -> Path`` that writes PNG pairs train/00.png, ..."""

    def write(height: int = 12, width: int = 32, **counts: int) -> Path:
        root = tmp_path / "pairs"
        for number, (split, count) in enumerate((counts or {"train": 5, "val": 2}).items()):
            (root / split).mkdir(parents=True)
            for index in range(count):
                image = side_by_side(100 * number + index, height, width)
                Image.fromarray(image).save(root / split / f"{index:02d}.png")
        return root

    return write
