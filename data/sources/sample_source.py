"""The embedded data set: procedural house fronts, drawn when asked for."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.size import Size
from tfpix2pix.data.images import Decoded
from tfpix2pix.data.label_classes import Palette
from tfpix2pix.data.sources.base import PairSource, check_direction
from tfpix2pix.data.spec import FULL_SCALE, ImageWish, PairSpec, PairWish


class SampleSource(PairSource):
    """Label maps of facades (A) and photographs rendered from them (B), deterministic by seed.

    Nothing is stored: every pair is drawn again each time it is loaded.

    Args:
      seed: another seed, another town.
      pairs: training pairs; val and test hold a quarter as many each, at least one.
      size: of the images, pixels, a number for a square. What is not square is cut out of the
        middle of a square scene as large as the larger side.
      direction: ``AtoB`` (label map in, photograph out) or ``BtoA``.
      wish: of channels, depth, labels.
      labels: the label maps: ``detailed``, in the palette ``sample``, or ``cmp``, in ``facades``;
        empty: as the wished palette says, else ``detailed``.

    Raises:
      DataError: a value out of range; the message names its flag.
    """

    def __init__(
        self,
        seed: int = 0,
        pairs: int = 400,
        size: Size | int = 256,
        *,
        direction: str = "AtoB",
        wish: PairWish = PairWish(),  # noqa: B008 (frozen)
        labels: str = "",
    ):
        if pairs < 1:
            raise DataError(f"--sample_pairs={pairs}: expected at least 1 pair.")
        size = Size.of(size)
        if size.smaller < 16:
            raise DataError(f"sample_size={size}: expected at least 16 pixels.")
        self.name = "--dataset=sample"
        self.direction = check_direction(direction)
        self._seed = seed
        self._size = size
        evaluation_pairs = max(1, pairs // 4)
        self._pairs = {"train": pairs, "val": evaluation_pairs, "test": evaluation_pairs}
        self._labels = _label_maps(labels, wish.palette)
        side = "input" if self.direction == "AtoB" else "target"
        if wish.palette is not None and wish.label_side not in ("", side):
            raise DataError(
                f"--label_side={wish.label_side}: the labels of the sample set are the {side} "
                f"with --direction={direction}."
            )
        if wish.one_hot_side not in ("", side):
            raise DataError(
                f"--{wish.one_hot_side}_encoding=onehot: the labels of the sample set are the "
                f"{side} with --direction={direction}; use the other direction."
            )
        # The pictures are 8-bit RGB whatever is wished; what is not wished is so.
        shows_labels = side if wish.palette is not None else ""
        self._spec = dataclasses.replace(
            wish,
            x=wish.x if wish.in_lab or shows_labels == "input" else _as_drawn(wish.x),
            y=wish.y if wish.in_lab or shows_labels == "target" else _as_drawn(wish.y),
            label_side=shows_labels,
        ).spec()

    @property
    def spec(self) -> PairSpec:
        return self._spec

    def count(self, split: str) -> int:
        return self._pairs.get(split, 0)

    def load(self, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        from tfpix2pix.data.sample import facade_pair

        if not 0 <= index < self.count(split):
            raise IndexError(f"the sample set has no pair {index} in {split!r}")
        pair = facade_pair(self._seed, self._size.larger, split, index, self._labels)
        x, y = (self._cut(picture) for picture in pair)
        if self.direction == "BtoA":
            x, y = y, x
        return self._spec.store(Decoded(x, False, None, ()), Decoded(y, False, None, ()))

    def _cut(self, picture: np.ndarray) -> np.ndarray:
        rows, columns = (
            slice(start, start + side)
            for side in self._size
            for start in [(self._size.larger - side) // 2]
        )
        return picture[rows, columns]

    def pair_name(self, split: str, index: int) -> str:
        return f"{split}_{index:04d}"

    def describe(self) -> str:
        counts = ", ".join(f"{n} {split}" for split, n in self._pairs.items())
        direction = "labels to photos" if self.direction == "AtoB" else "photos to labels"
        return f"{counts} pairs of {self._size.shown} (embedded sample: {direction})"

    def identity(self) -> dict[str, Any]:
        return {
            "layout": "sample",
            "seed": self._seed,
            "size": self._size.value,
            "counts": self._counts(),
            # Earlier versions had no other label maps than CMP's, and no word for them.
            **({} if self._labels == "cmp" else {"labels": self._labels}),
        }


def _label_maps(asked: str, palette: Palette | None) -> str:
    """Which label maps are drawn; raises DataError where the palette is of the others."""
    from tfpix2pix.data.sample import DETAILED

    fitting = "detailed" if palette is None else "cmp"
    if palette is not None and set(DETAILED.values()) <= {c.color for c in palette.classes}:
        fitting = "detailed"
    if palette is not None and asked not in ("", fitting):
        name = {"detailed": "sample", "cmp": "facades"}[asked]
        raise DataError(
            f"--sample_labels={asked}: these label maps are of the palette {name}, not of "
            f"--label_palette={palette.name}; use --label_palette={name}, or leave "
            "--sample_labels out."
        )
    return asked or fitting


def _as_drawn(wish: ImageWish) -> ImageWish:
    dtype = wish.dtype or "uint8"
    if dtype == "float32":
        raise DataError(
            f"--{wish.flag}_dtype=float32: the sample set is drawn in 8 bits; expected uint8 or "
            "uint16."
        )
    limits = wish.value_range or "{:.0f}:{:.0f}".format(*FULL_SCALE[dtype])
    return dataclasses.replace(wish, channels=wish.channels or 3, dtype=dtype, value_range=limits)
