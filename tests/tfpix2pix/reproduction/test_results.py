"""Means, errors and orders of a table, worked out by hand."""

from __future__ import annotations

import json
import math

import pytest

from tfpix2pix.reproduction.results import Cell, result_of
from tfpix2pix.reproduction.tables import TABLES

TABLE = TABLES["labels"]
NAMES = ("labels_per_pixel", "labels_per_class", "labels_iou")


def score(values, error=0.001) -> dict:
    return {
        "numbers": dict(zip(NAMES, values, strict=True)),
        "standard_errors": dict.fromkeys(NAMES, error),
    }


def metrics(**by_row) -> dict:
    """By row: one score for each seed."""
    found = {}
    for row in TABLE.rows:
        for seed, values in enumerate(by_row.get(row.key, ())):
            found[row.variant.key, seed] = score(values)
    return found


def test_a_cell_has_the_mean_and_its_standard_error_over_seeds():
    cell = Cell((0.2, 0.4, 0.6), (0.01, 0.02, 0.03))
    assert cell.mean == pytest.approx(0.4)
    assert cell.seed_error == pytest.approx(0.2 / math.sqrt(3))  # deviation 0.2 of three values
    assert cell.image_error == pytest.approx(0.02)
    assert cell.error == cell.seed_error


def test_one_seed_has_no_error_but_that_over_images():
    cell = Cell((0.2,), (0.01,))
    assert math.isnan(cell.seed_error)
    assert cell.error == 0.01
    assert cell.to_json()["standard_error_over_seeds"] is None


def test_rows_stand_to_each_other_as_in_the_paper_or_not():
    # The paper: L1 .86 > L1+cGAN .83 > cGAN .74, in every column in this order.
    found = result_of(
        TABLE,
        metrics(
            **{"l1": [(0.9, 0.5, 0.4)], "cgan": [(0.5, 0.6, 0.3)], "l1+cgan": [(0.9, 0.4, 0.3)]}
        ),
        [0],
    )
    verdicts = {(c.better, c.worse, c.column): c.verdict for c in found.comparisons}
    assert len(verdicts) == 9
    assert verdicts["L1", "cGAN", 0] == "as in the paper"
    assert verdicts["L1", "L1+cGAN", 0] == "too close to tell"
    assert verdicts["L1", "cGAN", 1] == "the other way round"
    assert verdicts["L1+cGAN", "cGAN", 2] == "too close to tell"


def test_seeds_that_differ_widely_tell_nothing():
    far = result_of(
        TABLE, metrics(l1=[(0.9,) * 3, (0.5,) * 3], cgan=[(0.6,) * 3, (0.6,) * 3]), [0, 1]
    )
    assert {c.verdict for c in far.comparisons} == {"too close to tell"}
    near = result_of(
        TABLE, metrics(l1=[(0.7,) * 3, (0.7,) * 3], cgan=[(0.6,) * 3, (0.6,) * 3]), [0, 1]
    )
    assert {c.verdict for c in near.comparisons} == {"as in the paper"}


def test_what_is_not_scored_yet_is_missing_and_said_to_be():
    found = result_of(TABLE, metrics(l1=[(0.9, 0.5, 0.4)]), [0, 1])
    assert [row.seeds for row in found.rows] == [(0,), (), ()]
    assert len(found.missing) == 5
    assert "photo_to_labels-unet-l1 seed 1" in found.missing
    assert (
        found.to_markdown().splitlines()[3].startswith("| cGAN | not run (0.74) | not run (0.28)")
    )


def test_the_markdown_has_ours_and_the_papers_figures():
    found = result_of(TABLE, metrics(l1=[(0.9, 0.5, 0.4), (0.8, 0.5, 0.4)]), [0, 1])
    lines = found.to_markdown().splitlines()
    assert lines[0] == "|  | Per-pixel acc. | Per-class acc. | Class IoU |"
    assert lines[2] == "| L1 | 0.850 ± 0.050 (0.86) | 0.500 ± 0.000 (0.42) | 0.400 ± 0.000 (0.35) |"


def test_the_json_is_json():
    found = result_of(TABLE, metrics(l1=[(0.9, 0.5, float("nan"))]), [0])
    content = found.to_json()
    assert content["rows"][0]["paper"]["labels_per_pixel"] == 0.86
    assert "photo_to_labels-unet-cgan-patch70 seed 0" in content["missing"]
    json.dumps(content, allow_nan=False)


def test_the_truth_row_is_the_scorers_own():
    table = TABLES["losses"]
    numbers = {**dict.fromkeys(table.numbers, 0.3), **dict.fromkeys(table.truth, 0.7)}
    scores = {
        (table.rows[0].variant.key, 0): {"numbers": numbers, "standard_errors": {}},
    }
    found = result_of(table, scores, [0])
    assert found.truth.title == "Ground truth"
    assert found.texts(found.truth)[0] == "0.700 (0.80)"
    assert found.texts(found.rows[0])[0] == "0.300 (0.42)"
