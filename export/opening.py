"""Opening what `tfpix2pix export` wrote: a folder, or one file of it, as a `Translator`."""

from __future__ import annotations

import os
from pathlib import Path

from tfpix2pix.base.errors import UserError
from tfpix2pix.config.base import chosen_direction
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine import Engine
from tfpix2pix.export.formats import load_format
from tfpix2pix.export.manifest import FILE, Index, Manifest
from tfpix2pix.export.publish import check_published
from tfpix2pix.inference import Translator

# Which artefact a folder stands for, if it holds several; all give the same picture.
_ORDER = ("savedmodel", "onnx", "tflite", "network", "web")
_SUFFIXES = {".tflite": "tflite", ".onnx": "onnx"}


def open_model(
    path: str | os.PathLike[str], threads: int | None = None, direction: str = ""
) -> Translator:
    """Opens an export for translating.

    Args:
      path: the folder of an export, of one direction or of both (its float32 artefact of the first
        format among SavedModel, ONNX and TFLite that it holds), a ``.tflite`` or ``.onnx`` file, or
        the folder of a SavedModel or of its versions (the newest).
      threads: of the engine, where it can be told; None for its own choice.
      direction: ``AtoB`` or ``BtoA``; empty for the only one, or the default of both.

    Raises:
      UserError: nothing that can be opened is there, or not of this direction.
    """
    engine = open_engine(path, threads, direction)
    _check_direction(direction, engine.contract, f"the export {path}")
    return translator_of(engine)


def translator_of(engine: Engine) -> Translator:
    """What translates with an engine, by its contract."""
    contract = engine.contract
    return Translator(
        contract.config,
        engine,
        contract.step,
        contract.spec,
        contract.checkpoint,
        contract.weights,
        contract.direction,
        engine.open_encoder if contract.encodes else None,
    )


def open_named(name: str, direction: str = "") -> Translator:
    """Opens what ``--model`` names: a server, or as `open_model`, with TensorFlow kept quiet.

    Raises:
      UserError: nothing that can be opened is there, or not of this direction.
    """
    if "://" in name:
        from tfpix2pix.export.client.remote import open_remote

        served = open_remote(name)
        _check_direction(direction, served.contract, f"the model at {name}")
        return served
    from tfpix2pix.base.quiet import import_tensorflow

    find_artifact(name, direction)  # refused before TensorFlow takes its seconds
    import_tensorflow()
    return open_model(name, direction=direction)


def open_engine(
    path: str | os.PathLike[str], threads: int | None = None, direction: str = ""
) -> Engine:
    """The engine that runs an export's artefact; see `open_model`."""
    kind, place = find_artifact(path, direction)
    return load_format(kind).open(place, threads)


def find_artifact(path: str | os.PathLike[str], direction: str = "") -> tuple[str, Path]:
    """The format and the place of what a path stands for; see `open_model`.

    Raises:
      UserError: nothing that can be opened is there, or, as far as it can be told before it is
        opened, not of this direction.
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
    index = Index.find(place)
    if index is not None:
        place /= chosen_direction(direction, index.directions, f"the export {path}")
        if not place.is_dir():
            raise UserError(f"{place} is missing, of which {path} tells; export again")
    if (place / FILE).is_file():
        manifest = Manifest.load(place)
        _check_direction(direction, manifest.contract, f"the export {path}")
        artifacts = [artifact for artifact, _ in manifest.artifacts]
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


def _check_direction(wanted: str, contract: Contract, what: str) -> None:
    """Raises UserError where an export is not of the direction that was asked for, if any was."""
    advice = "leave --direction out"
    if wanted in contract.config.directions:
        advice += f", or export its run with --direction={wanted}"
    chosen_direction(wanted, [contract.direction], what, advice)
