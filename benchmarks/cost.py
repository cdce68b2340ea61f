"""Measures how the cost of training grows: with crop size, batch, ngf, and the number of pairs.

    python benchmarks/cost.py                                  # the tables of the docs
    python benchmarks/cost.py --crop_sizes=64,128 --batch_sizes= --ngfs= --counts=400,4000

Steps: each size is a process of its own, with the package's step on one batch again and again;
those of a table take turns (A B C, A B C, ...), a turn being some steps, at least `--seconds`. The
tables give medians over turns, in brackets the quartiles' distance.

Data: folders of side-by-side PNGs of 64 px, streamed from the files (``cache="none"``). They are
400 pictures under many names (hard links), so that they take little room, and that reading them is
reading from the system's cache: a disk's own time is not in it. Likewise a process for each folder.

Exponents are slopes of least squares between the logarithms: a cost that grows as the square of
the size has 2.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from machine import cores, describe, memory, rate

from tfpix2pix.base.progress import ProgressLine

_CROP_SIZES = flags.DEFINE_list("crop_sizes", ["64", "128", "256", "512"], "Pixels.")
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", ["1", "2", "4", "8", "16"], "Pairs per step.")
_NGFS = flags.DEFINE_list("ngfs", ["16", "32", "64", "96"], "Channels of the first layers.")
_COUNTS = flags.DEFINE_list("counts", ["400", "4000", "20000", "100000"], "Pairs of a data set.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Turns that each process takes.")
_SECONDS = flags.DEFINE_float("seconds", 1.0, "Of a turn, at least.")

# What stays as it is while one of them grows: size, ngf and batch.
_USUAL = (128, 32, 1)
_PICTURES = 400  # of which the folders are made
_SIDE, _LOAD_SIZE = 64, 72


@dataclass
class Subject:
    """One process to measure.

    Attributes:
      number: what grows, for the table and the exponent.
      kind: ``step`` or ``data``.
      what: size, ngf and batch; or the folder.
      facts: what it tells before its turns and after them, by name.
      turns: what its turns gave: seconds a step, or pairs a second.
    """

    number: int
    kind: str
    what: Any
    facts: dict[str, float] = field(default_factory=dict)
    turns: list[float] = field(default_factory=list)

    @property
    def spread(self) -> tuple[float, float]:
        """The median, and the quartiles' distance."""
        low, middle, high = np.percentile(self.turns, [25, 50, 75])
        return middle, high - low


# === In its process ===


class Step:
    """Training steps on one batch."""

    def __init__(self, what: tuple[int, int, int], say: Callable[[int], None]) -> None:
        from train_step import OurStep, flops

        del say
        self.facts = {"gflop": flops(*what) / 1e9}
        self._step = OurStep(*what)
        for _ in range(2):  # the first traces, the second still allocates
            self._step()

    def turn(self, seconds: float) -> float:
        """Seconds a step."""
        return 1 / rate(self._step, seconds)


class Stream:
    """What training does with a folder: names, check, first batch, then batch after batch."""

    def __init__(self, what: str, say: Callable[[int], None]) -> None:
        from tfpix2pix.data import open_dataset, open_store, training_batches

        begun, clock = memory(), time.perf_counter()
        self.facts, self.read = {}, 0

        def lap(name: str) -> None:
            nonlocal clock
            now = time.perf_counter()
            self.facts[name], clock = now - clock, now

        source = open_dataset(what)
        lap("names")
        source.check(lambda done, _: say(done) if done % 500 == 0 else None)
        source.describe(), source.identity()
        lap("check")
        store = open_store(source, "train", size=_LOAD_SIZE, cache="none")
        batches = training_batches(
            store,
            crop_size=_SIDE,
            flip=True,
            batch_size=1,
            seed=0,
            start_step=0,
            stop_step=10**9,
        )
        self._batches: Iterator[Any] = iter(batches)
        next(self._batches)
        lap("first")
        for _ in range(50):
            next(self._batches)
        self._ready = memory()
        self.facts["memory"] = self._ready - begun

    def turn(self, seconds: float) -> float:
        """Pairs a second."""

        def step() -> None:
            next(self._batches)
            self.read += 1

        return rate(step, seconds)

    def end(self) -> None:
        self.facts["read"], self.facts["more"] = self.read, memory() - self._ready


def _serve(kind: str, what: Any, seconds: float, pipe: Connection) -> None:
    """Sends how far it is, then its facts; answers ``"turn"`` with a turn's result and anything
    else with the facts that are known at the end."""
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()  # with deterministic operations, as the command has it
    subject = {"step": Step, "data": Stream}[kind](what, pipe.send)
    pipe.send("ready")
    while pipe.recv() == "turn":
        pipe.send(subject.turn(seconds))
    if kind == "data":
        subject.end()
    pipe.send({**subject.facts, "peak": memory(peak=True)})


# === Measuring ===


def _measure(name: str, subjects: list[Subject]) -> None:
    """Starts them one after the other, then lets them take turns."""
    context = multiprocessing.get_context("spawn")
    # A start counts as much as three turns, a thousand pairs to check as half a second.
    starts = [3 * _SECONDS.value if s.kind == "step" else 5 + s.number / 2000 for s in subjects]
    total = sum(starts) + len(subjects) * _ROUNDS.value * _SECONDS.value
    pipes, processes, done = [], [], 0.0
    try:
        with ProgressLine(name, round(total), "second") as line:
            for subject, start in zip(subjects, starts, strict=True):
                ours, theirs = context.Pipe()
                args = (subject.kind, subject.what, _SECONDS.value, theirs)
                process = context.Process(target=_serve, args=args, daemon=True)
                process.start()
                theirs.close()
                processes.append(process)
                pipes.append(ours)
                while (far := ours.recv()) != "ready":
                    line.show(round(done + far / 2000))
                done += start
                line.show(round(done))
            for _ in range(_ROUNDS.value):
                for subject, pipe in zip(subjects, pipes, strict=True):
                    pipe.send("turn")
                    subject.turns.append(pipe.recv())
                    done += _SECONDS.value
                    line.show(round(done))
            for subject, pipe in zip(subjects, pipes, strict=True):
                pipe.send("end")
                subject.facts = pipe.recv()
    except EOFError:
        raise SystemExit("cost: a process ended; what it said stands above") from None
    finally:
        for process in processes:
            process.join(timeout=5)
            process.terminate()


def _make_folders(root: Path, counts: list[int]) -> None:
    """``root/COUNT/train`` with so many names of the same few pictures."""
    from PIL import Image

    from tfpix2pix.data.sample import facade_pair

    originals = root / "pictures"
    originals.mkdir()
    pictures = min(_PICTURES, max(counts))
    with ProgressLine("drawing and linking", pictures + sum(counts), "file") as line:
        for index in range(pictures):
            pair = np.concatenate(facade_pair(0, _SIDE, "train", index), axis=1)
            Image.fromarray(pair).save(originals / f"{index}.png")
            line.show(index + 1)
        done = pictures
        for count in counts:
            folder = root / str(count) / "train"
            folder.mkdir(parents=True)
            for index in range(count):
                os.link(originals / f"{index % pictures}.png", folder / f"{index:07d}.png")
                line.show(done + index + 1)
            done += count


# === Telling ===


def exponent(numbers: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of the least-squares line through the logarithms."""
    return float(np.polyfit(np.log(numbers), np.log(costs), 1)[0])


def _exponents(numbers: list[int], costs: list[float]) -> str:
    """Of all, and of the last two, where what does not grow weighs least."""
    if len(numbers) < 2:
        return "unknown"
    return f"{exponent(numbers, costs):.2f} (last two {exponent(numbers[-2:], costs[-2:]):.2f})"


def _print_steps(head: str, constant: str, subjects: list[Subject]) -> None:
    numbers = [s.number for s in subjects]
    batches = [s.what[2] for s in subjects]
    seconds = [s.spread[0] / batch for s, batch in zip(subjects, batches, strict=True)]
    work = [s.facts["gflop"] / batch for s, batch in zip(subjects, batches, strict=True)]
    print(f"\n**{head[0].upper()}{head[1:]}**, {constant}\n")
    print(f"| {head} | GFLOP an image | ms a step | ms an image | GFLOP/s | peak memory, MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for s, each, flop in zip(subjects, seconds, work, strict=True):
        middle, spread = s.spread
        print(
            f"| {s.number} | {flop:.2f} | {middle * 1e3:.1f} ({spread * 1e3:.1f}) "
            f"| {each * 1e3:.1f} | {flop / each:.0f} | {s.facts['peak']:.0f} |"
        )
    peaks = [s.facts["peak"] for s in subjects]
    print(
        f"\nExponents: seconds an image {_exponents(numbers, seconds)}, "
        f"operations an image {_exponents(numbers, work)}, "
        f"peak memory {_exponents(numbers, peaks)}."
    )


def _print_data(subjects: list[Subject]) -> None:
    print(f"\n**Pairs of the data set**, {_SIDE} px side by side, read each time, batch 1\n")
    print(
        "| pairs | names, s | check, s | check, ms a pair | first batch, s | pairs/s "
        "| memory until then, MiB | more after reading |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for s in subjects:
        f, (speed, spread) = s.facts, s.spread
        print(
            f"| {s.number:,} | {f['names']:.2f} | {f['check']:.2f} "
            f"| {f['check'] / s.number * 1e3:.2f} | {f['first']:.2f} | {speed:.0f} ({spread:.0f}) "
            f"| {f['memory']:.0f} | {f['more']:.0f} ({f['read']:,.0f} pairs) |"
        )
    numbers = [s.number for s in subjects]
    parts = []
    for name, key in (("names", "names"), ("check", "check"), ("first batch", "first")):
        parts.append(f"{name} {_exponents(numbers, [s.facts[key] for s in subjects])}")
    parts.append(f"seconds a pair {_exponents(numbers, [1 / s.spread[0] for s in subjects])}")
    if len(subjects) > 1:
        first, last = subjects[0], subjects[-1]
        grown = last.facts["memory"] - first.facts["memory"]
        each = grown * 2**20 / (last.number - first.number)
        parts.append(f"memory grows by {each:.0f} bytes for each pair that there is")
    print(f"\nExponents: {'; '.join(parts)}.")


def main(argv: list[str]) -> None:
    del argv
    size, ngf, batch = _USUAL
    tables = [
        ("crop size", f"ngf {ngf}, batch {batch}", _CROP_SIZES, lambda n: (n, ngf, batch)),
        ("batch", f"{size} px, ngf {ngf}", _BATCH_SIZES, lambda n: (size, ngf, n)),
        ("ngf", f"{size} px, batch {batch}", _NGFS, lambda n: (size, n, batch)),
    ]
    measured = []
    for head, constant, flag, what in tables:
        numbers = [int(text) for text in flag.value]
        subjects = [Subject(number, "step", what(number)) for number in numbers]
        if subjects:
            _measure(head, subjects)
            measured.append((head, constant, subjects))
    counts = [int(text) for text in _COUNTS.value]
    with tempfile.TemporaryDirectory() as scratch:
        sets = [Subject(n, "data", os.fspath(Path(scratch, str(n)))) for n in counts]
        if sets:
            _make_folders(Path(scratch), counts)
            _measure("data", sets)
    print(f"{date.today():%d %B %Y}; {describe(cores())}")
    for table in measured:
        _print_steps(*table)
    if sets:
        _print_data(sets)


if __name__ == "__main__":
    app.run(main)
