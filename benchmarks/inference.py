"""Measures a generator in Keras, in every export, and in PyTorch: latency, images per second.

    python benchmarks/inference.py                                  # 256 px, ngf 64, random weights
    python benchmarks/inference.py --workdir=runs/facades           # a run, at its crop size

Each contestant is a process of its own with the same number of threads, the same weights, x and z,
and they take turns (A B C, A B C, ...), so that whatever else the machine does meets all alike. A
turn is one run that is not counted and then one that is. Times are from NumPy arrays to NumPy
arrays; PyTorch's alone are from torch tensors to torch tensors in the layout that it wants. The
table gives medians, and in brackets the quartiles' distance from each other. It needs the extras
``export`` and ``torch``; what is not installed has no rows.
"""

from __future__ import annotations

import importlib.util
import itertools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from machine import cores, describe

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.progress import ProgressLine

_SIZE = flags.DEFINE_integer("size", 0, "Height and width; 0: the crop's smaller side, or 256.")
_NGF = flags.DEFINE_integer("ngf", 64, "Channels of the first layer, for random weights.")
_WORKDIR = flags.DEFINE_string("workdir", "", "A run to measure; empty for random weights.")
_DATASET = flags.DEFINE_string("dataset", "", "Where the run's data set is now, if it was moved.")
_BATCHES = flags.DEFINE_list("batches", ["1", "8"], "Images of a batch.")
_REPEATS = flags.DEFINE_integer("repeats", 15, "Turns that each contestant takes.")
_THREADS = flags.DEFINE_integer("threads", 0, "And cores of each contestant; 0: all there are.")
_ENGINES = flags.DEFINE_list("engines", [], "Only those whose name begins so: onnx,torch.")
_ANY = flags.DEFINE_bool("any_size", False, "Export for any size instead of this one.")

_FORMATS = {"savedmodel": "SavedModel", "tflite": "TFLite", "onnx": "ONNX"}


@dataclass
class Contestant:
    """One way to run the generator.

    Attributes:
      name: for the table.
      kind: ``keras``, ``torch`` or ``export``.
      source: workdir, file of weights, or artefact.
      layout: of torch.
      bytes: of the artefact; 0 where there is none.
      seconds: of each turn, by batch.
      difference: largest to Keras, of y from -1 to 1.
    """

    name: str
    kind: str
    source: str
    layout: str = ""
    bytes: int = 0
    seconds: dict[int, list[float]] = field(default_factory=dict)
    difference: float = float("nan")


def main(argv: list[str]) -> None:
    del argv
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            _run(Path(scratch))
        except UserError as error:
            raise SystemExit(f"inference: {error}") from None


def _run(scratch: Path) -> None:
    from tfpix2pix.inference import load

    workdir = _WORKDIR.value or _random_run(scratch / "run")
    translator = load(workdir)
    step = translator.config.size_multiple
    size = _SIZE.value or translator.config.crop_size.smaller
    if size % step:
        raise UserError(f"--size={size}: the run's generator takes multiples of {step} pixels")
    threads = _THREADS.value or cores()
    batches = [int(text) for text in _BATCHES.value]
    if translator.latent_size:
        raise UserError(
            f"--workdir={workdir}: its generator reads a latent, which PyTorch's beside it does "
            "not; give a run without"
        )
    x = np.stack(list(_smooth(max(batches), size, translator.config.x_channels)))
    z = translator.noise(x, range(len(x)))
    np.savez(scratch / "inputs.npz", x=x, z=z)
    contestants = _contestants(translator, workdir, size, scratch)
    wanted = tuple(text.lower() for text in _ENGINES.value)
    contestants = [each for each in contestants if each.name.lower().startswith(wanted or ("",))]
    flops = _flops(translator.generator, size)
    expected = translator.network(x, z)
    _measure(contestants, batches, threads, scratch, expected)
    config = translator.config
    print(describe(threads))
    print(
        f"{size} x {size} px, ngf {config.ngf}, norm {config.norm}: {flops / 1e9:.1f} GFLOP per "
        f"image, {sum(np.prod(w.shape) for w in translator.generator.weights) / 1e6:.1f} M weights"
    )
    print(f"a product of two 2048 x 2048 matrices in NumPy: {_matrix_rate():.0f} GFLOP/s")
    _print_table(contestants, batches, flops)


# === Who takes part ===


def _random_run(workdir: Path) -> str:
    """A workdir with initial weights."""
    from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
    from tfpix2pix.algorithms.pix2pix import Pix2Pix
    from tfpix2pix.training.checkpoints import Checkpoints

    size = _SIZE.value or 256
    config = Pix2PixConfig(crop_size=size, load_size=size, ngf=_NGF.value, loss="l1")
    workdir.mkdir(parents=True)
    (workdir / "config.json").write_text(config.to_json())
    Checkpoints(workdir).save(Pix2Pix(config).state(), 0, {"best": None})
    return str(workdir)


def _contestants(translator: Any, workdir: str, size: int, scratch: Path) -> list[Contestant]:
    from tfpix2pix.export import core, formats
    from tfpix2pix.export.contract import Contract
    from tfpix2pix.export.manifest import size_of
    from tfpix2pix.export.pictures import TrainingInputs

    config = translator.config
    contract = Contract.of(translator, "paper", None if _ANY.value else (size, size))
    weights = core.weights_of(translator.generator)

    def random_inputs(count: int) -> Iterator[np.ndarray]:
        return _smooth(count, config.crop_size.smaller, config.x_channels)

    job = formats.Job(
        contract,
        translator,
        core.export_generator(translator.described, weights, noise=True),
        formats.QUANTIZATIONS,
        scratch / "export",
        "generator",
        TrainingInputs(config, workdir, _DATASET.value) if _WORKDIR.value else random_inputs,
    )
    found = [Contestant("Keras", "keras", workdir)]
    for name, shown in _FORMATS.items():
        if _ENGINES.value and not shown.lower().startswith(
            tuple(text.lower()[: len(shown)] for text in _ENGINES.value)
        ):
            continue
        print(f"exporting: {shown}", flush=True)
        try:
            form = formats.load_format(name)
            form.check()
            artifacts = form.write(job, scratch / "export")
        except (UserError, ImportError) as error:
            print(f"{shown} is left out: {error}")
            continue
        for artifact in artifacts:
            path = scratch / "export" / artifact.path
            kind = "float32" if artifact.quantize == "none" else artifact.quantize
            found.append(
                Contestant(f"{shown} {kind}", "export", str(path), bytes=size_of(path)),
            )
    if importlib.util.find_spec("torch") and config.norm == "instance":
        np.savez(scratch / "weights.npz", **weights)
        for layout in ("contiguous", "channels_last"):
            source = str(scratch / "weights.npz")
            found.append(Contestant(f"torch {layout}", "torch", source, layout))
        np.save(scratch / "dropout.npy", _dropout_layers(translator.generator))
    return found


def _dropout_layers(generator: Any) -> np.ndarray:
    """(level, rate, offset, block) of each dropout layer."""
    from tfpix2pix.models import NoiseDropout

    return np.array(
        [
            (int(layer.name.split("_")[0][2:]), layer.rate, layer.offset, layer.block)
            for layer in generator.layers
            if isinstance(layer, NoiseDropout)
        ]
    )


def _smooth(count: int, size: int, channels: int) -> Iterator[np.ndarray]:
    """Smooth random images, float32 ``[size, size, channels]`` in [-1, 1]."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size, :1][:2] / size
    for _ in range(count):
        a, b = random.uniform(1, 5, (2, 4, 1, 1, 1))
        phase = random.uniform(0, 2 * np.pi, (4, 1, 1, channels))
        waves = np.sin(2 * np.pi * (a * rows + b * columns) + phase)
        yield np.clip(waves.sum(0) / 3, -1, 1).astype(np.float32)


# === One contestant, in its process ===


def _serve(contestant: Contestant, folder: str, threads: int, pipe: Connection) -> None:
    """Answers a batch size with the seconds of a run, None with y of the first image; 0 ends it."""
    if hasattr(os, "sched_setaffinity"):
        # TensorFlow takes as many threads as the process has cores.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    inputs = np.load(Path(folder, "inputs.npz"))
    x, z = inputs["x"], inputs["z"]
    prepare = finish = lambda array: array
    if contestant.kind == "torch":
        from torch_generator import TorchNetwork

        weights = dict(np.load(contestant.source))
        dropout = [
            (int(level), rate, int(offset), int(block))
            for level, rate, offset, block in np.load(Path(folder, "dropout.npy"))
        ]
        network = TorchNetwork(weights, dropout, contestant.layout, threads)
        prepare, finish = network.prepare, network.finish
    else:
        from tfpix2pix.base.quiet import import_tensorflow
        from tfpix2pix.export.opening import open_engine
        from tfpix2pix.inference import load

        import_tensorflow()
        if contestant.kind == "keras":
            network = load(contestant.source).network
        else:
            network = open_engine(contestant.source, threads)
    ready: dict[int, tuple[Any, Any]] = {}
    pipe.send("ready")
    while (batch := pipe.recv()) != 0:
        if batch is None:
            pipe.send(finish(network(prepare(x[:1]), prepare(z[:1]))))
            continue
        if batch not in ready:
            ready[batch] = prepare(x[:batch]), prepare(z[:batch])
        # The first one wakes threads and caches up.
        network(*ready[batch])
        start = time.perf_counter()
        network(*ready[batch])
        pipe.send(time.perf_counter() - start)


# === Measuring ===


def _measure(
    contestants: list[Contestant],
    batches: list[int],
    threads: int,
    scratch: Path,
    expected: np.ndarray,
) -> None:
    """Lets them take turns; fills in their seconds and differences."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for contestant in contestants:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_serve, args=(contestant, str(scratch), threads, theirs), daemon=True
            )
            process.start()
            theirs.close()
            processes.append(process)
            pipes.append(ours)
            ours.recv()
        for contestant, pipe in zip(contestants, pipes, strict=True):
            pipe.send(None)
            contestant.difference = float(np.abs(pipe.recv() - expected[:1]).max())
        turns = list(itertools.product(batches, range(_REPEATS.value)))
        with ProgressLine("measuring", len(turns), "round") as line:
            for done, (batch, _) in enumerate(turns, start=1):
                for contestant, pipe in zip(contestants, pipes, strict=True):
                    pipe.send(batch)
                    contestant.seconds.setdefault(batch, []).append(pipe.recv())
                line.show(done)
        for pipe in pipes:
            pipe.send(0)
    except EOFError:
        raise UserError("a contestant's process ended; what it said stands above") from None
    finally:
        for process in processes:
            process.join(timeout=5)
            process.terminate()


def _flops(generator: Any, size: int) -> float:
    """Floating-point operations of the convolutions for one image, two for each product."""
    total, side = 0, size
    for layer in generator.layers:
        name, kernel = layer.name, getattr(layer, "kernel", None)
        if kernel is None:
            continue
        down = name.startswith("down")
        side = side // 2 if down else side
        # Down: each output pixel is a product with the kernel; up: each input pixel.
        total += 2 * side * side * int(np.prod(kernel.shape))
        side = side if down else side * 2
    return total


def _matrix_rate() -> float:
    a = np.ones((2048, 2048), np.float32)
    a @ a
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(seconds) / 1e9


# === Telling ===


def _print_table(contestants: list[Contestant], batches: list[int], flops: float) -> None:
    heads = [f"batch {b}: ms | images/s | GFLOP/s" for b in batches]
    print(f"| engine | file, MB | {' | '.join(heads)} | largest difference to Keras |")
    print("| --- | ---: |" + " ---: |" * (3 * len(batches) + 1))
    best = {}
    for each in contestants:
        cells = []
        for batch in batches:
            seconds = each.seconds[batch]
            low, middle, high = np.percentile(seconds, [25, 50, 75])
            cells.append(
                f"{middle * 1e3:.1f} ({(high - low) * 1e3:.1f}) | {batch / middle:.1f} "
                f"| {batch * flops / middle / 1e9:.0f}"
            )
            who = "torch" if each.kind == "torch" else "ours"
            best.setdefault((batch, who), []).append((middle, each.name))
        size = f"{each.bytes / 1e6:.1f}" if each.bytes else ""
        print(f"| {each.name} | {size} | {' | '.join(cells)} | {each.difference:.1e} |")
    for batch in batches:
        ours, torch = (sorted(best.get((batch, who), [])) for who in ("ours", "torch"))
        if ours and torch:
            floats = [each for each in ours if each[1].endswith("float32")]
            print(
                f"batch {batch}: {ours[0][1]} takes {ours[0][0] / torch[0][0]:.2f} of the time of "
                f"{torch[0][1]}"
                + (f", {floats[0][1]} {floats[0][0] / torch[0][0]:.2f}" if floats else "")
            )


if __name__ == "__main__":
    app.run(main)
