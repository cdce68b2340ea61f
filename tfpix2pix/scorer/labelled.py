"""Photos with the class of every pixel, from any data set in which one image shows labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.config import Config
from tfpix2pix.config.dataset import open_source

if TYPE_CHECKING:
    import tensorflow as tf

    from tfpix2pix.data import PairSource, PairSpec, Palette

_SAMPLED = 8  # pairs in which a palette is looked for


def open_labelled(config: Config, said: list[str] | None = None) -> PairSource:
    """Opens the data set of a config; finds out its palette where none is given.

    Which image of the pair shows the labels does not matter.

    Args:
      config: its data fields; the rest does not matter.
      said: told in a sentence which palette was found.

    Raises:
      UserError: as `open_source`, and where no built-in palette fits the images.
    """
    if config.label_palette:
        return open_source(config)
    source = open_source(config)
    name = _find_palette(source)
    if not name:
        raise UserError(
            f"{source.name}: neither image of its pairs shows labels of the palettes facades, "
            "camvid or cityscapes; give --label_palette=FILE (`tfpix2pix inspect` with the same "
            "data flags writes one from the colours that it finds)"
        )
    if said is not None:
        said.append(f"the labels are painted in the palette {name!r}")
    return open_source(config.replace(label_palette=name))


def _find_palette(source: PairSource) -> str:
    from tfpix2pix.data import Decoded
    from tfpix2pix.data.check.palette_search import find_palette

    total = source.count("train")
    sides: tuple[list[Decoded], list[Decoded]] = ([], [])
    for index in range(0, total, max(1, total // _SAMPLED)):
        for pictures, stored in zip(sides, source.load("train", index), strict=True):
            pictures.append(Decoded(stored, False, None, ()))
    for pictures in sides:
        found = find_palette(pictures, lossless=False)
        if found is not None and found.builtin:
            return found.builtin[0]
    return ""


def check_labelled(source: PairSource) -> None:
    """Refuses what a scorer cannot learn from; call it after `source.check`.

    Raises:
      UserError: no image of the pairs shows labels, the other one is no RGB photo of 8 bits, or
        there is no val split.
    """
    spec = source.spec
    if not spec.label_side:
        raise UserError(
            f"{source.name}: neither image of the pairs shows labels, which a scorer learns to "
            "read from photos; give --label_palette"
        )
    photo = spec.x if spec.label_side == "target" else spec.y
    if photo.is_classes or photo.channels != 3 or photo.dtype != "uint8":
        raise UserError(
            f"{source.name}: the images beside the labels are {photo.describe()}; a scorer reads "
            "RGB photos of 8 bits, so convert them"
        )
    if not source.count("val"):
        raise UserError(
            f"{source.name}: it has no val split, by which a scorer is judged; "
            f"{source.no_val_advice()}"
        )


def palette_of(spec: PairSpec) -> Palette:
    """The palette of the image that shows labels."""
    return spec.x.palette or spec.y.palette


def photos_and_classes(spec: PairSpec, x: Any, y: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch of pairs as a scorer learns it.

    Args:
      spec: of the pairs.
      x, y: as networks see them, ``[B, H, W, C]``.

    Returns:
      Photos, float32 ``[B, H, W, 3]`` in [-1, 1], and class numbers of the palette, int32
      ``[B, H, W]``.
    """
    import tensorflow as tf

    side, labels, photos = (spec.x, x, y) if spec.x.is_classes else (spec.y, y, x)
    if side.one_hot:
        return photos, tf.argmax(labels, axis=-1, output_type=tf.int32)
    # What networks see is exactly the colour of a class, so the nearest one is the one.
    colors = tf.constant(side.palette.colors.astype(np.float32) / 127.5 - 1.0)
    off = tf.reduce_sum((labels[..., None, :] - colors) ** 2, axis=-1)
    return photos, tf.argmin(off, axis=-1, output_type=tf.int32)
