"""The style of a photo, which CMP's classes do not tell: colours, textures, strokes, light."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tfpix2pix.data.sample.scene import Scene

# === Materials and colours ===

# RGB of what a material or a fitting may be painted in.
WALLS = np.array(
    [
        (232, 220, 190),
        (224, 196, 130),
        (214, 170, 90),
        (214, 150, 120),
        (226, 180, 170),
        (168, 84, 66),
        (142, 92, 70),
        (186, 180, 170),
        (236, 234, 228),
        (176, 190, 160),
        (160, 180, 196),
        (204, 184, 150),
        (150, 140, 130),
        (196, 120, 84),
        (120, 70, 60),
    ],
    np.float32,
)
_BRICKS = np.array(
    [(160, 82, 62), (142, 74, 58), (178, 104, 76), (186, 150, 110), (120, 66, 56), (200, 176, 140)],
    np.float32,
)
_STONES = np.array(
    [(196, 182, 154), (178, 170, 158), (150, 144, 134), (212, 200, 172), (170, 140, 110)],
    np.float32,
)
_TRIMS = np.array(
    [
        (236, 230, 216),
        (216, 204, 180),
        (190, 184, 174),
        (244, 242, 238),
        (150, 140, 128),
        (176, 130, 96),
    ],
    np.float32,
)
_ROOFS = np.array(
    [(150, 76, 56), (120, 64, 52), (92, 92, 98), (76, 72, 74), (110, 118, 112)], np.float32
)
_PAINTS = np.array(
    [
        (60, 96, 70),
        (120, 44, 38),
        (60, 84, 120),
        (126, 88, 54),
        (226, 224, 216),
        (88, 60, 44),
        (150, 150, 148),
        (44, 60, 56),
    ],
    np.float32,
)
SIGNS = np.array(
    [
        (170, 36, 36),
        (30, 70, 130),
        (36, 100, 66),
        (220, 170, 50),
        (40, 40, 44),
        (230, 226, 214),
        (120, 50, 110),
    ],
    np.float32,
)
_FRAMES = np.array(
    [(238, 236, 230), (238, 236, 230), (96, 66, 46), (60, 60, 62), (70, 90, 76)], np.float32
)
_WOODS = np.array(
    [(112, 72, 44), (84, 52, 36), (60, 70, 60), (110, 40, 34), (50, 60, 84), (146, 104, 66)],
    np.float32,
)


def draws(rng: np.random.Generator, count: int) -> list[float]:
    """Python floats: numpy's float64 scalars would turn float32 images into float64."""
    return rng.random(count).tolist()


def draw_colour(rng: np.random.Generator, choices: np.ndarray, spread: float = 26.0) -> np.ndarray:
    """One of `choices` with a little freedom in brightness and hue; float32 [3]."""
    colour = choices[int(rng.random() * len(choices))]
    shift = spread * (0.7 * (rng.random() - 0.5) + 0.5 * (rng.random(3) - 0.5))
    return np.clip(colour + shift, 8, 250).astype(np.float32)


@dataclasses.dataclass
class Style:
    """The style of one photo. Nothing in it can be known from a label map of CMP's classes."""

    n: int
    wall: np.ndarray
    trim: np.ndarray
    frame: np.ndarray
    paint: np.ndarray
    wood: np.ndarray
    sign: np.ndarray
    glass: np.ndarray
    railing: np.ndarray
    roof: np.ndarray
    sun: float
    contrast: float
    overcast: float
    mullions: int
    surround: bool
    arched: bool
    dentils: bool
    fluted: bool
    solid_balcony: bool
    awnings: bool
    curtains: float
    lit: float


def window_state(style: Style, u: float) -> str:
    """What a window with this draw shows: ``lit``, ``curtained`` or ``dark``."""
    if u < style.lit:
        return "lit"
    return "curtained" if u < style.lit + style.curtains else "dark"


def draw_style(rng: np.random.Generator, n: int) -> tuple[Style, str]:
    """The style of a photo painted at n x n pixels, and the material of its walls."""
    material = ("plaster", "plaster", "plaster", "brick", "brick", "stone", "boards")[
        int(rng.random() * 7)
    ]
    wall = draw_colour(rng, {"brick": _BRICKS, "stone": _STONES}.get(material, WALLS))
    trim = draw_colour(rng, _TRIMS)
    if abs(float(trim.mean() - wall.mean())) < 18:  # a relief must be told from its wall
        trim = np.clip(trim + (30 if wall.mean() < 190 else -42), 0, 250).astype(np.float32)
    flags = draws(rng, 12)
    return Style(
        n=n,
        wall=wall,
        trim=trim,
        frame=draw_colour(rng, _FRAMES, 14),
        paint=draw_colour(rng, _PAINTS),
        wood=draw_colour(rng, _WOODS),
        sign=draw_colour(rng, SIGNS),
        glass=draw_colour(
            rng, np.array([(44, 52, 62), (58, 66, 72), (36, 40, 44), (62, 76, 92)], np.float32)
        ),
        railing=draw_colour(
            rng, np.array([(34, 34, 36), (60, 56, 52), (220, 220, 216)], np.float32), 12
        ),
        roof=draw_colour(rng, _ROOFS),
        sun=-1.0 if flags[0] < 0.5 else 1.0,
        contrast=0.25 + 0.4 * flags[1],
        overcast=flags[2],
        mullions=int(flags[3] * 6),
        surround=flags[4] < 0.55,
        arched=flags[5] < 0.18,
        dentils=flags[6] < 0.35,
        fluted=flags[7] < 0.4,
        solid_balcony=flags[8] < 0.3,
        awnings=flags[9] < 0.4,
        curtains=0.6 * flags[10],
        lit=0.18 * flags[11],
    ), material


# === Textures, made once per resolution ===


@functools.lru_cache(maxsize=32)
def noise(variant: int, n: int, coarse: int, fine: int, stretch: int = 1) -> np.ndarray:
    """float32 [m, m], m = 1.25 n: smooth noise of zero mean and unit deviation.

    Octaves from `coarse` to `fine` cells per n pixels; `stretch` draws it out
    vertically, as rain does.
    """
    rng = np.random.Generator(np.random.Philox(variant))
    m = n + n // 4
    total = np.zeros((m, m), np.float32)
    cells, weight = coarse, 1.0
    while cells <= fine:
        grid = rng.random((max(2, cells // stretch), cells), np.float32) - 0.5
        total += weight * np.asarray(Image.fromarray(grid).resize((m, m), Image.Resampling.BICUBIC))
        cells, weight = cells * 2, weight * 0.6
    total -= total.mean()
    return total / total.std()


@functools.lru_cache(maxsize=32)
def masonry(
    variant: int, n: int, rows: int, aspect: float, joint: float
) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and joint mask, float32 [m, m], m = 1.25 n, of coursed bricks or blocks."""
    rng = np.random.Generator(np.random.Philox(variant))
    m = 2 * (n + n // 4)
    y = np.arange(m) * (rows / (2 * n))
    row = y.astype(int)
    x = np.arange(m) * (rows / (2 * n * aspect)) + 0.5 * (row[:, None] % 2)
    column = x.astype(int)
    bricks = rng.normal(1.0, 0.09, (row.max() + 1, column.max() + 1)).astype(np.float32)
    joints = ((y - row)[:, None] < joint) | (x - column < joint / aspect)
    halve = [
        Image.fromarray(a).reduce(2)
        for a in (bricks[row[:, None], column], joints.astype(np.float32))
    ]
    return np.array(halve[0]), np.array(halve[1])


@functools.lru_cache(maxsize=16)
def boards(n: int, rows: int, depth: float) -> np.ndarray:
    """float32 [m, m], m = 1.25 n: lapped rows, as clapboard and roof tiles are."""
    y = np.arange(n + n // 4) * (rows / n)
    lap = 1 + depth * (0.5 - y % 1.0)
    return np.repeat(lap[:, None], len(y), 1).astype(np.float32)


@functools.cache
def camera_grain() -> np.ndarray:
    """float32 [512, 512, 3]: camera noise of unit deviation, grey with a little colour."""
    rng = np.random.Generator(np.random.Philox(9))
    grey = rng.standard_normal((512, 512, 1), np.float32)
    return 0.9 * grey + 0.4 * rng.standard_normal((512, 512, 3), np.float32)


def crop(texture: np.ndarray, n: int, u: float, v: float) -> np.ndarray:
    """The n x n piece of a 1.25 n texture at the relative offset (u, v)."""
    y, x = int(u * (n // 4)), int(v * (n // 4))
    return texture[y : y + n, x : x + n]


# === Strokes: what all painters share, on float32 views [h, w, 3] ===

# Arithmetic with a trailing axis of 3 is several times slower in numpy than one strided pass per
# channel, and these passes are most of the time a photo takes.


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


def bevel(view: np.ndarray, style: Style, light: float = 1.25, dark: float = 0.6) -> None:
    """Lights the edges that face the sun and darkens the others."""
    view[:1] *= np.float32(light)
    view[-1:] *= np.float32(dark)
    sides = (view[:, -1:], view[:, :1]) if style.sun > 0 else (view[:, :1], view[:, -1:])
    sides[0][:] *= np.float32(dark)
    sides[1][:] *= np.float32(light)


# === Light ===

# How far each part stands out of the wall, in widths of the picture.
_DEPTHS = {
    "molding": 0.012,
    "cornice": 0.011,
    "sill": 0.007,
    "balcony": 0.024,
    "blind": 0.004,
    "deco": 0.004,
    "pillar": 0.008,
}


def light_map(scene: Scene, style: Style, rng: np.random.Generator) -> np.ndarray:
    """float32 [n, n]: the shadows of all reliefs, all to the same side, and uneven light."""
    n = style.n
    m = n // 2
    shadows = Image.new("L", (m, m), 255)
    draw = ImageDraw.Draw(shadows)
    shadow = round(255 * (1 - style.contrast))
    for box in scene.boxes:
        depth = _DEPTHS.get(box.kind)
        if depth is None:
            continue
        x, y = (box.x + 0.7 * style.sun * depth) * m, (box.y + depth) * m
        draw.rectangle((x, y, x + box.w * m, y + box.h * m), fill=shadow)
    if scene.roof in ("mansard", "gable"):
        eaves = scene.eaves * m
        draw.rectangle((scene.left * m, eaves, scene.right * m, eaves + 0.02 * m), fill=shadow)
    blurred = shadows.filter(ImageFilter.BoxBlur(m * (0.001 + 0.005 * style.overcast)))
    blurred = blurred.resize((n, n), Image.Resampling.BILINEAR)
    u = draws(rng, 4)
    line = np.linspace(-0.5, 0.5, n, dtype=np.float32)
    across = 1 + np.float32(0.25 * (u[0] - 0.5)) * line
    down = 1 + np.float32(0.3 * (u[1] - 0.6)) * line
    exposure = np.float32((0.9 + 0.26 * u[2]) / 255)
    return np.asarray(blurred, np.float32) * (across * exposure) * down[:, None]
