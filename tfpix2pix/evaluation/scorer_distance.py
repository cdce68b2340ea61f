"""KID and FID in the features of a scorer: realism measured without a download."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import Number, Statistics
from tfpix2pix.evaluation.fcn import Scorer, readable
from tfpix2pix.evaluation.fid import FID
from tfpix2pix.evaluation.inception import OfFeatures, RememberedFeatures
from tfpix2pix.evaluation.kid import KID


class ScorerFeatures(RememberedFeatures):
    """A scorer's features of pictures ``[B, H, W, 3]``, values 0 to 255: float32 ``[B, D]``.

    The scorer was trained to find the labels in real photos of the data set, so its features are of
    what these photos are made of, where ImageNet's are of a thousand kinds of objects. They know
    nothing of what the set does not have. Their scale is the scorer's own: values compare between
    models that one scorer judged, not between scorers and not with those of papers.
    """

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def of(self, pictures: np.ndarray) -> np.ndarray:
        return self.scorer.features(readable(self.scorer, pictures))


class OfScorer(OfFeatures):
    """Base of the distances in `ScorerFeatures`. 2.8 KiB are kept of an image by a scorer of the
    width 16, 11 KiB by one of 64.

    Args:
      features: what to measure in; its scorer goes into the facts of an evaluation.
    """

    def __init__(self, features: ScorerFeatures) -> None:
        super().__init__(features)
        self.scorer = features.scorer


class ScorerKID(OfScorer):
    """Kernel distance of generated and true pictures, as `KID`, in a scorer's features
    (`ScorerFeatures`). It has no bias: 0 is expected of a perfect generator, and negative values
    occur. Subsets hold half of the images where there are fewer than 2000."""

    name = "scorer_kid"
    numbers_of = (
        Number("scorer_kid", "KID in the scorer's features", "lower", 5),
        Number("scorer_kid_std", "the same, standard deviation over subsets", "", 5),
    )

    @classmethod
    def measure(
        cls, statistics: Statistics, weights: np.ndarray, of_truth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        found = KID.measure(statistics, weights, of_truth)
        return {"scorer_kid": found["kid"], "scorer_kid_std": found["kid_std"]}


class ScorerFID(OfScorer):
    """Frechet distance of generated and true pictures, as `FID`, in a scorer's features
    (`ScorerFeatures`).

    With fewer images than features, 352 or more, the covariances are of deficient rank: the value
    is exact for these images and far above that of many. Compare values of equally many only, and
    rather `ScorerKID`.
    """

    name = "scorer_fid"
    numbers_of = (Number("scorer_fid", "FID in the scorer's features", "lower", 2),)

    @classmethod
    def measure(
        cls, statistics: Statistics, weights: np.ndarray, of_truth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        return {"scorer_fid": FID.measure(statistics, weights, of_truth)["fid"]}
