"""Measures a generator in Keras, in every export, and in PyTorch: latency, images per second.

    python benchmarks/inference.py                                  # 256 px, ngf 64, random weights
    python benchmarks/inference.py --workdir=runs/facades           # a run, at its crop size
    python benchmarks/inference.py --engines=onnx,torch,node,chromium --size=128 --ngf=32

Each contestant is a process of its own with the same weights and inputs, and they take turns (A B
C, A B C, ...), so that whatever else the machine does meets all alike; with ``--threads=1,2`` each
is there twice. A turn is one run that is not counted and then one that is. Times are from NumPy
arrays to NumPy arrays; PyTorch's alone are from torch tensors to torch tensors in the layout that
it wants. The table gives medians, and in brackets the quartiles' distance from each other. It needs
the extras ``export`` and ``torch``; what is not installed has no rows. PyTorch's generator is the
paper's U-Net; another network is measured without it. ``node`` and ``chromium`` run the ONNX files
in onnxruntime-web's WebAssembly (`web.py`) and are measured only if they are named; there the
engine tells the time, from arrays to arrays as well. With ``--clock=processor`` times are those of
the processors, of all threads together, which other work on the machine hardly changes.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import web
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
_THREADS = flags.DEFINE_list("threads", [], "And cores of each contestant: 1,2; all there are.")
_ENGINES = flags.DEFINE_list("engines", [], "Only those whose name begins so: onnx,torch.")
_MODULES = flags.DEFINE_string(
    "node_modules",
    os.environ.get("TFPIX2PIX_NODE_MODULES", "node_modules"),
    "Where npm put onnxruntime-web, for --engines=node,chromium.",
)
_CLOCK = flags.DEFINE_enum("clock", "wall", ["wall", "processor"], "What is measured.")
_ANY = flags.DEFINE_bool("any_size", False, "Export for any size instead of this one.")

_INPUTS = ("x", "z", "latent")  # of a network, in its order; some have the first alone
_FORMATS = {"savedmodel": "SavedModel", "tflite": "TFLite", "onnx": "ONNX"}
_WEB = (web.NODE, web.CHROMIUM)


@dataclass
class Contestant:
    """One way to run the generator.

    Attributes:
      name: for the table.
      kind: ``keras``, ``torch``, ``export``, or the engine of `web`.
      source: workdir, file of weights, or artefact.
      layout: of torch.
      threads: that it computes on.
      modules: of the engines of `web`: the folder of Node's packages.
      bytes: of the artefact; 0 where there is none.
      seconds: of each turn, by batch.
      difference: largest to Keras, of y from -1 to 1.
    """

    name: str
    kind: str
    source: str
    layout: str = ""
    threads: int = 0
    modules: str = ""
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
    numbers = [int(text) for text in _THREADS.value] or [cores()]
    batches = [int(text) for text in _BATCHES.value]
    x = np.stack(list(_smooth(max(batches), size, translator.config.x_channels)))
    inputs = {"x": x}
    if translator.takes_noise:
        inputs["z"] = translator.noise(x, range(len(x)))
    if translator.latent_size:
        inputs["latent"] = translator.latent(range(len(x)))
    np.savez(scratch / "inputs.npz", **inputs)
    contestants = _contestants(translator, workdir, size, scratch)
    wanted = _wanted()
    contestants = [
        dataclasses.replace(each, threads=number, seconds={})
        for each in contestants
        if each.name.lower().startswith(wanted or ("",))
        for number in numbers
    ]
    flops = _flops(translator.described, size, translator.config.upsampling)
    expected = translator.network(*(inputs.get(name) for name in _INPUTS))
    _measure(contestants, batches, scratch, expected)
    config = translator.config
    print(describe(*numbers))
    if shown := [engine for engine in _WEB if any(each.kind == engine for each in contestants)]:
        told = [web.version(engine) for engine in shown]
        print(", ".join([*told, f"onnxruntime-web {web.package_version(_MODULES.value)}"]))
    print(
        f"{size} x {size} px, ngf {config.ngf}, norm {config.norm}: {flops / 1e9:.1f} GFLOP per "
        f"image, {sum(np.prod(w.shape) for w in translator.generator.weights) / 1e6:.1f} M weights"
    )
    print(f"a product of two 2048 x 2048 matrices in NumPy: {_matrix_rate():.0f} GFLOP/s")
    _print_table(contestants, batches, flops)


# === Who takes part ===


def _wanted() -> tuple[str, ...]:
    """How the names of those that take part begin; empty: all but `_WEB`."""
    return tuple(text.lower() for text in _ENGINES.value)


def _web_engines() -> list[str]:
    """Those of `_WEB` that are asked for."""
    engines = [
        engine for engine in _WEB if any(name.startswith(engine.lower()) for name in _wanted())
    ]
    for engine in engines:
        web.require(engine, _MODULES.value)
    return engines


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
    contract = dataclasses.replace(contract, encodes=False)  # which is not measured
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
    in_web = _web_engines()
    for name, shown in _FORMATS.items():
        asked = tuple(text[: len(shown)] for text in _wanted()) or ("",)
        if not shown.lower().startswith(asked) and not (in_web and shown == "ONNX"):
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
            ways = {shown: "export", **({e: e for e in in_web} if shown == "ONNX" else {})}
            found += [
                Contestant(
                    f"{name} {kind}", way, str(path), modules=_MODULES.value, bytes=size_of(path)
                )
                for name, way in ways.items()
            ]
    is_papers = translator.described.family == "unet" and config.norm == "instance"
    if importlib.util.find_spec("torch") and is_papers:
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


def _serve(contestant: Contestant, folder: str, clock: str, pipe: Connection) -> None:
    """Answers a batch size with the seconds of a run, None with y of the first image; 0 ends it."""
    if hasattr(os, "sched_setaffinity"):
        # TensorFlow takes as many threads as the process has cores.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: contestant.threads])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # a browser ends with this process
    with np.load(Path(folder, "inputs.npz")) as arrays:
        given = [arrays.get(name) for name in _INPUTS]
    given = given if given[2] is not None else given[:2]  # which is all that PyTorch's takes
    with ExitStack() as stack:
        network, prepare, finish = _open(contestant, folder, stack)

        def of_batch(batch: int) -> list[Any]:
            return [None if each is None else prepare(each[:batch]) for each in given]

        ready: dict[int, list[Any]] = {}
        pipe.send("ready")
        while (batch := pipe.recv()) != 0:
            if batch is None:
                pipe.send(finish(network(*of_batch(1))))
                continue
            if batch not in ready:
                ready[batch] = of_batch(batch)
            # The first one wakes threads and caches up.
            network(*ready[batch])
            pipe.send(_timed(network, ready[batch], clock))


def _timed(network: Any, inputs: list[Any], clock: str) -> float:
    if isinstance(network, web.WebNetwork):
        return network.timed(inputs, clock)
    now = {"wall": time.perf_counter, "processor": time.process_time}[clock]
    start = now()
    network(*inputs)
    return now() - start


def _open(
    contestant: Contestant, folder: str, stack: ExitStack
) -> tuple[Any, Callable[[np.ndarray], Any], Callable[[Any], np.ndarray]]:
    """A contestant's network, what makes its inputs of arrays, and arrays of its y."""
    if contestant.kind == "torch":
        from torch_generator import TorchNetwork

        weights = dict(np.load(contestant.source))
        dropout = [
            (int(level), rate, int(offset), int(block))
            for level, rate, offset, block in np.load(Path(folder, "dropout.npy"))
        ]
        network = TorchNetwork(weights, dropout, contestant.layout, contestant.threads)
        return network, network.prepare, network.finish
    if contestant.kind in _WEB:
        network = web.WebNetwork(
            contestant.kind, contestant.source, contestant.threads, contestant.modules
        )
        stack.callback(network.close)
        return network, network.prepare, np.asarray
    from tfpix2pix.base.quiet import import_tensorflow
    from tfpix2pix.export.opening import open_engine
    from tfpix2pix.inference import load

    import_tensorflow()
    if contestant.kind == "keras":
        return load(contestant.source).network, np.asarray, np.asarray
    return open_engine(contestant.source, contestant.threads), np.asarray, np.asarray


# === Measuring ===


def _measure(
    contestants: list[Contestant],
    batches: list[int],
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
                target=_serve,
                args=(contestant, str(scratch), _CLOCK.value, theirs),
                daemon=True,
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


def _flops(described: Any, size: int, upsampling: str) -> float:
    """Floating-point operations of the convolutions for one image, two for each product."""
    total = 0
    for kernel in described.kernels.values():
        (_, read), (_, made) = kernel.features
        # Each output pixel is a product with the kernel; where features are enlarged, each input
        # pixel, unless it is repeated before.
        pixels = made if upsampling in ("nearest", "smooth") else max(read, made)
        total += 2 * (size // pixels) ** 2 * int(np.prod(kernel.shape))
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
    unit = "ms" if _CLOCK.value == "wall" else "processor ms"
    heads = [f"batch {b}: {unit} | images/s | GFLOP/s" for b in batches]
    print(f"| engine | threads | file, MB | {' | '.join(heads)} | largest difference to Keras |")
    print("| --- | ---: | ---: |" + " ---: |" * (3 * len(batches) + 1))
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
            best.setdefault((batch, each.threads, who), []).append((middle, each.name))
        size = f"{each.bytes / 1e6:.1f}" if each.bytes else ""
        print(
            f"| {each.name} | {each.threads} | {size} | {' | '.join(cells)} "
            f"| {each.difference:.1e} |"
        )
    for batch, threads in sorted({key[:2] for key in best}):
        ours, torch = (sorted(best.get((batch, threads, who), [])) for who in ("ours", "torch"))
        if ours and torch:
            floats = [each for each in ours if each[1].endswith("float32")]
            print(
                f"batch {batch}, {threads} threads: {ours[0][1]} takes "
                f"{ours[0][0] / torch[0][0]:.2f} of the time of {torch[0][1]}"
                + (f", {floats[0][1]} {floats[0][0] / torch[0][0]:.2f}" if floats else "")
            )


if __name__ == "__main__":
    app.run(main)
