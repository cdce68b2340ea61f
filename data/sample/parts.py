"""The parts of a facade: what fills its floors, lies across them and stands out of them."""

from __future__ import annotations

import itertools

from tfpix2pix.data.sample.plan import Dice, Plan
from tfpix2pix.data.sample.scene import Scene, Span


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
