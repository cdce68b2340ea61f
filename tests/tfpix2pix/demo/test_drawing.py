"""What the page's modules compute without a document, under Node, beside NumPy and scikit-image."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.segmentation import flood_fill

WEB = runpy.run_path(str(Path(__file__).with_name("page_folder.py")))["WEB"]
HEIGHT, WIDTH = 23, 31


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`run(script)`: what a module's script gives back as JSON; it has the modules in `m`."""
    if not shutil.which("node"):
        pytest.skip("no Node on PATH")
    folder = tmp_path_factory.mktemp("modules")
    names = ("drawing", "history", "colours", "examples", "link", "walk", "sizes")
    for path in WEB.glob("*.js"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    imports = "".join(f'import * as {n} from "./{n}.js";\n' for n in names)

    def call(body: str, given: Any = None) -> Any:
        (folder / "given.json").write_text(json.dumps(given))
        (folder / "run.js").write_text(
            f"{imports}import {{ readFileSync }} from 'node:fs';\n"
            f"const given = JSON.parse(readFileSync({json.dumps(str(folder / 'given.json'))}));\n"
            f"const m = {{ {', '.join(names)} }};\n"
            "const planeOf = ({ width, height, data }) => "
            "({ width, height, data: Uint8Array.from(data) });\n"
            f"const found = await (async () => {{ {body} }})();\n"
            "console.log(JSON.stringify(found, "
            "(_, v) => v instanceof Uint8Array || v instanceof Uint8ClampedArray ? [...v] : v));\n"
        )
        done = subprocess.run(
            ["node", folder / "run.js"], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def plane(pixels: np.ndarray) -> dict[str, Any]:
    return {"width": pixels.shape[1], "height": pixels.shape[0], "data": pixels.ravel().tolist()}


def pixels(plane: dict[str, Any]) -> np.ndarray:
    return np.array(plane["data"], np.uint8).reshape(plane["height"], plane["width"])


def disc(pixels: np.ndarray, x: int, y: int, diameter: int, value: int) -> None:
    """Every pixel whose middle lies within the circle."""
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    # Of an even diameter the middle lies between the point and its right and lower neighbours.
    half = (diameter - 1) / 2
    middle_x, middle_y = x - (diameter - 1) // 2 + half, y - (diameter - 1) // 2 + half
    pixels[(columns - middle_x) ** 2 + (rows - middle_y) ** 2 <= (diameter / 2) ** 2] = value


def test_rectangles_strokes_and_areas(run):
    random = np.random.default_rng(1)
    start = random.integers(0, 3, (HEIGHT, WIDTH), np.uint8)
    edits, expected = [], []
    for _ in range(12):  # corners may lie outside, and in any order
        a, b = random.integers(-6, 36, (2, 2)).tolist()
        made = start.copy()
        (left, right), (top, bottom) = sorted([a[0], b[0]]), sorted([a[1], b[1]])
        made[max(0, top) : max(0, bottom + 1), max(0, left) : max(0, right + 1)] = 7
        edits.append(["paintRectangle", {"x": a[0], "y": a[1]}, {"x": b[0], "y": b[1]}, 7])
        expected.append(made)
    for diameter in (1, 2, 3, 4, 5, 8, 13, 40):
        x, y = random.integers(-3, 25, 2).tolist()
        made = start.copy()
        disc(made, x, y, diameter, 9)
        edits.append(["paintStroke", {"x": x, "y": y}, {"x": x, "y": y}, diameter, 9])
        expected.append(made)
    for _ in range(12):
        x, y = int(random.integers(WIDTH)), int(random.integers(HEIGHT))
        edits.append(["floodFill", {"x": x, "y": y}, 5])
        expected.append(flood_fill(start, (y, x), 5, connectivity=1))
    edits.append(["floodFill", {"x": -1, "y": 3}, 5])
    expected.append(start)
    found = run(
        "return given.edits.map(([name, ...rest]) => { const plane = planeOf(given.start); "
        "m.drawing[name](plane, ...rest); return plane; });",
        {"start": plane(start), "edits": edits},
    )
    for edit, made, right in zip(edits, found, expected, strict=True):
        np.testing.assert_array_equal(pixels(made), right, str(edit))


def test_a_stroke_has_no_gaps(run):
    """A line from point to point: as long as its longer axis, and each pixel beside the last."""
    ends = [[2, 3, 28, 11], [28, 11, 2, 3], [4, 20, 9, 1], [15, 3, 15, 19], [1, 1, 20, 20]]
    found = run(
        "return given.map(([a, b, c, d]) => { const plane = m.drawing.blankPlane(31, 23); "
        "m.drawing.paintStroke(plane, { x: a, y: b }, { x: c, y: d }, 1, 1); return plane; });",
        ends,
    )
    for (a, b, c, d), made in zip(ends, found, strict=True):
        rows, columns = np.nonzero(pixels(made))
        assert len(rows) == max(abs(c - a), abs(d - b)) + 1
        # Nowhere more than half a pixel from the line.
        away = (columns - a) * (d - b) - (rows - b) * (c - a)
        assert np.abs(away).max() <= 0.5 * max(abs(c - a), abs(d - b)) + 1e-9
        assert pixels(made)[b, a] == pixels(made)[d, c] == 1


def test_other_sizes_have_no_new_classes(run):
    random = np.random.default_rng(2)
    start = random.integers(0, 12, (HEIGHT, WIDTH), np.uint8)
    sizes = [(7, 5), (62, 46), (1, 1), (31, 23), (100, 9)]
    found = run(
        "return given.sizes.map(([w, h]) => m.drawing.resizedPlane(planeOf(given.start), w, h));",
        {"start": plane(start), "sizes": sizes},
    )
    for (width, height), made in zip(sizes, found, strict=True):
        rows = ((np.arange(height) + 0.5) * HEIGHT / height).astype(int)
        columns = ((np.arange(width) + 0.5) * WIDTH / width).astype(int)
        np.testing.assert_array_equal(pixels(made), start[np.ix_(rows, columns)])


def test_colours_of_classes_and_back(run):
    """Exact colours come back as they are; others as the nearest, and are counted."""
    colours = np.array([[0, 0, 222], [0, 48, 255], [255, 240, 0], [174, 0, 0]])
    random = np.random.default_rng(3)
    classes = random.integers(0, 4, (HEIGHT, WIDTH), np.uint8)
    picture = random.integers(0, 256, (HEIGHT, WIDTH, 3))
    picture[:10] = colours[classes[:10]]
    nearest = ((picture[:, :, None] - colours) ** 2).sum(-1).argmin(-1)
    rgba = np.concatenate([picture, np.full((HEIGHT, WIDTH, 1), 255)], -1)
    found = run(
        "const there = m.colours.pictureOf(planeOf(given.classes), given.colours);"
        "const data = Uint8ClampedArray.from(given.rgba);"
        "const size = { width: there.width, height: there.height };"
        "return { there: there.data, read: m.colours.planeOf({ ...size, data }, given.colours), "
        "grey: m.colours.greyOf({ ...size, data }) };",
        {"classes": plane(classes), "colours": colours.tolist(), "rgba": rgba.ravel().tolist()},
    )
    there = np.array(found["there"]).reshape(HEIGHT, WIDTH, 4)
    np.testing.assert_array_equal(there[..., :3], colours[classes])
    assert (there[..., 3] == 255).all()
    np.testing.assert_array_equal(pixels(found["read"]["plane"]), nearest)
    exact = (picture == colours[nearest]).all(-1)
    assert found["read"]["other"] == pytest.approx(1 - exact.mean())
    # Pillow's own brightness, to its rounding.
    from PIL import Image

    grey = np.asarray(Image.fromarray(picture.astype(np.uint8)).convert("L")).astype(int)
    assert np.abs(pixels(found["grey"]).astype(int) - grey).max() <= 1


def test_undo_and_redo_within_a_budget(run):
    found = run(
        "const h = new m.history.History('a', () => 10, 35); const seen = [];"
        "const see = (done) => seen.push([h.state, h.canUndo, h.canRedo, done]);"
        "see(h.undo()); h.push('b'); h.push('c'); see(0); see(h.undo()); see(h.redo());"
        "h.undo(); h.push('d'); see(h.redo()); h.push('e'); see(0);"
        "while (h.undo()); see(0); return seen;"
    )
    assert found == [
        ["a", False, False, False],
        ["c", True, False, 0],
        ["b", True, True, True],
        ["c", True, False, True],
        ["d", True, False, False],  # what was undone is gone
        ["e", True, False, 0],
        ["b", False, True, 0],  # of 40 bytes in 35, the oldest
    ]


def test_a_link_holds_the_drawing(run):
    random = np.random.default_rng(4)
    house = np.repeat(np.repeat(random.integers(0, 12, (16, 16), np.uint8), 16, 0), 16, 1)
    found = run(
        "const { data: bytes, width, height } = planeOf(given);"
        "const rest = { model: 'a model & more=1', seed: '-9223372036854775808', noise: false, "
        "walk: { seed: 5, x: -0.25, y: 1 } };"
        "const text = await m.link.linkTo({ ...rest, bytes, width, height });"
        "const noisy = Uint8Array.from({ length: 65536 }, () => 256 * Math.random());"
        "const fail = (promise) => promise.then(() => '', (error) => error.message);"
        "return { text, back: await m.link.readLink('#' + text), none: await m.link.readLink('#x'),"
        " long: await fail(m.link.linkTo({ ...rest, bytes: noisy, width: 256, height: 256 })),"
        " cut: await fail(m.link.readLink(text.slice(0, -30))),"
        " grown: await fail(m.link.readLink(text.replace('256x256', '9x9'))),"
        " newer: await fail(m.link.readLink(text.replace('v=1', 'v=2'))) };",
        plane(house),
    )
    back = found["back"]
    assert (back["width"], back["height"], back["bytes"]) == (256, 256, house.ravel().tolist())
    assert (back["model"], back["seed"]) == ("a model & more=1", "-9223372036854775808")
    assert back["noise"] is False
    assert back["walk"] == {"seed": 5, "x": -0.25, "y": 1}
    assert found["none"] is None
    assert len(found["text"]) < 1000
    assert not set(found["text"]) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*+%=&"
    )
    assert "more than 16,000" in found["long"]
    assert found["cut"] == found["grown"]
    assert found["cut"].startswith("The link is damaged")
    assert "newer version" in found["newer"]


def test_examples_are_drawn_of_every_palette(run):
    """Of classes that are there, more than one, never a void one as ground, alike of one seed."""
    from tfpix2pix.data import load_palette
    from tfpix2pix.data.palette import BUILTIN

    palettes = {}
    for name in BUILTIN:
        classes = load_palette(name).classes
        palettes[name] = [{"name": c.name, "void": c.void} for c in classes]
    palettes["two"] = [{"name": "nothing", "void": True}, {"name": "a"}, {"name": "b"}]
    palettes["one"] = [{"name": "only"}]
    found = run(
        "const all = {}; for (const [name, labels] of Object.entries(given)) all[name] = "
        "[1, 1, 2].map((seed) => m.examples.exampleOfLabels(labels, 96, 64, seed));"
        "all.lines = [0, 1, 2].map((seed) => m.examples.exampleOfLines(96, 64, seed, 255, 0));"
        "all.photo = [m.examples.exampleOfPhoto(48, 32, 1)]; return all;",
        palettes,
    )
    photo = np.array(found.pop("photo")[0]["data"]).reshape(32, 48, 4)
    assert (photo[..., 3] == 255).all()
    assert photo[..., :3].std() > 20
    lines = [pixels(each) for each in found.pop("lines")]
    for each in lines:
        assert set(np.unique(each)) == {0, 255}
        assert 0.01 < (each == 0).mean() < 0.2
    assert not (lines[0] == lines[1]).all()
    for name, (first, again, other) in found.items():
        seen = np.unique(pixels(first))
        assert first == again
        assert not any(palettes[name][value].get("void") for value in seen), name
        if name not in ("one", "two"):
            assert len(seen) >= 5, (name, seen)
            assert first != other
    facades = [c["name"] for c in palettes["facades"]]
    assert {"window", "door", "facade"} <= {
        facades[i] for i in np.unique(found["facades"][0]["data"])
    }


def test_walks_in_the_latent(run):
    """At right angles and of length one; the middle is the seed's own; a latent of one number has
    one direction."""
    random = np.random.default_rng(5)
    start, first, second = random.standard_normal((3, 8)).tolist()
    found = run(
        "const { directionsOf, walkedTo, REACH } = m.walk; const [start, a, b] = given;"
        "const both = directionsOf(a, b); const one = directionsOf([2], [-3]);"
        "return { both, one, reach: REACH, middle: walkedTo(start, both, 0, 0),"
        " away: walkedTo(start, both, 0.5, -1) };",
        [start, first, second],
    )
    both = np.array(found["both"])
    np.testing.assert_allclose(both @ both.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(both[0], np.array(first) / np.linalg.norm(first))
    assert found["one"] == [[1], [0]]
    assert found["middle"] == start
    expected = np.array(start) + found["reach"] * (0.5 * both[0] - both[1])
    np.testing.assert_allclose(found["away"], expected)


def test_sizes(run):
    any_size = {"image_size": "any", "size_multiple": 64, "max_pixels": 512 * 512}
    model = {"contract": {**any_size, "config": {"crop_size": "128x256"}}}
    fixed = {"contract": {"image_size": [48, 64], "size_multiple": 16}}
    found = run(
        "const { model, fixed } = given; const s = m.sizes;"
        "const why = (width, height) => s.refusedSize(model.contract, { width, height });"
        "return { own: s.ownSize(model), fixed: s.ownSize(fixed), offered: s.offeredSizes(model), "
        "only: s.offeredSizes(fixed), first: s.firstSize(model, { width: 4000, height: 3000 }),"
        " small: s.firstSize(model, { width: 30, height: 20 }),"
        " into: s.firstSize(fixed, { width: 30, height: 20 }),"
        " other: s.refusedSize(fixed.contract, { width: 64, height: 64 }),"
        " why: [why(512, 512), why(513, 512), why(0, 5), why(1.5, 5), why(NaN, 5), why(1, 1)] };",
        {"model": model, "fixed": fixed},
    )
    assert found["own"] == {"width": 256, "height": 128}
    assert found["fixed"] == {"width": 64, "height": 48}
    assert {"width": 512, "height": 256} in found["offered"]
    assert all(size["width"] * size["height"] <= 512 * 512 for size in found["offered"])
    assert found["only"] == [found["fixed"]]
    assert found["first"] == {"width": 512, "height": 384}
    assert found["small"] == {"width": 30, "height": 20}
    assert found["into"] == found["fixed"]
    assert "64 × 48 pixels only" in found["other"]
    taken, padded, *odd, least = found["why"]
    assert taken == least == ""
    assert "294,912" in padded  # 576 x 512: of 513 the next multiple is 576
    assert all("whole numbers" in each for each in odd)
