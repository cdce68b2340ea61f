"""Measures how long ``tfpix2pix train`` takes from Enter to its first training step.

    python benchmarks/startup.py                                  # the README's first command
    python benchmarks/startup.py --flags=--dataset=pairs,--preset=paper --repeats=3

Every start is a fresh process with an empty workdir, as the user has it, whose functions tell when
it has come how far (see ``startup_observed.py``); it ends after the first step. The table gives
medians over the starts: seconds on the clock since the process was started, in brackets the
quartiles' distance, and seconds of the processor. One start before, which does not count, brings
the files into the system's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
from absl import app, flags
from machine import cores, describe
from startup_observed import MARKS

from tfpix2pix.base.progress import ProgressLine

_FLAGS = flags.DEFINE_list("flags", ["--dataset=sample"], "Of `tfpix2pix train`.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "Starts that count.")

_OBSERVED = Path(__file__).with_name("startup_observed.py")


def _start() -> np.ndarray:
    """One start: ``[marks, 2]``, seconds on the clock and of the processor."""
    with tempfile.TemporaryDirectory() as scratch:
        marks = Path(scratch, "marks")
        command = [sys.executable, os.fspath(_OBSERVED), os.fspath(marks), "train"]
        command += [*_FLAGS.value, f"--workdir={Path(scratch, 'run')}"]
        started = time.monotonic()
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = marks.read_text().splitlines() if marks.exists() else []
        rows = [json.loads(line) for line in lines]
    if [row[0] for row in rows] != list(MARKS):
        raise SystemExit(f"startup: the command ended before its first step:\n{ended.stdout}")
    return np.array([[clock - started, processor] for _, clock, processor in rows])


def main(argv: list[str]) -> None:
    del argv
    starts = []
    with ProgressLine("measuring", _REPEATS.value + 1, "start") as line:
        for number in range(_REPEATS.value + 1):
            starts.append(_start())
            line.show(number + 1)
    low, middle, high = np.percentile(np.array(starts[1:]), [25, 50, 75], axis=0)
    print(f"{date.today():%d %B %Y}; {describe(cores())}")
    command = " ".join(["tfpix2pix", "train", *_FLAGS.value])
    print(f"\n`{command}`, median of {_REPEATS.value} starts")
    print("\n| until | seconds since Enter | of them for this | processor seconds |")
    print("| --- | ---: | ---: | ---: |")
    before = 0.0
    for mark, least, (clock, processor), most in zip(MARKS, low, middle, high, strict=True):
        spread = most[0] - least[0]
        print(f"| {mark} | {clock:.2f} ({spread:.2f}) | {clock - before:.2f} | {processor:.2f} |")
        before = clock


if __name__ == "__main__":
    app.run(main)
