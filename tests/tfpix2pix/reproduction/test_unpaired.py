"""The rows of CycleGAN's tables: what they set, what they share, what they are trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.config import resolve
from tfpix2pix.config.dataset import open_source
from tfpix2pix.reproduction.plan import Plan, begin
from tfpix2pix.reproduction.results import result_of
from tfpix2pix.reproduction.run import as_scored
from tfpix2pix.reproduction.tables import (
    LABELS,
    PHOTO,
    TABLES,
    Pairs,
    chosen_tables,
    rows_as_given,
    variants_of,
)
from tfpix2pix.reproduction.training import training_source

ROWS = {row.key: row for row in TABLES["cyclegan_photo"].rows}
BOTH = ["cyclegan_photo", "cyclegan_labels"]


@pytest.fixture
def plan():
    base = resolve({"crop_size": 32, "ngf": 4, "ndf": 4, "sample_pairs": 12, "steps": 8})
    return Plan(Path("out"), base.replace(direction="AtoB", label_side="input"))


def config_of(plan, key):
    return plan.config(ROWS[key].variant, 3)


def test_one_name_is_two_tables_of_which_the_papers_own_are_not():
    assert [table.name for table in chosen_tables("cyclegan")] == BOTH
    assert [table.name for table in chosen_tables("cyclegan_labels")] == BOTH[1:]
    assert not set(BOTH) & {table.name for table in chosen_tables("all")}
    with pytest.raises(UserError, match=r"no table 'cyclgan'; did you mean .*cyclegan"):
        chosen_tables("cyclgan")


def test_what_learns_both_ways_is_one_training_of_both_tables(plan):
    photo, labels = (TABLES[name].variants for name in BOTH)
    shared = [one for one in photo if one in labels]
    assert [one for one in photo if len(plan.config(one, 0).directions) == 2] == shared
    assert {one.key for one in shared} == {
        f"cyclegan-{key}" for key in ("cycle", "gan", "forward", "backward", "cyclegan")
    }
    assert {one.task for one in labels if one not in shared} == {LABELS}


@pytest.mark.parametrize(
    ("row", "weights"),
    [
        ("cycle", (0, 10, 10)),
        ("gan", (1, 0, 0)),
        ("forward", (1, 10, 0)),
        ("backward", (1, 0, 10)),
        ("cyclegan", (1, 10, 10)),
    ],
)
def test_a_row_is_the_loss_that_its_name_says(plan, row, weights):
    """The tables of the paper are without the identity term, and x is the labels."""
    config = config_of(plan, row)
    assert (config.lambda_gan, config.lambda_forward, config.lambda_backward) == weights
    assert not config.has_identity or config.lambda_identity == 0
    assert config.direction == plan.base.direction
    assert config.label_side == "input"


def test_rows_differ_in_algorithm_objective_and_pairs_alone(plan):
    variants = variants_of(chosen_tables("cyclegan"))
    configs = [plan.config(variant, 3) for variant in variants]
    names = set.intersection(*({f.name for f in dataclasses.fields(one)} for one in configs))
    differing = {n for n in names if len({getattr(one, n) for one in configs}) > 1}
    assert differing <= {
        *("algorithm", "preset", "best_metric", "data", "disjoint_stems"),
        *("direction", "label_side", "gan_loss"),
    }
    assert {one.generator for one in configs} == {"resnet6"}
    assert {(one.ngf, one.ndf, one.seed, one.steps) for one in configs} == {(4, 4, 3, 8)}
    assert len(configs) == 5 + 2 + 2
    for one in configs:
        assert one.disjoint_stems == one.unpaired == (one.DATA == "unpaired")


def test_photographs_and_labels_come_from_unlike_pairs_and_val_from_pairs(plan):
    sources = {pairs: open_source(plan.data_of(pairs)) for pairs in (Pairs(PHOTO), Pairs(LABELS))}
    seen = []
    for seed in (0, 0, 1):
        (run,) = plan.runs([ROWS["forward"].variant], 1)
        run = dataclasses.replace(run, config=run.config.replace(seed=seed))
        source = training_source(run, sources)
        names = [
            {side.image_name("train", i) for i in range(side.count("train"))}
            for side in (source.x, source.y)
        ]
        assert not names[0] & names[1]
        assert len(names[0] | names[1]) == 12
        assert source.paired("val")
        seen.append(names)
    assert seen[0] == seen[1] != seen[2]
    (paired,) = plan.runs([TABLES["cyclegan_labels"].variants[-1]], 1)
    assert training_source(paired, sources) is sources[Pairs(LABELS)]


def test_each_training_is_scored_in_the_tasks_of_its_tables(plan):
    tables = chosen_tables("cyclegan")
    runs = plan.runs([ROWS["gan"].variant, tables[1].variants[-1]], 1)
    scored = as_scored(runs, tables)
    assert [(run.variant.key, run.task, run.direction) for run in scored] == [
        ("cyclegan-gan", PHOTO, "AtoB"),
        ("cyclegan-gan", LABELS, "BtoA"),
        ("cyclegan-pix2pix-photo_to_labels", LABELS, "BtoA"),
    ]
    names = [run.evaluation.relative_to(run.workdir).as_posix() for run in scored]
    assert names == ["evaluation/val", "evaluation/val-BtoA", "evaluation/val"]
    assert scored[1].workdir == scored[0].workdir


def test_only_rows_whose_figures_are_known_are_held_against_the_paper():
    table = TABLES["cyclegan_photo"]
    worth = {"cycle": 0.1, "gan": 0.3, "forward": 0.6, "backward": 0.2, "cyclegan": 0.5}
    metrics = {
        (ROWS[key].variant.key, 0): {
            "numbers": dict.fromkeys(table.numbers, value),
            "standard_errors": dict.fromkeys(table.numbers, 0.001),
        }
        for key, value in worth.items()
    }
    found = result_of(table, metrics, [0])
    # Of four rows with figures: six pairs in three columns, all in the paper's order.
    assert [c.verdict for c in found.comparisons] == ["as in the paper"] * 18
    rows = {line.split(" | ")[0]: line for line in found.to_markdown().splitlines()}
    assert rows["| GAN + backward cycle"] == (
        "| GAN + backward cycle | 0.200 ± 0.001 | 0.200 ± 0.001 | 0.200 ± 0.001 |"
    )
    assert rows["| CycleGAN"].startswith("| CycleGAN | 0.500 ± 0.001 (0.52) | 0.500 ± 0.001 (0.17)")
    assert found.to_json()["paper"]["source"].endswith("arXiv 1703.10593")


# === Steps ===


@pytest.mark.parametrize(
    ("tables", "same"),
    [("cyclegan", "steps"), ("recipe", "minutes"), ("recipe,cyclegan", "minutes")],
)
def test_a_papers_rows_have_the_same_steps_unless_minutes_are_asked_for(tmp_path, tables, same):
    chosen = rows_as_given(chosen_tables(tables), {})
    assert begin(tmp_path / "out", {}, chosen)[0].same == same
    assert begin(tmp_path / "out", {}, chosen, same="minutes")[0].same == "minutes"


def test_a_row_that_was_another_one_is_refused(tmp_path, plan):
    variant = ROWS["forward"].variant
    plan = dataclasses.replace(plan, folder=tmp_path / "out").with_pace(variant, None, None)
    old = dataclasses.replace(
        plan.paces[variant.key], fields={**variant.fields, "lambda_identity": 0.5, "dropout": 0.1}
    )
    tables = chosen_tables("cyclegan")
    plan.save()
    begin(plan.folder, {}, tables)
    dataclasses.replace(plan, paces={variant.key: old}).save()
    with pytest.raises(UserError, match=r"another row, with dropout=0.1, lambda_identity=0.5;"):
        begin(plan.folder, {}, tables)


# === Sizes ===


def test_sizes_are_those_of_the_rows_generator(tmp_path):
    given = {"dataset": "sample", "crop_size": 96, "load_size": 108, "ngf": 4, "ndf": 4}
    tables = chosen_tables("cyclegan")
    plan, _ = begin(tmp_path / "out", given, tables)
    for variant in variants_of(tables):
        config = plan.config(variant, 0)
        assert (config.crop_size, config.generator) == (96, "resnet6")
    plan.save()
    again, is_new = begin(tmp_path / "out", given, tables)
    assert (again.base, is_new) == (plan.base, False)
    # Those of a U-Net are as before, and no other table borrows a ResNet.
    assert begin(tmp_path / "new", {**given, "crop_size": 64}, tables)[0].base.generator == "unet"
    for name in ("losses", "recipe", "diversity"):
        with pytest.raises(UserError, match="multiples of 64 pixels at this size"):
            begin(tmp_path / "new", given, chosen_tables(name))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (98, "with --generator=resnet6 the generator takes multiples of 4 pixels"),
        (100, r"--crop_size=100: --table=cyclegan has its .* multiples of 32 .*=96$"),
    ],
)
def test_a_size_that_cannot_be_trained_or_scored_is_refused(tmp_path, size, words):
    given = {"dataset": "sample", "crop_size": size, "load_size": 120}
    with pytest.raises(UserError, match=words):
        begin(tmp_path / "out", given, chosen_tables("cyclegan"))
    begin(tmp_path / "out", {**given, "crop_size": 100}, chosen_tables("cyclegan_labels"))
