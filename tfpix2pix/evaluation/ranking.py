"""The best and the worst pictures of an evaluation, kept while it streams."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation.base import Evaluator, Number

KEPT = 4


@dataclass(frozen=True)
class Strip:
    """One pair as a person sees it: uint8 ``[H, W, 1 or 3]``; `value` is its own measure. Without a
    target, `y` is None; `again` is what the way back makes of `fake`, where there is one."""

    name: str
    value: float
    x: np.ndarray
    fake: np.ndarray
    y: np.ndarray | None
    again: np.ndarray | None = None


class Ranking:
    """Ranks pairs by one number of an evaluator, taken of each alone, and keeps a few of them.

    However many pairs there are, at most twice `kept` strips are held, and one float for each.

    Args:
      evaluator: an additive one whose numbers a single image has.
      number: of its numbers, one of which it is known which way is better.
      kept: strips at each end.
    """

    def __init__(self, evaluator: Evaluator, number: Number, kept: int = KEPT) -> None:
        self.evaluator, self.number, self.kept = evaluator, number, kept
        self.values: list[float] = []
        # Heaps whose smallest entry is the first to go. Of equals the earlier pair stays; the
        # place in the split is unique, so that strips are never compared.
        self._best: list[tuple[float, int, Strip]] = []
        self._worst: list[tuple[float, int, Strip]] = []

    def add(self, count: int, strip: Callable[[int, float], Strip]) -> None:
        """Takes in the last `count` pairs of the evaluator; `strip(i, value)` makes one of them."""
        statistics = {k: v[-count:] for k, v in self.evaluator.statistics.items()}
        values = self.evaluator.of_each(statistics)[self.number.name]
        for i, value in enumerate(map(float, values)):
            place = len(self.values)
            self.values.append(value)
            if not math.isfinite(value):
                continue
            good = value if self.number.better == "higher" else -value
            for heap, key in ((self._best, good), (self._worst, -good)):
                entry = (key, -place)
                if len(heap) < self.kept:
                    heapq.heappush(heap, (*entry, strip(i, value)))
                elif entry > heap[0][:2]:
                    heapq.heapreplace(heap, (*entry, strip(i, value)))

    @property
    def best(self) -> list[Strip]:
        """The best pairs, the very best first."""
        return [strip for *_, strip in sorted(self._best, key=lambda e: e[:2], reverse=True)]

    @property
    def worst(self) -> list[Strip]:
        """The worst pairs, the very worst first."""
        return [strip for *_, strip in sorted(self._worst, key=lambda e: e[:2], reverse=True)]


def ranking_of(evaluators: Sequence[Evaluator], rank_by: str | None = None) -> Ranking | None:
    """The ranking by a number; None asks for the first that will do, l1 before others.

    Returns:
      None where no evaluator has such a number.

    Raises:
      UserError: `rank_by` is not among the numbers that single images have.
    """
    known = {
        number.name: (evaluator, number)
        for evaluator in evaluators
        if evaluator.scores_each
        for number in evaluator.numbers_of
        if number.better
    }
    if rank_by is None:
        rank_by = "l1" if "l1" in known else next(iter(known), None)
        if rank_by is None:
            return None
    if rank_by not in known:
        raise UserError(
            f"--rank_by={rank_by}: expected a number that single images have, one of "
            f"{', '.join(known) or '(none of the chosen metrics has one)'}"
        )
    return Ranking(*known[rank_by])
