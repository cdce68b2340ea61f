"""OUTPUT/preview.png: a few of the made pairs to look at before training on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tfpix2pix.base.grid import picture_grid
from tfpix2pix.data.check.previews import file_picture
from tfpix2pix.data.images import write_image
from tfpix2pix.data.layouts.pair_files import PairFiles, read_pair

NAME = "preview.png"
ROWS, MAX_SIDE = 4, 256


def write_preview(output: Path, pairs: Sequence[PairFiles], titles: tuple[str, str]) -> None:
    """Writes a grid of up to eight pairs, evenly spread over the list.

    Args:
      output: the folder that gets ``preview.png``.
      pairs: at least one.
      titles: above A and above B.
    """
    chosen = [pairs[i * len(pairs) // (2 * ROWS)] for i in range(2 * ROWS)]
    halves = [[*map(file_picture, read_pair(pair))] for pair in dict.fromkeys(chosen)]
    side = min(MAX_SIDE, max(max(a.shape[:2]) for a, _ in halves))
    tiles = [np.stack([_tile(half, side) for half in pair]) for pair in halves]
    blocks = -(-len(tiles) // ROWS)
    rows = -(-len(tiles) // blocks)
    tiles += [np.full_like(tiles[0], 255)] * (rows * blocks - len(tiles))
    columns = [
        np.stack([tile[half] for tile in tiles[block * rows : (block + 1) * rows]])
        for block in range(blocks)
        for half in (0, 1)
    ]
    write_image(output / NAME, picture_grid(columns, titles * blocks))


def _tile(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture inside a white square; larger ones are reduced, smaller ones stay as they are."""
    image = Image.fromarray(picture)
    if max(image.size) > side:
        image = ImageOps.contain(image, (side, side), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(square)
