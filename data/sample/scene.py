"""A scene: where the parts of a facade lie, drawn by chance.

Coordinates are those of the unit square, y downwards; nothing here knows a colour.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

# === A scene and its pixels ===

Span = tuple[float, float]


class Box(NamedTuple):
    """An axis-parallel part of the facade; `kind` is a key of `PALETTE`."""

    kind: str
    x: float
    y: float
    w: float
    h: float


@dataclasses.dataclass
class Scene:
    """A facade: its outline and its parts in painting order.

    The house covers the columns from `left` to `right`, from the roof line (a
    polyline `roof_x`, `roof_y`) down to `bottom`; the wall proper begins at `eaves`.
    """

    left: float
    right: float
    eaves: float
    bottom: float
    roof: str
    roof_x: list[float]
    roof_y: list[float]
    ground_top: float = 1.0
    boxes: list[Box] = dataclasses.field(default_factory=list)

    def add(self, kind: str, x0: float, y0: float, x1: float, y1: float) -> None:
        """Adds a part, cut to the picture; what lies outside of it is dropped."""
        x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, 1.0), min(y1, 1.0)
        if x1 > x0 and y1 > y0:
            self.boxes.append(Box(kind, x0, y0, x1 - x0, y1 - y0))


def pixel_slices(box: Box, n: int) -> tuple[slice, slice]:
    """Rows and columns of a box in an n x n image; empty below half a pixel."""
    x, y = round(box.x * n), round(box.y * n)
    return slice(y, y + round(box.h * n)), slice(x, x + round(box.w * n))


def house_mask(scene: Scene, n: int) -> np.ndarray:
    """bool [n, n]: true where the house stands."""
    centres = (np.arange(n) + 0.5) / n
    top = np.interp(centres, scene.roof_x, scene.roof_y, left=2.0, right=2.0)
    top[(centres < scene.left) | (centres > scene.right)] = 2.0
    return (centres[:, None] >= top[None]) & (centres[:, None] < scene.bottom)


# === What the floors of a house have in common ===


class Dice:
    """Short words for the draws a layout is made of."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng

    def chance(self, p: float) -> bool:
        return self._rng.random() < p

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._rng.random()

    def whole(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int(self._rng.random() * (high - low + 1))

    def pick(self, *options):
        return options[int(self._rng.random() * len(options))]


@dataclasses.dataclass
class Plan:
    """What the floors of one house have in common."""

    window_w: float
    window_h: float
    twin: bool
    cornices: float
    sills: float
    shutters: float
    roller: float
    deco: float
    stripes: float
    pillars: str
    balconies: str
    balcony_bays: tuple[int, ...]

    @classmethod
    def draw(cls, dice: Dice, bays: int, floors: int) -> Plan:
        modern = dice.chance(0.25)
        centre = tuple({(bays - 1) // 2, bays // 2})
        side = (0, bays - 1) if dice.chance(0.5) else (dice.whole(0, bays - 1),)
        shutters = dice.pick(0.0, 0.0, 0.95)
        return cls(
            window_w=dice.between(0.3, 0.42) if shutters else dice.between(0.4, 0.62),
            window_h=dice.between(0.46, 0.64),
            twin=dice.chance(0.15),
            cornices=0.0 if modern else dice.pick(0.0, 0.5, 0.95),
            sills=dice.pick(0.0, 0.6, 0.95),
            shutters=shutters,
            roller=0.0 if shutters else dice.pick(0.0, 0.0, 0.25),
            deco=0.0 if modern else dice.pick(0.0, 0.15, 0.5),
            stripes=0.15 if modern else dice.pick(0.2, 0.6, 0.95),
            pillars="" if modern else dice.pick("", "", "corners", "all", "centre"),
            balconies=dice.pick("", "bays", "bays", "long", "scattered"),
            balcony_bays=dice.pick(centre, side),
        )


# === What fills the floors, lies across them and stands out of them ===


def fill_floor(scene: Scene, dice: Dice, plan: Plan, row: Span, columns: list[Span]) -> None:
    """Windows of one upper floor, with what hangs above, below and beside them."""
    top, bottom = row
    height = bottom - top
    tall = min(0.72, plan.window_h * dice.between(0.9, 1.1))
    head = top + height * (0.97 - tall) * dice.between(0.5, 0.62)
    foot = head + height * tall
    cornices, sills = dice.chance(plan.cornices), dice.chance(plan.sills)
    spandrels = dice.chance(plan.deco)
    for x0, x1 in columns:
        width = (x1 - x0) * plan.window_w
        centre = (x0 + x1) / 2 + dice.between(-0.002, 0.002)
        left, right = centre - width / 2, centre + width / 2
        if dice.chance(0.03):
            continue
        _add_window(scene, dice, plan, left, head, right, foot)
        if cornices:
            scene.add(
                "cornice",
                left - 0.1 * width,
                head - 0.11 * height,
                right + 0.1 * width,
                head - 0.035 * height,
            )
        if sills:
            scene.add("sill", left - 0.08 * width, foot, right + 0.08 * width, foot + 0.07 * height)
        if spandrels and foot + 0.21 * height < bottom:
            scene.add(
                "deco",
                left + 0.1 * width,
                foot + 0.1 * height,
                right - 0.1 * width,
                foot + 0.2 * height,
            )
    if plan.deco and dice.chance(plan.deco * 0.6):
        _add_medallions(scene, columns, head, height)


def _add_window(
    scene: Scene, dice: Dice, plan: Plan, left: float, head: float, right: float, foot: float
) -> None:
    width = right - left
    if plan.twin:
        middle, gap = (left + right) / 2, 0.05 * width
        scene.add("window", left - gap, head, middle - gap, foot)
        scene.add("window", middle + gap, head, right + gap, foot)
    else:
        scene.add("window", left, head, right, foot)
    if plan.shutters and dice.chance(plan.shutters):
        leaf = 0.5 * width
        scene.add("blind", left - leaf, head, left, foot)
        scene.add("blind", right, head, right + leaf, foot)
    elif plan.roller and dice.chance(plan.roller):
        scene.add("blind", left, head, right, head + (foot - head) * dice.pick(0.35, 0.6, 1.0))


def _add_medallions(scene: Scene, columns: list[Span], head: float, height: float) -> None:
    """Reliefs on the wall between two bays."""
    for (_, a), (b, _) in itertools.pairwise(columns):
        middle, half = (a + b) / 2, 0.075 * (columns[0][1] - columns[0][0])
        scene.add("deco", middle - half, head + 0.08 * height, middle + half, head + 0.34 * height)


def fill_ground(scene: Scene, dice: Dice, plan: Plan, row: Span, columns: list[Span]) -> None:
    """Doors, shops and windows of the ground floor."""
    top, bottom = row
    height, bays = bottom - top, len(columns)
    door = dice.pick(bays // 2, bays // 2, 0, bays - 1, dice.whole(0, bays - 1))
    shops = dice.pick(0.0, 0.0, 0.5, 1.0)
    sills = dice.chance(plan.sills)
    head = top + height * dice.between(0.14, 0.22)
    bay = 0
    while bay < bays:
        x0, x1 = columns[bay]
        width = x1 - x0
        if bay == door:
            half = min(0.055, width * dice.between(0.22, 0.34))
            middle = (x0 + x1) / 2
            scene.add("door", middle - half, head, middle + half, bottom)
            if plan.deco and dice.chance(0.5):
                scene.add(
                    "deco", middle - half, head - 0.11 * height, middle + half, head - 0.02 * height
                )
        elif dice.chance(shops):
            if bay + 1 < bays and bay + 1 != door and dice.chance(0.5):
                bay += 1
                x1 = columns[bay][1]
            inset = 0.06 * width
            scene.add("shop", x0 + inset, top + 0.12 * height, x1 - inset, bottom - 0.02 * height)
        elif not dice.chance(0.06):
            half = width * plan.window_w / 2
            middle, foot = (x0 + x1) / 2, head + height * 0.45
            _add_window(scene, dice, plan, middle - half, head, middle + half, foot)
            if sills:
                scene.add(
                    "sill", middle - 1.15 * half, foot, middle + 1.15 * half, foot + 0.05 * height
                )
        bay += 1


def add_stripes(scene: Scene, dice: Dice, plan: Plan, rows: list[Span]) -> None:
    """Moldings: a heavy one under the roof, thinner ones between floors."""
    over = dice.between(0.0, 0.012)
    left, right = scene.left - over, scene.right + over
    if scene.roof not in ("none", "steps") and dice.chance(0.85):
        top = rows[0][0]
        scene.add("molding", left, top - 0.004, right, top + dice.between(0.02, 0.045))
    thin = dice.between(0.012, 0.024)
    for top, _ in rows[1:-1]:
        if dice.chance(plan.stripes):
            scene.add("molding", scene.left, top - thin / 2, scene.right, top + thin / 2)
    if len(rows) > 1 and dice.chance(0.3 + 0.6 * plan.stripes):
        top, thick = rows[-1][0], dice.between(0.016, 0.036)
        scene.add("molding", scene.left, top - thick / 2, scene.right, top + thick / 2)


def add_pillars(
    scene: Scene, dice: Dice, plan: Plan, rows: list[Span], columns: list[Span]
) -> None:
    """Upright strips of trim: at the corners, about the centre or between all bays."""
    if not plan.pillars:
        return
    top = rows[0][0] + 0.045
    bottom = rows[-1][0] - 0.018 if dice.chance(0.6) or len(rows) < 3 else scene.bottom
    width = (columns[0][1] - columns[0][0]) * dice.between(0.12, 0.2)
    edges = [columns[0][0], *(b for _, b in columns)]
    if plan.pillars == "corners":
        edges = [edges[0] + width / 2, edges[-1] - width / 2]
    elif plan.pillars == "centre":
        middle = len(edges) // 2
        edges = edges[middle - 1 : middle + 1]
    for x in edges:
        scene.add("pillar", x - width / 2, top, x + width / 2, bottom)


def fill_roof(scene: Scene, dice: Dice, columns: list[Span]) -> None:
    """Dormers in a mansard roof; a window or a relief in a gable."""
    if scene.roof not in ("mansard", "gable", "steps"):
        return
    top, rise = min(scene.roof_y), scene.eaves - min(scene.roof_y)
    if scene.roof == "mansard":
        every = dice.pick(1, 1, 2)
        wide = min(0.045, 0.22 * (columns[0][1] - columns[0][0]))
        for x0, x1 in columns[every - 1 :: every]:
            middle = (x0 + x1) / 2
            slope = scene.roof_x[1] - scene.left
            if scene.left + slope < middle - wide and middle + wide < scene.right - slope:
                scene.add(
                    "window",
                    middle - wide * 0.8,
                    top + 0.4 * rise,
                    middle + wide * 0.8,
                    top + 0.84 * rise,
                )
                if every == 1:
                    scene.add(
                        "cornice", middle - wide, top + 0.3 * rise, middle + wide, top + 0.39 * rise
                    )
        return
    middle = (
        scene.roof_x[len(scene.roof_x) // 2]
        if scene.roof == "gable"
        else (scene.left + scene.right) / 2
    )
    half = dice.between(0.03, 0.05)
    kind = dice.pick("window", "window", "deco")
    scene.add(
        kind, middle - half, scene.eaves - 0.48 * rise, middle + half, scene.eaves - 0.12 * rise
    )
    if kind == "window" and dice.chance(0.6):
        for side in (-1, 1):
            x = middle + side * 0.24 * (scene.right - scene.left)
            scene.add(
                "window",
                x - 0.7 * half,
                scene.eaves - 0.3 * rise,
                x + 0.7 * half,
                scene.eaves - 0.1 * rise,
            )


def add_balconies(
    scene: Scene, dice: Dice, plan: Plan, rows: list[Span], columns: list[Span]
) -> None:
    """Balconies at the feet of upper floors, one per bay or one along the whole front."""
    if not plan.balconies:
        return
    depth = dice.between(0.32, 0.42)
    for floor, (top, bottom) in enumerate(rows[:-1]):
        height = bottom - top
        y0, y1 = bottom - depth * height, bottom - 0.02 * height
        if plan.balconies == "long":
            if floor in (0, len(rows) - 2) or dice.chance(0.2):
                scene.add("balcony", columns[0][0], y0, columns[-1][1], y1)
            continue
        for bay, (x0, x1) in enumerate(columns):
            chosen = bay in plan.balcony_bays if plan.balconies == "bays" else dice.chance(0.15)
            if chosen and dice.chance(0.9):
                inset = 0.08 * (x1 - x0)
                scene.add("balcony", x0 + inset, y0, x1 - inset, y1)


# === The whole facade: the outline of a house, and a grid of floors and bays to fill ===


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
