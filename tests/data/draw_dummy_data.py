"""Draws the builders' dummy data: ``python tests/data/draw_dummy_data.py``.

Tiny pairs in the form of each archive, with nothing of the real sets in them: the left half is
reddish, the right half bluish, with a few rectangles, different in every file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

BUILDERS = Path(__file__).resolve().parents[2] / "data" / "sources" / "builders"
HEIGHT, WIDTH = 16, 16  # of one half, in pixels
LEFT, RIGHT = (200, 60, 60), (60, 60, 200)

COUNTS = {
    "facades": {"train": 3, "val": 2, "test": 1},
    "maps": {"train": 3, "val": 2},
    "edges2shoes": {"train": 3, "val": 2},
    "edges2handbags": {"train": 3, "val": 2},
    "night2day": {"train": 3, "val": 2, "test": 1},
    "cityscapes": {"train": 3, "val": 2},
}


def half(dice: np.random.Generator, base: tuple[int, int, int]) -> np.ndarray:
    """uint8 ``[16, 16, 3]``: `base` with three rectangles up to 40 levels away from it."""
    image = np.full((HEIGHT, WIDTH, 3), base, np.int16)
    for _ in range(3):
        top, left = dice.integers(0, HEIGHT - 4, 2)
        image[top : top + 4, left : left + 4] += dice.integers(-40, 41)
    return image.astype(np.uint8)


def draw(builders: Path = BUILDERS) -> None:
    """Writes ``NAME/dummy_data/`` for every set."""
    for number, (name, counts) in enumerate(COUNTS.items()):
        dice = np.random.default_rng(number)
        for split, count in counts.items():
            for index in range(1, count + 1):
                left, right = half(dice, LEFT), half(dice, RIGHT)
                folder = builders / name / "dummy_data"
                if name == "cityscapes":
                    stem = f"drawn_{index:06d}_000019"
                    for kind, end, image in (
                        ("leftImg8bit", "leftImg8bit", left),
                        ("gtFine", "gtFine_color", right),
                    ):
                        save(folder / kind / split / "drawn" / f"{stem}_{end}.png", image)
                else:
                    both = np.concatenate([left, right], axis=1)
                    save(folder / name / split / f"{index}.jpg", both)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 90, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(image).save(path, optimize=True, **options)


if __name__ == "__main__":
    draw()
