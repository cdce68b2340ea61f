"""``tfpix2pix reproduce --table=diversity`` from its command line: tiny networks, two rows."""

from __future__ import annotations

import json

import pytest
from PIL import Image

FLAGS = ("--crop_size=32", "--ngf=4", "--ndf=4", "--sample_pairs=8", "--sample_images=2",
         "--steps=2", "--seeds=1", "--label_palette=facades")  # fmt: skip
# Without a discriminator, which has nothing to do with what is tested, and three samples.
SMALL = (
    "import tfpix2pix.reproduction.variety as v; v.SAMPLES = 3; "
    "v.ROWS = tuple(row._replace(fields={**row.fields, 'loss': 'l1'}) for row in v.ROWS[:2])"
)


@pytest.fixture(scope="module")
def made(run_command, scorer, tmp_path_factory):
    """The folder of a table of two rows, and what was printed."""
    folder = tmp_path_factory.mktemp("diversity") / "out"
    done = run_command(
        *("reproduce", "--table=diversity", *FLAGS, f"--scorer={scorer}", f"--output={folder}"),
        cwd=folder.parent,
        timeout=400,
        prelude=SMALL,
        eagerly=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return folder, said


def test_rows_are_scored_on_their_samples(made):
    folder, said = made
    content = json.loads((folder / "results" / "diversity.json").read_text())
    rows = {row["key"]: row for row in content["rows"]}
    assert list(rows) == ["pix2pix", "no_dropout", "truth"]
    first, still = (
        {name: cell["mean"] for name, cell in rows[key]["numbers"].items()}
        for key in ("pix2pix", "no_dropout")
    )
    assert first["diversity"] > 0
    assert first["scorer_diversity"] > 0
    # Without anything that varies all samples are the one picture, and none is worse.
    assert still["diversity"] == still["scorer_diversity"] == 0
    for part in ("per_pixel", "iou"):
        assert still[f"fcn_samples_{part}"] == still[f"fcn_worst_{part}"] == still[f"fcn_{part}"]
    assert rows["no_dropout"]["reached"]["times"] == [0, 0]
    evaluation = folder / "runs" / "diversity-pix2pix" / "seed0" / "evaluation" / "val"
    assert json.loads((evaluation / "metrics.json").read_text())["samples"] == 3
    sentence = "No dropout: 0.0 times the feature diversity and 0.0 times the pixel diversity, "
    assert sentence in said
    assert "the aim does not hold" in said
    assert sentence in (folder / "report.html").read_text()
    assert sentence in (folder / "results" / "diversity.md").read_text()


def test_the_answers_are_shown(made):
    folder, _ = made
    whole = Image.open(folder / "grids" / "diversity-answers.png")
    # The embedded set's own images may be shown: input, truth and both rows, 8 answers each.
    assert Image.open(folder / "results" / "diversity-answers.jpg").size == whole.size
    assert whole.size[0] == 4 + 4 * 132
    assert "Several answers to one input" in (folder / "report.html").read_text()
