"""Draws a 16-bit grey data set: night exposures of the sample set's house fronts, and clean ones.

    python benchmarks/grey16_set.py --output=grey16
    tfpix2pix train --dataset=grey16 --input_range=0:4095

The target (B, 16-bit PNG) is the luminance in linear light, which uses the whole of 16 bits. The
input (A, 16-bit TIFF) is what a 12-bit sensor counts of it in a short exposure: photons are
Poisson, the electronics add noise, and most values lie in the lowest twentieth of the scale.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tfpix2pix.base.progress import ProgressLine
from tfpix2pix.data import open_dataset
from tfpix2pix.data.images import write_image

BRIGHTEST = 250.0  # photons that white gives
GAIN = 4.0  # counts of a photon
READ_NOISE = 6.0  # counts
BLACK = 64.0  # counts of no light at all, as sensors have it


def luminance(photo: np.ndarray) -> np.ndarray:
    """sRGB uint8 ``[2 H, 2 W, 3]`` to linear luminance ``[H, W]`` in [0, 1], 2x2 pixels to one."""
    s = photo / 255.0
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    grey = linear @ np.array([0.2126, 0.7152, 0.0722])
    return grey.reshape(grey.shape[0] // 2, 2, grey.shape[1] // 2, 2).mean(axis=(1, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="grey16", help="folder to write [grey16]")
    parser.add_argument("--pairs", type=int, default=400, help="training pairs [400]")
    parser.add_argument("--size", type=int, default=256, help="pixels on a side [256]")
    args = parser.parse_args()

    source = open_dataset("sample", sample_pairs=args.pairs, sample_size=2 * args.size)
    jobs = [(s, i) for s in ("train", "val") for i in range(source.count(s))]
    with ProgressLine("drawing", len(jobs), "pair") as line:
        for done, (split, index) in enumerate(jobs, start=1):
            light = luminance(source.load(split, index)[1])
            dice = np.random.default_rng([index, split == "val"])
            counts = dice.poisson(light * BRIGHTEST) * GAIN + BLACK
            counts = np.rint(counts + dice.normal(0, READ_NOISE, light.shape))
            for side, values, suffix in (
                ("A", np.clip(counts, 0, 4095), ".tif"),
                ("B", np.rint(light * 65535), ".png"),
            ):
                folder = Path(args.output, side, split)
                folder.mkdir(parents=True, exist_ok=True)
                write_image(folder / f"{index:04d}{suffix}", values.astype(np.uint16))
            line.show(done)


if __name__ == "__main__":
    main()
