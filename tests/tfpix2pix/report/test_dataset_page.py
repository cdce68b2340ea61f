"""A data set's contact sheet and page, made from inspections of drawn sets."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.data import open_dataset, write_image
from tfpix2pix.data.check.inspection import Inspection, inspect_source
from tfpix2pix.data.check.previews import PairPreview, pair_previews
from tfpix2pix.report.dataset_page import (
    cell_size,
    contact_sheet,
    fact_rows,
    fitted,
    write_contact_sheet,
    write_dataset_page,
)

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Headings, pictures and visible text; asserts that what is opened is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.images: list[dict] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def flat(color, height=100, width=100) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def shown(*pairs: PairPreview) -> tuple[Inspection, list[PairPreview]]:
    counts: dict[str, int] = {}
    for pair in pairs:
        counts[pair.split] = counts.get(pair.split, 0) + 1
    return Inspection("--dataset=x", "two folders", "AtoB", counts, len(pairs)), list(pairs)


def noise(seed: int, height: int = 40, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Three pairs in train, one of them again in val."""
    root = tmp_path / "<b>pairs"
    for side, first in (("A", 0), ("B", 10)):
        for name, seed in (("train/0", 0), ("train/1", 1), ("train/2", 2), ("val/0", 1)):
            path = root / side / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, noise(first + seed))
    return root


def page_of(folder, path) -> Page:
    source = open_dataset(str(folder))
    seen = inspect_source(source)
    pairs = pair_previews(source, seen.spec, 2)
    assert write_dataset_page(path, seen, pairs, ["a remark"]) == path
    return Page(path.read_text(encoding="utf-8"))


# === The sheet ===


def test_input_and_target_of_a_pair_stand_side_by_side():
    red, blue = flat((255, 0, 0)), flat((0, 0, 255))
    sheet = contact_sheet(*shown(PairPreview("train", "one", red, blue)))
    rows, columns = np.nonzero((sheet == (255, 0, 0)).all(axis=-1))
    other_rows, other_columns = np.nonzero((sheet == (0, 0, 255)).all(axis=-1))
    assert len(rows) == len(other_rows) == 100 * 100
    assert rows.min() == other_rows.min()
    assert columns.max() < other_columns.min() <= columns.max() + 4


def test_pairs_fill_rows_of_four_in_order_and_splits_follow_each_other():
    colors = [(20 * k + 10, 0, 0) for k in range(6)]
    pairs = [
        PairPreview("val" if k == 5 else "train", str(k), flat(c), flat(c))
        for k, c in enumerate(colors)
    ]
    sheet = contact_sheet(*shown(*pairs))
    places = [np.argwhere((sheet == c).all(axis=-1)).min(axis=0) for c in colors]
    tops = [top for top, _ in places]
    lefts = [left for _, left in places]
    assert len(set(tops[:4])) == 1
    assert lefts[:4] == sorted(set(lefts[:4]))
    assert tops[3] + 100 <= tops[4]
    assert tops[4] + 100 <= tops[5]
    assert lefts[0] == lefts[4] == lefts[5]


def test_pictures_of_differing_shape_are_fitted_whole():
    wide, high = flat((255, 0, 0), 50, 200), flat((0, 255, 0), 200, 100)
    assert cell_size([PairPreview("train", "p", wide, high)]) == (192, 192)
    tile = fitted(wide, (192, 192))
    red = np.argwhere((tile == (255, 0, 0)).all(axis=-1))
    assert np.ptp(red, axis=0).tolist() == [47, 191]  # 48 rows, 192 columns
    assert (tile[:72] == 255).all()
    assert (tile[120:] == 255).all()


def test_pictures_of_one_shape_fill_their_cells():
    pairs = [PairPreview("train", "p", flat(9, 512, 256), flat(9, 512, 256))]
    assert cell_size(pairs) == (192, 96)
    assert (fitted(pairs[0].x, (192, 96)) == 9).all()


def test_small_pictures_grow_by_whole_squares():
    checks = np.zeros((32, 32, 3), np.uint8)
    checks[::2, ::2] = 255
    assert cell_size([PairPreview("train", "p", checks, checks)]) == (96, 96)
    np.testing.assert_array_equal(fitted(checks, (96, 96)), checks.repeat(3, 0).repeat(3, 1))


def test_what_cannot_be_read_has_a_cell_that_is_not_blank():
    tile = fitted(None, (96, 96))
    assert tile.shape == (96, 96, 3)
    assert tile.min() < 100, "it says something"
    assert contact_sheet(*shown(PairPreview("train", "gone"))).shape[0] > 96


def test_the_sheet_is_written_as_a_png(tmp_path):
    seen, pairs = shown(PairPreview("train", "one", flat(1), flat(2)))
    path = write_contact_sheet(tmp_path / "sheet.png", seen, pairs)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), contact_sheet(seen, pairs))


# === Facts ===


def test_facts_are_short_lines(folder):
    rows = dict(fact_rows(inspect_source(open_dataset(str(folder)))))
    assert rows["pairs"] == "3 train, 1 val"
    assert rows["size"] == "40x40 (width x height)"
    assert rows["input"].startswith("A: RGB, 8 bit, values 0 to 255, mean ")
    assert rows["files"].startswith("8 .png; ")
    assert rows["duplicates"] == "1, 1 of them across splits"


# === The page ===


def test_the_page_shows_everything_and_loads_nothing(folder, tmp_path):
    page = page_of(folder, tmp_path / "page.html")
    for text in (
        "training would accept it",
        "Look into this leakage: 1 pair",
        "3 train, 1 val",
        "a remark",
        "leakage: several splits A/train/1.png, A/val/0.png",
        "<b>pairs",
    ):
        assert text in page.text
    assert "Training would refuse it" not in page.text
    # Two pairs of train, one of val.
    assert len(page.images) == 6
    for image in page.images:
        kind, content = re.fullmatch(
            r"data:image/(png|jpeg);base64,(.+)", image["src"], re.S
        ).groups()
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            assert picture.format.lower() == kind
            assert picture.size == (96, 96)
        assert image["alt"]
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', source)


def test_a_refused_set_has_its_faults_above_all(folder, tmp_path):
    (folder / "A/train/0.png").write_bytes(b"<i>no picture</i>")
    (folder / "A/train/alone<i>.png").write_bytes((folder / "A/train/1.png").read_bytes())
    page = page_of(folder, tmp_path / "page.html")
    text = page.text
    assert "training would refuse it" in text
    assert "1 unreadable A/train/0.png: not an image of a known format" in text
    assert "1 without a partner of the same stem in B/train/ A/train/alone<i>.png" in text
    assert text.index("1 unreadable") < text.index("What it is") < text.index("Pairs")
    assert len(page.images) == 6


def test_a_refused_page_without_any_pair_is_still_a_page(tmp_path):
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs/0.png").write_bytes(b"nothing")
    page = page_of(tmp_path / "pairs", tmp_path / "page.html")
    assert "1 unreadable 0.png" in page.text


def test_colours_that_were_found_are_shown(tmp_path):
    for side in "AB":
        (tmp_path / "pairs" / side).mkdir(parents=True)
    for number in range(4):
        label = flat((10, 200, 30), 40, 40)
        label[:, 10 + number * 5 :] = (250, 0, 90)
        write_image(tmp_path / f"pairs/A/{number}.png", label)
        write_image(tmp_path / f"pairs/B/{number}.png", noise(number))
    page = page_of(tmp_path / "pairs", tmp_path / "page.html")
    assert "Colours of the input" in page.text
    # 17.5 of 40 columns on average are green.
    assert "#0ac81e 43.8%" in page.text
    assert "#fa005a 56.2%" in page.text


def test_a_page_is_written_whole_or_not_at_all(folder, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        page_of(folder, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.glob("*page*")] == ["page.html"]
