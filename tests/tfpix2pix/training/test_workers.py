"""What workers agree on, with the other worker played; real ones are in test_cli_strategies.py."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.training.stop import StopRequest
from tfpix2pix.training.workers import Workers


@pytest.fixture
def two(monkeypatch):
    """`two(other)`: the first of two workers; `other(row)` is what the second answers."""

    def workers(other):
        first = Workers(tf.distribute.get_strategy())
        first.count = 2
        first.gather = lambda *row: np.array([row, other(row)], np.float32)
        return first

    return workers


def test_one_process_is_the_chief_and_asks_nobody():
    alone, stop = Workers(tf.distribute.get_strategy()), StopRequest()
    assert (alone.index, alone.count, alone.chief) == (0, 1, True)
    assert alone.same("anything")
    assert not alone.stopping(3, stop)
    stop.signal = signal.SIGINT
    assert alone.stopping(4, stop)
    assert not alone.is_lost(tf.errors.UnavailableError(None, None, "gone"))


def test_gathering_gives_the_numbers_of_the_one_that_there_is():
    table = Workers(tf.distribute.get_strategy()).gather(2**24 - 1, 0.5)
    np.testing.assert_array_equal(table, [[2**24 - 1, 0.5]])


@pytest.mark.parametrize("place", range(8))
def test_texts_are_told_apart_by_every_part_of_their_hash(two, place):
    assert two(lambda row: row).same("text")

    def nearly(row):
        return [value + (index == place) for index, value in enumerate(row)]

    assert not two(nearly).same("text")


def test_a_signal_of_the_other_stops_this_one_as_its_own(two):
    signals = iter([0, 0, int(signal.SIGTERM)])
    workers, stop = two(lambda row: (next(signals), 0.4)), StopRequest()
    # About every second, of 0.4 seconds a step by the slower worker: at steps 0, 2 and 4.
    assert next(step for step in range(20) if workers.stopping(step, stop)) == 4
    assert stop.signal is signal.SIGTERM
    assert stop.exit_code == 143


def test_fast_steps_are_asked_about_seldom(two):
    calls = []
    workers = two(lambda row: calls.append(row) or (0, 1e-6))
    for step in range(1000):
        assert not workers.stopping(step, StopRequest())
    assert len(calls) < 20


def test_errors_of_lost_workers_are_known_from_those_of_this_one(two):
    workers = two(lambda row: row)
    assert workers.is_lost(tf.errors.UnavailableError(None, None, "Connection reset by peer"))
    assert workers.is_lost(tf.errors.InternalError(None, None, "Collective ops is aborted by: x"))
    assert not workers.is_lost(tf.errors.ResourceExhaustedError(None, None, "OOM"))
    assert not workers.is_lost(tf.errors.InvalidArgumentError(None, None, "shapes"))
