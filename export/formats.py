"""The formats of an export, one module each, behind one small interface."""

from __future__ import annotations

import abc
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfpix2pix.base.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

    from tfpix2pix.export.contract import Contract
    from tfpix2pix.export.engine import Engine, ExportedEncoder
    from tfpix2pix.inference import Translator

QUANTIZATIONS = ("none", "float16", "dynamic", "int8")
# Name -> module; each has a `FORMAT`. None imports its optional package before it is used.
_MODULES = {
    "savedmodel": "tfpix2pix.export.savedmodel.format",
    "tflite": "tfpix2pix.export.tflite.format",
    "onnx": "tfpix2pix.export.onnx.format",
    "network": "tfpix2pix.export.savedmodel.network",
    "web": "tfpix2pix.export.web.format",
}
FORMATS = tuple(_MODULES)
USUAL = ("savedmodel", "tflite", "onnx", "network")
"""What an export consists of where it is not said."""


@dataclass(frozen=True)
class Job:
    """What is to be exported.

    Attributes:
      contract: what the artefacts promise.
      translator: the run, in Keras: what the artefacts must equal.
      generator: its generator in float32, with z as the contract says (`core.export_generator`).
      encoder: its encoder in float32 where the contract `encodes`; else None.
      quantize: the quantisations asked for, of `QUANTIZATIONS`.
      output: the folder that the export will stand in (only to see which versions are taken).
      name: what the model is called in server configurations: letters, digits, ``_`` and ``-``.
      training_inputs: gives up to so many inputs of the run's own training split, x float32
        ``[H, W, C_in]`` in [-1, 1] each, for quantisers to look at.
      say: told what is being done, in a sentence.
      opset: of ONNX files; None for the oldest that holds each.
      stored_inputs: gives up to so many inputs of the run's data as they are stored, see
        `pictures.stored_inputs`.
      examples: inputs of the run's val split that a page may show, as `training_inputs` has them.
      draw: what one draws on a page, of `kinds.DRAWS`.
    """

    contract: Contract
    translator: Translator
    generator: tf.keras.Model
    quantize: tuple[str, ...]
    output: Path
    name: str
    training_inputs: Callable[[int], Iterator[np.ndarray]]
    say: Callable[[str], None] = field(default=lambda text: None)
    opset: int | None = None
    stored_inputs: Callable[[int], list[np.ndarray]] = lambda count: []
    examples: Sequence[np.ndarray] = ()
    draw: str = "auto"
    encoder: tf.keras.Model | None = None

    def inputs_of(self, x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """The network's inputs by name for an x ``[H, W, C_in]``, the others drawn from a seed."""
        inputs = {"x": x[None].astype(np.float32)}
        if self.contract.noise:
            inputs["z"] = self.translator.noise(inputs["x"], [seed])
        if self.contract.latent_size:
            inputs["latent"] = self.translator.latent([seed])
        return inputs


@dataclass(frozen=True)
class Artifact:
    """One exported model: a file, or the folder of a SavedModel.

    Attributes:
      path: below the output folder, with ``/``: ``tflite/generator_int8.tflite``.
      format: of `FORMATS`.
      quantize: of `QUANTIZATIONS`.
      notes: what to know about it, in sentences.
      opset: of an ONNX file; None for other formats, and where an older version did not tell.
    """

    path: str
    format: str
    quantize: str = "none"
    notes: tuple[str, ...] = ()
    opset: int | None = None


class Format(abc.ABC):
    """Writes and opens one format."""

    name: ClassVar[str]
    quantizations: ClassVar[tuple[str, ...]]
    """Those that the format knows; others are left out with a note."""

    @abc.abstractmethod
    def check(self) -> None:
        """Sees that what writing needs is installed.

        Raises:
          UserError: a package is missing; names the extra that brings it.
        """

    @abc.abstractmethod
    def write(self, job: Job, folder: Path) -> list[Artifact]:
        """Writes the artefacts below `folder`, at the paths that they will have in the output.

        Raises:
          UserError: it cannot be done; says why and what to do.
        """

    def write_encoder(self, job: Job, folder: Path) -> Artifact | None:
        """Likewise the encoder of a job that has one, in float32; None where the generator's
        artefact holds it too."""
        return None

    @abc.abstractmethod
    def open(self, path: Path, threads: int | None = None) -> Engine:
        """Loads an artefact.

        Args:
          path: the file, or the folder of one version.
          threads: of the engine, where it can be told; None for its own choice.

        Raises:
          UserError: it is damaged, carries no contract, or what runs it is not installed.
        """

    def open_encoder(self, path: Path, threads: int | None = None) -> ExportedEncoder:
        """Loads an encoder: its artefact, or where it has none of its own, the generator's.

        Raises:
          UserError: as `open`, or there is none.
        """
        return self.open(path, threads).open_encoder()

    def extras(self, jobs: Mapping[str, Job], name: str, folder: Path) -> list[str]:
        """Writes further files that go with the export.

        Args:
          jobs: by the folder, below `folder`, that each was written to: "" for `folder` itself.
          name: of the export as a whole.
          folder: of the export.

        Returns:
          Their paths below `folder`.
        """
        return []


def load_format(name: str) -> Format:
    """The format of that name."""
    return importlib.import_module(_MODULES[name]).FORMAT


def require(module: str, package: str, what: str, extra: str) -> None:
    """Sees that a package can be imported, without importing all of it.

    Raises:
      UserError: it is not installed, or broken.
    """
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise UserError(
            f"{what} needs the package {package}, which is not installed: "
            f'python -m pip install "tfpix2pix[{extra}]" (in a clone: -e ".[{extra}]")'
        )
