"""How sure a number is: the bootstrap over images (Efron 1979)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfpix2pix.evaluation.base import Evaluator, Statistics

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


def resampled(
    evaluator: type[Evaluator], statistics: Statistics, count: int | None = None, seed: int = 0
) -> dict[str, np.ndarray]:
    """Every number of an evaluator on `count` samples of the images: ``[count]`` each.

    None takes the evaluator's own `bootstrap_draws`.
    """
    count = evaluator.bootstrap_draws if count is None else count
    images = len(next(iter(statistics.values())))
    blocks = [evaluator.measure(statistics, weights) for weights in draws(images, count, seed)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def standard_errors(
    evaluator: type[Evaluator], statistics: Statistics, count: int | None = None, seed: int = 0
) -> dict[str, float]:
    """The standard deviation of each number over bootstrap samples of the images.

    NaN for a single image, which says nothing about others.
    """
    images = len(next(iter(statistics.values())))
    numbers = resampled(evaluator, statistics, count, seed)
    if images < 2:
        return dict.fromkeys(numbers, float("nan"))
    return {name: _deviation(values) for name, values in numbers.items()}


def _deviation(values: np.ndarray) -> float:
    """The standard deviation of what has a value (a rare class is absent from some samples)."""
    there = values[np.isfinite(values)]
    return float(np.std(there, ddof=1)) if len(there) > 1 else float("nan")
