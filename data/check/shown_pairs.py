"""Pairs of a data set to look at: as their files hold them, and as training sees them."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import images
from tfpix2pix.data.forms import LabSpec, PairForm, Side
from tfpix2pix.data.images import Decoded
from tfpix2pix.data.layouts.pair_files import read_pair
from tfpix2pix.data.sources.base import SPLITS, PairSource
from tfpix2pix.data.sources.file_source import FileSource
from tfpix2pix.data.threads import threaded

LONGEST_SHOWN = 512  # pixels; larger pictures are shown reduced


def decoded_pair(source: PairSource, split: str, index: int) -> tuple[Decoded, Decoded]:
    """Input and target of a pair as their files hold them, whatever training makes of them.

    Raises:
      DataError: a file cannot be read, or has no two halves.
    """
    if isinstance(source, FileSource):
        a, b = read_pair(source.files(split, index))
        return (a, b) if source.direction == "AtoB" else (b, a)
    form, pair = source.form, source.load(split, index)
    sides = zip((form.x, form.y), pair, strict=True)
    x, y = (
        Decoded(s.palette.to_colors(v[..., 0]) if s.is_classes else v, False, None, ())
        for s, v in sides
    )
    return x, y


@dataclasses.dataclass(frozen=True)
class ShownPair:
    """A pair to look at.

    Attributes:
      split: it belongs to.
      name: for a caption.
      x, y: input and target, uint8 ``[H, W, 3]``, of at most `LONGEST_SHOWN` pixels a side; None
        if the pair cannot be read.
      as_trained: they are what training sees; else as the files are.
    """

    split: str
    name: str
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    as_trained: bool = False


def pairs_to_show(source: PairSource, form: PairForm | None, per_split: int) -> list[ShownPair]:
    """Pairs spread evenly over every split, as training sees them where it can.

    Args:
      source: the data set, looked at before.
      form: what its pairs are; None if that cannot be told.
      per_split: how many of each split at most.
    """
    jobs = [
        (split, index)
        for split in SPLITS
        if source.count(split)
        for index in spread(source.count(split), per_split)
    ]
    return list(threaded(lambda job: _pair_to_show(source, form, *job), jobs))


def _pair_to_show(source: PairSource, form: PairForm | None, split: str, index: int) -> ShownPair:
    name = source.pair_name(split, index)
    if form is not None:
        try:
            x, y = stored_pictures(form, *source.load(split, index))
            return ShownPair(split, name, _reduced(x), _reduced(y), True)
        except DataError:
            pass  # of the files one may still be shown
    try:
        x, y = map(_file_picture, decoded_pair(source, split, index))
    except DataError:
        return ShownPair(split, name)
    return ShownPair(split, name, _reduced(x), _reduced(y))


def _reduced(picture: np.ndarray) -> np.ndarray:
    if max(picture.shape[:2]) <= LONGEST_SHOWN:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((LONGEST_SHOWN, LONGEST_SHOWN), Image.Resampling.LANCZOS)
    return np.asarray(image)


def stored_pictures(form: PairForm, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A stored pair as a person sees it: uint8 ``[H, W, 3]`` each.

    The same as ``form.picture_of_x(form.x.to_network(x))`` and so on, without TensorFlow.
    """
    if isinstance(form, LabSpec):
        seen_x, seen_y = _scaled(form.x, x), _scaled(form.y, y)
        return form.picture_of_x(seen_x), form.picture_of_y(seen_x, seen_y)
    shown = []
    for side, stored in ((form.x, x), (form.y, y)):
        if side.is_classes:
            shown.append(side.palette.to_colors(stored[..., 0]))
        else:
            shown.append(images.convert_channels(side.picture(_scaled(side, stored)), 3))
    return shown[0], shown[1]


def _scaled(side: Side, stored: np.ndarray) -> np.ndarray:
    values = (stored.astype(np.float32) - side.low) / ((side.high - side.low) / 2) - 1
    return np.clip(values, -1, 1).astype(np.float32)


def _file_picture(picture: Decoded) -> np.ndarray:
    """A decoded file as uint8 ``[H, W, 3]``: the first channels, floats from lowest to highest."""
    array = picture.array
    colours = array.shape[-1] - picture.has_alpha
    if colours in (1, 3):
        array = images.fit_channels(array, picture.has_alpha, 3)
    else:
        array = array[..., :3] if colours > 3 else np.repeat(array[..., :1], 3, axis=-1)
    if array.dtype == np.float32:
        low, high = float(array.min()), float(array.max())
        return np.rint((array - low) * (255 / ((high - low) or 1.0))).astype(np.uint8)
    return images.fit_depth(array, "uint8")


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly chosen."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(count, most)).round()})
