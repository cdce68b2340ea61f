"""Sharpness: how steep a picture is, so that blur has a number."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import Number, OfSets, Statistics

# Rec. 601, the luminance of video and JPEG.
LUMINANCE = (0.299, 0.587, 0.114)


def luminance(pictures: np.ndarray) -> np.ndarray:
    """The luminance of pictures ``[B, H, W, C]``, values 0 to 255: float64 ``[B, H, W]``, Rec.
    601's of three channels, else the mean of the channels."""
    values = pictures.astype(np.float64)
    return values @ LUMINANCE if values.shape[-1] == 3 else values.mean(axis=-1)


def gradient(pictures: np.ndarray) -> np.ndarray:
    """The mean magnitude of the gradient of each picture's luminance.

    Args:
      pictures: ``[B, H, W, C]``, values 0 to 255.

    Returns:
      float64 ``[B]``, levels of 255 per pixel: at each pixel that has a right and a lower
      neighbour, the root of the squared differences to both, averaged.
    """
    grey = luminance(pictures)
    corner = grey[:, :-1, :-1]
    across, down = grey[:, :-1, 1:] - corner, grey[:, 1:, :-1] - corner
    return np.hypot(across, down).mean(axis=(1, 2))


class Sharpness(OfSets):
    """The mean gradient magnitude of generated pictures, of the truth, and their ratio: below 1
    the generated ones are blurred (or flatter), above 1 they are noisier or busier. It says how
    much edge there is, not whether it stands in the right place.

    The ratio is that of the two means, not the mean of ratios. 16 bytes are kept of an image.
    """

    name = "sharpness"
    numbers_of = (
        Number("sharpness", "sharpness (levels per pixel)", "", 2),
        Number("sharpness_truth", "sharpness, truth", "", 2),
        Number("sharpness_ratio", "sharpness / truth", ""),
    )

    def of_pictures(self, pictures: np.ndarray) -> Statistics:
        return {"": gradient(pictures)}

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(sums["truth"] > 0, sums["fake"] / sums["truth"], np.nan)
        return {
            "sharpness": sums["fake"] / count,
            "sharpness_truth": sums["truth"] / count,
            "sharpness_ratio": ratio,
        }
