"""Diversity: how much the pictures of one input differ, and whether all of them are right.

The protocol is that of Zhu et al. 2017 (BicycleGAN, arXiv 1711.11586, section 4.1): N samples of
each input, the mean distance of all pairs of them. What varies is the latent code where the model
has one, and z, the noise, where it has not (`tfpix2pix.evaluation.pictures.Generated`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpix2pix.evaluation.base import Batch, Evaluator, MeanOverImages, Number, Statistics
from tfpix2pix.evaluation.confusion import confusion, segmentation_scores
from tfpix2pix.evaluation.fcn import PARTS, Scorer, readable


class Diversity(MeanOverImages):
    """The mean L1 distance of two generated pictures of one input, over all pairs of its samples,
    on the scale [-1, 1]: 0 where what varies changes nothing. The paper finds "minor stochasticity"
    (section 3.1). It says nothing about whether the samples are good: noise is diverse."""

    name = "diversity"
    of_pairs = False
    needs = frozenset({"samples"})
    numbers_of = (Number("diversity", "diversity of samples (L1)"),)

    def values(self, batch: Batch) -> np.ndarray:
        assert batch.samples is not None, "update refuses such a batch"
        return mean_pairwise_l1(batch.samples)


class ScorerDiversity(MeanOverImages):
    """The same in what a scorer sees: LPIPS' formula (Zhang et al. 2018, arXiv 1801.03924, equation
    1, every weight 1) on the activations of the scorer, which was trained on photos of this data
    set, in the place of ImageNet's networks and weights fitted to what people say. So it is a
    stand-in: values compare between models that one scorer judged, and not with published LPIPS.

    Args:
      scorer: which looks at photos.
    """

    name = "scorer_diversity"
    of_pairs = False
    needs = frozenset({"samples", "rgb"})
    numbers_of = (Number("scorer_diversity", "diversity in the scorer's features"),)

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def values(self, batch: Batch) -> np.ndarray:
        assert batch.samples is not None, "update refuses such a batch"
        found = []
        for image in range(len(batch)):
            photos = readable(self.scorer, batch.samples[:, image])
            found.append(mean_pairwise_unit(self.scorer.activations(photos)))
        return np.array(found)


class FCNSamples(Evaluator):
    """Do all samples show their label? The FCN-scores of every sample of every input: of all of
    them together, and of each input's worst one, the sample of which fewest pixels are right (the
    first of several). Variety that is noise, or that forgets the input, loses here.

    As in `FCNScore` the pixels of all images count together and void is ignored. Two confusion
    matrices int64 are kept of an image.

    Args:
      scorer: which reads photos.
    """

    name = "fcn_samples"
    needs = frozenset({"samples", "classes", "rgb"})
    of_pairs = False
    numbers_of = (
        Number("fcn_samples_per_pixel", "FCN per-pixel accuracy, all samples", "higher"),
        Number("fcn_samples_per_class", "FCN per-class accuracy, all samples", "higher"),
        Number("fcn_samples_iou", "FCN class IoU, all samples", "higher"),
        Number("fcn_worst_per_pixel", "FCN per-pixel accuracy, worst sample", "higher"),
        Number("fcn_worst_per_class", "FCN per-class accuracy, worst sample", "higher"),
        Number("fcn_worst_iou", "FCN class IoU, worst sample", "higher"),
    )

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def per_image(self, batch: Batch) -> Statistics:
        assert batch.samples is not None, "update refuses such a batch"
        assert batch.classes is not None, "update refuses such a batch"
        matrices = np.stack(  # [n, B, K, K + 1]
            [
                confusion(
                    batch.classes,
                    self.scorer.classes(readable(self.scorer, photos)),
                    self.scorer.palette,
                    batch.measured,
                )
                for photos in batch.samples
            ]
        )
        right = np.trace(matrices, axis1=2, axis2=3)
        worst = matrices[np.argmin(right, axis=0), np.arange(len(batch))]
        return {"samples": matrices.sum(axis=0), "worst": worst}

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        return {
            f"fcn_{of}_{part}": value
            for of in ("samples", "worst")
            for part, value in zip(PARTS, segmentation_scores(sums[of]), strict=True)
        }


def mean_pairwise_l1(samples: np.ndarray) -> np.ndarray:
    """Mean absolute difference of two of n samples ``[n, B, H, W, C]`` (0 to 255) on [-1, 1].

    Returns:
      float64 ``[B]``, the mean over the n (n - 1) / 2 pairs.
    """
    count = len(samples)
    # In sorted order the i-th of n values is the larger one in i pairs and the smaller one in
    # n - 1 - i, so that one pass serves all pairs.
    ordered = np.sort(samples, axis=0)
    sums = sum(
        (2 * i - count + 1) * ordered[i].astype(np.float64).mean(axis=(1, 2, 3))
        for i in range(count)
    )
    # Equal samples leave a sum of rounding errors, which may be negative.
    return np.maximum(sums, 0.0) / (count * (count - 1) / 2) / 127.5


def mean_pairwise_unit(layers: Sequence[np.ndarray]) -> float:
    """LPIPS with every weight 1, the mean over all pairs of n samples.

    Args:
      layers: activations, ``[n, h, w, C]`` each; its features of a place are made 1 long.

    Returns:
      The squared distance of the features of two samples at one place, the mean over places, the
      sum over layers.
    """
    total = 0.0
    for layer in layers:
        count = len(layer)
        values = layer.astype(np.float64)
        values /= np.linalg.norm(values, axis=-1, keepdims=True) + 1e-10
        values -= values[0].copy()  # so that equal samples are exactly 0 apart
        # The sum over pairs of |u - v|^2 is n times the squares less the square of the sum.
        squares = count * np.square(values).sum(axis=(0, -1))
        apart = squares - np.square(values.sum(axis=0)).sum(axis=-1)
        total += float(apart.mean()) / (count * (count - 1) / 2)
    return max(total, 0.0)
