"""What was tried to bring a generator to int8, measured: prints the table of docs/mobile.md.

    python benchmarks/tflite_int8.py --workdir=runs/facades
    python benchmarks/tflite_int8.py --workdir=runs/big --images=4 --only=float32,dynamic,int8

"Special ends": the first convolution stays in float, and the range of the last one ends where tanh
is flat. Every variant is a TFLite file of fixed size (the run's crop size), run on the val split.
PSNR is taken on 8-bit pictures; mean and max are of the difference to Keras, of y in [-1, 1]. The
latencies are the least of ``--runs`` runs of one image; variants take turns, so that other work on
the machine meets all of them.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import app, flags

from tfpix2pix.base.quiet import error_stream_aside, import_tensorflow

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's folder.", required=True)
_DATASET = flags.DEFINE_string("dataset", "", "Where its data set is now, if it was moved.")
_IMAGES = flags.DEFINE_integer("images", 100, "Pairs of the val split, at most.")
_RUNS = flags.DEFINE_integer("runs", 30, "Timed runs of each variant and number of threads.")
_ONLY = flags.DEFINE_list("only", [], "These variants alone, by the first word of their names.")

_NORMALIZATION = ["MEAN", "SQUARED_DIFFERENCE", "RSQRT", "ADD", "SUB", "MUL"]
_MASKS = ["STRIDED_SLICE", "DEPTH_TO_SPACE", "GREATER_EQUAL", "LESS", "CAST"]


def main(argv: list[str]) -> None:
    del argv
    import_tensorflow()
    from tfpix2pix.export.pictures import TrainingInputs, val_pictures

    translator, job = _job(TrainingInputs)
    config = translator.config
    pictures, split = val_pictures(config, _WORKDIR.value, _DATASET.value, _IMAGES.value)
    x, y = (np.stack([getattr(picture, side) for picture in pictures]) for side in ("x", "y"))
    given = [x, translator.noise(x, range(len(x)))]
    if translator.latent_size:
        given.append(translator.latent(range(len(x))))
    ones = [[each[i : i + 1] for each in given] for i in range(len(x))]
    keras = np.concatenate([translator.network(*one) for one in ones])
    with tempfile.TemporaryDirectory() as folder:
        paths = dict(_files(job, Path(folder)))
        rows = {}
        for name, path in list(paths.items()):
            try:
                rows[name] = _quality(translator, path, given, y, keras)
            except RuntimeError as error:  # an operator has no kernel for these types
                print(f"{name}: {str(error).splitlines()[0]}")
                del paths[name]
        times = _latencies(paths, ones[0])
        target = _psnr(translator, x, y, keras)
        print(
            f"{_WORKDIR.value}: step {translator.step:,}, {config.crop_size} px, ngf {config.ngf}, "
            f"norm {config.norm}; {len(x)} {split} images; Keras {target:.2f} dB to the targets"
        )
        print(
            "| variant | file | PSNR to targets | PSNR to Keras | mean | max | int8 convolutions "
            "| 1 thread | 2 threads |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, row in rows.items():
            one, two = times[name]
            print(f"| {name} | {row} | {one * 1e3:.1f} ms | {two * 1e3:.1f} ms |")


def _job(training_inputs: type):
    from tfpix2pix.export import core, formats
    from tfpix2pix.export.contract import Contract
    from tfpix2pix.inference import load

    translator = load(_WORKDIR.value)
    config = translator.config
    contract = Contract.of(translator, "paper", tuple(config.whole_size))
    generator = core.export_generator(
        translator.described, core.weights_of(translator.generator), noise=True
    )
    inputs = training_inputs(config, _WORKDIR.value, _DATASET.value)
    quantize = formats.QUANTIZATIONS
    return translator, formats.Job(
        contract, translator, generator, quantize, Path("unused"), "model", inputs
    )


# === Variants ===


def _files(job, folder: Path) -> Iterator[tuple[str, Path]]:
    """Every variant's name and file."""
    from tfpix2pix.export.tflite.file import with_metadata

    for number, (name, make) in enumerate(_variants(job, folder)):
        if _ONLY.value and name.split()[0].strip(",") not in _ONLY.value:
            continue
        try:
            with error_stream_aside():
                model = make()
        except RuntimeError as error:
            print(f"{name}: {str(error).splitlines()[0]}")
            continue
        path = folder / f"{number}.tflite"
        path.write_bytes(with_metadata(model, job.contract))
        yield name, path


def _variants(job, folder: Path):
    from tfpix2pix.export.tflite.equalize import equalized
    from tfpix2pix.export.tflite.format import convert, representative
    from tfpix2pix.export.tflite.int8 import FLOAT_OPERATORS, Quantizer

    inputs = representative(job)
    scratch = folder / "scratch"

    for quantize in ("none", "float16", "dynamic"):
        name = {"none": "float32"}.get(quantize, quantize)
        yield name, lambda q=quantize: convert(job, q, inputs, scratch / q)

    made: dict[str, Quantizer] = {}

    def quantizer(which: str) -> Quantizer:
        if which not in made:
            generator = job.generator
            if which == "equalised":
                tensors = (list(each.values()) for each in inputs)
                generator = equalized(generator, job.contract.generator, tensors)
            made[which] = Quantizer(_saved(job, generator, scratch / which), lambda: iter(inputs))
        return made[which]

    convolutions = list(FLOAT_OPERATORS)
    for which, prefix in (("as trained", "full int8"), ("equalised", "equalised weights")):
        for what, operators, first in (
            ("everything in int8", [], False),
            ("normalisation and masks in float", [*_NORMALIZATION, *_MASKS], False),
            ("only convolutions in int8", convolutions, False),
            ("only convolutions, special ends", convolutions, True),
        ):
            name = f"{prefix}, {what}"
            if which == "equalised" and first:
                name = f"int8 (what export writes): {name}"
            yield name, lambda w=which, o=operators, f=first: quantizer(w).convert(o, f)
    yield "int16 activations, int8 weights", lambda: _int16(job, inputs, scratch / "int16")


def _saved(job, generator, folder: Path) -> Path:
    from tfpix2pix.export.core import Core

    return Core(generator, job.contract, 1).save(folder)


def _int16(job, inputs, folder: Path) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(
        os.fspath(_saved(job, job.generator, folder))
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter(inputs)
    sets = tf.lite.OpsSet
    converter.target_spec.supported_ops = [
        sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        sets.TFLITE_BUILTINS,
    ]
    return converter.convert()


# === Measures ===


def _quality(translator, path: Path, given, y, keras) -> str:
    from tfpix2pix.export.tflite.engine import TFLiteEngine
    from tfpix2pix.export.tflite.file import read_operators

    x, found = given[0], TFLiteEngine(path)(*given)
    difference = np.abs(found - keras)
    convolutions = [each for each in read_operators(path) if each.is_convolution]
    done = [each for each in convolutions if each.is_int8]
    share = sum(each.macs for each in done) / sum(each.macs for each in convolutions)
    return (
        f"{path.stat().st_size / 1e6:.1f} MB | {_psnr(translator, x, y, found):.2f} dB "
        f"| {_psnr(translator, x, keras, found):.1f} dB | {difference.mean():.4f} "
        f"| {difference.max():.3f} "
        f"| {len(done)} of {len(convolutions)} ({share:.1%} of multiplications)"
    )


def _psnr(translator, x, one, other) -> float:
    from tfpix2pix.evaluation.pixels import PSNR

    levels = translator.spec.levels
    return float(PSNR().per_pair(levels(x, one), levels(x, other)).mean())


def _latencies(paths: dict[str, Path], given) -> dict[str, tuple[float, float]]:
    """Seconds of one image with one and with two threads."""
    from tfpix2pix.export.tflite.engine import TFLiteEngine

    best: dict[str, dict[int, float]] = {name: {} for name in paths}
    for threads in (1, 2):
        engines = {name: TFLiteEngine(path, threads) for name, path in paths.items()}
        for _ in range(_RUNS.value):
            for name, engine in engines.items():
                engine(*given)  # brings its weights back into the caches
                start = time.perf_counter()
                engine(*given)
                spent = time.perf_counter() - start
                best[name][threads] = min(spent, best[name].get(threads, spent))
    return {name: (found[1], found[2]) for name, found in best.items()}


if __name__ == "__main__":
    app.run(main)
