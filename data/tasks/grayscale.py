"""Grey to colour: the ITU-R 601 luma on the left."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from tfpix2pix.data.images import convert_channels
from tfpix2pix.data.tasks.task import Task, as_rgb


@dataclasses.dataclass(frozen=True)
class Grayscale(Task):
    """Has no settings: ``0.299 R + 0.587 G + 0.114 B``, rounded."""

    name: ClassVar[str] = "grayscale"
    about: ClassVar[str] = "the picture in grey (ITU-R 601 luma), to colour grey photos"
    titles: ClassVar[tuple[str, str]] = ("A grey", "B original")

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """Luma in all three channels."""
        return as_rgb(convert_channels(image, 1)[..., 0])

    def remark(self, a: np.ndarray, b: np.ndarray) -> str:
        return "grey already, A equals B" if np.array_equal(a, b) else ""
