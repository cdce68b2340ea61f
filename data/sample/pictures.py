"""The two pictures of a scene: its label map and its photo."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw

from tfpix2pix.data.sample.detailed import Shown
from tfpix2pix.data.sample.painters import (
    AWNING,
    FLAT_PAINTERS,
    RELIEF_PAINTERS,
    SIGN,
    Window,
    paint_roof,
    paint_surroundings,
    paint_surrounds,
    paint_wall,
    paint_window,
    shop_bars,
)
from tfpix2pix.data.sample.scene import Scene, house_mask, pixel_slices
from tfpix2pix.data.sample.style import (
    SIGNS,
    Style,
    band,
    camera_grain,
    draw_style,
    draws,
    light_map,
    noise,
    scale,
)

# === The label map: a scene painted flat, in the colours of its classes ===

PALETTE: dict[str, tuple[int, int, int]] = {
    "background": (0, 0, 222),
    "facade": (0, 48, 255),
    "window": (0, 128, 255),
    "door": (0, 207, 255),
    "cornice": (32, 255, 224),
    "sill": (112, 255, 142),
    "balcony": (192, 255, 63),
    "blind": (255, 240, 0),
    "deco": (255, 159, 0),
    "molding": (255, 80, 0),
    "pillar": (254, 0, 0),
    "shop": (174, 0, 0),
}
"""RGB of every class, in CMP's order."""

_CLASS_INDEX = {name: i for i, name in enumerate(PALETTE)}
_COLOURS = np.array(list(PALETTE.values()), np.uint8)


def render_label(scene: Scene, size: int) -> np.ndarray:
    """uint8 [size, size, 3]: every pixel exactly a colour of `PALETTE`."""
    classes = house_mask(scene, size).astype(np.uint8)
    for box in scene.boxes:
        classes[pixel_slices(box, size)] = _CLASS_INDEX[box.kind]
    return np.take(_COLOURS, classes, axis=0)


# === The photo: material, light and shadow, then photographed ===

# Photos are painted at least this large and averaged down: thin bars then fade as through a lens.
_MIN_RENDER = 192


def render_photo(scene: Scene, rng: np.random.Generator, size: int) -> tuple[np.ndarray, Shown]:
    """Paints wall, flat parts, shadows, reliefs and clutter, then takes the picture.

    Returns:
      The photo, uint8 [size, size, 3], and what it shows beside the scene.
    """
    shrink = -(-_MIN_RENDER // size)
    n = shrink * size
    style, material = draw_style(rng, n)
    canvas = paint_wall(scene, style, material, rng)
    paint_roof(canvas, scene, style, rng)
    parts = ("opening", "curtain", "frame", "sign", "awning")
    masks = {name: np.zeros((n, n), bool) for name in parts}
    masks["neighbour"] = paint_surroundings(canvas, scene, style, rng)
    chance = rng.random((len(scene.boxes), 3)).tolist()
    places = [pixel_slices(box, n) for box in scene.boxes]
    placed = [
        (box.kind, canvas[place], u)
        for box, place, u in zip(scene.boxes, places, chance, strict=True)
    ]
    if style.surround:
        paint_surrounds(canvas, scene, style)
    windows: dict[tuple[int, int, int], Window] = {}
    for (kind, view, u), place in zip(placed, places, strict=True):
        if not view.size:
            continue
        if kind == "window":
            for name, where in paint_window(view, style, u, windows).items():
                masks[name][place] = where
        elif kind in FLAT_PAINTERS:
            FLAT_PAINTERS[kind](view, style, u)
        if kind == "shop":
            masks["frame"][place] = shop_bars(view.shape[0], view.shape[1], style)
            band(masks["sign"][place], *SIGN)[:] = True
            band(masks["awning"][place], *AWNING)[:] = style.awnings
    scale(canvas, light_map(scene, style, rng))
    for kind, view, u in placed:
        if kind in RELIEF_PAINTERS and view.size:
            RELIEF_PAINTERS[kind](view, style, u)
    photo = _take_picture(canvas, scene, style, rng, size, shrink, masks)
    return photo, Shown(style, material, chance, masks)


def _take_picture(
    canvas: np.ndarray,
    scene: Scene,
    style: Style,
    rng: np.random.Generator,
    size: int,
    shrink: int,
    masks: dict[str, np.ndarray],
) -> np.ndarray:
    """uint8 [size, size, 3]: clutter in front, slight blur, colour cast and noise."""
    np.clip(canvas, 0, 255, out=canvas)
    picture = Image.fromarray(canvas.astype(np.uint8))
    add_clutter(picture, scene, style, rng, masks)
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


# === Clutter: things before the house, which CMP's classes do not show ===


def add_clutter(
    picture: Image.Image,
    scene: Scene,
    style: Style,
    rng: np.random.Generator,
    masks: dict[str, np.ndarray],
) -> None:
    """Things before the house; `masks` gets where those are that have a detailed class."""
    draw = ImageDraw.Draw(picture)
    chance = draws(rng, 7)
    for p, threshold, add in zip(
        chance,
        (0.35, 0.25, 0.12, 0.3, 0.25, 0.18, 0.5),
        (_add_pipe, _add_cables, _add_graffiti, _add_car, _add_tree, _add_lamp, _add_people),
        strict=True,
    ):
        part = draws(rng, 12)
        if p < threshold:
            before = np.array(picture) if add in _CLUTTER_CLASSES else None
            add(picture, draw, scene, style, part)
            if before is not None:
                masks[_CLUTTER_CLASSES[add]] = (np.asarray(picture) != before).any(-1)


def _ink(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(min(255, max(0, c))) for c in colour)
    return red, green, blue


def _add_pipe(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, style: Style, u: list[float]
) -> None:
    n, width = style.n, max(2, style.n // 100)
    x = (scene.left + 0.006 if u[0] < 0.5 else scene.right - 0.014) * n
    top, foot = scene.eaves * n, scene.bottom * n
    metal = np.array([120, 112, 104], np.float32) if u[1] < 0.5 else style.wall * 0.8
    draw.rectangle((x, top, x + width, foot), fill=_ink(metal))
    draw.line(
        (x + width * (style.sun > 0), top, x + width * (style.sun > 0), foot),
        fill=_ink(metal * 0.6),
    )


def _add_cables(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, style: Style, u: list[float]
) -> None:
    n = style.n
    x = np.linspace(0, 1, 12)
    for i in range(1 + int(u[0] * 3)):
        y = u[1] * 0.5 + 0.03 * i + (u[2] - 0.5) * 0.2 * x + 0.16 * u[3] * x * (1 - x)
        draw.line(list(zip(x * n, y * n, strict=True)), fill=(44, 44, 46), width=1)


def _add_graffiti(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, style: Style, u: list[float]
) -> None:
    n, wide = style.n, 0.05 + 0.05 * u[0]
    x = np.linspace(0, 1, 24)
    left = scene.left + u[1] * (scene.right - scene.left - wide)
    line = scene.bottom - 0.035 - 0.012 * np.sin((18 + 14 * u[2]) * x) - 0.006 * np.sin(41 * x)
    swing = left + wide * (x + 0.12 * np.sin((20 + 10 * u[3]) * x + 1))
    draw.line(
        list(zip(swing * n, line * n, strict=True)),
        fill=_ink(SIGNS[int(u[4] * len(SIGNS))]),
        width=max(1, n // 160),
    )


def _add_car(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, style: Style, u: list[float]
) -> None:
    n = style.n
    long, high = (0.24 + 0.08 * u[0]) * n, (0.055 + 0.015 * u[1]) * n
    x, y = (u[2] * 1.1 - 0.15) * n, n - (0.01 + 0.02 * u[3]) * n
    paint = np.array(
        [[196, 198, 200], [40, 42, 48], [150, 34, 30], [44, 70, 110], [224, 222, 214]], np.float32
    )[int(u[4] * 5)]
    draw.rounded_rectangle((x, y - high, x + long, y), radius=high * 0.35, fill=_ink(paint))
    roof = [
        (x + 0.18 * long, y - high),
        (x + 0.3 * long, y - 1.75 * high),
        (x + 0.7 * long, y - 1.75 * high),
        (x + 0.86 * long, y - high),
    ]
    draw.polygon(roof, fill=_ink(paint * 0.9))
    glass = [
        (x + 0.24 * long, y - high),
        (x + 0.33 * long, y - 1.6 * high),
        (x + 0.68 * long, y - 1.6 * high),
        (x + 0.79 * long, y - high),
    ]
    draw.polygon(glass, fill=(38, 44, 52))
    draw.line((x, y - 0.55 * high, x + long, y - 0.55 * high), fill=_ink(paint * 0.7))
    wheel = 0.42 * high
    for at in (0.2, 0.8):
        centre = x + at * long
        draw.ellipse((centre - wheel, y - wheel, centre + wheel, y + wheel), fill=(24, 24, 26))


@functools.lru_cache(maxsize=16)
def _foliage(variant: int, n: int) -> tuple[Image.Image, Image.Image]:
    """A crown of leaves, RGB and mask, n x n."""
    line = np.linspace(-1, 1, n, dtype=np.float32)
    radius = line[None] ** 2 + line[:, None] ** 2
    rough = noise(30 + variant, n, 6, 96)[:n, :n]
    mask = radius + 0.22 * rough < 0.55
    light = 0.75 + 0.2 * noise(40 + variant, n, 24, 128)[:n, :n] - 0.25 * line[:, None]
    leaves = (
        np.clip(light, 0.25, 1.6)[..., None]
        * np.array([[62, 84, 42], [84, 98, 44], [48, 72, 48]], np.float32)[variant]
    )
    return (
        Image.fromarray(np.clip(leaves, 0, 255).astype(np.uint8)),
        Image.fromarray(np.where(mask, 235, 0).astype(np.uint8)),
    )


def _add_tree(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, style: Style, u: list[float]
) -> None:
    """A street tree or a bush, mostly at the edge of the picture."""
    n = style.n
    leaves, mask = _foliage(int(u[0] * 3), max(8, (n // 8) * (2 + int(u[1] * 2))))
    size = leaves.width
    side = -0.5 + 0.25 * u[2] if u[3] < 0.5 else -0.75 + 0.25 * u[2]
    x = int(side * size) + (0 if u[3] < 0.5 else n + size // 4)
    bush = u[4] < 0.5
    y = int(n - 0.6 * size) if bush else int((0.5 + 0.2 * u[5]) * n - size / 2)
    if not bush:
        trunk = x + size / 2
        draw.line((trunk, y + size / 2, trunk, n), fill=(58, 48, 40), width=max(2, n // 50))
    picture.paste(leaves, (x, y), mask)


def _add_lamp(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, style: Style, u: list[float]
) -> None:
    n = style.n
    x, top = (0.06 + 0.88 * u[0]) * n, (0.5 + 0.15 * u[1]) * n
    draw.line((x, top, x, n), fill=(40, 42, 42), width=max(1, n // 110))
    r = 0.016 * n
    draw.ellipse((x - r, top - r, x + r, top + r), fill=(226, 222, 204), outline=(40, 42, 42))


def _add_people(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, style: Style, u: list[float]
) -> None:
    n = style.n
    for i in range(1 + int(u[0] * 3)):
        x, high = u[1 + i] * n, (0.085 + 0.015 * u[4 + i]) * n
        foot = (scene.bottom + 0.7 * (1 - scene.bottom)) * n
        half = 0.13 * high
        cloth = _ink(
            np.array([[50, 56, 76], [120, 50, 46], [70, 70, 68], [150, 140, 120]], np.float32)[
                int(u[7 + i] * 4)
            ]
        )
        draw.rectangle((x - 0.7 * half, foot - 0.5 * high, x + 0.7 * half, foot), fill=(44, 44, 52))
        draw.ellipse((x - half, foot - 0.88 * high, x + half, foot - 0.38 * high), fill=cloth)
        head = 0.075 * high
        draw.ellipse(
            (x - head, foot - high, x + head, foot - high + 2 * head), fill=(196, 158, 132)
        )


_CLUTTER_CLASSES = {
    _add_tree: "tree",
    _add_car: "car",
    _add_lamp: "lamp",
    _add_people: "person",
}
