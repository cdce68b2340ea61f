"""Generated pictures beside real ones that are not their partners, nor as many."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfpix2pix.evaluation.sharpness import Sharpness, gradient
from tfpix2pix.evaluation.swd import SWD, counts


class Likeness:
    """How alike two sets of pictures are, ``fake`` and ``truth``, whichever shows what: `SWD` and
    `Sharpness` without pairs."""

    def __init__(self) -> None:
        self._sums: dict[str, list[Any]] = {}

    def add(self, of: str, pictures: np.ndarray) -> None:
        """Takes in pictures ``[B, H, W, C]``, values 0 to 255, of ``fake`` or ``truth``."""
        new = [counts(pictures).sum(axis=0, dtype=np.float64), gradient(pictures).sum()]
        new.append(len(pictures))
        old = self._sums.get(of, [0.0] * len(new))
        self._sums[of] = [a + b for a, b in zip(old, new, strict=True)]

    def result(self) -> dict[str, float]:
        """``swd`` and ``sharpness_ratio``; NaN where one has no value."""
        patches = {of: sums[0] for of, sums in self._sums.items()}
        steep = {of: np.asarray(sums[1] / sums[2]) for of, sums in self._sums.items()}
        found = {**SWD.score(patches, 1), **Sharpness.score(steep, 1)}
        return {name: float(found[name]) for name in ("swd", "sharpness_ratio")}
