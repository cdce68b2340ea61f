"""Running a TFLite file, with LiteRT or with the interpreter that TensorFlow brings."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.quiet import error_stream_aside
from tfpix2pix.export.engine import Engine, ExportedEncoder, Loaded, short_reason
from tfpix2pix.export.engine_check import Refused, refusal
from tfpix2pix.export.formats import require
from tfpix2pix.export.tflite.check import SIGNATURE, check_tflite
from tfpix2pix.export.tflite.file import check_whole

ENCODER = "encoder_float32.tflite"


class _TFLiteNetwork(Loaded):
    """A TFLite file, run on the CPU with the XNNPACK kernels where they fit.

    A model of fixed size takes one image at a time, so a batch is run image by image. One of any
    size is made ready anew whenever the shape changes.

    Args:
      path: the file.
      threads: that one image is computed on; None for as many as the machine has processors.
      runtime: ``ai_edge_litert`` or ``tf.lite``; None for the first that is installed.

    Raises:
      UserError: no interpreter is installed, or the file is damaged or carries no contract.
    """

    def __init__(
        self, path: str | os.PathLike[str], threads: int | None = None, runtime: str | None = None
    ) -> None:
        self.path, self.threads = Path(path), threads
        require_runtime(f"{self.path}: running it")
        interpreter, self.name = _interpreter_class(runtime)
        try:
            check_whole(self.path)
            self.contract = check_tflite(self.path, encoder=self._is_encoder)
            with error_stream_aside():
                self._interpreter = interpreter(
                    model_path=os.fspath(self.path), num_threads=threads or os.cpu_count() or 1
                )
        except Refused as error:
            raise refusal(self.path, error) from None
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{self.path} cannot be loaded ({short_reason(error)}); export again"
            ) from None
        self._connect()
        self._shape: tuple[int, ...] | None = None

    def _connect(self) -> None:
        """Finds the inputs and y by the names that the signature gives them."""
        runner = self._interpreter.get_signature_runner(SIGNATURE)
        self._places = {k: int(v["index"]) for k, v in runner.get_input_details().items()}
        self._output = int(runner.get_output_details()[self.OUTPUT]["index"])

    @property
    def _is_encoder(self) -> bool:
        return isinstance(self, ExportedEncoder)

    @property
    def _any_size(self) -> bool:
        return self.contract.image_size is None and not self._is_encoder

    def run(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        count = len(inputs[self.inputs[0]])
        if self._any_size or count == 1:
            return self._run(inputs)
        images = [self._run({k: v[i : i + 1] for k, v in inputs.items()}) for i in range(count)]
        return np.concatenate(images)

    def _run(self, tensors: dict[str, np.ndarray]) -> np.ndarray:
        try:
            return self._invoke(tensors)
        except (RuntimeError, ValueError) as error:
            raise self.failed(error) from None

    def _invoke(self, tensors: dict[str, np.ndarray]) -> np.ndarray:
        shape = tensors[self.inputs[0]].shape
        if shape != self._shape:
            self._shape = None
            if self._any_size:
                for name, value in tensors.items():
                    self._interpreter.resize_tensor_input(self._places[name], value.shape)
            with error_stream_aside():
                self._interpreter.allocate_tensors()
            self._shape = shape
        for name, value in tensors.items():
            self._interpreter.set_tensor(self._places[name], value)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)


class TFLiteEngine(_TFLiteNetwork, Engine):
    """A generator; see `_TFLiteNetwork`."""

    def _encoder(self) -> TFLiteEncoder | None:
        path = self.path.with_name(ENCODER)
        return TFLiteEncoder(path, self.threads) if path.is_file() else None


class TFLiteEncoder(_TFLiteNetwork, ExportedEncoder):
    """An encoder; see `_TFLiteNetwork`."""


def require_runtime(what: str) -> None:
    """Sees that there is an interpreter, without importing it.

    Raises:
      UserError: there is none.
    """
    if not _has_tensorflow_lite():
        require("ai_edge_litert", "ai-edge-litert", what, "tflite")


def runtimes() -> list[str]:
    """The interpreters that are installed, the preferred one first."""
    found = ["ai_edge_litert"] if importlib.util.find_spec("ai_edge_litert") else []
    return found + (["tf.lite"] if _has_tensorflow_lite() else [])


def _has_tensorflow_lite() -> bool:
    # Looked for as a file: finding a module inside TensorFlow would import TensorFlow.
    spec = importlib.util.find_spec("tensorflow")
    places = (spec and spec.submodule_search_locations) or []
    return any(Path(place, "lite", "python", "interpreter.py").is_file() for place in places)


def _interpreter_class(runtime: str | None) -> tuple[Any, str]:
    """The class, and the name for tables."""
    if runtime != "tf.lite":
        try:
            from ai_edge_litert.interpreter import Interpreter

            return Interpreter, "LiteRT"
        except ImportError:
            if runtime is not None:
                raise
    import tensorflow as tf

    return tf.lite.Interpreter, "tf.lite"
