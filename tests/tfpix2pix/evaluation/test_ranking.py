"""Best and worst pictures: those that sorting all would give, with a few in memory."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation import L1, PSNR, Batch
from tfpix2pix.evaluation.diversity import Diversity
from tfpix2pix.evaluation.ranking import Strip, ranking_of
from tfpix2pix.evaluation.sharpness import Sharpness


def fed(levels: list[int], rank_by: str | None = None, on_strip=lambda strip: None):
    """A ranking of pictures of one level each against black, in batches of 3."""
    evaluators = [PSNR(), L1()]
    ranking = ranking_of(evaluators, rank_by)
    for start in range(0, len(levels), 3):
        some = levels[start : start + 3]
        fake = np.stack([np.full((4, 4, 3), level, np.uint8) for level in some])
        batch = Batch([str(start + i) for i in range(len(some))], np.zeros_like(fake), fake)
        for evaluator in evaluators:
            evaluator.update(batch)

        def strip(i: int, value: float, batch=batch) -> Strip:
            made = Strip(batch.names[i], value, batch.fake[i], batch.fake[i].copy(), batch.y[i])
            on_strip(made)
            return made

        ranking.add(len(batch), strip)
    return ranking


@pytest.mark.parametrize("rank_by", [None, "l1", "psnr"])
def test_they_are_those_that_sorting_gives(rank_by):
    levels = np.random.default_rng(0).permutation(40).tolist()
    ranking = fed(levels, rank_by)
    order = np.argsort(levels)  # the darkest are nearest to black by either measure
    assert [s.name for s in ranking.best] == [str(i) for i in order[:4]]
    assert [s.name for s in ranking.worst] == [str(i) for i in order[::-1][:4]]
    assert ranking.number.name == (rank_by or "l1")
    assert len(ranking.values) == 40
    if ranking.number.name == "l1":
        np.testing.assert_allclose(ranking.values, np.array(levels) / 127.5)


def test_of_equal_pictures_the_first_stay():
    ranking = fed([5] * 10)
    assert [s.name for s in ranking.best] == ["0", "1", "2", "3"]
    assert [s.name for s in ranking.worst] == ["0", "1", "2", "3"]


def test_few_pictures_are_at_both_ends():
    ranking = fed([9, 7])
    assert [s.name for s in ranking.best] == ["1", "0"]
    assert [s.name for s in ranking.worst] == ["0", "1"]


@pytest.mark.parametrize("levels", [range(100), range(100)[::-1]], ids=["worse", "better"])
def test_memory_holds_eight_pictures_however_many_pass(levels):
    class Counted(np.ndarray):
        """Arrays that can be watched."""

    seen: list[weakref.ref] = []
    most = 0

    def on_strip(strip: Strip) -> None:
        nonlocal most
        watched = strip.fake.view(Counted)
        object.__setattr__(strip, "fake", watched)
        seen.append(weakref.ref(watched))
        most = max(most, sum(ref() is not None for ref in seen))

    ranking = fed([int(level) for level in levels], on_strip=on_strip)
    assert len(seen) >= 100  # every picture was at one of the ends once
    assert sum(ref() is not None for ref in seen) == len(ranking.best) + len(ranking.worst) == 8
    assert most <= 10  # while one comes in and one goes


def test_a_number_that_nobody_knows_the_better_way_of_is_refused():
    with pytest.raises(UserError, match=r"--rank_by=sharpness: .* one of l1"):
        ranking_of([Sharpness(), L1()], "sharpness")
    with pytest.raises(UserError, match=r"--rank_by=psnr: .* one of l1"):
        ranking_of([L1()], "psnr")
    assert ranking_of([Sharpness(), Diversity()]) is None
