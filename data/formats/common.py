"""What every decoder shares: the forms it hands out, the limits it keeps, how it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown

FORMATS_TEXT = "JPEG, PNG, WebP, TIFF, BMP, GIF, .npy or .npz"
TURNED = "turned upright as its EXIF orientation says"

# float32 holds every whole number up to here, and not every one beyond.
_LARGEST_WHOLE = 1 << 24


class UnreadableImage(DataError):
    """An image file cannot be used.

    Attributes:
      reason: why, in a few words and without the file's name.
    """

    def __init__(
        self, name: str, reason: str, expected: str = f"a complete image ({FORMATS_TEXT})"
    ):
        super().__init__(f"{shown(name)}: {reason}; expected {expected}.")
        self.reason = reason


class Refused(Exception):
    """A decoder's reason against a file, in a few words; it becomes an `UnreadableImage`."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file's header tells: the facts of its `Decoded`, without decoding.

    Attributes:
      height: rows of the upright image.
      width: columns of the upright image.
      channels: colour channels without alpha: 1 grey, 3 RGB, or N.
      has_alpha: whether `Decoded.array` has an alpha channel behind them.
      dtype: ``uint8``, ``uint16`` or ``float32``.
    """

    height: int
    width: int
    channels: int
    has_alpha: bool
    dtype: str


@dataclasses.dataclass(frozen=True)
class Decoded:
    """An image in its natural form: upright, at full depth, with the channels it has.

    Attributes:
      array: uint8, uint16 or float32 ``[H, W, C]``, or ``[H, W, C + 1]`` with alpha.
      has_alpha: whether the last channel is alpha (0 transparent to full scale, or 1.0, opaque;
        the colours are not multiplied by it).
      indices: uint8 ``[H, W]``, what a palette image stores for each pixel; else None.
      notes: in plain words, what was changed on the way; often empty.
      besides: what the file holds besides, and which of it was read, in plain words; empty where
        the file is one image.
      nodata: the value by which the file marks pixels without a measurement, or None. Floats may
        hold NaN and infinite values besides.
    """

    array: np.ndarray
    has_alpha: bool
    indices: np.ndarray | None
    notes: tuple[str, ...]
    besides: str = ""
    nodata: float | None = None

    @property
    def remarks(self) -> list[str]:
        """All that is to be told of how it was read."""
        return [*self.notes, self.besides] if self.besides else list(self.notes)


def check_size(height: int, width: int) -> None:
    """Refuses images without pixels, and with more than any photograph has."""
    if not height or not width:
        raise Refused(f"an image without pixels ({width}x{height})")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise Refused(f"an image of more than {limit:,} pixels")


def upright_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """``(height, width)`` after `upright` has turned the image."""
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors ``[H, W, ...]`` as EXIF and TIFF tag 274, Orientation, says (1 to 8)."""
    if orientation in (5, 6, 7, 8):  # The file's rows are the picture's columns.
        array = np.swapaxes(array, 0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def kept_dtype(dtype: np.dtype) -> str:
    """The type in which values of `dtype` are handed out. It never depends on the values.

    Returns:
      ``uint8`` for uint8 and bool, ``uint16`` for uint16, ``float32`` for all other real numbers.
    """
    if dtype.kind == "b" or (dtype.kind == "u" and dtype.itemsize == 1):
        return "uint8"
    if dtype.kind == "u" and dtype.itemsize == 2:
        return "uint16"
    if dtype.kind in "ui" or (dtype.kind == "f" and dtype.itemsize <= 8):
        return "float32"
    raise Refused(f"values of type {dtype}, where 8 or 16 bits or floats were expected")


def kept(array: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """An array as its `kept_dtype`, and notes on what that changed.

    False and True become 0 and 255, as in a 1-bit image. Whole numbers that are neither uint8
    nor uint16 must be exact as float32.
    """
    dtype = kept_dtype(array.dtype)
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255), []
    notes = []
    if dtype == "float32":
        if array.dtype.kind in "ui":
            limits = np.iinfo(array.dtype)  # which stand for nothing measured, if they are there
            beyond = (array < -_LARGEST_WHOLE) | (array > _LARGEST_WHOLE)
            if (beyond & (array != limits.min) & (array != limits.max)).any():
                raise Refused(
                    f"{array.dtype.name} values beyond ±{_LARGEST_WHOLE:,}, which float32 cannot "
                    "hold exactly"
                )
            notes.append(f"{array.dtype.name} values held as float32")
        elif array.dtype.itemsize == 8:
            notes.append("float64 values rounded to float32")
    with np.errstate(over="ignore"):  # what overflows is infinite
        return array.astype(dtype, copy=False), notes
