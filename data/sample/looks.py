"""The looks of a photo: materials, colours and style, which no label map tells."""

from __future__ import annotations

import dataclasses

import numpy as np

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
class Looks:
    """The style of one photo. Nothing in it can be known from the label map."""

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


def draw_looks(rng: np.random.Generator, n: int) -> tuple[Looks, str]:
    """The looks of a photo painted at n x n pixels, and the material of its walls."""
    material = ("plaster", "plaster", "plaster", "brick", "brick", "stone", "boards")[
        int(rng.random() * 7)
    ]
    wall = draw_colour(rng, {"brick": _BRICKS, "stone": _STONES}.get(material, WALLS))
    trim = draw_colour(rng, _TRIMS)
    if abs(float(trim.mean() - wall.mean())) < 18:  # a relief must be told from its wall
        trim = np.clip(trim + (30 if wall.mean() < 190 else -42), 0, 250).astype(np.float32)
    flags = draws(rng, 12)
    return Looks(
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
