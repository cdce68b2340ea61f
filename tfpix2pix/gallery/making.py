"""The gallery: a split's pairs with what several runs make of them, and the scores of each.

A folder of files that any server of files, or none, shows::

    gallery.html
    gallery.json                 the same data, for programs
    gallery/input, target, 1, 2, ...    pictures, by the place of the pair
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import check_writable, write_text
from tfpix2pix.base.options import plain_values
from tfpix2pix.base.progress import ProgressLine, say
from tfpix2pix.base.quiet import import_tensorflow
from tfpix2pix.config.dataset import short_name
from tfpix2pix.data.config import PLACES
from tfpix2pix.evaluation.base import Number
from tfpix2pix.gallery.judged import (
    FOLDER,
    INPUT,
    OUTPUT,
    TARGET,
    How,
    Judged,
    JudgedRun,
    file_name,
    other_images,
    refuse_unlike,
)
from tfpix2pix.report.evaluation_page import error_text, shown
from tfpix2pix.report.html import web_template
from tfpix2pix.report.scripts import web_script

PAGE, DATA = "gallery.html", "gallery.json"
VERSION = 1
_HEADLINE = ("fcn_per_pixel", "labels_per_pixel", "labels_iou", "l1", "psnr", "ssim")
_HEADLINES = 3  # numbers under each picture, besides that of the order


def write_gallery(
    workdirs: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    how: How | None = None,
    *,
    scorer: str = "",
    back: str = "",
    say: Callable[[str], None] = say,
) -> Path:
    """Writes the gallery of runs; what was made before of the same checkpoints is made use of.

    Args:
      workdirs: the runs, which have one data set; their outputs stand in this order.
      folder: to write to; what else is in it stays, such as the page to draw on.
      how: which pairs, which checkpoints; None for the defaults.
      scorer: folder of a scorer, for its measures; empty for none.
      back: a page beside it to link to, empty for none.
      say: told in a sentence what should be known.

    Returns:
      The page, ``gallery.html``.

    Raises:
      UserError: what is no run, has no pairs, or does not go together.
      OSError: the folder cannot be written.
    """
    how = how or How()
    folder = Path(folder).expanduser()
    check_writable(folder, "--output")
    names = run_names(workdirs)
    judge = None
    if scorer:
        import_tensorflow()
        from tfpix2pix.scorer import load_scorer

        judge = load_scorer(scorer)
    runs = [JudgedRun(os.fspath(workdir), how, judge, scorer, say) for workdir in workdirs]
    for other in runs[1:]:
        refuse_unlike(runs[0], other)
    if runs[0].note:
        say(f"note: {runs[0].note[0].lower()}{runs[0].note[1:].rstrip('.')}")
    with tempfile.TemporaryDirectory() as otherwise:
        judged = _judged(runs, Path(otherwise))
        gallery = _gallery(runs, judged, names)
        folder.mkdir(parents=True, exist_ok=True)
        _write_pictures(folder, judged)
    write_text(folder / DATA, json.dumps(gallery))
    write_text(folder / PAGE, render_gallery(gallery, back))
    return folder / PAGE


def render_gallery(gallery: dict[str, Any], back: str = "") -> str:
    """The page as text; its pictures are files beside it.

    Args:
      gallery: what ``gallery.json`` holds.
      back: a page beside it to link to, empty for none.
    """
    rows = []
    for measure in gallery["measures"]:
        if measure["truth"]:
            continue
        number = Number(**{key: measure[key] for key in ("name", "title", "better", "digits")})
        values = [
            [run[which].get(number.name) for which in ("numbers", "errors")]
            for run in gallery["runs"]
        ]
        rows.append(
            (number, [(shown(_nan(v), number), error_text(_nan(e), number)) for v, e in values])
        )
    return web_template("gallery", PAGE).render(
        gallery=gallery, rows=rows, back=back, script=web_script("gallery", "page.js")
    )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def run_names(workdirs: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Short names of runs, by the ends of their paths that differ.

    Raises:
      UserError: there is none, or one twice.
    """
    if not workdirs:
        raise UserError("--workdir=RUN is missing; name a run, or several of one data set")
    paths = [Path(workdir).expanduser().resolve() for workdir in workdirs]
    for place, path in enumerate(paths):
        if path in paths[:place]:
            raise UserError(f"--workdir={workdirs[place]} was given twice; leave one out")
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [path.as_posix() for path in paths]


def _judged(runs: list[JudgedRun], otherwise: Path) -> list[Judged]:
    """Of each run what was made before, or now."""
    found = [run.kept() for run in runs]
    total = sum(run.count for run, kept in zip(runs, found, strict=True) if kept is None)
    if total:
        import_tensorflow()
        with ProgressLine("gallery", total, "picture") as line:
            before = 0
            for place, run in enumerate(runs):
                if found[place] is not None:
                    continue
                run.say = line.say
                found[place] = run.make(otherwise, functools.partial(_show, line, before))
                before += run.count
                _check_targets(runs, found)
    _check_targets(runs, found)
    return [judged for judged in found if judged is not None]


def _show(line: ProgressLine, before: int, done: int, of_run: int) -> None:
    line.show(before + done)


def _check_targets(runs: list[JudgedRun], found: list[Judged | None]) -> None:
    """Whether those that are there have the same images."""
    there = [(run, judged) for run, judged in zip(runs, found, strict=True) if judged is not None]
    for run, judged in there[1:]:
        first, expected = there[0]
        if any(
            judged.facts[key] != expected.facts[key] for key in ("names", "size", "targets_sha256")
        ):
            raise UserError(other_images(first, run))


def _gallery(runs: list[JudgedRun], judged: list[Judged], names: list[str]) -> dict[str, Any]:
    """What the page is told."""
    first = judged[0].facts
    measures: dict[str, dict[str, Any]] = {}
    for one in judged:
        measures |= {m["name"]: m for m in one.facts["measures"] if m["name"] not in measures}
    truths: dict[str, Any] = {}
    for one in judged:
        scores = one.facts["scores"].items()
        truths |= {k: v for k, v in scores if measures[k]["truth"] and k not in truths}
    shown = [name for name in measures if not measures[name]["truth"]]
    headline = [name for name in _HEADLINE if name in shown] or shown
    settings = _unlike_settings(runs)
    height, width = first["size"]
    return {
        "version": VERSION,
        "name": short_name(runs[0].model.config),
        "split": runs[0].split,
        "unit": "pair" if first["paired"] else "image",
        "note": runs[0].note,
        "width": width,
        "height": height,
        "input": f"{FOLDER}/{INPUT}",
        "target": f"{FOLDER}/{TARGET}" if first["paired"] else None,
        "names": first["names"],
        "measures": list(measures.values()),
        "headline": headline[:_HEADLINES],
        "truth": truths,
        "runs": [
            {
                "name": name,
                "about": _about(run, one.facts),
                "folder": f"{FOLDER}/{place}",
                "settings": settings[place - 1],
                **{
                    key: {k: v for k, v in one.facts[key].items() if not measures[k]["truth"]}
                    for key in ("numbers", "errors", "scores")
                },
            }
            for place, (name, run, one) in enumerate(zip(names, runs, judged, strict=True), 1)
        ],
    }


def _about(run: JudgedRun, facts: dict[str, Any]) -> str:
    """How a run's pictures were made, in a few words."""
    parts = [f"step {facts['step']:,}"]
    if run.model.config.average_decay:
        parts.append(f"{facts['weights']} weights")
    if len(run.model.config.directions) > 1:
        parts.append(run.model.direction)
    if facts["seed"] is not None and not facts["deterministic"]:
        parts.append(f"noise of seed {facts['seed']}")
    elif facts["deterministic"]:
        parts.append("without noise")
    return " · ".join(parts)


def _unlike_settings(runs: list[JudgedRun]) -> list[dict[str, str]]:
    """Of each run the settings in which the runs differ; nothing of where its files lie."""
    values = [plain_values(run.model.config) for run in runs]
    fields = dict.fromkeys(name for some in values for name in some)
    unlike = [
        name
        for name in fields
        if name not in (*PLACES, "data_dir", "init_from", "label_palette")
        and len({json.dumps(some.get(name), default=str) for some in values}) > 1
    ]
    return [{name: _text(some[name]) for name in unlike if name in some} for some in values]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value in ("", None) else str(value)


def _write_pictures(folder: Path, judged: list[Judged]) -> None:
    """Puts all pictures into the folder, in place of those of an earlier gallery."""
    place = folder / FOLDER
    if place.exists() and not (folder / DATA).is_file():
        raise UserError(
            f"{place} is there already and is no gallery of ours; give another --output"
        )
    hidden = folder / f".{FOLDER}.{secrets.token_hex(4)}.tmp"
    try:
        count = len(judged[0].facts["names"])
        sides = {INPUT: judged[0].folder / INPUT}
        if judged[0].facts["paired"]:
            sides[TARGET] = judged[0].folder / TARGET
        sides |= {str(n): one.folder / OUTPUT for n, one in enumerate(judged, 1)}
        for name, source in sides.items():
            (hidden / name).mkdir(parents=True)
            for i in range(count):
                _link(source / file_name(i), hidden / name / file_name(i))
        if place.exists():
            shutil.rmtree(place)
        hidden.rename(place)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def _link(source: Path, place: Path) -> None:
    """The same file at another place, without a copy where the disk allows it."""
    try:
        os.link(source, place)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            place.unlink()
        shutil.copyfile(source, place)
