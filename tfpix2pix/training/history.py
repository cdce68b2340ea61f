"""What a run measured, as it goes: ``metrics.jsonl`` for the report, events for TensorBoard."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.base.files import write_text


class History:
    """Appends records to ``metrics.jsonl`` and to the event files of a workdir.

    Args:
      workdir: the run's folder.
      step: where the run (re)starts; records of later steps, left by a run that was killed after
        its last checkpoint, are dropped because those steps will be done again.
    """

    def __init__(self, workdir: str | os.PathLike[str], step: int) -> None:
        self._path = Path(workdir) / "metrics.jsonl"
        kept = [record for record in read_history(workdir) if record["step"] <= step]
        write_text(self._path, "".join(json.dumps(record) + "\n" for record in kept))
        self._file = open(self._path, "a")  # noqa: SIM115 (closed by close)
        self._events = tf.summary.create_file_writer(str(Path(workdir) / "events"))

    def train(self, step: int, record: Mapping[str, Any]) -> None:
        """Means since the last record: ``losses``, ``discriminator``, ``images_per_second``, …,
        in float16 ``skipped``, the share of steps that updated nothing."""
        self._append({"kind": "train", "step": step, **record})
        with self._events.as_default(step):
            for group, values in record.items():
                for name, value in values.items() if isinstance(values, Mapping) else ():
                    tf.summary.scalar(f"{group}/{name}", value)
            for name in ("images_per_second", "skipped"):
                if name in record:
                    tf.summary.scalar(name, record[name])

    def val(self, step: int, results: Mapping[str, float]) -> None:
        self._append({"kind": "val", "step": step, **results})
        with self._events.as_default(step):
            for name, value in results.items():
                if name != "images":
                    tf.summary.scalar(f"val/{name}", value)

    def note(self, step: int, text: str) -> None:
        self._append({"kind": "note", "step": step, "text": text})

    def images(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """uint8 images ``[N, H, W, C]`` by name, for TensorBoard."""
        with self._events.as_default(step):
            for name, batch in pictures.items():
                tf.summary.image(f"val/{name}", batch, max_outputs=len(batch))

    def flush(self) -> None:
        self._file.flush()
        self._events.flush()

    def close(self) -> None:
        self._file.close()
        self._events.close()

    def _append(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()


def read_history(workdir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records of ``metrics.jsonl``; a last line that a crash cut short is left out."""
    try:
        lines = (Path(workdir) / "metrics.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            records.append(record)
    return records
