"""Curves as parts of a page."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import matplotlib
import numpy as np

from tfpix2pix.report.curves import MAX_POINTS, Chart, Line, draw, thin


def rising(points: int, label: str = "loss") -> Line:
    return Line(label, np.arange(points, dtype=float), np.linspace(0, 1, points))


def test_few_points_are_left_as_they_are():
    steps, means, lows, highs = thin(np.arange(5.0), np.arange(5.0) ** 2)
    assert steps.tolist() == [0, 1, 2, 3, 4]
    assert means.tolist() == lows.tolist() == highs.tolist() == [0, 1, 4, 9, 16]


def test_many_points_are_thinned_and_spikes_are_kept():
    values = np.zeros(10_000)
    values[5_000] = 100.0
    steps, means, lows, highs = thin(np.arange(10_000.0), values)
    assert len(steps) == MAX_POINTS
    assert (np.diff(steps) > 0).all()
    assert means.max() < 100 == highs.max()
    assert lows.max() == 0
    assert len(draw(Chart("a", "loss", [rising(10_000)]))) < 60_000


def test_a_chart_is_one_element_in_the_pages_colours():
    svg = draw(Chart("a", "loss (nats)", [rising(3, "one"), rising(3, "two")], mark="max"))
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    assert root.get("role") == "img"
    assert "one from 0 at step 0 to 1 at step 2" in root.get("aria-label")
    text = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert {"training step", "loss (nats)", "one", "two"} <= set(text)
    assert "var(--series-1)" in svg
    assert "var(--ink)" in svg
    assert "#ffffff" not in svg, "the page has its own ground"
    assert "#000000" not in svg


def test_ids_are_unique_in_a_page_and_references_follow():
    roots = [ET.fromstring(draw(Chart(key, "loss", [rising(30)]))) for key in ("a", "b")]
    ids = [{e.get("id") for e in root.iter() if e.get("id")} for root in roots]
    assert not ids[0] & ids[1]
    links = [v[1:] for e in roots[0].iter() for k, v in e.items() if k.endswith("href")]
    assert links
    assert set(links) <= ids[0]


def test_nothing_to_draw_is_no_chart():
    assert draw(Chart("a", "loss", [rising(0)])) == ""
    assert draw(Chart("a", "loss", [])) == ""


def test_one_point_is_drawn():
    assert "<svg" in draw(Chart("a", "loss", [rising(1)], mark="min"))


def test_labels_are_text_and_never_markup_or_mathematics():
    label = '<script>alert("1")</script> $\\frac$ _'
    svg = draw(Chart("a", label, [rising(3, label), rising(3, "two")]))
    assert "<script" not in svg
    assert label in [e.text for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]


def test_the_users_own_settings_neither_count_nor_change():
    chart = Chart("a", "loss", [rising(3)])
    expected = draw(chart)
    with matplotlib.rc_context({"lines.linewidth": 9.0, "svg.fonttype": "path"}):
        assert draw(chart) == expected
        assert matplotlib.rcParams["lines.linewidth"] == 9.0
