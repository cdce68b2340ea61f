"""Images of two sides that are no pairs: folders, arrays, or pairs whose order is broken."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.layouts.splits import share_of
from tfpix2pix.data.sources.base import SPLITS, ImageSource, PairSource, Progress
from tfpix2pix.data.spec import PairSpec


class UnpairedSource(PairSource):
    """Two sides, none of whose images belongs to one of the other, in the form of pairs.

    Pair i of a split is image i of each side; the side with fewer images begins again where it is
    through. So each side is whole in its first ``sides(split)`` pairs, and an epoch is as long as
    the larger one.

    Attributes:
      x, y: the inputs and the targets.
    """

    unit: ClassVar[str] = "image"
    x: ImageSource
    y: ImageSource
    _spec: PairSpec | None = None  # known once both sides were looked at

    @property
    def spec(self) -> PairSpec:
        if self._spec is None:
            self.check()
            assert self._spec is not None, "a look without faults resolves the spec"
        return self._spec

    def paired(self, split: str) -> bool:
        return False

    def sides(self, split: str) -> tuple[int, int]:
        return self.x.count(split), self.y.count(split)

    def count(self, split: str) -> int:
        """Images of the larger side; 0 where one side has none."""
        return max(self.sides(split)) if all(self.sides(split)) else 0

    def to_check(self) -> int:
        return sum(sum(self.sides(split)) for split in SPLITS)

    def load(self, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image `index` of each side, which may be of two sizes."""
        if not 0 <= index < self.count(split):
            raise IndexError(f"{self.name} has no images {index} in {split!r}")
        of_x, of_y = self.sides(split)
        return self.x.load(split, index % of_x), self.y.load(split, index % of_y)

    def pair_name(self, split: str, index: int) -> str:
        """The input's name."""
        return self.x.image_name(split, index % self.sides(split)[0])

    def _shown_counts(self) -> str:
        """``120 and 100 train, 30 and 30 test``: inputs and targets."""
        shown = [(split, *self.sides(split)) for split in SPLITS if any(self.sides(split))]
        return ", ".join(f"{x:,} and {y:,} {split}" for split, x, y in shown)

    def _counts_of_sides(self) -> dict[str, list[int]]:
        """Of A and of B."""
        step = 1 if self.direction == "AtoB" else -1
        return {s: list(self.sides(s))[::step] for s in SPLITS if any(self.sides(s))}


# === Pairs whose order is broken ===


class BrokenPairs(UnpairedSource):
    """A set of pairs of which training sees no pair; val and test are its pairs.

    Args:
      pairs: the set.
      seed: of the halves.
      disjoint: inputs are those of one half of the training pairs, targets those of the other:
        of A the same half in either direction.

    Attributes:
      pairs, disjoint: as given.

    Raises:
      DataError: there are no two halves.
    """

    unit: ClassVar[str] = "pair"

    def __init__(self, pairs: PairSource, *, seed: int = 0, disjoint: bool = False) -> None:
        self.pairs = pairs
        self.name, self.direction = pairs.name, pairs.direction
        self.disjoint = disjoint
        count = pairs.count("train")
        every = list(range(count))
        a = b = every
        if disjoint:
            if count < 2:
                raise DataError(
                    f"{self.name}: --disjoint_stems with {count} training pair, which has no two "
                    "halves; give more pairs, or leave it out."
                )
            shares = {i: share_of(f"{seed}/{pairs.stem('train', i)}") for i in every}
            chosen = sorted(every, key=lambda i: (shares[i], i))
            a, b = sorted(chosen[: (count + 1) // 2]), sorted(chosen[(count + 1) // 2 :])
        x, y = (a, b) if self.direction == "AtoB" else (b, a)
        self._x, self._y = _SideOfPairs(pairs, 0, x), _SideOfPairs(pairs, 1, y)
        self.x, self.y = self._x, self._y

    @property
    def spec(self) -> PairSpec:
        return self.pairs.spec

    def paired(self, split: str) -> bool:
        return split != "train"

    def load(self, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.pairs.load(split, index) if self.paired(split) else super().load(split, index)

    def pair_name(self, split: str, index: int) -> str:
        if self.paired(split):
            return self.pairs.pair_name(split, index)
        return super().pair_name(split, index)

    def to_check(self) -> int:
        return self.pairs.to_check()

    def check(self, progress: Progress | None = None) -> None:
        self.pairs.check(progress)

    def describe(self) -> str:
        return f"{self.pairs.describe()}; {self.how()}"

    def how(self) -> str:
        """What training makes of the pairs, in a few words."""
        if not self.disjoint:
            return "training sees them in an order that breaks the pairs"
        x, y = self.sides("train")
        return f"training sees inputs of {x:,} of them and targets of the other {y:,}"

    def identity(self) -> dict[str, Any]:
        return {**self.pairs.identity(), "data": "unpaired", "disjoint": self.disjoint}

    def cache_key(self, split: str) -> str:
        return self.pairs.cache_key(split)

    def image_sizes(self) -> dict[tuple[int, int], int]:
        return self.pairs.image_sizes()

    def folders(self) -> set[Path]:
        return self.pairs.folders()

    def notes(self) -> list[str]:
        return self.pairs.notes()

    def no_val_advice(self) -> str:
        return self.pairs.no_val_advice()


class _SideOfPairs(ImageSource):
    """The inputs, or the targets, of some training pairs; of other splits all."""

    def __init__(self, pairs: PairSource, place: int, train: list[int]) -> None:
        self.name, self._pairs, self._place, self._train = pairs.name, pairs, place, train

    @property
    def spec(self):  # type: ignore[override]  # known when the pairs were looked at
        spec = self._pairs.spec
        return (spec.x, spec.y)[self._place]

    def count(self, split: str) -> int:
        return len(self._train) if split == "train" else self._pairs.count(split)

    def load(self, split: str, index: int) -> np.ndarray:
        return self._pairs.load(split, self._number(split, index))[self._place]

    def image_name(self, split: str, index: int) -> str:
        return self._pairs.pair_name(split, self._number(split, index))

    def cache_key(self, split: str) -> str:
        facts = f"{self._pairs.cache_key(split)}{self._place}"
        if split == "train":
            facts += str(self._train)
        return hashlib.sha256(facts.encode()).hexdigest()[:24]

    def _number(self, split: str, index: int) -> int:
        return self._train[index] if split == "train" else index


def sizes_of_both(x: dict[tuple[int, int], int], y: dict[tuple[int, int], int]):
    """Number of images by (height, width) of two sides together."""
    return dict(Counter(x) + Counter(y))
