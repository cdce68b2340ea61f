"""FID: Frechet distance of the features of generated and true pictures."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation.base import Number, Statistics
from tfpix2pix.evaluation.inception import OfFeatures


def frechet_distance(
    fake: np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray | None = None,
    of_truth: np.ndarray | None = None,
) -> float:
    """The squared Frechet distance of the Gaussians that fit two sets of features::

        |m1 - m2|^2 + trace(S1) + trace(S2) - 2 trace((S1 S2)^(1/2))

    with means m and covariances S (divided by N - 1). No square root of a matrix is taken: with
    ``S1 = A' A`` and ``S2 = B' B``, A and B the centred features over (N - 1)^(1/2), the last trace
    is the sum of the singular values of ``A B'``. That is exact and stable for singular
    covariances too, which all are where there are fewer images than features.

    Args:
      fake, truth: ``[N, D]`` and ``[M, D]``.
      weights: how often each fake counts, ``[N]``; None: once.
      of_truth: how often each true image does, ``[M]``; None: as the fakes, whose pairs they are.

    Returns:
      The distance; NaN where fewer than 2 images count, or a feature is not finite.
    """
    weights = np.ones(len(fake)) if weights is None else np.asarray(weights, np.float64)
    of_truth = weights if of_truth is None else np.asarray(of_truth, np.float64)
    means, centred = [], []
    for features, counted in ((fake, weights), (truth, of_truth)):
        drawn = counted > 0
        counted, total = counted[drawn], counted.sum()
        if total < 2 or not np.isfinite(features[drawn]).all():
            return float("nan")
        values = np.asarray(features[drawn], np.float64)
        mean = counted @ values / total
        means.append(mean)
        centred.append(np.sqrt(counted / (total - 1))[:, None] * (values - mean))
    traces = sum(float(np.square(part).sum()) for part in centred)
    # A = Q R with orthonormal Q: the singular values of A B' are those of R_A R_B', D x D.
    centred = [
        np.linalg.qr(part, mode="r") if len(part) > part.shape[1] else part for part in centred
    ]
    roots = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False)
    distance = float(np.square(means[0] - means[1]).sum()) + traces - 2 * float(roots.sum())
    return max(distance, 0.0)  # equal sets leave a rounding error


class FID(OfFeatures):
    """Frechet Inception distance (Heusel et al. 2017), with the features of `InceptionFeatures`,
    which says why values are not comparable with those of papers; 0 is equal.

    It falls with the number of images, also for a perfect generator: compare only values of equally
    many.
    """

    name = "fid"
    numbers_of = (Number("fid", "FID (Keras's InceptionV3)", "lower", 2),)

    @classmethod
    def measure(
        cls, statistics: Statistics, weights: np.ndarray, of_truth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        fake, truth = statistics["fake"], statistics["truth"]
        rows = zip(weights, weights if of_truth is None else of_truth, strict=True)
        return {"fid": np.array([frechet_distance(fake, truth, *row) for row in rows])}
