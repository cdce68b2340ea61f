"""The photo: a scene painted with material, light, shadow and clutter, then photographed."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tfpix2pix.data.sample.clutter import add_clutter
from tfpix2pix.data.sample.light import light_map
from tfpix2pix.data.sample.looks import Looks, draw_looks, draws
from tfpix2pix.data.sample.openings import FLAT_PAINTERS, paint_surrounds, paint_window
from tfpix2pix.data.sample.planes import scale
from tfpix2pix.data.sample.reliefs import RELIEF_PAINTERS
from tfpix2pix.data.sample.scene import Scene, pixel_slices
from tfpix2pix.data.sample.textures import camera_grain
from tfpix2pix.data.sample.walls import paint_roof, paint_surroundings, paint_wall

# Photos are painted at least this large and averaged down: thin bars then fade as through a lens.
_MIN_RENDER = 192


def render_photo(scene: Scene, rng: np.random.Generator, size: int) -> np.ndarray:
    """Paints wall, flat parts, shadows, reliefs and clutter, then takes the picture."""
    shrink = -(-_MIN_RENDER // size)
    n = shrink * size
    looks, material = draw_looks(rng, n)
    canvas = paint_wall(scene, looks, material, rng)
    paint_roof(canvas, scene, looks, rng)
    paint_surroundings(canvas, scene, looks, rng)
    chance = rng.random((len(scene.boxes), 3)).tolist()
    placed = [
        (box.kind, canvas[pixel_slices(box, n)], u)
        for box, u in zip(scene.boxes, chance, strict=True)
    ]
    if looks.surround:
        paint_surrounds(canvas, scene, looks)
    windows: dict[tuple[int, int, int], np.ndarray] = {}
    for kind, view, u in placed:
        if kind == "window" and view.size:
            paint_window(view, looks, u, windows)
        elif kind in ("door", "shop") and view.size:
            FLAT_PAINTERS[kind](view, looks, u)
    scale(canvas, light_map(scene, looks, rng))
    for kind, view, u in placed:
        if kind in RELIEF_PAINTERS and view.size:
            RELIEF_PAINTERS[kind](view, looks, u)
    return _take_picture(canvas, scene, looks, rng, size, shrink)


def _take_picture(
    canvas: np.ndarray,
    scene: Scene,
    looks: Looks,
    rng: np.random.Generator,
    size: int,
    shrink: int,
) -> np.ndarray:
    """uint8 [size, size, 3]: clutter in front, slight blur, colour cast and noise."""
    np.clip(canvas, 0, 255, out=canvas)
    picture = Image.fromarray(canvas.astype(np.uint8))
    add_clutter(picture, scene, looks, rng)
    u = draws(rng, 6)
    if shrink > 1:
        pixels, unit = np.asarray(picture.reduce(shrink)), 1
    else:
        pixels, unit = _soften(np.asarray(picture)), 64
    photo = np.empty(pixels.shape, np.float32)
    for channel in range(3):
        gain = np.float32((1 + 0.09 * (u[channel] - 0.5)) / unit)
        np.multiply(pixels[..., channel], gain, out=photo[..., channel])
    grain = camera_grain()
    if size > 384:
        grain = np.tile(grain, (-(-size // 512) + 1, -(-size // 512) + 1, 1))
    y, x = int(u[4] * 128), int(u[5] * 128)
    photo += np.float32(1.5 + 2.5 * u[3]) * grain[y : y + size, x : x + size]
    return np.clip(photo, 0, 255, out=photo).astype(np.uint8)


def _soften(pixels: np.ndarray) -> np.ndarray:
    """uint8 to uint16, times 64: blurs by (1, 6, 1) along both axes, as a lens does."""
    photo = pixels.astype(np.uint16)
    for axis in (0, 1):
        lines = photo if axis == 0 else photo.swapaxes(0, 1)
        sides = lines[:-2] + lines[2:]
        lines[1:-1] *= 6
        lines[1:-1] += sides
        lines[0] *= 8
        lines[-1] *= 8
    return photo
