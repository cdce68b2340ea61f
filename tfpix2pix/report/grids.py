"""Pictures of a run: grids for people, and the strips that hold a step's outputs.

Two kinds of file live in a workdir's `samples/`. `step_00001000.png` is a
*strip*, the store: the generator's outputs for the N fixed pairs at step 1000,
bit for bit, one under the other. `grid_00001000.png` is a *grid*, made from a
strip and `fixed.npz` to be looked at: input, output and target side by side.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfpix2pix.archives import load_arrays
from tfpix2pix.files import write_bytes

_LARGEST = 4 << 30  # bytes of the fixed pairs, unpacked
_WHITE = 255
_INK = (32, 32, 32)
_STRIP_NAME = re.compile(r"step_(\d+)\.png")


@dataclass(frozen=True)
class FixedPairs:
    """The pairs a run shows at every look.

    Attributes:
      x: inputs, uint8 `[N, H, W, C_in]`.
      y: targets, uint8 `[N, H, W, C_out]`.
      names: one name for each pair.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        """N, the number of pairs."""
        return len(self.names)


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


# === Strips: a step's outputs as they are stored ===


def save_strip(path: str | os.PathLike, images: np.ndarray) -> None:
    """Stores pictures one under the other, without gaps, in one PNG file, never half-written.

    Args:
      path: where to; the folder must exist.
      images: uint8 `[N, H, W, C]`. With C of 1 to 4 they are kept bit for bit; of more
        channels the first three are kept, for a PNG file cannot hold them.

    Raises:
      ValueError: `images` is not such an array, or N is 0.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[0] == 0:
        raise ValueError(f"A strip needs [N, H, W, C] with N > 0, not {list(images.shape)}.")
    n, height, width, channels = images.shape
    if channels > 4:
        images, channels = images[..., :3], 3
    save_png(path, images.reshape(n * height, width, channels))


def load_strip(path: str | os.PathLike, n: int) -> np.ndarray:
    """Reads what `save_strip` stored: uint8 `[n, H, W, C]`.

    Raises:
      OSError: there is no such file, or it is no picture.
      ValueError: the picture's height is not a multiple of `n`.
    """
    with Image.open(path) as picture:
        strip = np.array(picture)
    if strip.ndim == 2:
        strip = strip[..., np.newaxis]
    if n < 1 or strip.shape[0] % n:
        raise ValueError(f"{path}: a strip of height {strip.shape[0]} does not hold {n} pictures.")
    return strip.reshape(n, strip.shape[0] // n, *strip.shape[1:])


# === Samples of a workdir ===


def strip_path(workdir: str | os.PathLike, step: int) -> Path:
    """Where a workdir keeps the outputs of `step`: `samples/step_00001000.png`."""
    return Path(workdir, "samples", f"step_{step:08d}.png")


def sample_steps(workdir: str | os.PathLike) -> list[int]:
    """The steps whose outputs the workdir holds, in order; empty when there are none."""
    names = (path.name for path in Path(workdir, "samples").glob("step_*.png"))
    return sorted({int(match[1]) for name in names if (match := _STRIP_NAME.fullmatch(name))})


def load_fixed(workdir: str | os.PathLike) -> FixedPairs:
    """Reads `samples/fixed.npz`: arrays `x` and `y`, uint8 `[N, H, W, C]`, and `names` `[N]`.

    Raises:
      OSError: there is no such file.
      ValueError: it does not hold these arrays, or they do not fit together.
    """
    path = Path(workdir, "samples", "fixed.npz")
    with open(path, "rb") as file:
        try:
            arrays = load_arrays(file, _LARGEST)
            x, y = arrays["x"], arrays["y"]
            names = tuple(str(name) for name in arrays["names"])
        except Exception as error:  # A damaged archive raises a dozen kinds of error.
            raise ValueError(f"{path.name} cannot be read: {error}") from error
    fits = all(a.ndim == 4 and a.dtype == np.uint8 and len(a) == len(names) > 0 for a in (x, y))
    if not fits or x.shape[:3] != y.shape[:3]:
        raise ValueError(f"{path.name}: x {x.shape}, y {y.shape} and {len(names)} names.")
    return FixedPairs(x, y, names)


def load_outputs(workdir: str | os.PathLike, step: int, fixed: FixedPairs) -> np.ndarray:
    """Reads the outputs of `step` for the fixed pairs: uint8 `[N, H, W, C_out]`.

    Raises:
      OSError: there is no strip of this step.
      ValueError: the strip's pictures are not of the fixed pairs' size.
    """
    path = strip_path(workdir, step)
    outputs = load_strip(path, len(fixed))
    if outputs.shape[:3] != fixed.y.shape[:3]:
        raise ValueError(f"{path.name} holds {outputs.shape}, the targets are {fixed.y.shape}.")
    return outputs


def grid_for_step(workdir: str | os.PathLike, step: int) -> np.ndarray:
    """The fixed pairs at `step`, input | output | target: uint8 `[height, width, 3]`.

    Raises:
      OSError: the workdir has no outputs of this step, or no fixed pairs.
      ValueError: they do not fit together.
    """
    fixed = load_fixed(workdir)
    outputs = load_outputs(workdir, step, fixed)
    return picture_grid([fixed.x, outputs, fixed.y], ["input", f"output, step {step:,}", "target"])


def write_sample_grid(workdir: str | os.PathLike, step: int) -> Path:
    """Saves `grid_for_step` as `samples/grid_00001000.png`, and returns its path."""
    path = Path(workdir, "samples", f"grid_{step:08d}.png")
    save_png(path, grid_for_step(workdir, step))
    return path


def write_summary_picture(
    workdir: str | os.PathLike, path: str | os.PathLike, rows: int | Sequence[int] = 4
) -> Path:
    """Saves one grid of the latest step, input | output | target, such as for a README.

    Args:
      workdir: the run.
      path: the PNG file to write; its folder must exist.
      rows: how many of the fixed pairs, from the first; or which, by index.

    Returns:
      `path`.

    Raises:
      OSError: the workdir has no samples yet.
      IndexError: `rows` names a pair that does not exist.
    """
    steps = sample_steps(workdir)
    if not steps:
        raise FileNotFoundError(f"No sample pictures in {os.fspath(workdir)} yet.")
    fixed = load_fixed(workdir)
    outputs = load_outputs(workdir, steps[-1], fixed)
    chosen = list(range(min(rows, len(fixed))) if isinstance(rows, int) else rows)
    columns = [images[chosen] for images in (fixed.x, outputs, fixed.y)]
    save_png(path, picture_grid(columns, ["input", "output", "target"]))
    return Path(path)
