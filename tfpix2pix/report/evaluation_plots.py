"""Pictures of an evaluation as PNG files: colour distributions (Fig. 7) and confusion matrices.

Fixed colours on white, unlike the curves of a page, so that they can stand in a paper or a README.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from tfpix2pix.evaluation.color import EDGES

GROUND_TRUTH = "ground truth"
# Okabe and Ito's colours, which people with any colour vision tell apart; the truth is black.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("-", "--", "-.", ":")
_TITLES = {"l": "L", "a": "a", "b": "b"}
_DPI = 150


def color_plot(
    models: Mapping[str, Mapping[str, np.ndarray]],
    truth: Mapping[str, np.ndarray],
) -> bytes:
    """The marginal distributions of L, a and b, log share over value, as in the paper's Figure 7.

    Args:
      models: for each label in the legend the histograms of its pictures, counts ``[bins]`` under
        ``l``, ``a`` and ``b``, the bins of `tfpix2pix.evaluation.color.EDGES`; any number.
      truth: the histograms of the ground truth, drawn as the black line.

    Returns:
      A PNG file's bytes. Empty bins leave a gap, since their logarithm has no value.
    """
    with _figure(width=9.6, height=3.4) as (figure, png):
        axes = figure.subplots(1, 3)
        for place, (axis, edges) in zip(axes, EDGES.items(), strict=True):
            centres = (edges[:-1] + edges[1:]) / 2
            for i, (label, histograms) in enumerate(models.items()):
                place.plot(
                    centres, log_shares(histograms[axis]), label=label.lstrip("_") or "?",
                    color=_COLOURS[i % len(_COLOURS)], linestyle=_DASHES[i % len(_DASHES)],
                    linewidth=1.4,
                )  # fmt: skip
            place.plot(
                centres, log_shares(truth[axis]), color="black", linewidth=1.4, label=GROUND_TRUTH
            )
            place.set_xlabel(_TITLES[axis])
            place.set_xlim(edges[0], edges[-1])
            place.grid(color="#dddddd", linewidth=0.6)
        axes[0].set_ylabel("log10 of the share of pixels")
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=5, frameon=False
        )
        return png()


def log_shares(counts: np.ndarray) -> np.ndarray:
    """log10 of each bin's share of the counts ``[bins]``, NaN where a bin is empty."""
    counts = np.asarray(counts, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.log10(counts / counts.sum())
    return np.where(counts > 0, shares, np.nan)


def confusion_plot(matrix: np.ndarray, names: Sequence[str], title: str = "") -> bytes:
    """A confusion matrix, each row in percent of the true class's pixels.

    Args:
      matrix: counts ``[K, K + 1]`` of `tfpix2pix.evaluation.confusion`; the last column, found
        void, is drawn where it holds anything.
      names: of the K classes.
      title: above it.

    Returns:
      A PNG file's bytes. Classes without a true pixel are grey rows.
    """
    shares = row_shares(matrix)
    columns = list(names)
    if np.asarray(matrix)[:, -1].any():
        columns.append("void")
    else:
        shares = shares[:, :-1]
    side = max(3.6, 1.8 + 0.42 * len(columns))
    with _figure(width=side, height=side) as (figure, png):
        axes = figure.add_subplot()
        axes.set_facecolor("#cccccc")
        axes.imshow(np.ma.masked_invalid(shares), cmap="Blues", vmin=0.0, vmax=1.0)
        axes.set_xticks(range(len(columns)), columns, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("found, in percent of the true class")
        axes.set_ylabel("true")
        if title:
            axes.set_title(title, fontsize=10)
        if len(columns) <= 20:  # more would not be legible
            for i, j in np.argwhere(shares >= 0.005):
                dark = shares[i, j] > 0.6
                axes.text(
                    j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=7,
                    color="white" if dark else "black",
                )  # fmt: skip
        return png()


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """Each row of counts divided by its sum; NaN in rows without a count."""
    matrix = np.asarray(matrix, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return matrix / matrix.sum(axis=1, keepdims=True)


@contextmanager
def _figure(width: float, height: float):
    """A figure of so many inches in matplotlib's defaults, and what makes a PNG file of it."""
    # Here and not above: matplotlib takes a second to import.
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"text.parse_math": False, "font.size": 9.5})
        figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)

        def png() -> bytes:
            buffer = io.BytesIO()
            # No name of the software and its version: equal plots are equal files.
            canvas.print_png(buffer, metadata={"Software": None})
            return buffer.getvalue()

        yield figure, png
