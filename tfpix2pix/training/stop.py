"""Stopping on request: Ctrl-C and SIGTERM end the step that is under way, not the process."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class StopRequest:
    """While it is open, SIGINT and SIGTERM set ``signal`` instead of ending the process.

    A second one of either ends it at once, as usual. Works in the main thread only; elsewhere
    (a notebook's worker) it does nothing.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
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

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self._restore()

    @property
    def exit_code(self) -> int:
        """What a shell reports of a process that this signal ended."""
        return 128 + int(self.signal) if self.signal else 0
