"""Where the grid comes from: a run's generator on a label map of one colour, layer by layer.

    python benchmarks/layer_statistics.py RUN [RUN ...] [--colour=0,48,255] [--picture=FILE.png]

Of a map that is the same everywhere a generator can only make what it knows of the place. Printed
of each layer's features, without noise: their standard deviation over the picture (mean over the
channels), that of the middle half, which no border reaches in the first layers, and the share of
the variance that is a function of the row plus one of the column: lines through the whole picture.
--picture writes what comes out, side by side, first with noise and then without.
"""

from __future__ import annotations

import argparse

import numpy as np

from tfpix2pix.base.quiet import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402

import tfpix2pix  # noqa: E402
from tfpix2pix.inference import Translator  # noqa: E402
from tfpix2pix.models.base import inputs_of  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--colour", default="0,48,255")
    parser.add_argument("--picture")
    args = parser.parse_args()
    colour = np.array([int(value) for value in args.colour.split(",")], np.float32)
    pictures = []
    for run in args.runs:
        model = tfpix2pix.load(run)
        shape = (1, *model.config.whole_size, 3)
        x = np.broadcast_to(colour / 127.5 - 1.0, shape).astype(np.float32)
        print(f"\n{run}, step {model.step:,}")
        print(f"{'layer':14} {'size':>9} {'std':>8} {'middle':>8} {'rows + columns':>15}")
        noisy, still = (inputs(model, x, deterministic) for deterministic in (False, True))
        for name, features in layers(model.generator, still):
            print(row(name, features))
        for given in (noisy, still):
            y = model.generator(given, training=False).numpy()[0]
            pictures.append(np.rint((y + 1) * 127.5).astype(np.uint8))
    if args.picture:
        tf.io.write_file(args.picture, tf.io.encode_png(np.concatenate(pictures, axis=1)))


def inputs(model: Translator, x: np.ndarray, deterministic: bool) -> object:
    """What the generator takes: x, and the z and the latent of seed 0 where it has them."""
    z = model.noise(x, [0], deterministic) if model.takes_noise else None
    return inputs_of(x, (z, model.latent([0]) if model.latent_size else None))


def layers(generator: tf.keras.Model, given: object) -> list:
    """The features ``[H, W, C]`` after each convolution and normalisation, by the layer's name."""
    kinds = (tf.keras.layers.Conv2D, tf.keras.layers.Conv2DTranspose)
    chosen = [
        layer
        for layer in generator.layers
        if isinstance(layer, kinds) or layer.name.endswith("_norm") or layer.name == "y"
    ]
    outputs = tf.keras.Model(generator.inputs, [layer.output for layer in chosen])(given)
    return [(la.name, of.numpy()[0]) for la, of in zip(chosen, outputs, strict=True)]


def row(name: str, features: np.ndarray) -> str:
    height, width, _ = features.shape
    centred = features - features.mean((0, 1))
    variance = (centred**2).mean((0, 1))
    lines = (centred.mean(1) ** 2).mean(0) + (centred.mean(0) ** 2).mean(0)
    varies = variance > 1e-8  # float32 is no more exact than that
    share = (lines[varies] / variance[varies]).mean() if varies.any() else float("nan")
    middle = features[height // 4 : height - height // 4, width // 4 : width - width // 4]
    std = np.sqrt(variance.mean()), np.sqrt(middle.var((0, 1)).mean())
    return f"{name:14} {f'{width}x{height}':>9} {std[0]:8.4f} {std[1]:8.4f} {share:15.2f}"


if __name__ == "__main__":
    main()
