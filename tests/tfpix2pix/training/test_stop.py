"""Asking a run to stop: noticed between two steps; asked twice, it ends at once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tfpix2pix.training.stop import StopRequest

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers():
    """Handlers of our own underneath; returns what reached them."""
    reached: list[int] = []
    previous = {n: signal.signal(n, lambda number, frame: reached.append(number)) for n in NUMBERS}
    yield reached
    for number, handler in previous.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_noted_and_ends_nothing(handlers, number, code):
    with StopRequest() as stop:
        send(number)
        assert stop.signal == number
        assert stop.exit_code == code
    assert handlers == []


def test_without_a_signal_it_ends_as_usual():
    with StopRequest() as stop:
        pass
    assert stop.signal is None
    assert stop.exit_code == 0


@pytest.mark.parametrize("second", NUMBERS)
def test_a_second_signal_acts_as_usual(handlers, second):
    with StopRequest() as stop:
        send(signal.SIGTERM)
        send(second)
        assert stop.signal == signal.SIGTERM
    assert handlers == [second]


def test_afterwards_signals_act_as_before(handlers):
    with StopRequest():
        pass
    for number in NUMBERS:
        send(number)
    assert handlers == list(NUMBERS)


def test_an_error_inside_restores_the_handlers(handlers):
    with pytest.raises(RuntimeError), StopRequest():
        raise RuntimeError
    send(signal.SIGINT)
    assert handlers == [signal.SIGINT]


def test_an_event_stops_as_ctrl_c_does(handlers):
    event = threading.Event()
    with StopRequest(event) as stop:
        assert stop.signal is None
        event.set()
        assert (stop.signal, stop.exit_code) == (signal.SIGINT, 130)
    assert handlers == []


def test_a_signal_is_told_before_the_event(handlers):
    event = threading.Event()
    event.set()
    with StopRequest(event) as stop:
        send(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM


def test_outside_the_main_thread_signals_do_what_they_did(handlers):
    caught: list[object] = []

    def work() -> None:
        try:
            with StopRequest() as stop:
                caught.append(stop.signal)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert caught == [None]
