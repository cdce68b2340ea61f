"""Colour distribution: marginal histograms in CIELAB (the paper's section 4.2 and Figure 7)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfpix2pix.evaluation.base import Number, OfSets, Statistics

EDGES: Mapping[str, np.ndarray] = {
    "l": np.linspace(0.0, 100.0, 51),
    "a": np.linspace(-110.0, 110.0, 111),
    "b": np.linspace(-110.0, 110.0, 111),
}
"""The bins' edges, 2 units of CIELAB apart: 50 bins of L, 110 each of a and b. All colours of sRGB
lie within. The paper does not say its bins; wider ones give larger intersections."""


class Color(OfSets):
    """Do generated pictures have the colours of the truth, wherever they stand? For each of L, a
    and b the histograms of all pixels of all images, generated and true, each divided by its sum;
    the number is their intersection, the sum over bins of the smaller of the two: 1 is equal, 0
    disjoint.

    CIELAB by ``skimage.color.rgb2lab`` (D65, 2 degrees). Counts are kept as uint32: 2,160 bytes of
    an image.
    """

    name = "color"
    needs = frozenset({"rgb"})
    numbers_of = (
        Number("color_l", "colour intersection L", "higher"),
        Number("color_a", "colour intersection a", "higher"),
        Number("color_b", "colour intersection b", "higher"),
    )

    def of_pictures(self, pictures: np.ndarray) -> Statistics:
        return lab_counts(pictures)

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        return {
            f"color_{axis}": intersection(sums[f"fake_{axis}"], sums[f"truth_{axis}"])
            for axis in EDGES
        }


def lab_counts(pictures: np.ndarray) -> dict[str, np.ndarray]:
    """How many pixels of each picture fall into each bin of `EDGES`.

    Args:
      pictures: RGB ``[B, H, W, 3]``, values 0 to 255.

    Returns:
      For ``l``, ``a`` and ``b`` uint32 ``[B, bins]``. The last bin includes its upper edge.
    """
    from skimage.color import rgb2lab

    lab = rgb2lab(pictures.astype(np.float64) / 255.0)
    counts = {}
    for channel, (axis, edges) in enumerate(EDGES.items()):
        # White has an L a rounding error above 100.
        values = np.clip(lab[..., channel], edges[0], edges[-1]).reshape(len(pictures), -1)
        rows = [np.histogram(row, edges)[0] for row in values]
        counts[axis] = np.stack(rows).astype(np.uint32)
    return counts


def summed(statistics: Statistics, whose: str) -> dict[str, np.ndarray]:
    """The histograms of all images together, for plots.

    Args:
      statistics: of `Color`, of any number of images.
      whose: ``fake`` or ``truth``.

    Returns:
      For ``l``, ``a`` and ``b`` int64 ``[bins]``.
    """
    return {axis: statistics[f"{whose}_{axis}"].sum(axis=0, dtype=np.int64) for axis in EDGES}


def intersection(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Sum over bins of the smaller share: counts ``[..., bins]`` to ``[...]``; NaN of nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [
            np.asarray(h, np.float64) / np.sum(h, axis=-1, keepdims=True) for h in (one, other)
        ]
    return np.minimum(*shares).sum(axis=-1)
