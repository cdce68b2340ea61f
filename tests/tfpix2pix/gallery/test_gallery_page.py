"""The gallery's page: its orders, links and zoom under Node, and the page in headless Chromium.

Skipped without Node, or without Chromium; see tests/export/browser.py.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.gallery import making

browser = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[2] / "export" / "browser.py"))
)
WEB = Path(making.__file__).parents[1] / "web"
MODULES = ("gallery/pairs", "gallery/arranged", "shared/view")
PAIRS, WIDTH, HEIGHT = 1000, 24, 16
MEASURES = [
    {"name": "l1", "title": "L1", "better": "lower", "digits": 4, "truth": False},
    {"name": "psnr", "title": "PSNR (dB)", "better": "higher", "digits": 2, "truth": False},
    {"name": "sharpness", "title": "sharpness", "better": "", "digits": 2, "truth": False},
    {"name": "sharpness_truth", "title": "of truth", "better": "", "digits": 2, "truth": True},
]


def values(random, digits: int) -> list[float | None]:
    found = random.uniform(0, 30, PAIRS).round(digits).tolist()
    return [None if i % 97 == 5 else value for i, value in enumerate(found)]


@pytest.fixture(scope="module")
def told() -> dict:
    """What a gallery of 1,000 pairs and two runs is told."""
    random = np.random.default_rng(0)
    runs = [
        {
            "name": name, "about": "step 5", "folder": f"gallery/{place}", "settings": {},
            "numbers": {"l1": 0.5}, "errors": {"l1": None},
            "scores": {m["name"]: values(random, 1) for m in MEASURES if not m["truth"]},
        }
        for place, name in enumerate(("first", "second"), 1)
    ]  # fmt: skip
    return {
        "version": 1, "name": "data <set>", "split": "val", "unit": "pair", "note": "",
        "width": WIDTH, "height": HEIGHT, "input": "gallery/input", "target": "gallery/target",
        "names": [f"Pair {i % 999}" for i in random.permutation(PAIRS).tolist()],
        "measures": MEASURES, "headline": ["l1", "psnr"],
        "truth": {"sharpness_truth": values(random, 1)}, "runs": runs,
    }  # fmt: skip


# === Without a document ===


def under_node(code: str, told: dict, tmp_path: Path) -> list:
    """What a module prints that has imported `MODULES`: `pairs` and so on."""
    if not shutil.which("node"):
        pytest.skip("no Node on PATH")
    imports = ""
    for module in MODULES:
        name = Path(module).name
        shutil.copy(WEB / f"{module}.js", tmp_path / f"{name}.mjs")
        imports += f'import * as {name} from "./{name}.mjs";\n'
    (tmp_path / "told.json").write_text(json.dumps(told))
    (tmp_path / "run.mjs").write_text(
        f"{imports}"
        'import { readFileSync } from "node:fs";\n'
        'const g = JSON.parse(readFileSync("told.json", "utf8"));\n'
        f"console.log(JSON.stringify({code}));\n"
    )
    done = subprocess.run(
        ["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expected_order(scores: list[float | None], descending: bool) -> list[int]:
    """By value, of equals the earlier first; what has none at the end."""
    there = [i for i, value in enumerate(scores) if value is not None]
    rest = [i for i, value in enumerate(scores) if value is None]
    return sorted(there, key=lambda i: -scores[i] if descending else scores[i]) + rest


def test_orders(told, tmp_path):
    asked = [
        {"sort": "l1"},
        {"sort": "l1", "worst": True},
        {"sort": "psnr", "of": "1"},
        {"sort": "sharpness", "worst": True},
        {"sort": "sharpness_truth"},
        {"sort": "psnr", "of": "1-0"},
        {"sort": "l1", "of": "1-0", "worst": True},
        {"sort": "l1", "of": "mean"},
        {},
        {"worst": True},
        {"find": "pair 99"},
        {"sort": "name"},
    ]
    code = f"{json.dumps(asked)}.map((s) => pairs.orderOf(g, {{ ...pairs.everything(), ...s }}))"
    found = under_node(code, told, tmp_path)
    one, two = (run["scores"] for run in told["runs"])

    def both(function, measure):
        return [
            None if None in pair else function(*pair)
            for pair in zip(one[measure], two[measure], strict=True)
        ]

    every = list(range(PAIRS))
    names = told["names"]
    expected = [
        expected_order(one["l1"], False),
        expected_order(one["l1"], True),
        expected_order(two["psnr"], True),
        expected_order(one["sharpness"], False),
        expected_order(told["truth"]["sharpness_truth"], True),
        expected_order(both(lambda a, b: b - a, "psnr"), True),
        expected_order(both(lambda a, b: b - a, "l1"), True),
        expected_order(both(lambda a, b: (a + b) / 2, "l1"), False),
        every,
        every[::-1],
        [i for i in every if "pair" in names[i].lower() and "99" in names[i]],
        sorted(every, key=lambda i: int(names[i].split()[1])),
    ]
    for one_asked, one_found, one_expected in zip(asked, found, expected, strict=True):
        assert one_found == one_expected, one_asked


def test_links_hold_all_that_is_chosen(told, tmp_path):
    """And of what this gallery does not have nothing is left."""
    chosen = {
        "sort": "l1", "of": "1-0", "worst": True, "find": "a & b=c#", "hidden": ["input", "0"],
        "pair": told["names"][3], "zoom": "4,0.25,0.5",
    }  # fmt: skip
    twice = next(name for name in told["names"] if told["names"].count(name) == 2)
    code = f"""(() => {{
      const link = pairs.toLink(g, {json.dumps(chosen)});
      const foreign = "sort=none&of=7&hide=input,0,1,target&pair=nobody&worst=2&x=y";
      return [link, pairs.fromLink(g, "#" + link), pairs.fromLink(g, foreign), pairs.everything(),
        pairs.toLink(g, pairs.everything()), pairs.keysOf(g.names)];
    }})()"""
    link, back, foreign, everything, nothing, keys = under_node(code, told, tmp_path)
    assert back == chosen
    assert "#" not in link
    assert foreign == everything
    assert nothing == ""
    assert len(set(keys)) == PAIRS
    assert f"{twice} (2)" in keys


def test_one_view_for_all(told, tmp_path):
    code = """(() => {
      const near = view.zoomed(view.whole(), 4, 0.75, 0.5);
      return [near, view.zoomed(near, 2, 0.75, 0.5), view.zoomed(near, 1 / 8),
        view.moved(near, -9, 0.4), view.showing(near, 0.6, 0.2),
        view.viewOfText(view.viewToText(near)), view.viewOfText("x,y"),
        view.viewOfText("99,9,-9"), view.viewToText(view.whole()),
        arranged.arranged(4, 1000, 400, 1, 60, 12), arranged.arranged(4, 390, 700, 1, 60, 12)];
    })()"""
    found = under_node(code, told, tmp_path)
    near, nearer, far, moved, showing, back, nonsense, beyond, text, wide, narrow = found
    # What is under the mouse, at 3/4 and 1/2 of the picture, stays there.
    assert near == {"scale": 4, "x": 0.75 - 0.75 / 4, "y": 0.5 - 0.5 / 4}
    assert nearer == {"scale": 8, "x": 0.75 - 0.75 / 8, "y": 0.5 - 0.5 / 8}
    whole = {"scale": 1, "x": 0, "y": 0}
    assert far == nonsense == whole
    assert moved == {"scale": 4, "x": 0.75, "y": near["y"] - 0.1}  # not beyond the edge
    assert showing == {"scale": 4, "x": near["x"], "y": 0.2 - 0.125}  # 0.6 was seen, 0.2 was not
    assert back == near
    assert beyond == {"scale": 32, "x": 1 - 1 / 32, "y": 0}
    assert text == ""
    assert wide == {"columns": 4, "width": 241}
    assert narrow == {"columns": 2, "width": 189}


# === In a browser ===

NAMES = "[...document.querySelectorAll('.card a')].slice(0, 5).map((a) => a.textContent)"
COUNT = "document.getElementById('count').textContent"
IMAGES = "document.querySelectorAll('#cards img').length"
LARGE = """(() => {
  const text = (id) => document.getElementById(id).textContent;
  return [text("large-name"), text("large-place"), text("large-told")];
})()"""
OPEN = "document.getElementById('large')?.open"
FOCUS = "document.activeElement.id || document.activeElement.textContent"
# Of each picture: how much larger it is than its frame, and which part of it is seen.
SEEN = """[...document.querySelectorAll("#large figure:not([hidden]) .frame")].map((frame) => {
  const [a, b] = [frame, frame.firstElementChild].map((node) => node.getBoundingClientRect());
  return [b.width / a.width, (a.left - b.left) / b.width, (a.top - b.top) / b.height];
})"""


def loaded(which: str) -> str:
    """Whether all four pictures of a card are there."""
    return (
        f"[...([...document.querySelectorAll('.card')].at({which})?.querySelectorAll('img') ?? [])]"
        ".filter((img) => img.naturalWidth).length === 4"
    )


def choose(page, identity: str, value: str) -> None:
    page.run(
        f"""(() => {{
        const select = document.getElementById("{identity}");
        select.value = "{value}";
        select.dispatchEvent(new Event("change"));
        }})()"""
    )


@pytest.fixture(scope="module")
def page(told, tmp_path_factory) -> Path:
    """The folder of the page, with 4,000 pictures."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "gallery.html").write_text(making.render_gallery(told, back="index.html"))
    random = np.random.default_rng(0)
    for side in ("input", "1", "2", "target"):
        (folder / "gallery" / side).mkdir(parents=True)
        one = folder / f"{side}.png"
        Image.fromarray(random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(one)
        for i in range(PAIRS):
            os.link(one, folder / "gallery" / side / f"{i:05d}.png")
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser.find()
    with browser.Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def test_the_list(told, page, chromium):
    """From a folder without a server."""
    names = told["names"]
    one, two = (run["scores"]["l1"] for run in told["runs"])
    psnr, other_psnr = (run["scores"]["psnr"][0] for run in told["runs"])
    at = chromium.open((page / "gallery.html").as_uri())
    at.until(loaded("0"))
    assert at.run(COUNT) == "All 1,000 pairs"
    assert at.run("document.querySelectorAll('.card').length") == PAIRS
    titles = "[...document.querySelectorAll('.card figure')].slice(0, 4).map((f) => f.innerText)"
    first = at.run(titles)
    assert [text.split("\n")[0] for text in first] == ["Input", "first", "second", "Target"]
    assert f"L1 {one[0]:.4f}" in first[1]
    assert f"PSNR (dB) {psnr:.2f}" in first[1]
    assert first[1].count("(best)") == (one[0] < two[0]) + (psnr > other_psnr)
    # Pictures are fetched when they are near, wherever one jumps.
    assert at.run(IMAGES) < 4 * 100
    down = "window.scrollTo({ top: document.body.scrollHeight, behavior: 'instant' })"
    at.until(f"({down}, {loaded('-1')})")
    assert at.run(IMAGES) < 4 * 300

    choose(at, "sort", "l1")
    assert at.run("document.querySelector('.card').getBoundingClientRect().top") >= 0
    assert at.run(NAMES) == [names[i] for i in expected_order(one, False)[:5]]
    choose(at, "of", "1-0")
    choose(at, "first", "1")
    ends = at.run("[...document.getElementById('first').options].map((o) => o.textContent)")
    assert ends == ["second ahead", "first ahead"]
    difference = [None if None in p else p[1] - p[0] for p in zip(one, two, strict=True)]
    behind = [names[i] for i in expected_order(difference, True)]
    assert at.run(NAMES) == behind[:5]
    at.until("location.hash === '#sort=l1&of=1-0&worst=1'")

    at.click("#find")
    at.type("pair 99")
    count = sum("99" in name for name in names)
    assert at.run(COUNT) == f"{count} of 1,000 pairs"
    at.type(" or not")
    assert at.run("document.querySelectorAll('.card').length") == 0
    assert "No name holds “pair 99 or not”" in at.run("document.getElementById('none').innerText")
    at.click("#clear")
    assert at.run(COUNT) == "All 1,000 pairs"
    assert at.run(FOCUS) == "find"
    at.click("#columns [data-column=input]")
    shown = "[...document.querySelectorAll('.card figure')].slice(0, 4).map((f) => !f.hidden)"
    assert at.run(shown) == [False, True, True, True]
    # The same link in another window, by somebody else.
    link = at.until("/hide=input/.test(location.hash) && location.href")
    assert at.run("document.querySelector('.card a').href") == (
        f"{link}&pair={behind[0].replace(' ', '+')}"
    )
    other = chromium.open(link, dark=True)
    other.until("document.querySelector('.card img')")
    assert other.run(NAMES) == behind[:5]
    assert other.run(shown) == [False, True, True, True]
    assert at.faults() == other.faults() == []


def test_one_pair(told, page, chromium):
    """By mouse and keys."""
    one = told["runs"][0]["scores"]["l1"]
    worst = [told["names"][i] for i in expected_order(one, True)]
    at = chromium.open((page / "gallery.html").as_uri() + "#sort=l1&worst=1")
    at.until(loaded("1"))
    at.click(".card:nth-child(2) .frame")
    where = f"{worst[1]}, pair 2 of 1000"
    assert at.run(LARGE) == [worst[1], "pair 2 of 1000", where]
    assert at.run(FOCUS) == "large-name"
    assert at.run("[...document.querySelectorAll('#large img')].map((img) => img.alt)") == [
        f"Input of {worst[1]}", f"{worst[1]} by first", f"{worst[1]} by second",
        f"Target of {worst[1]}",
    ]  # fmt: skip
    assert "higher is better" in at.run("document.getElementById('large-scores').innerText")
    at.key("ArrowRight")
    assert at.run(LARGE)[0] == worst[2]
    at.key("Home")
    at.key("ArrowLeft")
    assert at.run(LARGE)[0] == worst[0]
    assert at.run("document.getElementById('previous').disabled")
    at.key("End")
    assert at.run(LARGE)[1] == "pair 1000 of 1000"
    at.key("Home")

    # All pictures show the same part, and what is under the mouse stays there.
    left, top, width, height = at.box("#large figure:nth-child(3) .frame")
    at.call(
        "Input.dispatchMouseEvent",
        **{"type": "mouseWheel", "deltaX": 0, "deltaY": -250},
        **{"x": left + 0.75 * width, "y": top + 0.5 * height},
    )
    seen = np.array(at.until(f"(({SEEN})[0][0] > 1) && {SEEN}"))
    scale = np.exp(0.5)
    expected = [scale, 0.75 - 0.75 / scale, 0.5 - 0.5 / scale]
    np.testing.assert_allclose(seen, np.broadcast_to(expected, seen.shape), atol=0.01)
    left, top, width, height = at.box("#large figure:nth-child(1) .frame")
    x, y = left + width / 2, top + height / 2
    at.drag((x, y), (x + 15, y), (x + 30, y))
    seen = np.array(at.run(SEEN))
    moved = max(0, expected[1] - 30 / (scale * width))
    np.testing.assert_allclose(seen[:, 1], moved, atol=0.01)
    # What was pressed and let go elsewhere does not hold the pictures.
    mouse = {"x": x, "y": y, "button": "left", "clickCount": 1}
    at.call("Input.dispatchMouseEvent", type="mousePressed", buttons=1, **mouse)
    at.run("document.getElementById('large-pictures').dispatchEvent(new PointerEvent("
           "'pointermove', { pointerId: 1, clientX: 0, clientY: 0, buttons: 0 }))")  # fmt: skip
    at.call("Input.dispatchMouseEvent", type="mouseMoved", **{**mouse, "x": x + 50})
    np.testing.assert_allclose(np.array(at.run(SEEN))[:, 1], moved, atol=0.01)
    at.call("Input.dispatchMouseEvent", type="mouseReleased", **mouse)
    at.key("ArrowRight", shift=True)
    np.testing.assert_allclose(np.array(at.run(SEEN))[:, 1], moved + 0.1 / scale, atol=0.01)
    assert at.run(LARGE)[0] == worst[0]  # a drag is no click, and Shift moves the pictures
    at.key("ArrowRight")
    link = at.until("/pair=.*zoom=/.test(location.hash) && location.href")

    at.key("Escape")
    at.until(f"!{OPEN} && !/pair=/.test(location.hash)")
    assert at.run(FOCUS) == worst[1]
    listed = "getComputedStyle(document.querySelector('.card img')).transform.split(/[(,]/)[1]"
    assert float(at.run(listed)) == pytest.approx(scale, abs=0.01)
    at.key("Enter")
    at.until(OPEN)
    assert at.run(LARGE)[0] == worst[1]
    at.run("history.back()")
    at.until(f"!{OPEN}")
    other = chromium.open(link)
    other.until(OPEN)
    assert other.run(LARGE)[0] == worst[1]
    np.testing.assert_allclose(np.array(other.run(SEEN))[:, 0], scale, atol=0.01)
    other.key("Escape")
    other.until(f"!{OPEN} && !/pair=/.test(location.hash)")
    assert at.faults() == other.faults() == []


def test_a_phone(told, page, chromium):
    """By fingers, on 390 pixels."""
    at = chromium.open((page / "gallery.html").as_uri(), 390, 844)
    at.resize(390, 844, touch=True)
    at.until(loaded("0"))
    assert at.run("document.documentElement.scrollWidth") == 390
    at.click(".card:nth-child(3) a")
    at.until(OPEN)
    left, top, width, height = at.box("#large figure:nth-child(1) .frame")
    x, y = left + width / 2, top + height / 2
    at.touch((x + 60, y), (x + 20, y), (x - 40, y))
    assert at.run(LARGE)[0] == told["names"][3]
    at.touch((x - 60, y), (x, y), (x + 40, y))
    assert at.run(LARGE)[0] == told["names"][2]
    # Two fingers.
    for kind, apart in (("touchStart", 20), ("touchMove", 30), ("touchMove", 40), ("touchEnd", 0)):
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        at.call("Input.dispatchTouchEvent", type=kind, touchPoints=points if apart else [])
    seen = np.array(at.run(SEEN))
    np.testing.assert_allclose(seen, np.broadcast_to(seen[0], seen.shape), atol=1e-3)
    assert seen[0][0] == pytest.approx(2, abs=0.1)
    assert at.run("document.getElementById('large').scrollWidth") == 390
    unnamed = """[...document.querySelectorAll("button, select, input, a")]
      .filter((node) => !(node.labels?.length || node.ariaLabel || node.textContent.trim()))
      .map((node) => node.outerHTML)"""
    assert at.run(unnamed) == []
    assert at.run("[...document.images].filter((img) => !img.alt).length") == 0
    assert at.faults() == []


def test_the_modules_are_joined(told):
    """A folder without a server imports nothing; what the data hold is no part of the page."""
    text = making.render_gallery({**told, "name": "</script><b>", "note": "<i>"})
    assert "\nimport" not in text
    assert "\nexport" not in text
    assert text.count("</script") == 2
    assert "<b>" not in text
    assert "&lt;i&gt;" in text
