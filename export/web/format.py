"""The format ``web``: a page to draw on, as a folder that needs no server and no network.

Its networks are the files of the format ``onnx``, which stand in it as scripts (see
`tfpix2pix.demo.page`). What is proved is what is read back from these.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.demo.models import FOLDER as MODELS
from tfpix2pix.demo.models import check_spec
from tfpix2pix.demo.page import read_list, write_page
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.formats import Artifact, Format, Job
from tfpix2pix.export.onnx.format import FORMAT as ONNX
from tfpix2pix.export.onnx.format import OnnxEngine
from tfpix2pix.export.web.models import LOOKED_AT, PRECISIONS, drawn_of, page_model
from tfpix2pix.export.web.network import open_network

FOLDER = "web"


class WebFormat(Format):
    """Writes ``web/`` and opens the networks in it."""

    name = "web"
    quantizations = ONNX.quantizations

    def check(self) -> None:
        ONNX.check()

    def write(self, job: Job, folder: Path) -> list[Artifact]:
        what = "--formats=web: this run"
        check_spec(job.contract.spec, what)
        drawn = drawn_of(job.contract, _inputs(job), job.draw, what)
        artifacts, models = [], []
        with tempfile.TemporaryDirectory() as temporary:
            for artifact in ONNX.write(job, Path(temporary)):
                file = Path(temporary, artifact.path)
                model = page_model(
                    OnnxEngine(file),
                    file,
                    job.name,
                    PRECISIONS[artifact.quantize],
                    drawn,
                    job.examples,
                    what,
                )
                models.append(model)
                path = f"{FOLDER}/{MODELS}/{model.name}"
                artifacts.append(dataclasses.replace(artifact, path=path, format=self.name))
            if models:
                write_page(models, folder / FOLDER, _before(job))
        return artifacts

    def open(self, path: Path, threads: int | None = None) -> OnnxEngine:
        return open_network(path, threads)

    def extras(self, jobs: Mapping[str, Job], name: str, folder: Path) -> list[str]:
        """The page around the networks."""
        found = []
        for place in jobs:
            page = folder / place / FOLDER
            files = [path for path in page.rglob("*") if path.is_file()]
            around = [path for path in files if path.relative_to(page).parts[0] != MODELS]
            found += [path.relative_to(folder).as_posix() for path in around]
        return sorted(found)


def _inputs(job: Job) -> list[np.ndarray]:
    """Some inputs, which tell what they show."""
    try:
        return job.stored_inputs(LOOKED_AT)
    except UserError:  # the data are elsewhere now
        return []


def _before(job: Job) -> dict[str, Any] | None:
    """The list of the page that is there already, with the networks that stay part of the export:
    those of the same contract."""
    before = read_list(job.output / FOLDER)
    if before is None:
        return None
    wanted = dataclasses.replace(job.contract, max_pixels=None)

    def stays(entry: Mapping[str, Any]) -> bool:
        try:
            contract = Contract.parse(json.dumps(entry["contract"]), entry["name"])
        except UserError:
            return False
        return dataclasses.replace(contract, max_pixels=None) == wanted

    return {**before, "models": [entry for entry in before["models"] if stays(entry)]}


FORMAT = WebFormat()
