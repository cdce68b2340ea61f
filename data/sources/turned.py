"""A data set seen the other way round: its targets are the inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfpix2pix.data.config import DIRECTIONS
from tfpix2pix.data.sources.base import PairSource, Progress
from tfpix2pix.data.sources.unpaired import UnpairedSource
from tfpix2pix.data.spec import PairSpec


class TurnedSource(UnpairedSource):
    """Another source with x and y exchanged, paired where that is.

    Args:
      source: it.
    """

    def __init__(self, source: PairSource) -> None:
        self.source, self.name = source, source.name
        (self.direction,) = set(DIRECTIONS) - {source.direction}
        if isinstance(source, UnpairedSource):
            self.x, self.y = source.y, source.x

    @property
    def spec(self) -> PairSpec:
        return self.source.spec.turned()

    def paired(self, split: str) -> bool:
        return self.source.paired(split)

    def sides(self, split: str) -> tuple[int, int]:
        return self.source.sides(split)[::-1]

    def count(self, split: str) -> int:
        return self.source.count(split)

    def to_check(self) -> int:
        return self.source.to_check()

    def load(self, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.source.load(split, index)[::-1]

    def pair_name(self, split: str, index: int) -> str:
        if self.paired(split):
            return self.source.pair_name(split, index)
        return super().pair_name(split, index)

    def describe(self) -> str:
        return f"{self.source.describe()}, used {self.direction}"

    def identity(self) -> dict[str, Any]:
        return self.source.identity()

    def check(self, progress: Progress | None = None) -> None:
        self.source.check(progress)

    def image_sizes(self) -> dict[tuple[int, int], int]:
        return self.source.image_sizes()

    def notes(self) -> list[str]:
        return self.source.notes()
