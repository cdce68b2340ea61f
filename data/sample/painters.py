"""Painters of walls, openings and reliefs; a view is a box of the canvas, float32 [h, w, 3]."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from PIL import Image

from tfpix2pix.data.sample.scene import Scene, house_mask, pixel_slices
from tfpix2pix.data.sample.style import (
    WALLS,
    Style,
    band,
    bevel,
    boards,
    cover,
    crop,
    draw_colour,
    draws,
    masonry,
    noise,
    ramp,
    tinted,
    window_state,
)

# === Walls, roofs and surroundings ===


def paint_wall(scene: Scene, style: Style, material: str, rng: np.random.Generator) -> np.ndarray:
    """A new canvas, float32 [n, n, 3], all of it wall."""
    n = style.n
    u = draws(rng, 8)
    tone = 1 + (0.02 + 0.05 * u[0]) * crop(noise(11, n, 4, 64), n, u[1], u[2])
    tone += (0.01 + 0.05 * u[3]) * crop(noise(12, n, 24, 48, stretch=8), n, u[4], u[5])
    joints = None
    if material == "brick":
        bricks, joints = masonry(21, n, (38, 46, 56)[int(u[6] * 3)], 2.6, 0.2)
    elif material == "stone":
        bricks, joints = masonry(22, n, (13, 17, 22)[int(u[6] * 3)], 2.1, 0.09)
    if joints is not None:
        tone *= crop(bricks, n, u[1], u[2])
    elif material == "boards":
        tone *= crop(boards(n, (30, 40)[int(u[6] * 2)], 0.16), n, u[1], 0.0)
    else:
        tone += 0.02 * crop(noise(13, n, 64, 256), n, u[5], u[1])
    if joints is not None:  # mortar is darker or lighter than its bricks
        tone += (-0.26 if u[7] < 0.6 else 0.19) * crop(joints, n, u[1], u[2])
    canvas = tinted(tone, style.wall)
    _paint_ground_floor(canvas, scene, style, rng)
    return canvas


def _paint_ground_floor(
    canvas: np.ndarray, scene: Scene, style: Style, rng: np.random.Generator
) -> None:
    """Some houses have a rusticated or painted ground floor; all a dirty foot."""
    n = style.n
    u = draws(rng, 4)
    rows = slice(round(scene.ground_top * n), round(scene.bottom * n))
    if u[0] < 0.35:
        tint = (0.35 + 0.5 * u[1]) * (style.trim / style.wall) + 0.5 - 0.4 * u[1]
        canvas[rows] *= np.clip(tint, 0.5, 1.3).astype(np.float32)
    if u[2] < 0.25:
        canvas[rows] *= (
            1 - 0.22 * (np.arange(rows.stop - rows.start) % max(3, n // 32) < 1)
        ).astype(np.float32)[:, None, None]
    foot = round((scene.bottom - 0.03) * n)
    canvas[foot : rows.stop] *= np.float32(0.62 + 0.25 * u[3])


def paint_roof(canvas: np.ndarray, scene: Scene, style: Style, rng: np.random.Generator) -> None:
    """Tiles on a mansard roof, the edge of a gable's; other roofs show nothing."""
    n, eaves = style.n, round(scene.eaves * style.n)
    u, v = draws(rng, 2)
    if scene.roof == "mansard":
        tone = crop(boards(n, 48, 0.3), n, u, 0.0)[:eaves] * (
            1 + 0.07 * crop(noise(14, n, 32, 128), n, u, v)[:eaves]
        )
        canvas[:eaves] = tinted(tone, style.roof)
    elif scene.roof == "gable":  # the edge of the roof, seen from the front
        centres = (np.arange(n) + 0.5) / n
        top = np.interp(centres, scene.roof_x, scene.roof_y)
        depth = centres[:eaves, None] - top[None]
        canvas[:eaves][depth < 0.034] *= np.float32(0.55)
        canvas[:eaves][depth < 0.022] = style.roof


def paint_surroundings(
    canvas: np.ndarray, scene: Scene, style: Style, rng: np.random.Generator
) -> np.ndarray:
    """Sky above, sky or a neighbour at the sides, pavement below.

    Returns:
      bool [n, n]: where neighbours stand.
    """
    n = style.n
    neighbours = np.zeros((n, n), bool)
    eaves, bottom = round(scene.eaves * n), round(scene.bottom * n)
    left, right = round(scene.left * n), round(scene.right * n)
    u = draws(rng, 8)
    sky = _paint_sky(n, eaves if (left, right) == (0, n) else n, style, u)
    if eaves:
        cover(canvas[:eaves], sky[:eaves], ~house_mask(scene, n)[:eaves])
    for columns, chance in ((slice(0, left), u[4]), (slice(right, n), u[5])):
        if columns.stop > columns.start:
            canvas[:, columns] = sky[:, columns]
            if chance < 0.75:
                top = _paint_neighbour(canvas[:, columns], style, rng)
                neighbours[top:, columns] = True
    stone = 1 + 0.07 * crop(noise(15, n, 16, 128), n, u[6], u[7])[bottom:]
    pavement = np.array([128, 124, 118], np.float32) * np.float32(0.6 + 0.6 * u[3])
    canvas[bottom:] = tinted(stone, pavement)
    canvas[bottom : bottom + max(1, n // 128)] *= np.float32(0.55)
    kerb = bottom + (n - bottom) // 2
    canvas[kerb:] *= np.float32(0.72)
    return neighbours


def _paint_sky(n: int, rows: int, style: Style, u: list[float]) -> np.ndarray:
    """uint8 [rows, n, 3]: blue to haze downwards, with clouds; painted small, for it is smooth."""
    if not rows:
        return np.empty((0, n, 3), np.uint8)
    m = n // 4
    height = np.linspace(0, 1, m, dtype=np.float32)[:, None]
    zenith = (
        np.array([96, 146, 208], np.float32) * (1 - style.overcast)
        + np.array([196, 202, 210], np.float32) * style.overcast
    )
    gradient = (zenith + np.sqrt(height) * (np.array([214, 226, 238], np.float32) - zenith))[
        :, None
    ]
    clouds = np.clip(0.45 * crop(noise(16, m, 3, 48), m, u[0], u[1]) + u[2] - 0.5, 0, 0.9)
    sky = gradient + clouds[..., None] * (np.array([246, 246, 248], np.float32) - gradient)
    small = Image.fromarray(sky.astype(np.uint8))
    return np.asarray(
        small.resize((n, rows), Image.Resampling.BILINEAR, box=(0, 0, m, rows * m / n))
    )


def _paint_neighbour(view: np.ndarray, style: Style, rng: np.random.Generator) -> int:
    """Paints a house from a row on, which is returned, to the foot of the view."""
    n, width = style.n, view.shape[1]
    u = draws(rng, 4)
    top = int(u[0] ** 2 * 0.6 * n)
    wall = 0.85 * draw_colour(rng, WALLS)
    tone = 1 + 0.04 * crop(noise(17, n, 16, 128), n, u[1], u[2])[top:, :width]
    view[top:] = tinted(tone, wall)
    view[top : top + n // 40] = 0.7 * style.roof
    storey = int((0.12 + 0.08 * u[3]) * n)
    for y in range(top + storey // 2, n - storey // 2, storey):
        pane = view[y : y + storey // 2, width // 4 : max(width // 4 + 1, 3 * width // 4)]
        pane[:] = style.glass * np.float32(0.9)
        pane[: max(1, n // 100)] = 0.8 * style.trim
    return top


# === Windows, doors and shops ===


def paint_surrounds(canvas: np.ndarray, scene: Scene, style: Style) -> None:
    """A plain frame of trim on the wall around every window and door."""
    n, edge = style.n, max(1, round(0.007 * style.n))
    for box in scene.boxes:
        if box.kind in ("window", "door"):
            rows, columns = pixel_slices(box, n)
            view = canvas[
                max(0, rows.start - edge) : rows.stop + (box.kind == "window") * edge,
                max(0, columns.start - edge) : columns.stop + edge,
            ]
            view[:] = style.trim


class Window(NamedTuple):
    """A window of one size: float32 [h, w, 3], and where its parts are, bool [h, w]."""

    picture: np.ndarray
    curtain: np.ndarray
    frame: np.ndarray


def paint_window(
    view: np.ndarray, style: Style, u: list[float], made: dict[tuple[int, int, int], Window]
) -> dict[str, np.ndarray]:
    """Copies one of a few windows of this size: they repeat along a facade.

    Returns:
      Where the window has its ``opening``, ``curtain`` and ``frame``, bool [h, w].
    """
    state = window_state(style, u[0])
    variant = {"lit": 3, "curtained": 2}.get(state, int(u[1] * 2))
    h, w = view.shape[:2]
    key = (h, w, variant)
    if key not in made:
        made[key] = _window(h, w, variant, style)
    window = made[key]
    opening = np.ones((h, w), bool)
    if style.arched and w <= h:
        mask = _arch(h, w)
        np.copyto(view[: len(mask)], window.picture[: len(mask)], where=mask)
        view[len(mask) :] = window.picture[len(mask) :]
        opening[: len(mask)] = mask[..., 0]
    else:
        np.multiply(window.picture, np.float32(0.85 + 0.3 * u[2]), out=view)
    return {
        "opening": opening,
        "curtain": window.curtain & opening,
        "frame": window.frame & opening,
    }


@functools.lru_cache(maxsize=256)
def _arch(h: int, w: int) -> np.ndarray:
    """bool [min(h, w // 2), w, 1]: the round head of a window."""
    x = (np.arange(w) + 0.5) * 2 / w - 1
    y = 1 - (np.arange(min(h, max(1, w // 2))) + 0.5) * 2 / w
    return (x[None] ** 2 + np.clip(y, 0, 1)[:, None] ** 2 <= 1)[..., None]


def _window(h: int, w: int, variant: int, style: Style) -> Window:
    """Glass with what it mirrors or shows, frame, mullions, reveal."""
    y, x = ramp(h, 0, 1)[:, None], ramp(w, 0, 1)[None]
    if variant == 3:
        inside = np.array([250, 206, 130], np.float32)
        picture = (1.0 - 0.45 * y + 0 * x)[..., None] * inside
    else:
        mirrored = np.clip((0.9, 0.35)[variant % 2] - 1.1 * y + (0.5 - x) * style.sun * 0.5, 0, 0.6)
        sky = np.array([176, 190, 206], np.float32)
        picture = style.glass + mirrored[..., None] * (sky - style.glass)
    drawn = np.zeros((h, w), bool)
    if variant == 2:
        folds = 0.74 + 0.48 * np.abs(x * np.float32(6.4) % 1 - np.float32(0.5))
        drawn = np.abs(x - 0.5) > 0.16 + 0.12 * y
        cloth = (folds * (1 - 0.15 * y))[..., None] * np.array([226, 222, 210], np.float32)
        np.copyto(picture, 0.75 * cloth + 0.25 * picture, where=drawn[..., None])
    frame = _bars(h, w, style)
    picture[frame] = style.frame
    reveal = max(1, round(0.008 * style.n))
    picture[:reveal] *= np.float32(1 - 0.8 * style.contrast)
    side = picture[:, :reveal] if style.sun > 0 else picture[:, -reveal:]
    side *= np.float32(1 - 0.6 * style.contrast)
    return Window(picture, drawn, frame)


# Positions of vertical and horizontal glazing bars, as fractions of the opening.
_MULLIONS = (
    ((0.5,), ()),
    ((0.5,), (0.32,)),
    ((0.5,), (0.36, 0.68)),
    ((), (0.5,)),
    ((), ()),
    ((0.33, 0.67), (0.28,)),
)


def _bars(h: int, w: int, style: Style) -> np.ndarray:
    """bool [h, w]: glazing bars, and the frame around them."""
    where = np.zeros((h, w), bool)
    bar = max(1, round(0.006 * style.n))
    upright, level = _MULLIONS[style.mullions]
    for at in upright:
        start = round(at * w - bar / 2)
        where[:, start : start + bar] = True
    for at in level:
        start = round(at * h - bar / 2)
        where[start : start + bar] = True
    for edge in (where[:bar], where[-bar:], where[:, :bar], where[:, -bar:]):
        edge[:] = True
    return where


def _paint_door(view: np.ndarray, style: Style, u: list[float]) -> None:
    """Two or one wooden leaves with panels, and a fanlight above."""
    h, w = view.shape[:2]
    view[:] = style.wood * ramp(h, 1.1, 0.85)[:, None, None]
    light = band(view, 0.0, 0.2)
    light[:] = style.glass * np.float32(1.3)
    light[-1:] = style.frame
    leaves = ((0.1, 0.46), (0.54, 0.9)) if w > 0.055 * style.n else ((0.16, 0.84),)
    for left, right in leaves:
        for top, bottom in ((0.27, 0.55), (0.62, 0.93)):
            panel = band(band(view, top, bottom), left, right, axis=1)
            panel *= np.float32(0.8)
            bevel(panel, style, light=0.6, dark=1.5)
    if u[0] < 0.5 and len(leaves) == 2:
        for left, right in leaves:
            band(band(view, 0.27, 0.55), left, right, axis=1)[1:-1, 1:-1] = style.glass
    if len(leaves) == 2:
        band(view, 0.2, 1.0)[:, w // 2 : w // 2 + 1] *= np.float32(0.4)
    view[:, :1] *= np.float32(0.6)
    view[:, -1:] *= np.float32(0.6)
    band(view, 0.96, 1.0)[:] = style.trim * np.float32(0.8)


# Where a shop has its sign and, if it has one, its awning, from top to bottom.
SIGN, AWNING = (0.0, 0.19), (0.17, 0.42)


def shop_bars(h: int, w: int, style: Style) -> np.ndarray:
    """bool [h, w]: the uprights of a shop's display window, below its sign."""
    where = np.zeros((h, w), bool)
    count = max(1, round(w / (0.11 * style.n)))
    bar = max(1, round(0.006 * style.n))
    below = len(band(where, *SIGN))
    for i in range(count + 1):
        x = min(w - bar, round(i * w / count))
        where[below:, x : x + bar] = True
    return where


def _paint_shop(view: np.ndarray, style: Style, u: list[float]) -> None:
    """Sign with lettering, a display window with goods, at times an awning."""
    h, w = view.shape[:2]
    n = style.n
    glow = ramp(h, 0.7, 1.5)[:, None, None]
    view[:] = (style.glass + np.array([26, 20, 10], np.float32) * np.float32(2 * u[0])) * glow
    goods = band(view, 0.62, 0.88)
    colours = crop(noise(18, n, 8, 64), n, u[1], u[2])
    step = colours[: len(goods), :w]
    goods += np.clip(step, -0.5, 2.0)[..., None] * np.array([46, 34, 26], np.float32)
    sign = band(view, *SIGN)
    sign[:] = style.sign
    ink = np.float32(245) if style.sign.mean() < 150 else np.float32(40)
    letters = band(band(sign, 0.28, 0.72), 0.2, 0.8, axis=1)
    marks = noise(19, n, 64, 128)[int(u[1] * n) % n, : letters.shape[1]] > 0
    letters[:, marks] = ink
    sign[-1:] *= np.float32(0.5)
    view[shop_bars(h, w, style)] = style.frame
    band(view, 0.9, 1.0)[:] = style.wood
    if style.awnings:
        awning = band(view, *AWNING)
        stripes = (np.arange(w) * 64 // n) % 2 == 1
        awning[:] = ramp(len(awning), 1.1, 0.75)[:, None, None] * style.sign
        awning[:, stripes] = np.float32(232) * ramp(len(awning), 1.05, 0.8)[:, None, None]
        band(view, 0.42, 0.5)[:] *= np.float32(0.45)


FLAT_PAINTERS = {"door": _paint_door, "shop": _paint_shop}


# === What stands out of the wall ===

# Brightness of a stone profile from its upper edge to its lower one.
_PROFILE = np.array([1.12, 1.16, 1.0, 0.82, 0.95, 1.04, 0.9, 0.68], np.float32)


def _profile(h: int) -> np.ndarray:
    at = (np.arange(h) + 0.5) * len(_PROFILE) / h
    return _PROFILE[at.astype(int)][:, None, None]


def _paint_molding(view: np.ndarray, style: Style, u: list[float]) -> None:
    h, w = view.shape[:2]
    view[:] = style.trim * _profile(h)
    if style.dentils and h > 0.022 * style.n:
        teeth = (np.arange(w) * 80 // style.n) % 2 == 1
        band(view, 0.5, 0.8)[:, teeth] *= np.float32(0.6)


def _paint_cornice(view: np.ndarray, style: Style, u: list[float]) -> None:
    view[:] = style.trim * _profile(len(view))
    view[:, :1] *= np.float32(0.85)
    view[:, -1:] *= np.float32(0.85)


def _paint_sill(view: np.ndarray, style: Style, u: list[float]) -> None:
    view[:] = style.trim * ramp(len(view), 1.15, 0.85)[:, None, None]
    view[-1:] *= np.float32(0.72)


def _paint_blind(view: np.ndarray, style: Style, u: list[float]) -> None:
    """Slats in the paint of the house."""
    h = len(view)
    slats = 1.0 - 0.32 * ((np.arange(h) * 90 // style.n) % 2).astype(np.float32)
    view[:] = style.paint * (slats * np.float32(0.92 + 0.16 * u[0]))[:, None, None]
    bevel(view, style)


def _paint_deco(view: np.ndarray, style: Style, u: list[float]) -> None:
    """A panel of trim with a relief of swellings."""
    h, w = view.shape[:2]
    n = style.n
    relief = crop(noise(20, n, 32, 128), n, u[0], u[1])[:h, :w]
    mirror = relief + relief[:, ::-1]
    view[:] = style.trim * (0.92 + 0.13 * mirror)[..., None]
    bevel(view, style, light=1.2, dark=0.65)


def _paint_pillar(view: np.ndarray, style: Style, u: list[float]) -> None:
    """A shaft rounded by light from the sun's side, with capital and base."""
    h, w = view.shape[:2]
    x = ramp(w, -1, 1) * style.sun
    shade = 1.08 - 0.28 * (x + 0.35) ** 2
    if style.fluted and w > 5:
        shade = shade * (1 - 0.18 * (np.arange(w) % 3 == 1))
    view[:] = style.trim * shade.astype(np.float32)[:, None]
    size = max(1, min(h // 6, int(1.2 * w)))
    view[:size] = style.trim * _profile(size)
    view[-size:] = style.trim * _profile(size)


def _paint_balcony(view: np.ndarray, style: Style, u: list[float]) -> None:
    """A slab with a railing, behind which the wall shows, or with a solid front."""
    h, n = len(view), style.n
    if style.solid_balcony:
        view[:] = style.trim * ramp(h, 1.05, 0.88)[:, None, None]
        inner = view[max(1, h // 6) : -max(1, h // 4), 2:-2]
        if inner.size:
            bevel(inner, style, light=0.8, dark=1.12)
    else:
        view *= np.float32(0.72)
        pitch = max(3, round(0.0135 * n))
        view[:, ::pitch] = style.railing
        view[:, -1:] = style.railing
        rail = max(1, round(0.005 * n))
        view[:rail] = style.railing * np.float32(1.15)
    slab = band(view, 0.82, 1.0)
    slab[:] = style.trim * ramp(len(slab), 1.0, 0.7)[:, None, None]


RELIEF_PAINTERS = {
    "blind": _paint_blind,
    "balcony": _paint_balcony,
    "cornice": _paint_cornice,
    "deco": _paint_deco,
    "molding": _paint_molding,
    "pillar": _paint_pillar,
    "sill": _paint_sill,
}
