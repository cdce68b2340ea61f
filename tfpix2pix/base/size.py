"""Height and width of images as flags, files and messages have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TEXT = re.compile(r"\s*(-?\d{1,9})(?:\s*[xX×]\s*(-?\d{1,9}))?\s*")
EXPECTED = "a number of pixels, or HEIGHTxWIDTH such as 256x512"


class Size:
    """Height and width, pixels; a square one counts as its side. Not to be changed.

    ``Size(64) == 64``, and both flags and files write it as 64; ``str(Size(64, 128))`` is 64x128.
    A square size is taken for a number wherever Python asks for a whole one, as ``range`` does.

    Args:
      height: of the image.
      width: the same; None for a square.
    """

    __slots__ = ("height", "width")

    def __init__(self, height: int, width: int | None = None) -> None:
        self.height = height
        self.width = height if width is None else width

    @classmethod
    def of(cls, value: Any) -> Size:
        """A size of a size, a side, ``"64"``, ``"64x128"`` (height x width) or (height, width).

        Raises:
          ValueError: something else; says what was expected.
        """
        if isinstance(value, Size):
            return value
        if isinstance(value, str):
            match = _TEXT.fullmatch(value)
            if match:
                return cls(*(int(side) for side in match.groups() if side))
        sides = tuple(value) if isinstance(value, tuple | list) else (value,)
        whole = [hasattr(side, "__index__") and not isinstance(side, bool) for side in sides]
        if isinstance(value, str) or len(sides) not in (1, 2) or not all(whole):
            raise ValueError(f"expected {EXPECTED}, found {value!r}")
        return cls(*map(int, sides))

    @property
    def is_square(self) -> bool:
        return self.height == self.width

    @property
    def smaller(self) -> int:
        """The smaller side."""
        return min(self.height, self.width)

    @property
    def larger(self) -> int:
        """The larger side."""
        return max(self.height, self.width)

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height

    @property
    def value(self) -> int | str:
        """As JSON has it: the side, or ``"64x128"`` (height x width)."""
        return self.height if self.is_square else str(self)

    @property
    def shown(self) -> str:
        """For people, as image viewers say it: ``128x64``, width x height."""
        return f"{self.width}x{self.height}"

    def fits(self, other: Size) -> bool:
        """Whether it can be cut from the other."""
        return self.height <= other.height and self.width <= other.width

    def times(self, factor: float) -> Size:
        """Both sides by a factor, rounded."""
        return Size(round(self.height * factor), round(self.width * factor))

    def nearest(self, multiple: int) -> Size:
        """Both sides at their nearest multiples of a number, at least one of it."""
        height, width = (max(1, int(side / multiple + 0.5)) * multiple for side in self)
        return Size(height, width)

    def __iter__(self) -> Iterator[int]:
        return iter((self.height, self.width))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Size):
            return (self.height, self.width) == (other.height, other.width)
        if isinstance(other, int):
            return self.height == self.width == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.height) if self.is_square else hash((self.height, self.width))

    def __index__(self) -> int:
        if not self.is_square:
            raise TypeError(f"{self} (height x width) is no single number")
        return self.height

    def __str__(self) -> str:
        return str(self.height) if self.is_square else f"{self.height}x{self.width}"

    def __repr__(self) -> str:
        return f"Size({self.height})" if self.is_square else f"Size({self.height}, {self.width})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)
