"""Edges to photo: thin black lines on white.

The paper (section 4) draws them with a trained edge detector, HED, and post-processing. Here no
network is needed. Texture is flattened by total variation; Canny finds the lines in CIELAB; lines
amid many others count for less, as in "Contour detection based on nonclassical receptive field
inhibition" (Grigorescu, Petkov and Westenberg, 2003); then, as is usual behind HED, lines are
thinned to one pixel and small pieces removed.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.options import option
from tfpix2pix.data.tasks.task import Task, black_and_white, like

# The automatic thresholds. A tenth of a picture's pixels may seed lines, but no contrast below the
# floor (noise, JPEG blocks on white) does, and any above the ceiling (an object's outline) does.
SEED_QUANTILE = 0.9
HIGH_FLOOR, HIGH_CEILING = 0.06, 0.2
# Between 1:2 and 1:3, as Canny advises ("A computational approach to edge detection", 1986).
LOW_TO_HIGH = 0.4
# How much of the mean contrast around a pixel its own must exceed besides: more for seeding a line
# than for following it, which keeps outlines whole that run along texture. Chosen by eye on photos.
SEED_INHIBITION, FOLLOW_INHIBITION = 1.5, 0.75
SURROUND_SIGMAS = 5
# Colour speaks where lightness is silent; nearer than this to a lightness edge it is the same line.
SAME_LINE_PIXELS = 3
_TV_STEPS = 100
_EIGHT = np.ones((3, 3), bool)


@dataclasses.dataclass(frozen=True)
class Edges(Task):
    """Settings of the edge drawing.

    Raises:
      DataError: a value out of range, or ``low`` above ``high``.
    """

    name: ClassVar[str] = "edges"
    about: ClassVar[str] = "thin black lines on white, to draw photos from sketches"
    titles: ClassVar[tuple[str, str]] = ("A edges", "B original")
    libraries: ClassVar[tuple[str, ...]] = (
        "scipy.ndimage",
        "skimage.color",
        "skimage.feature",
        "skimage.measure",
        "skimage.morphology",
        "skimage.restoration",
    )

    sigma: float = option(
        1.5, "blur before the gradient, pixels; larger keeps coarser lines", minimum=0.5, maximum=20
    )
    low: float = option(
        0.0,
        "contrast down to which a line is followed, beyond what is around it, as a share of black "
        "to white; 0: 0.4 of --high",
        minimum=0.0,
        maximum=1.0,
    )
    high: float = option(
        0.0,
        "contrast that starts a line, beyond what is around it, as a share of black to white; 0: "
        "what a tenth of the picture's pixels exceed, kept within 0.06 to 0.2",
        minimum=0.0,
        maximum=1.0,
    )
    flatten: float = option(
        0.15,
        "how strongly texture is flattened first (weight of the total variation), 0 for not at all",
        minimum=0.0,
        maximum=10.0,
    )
    min_edge: int = option(10, "smaller pieces of line are removed, pixels", minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.high and self.low > self.high:
            raise DataError(
                f"--low={self.low} is above --high={self.high}; a line starts at high contrast and "
                "is followed down to low: give a smaller --low."
            )

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """Black lines on white; see `find_edges`."""
        black, white = black_and_white(image)
        return like(np.where(find_edges(image, self), black, white).astype(image.dtype), image)

    def remark(self, a: np.ndarray, b: np.ndarray) -> str:
        return "no edge found, A is white; a lower --high finds more" if np.ptp(a) == 0 else ""


def find_edges(image: np.ndarray, settings: Edges) -> np.ndarray:
    """Lines one pixel thin.

    Args:
      image: uint8, uint16 or float32 ``[H, W, C]``; of other channels than RGB the mean counts.
      settings: see `Edges`.

    Returns:
      bool ``[H, W]``, true on lines.
    """
    from scipy.ndimage import binary_dilation
    from skimage.color import rgb2lab
    from skimage.restoration import denoise_tv_chambolle

    # L is 0..100; on the same scale a and b reach about +-1. Single precision: photos are large.
    black, white = black_and_white(image)
    scaled = (image.astype(np.float32) - np.float32(black)) / np.float32(white - black)
    if image.shape[-1] != 3:
        scaled = np.repeat(scaled.mean(axis=-1, keepdims=True), 3, axis=-1)
    lab = rgb2lab(scaled) / 100
    if settings.flatten:
        lab = denoise_tv_chambolle(
            lab, weight=settings.flatten, max_num_iter=_TV_STEPS, channel_axis=-1
        )
    lightness, *colours = (_Channel(c, settings.sigma) for c in np.moveaxis(lab, -1, 0))
    low, high = _thresholds(lightness.seeding, settings)
    lines = lightness.lines(low, high)
    for colour in colours:
        known = binary_dilation(lines, _EIGHT, iterations=SAME_LINE_PIXELS)
        lines = lines | (colour.lines(low, high) & ~known)
    return thin_lines(lines, settings.min_edge)


def thin_lines(lines: np.ndarray, min_edge: int) -> np.ndarray:
    """Thins lines to one pixel and removes pieces (8-connected) of fewer than `min_edge` pixels."""
    from skimage.measure import label
    from skimage.morphology import thin

    pieces = label(thin(lines), connectivity=2)
    keep = np.bincount(pieces.ravel()) >= min_edge
    keep[0] = False  # the background
    return keep[pieces]


class _Channel:
    """One channel with the contrast of its edges, alone and against what is around them."""

    def __init__(self, channel: np.ndarray, sigma: float):
        from scipy.ndimage import gaussian_filter, sobel

        self._channel, self._sigma, self._unit = channel, sigma, _unit_step(sigma)
        smooth = gaussian_filter(channel, sigma, mode="nearest")
        contrast = np.hypot(sobel(smooth, 0), sobel(smooth, 1)) / self._unit
        around = gaussian_filter(contrast, SURROUND_SIGMAS * sigma, mode="nearest")
        self.seeding = contrast - SEED_INHIBITION * around
        self._following = contrast - FOLLOW_INHIBITION * around

    def lines(self, low: float, high: float) -> np.ndarray:
        from skimage.feature import canny
        from skimage.morphology import reconstruction

        # With one threshold for both, Canny returns every ridge of the gradient above it.
        floor = low * self._unit
        ridges = canny(self._channel, self._sigma, floor, floor, mode="nearest")
        follow = ridges & (self._following > low)
        seeds = follow & (self.seeding > high)
        return reconstruction(seeds, follow, "dilation", _EIGHT) > 0


def _thresholds(seeding: np.ndarray, settings: Edges) -> tuple[float, float]:
    high = settings.high
    if not high:
        high = float(np.clip(np.quantile(seeding, SEED_QUANTILE), HIGH_FLOOR, HIGH_CEILING))
        high = max(high, settings.low)
    return settings.low or LOW_TO_HIGH * high, high


def _unit_step(sigma: float) -> float:
    """The Sobel magnitude beside a step from 0 to 1 blurred by `sigma`.

    Dividing by it turns magnitudes into contrasts, whatever the blur: the blurred step is the
    normal distribution, Sobel takes its values 1.5 pixels up and 0.5 down, four times.
    """

    def rise(distance: float) -> float:
        return math.erf(distance / (sigma * math.sqrt(2))) / 2

    return 4 * (rise(1.5) + rise(0.5))
