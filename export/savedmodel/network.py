"""The network alone as a SavedModel of one function, for converters to other platforms.

A served SavedModel has many signatures, with strings and random numbers in them. Core ML's
converter refuses it ("unable to determine the type of the model"), and those of TensorFlow.js,
OpenVINO and tf2onnx take ``serving_default``, pictures to pictures, and fail or leave z out. Here
``serving_default`` is the one function that there is: x (and z) to y.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_text
from tfpix2pix.export.formats import Artifact, Format, Job
from tfpix2pix.export.savedmodel.format import (
    CONTRACT,
    ENCODER,
    SavedModelEncoder,
    SavedModelEngine,
)

if TYPE_CHECKING:
    from tfpix2pix.export.contract import Contract
    from tfpix2pix.export.core import Exportable

FOLDER = "network"


class NetworkFormat(Format):
    """Writes ``network/`` and opens it."""

    name = "network"
    quantizations = ("none",)

    def check(self) -> None:
        """TensorFlow is all that it needs."""

    def write(self, job: Job, folder: Path) -> list[Artifact]:
        from tfpix2pix.export.core import Core

        _save(Core(job.generator, job.contract), job.contract, folder / FOLDER)
        return [Artifact(FOLDER, self.name, notes=_NOTES)]

    def write_encoder(self, job: Job, folder: Path) -> Artifact | None:
        from tfpix2pix.export.core import EncoderCore

        _save(EncoderCore(job.encoder, job.contract), job.contract, folder / ENCODER)
        return Artifact(ENCODER, self.name, notes=_NOTES)

    def open(self, path: Path, threads: int | None = None) -> SavedModelEngine:
        return SavedModelEngine(path)

    def open_encoder(self, path: Path, threads: int | None = None) -> SavedModelEncoder:
        return SavedModelEncoder.open(path)


_NOTES = ("for converters: see docs/engines.md",)


def _save(network: Exportable, contract: Contract, path: Path) -> None:
    """Writes a network with the contract of its export.

    Raises:
      UserError: the disk is full, or refuses otherwise.
    """
    import tensorflow as tf

    try:
        path.mkdir(parents=True, exist_ok=True)
        network.save(path)
        (path / CONTRACT).parent.mkdir(exist_ok=True)
        write_text(path / CONTRACT, contract.to_json())
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", error)
        raise UserError(
            f"{path}: the network cannot be written ({reason}); see to room and permission"
        ) from None


FORMAT = NetworkFormat()
