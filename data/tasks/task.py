"""`Task`: a frozen dataclass whose fields are its flags and whose `make` draws A from B."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.options import check_options
from tfpix2pix.data.spec import DTYPES


@dataclasses.dataclass(frozen=True)
class Task:
    """One way to make a pair (A, the input; B, the target) from one image.

    Subclasses are frozen dataclasses; each field is an `option` and a flag of the same name.

    Attributes:
      name: the task as ``--task`` names it.
      about: one line for the manual.
      titles: what A and B are, for the preview.
      libraries: modules that `make` imports, loaded before the threads start.
      train_flags: flags that a training on such pairs needs besides ``--dataset``.
      channels: of the images that it is for; empty for any.
      dtypes: of their values.
      wants: these two, in words.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    titles: ClassVar[tuple[str, str]]
    libraries: ClassVar[tuple[str, ...]] = ()
    train_flags: ClassVar[tuple[str, ...]] = ()
    channels: ClassVar[tuple[int, ...]] = ()
    dtypes: ClassVar[tuple[str, ...]] = DTYPES
    wants: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_options(self, DataError)

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """Draws A from an image.

        Args:
          image: uint8, uint16 or float32 ``[H, W, C]``, what B will be.
          stem: the image's name without folder and extension, for tasks that draw at random.

        Returns:
          An array of the same shape and type.
        """
        raise NotImplementedError

    def remark(self, a: np.ndarray, b: np.ndarray) -> str:
        """Plain words on a pair that teaches little; mostly none."""
        return ""

    def settings(self) -> dict[str, Any]:
        """The JSON-able fields on which the pictures depend."""
        return dataclasses.asdict(self)


def like(grey: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Grey ``[H, W]`` repeated into the channels of an image."""
    return np.repeat(grey[..., None], image.shape[-1], axis=-1)


def black_and_white(image: np.ndarray) -> tuple[float, float]:
    """The ends of an image's scale: of floats, which have none, its lowest and highest value."""
    if image.dtype.kind != "f":
        return 0, int(np.iinfo(image.dtype).max)
    low, high = float(image.min()), float(image.max())
    return low, high if high > low else low + 1


def by_pillow(image: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """What a resizing of Pillow's makes of an image ``[H, W, C]`` of any depth.

    8 bits go through Pillow as they are; each channel of others as floats, and is rounded. Floats
    stay within what the image had: no depth below 0 where a filter swings over.
    """
    if image.dtype == np.uint8 and image.shape[-1] in (1, 3):
        picture = image[..., 0] if image.shape[-1] == 1 else image
        changed = np.asarray(change(Image.fromarray(picture)))
        return changed.reshape(*changed.shape[:2], -1)
    planes = np.moveaxis(image, -1, 0).astype(np.float32)
    changed = np.stack([np.asarray(change(Image.fromarray(plane))) for plane in planes], axis=-1)
    if image.dtype.kind == "f":
        return np.clip(changed, image.min(), image.max())
    return np.clip(np.rint(changed), 0, np.iinfo(image.dtype).max).astype(image.dtype)
