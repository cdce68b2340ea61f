"""A drawn data set whose photos show their classes plainly, with a palette of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.scorer.labelled import open_labelled

PALETTE = {
    "name": "drawn",
    "classes": [
        {"name": "edge", "color": [0, 0, 0], "void": True},
        {"name": "sky", "color": [0, 0, 255]},
        {"name": "ground", "color": [0, 255, 0]},
        {"name": "box", "color": [255, 0, 0]},
    ],
}
# What the classes look like; void is of any colour.
LOOKS = np.array([[0, 0, 0], [200, 210, 220], [90, 70, 40], [230, 40, 120]])


def draw_pair(seed: int, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A photo and its class numbers: uint8 ``[size, size, 3]`` and ``[size, size]``."""
    random = np.random.default_rng(seed)
    classes = np.full((size, size), 1, np.uint8)
    classes[random.integers(size // 3, 2 * size // 3) :] = 2
    row, column = random.integers(4, size - 22, 2)
    classes[row : row + 18, column : column + 18] = 3
    classes[:2] = 0
    photo = LOOKS[classes] + random.normal(0, 12, (size, size, 3))
    photo[classes == 0] = random.integers(0, 256, 3)
    return np.clip(photo, 0, 255).astype(np.uint8), classes


@pytest.fixture(scope="session")
def unseen() -> tuple[np.ndarray, np.ndarray]:
    """Pairs that are in no split, cut to 32 px: photos ``[8, 32, 32, 3]`` and class numbers."""
    photos, classes = zip(*(draw_pair(seed) for seed in range(200, 208)), strict=True)
    return np.stack(photos)[:, 8:40, 8:40], np.stack(classes)[:, 8:40, 8:40]


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """A folder of pairs, 16 for train and 4 for val, 48 px, photo left; do not write to it."""
    folder = tmp_path_factory.mktemp("drawn")
    colors = np.array([entry["color"] for entry in PALETTE["classes"]], np.uint8)
    for split, seeds in (("train", range(16)), ("val", range(100, 104))):
        (folder / split).mkdir()
        for seed in seeds:
            photo, classes = draw_pair(seed)
            both = np.concatenate([photo, colors[classes]], axis=1)
            Image.fromarray(both).save(folder / split / f"{seed:03d}.png")
    return folder


@pytest.fixture(scope="session")
def drawn_palette(tmp_path_factory) -> Path:
    """The palette's file."""
    path = tmp_path_factory.mktemp("palette") / "drawn.json"
    path.write_text(json.dumps(PALETTE))
    return path


@pytest.fixture
def drawn_source(drawn, drawn_palette):
    """The data set, opened and checked."""
    source = open_labelled(Pix2PixConfig(dataset=str(drawn), label_palette=str(drawn_palette)))
    source.check()
    return source
