"""The embedded data set: procedural house fronts, drawn when asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfpix2pix.data.images import check_channels, convert_channels
from tfpix2pix.data.source import PairSource, check_direction
from tfpix2pix.errors import DataError


class SampleSource(PairSource):
    """Label maps of facades (A) and photographs rendered from them (B), deterministic by seed.

    Nothing is stored: every pair is drawn again each time it is loaded.

    Args:
      seed: another seed, another town.
      pairs: training pairs; val and test hold a quarter as many each, at least one.
      size: height and width in pixels.
      direction: ``AtoB`` (label map in, photograph out) or ``BtoA``.
      input_channels: 1 or 3.
      target_channels: 1 or 3.

    Raises:
      DataError: a value out of range; the message names its flag.
    """

    def __init__(
        self,
        seed: int = 0,
        pairs: int = 400,
        size: int = 256,
        *,
        direction: str = "AtoB",
        input_channels: int = 3,
        target_channels: int = 3,
    ):
        if pairs < 1:
            raise DataError(f"--sample_pairs={pairs}: expected at least 1 pair.")
        if size < 16:
            raise DataError(f"--sample_size={size}: expected at least 16 pixels.")
        self.name = "sample"
        self.input_channels = check_channels("input_channels", input_channels)
        self.target_channels = check_channels("target_channels", target_channels)
        self._direction = check_direction(direction)
        self._seed = seed
        self._size = size
        evaluation_pairs = max(1, pairs // 4)
        self._pairs = {"train": pairs, "val": evaluation_pairs, "test": evaluation_pairs}

    def count(self, split: str) -> int:
        return self._pairs.get(split, 0)

    def load(self, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        from tfpix2pix.data.sample import facade_pair

        if not 0 <= index < self.count(split):
            raise IndexError(f"the sample set has no pair {index} in {split!r}")
        x, y = facade_pair(self._seed, self._size, split, index)
        if self._direction == "BtoA":
            x, y = y, x
        return convert_channels(x, self.input_channels), convert_channels(y, self.target_channels)

    def pair_name(self, split: str, index: int) -> str:
        return f"{split}_{index:04d}"

    def decoded_bytes(self, split: str) -> int:
        channels = self.input_channels + self.target_channels
        return self.count(split) * self._size * self._size * channels

    def describe(self) -> str:
        counts = ", ".join(f"{n} {split}" for split, n in self._pairs.items())
        direction = "labels to photos" if self._direction == "AtoB" else "photos to labels"
        return f"{counts} pairs of {self._size}x{self._size} (embedded sample: {direction})"

    def identity(self) -> dict[str, Any]:
        return {
            "layout": "sample",
            "seed": self._seed,
            "size": self._size,
            "counts": self._counts(),
        }
