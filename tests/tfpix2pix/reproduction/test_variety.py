"""The rows of the table of several answers, and whether they are at its aim."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.algorithms import registry
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import resolve
from tfpix2pix.evaluation.registry import EVALUATORS
from tfpix2pix.reproduction import pictures, variety
from tfpix2pix.reproduction.plan import Plan, begin
from tfpix2pix.reproduction.publish import verdicts
from tfpix2pix.reproduction.results import result_of
from tfpix2pix.reproduction.tables import TABLES, Row, Variant, chosen_rows, chosen_tables

TABLE = TABLES["diversity"]
FOUR = dataclasses.replace(  # the table with other rows behind its first
    TABLE,
    rows=(
        TABLE.rows[0],
        *(Row(key, key.title(), Variant(f"diversity-{key}", {})) for key in ("a", "b", "c", "d")),
    ),
)


@pytest.fixture
def plan():
    base = resolve({"crop_size": 64, "ngf": 4, "ndf": 4, "steps": 8})
    return Plan(Path("out"), base.replace(direction="AtoB", label_side="input"))


def test_rows_are_named_once_and_begin_with_dropout():
    keys = [row.key for row in variety.ROWS]
    assert keys[0] == variety.UNIT == TABLE.unit
    assert len(set(keys)) == len({row.title for row in variety.ROWS}) == len(keys)
    assert TABLE not in chosen_tables("all")
    assert {*TABLE.evaluators} <= {*EVALUATORS}
    assert len(TABLE.numbers) == len(TABLE.headings) == len(TABLE.truth) == len(TABLE.digits)


@pytest.mark.parametrize("row", variety.ROWS, ids=lambda row: row.key)
def test_every_row_is_a_config_of_the_same_size(plan, row):
    (variant,) = [each.variant for each in TABLE.rows if each.key == row.key]
    config = plan.config(variant, 3)
    first = plan.config(TABLE.unit_variant, 3)
    for name in ("ngf", "ndf", "generator", "learning_rate", "lr_schedule"):
        assert getattr(config, name) == getattr(first, name), name
    assert (config.steps, config.seed) == (8, 3)
    assert config.takes_noise or config.latent or row.key == "no_dropout"
    assert config.algorithm in registry.TRAINABLE


def test_the_first_row_is_the_papers_and_best_is_the_preset(plan):
    configs = {row.key: plan.config(row.variant, 0) for row in TABLE.rows}
    for key, preset in (("pix2pix", "paper"), ("best", "best")):
        values = {**Pix2PixConfig.PRESETS["best"].values, **Pix2PixConfig.PRESETS[preset].values}
        own = Pix2PixConfig(preset="paper").replace(**Pix2PixConfig.PRESETS[preset].values)
        for name in values.keys() - {"best_metric"}:
            assert getattr(configs[key], name) == getattr(own, name), name


def test_rows_have_the_same_steps_unless_minutes_are_asked_for(tmp_path):
    tables = chosen_rows(chosen_tables("diversity"), "pix2pix,no_dropout")
    assert begin(tmp_path / "out", {}, tables)[0].same == "steps"
    assert begin(tmp_path / "out", {}, tables, same="minutes")[0].same == "minutes"


# === The aim ===


def metrics_of(**rows: dict[str, tuple[float, float]]):
    """What ``metrics.json`` of two seeds holds, by row and number its two values."""
    found = {}
    for key, numbers in rows.items():
        for seed in (0, 1):
            found[f"diversity-{key}", seed] = {
                "numbers": {name: values[seed] for name, values in numbers.items()},
                "standard_errors": dict.fromkeys(numbers, 0.001),
            }
    return found


def numbers(diversity, kid, iou):
    def near(value):
        return value - 0.001, value + 0.001

    return {
        "diversity": (diversity / 2, diversity / 2),
        "scorer_diversity": (diversity, diversity),
        "scorer_kid": near(kid),
        "fcn_samples_iou": near(iou),
    }


def test_the_aim_is_so_many_times_the_diversity_and_nothing_worse():
    metrics = metrics_of(
        pix2pix=numbers(0.01, 0.05, 0.3),
        a=numbers(0.19, 0.05, 0.3),
        b=numbers(0.21, 0.051, 0.299),  # by less than two standard errors
        c=numbers(0.3, 0.03, 0.2),
        d=numbers(0.3, 0.2, 0.1),
    )
    result = result_of(FOUR, metrics, [0, 1])
    found = {one.row: one for one in result.reached}
    assert list(found) == ["A", "B", "C", "D"]
    assert found["B"].times == pytest.approx((21, 21))
    assert [one.holds for one in found.values()] == [False, True, False, False]
    assert [one.worse for one in found.values()] == [
        *((), (), ("Label IoU",)),
        ("Label IoU", "Scorer-KID"),
    ]
    first, *said = result.sentences
    assert first == (
        "The aim: 20 times the feature diversity of Dropout z (the paper's pix2pix), and in "
        "Scorer-KID and Label IoU not worse by 2 standard errors."
    )
    ends = {
        "A": "no worse: the aim does not hold",
        "B": "no worse: the aim holds",
        "C": "worse in Label IoU: the aim does not hold",
        "D": "worse in Label IoU and Scorer-KID: the aim does not hold",
    }
    for sentence, (row, end), times in zip(said, ends.items(), (19, 21, 30, 30), strict=True):
        both = f"{times}.0 times the feature diversity and {times}.0 times the pixel diversity"
        assert sentence == f"{row}: {both}, {end}."
        assert f"- {sentence}\n" in result.to_markdown()
    content = result.to_json()
    assert content["aim"]["kept"] == ("scorer_kid", "fcn_samples_iou")
    rows = {row["key"]: row for row in content["rows"]}
    assert rows["b"]["reached"] == {
        "times": pytest.approx([21, 21]),
        "worse": [],
        "holds": True,
    }
    assert "reached" not in rows["pix2pix"]
    # More diversity is neither better nor worse by itself.
    assert rows["b"]["against"]["diversity"]["verdict"] == ""
    # 4 rows in two columns of which one way is the better one.
    assert verdicts(result).startswith("Of 8 comparisons")


def test_without_diversity_nothing_is_so_many_times_it():
    metrics = metrics_of(pix2pix=numbers(0.0, 0.05, 0.3), a=numbers(0.2, 0.05, 0.3))
    (one,) = result_of(FOUR, metrics, [0, 1]).reached
    assert np.isnan(one.times[0])
    assert not one.holds
    assert result_of(FOUR, metrics_of(a=numbers(0.2, 0.05, 0.3)), [0, 1]).reached == []


def test_a_row_that_the_size_refuses_is_named_with_what_is_left(tmp_path):
    """At 32 pixels the second discriminator of BicycleGAN sees 16, less than a patch."""
    given = {"dataset": "sample", "crop_size": 32, "load_size": 32}
    tables = chosen_tables("diversity")
    with pytest.raises(UserError) as refused:
        begin(tmp_path / "out", given, tables)
    said = str(refused.value)
    assert said.startswith("--table=diversity: its row bicyclegan cannot be trained so: ")
    assert "leaves no patch of a 32 pixel image at the last of --discriminator_scales=2" in said
    keys = ",".join(row.key for row in variety.ROWS if row.key != "bicyclegan")
    assert said.endswith(f"; use --crop_size=64, or leave it out with --rows={keys}")
    # Both can be done.
    begin(tmp_path / "out", given, chosen_rows(tables, keys))
    begin(tmp_path / "out", {**given, "crop_size": 64, "load_size": 72}, tables)


# === One input, eight answers ===


def test_answers_stand_in_a_column_for_each_row(plan, tmp_path):
    from tfpix2pix.report import grids

    random = np.random.default_rng(0)
    rows = TABLE.rows[:2]
    runs = Plan(tmp_path, plan.base).runs([row.variant for row in rows], 1)
    x, y = random.integers(0, 255, (2, 2, 128, 128, 3)).astype(np.uint8)
    answers = random.integers(0, 255, (2, pictures.ANSWERS, 128, 128, 3)).astype(np.uint8)
    for run, own in zip(runs, answers, strict=True):
        for folder in (run.workdir / "samples", run.evaluation):
            folder.mkdir(parents=True)
        np.savez(run.workdir / "samples" / "fixed.npz", x=x, y=y, names=np.array(["a", "b"]))
        grids.save_strip(run.evaluation / "answers.png", own)
    (tmp_path / "results").mkdir()
    grid = pictures.write_answers_grid(TABLE, runs, tmp_path, "diversity")
    saved = np.asarray(Image.open(tmp_path / "grids" / "diversity-answers.png"))
    np.testing.assert_array_equal(saved, grid)
    top = grid.shape[0] - pictures.ANSWERS * 132 - 4 + 4

    def tile(row, column):
        at = top + 132 * row, 4 + 132 * column
        return grid[at[0] : at[0] + 128, at[1] : at[1] + 128]

    np.testing.assert_array_equal(tile(0, 0), x[0])
    np.testing.assert_array_equal(tile(0, 1), y[0])
    assert (tile(1, 0) == 255).all()
    np.testing.assert_array_equal(tile(7, 3), answers[1, 7])
    # What may be published has the generated pictures alone.
    shown = Image.open(tmp_path / "results" / "diversity-answers.jpg")
    assert shown.size == (4 + 132 * 2, grid.shape[0])
    assert pictures.write_answers_grid(TABLE, runs[:0], tmp_path, "none") is None
