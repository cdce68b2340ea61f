"""Measures the ways to compute the networks' convolutions, layer by layer.

    python benchmarks/kernels.py                       # 256 px, ngf 64, batch 1
    python benchmarks/kernels.py --case=64/32/16
    python benchmarks/kernels.py --network=resnet

For each 4x4 convolution of the U-Net and of the 70 pixel discriminator, or each of a ResNet with
its padding, that another way than TensorFlow's may compute (see ``tfpix2pix/models/kernels.py``):
milliseconds of the result and both gradients, median of repetitions that take turns, which way
training takes, and the largest difference between that way's numbers and TensorFlow's, as a share
of the largest number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from absl import app, flags
from machine import cores, describe

from tfpix2pix.base.progress import ProgressLine

_CASE = flags.DEFINE_string("case", "256/64/1", "SIZE/NGF/BATCH.")
_NETWORK = flags.DEFINE_enum("network", "unet", ["unet", "resnet"], "Whose layers.")
_CLOCK = flags.DEFINE_enum(
    "clock",
    "wall",
    ["wall", "processor"],
    "What is measured. 'processor', the time that all threads compute, is for a machine that does "
    "other work.",
)
_REPEATS = flags.DEFINE_integer("repeats", 9, "Of each way.")

_COLUMNS = {"unet": ("TensorFlow", "matmul", "winograd"), "resnet": ("TensorFlow", "training")}
_LARGEST = 32  # pixels: windows of larger images would be many times the image


@dataclass(frozen=True)
class Layer:
    """A layer on an input of ``size`` pixels."""

    name: str
    size: int
    channels: int
    out: int
    stride: int
    transposed: bool = False
    kernel: int = 4


def _layers(size: int, ngf: int) -> list[Layer]:
    depth = int(math.log2(size))

    def width(level: int) -> int:
        return ngf * min(2 ** (level - 1), 8)

    down = [
        Layer(f"down{n}", size >> (n - 1), width(n - 1), width(n), 2) for n in range(2, depth + 1)
    ]
    up = [
        Layer(f"up{n}", size >> n, width(n) * (1 if n == depth else 2), width(n - 1), 2, True)
        for n in range(depth, 1, -1)
    ]
    discriminator = [
        Layer("conv2", size // 2, ngf, 2 * ngf, 2),
        Layer("conv3", size // 4, 2 * ngf, 4 * ngf, 2),
        Layer("conv4", size // 8, 4 * ngf, 8 * ngf, 1),
    ]
    return [*down, *up, *discriminator]


def _resnet_layers(size: int, ngf: int) -> list[Layer]:
    return [
        Layer("down1", size, ngf, 2 * ngf, 2, kernel=3),
        Layer("down2", size // 2, 2 * ngf, 4 * ngf, 2, kernel=3),
        Layer("block", size // 4, 4 * ngf, 4 * ngf, 1, kernel=3),
        Layer("up2", size // 4, 4 * ngf, 2 * ngf, 2, True, kernel=3),
        Layer("up1", size // 2, 2 * ngf, ngf, 2, True, kernel=3),
        Layer("last", size, ngf, 3, 1, kernel=7),
    ]


def _resnet_ways(layer: Layer, x: Any, weights: Any) -> tuple[dict[str, Callable], str]:
    """Likewise of a ResNet's layer: TensorFlow's, and the one that training takes."""
    import tensorflow as tf

    from tfpix2pix.models import kernels

    if layer.transposed:
        shape = [x.shape[0], *(2 * layer.size + 1,) * 2, layer.out]

        def plain(x: Any, w: Any) -> Any:
            return tf.nn.conv2d_transpose(x, w, shape, 2, "VALID")[:, 1:, 1:]

        chosen = kernels.doubling_convolution(x, weights)
        return {"TensorFlow": plain, "training": chosen.func}, chosen.func.__name__
    edge = layer.kernel // 2
    edges, mode = [[0, 0], [edge, edge], [edge, edge], [0, 0]], "REFLECT"
    if layer.stride == 2:
        mode = "CONSTANT"

    def padded(x: Any) -> Any:
        return tf.pad(x, edges, mode)

    chosen = kernels.padded_convolution(padded(x), weights, layer.stride)
    name = chosen.func.__name__ if chosen else "TensorFlow"
    ways = {"TensorFlow": lambda x, w: tf.nn.conv2d(padded(x), w, layer.stride, "VALID")}

    def taken(x: Any, w: Any) -> Any:
        around = padded(x) if layer.stride == 2 else kernels.mirrored(x, edge)
        return kernels.padded_convolution(around, w, layer.stride)()

    return {**ways, **({"training": taken} if chosen else {})}, name


def _ways(layer: Layer, x: Any, weights: Any) -> tuple[dict[str, Callable], str]:
    """Ways by name, TensorFlow's first, and the one that training takes."""
    import tensorflow as tf

    from tfpix2pix.models import kernels

    stride, size = layer.stride, layer.size
    ways = {}
    if layer.transposed:
        shape = [x.shape[0], 2 * size, 2 * size, layer.out]
        ways["TensorFlow"] = lambda x, w: tf.nn.conv2d_transpose(x, w, shape, 2, "SAME")
        chosen = kernels.transposed_convolution(x, weights)
        ways["matmul"] = kernels.matmul_transposed
    else:
        edge = [[0, 0], [1, 1], [1, 1], [0, 0]]
        ways["TensorFlow"] = (
            (lambda x, w: tf.nn.conv2d(x, w, 2, "SAME"))
            if stride == 2
            else (lambda x, w: tf.nn.conv2d(tf.pad(x, edge), w, 1, "VALID"))
        )
        chosen = kernels.convolution(x, weights, stride, 1)
        ways["matmul"] = lambda x, w: kernels.matmul(x, w, stride, 1)
        if stride == 1:
            ways["winograd"] = lambda x, w: kernels.winograd(x, w, 1)
    if size > _LARGEST:
        del ways["matmul"]
    taken = chosen.func.__name__.removesuffix("_transposed") if chosen else "TensorFlow"
    return ways, taken


def _row(layer: Layer, batch: int, repeats: int) -> list[str]:
    import tensorflow as tf

    random = np.random.default_rng(0)

    def normal(*shape: int) -> tf.Tensor:
        return tf.constant(random.normal(size=shape), tf.float32)

    x = normal(batch, layer.size, layer.size, layer.channels)
    kernel = (layer.out, layer.channels) if layer.transposed else (layer.channels, layer.out)
    weights = 0.02 * normal(layer.kernel, layer.kernel, *kernel)
    of_resnet = _NETWORK.value == "resnet"
    ways, taken = (_resnet_ways if of_resnet else _ways)(layer, x, weights)
    clock = time.process_time if _CLOCK.value == "processor" else time.perf_counter

    def step(way: Callable) -> Callable:
        @tf.function(autograph=False)
        def run(x: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch([x, weights])
                y = way(x, weights)
            return [y, *tape.gradient(y, [x, weights], tf.ones_like(y))]

        return run

    steps = {name: step(way) for name, way in ways.items()}
    numbers = {name: run(x, weights) for name, run in steps.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, run in steps.items():
            start = clock()
            run(x, weights)[-1].numpy().ravel()[:1]
            seconds[name].append(clock() - start)
    in_training = "training" if "training" in numbers else taken
    off = max(
        float(tf.reduce_max(tf.abs(a - b)) / tf.reduce_max(tf.abs(b)))
        for a, b in zip(numbers[in_training], numbers["TensorFlow"], strict=True)
    )
    times = [
        f"{1000 * np.median(seconds[name]):.1f}" if name in seconds else ""
        for name in _COLUMNS[_NETWORK.value]
    ]
    shape = f"{layer.size} px, {layer.channels} to {layer.out}"
    return [layer.name, shape, *times, taken, f"{off:.0e}" if off else ""]


def main(argv: list[str]) -> None:
    del argv
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    size, ngf, batch = (int(part) for part in _CASE.value.split("/"))
    network = _NETWORK.value
    layers = (_resnet_layers if network == "resnet" else _layers)(size, ngf)
    rows = []
    with ProgressLine("measuring", len(layers), "layer") as line:
        for layer in layers:
            rows.append(_row(layer, batch, _REPEATS.value))
            line.show(len(rows))
    print(f"{date.today():%d %B %Y}; {describe(cores())}")
    unit = "ms" if _CLOCK.value == "wall" else "processor ms"
    print(f"\n**{size} px, ngf {ngf}, batch {batch}**, {unit} of a layer forward and backward\n")
    columns = _COLUMNS[network]
    print(f"| layer | input | {' | '.join(columns)} | training takes | apart |")
    print(f"| --- | --- |{' ---: |' * len(columns)} --- | ---: |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    app.run(main)
