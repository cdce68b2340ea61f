"""Grid and plaid: the regular patterns that a network lays over its pictures."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import Batch, Evaluator, Number, Statistics, weighted_sums
from tfpix2pix.evaluation.sharpness import luminance

PERIOD = 8
"""Pixels; the periods 4 and 2 divide it, so that one fold holds all three."""
MARGIN = PERIOD // 2
"""Pixels at each border without a whole local mean, which are left out."""
PITCH, WIDTH = 16, 12
"""Within a picture a line is compared in pieces of 12 pixels, 16 apart: what is correlated over
fewer than 4 pixels does not look like a line."""
FLAT = 9
"""Side of the neighbourhood in which an input must be constant, pixels."""
CONSTANT = 16 / 255
"""The range of values in it that counts as constant, on [-1, 1]: 8 grey levels, for JPEG."""

_SQUARES = "_squares"  # statistics of a picture with itself, which no pair of pictures has


class Grid(Evaluator):
    """How strong are the patterns that stand straight in the pixels, in grey levels of luminance?

    - ``grid``: what repeats every 8, 4 or 2 pixels at a phase that all pictures share.
    - ``plaid``: lines straight through the whole picture, rows and columns, at whatever distances
      but at places that all pictures share.
    - ``plaid_flat``: the same where the input is flat: its label or, where that is not known, its
      colour is constant for 9x9 pixels. Nothing of the truth begins or ends there.
    - ``lines_flat``: lines where the input is flat that run straight through the single picture,
      wherever they are in others.

    Windows stand in straight lines too, and a picture has more of these than of any plaid; but they
    stand elsewhere in the next one. Only a network puts a pattern at the same pixels of all. Every
    number has one for the truth, which is near 0 for the first three unless the data set has places
    of its own, such as a sky that always ends at the same height. ``lines_flat`` sees what is
    different in each picture as well, and the truth's bricks: read it beside the truth's.

    A number is a root mean square. A checked pattern of -a and a reads as a; so does, in ``grid``
    and ``plaid``, a wave of amplitude a along the rows with another along the columns, and one
    alone as a / 2^(1/2). A line through a share of a picture, or through a share of the pictures,
    reads as that share of its strength.

    Its square is the mean product of the patterns of two different pictures (``lines_flat``: of two
    pieces of a picture), never of one with itself. So what pictures do not share gives 0 in
    expectation, however strong it is. What is wider than 8 pixels is taken out first (`detail`).

    NaN with fewer than two pictures, for ``grid`` below 16 pixels, for what is flat where nothing
    is or neither classes nor inputs are known. Of an image of 128 pixels 6 KiB are kept.
    """

    name = "grid"
    of_one_image = False
    numbers_of = (
        Number("grid", "grid (grey levels)", "lower", 2),
        Number("grid_truth", "grid, truth", "", 2),
        Number("plaid", "plaid (grey levels)", "lower", 2),
        Number("plaid_truth", "plaid, truth", "", 2),
        Number("plaid_flat", "plaid where the input is flat", "lower", 2),
        Number("plaid_flat_truth", "plaid where it is flat, truth", "", 2),
        Number("lines_flat", "lines where the input is flat", "", 2),
        Number("lines_flat_truth", "lines where it is flat, truth", "", 2),
    )

    def per_image(self, batch: Batch) -> Statistics:
        flat = flat_regions(batch)
        found: dict[str, np.ndarray] = {"images" + _SQUARES: np.ones(len(batch))}
        for axis, name in ((1, "rows"), (2, "columns")):
            counts = inner(flat, axis).sum(axis=3 - axis, dtype=np.float32)
            found |= _with_square(f"flat_{name}", counts)
        for whose, pictures in (("fake", batch.fake), ("truth", batch.y)):
            grey = luminance(pictures).astype(np.float32)
            found |= _with_square(f"{whose}_grid", folded(grey))
            lines = []
            for axis, name in ((1, "rows"), (2, "columns")):
                rest, where = detail(grey, (axis,)), inner(flat, axis)
                inside = rest * where
                found |= _with_square(f"{whose}_{name}", rest.mean(axis=3 - axis))
                found |= _with_square(f"{whose}_flat_{name}", inside.sum(axis=3 - axis))
                lines.append(line_products(inside, where, axis))
            found[f"{whose}_lines"] = np.stack(lines, axis=1)
        return found

    @classmethod
    def measure(cls, statistics: Statistics, weights: np.ndarray) -> dict[str, np.ndarray]:
        # A picture that counts twice makes no pair with itself.
        sums = {
            name: weighted_sums(weights**2 if name.endswith(_SQUARES) else weights, values)
            for name, values in statistics.items()
        }
        return cls.score(sums, weights.sum(axis=1))

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        def products(name: str) -> np.ndarray:
            """Of different pictures, summed over their pairs and the places of the pattern."""
            return np.square(sums[name]).sum(axis=-1) - sums[name + _SQUARES]

        pairs = np.square(count) - sums["images" + _SQUARES]
        numbers = {}
        for whose, suffix in (("fake", ""), ("truth", "_truth")):
            energies = dict.fromkeys(("plaid", "plaid_flat"), np.zeros_like(pairs))
            with np.errstate(divide="ignore", invalid="ignore"):
                energies["grid"] = products(f"{whose}_grid") / (pairs * PERIOD**2)
                for name in ("rows", "columns"):
                    lines = f"{whose}_{name}"
                    energies["plaid"] = energies["plaid"] + (
                        products(lines) / (pairs * sums[lines].shape[-1])
                    )
                    energies["plaid_flat"] = energies["plaid_flat"] + (
                        products(f"{whose}_flat_{name}") / products(f"flat_{name}")
                    )
                lines_flat = sums[f"{whose}_lines"]  # [..., rows and columns, products and pairs]
                energies["lines_flat"] = (lines_flat[..., 0] / lines_flat[..., 1]).sum(axis=-1)
            for name, energy in energies.items():
                value = np.sqrt(np.maximum(energy, 0.0))
                numbers[name + suffix] = np.where(np.isfinite(value), value, np.nan)
        return {number.name: numbers[number.name] for number in cls.numbers_of}


def _with_square(name: str, pattern: np.ndarray) -> dict[str, np.ndarray]:
    """A pattern ``[B, places]``, float32, and the sum of its squares ``[B]``."""
    pattern = pattern.astype(np.float32)
    return {name: pattern, name + _SQUARES: np.square(pattern, dtype=np.float64).sum(axis=1)}


def detail(grey: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """What is left of ``[B, H, W]`` without the local mean along the axes; `MARGIN` pixels are cut
    off at both ends.

    The mean is over 9 pixels, the outermost two at half weight. That makes it 0 for waves of 8, 4
    and 2 pixels, which are therefore left as strong as they were.
    """
    mean, rest = grey, grey
    for axis in axes:
        length = max(grey.shape[axis] - PERIOD, 0)
        total = (cut(mean, axis, 0, length) + cut(mean, axis, PERIOD, length)) / 2
        for start in range(1, PERIOD):
            total += cut(mean, axis, start, length)
        mean, rest = total / PERIOD, cut(rest, axis, MARGIN, length)
    return rest - mean


def inner(values: np.ndarray, axis: int) -> np.ndarray:
    """The places along an axis that `detail` leaves."""
    return cut(values, axis, MARGIN, max(values.shape[axis] - PERIOD, 0))


def cut(values: np.ndarray, axis: int, start: int, length: int) -> np.ndarray:
    """`length` places along an axis, a view."""
    return values[(slice(None),) * axis + (slice(start, start + length),)]


def folded(grey: np.ndarray) -> np.ndarray:
    """The pattern that repeats every `PERIOD` pixels along both axes, less its mean.

    Args:
      grey: luminance ``[B, H, W]``.

    Returns:
      ``[B, 64]``, the mean over whole periods; NaN where there is none.
    """
    rest = detail(grey, (1, 2))
    rows, columns = (side // PERIOD for side in rest.shape[1:])
    if not rows * columns:
        return np.full((len(grey), PERIOD**2), np.nan)
    blocks = rest[:, : rows * PERIOD, : columns * PERIOD]
    blocks = blocks.reshape(len(rest), rows, PERIOD, columns, PERIOD)
    pattern = blocks.mean(axis=(1, 3)).reshape(len(rest), PERIOD**2)
    return pattern - pattern.mean(axis=1, keepdims=True)


def line_products(inside: np.ndarray, where: np.ndarray, axis: int) -> np.ndarray:
    """Products of different pieces of the same line, and how many pairs of pixels they are of.

    Args:
      inside: `detail` along an axis, 0 where the mask is, ``[B, H, W]``.
      where: the mask, bool.
      axis: across the lines: 1 for rows.

    Returns:
      float64 ``[B, 2]``, over all lines; the quotient is the mean square of the lines.
    """
    found = []
    for values in (inside, where):
        values = np.moveaxis(values, 3 - axis, 2)
        starts = range(0, values.shape[2] - WIDTH + 1, PITCH)
        pieces = [values[:, :, s : s + WIDTH].sum(axis=2, dtype=np.float64) for s in starts]
        sums = np.array(pieces).reshape(len(starts), *values.shape[:2])
        found.append((np.square(sums.sum(axis=0)) - np.square(sums).sum(axis=0)).sum(axis=1))
    return np.stack(found, axis=1)


def flat_regions(batch: Batch) -> np.ndarray:
    """Where the input is constant for `FLAT` pixels around, bool ``[B, H, W]``: its class where
    that is known, else its values; nowhere where neither is."""
    shape = batch.y.shape[:3]
    if batch.classes is not None:
        values, most = batch.classes[..., None].astype(np.int16), 0.0
    elif batch.x is not None:
        values, most = batch.x, CONSTANT
    else:
        return np.zeros(shape, bool)
    high, low = values, values
    for axis in (1, 2):
        high, low = extreme(high, axis, np.maximum), extreme(low, axis, np.minimum)
    flat, reach = np.zeros(shape, bool), FLAT // 2
    flat[:, reach : shape[1] - reach, reach : shape[2] - reach] = (high - low <= most).all(axis=-1)
    return flat


def extreme(values: np.ndarray, axis: int, of: np.ufunc) -> np.ndarray:
    """The largest or smallest of `FLAT` values along an axis, which loses ``FLAT - 1`` places."""
    length = values.shape[axis] - FLAT + 1
    found = cut(values, axis, 0, length).copy()
    for start in range(1, FLAT):
        of(found, cut(values, axis, start, length), out=found)
    return found
