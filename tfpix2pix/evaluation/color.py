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


CHROMA_EDGES = np.linspace(0.0, 134.0, 68)
"""The same of chroma: 67 bins, 2 units wide; sRGB's strongest colour has 133.8."""
GREY = 1e-2  # mean chroma of what is grey but for rounding


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


class Chroma(OfSets):
    """Are generated pictures as colourful as the truth, or grey? Chroma is a colour's distance from
    grey in CIELAB, the length of (a, b). ``chroma`` is the intersection of its histograms, of all
    pixels of all images, as in `Color`; ``chroma_ratio`` the generated pictures' mean chroma
    divided by the truth's: below 1 they are desaturated, above 1 coloured too strongly.

    552 bytes are kept of an image.
    """

    name = "chroma"
    needs = frozenset({"rgb"})
    numbers_of = (
        Number("chroma", "chroma intersection", "higher"),
        Number("chroma_ratio", "mean chroma / truth"),
    )

    def of_pictures(self, pictures: np.ndarray) -> Statistics:
        values = chroma_of(pictures).reshape(len(pictures), -1)
        counts = np.stack([np.histogram(row, CHROMA_EDGES)[0] for row in values])
        return {"counts": counts.astype(np.uint32), "mean": values.mean(axis=1)}

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(
                sums["truth_mean"] > GREY * count, sums["fake_mean"] / sums["truth_mean"], np.nan
            )
        shared = intersection(sums["fake_counts"], sums["truth_counts"])
        return {"chroma": shared, "chroma_ratio": ratio}


def chroma_of(pictures: np.ndarray) -> np.ndarray:
    """The chroma of every pixel of RGB pictures ``[B, H, W, 3]``, values 0 to 255: float64
    ``[B, H, W]``, 0 of grey to 134 of the strongest blue."""
    from skimage.color import rgb2lab

    lab = rgb2lab(pictures.astype(np.float64) / 255.0)
    return np.hypot(lab[..., 1], lab[..., 2])


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
