"""Label images of a palette of their own."""

from __future__ import annotations

import numpy as np

MINE = ((10, 20, 30), (200, 40, 90), (250, 250, 240), (90, 160, 20))


def painted(seed: int, colors, size: int = 48, block: int = 12) -> np.ndarray:
    """A label image of square blocks; every colour stands somewhere."""
    cells = (size // block) ** 2
    dice = np.random.default_rng(seed)
    chosen = np.concatenate([np.arange(len(colors)), dice.integers(0, len(colors), cells)])[:cells]
    dice.shuffle(chosen)
    blocks = np.array(colors, np.uint8)[chosen].reshape(size // block, size // block, 3)
    return blocks.repeat(block, axis=0).repeat(block, axis=1)
