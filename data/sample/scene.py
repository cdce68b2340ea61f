"""A scene: the parts of a facade in the unit square, y downwards, and their pixels."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

Span = tuple[float, float]


class Box(NamedTuple):
    """An axis-parallel part of the facade; `kind` is a key of `PALETTE`."""

    kind: str
    x: float
    y: float
    w: float
    h: float


@dataclasses.dataclass
class Scene:
    """A facade: its outline and its parts in painting order.

    The house covers the columns from `left` to `right`, from the roof line (a
    polyline `roof_x`, `roof_y`) down to `bottom`; the wall proper begins at `eaves`.
    """

    left: float
    right: float
    eaves: float
    bottom: float
    roof: str
    roof_x: list[float]
    roof_y: list[float]
    ground_top: float = 1.0
    boxes: list[Box] = dataclasses.field(default_factory=list)

    def add(self, kind: str, x0: float, y0: float, x1: float, y1: float) -> None:
        """Adds a part, cut to the picture; what lies outside of it is dropped."""
        x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, 1.0), min(y1, 1.0)
        if x1 > x0 and y1 > y0:
            self.boxes.append(Box(kind, x0, y0, x1 - x0, y1 - y0))


def pixel_slices(box: Box, n: int) -> tuple[slice, slice]:
    """Rows and columns of a box in an n x n image; empty below half a pixel."""
    x, y = round(box.x * n), round(box.y * n)
    return slice(y, y + round(box.h * n)), slice(x, x + round(box.w * n))


def house_mask(scene: Scene, n: int) -> np.ndarray:
    """bool [n, n]: true where the house stands."""
    centres = (np.arange(n) + 0.5) / n
    top = np.interp(centres, scene.roof_x, scene.roof_y, left=2.0, right=2.0)
    top[(centres < scene.left) | (centres > scene.right)] = 2.0
    return (centres[:, None] >= top[None]) & (centres[:, None] < scene.bottom)
