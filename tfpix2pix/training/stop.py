"""Stopping on request: Ctrl-C and SIGTERM end the step that is under way, not the process."""

from __future__ import annotations

import signal
import threading
from signal import SIGINT, SIGTERM, Signals
from types import FrameType
from typing import Any


class StopRequest:
    """While it is open, SIGINT and SIGTERM set ``signal`` instead of ending the process.

    A second one of either ends it at once, as usual. Python hands signals to the main thread only:
    elsewhere (a thread that a notebook started) they do what they did, and the event is the way.

    Args:
      event: when it is set, by whichever thread, that is as if SIGINT had come.
    """

    def __init__(self, event: threading.Event | None = None) -> None:
        self._signal: Signals | None = None
        self._event = event
        self._previous: dict[Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (SIGINT, SIGTERM):
            try:
                self._previous[number] = signal.signal(number, self._handle)
            except ValueError:  # not the main thread
                break
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    @property
    def signal(self) -> Signals | None:
        """Why to stop; None while there is no reason."""
        if self._signal is None and self._event is not None and self._event.is_set():
            return SIGINT
        return self._signal

    @signal.setter
    def signal(self, number: Signals | None) -> None:
        self._signal = number

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = Signals(number)
        self._restore()

    @property
    def exit_code(self) -> int:
        """What a shell reports of a process that this signal ended."""
        return 128 + int(self.signal) if self.signal else 0
