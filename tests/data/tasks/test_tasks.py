"""Making pairs: what each task draws, held to hand-worked or independent expectations."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.measure import label
from skimage.morphology import thin

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import open_dataset
from tfpix2pix.data.images import convert_channels, decode
from tfpix2pix.data.layouts.splits import check_val_fraction, split_of
from tfpix2pix.data.tasks import (
    TASKS,
    Blank,
    Combine,
    Edges,
    Grayscale,
    Lab,
    LowRes,
    make_pairs,
)


def photo(seed: int, height: int = 40, width: int = 56) -> np.ndarray:
    """Smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Six photos in a flat folder."""
    for index in range(6):
        save(tmp_path / "photos" / f"{index}.png", photo(index))
    return tmp_path / "photos"


def halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.split(read(path), 2, axis=1)
    return a, b


# === Splits by hash ===


def test_a_split_is_the_hash_of_the_name_as_documented():
    for stem in ("0", "cat", "Straße", "n02381460_1002"):
        digest = hashlib.sha256(stem.encode()).hexdigest()
        share = int(digest[:16], 16) / 2**64
        assert split_of(stem, np.nextafter(share, 1)) == "val"
        assert split_of(stem, share) == "train"


def test_split_shares_are_those_asked_for_and_larger_shares_only_add():
    stems = [f"image_{index:05d}" for index in range(4000)]
    few = {stem for stem in stems if split_of(stem, 0.1) == "val"}
    more = {stem for stem in stems if split_of(stem, 0.3) == "val"}
    # Four standard deviations of the binomial counts: 4 * sqrt(4000 * 0.1 * 0.9) = 76.
    assert abs(len(few) - 400) < 76
    assert abs(len(more) - 1200) < 116
    assert few < more
    assert not any(split_of(stem, 0) == "val" for stem in stems)


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_no_share_outside_0_to_1(share):
    with pytest.raises(DataError, match="--val_fraction="):
        check_val_fraction(share)


# === Edges ===


def white_square(side: int = 96, low: int = 24, high: int = 72) -> np.ndarray:
    image = np.zeros((side, side, 3), np.uint8)
    image[low:high, low:high] = 255
    return image


def lines_of(image: np.ndarray, **settings) -> np.ndarray:
    a = Edges(**settings).make(image, "x")
    assert a.dtype == np.uint8
    assert a.shape == image.shape
    assert set(np.unique(a)) <= {0, 255}
    assert (a == a[..., :1]).all()
    return a[..., 0] == 0


def test_a_square_becomes_one_closed_thin_contour_on_its_border():
    lines = lines_of(white_square())
    pieces, number = label(lines, connectivity=2, return_num=True)
    assert number == 1
    # Closed: what is not line falls into an inside and an outside, however one walks (4-connected).
    outside = label(~lines, connectivity=1)
    assert outside.max() == 2
    # The true border runs at 23.5 and 71.5; the distance to that square's outline, by hand.
    rows, columns = np.nonzero(lines)
    distance = np.maximum(abs(rows - 47.5), abs(columns - 47.5)) - 24
    assert abs(distance).max() <= 1
    assert pieces.sum() >= 4 * 48 - 4 * 8  # all of it, corners cut at most


def test_colour_alone_makes_an_edge():
    from skimage.color import lab2rgb

    lab = np.full((64, 64, 3), (60.0, 40.0, 0.0))
    lab[:, 32:] = (60.0, -40.0, 0.0)
    image = np.rint(lab2rgb(lab) * 255).astype(np.uint8)
    lines = lines_of(image)
    rows, columns = np.nonzero(lines)
    assert len(set(rows)) >= 60
    assert set(columns) <= {31, 32}


@pytest.mark.parametrize("seed", range(3))
def test_lines_are_thin_and_no_piece_is_below_min_edge(seed):
    image = photo(seed, 96, 96)
    lines = lines_of(image, min_edge=10)
    assert lines.any()
    assert (thin(lines) == lines).all()
    assert np.bincount(label(lines, connectivity=2).ravel())[1:].min() >= 10


def test_specks_are_gone_unless_they_are_asked_for():
    image = white_square()
    image[8:11, 8:11] = 255
    corner = np.s_[:18, :18]
    assert lines_of(image, min_edge=1, flatten=0)[corner].any()
    lines = lines_of(image, min_edge=30, flatten=0)
    assert not lines[corner].any()
    assert lines.any()


def test_thresholds_are_contrasts():
    """A step of 40 in lightness (of 100) is a contrast of 0.4, less some of what is around it.

    The contrast across a blurred step is a bell of about 1.2 sigma; seen through the surround's
    bell of 5 sigma its mean is 1.2 / sqrt(1.2**2 + 5**2) = 0.23 of the peak. Of that, 1.5 times
    count against seeding: 0.4 * (1 - 1.5 * 0.23) = 0.26.
    """
    image = np.full((64, 64, 3), 119, np.uint8)  # L = 50
    image[:, 32:] = 226  # L = 90
    assert lines_of(image, high=0.24, low=0.1, flatten=0).any()
    assert not lines_of(image, high=0.28, low=0.1, flatten=0).any()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_noise_on_a_flat_picture_makes_no_edges(level):
    dice = np.random.default_rng(0)
    noise = dice.normal(0, 2, (64, 64, 3))
    image = np.clip(np.rint(level + noise), 0, 255).astype(np.uint8)
    assert not lines_of(image).any()


def test_low_above_high_is_refused():
    with pytest.raises(DataError, match=r"--low=0\.5 is above --high=0\.2"):
        Edges(low=0.5, high=0.2)


# === Grey and lightness ===


def test_grey_is_the_luma_by_hand():
    image = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 20, 30]]])
    a = Grayscale().make(image.astype(np.uint8), "x")
    # 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.1, 2.99 + 11.74 + 3.42 = 18.15
    assert a[0].tolist() == [[76] * 3, [150] * 3, [29] * 3, [255] * 3, [18] * 3]


def test_lightness_is_that_of_cielab_by_its_formula():
    image = photo(3).copy()
    image[0, :5] = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255], [1, 1, 1]]
    linear = image / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126729, 0.7151522, 0.0721750]
    cube_root = np.where(
        luminance > (6 / 29) ** 3, np.cbrt(luminance), luminance * (29 / 6) ** 2 / 3 + 4 / 29
    )
    expected = np.rint((116 * cube_root - 16) * 2.55)
    a = Lab().make(image, "x")
    # The matrix's last digits differ between tables; that may turn one rounding.
    assert abs(a - expected[..., None]).max() <= 1
    assert (a == expected[..., None]).mean() > 0.99
    assert a[0, 0, 0] == 0
    assert a[0, 1, 0] == 255
    assert a[0, 2, 0] == 136  # L of pure red is 53.24


# === Holes ===


def test_exactly_the_central_hole_differs():
    b = np.full((40, 60, 3), 7, np.uint8)
    a = Blank(hole_size=0.25, hole_color="#102030").make(b, "x")
    expected = b.copy()
    expected[15:25, 22:37] = (16, 32, 48)  # 10 of 40 rows, 15 of 60 columns
    assert (a == expected).all()


def test_a_random_hole_follows_seed_and_name_and_stays_inside():
    places = {}
    for seed in range(2):
        for stem in map(str, range(40)):
            b = np.zeros((31, 47, 3), np.uint8)
            a = Blank(hole="random", hole_size=0.5, seed=seed).make(b, stem)
            rows, columns = np.nonzero(a[..., 0])
            assert len(set(rows)) == round(31 * 0.5)
            assert len(set(columns)) == round(47 * 0.5)
            assert len(rows) == round(31 * 0.5) * round(47 * 0.5)
            places[seed, stem] = (rows.min(), columns.min())
            again = Blank(hole="random", hole_size=0.5, seed=seed).make(b, stem)
            assert (a == again).all()
    assert len({places[0, stem] for stem in map(str, range(40))}) > 20
    assert any(places[0, stem] != places[1, stem] for stem in map(str, range(40)))
    # Every row is a possible top: 0 to 15.
    tops = {top for top, _ in places.values()}
    assert 0 in tops
    assert max(tops) == 31 - 16 or max(tops) == 31 - 15


# === Low resolution ===


def test_low_resolution_leaves_constants_and_is_pillows_own_way_there_and_back():
    flat = np.full((24, 32, 3), (10, 100, 200), np.uint8)
    assert (LowRes().make(flat, "x") == flat).all()
    image = photo(1, 37, 53)
    small = Image.fromarray(image).resize((13, 9), Image.BICUBIC)  # 53 / 4, 37 / 4
    assert (LowRes(factor=4).make(image, "x") == np.asarray(small.resize((53, 37), 3))).all()


def test_low_resolution_holds_nothing_above_its_nyquist_frequency():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    a = LowRes(factor=4).make(stripes, "x")
    assert abs(a[:, 8:-8].astype(int) - 127).max() <= 3  # grey: no stripe, and no alias of one


# === Folders ===


def test_flat_folders_are_split_by_hash_and_b_is_the_original(photos, tmp_path):
    made = make_pairs(Grayscale(), photos, tmp_path / "out", val_fraction=0.4)
    splits = {str(index): split_of(str(index), 0.4) for index in range(6)}
    assert set(splits.values()) == {"train", "val"}  # else this test would show nothing
    for stem, split in splits.items():
        a, b = halves(tmp_path / "out" / split / f"{stem}.png")
        original = read(photos / f"{stem}.png")
        assert (b == original).all()
        assert (a == np.asarray(Image.fromarray(original).convert("L"))[..., None]).all()
    counts = {s: list(splits.values()).count(s) for s in ("train", "val")}
    assert made.counts == counts
    assert made.new == 6
    assert made.skipped == []
    record = json.loads((tmp_path / "out" / "pairs.json").read_text())
    assert record["counts"] == counts
    assert record["settings"]["task"] == "grayscale"


def test_adding_images_moves_no_other(photos, tmp_path):
    make_pairs(Grayscale(), photos, tmp_path / "out", val_fraction=0.4)
    before = {str(p.relative_to(tmp_path)) for p in (tmp_path / "out").rglob("[0-9].png")}
    save(photos / "00.png", photo(9))
    made = make_pairs(Grayscale(), photos, tmp_path / "out", val_fraction=0.4)
    assert made.new == 1
    after = {str(p.relative_to(tmp_path)) for p in (tmp_path / "out").rglob("[0-9].png")}
    assert before == after


@pytest.mark.parametrize("task", [name for name in TASKS if name != "combine"])
def test_made_sets_open_and_pass_the_check(photos, tmp_path, task):
    made = make_pairs(TASKS[task](), photos, tmp_path / "out", size=32, val_fraction=0.4)
    source = open_dataset(str(tmp_path / "out"))
    source.check()
    assert {s: source.count(s) for s in made.counts} == made.counts
    x, y = source.load("train", 0)
    assert x.shape == y.shape == (32, 32, 3)
    assert made.sizes == {(32, 32)}
    assert read(tmp_path / "out" / "preview.png").shape[2] == 3


def test_existing_split_folders_are_kept(tmp_path):
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        for index in range(count):
            save(tmp_path / "in" / split / f"{index}.png", photo(index))
    made = make_pairs(Blank(), tmp_path / "in", tmp_path / "out")
    assert made.counts == {"train": 3, "val": 1, "test": 2}
    names = sorted(p.name for p in (tmp_path / "out" / "test").iterdir())
    assert names == ["0.png", "1.png"]


def test_odd_sizes_are_kept_and_mixed_sizes_are_named_in_the_next_command(tmp_path):
    save(tmp_path / "in" / "train" / "a.png", photo(0, 31, 45))
    save(tmp_path / "in" / "train" / "b.png", photo(0, 20, 17))
    made = make_pairs(Edges(), tmp_path / "in", tmp_path / "out")
    assert read(tmp_path / "out" / "train" / "a.png").shape == (31, 90, 3)
    assert read(tmp_path / "out" / "train" / "b.png").shape == (20, 34, 3)
    assert made.sizes == {(31, 45), (20, 17)}
    command = f"tfpix2pix train --dataset={tmp_path / 'out'} --allow_mixed_sizes"
    assert made.train_command == command


def test_size_takes_the_centre(tmp_path):
    save(tmp_path / "in" / "train" / "wide.png", photo(0, 40, 100))
    made = make_pairs(Grayscale(), tmp_path / "in", tmp_path / "out", size=80)
    _, b = halves(tmp_path / "out" / "train" / "wide.png")
    whole = np.asarray(Image.fromarray(photo(0, 40, 100)).resize((200, 80), Image.LANCZOS))
    assert abs(b.astype(int) - whole[:, 60:140]).max() <= 1
    assert any("smaller than --size=80" in note for note in made.notes)


def noise(seed: int, dtype: str, channels: int, height: int = 24, width: int = 36) -> np.ndarray:
    """Values of the whole scale of a type, [H, W, C]."""
    high = {"uint8": 255, "uint16": 65535, "float32": 3000.0}[dtype]
    return (np.random.default_rng(seed).random((height, width, channels)) * high).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "channels"),
    [("uint8", 1), ("uint16", 1), ("uint16", 3), ("uint8", 4), ("float32", 1), ("float32", 5)],
)
@pytest.mark.parametrize("task", list(TASKS))
def test_every_task_keeps_depth_and_channels_or_says_why_not(tmp_path, task, dtype, channels):
    image, other = noise(0, dtype, channels), noise(1, dtype, channels)
    for folder, array in (("A", other), ("B", image)):
        np.save(_made(tmp_path / folder / "train") / "x.npy", array)
    source = tmp_path if task == "combine" else tmp_path / "B"
    refused = {"grayscale": channels > 3, "lab": channels > 3 or dtype == "float32"}
    if refused.get(task):
        with pytest.raises(DataError, match=f"--task={task} is for colour pictures"):
            make_pairs(TASKS[task](), source, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return
    made = make_pairs(TASKS[task](), source, tmp_path / "out")
    (path,) = (tmp_path / "out" / "train").iterdir()
    a, b = np.split(decode(path).array.copy(), 2, axis=1)
    np.testing.assert_array_equal(b, image)
    expected = {
        "combine": other,
        "grayscale": np.repeat(convert_channels(image, 1), channels, axis=-1)
        if channels <= 3
        else None,
    }.get(task)
    if expected is not None:
        np.testing.assert_array_equal(a, expected)
    if task == "blank":  # as white as white is: of floats, the picture's highest value
        white = image.max() if dtype == "float32" else np.iinfo(dtype).max
        assert (a[6:18, 9:27] == white).all()
        a[6:18, 9:27] = image[6:18, 9:27]
        np.testing.assert_array_equal(a, image)
    if task == "lowres":
        assert image.min() <= a.min() < a.max() <= image.max() or dtype != "float32"
        assert a.astype(float).std() < image.astype(float).std() / 2
        assert abs(a.astype(float).mean() / image.astype(float).mean() - 1) < 0.05
    if task == "edges" and a.min() == a.max():
        return  # in noise there are none, and nothing to learn
    source = open_dataset(str(tmp_path / "out"))
    source.check()
    assert (source.spec.y.channels, source.spec.y.dtype) == (channels, dtype)
    assert made.counts == {"train": 1}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_edges_of_deep_images_are_those_of_8_bits():
    image = np.full((60, 60, 3), 40, np.uint8)
    image[20:40, 20:40] = 200
    lines = Edges().make(image, "") == 0
    assert lines.any()
    image[0, 0], image[0, 1] = 0, 255  # the ends of the floats' scale
    deep = image.astype(np.uint16) * np.uint16(257)
    assert (Edges().make(deep, "") == 65535 * (1 - lines.astype(np.uint16))).all()
    floats = image.astype(np.float32) * 10 - 500
    assert (Edges().make(floats, "") == np.where(lines, -500, 2050)).all()


def test_a_and_b_of_two_kinds_go_into_two_folders(tmp_path):
    views, depths = noise(0, "uint8", 3, 40, 60), noise(1, "float32", 1, 20, 30)
    for index in range(4):
        save(tmp_path / "A" / f"{index}.png", views)
        np.save(_made(tmp_path / "B") / f"{index}.npy", depths[..., 0])
    with pytest.raises(DataError, match="give --size=N"):
        make_pairs(Combine(), tmp_path, tmp_path / "out", val_fraction=0)
    make = functools.partial(
        make_pairs, Combine(labels="b"), tmp_path, tmp_path / "out", size=20, val_fraction=0
    )
    made = make()
    assert "A is RGB, 8 bit, B grey, 32-bit float: each in a folder of its own, A/ and B/" in (
        made.notes
    )
    assert made.sizes == {(20, 20)}
    source = open_dataset(str(tmp_path / "out"))
    source.check()
    assert source.spec.describe().startswith("RGB, 8 bit to grey, 32-bit float")
    assert source.load("train", 0)[1].shape == (20, 20, 1)
    # Nearest neighbour: no value that was not there.
    np.testing.assert_array_equal(source.load("train", 0)[1][..., 0], depths[:, 5:25, 0])
    (tmp_path / "out" / "B" / "train" / "2.tif").unlink()
    assert make().new == 1
    assert make().new == 0


def test_kinds_that_cannot_be_one_set(tmp_path):
    np.save(_made(tmp_path / "in") / "five.npy", noise(0, "uint8", 5))
    np.save(tmp_path / "in" / "two.npy", noise(0, "uint8", 2))
    with pytest.raises(DataError, match=r"images of 5 channels \(.*\) and 2 channels \(.*convert"):
        make_pairs(Blank(), tmp_path / "in", tmp_path / "out")
    np.save(tmp_path / "in" / "two.npy", noise(0, "float32", 5))
    with pytest.raises(DataError, match=r"images of 8 bit \(.*\) and 32-bit float \("):
        make_pairs(Blank(), tmp_path / "in", tmp_path / "out")


def test_grey_and_8_bits_become_what_the_others_are(tmp_path):
    grey, deep = noise(0, "uint8", 1), noise(1, "uint16", 3)
    save(tmp_path / "in" / "train" / "grey.png", grey[..., 0])
    np.save(tmp_path / "in" / "train" / "deep.npy", deep)
    made = make_pairs(Blank(), tmp_path / "in", tmp_path / "out")
    for name, b in (("deep", deep), ("grey", np.repeat(grey.astype(np.uint16) * 257, 3, axis=-1))):
        result = decode(tmp_path / "out" / "train" / f"{name}.png").array
        np.testing.assert_array_equal(result[:, 36:], b)
    assert "8 bits brought to 16 (1 of 2)" in made.notes


def test_two_images_of_one_name_keep_their_extension(tmp_path):
    save(tmp_path / "in" / "train" / "same.jpg", photo(0))
    save(tmp_path / "in" / "train" / "same.png", photo(1))
    make_pairs(Grayscale(), tmp_path / "in", tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out" / "train").iterdir())
    assert names == ["same.jpg.png", "same.png.png"]
    _, b = halves(tmp_path / "out" / "train" / "same.png.png")
    assert (b == photo(1)).all()


def test_unlike_things_are_said(tmp_path):
    folder = tmp_path / "in" / "train"
    save(folder / "flat.png", np.full((16, 16, 3), 90, np.uint8))
    save(folder / "clear.png", np.dstack([photo(0, 16, 16), np.full((16, 16), 9, np.uint8)]))
    lab = make_pairs(Lab(), tmp_path / "in", tmp_path / "lab")
    assert "grey already, there is no colour to learn (1 of 2)" in lab.notes
    assert "transparency placed on white (1 of 2)" in lab.notes
    edges = make_pairs(Edges(), tmp_path / "in", tmp_path / "edges")
    assert any(note.startswith("no edge found") for note in edges.notes)


# === Continuing ===


def test_a_second_call_makes_nothing_new_and_touches_nothing(photos, tmp_path):
    make_pairs(Edges(), photos, tmp_path / "out")
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    for path in files:
        os.utime(path, ns=(10**18, 10**18))
    made = make_pairs(Edges(), photos, tmp_path / "out")
    assert made.new == 0
    assert sum(made.counts.values()) == 6
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == files
    assert {p.stat().st_mtime_ns for p in files} == {10**18}


def test_only_what_is_missing_is_made_and_the_order_of_threads_shows_nowhere(photos, tmp_path):
    make_pairs(Blank(hole="random"), photos, tmp_path / "one")
    make_pairs(Blank(hole="random"), photos, tmp_path / "two")
    victim = next((tmp_path / "two" / "train").glob("*.png"))
    victim.unlink()
    made = make_pairs(Blank(hole="random"), photos, tmp_path / "two")
    assert made.new == 1
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file():
            twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
            assert path.read_bytes() == twin.read_bytes()


def test_a_moved_set_with_its_input_continues(photos, tmp_path):
    make_pairs(Grayscale(), photos, tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    for name in ("photos", "out"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    made = make_pairs(Grayscale(), tmp_path / "elsewhere/photos", tmp_path / "elsewhere/out")
    assert made.new == 0


def test_pairs_whose_image_is_gone_are_named(photos, tmp_path):
    make_pairs(Grayscale(), photos, tmp_path / "out")
    (photos / "3.png").unlink()
    made = make_pairs(Grayscale(), photos, tmp_path / "out")
    assert any("/3.png" in note and "training would use them" in note for note in made.notes)
    assert sum(made.counts.values()) == 5


def test_unreadable_files_are_skipped_and_tried_again(photos, tmp_path):
    (photos / "bad.png").write_bytes(b"no picture")
    told = []
    made = make_pairs(Grayscale(), photos, tmp_path / "out", on_skip=told.append)
    assert len(made.skipped) == 1
    assert "bad.png" in made.skipped[0]
    assert told == made.skipped
    assert json.loads((tmp_path / "out" / "pairs.json").read_text())["skipped"] == [
        f"{split_of('bad', 0.1)}/bad.png"
    ]
    save(photos / "bad.png", photo(7))
    made = make_pairs(Grayscale(), photos, tmp_path / "out")
    assert (made.new, made.skipped) == (1, [])


def test_a_folder_that_cannot_be_written_ends_it(photos, tmp_path, monkeypatch):
    from tfpix2pix.data.tasks import maker

    def full(path, array, alpha):
        raise DataError(f"{path}: it cannot be written (no space)")

    monkeypatch.setattr(maker, "write_image", full)
    with pytest.raises(DataError, match="no space"):
        make_pairs(Grayscale(), photos, tmp_path / "out")
    monkeypatch.undo()
    assert make_pairs(Grayscale(), photos, tmp_path / "out").new == 6


def test_progress_counts_up_to_the_total(photos, tmp_path):
    seen = []
    make_pairs(Grayscale(), photos, tmp_path / "out", progress=lambda *at: seen.append(at))
    assert seen == [(done, 6) for done in range(7)]


# === Two folders ===


def test_partners_meet_by_name_whatever_their_extension(tmp_path):
    for index in range(3):
        save(tmp_path / "A" / f"{index}.png", photo(index))
        save(tmp_path / "B" / f"{index}.jpg", photo(10 + index))
    made = make_pairs(Combine(), tmp_path, tmp_path / "AB", val_fraction=0)
    assert made.counts == {"train": 3}
    a, b = halves(tmp_path / "AB" / "train" / "1.png")
    assert (a == photo(1)).all()
    assert (b == read(tmp_path / "B" / "1.jpg")).all()


def test_partners_of_the_same_proportions_are_resized_and_label_colours_stay(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (30, 45, 1), dtype=np.uint8) * np.uint8(255)
    save(tmp_path / "maps" / "train" / "x.png", np.repeat(labels, 3, axis=2))
    save(tmp_path / "views" / "train" / "x.png", photo(0, 60, 90))
    task = Combine(str(tmp_path / "maps"), str(tmp_path / "views"), labels="a")
    make_pairs(task, None, tmp_path / "out", size=40)
    a, _ = halves(tmp_path / "out" / "train" / "x.png")
    assert set(np.unique(a)) == {0, 255}


@pytest.mark.parametrize(
    ("a", "b", "size", "words"),
    [
        ((20, 30), (20, 31), 0, r"differ in size .*x \(A 30x20, B 31x20\)"),
        ((20, 30), (40, 40), 16, r"differ in proportions .*x \(A 30x20, B 40x40\)"),
    ],
)
def test_partners_of_other_sizes_are_refused(tmp_path, a, b, size, words):
    save(tmp_path / "A" / "x.png", photo(0, *a))
    save(tmp_path / "B" / "x.png", photo(0, *b))
    with pytest.raises(DataError, match=words):
        make_pairs(Combine(), tmp_path, tmp_path / "out", size=size)
    assert not (tmp_path / "out").exists()


def test_without_scikit_image_a_sentence_says_so(photos, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "skimage.color", None)
    with pytest.raises(DataError, match="--task=lab needs scikit-image"):
        make_pairs(Lab(), photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()
