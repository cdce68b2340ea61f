"""Pictures laid out in a grid to be looked at, and PNG files of them."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfpix2pix.base.files import write_bytes

_WHITE = 255
_INK = (32, 32, 32)
# Pixels: of the longer side of a picture in a sheet, and of the sheet, about.
_LEAST_SHOWN, _MOST_SHOWN, _LONGEST = 128, 512, 8192

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


def encode_animation(frames: Sequence[np.ndarray], kind: str, duration: int = 80) -> bytes:
    """Encodes an animation that begins anew when it has ended.

    Args:
      frames: uint8 `[H, W, 3]`, all of one size.
      kind: `WEBP`, `GIF` (256 colours a frame) or `PNG`, as Pillow has them.
      duration: of a frame, milliseconds.
    """
    first, *rest = map(Image.fromarray, frames)
    buffer = io.BytesIO()
    options = {"quality": 90} if kind == "WEBP" else {}
    first.save(
        buffer, kind, save_all=True, append_images=rest, duration=duration, loop=0, **options
    )
    return buffer.getvalue()


# === Grids ===


def picture_grid(
    columns: Sequence[np.ndarray], titles: Sequence[str] = (), gap: int = 4, font_size: int = 0
) -> np.ndarray:
    """Lays pictures out in a grid on white: one column for each array, one row for each example.

    Args:
      columns: each uint8 `[N, H, W, C]`, with the same N and H; W and C may differ.
        How C becomes colour: see `to_rgb`.
      titles: one above each column, or none at all. A title wider than its column is
        set smaller, then cut.
      gap: white pixels between the pictures and around all of them.
      font_size: of the titles, pixels; 0 for the largest at which they fit.

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
    strip = None
    if titles:
        size = font_size or _font_size(titles, widths)
        strip = _title_strip(titles, lefts, widths, gap, size)
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


class Sheet:
    """Several answers to one input, titled, in one picture: the input at the left, the answers in
    rows beside it.

    Large pictures are shown smaller, tiny ones larger, so that titles can be read and a thousand
    answers make no picture that nobody can open.

    Args:
      shape: height and width of the pictures, pixels.
      count: how many answers there will be.
    """

    def __init__(self, shape: tuple[int, int], count: int) -> None:
        self._columns = columns_for(count, *shape)
        self._size = size_within(*shape, min(_MOST_SHOWN, _LONGEST // (self._columns + 1)))
        self._cells: list[tuple[str, np.ndarray]] = []

    def add(self, title: str, picture: np.ndarray) -> None:
        """The input first, then every answer, uint8 `[H, W, C]`; see `to_rgb`."""
        self._cells.append((title, shown_at(to_rgb(picture), self._size)))

    def picture(self) -> np.ndarray:
        """uint8 `[height, width, 3]`."""
        blank = "", np.full_like(self._cells[0][1], _WHITE)
        first, *answers = self._cells
        starts = range(0, len(answers), self._columns)
        rows = [[blank, *answers[start : start + self._columns]] for start in starts]
        rows[0][0] = first
        rows[-1] += [blank] * (self._columns + 1 - len(rows[-1]))
        width = first[1].shape[1]
        size = _font_size([title for title, _ in self._cells], [width] * len(self._cells))
        grids = [
            picture_grid([cell[None] for _, cell in row], [title for title, _ in row], 4, size)
            for row in rows
        ]
        return np.concatenate(grids)


def columns_for(count: int, height: int, width: int) -> int:
    """In how many columns so many pictures of a size are laid out: about half as wide again as
    high, with few places empty."""

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        shape = abs(math.log(columns * width / (1.5 * rows * height)))
        return shape + 2 * (rows * columns / count - 1)

    return min(range(1, count + 1), key=cost)


def size_within(height: int, width: int, longest: int) -> tuple[int, int]:
    """Height and width at which a picture is shown: its longer side is at most so many pixels, and
    a tiny picture whole times as large as it is."""
    longer = max(height, width)
    if longer < _LEAST_SHOWN:
        times = -(-_LEAST_SHOWN // longer)
        return height * times, width * times
    share = min(1.0, longest / longer)
    return max(1, round(height * share)), max(1, round(width * share))


def shown_at(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture uint8 `[H, W, 3]` at another height and width; its pixels stay sharp where it
    grows."""
    if image.shape[:2] == size:
        return image
    grows = size[0] > image.shape[0]
    how = Image.Resampling.NEAREST if grows else Image.Resampling.BOX
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size[::-1], how))


# === Titles ===


def _title_strip(
    titles: Sequence[str], lefts: Sequence[int], widths: Sequence[int], gap: int, size: int
) -> np.ndarray:
    """White `[height, width, 3]` with each title centred above its column."""
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
