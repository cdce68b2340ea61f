"""The embedded data set: what it promises about scenes, labels and photos."""

from __future__ import annotations

import numpy as np
import pytest

from tfpix2pix.data import load_palette
from tfpix2pix.data.sample import DETAILED, PALETTE, SPLITS, facade_pair, facade_pairs
from tfpix2pix.data.sample.pairs import random_stream
from tfpix2pix.data.sample.pictures import render_label, render_photo
from tfpix2pix.data.sample.scene import draw_scene


@pytest.fixture(scope="module")
def hundred() -> tuple[np.ndarray, np.ndarray]:
    return facade_pairs(100, split="train", size=128)


def _classes(labels: np.ndarray, palette: dict[str, tuple[int, int, int]] = PALETTE) -> np.ndarray:
    """Class index of every pixel; fails on a colour that is not in the palette."""
    codes = labels.astype(np.int64) @ [65536, 256, 1]
    palette = np.array(list(palette.values())) @ [65536, 256, 1]
    hits = codes[..., None] == palette
    assert hits.any(-1).all(), "a label pixel is not a colour of the palette"
    return hits.argmax(-1)


def _of(kind: str) -> int:
    return list(PALETTE).index(kind)


def _grey(photos: np.ndarray) -> np.ndarray:
    return photos.astype(np.float32).mean(-1)


# === Determinism ===


def test_same_arguments_same_bytes():
    for first, second in zip(
        facade_pair(3, 100, "val", 5), facade_pair(3, 100, "val", 5), strict=True
    ):
        np.testing.assert_array_equal(first, second)


def test_pairs_are_the_first_scenes_of_the_split():
    labels, photos = facade_pairs(3, split="test", seed=7, size=64)
    for i in (2, 0, 1):
        label, photo = facade_pair(7, 64, "test", i)
        np.testing.assert_array_equal(labels[i], label)
        np.testing.assert_array_equal(photos[i], photo)


@pytest.mark.parametrize("other", [(1, "train", 0), (0, "val", 0), (0, "train", 1)])
def test_another_seed_split_or_index_is_another_scene(other):
    seed, split, index = other
    label, photo = facade_pair(0, 64, "train", 0)
    other_label, other_photo = facade_pair(seed, 64, split, index)
    assert (label != other_label).any(-1).mean() > 0.05
    assert (photo != other_photo).any(-1).mean() > 0.5


def test_splits_share_no_scene():
    streams = [random_stream(0, split, index, 0) for split in SPLITS for index in range(60)]
    seen = {render_label(draw_scene(stream), 64).tobytes() for stream in streams}
    assert len(seen) == len(streams)


# === Shapes and sizes ===


@pytest.mark.parametrize("size", [16, 64, 100, 256, 450])
def test_shape_and_type_at_every_size(size):
    for image in facade_pair(0, size, "train", 2):
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8


def test_batches_have_the_documented_shape():
    for count in (0, 2):
        for images in facade_pairs(count, split="val", size=32):
            assert images.shape == (count, 32, 32, 3)
            assert images.dtype == np.uint8


@pytest.mark.parametrize("size", [16, 33, 256])
def test_every_label_pixel_is_in_the_palette(size):
    _classes(facade_pairs(6, split="test", seed=2, size=size)[0])


def test_the_same_scene_at_every_size():
    agreement, contrast = [], []
    for index in range(12):
        large_label, large_photo = facade_pair(0, 256, "val", index)
        label, photo = facade_pair(0, 64, "val", index)
        agreement.append((large_label[2::4, 2::4] == label).all(-1).mean())
        reduced = large_photo.reshape(64, 4, 64, 4, 3).mean((1, 3))
        contrast.append(np.corrcoef(reduced.ravel(), photo.ravel())[0, 1])
    assert np.mean(agreement) > 0.85
    assert np.mean(contrast) > 0.8


# === What the label maps hold ===


def test_all_classes_appear_and_wall_and_windows_prevail(hundred):
    classes = _classes(hundred[0])
    share = np.bincount(classes.ravel(), minlength=len(PALETTE)) / classes.size
    assert (share > 0.0005).all(), dict(zip(PALETTE, share.round(4), strict=True))
    assert 0.3 < share[_of("facade")] < 0.7
    assert 0.06 < share[_of("window")] < 0.25
    assert share[_of("background")] < 0.4


def test_every_house_has_windows_and_a_door(hundred):
    for classes in _classes(hundred[0]):
        assert (classes == _of("window")).mean() > 0.01
        assert (classes == _of("door")).any()


# === Detailed label maps ===


@pytest.fixture(scope="module")
def detailed() -> tuple[np.ndarray, np.ndarray]:
    """Class indices and photos of the first hundred scenes."""
    pairs = [facade_pair(0, 128, "train", i, "detailed") for i in range(100)]
    return _classes(np.stack([p[0] for p in pairs]), DETAILED), np.stack([p[1] for p in pairs])


def test_detailed_labels_are_of_the_same_photos(hundred, detailed):
    np.testing.assert_array_equal(detailed[1], hundred[1])


def test_detailed_labels_refine_what_stands_on_the_front(hundred, detailed):
    """Whatever CMP calls a door, a sill, ... is that, or something before it; walls are walls."""
    cmp, (fine, _) = _classes(hundred[0]), detailed
    names = np.array(list(DETAILED))
    before = np.isin(names[fine], ["tree", "car", "lamp", "person"])
    for kind in ("door", "sill", "molding", "cornice", "blind", "deco", "pillar"):
        where = (cmp == _of(kind)) & ~before
        assert (names[fine[where]] == kind).all(), kind
    fronts = {n for n in names if n.endswith(("plaster", "brick", "stone", "boards"))}
    fronts |= {"tiles", "slates"}
    for kind, parts in {
        "facade": fronts,
        "window": {"window", "lit window", "curtain", "frame"} | fronts,  # beside a round head
        "shop": {"shop", "sign", "awning", "frame"},
        "balcony": {"balcony with railing", "solid balcony"},
        "background": {"sky", "neighbour", "pavement"},
    }.items():
        found = set(names[fine[(cmp == _of(kind)) & ~before]])
        assert found == parts, kind


def test_the_palette_sample_is_of_these_classes():
    palette = load_palette("sample")
    assert {c.name: c.color for c in palette.classes} == DETAILED
    assert [c.name for c in palette.classes] == list(DETAILED)


def test_every_detailed_class_appears(detailed):
    missing = set(range(len(DETAILED))) - set(np.unique(detailed[0]))
    assert not missing, [list(DETAILED)[i] for i in missing]


def test_the_detailed_class_of_a_wall_tells_its_colour(detailed):
    """Walls of one class are much more alike than walls of all houses."""
    names, walls = list(DETAILED), {}
    for classes, photo in zip(*detailed, strict=True):
        for index in np.unique(classes):
            where = classes == index
            if names[index].endswith(("plaster", "brick")) and where.mean() > 0.1:
                walls.setdefault(index, []).append(photo[where].mean(0))
    within = np.concatenate([np.array(w) - np.mean(w, 0) for w in walls.values() if len(w) > 2])
    every = np.concatenate([np.array(w) for w in walls.values() if len(w) > 2])
    assert within.std() < 0.6 * (every - every.mean(0)).std()


def test_the_detailed_label_shows_trees_cars_and_lit_windows(detailed):
    classes, photos = detailed
    colour = {
        name: photos[classes == list(DETAILED).index(name)].mean(0)
        for name in ("tree", "lit window", "window", "curtain", "sky")
    }
    red, green, blue = colour["tree"]
    assert green > red > 0
    assert green > blue
    assert colour["lit window"][0] - colour["lit window"][2] > 40  # warm
    assert colour["window"].mean() < colour["curtain"].mean() - 30
    assert colour["sky"][2] > 180


# === What the photos hold ===


def test_one_label_map_has_many_right_photos():
    """Eight looks of each of six houses: the wall's colour is not in the label."""
    for index in range(6):
        scene = draw_scene(random_stream(0, "train", index, 0))
        wall = _classes(render_label(scene, 64)) == _of("facade")
        photos = [
            render_photo(scene, random_stream(0, "train", other, 1), 64)[0]
            for other in range(100, 108)
        ]
        colours = np.array([photo[wall].mean(0) for photo in photos])
        assert colours.std(0).max() > 12
        assert np.mean([np.abs(_grey(a) - _grey(photos[0])).mean() for a in photos[1:]]) > 12


def test_windows_differ_from_walls(hundred):
    classes, grey = _classes(hundred[0]), _grey(hundred[1])
    apart = [
        abs(g[c == _of("window")].mean() - g[c == _of("facade")].mean())
        for c, g in zip(classes, grey, strict=True)
    ]
    assert np.mean(np.array(apart) > 12) > 0.75


def test_edges_of_the_photo_lie_on_edges_of_the_label(hundred):
    """Gradients at label edges are well above those elsewhere, in nearly every pair."""
    classes, grey = _classes(hundred[0]), _grey(hundred[1])
    edge = classes[:, :, 1:] != classes[:, :, :-1]
    step = np.abs(np.diff(grey, axis=2))
    ratio = [s[e].mean() / s[~e].mean() for s, e in zip(step, edge, strict=True)]
    assert np.mean(np.array(ratio) > 1.5) > 0.9


def test_photos_are_neither_flat_nor_clipped(hundred):
    grey = _grey(hundred[1])
    assert grey.std((1, 2)).min() > 15
    assert ((grey < 3) | (grey > 252)).mean((1, 2)).max() < 0.35
    assert 70 < grey.mean() < 185


# === Bad arguments ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"seed": 0.5}, "seed must be an integer, got 0.5"),
        ({"seed": 0, "size": 15}, "size must be at least 16, got 15"),
        ({"seed": 0, "index": -2}, "index must be at least 0, got -2"),
        ({"seed": 0, "split": "dev"}, "split must be one of train, val, test, got 'dev'"),
        ({"seed": 0, "labels": "ade"}, "labels must be one of detailed, cmp, got 'ade'"),
    ],
)
def test_bad_arguments_are_told_in_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        facade_pair(**arguments)


@pytest.mark.parametrize("arguments", [{"count": -1, "split": "val"}, {"count": 0, "split": "all"}])
def test_bad_batches_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        facade_pairs(**arguments)
