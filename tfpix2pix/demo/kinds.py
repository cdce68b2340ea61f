"""What one draws for a network: labels in the colours of a palette, lines, or a photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfpix2pix.data import Decoded, load_palette
from tfpix2pix.data.check.palette_search import FoundPalette, find_palette

KINDS = LABELS, LINES, PHOTO = ("labels", "lines", "photo")
AUTO = "auto"
"""By what inputs look like."""
DRAWS = (AUTO, *KINDS)
# Of a drawing in lines most pixels are the ground's, near black or near white, and none is
# coloured.
_LEAST_GROUND = 0.5
_NEAR = 32  # levels
_COLOURLESS = 24  # levels between the channels of a grey pixel, which JPEG tints


@dataclass(frozen=True)
class Drawn:
    """What one draws.

    Attributes:
      kind: of `KINDS`.
      labels: of labels the palette, as its JSON has it: ``name`` and ``classes``.
    """

    kind: str
    labels: Mapping[str, Any] | None = None


def of_palette(palette: Mapping[str, Any]) -> Drawn:
    """Labels of a palette, which is given as its JSON."""
    keys = ("name", "color", "void")
    classes = [{key: c[key] for key in keys if key in c} for c in palette["classes"]]
    return Drawn(LABELS, {"name": palette["name"], "classes": classes})


def of_pictures(pictures: Sequence[np.ndarray]) -> Drawn:
    """What inputs look like: uint8 ``[H, W, 1 or 3]`` each, as their files have them.

    Labels without a palette of their own get one that explains them, or the colours found.
    """
    if not pictures:
        return Drawn(PHOTO)
    if all(map(_shows_lines, pictures)):
        return Drawn(LINES)
    found = find_palette(_decoded(pictures), lossless=True)
    return Drawn(PHOTO) if found is None or found.indices else _of_found(found)


def labels_of_pictures(pictures: Sequence[np.ndarray]) -> Drawn | None:
    """The same of inputs that are labels, whatever they look like: greys that stand for classes
    too. None where there are no few colours in them."""
    decoded = _decoded(pictures)
    found = find_palette(decoded, lossless=True) or find_palette(decoded, lossless=False)
    return None if found is None else _of_found(found)


def of_dataset(name: str) -> Drawn:
    """What the inputs of a data set of that name are, as far as its name tells."""
    if "edges" in name or "sketch" in name:
        return Drawn(LINES)
    return Drawn(PHOTO)


def _decoded(pictures: Sequence[np.ndarray]) -> list[Decoded]:
    return [Decoded(picture, False, None, ()) for picture in pictures]


def _of_found(found: FoundPalette) -> Drawn:
    if found.builtin:
        palette = load_palette(found.builtin[0])
        classes = [{"name": c.name, "color": list(c.color)} for c in palette.classes]
        return Drawn(LABELS, {"name": palette.name, "classes": classes})
    classes = [{"name": color.hex, "color": list(color.rgb)} for color in found.colors]
    return Drawn(LABELS, {"name": "colours of the run's inputs", "classes": classes})


def _shows_lines(picture: np.ndarray) -> bool:
    levels = picture.astype(np.int16)
    if (levels.max(axis=-1) - levels.min(axis=-1)).max() > _COLOURLESS:
        return False
    grey = levels[..., 0]
    ground = max(float((grey >= 255 - _NEAR).mean()), float((grey <= _NEAR).mean()))
    return _LEAST_GROUND <= ground < 1
