"""Draws a scene: the outline of a house, and a grid of floors and bays to fill."""

from __future__ import annotations

import itertools

import numpy as np

from tfpix2pix.data.sample.parts import (
    add_balconies,
    add_pillars,
    add_stripes,
    fill_floor,
    fill_ground,
    fill_roof,
)
from tfpix2pix.data.sample.plan import Dice, Plan
from tfpix2pix.data.sample.scene import Scene, Span


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draws outline, floors and bays, and fills each cell of that grid."""
    dice = Dice(rng)
    scene = _draw_outline(dice)
    width, height = scene.right - scene.left, scene.bottom - scene.eaves
    floors = max(2, min(7, round(height / dice.between(0.13, 0.26))))
    bays = max(2, min(9, round(width / dice.between(0.11, 0.24))))
    rows = _split(dice, scene.eaves, scene.bottom, floors, first=0.9, last=1.25)
    columns = _split(dice, scene.left + 0.02 * width, scene.right - 0.02 * width, bays)
    scene.ground_top = rows[-1][0]
    plan = Plan.draw(dice, bays, floors)
    for row in rows[:-1]:
        fill_floor(scene, dice, plan, row, columns)
    fill_ground(scene, dice, plan, rows[-1], columns)
    add_stripes(scene, dice, plan, rows)
    add_pillars(scene, dice, plan, rows, columns)
    fill_roof(scene, dice, columns)
    add_balconies(scene, dice, plan, rows, columns)
    return scene


def _draw_outline(dice: Dice) -> Scene:
    roof = dice.pick("flat", "flat", "mansard", "mansard", "gable", "steps", "none")
    narrow = roof in ("gable", "steps")
    margin = (0.04, 0.18) if narrow else (0.02, 0.12)
    left = 0.0 if dice.chance(0.15 if narrow else 0.5) else dice.between(*margin)
    right = 1.0 if dice.chance(0.15 if narrow else 0.5) else 1 - dice.between(*margin)
    bottom = dice.between(0.92, 0.99)
    if roof == "none":
        return Scene(left, right, 0.0, bottom, roof, [left, right], [0.0, 0.0])
    top = dice.between(0.03, 0.1)
    if roof == "flat":
        top += dice.between(0.0, 0.1)
        return Scene(left, right, top, bottom, roof, [left, right], [top, top])
    rise = dice.between(0.17, 0.28) if narrow else dice.between(0.11, 0.19)
    eaves = top + rise
    if roof == "mansard":
        slope = dice.between(0.0, 0.1)
        xs, ys = [left, left + slope, right - slope, right], [eaves, top, top, eaves]
    elif roof == "gable":
        peak = (left + right) / 2 + dice.between(-0.03, 0.03)
        xs, ys = [left, peak, right], [eaves, top, eaves]
    else:
        xs, ys = _stepped_gable(left, right, top, eaves, dice.whole(3, 5))
    return Scene(left, right, eaves, bottom, roof, xs, ys)


def _stepped_gable(
    left: float, right: float, top: float, eaves: float, steps: int
) -> tuple[list[float], list[float]]:
    tread, riser = (right - left) / (2 * steps + 1), (eaves - top) / steps
    rising = [(left + i * tread, eaves - i * riser) for i in range(steps + 1)]
    points = []
    for (x, y), (_, lower) in zip(rising, [rising[0], *rising[:-1]], strict=True):
        points += [(x, lower), (x + 1e-6, y)]
    points += [(left + right - x, y) for x, y in reversed(points)]
    return [x for x, _ in points], [y for _, y in points]


def _split(
    dice: Dice, start: float, end: float, count: int, first: float = 1.0, last: float = 1.0
) -> list[Span]:
    """Cuts [start, end] into `count` cells of slightly differing length."""
    lengths = np.array([dice.between(0.94, 1.06) for _ in range(count)])
    lengths[0] *= first
    lengths[-1] *= last
    edges = start + (end - start) * np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
    return [(float(a), float(b)) for a, b in itertools.pairwise(edges)]
