"""Every row of one of our own tables against its first: the difference, and how sure it is.

The difference of two rows' means varies by chance twice: another seed trains another network, and
other images would give other numbers. Over seeds its standard error comes from the deviation that
both rows have together, with as many degrees of freedom as there are seeds beyond one of each.
Over images both rows are drawn on the same bootstrap samples, since they were scored on the same
images. The larger of the two counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfpix2pix.evaluation.results import finite_or_none

APART = 2.0  # standard errors of a difference from which it is called one
BETTER, WORSE, CLOSE, NEITHER = "better", "worse", "too close to tell", ""

Draws = Mapping[str, np.ndarray]
"""By number: its values on bootstrap samples of the images, ``[draws]``."""


@dataclass(frozen=True)
class Against:
    """One number of a row against the first row's.

    Attributes:
      row: its title.
      column: index of the column.
      difference: the row's mean minus the first row's.
      error: its standard error; NaN where nothing says so.
      verdict: ``better``, ``worse``, or ``too close to tell``: nearer than `APART` standard errors;
        empty where neither more nor less is better.
    """

    row: str
    column: int
    difference: float
    error: float
    verdict: str

    @property
    def errors_apart(self) -> float:
        """The difference in standard errors; NaN where there is no error."""
        return self.difference / self.error if self.error > 0 else math.nan

    def text(self, digits: int) -> str:
        """``+0.012 (4.0 s.e., better)``; without the verdict where it is too close to tell."""
        apart = self.errors_apart
        words = [f"{abs(apart):.1f} s.e."] if math.isfinite(apart) else []
        words += [] if self.verdict in (CLOSE, NEITHER) else [self.verdict]
        how = f" ({', '.join(words)})" if words else ""
        return f"{self.difference:+.{digits}f}{how}"

    def to_json(self) -> dict[str, Any]:
        return {
            "difference": finite_or_none(self.difference),
            "standard_error": finite_or_none(self.error),
            "in_standard_errors": finite_or_none(self.errors_apart),
            "verdict": self.verdict,
        }


def against(
    row: str,
    column: int,
    goal: str,
    values: tuple[Sequence[float], Sequence[float]],
    draws: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
) -> Against:
    """One number of a row against the first row's.

    Args:
      row, column: as in `Against`.
      goal: ``higher``, ``lower`` or ``1``: the number is a share, and 1 the best; empty for none.
      values: of the first row and of this one, one for each seed.
      draws: the same on bootstrap samples of the images, ``[draws]`` for each seed; the same
        samples for all. Empty where there are none.
    """
    first, own = (float(np.mean(some)) for some in values)
    difference = own - first
    error = max(
        (e for e in (_over_seeds(*values), _over_images(*draws)) if math.isfinite(e)),
        default=math.nan,
    )
    gain = {"higher": difference, "lower": -difference}.get(goal, abs(first - 1) - abs(own - 1))
    verdict = BETTER if gain > 0 else WORSE
    if not abs(gain) > APART * (0.0 if math.isnan(error) else error):
        verdict = CLOSE
    if not goal:
        verdict = NEITHER
    return Against(row, column, difference, error, verdict)


def _over_seeds(first: Sequence[float], own: Sequence[float]) -> float:
    """Standard error of the difference of two means, by their pooled deviation."""
    freedom = len(first) + len(own) - 2
    if freedom < 1:
        return math.nan
    squares = sum(float(np.sum(np.square(np.asarray(s) - np.mean(s)))) for s in (first, own))
    return math.sqrt(squares / freedom * (1 / len(first) + 1 / len(own)))


def _over_images(first: Sequence[np.ndarray], own: Sequence[np.ndarray]) -> float:
    """Standard deviation of the difference of two means over the same samples of the images."""
    if not first or not own or len({len(one) for one in (*first, *own)}) != 1:
        return math.nan
    difference = np.mean(own, axis=0) - np.mean(first, axis=0)
    there = difference[np.isfinite(difference)]
    return float(np.std(there, ddof=1)) if len(there) > 1 else math.nan
