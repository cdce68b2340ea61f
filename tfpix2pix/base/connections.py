"""HTTP connections with a deadline for all of an exchange.

The time-outs of `requests` begin anew with every byte that arrives, so a server that sends one now
and then is waited for without end, be it in the headers or in the body.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter


class Clock:
    """The deadline of one exchange.

    Attributes:
      expired: whether it has passed, so that whatever failed or ended since did so for that.
    """

    def __init__(self) -> None:
        self.expired = False


class TimedSession(requests.Session):
    """A `requests.Session`, for one thread, whose exchanges can be given deadlines."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._clock: Clock | None = None
        self._socket: socket.socket | None = None
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(self._keep))

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[Clock]:
        """Ends the session's connection if what is inside takes longer.

        What waits for it then fails or meets the end of the data; `Clock.expired` tells.
        """
        clock = Clock()
        timer = threading.Timer(seconds, self._expire, (clock,))
        timer.daemon = True
        with self._lock:
            self._clock = clock
        timer.start()
        try:
            yield clock
        finally:
            timer.cancel()
            with self._lock:
                self._clock = None

    def close(self) -> None:
        super().close()
        self._keep(None)

    def _keep(self, connected: socket.socket | None) -> None:
        """Takes note of a new connection; the one before is not in use any more."""
        handle = None
        if connected is not None:
            # Of its own, as TLS takes the first one away. It ends the connection all the same.
            handle = socket.socket(
                connected.family,
                connected.type,
                connected.proto,
                fileno=socket.dup(connected.fileno()),
            )
        with self._lock:
            before, self._socket = self._socket, handle
            if before is not None:
                before.close()
            if self._clock is not None and self._clock.expired:
                self._end()

    def _expire(self, clock: Clock) -> None:
        with self._lock:
            # The exchange may have come to its end at this very moment.
            if self._clock is clock:
                clock.expired = True
                self._end()

    def _end(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # closed by the other side
                self._socket.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Hands out connections, and tells of each."""

    def __init__(self, keep: Any) -> None:
        self._keep = keep
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        known = set(self.proxy_manager)
        manager = super().proxy_manager_for(*args, **options)
        if set(self.proxy_manager) != known:
            self._watch(manager)
        return manager

    def _watch(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {
            scheme: _watched(pool, self._keep)
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }


def _watched(pool: Any, keep: Any) -> Any:
    """A class of connection pools whose connections are told of when they are made."""

    class Connection(pool.ConnectionCls):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            keep(made)
            return made

    class Pool(pool):
        ConnectionCls = Connection

    return Pool
