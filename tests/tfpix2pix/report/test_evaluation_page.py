"""The page of an evaluation, as a browser's parser reads it."""

from __future__ import annotations

import runpy
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.data.palette import parse_palette
from tfpix2pix.evaluation import L1
from tfpix2pix.evaluation.color import Color
from tfpix2pix.evaluation.fcn import FCNScore
from tfpix2pix.report.evaluation_page import write_evaluation_page

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "made_evaluation.py")))
FACTS, make = made.FACTS, made.make


class Page(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.images: list[dict] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        values = dict(attrs)
        self.links += [values[key] for key in ("src", "href") if key in values]
        if tag == "img":
            self.images.append(values)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


class Named:
    """A palette of two classes."""

    def __init__(self):
        self.palette = parse_palette('{"red": [255, 0, 0], "blue": [0, 0, 255]}')
        self.size, self.identity = 16, "c0ffee" * 10
        self.val = {"per_pixel": 0.9, "per_class": 0.8, "iou": 0.7, "images": 12}

    def classes(self, photos):
        return (photos[..., 0] > 127).astype(np.uint8)


def test_the_page_shows_scores_pictures_and_plots_and_loads_nothing(tmp_path):
    scorer = Named()
    facts = {
        **FACTS,
        "classes": ["red", "blue"],
        "scorer": {"identity": scorer.identity, "palette": "p", "size": 16, "val": scorer.val},
    }
    evaluation = make(12, evaluators=[FCNScore(scorer), Color(), L1()], facts=facts)
    path = write_evaluation_page(tmp_path / "new" / "results", evaluation)
    assert path == tmp_path / "new" / "results" / "evaluation.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert len(page.images) == 2 * 4 * 3 + 3  # two confusion matrices, one of colours
    assert all(image["alt"] for image in page.images)
    assert "runs/<b>" in page.text  # escaped
    assert f"L1 {evaluation.numbers['l1']:.4f}" in page.text
    assert f"{evaluation.errors['l1']:.4f} lower is better" in page.text
    assert "FCN per-pixel accuracy, truth" in page.text
    assert "on its own val split per-pixel 0.9000" in page.text
    best = evaluation.ranked.best[0]
    assert f"{best.name}: {best.value:.4f}" in page.text


def test_the_same_evaluation_makes_the_same_page(tmp_path):
    one, other = (
        write_evaluation_page(tmp_path / name, make(evaluators=[L1()])).read_bytes()
        for name in ("one", "other")
    )
    assert one == other


def test_a_folder_of_other_things_gets_no_page(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds other files \(thesis\.tex\)"):
        write_evaluation_page(tmp_path, make(evaluators=[L1()]))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
