"""The qualitative grids of the paper's figures 4 to 7 and 10: rows inputs, columns variants."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tfpix2pix.base.files import write_bytes
from tfpix2pix.base.grid import picture_grid, save_png
from tfpix2pix.report import grids
from tfpix2pix.reproduction.plan import Run
from tfpix2pix.reproduction.tables import Table

if TYPE_CHECKING:
    from tfpix2pix.inference import Translator

ROWS = 6  # inputs that a grid shows
_LEAST = 128  # pixels that a picture has in a grid, so that its title fits
_JPEG_QUALITY = 85
_BACK = "samples.png"  # beside the scores of the way back, as the strips of `grids` are
ANSWERS = 8  # samples of one input that are shown
_ANSWERS = "answers.png"


def columns_of(
    table: Table, runs: Sequence[Run]
) -> tuple[grids.FixedPairs, list[tuple[str, np.ndarray]]] | None:
    """What the finished runs of a table's first seed made of the fixed val pairs.

    Args:
      table: whose rows become columns.
      runs: of the reproduction.

    Returns:
      The pairs, at most `ROWS`, and by title the outputs, uint8 ``[N, H, W, C]``; None where no
      run is finished.
    """
    fixed, columns = None, []
    for row in table.rows:
        run = next((r for r in runs if r.variant == row.variant and r.trained), None)
        if run is None:
            continue
        found = _pictures_of(run)
        if found is None:
            continue
        pairs, outputs = found
        chosen = np.linspace(0, len(pairs) - 1, min(ROWS, len(pairs))).round().astype(int)
        if fixed is None:
            names = tuple(pairs.names[i] for i in chosen)
            fixed = grids.FixedPairs(pairs.x[chosen], pairs.y[chosen], names)
        columns.append((row.short or row.title, outputs[chosen]))
    return None if fixed is None else (fixed, columns)


def _pictures_of(run: Run) -> tuple[grids.FixedPairs, np.ndarray] | None:
    """The fixed pairs of a run as its task has them, and what it makes of them; None where it was
    not scored yet on the way back."""
    pairs = grids.load_fixed(run.workdir)
    if not run.is_back:
        return pairs, grids.load_outputs(run.workdir, grids.sample_steps(run.workdir)[-1], pairs)
    try:
        outputs = grids.load_strip(run.evaluation / _BACK, len(pairs))
    except (OSError, ValueError):
        return None
    return grids.FixedPairs(pairs.y, pairs.x, pairs.names), outputs


def write_pictures_back(run: Run, translator: Translator) -> None:
    """Keeps what a run makes of its fixed pairs on the way back, beside the scores of that way."""
    inputs = grids.load_fixed(run.workdir).y
    made = [translator.translate(picture, seed=index) for index, picture in enumerate(inputs)]
    _keep(run, translator, made, _BACK)


def _keep(run: Run, translator: Translator, made: Sequence[np.ndarray], name: str) -> None:
    """Stores results of a run as a strip beside its scores."""
    from tfpix2pix.evaluation.fcn import as_uint8
    from tfpix2pix.evaluation.pictures import file_levels

    outputs = [as_uint8(file_levels(translator.spec, picture)) for picture in made]
    run.evaluation.mkdir(parents=True, exist_ok=True)
    grids.save_strip(run.evaluation / name, np.stack(outputs))


def write_answers(run: Run, translator: Translator) -> None:
    """Keeps `ANSWERS` samples of one of a run's fixed inputs, beside its scores."""
    picture = grids.load_fixed(run.workdir).x[0]
    seeds = range(ANSWERS)
    if translator.latent_size:
        made = [translator.translate(picture, latent=code) for code in translator.latent(seeds)]
    else:
        made = [translator.translate(picture, seed=seed) for seed in seeds]
    _keep(run, translator, made, _ANSWERS)


def write_grids(
    table: Table, runs: Sequence[Run], folder: Path, name: str, whole: bool = False
) -> np.ndarray | None:
    """Writes both grids of a table, as far as its runs are.

    ``grids/NAME.png`` below `folder` shows input, variants and ground truth;
    ``results/NAME.jpg`` the generated images alone, so that it can be shown where the data set's
    own images must not be.

    Args:
      table: whose rows become columns.
      runs: of the reproduction.
      folder: of the reproduction.
      name: of the files.
      whole: whether ``results/NAME.jpg`` may show inputs and ground truth too.

    Returns:
      The whole grid, uint8 ``[height, width, 3]``; None where no run is finished.
    """
    found = columns_of(table, runs)
    return None if found is None else _write_grid(*found, folder, name, whole)


def write_answers_grid(
    table: Table, runs: Sequence[Run], folder: Path, name: str, whole: bool = False
) -> np.ndarray | None:
    """Writes ``grids/NAME-answers.png`` and ``results/NAME-answers.jpg``: a column for each row of
    the table, `ANSWERS` samples of one input of the first seed; else as `write_grids`."""
    columns, fixed = [], None
    for row in table.rows:
        for run in [r for r in runs if r.variant == row.variant][:1]:
            try:
                answers = grids.load_strip(run.evaluation / _ANSWERS, ANSWERS)
                pairs = grids.load_fixed(run.workdir)
            except (OSError, ValueError):  # not scored yet
                continue
            columns.append((row.short or row.title, answers))
            fixed = grids.FixedPairs(_above_white(pairs.x), _above_white(pairs.y), pairs.names[:1])
    if fixed is None:
        return None
    return _write_grid(fixed, columns, folder, f"{name}-answers", whole)


def _above_white(pictures: np.ndarray) -> np.ndarray:
    """The first of pictures ``[N, H, W, C]``, and white ones up to `ANSWERS`."""
    shown = np.full_like(pictures[:1], 255).repeat(ANSWERS, axis=0)
    shown[0] = pictures[0]
    return shown


def _write_grid(
    fixed: grids.FixedPairs,
    columns: Sequence[tuple[str, np.ndarray]],
    folder: Path,
    name: str,
    whole: bool,
) -> np.ndarray:
    """Both files of a grid, and the whole one; see `write_grids`."""
    titles = [title for title, _ in columns]
    outputs = [_enlarged(pictures) for _, pictures in columns]
    grid = picture_grid(
        [_enlarged(fixed.x), _enlarged(fixed.y), *outputs], ["Input", "Ground truth", *titles]
    )
    (folder / "grids").mkdir(parents=True, exist_ok=True)
    save_png(folder / "grids" / f"{name}.png", grid)
    buffer = io.BytesIO()
    shown = grid if whole else picture_grid(outputs, titles)
    Image.fromarray(shown).save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    write_bytes(folder / "results" / f"{name}.jpg", buffer.getvalue())
    return grid


def _enlarged(pictures: np.ndarray) -> np.ndarray:
    """Small pictures ``[N, H, W, C]`` with every pixel repeated up to about `_LEAST` pixels."""
    times = max(1, _LEAST // pictures.shape[2])
    return pictures.repeat(times, axis=1).repeat(times, axis=2)


def write_color_plot(table: Table, runs: Sequence[Run], path: Path) -> None:
    """Writes a PNG: the log histograms of L, a and b of every row beside the
    truth's (the paper's Figure 7), over all seeds that are scored."""
    from tfpix2pix.base.errors import UserError
    from tfpix2pix.evaluation.color import summed
    from tfpix2pix.evaluation.results import Evaluation
    from tfpix2pix.report.evaluation_plots import color_plot

    models, truth = {}, None
    for row in table.rows:
        total: dict[str, np.ndarray] = {}
        for run in runs:
            if run.variant != row.variant:
                continue
            try:
                statistics = Evaluation.load(run.evaluation).statistics["color"]
            except (UserError, KeyError):  # not scored yet
                continue
            truth = truth or summed(statistics, "truth")
            for axis, counts in summed(statistics, "fake").items():
                total[axis] = total.get(axis, 0) + counts
        if total:
            models[row.title] = total
    if truth is not None:
        write_bytes(path, color_plot(models, truth))
