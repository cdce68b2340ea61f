"""``export.json``: what an export consists of, with checksums, and what proved it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfpix2pix.errors import UserError
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.formats import FORMATS, Artifact

FILE = "export.json"


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

    def to_json(self) -> str:
        artifacts = [
            {
                "path": artifact.path,
                "format": artifact.format,
                "quantize": artifact.quantize,
                "notes": list(artifact.notes),
                **({} if artifact.opset is None else {"opset": artifact.opset}),
                "sha256": sums,
            }
            for artifact, sums in self.artifacts
        ]
        return (
            json.dumps(
                {
                    "contract": self.contract.to_dict(),
                    "artifacts": artifacts,
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
            artifacts = []
            for entry in values["artifacts"]:
                if entry["format"] not in FORMATS:
                    raise ValueError("an unknown format")
                artifact = Artifact(
                    _below(entry["path"]),
                    entry["format"],
                    entry["quantize"],
                    tuple(entry["notes"]),
                    None if entry.get("opset") is None else int(entry["opset"]),
                )
                sums = {_below(name): str(digest) for name, digest in entry["sha256"].items()}
                artifacts.append((artifact, sums))
            files = [_below(name) for name in values["files"]]
            return cls(
                contract, artifacts, str(values["run"]), values["proof"], values["made"], files
            )
        except FileNotFoundError:
            raise UserError(
                f"{folder} holds no {FILE}, so it is no export; give the folder that "
                "`tfpix2pix export` wrote"
            ) from None
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); mend that") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UserError(f"{path} is damaged; export again") from None


def _below(name: str) -> str:
    """A relative path that stays below its folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name} leads out of the folder")
    return name


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
