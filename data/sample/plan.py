"""What the floors of one house have in common, and the dice that all geometry is drawn with."""

from __future__ import annotations

import dataclasses

import numpy as np


class Dice:
    """Short words for the draws a layout is made of."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng

    def chance(self, p: float) -> bool:
        return self._rng.random() < p

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._rng.random()

    def whole(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int(self._rng.random() * (high - low + 1))

    def pick(self, *options):
        return options[int(self._rng.random() * len(options))]


@dataclasses.dataclass
class Plan:
    """What the floors of one house have in common."""

    window_w: float
    window_h: float
    twin: bool
    cornices: float
    sills: float
    shutters: float
    roller: float
    deco: float
    stripes: float
    pillars: str
    balconies: str
    balcony_bays: tuple[int, ...]

    @classmethod
    def draw(cls, dice: Dice, bays: int, floors: int) -> Plan:
        modern = dice.chance(0.25)
        centre = tuple({(bays - 1) // 2, bays // 2})
        side = (0, bays - 1) if dice.chance(0.5) else (dice.whole(0, bays - 1),)
        shutters = dice.pick(0.0, 0.0, 0.95)
        return cls(
            window_w=dice.between(0.3, 0.42) if shutters else dice.between(0.4, 0.62),
            window_h=dice.between(0.46, 0.64),
            twin=dice.chance(0.15),
            cornices=0.0 if modern else dice.pick(0.0, 0.5, 0.95),
            sills=dice.pick(0.0, 0.6, 0.95),
            shutters=shutters,
            roller=0.0 if shutters else dice.pick(0.0, 0.0, 0.25),
            deco=0.0 if modern else dice.pick(0.0, 0.15, 0.5),
            stripes=0.15 if modern else dice.pick(0.2, 0.6, 0.95),
            pillars="" if modern else dice.pick("", "", "corners", "all", "centre"),
            balconies=dice.pick("", "bays", "bays", "long", "scattered"),
            balcony_bays=dice.pick(centre, side),
        )
