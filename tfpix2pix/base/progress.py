"""Progress with an ETA: one live line on a terminal and in a notebook, plain lines at intervals
anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

INTERVAL = 10.0  # seconds between plain lines
REFRESH = 0.5  # seconds between updates of the live line
BAR = 20  # characters


class ProgressLine:
    """Shows how far something is.

    Args:
      what: what is being done, a word or two ("training").
      total: how many there are.
      unit: what is counted ("step", "image").
      done: how many were done before (a continued run); they do not count for the ETA.
      console: where to write; standard output by default.
    """

    def __init__(
        self,
        what: str,
        total: int,
        unit: str,
        done: int = 0,
        console: Console | None = None,
    ) -> None:
        self.what, self.total, self.unit = what, total, unit
        self._first, self._start = done, time.monotonic()
        self._console = console or Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._live: Progress | None = None
        self._cell = _Cell() if self._console.is_jupyter else None
        self._done = done
        # What takes less than an interval needs no plain line.
        self._shown = float("-inf") if self._console.is_terminal else self._start
        if self._console.is_terminal:
            self._live = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=BAR),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[text]}", markup=False),
                console=self._console,
                refresh_per_second=2,
                transient=True,
            )
            self._task = self._live.add_task(what, total=total, completed=done, text="")

    def __enter__(self) -> ProgressLine:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()
        if self._cell and self._cell.drawn:
            # It stays in the notebook, so it says how far it came.
            spent = duration(time.monotonic() - self._start)
            self._cell.draw(f"{self.what}: {self.unit} {self._done:,}/{self.total:,} in {spent}")

    @property
    def _interval(self) -> float:
        return REFRESH if self._live or self._cell else INTERVAL

    @property
    def due(self) -> bool:
        """Whether it is time to call ``show`` again; lets callers skip costly texts."""
        return time.monotonic() - self._shown >= self._interval

    def show(self, done: int, details: str = "") -> None:
        """Shows a count and a few words beside it, if it is time to."""
        self._done = done
        if not self.due:
            return
        self._shown = time.monotonic()
        text = f"{self.unit} {done:,}/{self.total:,}"
        if details:
            text += f"  {details}"
        text += f"  ETA {self.eta(done)}"
        if self._live:
            self._live.update(self._task, completed=done, text=text)
        elif self._cell:
            share = done / self.total if self.total else 1.0
            bar = ("█" * round(share * BAR)).ljust(BAR, "░")
            self._cell.draw(f"{self.what}  {bar}  {share:.0%}  {text}")
        else:
            self._print(f"{self.what}: {text}")

    def say(self, text: str) -> None:
        """Prints a line of its own: above the live one, in a notebook below it."""
        (self._live.console.print if self._live else self._print)(text, markup=False)

    def _print(self, text: str, markup: bool = False) -> None:
        if self._cell:  # rich would make a block of HTML of every line
            print(text, file=self._console.file, flush=True)
            return
        self._console.print(text, markup=markup)
        self._console.file.flush()

    def eta(self, done: int) -> str:
        """Time left at the mean speed since the start, as ``h:mm:ss``; ``-:--`` when unknown."""
        counted = done - self._first
        if counted <= 0:
            return "-:--"
        elapsed = time.monotonic() - self._start
        return duration(elapsed / counted * (self.total - done))


class _Cell:
    """One output of a notebook's cell, drawn anew in its place; saved notebooks hold the last."""

    def __init__(self) -> None:
        self._handle: Any = None

    @property
    def drawn(self) -> bool:
        return self._handle is not None

    def draw(self, text: str) -> None:
        from IPython.display import display

        data = {"text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class StepLine(AbstractContextManager):
    """A progress line over steps of differing length that are told one by one.

    Args:
      what: what is being done, a word or two ("exporting").
    """

    def __init__(self, what: str) -> None:
        self._what, self._done = what, 0
        self._line: ProgressLine | None = None

    def say(self, text: str) -> None:
        """Prints a line of its own."""
        (self._line.say if self._line else say)(text)

    def start(self, steps: int) -> None:
        """There are so many steps."""
        self._line = ProgressLine(self._what, steps, "step").__enter__()
        self._line.show(0)

    def doing(self, what: str) -> None:
        """What is being done now."""
        if self._line:
            self._line.show(self._done, what)

    def step(self, what: str, count: int = 1) -> None:
        """So many of them were done."""
        self._done += count
        if self._line:
            self._line.show(min(self._done, self._line.total), what)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._line:
            self._line.__exit__(kind, error, trace)


@contextmanager
def line_of(what: str, unit: str) -> Iterator[Callable[..., None]]:
    """A line of which the total is known with the first that is done: gives what takes done, total
    and, if need be, a text to show behind them."""
    line: ProgressLine | None = None
    with ExitStack() as stack:

        def show(done: int, total: int, text: str = "") -> None:
            nonlocal line
            if line is None:
                line = stack.enter_context(ProgressLine(what, total, unit))
            line.show(done, text)

        yield show


def duration(seconds: float) -> str:
    """``m:ss``, or ``h:mm:ss`` from an hour on."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"


def say(text: str) -> None:
    """Prints a plain line on standard output at once."""
    print(text, flush=True)
