"""Inpainting: a rectangle of the picture painted over."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import ClassVar

import numpy as np
from PIL import ImageColor

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.tasks.task import Task, option


@dataclasses.dataclass(frozen=True)
class Blank(Task):
    """Settings of the hole.

    Raises:
      DataError: a value out of range, or a colour that is none.
    """

    name: ClassVar[str] = "blank"
    about: ClassVar[str] = "the picture with a hole, to fill in what is missing"
    titles: ClassVar[tuple[str, str]] = ("A with a hole", "B original")

    hole: str = option(
        "center",
        "where the hole is: in the centre, or anywhere inside the picture",
        choices=("center", "random"),
    )
    hole_size: float = option(
        0.5, "height and width of the hole, as a share of the picture's", minimum=0.01, maximum=1.0
    )
    hole_color: str = option("white", "the hole's colour: a name of CSS, or '#rrggbb' in quotes")
    seed: int = option(
        0, "a random hole's place is a function of this and the file's name", minimum=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            ImageColor.getrgb(self.hole_color)
        except (ValueError, AttributeError):
            raise DataError(
                f"--hole_color={self.hole_color}: no colour; expected a name such as white, black "
                "or gray, or '#rrggbb'."
            ) from None

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """The picture with the hole, of at least one pixel."""
        top, left, height, width = self.place(image.shape[0], image.shape[1], stem)
        holed = image.copy()
        holed[top : top + height, left : left + width] = ImageColor.getrgb(self.hole_color)[:3]
        return holed

    def place(self, height: int, width: int, stem: str) -> tuple[int, int, int, int]:
        """Where the hole is in a picture of this size and name.

        Returns:
          ``(top, left, height, width)``, pixels.
        """
        rows = max(1, round(height * self.hole_size))
        columns = max(1, round(width * self.hole_size))
        if self.hole == "center":
            return (height - rows) // 2, (width - columns) // 2, rows, columns
        digest = hashlib.sha256(stem.encode("utf-8", "surrogateescape")).digest()
        dice = np.random.default_rng([self.seed, int.from_bytes(digest[:8], "big")])
        top, left = dice.integers(0, [height - rows + 1, width - columns + 1])
        return int(top), int(left), rows, columns
