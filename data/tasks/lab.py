"""Lightness to colour: L of CIELAB on the left, as the paper's colourization takes it in."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from tfpix2pix.data.tasks.task import Task, as_rgb


@dataclasses.dataclass(frozen=True)
class Lab(Task):
    """Has no settings: L of CIELAB (white point D65, 2 degree observer), 0..100 stretched to 255.

    For ``tfpix2pix train --color_space=lab``, which takes L in and predicts a and b (the paper,
    section 4, after Zhang et al. 2016).
    """

    name: ClassVar[str] = "lab"
    about: ClassVar[str] = "the lightness L of CIELAB as grey, for train --color_space=lab"
    titles: ClassVar[tuple[str, str]] = ("A lightness L", "B original")
    libraries: ClassVar[tuple[str, ...]] = ("skimage.color",)
    train_flags: ClassVar[tuple[str, ...]] = ("--color_space=lab",)

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """``round(L * 255 / 100)`` in all three channels."""
        from skimage.color import rgb2lab

        lightness = rgb2lab(image)[..., 0] * 2.55
        return as_rgb(np.clip(np.rint(lightness), 0, 255).astype(np.uint8))

    def remark(self, a: np.ndarray, b: np.ndarray) -> str:
        return "grey already, there is no colour to learn" if (b == b[..., :1]).all() else ""
