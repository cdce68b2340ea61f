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
from tfpix2pix.data.check.values import MOST_VALUES as MOST_COLORS
from tfpix2pix.data.check.values import is_ignored
from tfpix2pix.data.label_classes import COVER_DISTANCE, MAX_INDEX
from tfpix2pix.data.palette import BUILTIN, LabelClass, Palette, load_palette
from tfpix2pix.data.spec import LEAST_COVERED, index_values, without_colour
from tfpix2pix.data.unmeasured import filled, missing_in

# The embedded set's has so many colours that one is near to anything, so it has to be exact.
_DRAWN = "sample"
_OF_SETS = tuple(name for name in BUILTIN if name != _DRAWN)
_FAR_GREYS = 64  # levels between greys that networks tell apart
# In label images most pixels equal their neighbours, even after JPEG; in photographs few do.
LEAST_FLAT = 0.5
LEAST_KNOWN = 0.95  # share of the flat pixels that the colours found have to explain
# ... and of all pixels: pictures of things on a white ground are flat too, but not painted.
LEAST_KNOWN_OF_ALL = 0.7
LEAST_SHARE = 0.0005  # of the flat pixels; what is rarer is a stain, not a class


@dataclasses.dataclass(frozen=True)
class FoundColor:
    """A colour (RGB 0-255), or in index maps the value three times, and its share of the pixels.

    Attributes:
      index: by which palette images hold the colour, where it is the same one in all; else -1.
    """

    rgb: tuple[int, int, int]
    share: float
    index: int = -1

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
      ignored: of the values of index maps those that stand for no class.
    """

    builtin: tuple[str, ...] = ()
    covered: float = 0.0
    colors: tuple[FoundColor, ...] = ()
    indices: bool = False
    exact: bool = False
    ignored: tuple[int, ...] = ()

    def palette(self, name: str = "found") -> Palette | None:
        """A palette of the colours found, their classes numbered; None if they make none.

        Only exact colours make one: what JPEG smeared is near its colour, not the colour. The
        classes of index maps get colours that networks can tell apart.
        """
        if not self.exact or not 2 <= len(self.colors) <= MOST_COLORS:
            return None
        found = sorted(self.colors, key=lambda color: color.rgb)
        if self.indices:
            return _of_indices(name, [color.rgb[0] for color in found], self.ignored)
        own = len({color.index for color in found} - {-1}) == len(found)
        classes = (
            LabelClass(f"class_{k}", color.rgb, (color.index if own else k,))
            for k, color in enumerate(found)
        )
        return Palette(name, tuple(classes))

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "builtin": list(self.builtin),
            "covered": round(self.covered, 4),
            "indices": self.indices,
            "exact": self.exact,
            "ignored": list(self.ignored),
            "colors": [{"color": c.hex, "share": round(c.share, 6)} for c in self.colors],
        }


def _of_indices(name: str, values: Sequence[int], ignored: Sequence[int]) -> Palette | None:
    """A palette for index maps of these ascending values; None with fewer than two classes."""
    values = [value for value in values if value not in ignored] + list(ignored)
    kinds = len(values) - len(ignored)
    if kinds < 2:
        return None
    greys = all(value <= 255 for value in values) and not ignored
    if greys and all(b - a >= _FAR_GREYS for a, b in itertools.pairwise(values)):
        colors = [(value, value, value) for value in values]
    else:
        colors = distinct_colors(len(values))
    classes = []
    for k, (value, color) in enumerate(zip(values, colors, strict=True)):
        called = f"class_{k}" if k < kinds else "ignore" if k == kinds else f"ignore_{value}"
        classes.append(LabelClass(called, color, (value,), void=k >= kinds))
    return Palette(name, tuple(classes))


def distinct_colors(count: int) -> list[tuple[int, int, int]]:
    """Colours far from each other in RGB, where networks and losses measure: black, white, the
    other corners, and then always the one of a grid of 125 whose nearest neighbour is farthest."""
    levels = (0, 64, 128, 191, 255)
    grid = np.array(list(itertools.product(levels, repeat=3)), np.int64)
    corners = grid[((grid == 0) | (grid == 255)).all(axis=1)]
    chosen = [corners[0], corners[-1], *corners[-2:0:-1]]
    near = np.min([((grid - color) ** 2).sum(axis=1) for color in chosen], axis=0)
    while len(chosen) < count:
        chosen.append(grid[int(near.argmax())])
        near = np.minimum(near, ((grid - chosen[-1]) ** 2).sum(axis=1))
    return [(int(r), int(g), int(b)) for r, g, b in chosen[:count]]


def find_palette(
    pictures: Sequence[images.Decoded],
    more: Iterable[images.Decoded] = (),
    *,
    lossless: bool,
    ignore: Sequence[str] = (),
) -> FoundPalette | None:
    """What the pictures are painted in, if they look like labels.

    Args:
      pictures: some images of one side, as decoded.
      more: others, over which colours are counted once some were found; read only then.
      lossless: the files hold the pixels that were painted.
      ignore: values that mean nothing measured; see `tfpix2pix.data.unmeasured`.
    """
    if not pictures:
        return None
    if all(_is_grey(picture) for picture in pictures):
        return _in_grey(pictures, more, tuple(ignore)) if lossless else None
    if not all(_is_rgb(picture) for picture in pictures):
        return None
    rgb = [_colours(picture, 3) for picture in pictures]
    if _all_known(load_palette(_DRAWN), rgb):
        return FoundPalette((_DRAWN,), 1.0)
    shares = {name: _mean_covered(load_palette(name), rgb) for name in _OF_SETS}
    best = max(shares, key=lambda name: shares[name])
    # Files that hold what was painted name every colour, the rarest class too.
    if shares[best] >= LEAST_COVERED and not (lossless and _has_others(load_palette(best), rgb)):
        return FoundPalette((best,), shares[best])
    further = (_colours(picture, 3) for picture in more if _is_rgb(picture))
    if lossless and _exact_colors(rgb) is not None:
        exact = _exact_colors(itertools.chain(rgb, further))
        if exact is not None:
            return _with_indices(exact, pictures)
    return _near_colors(rgb, further, lossless)


def _mean_covered(palette: Palette, arrays: Sequence[np.ndarray]) -> float:
    """Mean share that a palette explains; 0 as soon as it cannot be `LEAST_COVERED` any more."""
    missed = 0.0
    for array in arrays:
        missed += 1 - palette.covered(array)
        if missed > (1 - LEAST_COVERED) * len(arrays):
            return 0.0
    return 1 - missed / len(arrays)


def _has_others(palette: Palette, arrays: Sequence[np.ndarray]) -> bool:
    """Whether arrays of few colours have some that a palette does not know."""
    exact = _exact_colors(arrays)
    return exact is not None and bool(_unknown(palette, exact))


def _all_known(palette: Palette, arrays: Sequence[np.ndarray]) -> bool:
    """Whether arrays have several colours, and none that a palette does not know."""
    exact = _exact_colors(arrays)
    return exact is not None and len(exact.colors) > 2 and not _unknown(palette, exact)


def _unknown(palette: Palette, found: FoundPalette) -> set[tuple[int, int, int]]:
    """The colours that a palette does not know."""
    return {color.rgb for color in found.colors} - set(map(tuple, palette.colors.tolist()))


def _colours(picture: images.Decoded, channels: int) -> np.ndarray:
    return images.fit_channels(picture.array, picture.has_alpha, channels)


def _is_grey(picture: images.Decoded) -> bool:
    """Grey, or colours without any: a mask that some program wrote as RGB, or with a grey table."""
    colours = picture.array.shape[-1] - picture.has_alpha
    return colours == 1 or (colours == 3 and without_colour(picture.array[..., :3]))


def _is_rgb(picture: images.Decoded) -> bool:
    return picture.array.dtype == np.uint8 and picture.array.shape[-1] - picture.has_alpha in (1, 3)


def _in_grey(
    pictures: Sequence[images.Decoded], more: Iterable[images.Decoded], ignore: tuple[str, ...]
) -> FoundPalette | None:
    """Index maps: grey images of few values."""
    counts: Counter[int] = Counter()
    # The first image tells of most photographs that they are none.
    for picture in itertools.chain(pictures, more):
        if not _is_grey(picture):
            continue
        values = index_values(filled(picture, missing_in(picture, ("nan",))))
        if values is None or (len(counts) == 0 and len(np.unique(values[::7])) > MOST_COLORS):
            return None
        found, number = np.unique(values, return_counts=True)
        counts.update(dict(zip(found.tolist(), number.tolist(), strict=True)))
        if len(counts) > MOST_COLORS:
            return None
    ignored = tuple(sorted(value for value in counts if is_ignored(value, ignore)))
    kinds = [value for value in counts if value not in ignored]
    if len(kinds) < 2 or not all(0 <= value <= MAX_INDEX for value in kinds):
        return None
    known: tuple[str, ...] = ()
    if len(kinds) > 2:  # 0 and 1 are a mask of any kind
        palettes = [load_palette(name) for name in _OF_SETS]
        known = tuple(p.name for p in sorted(palettes, key=len) if _fits(p, kinds))
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    colors = tuple(FoundColor((v, v, v), n / counts.total()) for v, n in ordered)
    return FoundPalette(known, float(bool(known)), colors, True, True, ignored)


def _fits(palette: Palette, values: Sequence[int]) -> bool:
    """Whether index values may be those of a palette: it knows them, and most are classes."""
    if not palette.knows_indices(np.array(values)):
        return False
    classes = palette.from_indices(np.array(values))
    return bool(palette.void[classes].mean() < 0.5)


def _with_indices(found: FoundPalette, pictures: Sequence[images.Decoded]) -> FoundPalette:
    """The same, with the index of each colour where palette images agree on it."""
    tables: dict[tuple[int, ...], set[int]] = {}
    for picture in pictures:
        if picture.indices is None:
            return found
        values, first = np.unique(picture.indices, return_index=True)
        for value, place in zip(values.tolist(), first.tolist(), strict=True):
            rgb = tuple(picture.array.reshape(-1, picture.array.shape[-1])[place, :3].tolist())
            tables.setdefault(rgb, set()).add(value)
    colors = tuple(
        dataclasses.replace(color, index=min(of))
        if len(of := tables.get(color.rgb, set())) == 1
        else color
        for color in found.colors
    )
    return dataclasses.replace(found, colors=colors)


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
