"""Images whose shape is not the run's: how much they are squeezed, and the flags that avoid it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.config.base import SAME_SHAPE, Config, usual_load_size
from tfpix2pix.data.config import SMALLEST

_NEAR = 0.03  # relative difference of two aspects that the advised flags may leave


def squeeze_note(config: Config, sizes: Mapping[tuple[int, int], int]) -> str:
    """One line on images whose aspect changes when they are resized to the run's load size.

    Args:
      config: of the run.
      sizes: number of images by (height, width).

    Returns:
      How much they are squeezed, and flags of `tfpix2pix train` that keep their shape; empty where
      no aspect changes by more than a few percent.
    """
    load = config.load_size
    squeezed = {
        Size(*size): count
        for size, count in sizes.items()
        if abs(math.log(Size(*size).aspect / load.aspect)) > SAME_SHAPE
    }
    if not squeezed:
        return ""
    shape = max(squeezed, key=lambda size: squeezed[size])
    factor = shape.aspect / load.aspect
    side = "width" if factor > 1 else "height"
    total, some = sum(sizes.values()), sum(squeezed.values())
    which = "the images are"
    if len(sizes) > 1:
        which = f"{some:,} of {total:,} images have another shape than in training, such as"
    text = (
        f"{which} {shape.shown} (width x height), squeezed to {load.shown}, "
        f"{max(factor, 1 / factor):.3g} times in {side}"
    )
    kept = keeping_shape(config, shape)
    if kept is None:
        return text
    flags = f"--crop_size={kept.crop_size} --load_size={kept.load_size}"
    return f"{text}; to keep their shape give (height x width) {flags}"


def keeping_shape(config: Config, shape: Size) -> Config | None:
    """The config with a crop and a load size of the images' shape, about as large as its own.

    Where its networks have no size of that shape, crops of its own are cut from images that keep
    it. None where even that is not possible.
    """
    for crop, load in _sizes(config, shape):
        try:
            return config.replace(crop_size=crop, load_size=load)
        except UserError:  # a size that the networks cannot have
            continue
    return None


def _sizes(config: Config, shape: Size) -> Iterator[tuple[Size, Size]]:
    """Pairs of a crop and a load size to try, the best first."""
    own = max(SMALLEST, min(config.crop_size.smaller, shape.smaller))
    sides = range(max(SMALLEST, 3 * own // 16 * 4), 5 * own // 4 + 1, 4)
    for side in sorted(sides, key=lambda side: abs(side - own)):
        try:
            square = config.replace(crop_size=side, load_size=usual_load_size(side))
        except UserError:
            continue
        exact = shape.times(side / shape.smaller)
        size = exact.nearest(square.size_multiple)
        if size.smaller == side and abs(math.log(size.aspect / shape.aspect)) <= _NEAR:
            yield size, usual_load_size(size)
    crop = config.crop_size
    least = usual_load_size(crop)
    scale = max(least.height / shape.height, least.width / shape.width)
    yield crop, Size(*(max(a, b) for a, b in zip(shape.times(scale), crop, strict=True)))
