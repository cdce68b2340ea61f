"""What an evaluator is, and the walk over a split that feeds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfpix2pix.data import PairForm, Side

RGB = PairForm(Side(3), Side(3))


class Evaluator(Protocol):
    """One measure over any number of images, fed batch by batch."""

    name: str

    def update(self, y: np.ndarray, fake: np.ndarray) -> None:
        """Takes in a batch: targets and generated images ``[B, H, W, C]``, values 0 to 255 (uint8,
        or float64 with finer steps)."""

    def result(self) -> float:
        """The measure over all images so far; NaN before the first."""


class MeanOverImages:
    """Base of the evaluators that are the plain mean of one number per image.

    Every image counts once, so a last batch of another size changes nothing.
    """

    name: str

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def per_image(self, y: np.ndarray, fake: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def update(self, y: np.ndarray, fake: np.ndarray) -> None:
        values = np.asarray(self.per_image(y, fake), np.float64)
        self._sum += float(values.sum())
        self._count += len(values)

    def result(self) -> float:
        return self._sum / self._count if self._count else float("nan")


def evaluate(
    evaluators: Sequence[Evaluator],
    batches: Iterable[tuple[tf.Tensor, tf.Tensor]],
    generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    on_batch: Callable[[int], None] = lambda images: None,
    form: PairForm = RGB,
) -> dict[str, float]:
    """Feeds a split to evaluators.

    Args:
      evaluators: the measures.
      batches: pairs ``(x, y)``, float32 ``[B, H, W, C]`` in [-1, 1].
      generate: makes float32 images in [-1, 1] of ``(x, positions)``, where positions, int64
        ``[B]``, are the images' places in the split.
      on_batch: told the number of images done.
      form: of the pairs; it says what the pictures are that the measures see.

    Returns:
      The results by evaluator name, and ``images``, how many there were. Measures are taken on
      the pictures as their files would hold them, which is what a person gets: with the target's
      depth, on the scale 0 to 255.
    """
    done = 0
    for x, y in batches:
        positions = tf.range(done, done + x.shape[0], dtype=tf.int64)
        generated = generate(x, positions)
        x = x.numpy()
        fake = form.levels(x, generated.numpy())
        target = form.levels(x, y.numpy())
        for evaluator in evaluators:
            evaluator.update(target, fake)
        done += len(target)
        on_batch(done)
    return {**{e.name: e.result() for e in evaluators}, "images": done}
