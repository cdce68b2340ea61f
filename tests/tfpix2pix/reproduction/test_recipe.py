"""The rows of the recipe table, its columns, how it is timed and how long it takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tfpix2pix.config import resolve
from tfpix2pix.evaluation.registry import EVALUATORS
from tfpix2pix.reproduction import recipe, timing, training
from tfpix2pix.reproduction.plan import Pace, Plan, Run
from tfpix2pix.reproduction.tables import TABLES, Variant, chosen_rows, chosen_tables, with_columns

TABLE = TABLES["recipe"]


def test_rows_are_named_once_and_begin_with_the_paper():
    keys = [row.key for row in recipe.ROWS]
    assert keys[:2] == ["paper", "joint"]
    assert keys[-1] == "best"
    assert len(set(keys)) == len({row.title for row in recipe.ROWS}) == len(keys)
    assert not recipe.ROWS[0].changes
    for row in recipe.ROWS:
        assert set(row.changes) <= set(recipe.PAPER)
    assert len({tuple(sorted(row.fields.items())) for row in recipe.ROWS}) == len(keys)


@pytest.mark.parametrize("row", recipe.ROWS, ids=lambda row: row.key)
def test_every_row_is_a_config(row):
    assert resolve({}).replace(**row.fields)


def test_the_papers_tables_keep_their_folders():
    keys = {variant.key for table in chosen_tables("all") for variant in table.variants}
    assert keys == {
        *(f"labels_to_photo-unet-{loss}-patch70" for loss in ("gan", "cgan", "l1+gan", "l1+cgan")),
        *(f"labels_to_photo-unet-l1+cgan-patch{size}" for size in (1, 16, 286)),
        *("labels_to_photo-unet-l1", "labels_to_photo-encoder_decoder-l1"),
        "labels_to_photo-encoder_decoder-l1+cgan-patch70",
        *("photo_to_labels-unet-l1", "photo_to_labels-unet-cgan-patch70"),
        "photo_to_labels-unet-l1+cgan-patch70",
    }
    assert TABLE not in chosen_tables("all")


def test_rows_keep_the_tables_order():
    (table,) = chosen_rows([TABLE], "best,paper")
    assert [row.key for row in table.rows] == ["paper", "best"]


def test_columns_are_what_was_measured_and_can_be_ordered():
    measured = {"l1", "psnr", "sharpness", "sharpness_truth", "sharpness_ratio", "l2"}
    table = with_columns(TABLE, measured)
    assert table.numbers == ("sharpness_ratio", "l1", "psnr")
    assert table.headings[1] == "L1"
    assert table.digits == (4, 4, 3)
    whole = with_columns(TABLE, {n.name for e in EVALUATORS.values() for n in e.numbers_of})
    assert whole.numbers[:3] == ("fcn_per_pixel", "fcn_per_class", "fcn_iou")
    assert whole.truth[:3] == ("fcn_truth_per_pixel", "fcn_truth_per_class", "fcn_truth_iou")
    assert not any(whole.truth[3:])


# === Steps and time ===


@pytest.fixture
def plan(tmp_path):
    base = resolve({"steps": 1000, "val_every": 250, "checkpoint_every": 125, "sample_every": 100})
    return Plan(tmp_path, base, "minutes")


def test_steps_and_schedules_follow_the_pace(plan):
    slow = Variant("slow", {"ngf": 8})
    config = plan.with_pace(slow, 2.5, 0.1).config(slow, 0)
    assert (config.steps, config.val_every, config.checkpoint_every) == (400, 100, 50)
    assert config.sample_every == 100  # the user's own
    same = dataclasses.replace(plan, same="steps").with_pace(slow, 2.5, 0.1)
    assert same.config(slow, 0).steps == 1000


def test_a_plan_is_read_as_it_was_saved(plan):
    whole = plan.with_pace(Variant("slow", {"ngf": 8}), 2.5, 0.1)
    whole.save()
    assert Plan.load(plan.folder) == whole
    assert whole.paces["slow"] == Pace({"ngf": 8}, 400, 2.5, 0.1)


def test_the_rest_takes_what_steps_of_unlike_cost_take(plan, monkeypatch):
    one, slow = Variant("one", {}), Variant("slow", {})
    plan = plan.with_pace(one, 1.0, 0.1).with_pace(slow, 4.0, 0.4)
    runs = plan.runs([one, slow], 2)
    assert [run.config.steps for run in runs] == [1000, 250, 1000, 250]
    done = {"one": 1000}
    monkeypatch.setattr(
        Run, "steps_done", property(lambda run: 0 if run.seed else done.get(run.variant.key, 0))
    )
    monkeypatch.setattr(Run, "seconds", property(lambda run: 60.0 if run.steps_done else 0.0))
    assert training.expected_seconds(runs) == pytest.approx(3 * 60)
    assert "3 left, about 3:00" in training.left(runs)


def test_a_load_that_comes_and_goes_changes_no_ratio(monkeypatch):
    """Steps of 10 ms and 25 ms on a machine that is slower by half from time to time."""
    clock = [0.0]

    class Fake:
        def __init__(self, run, source, store):
            self.own = run.cost

        def seconds(self, steps):
            loaded = 1.5 if int(clock[0] / 3.1) % 2 else 1.0
            clock[0] += self.own * loaded * steps
            return self.own * loaded

    monkeypatch.setattr(timing, "Stepper", Fake)
    monkeypatch.setattr(timing, "open_store", lambda *_, **__: None)
    config = resolve({})
    one, slow = (
        Run(Variant(str(cost), {}), 0, config, Path("x"), cost=cost) for cost in (0.01, 0.025)
    )
    turns = timing.Turns(one, {one.variant.pairs: None})
    ratio, seconds = turns.ratio(slow)
    assert ratio == pytest.approx(2.5)
    assert 0.025 <= seconds <= 0.0375
