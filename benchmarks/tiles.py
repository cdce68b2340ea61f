"""A large picture in tiles beside the same as a whole: what differs, and what memory they take.

    python benchmarks/tiles.py                                   # the tables of the docs
    python benchmarks/tiles.py --size=1024 --whole=0 --ngf=16

The network has random weights of its layers' own scale and the picture is drawn: photographs' 1/f
spectrum, brighter and busier to one side, so that no tile has the statistics of the whole. Ways:

  whole       at once
  exact       in tiles, as `translate` makes them, with all levels kept and with fewer
  reduced     in tiles, by statistics of the picture reduced to the training's size
  own         in tiles, each by its own statistics: what tiling without more ado gives

Each row of the first table is of y in [-1, 1], a unit of PSNR's peak being 2. Seams: the mean step
between neighbours across the lines where tiles meet, over that of the whole's picture there.

The second table is a process for each way, at ngf 64: the most that it held above what it held
before the picture (VmHWM, so Linux only), its seconds, and what was reckoned.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from machine import cores, describe, memory

from tfpix2pix.base.quiet import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402

from tfpix2pix.inference import KerasNetwork, resized, tiles  # noqa: E402
from tfpix2pix.models import noise  # noqa: E402
from tfpix2pix.models.base import Generator  # noqa: E402
from tfpix2pix.models.unet import unet  # noqa: E402

CROP = 256
NETWORKS = {
    "instance": {"norm": "instance"},
    "group": {"norm": "group", "bottleneck": 4, "upsampling": "nearest", "padding": "replicate"},
    "none": {"norm": "none"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1536, help="of the first table, pixels")
    parser.add_argument("--ngf", type=int, default=16, help="of the first table")
    parser.add_argument("--tile", type=int, default=512, help="of the first table, pixels")
    parser.add_argument("--whole", type=int, default=2048, help="of the second; 0 for none")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(measured(int(args.measure[0]), int(args.measure[1])))
        return
    print(describe(cores()))
    print(f"\n{args.size} px, ngf {args.ngf}, tiles of {args.tile} px\n")
    print(
        "| norm | way | max | mean | PSNR, dB | seams |\n| --- | --- | ---: | ---: | ---: | ---: |"
    )
    for name in NETWORKS:
        differences(name, args.size, args.ngf, args.tile)
    if not args.whole:
        return
    print(f"\n{args.whole} px, ngf 64\n")
    print("| way | MiB | reckoned | seconds |\n| --- | ---: | ---: | ---: |")
    for depth in (0, 1, 3):
        command = [sys.executable, __file__, "--measure", str(args.whole), str(depth)]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def made(name: str, ngf: int) -> tuple[Generator, tf.keras.Model]:
    generator = unet(crop_size=CROP, input_channels=3, output_channels=3, ngf=ngf, **NETWORKS[name])
    model = generator.build()
    random = np.random.default_rng(1)
    for weights in model.weights:
        if len(weights.shape) == 4:  # He's scale keeps the features' size from layer to layer
            scale = (2 / np.prod(weights.shape[:3])) ** 0.5
            weights.assign(random.normal(0, scale, weights.shape))
    return generator, model


def picture(size: int) -> np.ndarray:
    """float32 ``[size, size, 3]`` in [-1, 1]."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    frequency[0, 0] = 1
    random = np.random.default_rng(0)
    channels = [
        np.fft.irfft2(np.fft.rfft2(random.normal(size=(size, size))) / frequency) for _ in range(3)
    ]
    x = np.stack(channels, axis=-1)
    slope = np.linspace(0, 1, size)[:, None]
    x = x / x.std() * (0.1 + 0.3 * slope) + slope - 0.5
    return np.clip(x, -1, 1).astype(np.float32)


def differences(name: str, size: int, ngf: int, tile: int) -> None:
    generator, model = made(name, ngf)
    x, shape = picture(size), generator.z.shape(size, size)
    z = noise.draw(0, noise.INFERENCE, tf.constant([0], tf.int64), shape).numpy()[0]
    whole = model([x[None], z[None]], training=False).numpy()[0]
    nodes = tiles.nodes_of(model, generator.z.factor)
    levels = max(node.level for node in nodes.values())
    rows = [
        ("exact, all levels kept", in_tiles(nodes, x, z, tile, 1)),
        (f"exact, from level {levels - 2}", in_tiles(nodes, x, z, tile, levels - 2)),
    ]
    if name != "none":
        rows.append(("reduced", in_tiles(nodes, x, z, tile, 1, by_reduced(generator, nodes, x))))
    rows.append(("own", own(model, generator.z.factor, x, z, tile)))
    across = np.arange(tile, size, tile)
    for way, y in rows:
        apart = np.abs(y - whole)
        psnr = 10 * np.log10(4 / max(np.square(apart, dtype=np.float64).mean(), 1e-20))
        seams = step(y, across) / step(whole, across)
        print(f"| {name} | {way} | {apart.max():.1e} | {apart.mean():.1e} ", end="")
        print(f"| {psnr:.1f} | {seams:.3f} |")


def step(y: np.ndarray, at: np.ndarray) -> float:
    return (np.abs(y[at] - y[at - 1]).mean() + np.abs(y[:, at] - y[:, at - 1]).mean()) / 2


def in_tiles(nodes, x, z, tile, depth, moments=None) -> np.ndarray:
    plan = tiles.Plan.of(nodes, *x.shape[:2], tile, depth)
    work = tiles.Tiles(plan, part_of(x), part_of(z))
    if moments is not None:
        work._moments = Fixed(moments)
    return tiles.joined(work, *x.shape[:2], lambda region, y: y)


class Fixed(dict):
    """Statistics that stay what they are."""

    def __setitem__(self, name, moments) -> None:
        pass


def by_reduced(generator: Generator, nodes, x: np.ndarray) -> dict:
    """The statistics of every normalisation on the picture reduced to the training's size."""
    small = resized(x, CROP, CROP)
    z = noise.draw(
        0, noise.INFERENCE, tf.constant([0], tf.int64), generator.z.shape(CROP, CROP)
    ).numpy()[0]
    work = tiles.Tiles(tiles.Plan.of(nodes, CROP, CROP, CROP, 1), part_of(small), part_of(z))
    for _ in work:
        pass
    return work._moments


def own(model, factor: int, x: np.ndarray, z: np.ndarray, tile: int) -> np.ndarray:
    y = np.empty_like(x)
    for top in range(0, len(x), tile):
        for left in range(0, len(x), tile):
            at = slice(top, top + tile), slice(left, left + tile)
            of_z = tuple(slice(s.start // factor, s.stop // factor) for s in at)
            y[at] = model([x[at][None], z[of_z][None]], training=False).numpy()[0]
    return y


def part_of(array: np.ndarray):
    return lambda region: array[slice(*region[0]), slice(*region[1])]


def measured(size: int, depth: int) -> str:
    """A row of the second table: as a whole (0), or with the levels from `depth` kept."""
    generator, model = made("instance", 64)
    x, shape = picture(size), generator.z.shape(size, size)
    z = noise.draw(0, noise.INFERENCE, tf.constant([0], tf.int64), shape).numpy()[0]
    network, nodes = KerasNetwork(model), tiles.nodes_of(model, generator.z.factor)
    network(x[None, :CROP, :CROP], z[None, :2, :2])  # the libraries' own memory
    Path("/proc/self/clear_refs").write_text("5")  # the peak until now does not count
    before, start = memory(), time.perf_counter()
    if not depth:
        network(x[None], z[None])
        way = "whole"
        features = [each for kernel in generator.kernels.values() for each in kernel.features]
        reckoned = 4 * sum(channels * (size // pixels) ** 2 for channels, pixels in features)
    else:
        plan = tiles.Plan.of(nodes, size, size, 512, depth)
        in_tiles(nodes, x, z, 512, depth)
        way = f"tiles of 512 px, levels from {depth} kept"
        reckoned = plan.bytes_kept() + plan.bytes_worked()
    took = time.perf_counter() - start
    return f"| {way} | {memory(peak=True) - before:.0f} | {reckoned / 2**20:.0f} | {took:.0f} |"


if __name__ == "__main__":
    main()
