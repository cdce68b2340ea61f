"""FCN-score and labels out, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.data.label_classes import LabelClass, Palette
from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.fcn import FCNScore
from tfpix2pix.evaluation.labels import LabelsOut

PALETTE = Palette(
    "test",
    (
        LabelClass("red", (200, 0, 0), (0,)),
        LabelClass("green", (0, 200, 0), (1,)),
        LabelClass("void", (0, 0, 0), (2,), void=True),
        LabelClass("blue", (0, 0, 200), (3,)),
    ),
)


class Scorer:
    """Sees the brightest channel, as a scorer that has no word for void."""

    palette = PALETTE
    size = Size(16, 16)

    def classes(self, photos):
        assert photos.dtype == np.uint8
        assert photos.shape[1:] == (16, 16, 3)
        return np.array([0, 1, 3], np.uint8)[photos.argmax(axis=-1)]


def scene(seed: int, images: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Classes ``[images, 16, 16]``, and photos of which the scorer misreads some pixels."""
    random = np.random.default_rng(seed)
    classes = random.integers(0, 4, (images, 16, 16)).astype(np.uint8)
    photos = PALETTE.to_colors(classes) + random.normal(0, 90, (images, 16, 16, 3))
    return classes, np.clip(photos, 0, 255).astype(np.uint8)


def names(images: int = 3) -> list[str]:
    return [str(i) for i in range(images)]


def sklearn_scores(true: np.ndarray, found: np.ndarray) -> list[float]:
    metrics = pytest.importorskip("sklearn.metrics")
    keep = true != 2
    t, f = true[keep], found[keep]
    options = {"labels": [0, 1, 3], "average": "macro", "zero_division": 0}
    return [
        metrics.accuracy_score(t, f),
        metrics.recall_score(t, f, **options),
        metrics.jaccard_score(t, f, **options),
    ]


def test_fcn_scores_are_scikit_learns_of_all_pixels_together():
    classes, fake = scene(0)
    _, other = scene(1)
    y = (other // 2 + PALETTE.to_colors(classes)).clip(0, 255).astype(np.uint8)
    evaluator = FCNScore(Scorer())
    evaluator.update(Batch(names(), y, fake, classes))
    found = evaluator.result()
    for prefix, photos in (("fcn_", fake), ("fcn_truth_", y)):
        expected = sklearn_scores(classes, Scorer().classes(photos))
        assert 0.3 < expected[0] < 0.99
        three = [found[prefix + part] for part in ("per_pixel", "per_class", "iou")]
        assert three == pytest.approx(expected)
    # Not the mean of the images' own scores.
    single = [sklearn_scores(classes[[i]], Scorer().classes(fake[[i]]))[2] for i in range(3)]
    assert found["fcn_iou"] != pytest.approx(np.mean(single), abs=1e-6)


def test_photos_of_another_size_than_the_scorers_are_refused():
    y = np.zeros((1, 16, 24, 3), np.uint8)
    with pytest.raises(UserError, match="--scorer: it reads photos of 16x16, and these are 24x16"):
        FCNScore(Scorer()).update(Batch(["a"], y, y, np.zeros((1, 16, 24), np.uint8)))


def test_photos_of_finer_steps_reach_the_scorer_as_8_bits():
    classes, fake = scene(2)
    fine, coarse = FCNScore(Scorer()), FCNScore(Scorer())
    fine.update(Batch(names(), fake + 0.25, fake - 0.25, classes))
    coarse.update(Batch(names(), fake, fake, classes))
    assert fine.result() == coarse.result()


def test_labels_are_snapped_to_the_palette():
    classes, _ = scene(3)
    smeared = PALETTE.to_colors(classes).astype(int) + 40
    evaluator = LabelsOut(PALETTE)
    evaluator.update(Batch(names(), PALETTE.to_colors(classes), smeared.astype(np.uint8), classes))
    assert set(evaluator.result().values()) == {1.0}


def test_labels_are_judged_as_scikit_learn_judges_them():
    classes, fake = scene(4)
    distances = ((fake[..., None, :].astype(int) - PALETTE.colors) ** 2).sum(axis=-1)
    expected = sklearn_scores(classes, distances.argmin(axis=-1))
    evaluator = LabelsOut(PALETTE)
    evaluator.update(Batch(names(), PALETTE.to_colors(classes), fake, classes))
    assert list(evaluator.result().values()) == pytest.approx(expected)


def test_labels_by_hand_with_void():
    # True: red, red, void, blue. Painted: red, void's black, green, blue.
    classes = np.array([[[0, 0, 2, 3]]], np.uint8)
    fake = PALETTE.to_colors(np.array([[[0, 2, 1, 3]]]))
    evaluator = LabelsOut(PALETTE)
    evaluator.update(Batch(["a"], PALETTE.to_colors(classes), fake, classes))
    found = evaluator.result()
    assert found["labels_per_pixel"] == pytest.approx(2 / 3)
    assert found["labels_per_class"] == pytest.approx((1 / 2 + 1) / 2)
    # Green was found in true void only, which is not looked at: it has no IoU.
    assert found["labels_iou"] == pytest.approx((1 / 2 + 1) / 2)


def test_what_is_kept_is_small():
    classes, fake = scene(5)
    evaluator = FCNScore(Scorer())
    evaluator.update(Batch(names(), fake, fake, classes))
    assert sum(v[0].nbytes for v in evaluator.statistics.values()) == 2 * 3 * 4 * 4
