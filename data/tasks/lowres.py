"""Super-resolution: the picture reduced, and enlarged back so that both halves have one size."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from PIL import Image

from tfpix2pix.data.tasks.task import Task, option


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
        reduced = Image.fromarray(image).resize(small, Image.Resampling.BICUBIC)
        return np.asarray(reduced.resize((width, height), Image.Resampling.BICUBIC))
