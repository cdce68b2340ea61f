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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_json
from tfpix2pix.base.progress import say
from tfpix2pix.base.version import __version__
from tfpix2pix.config import Config, allowed_changes, config_of, differences, resolve, with_preset
from tfpix2pix.reproduction.tables import DECIDED, LABELS, PHOTO, Table, Variant, variants_of

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


# === Beginning, and going on ===


def begin(
    folder: str | os.PathLike[str],
    given: Mapping[str, Any],
    tables: Sequence[Table],
    has_budget: bool = False,
) -> tuple[Plan, bool]:
    """The plan of a folder as far as it is known before the data set is opened.

    Args:
      folder: of the reproduction, new or of an earlier call.
      given: fields of the config that the user gave.
      tables: to reproduce.
      has_budget: whether the number of steps was to follow from a budget of time.

    Returns:
      The plan, and whether it is new: then its direction and steps are still open.

    Raises:
      UserError: the folder holds something else or another configuration, or a network of the
        tables cannot be trained so.
    """
    found = Plan.load(folder)
    if found is None:
        plan = Plan(Path(folder), _base(given))
    else:
        plan = Plan(found.folder, _continued(found, given, has_budget))
    for variant in variants_of(tables):
        plan.config(variant, plan.base.seed)  # refused before anything is trained
    return plan, found is None


def _base(given: Mapping[str, Any]) -> Config:
    """The config that all runs share, as the flags say; steps and direction are still open."""
    config = resolve(given)
    palette = config.label_palette or {"sample": "facades"}.get(config.dataset, "")
    if not palette and config.dataset in ("facades", "cityscapes"):
        palette = config.dataset
    if not palette:
        raise UserError(
            f"--dataset={config.dataset}: the tables need labels, so say which colours they have "
            "with --label_palette=NAME|FILE (`tfpix2pix inspect` finds them)"
        )
    return config.replace(label_palette=palette)


def _continued(plan: Plan, given: Mapping[str, Any], has_budget: bool) -> Config:
    """The saved config, with what a continued reproduction may change.

    Raises:
      UserError: the flags say something else.
    """
    saved = plan.base
    wanted = dict(given)
    if "preset" in given:
        wanted = with_preset(given, saved.dataset, leave=DECIDED)
    lines = differences(saved, wanted)
    steps = wanted.get("steps")
    if steps and steps != saved.steps:
        lines.append(f"--steps: the runs have {saved.steps}, the command says {steps}")
    if lines:
        raise UserError(
            f"{plan.folder} holds a reproduction of another configuration, and a table compares "
            "equals, so nothing was changed; give another --output, or drop the flags that "
            "differ:\n  " + "\n  ".join(lines)
        )
    if has_budget:
        say(f"note: the runs of {plan.folder} have {saved.steps:,} steps, so --budget is not used")
    return saved.replace(
        **{**allowed_changes(saved, given), "steps": saved.steps, "epochs": saved.epochs}
    )
