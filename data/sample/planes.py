"""Colour planes: the strokes all painters share, on float32 views [h, w, 3].

Arithmetic with a trailing axis of 3 is several times slower in numpy than one strided pass
per channel, and these passes are most of the time a photo takes.
"""

from __future__ import annotations

import functools

import numpy as np

from tfpix2pix.data.sample.looks import Looks


def tinted(tone: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """float32 [h, w, 3]: a grey image times a colour."""
    out = np.empty((*tone.shape, 3), np.float32)
    for channel in range(3):
        np.multiply(tone, colour[channel], out=out[..., channel])
    return out


def scale(view: np.ndarray, tone: np.ndarray) -> None:
    """Multiplies every channel by a grey image, in place."""
    for channel in range(3):
        view[..., channel] *= tone


def cover(view: np.ndarray, picture: np.ndarray, where: np.ndarray) -> None:
    """Copies `picture` into `view` where bool [h, w] is true."""
    for channel in range(3):
        np.copyto(view[..., channel], picture[..., channel], where=where)


def band(view: np.ndarray, start: float, end: float, axis: int = 0) -> np.ndarray:
    """The part of a view between two fractions of its height (or width), never empty."""
    length = view.shape[axis]
    first = min(length - 1, int(start * length))
    last = max(first + 1, int(end * length))
    return view[first:last] if axis == 0 else view[:, first:last]


@functools.lru_cache(maxsize=4096)
def ramp(length: int, start: float, end: float) -> np.ndarray:
    """Read-only float32 [length], from `start` to `end`."""
    line = np.linspace(start, end, length, dtype=np.float32)
    line.flags.writeable = False
    return line


def bevel(view: np.ndarray, looks: Looks, light: float = 1.25, dark: float = 0.6) -> None:
    """Lights the edges that face the sun and darkens the others."""
    view[:1] *= np.float32(light)
    view[-1:] *= np.float32(dark)
    sides = (view[:, -1:], view[:, :1]) if looks.sun > 0 else (view[:, :1], view[:, -1:])
    sides[0][:] *= np.float32(dark)
    sides[1][:] *= np.float32(light)
