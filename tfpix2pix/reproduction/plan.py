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

from tfpix2pix.algorithms import registry
from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_json
from tfpix2pix.base.options import plain_values
from tfpix2pix.base.progress import say
from tfpix2pix.base.size import Size
from tfpix2pix.base.version import __version__
from tfpix2pix.config import (
    Config,
    RunConfig,
    allowed_changes,
    config_of,
    differences,
    resolve,
    with_preset,
)
from tfpix2pix.config.base import usual_load_size
from tfpix2pix.data.config import DataConfig
from tfpix2pix.reproduction import recipe
from tfpix2pix.reproduction.tables import (
    CHOSEN,
    DECIDED,
    LABELS,
    MINUTES,
    PHOTO,
    STEPS,
    TABLES,
    Pairs,
    Table,
    Variant,
    variants_of,
)
from tfpix2pix.scorer.settings import is_size, readable

FILE = "reproduction.json"
# How often a run of a reproduction looks up, unless the user says so: steps in so many parts.
SHARES = {"val_every": 4, "checkpoint_every": 8}
_OPPOSITE = {"AtoB": "BtoA", "BtoA": "AtoB"}
# Of the base config, what a row has too that is learned by an algorithm of its own.
_SHARED = {f.name for kind in (RunConfig, DataConfig) for f in dataclasses.fields(kind)}
_SHARED -= {"algorithm", "preset", "init_from", "best_metric", "lr_schedule"}
_SHARED |= {"ngf", "ndf"}


@dataclass(frozen=True)
class Pace:
    """How many steps a row of a table has of which rows are chosen, and why.

    Attributes:
      fields: that the row set when it was first asked for; another setting is another row.
      steps: of each of its runs.
      ratio: seconds of its step, of those of the table's unit; None where nobody asked.
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
      task: in which it is scored: `PHOTO` or `LABELS`. What learned both ways has two.
    """

    variant: Variant
    seed: int
    config: Config
    workdir: Path
    cost: float = 1.0
    split: str = "val"
    task: str = PHOTO

    @property
    def is_back(self) -> bool:
        """Whether it is scored on the way back of the one that it was trained for."""
        return self.task != self.variant.task

    @property
    def direction(self) -> str:
        """In which it is scored, ``AtoB`` or ``BtoA``."""
        return _OPPOSITE[self.config.direction] if self.is_back else self.config.direction

    @property
    def evaluation(self) -> Path:
        """Where its scores stand."""
        name = f"{self.split}-{self.direction}" if self.is_back else self.split
        return self.workdir / "evaluation" / name

    @property
    def id(self) -> str:
        """For lines on the terminal."""
        back = f" ({self.task.replace('_', ' ')})" if self.is_back else ""
        return f"{self.variant.key}, seed {self.seed}{back}"

    @property
    def pairs(self) -> Pairs:
        """That it is scored on."""
        return dataclasses.replace(self.variant.pairs, task=self.task)

    def in_task(self, task: str) -> Run:
        """The same training, scored in that task."""
        return dataclasses.replace(self, task=task)

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
      same: what the rows of tables have the same of whose rows are chosen, `MINUTES` or `STEPS`.
      paces: of these rows, by variant key, as far as they were asked for.
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
        algorithm = variant.fields.get("algorithm", self.base.algorithm)
        kind = registry.config_class(algorithm)
        known = {field.name for field in dataclasses.fields(kind)}
        for name in variant.asks:
            if not getattr(self.base, name):
                raise UserError(f"--{name} is not given, and it is of that")
        for name in variant.fields:
            if name not in known:
                raise UserError(
                    f"--algorithm={algorithm} has no setting {name!r}, which {variant.key} needs"
                )
        own = {
            field.name: getattr(self.base, field.name) for field in dataclasses.fields(self.base)
        }
        if "algorithm" in variant.fields:
            own = {name: value for name, value in own.items() if name in _SHARED & known}
        changes = {
            **variant.fields,
            **self._schedule(self.steps_of(variant)),
            **self._way(variant.task),
            "seed": seed,
        }
        return kind(**{**own, **changes})

    def data_of(self, pairs: Pairs) -> Config:
        """The base config with the pairs as some variants have them, which these are scored on."""
        best_metric = type(self.base).best_metric  # one that goes with every kind of targets
        return self.base.replace(
            **dict(pairs.fields), **self._way(pairs.task), best_metric=best_metric
        )

    def _way(self, task: str) -> dict[str, str]:
        direction = self.base.direction
        if task == LABELS:
            direction = _OPPOSITE[direction]
        return {"direction": direction, "label_side": "input" if task == PHOTO else "target"}

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
        """The runs that earlier calls began of a table whose rows are chosen, of all rows and
        seeds, to be scored as the table has it."""
        found = []
        for variant in TABLES[table.name].variants:
            if variant.key not in self.paces:
                continue
            folders = (self.folder / "runs" / variant.key).glob("seed*")
            seeds = sorted(int(f.name[4:]) for f in folders if f.name[4:].isdigit())
            found += [self._run(variant, seed, split) for seed in seeds]
        return [run.in_task(table.task) for run in found]

    def _run(self, variant: Variant, seed: int, split: str) -> Run:
        pace = self.paces.get(variant.key)
        cost = pace.ratio if pace and pace.ratio else 1.0
        workdir = self.folder / "runs" / variant.key / f"seed{seed}"
        config = self.config(variant, seed)
        return Run(variant, seed, config, workdir, cost, split, variant.task)

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
      same: what rows are to have the same of where they are chosen; None for what they have, at
        first minutes if one of the tables has them.

    Returns:
      The plan, and whether it is new: then its direction and steps are still open.

    Raises:
      UserError: the folder holds something else or another configuration, or a network of the
        tables cannot be trained so.
    """
    _check_own(given, tables, same)
    found = Plan.load(folder)
    if found is None:
        plan = Plan(Path(folder), _base(given, tables))
    else:
        plan = dataclasses.replace(found, base=_continued(found, given, has_budget))
    if any(table.unit for table in tables):
        plan = _with_same(plan, tables, same)
    _check_sizes(plan.base, tables)
    for table in tables:
        _check_rows(plan, table)
    return plan, found is None


def _check_own(given: Mapping[str, Any], tables: Sequence[Table], same: str | None) -> None:
    """Raises UserError where flags and the tables do not go together."""
    if same == MINUTES and not any(table.unit for table in tables):
        chosen = "|".join(dict.fromkeys(TABLES[name].asked for name in CHOSEN))
        raise UserError(
            f"--same={MINUTES} is for --table={chosen}; the paper's other tables compare the same "
            "number of steps"
        )
    for table in tables:
        of_rows = {name for variant in table.variants for name in variant.fields}
        of_rows -= {name for variant in table.variants for name in variant.asks}
        for name in given:
            decided = name in of_rows
            if "algorithm" in of_rows:  # each row has a config of its own
                decided = name not in _SHARED | {"preset"}
            if table.unit and decided:
                raise UserError(
                    f"--{name}: the rows of --table={table.asked} decide it; drop the flag"
                )


def _check_sizes(base: Config, tables: Sequence[Table]) -> None:
    """Raises UserError where photographs are of a size that the FCN cannot score."""
    size = base.crop_size
    scored = [table.asked for table in tables if "fcn" in table.evaluators]
    if not scored or is_size(size):
        return
    raise UserError(
        f"--crop_size={size}: --table={scored[0]} has its photographs scored by FCN-8s, which "
        f"reads multiples of 32 pixels, from 32 to 1024; use --crop_size={readable(size)}"
    )


def _check_rows(plan: Plan, table: Table) -> None:
    """Refuses what cannot be trained, before anything is.

    Raises:
      UserError: a row of the table is none that this base config goes with.
    """
    refused = {row.key: error for row in table.rows if (error := _refusal(plan, row.variant))}
    if not refused:
        return
    key, error = next(iter(refused.items()))
    if not table.unit:
        raise error
    # What the row decides is no flag of the command, so that only two ways are left.
    use = []
    for size in (64, 128, 256, 512):
        larger = size > plan.base.crop_size.smaller and _in_size(plan, size)
        if larger and not any(_refusal(larger, row.variant) for row in table.rows):
            use.append(f"use --crop_size={size}")
            break
    rest = [row.key for row in table.rows if row.key not in refused]
    if rest:
        use.append(f"leave it out with --rows={','.join(rest)}")
    reason = str(error).partition("; ")[0] if use else str(error)
    raise UserError(
        f"--table={table.asked}: its row {key} cannot be trained so: {reason}"
        + (f"; {', or '.join(use)}" if use else "")
    )


def _refusal(plan: Plan, variant: Variant) -> UserError | None:
    """Why a network cannot be trained; None where it can."""
    try:
        plan.config(variant, plan.base.seed)
    except UserError as error:
        return error
    return None


def _in_size(plan: Plan, size: int) -> Plan | None:
    """The plan with images of that size; None where its base config does not go with it."""
    try:
        base = plan.base.replace(crop_size=Size(size), load_size=usual_load_size(size))
    except UserError:
        return None
    return dataclasses.replace(plan, base=base)


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
        old, new = dict(pace.fields), dict(variant.fields)
        if "algorithm" not in new:
            old, new = {**recipe.PAPER, **old}, {**recipe.PAPER, **new}
        names = sorted(old.keys() | new.keys())
        changed = [f"{n}={old.get(n)}" for n in names if old.get(n) != new.get(n)]
        if changed:
            raise UserError(
                f"{variant.key} of {plan.folder} was another row, with {', '.join(changed)}; give "
                "another --output, or leave it out with --rows"
            )
    if plan.paces:
        return plan
    usual = MINUTES if any(table.same == MINUTES for table in tables) else STEPS
    return dataclasses.replace(plan, same=same or usual)


def _base(given: Mapping[str, Any], tables: Sequence[Table]) -> Config:
    """The config that all runs share, as the flags say; steps and direction are still open."""
    try:
        return _as_given(given)
    except UserError:
        # The U-Net's sizes bind no table without a U-Net.
        generators = {variant.fields.get("generator") for variant in variants_of(tables)}
        if len(generators) > 1 or None in generators:
            raise
    return _as_given({**given, "generator": generators.pop()})


def _as_given(given: Mapping[str, Any]) -> Config:
    """`_base` of any tables."""
    config = resolve(given)
    palette = config.label_palette
    if not palette and config.dataset == "sample":
        palette = "facades" if config.sample_labels == "cmp" else "sample"  # as `train` has them
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
