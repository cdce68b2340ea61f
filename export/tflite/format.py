"""TFLite files: float32, float16, dynamic range and int8, with builtin operators only."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_bytes
from tfpix2pix.export.formats import Artifact, Format, Job
from tfpix2pix.export.tflite.engine import (
    ENCODER,
    TFLiteEncoder,
    TFLiteEngine,
    require_runtime,
)
from tfpix2pix.export.tflite.file import Operator, read_operators, with_metadata

if TYPE_CHECKING:
    import tensorflow as tf

FOLDER = "tflite"
REPRESENTATIVE = 48
"""Training images that the ranges for int8 are taken from, each with a z of its own."""
_FILES = {"none": "float32", "float16": "float16", "dynamic": "dynamic", "int8": "int8"}
_NOTES = {
    "float16": ("weights are stored in 16 bits; computing, inputs and y are float32",),
    "dynamic": ("weights in 8 bits, activations are brought to 8 bits while it runs",),
}


# Transposed convolutions of a shape that is not known beforehand are not XNNPACK's, and the kernel
# that is left for float features with int8 weights is a plain loop.
_SLOW = "with --image_size=any it is many times slower than float32; give a size, or take int8"


class TFLiteFormat(Format):
    """Writes ``tflite/generator_*.tflite`` and opens such files."""

    name = "tflite"
    quantizations = tuple(_FILES)

    def check(self) -> None:
        require_runtime("--formats=tflite")

    def write(self, job: Job, folder: Path) -> list[Artifact]:
        wanted = [each for each in job.quantize if each in self.quantizations]
        # First of all: a data set that was moved must not cost the other conversions.
        inputs = representative(job) if "int8" in wanted else []
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        artifacts = []
        # int8 is made of other weights; the others are made of one intermediate model.
        plain = [each for each in wanted if each != "int8"]
        for group in (plain, [each for each in wanted if each == "int8"]):
            # Beside the result, on the disk whose space was looked at.
            with tempfile.TemporaryDirectory(prefix=".tflite-", dir=folder) as scratch:
                artifacts += [
                    self._write(job, each, inputs, Path(scratch), folder) for each in group
                ]
        artifacts.sort(key=lambda artifact: wanted.index(artifact.quantize))
        return artifacts

    def _write(
        self,
        job: Job,
        quantize: str,
        inputs: list[dict[str, np.ndarray]],
        scratch: Path,
        folder: Path,
    ) -> Artifact:
        path = f"{FOLDER}/generator_{_FILES[quantize]}.tflite"
        model = convert(job, quantize, inputs, scratch)
        write_bytes(folder / path, with_metadata(model, job.contract), sync=False)
        operators = read_operators(folder / path)
        _check_builtin(operators)
        notes: tuple[str, ...] = _NOTES.get(quantize, ())
        transposed = any(each.name == "TRANSPOSE_CONV" for each in operators)
        if quantize == "dynamic" and job.contract.image_size is None and transposed:
            notes += (_SLOW,)
        if quantize == "int8":
            notes = (_int8_note(operators),)
        return Artifact(path, self.name, quantize, notes)

    def write_encoder(self, job: Job, folder: Path) -> Artifact | None:
        import tensorflow as tf

        from tfpix2pix.export.core import EncoderCore

        path = f"{FOLDER}/{ENCODER}"
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tflite-", dir=folder) as scratch, _converting():
            saved = EncoderCore(job.encoder, job.contract, batch=1).save(scratch)
            model = tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert()
        write_bytes(folder / path, with_metadata(model, job.contract, encoder=True), sync=False)
        _check_builtin(read_operators(folder / path))
        return Artifact(path, self.name)

    def open(self, path: Path, threads: int | None = None) -> TFLiteEngine:
        return TFLiteEngine(path, threads)

    def open_encoder(self, path: Path, threads: int | None = None) -> TFLiteEncoder:
        return TFLiteEncoder(path, threads)


FORMAT = TFLiteFormat()


def convert(job: Job, quantize: str, inputs: list[dict[str, np.ndarray]], scratch: Path) -> bytes:
    """The TFLite model of a job's generator.

    Args:
      job: what is exported.
      quantize: ``none``, ``float16``, ``dynamic`` or ``int8``.
      inputs: representative inputs by name, for int8.
      scratch: a folder for an intermediate model: empty, or with that of another precision of the
        same job, neither of them int8.

    Raises:
      UserError: TensorFlow's converter gives up.
    """
    import tensorflow as tf

    from tfpix2pix.export.tflite import equalize, int8

    generator = job.generator
    with _converting(f"the generator to {_FILES[quantize]}", "leave that out of --quantize"):
        if quantize == "int8":
            made = job.contract.generator
            if made.family in equalize.KNOWN:
                tensors = (list(each.values()) for each in inputs)
                generator = equalize.equalized(generator, job.contract.generator, tensors)
            quantizer = int8.Quantizer(_save(job, generator, scratch), lambda: iter(inputs))
            return quantizer.convert(
                special_ends=made.family in int8.KNOWN,
                float_last=made.x_last,
                tanh=made.activation == "tanh",
            )
        converter = tf.lite.TFLiteConverter.from_saved_model(str(_save(job, generator, scratch)))
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


@contextlib.contextmanager
def _converting(
    what: str = "the encoder", advice: str = "leave tflite out of --formats"
) -> Iterator[None]:
    """Keeps the converter quiet, and says in a sentence why it gave up."""
    from tensorflow.lite.python.convert import ConverterError

    from tfpix2pix.base.quiet import error_stream_aside

    try:
        # It talks from C++, on the stream that the progress line writes to.
        with error_stream_aside():
            yield
    except (ValueError, RuntimeError, ConverterError) as error:
        reason = str(error).strip().splitlines()
        raise UserError(
            f"--formats=tflite: TensorFlow cannot convert {what} "
            f"({reason[0][:200] if reason else 'no reason'}); {advice}, or install the versions "
            "that BUILD.md names"
        ) from None


def _save(job: Job, generator: tf.keras.Model, scratch: Path) -> Path:
    from tfpix2pix.export.core import Core

    if (scratch / "saved_model.pb").exists():
        return scratch
    # One image where the size is fixed: delegates of phones take graphs of fixed shapes only.
    batch = None if job.contract.image_size is None else 1
    return Core(generator, job.contract, batch).save(scratch)


def representative(job: Job) -> list[dict[str, np.ndarray]]:
    """Inputs of the training by name, x tiled to the export's size, each with a seed of its own.

    Raises:
      UserError: the data set cannot be read.
    """
    return list(_pairs(job))


def _pairs(job: Job) -> Iterator[dict[str, np.ndarray]]:
    from tfpix2pix.export.pictures import tiled

    for seed, image in enumerate(job.training_inputs(REPRESENTATIVE)):
        x = tiled(image, *(job.contract.image_size or image.shape[:2]))
        # TensorFlow's calibrator wants them by name.
        yield job.inputs_of(x, seed)


def _check_builtin(operators: list[Operator]) -> None:
    custom = sorted({each.name for each in operators if each.name in ("CUSTOM", "DELEGATE")})
    if custom:
        raise UserError(
            "--formats=tflite: the converter of this TensorFlow left operators that a plain "
            "interpreter does not know; install the versions that BUILD.md names"
        )


def _int8_note(operators: list[Operator]) -> str:
    convolutions = [each for each in operators if each.is_convolution]
    done = sum(each.is_int8 for each in convolutions)
    return (
        f"{done} of {len(convolutions)} convolutions in int8; the others, normalisation, masks, "
        "inputs and y in float32"
    )
