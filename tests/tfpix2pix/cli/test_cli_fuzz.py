"""500 malformed images and names as only a foe gives them, through the commands.

No traceback, no crash, bounded memory, and nothing written but where it was asked for. What the
files are is in tests/malformed_images.py; seeds are fixed.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import DataError, UserError
from tfpix2pix.data import ImageSpec, PairSpec, images, open_dataset
from tfpix2pix.inference import files

malformed_images = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[2] / "malformed_images.py"))
)
COUNT = 500
# The largest of them has 9 million pixels; decoded one by one they took under 300 MiB.
MOST_MEMORY = 1200 << 10  # KiB
MEASURED = (
    "import atexit, resource, sys\n"
    "atexit.register(lambda: print('peak:', "
    "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stdout))\n"
)
# What a terminal obeys, or what breaks a line in a message that is one.
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]")


@pytest.fixture(scope="module")
def malformed(tmp_path_factory) -> Path:
    """A data set of nothing else."""
    folder = tmp_path_factory.mktemp("fuzz") / "set"
    (folder / "train").mkdir(parents=True)
    for name, content in malformed_images.malformed(COUNT):
        (folder / "train" / name).write_bytes(content)
    assert len(list((folder / "train").iterdir())) == COUNT
    return folder


@pytest.fixture
def hostile(tmp_path) -> Path:
    """Pairs that are good but for their names."""
    folder = tmp_path / "hostile"
    (folder / "train").mkdir(parents=True)
    pair = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    for number, name in enumerate(malformed_images.HOSTILE_NAMES):
        try:
            with open(os.path.join(os.fsencode(folder / "train"), name), "wb") as file:
                Image.fromarray(np.roll(pair, number, axis=0)).save(file, "PNG")
        except (OSError, UnicodeError):  # this system has no such names
            continue
    return folder


def check_output(done) -> None:
    """What a command said is no traceback, and nothing that a terminal would obey."""
    said = done.stdout + done.stderr
    assert "Traceback (most recent call last):\n" not in said
    assert not CONTROL.search(said), ascii(CONTROL.search(said))
    assert not any(unicodedata.category(char) == "Cs" for char in said)


def check_memory(done) -> None:
    if "peak:" in done.stdout:  # Linux, where it is counted in KiB
        assert int(done.stdout.split("peak:")[1]) < MOST_MEMORY


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# === Malformed images ===


def test_inspect_lists_them(run_cli, malformed, tmp_path, hashes):
    before = hashes(malformed.parent)
    done = run_cli("inspect", f"--dataset={malformed}", "--output=seen", prelude=MEASURED)
    assert done.returncode == 1, done.stderr
    check_output(done)
    check_memory(done)
    assert "training would refuse it" in done.stdout
    assert set(everything(tmp_path)) <= {
        "seen",
        *(f"seen/{name}" for name in ("inspect.html", "inspect.json", "contact_sheet.png")),
        "seen/palette_found.json",
    }
    assert hashes(malformed.parent) == before


def test_train_refuses_them_and_writes_nothing(run_cli, malformed, tmp_path, without_tensorflow):
    done = run_cli(
        "train",
        f"--dataset={malformed}",
        "--workdir=run",
        env=without_tensorflow,
        prelude=MEASURED,
    )
    assert done.returncode == 2
    check_output(done)
    check_memory(done)
    # Before it, libtiff's own words on a damaged fax.
    assert "tfpix2pix train: --dataset=" in done.stderr
    assert ".py:" not in done.stderr
    # Most harm can be told: what cannot is a change of a few pixels.
    bad = int(re.search(rf"(\d+) of {COUNT} images cannot be used", done.stderr)[1])
    assert 0.7 * COUNT < bad < COUNT
    assert everything(tmp_path) == []


def test_translate_reads_each_whole_or_says_why_not(malformed, tmp_path):
    """In one process, with a stand-in for the network: what comes in must be an image."""
    taken = []

    class Network:
        config = Pix2PixConfig()
        spec, direction = PairSpec(ImageSpec(3), ImageSpec(3)), "AtoB"

        def translate(self, image, **_: object) -> np.ndarray:
            taken.append(image.array.shape)
            return np.zeros((*image.array.shape[:2], 3), np.uint8)

    jobs = files.find_jobs(str(malformed / "train"), str(tmp_path / "out"), ".png")
    (tmp_path / "out").mkdir()
    assert len(jobs) == COUNT
    refused = []
    for job in jobs:
        try:
            files.translate_file(Network(), job, files.Manner())
        except UserError as error:
            refused.append((str(job.source), str(error)))
            continue
        header = images.read_header(job.source)
        assert taken[-1] == (header.height, header.width, header.channels + header.has_alpha)
    for path, said in refused:
        assert said.startswith(f"{path}: ")
        assert "\n" not in said
        assert len(said) < 400 + len(path)
    assert len(refused) > 0.7 * COUNT
    assert len(everything(tmp_path)) == 1 + COUNT - len(refused)


# === Hostile names ===


def test_names_are_only_names(run_cli, hostile, tmp_path, tiny):
    """Trained on and translated: the files are good, so they are used, whatever they are called."""
    named = [name for name in os.listdir(hostile / "train") if not name.startswith(".")]
    assert len(named) > 5
    flags = ("--steps=1", f"--sample_images={len(named)}", "--val_fraction=0", "--cache=none")
    trained = run_cli("train", *tiny, *flags, f"--dataset={hostile}", "--workdir=run", eagerly=True)
    assert (trained.returncode, trained.stderr) == (0, "")
    translated = run_cli(
        "translate", "--workdir=run", f"--input={hostile / 'train'}", "--side_by_side", "--output=o"
    )
    assert (translated.returncode, translated.stderr) == (0, "")
    looked = run_cli("inspect", f"--dataset={hostile}", "--output=seen")
    assert (looked.returncode, looked.stderr) == (0, "")
    for done in (trained, translated, looked):
        check_output(done)
    assert {path.name for path in tmp_path.iterdir()} == {"hostile", "o", "run", "seen"}
    assert len(list((tmp_path / "o").iterdir())) == len(named)
    assert {len(path.parts) for path in (tmp_path / "o").rglob("*")} == {len(tmp_path.parts) + 2}
    inputs = list((tmp_path / "run" / "samples" / "inputs").iterdir())
    assert len(inputs) == len(named)
    for page in (tmp_path / "run" / "report.html", tmp_path / "seen" / "inspect.html"):
        text = page.read_bytes().decode("utf-8")
        assert "<script>alert" not in text


def test_a_name_in_a_refusal_stays_on_its_line(run_cli, hostile, without_tensorflow):
    for name in os.listdir(hostile / "train"):
        (hostile / "train" / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    done = run_cli(
        "train", f"--dataset={hostile}", "--workdir=run", env=without_tensorflow, fresh=True
    )
    assert done.returncode == 2
    check_output(done)
    assert "14 of 14 images cannot be used" in done.stderr
    assert "    train/a\\nTraceback (most recent call last).png: cut short" in done.stderr
    assert "    train/\\x1b[2Jgone.png: cut short" in done.stderr


ROWS = [
    f'{{"input": "{name}", "target": "b.png"}}'
    for name in (
        *("../outside.png", "/etc/hostname", "~nobody/a.png", "a\\u0000.png", "\\ud800.png"),
        *("x" * 5000, "a\\nb.png", "..", ".", "/", "train/../../outside.png", "http://a/b.png"),
    )
]


ROWS += ["[" * 100_000, "9" * 5000, '{"input": 1e999}', "\x00"]


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_a_row_of_a_manifest_is_only_a_row(tmp_path, number):
    row = ROWS[number]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "pairs.jsonl").write_text(row + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        open_dataset(str(tmp_path / "set" / "pairs.jsonl"), val_fraction=0).check()
    assert not CONTROL.search(str(caught.value))
    assert len(str(caught.value)) < 12_000
    assert everything(tmp_path) == ["set", "set/pairs.jsonl"]


@pytest.mark.parametrize("flag", ["--dataset=~nobody/x", "--dataset=\udcff", "--workdir=\udcff"])
def test_a_path_that_leads_nowhere(run_cli, flag):
    done = run_cli("train", flag, "--dataset=nowhere", fresh=True)
    assert done.returncode == 2
    check_output(done)
    assert json.dumps(done.stderr).isascii()
