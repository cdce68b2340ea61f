"""Measures a training step: ours, TensorFlow's as people write it, and PyTorch's.

    python benchmarks/train_step.py                                # the four sizes of the docs
    python benchmarks/train_step.py --cases=128/32/1 --repeats=20
    python benchmarks/train_step.py --algorithm=cyclegan           # ResNets of 6 and 9 blocks

A case is SIZE/NGF/BATCH: crop size in pixels, channels of the first layer of all networks, images
per step. CycleGAN's ResNets have 6 blocks below 256 pixels, 9 from there on. Each contestant is a
process of its own, and they take turns (A B C, A B C, ...), so that whatever else the machine does
meets all alike; a turn is some steps, at least `--turn` seconds. The machine's ceiling, a float32
matrix product and a 3x3 convolution in TensorFlow, takes its turns among them. The table gives the
median over turns, in brackets the quartiles' distance from each other; the floating-point
operations of our step, counted from its layers; what share of the convolution's ceiling it reaches;
and the most memory that each process ever held, with its libraries and its data. Needs the extra
``torch`` for PyTorch's rows.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from absl import app, flags
from machine import cores, describe, memory, rate

from tfpix2pix.base.progress import ProgressLine

CASES = {
    "pix2pix": ["256/64/1", "256/64/4", "128/32/1", "64/32/16"],
    "cyclegan": ["128/64/1", "256/64/1"],
}
_ALGORITHM = flags.DEFINE_enum("algorithm", "pix2pix", list(CASES), "Whose step.")
_CASES = flags.DEFINE_list("cases", None, "What; by default the cases of the docs.")
_REPEATS = flags.DEFINE_integer("repeats", 9, "Turns that each contestant takes.")
_TURN = flags.DEFINE_float("turn", 2.0, "Seconds of a turn, at least.")
_THREADS = flags.DEFINE_integer("threads", 0, "And cores of each contestant; 0: all there are.")
_CLOCK = flags.DEFINE_enum(
    "clock",
    "wall",
    ["wall", "processor"],
    "What is measured. 'processor', the time that a contestant's threads compute, is for a machine "
    "that does other work: together with --threads=1 the two agree on a quiet one.",
)
_ONLY = flags.DEFINE_list("only", [], "Only those of a kind: ours, plain, jit, torch.")

CEILING = "ceiling"


@dataclass
class Contestant:
    """One way to train, or the ceiling.

    Attributes:
      name: for the table.
      kind, algorithm, option: which class makes its step, and how.
      seconds: of a step, by turn; for the ceiling GFLOP/s of product and convolution.
      peak: resident memory, MiB.
    """

    name: str
    kind: str
    algorithm: str = ""
    option: str = ""
    seconds: list[Any] = field(default_factory=list)
    peak: float = 0.0


def _contestants() -> list[Contestant]:
    algorithm = _ALGORITHM.value
    found = [Contestant("tfpix2pix", "ours", algorithm)]
    if algorithm == "pix2pix":
        found.append(Contestant("tfpix2pix, joint", "ours", algorithm, "joint"))
    found += [
        Contestant("TensorFlow, plain", "plain", algorithm),
        Contestant("TensorFlow, plain, jit_compile", "jit", algorithm),
    ]
    if importlib.util.find_spec("torch"):
        found += [
            Contestant("PyTorch, NCHW", "torch", algorithm, "contiguous"),
            Contestant("PyTorch, channels_last", "torch", algorithm, "channels_last"),
        ]
    if _ONLY.value:
        found = [contestant for contestant in found if contestant.kind in _ONLY.value]
    return [*found, Contestant(CEILING, CEILING)]


# === One contestant, in its process ===


class OurStep:
    """The package's own step, on one batch again and again.

    Args:
      size, ngf, batch: of the networks and the batch.
      updates: of pix2pix; the default is the algorithm's own.
      algorithm: its name.
    """

    def __init__(
        self, size: int, ngf: int, batch: int, updates: str = "", algorithm: str = "pix2pix"
    ) -> None:
        import tensorflow as tf

        from tfpix2pix.algorithms.registry import algorithm_class

        config = config_of(algorithm, size, ngf, batch)
        if updates:
            config = dataclasses.replace(config, updates=updates)
        self.algorithm = algorithm_class(algorithm)(config)
        random = np.random.default_rng(0)
        self.x, self.y = (
            tf.constant(random.uniform(-1, 1, [batch, size, size, 3]), tf.float32) for _ in range(2)
        )

    def __call__(self) -> float:
        means = self.algorithm.train_step(self.x, self.y)
        return float(next(iter(means.values())))


def config_of(algorithm: str, size: int, ngf: int, batch: int) -> Any:
    """The config of a case."""
    from tfpix2pix.algorithms.registry import config_class

    values: dict[str, Any] = {
        "crop_size": size,
        "load_size": size,
        "ngf": ngf,
        "ndf": ngf,
        "batch_size": batch,
    }
    if algorithm == "cyclegan":
        values["generator"] = f"resnet{blocks_of(size)}"
    return config_class(algorithm)(**values)


def blocks_of(size: int) -> int:
    """Of the ResNet for images of a size, as its authors choose them."""
    return 6 if size < 256 else 9


class Ceiling:
    """GFLOP/s of a large matrix product and of a 3x3 convolution, float32, by a clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        import tensorflow as tf

        self.clock = clock

        a = tf.random.uniform([2048, 2048])
        images, kernel = tf.random.uniform([1, 64, 64, 256]), tf.random.uniform([3, 3, 256, 256])
        self.product = tf.function(lambda: tf.reduce_sum(a @ a))
        self.convolution = tf.function(
            lambda: tf.reduce_sum(tf.nn.conv2d(images, kernel, 1, "SAME"))
        )
        self.flops = (2 * 2048**3, 2 * 9 * 256 * 256 * 64 * 64)

    def __call__(self) -> tuple[float, float]:
        rates = []
        for run, flops in zip((self.product, self.convolution), self.flops, strict=True):
            run()
            best = min(_timed(lambda run=run: float(run()), self.clock) for _ in range(5))
            rates.append(flops / best / 1e9)
        return rates[0], rates[1]


def _timed(call: Any, clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start


def _serve(
    contestant: Contestant,
    case: tuple[int, int, int],
    threads: int,
    turn: float,
    processor: bool,
    pipe: Connection,
) -> None:
    """Answers ``"turn"`` with a turn's result and ``"end"`` with the peak memory."""
    if hasattr(os, "sched_setaffinity"):
        # TensorFlow takes as many threads as the process has cores.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    clock = time.process_time if processor else time.perf_counter
    step = _step(contestant, case, threads, clock)
    for _ in range(2):
        step()
    pipe.send("ready")
    while pipe.recv() == "turn":
        if contestant.kind == CEILING:
            pipe.send(step())
            continue
        pipe.send(1 / rate(step, turn, clock))
    pipe.send(memory(peak=True))


def _step(
    contestant: Contestant,
    case: tuple[int, int, int],
    threads: int,
    clock: Callable[[], float],
) -> Any:
    """What makes a step; only what it needs is imported."""
    kind, algorithm, option = contestant.kind, contestant.algorithm, contestant.option
    if kind == "torch":
        import train_step_torch

        return train_step_torch.STEPS[algorithm](*case, option, threads)
    if kind == "ours":
        from tfpix2pix.base.quiet import import_tensorflow

        import_tensorflow()  # with deterministic operations, as the command has it
        return OurStep(*case, updates=option, algorithm=algorithm)
    from tfpix2pix.base.quiet import error_stream_aside

    with error_stream_aside():
        import tensorflow as tf

        tf.config.list_logical_devices()
    if kind == CEILING:
        return Ceiling(clock)
    import train_step_plain

    return train_step_plain.STEPS[algorithm](*case, jit=kind == "jit")


# === Measuring ===


def _measure(case: tuple[int, int, int], line: ProgressLine, done: int) -> list[Contestant]:
    contestants = _contestants()
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for each in contestants:
            ours, theirs = context.Pipe()
            threads, processor = _THREADS.value or cores(), _CLOCK.value == "processor"
            args = (each, case, threads, _TURN.value, processor, theirs)
            process = context.Process(target=_serve, args=args, daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            pipes.append(ours)
            ours.recv()  # one after the other: building them all at once would take the memory
        for turn in range(_REPEATS.value):
            for each, pipe in zip(contestants, pipes, strict=True):
                pipe.send("turn")
                each.seconds.append(pipe.recv())
            line.show(done + turn + 1)
        for each, pipe in zip(contestants, pipes, strict=True):
            pipe.send("end")
            each.peak = pipe.recv()
    except EOFError:
        raise SystemExit("train_step: a contestant ended; what it said stands above") from None
    finally:
        for process in processes:
            process.join(timeout=5)
            process.terminate()
    return contestants


def flops(size: int, ngf: int, batch: int, algorithm: str = "pix2pix") -> float:
    """Floating-point operations of a step's convolutions: two for each product.

    A forward pass and, backwards, as much again for the weights and for the inputs of every layer
    (none for the inputs that are data). Of pix2pix one generator pass serves both updates; D judges
    its result once for its own weights and, moved, once more for G, backwards to the picture alone.
    Of CycleGAN each generator makes three pictures, of which one is made of a picture, and each
    discriminator judges one for the generators, then a real and a generated one.
    """
    from tfpix2pix.algorithms.registry import default_generator
    from tfpix2pix.models.build import discriminator_of

    config = config_of(algorithm, size, ngf, batch)
    alone = algorithm == "cyclegan"
    g, g_first = _forward(default_generator(config).build(), size)
    d, d_first = _forward(discriminator_of(config, 3, 0 if alone else 3), size)
    of_data, of_picture = g + g + (g - g_first), 3 * g
    judging = d + d
    learning = d + d + (d - d_first)
    if alone:
        return batch * 2 * (2 * of_data + of_picture + judging + 2 * learning)
    return batch * (of_data + judging + 2 * learning)


def _forward(network: Any, size: int) -> tuple[float, float]:
    """Operations of a forward pass of one image, and of its first layer alone."""
    import tensorflow as tf

    total, first, side = 0.0, 0.0, size
    for layer in network.layers:
        kernel = getattr(layer, "kernel", None)
        if isinstance(layer, tf.keras.layers.ZeroPadding2D):
            side += sum(layer.padding[0])
        side += 2 * getattr(layer, "pixels", 0)  # mirrored
        if kernel is None:
            continue
        transposed = isinstance(layer, tf.keras.layers.Conv2DTranspose)
        stride = layer.strides[0]
        if not transposed:
            same = layer.padding == "same"
            side = -(-side // stride) if same else (side - kernel.shape[0]) // stride + 1
        # Each output pixel is a product with the kernel; of a transposed one, each input pixel.
        total += 2 * side * side * float(np.prod(kernel.shape))
        first = first or total
        side = side * stride if transposed else side
    return total, first


# === Telling ===


def main(argv: list[str]) -> None:
    del argv
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    texts = _CASES.value or CASES[_ALGORITHM.value]
    cases = [tuple(int(part) for part in text.split("/")) for text in texts]
    results = []
    total = len(cases) * _REPEATS.value
    with ProgressLine("measuring", total, "round") as line:
        for number, case in enumerate(cases):
            results.append((case, _measure(case, line, number * _REPEATS.value)))
    print(describe(_THREADS.value or cores()))
    for case, contestants in results:
        _print(case, contestants)


def _print(case: tuple[int, int, int], contestants: list[Contestant]) -> None:
    size, ngf, batch = case
    count = flops(*case, _ALGORITHM.value)
    ceiling = next(c for c in contestants if c.kind == CEILING)
    product, convolution = np.median(np.array(ceiling.seconds), axis=0)
    print(
        f"\n{size} px, ngf {ngf}, batch {batch}: {count / 1e9:.1f} GFLOP a step; ceiling: product "
        f"{product:.0f}, convolution {convolution:.0f} GFLOP/s"
    )
    unit = "ms a step" if _CLOCK.value == "wall" else "processor ms a step"
    print(f"| | {unit} | images/s | of the convolution's ceiling | peak memory, MiB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    medians = {}
    for each in contestants:
        if each.kind == CEILING:
            continue
        low, middle, high = np.percentile(each.seconds, [25, 50, 75])
        medians[each.name] = middle
        # Others do other work for the same step, so only ours has a share.
        share = ""
        if each.name == "tfpix2pix":
            share = f"{count / middle / convolution / 1e9:.0%}"
        print(
            f"| {each.name} | {middle * 1e3:.1f} ({(high - low) * 1e3:.1f}) "
            f"| {batch / middle:.2f} | {share} | {each.peak:.0f} |"
        )
    ours = medians.get("tfpix2pix")
    for kind in ("TensorFlow", "PyTorch"):
        others = [value for name, value in medians.items() if name.startswith(kind)]
        if ours and others:
            print(f"best of {kind}: {min(others) / ours:.2f} times the time of ours")


if __name__ == "__main__":
    app.run(main)
