"""Light: the shadows of all reliefs, and uneven brightness."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tfpix2pix.data.sample.looks import Looks, draws
from tfpix2pix.data.sample.scene import Scene

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


def light_map(scene: Scene, looks: Looks, rng: np.random.Generator) -> np.ndarray:
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
    blurred = blurred.resize((n, n), Image.Resampling.BILINEAR)
    u = draws(rng, 4)
    line = np.linspace(-0.5, 0.5, n, dtype=np.float32)
    across = 1 + np.float32(0.25 * (u[0] - 0.5)) * line
    down = 1 + np.float32(0.3 * (u[1] - 0.6)) * line
    exposure = np.float32((0.9 + 0.26 * u[2]) / 255)
    return np.asarray(blurred, np.float32) * (across * exposure) * down[:, None]
