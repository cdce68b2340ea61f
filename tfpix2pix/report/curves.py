"""Curves as SVG text to be set into a page, in the page's own colours.

The charts are drawn by matplotlib with placeholder colours that become CSS
variables (`var(--ink)`, `var(--series-1)`, ...), so that one drawing serves
light and dark pages and paper. Text stays text: it can be found and copied.
"""

from __future__ import annotations

import html
import io
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

MAX_POINTS = 300

# Colours no chart uses otherwise, and the CSS variables that take their places.
_INK, _MUTED, _GRID = "#010101", "#020202", "#030303"
_SERIES = ("#040404", "#050505", "#060606", "#070707", "#080808", "#090909")
_DASHES = ("-", "-", "--", "-.", ":", (0, (6, 2, 1, 2, 1, 2)))
_VARIABLES = {_INK: "--ink", _MUTED: "--muted", _GRID: "--rule"} | {
    colour: f"--series-{i}" for i, colour in enumerate(_SERIES, 1)
}
_WIDTH, _HEIGHT = 5.6, 3.3  # inches of 72 units; small, so that text is legible on a phone
_MARGIN = 0.04  # inches around it all


@dataclass(frozen=True)
class Line:
    """One curve: its name in the legend, and values `[K]` at steps `[K]`, both finite."""

    label: str
    steps: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Chart:
    """One set of axes over training steps.

    Attributes:
      key: a short name, unique in the page, of letters and hyphens.
      y_label: what the curves show, with the unit.
      lines: the curves; those without points are left out.
      y_range: fixed limits, else they follow the curves.
      reference: a dotted level and its name, such as `(0.5, "guessing")`.
      mark: "min" or "max" to mark the best point of the first curve.
      from_zero: the axis includes 0.
      best: the step of the best checkpoint, marked by an upright line; None for no mark.
    """

    key: str
    y_label: str
    lines: Sequence[Line]
    y_range: tuple[float, float] | None = None
    reference: tuple[float, str] | None = None
    mark: str | None = None
    from_zero: bool = False
    best: float | None = None


def thin(
    steps: np.ndarray, values: np.ndarray, limit: int = MAX_POINTS
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Averages neighbours so that at most `limit` points are left.

    Returns:
      Steps, means, lowest and highest values, float `[min(K, limit)]` each. The last two keep
      the spikes that averaging hides.
    """
    if len(steps) <= limit:
        return steps, values, values, values
    groups = np.array_split(np.arange(len(steps)), limit)
    parts = [(steps[g].mean(), values[g].mean(), values[g].min(), values[g].max()) for g in groups]
    centres, means, lows, highs = (np.array(part) for part in zip(*parts, strict=True))
    return centres, means, lows, highs


def describe(chart: Chart) -> str:
    """The chart in words, for those who cannot see it."""
    parts = [
        f"{line.label} from {line.values[0]:.4g} at step {line.steps[0]:,.0f} "
        f"to {line.values[-1]:.4g} at step {line.steps[-1]:,.0f}"
        for line in chart.lines
        if len(line.steps)
    ]
    return f"Chart of {chart.y_label} over training steps: " + "; ".join(parts) + "."


def draw(chart: Chart) -> str:
    """Draws a chart as an `<svg>` element; an empty string when no curve has a point."""
    lines = [line for line in chart.lines if len(line.steps)]
    if not lines:
        return ""
    # Here and not above: matplotlib takes a second to import, `import tfpix2pix.report` should not.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with _settings():
        figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=72)
        canvas = FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for line, colour, dashes in zip(lines, _SERIES, _DASHES, strict=False):
            _draw_line(axes, line, colour, dashes)
        _mark_best(axes, lines[0], chart.mark)
        _dress(axes, chart, lines)
        _fit(axes)
        buffer = io.StringIO()
        canvas.print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _for_page(buffer.getvalue(), chart)


@contextmanager
def _settings() -> Iterator[None]:
    """Matplotlib's defaults for a moment, whatever the user's own settings are."""
    import matplotlib

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": "tfpix2pix",
                "text.parse_math": False,
                "font.size": 10.5,
                "text.color": _INK,
                "axes.labelcolor": _INK,
                "axes.edgecolor": _MUTED,
                "xtick.color": _MUTED,
                "ytick.color": _MUTED,
                "xtick.labelcolor": _INK,
                "ytick.labelcolor": _INK,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.formatter.useoffset": False,
            }
        )
        yield


def _draw_line(axes, line: Line, colour: str, dashes) -> None:
    steps, means, lows, highs = thin(line.steps, line.values)
    if lows is not means:
        axes.fill_between(steps, lows, highs, color=colour, alpha=0.18, linewidth=0)
    marker = "o" if len(steps) <= 25 else None
    axes.plot(
        steps, means, color=colour, linestyle=dashes, linewidth=1.6, marker=marker, markersize=3.5,
        label=line.label.lstrip("_") or "?",
    )  # fmt: skip


def _mark_best(axes, line: Line, mark: str | None) -> None:
    if mark is None:
        return
    best = int(np.argmin(line.values) if mark == "min" else np.argmax(line.values))
    axes.plot(
        line.steps[best], line.values[best], color=_SERIES[1], linestyle="none", marker="o",
        markersize=7, label=f"best: {line.values[best]:.4g}, step {line.steps[best]:,.0f}",
    )  # fmt: skip


def _dress(axes, chart: Chart, lines: Sequence[Line]) -> None:
    """Labels, limits, ticks, legend and the reference level."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if chart.reference is not None:
        level, name = chart.reference
        axes.axhline(level, color=_MUTED, linestyle=(0, (1, 2)), linewidth=1.4, label=name)
    if chart.best is not None:
        axes.axvline(
            chart.best, color=_MUTED, linewidth=1.2, zorder=1,
            label=f"best checkpoint, step {chart.best:,.0f}",
        )  # fmt: skip
    if chart.y_range is not None:
        axes.set_ylim(*chart.y_range)
    elif chart.from_zero:
        axes.set_ylim(bottom=min(0.0, *(line.values.min() for line in lines)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.set_xlabel("training step")
    axes.set_ylabel(chart.y_label)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderaxespad=0.2,
            handlelength=1.6, columnspacing=1.2, fontsize=9.5,
        )  # fmt: skip


def _fit(axes) -> None:
    """Makes the axes as large as the figure has room for, beside their labels and legend.

    By hand: matplotlib's "constrained" layout measures every text of the axes twice, which took
    a third of the time that a chart takes.
    """
    figure, place = axes.figure, axes.get_position()
    whole = axes.get_tightbbox().transformed(figure.transFigure.inverted())
    left, bottom = place.x0 - whole.x0, place.y0 - whole.y0
    right, top = whole.x1 - place.x1, whole.y1 - place.y1
    x, y = (_MARGIN / size for size in (_WIDTH, _HEIGHT))
    axes.set_position([left + x, bottom + y, 1 - left - right - 2 * x, 1 - bottom - top - 2 * y])


def _for_page(svg: str, chart: Chart) -> str:
    """Cuts an SVG file down to an element of an HTML page, in the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # The white ground of the figure and of its axes: the page has its own.
    svg = re.sub(r'<g id="patch_[12]">.*?</g>', "", svg, count=2, flags=re.DOTALL)
    # Ids are unique in a page, and several charts share it.
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{chart.key}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    attributes = f'class="chart" role="img" aria-label="{html.escape(describe(chart))}"'
    opening = re.sub(r' (width|height)="[^"]*"', "", svg[: svg.index(">")])
    opening = opening.replace("<svg", f"<svg {attributes}", 1)
    return opening + svg[svg.index(">") :]
