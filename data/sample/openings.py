"""Painters of windows, doors and shops; a view is a box of the canvas, float32 [h, w, 3]."""

from __future__ import annotations

import functools

import numpy as np

from tfpix2pix.data.sample.looks import Looks
from tfpix2pix.data.sample.planes import band, bevel, ramp
from tfpix2pix.data.sample.scene import Scene, pixel_slices
from tfpix2pix.data.sample.textures import crop, noise


def paint_surrounds(canvas: np.ndarray, scene: Scene, looks: Looks) -> None:
    """A plain frame of trim on the wall around every window and door."""
    n, edge = looks.n, max(1, round(0.007 * looks.n))
    for box in scene.boxes:
        if box.kind in ("window", "door"):
            rows, columns = pixel_slices(box, n)
            view = canvas[
                max(0, rows.start - edge) : rows.stop + (box.kind == "window") * edge,
                max(0, columns.start - edge) : columns.stop + edge,
            ]
            view[:] = looks.trim


def paint_window(view: np.ndarray, looks: Looks, u: list[float], made: dict) -> None:
    """Copies one of a few windows of this size: they repeat along a facade."""
    if u[0] < looks.lit:
        variant = 3
    elif u[0] < looks.lit + looks.curtains:
        variant = 2
    else:
        variant = int(u[1] * 2)
    height, width = view.shape[:2]
    key = (height, width, variant)
    if key not in made:
        made[key] = _window(height, width, variant, looks)
    picture = made[key]
    if looks.arched and view.shape[1] <= view.shape[0]:
        mask = _arch(*view.shape[:2])
        np.copyto(view[: len(mask)], picture[: len(mask)], where=mask)
        view[len(mask) :] = picture[len(mask) :]
    else:
        np.multiply(picture, np.float32(0.85 + 0.3 * u[2]), out=view)


@functools.lru_cache(maxsize=256)
def _arch(h: int, w: int) -> np.ndarray:
    """bool [min(h, w // 2), w, 1]: the round head of a window."""
    x = (np.arange(w) + 0.5) * 2 / w - 1
    y = 1 - (np.arange(min(h, max(1, w // 2))) + 0.5) * 2 / w
    return (x[None] ** 2 + np.clip(y, 0, 1)[:, None] ** 2 <= 1)[..., None]


def _window(h: int, w: int, variant: int, looks: Looks) -> np.ndarray:
    """float32 [h, w, 3]: glass with what it mirrors or shows, frame, mullions, reveal."""
    y, x = ramp(h, 0, 1)[:, None], ramp(w, 0, 1)[None]
    if variant == 3:
        inside = np.array([250, 206, 130], np.float32)
        picture = (1.0 - 0.45 * y + 0 * x)[..., None] * inside
    else:
        mirrored = np.clip((0.9, 0.35)[variant % 2] - 1.1 * y + (0.5 - x) * looks.sun * 0.5, 0, 0.6)
        sky = np.array([176, 190, 206], np.float32)
        picture = looks.glass + mirrored[..., None] * (sky - looks.glass)
    if variant == 2:
        folds = 0.74 + 0.48 * np.abs(x * np.float32(6.4) % 1 - np.float32(0.5))
        drawn = np.abs(x - 0.5) > 0.16 + 0.12 * y
        cloth = (folds * (1 - 0.15 * y))[..., None] * np.array([226, 222, 210], np.float32)
        np.copyto(picture, 0.75 * cloth + 0.25 * picture, where=drawn[..., None])
    _add_bars(picture, looks)
    reveal = max(1, round(0.008 * looks.n))
    picture[:reveal] *= np.float32(1 - 0.8 * looks.contrast)
    side = picture[:, :reveal] if looks.sun > 0 else picture[:, -reveal:]
    side *= np.float32(1 - 0.6 * looks.contrast)
    return picture


# Positions of vertical and horizontal glazing bars, as fractions of the opening.
_MULLIONS = (
    ((0.5,), ()),
    ((0.5,), (0.32,)),
    ((0.5,), (0.36, 0.68)),
    ((), (0.5,)),
    ((), ()),
    ((0.33, 0.67), (0.28,)),
)


def _add_bars(picture: np.ndarray, looks: Looks) -> None:
    h, w = picture.shape[:2]
    bar = max(1, round(0.006 * looks.n))
    upright, level = _MULLIONS[looks.mullions]
    for at in upright:
        start = round(at * w - bar / 2)
        picture[:, start : start + bar] = looks.frame
    for at in level:
        start = round(at * h - bar / 2)
        picture[start : start + bar] = looks.frame
    for edge in (picture[:bar], picture[-bar:], picture[:, :bar], picture[:, -bar:]):
        edge[:] = looks.frame


def _paint_door(view: np.ndarray, looks: Looks, u: list[float]) -> None:
    """Two or one wooden leaves with panels, and a fanlight above."""
    h, w = view.shape[:2]
    view[:] = looks.wood * ramp(h, 1.1, 0.85)[:, None, None]
    light = band(view, 0.0, 0.2)
    light[:] = looks.glass * np.float32(1.3)
    light[-1:] = looks.frame
    leaves = ((0.1, 0.46), (0.54, 0.9)) if w > 0.055 * looks.n else ((0.16, 0.84),)
    for left, right in leaves:
        for top, bottom in ((0.27, 0.55), (0.62, 0.93)):
            panel = band(band(view, top, bottom), left, right, axis=1)
            panel *= np.float32(0.8)
            bevel(panel, looks, light=0.6, dark=1.5)
    if u[0] < 0.5 and len(leaves) == 2:
        for left, right in leaves:
            band(band(view, 0.27, 0.55), left, right, axis=1)[1:-1, 1:-1] = looks.glass
    if len(leaves) == 2:
        band(view, 0.2, 1.0)[:, w // 2 : w // 2 + 1] *= np.float32(0.4)
    view[:, :1] *= np.float32(0.6)
    view[:, -1:] *= np.float32(0.6)
    band(view, 0.96, 1.0)[:] = looks.trim * np.float32(0.8)


def _paint_shop(view: np.ndarray, looks: Looks, u: list[float]) -> None:
    """Sign with lettering, a display window with goods, at times an awning."""
    h, w = view.shape[:2]
    n = looks.n
    glow = ramp(h, 0.7, 1.5)[:, None, None]
    view[:] = (looks.glass + np.array([26, 20, 10], np.float32) * np.float32(2 * u[0])) * glow
    goods = band(view, 0.62, 0.88)
    colours = crop(noise(18, n, 8, 64), n, u[1], u[2])
    step = colours[: len(goods), :w]
    goods += np.clip(step, -0.5, 2.0)[..., None] * np.array([46, 34, 26], np.float32)
    sign = band(view, 0.0, 0.19)
    sign[:] = looks.sign
    ink = np.float32(245) if looks.sign.mean() < 150 else np.float32(40)
    letters = band(band(sign, 0.28, 0.72), 0.2, 0.8, axis=1)
    marks = noise(19, n, 64, 128)[int(u[1] * n) % n, : letters.shape[1]] > 0
    letters[:, marks] = ink
    sign[-1:] *= np.float32(0.5)
    count = max(1, round(w / (0.11 * n)))
    bar = max(1, round(0.006 * n))
    for i in range(count + 1):
        x = min(w - bar, round(i * w / count))
        view[len(sign) :, x : x + bar] = looks.frame
    band(view, 0.9, 1.0)[:] = looks.wood
    if looks.awnings:
        awning = band(view, 0.17, 0.42)
        stripes = (np.arange(w) * 64 // n) % 2 == 1
        awning[:] = ramp(len(awning), 1.1, 0.75)[:, None, None] * looks.sign
        awning[:, stripes] = np.float32(232) * ramp(len(awning), 1.05, 0.8)[:, None, None]
        band(view, 0.42, 0.5)[:] *= np.float32(0.45)


FLAT_PAINTERS = {"door": _paint_door, "shop": _paint_shop}
