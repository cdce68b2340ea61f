"""The experiments behind the paper's tables, and the paper's figures."""

from __future__ import annotations

import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.reproduction.plan import begin
from tfpix2pix.reproduction.tables import TABLES, chosen_tables, variants_of


def test_every_row_has_the_papers_figures_for_every_column():
    for table in chosen_tables("all"):
        assert table.paper
        keys = {row.key for row in table.rows} | ({"truth"} if table.name == "losses" else set())
        assert set(table.paper["rows"]) == keys
        for figures in table.paper["rows"].values():
            assert len(figures) == len(table.numbers) == len(table.headings)


@pytest.mark.parametrize(
    ("table", "row", "figures"),
    [
        ("losses", "l1", [0.42, 0.15, 0.11]),
        ("losses", "l1+cgan", [0.66, 0.23, 0.17]),
        ("losses", "truth", [0.80, 0.26, 0.21]),
        ("generators", "encoder_decoder/l1+cgan", [0.29, 0.09, 0.05]),
        ("patches", "286", [0.42, 0.16, 0.11]),
        ("labels", "cgan", [0.74, 0.28, 0.22]),
        ("colour", "pixelgan", [0.83, 0.68, 0.78]),
        ("cyclegan_photo", "forward", [0.55, 0.18, 0.12]),
        ("cyclegan_photo", "pix2pix", [0.71, 0.25, 0.18]),
        ("cyclegan_labels", "cyclegan", [0.58, 0.22, 0.16]),
        ("cyclegan_labels", "backward", [0.01, 0.06, 0.01]),
    ],
)
def test_figures_of_the_paper(table, row, figures):
    assert TABLES[table].paper["rows"][row] == figures


def test_tables_share_their_networks():
    # 5 losses, 2 encoder-decoders, 3 other patches, 3 of photo to labels; colour adds none.
    assert len(variants_of(chosen_tables("losses"))) == 5
    assert len(variants_of(chosen_tables("all"))) == 5 + 2 + 3 + 3
    assert len(variants_of(chosen_tables("colour,patches"))) == 2 + 4


def test_a_network_is_named_by_all_that_it_differs_in():
    variants = variants_of(chosen_tables("all"))
    assert len({variant.key for variant in variants}) == len(variants)


def test_colour_may_be_spelled_either_way_and_a_table_is_taken_once():
    assert chosen_tables("color,colour") == [TABLES["colour"]]


def test_an_unknown_table_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"no table 'loses'; did you mean .*losses"):
        chosen_tables("loses")


@pytest.mark.parametrize(
    ("given", "palette"),
    [
        ({}, "sample"),  # the detailed label maps, as `train` has them
        ({"sample_labels": "cmp"}, "facades"),
        ({"label_palette": "facades"}, "facades"),
    ],
)
def test_the_embedded_sets_labels_are_those_of_training(tmp_path, given, palette):
    plan, _ = begin(tmp_path / "out", given, chosen_tables("losses"))
    assert (plan.base.dataset, plan.base.label_palette) == ("sample", palette)
