"""How sure a number is: the bootstrap over images (Efron 1979)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfpix2pix.evaluation.base import Evaluator, OfSets, Statistics, counts_of

DRAWS = Evaluator.bootstrap_draws
_BLOCK = 100  # draws at a time, so that the weights of ten thousand images stay small


def draws(images: int, count: int = DRAWS, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each image counts in samples drawn with replacement.

    Args:
      images: how many there are, N.
      count: of samples.
      seed: the same one gives the same samples, for pairing two models.

    Yields:
      Blocks of weights, float64 ``[R, N]``, whose rows sum to N.
    """
    random = np.random.default_rng(seed)
    chances = np.full(images, 1.0 / images)
    for start in range(0, count, _BLOCK):
        rows = min(_BLOCK, count - start)
        yield random.multinomial(images, chances, size=rows).astype(np.float64)


def weights_for(
    evaluator: type[Evaluator],
    statistics: Statistics,
    count: int | None = None,
    seed: int = 0,
    paired: bool = True,
) -> Iterator[tuple[np.ndarray, ...]]:
    """What `measure` of an evaluator takes behind its statistics, for `count` samples in blocks.

    Args:
      evaluator, statistics: whose.
      count: of samples; None for the evaluator's own `bootstrap_draws`.
      seed: as `draws` has it.
      paired: whether each generated picture has a target; else the true pictures of `OfSets` are
        drawn by themselves.
    """
    count = evaluator.bootstrap_draws if count is None else count
    images, truths = counts_of(statistics)
    if paired or not issubclass(evaluator, OfSets):
        yield from ((weights,) for weights in draws(images, count, seed))
    else:
        yield from zip(draws(images, count, seed), draws(truths, count, seed + 1), strict=True)


def resampled(
    evaluator: type[Evaluator],
    statistics: Statistics,
    count: int | None = None,
    seed: int = 0,
    paired: bool = True,
) -> dict[str, np.ndarray]:
    """Every number of an evaluator on `count` samples of the images: ``[count]`` each; arguments
    as `weights_for` has them."""
    blocks = [
        evaluator.measure(statistics, *weights)
        for weights in weights_for(evaluator, statistics, count, seed, paired)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def standard_errors(
    evaluator: type[Evaluator],
    statistics: Statistics,
    count: int | None = None,
    seed: int = 0,
    paired: bool = True,
) -> dict[str, float]:
    """The standard deviation of each number over bootstrap samples of the images.

    NaN for a single image, which says nothing about others.
    """
    numbers = resampled(evaluator, statistics, count, seed, paired)
    if min(counts_of(statistics)) < 2:
        return dict.fromkeys(numbers, float("nan"))
    return {name: _deviation(values) for name, values in numbers.items()}


def _deviation(values: np.ndarray) -> float:
    """The standard deviation of what has a value (a rare class is absent from some samples)."""
    there = values[np.isfinite(values)]
    return float(np.std(there, ddof=1)) if len(there) > 1 else float("nan")
