"""``export.json``: what an export consists of, with checksums, and what proved it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.version import __version__
from tfpix2pix.data.config import DIRECTIONS
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.formats import FORMATS, QUANTIZATIONS, Artifact

FILE, REPORT = "export.json", "export_report.html"
PLACES = (
    *("saved_model", "tflite", "onnx", "network", "network_encoder", "web", "serving"),
    *(FILE, REPORT),
)
"""What the folder of an export holds; an export writes and removes nothing else there."""
FOLDERS = DIRECTIONS
"""Where a run learned both ways, each direction's export is in a folder of its own, and the folder
above them holds the index of both (`Index`) and ``serving/``."""
_INDEX = "tfpix2pix export of several directions"
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*", re.ASCII)


@dataclass
class Manifest:
    """The content of ``export.json``.

    Attributes:
      contract: of all artefacts.
      artifacts: each with its checksums: file (relative to the artefact's parent) to SHA-256.
      run: the workdir that it was made from, absolute.
      proof: what the checks measured (`proof.Proof.to_dict`).
      made: facts on the making: time, versions, command.
    """

    contract: Contract
    artifacts: list[tuple[Artifact, dict[str, str]]]
    run: str
    proof: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    """Other files of the export, below the output folder."""
    encoders: list[tuple[Artifact, dict[str, str]]] = field(default_factory=list)
    """Of an export that has an encoder: those that are files of their own, like `artifacts`."""

    @property
    def everything(self) -> list[tuple[Artifact, dict[str, str]]]:
        """`artifacts` and `encoders`."""
        return [*self.artifacts, *self.encoders]

    def to_json(self) -> str:
        def plain_values(
            artifacts: list[tuple[Artifact, dict[str, str]]],
        ) -> list[dict[str, Any]]:
            return [
                {
                    "path": artifact.path,
                    "format": artifact.format,
                    "quantize": artifact.quantize,
                    "notes": list(artifact.notes),
                    **({} if artifact.opset is None else {"opset": artifact.opset}),
                    "sha256": sums,
                }
                for artifact, sums in artifacts
            ]

        return (
            json.dumps(
                {
                    "contract": self.contract.to_dict(),
                    "artifacts": plain_values(self.artifacts),
                    **({"encoders": plain_values(self.encoders)} if self.encoders else {}),
                    "files": self.files,
                    "run": self.run,
                    "made": self.made,
                    "proof": self.proof,
                },
                indent=2,
            )
            + "\n"
        )

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Reads the ``export.json`` of an export.

        Raises:
          UserError: there is none, or it is damaged.
        """
        path = folder / FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            contract = Contract.parse(json.dumps(values["contract"]), str(path))
            if not all(isinstance(values[name], list) for name in ("artifacts", "files")):
                raise ValueError("no lists")
            artifacts = [_artifact(entry) for entry in values["artifacts"]]
            encoders = [_artifact(entry) for entry in values.get("encoders", [])]
            files = [_placed(name) for name in values["files"]]
            (run,) = _texts([values["run"]])
            proof, made = values["proof"], values["made"]
            if not all(isinstance(value, dict) for value in (proof, made, values)):
                raise ValueError("no objects")
            for row in [*proof.get("rows", []), *proof.get("encoders", [])]:
                _texts([row["path"]])
            return cls(contract, artifacts, run, proof, made, files, encoders)
        except FileNotFoundError:
            raise UserError(
                f"{folder} holds no {FILE}, so it is no export; give the folder that "
                "`tfpix2pix export` wrote"
            ) from None
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); mend that") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            raise UserError(f"{path} is damaged; export again") from None


@dataclass(frozen=True)
class Index:
    """The content of ``export.json`` above the exports of several directions.

    Attributes:
      directions: the folders that hold them, of `FOLDERS`, the default one first.
      run: the workdir that they were made from, absolute.
      made: facts on the making: time, versions, command.
      files: other files of the export, below the output folder.
    """

    directions: tuple[str, ...]
    run: str
    made: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        content = {
            "kind": _INDEX,
            "tfpix2pix": __version__,
            "directions": list(self.directions),
            "run": self.run,
            "files": self.files,
            "made": self.made,
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def find(cls, folder: Path) -> Index | None:
        """The index in a folder; None where there is none, as in that of a single export.

        Raises:
          UserError: it is damaged.
        """
        path = folder / FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["kind"] != _INDEX:
                return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None  # `Manifest.load` says what is wrong with it
        try:
            directions = tuple(_texts(values["directions"]))
            files = [_placed(name) for name in values["files"]]
            (run,) = _texts([values["run"]])
            made = values["made"]
            if not directions or not set(directions) <= set(FOLDERS) or not isinstance(made, dict):
                raise ValueError("no folders of directions")
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path} is damaged; export again") from None
        return cls(directions, run, made, files)


def is_place(name: str) -> bool:
    """Whether an export has a file or folder of that name below its own."""
    first, _, rest = name.partition("/")
    return (rest.split("/")[0] if first in FOLDERS else first) in PLACES


def plain(name: Any) -> str:
    """A relative path of plain names (letters, digits, ``_``, ``-``, ``.``), none of them hidden.

    Raises:
      ValueError: it is anything else, such as a path that leads out of its folder.
    """
    if not isinstance(name, str) or not _PLAIN.fullmatch(name):
        raise ValueError(f"{name!r} is no plain path below the folder")
    return name


def _artifact(entry: Any) -> tuple[Artifact, dict[str, str]]:
    """An artefact and its checksums; raises ValueError, and others, for what is none."""
    if entry["format"] not in FORMATS or entry["quantize"] not in QUANTIZATIONS:
        raise ValueError("an unknown format")
    artifact = Artifact(
        _placed(entry["path"]),
        entry["format"],
        entry["quantize"],
        tuple(_texts(entry["notes"])),
        None if entry.get("opset") is None else int(entry["opset"]),
    )
    return artifact, {plain(name): str(digest) for name, digest in entry["sha256"].items()}


def _placed(name: Any) -> str:
    if not is_place(plain(name)):
        raise ValueError(f"{name} is no place of an export")
    return name


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(
        isinstance(value, str) and "\0" not in value for value in values
    ):
        raise ValueError("no list of texts")
    return values


def checksums(path: Path) -> dict[str, str]:
    """SHA-256 of an artefact's file, or of every file in its folder."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {file.relative_to(path.parent).as_posix(): _digest(file) for file in files}


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
