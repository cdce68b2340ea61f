"""Is one model better than another? Paired over the images that both were scored on.

Images differ far more than models do, so models are compared image by image. For every number:

- the *difference* B - A, its bootstrap standard error and 95 % interval: the same images are drawn,
  with replacement, for both (Efron 1979, percentiles);
- the *p-value* of a paired permutation test (Fisher's; Edgington 1980): if the models were alike,
  which of them made which picture of an image would be chance. Each image's statistics are swapped
  or not at random; p is the share of such draws in which the difference is at least as large, the
  observed one counted in, (1 + b) / (1 + draws) (Phipson and Smyth 2010), so that it is never 0.

Many numbers make some small p by chance: p-values are also given by Holm's method (1979), which
keeps the chance of any false finding below the level.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation.base import (
    Evaluator,
    Number,
    Statistics,
    counts_of,
    is_truth,
    weighted_sums,
)
from tfpix2pix.evaluation.bootstrap import weights_for
from tfpix2pix.evaluation.registry import EVALUATORS, OF_SCORER
from tfpix2pix.evaluation.results import Evaluation, results_folder

PERMUTATIONS = 9999
LEVEL = 0.05
INTERVAL = (2.5, 97.5)  # percentiles
_BLOCK = 200  # permutations at a time
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Difference:
    """One number of two models.

    Attributes:
      number: which.
      a, b: its value of each model, over the same images.
      error: bootstrap standard error of b - a.
      low, high: its 95 % interval.
      p: of the permutation test; NaN where there is none (FID, KID).
      p_holm: the same, corrected for all tests of the comparison.
    """

    number: Number
    a: float
    b: float
    error: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan

    @property
    def difference(self) -> float:
        return self.b - self.a

    @property
    def is_sure(self) -> bool:
        """Whether chance does not explain it: `p_holm` below `LEVEL`; without p by the interval."""
        if math.isfinite(self.p_holm):
            return self.p_holm < LEVEL
        return self.low > 0 or self.high < 0

    @property
    def better(self) -> str:
        """``A`` or ``B`` by the values alone; empty where they are equal or neither is better."""
        if not self.number.better or not self.difference:
            return ""
        return "B" if (self.difference > 0) == (self.number.better == "higher") else "A"

    def to_json(self) -> dict[str, Any]:
        values = {
            "a": self.a,
            "b": self.b,
            "difference": self.difference,
            "standard_error": self.error,
            "low": self.low,
            "high": self.high,
            "p": self.p,
            "p_holm": self.p_holm,
        }
        return {key: float(v) if math.isfinite(v) else None for key, v in values.items()}


def compare(
    a: Evaluation,
    b: Evaluation,
    names: tuple[str, str] = ("A", "B"),
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[Difference]:
    """All numbers that two evaluations share, image by image.

    Args:
      a, b: of one split of one data set at one size; their pictures are not needed.
      names: for messages.
      permutations: random swaps of the test.
      seed: of swaps and bootstrap draws.

    Returns:
      One difference for each number that is not of the ground truth alone.

    Raises:
      UserError: they were scored on different images, by different scorers, or share no number.
    """
    check_comparable(a, b, names)
    found = []
    for name, evaluator in EVALUATORS.items():
        if name in a.statistics and name in b.statistics:
            one, other = a.statistics[name], b.statistics[name]
            _check_alike(name, one, other, names)
            found += _differences(evaluator, one, other, permutations, seed, a.paired)
    if not found:
        raise UserError(
            f"{names[0]} and {names[1]} share no metric ({', '.join(a.statistics)}; "
            f"{', '.join(b.statistics)}); evaluate them with the same --metrics"
        )
    return holm(found)


def check_comparable(a: Evaluation, b: Evaluation, names: tuple[str, str]) -> None:
    """Raises UserError naming what differs, unless both are of the same images and scorer."""
    one, other = a.facts, b.facts
    both = f"{names[0]} and {names[1]}"

    def refuse(what: str, first: object, second: object) -> None:
        raise UserError(
            f"{both} were scored on different {what} ({first} and {second}), so that their images "
            "do not pair; evaluate both alike"
        )

    for key, what in (("split", "splits"), ("size", "sizes")):
        if one.get(key) != other.get(key):
            refuse(what, one.get(key), other.get(key))
    if a.images != b.images:
        refuse("numbers of images", a.images, b.images)
    if a.paired != b.paired:
        refuse("data", *("pairs" if each.paired else "images without pairs" for each in (a, b)))
    unlike = [pair for pair in zip(a.names, b.names, strict=True) if pair[0] != pair[1]]
    if unlike:
        refuse("images", *unlike[0])
    if one.get("targets_sha256") != other.get("targets_sha256"):
        data = [facts.get("dataset", {}).get("name") for facts in (one, other)]
        raise UserError(
            f"{both} were scored against different targets of the same names ({data[0]} and "
            f"{data[1]}: other pictures, direction, channels or depth, or another TensorFlow "
            "resized them); evaluate both on one data set"
        )
    if set(OF_SCORER) & set(a.statistics) & set(b.statistics):
        scorers = [(facts.get("scorer") or {}).get("identity", "none") for facts in (one, other)]
        if scorers[0] != scorers[1]:
            raise UserError(
                f"{both} were scored by different scorers ({scorers[0][:12]} and "
                f"{scorers[1][:12]}), whose scores do not compare; evaluate both with one "
                "--scorer"
            )


def _check_alike(name: str, a: Statistics, b: Statistics, names: tuple[str, str]) -> None:
    if {k: v.shape for k, v in a.items()} != {k: v.shape for k, v in b.items()}:
        raise UserError(
            f"{names[0]} and {names[1]} hold statistics of {name} of different shapes, by another "
            "palette or version; evaluate both alike"
        )


def _differences(
    evaluator: type[Evaluator],
    a: Statistics,
    b: Statistics,
    permutations: int,
    seed: int,
    paired: bool,
) -> list[Difference]:
    shown = [number for number in evaluator.numbers_of if "truth" not in number.name]
    images = min(counts_of(a))
    everyone = evaluator.everyone(a)
    one, other = (evaluator.measure(statistics, *everyone) for statistics in (a, b))
    spread = bootstrap_differences(evaluator, a, b, seed=seed, paired=paired)
    p_values = permutation_test(evaluator, a, b, permutations, seed) if evaluator.additive else {}
    found = []
    for number in shown:
        there = spread[number.name][np.isfinite(spread[number.name])]
        some = images > 1 and len(there) > 1
        low, high = np.percentile(there, INTERVAL) if some else (math.nan, math.nan)
        found.append(
            Difference(
                number,
                float(one[number.name][0]),
                float(other[number.name][0]),
                error=float(np.std(there, ddof=1)) if some else math.nan,
                low=float(low),
                high=float(high),
                p=p_values.get(number.name, math.nan),
            )
        )
    return found


def bootstrap_differences(
    evaluator: type[Evaluator],
    a: Statistics,
    b: Statistics,
    count: int | None = None,
    seed: int = 0,
    paired: bool = True,
) -> dict[str, np.ndarray]:
    """Each number's difference b - a on samples of the images, the same for both: ``[count]``."""
    blocks = []
    for weights in weights_for(evaluator, a, count, seed, paired):
        one, other = (evaluator.measure(statistics, *weights) for statistics in (a, b))
        blocks.append({name: other[name] - one[name] for name in one})
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def permutation_test(
    evaluator: type[Evaluator],
    a: Statistics,
    b: Statistics,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> dict[str, float]:
    """Two-sided p of every number of an additive evaluator; see the top.

    Args:
      evaluator: whose numbers are functions of sums over images.
      a, b: statistics of the same N images.
      permutations: random swaps; p is a multiple of 1 / (permutations + 1).
      seed: of the swaps.

    Returns:
      p by number; NaN where the observed difference has no value.
    """
    images, truths = counts_of(a)
    # True pictures of another number are those of both models: nothing is swapped there, and as
    # sums they count as much as the others.
    scale = {k: images / truths if is_truth(k) else 1.0 for k in a}
    sums = {k: scale[k] * np.asarray(a[k], np.float64).sum(axis=0)[None] for k in a}
    totals = {k: sums[k] + scale[k] * np.asarray(b[k], np.float64).sum(axis=0) for k in a}
    changes = {k: np.asarray(b[k], np.float64) - a[k] for k in a if len(a[k]) == images}

    def scores(swapped: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Numbers of a and of b where the images marked with 1 in ``[R, N]`` are swapped."""
        one = {
            k: sums[k] + weighted_sums(swapped, changes[k])
            if k in changes
            else np.repeat(sums[k], len(swapped), axis=0)
            for k in sums
        }
        other = {k: totals[k] - one[k] for k in sums}
        return evaluator.score(one, images), evaluator.score(other, images)

    one, other = scores(np.zeros((1, images)))
    observed = {k: abs(float(other[k][0] - one[k][0])) for k in one}
    # Equal differences are equal but for the order of adding.
    least = {
        k: value - _ROUNDING * max(abs(float(one[k][0])), abs(float(other[k][0])))
        for k, value in observed.items()
    }
    as_large = dict.fromkeys(observed, 0)
    random = np.random.default_rng(seed)
    for start in range(0, permutations, _BLOCK):
        rows = min(_BLOCK, permutations - start)
        one, other = scores(random.integers(0, 2, (rows, images)).astype(np.float64))
        for name in observed:
            as_large[name] += int(np.sum(np.abs(other[name] - one[name]) >= least[name]))
    return {
        name: (1 + as_large[name]) / (1 + permutations) if math.isfinite(value) else math.nan
        for name, value in observed.items()
    }


def holm(differences: Sequence[Difference]) -> list[Difference]:
    """The differences with `p_holm`, of `holm_adjusted`."""
    corrected = holm_adjusted([d.p for d in differences])
    return [dataclasses.replace(d, p_holm=p) for d, p in zip(differences, corrected, strict=True)]


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Each p times the number of tests not yet rejected, never less than that of a smaller p; NaN
    where there is none."""
    corrected = [math.nan for _ in p_values]
    tested = sorted((p, i) for i, p in enumerate(p_values) if math.isfinite(p))
    least = 0.0
    for rank, (p, i) in enumerate(tested):
        least = max(least, min(1.0, p * (len(tested) - rank)))
        corrected[i] = least
    return corrected


# === Several models ===


@dataclass(frozen=True)
class Comparison:
    """Models, each compared with the first.

    Attributes:
      names: of the models; the first is A of every comparison.
      evaluations: of them.
      found: for each other name what `compare` found.
    """

    names: list[str]
    evaluations: list[Evaluation]
    found: dict[str, list[Difference]]

    def to_json(self) -> dict[str, Any]:
        """What ``comparison.json`` holds."""
        first = self.evaluations[0].facts
        return {
            "models": {
                name: evaluation.facts.get("model", {})
                for name, evaluation in zip(self.names, self.evaluations, strict=True)
            },
            "dataset": first.get("dataset"),
            "split": first.get("split"),
            "size": first.get("size"),
            "images": self.evaluations[0].images,
            "scorer": first.get("scorer"),
            "permutations": PERMUTATIONS,
            "comparisons": [
                {
                    "a": self.names[0],
                    "b": b,
                    "numbers": {d.number.name: d.to_json() for d in differences},
                }
                for b, differences in self.found.items()
            ],
        }


def compare_models(models: Sequence[str], split: str = "val") -> Comparison:
    """Compares saved evaluations, each with the first.

    Args:
      models: folders of evaluations, or of runs; at least two.
      split: of runs, which evaluation is taken.

    Raises:
      UserError: one was named twice, there is no evaluation, or they do not compare; see `compare`.
    """
    seen: set[str] = set()
    for model in models:
        real = os.path.realpath(os.path.expanduser(model))
        if real in seen:
            raise UserError(f"{model} was named twice; name folders of different models")
        seen.add(real)
    evaluations = [Evaluation.load(results_folder(model, split)) for model in models]
    found = {
        name: compare(evaluations[0], evaluation, (models[0], name))
        for name, evaluation in zip(models[1:], evaluations[1:], strict=True)
    }
    return Comparison(list(models), evaluations, found)
