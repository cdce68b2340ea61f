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
WEB = Path(making.__file__).parents[1] / "web" / "gallery"
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
    """What a module prints that has imported all of pairs.js and view.js."""
    if not shutil.which("node"):
        pytest.skip("no Node on PATH")
    for name in ("pairs", "view"):
        shutil.copy(WEB / f"{name}.js", tmp_path / f"{name}.mjs")
    (tmp_path / "told.json").write_text(json.dumps(told))
    (tmp_path / "run.mjs").write_text(
        'import * as p from "./pairs.mjs";\nimport * as v from "./view.mjs";\n'
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
    code = f"{json.dumps(asked)}.map((s) => p.orderOf(g, {{ ...p.everything(), ...s }}))"
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
      const link = p.toLink(g, {json.dumps(chosen)});
      const foreign = "sort=none&of=7&hide=input,0,1,target&pair=nobody&worst=2&x=y";
      return [link, p.fromLink(g, "#" + link), p.fromLink(g, foreign), p.everything(),
        p.toLink(g, p.everything()), p.keysOf(g.names)];
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
      const near = v.zoomed(v.whole(), 4, 0.75, 0.5);
      return [near, v.zoomed(near, 2, 0.75, 0.5), v.zoomed(near, 1 / 8), v.moved(near, -9, 0.4),
        v.viewOfText(v.viewToText(near)), v.viewOfText("x,y"), v.viewOfText("99,9,-9"),
        v.viewToText(v.whole()), v.arranged(4, 1000, 400, 1, 60, 12),
        v.arranged(4, 390, 700, 1, 60, 12)];
    })()"""
    found = under_node(code, told, tmp_path)
    near, nearer, far, moved, back, nonsense, beyond, text, wide, narrow = found
    # What is under the mouse, at 3/4 and 1/2 of the picture, stays there.
    assert near == {"scale": 4, "x": 0.75 - 0.75 / 4, "y": 0.5 - 0.5 / 4}
    assert nearer == {"scale": 8, "x": 0.75 - 0.75 / 8, "y": 0.5 - 0.5 / 8}
    whole = {"scale": 1, "x": 0, "y": 0}
    assert far == nonsense == whole
    assert moved == {"scale": 4, "x": 0.75, "y": near["y"] - 0.1}  # not beyond the edge
    assert back == near
    assert beyond == {"scale": 32, "x": 1 - 1 / 32, "y": 0}
    assert text == ""
    assert wide == {"columns": 4, "width": 241}
    assert narrow == {"columns": 2, "width": 189}


# === In a browser ===

DRIVER = """<script type="module">
const at = (id) => document.getElementById(id);
const frame = () => new Promise((done) => requestAnimationFrame(done));
async function until(what, words) {
  for (const end = performance.now() + 60000; performance.now() < end; await frame()) {
    const found = what();
    if (found) return found;
  }
  throw new Error(`waited for ${words}`);
}
const choose = (id, value) => {
  at(id).value = value;
  at(id).dispatchEvent(new Event(id === "find" ? "input" : "change"));
};
const cards = () => [...document.querySelectorAll(".card")];
const names = (count) => cards().slice(0, count).map((card) => card.querySelector("a").textContent);
const press = (key, more) => {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  document.activeElement.dispatchEvent(event);
};
const loaded = (card) => [...card.querySelectorAll("img")].filter((img) => img.naturalWidth);
const large = () => ({ open: at("large").open, name: at("large-name").textContent,
  place: at("large-place").textContent, told: at("large-told").textContent });
async function drive() {
  const told = { cards: cards().length, count: at("count").textContent };
  await until(() => loaded(cards()[0]).length === 4, "the first pictures");
  told.first = [...cards()[0].querySelectorAll("figure")].map((figure) => figure.innerText);
  told.lazily = document.querySelectorAll("img").length;
  const atTheEnd = () => {
    window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
    return loaded(cards().at(-1)).length === 4;
  };
  await until(atTheEnd, "the last pictures");
  told.afterJump = document.querySelectorAll("img").length;
  choose("sort", "l1");
  told.scrolledUp = cards()[0].getBoundingClientRect().top >= 0;
  told.best = names(5);
  choose("of", "1-0");
  choose("first", "1");
  told.ends = [...at("first").options].map((option) => option.textContent);
  told.behind = names(5);
  await until(() => location.hash, "a link");
  told.link = location.hash;
  choose("find", "pair 99");
  told.found = [cards().length, at("count").textContent];
  choose("find", "nothing of the kind");
  told.nothing = [cards().length, at("none").innerText];
  at("clear").click();
  told.cleared = [cards().length, document.activeElement.id];
  choose("of", "0");
  // One pair.
  cards()[1].querySelector("a").click();
  told.opened = { ...large(), focus: document.activeElement.id };
  told.titles = [...at("large-pictures").querySelectorAll("img")].map((img) => img.alt);
  told.table = at("large-scores").innerText;
  press("ArrowRight");
  told.next = large();
  press("Home");
  press("ArrowLeft");
  told.home = { ...large(), disabled: at("previous").disabled };
  const pictures = () => [...at("large-pictures").querySelectorAll(".frame")];
  const box = pictures()[2].getBoundingClientRect();
  const place = { clientX: box.left + box.width * 0.75, clientY: box.top + box.height / 2 };
  const sent = { bubbles: true, cancelable: true };
  pictures()[2].dispatchEvent(new WheelEvent("wheel", { deltaY: -250, ...sent, ...place }));
  const seen = () => pictures().map((frame) => {
    const [a, b] = [frame, frame.firstElementChild].map((node) => node.getBoundingClientRect());
    return [b.width / a.width, (a.left - b.left) / b.width, (a.top - b.top) / b.height];
  });
  told.zoomed = seen();
  const mouse = (type, x) => pictures()[0].dispatchEvent(new PointerEvent(type, { bubbles: true,
    pointerId: 1, pointerType: "mouse", button: 0, clientX: x, clientY: box.top + 9 }));
  at("large-pictures").setPointerCapture = () => {}; // no such pointer is there
  mouse("pointerdown", 200);
  mouse("pointermove", 150);
  mouse("pointerup", 150);
  told.dragged = seen();
  told.frame = box.width;
  press("ArrowRight");
  await until(() => /pair=/.test(location.hash) && /zoom=/.test(location.hash), "the pair's link");
  told.pairLink = location.hash;
  const listed = await until(() => cards()[0].querySelector("img"), "a picture in the list");
  told.listZoom = getComputedStyle(listed).transform;
  const before = history.length;
  press("Escape");
  at("large").dispatchEvent(new Event("cancel", { cancelable: true }));
  await until(() => !at("large").open && !/pair=/.test(location.hash), "closing");
  told.closed = [document.activeElement.textContent, at("large-name").textContent];
  press("Enter"); // nothing: the dialog's keys are the dialog's
  // A link of somebody else's.
  location.hash = told.pairLink;
  await until(() => at("large").open, "the linked pair");
  told.linked = large();
  history.back();
  await until(() => !at("large").open, "going back");
  document.querySelector("[data-column=input][type=checkbox]").click();
  told.hidden = [...cards()[0].querySelectorAll("figure")].map((figure) => figure.offsetWidth > 0);
  told.unnamed = [...document.querySelectorAll("button, select, input, a, output")]
    .filter((node) => !(node.labels?.length || node.ariaLabel || node.textContent.trim()))
    .map((node) => node.outerHTML);
  told.withoutAlt = [...document.querySelectorAll("img")].filter((img) => !img.alt).length;
  told.wide = document.documentElement.scrollWidth;
  return told;
}
const answer = await drive().catch((error) => ({ error: String(error.stack) }));
await fetch("POST", { method: "POST", mode: "no-cors", body: JSON.stringify(answer) });
</script>
"""


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


@pytest.mark.parametrize("how", ["file", "phone"])
def test_a_visitor(told, page, how):
    """From a folder without a server; and on a phone, from one."""
    browser.find()
    with browser.Server(page) as server:
        text = (page / "gallery.html").read_text() + DRIVER.replace("POST", server.url, 1)
        (page / "drive.html").write_text(text)
        frame = '<iframe src="drive.html" style="width: 390px; height: 844px; border: 0"></iframe>'
        (page / "phone.html").write_text(f"<!DOCTYPE html>{frame}")
        address = f"{page.as_uri()}/drive.html" if how == "file" else f"{server.url}/phone.html"
        found = browser.visit(address, server.posted)
    assert "error" not in found, found["error"]
    names = told["names"]
    one, two = (run["scores"]["l1"] for run in told["runs"])
    difference = [None if None in p else p[1] - p[0] for p in zip(one, two, strict=True)]
    best, behind = expected_order(one, False), expected_order(difference, True)
    assert (found["cards"], found["count"]) == (PAIRS, "All 1,000 pairs")
    psnr, other_psnr = (run["scores"]["psnr"][0] for run in told["runs"])
    assert found["first"][0] == "Input"
    assert found["first"][1].split("\n")[0] == "first"
    assert f"L1 {one[0]:.4f}" in found["first"][1]
    assert f"PSNR (dB) {psnr:.2f}" in found["first"][1]
    assert found["first"][1].count("(best)") == (one[0] < two[0]) + (psnr > other_psnr)
    # Pictures are fetched when they are near, wherever the visitor jumps.
    assert found["lazily"] < 4 * 200
    assert found["afterJump"] < 4 * 400
    assert found["scrolledUp"]
    assert found["best"] == [names[i] for i in best[:5]]
    assert found["behind"] == [names[i] for i in behind[:5]]
    assert found["ends"] == ["second ahead", "first ahead"]
    assert found["link"] == "#sort=l1&of=1-0&worst=1"
    count = sum("99" in name for name in names)
    assert found["found"] == [count, f"{count} of 1,000 pairs"]
    assert found["nothing"][0] == 0
    assert "No name holds “nothing of the kind”." in found["nothing"][1]
    assert found["cleared"] == [PAIRS, "find"]
    worst = [names[i] for i in expected_order(one, True)]
    assert found["opened"] == {
        "open": True, "name": worst[1], "place": "pair 2 of 1000", "focus": "large-name",
        "told": f"{worst[1]}, pair 2 of 1000",
    }  # fmt: skip
    assert found["titles"] == [
        f"Input of {worst[1]}", f"{worst[1]} by first", f"{worst[1]} by second",
        f"Target of {worst[1]}",
    ]  # fmt: skip
    assert "higher is better" in found["table"]
    assert found["next"]["name"] == worst[2]
    assert (found["home"]["name"], found["home"]["disabled"]) == (worst[0], True)
    # All pictures show the same part; what was under the mouse stayed there.
    zoomed, dragged = np.array(found["zoomed"]), np.array(found["dragged"])
    for seen in (zoomed, dragged):
        np.testing.assert_allclose(seen, np.broadcast_to(seen[0], seen.shape), atol=1e-3)
    scale = np.exp(0.5)
    np.testing.assert_allclose(
        zoomed[0], [scale, 0.75 - 0.75 / scale, 0.5 - 0.5 / scale], atol=0.01
    )
    moved = zoomed[0][1] + 50 / (scale * found["frame"])
    assert dragged[0][1] == pytest.approx(min(moved, 1 - 1 / scale), abs=0.01)
    assert "pair=" in found["pairLink"]
    assert float(found["listZoom"].split("(")[1].split(",")[0]) == pytest.approx(scale, abs=0.01)
    assert found["closed"][0] == found["closed"][1] == worst[1]
    assert found["linked"]["name"] == worst[1]
    assert found["hidden"] == [False, True, True, True]
    assert found["unnamed"] == []
    assert found["withoutAlt"] == 0
    if how == "phone":
        assert found["wide"] <= 390


def test_the_modules_are_joined(told):
    """A folder without a server imports nothing; what the data hold is no part of the page."""
    text = making.render_gallery({**told, "name": "</script><b>", "note": "<i>"})
    assert "\nimport" not in text
    assert "\nexport" not in text
    assert text.count("</script") == 2
    assert "<b>" not in text
    assert "&lt;i&gt;" in text
