"""The detailed label map: what a photo shows, in classes that say what it looks like.

CMP's classes leave open what a wall is made of, how its windows are divided, and what stands beside
and before the house; here each of these is a class. Colours within a class are still the photo's
own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfpix2pix.data.sample.scene import Scene, house_mask, pixel_slices
from tfpix2pix.data.sample.style import Style, window_state

DETAILED: dict[str, tuple[int, int, int]] = {
    "sky": (120, 190, 255),
    "neighbour": (110, 110, 130),
    "pavement": (70, 70, 80),
    "tiles": (150, 60, 40),
    "slates": (60, 80, 110),
    "white plaster": (250, 250, 240),
    "yellow plaster": (240, 200, 90),
    "orange plaster": (225, 140, 80),
    "red plaster": (170, 70, 60),
    "grey plaster": (175, 175, 170),
    "green plaster": (165, 200, 130),
    "blue plaster": (140, 175, 215),
    "red brick": (190, 40, 20),
    "yellow brick": (200, 165, 60),
    "stone": (200, 195, 150),
    "light boards": (230, 230, 255),
    "dark boards": (140, 100, 80),
    "window": (0, 40, 160),
    "lit window": (255, 200, 0),
    "curtain": (170, 190, 255),
    "frame": (0, 0, 0),
    "door": (0, 220, 255),
    "cornice": (32, 255, 224),
    "sill": (112, 255, 142),
    "balcony with railing": (192, 255, 63),
    "solid balcony": (100, 190, 0),
    "blind": (160, 130, 0),
    "deco": (255, 159, 0),
    "molding": (255, 80, 0),
    "pillar": (254, 0, 90),
    "shop": (174, 0, 120),
    "sign": (255, 255, 0),
    "awning": (255, 0, 255),
    "tree": (0, 130, 40),
    "car": (130, 0, 0),
    "lamp": (255, 255, 150),
    "person": (255, 130, 220),
}
"""RGB of every class, as the palette `sample` has them."""

_CLASS_INDEX = {name: i for i, name in enumerate(DETAILED)}
_COLOURS = np.array(list(DETAILED.values()), np.uint8)

# Which class a wall of a material is: that of the nearest of these colours.
_WALLS: dict[str, dict[str, list[tuple[int, int, int]]]] = {
    "plaster": {
        "white plaster": [(236, 234, 228), (232, 220, 190)],
        "yellow plaster": [(224, 196, 130), (214, 170, 90)],
        "orange plaster": [(214, 150, 120), (196, 120, 84), (226, 180, 170)],
        "red plaster": [(168, 84, 66), (142, 92, 70), (120, 70, 60)],
        "grey plaster": [(186, 180, 170), (150, 140, 130), (204, 184, 150)],
        "green plaster": [(176, 190, 160)],
        "blue plaster": [(160, 180, 196)],
    },
    "brick": {
        "red brick": [(160, 82, 62), (142, 74, 58), (178, 104, 76), (120, 66, 56)],
        "yellow brick": [(186, 150, 110), (200, 176, 140)],
    },
    "stone": {"stone": [(180, 170, 150)]},
    "boards": {"light boards": [(210, 200, 180)], "dark boards": [(140, 90, 70)]},
}
_ROOFS = {
    "tiles": [(150, 76, 56), (120, 64, 52)],
    "slates": [(92, 92, 98), (76, 72, 74), (110, 118, 112)],
}


_PARTS = {"window": ("curtain", "frame"), "shop": ("frame", "sign", "awning")}


@dataclasses.dataclass
class Shown:
    """What a photo shows that its scene does not say.

    Attributes:
      style: the photo's.
      material: of the walls.
      chance: of each box of the scene, the draws that it was painted with.
      masks: bool ``[n, n]`` by class, n being a multiple of the photo's size, of parts of windows
        and shops, and of what stands beside and before the house; ``opening`` is where windows are.
    """

    style: Style
    material: str
    chance: Sequence[Sequence[float]]
    masks: Mapping[str, np.ndarray]


def render_detailed(scene: Scene, shown: Shown, size: int) -> np.ndarray:
    """uint8 [size, size, 3]: every pixel exactly a colour of `DETAILED`."""
    style = shown.style
    masks = {name: _reduced(mask, size) for name, mask in shown.masks.items()}
    classes = np.full((size, size), _CLASS_INDEX["sky"], np.uint8)

    def mark(name: str) -> None:
        if name in masks:
            classes[masks[name]] = _CLASS_INDEX[name]

    mark("neighbour")
    classes[round(scene.bottom * size) :] = _CLASS_INDEX["pavement"]
    house = house_mask(scene, size)
    classes[house] = _CLASS_INDEX[_nearest(style.wall, _WALLS[shown.material])]
    if scene.roof == "mansard":
        eaves = round(scene.eaves * size)
        classes[:eaves][house[:eaves]] = _CLASS_INDEX[_nearest(style.roof, _ROOFS)]
    for box, u in zip(scene.boxes, shown.chance, strict=True):
        place = pixel_slices(box, size)
        view = classes[place]
        where = masks["opening"][place] if box.kind == "window" else np.True_
        np.copyto(view, _CLASS_INDEX[_kind(box.kind, style, u[0])], where=where)
        for name in _PARTS.get(box.kind, ()):
            view[masks[name][place]] = _CLASS_INDEX[name]
    for name in ("tree", "car", "lamp", "person"):
        mark(name)
    return np.take(_COLOURS, classes, axis=0)


def _reduced(mask: np.ndarray, size: int) -> np.ndarray:
    """bool ``[size, size]``: where half of the mask's pixels or more are true."""
    shrink = len(mask) // size
    counts = np.zeros((size, size), np.uint16)
    for row in range(shrink):
        for column in range(shrink):
            counts += mask[row::shrink, column::shrink]
    return 2 * counts >= shrink * shrink


def _kind(kind: str, style: Style, u: float) -> str:
    """The class of a box of this kind."""
    if kind == "window":
        return "lit window" if window_state(style, u) == "lit" else "window"
    if kind == "balcony":
        return "solid balcony" if style.solid_balcony else "balcony with railing"
    return kind


def _nearest(colour: np.ndarray, choices: Mapping[str, Sequence[tuple[int, int, int]]]) -> str:
    """The name of the choice that has the colour nearest to one."""
    far = {
        name: min(float(np.square(colour - np.array(c, np.float32)).sum()) for c in colours)
        for name, colours in choices.items()
    }
    return min(far, key=far.__getitem__)
