"""Comparing two models: against SciPy's permutation test, closed forms and hand-worked values."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation import L1, PSNR
from tfpix2pix.evaluation.base import Number
from tfpix2pix.evaluation.color import Color
from tfpix2pix.evaluation.comparison import (
    Comparison,
    Difference,
    bootstrap_differences,
    compare,
    holm,
    permutation_test,
)
from tfpix2pix.evaluation.labels import LabelsOut
from tfpix2pix.evaluation.results import Evaluation

FACTS = {"split": "val", "size": 32, "targets_sha256": "aa", "dataset": {"name": "--dataset=d"}}


def evaluation(values: np.ndarray, **facts) -> Evaluation:
    """An evaluation of L1 alone, from the error of each image."""
    values = np.asarray(values, np.float64)
    return Evaluation(
        {"l1": float(values.mean())},
        {"l1": math.nan},
        tuple(f"{i:03d}" for i in range(len(values))),
        {"l1": {"l1": values}},
        {**FACTS, **facts},
    )


def mean_difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    return np.mean(b, axis=axis) - np.mean(a, axis=axis)


# === The permutation test ===


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.2, 0.4])
def test_p_is_that_of_scipy(shift):
    random = np.random.default_rng(5)
    a = random.normal(size=40)
    b = a + shift + random.normal(0, 0.5, 40)
    p = permutation_test(L1, {"l1": a}, {"l1": b}, 9999)["l1"]
    expected = stats.permutation_test(
        (a, b),
        mean_difference,
        permutation_type="samples",
        n_resamples=9999,
        random_state=1,
        vectorized=True,
    ).pvalue
    # Two estimates of the same share; SciPy doubles the smaller tail, which has twice the variance.
    error = math.sqrt(3 * expected * (1 - expected) / 9999)
    assert abs(p - expected) < 4 * error + 2 / 9999


def test_p_is_the_exact_share_of_all_swaps():
    a, b = np.array([0.3, 0.1, 0.5, 0.2, 0.4, 0.6]), np.array([0.1, 0.2, 0.1, 0.1, 0.2, 0.3])
    observed = abs((b - a).sum())
    signs = np.array(list(itertools.product([-1, 1], repeat=6)))
    exact = np.mean(np.abs(signs @ (b - a)) >= observed - 1e-12)
    assert exact == 6 / 64  # none, or one of the two 0.1, and the opposite of each
    p = permutation_test(L1, {"l1": a}, {"l1": b}, 20000)["l1"]
    assert abs(p - exact) < 4 * math.sqrt(exact * (1 - exact) / 20000)


def test_it_is_calibrated_where_nothing_differs():
    """Of models that are alike, p is uniform."""
    random = np.random.default_rng(0)
    found = []
    for seed in range(300):
        a, b = random.normal(size=(2, 15))
        found.append(permutation_test(L1, {"l1": a}, {"l1": b}, 199, seed)["l1"])
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_equal_models_have_p_1_and_the_smallest_p_is_not_0():
    a = np.random.default_rng(0).random(30)
    assert permutation_test(L1, {"l1": a}, {"l1": a.copy()}, 99) == {"l1": 1.0}
    assert permutation_test(L1, {"l1": a}, {"l1": a + 1}, 99) == {"l1": 1 / 100}


def test_numbers_that_are_no_means_are_permuted_by_their_statistics():
    """A class IoU: swaps of whole confusion matrices, scored anew each time."""
    random = np.random.default_rng(2)
    a, b = random.integers(0, 50, (2, 7, 3, 4)).astype(np.int32)
    b[:5, [0, 1, 2], [0, 1, 2]] += 60

    def iou(matrix: np.ndarray) -> float:
        values = []
        for k in range(3):
            union = matrix[k].sum() + matrix[:, k].sum() - matrix[k, k]
            values.append(matrix[k, k] / union)
        return float(np.mean(values))

    observed = abs(iou(b.sum(0)) - iou(a.sum(0)))
    as_large = 0
    for swaps in itertools.product([False, True], repeat=7):
        s = np.array(swaps)[:, None, None]
        one, other = np.where(s, b, a).sum(0), np.where(s, a, b).sum(0)
        as_large += abs(iou(other) - iou(one)) >= observed - 1e-12
    exact = as_large / 2**7
    p = permutation_test(LabelsOut, {"fake": a}, {"fake": b}, 9999)["labels_iou"]
    assert abs(p - exact) < 4 * math.sqrt(exact * (1 - exact) / 9999) + 1e-4
    assert 0 < exact < 0.5


# === The bootstrap ===


def test_the_error_is_that_of_paired_means():
    random = np.random.default_rng(1)
    a = random.normal(size=200) * 5
    b = a + random.normal(0.1, 0.3, 200)
    (found,) = compare(evaluation(a), evaluation(b))
    d = b - a
    assert found.difference == pytest.approx(d.mean())
    # Of 1000 draws the deviation is known to 1 in sqrt(2000).
    assert found.error == pytest.approx(np.std(d) / math.sqrt(200), rel=0.1)
    low, high = stats.norm.interval(0.95, d.mean(), np.std(d) / math.sqrt(200))
    assert found.low == pytest.approx(low, abs=0.4 * found.error)
    assert found.high == pytest.approx(high, abs=0.4 * found.error)
    # Unpaired it would be many times as large: both models find the same images hard.
    assert found.error < 0.1 * math.hypot(np.std(a), np.std(b)) / math.sqrt(200)


def test_the_same_images_are_drawn_for_both():
    a = np.random.default_rng(0).random(20)
    spread = bootstrap_differences(L1, {"l1": a}, {"l1": a + 0.25}, 50)["l1"]
    np.testing.assert_allclose(spread, 0.25)


def test_one_image_has_a_difference_and_no_error():
    (found,) = compare(evaluation([0.5]), evaluation([0.25]))
    assert found.difference == -0.25
    assert math.isnan(found.error)
    assert found.p == 1.0
    assert found.better == "B"
    assert not found.is_sure


# === What is compared ===


def test_which_is_better_and_whether_it_is_sure():
    random = np.random.default_rng(0)
    a = random.random(60)
    (worse,) = compare(evaluation(a), evaluation(a + 0.1 + random.normal(0, 0.01, 60)))
    assert (worse.better, worse.is_sure) == ("A", True)
    assert worse.p == worse.p_holm == 1e-4
    (same,) = compare(evaluation(a), evaluation(a))
    assert (same.better, same.is_sure, same.p) == ("", False, 1.0)


def test_only_shared_numbers_that_models_can_change_are_compared():
    random = np.random.default_rng(0)
    values, counts = random.random(10), random.integers(1, 9, (10, 110))
    color = {
        f"{w}_{k}": counts[:, : 50 if k == "l" else 110] for w in ("fake", "truth") for k in "lab"
    }
    one, other = evaluation(values), evaluation(values)
    one.statistics["color"] = color
    other.statistics.update({"color": color, "psnr": {"psnr": values}})
    assert [d.number.name for d in compare(one, other)] == ["color_l", "color_a", "color_b", "l1"]
    assert compare(one, other)[0].number in Color.numbers_of
    only = dataclasses.replace(other, statistics={"psnr": {"psnr": values}})
    assert PSNR.name == "psnr"
    with pytest.raises(UserError, match=r"A and B share no metric \(l1; psnr\)"):
        compare(evaluation(values), only)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"split": "test"}, "different splits (val and test)"),
        ({"size": 64}, "different sizes (32 and 64)"),
        ({"targets_sha256": "bb"}, "different targets of the same names (--dataset=d"),
    ],
    ids=["split", "size", "targets"],
)
def test_other_splits_sizes_and_targets_are_refused(changed, said):
    values = np.arange(4.0)
    with pytest.raises(UserError) as error:
        compare(evaluation(values), evaluation(values, **changed), ("one", "other"))
    assert said in str(error.value)
    assert str(error.value).startswith("one and other were scored")


def test_other_images_are_refused():
    one = evaluation(np.arange(4.0))
    with pytest.raises(UserError, match=r"different numbers of images \(4 and 5\)"):
        compare(one, evaluation(np.arange(5.0)))
    other = dataclasses.replace(one, names=("000", "001", "xyz", "003"))
    with pytest.raises(UserError, match=r"different images \(002 and xyz\)"):
        compare(one, other)


def test_other_scorers_are_refused_where_they_matter():
    values = np.arange(4.0)
    pair = [evaluation(values, scorer={"identity": c * 64}) for c in "ab"]
    assert compare(*pair)  # L1 knows nothing of scorers
    for one in pair:
        one.statistics["fcn"] = {
            "fake": np.ones((4, 2, 3), np.int32),
            "truth": np.ones((4, 2, 3), np.int32),
        }
    with pytest.raises(UserError, match=r"different scorers \(aaaaaaaaaaaa and bbbbbbbbbbbb\)"):
        compare(*pair)
    same = dataclasses.replace(pair[1], facts=pair[0].facts)
    names = [d.number.name for d in compare(pair[0], same)]
    assert names == ["fcn_per_pixel", "fcn_per_class", "fcn_iou", "l1"]


# === Holm ===


def test_holm_by_hand():
    p_values = [0.01, 0.04, math.nan, 0.03, 0.005]
    found = holm([Difference(Number("n", "n"), 0, 1, 1, 0, 1, p) for p in p_values])
    # In order 0.005 x 4, 0.01 x 3, 0.03 x 2, then 0.04 x 1 raised to what came before.
    np.testing.assert_allclose([d.p_holm for d in found], [0.03, 0.06, math.nan, 0.06, 0.02])


def test_the_json_has_no_nan():
    one, other = evaluation([0.5]), evaluation([0.25])
    content = Comparison(["A", "B"], [one, other], {"B": compare(one, other)}).to_json()
    assert content["comparisons"][0]["numbers"]["l1"] == {
        "a": 0.5, "b": 0.25, "difference": -0.25, "standard_error": None, "low": None,
        "high": None, "p": 1.0, "p_holm": 1.0,
    }  # fmt: skip
