"""The table of labels as colours and as classes: what its rows set, and what they are opened as."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.config import resolve
from tfpix2pix.config.dataset import open_source
from tfpix2pix.reproduction.plan import STEPS, Plan, begin
from tfpix2pix.reproduction.recipe import PAPER
from tfpix2pix.reproduction.tables import LABELS, TABLES, chosen_rows, chosen_tables

TABLE = TABLES["onehot"]


@pytest.fixture
def plan():
    base = resolve({"crop_size": 32, "ngf": 4, "ndf": 4, "sample_pairs": 12, "steps": 8})
    base = base.replace(direction="AtoB", label_side="input", label_palette="facades")
    return Plan(Path("out"), base)


def test_rows_differ_from_the_papers_in_what_they_are_called_after(plan):
    assert "onehot" not in {table.name for table in chosen_tables("all")}
    configs = {row.key: plan.config(row.variant, 0) for row in TABLE.rows}
    assert {one.direction for one in configs.values()} == {"BtoA"}
    assert {one.target_ignore for one in configs.values()} == {"void"}
    assert {key for key, one in configs.items() if not one.labels_out} == {"l1", "l1+cgan"}
    for key, one in configs.items():
        assert one.has_discriminator == ("cgan" in key)
        assert (one.best_metric == "labels_iou") == one.labels_out
        assert (one.balance > 0) == ("balanced" in key)
        if not key.endswith("best"):
            assert {name: getattr(one, name) for name in PAPER if name != "loss"} == {
                name: value for name, value in PAPER.items() if name != "loss"
            }
    assert [configs[f"ce+cgan_{weight}"].lambda_ce for weight in (10, 100)] == [10, 100]


def test_pairs_are_opened_once_as_colours_and_once_as_classes(plan):
    pairs = dict.fromkeys(variant.pairs for variant in TABLE.variants)
    assert {one.task for one in pairs} == {LABELS}
    specs = [open_source(plan.data_of(one)).spec for one in pairs]
    assert [(spec.y.encoding, spec.y.channels) for spec in specs] == [("color", 3), ("onehot", 12)]


def test_what_its_rows_decide_is_no_flag(tmp_path):
    given = {"crop_size": 32, "ngf": 4, "label_palette": "facades"}
    tables = chosen_rows([TABLE], "ce,l1+cgan")
    for name, value in {"balance": 0.3, "lambda_ce": 3.0, "target_ignore": "255"}.items():
        with pytest.raises(UserError, match=f"--{name}: the rows of --table=onehot decide it"):
            begin(tmp_path / "new", {**given, name: value}, tables)
    plan, is_new = begin(tmp_path / "new", given, tables, same=STEPS)
    assert (plan.same, is_new) == (STEPS, True)
