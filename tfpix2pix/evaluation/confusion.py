"""Confusion matrices of label images, and the three numbers that are made of them.

The numbers are those of Long et al. 2015 (Fully convolutional networks for semantic segmentation,
section 5), which the paper reports as its FCN-scores. With ``n[i, j]`` the pixels of class i that
were taken for class j, and ``t[i]`` all pixels of class i::

    per-pixel accuracy   sum_i n[i, i] / sum_i t[i]
    per-class accuracy   mean over i of n[i, i] / t[i]
    class IoU            mean over i of n[i, i] / (t[i] + sum_j n[j, i] - n[i, i])

Void: pixels whose true class is void are not looked at, whatever was found there. A pixel of a true
class that was taken for void is a pixel taken for a wrong class; it lowers all three numbers. Hence
the matrices have one column more than rows: the last one is found void.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tfpix2pix.data.palette import Palette


def counted_classes(palette: Palette) -> np.ndarray:
    """int ``[K]``: the class numbers that are not void, in the palette's order."""
    return np.flatnonzero(~palette.void)


def counted_names(palette: Palette) -> list[str]:
    """The names of a matrix's K rows and of its first K columns."""
    return [palette.classes[number].name for number in counted_classes(palette)]


def confusion(
    true: np.ndarray, found: np.ndarray, palette: Palette, measured: np.ndarray | None = None
) -> np.ndarray:
    """How many pixels of each class were taken for each class, image by image.

    Args:
      true: class numbers of the palette, integers ``[B, H, W]``.
      found: the same for the images to judge.
      palette: of K classes that are not void, and any number that are.
      measured: bool ``[B, H, W]``, the pixels that count; None for all.

    Returns:
      int64 ``[B, K, K + 1]``: row i is the true class `counted_classes` [i], column j the found
      one, and column K found void. Pixels whose true class is void are not counted.

    Raises:
      ValueError: the two have different shapes, or numbers that are no class of the palette.
    """
    true, found = np.asarray(true), np.asarray(found)
    if true.shape != found.shape or true.ndim != 3:
        raise ValueError(f"expected class numbers [B, H, W] twice, got {true.shape}, {found.shape}")
    for numbers in (true, found):
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(palette):
            raise ValueError(
                f"class numbers {numbers.min()} to {numbers.max()}; the palette {palette.name!r} "
                f"has 0 to {len(palette) - 1}"
            )
    counted = counted_classes(palette)
    k, images = len(counted), len(true)
    place = np.full(len(palette), k, np.int64)  # void is place K
    place[counted] = np.arange(k)
    # One count over all images: the code of a pixel is (image, true, found).
    codes = place[true] * (k + 1) + place[found]
    if measured is not None:
        codes = np.where(measured, codes, k * (k + 1))
    codes += (np.arange(images) * ((k + 1) * (k + 1)))[:, None, None]
    counts = np.bincount(codes.ravel(), minlength=images * (k + 1) * (k + 1))
    return counts.reshape(images, k + 1, k + 1)[:, :k].astype(np.int64)


def segmentation_scores(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per-pixel accuracy, per-class accuracy and class IoU; see the top for the formulas.

    A class without a true pixel has no accuracy and is left out of the mean over classes. It has
    an IoU, which is 0, where it was found; where it was not, it is left out of that mean too.

    Args:
      matrix: sums of `confusion` over images, ``[..., K, K + 1]``, integer or float.

    Returns:
      Three arrays ``[...]``, 0 to 1; NaN where the matrix is empty.
    """
    matrix = np.asarray(matrix, np.float64)
    k = matrix.shape[-2]
    right = np.diagonal(matrix, axis1=-2, axis2=-1)[..., :k]
    there = matrix.sum(axis=-1)
    union = there + matrix[..., :k].sum(axis=-2) - right
    per_pixel = _ratio(right.sum(axis=-1), there.sum(axis=-1))
    return per_pixel, _mean_ratio(right, there), _mean_ratio(right, union)


def _mean_ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The mean over the last axis of part / whole, where whole is not 0."""
    some = whole > 0
    shares = np.where(some, _ratio(part, whole), 0.0)
    return _ratio(shares.sum(axis=-1), some.sum(axis=-1))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part / whole)
