"""Confusion matrices and the three numbers against scikit-learn, loops and hand-worked values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfpix2pix.data.label_classes import LabelClass, Palette
from tfpix2pix.evaluation.confusion import (
    confusion,
    counted_classes,
    counted_names,
    segmentation_scores,
)


def palette(void: tuple[int, ...] = (1,), classes: int = 5) -> Palette:
    return Palette(
        "test",
        tuple(
            LabelClass(f"c{i}", (40 * i, 10, 250 - 30 * i), (i,), i in void) for i in range(classes)
        ),
    )


PALETTE = palette()
COUNTED = [0, 2, 3, 4]


def random_pair(seed: int = 0, images: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    true = random.integers(0, 5, (images, 9, 7)).astype(np.uint8)
    found = np.where(random.random(true.shape) < 0.6, true, random.integers(0, 5, true.shape))
    return true, found.astype(np.uint8)


def scores(matrix) -> tuple[float, float, float]:
    return tuple(float(value) for value in segmentation_scores(matrix))


# === The matrix ===


def test_every_pixel_is_counted_where_a_loop_counts_it():
    true, found = random_pair()
    matrix = confusion(true, found, PALETTE)
    expected = np.zeros((4, 4, 5), int)
    for image in range(4):
        for t, f in zip(true[image].ravel(), found[image].ravel(), strict=True):
            if t != 1:
                expected[image, COUNTED.index(t), COUNTED.index(f) if f != 1 else 4] += 1
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, expected)


def test_the_matrix_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    true, found = random_pair()
    keep = true != 1
    expected = metrics.confusion_matrix(true[keep], found[keep], labels=[*COUNTED, 1])
    np.testing.assert_array_equal(confusion(true, found, PALETTE).sum(axis=0), expected[:4])


def test_without_void_the_last_column_is_empty():
    true, found = random_pair()
    matrix = confusion(true, found, palette(void=()))
    assert matrix.shape == (4, 5, 6)
    assert matrix[..., 5].sum() == 0
    assert matrix.sum() == true.size


def test_rows_are_the_counted_classes_in_order():
    assert counted_classes(PALETTE).tolist() == COUNTED
    assert counted_names(PALETTE) == ["c0", "c2", "c3", "c4"]


def test_what_is_no_class_is_refused():
    true, found = random_pair()
    with pytest.raises(ValueError, match="0 to 4"):
        confusion(true, found + 1, PALETTE)
    with pytest.raises(ValueError, match="expected class numbers"):
        confusion(true, found[:, :5], PALETTE)


# === The three numbers ===


def test_the_numbers_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    true, found = random_pair()
    keep = true != 1
    t, f = true[keep], found[keep]
    per_pixel, per_class, iou = scores(confusion(true, found, PALETTE).sum(axis=0))
    assert per_pixel == pytest.approx(metrics.accuracy_score(t, f))
    assert per_class == pytest.approx(
        metrics.recall_score(t, f, labels=COUNTED, average="macro", zero_division=0)
    )
    assert iou == pytest.approx(
        metrics.jaccard_score(t, f, labels=COUNTED, average="macro", zero_division=0)
    )


def test_by_hand():
    # Class a: 3 of 4 right, one taken for b. Class b: 1 of 2 right, one taken for void.
    matrix = np.array([[3, 1, 0], [0, 1, 1]])
    per_pixel, per_class, iou = scores(matrix)
    assert per_pixel == pytest.approx(4 / 6)
    assert per_class == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert iou == pytest.approx((3 / 4 + 1 / 3) / 2)


def test_true_void_is_ignored_and_found_void_is_an_error():
    true = np.array([[[0, 0, 1, 1]]])
    assert scores(confusion(true, np.array([[[0, 0, 3, 2]]]), PALETTE).sum(0)) == (1, 1, 1)
    assert scores(confusion(true, np.array([[[0, 1, 1, 1]]]), PALETTE).sum(0)) == (0.5, 0.5, 0.5)


def test_absent_classes_are_left_out():
    # c is neither there nor found: out of both means.
    assert scores([[4, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]) == (1, 1, 1)
    # c is not there but found: it has no accuracy, and an IoU of 0.
    per_pixel, per_class, iou = scores([[3, 0, 1, 0], [0, 2, 0, 0], [0, 0, 0, 0]])
    assert per_pixel == pytest.approx(5 / 6)
    assert per_class == pytest.approx((3 / 4 + 1) / 2)
    assert iou == pytest.approx((3 / 4 + 1 + 0) / 3)


def test_nothing_to_count_has_no_value():
    assert all(math.isnan(value) for value in scores(np.zeros((4, 5))))
    everything_void = np.ones((1, 3, 3), np.uint8)
    matrix = confusion(everything_void, everything_void, PALETTE)
    assert matrix.sum() == 0


def test_many_matrices_at_once():
    matrices = confusion(*random_pair(), PALETTE).reshape(2, 2, 4, 5)
    together = segmentation_scores(matrices)
    for index in np.ndindex(2, 2):
        assert scores(matrices[index]) == tuple(float(part[index]) for part in together)


def test_pixels_that_are_not_measured_are_not_counted():
    true, found = random_pair()
    measured = np.random.default_rng(3).random(true.shape) < 0.5
    void = np.where(measured, true, 1)  # as if the class there were void
    expected = confusion(void, found, palette((1,)))
    kept = np.where(true == 1, 0, 1).astype(bool)
    result = confusion(true, found, palette((1,)), measured)
    np.testing.assert_array_equal(result, expected)
    assert result.sum() == (measured & kept).sum()
