"""What is done every so many steps, and at the end in any case."""

from __future__ import annotations

import pytest

from tfpix2pix.training.periodic import Every


@pytest.mark.parametrize(
    ("interval", "total", "expected"),
    [
        (3, 7, [3, 6, 7]),
        (3, 6, [3, 6]),
        (1, 3, [1, 2, 3]),
        (10, 3, [3]),
        (0, 3, [3]),
    ],
)
def test_it_acts_at_multiples_and_at_the_last_step(interval, total, expected):
    done: list[int] = []
    action = Every(interval, done.append)
    for step in range(1, total + 1):
        action(step, last=step == total)
    assert done == expected


def test_the_steps_count_from_the_runs_beginning_after_a_restart():
    done: list[int] = []
    action = Every(4, done.append)
    for step in range(7, 13):
        action(step, last=False)
    assert done == [8, 12]
