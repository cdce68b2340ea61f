"""Label palettes: colours to classes and back, index maps, coverage, and what a file may hold."""

from __future__ import annotations

import io
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.palette import (
    BUILTIN,
    LabelClass,
    Palette,
    load_palette,
    parse_palette,
)
from tfpix2pix.data.sample import PALETTE as SAMPLE_COLORS
from tfpix2pix.data.sample import facade_pair


def palette_of(*colors, name="test"):
    return Palette(name, tuple(LabelClass(f"c{i}", c, (i,)) for i, c in enumerate(colors)))


def image_of(*pixels):
    return np.array([pixels], np.uint8)


def jpeg(image, quality, subsampling):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))


def drawn_label(index):
    return facade_pair(0, 256, "train", index)[0]


# === Colours to classes ===


def test_nearest_color_by_hand():
    palette = palette_of((0, 0, 0), (100, 0, 0), (0, 100, 0), (255, 255, 255))
    # (51, 0, 0): 51^2 = 2601 from black, 49^2 = 2401 from (100, 0, 0). (150, 150, 150):
    # 3 * 105^2 = 33075 from white, 50^2 + 2 * 150^2 = 47500 from red and green.
    pixels = image_of((49, 0, 0), (51, 0, 0), (10, 90, 20), (150, 150, 150))
    classes = palette.to_classes(pixels)
    assert classes.dtype == np.uint8
    assert classes.tolist() == [[0, 1, 2, 3]]


def test_of_equally_near_colors_the_lower_class():
    ascending = palette_of((0, 0, 0), (100, 0, 0), (0, 100, 0))
    descending = palette_of((0, 100, 0), (100, 0, 0), (0, 0, 0))
    # 50 between black and red; (50, 50, 0) is 5000 from all three; (100, 100, 0) is 10000 from
    # red and from green.
    pixels = image_of((50, 0, 0), (50, 50, 0), (100, 100, 0))
    assert ascending.to_classes(pixels).tolist() == [[0, 0, 1]]
    assert descending.to_classes(pixels).tolist() == [[1, 0, 0]]


colors = st.tuples(*[st.integers(0, 255)] * 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(colors, min_size=2, max_size=30, unique=True), st.integers(0, 2**32 - 1))
def test_agrees_with_brute_force(chosen, seed):
    palette = palette_of(*chosen)
    image = np.random.default_rng(seed).integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    image[0, 0, :2] = chosen[:2]
    distances = ((image[..., None, :].astype(int) - np.array(chosen)) ** 2).sum(axis=-1)
    for _ in range(2):  # the first call fills the table, the second reads it
        np.testing.assert_array_equal(palette.to_classes(image), distances.argmin(axis=-1))


def test_256_classes_and_more_colors_than_one_chunk():
    chosen = [(i, 255 - i, i * 7 % 256) for i in range(256)]
    palette = palette_of(*chosen)
    image = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    expected = np.empty((150, 150), int)
    for row in range(150):
        off = image[row, :, None, :].astype(int) - np.array(chosen)
        expected[row] = (off**2).sum(axis=-1).argmin(axis=-1)
    np.testing.assert_array_equal(palette.to_classes(image), expected)
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(palette.to_classes(palette.to_colors(every)), every)


def test_threads_see_the_same_classes():
    palette = palette_of((1, 2, 3), (200, 100, 50), (90, 90, 90), (0, 255, 0))
    images = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    with ThreadPoolExecutor(8) as pool:
        together = np.stack(list(pool.map(palette.to_classes, images)))
    off = images[..., None, :].astype(int) - palette.colors
    np.testing.assert_array_equal(together, (off**2).sum(axis=-1).argmin(axis=-1))


@pytest.mark.parametrize("name", BUILTIN)
def test_colors_and_classes_round_trip(name):
    palette = load_palette(name)
    classes = np.random.default_rng(2).integers(0, len(palette), (3, 5, 4), dtype=np.uint8)
    rgb = palette.to_colors(classes)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (3, 5, 4, 3)
    np.testing.assert_array_equal(palette.to_classes(rgb), classes)
    indices = palette.to_indices(classes)
    assert palette.knows_indices(indices)
    np.testing.assert_array_equal(palette.from_indices(indices), classes)


def test_full_colour_jpeg_snaps_back():
    palette = load_palette("facades")
    for index in range(4):
        label = drawn_label(index)
        classes = palette.to_classes(label)
        smeared = jpeg(label, quality=75, subsampling=0)
        assert not np.array_equal(smeared, label)
        assert np.mean(palette.to_classes(smeared) == classes) >= 0.99


def test_half_colour_jpeg_snaps_back_away_from_edges():
    # 4:2:0 keeps one colour for 2x2 pixels: at edges there is nothing left to snap back to.
    palette = load_palette("facades")
    for index in range(4):
        classes = palette.to_classes(drawn_label(index))
        found = palette.to_classes(jpeg(drawn_label(index), quality=75, subsampling=2))
        around = [np.roll(classes, (i, j), (0, 1)) for i in range(-2, 3) for j in range(-2, 3)]
        inside = np.all(np.stack(around) == classes, axis=0)
        assert inside.mean() > 0.3
        assert np.mean(found[inside] == classes[inside]) >= 0.99


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4), np.uint8)],
)
def test_what_is_no_rgb_image_is_refused(wrong):
    for method in (load_palette("camvid").to_classes, load_palette("camvid").covered):
        with pytest.raises(ValueError, match="expected uint8"):
            method(wrong)


def test_numbers_that_are_no_classes_are_refused():
    palette = palette_of((0, 0, 0), (255, 255, 255))
    for method in (palette.to_colors, palette.to_indices):
        with pytest.raises(ValueError, match="class numbers 0 to 2; the palette 'test' has 0 to 1"):
            method(np.array([0, 2]))
        with pytest.raises(ValueError, match="class numbers -1 to 0"):
            method(np.array([0, -1]))
        with pytest.raises(ValueError, match="expected integers"):
            method(np.array([0.0]))


# === Coverage ===


def test_coverage_counts_flat_places_by_hand():
    palette = palette_of((0, 0, 0), (200, 0, 0))
    image = np.zeros((10, 22, 3), np.uint8)
    image[:, 11:] = (0, 255, 0)
    # Inner pixels: 8 rows; columns 1-9 are flat black, 12-20 flat green, 10 and 11 are edges.
    assert palette.covered(image) == 0.5
    image[:, 11:] = (200, 0, 0)
    assert palette.covered(image) == 1.0
    image[:, 11:] = (200, 24, 0)  # just within reach of a colour
    assert palette.covered(image) == 1.0
    image[:, 11:] = (200, 25, 0)
    assert palette.covered(image) == 0.5


def test_coverage_counts_all_pixels_where_nothing_is_flat():
    palette = palette_of((0, 0, 0), (200, 0, 0))
    checks = np.zeros((8, 8, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = (200, 0, 0)
    assert palette.covered(checks) == 1.0
    checks[::2, ::2] = (0, 255, 0)  # a quarter of the pixels
    assert palette.covered(checks) == 0.75
    assert palette.covered(np.zeros((1, 2, 3), np.uint8)) == 1.0


def test_coverage_pools_the_images_of_a_batch():
    palette = palette_of((0, 0, 0), (200, 0, 0))
    batch = np.zeros((4, 16, 16, 3), np.uint8)
    batch[3] = (0, 0, 200)
    assert palette.covered(batch) == 0.75


@pytest.mark.parametrize("index", range(3))
def test_coverage_tells_label_maps_from_photos_and_from_other_palettes(index):
    label, photo = facade_pair(0, 256, "train", index)
    right = load_palette("facades")
    assert right.covered(label) == 1.0
    assert right.covered(jpeg(label, quality=50, subsampling=2)) >= 0.95
    assert right.covered(photo) < 0.5
    assert load_palette("camvid").covered(label) < 0.5


def test_coverage_of_an_empty_or_flattened_image_is_refused():
    for wrong in (np.zeros((0, 4, 3), np.uint8), np.zeros((4, 3), np.uint8)):
        with pytest.raises(ValueError, match="expected images"):
            load_palette("camvid").covered(wrong)


def halves(folder, count):
    """The (left, right) halves of the first images of a folder."""
    for path in sorted(folder.glob("*.*"))[:count]:
        image = np.asarray(Image.open(path).convert("RGB"))
        yield image[:, : image.shape[1] // 2], image[:, image.shape[1] // 2 :]


@pytest.mark.parametrize("name", ["facades", "camvid"])
def test_coverage_on_real_pairs(shared_data, name):
    found = {kind: {"photo": [], "label": []} for kind in BUILTIN}
    for photo, label in halves(shared_data / name / "train", 40):
        for kind in BUILTIN:
            found[kind]["photo"].append(load_palette(kind).covered(photo))
            found[kind]["label"].append(load_palette(kind).covered(label))
    assert min(found[name]["label"]) >= 0.95
    for kind in BUILTIN:
        assert np.mean(found[kind]["photo"]) < 0.6
        assert kind == name or np.mean(found[kind]["label"]) < 0.6


# === Index maps ===


@pytest.fixture
def streets():
    return Palette(
        "streets",
        (
            LabelClass("void", (0, 0, 0), (0, 1, 255), void=True),
            LabelClass("road", (128, 64, 128), (7,)),
            LabelClass("pole", (153, 153, 153), (17, 18)),
        ),
    )


def test_index_maps_by_hand(streets):
    values = np.array([[0, 1, 255], [7, 17, 18]])
    assert streets.knows_indices(values)
    classes = streets.from_indices(values)
    assert classes.dtype == np.uint8
    assert classes.tolist() == [[0, 0, 0], [1, 2, 2]]
    indices = streets.to_indices(classes)
    assert indices.dtype == np.uint8
    assert indices.tolist() == [[0, 0, 0], [7, 17, 17]]


def test_indices_above_255_need_16_bits():
    palette = Palette(
        "deep", (LabelClass("a", (0, 0, 0), (300,)), LabelClass("b", (1, 1, 1), (2,)))
    )
    classes = palette.from_indices(np.array([2, 300], np.uint16))
    assert classes.tolist() == [1, 0]
    indices = palette.to_indices(classes)
    assert indices.dtype == np.uint16
    assert indices.tolist() == [2, 300]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 2], "index value 2 not in"),
        ([-1, 0], "index value -1 not in"),
        ([70000, 0, 8], "index values 8, 70000 not in"),
        (range(7, 17), "index values 8, 9, 10, 11, 12 and 4 more not in"),
    ],
)
def test_unknown_index_values_are_named(streets, values, said):
    values = np.array(values)
    assert not streets.knows_indices(values)
    with pytest.raises(ValueError, match=said) as caught:
        streets.from_indices(values)
    assert str(caught.value).endswith("the palette 'streets'; expected 0-1, 7, 17-18, 255")


def test_index_maps_hold_integers(streets):
    for method in (streets.knows_indices, streets.from_indices):
        with pytest.raises(ValueError, match="expected integers, got float64"):
            method(np.array([0.0, 7.0]))
    assert streets.from_indices(np.zeros((0, 4), np.uint8)).shape == (0, 4)


def test_camvid_index_maps_agree_with_colors(shared_data):
    palette = load_palette("camvid")
    paths = sorted((shared_data / "camvid" / "val_index").glob("*.png"))[:25]
    assert paths
    for path in paths:
        classes = palette.from_indices(np.asarray(Image.open(path)))
        picture = np.asarray(Image.open(shared_data / "camvid" / "val" / f"{path.stem}.jpg"))
        found = palette.to_classes(picture[:, picture.shape[1] // 2 :])
        assert np.mean(found == classes) >= 0.98


# === Built-in palettes ===


def test_facades_has_the_sample_set_s_classes():
    palette = load_palette("facades")
    assert {c.name: c.color for c in palette.classes} == SAMPLE_COLORS
    assert [c.indices for c in palette.classes] == [(i,) for i in range(1, 13)]
    assert not palette.void.any()


def test_camvid_has_11_classes_and_void():
    palette = load_palette("camvid")
    assert len(palette) == 12
    assert palette.classes[3] == LabelClass("Road", (128, 64, 128), (3,))
    assert palette.void.tolist() == [False] * 11 + [True]
    assert palette.classes[11].indices == (11,)


def test_cityscapes_counts_19_classes():
    palette = load_palette("cityscapes")
    assert palette.knows_indices(np.arange(34))
    assert np.sum(~palette.void) == 19
    by_name = {c.name: c for c in palette.classes}
    assert by_name["unlabeled"] == LabelClass("unlabeled", (0, 0, 0), (0, 1, 2, 3, 4), void=True)
    assert by_name["pole"].indices == (17, 18)
    assert by_name["car"] == LabelClass("car", (0, 0, 142), (26,))
    # The ids that the benchmark evaluates, of which 18 (polegroup) shares pole's colour.
    evaluated = {7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33}
    found = {i for c in palette.classes if not c.void for i in c.indices}
    assert found == evaluated | {18}


@pytest.mark.parametrize("name", BUILTIN)
def test_a_saved_palette_is_the_same_palette(tmp_path, name):
    palette = load_palette(name)
    (tmp_path / "palette.json").write_text(palette.to_json())
    again = load_palette(tmp_path / "palette.json")
    assert again == palette
    assert hash(again) == hash(palette)
    assert pickle.loads(pickle.dumps(palette)) == palette
    assert palette.name == name


# === Files ===


def test_the_long_form(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(
        json.dumps(
            {
                "name": "streets",
                "classes": [
                    {"name": "sky", "color": [128, 128, 128]},
                    {"name": "road", "color": "#80407f", "index": [9, 3]},
                    {"name": "rest", "color": [0, 0, 0], "index": 255, "void": True},
                ],
            }
        )
    )
    palette = load_palette(str(path))
    assert palette == Palette(
        "streets",
        (
            LabelClass("sky", (128, 128, 128), (0,)),
            LabelClass("road", (128, 64, 127), (9, 3)),
            LabelClass("rest", (0, 0, 0), (255,), void=True),
        ),
    )
    assert palette.colors.dtype == np.uint8
    assert palette.colors.tolist() == [[128, 128, 128], [128, 64, 127], [0, 0, 0]]
    assert palette.void.tolist() == [False, False, True]


def test_the_short_form_is_named_after_its_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_bytes(b'\xef\xbb\xbf{"sky": [1, 2, 3], "road": "#FF0000"}')  # as Notepad saves it
    assert load_palette(path) == Palette(
        "mine", (LabelClass("sky", (1, 2, 3), (0,)), LabelClass("road", (255, 0, 0), (1,)))
    )


def test_a_built_in_name_wins_over_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "camvid").write_text("{}")
    assert len(load_palette("camvid")) == 12


def two(**changes):
    """A good palette's JSON with the second class changed."""
    second = {"name": "b", "color": [4, 5, 6], **changes}
    return json.dumps({"classes": [{"name": "a", "color": [1, 2, 3]}, second]})


COLOR = "expected three whole numbers 0-255 or '#rrggbb'"
INDEX = "expected a whole number 0-65535, or a list of them"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sky: 1", "not JSON (line 1: Expecting value); expected a JSON file such as"),
        (b"\x89PNG\r\n", "not JSON; expected a text file in UTF-8"),
        ("[" * 100000, "not JSON"),
        ("[1]", "a JSON object was expected, such as"),
        ("{}", 'no classes; expected "classes": [{"name"'),
        ('{"classes": []}', "no classes; expected"),
        ('{"classes": {"a": [1, 2, 3]}}', "no classes; expected"),
        ('{"a": [1, 2, 3]}', "1 class; expected 2 to 256"),
        (
            json.dumps({f"c{i}": [i % 256, i // 256, 0] for i in range(257)}),
            "257 classes; expected",
        ),
        ('{"a": [1, 2, 3], "a": [4, 5, 6]}', "'a' stands 2 times in one JSON object; keep one"),
        (two(name="a"), "the name 'a' stands for 'a' and again for 'a'"),
        (two(color=[1, 2, 3]), "the color [1, 2, 3] stands for 'a' and again for 'b'"),
        (two(color="#010203"), "the color [1, 2, 3] stands for 'a' and again for 'b'"),
        (two(index=0), "index 0 stands for 'a' and again for 'b'; each may stand for one"),
        (two(index=[5, 5]), "index 5 stands for 'b' and again for 'b'"),
        (two(color=[1, 2, 256]), f"class 'b' has the color [1, 2, 256]; {COLOR}"),
        (two(color=[1, 2, -1]), f"class 'b' has the color [1, 2, -1]; {COLOR}"),
        (two(color=[1, 2]), f"class 'b' has the color [1, 2]; {COLOR}"),
        (two(color=[1, 2, 3.5]), f"class 'b' has the color [1, 2, 3.5]; {COLOR}"),
        (two(color=[1, 2, True]), f"class 'b' has the color [1, 2, true]; {COLOR}"),
        (two(color="red"), f"class 'b' has the color \"red\"; {COLOR}"),
        (two(color="#12 456"), f"class 'b' has the color \"#12 456\"; {COLOR}"),
        ('{"a": [1, 2, 3], "b": 7}', f"class 'b' has the color 7; {COLOR}"),
        ('{"classes": [{"name": "a"}, 3]}', "class 'a' has no color; expected [r, g, b]"),
        ('{"classes": ["sky", "road"]}', 'class 0 (counted from 0) is "sky"; expected {"name"'),
        (two(name=7), "class 1 (counted from 0) has the name 7; expected a text"),
        (two(index=-1), f"class 'b' has the index -1; {INDEX}"),
        (two(index=65536), f"class 'b' has the index 65536; {INDEX}"),
        (two(index=[]), f"class 'b' has the index []; {INDEX}"),
        (two(index="1"), f"class 'b' has the index \"1\"; {INDEX}"),
        (two(void=1), "class 'b' has \"void\": 1; expected true or false"),
        (two(colour=[1, 2, 3]), "class 'b' has the unknown key 'colour'; did you mean 'color'?"),
        (two(id=7), "class 'b' has the unknown key 'id'; expected name, color, index, void"),
        ('{"name": 3, "classes": []}', "the palette's name is 3; expected a text"),
        ('{"title": "x", "classes": []}', "the palette has the unknown key 'title'"),
    ],
)
def test_what_is_no_palette_is_said_in_one_sentence(tmp_path, content, said):
    path = tmp_path / "mine.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        load_palette(path)
    message = str(caught.value)
    assert message.startswith(f"--label_palette={path}: {said}")
    assert message.endswith((".", "?"))
    assert not message.endswith(("..", "?."))
    assert "\n" not in message


def test_unknown_names_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = "expected facades, camvid, cityscapes, sample or the path of a JSON file."
    (tmp_path / "streets.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    for spec, said in {
        "camvd": "no such palette and no such file; did you mean 'camvid'?",
        "CityScapes": "no such palette and no such file; did you mean 'cityscapes'?",
        "street.json": "no such palette and no such file; did you mean 'streets.json'?",
        "zzz": f"no such palette and no such file; {expected}",
        "streets.json/x": f"it cannot be read (Not a directory); {expected}",
        "folder": f"a folder; {expected}",
        "": f"a folder; {expected}",
    }.items():
        with pytest.raises(DataError) as caught:
            load_palette(spec)
        assert str(caught.value) == f"--label_palette={spec}: {said}"


def test_palettes_made_in_python_are_checked_too():
    good = LabelClass("a", (1, 2, 3), (0,))
    for other, said in {
        LabelClass("b", (1, 2), (1,)): r"class 'b' has the color \[1, 2\]",
        LabelClass("b", (1, 2, 300), (1,)): "three whole numbers",
        LabelClass("b", (4, 5, 6), ()): r"class 'b' has the index \[\]",
        LabelClass("a", (4, 5, 6), (1,)): "the name 'a' stands for",
    }.items():
        with pytest.raises(ValueError, match=said):
            Palette("x", (good, other))
    with pytest.raises(ValueError, match="1 class; expected 2 to 256"):
        Palette("x", (good,))
    with pytest.raises(ValueError, match="not JSON"):
        parse_palette("nonsense")
