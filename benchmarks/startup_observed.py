"""The command ``tfpix2pix``, which tells when it has come how far, and ends after its first step.

    python startup_observed.py FILE train --dataset=sample ...

Runs what the command runs, with the marks of ``MARKS`` written to FILE as JSON lines: the mark, the
monotonic clock, and the seconds of processor time (user and system, of all threads) until then.
``startup.py`` starts it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

MARKS = (
    "the package's command line",
    "first output",
    "TensorFlow imported",
    "networks built",
    "data ready, first batch",
    "first step done",
)


def main() -> None:
    path = sys.argv.pop(1)

    marked = set()

    def mark(number: int) -> None:
        if number in marked:
            return
        marked.add(number)
        times = os.times()
        line = [MARKS[number], time.monotonic(), times.user + times.system]
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    from tfpix2pix.base import progress, quiet
    from tfpix2pix.cli.main import run

    mark(0)
    plain_say, plain_import = progress.say, quiet.import_tensorflow

    def say(text: str) -> None:
        plain_say(text)
        mark(1)

    def import_tensorflow(*args: Any, **kwargs: Any) -> None:
        plain_import(*args, **kwargs)
        mark(2)
        _observe_training(mark)

    progress.say, quiet.import_tensorflow = say, import_tensorflow
    sys.argv[0] = "tfpix2pix"
    run()


def _observe_training(mark: Any) -> None:
    from tfpix2pix.algorithms.pix2pix import Pix2Pix

    build, step = Pix2Pix.__init__, Pix2Pix.train_step

    def built(self: Any, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        mark(3)

    def train_step(self: Any, x: Any, y: Any) -> None:
        mark(4)
        float(step(self, x, y)["l1"])  # waits for the device
        mark(5)
        os._exit(0)  # what comes after is no part of the start

    Pix2Pix.__init__, Pix2Pix.train_step = built, train_step


if __name__ == "__main__":
    main()
