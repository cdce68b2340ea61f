"""What one draws for a network, by what its inputs look like."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tfpix2pix.data import load_palette
from tfpix2pix.data.sample import facade_pair
from tfpix2pix.demo.kinds import labels_of_pictures, of_dataset, of_palette, of_pictures

COLOURS = [(230, 20, 20), (20, 200, 40), (30, 40, 220)]


def labels(seed: int, colours) -> np.ndarray:
    """Rectangles of one colour each."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (64, 64), tuple(colours[0]))
    for _ in range(12):
        left, top = random.integers(0, 48, 2)
        box = (left, top, left + 15, top + 15)
        ImageDraw.Draw(picture).rectangle(box, tuple(colours[random.integers(len(colours))]))
    return np.asarray(picture)


def lines(ground: int, ink: int) -> np.ndarray:
    picture = Image.new("L", (64, 64), ground)
    for i in range(5):
        ImageDraw.Draw(picture).line((3, 9 * i, 60, 50 - 5 * i), ink, 2)
    return np.asarray(picture)[..., None]


def photo(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
    return np.asarray(small.resize((64, 64), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("pictures", "kind"),
    [
        ([photo(i) for i in range(4)], "photo"),
        ([np.repeat(lines(255, 0), 3, axis=-1)] * 4, "lines"),
        ([lines(0, 255)] * 4, "lines"),
        ([labels(i, COLOURS) for i in range(4)], "labels"),
        ([photo(i).mean(axis=-1, keepdims=True).astype(np.uint8) for i in range(4)], "photo"),
        ([], "photo"),
    ],
)
def test_by_pictures(pictures, kind):
    assert of_pictures(pictures).kind == kind


def test_labels_have_a_palette():
    """That of the run; a built-in one that explains them; or the colours found."""
    facades = load_palette("facades")
    found = of_pictures([labels(i, facades.colors.tolist()) for i in range(6)]).labels
    assert found["name"] == "facades"
    assert found["classes"][0] == {
        "name": facades.classes[0].name,
        "color": list(facades.classes[0].color),
    }
    found = of_pictures([labels(i, COLOURS) for i in range(6)]).labels
    assert sorted(tuple(c["color"]) for c in found["classes"]) == sorted(COLOURS)
    own = {
        "name": "own",
        "classes": [{"name": "sky", "color": [1, 2, 3], "index": 7, "void": True}],
    }
    kept = {"name": "sky", "color": [1, 2, 3], "void": True}
    assert of_palette(own).labels == {"name": "own", "classes": [kept]}


def test_labels_where_somebody_says_so():
    """What is taken for something else: greys that stand for classes. And no photograph is."""
    picture = np.full((64, 64, 1), 255, np.uint8)
    picture[8:40, 8:24], picture[30:60, 30:50] = 0, 90
    assert of_pictures([picture] * 4).kind == "lines"
    found = labels_of_pictures([picture] * 4)
    colours = [tuple(c["color"]) for c in found.labels["classes"]]
    assert (found.kind, sorted(colours)) == ("labels", [(v, v, v) for v in (0, 90, 255)])
    assert labels_of_pictures([photo(i) for i in range(4)]) is None
    assert labels_of_pictures([]) is None


def test_by_the_name_of_the_data_set():
    assert of_dataset("edges2shoes").kind == "lines"
    assert of_dataset("horse2zebra").kind == "photo"


@pytest.mark.parametrize(
    ("labels", "name", "count"), [("detailed", "sample", 37), ("cmp", "facades", 12)]
)
def test_the_embedded_sets_inputs_are_painted_in_its_palette(labels, name, count):
    """Found by the colours of what is stored, at the size of a run."""
    pairs = [facade_pair(0, 143, "val", i, labels) for i in range(6)]
    drawn = of_pictures([label for label, _ in pairs])
    assert (drawn.kind, drawn.labels["name"], len(drawn.labels["classes"])) == (
        "labels",
        name,
        count,
    )
    assert of_pictures([photo for _, photo in pairs]).kind == "photo"
