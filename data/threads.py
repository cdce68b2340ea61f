"""Many items at once in threads, results in order."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def threaded(
    function: Callable[[Item], Result], items: Sequence[Item], threads: int = 0
) -> Generator[Result, None, None]:
    """Calls a function on every item and yields the results in the items' order.

    Worth it where the work leaves the interpreter's lock, as image decoders do. What has not begun
    when the caller gives up never begins.

    Args:
      function: called from several threads.
      items: one call each.
      threads: how many; 0 for four more than cores, at most 16.
    """
    threads = threads or min(16, (os.cpu_count() or 1) + 4)
    with ThreadPoolExecutor(threads) as pool:
        # Not `pool.map`: it asks for everything at once, a kilobyte for each item.
        waiting: collections.deque[Future[Result]] = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 4 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
