"""The tasks of a few lines: a picture without its colour, a part, its detail; A and B as given.

Grayscale and Lab take the colour away (the paper's colourization takes L in), Blank a rectangle
(inpainting), LowRes the detail (super-resolution). Combine draws nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageColor

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.options import option
from tfpix2pix.data.images import convert_channels
from tfpix2pix.data.tasks.task import Task, black_and_white, by_pillow, like


@dataclasses.dataclass(frozen=True)
class Grayscale(Task):
    """Has no settings: ``0.299 R + 0.587 G + 0.114 B``, rounded."""

    name: ClassVar[str] = "grayscale"
    about: ClassVar[str] = "the picture in grey (ITU-R 601 luma), to colour grey photos"
    titles: ClassVar[tuple[str, str]] = ("A grey", "B original")
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    wants: ClassVar[str] = "colour pictures"

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """Luma in all channels."""
        return like(convert_channels(image, 1)[..., 0], image)

    def remark(self, a: np.ndarray, b: np.ndarray) -> str:
        return "grey already, A equals B" if np.array_equal(a, b) else ""


@dataclasses.dataclass(frozen=True)
class Lab(Task):
    """Has no settings: L of CIELAB (D65, 2 degree observer), 0..100 stretched to 255 or 65535.

    For ``tfpix2pix train --color_space=lab``, which takes L in and predicts a and b (the paper,
    section 4, after Zhang et al. 2016).
    """

    name: ClassVar[str] = "lab"
    about: ClassVar[str] = "the lightness L of CIELAB as grey, for train --color_space=lab"
    titles: ClassVar[tuple[str, str]] = ("A lightness L", "B original")
    libraries: ClassVar[tuple[str, ...]] = ("skimage.color",)
    train_flags: ClassVar[tuple[str, ...]] = ("--color_space=lab",)
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    dtypes: ClassVar[tuple[str, ...]] = ("uint8", "uint16")
    wants: ClassVar[str] = "colour pictures of 8 or 16 bits"

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """``round(L * white / 100)`` in all channels."""
        from skimage.color import rgb2lab

        _, white = black_and_white(image)
        lightness = rgb2lab(convert_channels(image, 3))[..., 0] * (white / 100)
        return like(np.clip(np.rint(lightness), 0, white).astype(image.dtype), image)

    def remark(self, a: np.ndarray, b: np.ndarray) -> str:
        return "grey already, there is no colour to learn" if (b == b[..., :1]).all() else ""


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
        colour = np.array([[ImageColor.getrgb(self.hole_color)[:3]]], np.uint8)
        if image.shape[-1] != 3:
            colour = convert_channels(colour, 1)
        black, white = black_and_white(image)
        holed = image.copy()
        holed[top : top + height, left : left + width] = black + colour / 255.0 * (white - black)
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


@dataclasses.dataclass(frozen=True)
class LowRes(Task):
    """Settings of the reduction."""

    name: ClassVar[str] = "lowres"
    about: ClassVar[str] = "the picture at a lower resolution, to sharpen small pictures"
    titles: ClassVar[tuple[str, str]] = ("A low resolution", "B original")

    factor: int = option(4, "how many times smaller the picture is made", minimum=2, maximum=256)

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """Bicubic both ways, as is usual for super-resolution; Pillow widens the filter when it
        reduces, so that nothing aliases."""
        height, width = image.shape[:2]
        small = (max(1, round(width / self.factor)), max(1, round(height / self.factor)))

        def there_and_back(picture: Image.Image) -> Image.Image:
            reduced = picture.resize(small, Image.Resampling.BICUBIC)
            return reduced.resize((width, height), Image.Resampling.BICUBIC)

        return by_pillow(image, there_and_back)


@dataclasses.dataclass(frozen=True)
class Combine(Task):
    """Where A and B are, where they do not lie in one folder as A/ and B/. Nothing is drawn."""

    name: ClassVar[str] = "combine"
    about: ClassVar[str] = "A and B from two folders, partners by name (extensions may differ)"
    titles: ClassVar[tuple[str, str]] = ("A", "B")

    input_a: str = option(
        "", "the folder of the inputs, A (or --input=FOLDER, which holds A/ and B/)"
    )
    input_b: str = option("", "the folder of the targets, B")
    labels: str = option(
        "none",
        "which side is a label image, whose colours --size must not mix (nearest neighbour)",
        choices=("none", "a", "b", "both"),
    )

    def settings(self) -> dict[str, Any]:
        return {"labels": self.labels}
