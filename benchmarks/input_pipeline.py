"""Measures the input pipeline beside torch's DataLoader, and beside what training consumes.

    python benchmarks/input_pipeline.py --dataset=../shared/data/facades

Every contestant resizes pairs, crops at random, mirrors half and gives floats in [-1, 1]. All run
in this one call, on the same cores and files, by turns (A B C, A B C, ...), so that whatever else
the machine does meets all alike; the table gives medians, the spread, and ratios. Torch
(`pip install torch`) is wanted for its rows only.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from absl import app, flags

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.progress import ProgressLine

_DATASET = flags.DEFINE_string(
    "dataset", "", "Folder with side-by-side images in train/; empty for facades, else a sample."
)
_LOAD_SIZE = flags.DEFINE_integer("load_size", 286, "Resize to this side, pixels.")
_CROP_SIZE = flags.DEFINE_integer("crop_size", 256, "Then crop to this side, pixels.")
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", ["1", "16"], "Batch sizes to measure.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "Turns that each contestant takes.")
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Length of one turn.")
_STEPS = flags.DEFINE_integer("steps", 5, "Training steps to time; 0 for none.")

_WARM = 1.0  # seconds that a contestant runs before its turn counts
_FACADES = Path("../shared/data/facades")
_SAMPLE_PAIRS = 200
_DRAWN = 100

Contestant = Callable[[int], float]
"""Called as ``contestant(batch_size)``, it takes one turn and returns pairs per second."""


def main(argv: list[str]) -> None:
    del argv
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = _DATASET.value or _default_dataset(Path(scratch))
            _run(folder)
        except UserError as error:
            raise SystemExit(f"input_pipeline: {error}") from None


def _run(folder: str) -> None:
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    from tfpix2pix.data import open_dataset, open_store

    source = open_dataset(folder)
    cores = _cores()
    print(f"{source.describe()}; {cores} cores")
    print(f"sample pairs are drawn at {_drawing_rate():.0f} a second on one core (256 px)")
    print(f"resize to {_LOAD_SIZE.value} (bilinear, antialiased), crop {_CROP_SIZE.value}, mirror")
    with ProgressLine("decoding", source.count("train"), "pair") as line:
        memory = open_store(
            source,
            "train",
            size=_LOAD_SIZE.value,
            cache="memory",
            progress=lambda done, total: line.show(done),
        )
    streaming = open_store(source, "train", size=_LOAD_SIZE.value, cache="none")
    ours = {
        "tfpix2pix, decoded and resized once, in memory": lambda batch_size: _our_rate(
            memory, batch_size
        ),
        "tfpix2pix, read each time": lambda batch_size: _our_rate(streaming, batch_size),
    }
    training = _training_rate(memory) if _STEPS.value else None
    torch = _Torch(folder, cores) if importlib.util.find_spec("torch") else None
    if torch is None:
        print("torch is not installed, so only our own pipeline is measured (pip install torch).")
    try:
        if torch:
            torch.check_agreement(memory)
        for batch_size in map(int, _BATCH_SIZES.value):
            contestants = dict(ours) | (torch.contestants(batch_size) if torch else {})
            _print_table(_by_turns(contestants, batch_size), batch_size, training)
    finally:
        if torch:
            torch.close()


def _by_turns(contestants: dict[str, Contestant], batch_size: int) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    turns = list(itertools.product(range(_REPEATS.value), contestants.items()))
    with ProgressLine(f"batch {batch_size}", len(turns), "turn") as line:
        for done, (_, (name, contestant)) in enumerate(turns, start=1):
            rates[name].append(contestant(batch_size))
            line.show(done)
    return rates


def _print_table(rates: dict[str, list[float]], batch_size: int, training: float | None) -> None:
    """Medians and spreads; a ratio is the median over the turns of the first row by this one."""
    ours = next(iter(rates.values()))
    head = ["pairs a second", "median", "lowest to highest", "ours / this"]
    rows = [
        [
            name,
            f"{statistics.median(turns):.0f}",
            f"{min(turns):.0f} to {max(turns):.0f}",
            f"{statistics.median([a / b for a, b in zip(ours, turns, strict=True)]):.2f}",
        ]
        for name, turns in rates.items()
    ]
    if training:
        ratio = statistics.median(ours) / training
        rows.append(["training (paper's networks, batch 1)", f"{training:.2f}", "", f"{ratio:.0f}"])
    print(f"\nbatch {batch_size}, {_REPEATS.value} turns of {_SECONDS.value:g} s each")
    for row in [head, ["---"] * 4, *rows]:
        print("| " + " | ".join(row) + " |")


# === Ours ===


def _our_batches(store, batch_size: int, seed: int = 0):
    from tfpix2pix.data import training_batches

    return training_batches(
        store,
        crop_size=_CROP_SIZE.value,
        flip=True,
        batch_size=batch_size,
        seed=seed,
        start_step=0,
        stop_step=10**9,
    )


def _our_rate(store, batch_size: int) -> float:
    from tfpix2pix.data import explain

    try:
        return batch_size * _measure(iter(_our_batches(store, batch_size)), _WARM, _SECONDS.value)
    except Exception as error:
        raise explain(error, store) from None


def _training_rate(store) -> float:
    """Images a second that training with the paper's networks takes, batch 1: median of steps."""
    from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
    from tfpix2pix.algorithms.pix2pix import Pix2Pix

    algorithm = Pix2Pix(Pix2PixConfig(load_size=_LOAD_SIZE.value, crop_size=_CROP_SIZE.value))
    batches = iter(_our_batches(store, 1).take(_STEPS.value + 2))
    seconds = []
    with ProgressLine("training", _STEPS.value + 2, "step") as line:
        for done, (x, y) in enumerate(batches, start=1):
            start = time.perf_counter()
            float(algorithm.train_step(x, y)["l1"])  # waits for the device
            seconds.append(time.perf_counter() - start)
            line.show(done)
    return 1 / statistics.median(seconds[2:])  # the first traces, the second still allocates


# === Theirs ===


class _Torch:
    """Torch in processes of its own, one for each number of threads; see torch_loader."""

    def __init__(self, folder: str, cores: int) -> None:
        import torch_loader

        from tfpix2pix.data import is_image_name

        self._variants = torch_loader.variants(cores)
        self._serve = torch_loader.serve
        train = Path(folder).expanduser() / "train"
        self._files = sorted(str(p) for p in train.glob("*") if is_image_name(p.name))
        if not self._files:
            raise UserError(
                f"--dataset={folder}: it holds no train/ with images, and torch's loaders here "
                "read side-by-side images only; name such a folder."
            )
        self._servers: dict[int, tuple[Connection, BaseProcess]] = {}

    def contestants(self, batch_size: int) -> dict[str, Contestant]:
        """The fastest variant of each way of reading, found by two short turns of each."""
        chosen: dict[str, Contestant] = {}
        for kind, variants in self._variants.items():
            rates = {v: max(self._rate(v, batch_size, 0.5) for _ in range(2)) for v in variants}
            print(f"torch {kind}: " + "; ".join(f"{v}: {rates[v]:.0f}" for v in variants))
            fastest: dict[str, object] = {}
            for v in sorted(variants, key=rates.__getitem__):
                fastest[v.reading] = v
            for v in fastest.values():
                chosen[f"torch DataLoader, {v}"] = lambda size, v=v: self._rate(v, size)
        return chosen

    def check_agreement(self, store) -> None:
        """Prints how far our pairs and torch's are apart, in levels of 255.

        Our first two training pairs are looked up in torch's resized ones: for some crop,
        mirrored or not, they must agree.
        """
        from tfpix2pix.data import epoch_position

        for position, (x, y) in enumerate(_our_batches(store, 1, seed=0).take(2)):
            index = int(epoch_position(position, store.count, 0))
            ours = np.concatenate([x[0], y[0]], axis=-1)
            for reading in ("memory, float", "memory, uint8"):
                theirs = self._ask(1, "pair", reading, index)
                theirs = np.concatenate(theirs).transpose(1, 2, 0)
                difference, where = _nearest_cut((ours + 1) * 127.5, theirs)
                print(
                    f"pair {index}, {where}: at most {difference:.3f} levels from torch, {reading}"
                )
                if difference > 1.5:
                    raise UserError("torch's pairs and ours are not the same pictures.")

    def close(self) -> None:
        for pipe, process in self._servers.values():
            with contextlib.suppress(BrokenPipeError):
                pipe.send(None)
            process.join()

    def _rate(self, variant, batch_size: int, share: float = 1.0) -> float:
        times = (share * _WARM, share * _SECONDS.value)
        return self._ask(variant.threads, "rate", variant, batch_size, *times)

    def _ask(self, threads: int, method: str, *arguments):
        if threads not in self._servers:
            spawn = multiprocessing.get_context("spawn")
            ours, theirs = spawn.Pipe()
            sizes = (_LOAD_SIZE.value, _CROP_SIZE.value)
            given = (theirs, threads, self._files, *sizes, _measure)
            process = spawn.Process(target=self._serve, args=given)
            process.start()
            theirs.close()
            self._servers[threads] = ours, process
        pipe = self._servers[threads][0]
        try:
            pipe.send((method, arguments))
            return pipe.recv()
        except (EOFError, BrokenPipeError):
            raise UserError("torch's process ended early; its message stands above.") from None


def _nearest_cut(ours: np.ndarray, resized: np.ndarray) -> tuple[float, str]:
    """The largest difference of `ours` to that crop of `resized` which is nearest to it."""
    size, slack = len(ours), len(resized) - len(ours) + 1
    best = (np.inf, "")
    for mirrored in (False, True):
        # Every ninth pixel is enough to tell most crops apart.
        mine = ours[:, ::-1] if mirrored else ours
        for row, column in itertools.product(range(slack), range(slack)):
            cut = resized[row : row + size, column : column + size]
            if np.abs(mine[::9, ::9] - cut[::9, ::9]).max() < best[0]:
                difference = float(np.abs(mine - cut).max())
                where = f"crop from {row}, {column}" + (", mirrored" if mirrored else "")
                best = min(best, (difference, where))
    return best


# === Data and machine ===


def _default_dataset(scratch: Path) -> str:
    """The facades where they lie beside the checkout, else sample pairs as JPEG files."""
    if (_FACADES / "train").is_dir():
        return str(_FACADES)
    from PIL import Image

    from tfpix2pix.data.sample import facade_pair

    (scratch / "train").mkdir()
    with ProgressLine("drawing sample pairs", _SAMPLE_PAIRS, "pair") as line:
        for index in range(_SAMPLE_PAIRS):
            pair = facade_pair(0, 256, "train", index)
            image = Image.fromarray(np.concatenate(pair, axis=1))
            image.save(scratch / "train" / f"{index}.jpg", quality=95)
            line.show(index + 1)
    return str(scratch)


def _drawing_rate() -> float:
    """Pairs a second that the embedded sample set draws on one core."""
    from tfpix2pix.data.sample import facade_pair

    facade_pair(0, 256)  # fills the texture bank
    start = time.perf_counter()
    for index in range(_DRAWN):
        facade_pair(0, 256, "train", index)
    return _DRAWN / (time.perf_counter() - start)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _measure(batches: Iterator, warm: float, seconds: float) -> float:
    """Batches per second that an iterator yields, after `warm` seconds that do not count."""
    until = time.perf_counter() + warm
    while time.perf_counter() < until:
        next(batches)
    count, start = 0, time.perf_counter()
    while (now := time.perf_counter()) < start + seconds:
        next(batches)
        count += 1
    return count / (now - start)


if __name__ == "__main__":
    app.run(main)
