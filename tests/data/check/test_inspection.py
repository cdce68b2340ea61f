"""What an inspection says of sets that were drawn for it, and what it finds labels painted in."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.data import open_dataset
from tfpix2pix.data.cache_choice import LEAST_BUDGET, choose_cache
from tfpix2pix.data.check.duplicates import find_duplicates
from tfpix2pix.data.check.inspection import Inspection, inspect_source
from tfpix2pix.data.check.palette_search import find_palette
from tfpix2pix.data.check.previews import pair_previews, stored_pictures
from tfpix2pix.data.images import Decoded, decode, write_image
from tfpix2pix.data.palette import BUILTIN, load_palette, parse_palette

labels = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "painted.py")))
MINE, painted = labels.MINE, labels.painted


def noise(seed: int, height: int = 24, width: int = 24, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def two_folders(root, pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]], suffix=".png"):
    for split, images in pairs.items():
        for side in "AB":
            (root / side / split).mkdir(parents=True, exist_ok=True)
        for number, pair in enumerate(images):
            for side, image in zip("AB", pair, strict=True):
                write_image(root / side / split / f"{number}{suffix}", image)
    return root


def look(folder, **flags) -> Inspection:
    return inspect_source(open_dataset(str(folder), **flags))


def shown_as(*arrays: np.ndarray) -> list[Decoded]:
    return [Decoded(array, False, None, ()) for array in arrays]


# === Facts ===


def test_the_facts_are_those_that_were_drawn(tmp_path):
    a = [noise(k, 20, 30) // 2 + 3 for k in range(5)]
    b = [noise(10 + k, 20, 30, 1) for k in range(5)]
    two_folders(tmp_path, {"train": list(zip(a, b, strict=True))[:4], "val": [(a[4], b[4])]})
    seen = look(tmp_path)
    assert not seen.refusal
    assert seen.counts == {"train": 4, "val": 1}
    assert seen.input.sizes == seen.target.sizes == {(20, 30): 5}
    assert seen.input.channels == {3: 5}
    assert seen.target.channels == {1: 5}
    assert seen.input.depths == {"uint8": 5}
    assert (seen.input.low, seen.input.high) == (np.min(a), np.max(a))
    # Fewer pairs than are sampled: all of them count.
    assert seen.input.mean == pytest.approx(np.mean(a))
    assert seen.input.std == pytest.approx(np.std(a))
    assert seen.target.mean == pytest.approx(np.mean(b))
    assert seen.extensions == {".png": 10}
    assert seen.file_bytes == sum(p.stat().st_size for p in tmp_path.rglob("*.png"))
    # Three channels and one, of one byte.
    assert seen.decoded == {
        "train": (4 * 286**2 * 4, "memory"),
        "val": (286**2 * 4, "memory"),
    }
    assert seen.duplicates == []
    assert seen.warnings == []


def test_the_direction_tells_which_side_is_the_input(tmp_path):
    two_folders(tmp_path, {"train": [(noise(k) // 2, noise(9 + k) // 4) for k in range(3)]})
    seen = look(tmp_path, direction="BtoA")
    assert (seen.input.letter, seen.target.letter) == ("B", "A")
    assert seen.input.high <= 63 < seen.target.high


def test_alpha_is_left_out_of_the_mean(tmp_path):
    rgba = [np.concatenate([noise(k), np.full((24, 24, 1), 255, np.uint8)], -1) for k in range(3)]
    two_folders(tmp_path, {"train": [(x, x[..., ::-1][..., 1:].copy()) for x in rgba]})
    seen = look(tmp_path)
    assert seen.input.alpha == 3
    assert seen.target.alpha == 0
    assert seen.input.mean == pytest.approx(np.mean([x[..., :3] for x in rgba]))


@pytest.mark.parametrize("cache", ["file", "none", "memory"])
def test_a_cache_that_was_asked_for_is_the_one_named(tmp_path, cache):
    two_folders(tmp_path, {"train": [(noise(1), noise(2))] * 2})
    seen = inspect_source(open_dataset(str(tmp_path), val_fraction=0), cache=cache)
    assert {kept for _, kept in seen.decoded.values()} == {cache}


def test_the_sample_set_has_no_files_and_no_faults():
    seen = inspect_source(open_dataset("sample", sample_pairs=8, sample_size=32))
    assert not seen.refusal
    assert seen.counts == {"train": 8, "val": 2, "test": 2}
    assert seen.input.sizes == {(32, 32): 12}
    assert seen.duplicates is None
    assert seen.extensions == {}


# === Warnings ===


def test_duplicates_by_pair_and_by_side(tmp_path):
    x, y = noise(1), noise(2)
    others = [(noise(10 + k), noise(20 + k)) for k in range(3)]
    pairs = {
        "train": [(x, y), (x, noise(3)), others[0], others[1]],
        "val": [(x, y), others[2], (noise(4), others[0][1])],
    }
    seen = look(two_folders(tmp_path, pairs))
    found = {(g.what, g.leaks): g.names for g in seen.duplicates}
    assert found == {
        ("pair", True): ("A/train/0.png", "A/val/0.png"),
        ("input", True): ("A/train/0.png", "A/train/1.png", "A/val/0.png"),
        ("target", True): ("B/train/2.png", "B/val/2.png"),
    }
    assert len(seen.leaks) == 3
    assert not seen.refusal, "leakage is no reason to refuse"
    assert sum(warning.startswith("leakage") for warning in seen.warnings) == 3


def test_a_pair_twice_is_not_told_again_for_its_sides(tmp_path):
    pair = (noise(1), noise(2))
    seen = look(two_folders(tmp_path, {"train": [pair, pair, (noise(3), noise(4))]}))
    assert [(g.what, g.leaks, len(g.names)) for g in seen.duplicates] == [("pair", False, 2)]


def test_blank_images_are_told_once_and_are_no_duplicates(tmp_path):
    blank = np.full((24, 24, 3), 255, np.uint8)
    pairs = {"train": [(noise(1), blank), (noise(2), blank)], "val": [(noise(3), blank)]}
    seen = look(two_folders(tmp_path, pairs))
    assert seen.duplicates == []
    assert seen.target.blank == ("B/train/0.png", "B/train/1.png", "B/val/0.png")
    assert seen.input.blank == ()
    assert "blank, of one single value: 3 target images" in seen.warnings[0]


def test_images_of_the_same_bytes_in_another_shape_are_no_duplicates(tmp_path):
    values = noise(1, 8, 32)
    pairs = [(values, values), (values.reshape(32, 8, 3), values.reshape(32, 8, 3))]
    two_folders(tmp_path, {"train": pairs})
    source = open_dataset(str(tmp_path), allow_mixed_sizes=True)
    looks, _ = source.scan(digests=True)
    assert find_duplicates(looks, "AtoB", str) == []


def test_a_target_that_is_its_input_is_told(tmp_path):
    x = noise(1)
    seen = look(two_folders(tmp_path, {"train": [(x, x), (noise(2), noise(3))]}))
    assert seen.same_pairs == ["A/train/0.png"]
    assert any("same picture in 1 pair" in warning for warning in seen.warnings)


def test_without_hashes_nothing_is_said_of_duplicates(tmp_path):
    pair = (noise(1), noise(2))
    source = open_dataset(str(two_folders(tmp_path, {"train": [pair, pair]})))
    seen = inspect_source(source, duplicates=False)
    assert seen.duplicates is None
    assert seen.facts()["duplicates"] is None


def test_a_set_without_val_is_told(tmp_path):
    seen = look(two_folders(tmp_path, {"train": [(noise(1), noise(2))]}))
    assert any("no val split" in warning for warning in seen.warnings)


# === Faults ===


def test_a_refusal_has_the_words_of_training(tmp_path):
    two_folders(tmp_path, {"train": [(noise(k), noise(9 + k)) for k in range(3)]})
    (tmp_path / "A/train/1.png").write_bytes(b"no picture")
    write_image(tmp_path / "B/train/2.png", noise(2, 24, 30))
    source = open_dataset(str(tmp_path))
    seen = inspect_source(source)
    with pytest.raises(Exception) as refusal:  # noqa: PT011 (the text is compared)
        open_dataset(str(tmp_path)).check()
    assert seen.refusal == str(refusal.value)
    assert seen.input.sizes == {(24, 24): 2}
    assert [len(fault.entries) for fault in seen.faults] == [1, 1]
    assert seen.decoded == {}


def test_pairs_that_cannot_be_read_are_shown_as_such(tmp_path):
    two_folders(tmp_path, {"train": [(noise(k), noise(9 + k)) for k in range(3)]})
    (tmp_path / "A/train/1.png").write_bytes(b"no picture")
    write_image(tmp_path / "B/train/2.png", noise(2, 24, 30))
    source = open_dataset(str(tmp_path))
    seen = inspect_source(source)
    good, unreadable, unequal = pair_previews(source, seen.spec, 8)
    assert good.as_trained
    assert unreadable.x is None
    # No pair to training, but there is something to see.
    assert not unequal.as_trained
    assert unequal.x.shape == (24, 24, 3)
    assert unequal.y.shape == (24, 30, 3)


# === Pictures ===


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (noise(1), noise(2)),
        (noise(1, channels=1), noise(2, channels=4)),
        (noise(1).astype(np.uint16) * 257, noise(2, channels=1).astype(np.uint16) * 9 + 5),
        (noise(1).astype(np.float32) / 255 * 7 - 3, noise(2, channels=5).astype(np.float32)),
    ],
    ids=["8 bit", "grey to RGBA", "16 bit", "floats"],
)
def test_stored_pairs_look_as_their_tensors_do(tmp_path, x, y):
    folder = two_folders(tmp_path, {"train": [(x, y), (y[..., :1].copy(), x)][:1]}, ".tif")
    source = open_dataset(str(folder))
    spec, stored = source.spec, source.load("train", 0)
    pictures = stored_pictures(spec, *stored)
    seen_x, seen_y = (
        np.asarray(side.to_network(values.astype(np.float32)))
        for side, values in zip((spec.x, spec.y), stored, strict=True)
    )
    expected = spec.picture_of_x(seen_x), spec.picture_of_y(seen_x, seen_y)
    for picture, tensor_picture in zip(pictures, expected, strict=True):
        assert picture.dtype == np.uint8
        assert picture.shape == (24, 24, 3)
        np.testing.assert_allclose(
            picture.astype(int), np.broadcast_to(tensor_picture, picture.shape), atol=1
        )


def test_stored_classes_and_lab_pairs_are_shown_in_colour(tmp_path):
    colors = load_palette("facades").colors
    label = painted(1, colors)
    photo = np.asarray(Image.fromarray(noise(2, 6, 6)).resize((48, 48), Image.BILINEAR))
    source = open_dataset(
        str(two_folders(tmp_path / "labels", {"train": [(label, photo)]})), label_palette="facades"
    )
    x, y = stored_pictures(source.spec, *source.load("train", 0))
    np.testing.assert_array_equal(x, label)
    np.testing.assert_array_equal(y, photo)

    (tmp_path / "lab").mkdir()
    write_image(tmp_path / "lab" / "0.png", photo)
    source = open_dataset(str(tmp_path / "lab"), color_space="lab", val_fraction=0)
    x, y = stored_pictures(source.spec, *source.load("train", 0))
    np.testing.assert_allclose(y.astype(int), photo, atol=1)
    assert np.ptp(x.astype(int), axis=-1).max() <= 2, "the input is grey"


# === Palettes ===


@pytest.mark.parametrize("name", BUILTIN)
def test_a_builtin_palette_is_found_by_its_colours(name):
    labels = [painted(k, load_palette(name).colors, 96) for k in range(4)]
    found = find_palette(shown_as(*labels), lossless=True)
    assert found.builtin == (name,)
    assert found.covered == 1.0


def test_a_builtin_palette_is_found_in_jpegs(tmp_path):
    files = []
    for seed in range(4):
        label = painted(seed, load_palette("facades").colors, 96)
        files.append(tmp_path / f"{seed}.jpg")
        Image.fromarray(label).save(files[-1], quality=75)
    found = find_palette([decode(path) for path in files], lossless=False)
    assert found.builtin == ("facades",)


def test_unknown_colours_are_counted_over_all_pictures():
    few = [painted(k, MINE[:3]) for k in range(3)]
    more = shown_as(painted(9, MINE))
    found = find_palette(shown_as(*few), more, lossless=True)
    assert found.builtin == ()
    pixels = np.concatenate([image.reshape(-1, 3) for image in [*few, more[0].array]])
    expected = {color: (pixels == color).all(axis=1).mean() for color in MINE}
    assert {c.rgb: c.share for c in found.colors} == pytest.approx(expected)
    palette = parse_palette(found.palette().to_json())
    assert {label.color for label in palette.classes} == set(MINE)


def test_blended_edges_do_not_hide_the_colours_of_flat_places():
    blurred = []
    for seed in range(3):
        label = Image.fromarray(painted(seed, MINE, 96, 24))
        blurred.append(np.asarray(label.resize((144, 144), Image.BILINEAR)))
    assert len(np.unique(np.concatenate(blurred).reshape(-1, 3), axis=0)) > 64
    found = find_palette(shown_as(*blurred), lossless=True)
    assert {color.rgb for color in found.colors} == set(MINE)
    assert found.exact


def test_colours_that_jpeg_smeared_are_listed_but_make_no_palette(tmp_path):
    files = []
    for seed in range(4):
        files.append(tmp_path / f"{seed}.jpg")
        Image.fromarray(painted(seed, MINE, 96, 24)).save(files[-1], quality=90, subsampling=0)
    found = find_palette([decode(path) for path in files], lossless=False)
    assert len(found.colors) == len(MINE)
    for color in found.colors:
        assert min(np.abs(np.subtract(color.rgb, mine)).max() for mine in MINE) <= 3
    assert found.palette() is None


def test_index_maps_are_told_by_their_values():
    maps = [painted(k, [(v,) * 3 for v in range(12)], 96)[..., :1] for k in range(3)]
    found = find_palette(shown_as(*maps), lossless=True)
    assert found.indices
    assert found.builtin[0] == "camvid"
    assert sorted(c.rgb[0] for c in found.colors) == list(range(12))
    strange = [(m * 20 + 3).astype(np.uint8) for m in maps]
    found = find_palette(shown_as(*strange), lossless=True)
    assert found.builtin == ()
    made = found.palette()
    assert made.knows_indices(strange[0])


def test_photographs_are_painted_in_nothing():
    coarse = [Image.fromarray(noise(k, 8, 8)) for k in range(6)]
    photos = [np.asarray(c.resize((96, 96), Image.BICUBIC)) for c in coarse]
    assert find_palette(shown_as(*photos), lossless=True) is None
    grey = [photo[..., :1] for photo in photos]
    assert find_palette(shown_as(*grey), lossless=True) is None
    # A thing on a white ground: flat for the most part, and painted in nothing either.
    things = []
    for photo in photos:
        thing = np.full((144, 144, 3), 255, np.uint8)
        thing[30:126, 30:126] = photo
        things.append(thing)
    assert find_palette(shown_as(*things), lossless=True) is None
    assert find_palette([], lossless=True) is None
    floats = [photo.astype(np.float32) for photo in photos]
    assert find_palette(shown_as(*floats), lossless=True) is None


# === The cache that --cache=auto comes to ===


@pytest.mark.parametrize("budget", [0, 10**9])
@pytest.mark.parametrize("folder", [True, False])
def test_the_cache_named_is_the_one_that_training_takes(tmp_path, budget, folder):
    from tfpix2pix.data import open_store

    source = open_dataset(str(two_folders(tmp_path / "d", {"train": [(noise(1), noise(2))]})))
    cache_dir = tmp_path / "cache" if folder else None
    store = open_store(source, "train", size=20, budget=budget, cache_dir=cache_dir)
    taken = "memory" if store.in_memory else "file" if folder else "none"
    assert bool(list(tmp_path.glob("cache/*"))) == (taken == "file")
    assert choose_cache(20 * 20 * source.spec.stored_bytes, cache_dir, budget) == taken


def test_what_is_larger_than_everything_is_kept_nowhere(tmp_path):
    assert choose_cache(1 << 60, tmp_path) == "none"
    assert choose_cache(LEAST_BUDGET, None) == "memory"
