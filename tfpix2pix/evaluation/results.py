"""The result of an evaluation, and its two files.

``metrics.json`` holds the numbers, their standard errors and what was scored on what;
``statistics.npz`` every image's statistics and name, from which models can be compared later.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.base.archives import load_arrays
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import check_writable, write_bytes, write_json
from tfpix2pix.base.version import __version__
from tfpix2pix.evaluation.base import Evaluator, Number, is_truth
from tfpix2pix.evaluation.bootstrap import standard_errors

if TYPE_CHECKING:
    from tfpix2pix.evaluation.ranking import Ranking, Strip

METRICS, STATISTICS = "metrics.json", "statistics.npz"
PAGE = "evaluation.html"  # beside them, made by `tfpix2pix.report.evaluation_page`
FORMAT = 1
_TRUTHS = "truths"  # of the statistics, beside names
_LARGEST = 4 << 30  # bytes of all statistics together, unpacked


@dataclass(frozen=True)
class Ranked:
    """Single images by one number: every image's, and the pictures at both ends."""

    number: Number
    values: Sequence[float]
    best: Sequence[Strip] = ()
    worst: Sequence[Strip] = ()


@dataclass(frozen=True)
class Evaluation:
    """Numbers over the images of a split.

    Attributes:
      numbers: by name; NaN where one has no value.
      errors: the bootstrap standard error of each over images; NaN where there is none.
      names: of the pairs.
      statistics: evaluator name -> statistic -> array ``[images, ...]``.
      facts: JSON-able: what was scored, data set, split, size, seed, scorer, versions.
      ranked: for the page; None of a saved evaluation, whose pictures are not kept.
      truths: of images that are no pairs, the names of the true ones that all pictures together
        are compared with; None of pairs.
      examples: for the page, where nothing ranks them.
      page: where its page was written, or None.
    """

    numbers: dict[str, float]
    errors: dict[str, float]
    names: tuple[str, ...]
    statistics: dict[str, dict[str, np.ndarray]]
    facts: dict[str, Any] = field(default_factory=dict)
    ranked: Ranked | None = None
    page: Path | None = field(default=None, compare=False)
    truths: tuple[str, ...] | None = None
    examples: Sequence[Strip] = field(default=(), compare=False)

    def __repr__(self) -> str:
        rows = [
            (name, f"{value:.{number.digits}f}", f"± {error:.{number.digits}f}")
            for name, (number, value, error) in zip(self.numbers, self.rows(), strict=True)
        ]
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
        lines = [
            f"{name:<{widths[0]}}  {value:>{widths[1]}}  {error if 'nan' not in error else ''}"
            for name, value, error in rows
        ]
        lines.append(f"{self.counted} images of {self.facts.get('split', 'a split')}")
        if self.page is not None:
            lines.append(f"page: {self.page}")
        return "\n".join(line.rstrip() for line in lines)

    @classmethod
    def of(
        cls,
        evaluators: Sequence[Evaluator],
        names: Sequence[str],
        facts: Mapping[str, Any],
        ranking: Ranking | None = None,
        truths: Sequence[str] | None = None,
        examples: Sequence[Strip] = (),
    ) -> Evaluation:
        """The evaluation of evaluators that have seen all images."""
        numbers: dict[str, float] = {}
        errors: dict[str, float] = {}
        statistics = {}
        for evaluator in evaluators:
            statistics[evaluator.name] = evaluator.statistics
            numbers.update(evaluator.result())
            errors.update(
                standard_errors(type(evaluator), evaluator.statistics, paired=truths is None)
            )
        ranked = None
        if ranking is not None:
            ranked = Ranked(ranking.number, ranking.values, ranking.best, ranking.worst)
        return cls(
            numbers,
            errors,
            tuple(names),
            statistics,
            dict(facts),
            ranked,
            truths=None if truths is None else tuple(truths),
            examples=examples,
        )

    @property
    def images(self) -> int:
        return len(self.names)

    @property
    def paired(self) -> bool:
        """Whether each picture has a target of its own."""
        return self.truths is None

    @property
    def counted(self) -> str:
        """How many images, in words: ``100``, or ``100 and 120 true`` where they are no pairs."""
        return f"{self.images:,}" + (
            "" if self.truths is None else f" and {len(self.truths):,} true"
        )

    def rows(self) -> list[tuple[Number, float, float]]:
        """(what, value, standard error) of every number, for tables."""
        from tfpix2pix.evaluation.registry import EVALUATORS

        known = {n.name: n for one in EVALUATORS.values() for n in one.numbers_of}
        return [
            (known.get(name, Number(name, name)), value, self.errors.get(name, math.nan))
            for name, value in self.numbers.items()
        ]

    # === Files ===

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes ``statistics.npz`` and ``metrics.json``; returns the folder.

        Each file is replaced in one step, and the second names the first by its content, so that
        an interrupted call is noticed when they are loaded.

        Raises:
          UserError: the folder holds something else.
          OSError: it cannot be written.
        """
        folder = Path(folder)
        check_output(folder)
        packed = self._packed()
        content = {**self.facts, **self._numbers_json()}
        content["statistics_sha256"] = hashlib.sha256(packed).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / STATISTICS, packed)
        write_json(folder / METRICS, {"format": FORMAT, **content})
        return folder

    def _numbers_json(self) -> dict[str, Any]:
        return {
            "numbers": {k: finite_or_none(v) for k, v in self.numbers.items()},
            "standard_errors": {k: finite_or_none(v) for k, v in self.errors.items()},
        }

    def _packed(self) -> bytes:
        arrays: dict[str, Any] = {  # not of arrays: by its stubs one keyword of NumPy's is a bool
            f"{evaluator}/{name}": values
            for evaluator, some in self.statistics.items()
            for name, values in some.items()
        }
        content = io.BytesIO()
        if self.truths is not None:
            arrays[_TRUTHS] = np.array(self.truths, np.str_)
        np.savez_compressed(content, names=np.array(self.names, np.str_), **arrays)
        return content.getvalue()

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Evaluation:
        """Reads a saved evaluation; its pictures are not kept.

        Raises:
          UserError: there is none, or its files are damaged or not of one evaluation.
        """
        folder = Path(folder)
        content = _read_json(folder / METRICS)
        names, truths, statistics = _read_statistics(
            folder / STATISTICS, content["statistics_sha256"]
        )
        numbers, errors = (
            {k: math.nan if v is None else float(v) for k, v in content[key].items()}
            for key in ("numbers", "standard_errors")
        )
        taken = ("format", "numbers", "standard_errors", "statistics_sha256")
        facts = {key: value for key, value in content.items() if key not in taken}
        return cls(numbers, errors, names, statistics, facts, truths=truths)


def check_output(folder: Path, own: Sequence[str] = (METRICS, STATISTICS, PAGE)) -> None:
    """Whether results may be written to a folder.

    Args:
      folder: it need not exist.
      own: names of the files that will be written, the one that a message names first.

    Raises:
      UserError: it is no folder, cannot be written to, or holds other files alone.
    """
    check_writable(folder, "--output")
    if folder.is_dir():
        there = {entry.name for entry in folder.iterdir() if not entry.name.endswith(".tmp")}
        if there and not there & set(own):
            raise UserError(
                f"--output={folder} holds other files ({min(there)}) and no {own[0]}; give a new "
                "or empty folder"
            )


def results_folder(model: str, split: str = "val") -> Path:
    """Where an evaluation is: the folder itself, or in that of a run.

    Raises:
      UserError: it is a run that was not evaluated on this split.
    """
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file() and not (folder / METRICS).is_file():
        results = folder / "evaluation" / split
        if not (results / METRICS).is_file():
            raise UserError(
                f"{model} was not evaluated on {split} yet; run `tfpix2pix evaluate "
                f"--workdir={model}{'' if split == 'val' else f' --split={split}'}`"
            )
        return results
    return folder


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    import tensorflow as tf

    return {"tfpix2pix": __version__, "tensorflow": tf.__version__, "numpy": np.__version__}


def finite_or_none(value: float) -> float | None:
    """A number as JSON holds it, which knows neither NaN nor infinity."""
    return float(value) if math.isfinite(value) else None


def _read_json(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder; give one that `tfpix2pix evaluate` wrote")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path.parent} holds no {METRICS}; give a folder that `tfpix2pix evaluate` wrote"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); evaluate again") from None
    good = isinstance(content, dict) and content.get("format") == FORMAT
    good = good and isinstance(content.get("statistics_sha256"), str)
    for key in ("numbers", "standard_errors"):
        good = good and isinstance(content.get(key), dict)
        good = good and all(
            v is None or (isinstance(v, (int, float)) and not isinstance(v, bool))
            for v in content[key].values()
        )
    if not good:
        raise UserError(
            f"{path} is no file of this version of `tfpix2pix evaluate`; evaluate again"
        )
    return content


def _read_statistics(
    path: Path, sha256: str
) -> tuple[tuple[str, ...], tuple[str, ...] | None, dict[str, dict[str, np.ndarray]]]:
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} is missing beside its {METRICS}; evaluate again") from None
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise UserError(
            f"{path} is not of the evaluation of its {METRICS} (it is damaged, or a call was "
            "interrupted between the two); evaluate again"
        )
    statistics: dict[str, dict[str, np.ndarray]] = {}
    try:
        arrays = load_arrays(io.BytesIO(packed), _LARGEST)
        names, truths = arrays["names"], arrays.get(_TRUTHS)
        for texts in (names, names if truths is None else truths):
            if texts.dtype.kind != "U" or texts.ndim != 1:
                raise ValueError("names are no texts")
        for key, values in arrays.items():
            if key in ("names", _TRUTHS):
                continue
            evaluator, slash, name = key.partition("/")
            lengths = {len(names)}
            if truths is not None and is_truth(name):
                lengths.add(len(truths))
            if not slash or values.dtype.kind not in "biuf" or len(values) not in lengths:
                raise ValueError(f"{key} holds no numbers of {len(names)} images")
            statistics.setdefault(evaluator, {})[name] = values
    except (ValueError, KeyError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}); evaluate again") from None
    return tuple(map(str, names)), None if truths is None else tuple(map(str, truths)), statistics
