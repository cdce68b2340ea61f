"""A notebook that trains, is interrupted and goes on, run by a real kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")

CELLS = [
    """
import os, signal, threading, time
from pathlib import Path
import numpy as np
import tfpix2pix

x = np.random.default_rng(0).integers(0, 256, (8, 40, 40, 3), np.uint8)
settings = dict(crop_size=32, ngf=4, loss="l1", log_every=5, val_every=0, sample_every=0)
""",
    # What the stop button of a notebook does to the kernel, once there is something to stop.
    """
def interrupt():
    while not any(Path("run/checkpoints").glob("step_*")):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
run = tfpix2pix.train(
    (x, 255 - x), workdir="run", steps=100_000, checkpoint_every=5, val_fraction=0.0, **settings
)
run.stopped_by
""",
    """
again = tfpix2pix.train((x, 255 - x), workdir=run, steps=run.steps_done + 2)
again.steps_done - run.steps_done
""",
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, user_environment) -> list[dict[str, list]]:
    """Of each cell: the texts of its stdout and stderr, of its displays, and of its result."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    folder: Path = tmp_path_factory.mktemp("notebook")
    nbclient.NotebookClient(
        notebook, timeout=240, resources={"metadata": {"path": str(folder)}}
    ).execute(env=user_environment)
    seen = []
    for cell in notebook.cells:
        texts: dict[str, list] = {"stdout": [], "stderr": [], "display_data": [], "result": []}
        for output in cell.outputs:
            if output.output_type == "stream":
                texts[output.name] += output.text.splitlines()
            elif output.output_type == "display_data":
                texts["display_data"].append(output.data["text/plain"])
            else:
                texts["result"].append(output.data["text/plain"])
        seen.append(texts)
    return seen


def test_an_interrupted_cell_saves_and_returns(outputs):
    assert outputs[1]["result"] == ["'SIGINT'"]
    last = outputs[1]["stdout"][-1]
    found = re.fullmatch(
        r"stopped by SIGINT at step ([\d,]+) of 100,000; everything is saved\. To continue: "
        r"tfpix2pix\.train\(\(x, y\), workdir='run'\)",
        last,
    )
    assert found, last
    assert int(found[1].replace(",", "")) >= 5
    assert outputs[2]["result"] == ["2"]
    assert any(
        line.startswith(f"continuing from step {found[1]} of") for line in outputs[2]["stdout"]
    )


def test_progress_is_one_line_that_stays(outputs):
    assert len(outputs[1]["display_data"]) == 1  # of all that was drawn, the last
    assert re.fullmatch(r"training: step [\d,]+/100,000 in \d+:\d\d", outputs[1]["display_data"][0])
    assert not any(line.startswith("training") for line in outputs[1]["stdout"])


def test_nobody_greets(outputs):
    assert [cell["stderr"] for cell in outputs] == [[], [], []]
