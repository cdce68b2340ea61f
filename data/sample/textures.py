"""Textures, made once per resolution."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image


@functools.lru_cache(maxsize=32)
def noise(variant: int, n: int, coarse: int, fine: int, stretch: int = 1) -> np.ndarray:
    """float32 [m, m], m = 1.25 n: smooth noise of zero mean and unit deviation.

    Octaves from `coarse` to `fine` cells per n pixels; `stretch` draws it out
    vertically, as rain does.
    """
    rng = np.random.Generator(np.random.Philox(variant))
    m = n + n // 4
    total = np.zeros((m, m), np.float32)
    cells, weight = coarse, 1.0
    while cells <= fine:
        grid = rng.random((max(2, cells // stretch), cells), np.float32) - 0.5
        total += weight * np.asarray(Image.fromarray(grid).resize((m, m), Image.Resampling.BICUBIC))
        cells, weight = cells * 2, weight * 0.6
    total -= total.mean()
    return total / total.std()


@functools.lru_cache(maxsize=32)
def masonry(
    variant: int, n: int, rows: int, aspect: float, joint: float
) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and joint mask, float32 [m, m], m = 1.25 n, of coursed bricks or blocks."""
    rng = np.random.Generator(np.random.Philox(variant))
    m = 2 * (n + n // 4)
    y = np.arange(m) * (rows / (2 * n))
    row = y.astype(int)
    x = np.arange(m) * (rows / (2 * n * aspect)) + 0.5 * (row[:, None] % 2)
    column = x.astype(int)
    bricks = rng.normal(1.0, 0.09, (row.max() + 1, column.max() + 1)).astype(np.float32)
    joints = ((y - row)[:, None] < joint) | (x - column < joint / aspect)
    halve = [
        Image.fromarray(a).reduce(2)
        for a in (bricks[row[:, None], column], joints.astype(np.float32))
    ]
    return np.array(halve[0]), np.array(halve[1])


@functools.lru_cache(maxsize=16)
def boards(n: int, rows: int, depth: float) -> np.ndarray:
    """float32 [m, m], m = 1.25 n: lapped rows, as clapboard and roof tiles are."""
    y = np.arange(n + n // 4) * (rows / n)
    lap = 1 + depth * (0.5 - y % 1.0)
    return np.repeat(lap[:, None], len(y), 1).astype(np.float32)


@functools.cache
def camera_grain() -> np.ndarray:
    """float32 [512, 512, 3]: camera noise of unit deviation, grey with a little colour."""
    rng = np.random.Generator(np.random.Philox(9))
    grey = rng.standard_normal((512, 512, 1), np.float32)
    return 0.9 * grey + 0.4 * rng.standard_normal((512, 512, 3), np.float32)


def crop(texture: np.ndarray, n: int, u: float, v: float) -> np.ndarray:
    """The n x n piece of a 1.25 n texture at the relative offset (u, v)."""
    y, x = int(u * (n // 4)), int(v * (n // 4))
    return texture[y : y + n, x : x + n]
