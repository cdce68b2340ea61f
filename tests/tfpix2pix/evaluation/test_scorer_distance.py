"""KID and FID in a scorer's features: what is given to whom, and the values by other roads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.scorer_distance import ScorerFeatures, ScorerFID, ScorerKID

SIZE = 16


class Scorer:
    """Looks at the means of colours and of their squares."""

    size = Size(SIZE, SIZE)

    def __init__(self):
        self.shown = 0

    def features(self, photos):
        assert photos.dtype == np.uint8
        self.shown += len(photos)
        values = photos.reshape(len(photos), -1, 3) / 255
        return np.concatenate([values.mean(axis=1), (values**2).mean(axis=1)], 1).astype("float32")


def photos(images: int, seed: int, low: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    base = random.integers(low, 200, (images, 1, 1, 3))
    return (base + random.integers(0, 55, (images, SIZE, SIZE, 3))).astype(np.uint8)


def measured(of, fake, y) -> dict[str, float]:
    evaluator = of(ScorerFeatures(Scorer()))
    evaluator.update(Batch([str(i) for i in range(len(y))], y, fake))
    return evaluator.result()


def test_the_frechet_distance_is_that_of_the_formula():
    fake, y = photos(60, 0, 40), photos(60, 1)
    a, b = (Scorer().features(p).astype(float) for p in (fake, y))
    s, t = np.cov(a.T), np.cov(b.T)
    expected = np.square(a.mean(0) - b.mean(0)).sum()
    expected += np.trace(s + t - 2 * np.real(sqrtm(s @ t)))
    assert measured(ScorerFID, fake, y) == {"scorer_fid": pytest.approx(expected, rel=1e-3)}


def test_the_kernel_distance_of_equal_sets_is_about_nothing():
    y = photos(60, 0)
    same, other = (measured(ScorerKID, f, y) for f in (photos(60, 1), photos(60, 2, 120)))
    assert list(same) == ["scorer_kid", "scorer_kid_std"]
    assert abs(same["scorer_kid"]) < same["scorer_kid_std"] < other["scorer_kid"]
    assert measured(ScorerFID, y, y)["scorer_fid"] == pytest.approx(0, abs=1e-6)


def test_both_share_what_the_scorer_saw():
    features = ScorerFeatures(Scorer())
    kid, fid = ScorerKID(features), ScorerFID(features)
    batch = Batch(["a", "b"], photos(2, 0), photos(2, 1))
    for evaluator in (kid, fid):
        evaluator.update(batch)
    assert features.scorer.shown == 4
    np.testing.assert_array_equal(kid.statistics["truth"], fid.statistics["truth"])


def test_finer_steps_are_rounded_and_other_sizes_refused():
    features = ScorerFeatures(Scorer())
    picture = photos(1, 0)
    np.testing.assert_array_equal(features(picture + 0.3), features(picture))
    with pytest.raises(UserError, match="reads photos of 16x16, and these are 8x8"):
        features(picture[:, :8, :8])
