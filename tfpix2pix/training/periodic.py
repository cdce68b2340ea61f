"""Periodic actions: what is done every so many steps, and always at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Every:
    """An action of every ``steps`` steps (0: only of the last)."""

    steps: int
    action: Callable[[int], object]

    def __call__(self, step: int, last: bool) -> None:
        if last or (self.steps and step % self.steps == 0):
            self.action(step)
