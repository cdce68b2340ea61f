"""From the scores of finished runs to a table beside the paper's own, or against its first row."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfpix2pix.evaluation.registry import numbers_of
from tfpix2pix.evaluation.results import finite_or_none
from tfpix2pix.reproduction.against import APART, WORSE, Against, Draws, against
from tfpix2pix.reproduction.tables import TABLES, Table, goal_of, known_evaluators, with_columns

_DIGITS = 3


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
      paper: the paper's figures, by the table's columns; empty where none are known.
      facts: what else is known of it, JSON-able.
    """

    key: str
    title: str
    seeds: tuple[int, ...]
    cells: Mapping[str, Cell]
    paper: tuple[float, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


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
class Reached:
    """How near a row comes to the aim of its table.

    Attributes:
      row: its title.
      times: its numbers, of the first row's, in the aim's order; NaN where that is 0.
      worse: headings of the numbers to be kept in which it is worse than the first row.
      holds: whether it is at the aim.
    """

    row: str
    times: tuple[float, ...]
    worse: tuple[str, ...]
    holds: bool

    def to_json(self) -> dict[str, Any]:
        times = [finite_or_none(value) for value in self.times]
        return {"times": times, "worse": [*self.worse], "holds": self.holds}


@dataclass(frozen=True)
class Result:
    """A table of ours, as far as it is."""

    table: Table
    rows: tuple[ResultRow, ...]
    truth: ResultRow | None
    missing: tuple[str, ...]
    """Runs that are not scored, by key and seed."""
    split: str = "val"
    against: tuple[Against, ...] = ()
    """Of our own tables: every row but the first against the first, column by column."""

    @property
    def reached(self) -> list[Reached]:
        """How near each row comes to the aim of the table, as far as it is scored; none of a table
        without one."""
        aim, first = self.table.aim, self.rows[0]
        if aim is None or not first.cells.keys() >= {*aim.numbers}:
            return []
        kept = {self.table.numbers.index(number) for number in aim.kept}
        found = []
        for row in self.rows[1:]:
            compared = {a.column: a.verdict for a in self.against if a.row == row.title}
            if not row.cells.keys() >= {*aim.numbers} or not kept <= compared.keys():
                continue
            times = tuple(
                row.cells[name].mean / first.cells[name].mean
                if first.cells[name].mean
                else math.nan
                for name in aim.numbers
            )
            worse = [c for c in sorted(kept) if compared[c] == WORSE]
            headings = tuple(self.table.headings[column] for column in worse)
            found.append(Reached(row.title, times, headings, times[0] >= aim.times and not worse))
        return found

    @property
    def sentences(self) -> list[str]:
        """What `reached` says, in words."""
        aim, title = self.table.aim, self.rows[0].title
        if aim is None or not self.reached:
            return []
        headings = dict(zip(self.table.numbers, self.table.headings, strict=True))
        what, kept = headings[aim.numbers[0]], [headings[number] for number in aim.kept]
        said = [
            f"The aim: {aim.times:g} times the {what.lower()} of {title}, and in "
            f"{' and '.join(kept)} not worse by {APART:g} standard errors."
        ]
        for row in self.reached:
            worse = f"worse in {' and '.join(row.worse)}" if row.worse else "no worse"
            end = "the aim holds" if row.holds else "the aim does not hold"
            times = " and ".join(
                f"{value:.1f} times the {headings[number].lower()}"
                for number, value in zip(aim.numbers, row.times, strict=True)
            )
            said.append(f"{row.row}: {times}, {worse}: {end}.")
        return said

    @property
    def comparisons(self) -> list[Comparison]:
        """Every two rows that the paper tells apart, column by column; none of our own tables."""
        if not self.table.paper:
            return []
        found = []
        scored = [row for row in self.rows if row.seeds and row.paper]
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
        table = self.table
        content: dict[str, Any] = {"table": table.name, "title": table.title, "split": self.split}
        if table.paper:
            facts = ("number", "title", "data", "source", "read_in")
            content["paper"] = {n: table.paper[n] for n in facts if n in table.paper}
        content["columns"] = dict(zip(table.numbers, table.headings, strict=True))
        content["rows"] = [self._row_json(row) for row in self.all_rows]
        if table.paper:
            content["order"] = [
                {
                    "column": table.headings[c.column],
                    "paper_says": f"{c.better} > {c.worse}",
                    "here": c.verdict,
                    "difference": finite_or_none(c.difference),
                }
                for c in self.comparisons
            ]
        else:
            content["against"] = self.rows[0].key
        content["missing"] = list(self.missing)
        if self.table.aim:
            content["aim"] = dataclasses.asdict(self.table.aim)
        return content

    def _row_json(self, row: ResultRow) -> dict[str, Any]:
        content: dict[str, Any] = {
            "key": row.key,
            "title": row.title,
            "seeds": list(row.seeds),
            "numbers": {name: cell.to_json() for name, cell in row.cells.items()},
            **row.facts,
        }
        if self.table.paper:
            content["paper"] = dict(zip(self.table.numbers, row.paper, strict=False))
        else:
            content["against"] = {
                self.table.numbers[a.column]: a.to_json()
                for a in self.against
                if a.row == row.title
            }
        for reached in self.reached:
            if reached.row == row.title:
                content["reached"] = reached.to_json()
        return content

    @property
    def all_rows(self) -> tuple[ResultRow, ...]:
        """The rows, and the ground truth's as the last."""
        return (*self.rows, *([self.truth] if self.truth else []))

    def to_markdown(self) -> str:
        """The table: ours, mean and standard error, and the paper's in brackets; of our own tables
        a second one, with the differences to the first row, and a third with the steps."""
        head = ["", *self.table.headings]
        parts = [_markdown(head, [[row.title, *self.texts(row)] for row in self.all_rows])]
        if self.against:
            rows = [[title, *texts] for title, texts in self.differences]
            parts.append(_markdown([f"Against {self.rows[0].title}", *head[1:]], rows))
        if self.sentences:
            parts.append("".join(f"- {sentence}\n" for sentence in self.sentences))
        if self.paces:
            parts.append(_markdown(["", *self.pace_headings], self.paces))
        return "\n".join(parts)

    @property
    def differences(self) -> list[tuple[str, list[str]]]:
        """Every row's differences to the first, column by column, as text; without the first."""
        found: dict[str, list[str]] = {}
        for one in self.against:
            texts = found.setdefault(one.row, [""] * len(self.table.numbers))
            texts[one.column] = one.text(self._digits(one.column))
        return list(found.items())

    @property
    def pace_headings(self) -> list[str]:
        """What stands above the columns of `paces`."""
        rows = TABLES[self.table.name].rows
        unit = next((row.title for row in rows if row.key == self.table.unit), "")
        return [PACE[name][0].format(unit=unit) for name in self._pace_columns]

    @property
    def paces(self) -> list[list[str]]:
        """Rows as text: title and what is known of `PACE`; none where no row has a pace."""
        return [
            [row.title, *(_written(row.facts.get(n), PACE[n][1]) for n in self._pace_columns)]
            for row in self.rows
            if "steps" in row.facts
        ]

    @property
    def _pace_columns(self) -> list[str]:
        return [n for n in PACE if any(row.facts.get(n) is not None for row in self.rows)]

    def texts(self, row: ResultRow) -> list[str]:
        """The row's cells as text, ``0.612 ± 0.004 (0.66)``."""
        numbers = self.table.truth if row is self.truth else self.table.numbers
        texts = []
        for index, number in enumerate(numbers):
            cell = row.cells.get(number)
            ours = "not run" if number else ""
            if cell is not None:
                ours = with_error(cell.mean, cell.error, self._digits(index))
            paper = f" ({row.paper[index]:.2f})" if row.paper else ""
            texts.append(ours + paper)
        return texts

    def _digits(self, column: int) -> int:
        return self.table.digits[column] if self.table.digits else _DIGITS


PACE = {
    "steps": ("Steps", "{:,}"),
    "ratio": ("A step's time, of {unit}'s", "{:.3f}"),
    "seconds_per_step": ("Seconds a step, when timed", "{:.4f}"),
    "minutes": ("Minutes a run", "{:.2f}"),
}
"""What is known of how fast a row is: its name in the JSON, its heading with the title of the row
whose step is the unit, how it is written."""


def _written(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_error(value: float, error: float, digits: int = _DIGITS) -> str:
    """``0.612 ± 0.004``; without the error where there is none."""
    text = f"{value:.{digits}f}"
    return text if math.isnan(error) else f"{text} ± {error:.{digits}f}"


def result_of(
    table: Table,
    metrics: Mapping[tuple[str, int], Mapping[str, Any]],
    seeds: Sequence[int],
    *,
    split: str = "val",
    draws: Mapping[tuple[str, int], Draws] | None = None,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Result:
    """A table from the scores of its runs.

    Args:
      table: which.
      metrics: by variant key and seed, what ``metrics.json`` holds: ``numbers`` and
        ``standard_errors`` by name.
      seeds: all that belong to the reproduction.
      split: that was scored.
      draws: by variant key and seed, the numbers on bootstrap samples; used for our own tables.
      facts: what else is known of a row, by variant key.
    """
    own = {row.variant.key for row in table.rows}
    scored = [metrics[key] for key in metrics if key[0] in own]
    table = with_columns(table, {name for score in scored for name in score["numbers"]})
    rows, missing = [], []
    for row in table.rows:
        key = row.variant.key
        there = [seed for seed in seeds if (key, seed) in metrics]
        missing += [f"{key} seed {s}" for s in seeds if s not in there]
        scores = [metrics[key, seed] for seed in there]
        paper = tuple(table.paper["rows"].get(row.key, ())) if table.paper else ()
        about = (facts or {}).get(key, {})
        rows.append(ResultRow(row.key, row.title, tuple(there), _cells(scores), paper, about))
    truth = None
    if any(table.truth) and scored:
        # The scorer on the photographs themselves: the same for every run.
        cells = {n: c for n, c in _cells(scored[:1]).items() if n in table.truth}
        figures = table.paper["rows"].get("truth", ()) if table.paper else ()
        truth = ResultRow("truth", "Ground truth", (), cells, tuple(figures))
    found = () if table.paper else _against_first(table, rows, draws or {})
    return Result(table, tuple(rows), truth, tuple(missing), split, found)


def _against_first(
    table: Table, rows: Sequence[ResultRow], draws: Mapping[tuple[str, int], Draws]
) -> tuple[Against, ...]:
    goals = {n.name: goal_of(n) for n in numbers_of(known_evaluators(table))}
    keys = {row.key: row.variant.key for row in table.rows}

    def drawn(row: ResultRow, number: str) -> list[Any]:
        some = [draws.get((keys[row.key], seed), {}).get(number) for seed in row.seeds]
        return [] if any(one is None for one in some) else some

    first, found = rows[0], []
    for row in rows[1:]:
        for column, number in enumerate(table.numbers):
            cells = [one.cells.get(number) for one in (first, row)]
            if cells[0] is None or cells[1] is None:
                continue
            values = (cells[0].values, cells[1].values)
            both = (drawn(first, number), drawn(row, number))
            found.append(against(row.title, column, goals[number], values, both))
    return tuple(found)


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
