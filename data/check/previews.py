"""Pairs of a data set to look at: as their files hold them, and as training sees them."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import images
from tfpix2pix.data.images import Decoded
from tfpix2pix.data.layouts.pair_files import read_pair, read_stacked
from tfpix2pix.data.sources.base import SPLITS, PairSource
from tfpix2pix.data.sources.file_source import FileSource
from tfpix2pix.data.sources.unpaired import BrokenPairs, UnpairedSource
from tfpix2pix.data.sources.unpaired_files import UnpairedFiles
from tfpix2pix.data.spec import ImageSpec, LabSpec, PairSpec
from tfpix2pix.data.threads import threaded

LONGEST_PREVIEW = 512  # pixels; larger pictures are shown reduced


def decoded_pair(source: PairSource, split: str, index: int) -> tuple[Decoded, Decoded]:
    """Input and target of a pair as their files hold them, whatever training makes of them; of
    two sides that are no pairs image `index` of each.

    Raises:
      DataError: a file cannot be read, or has no two halves.
    """
    if isinstance(source, BrokenPairs):
        return decoded_pair(source.pairs, split, index)
    if isinstance(source, UnpairedFiles):
        x, y = (
            read_stacked(side.files(split, index % side.count(split)).parts_a)
            for side in source.files
        )
        return x, y
    if isinstance(source, FileSource):
        a, b = read_pair(source.files(split, index))
        return (a, b) if source.direction == "AtoB" else (b, a)
    spec, pair = source.spec, source.load(split, index)
    sides = zip((spec.x, spec.y), pair, strict=True)
    x, y = (
        Decoded(
            s.palette.to_colors(v[..., 0]) if s.palette is not None else v[..., : s.value_channels],
            False,
            None,
            (),
        )
        for s, v in sides
    )
    return x, y


@dataclasses.dataclass(frozen=True)
class PairPreview:
    """A pair to look at.

    Attributes:
      split: it belongs to.
      name: for a caption.
      x, y: input and target, uint8 ``[H, W, 3]``, of at most `LONGEST_PREVIEW` pixels a side; None
        if the pair cannot be read.
      as_trained: they are what training sees; else as the files are.
    """

    split: str
    name: str
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    as_trained: bool = False


def pair_previews(source: PairSource, spec: PairSpec | None, per_split: int) -> list[PairPreview]:
    """Pairs spread evenly over every split, as training sees them where it can.

    Args:
      source: the data set, looked at before.
      spec: what its pairs are; None if that cannot be told.
      per_split: how many of each split at most.
    """
    jobs = [
        (split, index)
        for split in SPLITS
        if source.count(split)
        for index in spread(source.count(split), per_split)
    ]
    return list(threaded(lambda job: _pair_preview(source, spec, *job), jobs))


def _pair_preview(source: PairSource, spec: PairSpec | None, split: str, index: int) -> PairPreview:
    name = source.pair_name(split, index)
    if isinstance(source, UnpairedSource) and not source.paired(split):
        name = f"{name} | {source.y.image_name(split, index % source.sides(split)[1])}"
    if spec is not None:
        try:
            x, y = stored_pictures(spec, *source.load(split, index))
            return PairPreview(split, name, _reduced(x), _reduced(y), True)
        except DataError:
            pass  # of the files one may still be shown
    try:
        x, y = map(file_picture, decoded_pair(source, split, index))
    except DataError:
        return PairPreview(split, name)
    return PairPreview(split, name, _reduced(x), _reduced(y))


def _reduced(picture: np.ndarray) -> np.ndarray:
    if max(picture.shape[:2]) <= LONGEST_PREVIEW:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((LONGEST_PREVIEW, LONGEST_PREVIEW), Image.Resampling.LANCZOS)
    return np.asarray(image)


def stored_pictures(spec: PairSpec, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A stored pair as a person sees it: uint8 ``[H, W, 3]`` each.

    The same as ``spec.picture_of_x(spec.x.to_network(x))`` and so on, without TensorFlow.
    """
    if isinstance(spec, LabSpec):
        seen_x, seen_y = _scaled(spec.x, x), _scaled(spec.y, y)
        return spec.picture_of_x(seen_x), spec.picture_of_y(seen_x, seen_y)
    shown = []
    for side, stored in ((spec.x, x), (spec.y, y)):
        if side.palette is not None:
            shown.append(side.palette.to_colors(stored[..., 0]))
        else:
            shown.append(images.convert_channels(side.picture(_scaled(side, stored)), 3))
    return shown[0], shown[1]


def _scaled(side: ImageSpec, stored: np.ndarray) -> np.ndarray:
    values = (stored.astype(np.float32) - side.low) / ((side.high - side.low) / 2) - 1
    values = np.clip(values, -1, 1).astype(np.float32)
    return (
        np.where(stored[..., -1:] > 0, values[..., :-1], np.float32(0)) if side.has_mask else values
    )


def file_picture(picture: Decoded) -> np.ndarray:
    """A decoded file as uint8 ``[H, W, 3]``: the first channels, floats from lowest to highest."""
    array = picture.array
    colours = array.shape[-1] - picture.has_alpha
    if colours in (1, 3):
        array = images.fit_channels(array, picture.has_alpha, 3)
    else:
        array = array[..., :3] if colours > 3 else np.repeat(array[..., :1], 3, axis=-1)
    if array.dtype == np.float32:
        array = np.where(np.isfinite(array), array, np.float32(0))
        low, high = float(array.min()), float(array.max())
        return np.rint((array - low) * (255 / ((high - low) or 1.0))).astype(np.uint8)
    return images.fit_depth(array, "uint8")


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly chosen."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(count, most)).round()})
