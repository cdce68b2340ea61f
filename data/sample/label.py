"""The label map: a scene painted flat, in the colours of its classes."""

from __future__ import annotations

import numpy as np

from tfpix2pix.data.sample.scene import Scene, house_mask, pixel_slices

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
