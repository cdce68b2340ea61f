"""The gallery: a split's pairs with what several runs make of them, and the scores of each.

A folder of files that any server of files, or none, shows::

    gallery.html
    gallery.json                 the same data, for programs
    gallery/input, target, 1, 2, ...    pictures, by the place of the pair

Runs that learned both ways have another one of the second direction beside it:
``gallery-BtoA.html`` and so on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import check_writable, write_text
from tfpix2pix.base.options import plain_values
from tfpix2pix.base.progress import ProgressLine, say
from tfpix2pix.base.quiet import import_tensorflow
from tfpix2pix.base.serving import INDEX, Content
from tfpix2pix.config import load_config
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

PAGE = "gallery.html"
VERSION = 1
_HEADLINE = ("fcn_per_pixel", "labels_per_pixel", "labels_iou", "l1", "psnr", "ssim")
_HEADLINES = 3  # numbers under each picture, besides that of the order


class Gallery:
    """Runs of one data set side by side: checked at once, made by `make`.

    Args:
      workdirs: the runs, whose outputs stand in this order.
      how: which pairs, which checkpoints; None for the defaults.
      scorer: folder of a scorer, for its measures; empty for none.
      say: told in a sentence what should be known.
      place: name of its files and of the folder of its pictures.

    Attributes:
      page: its page.
      direction: of the first run.
      ways: the galleries of all directions of the runs, where there are several.
      count: pictures that are to be made.
      data: what ``gallery.json`` holds, once it is made.
      pictures: by their paths beside the page.

    Raises:
      UserError: what is no run, has no pairs, or does not go together.
    """

    def __init__(
        self,
        workdirs: Sequence[str | os.PathLike[str]],
        how: How | None = None,
        scorer: str = "",
        say: Callable[[str], None] = say,
        place: str = FOLDER,
    ) -> None:
        self._names = run_names(workdirs)
        self._place = place
        self.page = f"{place}.html"
        self.ways: list[Gallery] = []
        judge = None
        if scorer:
            import_tensorflow()
            from tfpix2pix.scorer import load_scorer

            judge = load_scorer(scorer)
        self._runs = [
            JudgedRun(os.fspath(workdir), how or How(), judge, scorer, say) for workdir in workdirs
        ]
        first = self._runs[0]
        self.direction = first.model.direction
        for other in self._runs[1:]:
            refuse_unlike(first, other)
        if first.note:
            say(f"note: {first.note[0].lower()}{first.note[1:].rstrip('.')}")
        self._kept = [run.kept() for run in self._runs]
        self.count = sum(
            run.count for run, kept in zip(self._runs, self._kept, strict=True) if kept is None
        )
        self.data: dict[str, Any] = {}
        self.pictures: dict[str, Path] = {}

    def make(self, scratch: Path, progress: Callable[[int], None] = lambda done: None) -> None:
        """Makes what was not made before of the same checkpoints, with its progress on the
        terminal.

        Args:
          scratch: a folder for pictures of runs whose own folder cannot be written to.
          progress: told how many pictures are made.

        Raises:
          UserError: what does not go together after all.
          OSError: pictures cannot be written.
        """
        if self.count:
            import_tensorflow()
            with ProgressLine("gallery", self.count, "picture") as line:
                self._make(scratch, line, progress)
        judged = [kept for kept in self._kept if kept is not None]
        _check_targets(self._runs, self._kept)
        self.data = _data(self._runs, judged, self._names, self._place)
        sides = {self.data["input"]: judged[0].folder / INPUT}
        if self.data["target"]:
            sides[self.data["target"]] = judged[0].folder / TARGET
        for told, one in zip(self.data["runs"], judged, strict=True):
            sides[told["folder"]] = one.folder / OUTPUT
        self.pictures = {
            f"{place}/{file_name(i)}": folder / file_name(i)
            for place, folder in sides.items()
            for i in range(len(self.data["names"]))
        }

    def _make(self, scratch: Path, line: ProgressLine, progress: Callable[[int], None]) -> None:
        before = 0

        def show(done: int, of_run: int) -> None:
            line.show(before + done)
            progress(before + done)

        for place, run in enumerate(self._runs):
            if self._kept[place] is None:
                run.say = line.say
                self._kept[place] = run.make(scratch, show)
                before += run.count
                _check_targets(self._runs, self._kept)

    def files(self, back: str = "") -> dict[str, Content]:
        """Everything that the gallery consists of, by paths in its folder, for a server.

        Args:
          back: a page beside it to link to, empty for none.
        """
        page, data = self._render(back).encode(), json.dumps(self.data).encode()
        return {self.page: page, self._data_file: data, **self.pictures}

    @property
    def _data_file(self) -> str:
        return f"{self._place}.json"

    def _render(self, back: str) -> str:
        ways = [(way.direction, "" if way is self else way.page) for way in self.ways]
        return render_gallery(self.data, back, ways)

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Writes it into a folder; what else is in that stays, such as the page to draw on, to
        which it then links.

        Returns:
          The page, ``gallery.html``.

        Raises:
          UserError: another folder of the pictures' name is there.
          OSError: the folder cannot be written.
        """
        folder = Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        _write_pictures(folder, self._place, self.pictures)
        write_text(folder / self._data_file, json.dumps(self.data))
        back = INDEX if (folder / INDEX).is_file() else ""
        write_text(folder / self.page, self._render(back))
        return folder / self.page


def open_galleries(
    workdirs: Sequence[str | os.PathLike[str]],
    how: How | None = None,
    scorer: str = "",
    say: Callable[[str], None] = say,
) -> list[Gallery]:
    """The gallery of runs; of those that all learned both ways one for each direction, the first
    run's own first, unless `how` has one. See `Gallery`.

    Raises:
      UserError: there is none. A second direction that has none is told of.
    """
    how = how or How()
    first, *others = [load_config(workdir).directions for workdir in workdirs] or [()]
    shared = [way for way in first if all(way in of for of in others)]
    if how.direction or len(shared) < 2:
        return [Gallery(workdirs, how, scorer, say)]
    found: list[Gallery] = []
    for way in shared:
        place = f"{FOLDER}-{way}" if found else FOLDER
        try:
            found.append(
                Gallery(workdirs, dataclasses.replace(how, direction=way), scorer, say, place)
            )
        except UserError as error:
            if not found:
                raise
            say(f"note: no gallery of {way}, for {error}")
    for gallery in found:
        gallery.ways = found if len(found) > 1 else []
    return found


def write_gallery(
    workdirs: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    how: How | None = None,
    *,
    scorer: str = "",
    say: Callable[[str], None] = say,
) -> Path:
    """Makes the gallery of runs and writes it, or those of both directions; returns the first page.
    See `open_galleries` and `Gallery.write`."""
    check_writable(Path(folder).expanduser(), "--gallery_output")
    galleries = open_galleries(workdirs, how, scorer, say)
    with tempfile.TemporaryDirectory() as scratch:
        for gallery in galleries:
            gallery.make(Path(scratch))
        first, *_ = [gallery.write(folder) for gallery in galleries]
        return first


def render_waiting(text: str, again: bool) -> bytes:
    """The page that stands in for a gallery that is not made.

    Args:
      text: how far it is, or why there is none, in a sentence.
      again: whether the page looks again by itself.
    """
    return web_template("gallery", "waiting.html").render(text=text, again=again).encode()


def render_gallery(
    gallery: dict[str, Any], back: str = "", ways: Sequence[tuple[str, str]] = ()
) -> str:
    """The page as text; its pictures are files beside it.

    Args:
      gallery: what ``gallery.json`` holds.
      back: a page beside it to link to, empty for none.
      ways: the directions of which there are galleries, with the page of each, empty for this one.
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
        gallery=gallery,
        rows=rows,
        back=back,
        ways=ways,
        script=web_script("gallery", "page.js"),
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


def _check_targets(runs: list[JudgedRun], found: list[Judged | None]) -> None:
    """Whether those that are there have the same images."""
    there = [(run, judged) for run, judged in zip(runs, found, strict=True) if judged is not None]
    for run, judged in there[1:]:
        first, expected = there[0]
        if any(
            judged.facts[key] != expected.facts[key] for key in ("names", "size", "targets_sha256")
        ):
            raise UserError(other_images(first, run))


def _data(
    runs: list[JudgedRun], judged: list[Judged], names: list[str], folder: str
) -> dict[str, Any]:
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
        "note": " ".join(filter(None, (runs[0].note, _left_out(first["left_out"])))),
        "width": width,
        "height": height,
        "input": f"{folder}/{INPUT}",
        "target": f"{folder}/{TARGET}" if first["paired"] else None,
        "names": first["names"],
        "measures": list(measures.values()),
        "headline": headline[:_HEADLINES],
        "truth": truths,
        "runs": [
            {
                "name": name,
                "about": _about(run, one.facts),
                "folder": f"{folder}/{place}",
                "settings": settings[place - 1],
                **{
                    key: {k: v for k, v in one.facts[key].items() if not measures[k]["truth"]}
                    for key in ("numbers", "errors", "scores")
                },
            }
            for place, (name, run, one) in enumerate(zip(names, runs, judged, strict=True), 1)
        ],
    }


def _left_out(share: float | None) -> str:
    """What to know where some pixels are not measured."""
    if not share:
        return ""
    return f"{share:.2%} of the pixels are not measured: there all outputs show the target."


def _about(run: JudgedRun, facts: dict[str, Any]) -> str:
    """How a run's pictures were made, in a few words."""
    parts = [f"step {facts['step']:,}"]
    if run.model.config.average_decay:
        parts.append(f"{facts['weights']} weights")
    if len(run.model.config.directions) > 1:
        parts.append(run.model.direction)
    drawn = ["latent"] if run.model.config.latent_size else []
    drawn += [] if facts["deterministic"] else ["noise"]
    if drawn:
        parts.append(f"{' and '.join(drawn)} of seed {facts['seed']}")
    if facts["deterministic"]:
        parts.append("without noise")
    return " · ".join(parts)


def _unlike_settings(runs: list[JudgedRun]) -> list[dict[str, str]]:
    """Of each run the settings in which the runs differ; nothing of where its files lie."""
    values = [plain_values(run.model.config) for run in runs]
    fields = dict.fromkeys(name for some in values for name in some)
    unlike = [
        name
        for name in fields
        if name not in (*PLACES, "data_dir", "init_from", "label_palette", "perceptual")
        and len({json.dumps(some.get(name), default=str) for some in values}) > 1
    ]
    return [{name: _text(some[name]) for name in unlike if name in some} for some in values]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value in ("", None) else str(value)


def _write_pictures(folder: Path, name: str, pictures: Mapping[str, Path]) -> None:
    """Puts all pictures into the folder, in place of those of an earlier gallery."""
    place = folder / name
    if place.exists() and not (folder / f"{name}.json").is_file():
        raise UserError(
            f"{place} is there already and is no gallery of ours; give another --gallery_output"
        )
    hidden = folder / f".{name}.{secrets.token_hex(4)}.tmp"
    try:
        for path_of, source in pictures.items():
            path = hidden / Path(path_of).relative_to(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            _link(source, path)
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
