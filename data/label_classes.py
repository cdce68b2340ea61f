"""The classes of label images: `Palette`, which turns colours and index values into class numbers.

Class numbers, 0 to K - 1, are what a network sees. Label images hold colours, which JPEG smears;
index maps hold values of their own. Where palettes come from is data/palette.py's matter.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_CLASSES = 256  # class numbers are uint8
MAX_INDEX = 65535  # index maps have 8 or 16 bits

# `Palette.covered` looks at flat places only: pixels whose 3x3 neighbourhood spans at most
# FLAT_RANGE levels in every channel. There JPEG leaves a label's colour nearly as it was, while at
# edges it smears: of all pixels of facades' label maps only 77 % lie within 24 of a colour. A wider
# reach for all pixels would not do: within 56 of one of the 29 Cityscapes colours lie 80 to 91 % of
# the pixels of photographs, and of facades' label maps 88 % with their own palette.
# What benchmarks/palette_coverage.py prints on ../shared/data (at most 400 images of a kind), in
# percent: the mean and the range over single images; * the right palette.
#                                        facades              camvid          cityscapes
#   facades labels           100.0 (99.7-100.0)*      0.0 (0.0-0.0)     25.1 (0.0-98.9)
#   facades photos                0.0 (0.0-0.0)     26.6 (0.5-74.3)     30.5 (0.2-76.4)
#   camvid labels                 0.0 (0.0-0.0) 100.0 (100.0-100.0)*   38.2 (12.5-67.8)
#   camvid photos                 0.0 (0.0-0.0)     10.9 (0.5-50.5)     20.9 (1.0-61.1)
#   aerial labels              59.8 (0.0-100.0)      7.8 (0.0-55.0)     21.1 (0.0-85.3)
#   aerial photos                 0.0 (0.0-0.0)      3.9 (0.0-32.5)     23.6 (0.7-72.6)
#   horse2zebra photos            0.0 (0.0-0.4)      7.9 (0.0-69.9)     20.8 (0.1-81.0)
#   sample labels           100.0 (100.0-100.0)*      0.0 (0.0-0.0)     26.4 (1.4-55.2)
#   sample labels, JPEG 75   100.0 (99.8-100.0)*      0.0 (0.0-0.0)     32.0 (1.1-68.0)
#   sample labels, JPEG 50    99.7 (98.8-100.0)*      0.0 (0.0-0.0)     34.7 (0.7-77.7)
#   sample photos                 0.0 (0.0-0.0)      4.2 (0.0-31.7)     15.8 (0.5-78.1)
# A single image may fit a wrong palette (background blue fills it); the mean over a set does not.
FLAT_RANGE = 16
COVER_DISTANCE = 24
# With fewer flat places than this (label maps of single pixels, tiny images) all pixels count.
MIN_FLAT_SHARE = 0.01

_SNAP_CHUNK = 1 << 14


@dataclass(frozen=True)
class LabelClass:
    """One class of a palette.

    Attributes:
      name: unique in its palette.
      color: RGB, 0-255.
      indices: the values that stand for it in index maps, the canonical one first.
      void: True for what an evaluation ignores (unlabelled, out of view).
    """

    name: str
    color: tuple[int, int, int]
    indices: tuple[int, ...]
    void: bool = False


@dataclass(frozen=True)
class Palette:
    """The classes of a label image, in order: class number k is ``classes[k]``.

    Immutable, hashable, and equal to a palette with the same name and classes.

    Args:
      name: what to call it in messages and files.
      classes: 2 to 256 of them.

    Raises:
      ValueError: too few or too many classes; a name, colour or index that two classes share; a
        colour or an index out of range.
    """

    name: str
    classes: tuple[LabelClass, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"{_count(self.classes)}; expected 2 to {MAX_CLASSES}")
        for label in self.classes:
            if len(label.color) != 3 or not all(0 <= v <= 255 for v in label.color):
                raise ValueError(bad_color(label.name, label.color))
            if not label.indices or not all(0 <= v <= MAX_INDEX for v in label.indices):
                raise ValueError(bad_index(label.name, label.indices))
        _refuse_twice("the name", [(repr(c.name), c.name) for c in self.classes])
        _refuse_twice("the color", [(str(list(c.color)), c.name) for c in self.classes])
        _refuse_twice("index", [(str(i), c.name) for c in self.classes for i in c.indices])

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def colors(self) -> np.ndarray:
        """uint8 ``[K, 3]``: RGB of every class."""
        return np.array(self._color_tuples, np.uint8)

    @property
    def void(self) -> np.ndarray:
        """bool ``[K]``: the classes that an evaluation ignores."""
        return np.array([label.void for label in self.classes])

    @property
    def without_void(self) -> Palette:
        """The classes that an evaluation counts; all, where these are fewer than two."""
        counted = tuple(label for label in self.classes if not label.void)
        return Palette(self.name, counted) if len(counted) > 1 else self

    @property
    def _color_tuples(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(label.color for label in self.classes)

    @property
    def _index_tuples(self) -> tuple[tuple[int, ...], ...]:
        return tuple(label.indices for label in self.classes)

    # === Colours ===

    def to_classes(self, rgb: np.ndarray) -> np.ndarray:
        """The class whose colour is nearest, by squared RGB distance; of equals the lower one.

        Colours that JPEG smeared snap back. Threads may call it at the same time.

        Args:
          rgb: uint8 ``[..., 3]``, usually ``[..., H, W, 3]``.

        Returns:
          uint8 ``[...]``, 0 to K - 1.

        Raises:
          ValueError: `rgb` is no such array.
        """
        rgb = _check_rgb(rgb)
        packed = rgb[..., 0].astype(np.uint32)
        for channel in (1, 2):
            packed <<= 8
            packed |= rgb[..., channel]
        # 0 is a colour not met before, k + 1 is class k. Two threads may fill in the same entries:
        # with the same values.
        table = _snap_table(self._color_tuples)
        found = table[packed]
        if not found.all():
            unknown = np.unique(packed[found == 0])
            table[unknown] = _nearest_class(unknown, self.colors) + 1
            found = table[packed]
        return (found - 1).astype(np.uint8)

    def to_colors(self, classes: np.ndarray) -> np.ndarray:
        """The colours of class numbers.

        Args:
          classes: integers ``[...]``, 0 to K - 1.

        Returns:
          uint8 ``[..., 3]``.

        Raises:
          ValueError: a number that is no class.
        """
        return self.colors[self._check_classes(classes)]

    def covered(self, rgb: np.ndarray) -> float:
        """How much of an image its flat places say is painted in this palette, 0 to 1.

        That is the share, among the pixels whose 3x3 neighbourhood spans at most `FLAT_RANGE`
        levels in every channel, of those within `COVER_DISTANCE` (Euclidean RGB) of a colour;
        edges, which JPEG and resizing blend, have no say. Where under `MIN_FLAT_SHARE` of the
        pixels are flat, all pixels count. The measurements beside these constants show the margin.

        Args:
          rgb: uint8 ``[..., H, W, 3]``; the pixels of several images count together.

        Raises:
          ValueError: `rgb` is no such array, or empty.
        """
        rgb = _check_rgb(rgb)
        if rgb.ndim < 3 or not rgb.size:
            raise ValueError(f"expected images [..., H, W, 3], got {rgb.shape}")
        judged = rgb.reshape(-1, 3)
        if rgb.shape[-3] >= 3 and rgb.shape[-2] >= 3:
            flat = _is_flat(rgb)
            if flat.mean() >= MIN_FLAT_SHARE:
                judged = rgb[..., 1:-1, 1:-1, :][flat]
        off = judged.astype(np.int32) - self.to_colors(self.to_classes(judged))
        return float(np.mean(np.einsum("nc,nc->n", off, off) <= COVER_DISTANCE**2))

    # === Index maps ===

    def knows_indices(self, values: np.ndarray) -> bool:
        """True if every value of an index map (integers ``[...]``) stands for a class."""
        return not self._unknown(_check_integers(values))

    def from_indices(self, values: np.ndarray) -> np.ndarray:
        """The class numbers of an index map.

        Args:
          values: integers ``[...]``, each one an index of a class.

        Returns:
          uint8 ``[...]``, 0 to K - 1.

        Raises:
          ValueError: values that stand for no class; names the first of them and the expected.
        """
        values = _check_integers(values)
        unknown = self._unknown(values)
        if unknown:
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            known = sorted(index for indices in self._index_tuples for index in indices)
            raise ValueError(
                f"{'index values' if len(unknown) > 1 else 'index value'} "
                f"{', '.join(map(str, unknown[:5]))}{more} not in the palette {self.name!r}; "
                f"expected {_ranges(known)}"
            )
        return _index_table(self._index_tuples)[values].astype(np.uint8)

    def to_indices(self, classes: np.ndarray) -> np.ndarray:
        """The index map of class numbers: each class as the first of its indices.

        Args:
          classes: integers ``[...]``, 0 to K - 1.

        Returns:
          ``[...]``; uint8 where the palette's canonical indices fit, else uint16.

        Raises:
          ValueError: a number that is no class.
        """
        canonical = [indices[0] for indices in self._index_tuples]
        dtype = np.uint8 if max(canonical) <= 255 else np.uint16
        return np.array(canonical, dtype)[self._check_classes(classes)]

    # === Files ===

    def to_json(self) -> str:
        """The palette as JSON text, one class a line; `load_palette` reads it from a file."""
        lines = []
        for label in self.classes:
            one = len(label.indices) == 1
            fields = {
                "name": label.name,
                "color": list(label.color),
                "index": label.indices[0] if one else list(label.indices),
                "void": label.void,
            }
            lines.append("    " + json.dumps(fields))
        joined = ",\n".join(lines)
        return f'{{\n  "name": {json.dumps(self.name)},\n  "classes": [\n{joined}\n  ]\n}}\n'

    # === Checks ===

    def _check_classes(self, classes: np.ndarray) -> np.ndarray:
        classes = _check_integers(classes)
        if classes.size and (classes.min() < 0 or classes.max() >= len(self)):
            raise ValueError(
                f"class numbers {classes.min()} to {classes.max()}; the palette {self.name!r} has "
                f"0 to {len(self) - 1}"
            )
        return classes

    def _unknown(self, values: np.ndarray) -> list[int]:
        """The values that stand for no class, each once, in ascending order."""
        table = _index_table(self._index_tuples)
        if not values.size or (
            values.min() >= 0 and values.max() < len(table) and table[values].min() >= 0
        ):
            return []
        found = [int(value) for value in np.unique(values)]
        return [v for v in found if not 0 <= v < len(table) or table[v] < 0]


# === Arrays ===


def _check_rgb(rgb: np.ndarray) -> np.ndarray:
    rgb = np.asarray(rgb)
    if rgb.dtype != np.uint8 or rgb.ndim < 1 or rgb.shape[-1] != 3:
        raise ValueError(f"expected uint8 [..., 3], got {rgb.dtype} {list(rgb.shape)}")
    return rgb


def _check_integers(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"expected integers, got {values.dtype}")
    return values


@functools.lru_cache(maxsize=4)
def _snap_table(colors: tuple[tuple[int, int, int], ...]) -> np.ndarray:
    """For every RGB colour, packed to 24 bits, its class + 1; zeros, filled as colours are met.

    32 MiB of address space, of which the system lends only what is written. Kept outside the
    palettes, so that these stay small to copy and pickle.
    """
    del colors  # the key
    return np.zeros(1 << 24, np.uint16)


def _nearest_class(packed: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """uint16 [N]: the nearest class of each packed colour."""
    # |p - c|^2 without |p|^2, which all classes share. Whole numbers below 2^24: float32 is exact.
    centres = colors.astype(np.float32)
    squares = (centres * centres).sum(axis=-1)
    nearest = np.empty(len(packed), np.uint16)
    for start in range(0, len(packed), _SNAP_CHUNK):
        part = packed[start : start + _SNAP_CHUNK]
        rgb = np.stack([part >> 16, part >> 8 & 255, part & 255], axis=-1).astype(np.float32)
        scores = squares - 2 * (rgb @ centres.T)
        nearest[start : start + _SNAP_CHUNK] = scores.argmin(axis=-1)  # the first of equals
    return nearest


def _is_flat(rgb: np.ndarray) -> np.ndarray:
    """bool [..., H - 2, W - 2]: inner pixels whose 3x3 neighbourhood hardly varies."""
    high = np.maximum(np.maximum(rgb[..., :-2, :, :], rgb[..., 1:-1, :, :]), rgb[..., 2:, :, :])
    low = np.minimum(np.minimum(rgb[..., :-2, :, :], rgb[..., 1:-1, :, :]), rgb[..., 2:, :, :])
    high = np.maximum(np.maximum(high[..., :-2, :], high[..., 1:-1, :]), high[..., 2:, :])
    low = np.minimum(np.minimum(low[..., :-2, :], low[..., 1:-1, :]), low[..., 2:, :])
    even = (high - low) <= FLAT_RANGE
    return even[..., 0] & even[..., 1] & even[..., 2]


@functools.lru_cache(maxsize=16)
def _index_table(indices: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """int16: for every index value its class, -1 where there is none."""
    table = np.full(max(map(max, indices)) + 1, -1, np.int16)
    for number, values in enumerate(indices):
        table[list(values)] = number
    return table


def _ranges(values: list[int]) -> str:
    """Ascending whole numbers in short: 0-3, 7, 9-11."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in runs)


# === Messages ===


def _refuse_twice(what: str, owners: list[tuple[str, str]]) -> None:
    """Raises where two classes own the same thing; `owners` holds (thing, class name) pairs."""
    first: dict[str, str] = {}
    for thing, owner in owners:
        if thing in first:
            raise ValueError(
                f"{what} {thing} stands for {first[thing]!r} and again for {owner!r}; each may "
                "stand for one class only"
            )
        first[thing] = owner


def bad_color(name: str, color: Any) -> str:
    color = list(color) if isinstance(color, tuple) else color
    return (
        f"class {name!r} has the color {shown(color)}; expected three whole numbers 0-255 or "
        "'#rrggbb'"
    )


def bad_index(name: str, index: Any) -> str:
    if isinstance(index, tuple):
        index = index[0] if len(index) == 1 else list(index)
    return (
        f"class {name!r} has the index {shown(index)}; expected a whole number 0-{MAX_INDEX}, or "
        "a list of them"
    )


def _count(classes: tuple[LabelClass, ...]) -> str:
    count = len(classes)
    return f"{count or 'no'} {'class' if count == 1 else 'classes'}"


def shown(value: Any, limit: int = 60) -> str:
    """A JSON value as the user wrote it, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= limit else text[:limit] + "..."
