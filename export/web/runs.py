"""Runs for the page: exported to ONNX once for each checkpoint, in a folder of the run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown
from tfpix2pix.base.progress import StepLine
from tfpix2pix.config import Config, load_config
from tfpix2pix.config.dataset import spec_of
from tfpix2pix.data.images import write_image
from tfpix2pix.demo.models import check_spec
from tfpix2pix.export.exporter import Request, check_pictures, check_request, export_run
from tfpix2pix.export.manifest import Index, Manifest
from tfpix2pix.export.pictures import drawn_input

FOLDER = "demo"
"""Of a run: where its export for the page is kept."""
REQUEST = Request(formats=("onnx",))


def check_run(workdir: str | os.PathLike[str]) -> Config:
    """Refuses at once what cannot be exported, or cannot be on a page; returns the run's config.

    Raises:
      UserError: no run, no checkpoint, pictures of another kind, or a package that is missing.
    """
    kept = Path(workdir, FOLDER) if _is_writable(workdir) else Path(tempfile.gettempdir())
    config = check_request(workdir, kept, REQUEST)
    for direction in config.directions:
        check_spec(spec_of(config, workdir, direction), f"--workdir={shown(workdir)}")
    return config


@contextmanager
def exported(workdir: str | os.PathLike[str], dataset: str = "") -> Iterator[Path]:
    """The folder of a run's export to ONNX, of the newest checkpoint: what was made before of that
    one, or else a new one, with its progress on the terminal. Where the run's folder cannot be
    written it is a temporary one, which is gone on leaving.

    Args:
      workdir: the run.
      dataset: where its data are now; without any it is compared with Keras on a drawn picture.

    Raises:
      UserError: it cannot be exported.
    """
    kept = Path(workdir, FOLDER)
    if _is_of_newest(kept, workdir):
        yield kept
        return
    if _is_writable(workdir):
        _export(workdir, kept, dataset)
        yield kept
        return
    with tempfile.TemporaryDirectory() as temporary:
        _export(workdir, Path(temporary), dataset)
        yield Path(temporary)


def _is_writable(workdir: str | os.PathLike[str]) -> bool:
    return os.access(workdir, os.W_OK | os.X_OK)


def _is_of_newest(folder: Path, workdir: str | os.PathLike[str]) -> bool:
    from tfpix2pix.training.checkpoints import CheckpointError, Checkpoints

    checkpoints, config = Checkpoints(workdir), load_config(workdir)
    try:
        index = Index.find(folder)
        folders = [folder / each for each in index.directions] if index else [folder]
        contracts = [Manifest.load(each).contract for each in folders]
        newest = checkpoints.meta(checkpoints.steps()[-1])["sha256"]
    except (UserError, CheckpointError, IndexError):
        return False
    directions = {contract.direction for contract in contracts}
    same = all(c.checkpoint == newest and c.config == config for c in contracts)
    return same and directions == set(config.directions)


def _export(workdir: str | os.PathLike[str], folder: Path, dataset: str) -> None:
    config = load_config(workdir)
    with StepLine("exporting") as reporter, tempfile.TemporaryDirectory() as temporary:
        reporter.say(f"{shown(workdir)}: exporting it to ONNX, once for this checkpoint")
        drawn = ""
        try:
            check_pictures(config, workdir, dataset, "", 1)
        except UserError:
            if dataset or len(config.directions) > 1:
                raise
            drawn = _drawn_picture(config, workdir, Path(temporary))
        # Two pictures prove what a page needs; `tfpix2pix export` takes more.
        export_run(
            workdir,
            folder,
            REQUEST,
            dataset=dataset,
            check_images=drawn,
            check_count=2,
            reporter=reporter,
        )


def _drawn_picture(config: Config, workdir: str | os.PathLike[str], folder: Path) -> str:
    """A file that can be an input of a run; returns its path."""
    spec, path = spec_of(config, workdir), folder / "drawn.npy"
    x = drawn_input(spec, config.whole_size.height, config.whole_size.width)
    write_image(path, spec.input_file(x))
    return os.fspath(path)
