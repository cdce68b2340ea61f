"""Painters of walls, roofs and what stands around the house."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tfpix2pix.data.sample.looks import WALLS, Looks, draw_colour, draws
from tfpix2pix.data.sample.planes import cover, tinted
from tfpix2pix.data.sample.scene import Scene, house_mask
from tfpix2pix.data.sample.textures import boards, crop, masonry, noise


def paint_wall(scene: Scene, looks: Looks, material: str, rng: np.random.Generator) -> np.ndarray:
    """A new canvas, float32 [n, n, 3], all of it wall."""
    n = looks.n
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
    canvas = tinted(tone, looks.wall)
    _paint_ground_floor(canvas, scene, looks, rng)
    return canvas


def _paint_ground_floor(
    canvas: np.ndarray, scene: Scene, looks: Looks, rng: np.random.Generator
) -> None:
    """Some houses have a rusticated or painted ground floor; all a dirty foot."""
    n = looks.n
    u = draws(rng, 4)
    rows = slice(round(scene.ground_top * n), round(scene.bottom * n))
    if u[0] < 0.35:
        tint = (0.35 + 0.5 * u[1]) * (looks.trim / looks.wall) + 0.5 - 0.4 * u[1]
        canvas[rows] *= np.clip(tint, 0.5, 1.3).astype(np.float32)
    if u[2] < 0.25:
        canvas[rows] *= (
            1 - 0.22 * (np.arange(rows.stop - rows.start) % max(3, n // 32) < 1)
        ).astype(np.float32)[:, None, None]
    foot = round((scene.bottom - 0.03) * n)
    canvas[foot : rows.stop] *= np.float32(0.62 + 0.25 * u[3])


def paint_roof(canvas: np.ndarray, scene: Scene, looks: Looks, rng: np.random.Generator) -> None:
    """Tiles on a mansard roof, the edge of a gable's; other roofs show nothing."""
    n, eaves = looks.n, round(scene.eaves * looks.n)
    u, v = draws(rng, 2)
    if scene.roof == "mansard":
        tone = crop(boards(n, 48, 0.3), n, u, 0.0)[:eaves] * (
            1 + 0.07 * crop(noise(14, n, 32, 128), n, u, v)[:eaves]
        )
        canvas[:eaves] = tinted(tone, looks.roof)
    elif scene.roof == "gable":  # the edge of the roof, seen from the front
        centres = (np.arange(n) + 0.5) / n
        top = np.interp(centres, scene.roof_x, scene.roof_y)
        depth = centres[:eaves, None] - top[None]
        canvas[:eaves][depth < 0.034] *= np.float32(0.55)
        canvas[:eaves][depth < 0.022] = looks.roof


def paint_surroundings(
    canvas: np.ndarray, scene: Scene, looks: Looks, rng: np.random.Generator
) -> None:
    """Sky above, sky or a neighbour at the sides, pavement below."""
    n = looks.n
    eaves, bottom = round(scene.eaves * n), round(scene.bottom * n)
    left, right = round(scene.left * n), round(scene.right * n)
    u = draws(rng, 8)
    sky = _paint_sky(n, eaves if (left, right) == (0, n) else n, looks, u)
    if eaves:
        cover(canvas[:eaves], sky[:eaves], ~house_mask(scene, n)[:eaves])
    for columns, chance in ((slice(0, left), u[4]), (slice(right, n), u[5])):
        if columns.stop > columns.start:
            canvas[:, columns] = sky[:, columns]
            if chance < 0.75:
                _paint_neighbour(canvas[:, columns], looks, rng)
    stone = 1 + 0.07 * crop(noise(15, n, 16, 128), n, u[6], u[7])[bottom:]
    pavement = np.array([128, 124, 118], np.float32) * np.float32(0.6 + 0.6 * u[3])
    canvas[bottom:] = tinted(stone, pavement)
    canvas[bottom : bottom + max(1, n // 128)] *= np.float32(0.55)
    kerb = bottom + (n - bottom) // 2
    canvas[kerb:] *= np.float32(0.72)


def _paint_sky(n: int, rows: int, looks: Looks, u: list[float]) -> np.ndarray:
    """uint8 [rows, n, 3]: blue to haze downwards, with clouds; painted small, for it is smooth."""
    if not rows:
        return np.empty((0, n, 3), np.uint8)
    m = n // 4
    height = np.linspace(0, 1, m, dtype=np.float32)[:, None]
    zenith = (
        np.array([96, 146, 208], np.float32) * (1 - looks.overcast)
        + np.array([196, 202, 210], np.float32) * looks.overcast
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


def _paint_neighbour(view: np.ndarray, looks: Looks, rng: np.random.Generator) -> None:
    n, width = looks.n, view.shape[1]
    u = draws(rng, 4)
    top = int(u[0] ** 2 * 0.6 * n)
    wall = 0.85 * draw_colour(rng, WALLS)
    tone = 1 + 0.04 * crop(noise(17, n, 16, 128), n, u[1], u[2])[top:, :width]
    view[top:] = tinted(tone, wall)
    view[top : top + n // 40] = 0.7 * looks.roof
    storey = int((0.12 + 0.08 * u[3]) * n)
    for y in range(top + storey // 2, n - storey // 2, storey):
        pane = view[y : y + storey // 2, width // 4 : max(width // 4 + 1, 3 * width // 4)]
        pane[:] = looks.glass * np.float32(0.9)
        pane[: max(1, n // 100)] = 0.8 * looks.trim
