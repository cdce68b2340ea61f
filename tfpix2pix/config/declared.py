"""What an algorithm declares of its numbers: measures on val, and the charts of its report."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """A measure that is taken on val.

    Attributes:
      name: in ``metrics.jsonl``, and of ``--best_metric``.
      title: in sentences and tables.
      better: ``lower``, ``higher``, or ``near 1``.
      digits: after the point.
      unit: behind the number; empty for none.
      meaning: a few words for the report's table.
    """

    name: str
    title: str
    better: str
    digits: int = 4
    unit: str = ""
    meaning: str = ""

    def improves(self, new: float, old: float) -> bool:
        """Whether the first value is the better one."""
        return self.badness(new) < self.badness(old)

    def badness(self, value: float) -> float:
        """Lower is better, whatever the measure."""
        if self.better == "near 1":
            return abs(value - 1.0)
        return value if self.better == "lower" else -value

    def best(self, values: Iterable[float]) -> int:
        """Which of some values is the best one, by its place; the first of equals."""
        places = list(map(self.badness, values))
        return places.index(min(places))

    def written(self, value: float) -> str:
        """``13.98 dB``."""
        return f"{value:.{self.digits}f}" + (f" {self.unit}" if self.unit else "")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; see `from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measure:
        """What `to_dict` gave. Raises TypeError for anything else."""
        return cls(**values)


@dataclass(frozen=True)
class ChartSpec:
    """A chart of a run's report.

    Attributes:
      key: a short name, unique in the page, of letters and hyphens.
      heading: above it.
      caption: how to read it.
      y_label: what the curves show, with the unit.
      lines: each a label, ``train`` or ``val``, and the keys under which a record of that kind
        holds the value.
      y_range, reference, mark, from_zero: as in `tfpix2pix.report.curves.Chart`.
    """

    key: str
    heading: str
    caption: str
    y_label: str
    lines: tuple[tuple[str, ...], ...]
    y_range: tuple[float, float] | None = None
    reference: tuple[float, str] | None = None
    mark: str | None = None
    from_zero: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; see `from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ChartSpec:
        """What `to_dict` gave, after JSON. Raises TypeError or ValueError for anything else."""
        spec = cls(**values)
        return dataclasses.replace(
            spec,
            lines=tuple(tuple(map(str, line)) for line in spec.lines),
            y_range=spec.y_range and (float(spec.y_range[0]), float(spec.y_range[1])),
            reference=spec.reference and (float(spec.reference[0]), str(spec.reference[1])),
        )
