"""What a reproduction is: one base config, variants of it, seeds; and the folder that holds it.

::

    DIR/reproduction.json     the base config, what every run shares; the paces of our own rows
    DIR/scorer/               the FCN that scores photographs, unless another one was given
    DIR/runs/VARIANT/seed0/   a run as of `tfpix2pix train`, its evaluation/SPLIT below it
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
from tfpix2pix.base.options import plain_values
from tfpix2pix.base.progress import say
from tfpix2pix.base.version import __version__
from tfpix2pix.config import Config, allowed_changes, config_of, differences, resolve, with_preset
from tfpix2pix.reproduction import recipe
from tfpix2pix.reproduction.tables import (
    DECIDED,
    LABELS,
    OWN,
    PHOTO,
    TABLES,
    Table,
    Variant,
    variants_of,
)

FILE = "reproduction.json"
MINUTES, STEPS = "minutes", "steps"  # what the rows of a table have the same of
# How often a run of a reproduction looks up, unless the user says so: steps in so many parts.
SHARES = {"val_every": 4, "checkpoint_every": 8}
_OPPOSITE = {"AtoB": "BtoA", "BtoA": "AtoB"}


@dataclass(frozen=True)
class Pace:
    """How many steps a row of our own tables has, and why.

    Attributes:
      fields: that the row set when it was first asked for; another setting is another row.
      steps: of each of its runs.
      ratio: seconds of its step, of those of the paper's row; None where nobody asked.
      seconds: that a step took when it was timed, whatever else the machine did.
    """

    fields: Mapping[str, Any]
    steps: int
    ratio: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Run:
    """One training: a variant with a seed.

    Attributes:
      cost: of a step, in steps of the other runs; to say how long the rest takes.
      split: that it is scored on.
    """

    variant: Variant
    seed: int
    config: Config
    workdir: Path
    cost: float = 1.0
    split: str = "val"

    @property
    def evaluation(self) -> Path:
        """Where its scores stand."""
        return self.workdir / "evaluation" / self.split

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
      same: what the rows of our own tables have the same of, `MINUTES` or `STEPS`.
      paces: of the rows of our own tables, by variant key, as far as they were asked for.
    """

    folder: Path
    base: Config
    same: str = STEPS
    paces: Mapping[str, Pace] = dataclasses.field(default_factory=dict)

    def config(self, variant: Variant, seed: int) -> Config:
        """The config of one run: the same data, order and jitter for each variant, and as many
        steps as its pace gives it.

        Raises:
          UserError: the variant cannot be trained at this size, or by this algorithm.
        """
        direction = self.base.direction
        if variant.task == LABELS:
            direction = _OPPOSITE[direction]
        known = {field.name for field in dataclasses.fields(self.base)}
        for name in variant.fields:
            if name not in known:
                raise UserError(
                    f"--algorithm={self.base.algorithm} has no setting {name!r}, which "
                    f"{variant.key} needs"
                )
        return self.base.replace(
            **variant.fields,
            **self._schedule(self.steps_of(variant)),
            direction=direction,
            label_side="input" if variant.task == PHOTO else "target",
            seed=seed,
        )

    def steps_of(self, variant: Variant) -> int:
        """Of each run of a variant."""
        pace = self.paces.get(variant.key)
        return pace.steps if pace else self.base.steps

    def _schedule(self, steps: int) -> dict[str, int]:
        """The steps, and how often to look up, in the same parts of a run as in the base config."""
        base = self.base
        often = {
            name: share_of(steps, share)
            for name, share in SHARES.items()
            if getattr(base, name) == share_of(base.steps, share)
        }
        return {"steps": steps, **often}

    def runs(self, variants: Sequence[Variant], seeds: int, split: str = "val") -> list[Run]:
        """All runs, seed by seed, so that whole tables exist before the last seed is done."""
        return [
            self._run(variant, seed, split)
            for seed in range(self.base.seed, self.base.seed + seeds)
            for variant in variants
        ]

    def known_runs(self, table: Table, split: str = "val") -> list[Run]:
        """The runs of one of our own tables that earlier calls began, of all rows and seeds."""
        found = []
        for variant in TABLES[table.name].variants:
            if variant.key not in self.paces:
                continue
            folders = (self.folder / "runs" / variant.key).glob("seed*")
            seeds = sorted(int(f.name[4:]) for f in folders if f.name[4:].isdigit())
            found += [self._run(variant, seed, split) for seed in seeds]
        return found

    def _run(self, variant: Variant, seed: int, split: str) -> Run:
        pace = self.paces.get(variant.key)
        cost = pace.ratio if pace and pace.ratio else 1.0
        workdir = self.folder / "runs" / variant.key / f"seed{seed}"
        return Run(variant, seed, self.config(variant, seed), workdir, cost, split)

    def with_pace(self, variant: Variant, ratio: float | None, seconds: float | None) -> Plan:
        """The plan in which a variant has the steps that its pace gives it."""
        steps = self.base.steps
        if ratio is not None and self.same == MINUTES:
            steps = max(1, round(steps / ratio))
        pace = Pace(dict(variant.fields), steps, ratio, seconds)
        return dataclasses.replace(self, paces={**self.paces, variant.key: pace})

    # === The file ===

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"config": plain_values(self.base), "version": __version__}
        if self.paces:
            content["same"] = self.same
            content["paces"] = {k: dataclasses.asdict(pace) for k, pace in self.paces.items()}
        write_json(self.folder / FILE, content)

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
            paces = {key: Pace(**pace) for key, pace in content.get("paces", {}).items()}
            return cls(folder, config_of(content["config"]), content.get("same", STEPS), paces)
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


def share_of(steps: int, parts: int) -> int:
    """Steps between the ends of so many parts of a run."""
    return -(-steps // parts)


# === Beginning, and going on ===


def begin(
    folder: str | os.PathLike[str],
    given: Mapping[str, Any],
    tables: Sequence[Table],
    has_budget: bool = False,
    same: str | None = None,
) -> tuple[Plan, bool]:
    """The plan of a folder as far as it is known before the data set is opened.

    Args:
      folder: of the reproduction, new or of an earlier call.
      given: fields of the config that the user gave.
      tables: to reproduce.
      has_budget: whether the number of steps was to follow from a budget of time.
      same: what rows of our own tables are to have the same of; None for what they have, at first
        minutes.

    Returns:
      The plan, and whether it is new: then its direction and steps are still open.

    Raises:
      UserError: the folder holds something else or another configuration, or a network of the
        tables cannot be trained so.
    """
    _check_own(given, tables, same)
    found = Plan.load(folder)
    if found is None:
        plan = Plan(Path(folder), _base(given))
    else:
        plan = dataclasses.replace(found, base=_continued(found, given, has_budget))
    if any(table.name in OWN for table in tables):
        plan = _with_same(plan, tables, same)
    for variant in variants_of(tables):
        plan.config(variant, plan.base.seed)  # refused before anything is trained
    return plan, found is None


def _check_own(given: Mapping[str, Any], tables: Sequence[Table], same: str | None) -> None:
    """Raises UserError where flags and our own tables, or the paper's, do not go together."""
    own = [table.name for table in tables if table.name in OWN]
    if not own:
        if same == MINUTES:
            raise UserError(
                f"--same={MINUTES} is for --table={'|'.join(OWN)}; the paper's tables compare the "
                "same number of steps"
            )
        return
    for name in given:
        if name in recipe.PAPER:
            raise UserError(f"--{name}: the rows of --table={own[0]} decide it; drop the flag")


def _with_same(plan: Plan, tables: Sequence[Table], same: str | None) -> Plan:
    """The plan with what its rows have the same of.

    Raises:
      UserError: they have something else the same, or one of them was another row before.
    """
    if plan.paces and same not in (None, plan.same):
        raise UserError(
            f"--same={same}: the rows of {plan.folder} have the same {plan.same}; give another "
            "--output, or drop the flag"
        )
    for variant in variants_of(tables):
        pace = plan.paces.get(variant.key)
        if pace is None:
            continue
        old, new = {**recipe.PAPER, **pace.fields}, dict(variant.fields)
        changed = [f"{n}={old.get(n)}" for n in sorted(new) if old.get(n) != new[n]]
        if changed:
            raise UserError(
                f"{variant.key} of {plan.folder} was another row, with {', '.join(changed)}; give "
                "another --output, or leave it out with --rows"
            )
    return plan if plan.paces else dataclasses.replace(plan, same=same or MINUTES)


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
    # What a preset has beyond the paper's recipe is no part of the paper's tables.
    plain = {n: v for n, v in recipe.PAPER.items() if hasattr(config, n) and n not in given}
    if "target_ignore" not in given:
        plain["target_ignore"] = "none"  # nor does the paper leave unlabelled pixels out of a loss
    return config.replace(label_palette=palette, **plain)


def _continued(plan: Plan, given: Mapping[str, Any], has_budget: bool) -> Config:
    """The saved config, with what a continued reproduction may change.

    Raises:
      UserError: the flags say something else.
    """
    saved = plan.base
    wanted = dict(given)
    if "preset" in given:
        wanted = with_preset(given, saved.dataset, leave={*DECIDED, *recipe.PAPER})
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
