"""What a workdir's text files say about its run, read forgivingly.

A report is made while a run goes on, after a crash, or of a folder that has
hardly begun: whatever is missing is empty here, whatever is damaged is named in
`problems`, and nothing raises.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]


@dataclass
class RunRecords:
    """A run as its files tell it.

    Attributes:
      config: `config.json`, field to value.
      run: `run.json`: facts such as `parameters`, `versions`, `train_seconds`.
      train: training records in the order of their steps, one for each step.
      val: validation records, likewise.
      notes: warnings in plain words (`step`, `text`), in the order of their steps.
      problems: one sentence for each file that could not be read.
    """

    config: Record = field(default_factory=dict)
    run: Record = field(default_factory=dict)
    train: list[Record] = field(default_factory=list)
    val: list[Record] = field(default_factory=list)
    notes: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_records(workdir: str | os.PathLike) -> RunRecords:
    """Reads `config.json`, `run.json` and `metrics.jsonl` of a workdir."""
    workdir = Path(workdir)
    records = RunRecords()
    records.config = _read_object(workdir / "config.json", records.problems)
    records.run = _read_object(workdir / "run.json", records.problems)
    metrics = _read_lines(workdir / "metrics.jsonl", records.problems)
    records.train = _by_step(metrics, "train")
    records.val = _by_step(metrics, "val")
    records.notes = _notes(metrics)
    return records


def number(record: Record, *keys: str) -> float:
    """The finite number at `record[key][key]...`, or NaN when there is none."""
    value: Any = record
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value) if math.isfinite(value) else math.nan
    except OverflowError:  # An integer of hundreds of digits.
        return math.nan


def series(records: Sequence[Record], *keys: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values, float64 `[K]` each, of the records that hold a finite number there."""
    points = [(record["step"], number(record, *keys)) for record in records]
    points = [point for point in points if not math.isnan(point[1])]
    return np.array([p[0] for p in points], float), np.array([p[1] for p in points], float)


def _read_object(path: Path, problems: list[str]) -> Record:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} could not be read: {error}")
        return {}
    if not isinstance(value, dict):
        problems.append(f"{path.name} does not hold a JSON object.")
        return {}
    return value


def _read_lines(path: Path, problems: list[str]) -> list[Record]:
    """The records of a `.jsonl` file; lines that are no record (a torn last one) are skipped."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{path.name} could not be read: {error}")
        return []
    return [record for line in lines if (record := _parse(line)) is not None]


def _parse(line: str) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or math.isnan(number(record, "step")):
        return None
    return record


def _by_step(metrics: Iterable[Record], kind: str) -> list[Record]:
    # A run that was killed repeats the steps after its last checkpoint: the later line counts.
    latest = {record["step"]: record for record in metrics if record.get("kind") == kind}
    return [latest[step] for step in sorted(latest)]


def _notes(metrics: Iterable[Record]) -> list[Record]:
    said = {(r["step"], str(r["text"])) for r in metrics if r.get("kind") == "note" and "text" in r}
    return [{"step": step, "text": text} for step, text in sorted(said)]
