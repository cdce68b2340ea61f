"""Finds out from some images whether one side of the pairs is label maps, and in which colours.

What is found is a suggestion: training reads labels only where ``--label_palette`` names them.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfpix2pix.data import images
from tfpix2pix.data.label_classes import COVER_DISTANCE
from tfpix2pix.data.palette import BUILTIN, LabelClass, Palette, load_palette
from tfpix2pix.data.spec import LEAST_COVERED

# More colours than this are no labels that a person painted.
MOST_COLORS = 64
# In label images most pixels equal their neighbours, even after JPEG; in photographs few do.
LEAST_FLAT = 0.5
LEAST_KNOWN = 0.95  # share of the flat pixels that the colours found have to explain
# ... and of all pixels: pictures of things on a white ground are flat too, but not painted.
LEAST_KNOWN_OF_ALL = 0.7
LEAST_SHARE = 0.0005  # of the flat pixels; what is rarer is a stain, not a class


@dataclasses.dataclass(frozen=True)
class FoundColor:
    """A colour (RGB 0-255), or in index maps the value three times, and its share of the pixels."""

    rgb: tuple[int, int, int]
    share: float

    @property
    def hex(self) -> str:
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)


@dataclasses.dataclass(frozen=True)
class FoundPalette:
    """What one side of the pairs seems to be painted in.

    Attributes:
      builtin: names of the built-in palettes that explain it, the best first.
      covered: the share of flat pixels that the first of them explains; 1.0 for index maps.
      colors: the colours found where no built-in palette fits; for index maps always.
      indices: the images are grey and hold class numbers.
      exact: `colors` are those that were painted, not what JPEG made of them.
    """

    builtin: tuple[str, ...] = ()
    covered: float = 0.0
    colors: tuple[FoundColor, ...] = ()
    indices: bool = False
    exact: bool = False

    def palette(self, name: str = "found") -> Palette | None:
        """A palette of the colours found, their classes numbered; None if they make none.

        Only exact colours make one: what JPEG smeared is near its colour, not the colour.
        """
        if not self.exact or not 2 <= len(self.colors) <= MOST_COLORS:
            return None
        rgb = sorted(color.rgb for color in self.colors)
        classes = (
            LabelClass(f"class_{k}", c, (c[0] if self.indices else k,)) for k, c in enumerate(rgb)
        )
        return Palette(name, tuple(classes))

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "builtin": list(self.builtin),
            "covered": round(self.covered, 4),
            "indices": self.indices,
            "exact": self.exact,
            "colors": [{"color": c.hex, "share": round(c.share, 6)} for c in self.colors],
        }


def find_palette(
    pictures: Sequence[images.Decoded], more: Iterable[images.Decoded] = (), *, lossless: bool
) -> FoundPalette | None:
    """What the pictures are painted in, if they look like labels.

    Args:
      pictures: some images of one side, as decoded.
      more: others, over which colours are counted once some were found; read only then.
      lossless: the files hold the pixels that were painted.
    """
    if not pictures:
        return None
    if all(_is_grey(picture) for picture in pictures):
        return _in_grey(pictures, more) if lossless else None
    if not all(_is_rgb(picture) for picture in pictures):
        return None
    rgb = [_colours(picture, 3) for picture in pictures]
    shares = {name: _mean_covered(load_palette(name), rgb) for name in BUILTIN}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] >= LEAST_COVERED:
        return FoundPalette((best,), shares[best])
    further = (_colours(picture, 3) for picture in more if _is_rgb(picture))
    if lossless and _exact_colors(rgb) is not None:
        exact = _exact_colors(itertools.chain(rgb, further))
        if exact is not None:
            return exact
    return _near_colors(rgb, further, lossless)


def _mean_covered(palette: Palette, arrays: Sequence[np.ndarray]) -> float:
    """Mean share that a palette explains; 0 as soon as it cannot be `LEAST_COVERED` any more."""
    missed = 0.0
    for array in arrays:
        missed += 1 - palette.covered(array)
        if missed > (1 - LEAST_COVERED) * len(arrays):
            return 0.0
    return 1 - missed / len(arrays)


def _colours(picture: images.Decoded, channels: int) -> np.ndarray:
    return images.fit_channels(picture.array, picture.has_alpha, channels)


def _is_grey(picture: images.Decoded) -> bool:
    grey = picture.array.shape[-1] - picture.has_alpha == 1
    return grey and picture.array.dtype == np.uint8


def _is_rgb(picture: images.Decoded) -> bool:
    return picture.array.dtype == np.uint8 and picture.array.shape[-1] - picture.has_alpha in (1, 3)


def _in_grey(
    pictures: Sequence[images.Decoded], more: Iterable[images.Decoded]
) -> FoundPalette | None:
    """Index maps: grey images of few values."""
    grey = [_colours(picture, 1) for picture in pictures]
    if _exact_colors(grey) is None:
        return None
    further = (_colours(picture, 1) for picture in more if _is_grey(picture))
    found = _exact_colors(itertools.chain(grey, further))
    if found is None:
        return None
    values = np.array([color.rgb[0] for color in found.colors], np.uint8)
    known: tuple[str, ...] = ()
    if len(values) > 2:  # 0 and 1 are a mask of any kind
        palettes = [load_palette(name) for name in BUILTIN]
        known = tuple(p.name for p in sorted(palettes, key=len) if p.knows_indices(values))
    return dataclasses.replace(found, builtin=known, covered=float(bool(known)), indices=True)


def _exact_colors(arrays: Iterable[np.ndarray]) -> FoundPalette | None:
    """The colours of all pixels, if they are few: uint8 ``[H, W, 1 or 3]`` each."""
    counts: dict[int, int] = {}
    for array in arrays:
        for color, count in zip(*_count(array.reshape(-1, array.shape[-1])), strict=True):
            counts[color] = counts.get(color, 0) + count
        if len(counts) > MOST_COLORS:
            return None
    if len(counts) < 2:
        return None
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    colors = tuple(FoundColor(_unpacked(color), count / total) for color, count in ordered)
    return FoundPalette(colors=colors, exact=True)


def _near_colors(
    arrays: Sequence[np.ndarray], more: Iterable[np.ndarray], lossless: bool
) -> FoundPalette | None:
    """The colours of flat places, each with what lies near it, if they are few."""
    pixels = sum((array.shape[0] - 1) * (array.shape[1] - 1) for array in arrays)
    counts = _count_flat(arrays)
    if counts.total() < max(1, LEAST_FLAT * pixels):
        return None
    colors = _centres(counts)
    if colors is None or _share_near(arrays, colors) < LEAST_KNOWN_OF_ALL:
        return None
    counts += _count_flat(more)
    colors = _centres(counts) or colors
    same = sum(counts[_packed(color.rgb)] for color in colors)
    return FoundPalette(colors=colors, exact=lossless and same >= LEAST_KNOWN * counts.total())


def _count_flat(arrays: Iterable[np.ndarray]) -> Counter[int]:
    """How often each colour occurs where a pixel is like those below and to the right of it."""
    counts: Counter[int] = Counter()
    for array in arrays:
        flat = array[:-1, :-1][_equals_neighbours(array)]
        counts.update(dict(zip(*_count(flat), strict=True)))
    return counts


def _centres(counts: Counter[int]) -> tuple[FoundColor, ...] | None:
    """The most frequent colours, each with what is near; None unless a few explain nearly all."""
    centres: np.ndarray = np.empty((0, 3), np.int32)
    weights: list[int] = []
    for color, count in counts.most_common():
        rgb = np.array(_unpacked(color), np.int32)
        near = ((centres - rgb) ** 2).sum(axis=1)
        if len(weights) and near.min() <= COVER_DISTANCE**2:
            weights[int(near.argmin())] += count
        elif len(weights) < 4 * MOST_COLORS:
            centres = np.vstack([centres, rgb])
            weights.append(count)
    shares = np.array(weights) / counts.total()
    kept = shares >= LEAST_SHARE
    if not 2 <= kept.sum() <= MOST_COLORS or shares[kept].sum() < LEAST_KNOWN:
        return None
    found = [
        FoundColor((r, g, b), share)
        for (r, g, b), share in zip(centres[kept].tolist(), shares[kept].tolist(), strict=True)
    ]
    return tuple(sorted(found, key=lambda color: -color.share))


def _equals_neighbours(array: np.ndarray) -> np.ndarray:
    """bool ``[H - 1, W - 1]``: the pixel below and the one to the right are the same."""
    here = array[:-1, :-1]
    return (here == array[1:, :-1]).all(axis=-1) & (here == array[:-1, 1:]).all(axis=-1)


def _share_near(arrays: Sequence[np.ndarray], colors: Sequence[FoundColor]) -> float:
    """The share of all pixels that are near one of the colours."""
    palette = Palette("near", tuple(LabelClass(c.hex, c.rgb, (k,)) for k, c in enumerate(colors)))
    shares = []
    for array in arrays:
        off = array.astype(np.int32) - palette.to_colors(palette.to_classes(array))
        shares.append(((off**2).sum(axis=-1) <= COVER_DISTANCE**2).mean())
    return float(np.mean(shares))


def _count(pixels: np.ndarray) -> tuple[list[int], list[int]]:
    """The colours of uint8 ``[N, 1 or 3]``, packed to 24 bits, and how often each occurs."""
    rgb = np.broadcast_to(pixels, (len(pixels), 3)).astype(np.uint32)
    packed, counts = np.unique(rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2], return_counts=True)
    return packed.tolist(), counts.tolist()


def _unpacked(color: int) -> tuple[int, int, int]:
    return color >> 16, color >> 8 & 255, color & 255


def _packed(rgb: tuple[int, int, int]) -> int:
    return rgb[0] << 16 | rgb[1] << 8 | rgb[2]
