"""Pictures of a run: grids for people, and the strips that hold a step's outputs.

Two kinds of file live in a workdir's `samples/`. `step_00001000.png` is a
*strip*, the store: the generator's outputs for the N fixed pairs at step 1000,
bit for bit, one under the other. `grid_00001000.png` is a *grid*, made from a
strip and `fixed.npz` to be looked at: input, output and target side by side.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tfpix2pix.base.archives import load_arrays
from tfpix2pix.base.grid import picture_grid, save_png

_LARGEST = 4 << 30  # bytes of the fixed pairs, unpacked
_BACK = "back"  # so begin the names of columns that are made of the target
_STRIP_NAME = re.compile(r"step_(\d+)(?:_([a-z]\w*))?\.png")


@dataclass(frozen=True)
class FixedPairs:
    """The pairs a run shows at every look.

    Attributes:
      x: inputs, uint8 `[N, H, W, C_in]`.
      y: targets, uint8 `[N, H, W, C_out]`.
      names: one name for each pair.
      names_y: of images that are no pairs, one name for each y; else None.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    names_y: tuple[str, ...] | None = None

    @property
    def paired(self) -> bool:
        """Whether y are the targets of x."""
        return self.names_y is None

    def __len__(self) -> int:
        """N, the number of pairs."""
        return len(self.names)


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


def strip_path(workdir: str | os.PathLike, step: int, column: str = "") -> Path:
    """Where a workdir keeps the outputs of `step`: `samples/step_00001000.png`.

    Further columns of the grid stand beside it: `samples/step_00001000_again.png`.
    """
    return Path(workdir, "samples", f"step_{step:08d}{column and '_' + column}.png")


def save_strips(workdir: str | os.PathLike, step: int, pictures: Mapping[str, np.ndarray]) -> None:
    """Stores the generated columns of a step's grid; see `save_strip`.

    Args:
      workdir: the run.
      step: the training step.
      pictures: uint8 `[N, H, W, C]` by the name of their column, of letters and digits. The first
        are the outputs, whatever their name.
    """
    for place, (name, images) in enumerate(pictures.items()):
        save_strip(strip_path(workdir, step, name if place else ""), images)


def sample_steps(workdir: str | os.PathLike) -> list[int]:
    """The steps whose outputs the workdir holds, in order; empty when there are none."""
    names = (path.name for path in Path(workdir, "samples").glob("step_*.png"))
    found = (match for name in names if (match := _STRIP_NAME.fullmatch(name)))
    return sorted({int(match[1]) for match in found if not match[2]})


def further_columns(workdir: str | os.PathLike, step: int) -> list[str]:
    """Names of the columns that `step` has besides its outputs."""
    names = (path.name for path in Path(workdir, "samples").glob(f"step_{step:08d}_*.png"))
    return sorted(match[2] for name in names if (match := _STRIP_NAME.fullmatch(name)))


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
            of_y = arrays.get("names_y")
            names_y = None if of_y is None else tuple(str(name) for name in of_y)
        except Exception as error:  # A damaged archive raises a dozen kinds of error.
            raise ValueError(f"{path.name} cannot be read: {error}") from error
    fits = all(a.ndim == 4 and a.dtype == np.uint8 and len(a) == len(names) > 0 for a in (x, y))
    fits = fits and (names_y is None or len(names_y) == len(names))
    if not fits or x.shape[:3] != y.shape[:3]:
        raise ValueError(f"{path.name}: x {x.shape}, y {y.shape} and {len(names)} names.")
    return FixedPairs(x, y, names, names_y)


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
    """The fixed pairs at `step`: input | output | (further columns) | target | (what is made of
    the target, by names that begin with ``back``). Of a run that learned both ways the columns
    are called by the sides, A and B.

    Returns:
      uint8 `[height, width, 3]`.

    Raises:
      OSError: the workdir has no outputs of this step, or no fixed pairs.
      ValueError: they do not fit together.
    """
    fixed = load_fixed(workdir)
    outputs = load_outputs(workdir, step, fixed)
    there, back = load_further(workdir, step, fixed)
    words = Words.of(workdir, bool(back))
    columns = {words.x: fixed.x, f"{words.there}, step {step:,}": outputs}
    columns |= {words.column(name): of for name, of in there.items()}
    columns |= {words.y: fixed.y}
    columns |= {words.column(name): of for name, of in back.items()}
    return picture_grid(list(columns.values()), list(columns))


def load_further(
    workdir: str | os.PathLike, step: int, fixed: FixedPairs
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The columns of a step besides its outputs, uint8 `[N, H, W, C]` by name: those that are made
    of the inputs, and those that are made of the targets, the picture before what comes back of it.

    Raises:
      OSError: one is no picture.
      ValueError: one is not of so many pairs.
    """
    made = {
        name: load_strip(strip_path(workdir, step, name), len(fixed))
        for name in further_columns(workdir, step)
    }
    back = {name: of for name, of in made.items() if name.startswith(_BACK)}
    return {name: of for name, of in made.items() if name not in back}, back


@dataclass(frozen=True)
class Words:
    """What the pictures of a grid are called.

    Attributes:
      x, y: images of both sides.
      there, back: what is made of x, and of y.
      x_again, y_again: what is made of that.
    """

    x: str = "input"
    there: str = "output"
    x_again: str = "input again"
    y: str = "target"
    back: str = "output, back"
    y_again: str = "target again"

    @classmethod
    def of(cls, workdir: str | os.PathLike, two_ways: bool) -> Words:
        """Those of a run, of which each side is an input where it learned both ways."""
        if not two_ways:
            return cls()
        try:
            config = json.loads(Path(workdir, "config.json").read_text(encoding="utf-8"))
            direction = config["direction"]
        except (OSError, ValueError, KeyError, TypeError):
            direction = "AtoB"
        x, y = ("B", "A") if direction == "BtoA" else ("A", "B")
        return cls(x, f"{x} to {y}", f"{x} again", y, f"{y} to {x}", f"{y} again")

    def column(self, name: str) -> str:
        """What a further column is called: its name in words, where nothing better is known."""
        known = {"again": self.x_again, "back": self.back, "back_again": self.y_again}
        return known.get(name, name.replace("_", " "))


def write_sample_grid(workdir: str | os.PathLike, step: int) -> Path:
    """Saves `grid_for_step` as `samples/grid_00001000.png`, and returns its path."""
    path = Path(workdir, "samples", f"grid_{step:08d}.png")
    save_png(path, grid_for_step(workdir, step))
    return path


def write_summary_picture(
    workdir: str | os.PathLike, path: str | os.PathLike, rows: int | Sequence[int] = 4
) -> Path:
    """Saves one grid of the latest step, input | output | target, such as for a README; of images
    that are no pairs without the last.

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
    columns = {"input": fixed.x, "output": outputs, **({"target": fixed.y} if fixed.paired else {})}
    pictures = [images[chosen] for images in columns.values()]
    save_png(path, picture_grid(pictures, list(columns)))
    return Path(path)
