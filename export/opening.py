"""Opening what `tfpix2pix export` wrote: a folder, or one file of it, as a `Translator`."""

from __future__ import annotations

import os
from pathlib import Path

from tfpix2pix.base.errors import UserError
from tfpix2pix.export.engine import Engine
from tfpix2pix.export.formats import load_format
from tfpix2pix.export.manifest import FILE, Manifest
from tfpix2pix.export.publish import check_published
from tfpix2pix.inference import Translator

# Which artefact a folder stands for, if it holds several; all give the same picture.
_ORDER = ("savedmodel", "onnx", "tflite", "network")
_SUFFIXES = {".tflite": "tflite", ".onnx": "onnx"}


def open_model(path: str | os.PathLike[str], threads: int | None = None) -> Translator:
    """Opens an export for translating.

    Args:
      path: the folder of an export (its float32 artefact of the first format among SavedModel,
        ONNX and TFLite that it holds), a ``.tflite`` or ``.onnx`` file, or the folder of a
        SavedModel or of its versions (the newest).
      threads: of the engine, where it can be told; None for its own choice.

    Raises:
      UserError: nothing that can be opened is there.
    """
    engine = open_engine(path, threads)
    contract = engine.contract
    return Translator(
        contract.config,
        engine,
        contract.step,
        contract.spec,
        contract.checkpoint,
        contract.weights,
    )


def open_named(name: str) -> Translator:
    """Opens what ``--model`` names: a server, or as `open_model`, with TensorFlow kept quiet.

    Raises:
      UserError: nothing that can be opened is there.
    """
    if "://" in name:
        from tfpix2pix.export.client.remote import open_remote

        return open_remote(name)
    from tfpix2pix.base.quiet import import_tensorflow

    find_artifact(name)  # refused before TensorFlow takes its seconds
    import_tensorflow()
    return open_model(name)


def open_engine(path: str | os.PathLike[str], threads: int | None = None) -> Engine:
    """The engine that runs an export's artefact; see `open_model`."""
    kind, place = find_artifact(path)
    return load_format(kind).open(place, threads)


def find_artifact(path: str | os.PathLike[str]) -> tuple[str, Path]:
    """The format and the place of what a path stands for; see `open_model`.

    Raises:
      UserError: nothing that can be opened is there.
    """
    place = Path(path).expanduser()
    if place.is_file():
        if place.suffix.lower() not in _SUFFIXES:
            raise UserError(
                f"--model={path}: expected a .tflite or .onnx file, or the folder of an export"
            )
        return _SUFFIXES[place.suffix.lower()], place
    if not place.is_dir():
        raise UserError(
            f"--model={path}: no such file or folder; give what `tfpix2pix export` wrote"
        )
    check_published(place)
    if (place / "saved_model.pb").is_file():
        return "savedmodel", place
    if (place / FILE).is_file():
        artifacts = [artifact for artifact, _ in Manifest.load(place).artifacts]
        artifacts.sort(key=lambda a: (a.quantize != "none", _ORDER.index(a.format)))
        if artifacts:
            return artifacts[0].format, place / artifacts[0].path
    versions = [
        entry
        for entry in place.iterdir()
        if entry.name.isdecimal() and (entry / "saved_model.pb").is_file()
    ]
    if versions:
        return "savedmodel", max(versions, key=lambda entry: int(entry.name))
    raise UserError(
        f"--model={path} holds no export ({FILE}, saved_model.pb or numbered versions); give the "
        "folder that `tfpix2pix export` wrote, or a .tflite or .onnx file of it"
    )
