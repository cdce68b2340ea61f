"""What a reproduction is: one base config, variants of it, seeds; and the folder that holds it.

::

    DIR/reproduction.json     the base config, what every run shares
    DIR/scorer/               the FCN that scores photographs, unless another one was given
    DIR/runs/VARIANT/seed0/   a run like any other (`tfpix2pix train`), its evaluation/val below it
    DIR/results/              figures, configs and outputs: nothing of the data set itself
    DIR/report.html           the page
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_json
from tfpix2pix.base.version import __version__
from tfpix2pix.config import Config, config_of
from tfpix2pix.reproduction.tables import LABELS, PHOTO, Variant

FILE = "reproduction.json"
_OPPOSITE = {"AtoB": "BtoA", "BtoA": "AtoB"}


@dataclass(frozen=True)
class Run:
    """One training: a variant with a seed."""

    variant: Variant
    seed: int
    config: Config
    workdir: Path

    @property
    def evaluation(self) -> Path:
        """Where its scores stand."""
        return self.workdir / "evaluation" / "val"

    @property
    def steps_done(self) -> int:
        """Of its newest checkpoint; 0 before the first."""
        folder = self.workdir / "checkpoints"
        if not folder.is_dir():
            return 0
        from tfpix2pix.training.checkpoints import Checkpoints

        return max(Checkpoints(self.workdir).steps(), default=0)

    @property
    def trained(self) -> bool:
        return self.steps_done >= self.config.steps

    @property
    def seconds(self) -> float:
        """Spent training, over all sittings; 0 where nothing says so."""
        try:
            facts = json.loads((self.workdir / "run.json").read_text(encoding="utf-8"))
            return float(facts["train_seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0


@dataclass(frozen=True)
class Plan:
    """Everything that is fixed for all runs of a folder.

    Attributes:
      folder: of the reproduction.
      base: the config that every run shares, for labels to photos; `steps` is set.
    """

    folder: Path
    base: Config

    def config(self, variant: Variant, seed: int) -> Config:
        """The config of one run: the same data, order, jitter and steps for each variant.

        Raises:
          UserError: the variant cannot be trained at this size.
        """
        direction = self.base.direction
        if variant.task == LABELS:
            direction = _OPPOSITE[direction]
        return self.base.replace(
            **variant.fields,
            direction=direction,
            label_side="input" if variant.task == PHOTO else "target",
            seed=seed,
        )

    def runs(self, variants: Sequence[Variant], seeds: int) -> list[Run]:
        """All runs, seed by seed, so that whole tables exist before the last seed is done."""
        return [
            Run(variant, seed, self.config(variant, seed), self._workdir(variant, seed))
            for seed in range(self.base.seed, self.base.seed + seeds)
            for variant in variants
        ]

    def _workdir(self, variant: Variant, seed: int) -> Path:
        return self.folder / "runs" / variant.key / f"seed{seed}"

    # === The file ===

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(
            self.folder / FILE,
            {"config": dataclasses.asdict(self.base), "version": __version__},
        )

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Plan | None:
        """The plan of a folder; None where none has begun.

        Raises:
          UserError: the folder holds something else, or its plan cannot be read.
        """
        folder = Path(folder)
        path = folder / FILE
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--output={folder} is a file; give a folder, or a new name")
        try:
            content: Any = json.loads(path.read_text(encoding="utf-8"))
            return cls(folder, config_of(content["config"]))
        except FileNotFoundError:
            if lock.holds_files(folder):
                raise UserError(
                    f"--output={folder} holds other files and no {FILE}, so it is not a "
                    "reproduction; give a new or empty folder"
                ) from None
            return None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(f"{path} is damaged; restore it, or give a new --output") from None
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
