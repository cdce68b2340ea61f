"""`PairSource`, a data set: named splits of numbered pairs, whatever form they are kept in."""

from __future__ import annotations

import abc
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.version import __version__
from tfpix2pix.data.config import DIRECTIONS

if TYPE_CHECKING:
    from tfpix2pix.data.spec import ImageSpec, PairSpec

SPLITS = ("train", "val", "test")

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)``, always from the thread that made the call."""


class UnpairedError(DataError):
    """Images of two sides that are no pairs, where pairs are needed."""


class PairSource(abc.ABC):
    """Pairs of a data set by split and number; one subclass per layout.

    Implementations are cheap to construct (they list names, they decode nothing), and `load`
    may be called from several threads at once.

    Attributes:
      name: the data set as the user named it, with the flag, for messages: ``--dataset=pairs``.
      direction: ``AtoB`` or ``BtoA``: which image is the input.
      unit: what `check` counts.
    """

    name: str
    direction: str
    unit: ClassVar[str] = "pair"

    @property
    @abc.abstractmethod
    def spec(self) -> PairSpec:
        """What both images of every pair are: channels, depth, value range, classes.

        Where the user left it open it is resolved by looking at the files, once.

        Raises:
          DataError: as `check`.
        """

    @abc.abstractmethod
    def count(self, split: str) -> int:
        """Number of pairs in `split`; 0 when the data set has no such split."""

    def paired(self, split: str) -> bool:
        """Whether x and y of a number belong together; see `sources.unpaired.UnpairedSource`."""
        return True

    def sides(self, split: str) -> tuple[int, int]:
        """Number of inputs and of targets in `split`."""
        return self.count(split), self.count(split)

    def to_check(self) -> int:
        """How much `check` looks at, in `unit`."""
        return sum(self.count(split) for split in SPLITS)

    @abc.abstractmethod
    def load(self, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Decodes one pair.

        Returns:
          ``(x, y)``: stored arrays of one height and width, ``[H, W, spec.x.stored_channels]``
          of type ``spec.x.dtype`` and the same for y; see `tfpix2pix.data.spec`.

        Raises:
          DataError: the pair cannot be read; the message names the file.
          IndexError: there is no such pair.
        """

    @abc.abstractmethod
    def pair_name(self, split: str, index: int) -> str:
        """A short name of the pair for captions (a file's stem)."""

    def stem(self, split: str, index: int) -> str:
        """What the pair is called in either direction."""
        return self.pair_name(split, index)

    @abc.abstractmethod
    def describe(self) -> str:
        """One line on counts, sizes and spec: ``400 train, 100 val pairs of 256x256 (...)``."""

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """JSON-able facts by which a later run can tell that the data set has changed.

        They say what the data are, not where they lie: a moved folder keeps its identity.
        """

    def cache_key(self, split: str) -> str:
        """A name for the decoded pairs of `split` that another state of the data has not."""
        # Direction is no part of what the data are; the version, for another may read otherwise.
        facts = [self.identity(), split, self.direction, repr(self.spec), __version__]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]

    def image_sizes(self) -> dict[tuple[int, int], int]:
        """Number of images by (height, width), as `load` would find them before they are resized.

        Sets that have no files tell that of their first pair.
        """
        split = next((split for split in SPLITS if self.count(split)), None)
        return {} if split is None else {self.load(split, 0)[0].shape[:2]: self.count(split)}

    def check(self, progress: Progress | None = None) -> None:  # noqa: B027
        """Looks at everything once, quickly, before training.

        Raises:
          DataError: something cannot be used; the message lists every kind of fault, with the
            first files of each and their number.
        """

    def folders(self) -> set[Path]:
        """Where its files lie; empty where there are none."""
        return set()

    def notes(self) -> list[str]:
        """Plain-word remarks worth telling the user, known after `check`; often none."""
        return []

    def no_val_advice(self) -> str:
        """What gives the data set a val split, if it has none."""
        return "add pairs of a split val"

    def _counts(self) -> dict[str, int]:
        return {split: self.count(split) for split in SPLITS if self.count(split)}


class ImageSource(abc.ABC):
    """Images of one kind by split and number: one domain of an unpaired set.

    As of `PairSource`, `load` may be called from several threads at once.

    Attributes:
      name: the images as the user named them, with the flag, for messages.
      spec: what every image is.
    """

    name: str
    spec: ImageSpec

    @abc.abstractmethod
    def count(self, split: str) -> int:
        """Number of images in `split`; 0 when there is no such split."""

    @abc.abstractmethod
    def load(self, split: str, index: int) -> np.ndarray:
        """Decodes one image.

        Returns:
          A stored array ``[H, W, spec.stored_channels]`` of type ``spec.dtype``.

        Raises:
          DataError: it cannot be read; the message names the file.
        """

    def image_name(self, split: str, index: int) -> str:
        """A short name of the image for captions."""
        return f"{index:05d}"

    @abc.abstractmethod
    def cache_key(self, split: str) -> str:
        """A name for the decoded images of `split` that another state of the data has not."""


def check_direction(direction: str) -> str:
    """Returns `direction` if it is AtoB or BtoA.

    Raises:
      DataError: it is neither.
    """
    if direction not in DIRECTIONS:
        raise DataError(
            f"--direction={direction}: expected AtoB (A, left, is the input) or BtoA (B, right, "
            "is the input)."
        )
    return direction
