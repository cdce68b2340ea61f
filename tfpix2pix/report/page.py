"""The report of a run: one HTML page that holds everything it shows.

`write_report` reads a workdir's text files (`records.py`) and sample pictures
(`grids.py`), draws the curves (`curves.py`) and fills `templates/report.html`.
The page loads nothing from anywhere: style, curves and pictures are inside it,
so it can be mailed, archived and opened without a network.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfpix2pix.algorithms import registry
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_bytes
from tfpix2pix.base.grid import encode_png, to_rgb
from tfpix2pix.config.declared import ChartSpec, Measure
from tfpix2pix.report import grids
from tfpix2pix.report.curves import Chart, Line, draw
from tfpix2pix.report.html import templates
from tfpix2pix.report.records import Record, RunRecords, number, read_records, series

MAX_STEPS_SHOWN = 8
# The longest side, in pixels, of the pictures in the page: more than it shows, on any screen.
_PICTURE, _THUMBNAIL = 512, 160
_JPEG_QUALITY = 90


def write_report(workdir: str | os.PathLike) -> Path:
    """Writes `report.html` into a workdir, whatever of the run is there so far.

    Reads `config.json`, `run.json`, `metrics.jsonl` and `samples/`. What is missing is left
    out or said to be missing; a file that cannot be read is named on the page. The page is
    replaced as a whole: when writing fails, an older one stays.

    Args:
      workdir: the folder of a run; shown in the page's commands as it is given here.

    Returns:
      The page's path.

    Raises:
      FileNotFoundError: there is no such folder.
      OSError: the page cannot be written.
    """
    workdir = Path(workdir)
    if not workdir.is_dir():
        raise FileNotFoundError(f"There is no folder {workdir}.")
    path = workdir / "report.html"
    write_bytes(path, _render(workdir).encode("utf-8", "replace"))
    return path


def _render(workdir: Path) -> str:
    records = read_records(workdir)
    samples = _read_samples(workdir, records.problems)
    environment = templates()
    environment.filters["picture"] = lambda image: data_uri(_fitted(image, _PICTURE))
    environment.filters["thumbnail"] = lambda image: data_uri(_fitted(image, _THUMBNAIL))
    return environment.get_template("report.html").render(
        name=workdir.resolve().name,
        summary=_summary(records),
        state=_state(records),
        headline=_headline(records),
        val_table=_val_table(records),
        notes=records.notes,
        problems=records.problems,
        samples=samples,
        charts=_drawn_charts(records),
        config=_table(records.config),
        facts=_facts(records.run),
        command=_text(records.run.get("command")),
        run_note=_text(records.run.get("note")),
        quoted_workdir=shlex.quote(os.fspath(workdir)),
        written=datetime.now().astimezone(),
    )


# === Pictures ===


@dataclass(frozen=True)
class Samples:
    """The sample pictures a page shows.

    Attributes:
      pairs: the fixed ones.
      outputs: by step, uint8 `[N, H, W, C]`.
      there, back: further columns of the last of these steps, see `grids.load_further`.
      words: what they are called.
    """

    pairs: grids.FixedPairs | None = None
    outputs: dict[int, np.ndarray] = field(default_factory=dict)
    there: dict[str, np.ndarray] = field(default_factory=dict)
    back: dict[str, np.ndarray] = field(default_factory=dict)
    words: grids.Words = field(default_factory=grids.Words)

    @property
    def ways(self) -> list[tuple[str, Sequence[str], list[tuple[str, str, np.ndarray]]]]:
        """What is shown of each direction: its heading (empty where there is one alone), names of
        its images, and (caption, words for ``alt``, pictures) of each column."""
        pairs, words = self.pairs, self.words
        if pairs is None:
            return []
        x = (words.x, "Input of pair {}", pairs.x)
        y = (words.y, "Target of pair {}", pairs.y)
        there = [x]
        if self.outputs:
            alt = f"Output for pair {{}}, at step {self.last_step}"
            there.append((words.there, alt, self.outputs[self.last_step]))
        there += self._columns(self.there)
        if not self.back:
            return [("", pairs.names, [*there, y])]
        back = [y, *self._columns(self.back)]
        if pairs.paired:  # what each should have been
            there, back = [*there, y], [*back, x]
        return [
            (words.there, pairs.names, there),
            (words.back, pairs.names_y or pairs.names, back),
        ]

    def _columns(self, made: dict[str, np.ndarray]) -> list[tuple[str, str, np.ndarray]]:
        names = ((self.words.column(name), of) for name, of in made.items())
        return [(name, f"{name.capitalize()} of pair {{}}", of) for name, of in names]

    @property
    def last_step(self) -> int:
        """The latest step with outputs; there must be one."""
        return max(self.outputs)

    @property
    def tile(self) -> int:
        """The width in CSS pixels at which a pair's pictures are shown, where there is room."""
        return min(320, max(160, 2 * self.pairs.y.shape[2])) if self.pairs else 0


def _read_samples(workdir: Path, problems: list[str]) -> Samples:
    """The fixed pairs and the outputs of a few steps; what cannot be read joins `problems`."""
    try:
        fixed = grids.load_fixed(workdir)
    except FileNotFoundError:
        return Samples()
    except (OSError, ValueError) as error:
        problems.append(f"The sample pictures could not be read: {error}")
        return Samples()
    outputs = {}
    for step in spread(grids.sample_steps(workdir), MAX_STEPS_SHOWN):
        try:
            outputs[step] = grids.load_outputs(workdir, step, fixed)
        except (OSError, ValueError) as error:
            problems.append(f"The sample pictures of step {step:,} could not be read: {error}")
    there: dict[str, np.ndarray] = {}
    back: dict[str, np.ndarray] = {}
    if outputs:
        try:
            there, back = grids.load_further(workdir, max(outputs), fixed)
        except (OSError, ValueError) as error:
            problems.append(f"The further sample pictures could not be read: {error}")
    return Samples(fixed, outputs, there, back, grids.Words.of(workdir, bool(back)))


def spread(items: Sequence, limit: int) -> list:
    """At most `limit` of `items`, evenly chosen, the first and the last always among them."""
    if len(items) <= limit:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, limit).round().astype(int)]


def data_uri(image: np.ndarray) -> str:
    """A picture, uint8 `[H, W, C]`, as text for `src`: PNG or good JPEG, whichever is smaller."""
    picture = Image.fromarray(np.ascontiguousarray(to_rgb(image)))
    try:
        content = _jpeg(picture, optimize=True)
    except OSError:  # Pillow's buffer for that is too small for noise
        content = _jpeg(picture, optimize=False)
    kind = "jpeg"
    exact = encode_png(np.asarray(picture))
    if len(exact) <= len(content):
        kind, content = "png", exact
    return image_uri(content, kind)


def _jpeg(picture: Image.Image, optimize: bool) -> bytes:
    buffer = io.BytesIO()
    # Colours at full resolution: label maps have sharp coloured edges.
    picture.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0, optimize=optimize)
    return buffer.getvalue()


def image_uri(content: bytes, kind: str = "png") -> str:
    """An image file's bytes as text for `src`."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _fitted(image: np.ndarray, longest: int) -> np.ndarray:
    """The picture, made smaller where a side exceeds `longest` pixels: uint8 `[h, w, 3]`."""
    picture = Image.fromarray(np.ascontiguousarray(to_rgb(image)))
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(picture)


# === Figures in words ===


def duration(seconds: float) -> str:
    """A length of time as people say it: `"48 s"`, `"7 min 30 s"`, `"2 h 5 min"`."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"


def _last(records: Sequence[Record], *keys: str) -> float:
    values = series(records, *keys)[1]
    return float(values[-1]) if len(values) else math.nan


def _first_number(*values: float) -> float:
    return next((value for value in values if not math.isnan(value)), math.nan)


def _steps_done(records: RunRecords) -> float:
    return _first_number(number(records.run, "steps_done"), _last(records.train, "step"))


def _state(records: RunRecords) -> str:
    """`"finished"`, `"not finished"` or `"not started"`."""
    if records.run.get("finished") is True:
        return "finished"
    done, total = _steps_done(records), number(records.run, "steps_total")
    if not done > 0:
        return "not started"
    return "finished" if done >= total else "not finished"


def _summary(records: RunRecords) -> str:
    """One line: what the run learns from, and how."""
    config = records.config
    known = {
        "preset": "preset {}",
        "direction": "{}",
        "crop_size": "{} px",
        "loss": "loss {}",
    }
    parts = [_text(records.run.get("dataset_summary")) or _text(config.get("dataset"))]
    parts += [form.format(_text(config[key])) for key, form in known.items() if config.get(key)]
    return " · ".join(part.strip().rstrip(".") for part in parts if part)


def _headline(records: RunRecords) -> list[tuple[str, str, str]]:
    """The run's figures: name, figure, and a word of explanation."""
    run, train = records.run, records.train
    done, total = _steps_done(records), number(run, "steps_total")
    epochs = _first_number(number(run, "epochs"), _last(train, "epoch"))
    seconds = _first_number(number(run, "train_seconds"), _last(train, "seconds"))
    speeds = series(train, "images_per_second")[1]
    figures = []
    if done >= 0:
        figures.append(("Steps", f"{done:,.0f}", f"of {total:,.0f}" if total >= 0 else ""))
    if epochs >= 0:
        figures.append(("Epochs", f"{epochs:,.1f}", "passes over the training pairs"))
    if seconds >= 0:
        figures.append(("Training time", duration(seconds), "wall clock"))
    if len(speeds):
        figures.append(("Speed", f"{np.median(speeds):,.1f}", "images per second (median)"))
    counts = run.get("parameters")
    found = {n: number(counts, n) for n in counts} if isinstance(counts, dict) else {}
    known = {name: count for name, count in found.items() if count >= 0}
    if known:
        # The network that makes pictures comes first; the others are named behind its figure.
        first = "generator" if "generator" in known else next(iter(known))
        others = [f"{name} {_millions(known[name])}" for name in known if name != first]
        words = "; ".join(["weights", *others])
        figures.append((first.replace("_", " ").capitalize(), _millions(known[first]), words))
    return figures


def _millions(count: float) -> str:
    return f"{count / 1e6:,.1f} M" if count >= 1e5 else f"{count:,.0f}"


def _val_table(records: RunRecords) -> list[dict[str, str]]:
    """Best and last of each validation measure, with their steps."""
    rows = []
    for measure in _declared(records)[1]:
        steps, values = series(records.val, measure.name)
        if not len(values):
            continue
        best = measure.best(values)
        rows.append(
            {
                "name": measure.title,
                "meaning": measure.meaning,
                "best": measure.written(values[best]),
                "best_step": f"{steps[best]:,.0f}",
                "last": measure.written(values[-1]),
                "last_step": f"{steps[-1]:,.0f}",
            }
        )
    return rows


def _text(value: Any) -> str:
    """A JSON value as a person reads it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(values: Record) -> list[tuple[str, str]]:
    return [(str(key), "none" if v is None else _text(v)) for key, v in values.items()]


def _facts(run: Record) -> list[tuple[str, str]]:
    """Weights and versions from `run.json`, as rows."""
    rows = []
    origin = run.get("init_from")
    if isinstance(origin, dict):
        rows.append(
            ("started from", f"{_text(origin.get('run'))}, step {_text(origin.get('step'))}")
        )
    for group, form in (("parameters", "{} weights"), ("versions", "{}")):
        values = run.get(group)
        for key, value in values.items() if isinstance(values, dict) else ():
            shown = f"{value:,}" if isinstance(value, int) else _text(value)
            rows.append((form.format(key), shown or "none"))
    return rows


# === Curves ===


SPEED = ChartSpec(
    "speed",
    "Speed",
    "Training pairs worked through each second. It should be flat; a dip is "
    "another program on the machine, or a data set that is read too slowly.",
    "images per second",
    (("images per second", "train", "images_per_second"),),
    from_zero=True,
)


def _declared(records: RunRecords) -> tuple[list[ChartSpec], list[Measure]]:
    """The charts and measures that a run's algorithm declares.

    They stand in ``run.json``. Runs from before that have those of their algorithm as it is now,
    and one that is not known has a chart of every loss.
    """
    try:
        charts = [ChartSpec.from_dict(each) for each in records.run["charts"]]
        measures = [Measure.from_dict(each) for each in records.run["measures"]]
    except (KeyError, TypeError, ValueError, IndexError):
        try:
            config = registry.config_class(records.config.get("algorithm", registry.DEFAULT))
        except UserError:
            return [*_chart_of_losses(records), *_chart_of_rates(records), SPEED], []
        charts, measures = list(config.CHARTS), list(config.MEASURES)
    return [*charts, *_chart_of_rates(records), SPEED], measures


def _chart_of_rates(records: RunRecords) -> list[ChartSpec]:
    """The learning rate of each network, one line where they are the same."""
    found = [r["learning_rate"] for r in records.train if isinstance(r.get("learning_rate"), dict)]
    names = list(dict.fromkeys(name for rates in found for name in rates))
    if all(len(set(map(repr, rates.values()))) < 2 for rates in found):
        names = names[:1]
    lines = tuple(
        (
            name.replace("_", " ") if len(names) > 1 else "learning rate",
            "train",
            "learning_rate",
            name,
        )
        for name in names
    )
    caption = (
        "Adam's step size, by --lr_schedule. A jump is a sitting that was given another "
        "--learning_rate."
    )
    spec = ChartSpec(
        "rate", "Training: the learning rate", caption, "learning rate", lines, from_zero=True
    )
    return [spec] if names else []


def _chart_of_losses(records: RunRecords) -> list[ChartSpec]:
    groups = [r["losses"] for r in records.train if isinstance(r.get("losses"), dict)]
    names = list(dict.fromkeys(name for group in groups for name in group))
    lines = tuple((name.replace("_", " "), "train", "losses", name) for name in names)
    return [ChartSpec("losses", "Training: losses", "As the run recorded them.", "loss", lines)]


def _best_step(records: RunRecords) -> float | None:
    """The step of the best checkpoint, as the run says or, of older runs, by its measurements."""
    step = number(records.run, "best", "step")
    if not math.isnan(step):
        return step
    for measure in _declared(records)[1]:
        steps, values = series(records.val, measure.name)
        if measure.name == records.config.get("best_metric") and len(values):
            return float(steps[measure.best(values)])
    return None


def _drawn_charts(records: RunRecords) -> list[dict[str, str]]:
    kinds = {"train": records.train, "val": records.val}
    drawn, best = [], _best_step(records)
    for spec in _declared(records)[0]:
        lines = [
            Line(label, *series(kinds.get(kind, []), *keys)) for label, kind, *keys in spec.lines
        ]
        chart = Chart(
            spec.key,
            spec.y_label,
            lines,
            y_range=spec.y_range,
            reference=spec.reference,
            mark=spec.mark,
            from_zero=spec.from_zero,
            best=best if any(kind == "val" for _, kind, *_ in spec.lines) else None,
        )
        drawn.append({"heading": spec.heading, "caption": spec.caption, "svg": draw(chart)})
    return [chart for chart in drawn if chart["svg"]]
