"""ONNX, run by onnxruntime; the graph is made in `onnx_graph`, quantised in `onnx_quantize`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_bytes
from tfpix2pix.base.version import __version__
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine import Engine, short_reason
from tfpix2pix.export.formats import Artifact, Format, Job, require

if TYPE_CHECKING:
    import onnx
    import onnxruntime

FOLDER = "onnx"
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
        from tfpix2pix.export.onnx.graph import OPSET, convert
        from tfpix2pix.export.onnx.opset import label, set_opset

        wanted = [each for each in job.quantize if each in self.quantizations]
        if not wanted:
            return []
        _check_size(job)
        # By whether the transposed convolutions are split: see `graph.convert`.
        models = {}
        forms = {q: job.contract.noise or q == "int8" for q in wanted}
        try:
            for split in set(forms.values()):
                models[split] = convert(job.generator, job.contract, split=split)
        except ValueError as error:
            raise UserError(
                f"--formats=onnx: the generator cannot be converted ({error}); install the "
                "versions that BUILD.md names, or leave onnx out of --formats"
            ) from None
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
            _write(made, job.contract, folder / path)
            artifacts.append(Artifact(path, self.name, quantize, _NOTES.get(quantize, ()), opset))
        return artifacts

    def open(self, path: Path, threads: int | None = None) -> OnnxEngine:
        return OnnxEngine(path, threads)


_NOTES = {
    "float16": ("weights are stored in 16 bits; computing, inputs and y are float32",),
    "int8": ("convolutions in 8 bits, normalisation and activations in float32",),
}


class OnnxEngine(Engine):
    """An ONNX file, run by onnxruntime on the CPU.

    Args:
      path: the file.
      threads: that one image is computed on; None for onnxruntime's own choice.

    Raises:
      UserError: onnxruntime is not installed, or the file is damaged or carries no contract.
    """

    name = "onnxruntime"

    def __init__(self, path: str | os.PathLike[str], threads: int | None = None) -> None:
        self.path = Path(path)
        require_runner(os.fspath(self.path))
        from tfpix2pix.export.engine_check import Refused, refusal
        from tfpix2pix.export.onnx.check import check_onnx

        try:
            self.contract = check_onnx(self.path, METADATA)
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
            return self.session.run(["y"], inputs)[0]
        except MemoryError:
            raise
        except Exception as error:  # as above
            if "bad_alloc" in str(error) or "allocate memory" in str(error):
                raise MemoryError from None
            raise self.failed(error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be loaded ({short_reason(error)}); export again")


def require_runner(path: str) -> None:
    """Sees that what runs an ONNX file is installed.

    Raises:
      UserError: it is not.
    """
    for name in ("onnx", "onnxruntime"):
        require(name, name, f"{path}: running it", "onnx")


def _check_size(job: Job) -> None:
    size = sum(4 * int(np.prod(weight.shape)) for weight in job.generator.weights)
    if size > 0.99 * _LARGEST:
        raise UserError(
            f"--formats=onnx: the generator has {size / 2**30:.1f} GiB of weights, and an ONNX "
            "file holds less than 2 GiB; leave onnx out of --formats"
        )


def _write(model: onnx.ModelProto, contract: Contract, path: Path) -> None:
    """Checks a model and writes it with its contract."""
    import onnx

    model.producer_name, model.producer_version = "tfpix2pix", __version__
    model.domain, model.model_version = "", 1
    size = (
        "any size" if contract.image_size is None else "{1}x{0} pixels".format(*contract.image_size)
    )
    model.doc_string = (
        f"pix2pix generator, y = {contract.formula}, {size}, step "
        f"{contract.step}; how to use it is in the metadata '{METADATA}' (JSON)"
    )
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA: contract.to_json()})
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, model.SerializeToString())


FORMAT = OnnxFormat()
