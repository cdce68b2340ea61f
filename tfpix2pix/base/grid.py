"""Pictures laid out in a grid to be looked at, and PNG files of them."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfpix2pix.base.files import write_bytes

_WHITE = 255
_INK = (32, 32, 32)

# === Arrays and PNG files ===


def to_rgb(images: np.ndarray) -> np.ndarray:
    """Makes pictures that a screen can show: uint8 `[..., C]` to uint8 `[..., 3]`.

    Grey (one channel) is repeated; of two channels the first is shown as grey;
    of four or more the first three are shown as red, green and blue.

    Raises:
      ValueError: `images` is not uint8 or has no channels.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise ValueError(f"Pictures must be uint8, not {images.dtype}.")
    if images.ndim < 3 or images.shape[-1] == 0:
        raise ValueError(f"Pictures must be [..., H, W, C], not {list(images.shape)}.")
    if images.shape[-1] >= 3:
        return images[..., :3]
    return np.repeat(images[..., :1], 3, axis=-1)


def encode_png(image: np.ndarray) -> bytes:
    """Encodes one picture, uint8 `[H, W]` or `[H, W, C]` with C of 1 to 4, as a PNG file."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise ValueError(f"Not a uint8 picture: {image.dtype} {list(image.shape)}.")
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def save_png(path: str | os.PathLike, image: np.ndarray) -> None:
    """Saves one picture, uint8 `[H, W]` or `[H, W, C]` with C of 1 to 4, never half-written.

    Raises:
      ValueError: `image` is not such a picture.
      OSError: the file cannot be written; an older one is then left as it was.
    """
    write_bytes(path, encode_png(image))


# === Grids ===


def picture_grid(
    columns: Sequence[np.ndarray], titles: Sequence[str] = (), gap: int = 4
) -> np.ndarray:
    """Lays pictures out in a grid on white: one column for each array, one row for each example.

    Args:
      columns: each uint8 `[N, H, W, C]`, with the same N and H; W and C may differ.
        How C becomes colour: see `to_rgb`.
      titles: one above each column, or none at all. A title wider than its column is
        set smaller, then cut.
      gap: white pixels between the pictures and around all of them.

    Returns:
      uint8 `[height, width, 3]`. Row i of column j starts `gap + i * (H + gap)` pixels below
      the title strip, and `gap` plus the widths and gaps of the columns before it from the left.

    Raises:
      ValueError: no columns, columns that do not fit together, or a wrong number of titles.
    """
    tiles = [to_rgb(column) for column in columns]
    if not tiles or any(tile.ndim != 4 for tile in tiles):
        raise ValueError("A grid needs at least one column, each [N, H, W, C].")
    if len({tile.shape[:2] for tile in tiles}) != 1:
        raise ValueError(f"Columns differ in N or H: {[list(tile.shape) for tile in tiles]}.")
    if titles and len(titles) != len(tiles):
        raise ValueError(f"{len(titles)} titles for {len(tiles)} columns.")

    rows, height = tiles[0].shape[:2]
    widths = [tile.shape[2] for tile in tiles]
    lefts = [gap + sum(widths[:j]) + gap * j for j in range(len(tiles))]
    strip = _title_strip(titles, lefts, widths, gap) if titles else None
    top = 0 if strip is None else strip.shape[0]

    grid = np.full(
        (top + gap + rows * (height + gap), gap + sum(widths) + gap * len(tiles), 3),
        _WHITE,
        np.uint8,
    )
    if strip is not None:
        grid[:top] = strip
    for tile, left, width in zip(tiles, lefts, widths, strict=True):
        for i in range(rows):
            y = top + gap + i * (height + gap)
            grid[y : y + height, left : left + width] = tile[i]
    return grid


def _title_strip(
    titles: Sequence[str], lefts: Sequence[int], widths: Sequence[int], gap: int
) -> np.ndarray:
    """White `[height, width, 3]` with each title centred above its column."""
    size = _font_size(titles, widths)
    font = ImageFont.load_default(size=size)
    height = round(size * 1.5)
    strip = np.full((height, lefts[-1] + widths[-1] + gap, 3), _WHITE, np.uint8)
    for title, left, width in zip(titles, lefts, widths, strict=True):
        # Drawn on a label of the column's own width, so that a long title is cut there.
        label = Image.new("RGB", (width, height), "white")
        ImageDraw.Draw(label).text((width / 2, height / 2), title, _INK, font=font, anchor="mm")
        strip[:, left : left + width] = np.asarray(label)
    return strip


def _font_size(titles: Sequence[str], widths: Sequence[int]) -> int:
    """The largest size, 8 to 28 pixels and in keeping with the columns, at which titles fit."""
    largest = max(8, min(28, min(widths) // 8 + 4))
    for size in range(largest, 8, -1):
        font = ImageFont.load_default(size=size)
        if all(font.getlength(t) <= w for t, w in zip(titles, widths, strict=True)):
            return size
    return 8
