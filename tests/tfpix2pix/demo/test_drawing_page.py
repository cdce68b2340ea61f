"""The page to draw on in headless Chromium, with a stand-in for the engine that gives the negative.

Skipped without Chromium; see tests/export/browser.py.
"""

from __future__ import annotations

import base64
import io
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

TESTS = Path(__file__).parents[2]
chromium = SimpleNamespace(**runpy.run_path(str(TESTS / "export" / "browser.py")))
folder = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("page_folder.py"))))

WIDTH, HEIGHT = 64, 48
WINDOW, DOOR = (0, 128, 255), (0, 207, 255)
BACKGROUND, FACADE = (0, 0, 222), (0, 48, 255)


def white_lines(height: int, width: int) -> np.ndarray:
    """A drawing of white lines on black."""
    picture = np.zeros((height, width), np.uint8)
    picture[:, ::9], picture[::7] = 200, 255
    return picture


def many_colours(height: int, width: int) -> np.ndarray:
    """As a photograph has them, next to each other."""
    return np.random.default_rng(4).integers(0, 256, (height, width, 3), np.uint8)


def data_address(picture: np.ndarray) -> str:
    """As an example stands in models.json."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium.find()
    with chromium.Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a page with several models."""
    where = tmp_path_factory.mktemp("site")
    models = [
        folder.model("fronts", "labels"),
        folder.model("styles", "labels", latent={"size": 8}, image_size=[32, 32]),
        folder.model("edges", "lines", [data_address(white_lines(HEIGHT - 5, WIDTH))]),
        folder.model("photos", "photo"),
        folder.model("segments", "photo", label_side="target", palette=folder.facades()),
        folder.model("broken", "photo"),
        folder.model("shots", "photo", [data_address(many_colours(HEIGHT, WIDTH))]),
    ]
    folder.write_folder(where, models)
    with chromium.Server(where) as server:
        yield server.url


@pytest.fixture
def open_page(browser, site):
    """`open_page(model, hash)`: a page on which a model has drawn; it is closed afterwards."""
    opened = []

    def run(model: str = "", text: str = "", width=1280, height=900, dark=False, touch=False):
        page = browser.open("about:blank", width, height, dark)
        opened.append(page)
        page.resize(width, height, touch)
        page.go(f"{site}/index.html{text}")
        page.until("globalThis.asked?.length && document.getElementById('time').textContent")
        if model:
            choose(page, model)
        return page

    yield run
    for page in opened:
        assert page.faults() == []
        page.call("Page.close")


def choose(page, model: str) -> None:
    page.run(
        f"(() => {{ const s = document.getElementById('model'); s.value = '{model}'; "
        "s.dispatchEvent(new Event('change')); })()"
    )
    page.until("document.getElementById('progress').hidden")


def drawn(page) -> np.ndarray:
    """What is on the input's canvas, uint8 ``[H, W, 3]``."""
    return canvas(page, "drawing")


def canvas(page, name: str) -> np.ndarray:
    told = page.run(
        f"(() => {{ const c = document.getElementById('{name}'); const {{ width, height }} = c;"
        " const { data } = c.getContext('2d').getImageData(0, 0, width, height);"
        " return { width, height, data: [...data] }; })()"
    )
    return np.array(told["data"], np.uint8).reshape(told["height"], told["width"], 4)[..., :3]


def settled(page) -> np.ndarray:
    """The output, once it is that of what is drawn now."""
    page.until(
        "(() => { const [a, b] = ['drawing', 'result'].map((id) => { const c = "
        "document.getElementById(id); return c.getContext('2d').getImageData(0, 0, c.width, "
        "c.height).data; }); return a.length === b.length && a.every((n, i) => i % 4 === 3 || "
        "n + b[i] === 255); })()"
    )
    return canvas(page, "result")


def at(page, x: float, y: float) -> tuple[float, float]:
    """Where the middle of a pixel of the input is in the window."""
    left, top, width, height = page.box("#drawing")
    columns, rows = page.run(
        "[document.getElementById('drawing')].map((c) => [c.width, c.height])[0]"
    )
    return left + (x + 0.5) * width / columns, top + (y + 0.5) * height / rows


def told(page) -> str:
    return page.run("document.getElementById('told').textContent")


def trouble(page) -> str:
    return page.until(
        "!document.getElementById('trouble').hidden && "
        "document.getElementById('trouble-told').textContent"
    )


def test_drawing_by_mouse(open_page):
    """Rectangle, brush, area and eyedropper, in exact colours; undone and done again."""
    page = open_page()
    first = drawn(page)
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 4  # an example
    page.click("#clear")
    assert (drawn(page) == BACKGROUND).all()
    page.click("input[name=class][value='1']")
    page.drag(at(page, 5, 30), at(page, 30, 20), at(page, 40, 10))
    expected = np.zeros((HEIGHT, WIDTH, 3), np.uint8) + np.uint8(BACKGROUND)
    expected[10:31, 5:41] = FACADE
    np.testing.assert_array_equal(drawn(page), expected)
    assert told(page) == "Rectangle of facade, 36 by 21 pixels"
    np.testing.assert_array_equal(settled(page), 255 - expected)

    page.click("input[name=tool][value=brush]")
    page.run("document.getElementById('diameter').valueAsNumber = 4")
    page.run("document.getElementById('diameter').dispatchEvent(new Event('input'))")
    page.click("input[name=class][value='2']")
    page.drag(at(page, 8, 14), at(page, 36, 14))
    stroke = drawn(page)
    assert (stroke[14, 8:37] == WINDOW).all()
    colours = {tuple(colour) for colour in stroke.reshape(-1, 3).tolist()}
    assert colours == {BACKGROUND, FACADE, WINDOW}

    page.click("input[name=tool][value=fill]")
    page.click("input[name=class][value='3']")
    page.drag(at(page, 20, 25))
    filled = drawn(page)
    np.testing.assert_array_equal((stroke == FACADE).all(-1), (filled == DOOR).all(-1))

    page.click("input[name=tool][value=pick]")
    page.drag(at(page, 20, 14))
    assert page.run("document.querySelector('input[name=class]:checked').value") == "2"
    page.click("#undo")
    np.testing.assert_array_equal(drawn(page), stroke)
    page.click("#undo")
    page.click("#undo")
    page.click("#undo")
    np.testing.assert_array_equal(drawn(page), first)
    assert page.run("document.getElementById('undo').disabled")
    for _ in range(4):
        page.click("#redo")
    np.testing.assert_array_equal(settled(page), 255 - filled)


def test_by_keyboard_alone(open_page):
    """From the top of the page to a rectangle and a saved link, without a pointer."""
    page = open_page()
    assert page.run("document.activeElement === document.body")
    page.key("Delete")
    seen = set()
    for _ in range(40):
        page.key("Tab")
        seen.add(page.run("document.activeElement.id || document.activeElement.name"))
        if "drawing" in seen:
            break
    assert {"show-keys", "tool", "clear", "class", "example", "open", "drawing"} <= seen
    # In the middle, (32, 24); one key is one pixel of 64.
    page.key("4")
    page.key("Enter")
    for _ in range(10):
        page.key("ArrowRight")
    for _ in range(5):
        page.key("ArrowDown")
    middle = drawn(page)
    page.key("Escape")
    assert (drawn(page) == BACKGROUND).all()
    page.key("Enter")
    page.key("ArrowLeft")
    page.key("ArrowUp")
    page.key(" ")
    expected = np.zeros((HEIGHT, WIDTH, 3), np.uint8) + np.uint8(BACKGROUND)
    expected[24:30, 32:43] = DOOR
    np.testing.assert_array_equal(middle, expected)
    expected[24:30, 32:43] = BACKGROUND
    expected[28:30, 41:43] = DOOR
    np.testing.assert_array_equal(drawn(page), expected)
    page.until("document.getElementById('told').textContent.startsWith('Rectangle of door')")
    page.key("ArrowLeft")
    page.until("document.getElementById('told').textContent === '40, 28: background'")
    page.key("b")
    assert page.run("document.querySelector('input[name=tool]:checked').value") == "brush"
    page.key("z", control=True)
    assert (drawn(page) == BACKGROUND).all()
    page.key("y", control=True)
    np.testing.assert_array_equal(drawn(page), expected)
    page.key("?")
    page.until("document.getElementById('keys').open")
    assert "Brush" in page.run("document.getElementById('keys-list').textContent")
    page.key("Escape")
    page.until("!document.getElementById('keys').open")
    page.key("c")
    assert page.run("document.getElementById('compare').getAttribute('aria-pressed')") == "true"
    page.run("document.getElementById('slider').focus()")
    page.key("Home")
    assert page.run("document.getElementById('result').style.clipPath") == "inset(0px 0px 0px 0%)"
    page.key("End")
    assert page.run("document.getElementById('result').style.clipPath") == "inset(0px 0px 0px 100%)"


def test_letters_can_be_switched_off(open_page):
    page = open_page()
    before = drawn(page)
    page.run("document.getElementById('show-keys').click()")
    page.click("#single-keys")
    page.key("Escape")
    page.key("x")
    np.testing.assert_array_equal(drawn(page), before)
    page.run("document.getElementById('single-keys').click()")
    page.key("x")
    assert not (drawn(page) == before).all()


def test_what_is_saved_and_shared(open_page, browser):
    """PNG of every pixel; a link that brings back drawing, seed and place in the latent."""
    page = open_page("styles")
    shape = (32, 32, 3)
    page.run("document.getElementById('seed').value = '-77'")
    page.run("document.getElementById('seed').dispatchEvent(new Event('input'))")
    page.click("input[name=class][value='7']")
    page.drag(at(page, 2, 3), at(page, 20, 9))
    left, top, width, height = page.box("#pad")
    page.drag((left + width / 2, top + height / 2), (left + 0.75 * width, top + 0.25 * height))
    output = settled(page)
    assert output.shape == shape
    for part, expected in (
        ("input", 255 - output),
        ("output", output),
        ("both", np.concatenate([255 - output, output], 1)),
    ):
        page.click(f"#save-{part}")
        seed = "" if part == "input" else "-seed-77"
        with Image.open(browser.saved(f"styles{seed}-{part}.png")) as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), expected)
    page.until("globalThis.asked.at(-1).latent")
    wanted = "(({ name, seed, latent }) => ({ name, seed: String(seed), latent }))(asked.at(-1))"
    asked = page.run(wanted)
    assert (asked["name"], asked["seed"]) == ("styles", "-77")
    assert np.isclose(page.run("document.getElementById('walk-x').valueAsNumber"), 0.5, atol=0.02)
    page.run("delete Navigator.prototype.clipboard")
    page.click("#copy-link")
    address = page.until("document.getElementById('link').value")
    page.until("document.activeElement.id === 'link'")
    assert "does not let the page copy" in told(page)
    other = open_page(text="#" + address.split("#")[1])
    other.until("globalThis.asked.at(-1).latent")
    assert other.run(wanted) == asked
    np.testing.assert_array_equal(settled(other), output)
    assert other.run("document.getElementById('title').textContent") == "Styles"
    # The middle of the pad is the seed's own, which the engine draws.
    other.click("#walk-home")
    other.until("asked.at(-1).latent === null")


def test_a_photograph_in_a_link(open_page):
    page = open_page("photos")
    page.click("#example")
    output = settled(page)
    page.click("#copy-link")
    address = page.until("document.getElementById('link').value")
    other = open_page(text="#" + address.split("#")[1])
    np.testing.assert_array_equal(settled(other), output)


def test_classes_of_an_output_have_names(open_page, tmp_path):
    page = open_page("segments")
    colours = np.uint8([[WINDOW, DOOR], [BACKGROUND, FACADE]])
    Image.fromarray(255 - colours).save(tmp_path / "negative.png")
    page.choose("#file", [tmp_path / "negative.png"])
    page.until("document.getElementById('drawing').width === 2")
    np.testing.assert_array_equal(settled(page), colours)
    left, top, width, height = page.box("#result")
    names = []
    for y in (0.2, 0.8):
        for x in (0.2, 0.8):
            point = {"x": left + x * width, "y": top + y * height}
            page.call("Input.dispatchMouseEvent", type="mouseMoved", **point)
            names.append(page.run("document.getElementById('output-told').textContent"))
    assert names == ["window", "door", "background", "facade"]


def test_the_wheel(open_page):
    """With Ctrl it zooms on what is under the pointer; without, the zoomed picture moves."""
    page = open_page()
    x, y = at(page, 16, 12)
    wheel = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0}
    for _ in range(2):
        page.call("Input.dispatchMouseEvent", deltaY=-200, modifiers=2, **wheel)
    page.until("parseFloat(document.getElementById('zoom-told').textContent) > 200")
    assert np.allclose(at(page, 16, 12), (x, y), atol=1)
    page.call("Input.dispatchMouseEvent", deltaY=50, **wheel)
    place = (
        "(({ x, y, width, height }) => [x + 16.5 / 64 * width, y + 12.5 / 48 * height])("
        "document.getElementById('drawing').getBoundingClientRect())"
    )
    assert np.allclose(page.run(place), (x, y - 50), atol=1)
    # So does the middle button, which draws and pastes nothing.
    before = drawn(page)
    press = {"button": "middle", "clickCount": 1}
    for kind, across in (("mousePressed", 0), ("mouseMoved", 30), ("mouseReleased", 30)):
        mouse = {"type": kind, "x": x + across, "y": y, "buttons": 4}
        page.call("Input.dispatchMouseEvent", **mouse, **press)
    assert np.allclose(page.run(place), (x + 30, y - 50), atol=1)
    np.testing.assert_array_equal(drawn(page), before)
    assert page.run("document.getElementById('trouble').hidden")
    page.key("Home")
    assert page.run("document.getElementById('zoom-told').textContent") == "100 %"


def test_noise(open_page):
    page = open_page()
    last = "(({ seed, noise }) => ({ seed: String(seed), noise }))(asked.at(-1))"
    assert page.run(last) == {"seed": "0", "noise": True}
    page.run("document.getElementById('seed').value = '9223372036854775808'")
    page.run("document.getElementById('seed').dispatchEvent(new Event('input'))")
    assert page.run("document.getElementById('seed').validationMessage").startswith("A seed is")
    page.click("#new-noise")
    seed = page.run("document.getElementById('seed').value")
    page.until(f"String(asked.at(-1).seed) === '{seed}' && '{seed}' !== '0'")
    page.drag(at(page, 2, 3), at(page, 20, 9))  # locked: it stays
    assert page.run("document.getElementById('seed').value") == seed
    page.click("#locked")
    page.drag(at(page, 2, 13), at(page, 20, 19))
    assert page.run("document.getElementById('seed').value") != seed
    page.click("#with-noise")
    page.until("asked.at(-1).noise === false")
    assert page.run("document.getElementById('output-told').textContent") == "without noise"


def test_on_a_phone(open_page):
    """Nothing is wider than the screen, targets are large; a finger draws, two of them zoom."""
    page = open_page(width=390, height=844, touch=True)
    for model in ("fronts", "styles", "edges", "photos"):
        choose(page, model)
        assert page.run("document.documentElement.scrollWidth") <= 390
        small = page.run(
            "[...document.querySelectorAll('button, select, .tool, .chip')]"
            ".filter((e) => e.offsetParent).map((e) => [e.id || e.textContent.trim(), "
            "...(({ width, height }) => [width, height])(e.getBoundingClientRect())])"
            ".filter(([, width, height]) => Math.min(width, height) < 43.5)"
        )
        assert small == []
    choose(page, "fronts")
    page.run("scrollTo(0, 0)")
    tops = page.run(
        "['drawing', 'result', 'tools'].map((id) => document.getElementById(id)"
        ".getBoundingClientRect()).map((r) => [r.top, r.bottom])"
    )
    # Input, output and tools are all in sight at once.
    assert 0 <= tops[0][0] < tops[0][1] <= tops[1][0] < tops[1][1] <= tops[2][0] < tops[2][1] <= 844
    page.run("document.getElementById('clear').click()")
    page.run("document.querySelector('input[name=class][value=\"2\"]').click()")
    page.touch(at(page, 4, 5), at(page, 10, 10), at(page, 14, 12))
    expected = np.zeros((HEIGHT, WIDTH, 3), np.uint8) + np.uint8(BACKGROUND)
    expected[5:13, 4:15] = WINDOW
    np.testing.assert_array_equal(drawn(page), expected)

    fingers = [[at(page, 30, 24), at(page, 34, 24)], [at(page, 20, 24), at(page, 44, 24)]]
    for kind, places in (("touchStart", fingers[0][:1]), ("touchStart", fingers[0])):
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers[1])]
    page.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=points)
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    np.testing.assert_array_equal(drawn(page), expected)  # no stroke is left of it
    zoom = page.run("parseFloat(document.getElementById('zoom-told').textContent)")
    assert 400 < zoom < 900


def write_picture(path: Path, width: int, height: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack([rows * 5, columns * 3, rows + columns], -1).astype(np.uint8)
    Image.fromarray(picture).save(path)
    return picture


def test_examples_that_are_photographs(open_page):
    """They are seen and drawn with as they are: no colour becomes that of a class."""
    page = open_page("shots")
    page.until("document.getElementById('title').textContent === 'Shots'")
    expected = many_colours(HEIGHT, WIDTH)
    np.testing.assert_array_equal(settled(page), 255 - expected)
    np.testing.assert_array_equal(drawn(page), expected)


def test_pictures_from_outside(open_page, tmp_path):
    page = open_page("photos")
    assert page.run("document.getElementById('tool-row').hidden")
    small = write_picture(tmp_path / "small.png", 37, 29)
    page.choose("#file", [tmp_path / "small.png"])
    page.until("document.getElementById('drawing').width === 37")
    np.testing.assert_array_equal(settled(page), 255 - small)

    write_picture(tmp_path / "large.png", 1200, 300)
    page.choose("#file", [tmp_path / "large.png"])
    page.until("document.getElementById('drawing').width === 512")
    assert "large.png has 1,200 × 300 pixels and is shown with 512 × 128" in told(page)
    # The model takes 512 * 512 pixels; so its own size is not offered.
    assert "own)" not in page.run("document.getElementById('size').textContent")
    page.run("document.getElementById('size-width').value = 1200")
    page.run("document.getElementById('size-height').value = 300")
    page.run("document.querySelector('#size-form button').click()")
    assert "364,800 pixels with their padding" in trouble(page)
    page.run("document.getElementById('size-width').value = 600")
    page.run("document.querySelector('#size-form button').click()")
    page.until("document.getElementById('drawing').width === 600")
    assert page.run("document.getElementById('trouble').hidden")

    (tmp_path / "no.png").write_bytes(b"no picture")
    page.choose("#file", [tmp_path / "no.png"])
    assert trouble(page).startswith("No.png is no picture that this browser reads")
    # Dropped and pasted ones go the same way.
    drop = (
        "(async () => {{ const blob = await (await fetch('data:image/png;base64,{data}')).blob();"
        " const data = new DataTransfer(); data.items.add(new File([blob], 'x.png', "
        "{{ type: 'image/png' }})); {send} }})()"
    )
    data = base64.b64encode((tmp_path / "small.png").read_bytes()).decode()
    send = (
        "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }))"
    )
    page.run(drop.format(data=data, send=send))
    page.until("document.getElementById('drawing').width === 37")
    page.click("#undo")
    page.until("document.getElementById('drawing').width === 600")
    send = (
        "document.body.dispatchEvent(new ClipboardEvent('paste', "
        "{ clipboardData: data, bubbles: true, cancelable: true }))"
    )
    page.run(drop.format(data=data, send=send))
    page.until("document.getElementById('drawing').width === 37")


CAMERA = """(() => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 80, height: 60 });
  const context = canvas.getContext('2d');
  let level = 0;
  setInterval(() => {
    level = (level + 5) % 250;
    context.fillStyle = `rgb(${level} 100 100)`;
    context.fillRect(0, 0, 80, 60);
  }, 20);
  navigator.mediaDevices.getUserMedia = async () => globalThis.stream = canvas.captureStream(50);
})()"""


def test_the_camera(open_page):
    """One picture of it, or all that come until it is switched off, of which the last one stays."""
    page = open_page("photos")
    before = drawn(page)
    page.run(CAMERA)
    off = "globalThis.stream.getTracks().every((track) => track.readyState === 'ended')"
    page.click("#camera")
    page.until("document.getElementById('video').videoWidth === 80")
    page.click("#shoot")
    page.until(f"document.getElementById('drawing').width === 80 && {off}")
    page.click("#undo")
    np.testing.assert_array_equal(drawn(page), before)

    page.click("#camera")
    page.until("document.getElementById('video').videoWidth === 80")
    count = page.run("asked.length")
    page.click("#live")
    page.until(f"new Set(asked.slice({count}).map((each) => each.picture.data[0])).size > 4")
    page.click("#camera")
    assert page.run(off)
    last = drawn(page)
    np.testing.assert_array_equal(settled(page), 255 - last)
    page.click("#undo")
    page.click("#undo")
    np.testing.assert_array_equal(drawn(page), before)


def test_a_label_map_from_outside(open_page, tmp_path):
    """Exact colours stay; others become the nearest class, and the page says how many."""
    page = open_page()
    labels = np.zeros((20, 30, 3), np.uint8) + np.uint8(FACADE)
    labels[5:9, 7:12] = WINDOW
    labels[0] = (1, 50, 250)
    Image.fromarray(labels).save(tmp_path / "labels.png")
    page.choose("#file", [tmp_path / "labels.png"])
    page.until("document.getElementById('drawing').width === 30")
    labels[0] = FACADE
    np.testing.assert_array_equal(drawn(page), labels)
    assert "5.0 % of the pixels of labels.png show no class" in told(page)
    # A model of the same palette but of one size shows the same, in that size.
    choose(page, "styles")
    assert drawn(page).shape == (32, 32, 3)
    assert {tuple(c) for c in drawn(page).reshape(-1, 3).tolist()} == {FACADE, WINDOW}


def test_lines(open_page, tmp_path):
    page = open_page("edges")
    # The model's own example, white on black; so that is how one draws.
    example = drawn(page)
    assert example.shape == (HEIGHT - 5, WIDTH, 3)
    assert (example[7] == 255).all()
    assert (example[6, ::9] == 200).all()
    page.drag(at(page, 10, 11), at(page, 30, 11))
    assert (drawn(page)[11, 10:31] == 255).all()
    page.key("e")
    page.drag(at(page, 10, 7), at(page, 30, 7))
    assert (drawn(page)[7, 10:31] == 0).all()
    # Black lines on white are drawn in black, or in the grey that was chosen.
    Image.fromarray(np.full((HEIGHT, WIDTH), 255, np.uint8)).save(tmp_path / "white.png")
    page.choose("#file", [tmp_path / "white.png"])
    page.until("document.getElementById('told').textContent.startsWith('white.png')")
    page.key("p")
    page.drag(at(page, 5, 5), at(page, 30, 5))
    assert (drawn(page)[5, 5:31] == 0).all()
    assert (drawn(page)[20] == 255).all()
    page.run("document.getElementById('shade').valueAsNumber = 99")
    page.run("document.getElementById('shade').dispatchEvent(new Event('input'))")
    page.drag(at(page, 5, 25), at(page, 30, 25))
    assert (drawn(page)[25, 5:31] == 99).all()
    # A pen does as the mouse.
    for kind, place in (("mousePressed", 5), ("mouseMoved", 30), ("mouseReleased", 30)):
        x, y = at(page, place, 35)
        pen = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen"}
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pen)
    assert (drawn(page)[35, 5:31] == 99).all()


def test_what_is_out_of_order(open_page, browser, site):
    """One sentence each: a model that cannot be loaded, one that fails, no camera, a bad link."""
    page = open_page()
    page.run("globalThis.fails = true")
    page.drag(at(page, 2, 3), at(page, 20, 9))
    assert trouble(page) == "No output: no memory for 9999 pixels."
    page.run("globalThis.fails = false")
    page.key("z", control=True)
    page.until("document.getElementById('trouble').hidden")
    page.run("delete Navigator.prototype.mediaDevices")
    page.click("#camera")
    assert "take a picture otherwise and open the file" in trouble(page)
    page.run(
        "(() => { const s = document.getElementById('model'); s.value = 'broken'; "
        "s.dispatchEvent(new Event('change')); })()"
    )
    assert trouble(page) == "The model does not fit into the memory of this browser."
    choose(page, "fronts")
    assert page.run("document.getElementById('trouble').hidden")
    bad = open_page(text="#v=1&model=fronts&size=64x48&d=abc")
    assert trouble(bad).startswith("The link is damaged")
    other = open_page(text="#v=1&model=gone&size=1x1&d=YwAA")
    assert 'for the model "gone"' in trouble(other)


def test_drawing_goes_on_while_the_engine_works(open_page):
    """Pictures that are out of date are not shown; a screen reader hears one sentence a stroke."""
    page = open_page()
    page.run(
        "globalThis.heard = []; new MutationObserver(() => heard.push("
        "document.getElementById('told').textContent)).observe(document.getElementById('told'), "
        "{ childList: true }); globalThis.drawing = 300;"
    )
    path = [at(page, x, 10 + x // 3) for x in range(4, 60, 2)]
    page.drag(*path)
    assert len(page.run("globalThis.heard")) == 1
    np.testing.assert_array_equal(settled(page), 255 - drawn(page))
