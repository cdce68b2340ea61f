"""The embedded data set `sample`: house fronts made of nothing but a seed.

Each pair is a label map of a facade, in the classes and colours of the CMP
Facade Database, and a "photograph" of it. A scene is drawn once, in coordinates
of the unit square, and painted twice: flat, as the label map, and with material,
light, shadow and clutter, as the photo. Geometry and looks come from separate
random streams, so one label map has many right photos.

Words as in CMP: a *molding* is a stripe across the facade, a *cornice* the raised
panel above one window, a *sill* the one below it, a *blind* a shutter or a blind;
a roof counts as facade, and everything that is not this house as background.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

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

SPLITS = ("train", "val", "test")

_CLASS_INDEX = {name: i for i, name in enumerate(PALETTE)}
_COLOURS = np.array(list(PALETTE.values()), np.uint8)
_MIN_SIZE = 16
# Photos are painted at least this large and averaged down: thin bars then fade as through a lens.
_MIN_RENDER = 192


# === Public ===


def facade_pair(
    seed: int, size: int = 256, split: str = "train", index: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draws one scene and returns its label map and its photo.

    The scene depends on (seed, split, index) alone; `size` is the resolution at
    which it is looked at. No two splits share a scene.

    Args:
      seed: non-negative integer, one per data set.
      size: height and width in pixels, at least 16.
      split: one of `SPLITS`.
      index: non-negative position in the split.

    Returns:
      `(label, photo)`, both uint8 `[size, size, 3]`. Every label pixel is exactly
      a colour of `PALETTE`. The same arguments give the same bytes; from one version of
      numpy to another a rare pixel of a photo may differ by one level.

    Raises:
      ValueError: an argument is out of range.
    """
    seed, index = _natural("seed", seed), _natural("index", index)
    size = _natural("size", size, _MIN_SIZE)
    _check_split(split)
    geometry, looks = (_stream(seed, split, index, part) for part in (0, 1))
    scene = _draw_scene(geometry)
    return _render_label(scene, size), _render_photo(scene, looks, size)


def facade_pairs(
    count: int, *, split: str, seed: int = 0, size: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the first `count` scenes of a split.

    Args:
      count: how many pairs, at least 0.
      split: one of `SPLITS`.
      seed: non-negative integer, one per data set.
      size: height and width in pixels, at least 16.

    Returns:
      `(labels, photos)`, both uint8 `[count, size, size, 3]`; item i is
      `facade_pair(seed, size, split, i)`.

    Raises:
      ValueError: an argument is out of range.
    """
    count, size = _natural("count", count), _natural("size", size, _MIN_SIZE)
    seed = _natural("seed", seed)
    _check_split(split)
    labels = np.empty((count, size, size, 3), np.uint8)
    photos = np.empty_like(labels)
    for i in range(count):
        labels[i], photos[i] = facade_pair(seed, size, split, i)
    return labels, photos


def _natural(name: str, value: int, least: int = 0) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer, got {value!r}.") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}.")
    return number


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}.")


def _stream(seed: int, split: str, index: int, part: int) -> np.random.Generator:
    """A random stream of its own for each (seed, split, index, part)."""
    key = (SPLITS.index(split), index, part)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


# === Geometry: a scene in the unit square, y downwards ===


_Span = tuple[float, float]


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


class _Dice:
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


def _draw_scene(rng: np.random.Generator) -> Scene:
    """Draws outline, floors and bays, and fills each cell of that grid."""
    dice = _Dice(rng)
    scene = _draw_outline(dice)
    width, height = scene.right - scene.left, scene.bottom - scene.eaves
    floors = max(2, min(7, round(height / dice.between(0.13, 0.26))))
    bays = max(2, min(9, round(width / dice.between(0.11, 0.24))))
    rows = _split(dice, scene.eaves, scene.bottom, floors, first=0.9, last=1.25)
    columns = _split(dice, scene.left + 0.02 * width, scene.right - 0.02 * width, bays)
    scene.ground_top = rows[-1][0]
    plan = _Plan.draw(dice, bays, floors)
    for row in rows[:-1]:
        _fill_floor(scene, dice, plan, row, columns)
    _fill_ground(scene, dice, plan, rows[-1], columns)
    _add_stripes(scene, dice, plan, rows)
    _add_pillars(scene, dice, plan, rows, columns)
    _fill_roof(scene, dice, columns)
    _add_balconies(scene, dice, plan, rows, columns)
    return scene


def _draw_outline(dice: _Dice) -> Scene:
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
    dice: _Dice, start: float, end: float, count: int, first: float = 1.0, last: float = 1.0
) -> list[_Span]:
    """Cuts [start, end] into `count` cells of slightly differing length."""
    lengths = np.array([dice.between(0.94, 1.06) for _ in range(count)])
    lengths[0] *= first
    lengths[-1] *= last
    edges = start + (end - start) * np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
    return [(float(a), float(b)) for a, b in itertools.pairwise(edges)]


@dataclasses.dataclass
class _Plan:
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
    def draw(cls, dice: _Dice, bays: int, floors: int) -> _Plan:
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


def _fill_floor(scene: Scene, dice: _Dice, plan: _Plan, row: _Span, columns: list[_Span]) -> None:
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
            scene.add("cornice", left - 0.1 * width, head - 0.11 * height, right + 0.1 * width,
                      head - 0.035 * height)
        if sills:
            scene.add("sill", left - 0.08 * width, foot, right + 0.08 * width, foot + 0.07 * height)
        if spandrels and foot + 0.21 * height < bottom:
            scene.add("deco", left + 0.1 * width, foot + 0.1 * height, right - 0.1 * width,
                      foot + 0.2 * height)
    if plan.deco and dice.chance(plan.deco * 0.6):
        _add_medallions(scene, columns, head, height)


def _add_window(
    scene: Scene, dice: _Dice, plan: _Plan, left: float, head: float, right: float, foot: float
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


def _add_medallions(scene: Scene, columns: list[_Span], head: float, height: float) -> None:
    """Reliefs on the wall between two bays."""
    for (_, a), (b, _) in itertools.pairwise(columns):
        middle, half = (a + b) / 2, 0.075 * (columns[0][1] - columns[0][0])
        scene.add("deco", middle - half, head + 0.08 * height, middle + half, head + 0.34 * height)


def _fill_ground(scene: Scene, dice: _Dice, plan: _Plan, row: _Span, columns: list[_Span]) -> None:
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
                scene.add("deco", middle - half, head - 0.11 * height, middle + half,
                          head - 0.02 * height)
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
                scene.add("sill", middle - 1.15 * half, foot, middle + 1.15 * half,
                          foot + 0.05 * height)
        bay += 1


def _add_stripes(scene: Scene, dice: _Dice, plan: _Plan, rows: list[_Span]) -> None:
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


def _add_pillars(
    scene: Scene, dice: _Dice, plan: _Plan, rows: list[_Span], columns: list[_Span]
) -> None:
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


def _fill_roof(scene: Scene, dice: _Dice, columns: list[_Span]) -> None:
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
                scene.add("window", middle - wide * 0.8, top + 0.4 * rise, middle + wide * 0.8,
                          top + 0.84 * rise)
                if every == 1:
                    scene.add("cornice", middle - wide, top + 0.3 * rise, middle + wide,
                              top + 0.39 * rise)
        return
    middle = scene.roof_x[len(scene.roof_x) // 2] if scene.roof == "gable" else (
        scene.left + scene.right) / 2
    half = dice.between(0.03, 0.05)
    kind = dice.pick("window", "window", "deco")
    scene.add(kind, middle - half, scene.eaves - 0.48 * rise, middle + half,
              scene.eaves - 0.12 * rise)
    if kind == "window" and dice.chance(0.6):
        for side in (-1, 1):
            x = middle + side * 0.24 * (scene.right - scene.left)
            scene.add("window", x - 0.7 * half, scene.eaves - 0.3 * rise, x + 0.7 * half,
                      scene.eaves - 0.1 * rise)


def _add_balconies(
    scene: Scene, dice: _Dice, plan: _Plan, rows: list[_Span], columns: list[_Span]
) -> None:
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


# === The label map ===


def _pixels(box: Box, n: int) -> tuple[slice, slice]:
    """Rows and columns of a box in an n x n image; empty below half a pixel."""
    x, y = round(box.x * n), round(box.y * n)
    return slice(y, y + round(box.h * n)), slice(x, x + round(box.w * n))


def _house_mask(scene: Scene, n: int) -> np.ndarray:
    """bool [n, n]: true where the house stands."""
    centres = (np.arange(n) + 0.5) / n
    top = np.interp(centres, scene.roof_x, scene.roof_y, left=2.0, right=2.0)
    top[(centres < scene.left) | (centres > scene.right)] = 2.0
    return (centres[:, None] >= top[None]) & (centres[:, None] < scene.bottom)


def _render_label(scene: Scene, size: int) -> np.ndarray:
    classes = _house_mask(scene, size).astype(np.uint8)
    for box in scene.boxes:
        classes[_pixels(box, size)] = _CLASS_INDEX[box.kind]
    return np.take(_COLOURS, classes, axis=0)


# === Textures, made once per resolution ===


@functools.lru_cache(maxsize=32)
def _noise(variant: int, n: int, coarse: int, fine: int, stretch: int = 1) -> np.ndarray:
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
        total += weight * np.asarray(Image.fromarray(grid).resize((m, m), Image.BICUBIC))
        cells, weight = cells * 2, weight * 0.6
    total -= total.mean()
    return total / total.std()


@functools.lru_cache(maxsize=32)
def _masonry(
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
    halve = [Image.fromarray(a).reduce(2) for a in (bricks[row[:, None], column],
                                                     joints.astype(np.float32))]
    return np.array(halve[0]), np.array(halve[1])


@functools.lru_cache(maxsize=16)
def _boards(n: int, rows: int, depth: float) -> np.ndarray:
    """float32 [m, m], m = 1.25 n: lapped rows, as clapboard and roof tiles are."""
    y = np.arange(n + n // 4) * (rows / n)
    lap = 1 + depth * (0.5 - y % 1.0)
    return np.repeat(lap[:, None], len(y), 1).astype(np.float32)


@functools.cache
def _grain() -> np.ndarray:
    """float32 [512, 512, 3]: camera noise of unit deviation, grey with a little colour."""
    rng = np.random.Generator(np.random.Philox(9))
    grey = rng.standard_normal((512, 512, 1), np.float32)
    return 0.9 * grey + 0.4 * rng.standard_normal((512, 512, 3), np.float32)


def _crop(texture: np.ndarray, n: int, u: float, v: float) -> np.ndarray:
    """The n x n piece of a 1.25 n texture at the relative offset (u, v)."""
    y, x = int(u * (n // 4)), int(v * (n // 4))
    return texture[y : y + n, x : x + n]


# === Colour planes ===
# Arithmetic with a trailing axis of 3 is several times slower in numpy than one strided pass
# per channel, and these passes are most of the time a photo takes.


def _tinted(tone: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """float32 [h, w, 3]: a grey image times a colour."""
    out = np.empty((*tone.shape, 3), np.float32)
    for channel in range(3):
        np.multiply(tone, colour[channel], out=out[..., channel])
    return out


def _scale(view: np.ndarray, tone: np.ndarray) -> None:
    """Multiplies every channel by a grey image, in place."""
    for channel in range(3):
        view[..., channel] *= tone


def _cover(view: np.ndarray, picture: np.ndarray, where: np.ndarray) -> None:
    """Copies `picture` into `view` where bool [h, w] is true."""
    for channel in range(3):
        np.copyto(view[..., channel], picture[..., channel], where=where)


# === The photo ===

_WALLS = np.float32([
    (232, 220, 190), (224, 196, 130), (214, 170, 90), (214, 150, 120), (226, 180, 170),
    (168, 84, 66), (142, 92, 70), (186, 180, 170), (236, 234, 228), (176, 190, 160),
    (160, 180, 196), (204, 184, 150), (150, 140, 130), (196, 120, 84), (120, 70, 60),
])
_BRICKS = np.float32([(160, 82, 62), (142, 74, 58), (178, 104, 76), (186, 150, 110),
                      (120, 66, 56), (200, 176, 140)])
_STONES = np.float32([(196, 182, 154), (178, 170, 158), (150, 144, 134), (212, 200, 172),
                      (170, 140, 110)])
_TRIMS = np.float32([(236, 230, 216), (216, 204, 180), (190, 184, 174), (244, 242, 238),
                     (150, 140, 128), (176, 130, 96)])
_ROOFS = np.float32([(150, 76, 56), (120, 64, 52), (92, 92, 98), (76, 72, 74), (110, 118, 112)])
_PAINTS = np.float32([(60, 96, 70), (120, 44, 38), (60, 84, 120), (126, 88, 54), (226, 224, 216),
                      (88, 60, 44), (150, 150, 148), (44, 60, 56)])
_SIGNS = np.float32([(170, 36, 36), (30, 70, 130), (36, 100, 66), (220, 170, 50), (40, 40, 44),
                     (230, 226, 214), (120, 50, 110)])
_FRAMES = np.float32([(238, 236, 230), (238, 236, 230), (96, 66, 46), (60, 60, 62), (70, 90, 76)])
_WOODS = np.float32([(112, 72, 44), (84, 52, 36), (60, 70, 60), (110, 40, 34), (50, 60, 84),
                     (146, 104, 66)])


def _draws(rng: np.random.Generator, count: int) -> list[float]:
    """Python floats: numpy's float64 scalars would turn float32 images into float64."""
    return rng.random(count).tolist()


def _colour(rng: np.random.Generator, choices: np.ndarray, spread: float = 26.0) -> np.ndarray:
    """One of `choices` with a little freedom in brightness and hue; float32 [3]."""
    colour = choices[int(rng.random() * len(choices))]
    shift = spread * (0.7 * (rng.random() - 0.5) + 0.5 * (rng.random(3) - 0.5))
    return np.clip(colour + shift, 8, 250).astype(np.float32)


@dataclasses.dataclass
class _Looks:
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


def _draw_looks(rng: np.random.Generator, n: int) -> tuple[_Looks, str]:
    material = ("plaster", "plaster", "plaster", "brick", "brick", "stone", "boards")[
        int(rng.random() * 7)]
    wall = _colour(rng, {"brick": _BRICKS, "stone": _STONES}.get(material, _WALLS))
    trim = _colour(rng, _TRIMS)
    if abs(float(trim.mean() - wall.mean())) < 18:  # a relief must be told from its wall
        trim = np.clip(trim + (30 if wall.mean() < 190 else -42), 0, 250).astype(np.float32)
    flags = _draws(rng, 12)
    return _Looks(
        n=n, wall=wall, trim=trim, frame=_colour(rng, _FRAMES, 14), paint=_colour(rng, _PAINTS),
        wood=_colour(rng, _WOODS), sign=_colour(rng, _SIGNS),
        glass=_colour(rng, np.float32([(44, 52, 62), (58, 66, 72), (36, 40, 44), (62, 76, 92)])),
        railing=_colour(rng, np.float32([(34, 34, 36), (60, 56, 52), (220, 220, 216)]), 12),
        roof=_colour(rng, _ROOFS),
        sun=-1.0 if flags[0] < 0.5 else 1.0, contrast=0.25 + 0.4 * flags[1],
        overcast=flags[2], mullions=int(flags[3] * 6), surround=flags[4] < 0.55,
        arched=flags[5] < 0.18, dentils=flags[6] < 0.35, fluted=flags[7] < 0.4,
        solid_balcony=flags[8] < 0.3, awnings=flags[9] < 0.4, curtains=0.6 * flags[10],
        lit=0.18 * flags[11],
    ), material


def _render_photo(scene: Scene, rng: np.random.Generator, size: int) -> np.ndarray:
    """Paints wall, flat parts, shadows, reliefs and clutter, then takes the picture."""
    shrink = -(-_MIN_RENDER // size)
    n = shrink * size
    looks, material = _draw_looks(rng, n)
    canvas = _paint_wall(scene, looks, material, rng)
    _paint_roof(canvas, scene, looks, rng)
    _paint_surroundings(canvas, scene, looks, rng)
    chance = rng.random((len(scene.boxes), 3)).tolist()
    placed = [(box.kind, canvas[_pixels(box, n)], u)
              for box, u in zip(scene.boxes, chance, strict=True)]
    if looks.surround:
        _paint_surrounds(canvas, scene, looks)
    windows: dict[tuple[int, int, int], np.ndarray] = {}
    for kind, view, u in placed:
        if kind == "window" and view.size:
            _paint_window(view, looks, u, windows)
        elif kind in ("door", "shop") and view.size:
            _FLAT_PAINTERS[kind](view, looks, u)
    _scale(canvas, _light_map(scene, looks, rng))
    for kind, view, u in placed:
        if kind in _RELIEF_PAINTERS and view.size:
            _RELIEF_PAINTERS[kind](view, looks, u)
    return _take_picture(canvas, scene, looks, rng, size, shrink)


# === Walls, roofs and what stands around ===


def _paint_wall(scene: Scene, looks: _Looks, material: str, rng: np.random.Generator) -> np.ndarray:
    n = looks.n
    u = _draws(rng, 8)
    tone = 1 + (0.02 + 0.05 * u[0]) * _crop(_noise(11, n, 4, 64), n, u[1], u[2])
    tone += (0.01 + 0.05 * u[3]) * _crop(_noise(12, n, 24, 48, stretch=8), n, u[4], u[5])
    joints = None
    if material == "brick":
        bricks, joints = _masonry(21, n, (38, 46, 56)[int(u[6] * 3)], 2.6, 0.2)
    elif material == "stone":
        bricks, joints = _masonry(22, n, (13, 17, 22)[int(u[6] * 3)], 2.1, 0.09)
    if joints is not None:
        tone *= _crop(bricks, n, u[1], u[2])
    elif material == "boards":
        tone *= _crop(_boards(n, (30, 40)[int(u[6] * 2)], 0.16), n, u[1], 0.0)
    else:
        tone += 0.02 * _crop(_noise(13, n, 64, 256), n, u[5], u[1])
    if joints is not None:  # mortar is darker or lighter than its bricks
        tone += (-0.26 if u[7] < 0.6 else 0.19) * _crop(joints, n, u[1], u[2])
    canvas = _tinted(tone, looks.wall)
    _paint_ground_floor(canvas, scene, looks, rng)
    return canvas


def _paint_ground_floor(
    canvas: np.ndarray, scene: Scene, looks: _Looks, rng: np.random.Generator
) -> None:
    """Some houses have a rusticated or painted ground floor; all a dirty foot."""
    n = looks.n
    u = _draws(rng, 4)
    rows = slice(round(scene.ground_top * n), round(scene.bottom * n))
    if u[0] < 0.35:
        tint = (0.35 + 0.5 * u[1]) * (looks.trim / looks.wall) + 0.5 - 0.4 * u[1]
        canvas[rows] *= np.clip(tint, 0.5, 1.3).astype(np.float32)
    if u[2] < 0.25:
        canvas[rows] *= (1 - 0.22 * (np.arange(rows.stop - rows.start) % max(3, n // 32) < 1)
                         ).astype(np.float32)[:, None, None]
    foot = round((scene.bottom - 0.03) * n)
    canvas[foot : rows.stop] *= np.float32(0.62 + 0.25 * u[3])


def _paint_roof(canvas: np.ndarray, scene: Scene, looks: _Looks, rng: np.random.Generator) -> None:
    n, eaves = looks.n, round(scene.eaves * looks.n)
    u, v = _draws(rng, 2)
    if scene.roof == "mansard":
        tone = _crop(_boards(n, 48, 0.3), n, u, 0.0)[:eaves] * (
            1 + 0.07 * _crop(_noise(14, n, 32, 128), n, u, v)[:eaves])
        canvas[:eaves] = _tinted(tone, looks.roof)
    elif scene.roof == "gable":  # the edge of the roof, seen from the front
        centres = (np.arange(n) + 0.5) / n
        top = np.interp(centres, scene.roof_x, scene.roof_y)
        depth = centres[:eaves, None] - top[None]
        canvas[:eaves][depth < 0.034] *= np.float32(0.55)
        canvas[:eaves][depth < 0.022] = looks.roof


def _paint_surroundings(
    canvas: np.ndarray, scene: Scene, looks: _Looks, rng: np.random.Generator
) -> None:
    """Sky above, sky or a neighbour at the sides, pavement below."""
    n = looks.n
    eaves, bottom = round(scene.eaves * n), round(scene.bottom * n)
    left, right = round(scene.left * n), round(scene.right * n)
    u = _draws(rng, 8)
    sky = _paint_sky(n, eaves if (left, right) == (0, n) else n, looks, u)
    if eaves:
        _cover(canvas[:eaves], sky[:eaves], ~_house_mask(scene, n)[:eaves])
    for columns, chance in ((slice(0, left), u[4]), (slice(right, n), u[5])):
        if columns.stop > columns.start:
            canvas[:, columns] = sky[:, columns]
            if chance < 0.75:
                _paint_neighbour(canvas[:, columns], looks, rng)
    stone = 1 + 0.07 * _crop(_noise(15, n, 16, 128), n, u[6], u[7])[bottom:]
    pavement = np.float32([128, 124, 118]) * np.float32(0.6 + 0.6 * u[3])
    canvas[bottom:] = _tinted(stone, pavement)
    canvas[bottom : bottom + max(1, n // 128)] *= np.float32(0.55)
    kerb = bottom + (n - bottom) // 2
    canvas[kerb:] *= np.float32(0.72)


def _paint_sky(n: int, rows: int, looks: _Looks, u: list[float]) -> np.ndarray:
    """uint8 [rows, n, 3]: blue to haze downwards, with clouds; painted small, for it is smooth."""
    if not rows:
        return np.empty((0, n, 3), np.uint8)
    m = n // 4
    height = np.linspace(0, 1, m, dtype=np.float32)[:, None]
    zenith = np.float32([96, 146, 208]) * (1 - looks.overcast) + np.float32(
        [196, 202, 210]) * looks.overcast
    gradient = (zenith + np.sqrt(height) * (np.float32([214, 226, 238]) - zenith))[:, None]
    clouds = np.clip(0.45 * _crop(_noise(16, m, 3, 48), m, u[0], u[1]) + u[2] - 0.5, 0, 0.9)
    sky = gradient + clouds[..., None] * (np.float32([246, 246, 248]) - gradient)
    small = Image.fromarray(sky.astype(np.uint8))
    return np.asarray(small.resize((n, rows), Image.BILINEAR, box=(0, 0, m, rows * m / n)))


def _paint_neighbour(view: np.ndarray, looks: _Looks, rng: np.random.Generator) -> None:
    n, width = looks.n, view.shape[1]
    u = _draws(rng, 4)
    top = int(u[0] ** 2 * 0.6 * n)
    wall = 0.85 * _colour(rng, _WALLS)
    tone = 1 + 0.04 * _crop(_noise(17, n, 16, 128), n, u[1], u[2])[top:, :width]
    view[top:] = _tinted(tone, wall)
    view[top : top + n // 40] = 0.7 * looks.roof
    storey = int((0.12 + 0.08 * u[3]) * n)
    for y in range(top + storey // 2, n - storey // 2, storey):
        pane = view[y : y + storey // 2, width // 4 : max(width // 4 + 1, 3 * width // 4)]
        pane[:] = looks.glass * np.float32(0.9)
        pane[: max(1, n // 100)] = 0.8 * looks.trim


# === Light ===


# How far each part stands out of the wall, in widths of the picture.
_DEPTHS = {"molding": 0.012, "cornice": 0.011, "sill": 0.007, "balcony": 0.024, "blind": 0.004,
           "deco": 0.004, "pillar": 0.008}


def _light_map(scene: Scene, looks: _Looks, rng: np.random.Generator) -> np.ndarray:
    """float32 [n, n]: the shadows of all reliefs, all to the same side, and uneven light."""
    n = looks.n
    m = n // 2
    shadows = Image.new("L", (m, m), 255)
    draw = ImageDraw.Draw(shadows)
    shadow = round(255 * (1 - looks.contrast))
    for box in scene.boxes:
        depth = _DEPTHS.get(box.kind)
        if depth is None:
            continue
        x, y = (box.x + 0.7 * looks.sun * depth) * m, (box.y + depth) * m
        draw.rectangle((x, y, x + box.w * m, y + box.h * m), fill=shadow)
    if scene.roof in ("mansard", "gable"):
        eaves = scene.eaves * m
        draw.rectangle((scene.left * m, eaves, scene.right * m, eaves + 0.02 * m), fill=shadow)
    blurred = shadows.filter(ImageFilter.BoxBlur(m * (0.001 + 0.005 * looks.overcast)))
    blurred = blurred.resize((n, n), Image.BILINEAR)
    u = _draws(rng, 4)
    line = np.linspace(-0.5, 0.5, n, dtype=np.float32)
    across = 1 + np.float32(0.25 * (u[0] - 0.5)) * line
    down = 1 + np.float32(0.3 * (u[1] - 0.6)) * line
    exposure = np.float32((0.9 + 0.26 * u[2]) / 255)
    return np.asarray(blurred, np.float32) * (across * exposure) * down[:, None]


# === Painters: each fills one box of the canvas, a float32 view [h, w, 3] ===


def _band(view: np.ndarray, start: float, end: float, axis: int = 0) -> np.ndarray:
    """The part of a view between two fractions of its height (or width), never empty."""
    length = view.shape[axis]
    first = min(length - 1, int(start * length))
    last = max(first + 1, int(end * length))
    return view[first:last] if axis == 0 else view[:, first:last]


@functools.lru_cache(maxsize=4096)
def _ramp(length: int, start: float, end: float) -> np.ndarray:
    ramp = np.linspace(start, end, length, dtype=np.float32)
    ramp.flags.writeable = False
    return ramp


def _bevel(view: np.ndarray, looks: _Looks, light: float = 1.25, dark: float = 0.6) -> None:
    """Lights the edges that face the sun and darkens the others."""
    view[:1] *= np.float32(light)
    view[-1:] *= np.float32(dark)
    sides = (view[:, -1:], view[:, :1]) if looks.sun > 0 else (view[:, :1], view[:, -1:])
    sides[0][:] *= np.float32(dark)
    sides[1][:] *= np.float32(light)


def _paint_surrounds(canvas: np.ndarray, scene: Scene, looks: _Looks) -> None:
    """A plain frame of trim on the wall around every window and door."""
    n, edge = looks.n, max(1, round(0.007 * looks.n))
    for box in scene.boxes:
        if box.kind in ("window", "door"):
            rows, columns = _pixels(box, n)
            view = canvas[max(0, rows.start - edge) : rows.stop + (box.kind == "window") * edge,
                          max(0, columns.start - edge) : columns.stop + edge]
            view[:] = looks.trim


def _paint_window(view: np.ndarray, looks: _Looks, u: list[float], made: dict) -> None:
    """Copies one of a few windows of this size: they repeat along a facade."""
    if u[0] < looks.lit:
        variant = 3
    elif u[0] < looks.lit + looks.curtains:
        variant = 2
    else:
        variant = int(u[1] * 2)
    key = (*view.shape[:2], variant)
    if key not in made:
        made[key] = _window(*key, looks)
    picture = made[key]
    if looks.arched and view.shape[1] <= view.shape[0]:
        mask = _arch(*view.shape[:2])
        np.copyto(view[: len(mask)], picture[: len(mask)], where=mask)
        view[len(mask) :] = picture[len(mask) :]
    else:
        np.multiply(picture, np.float32(0.85 + 0.3 * u[2]), out=view)


@functools.lru_cache(maxsize=256)
def _arch(h: int, w: int) -> np.ndarray:
    """bool [min(h, w // 2), w, 1]: the round head of a window."""
    x = (np.arange(w) + 0.5) * 2 / w - 1
    y = 1 - (np.arange(min(h, max(1, w // 2))) + 0.5) * 2 / w
    return (x[None] ** 2 + np.clip(y, 0, 1)[:, None] ** 2 <= 1)[..., None]


def _window(h: int, w: int, variant: int, looks: _Looks) -> np.ndarray:
    """float32 [h, w, 3]: glass with what it mirrors or shows, frame, mullions, reveal."""
    y, x = _ramp(h, 0, 1)[:, None], _ramp(w, 0, 1)[None]
    if variant == 3:
        inside = np.float32([250, 206, 130])
        picture = (1.0 - 0.45 * y + 0 * x)[..., None] * inside
    else:
        mirrored = np.clip((0.9, 0.35)[variant % 2] - 1.1 * y + (0.5 - x) * looks.sun * 0.5, 0, 0.6)
        sky = np.float32([176, 190, 206])
        picture = looks.glass + mirrored[..., None] * (sky - looks.glass)
    if variant == 2:
        folds = 0.74 + 0.48 * np.abs(x * np.float32(6.4) % 1 - np.float32(0.5))
        drawn = np.abs(x - 0.5) > 0.16 + 0.12 * y
        cloth = (folds * (1 - 0.15 * y))[..., None] * np.float32([226, 222, 210])
        np.copyto(picture, 0.75 * cloth + 0.25 * picture, where=drawn[..., None])
    _add_bars(picture, looks)
    reveal = max(1, round(0.008 * looks.n))
    picture[:reveal] *= np.float32(1 - 0.8 * looks.contrast)
    side = picture[:, :reveal] if looks.sun > 0 else picture[:, -reveal:]
    side *= np.float32(1 - 0.6 * looks.contrast)
    return picture


# Positions of vertical and horizontal glazing bars, as fractions of the opening.
_MULLIONS = (((0.5,), ()), ((0.5,), (0.32,)), ((0.5,), (0.36, 0.68)), ((), (0.5,)), ((), ()),
             ((0.33, 0.67), (0.28,)))


def _add_bars(picture: np.ndarray, looks: _Looks) -> None:
    h, w = picture.shape[:2]
    bar = max(1, round(0.006 * looks.n))
    upright, level = _MULLIONS[looks.mullions]
    for at in upright:
        start = round(at * w - bar / 2)
        picture[:, start : start + bar] = looks.frame
    for at in level:
        start = round(at * h - bar / 2)
        picture[start : start + bar] = looks.frame
    for edge in (picture[:bar], picture[-bar:], picture[:, :bar], picture[:, -bar:]):
        edge[:] = looks.frame


def _paint_door(view: np.ndarray, looks: _Looks, u: list[float]) -> None:
    """Two or one wooden leaves with panels, and a fanlight above."""
    h, w = view.shape[:2]
    view[:] = looks.wood * _ramp(h, 1.1, 0.85)[:, None, None]
    light = _band(view, 0.0, 0.2)
    light[:] = looks.glass * np.float32(1.3)
    light[-1:] = looks.frame
    leaves = ((0.1, 0.46), (0.54, 0.9)) if w > 0.055 * looks.n else ((0.16, 0.84),)
    for left, right in leaves:
        for top, bottom in ((0.27, 0.55), (0.62, 0.93)):
            panel = _band(_band(view, top, bottom), left, right, axis=1)
            panel *= np.float32(0.8)
            _bevel(panel, looks, light=0.6, dark=1.5)
    if u[0] < 0.5 and len(leaves) == 2:
        for left, right in leaves:
            _band(_band(view, 0.27, 0.55), left, right, axis=1)[1:-1, 1:-1] = looks.glass
    if len(leaves) == 2:
        _band(view, 0.2, 1.0)[:, w // 2 : w // 2 + 1] *= np.float32(0.4)
    view[:, :1] *= np.float32(0.6)
    view[:, -1:] *= np.float32(0.6)
    _band(view, 0.96, 1.0)[:] = looks.trim * np.float32(0.8)


def _paint_shop(view: np.ndarray, looks: _Looks, u: list[float]) -> None:
    """Sign with lettering, a display window with goods, at times an awning."""
    h, w = view.shape[:2]
    n = looks.n
    glow = _ramp(h, 0.7, 1.5)[:, None, None]
    view[:] = (looks.glass + np.float32([26, 20, 10]) * np.float32(2 * u[0])) * glow
    goods = _band(view, 0.62, 0.88)
    colours = _crop(_noise(18, n, 8, 64), n, u[1], u[2])
    step = colours[: len(goods), :w]
    goods += np.clip(step, -0.5, 2.0)[..., None] * np.float32([46, 34, 26])
    sign = _band(view, 0.0, 0.19)
    sign[:] = looks.sign
    ink = np.float32(245) if looks.sign.mean() < 150 else np.float32(40)
    letters = _band(_band(sign, 0.28, 0.72), 0.2, 0.8, axis=1)
    marks = _noise(19, n, 64, 128)[int(u[1] * n) % n, : letters.shape[1]] > 0
    letters[:, marks] = ink
    sign[-1:] *= np.float32(0.5)
    count = max(1, round(w / (0.11 * n)))
    bar = max(1, round(0.006 * n))
    for i in range(count + 1):
        x = min(w - bar, round(i * w / count))
        view[len(sign) :, x : x + bar] = looks.frame
    _band(view, 0.9, 1.0)[:] = looks.wood
    if looks.awnings:
        awning = _band(view, 0.17, 0.42)
        stripes = (np.arange(w) * 64 // n) % 2 == 1
        awning[:] = _ramp(len(awning), 1.1, 0.75)[:, None, None] * looks.sign
        awning[:, stripes] = np.float32(232) * _ramp(len(awning), 1.05, 0.8)[:, None, None]
        _band(view, 0.42, 0.5)[:] *= np.float32(0.45)


_FLAT_PAINTERS = {"door": _paint_door, "shop": _paint_shop}

# Brightness of a stone profile from its upper edge to its lower one.
_PROFILE = np.float32([1.12, 1.16, 1.0, 0.82, 0.95, 1.04, 0.9, 0.68])


def _profile(h: int) -> np.ndarray:
    at = (np.arange(h) + 0.5) * len(_PROFILE) / h
    return _PROFILE[at.astype(int)][:, None, None]


def _paint_molding(view: np.ndarray, looks: _Looks, u: list[float]) -> None:
    h, w = view.shape[:2]
    view[:] = looks.trim * _profile(h)
    if looks.dentils and h > 0.022 * looks.n:
        teeth = (np.arange(w) * 80 // looks.n) % 2 == 1
        _band(view, 0.5, 0.8)[:, teeth] *= np.float32(0.6)


def _paint_cornice(view: np.ndarray, looks: _Looks, u: list[float]) -> None:
    view[:] = looks.trim * _profile(len(view))
    view[:, :1] *= np.float32(0.85)
    view[:, -1:] *= np.float32(0.85)


def _paint_sill(view: np.ndarray, looks: _Looks, u: list[float]) -> None:
    view[:] = looks.trim * _ramp(len(view), 1.15, 0.85)[:, None, None]
    view[-1:] *= np.float32(0.72)


def _paint_blind(view: np.ndarray, looks: _Looks, u: list[float]) -> None:
    """Slats in the paint of the house."""
    h = len(view)
    slats = 1.0 - 0.32 * ((np.arange(h) * 90 // looks.n) % 2).astype(np.float32)
    view[:] = looks.paint * (slats * np.float32(0.92 + 0.16 * u[0]))[:, None, None]
    _bevel(view, looks)


def _paint_deco(view: np.ndarray, looks: _Looks, u: list[float]) -> None:
    """A panel of trim with a relief of swellings."""
    h, w = view.shape[:2]
    n = looks.n
    relief = _crop(_noise(20, n, 32, 128), n, u[0], u[1])[:h, :w]
    mirror = relief + relief[:, ::-1]
    view[:] = looks.trim * (0.92 + 0.13 * mirror)[..., None]
    _bevel(view, looks, light=1.2, dark=0.65)


def _paint_pillar(view: np.ndarray, looks: _Looks, u: list[float]) -> None:
    """A shaft rounded by light from the sun's side, with capital and base."""
    h, w = view.shape[:2]
    x = _ramp(w, -1, 1) * looks.sun
    shade = 1.08 - 0.28 * (x + 0.35) ** 2
    if looks.fluted and w > 5:
        shade = shade * (1 - 0.18 * (np.arange(w) % 3 == 1))
    view[:] = looks.trim * shade.astype(np.float32)[:, None]
    size = max(1, min(h // 6, int(1.2 * w)))
    view[:size] = looks.trim * _profile(size)
    view[-size:] = looks.trim * _profile(size)


def _paint_balcony(view: np.ndarray, looks: _Looks, u: list[float]) -> None:
    """A slab with a railing, behind which the wall shows, or with a solid front."""
    h, n = len(view), looks.n
    if looks.solid_balcony:
        view[:] = looks.trim * _ramp(h, 1.05, 0.88)[:, None, None]
        inner = view[max(1, h // 6) : -max(1, h // 4), 2:-2]
        if inner.size:
            _bevel(inner, looks, light=0.8, dark=1.12)
    else:
        view *= np.float32(0.72)
        pitch = max(3, round(0.0135 * n))
        view[:, ::pitch] = looks.railing
        view[:, -1:] = looks.railing
        rail = max(1, round(0.005 * n))
        view[:rail] = looks.railing * np.float32(1.15)
    slab = _band(view, 0.82, 1.0)
    slab[:] = looks.trim * _ramp(len(slab), 1.0, 0.7)[:, None, None]


_RELIEF_PAINTERS = {"blind": _paint_blind, "balcony": _paint_balcony, "cornice": _paint_cornice,
                    "deco": _paint_deco, "molding": _paint_molding, "pillar": _paint_pillar,
                    "sill": _paint_sill}


# === Clutter and the camera ===


def _take_picture(
    canvas: np.ndarray, scene: Scene, looks: _Looks, rng: np.random.Generator,
    size: int, shrink: int,
) -> np.ndarray:
    """uint8 [size, size, 3]: clutter in front, slight blur, colour cast and noise."""
    np.clip(canvas, 0, 255, out=canvas)
    picture = Image.fromarray(canvas.astype(np.uint8))
    _add_clutter(picture, scene, looks, rng)
    u = _draws(rng, 6)
    if shrink > 1:
        pixels, unit = np.asarray(picture.reduce(shrink)), 1
    else:
        pixels, unit = _soften(np.asarray(picture)), 64
    photo = np.empty(pixels.shape, np.float32)
    for channel in range(3):
        gain = np.float32((1 + 0.09 * (u[channel] - 0.5)) / unit)
        np.multiply(pixels[..., channel], gain, out=photo[..., channel])
    grain = _grain()
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


def _add_clutter(
    picture: Image.Image, scene: Scene, looks: _Looks, rng: np.random.Generator
) -> None:
    """Things before the house that the label map does not show."""
    draw = ImageDraw.Draw(picture)
    chance = _draws(rng, 7)
    for p, threshold, add in zip(chance, (0.35, 0.25, 0.12, 0.3, 0.25, 0.18, 0.5), (
            _add_pipe, _add_cables, _add_graffiti, _add_car, _add_tree, _add_lamp, _add_people),
            strict=True):
        part = _draws(rng, 12)
        if p < threshold:
            add(picture, draw, scene, looks, part)


def _ink(colour: np.ndarray) -> tuple[int, int, int]:
    return tuple(int(min(255, max(0, c))) for c in colour)


def _add_pipe(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: _Looks, u: list[float]
) -> None:
    n, width = looks.n, max(2, looks.n // 100)
    x = (scene.left + 0.006 if u[0] < 0.5 else scene.right - 0.014) * n
    top, foot = scene.eaves * n, scene.bottom * n
    metal = np.float32([120, 112, 104]) if u[1] < 0.5 else looks.wall * 0.8
    draw.rectangle((x, top, x + width, foot), fill=_ink(metal))
    draw.line((x + width * (looks.sun > 0), top, x + width * (looks.sun > 0), foot),
              fill=_ink(metal * 0.6))


def _add_cables(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: _Looks, u: list[float]
) -> None:
    n = looks.n
    x = np.linspace(0, 1, 12)
    for i in range(1 + int(u[0] * 3)):
        y = u[1] * 0.5 + 0.03 * i + (u[2] - 0.5) * 0.2 * x + 0.16 * u[3] * x * (1 - x)
        draw.line(list(zip(x * n, y * n, strict=True)), fill=(44, 44, 46), width=1)


def _add_graffiti(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: _Looks, u: list[float]
) -> None:
    n, wide = looks.n, 0.05 + 0.05 * u[0]
    x = np.linspace(0, 1, 24)
    left = scene.left + u[1] * (scene.right - scene.left - wide)
    line = scene.bottom - 0.035 - 0.012 * np.sin((18 + 14 * u[2]) * x) - 0.006 * np.sin(41 * x)
    swing = left + wide * (x + 0.12 * np.sin((20 + 10 * u[3]) * x + 1))
    draw.line(list(zip(swing * n, line * n, strict=True)),
              fill=_ink(_SIGNS[int(u[4] * len(_SIGNS))]), width=max(1, n // 160))


def _add_car(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: _Looks, u: list[float]
) -> None:
    n = looks.n
    long, high = (0.24 + 0.08 * u[0]) * n, (0.055 + 0.015 * u[1]) * n
    x, y = (u[2] * 1.1 - 0.15) * n, n - (0.01 + 0.02 * u[3]) * n
    paint = np.float32([[196, 198, 200], [40, 42, 48], [150, 34, 30], [44, 70, 110],
                        [224, 222, 214]])[int(u[4] * 5)]
    draw.rounded_rectangle((x, y - high, x + long, y), radius=high * 0.35, fill=_ink(paint))
    roof = [(x + 0.18 * long, y - high), (x + 0.3 * long, y - 1.75 * high),
            (x + 0.7 * long, y - 1.75 * high), (x + 0.86 * long, y - high)]
    draw.polygon(roof, fill=_ink(paint * 0.9))
    glass = [(x + 0.24 * long, y - high), (x + 0.33 * long, y - 1.6 * high),
             (x + 0.68 * long, y - 1.6 * high), (x + 0.79 * long, y - high)]
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
    rough = _noise(30 + variant, n, 6, 96)[:n, :n]
    mask = radius + 0.22 * rough < 0.55
    light = 0.75 + 0.2 * _noise(40 + variant, n, 24, 128)[:n, :n] - 0.25 * line[:, None]
    leaves = np.clip(light, 0.25, 1.6)[..., None] * np.float32(
        [[62, 84, 42], [84, 98, 44], [48, 72, 48]])[variant]
    return (Image.fromarray(np.clip(leaves, 0, 255).astype(np.uint8)),
            Image.fromarray(np.where(mask, 235, 0).astype(np.uint8)))


def _add_tree(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: _Looks, u: list[float]
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
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: _Looks, u: list[float]
) -> None:
    n = looks.n
    x, top = (0.06 + 0.88 * u[0]) * n, (0.5 + 0.15 * u[1]) * n
    draw.line((x, top, x, n), fill=(40, 42, 42), width=max(1, n // 110))
    r = 0.016 * n
    draw.ellipse((x - r, top - r, x + r, top + r), fill=(226, 222, 204), outline=(40, 42, 42))


def _add_people(
    picture: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene, looks: _Looks, u: list[float]
) -> None:
    n = looks.n
    for i in range(1 + int(u[0] * 3)):
        x, high = u[1 + i] * n, (0.085 + 0.015 * u[4 + i]) * n
        foot = (scene.bottom + 0.7 * (1 - scene.bottom)) * n
        half = 0.13 * high
        cloth = _ink(np.float32([[50, 56, 76], [120, 50, 46], [70, 70, 68], [150, 140, 120]])[
            int(u[7 + i] * 4)])
        draw.rectangle((x - 0.7 * half, foot - 0.5 * high, x + 0.7 * half, foot), fill=(44, 44, 52))
        draw.ellipse((x - half, foot - 0.88 * high, x + half, foot - 0.38 * high), fill=cloth)
        head = 0.075 * high
        draw.ellipse((x - head, foot - high, x + head, foot - high + 2 * head),
                     fill=(196, 158, 132))
