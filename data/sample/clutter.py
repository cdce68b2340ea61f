"""Clutter: things before the house that the label map does not show."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw

from tfpix2pix.data.sample.looks import SIGNS, Looks, draws
from tfpix2pix.data.sample.scene import Scene
from tfpix2pix.data.sample.textures import noise


def add_clutter(picture: Image.Image, scene: Scene, looks: Looks, rng: np.random.Generator) -> None:
    """Things before the house that the label map does not show."""
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
            add(picture, draw, scene, looks, part)


def _ink(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(min(255, max(0, c))) for c in colour)
    return red, green, blue


def _add_pipe(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: Looks, u: list[float]
) -> None:
    n, width = looks.n, max(2, looks.n // 100)
    x = (scene.left + 0.006 if u[0] < 0.5 else scene.right - 0.014) * n
    top, foot = scene.eaves * n, scene.bottom * n
    metal = np.array([120, 112, 104], np.float32) if u[1] < 0.5 else looks.wall * 0.8
    draw.rectangle((x, top, x + width, foot), fill=_ink(metal))
    draw.line(
        (x + width * (looks.sun > 0), top, x + width * (looks.sun > 0), foot),
        fill=_ink(metal * 0.6),
    )


def _add_cables(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: Looks, u: list[float]
) -> None:
    n = looks.n
    x = np.linspace(0, 1, 12)
    for i in range(1 + int(u[0] * 3)):
        y = u[1] * 0.5 + 0.03 * i + (u[2] - 0.5) * 0.2 * x + 0.16 * u[3] * x * (1 - x)
        draw.line(list(zip(x * n, y * n, strict=True)), fill=(44, 44, 46), width=1)


def _add_graffiti(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: Looks, u: list[float]
) -> None:
    n, wide = looks.n, 0.05 + 0.05 * u[0]
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
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: Looks, u: list[float]
) -> None:
    n = looks.n
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
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: Looks, u: list[float]
) -> None:
    """A street tree or a bush, mostly at the edge of the picture."""
    n = looks.n
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
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: Looks, u: list[float]
) -> None:
    n = looks.n
    x, top = (0.06 + 0.88 * u[0]) * n, (0.5 + 0.15 * u[1]) * n
    draw.line((x, top, x, n), fill=(40, 42, 42), width=max(1, n // 110))
    r = 0.016 * n
    draw.ellipse((x - r, top - r, x + r, top + r), fill=(226, 222, 204), outline=(40, 42, 42))


def _add_people(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: Looks, u: list[float]
) -> None:
    n = looks.n
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
