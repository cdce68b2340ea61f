"""Trying again where a server is busy, restarting or slow, and nowhere else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tfpix2pix.base.files import shown
from tfpix2pix.export.wire import Expected

Result = TypeVar("Result")

_TIMES_OUT = 2  # requests that may time out


class ServerError(Exception):
    """A request that failed; the text says why, without the server's address."""


class Transient(ServerError):
    """One that may well work a moment later: refused, timed out, overloaded."""


class TimedOut(Transient):
    """No answer came in time. It may have been a queue, but it is waited for only once more."""


class MixedSizes(Transient):
    """The server put images of several sizes into one batch, which fails for all of them."""


class NoSuchThing(ServerError):
    """The server knows no such model, version or signature."""


def said(text: str) -> str:
    """What a server says of a failure, as messages show it: short, and on one line."""
    return shown(" ".join(text.split())[:300])


def check_shape(found: Sequence[int], expected: Expected) -> None:
    """Refuses an array of another shape.

    Raises:
      ServerError: it has one.
    """
    if tuple(found) != expected.shape:
        raise ServerError(
            f"the server answered with an array of {list(found)}, where {list(expected.shape)} was "
            "expected"
        )


@dataclass(frozen=True)
class Retry:
    """How often and how patiently to try.

    Attributes:
      attempts: in all, the first one included.
      first_wait: seconds before the second attempt; doubled for each further one.
      longest_wait: seconds.
    """

    attempts: int = 6
    first_wait: float = 0.25
    longest_wait: float = 5.0

    def wait(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        # Not all clients at the same moment again.
        span = min(self.first_wait * 2 ** (failures - 1), self.longest_wait)
        return span * random.uniform(0.5, 1.0)


class Retrier:
    """Runs calls with retries. Once one has failed for good, others are tried only once.

    So ten thousand images do not each wait for a server that is gone; the first success brings
    the patience back. Threads may share it.
    """

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._gone = False

    def __call__(
        self, call: Callable[[], Result], not_for: tuple[type[Exception], ...] = ()
    ) -> Result:
        """What `call` returns, tried again when it raises `Transient`.

        Raises:
          ServerError: not transient, of a type in `not_for`, or the last of all attempts.
        """
        failures, late = 0, 0
        while True:
            try:
                result = call()
            except not_for:
                raise
            except Transient as error:
                failures, late = failures + 1, late + isinstance(error, TimedOut)
                if self._gone or failures >= self._retry.attempts or late >= _TIMES_OUT:
                    self._gone = True
                    raise
                time.sleep(self._retry.wait(failures))
            else:
                self._gone = False
                return result
