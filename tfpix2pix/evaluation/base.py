"""The interface of evaluators, and the walk over a split that feeds them.

An evaluator turns each image into *statistics* (its error, its confusion matrix, its histograms)
and keeps those, never the image; *numbers* are a function of the statistics and of how often each
image counts. So every number has a bootstrap standard error (images drawn with replacement) and
two models can be compared image by image, from files, long after the pictures are gone.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.data import ImageSpec, PairSpec

if TYPE_CHECKING:
    import tensorflow as tf

RGB = PairSpec(ImageSpec(3), ImageSpec(3))

Statistics = Mapping[str, np.ndarray]
"""Arrays whose first axis is the images."""

_BLOCK = 256  # images at a time, where each is scored by itself


@dataclass(frozen=True)
class Batch:
    """What evaluators are shown of some images.

    Attributes:
      names: of the pairs, one each.
      y: targets, ``[B, H, W, C]``, values 0 to 255: uint8, or float64 with finer steps.
      fake: the generated images, the same shape and scale.
      classes: the class of every pixel of the pair's label image (input or target), uint8
        ``[B, H, W]`` by the palette's order; None where the set has no labels.
      samples: further draws of z for the same inputs, ``[n, B, H, W, C]``, the scale of y, the
        first of them `fake`; None where nobody asked for them.
      x: inputs, float32 ``[B, H, W, C_in]`` in [-1, 1]; None where they are not known.
      measured: bool ``[B, H, W]``, the pixels that count; None for all. `fake` and `samples` are y
        elsewhere (`Batch.of`), so that no measure sees a difference there.
      paired: whether y are the targets of x; else they mean nothing.
    """

    names: Sequence[str]
    y: np.ndarray
    fake: np.ndarray
    classes: np.ndarray | None = None
    samples: np.ndarray | None = None
    x: np.ndarray | None = None
    measured: np.ndarray | None = None
    paired: bool = True

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        y: np.ndarray,
        samples: np.ndarray,
        x: np.ndarray,
        *,
        classes: np.ndarray | None = None,
        measured: np.ndarray | None = None,
    ) -> Batch:
        """The batch of n pictures for each input, `samples` ``[n, B, H, W, C]``; images of which
        nothing is measured are left out."""
        if measured is not None:
            kept = np.flatnonzero(measured.any(axis=(1, 2))).tolist()
            names = [names[place] for place in kept]
            y, x, measured, samples = y[kept], x[kept], measured[kept], samples[:, kept]
            classes = None if classes is None else classes[kept]
            samples = np.where(measured[..., None], samples, y)
        several = samples if len(samples) > 1 else None
        return cls(names, y, samples[0], classes, several, x, measured)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Of values ``[B, H, W, C]`` the mean over the pixels that count, ``[B]``."""
        if self.measured is None:
            return values.mean(axis=(1, 2, 3))
        where = np.broadcast_to(self.measured[..., None], values.shape)
        return values.mean(axis=(1, 2, 3), where=where)

    def __len__(self) -> int:
        return len(self.fake)


@dataclass(frozen=True)
class Number:
    """One number of an evaluator, for tables.

    Attributes:
      name: in ``metrics.json``, unique over all evaluators.
      title: in tables, a few words with the unit.
      better: ``higher``, ``lower`` or empty where neither is.
      digits: after the point.
    """

    name: str
    title: str
    better: str = ""
    digits: int = 4


class Evaluator(abc.ABC):
    """One measure over any number of images, fed batch by batch.

    Subclasses give `name`, what they `need` of a batch beside y and fake, their `numbers_of`, and
    implement `per_image` and `score` (or, where numbers are no function of sums over images,
    `measure`).
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    """Of ``classes``, ``samples`` (two or more) and ``rgb`` (pictures of three channels)."""
    numbers_of: ClassVar[tuple[Number, ...]]
    additive: ClassVar[bool] = True
    """Whether numbers are a function of the (weighted) sums of the statistics over images."""
    of_one_image: ClassVar[bool] = True
    """Whether numbers of an additive evaluator have a value for a single image."""
    of_pairs: ClassVar[bool] = True
    """Whether a picture is compared with its own target."""
    bootstrap_draws: ClassVar[int] = 1000
    """How many bootstrap samples are worth their time."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    @abc.abstractmethod
    def per_image(self, batch: Batch) -> Statistics:
        """The statistics of a batch's images: arrays ``[B, ...]``."""

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        """Numbers of sums of statistics.

        Args:
          sums: each statistic summed over images, with any leading axes: ``[..., *shape]``.
          count: how many images were summed, ``[...]``.

        Returns:
          Each number ``[...]``, NaN where it has no value.
        """
        raise NotImplementedError

    def update(self, batch: Batch) -> None:
        """Takes in a batch.

        Raises:
          UserError: the batch has not what the evaluator needs.
        """
        refuse(self.name, self.needs, batch)
        self._keep(self.per_image(batch))

    def _keep(self, statistics: Statistics) -> None:
        for name, values in statistics.items():
            self._parts.setdefault(name, []).append(np.asarray(values))

    @property
    def scores_each(self) -> bool:
        """Whether its numbers have a value for every single image, see `of_each`."""
        return self.additive and self.of_one_image

    @property
    def count(self) -> int:
        """Images so far."""
        return sum(map(len, next(iter(self._parts.values()), [])))

    @property
    def statistics(self) -> dict[str, np.ndarray]:
        """The statistics of all images so far, in the order in which they came."""
        for name, parts in self._parts.items():
            if len(parts) > 1:  # joined once, so that reading it often costs nothing
                self._parts[name] = [np.concatenate(parts)]
        return {name: parts[0] for name, parts in self._parts.items()}

    def result(self) -> dict[str, float]:
        """The numbers over all images so far; NaN before the first."""
        statistics = self.statistics
        if not statistics:
            return {number.name: float("nan") for number in self.numbers_of}
        numbers = self.measure(statistics, *self.everyone(statistics))
        return {name: float(values[0]) for name, values in numbers.items()}

    @classmethod
    def everyone(cls, statistics: Statistics) -> tuple[np.ndarray, ...]:
        """The weights for `measure` with which every image counts once."""
        return (np.ones((1, counts_of(statistics)[0])),)

    @classmethod
    def measure(cls, statistics: Statistics, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Numbers of images that count more than once or not at all.

        Args:
          statistics: of N images.
          weights: how often each counts, ``[R, N]``, for R answers at once.

        Returns:
          Each number ``[R]``.
        """
        sums = {name: weighted_sums(weights, values) for name, values in statistics.items()}
        return cls.score(sums, weights.sum(axis=1))

    @classmethod
    def of_each(cls, statistics: Statistics) -> dict[str, np.ndarray]:
        """Numbers of every image by itself, where single images have them.

        Args:
          statistics: of N images.

        Returns:
          Each number ``[N]``.
        """
        count = len(next(iter(statistics.values())))
        blocks = [
            cls.score(
                {
                    name: values[start : start + _BLOCK].astype(np.float64)
                    for name, values in statistics.items()
                },
                np.ones(min(_BLOCK, count - start)),
            )
            for start in range(0, count, _BLOCK)
        ]
        return {
            number.name: np.concatenate([block[number.name] for block in blocks])
            for number in cls.numbers_of
        }


class OfSets(Evaluator):
    """Base of the evaluators that compare generated pictures with true ones as two sets, whichever
    picture is of which input; of pairs, and of sets of different counts.

    Its statistics are those of `of_pictures`, their names behind ``fake`` and ``truth``.
    """

    of_pairs = False

    @abc.abstractmethod
    def of_pictures(self, pictures: np.ndarray) -> Statistics:
        """The statistics of pictures ``[B, H, W, C]``, values 0 to 255: arrays ``[B, ...]``."""

    def per_image(self, batch: Batch) -> Statistics:
        return self._of("fake", batch.fake) | self._of(TRUTH, batch.y)

    def update_set(self, pictures: np.ndarray, *, truth: bool) -> None:
        """Takes in generated pictures, or true ones, of which there may be another number."""
        self._keep(self._of(TRUTH if truth else "fake", pictures))

    @classmethod
    def everyone(cls, statistics: Statistics) -> tuple[np.ndarray, ...]:
        fake, truth = counts_of(statistics)
        return np.ones((1, fake)), np.ones((1, truth))

    @classmethod
    def measure(
        cls, statistics: Statistics, weights: np.ndarray, of_truth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """See `Evaluator.measure`.

        Args:
          statistics: of N generated and M true pictures.
          weights: of the generated ones, ``[R, N]``.
          of_truth: of the true ones, ``[R, M]``; None where they are pairs: the same.
        """
        sums = {
            name: weighted_sums(weights_of(name, weights, of_truth), values)
            for name, values in statistics.items()
        }
        return cls.score(sums, weights.sum(axis=1))

    def _of(self, whose: str, pictures: np.ndarray) -> dict[str, np.ndarray]:
        found = self.of_pictures(pictures)
        return {f"{whose}_{name}" if name else whose: values for name, values in found.items()}


TRUTH = "truth"  # so begin the names of statistics of true pictures alone


def is_truth(name: str) -> bool:
    """Whether a statistic is of true pictures alone."""
    return name.split("_")[0] == TRUTH


def weights_of(name: str, weights: np.ndarray, of_truth: np.ndarray | None) -> np.ndarray:
    """The weights of a statistic's images; those of true pictures together as much as the others,
    so that sums of both compare."""
    if of_truth is None or not is_truth(name):
        return weights
    return of_truth * (weights.sum(axis=1) / of_truth.sum(axis=1))[:, None]


def counts_of(statistics: Statistics) -> tuple[int, int]:
    """How many generated pictures statistics are of, and how many true ones."""
    fake = next((len(v) for name, v in statistics.items() if not is_truth(name)), 0)
    return fake, next((len(v) for name, v in statistics.items() if is_truth(name)), fake)


def beside_all(statistics: Statistics) -> Statistics:
    """Statistics of `OfSets` in which every generated picture has all true ones for its truth, for
    `Evaluator.of_each` of images that are no pairs."""
    images, _ = counts_of(statistics)
    return {
        name: np.broadcast_to(values.mean(axis=0), (images, *values.shape[1:]))
        if is_truth(name)
        else values
        for name, values in statistics.items()
    }


def refuse(name: str, needs: frozenset[str], batch: Batch) -> None:
    """Raises UserError where a batch has not what an evaluator needs."""
    if "classes" in needs and batch.classes is None:
        raise UserError(no_classes(name))
    if "samples" in needs and (batch.samples is None or len(batch.samples) < 2):
        raise UserError(no_samples(name, 1 if batch.samples is None else len(batch.samples)))
    if "rgb" in needs and batch.y.shape[-1] != 3:
        raise UserError(no_rgb(name, batch.y.shape[-1]))


def no_pairs(name: str) -> str:
    return (
        f"--metrics={name}: it compares each picture with its own target, and these images are no "
        "pairs; leave the metric out, or give pairs with --dataset"
    )


def no_classes(name: str) -> str:
    return (
        f"--metrics={name}: it needs the class of every pixel, and the data set has no label "
        "palette; name its palette with --label_palette, or leave the metric out"
    )


def no_samples(name: str, samples: int) -> str:
    return (
        f"--metrics={name}: it needs at least 2 samples per input, and there is {samples}; ask for "
        "more with --samples=8, or leave the metric out"
    )


def no_rgb(name: str, channels: int) -> str:
    plural = "channel" if channels == 1 else "channels"
    return (
        f"--metrics={name}: it is defined for RGB pictures, and these have {channels} {plural}; "
        "leave the metric out"
    )


def weighted_sums(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``[R, N]`` times ``[N, *shape]``: float64 ``[R, *shape]``."""
    flat = values.reshape(len(values), -1).astype(np.float64, copy=False)
    return (weights.astype(np.float64, copy=False) @ flat).reshape(-1, *values.shape[1:])


class MeanOverImages(Evaluator):
    """Base of the evaluators that are the plain mean of one number per image.

    Every image counts once, so a last batch of another size changes nothing.
    """

    @abc.abstractmethod
    def values(self, batch: Batch) -> np.ndarray:
        """One number per image, ``[B]``."""

    def per_image(self, batch: Batch) -> Statistics:
        return {self.name: np.asarray(self.values(batch), np.float64)}

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        return {cls.name: sums[cls.name] / count}


def evaluate(
    evaluators: Sequence[Evaluator],
    batches: Iterable[tuple[tf.Tensor, ...]],
    generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    on_batch: Callable[[int], None] = lambda images: None,
    spec: PairSpec = RGB,
) -> dict[str, float]:
    """Feeds a split to evaluators that need nothing but targets and generated images.

    Args:
      evaluators: the measures.
      batches: pairs ``(x, y)``, float32 ``[B, H, W, C]`` in [-1, 1], or ``(x, y, measured)`` as
        `tfpix2pix.data.evaluation_batches` has them.
      generate: makes float32 images in [-1, 1] of ``(x, positions)``, where positions, int64
        ``[B]``, are the images' places in the split.
      on_batch: told the number of images done.
      spec: of the pairs; it says what the pictures are that the measures see.

    Returns:
      All numbers by name, ``images``, how many there were, and where batches say what is measured
      ``left_out``, the share of pixels that is not. Measures are taken on the pictures
      as their files would hold them, which is what a person gets: with the target's depth, on the
      scale 0 to 255.
    """
    import tensorflow as tf

    done = pixels = left_out = 0
    for x, y, *masks in batches:
        positions = tf.range(done, done + x.shape[0], dtype=tf.int64)
        generated = generate(x, positions)
        x = x.numpy()
        names = [str(done + i) for i in range(len(x))]
        true, fake = (spec.levels(x, picture.numpy()) for picture in (y, generated))
        measured = masks[0].numpy()[..., 0] > 0 if masks else None
        batch = Batch.of(names, true, fake[None], x, measured=measured)
        for evaluator in evaluators if len(batch) else ():
            evaluator.update(batch)
        done += len(x)
        if measured is not None:
            pixels, left_out = pixels + measured.size, left_out + int(np.count_nonzero(~measured))
        on_batch(done)
    results: dict[str, float] = {}
    for evaluator in evaluators:
        results.update(evaluator.result())
    if pixels:
        results["left_out"] = left_out / pixels
    return {**results, "images": done}
