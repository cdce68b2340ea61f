"""The page of an evaluation: one HTML file that holds everything it shows."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.files import write_bytes
from tfpix2pix.base.size import Size
from tfpix2pix.evaluation.results import PAGE, Evaluation, check_output
from tfpix2pix.report.html import templates
from tfpix2pix.report.page import data_uri, image_uri

if TYPE_CHECKING:
    from tfpix2pix.evaluation.base import Number

BETTER = {"higher": "higher is better", "lower": "lower is better", "": ""}
_BINS = 24
_MATRICES = {
    ("fcn", "fake"): "The scorer on the generated pictures",
    ("fcn", "truth"): "The scorer on the true photographs",
    ("labels", "fake"): "Generated label images",
}


def write_evaluation_page(folder: str | os.PathLike[str], evaluation: Evaluation) -> Path:
    """Writes ``evaluation.html``, which stands beside the files of `Evaluation.save`.

    Returns:
      Its path.

    Raises:
      UserError: the folder holds something else.
    """
    folder = Path(folder)
    check_output(folder)
    page = render_evaluation(evaluation)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / PAGE, page.encode("utf-8", "replace"))
    return folder / PAGE


def render_evaluation(evaluation: Evaluation) -> str:
    """The page as text; it loads nothing from anywhere and says nothing that changes by itself."""
    facts, ranked = evaluation.facts, evaluation.ranked
    return (
        templates()
        .get_template("evaluation.html")
        .render(
            name=subject(evaluation),
            summary=summary(evaluation),
            scorer=scorer_text(evaluation),
            rows=score_rows(evaluation),
            ranked=ranked,
            examples=evaluation.examples,
            rank_value=lambda value: shown(value, ranked.number) if ranked else "",
            histogram=histogram(ranked.values) if ranked else None,
            picture=data_uri,
            plots=_plots(evaluation),
            facts=fact_rows(evaluation),
            images=evaluation.images,
            versions=facts.get("versions", {}),
        )
    )


# === Figures in words ===


def score_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str]]:
    """(title, value, standard error, which way is better) of every number."""
    return [
        (n.title, shown(v, n), error_text(e, n), BETTER[n.better]) for n, v, e in evaluation.rows()
    ]


def subject(evaluation: Evaluation) -> str:
    """What was scored, as the user named it."""
    return str(evaluation.facts.get("model", {}).get("path") or "a model")


def summary(evaluation: Evaluation, with_model: bool = True) -> str:
    """One line: on what, and how the pictures were made."""
    facts = evaluation.facts
    model = facts.get("model", {})
    parts = [
        f"{evaluation.counted} {facts.get('split', '')} images of {size_text(evaluation)}",
        str(facts.get("dataset", {}).get("name", "")),
    ]
    if model.get("direction"):
        parts.append(model["direction"])
    if not with_model:
        return " · ".join(part for part in parts if part)
    step = model.get("step")
    if step is not None:
        parts.append(f"step {step:,}")
    if facts.get("deterministic"):
        parts.append("without noise")
    elif facts.get("seed") is not None:
        parts.append(f"noise of seed {facts['seed']}")
    return " · ".join(part for part in parts if part)


def size_text(evaluation: Evaluation) -> str:
    """What the pictures were resized to, width x height; ``?`` where the facts do not tell."""
    try:
        return Size.of(evaluation.facts.get("size")).shown
    except ValueError:
        return "?"


def scorer_text(evaluation: Evaluation) -> str:
    """One sentence on the scorer; empty where there is none."""
    scorer = evaluation.facts.get("scorer")
    if not scorer:
        return ""
    val = scorer["val"]
    return (
        f"scorer {scorer['identity'][:12]} ({scorer['palette']}, {scorer['size']} px): on its own "
        f"val split per-pixel {val['per_pixel']:.4f}, per-class {val['per_class']:.4f}, IoU "
        f"{val['iou']:.4f}, {val['images']:,} images"
    )


def shown(value: float, number: Number) -> str:
    """A number with its digits, or a dash where it has no value."""
    return f"{value:,.{number.digits}f}" if math.isfinite(value) else "-"


def error_text(error: float, number: Number) -> str:
    """A standard error with digits enough to be more than 0, or a dash."""
    return f"{error:,.{error_digits(error, number)}f}" if math.isfinite(error) else "-"


def error_digits(error: float, number: Number) -> int:
    """Digits after the point: the number's own, or as many as show two of a small error's."""
    if not error > 0:  # 0, or none
        return number.digits
    return max(number.digits, 1 - math.floor(math.log10(error)))


def fact_rows(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What was scored on what, as (name, text)."""
    facts = evaluation.facts
    model, data = facts.get("model", {}), facts.get("dataset", {})
    rows = [(f"model, {key}", value) for key, value in model.items()]
    rows += [(f"data, {key}", value) for key, value in data.items()]
    keys = ("split", "images", "targets", "size", "samples", "seed", "deterministic")
    rows += [(key, facts.get(key)) for key in keys]
    rows += [(key.replace("_", " "), facts.get(key)) for key in facts if key.endswith("_sha256")]
    return [(key, str(value)) for key, value in rows if value is not None and value != ""]


# === Pictures ===


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins of one width; `bars` holds (x, height, title), each 0 to 100."""

    low: float
    high: float
    top: int
    bars: list[tuple[float, float, str]]

    @property
    def width(self) -> float:
        return 100.0 / len(self.bars)


def histogram(values: Sequence[float], bins: int = _BINS) -> Histogram | None:
    """The histogram of what is finite among values; None of nothing."""
    there = np.asarray(values, np.float64)
    there = there[np.isfinite(there)]
    if not there.size:
        return None
    counts, edges = np.histogram(there, min(bins, max(1, there.size)))
    top = int(counts.max())
    bars = [
        (100.0 * i / len(counts), 100.0 * int(count) / top, f"{low:.4g} to {high:.4g}: {count}")
        for i, (count, low, high) in enumerate(zip(counts, edges[:-1], edges[1:], strict=True))
    ]
    return Histogram(float(edges[0]), float(edges[-1]), top, bars)


def _plots(evaluation: Evaluation) -> list[tuple[str, str]]:
    """(title, data URI) of the confusion matrices and of the colour distributions."""
    from tfpix2pix.report.evaluation_plots import color_plot, confusion_plot

    plots = []
    names = evaluation.facts.get("classes") or []
    for (evaluator, which), title in _MATRICES.items():
        matrices = evaluation.statistics.get(evaluator, {}).get(which)
        if matrices is not None and len(names) == matrices.shape[1]:
            total = matrices.sum(axis=0, dtype=np.int64)
            plots.append((title, image_uri(confusion_plot(total, names))))
    color = evaluation.statistics.get("color")
    if color:
        from tfpix2pix.evaluation.color import summed

        plot = color_plot({"generated": summed(color, "fake")}, summed(color, "truth"))
        plots.append(("Colours in CIELAB, as in the paper's Figure 7", image_uri(plot)))
    return plots
