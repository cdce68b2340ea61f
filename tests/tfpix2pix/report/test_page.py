"""The report page, read as a browser would."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tfpix2pix import report
from tfpix2pix.report.page import data_uri, duration, spread

pytestmark = pytest.mark.charts

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """A page's elements with their attributes, and its visible text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.elements: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


def read_page(workdir) -> Page:
    path = report.write_report(workdir)
    assert path == workdir / "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == [], "every element is closed"
    return page


def rewrite_metrics(workdir, change):
    """Passes every record through `change`; None drops it."""
    path = workdir / "metrics.jsonl"
    records = [change(json.loads(line)) for line in path.read_text().splitlines()[:-1]]
    path.write_text("".join(json.dumps(r) + "\n" for r in records if r is not None))


# === A complete run ===


def test_a_page_has_all_its_parts(workdir):
    page = read_page(workdir)
    headings = ["Worth knowing", "Input, output, target", "Over time", "Curves"]
    for words in [*headings, "Use this run", "Config", "my run", "finished"]:
        assert words in page.text
    assert "sample: 40 train pairs, 10 val pairs · preset quick · 32 px · loss l1+cgan" in page.text
    assert "Trained overnight." in page.text
    assert "The discriminator has won." in page.text
    assert len([a for a in page.all("svg") if a["role"] == "img"]) == 8
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {a["href"].removeprefix("#") for a in page.all("a")}
    assert anchors <= set(ids)


def test_figures_are_those_of_the_files(workdir):
    text = read_page(workdir).text
    assert "Steps 1,000 of 1,000" in text
    assert "Epochs 25.0" in text
    assert "Training time 1 h 2 min" in text
    assert "Speed 4.0 images per second" in text
    assert "Generator 54.4 M weights; discriminator 2.8 M" in text
    assert "L1 lower is better; 0 to 2 0.3123 step 500 0.3345 step 1,000" in text
    assert "PSNR higher is better 12.88 dB step 500 12.50 dB step 1,000" in text
    assert "SSIM higher is better; 1 is identical 0.3500 step 500 0.3333 step 1,000" in text
    assert "step 640 The discriminator has won." in text
    assert "generator weights 54,413,955" in text
    assert "ngf 16" in text
    assert "epochs none" in text


def test_the_page_loads_nothing(workdir):
    page = read_page(workdir)
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        for name in ("src", "href", "xlink:href", "srcset", "poster", "action"):
            if attributes.get(name):
                assert attributes[name].startswith(("data:", "#"))
    assert "@import" not in page.source
    assert not re.search(r"url\((?!#)", page.source)


def test_pictures_are_the_samples_and_say_what_they_are(workdir):
    page = read_page(workdir)
    by_alt = {a["alt"]: a["src"] for a in page.all("img")}
    shown_steps = [1, 100, 300, 400, 600, 700, 900, 1000]
    assert len(by_alt) == len(page.all("img")) == 3 * 3 + 3 * (len(shown_steps) + 1)

    outputs = report.load_strip(report.strip_path(workdir, 1000), 3)
    source = by_alt["Output for pair 2, house_1, at step 1000"]
    kind, encoded = source.split(",", 1)
    assert kind in ("data:image/png;base64", "data:image/jpeg;base64")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    assert np.abs(shown.astype(int) - outputs[1]).mean() < 8
    assert {f"Pair 3 at step {step}" for step in shown_steps} <= set(by_alt)
    assert "Pair 3, target" in by_alt


def test_commands_can_be_pasted(workdir):
    text = read_page(workdir).text
    quoted = f"--workdir='{workdir}'"
    assert f"tfpix2pix translate {quoted} --input=PHOTO.png --output=RESULT.png" in text
    assert f"tfpix2pix train {quoted}" in text
    assert "tfpix2pix train --preset=quick" in text


def test_a_large_run_makes_a_page_that_can_be_mailed(workdir):
    rng = np.random.default_rng(0)
    # A photograph's spectrum, roughly: noise would be far larger than any real sample.
    coarse = rng.integers(0, 256, (24, 24, 24, 3), dtype=np.uint8)
    photos = np.stack([np.asarray(Image.fromarray(c).resize((128, 128))) for c in coarse])
    names = np.array([f"p{i}" for i in range(8)])
    np.savez(workdir / "samples" / "fixed.npz", x=photos[:8], y=photos[8:16], names=names)
    for step in report.sample_steps(workdir):
        report.save_strip(report.strip_path(workdir, step), photos[16:])
    path = workdir / "metrics.jsonl"
    line = path.read_text().splitlines()[0]
    path.write_text("".join(line.replace('"step": 10', f'"step": {i}') + "\n" for i in range(5000)))
    assert report.write_report(workdir).stat().st_size < 3e6


# === Pieces missing ===


def test_nothing_trained_yet(tmp_path):
    text = read_page(tmp_path).text
    for words in ["not started", "No sample pictures yet.", "No curves", "No validation figures"]:
        assert words in text


def test_no_val_split(workdir):
    rewrite_metrics(workdir, lambda r: None if r["kind"] == "val" else r)
    page = read_page(workdir)
    assert "No validation figures" in page.text
    assert "Validation: L1" not in page.text
    assert "Training: L1" in page.text


def test_a_run_without_discriminator(workdir):
    def l1_only(record):
        record.pop("discriminator", None)
        if "losses" in record:
            record["losses"] = {"generator": 0.3, "l1": 0.3}
        return record

    rewrite_metrics(workdir, l1_only)
    run = json.loads((workdir / "run.json").read_text())
    run["parameters"]["discriminator"] = None
    (workdir / "run.json").write_text(json.dumps(run))
    text = read_page(workdir).text
    assert "The contest" not in text
    assert "What the discriminator thinks" not in text
    assert "discriminator weights none" in text
    assert "Generator 54.4 M weights Validation" in text


def test_without_run_json_the_metrics_tell(workdir):
    (workdir / "run.json").unlink()
    text = read_page(workdir).text
    assert "not finished" in text
    assert "Steps 1,000 " in text
    assert "Training time 4 min 10 s" in text


def test_a_run_of_before_some_measures_has_its_own_charts_and_its_best_checkpoint(workdir):
    (workdir / "run.json").unlink()
    config = json.loads((workdir / "config.json").read_text())
    (workdir / "config.json").write_text(json.dumps({**config, "best_metric": "l1"}))
    values = [{"kind": "val", "step": s, "l1": v} for s, v in ((100, 0.4), (200, 0.3), (300, 0.35))]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(v) + "\n" for v in values))
    report.write_report(workdir)
    page = (workdir / "report.html").read_text()
    assert "Validation: L1" in page
    assert "best checkpoint, step 200" in page
    assert "Validation: realism" not in page
    assert "Validation: grid and plaid" not in page


def test_pairs_before_the_first_outputs(workdir):
    for path in (workdir / "samples").glob("step_*.png"):
        path.unlink()
    page = read_page(workdir)
    assert "No outputs yet" in page.text
    assert len(page.all("img")) == 6


def test_damaged_files_are_named_and_the_rest_is_shown(workdir):
    (workdir / "config.json").write_text('{"preset": ')
    report.strip_path(workdir, 1000).write_bytes(b"not a picture")
    page = read_page(workdir)
    assert "config.json could not be read" in page.text
    assert "The sample pictures of step 1,000 could not be read" in page.text
    assert "output at step 900" in page.text
    (workdir / "samples" / "fixed.npz").write_bytes(b"")
    assert "The sample pictures could not be read: fixed.npz" in read_page(workdir).text


def test_grey_pictures_and_a_single_pair(workdir):
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (1, 32, 32, 1), dtype=np.uint8)
    np.savez(workdir / "samples" / "fixed.npz", x=one, y=one, names=np.array(["only"]))
    for step in report.sample_steps(workdir):
        report.save_strip(report.strip_path(workdir, step), one)
    page = read_page(workdir)
    assert "for the 1 pair shown" in page.text
    assert len(page.all("img")) == 3 + 9


# === Hostile and unlucky ===


def test_everything_is_escaped(workdir):
    bad = '"><script>alert(1)</script><img src=http://evil.example/x>'
    (workdir / "config.json").write_text(json.dumps({bad: bad, "preset": bad, "dataset": [bad]}))
    run = {"dataset_summary": bad, "command": bad, "note": bad, "versions": {bad: bad}}
    (workdir / "run.json").write_text(json.dumps(run | {"parameters": {bad: bad}}))
    fixed = report.load_fixed(workdir)
    names = np.array([bad, "\ud800", "ü"])
    np.savez(workdir / "samples" / "fixed.npz", x=fixed.x, y=fixed.y, names=names)
    with open(workdir / "metrics.jsonl", "w") as file:
        for step in (1, 2):
            losses = {bad: 1.0, "b": 2.0, '</text><script>"': 3.0}
            file.write(json.dumps({"kind": "train", "step": step, "losses": losses}) + "\n")
        file.write(json.dumps({"kind": "note", "step": 2, "text": bad}) + "\n")
    page = read_page(workdir)
    assert page.all("script") == []
    assert all(a["src"].startswith("data:") for a in page.all("img"))
    assert page.text.count(bad) >= 8


def test_a_failing_write_leaves_the_old_page(workdir, monkeypatch):
    path = report.write_report(workdir)
    before, files = path.read_bytes(), sorted(workdir.iterdir())

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfpix2pix.base.files.os.replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        report.write_report(workdir)
    assert path.read_bytes() == before
    assert sorted(workdir.iterdir()) == files


def test_a_missing_folder_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        report.write_report(tmp_path / "nowhere")


# === Small parts ===


def test_steps_are_spread_from_the_first_to_the_last():
    assert spread([1, 2, 3], 8) == [1, 2, 3]
    assert spread(range(100), 5) == [0, 25, 50, 74, 99]
    assert spread([], 8) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (450, "7 min 30 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_flat_pictures_are_png_and_noisy_ones_jpeg():
    flat = np.full((64, 64, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert data_uri(flat).startswith("data:image/png")
    assert data_uri(noise).startswith("data:image/jpeg")


def test_importing_the_report_is_light():
    code = (
        "import sys, tfpix2pix.report; "
        "print([m for m in ('tensorflow', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_large_picture_of_noise_is_shown():
    noise = np.random.default_rng(0).integers(0, 256, (512, 768, 3), np.uint8)
    content = base64.b64decode(data_uri(noise).split(",")[1])
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (768, 512)


# === Both ways ===


@pytest.mark.parametrize("paired", [True, False])
def test_a_run_of_both_ways_shows_what_comes_back_of_each_side(workdir, paired):
    fixed = report.load_fixed(workdir)
    random = np.random.default_rng(1)
    shape = fixed.x.shape
    report.save_strip(workdir / "samples" / "step_00001000_again.png", fixed.x)
    for name in ("back", "back_again"):
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        report.save_strip(workdir / "samples" / f"step_00001000_{name}.png", pixels)
    if not paired:
        names = {"names": np.array(fixed.names), "names_y": np.array(["p", "q", "r"])}
        np.savez(workdir / "samples" / "fixed.npz", x=fixed.x, y=fixed.y, **names)
    (workdir / "config.json").write_text('{"direction": "BtoA"}')
    page = read_page(workdir)
    alts = [image["alt"] for image in page.all("img")]
    assert "B again of pair 2, house_1" in alts  # x is of B
    there, back = (next(i for i, a in enumerate(alts) if a.startswith(w)) for w in ("B ag", "A ag"))
    assert there < back
    assert "A again of pair 1, " + ("house_0" if paired else "p") in alts
    targets = [alt for alt in alts if alt.startswith("Target of pair")]
    assert len(targets) == (6 if paired else 3)  # as an input, and as what it should have been
    assert ("Pair 1, target" in alts) == paired
    assert "--direction=AtoB" in page.text
    grid = report.grid_for_step(workdir, 1000)
    assert grid.shape[1] == 6 * (32 + 4) + 4
    top = len(grid) - len(report.picture_grid([fixed.x]))
    assert (grid[top + 4 :, 4:36] == grid[top + 4 :, 76:108]).all()  # again, a copy here


def test_targets_that_are_none_are_not_shown_beside_outputs(workdir):
    fixed = report.load_fixed(workdir)
    names = {"names": np.array(fixed.names), "names_y": np.array(["p", "q", "r"])}
    np.savez(workdir / "samples" / "fixed.npz", x=fixed.x, y=fixed.y, **names)
    path = report.write_summary_picture(workdir, workdir / "summary.png")
    assert np.asarray(Image.open(path)).shape[1] == 2 * (32 + 4) + 4
    np.savez(workdir / "samples" / "fixed.npz", x=fixed.x, y=fixed.y, names=names["names"][:2])
    with pytest.raises(ValueError, match="names"):
        report.load_fixed(workdir)
