"""From the scores of finished runs to a table beside the paper's own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfpix2pix.evaluation.results import finite_or_none
from tfpix2pix.reproduction.tables import Table

_DIGITS = 3
APART = 2.0  # standard errors of a difference from which it is called one


@dataclass(frozen=True)
class Cell:
    """One number of a row.

    Attributes:
      values: one for each seed, in their order.
      errors: the bootstrap standard error over images of each value.
    """

    values: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def seed_error(self) -> float:
        """Standard error of the mean over seeds; NaN for one seed."""
        count = len(self.values)
        if count < 2:
            return math.nan
        squares = sum((value - self.mean) ** 2 for value in self.values)
        return math.sqrt(squares / (count - 1) / count)

    @property
    def image_error(self) -> float:
        """Standard error over images, the mean of the seeds': all seeds see the same images."""
        return sum(self.errors) / len(self.errors)

    @property
    def error(self) -> float:
        """What stands behind the mean: over seeds, or over images where there is one seed."""
        return self.image_error if math.isnan(self.seed_error) else self.seed_error

    def to_json(self) -> dict[str, Any]:
        return {
            "mean": finite_or_none(self.mean),
            "standard_error_over_seeds": finite_or_none(self.seed_error),
            "standard_error_over_images": finite_or_none(self.image_error),
            "values": [finite_or_none(value) for value in self.values],
        }


@dataclass(frozen=True)
class ResultRow:
    """A row of ours beside the paper's.

    Attributes:
      key, title: as in the table.
      seeds: that are scored; empty where none is yet.
      cells: by number, the table's own and all others that were measured.
      paper: the paper's figures, by the table's columns.
    """

    key: str
    title: str
    seeds: tuple[int, ...]
    cells: Mapping[str, Cell]
    paper: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """How two rows stand to each other in one column, here and in the paper.

    Attributes:
      better, worse: titles of the rows, by the paper's figures.
      column: index of the column.
      verdict: ``as in the paper``, ``the other way round``, or ``too close to tell``: nearer than
        `APART` standard errors of the difference.
      difference: ours, better minus worse.
    """

    better: str
    worse: str
    column: int
    verdict: str
    difference: float


@dataclass(frozen=True)
class Result:
    """A table of ours, as far as it is."""

    table: Table
    rows: tuple[ResultRow, ...]
    truth: ResultRow | None
    missing: tuple[str, ...]
    """Runs that are not scored, by key and seed."""

    @property
    def comparisons(self) -> list[Comparison]:
        """Every two rows that the paper tells apart, column by column."""
        found = []
        scored = [row for row in self.rows if row.seeds]
        for column, number in enumerate(self.table.numbers):
            for one, other in itertools.combinations(scored, 2):
                if one.paper[column] == other.paper[column]:
                    continue
                ahead = one.paper[column] > other.paper[column]
                better, worse = (one, other) if ahead else (other, one)
                found.append(_compare(better, worse, column, number))
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything, for ``results/TABLE.json``."""
        paper = self.table.paper
        return {
            "table": self.table.name,
            "paper": {name: paper[name] for name in ("number", "title", "data")},
            "columns": dict(zip(self.table.numbers, self.table.headings, strict=True)),
            "rows": [
                {
                    "key": row.key,
                    "title": row.title,
                    "seeds": list(row.seeds),
                    "paper": dict(zip(self.table.numbers, row.paper, strict=False)),
                    "numbers": {name: cell.to_json() for name, cell in row.cells.items()},
                }
                for row in self.all_rows
            ],
            "order": [
                {
                    "column": self.table.headings[c.column],
                    "paper_says": f"{c.better} > {c.worse}",
                    "here": c.verdict,
                    "difference": finite_or_none(c.difference),
                }
                for c in self.comparisons
            ],
            "missing": list(self.missing),
        }

    @property
    def all_rows(self) -> tuple[ResultRow, ...]:
        """The rows, and the ground truth's as the last."""
        return (*self.rows, *([self.truth] if self.truth else []))

    def to_markdown(self) -> str:
        """The table: ours, mean and standard error, and the paper's in brackets."""
        head = ["", *self.table.headings]
        lines = [f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
        for row in self.all_rows:
            lines.append(f"| {' | '.join([row.title, *self.texts(row)])} |")
        return "\n".join(lines) + "\n"

    def texts(self, row: ResultRow) -> list[str]:
        """The row's cells as text, ``0.612 ± 0.004 (0.66)``."""
        numbers = self.table.truth if row is self.truth else self.table.numbers
        texts = []
        for index, number in enumerate(numbers):
            cell = row.cells.get(number)
            ours = "not run" if cell is None else with_error(cell.mean, cell.error)
            paper = f" ({row.paper[index]:.2f})" if row.paper else ""
            texts.append(ours + paper)
        return texts


def with_error(value: float, error: float) -> str:
    """``0.612 ± 0.004``; without the error where there is none."""
    text = f"{value:.{_DIGITS}f}"
    return text if math.isnan(error) else f"{text} ± {error:.{_DIGITS}f}"


def result_of(
    table: Table, metrics: Mapping[tuple[str, int], Mapping[str, Any]], seeds: Sequence[int]
) -> Result:
    """A table from the scores of its runs.

    Args:
      table: which.
      metrics: by variant key and seed, what ``metrics.json`` holds: ``numbers`` and
        ``standard_errors`` by name.
      seeds: all that belong to the reproduction.
    """
    rows, missing = [], []
    for row in table.rows:
        there = [seed for seed in seeds if (row.variant.key, seed) in metrics]
        missing += [f"{row.variant.key} seed {s}" for s in seeds if s not in there]
        scores = [metrics[row.variant.key, seed] for seed in there]
        paper = tuple(table.paper["rows"][row.key])
        rows.append(ResultRow(row.key, row.title, tuple(there), _cells(scores), paper))
    truth = None
    scored = [metrics[key] for key in metrics if key[0] in {r.variant.key for r in table.rows}]
    if table.truth and scored:
        # The scorer on the photographs themselves: the same for every run.
        cells = {n: c for n, c in _cells(scored[:1]).items() if n in table.truth}
        paper = tuple(table.paper["rows"]["truth"]) if "truth" in table.paper["rows"] else ()
        truth = ResultRow("truth", "Ground truth", (), cells, paper)
    return Result(table, tuple(rows), truth, tuple(missing))


def _cells(scores: Sequence[Mapping[str, Any]]) -> dict[str, Cell]:
    if not scores:
        return {}
    names = [n for n in scores[0]["numbers"] if all(n in s["numbers"] for s in scores)]
    return {
        name: Cell(
            tuple(_number(score["numbers"][name]) for score in scores),
            tuple(_number(score["standard_errors"].get(name)) for score in scores),
        )
        for name in names
    }


def _compare(better: ResultRow, worse: ResultRow, column: int, number: str) -> Comparison:
    one, other = better.cells[number], worse.cells[number]
    difference = one.mean - other.mean
    # Two seeds alone can lie close together by chance, so images have their say too.
    errors = [
        max(filter(math.isfinite, (c.seed_error, c.image_error)), default=0.0) for c in (one, other)
    ]
    verdict = "as in the paper" if difference > 0 else "the other way round"
    if abs(difference) < APART * math.hypot(*errors):
        verdict = "too close to tell"
    return Comparison(better.title, worse.title, column, verdict, difference)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
