"""ONNX, run by onnxruntime; the graph is made in `graph`, quantised in `quantize`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_bytes
from tfpix2pix.base.version import __version__
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine import Engine, ExportedEncoder, Loaded, short_reason
from tfpix2pix.export.formats import Artifact, Format, Job, require

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    import tensorflow as tf

FOLDER = "onnx"
ENCODER = "encoder_float32.onnx"
METADATA = "tfpix2pix"
"""Key of the contract's JSON in the model's metadata."""
_FILES = {"none": "float32", "float16": "float16", "int8": "int8"}
_LARGEST = 2**31 - 1  # bytes of a protocol buffer
_SILENT = 4  # onnxruntime's log level "fatal": errors come as exceptions


class OnnxFormat(Format):
    """Writes ``onnx/generator_*.onnx`` and opens such files."""

    name = "onnx"
    # Not "dynamic": see `onnx_quantize`.
    quantizations = tuple(_FILES)

    def check(self) -> None:
        for name in ("tf2onnx", "onnx", "onnxruntime"):
            require(name, name, f"--formats={self.name}", "onnx")

    def write(self, job: Job, folder: Path) -> list[Artifact]:
        from tfpix2pix.export.onnx import quantize as quantizers
        from tfpix2pix.export.onnx.graph import KNOWN, OPSET, convert
        from tfpix2pix.export.onnx.opset import label, set_opset

        wanted = [each for each in job.quantize if each in self.quantizations]
        if not wanted:
            return []
        _check_size(job.generator)
        # By whether the transposed convolutions are split: see `graph.convert`. Families that are
        # not rewritten have one form.
        models = {}
        one = job.contract.noise or job.contract.generator.family not in KNOWN
        forms = {q: one or q == "int8" for q in wanted}
        try:
            for split in set(forms.values()):
                models[split] = convert(job.generator, job.contract, split=split)
        except ValueError as error:
            raise _not_converted("generator", error) from None
        artifacts = []
        for quantize in wanted:
            made = model = models[forms[quantize]]
            set_opset(model, OPSET)  # quantisers may use what the file before was too old for
            if quantize == "float16":
                made = quantizers.float16(model)
            elif quantize == "int8":
                made = quantizers.int8(model, job)
            path = f"{FOLDER}/generator_{_FILES[quantize]}.onnx"
            opset = label(made, job.opset, path)
            _write(made, job.contract, folder / path, _described(job.contract))
            artifacts.append(Artifact(path, self.name, quantize, _NOTES.get(quantize, ()), opset))
        return artifacts

    def write_encoder(self, job: Job, folder: Path) -> Artifact | None:
        from tfpix2pix.export.onnx.graph import convert_encoder
        from tfpix2pix.export.onnx.opset import label

        _check_size(job.encoder)
        try:
            model = convert_encoder(job.encoder, job.contract)
        except ValueError as error:
            raise _not_converted("encoder", error) from None
        path = f"{FOLDER}/{ENCODER}"
        opset = label(model, job.opset, path)
        height, width, _ = job.contract.encoder_shape
        what = f"encoder, latent = E(y), {width}x{height} pixels"
        _write(model, job.contract, folder / path, what)
        return Artifact(path, self.name, opset=opset)

    def open(self, path: Path, threads: int | None = None) -> OnnxEngine:
        return OnnxEngine(path, threads)

    def open_encoder(self, path: Path, threads: int | None = None) -> OnnxEncoder:
        return OnnxEncoder(path, threads)


_NOTES = {
    "float16": ("weights are stored in 16 bits; computing, inputs and y are float32",),
    "int8": ("convolutions in 8 bits, normalisation and activations in float32",),
}


class _OnnxNetwork(Loaded):
    """An ONNX file, run by onnxruntime on the CPU.

    Args:
      path: the file.
      threads: that one image is computed on; None for onnxruntime's own choice.

    Raises:
      UserError: onnxruntime is not installed, or the file is damaged or carries no contract.
    """

    name = "onnxruntime"

    def __init__(self, path: str | os.PathLike[str], threads: int | None = None) -> None:
        self.path, self.threads = Path(path), threads
        require_runner(os.fspath(self.path))
        from tfpix2pix.export.engine_check import Refused, refusal
        from tfpix2pix.export.onnx.check import check_onnx

        try:
            is_encoder = isinstance(self, ExportedEncoder)
            self.contract = check_onnx(self.path, METADATA, encoder=is_encoder)
        except Refused as error:
            raise refusal(self.path, error) from None
        except (ValueError, OSError) as error:
            raise _damaged(self.path, error) from None
        self.session = self._session(threads)
        if {each.name for each in self.session.get_inputs()} != set(self.inputs):
            raise UserError(
                f"{self.path}: its inputs are not the {' and '.join(self.inputs)} that its "
                "contract names; export again"
            )

    def _session(self, threads: int | None) -> onnxruntime.InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SILENT
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            return onnxruntime.InferenceSession(
                os.fspath(self.path), options, providers=["CPUExecutionProvider"]
            )
        except MemoryError:
            raise
        # onnxruntime has an exception of its own for every kind of damage.
        except Exception as error:
            raise _damaged(self.path, error) from None

    def run(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        try:
            return self.session.run([self.OUTPUT], inputs)[0]
        except MemoryError:
            raise
        except Exception as error:  # as above
            if "bad_alloc" in str(error) or "allocate memory" in str(error):
                raise MemoryError from None
            raise self.failed(error) from None


class OnnxEngine(_OnnxNetwork, Engine):
    """A generator; see `_OnnxNetwork`."""

    def _encoder(self) -> OnnxEncoder | None:
        path = self.path.with_name(ENCODER)
        return OnnxEncoder(path, self.threads) if path.is_file() else None


class OnnxEncoder(_OnnxNetwork, ExportedEncoder):
    """An encoder; see `_OnnxNetwork`."""


def _not_converted(what: str, error: ValueError) -> UserError:
    return UserError(
        f"--formats=onnx: the {what} cannot be converted ({error}); install the versions that "
        "BUILD.md names, or leave onnx out of --formats"
    )


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be loaded ({short_reason(error)}); export again")


def require_runner(path: str) -> None:
    """Sees that what runs an ONNX file is installed.

    Raises:
      UserError: it is not.
    """
    for name in ("onnx", "onnxruntime"):
        require(name, name, f"{path}: running it", "onnx")


def _check_size(network: tf.keras.Model) -> None:
    size = sum(4 * int(np.prod(weight.shape)) for weight in network.weights)
    if size > 0.99 * _LARGEST:
        raise UserError(
            f"--formats=onnx: the {network.name} has {size / 2**30:.1f} GiB of weights, and an "
            "ONNX file holds less than 2 GiB; leave onnx out of --formats"
        )


def _described(contract: Contract) -> str:
    """What the generator's file holds, in words."""
    size = contract.image_size
    sizes = "any size" if size is None else f"{size[1]}x{size[0]} pixels"
    return f"pix2pix generator, y = {contract.formula}, {sizes}"


def _write(model: onnx.ModelProto, contract: Contract, path: Path, what: str) -> None:
    """Checks a model and writes it with its contract, and what it is in words."""
    import onnx

    model.producer_name, model.producer_version = "tfpix2pix", __version__
    model.domain, model.model_version = "", 1
    model.doc_string = (
        f"{what}, step {contract.step}; how to use it is in the metadata '{METADATA}' (JSON)"
    )
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA: contract.to_json()})
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, model.SerializeToString())


FORMAT = OnnxFormat()
