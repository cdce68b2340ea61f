"""The page of a comparison: for each number two models, their difference and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tfpix2pix.report.evaluation_page import error_digits, error_text, scorer_text, shown, summary
from tfpix2pix.report.html import templates

if TYPE_CHECKING:
    from tfpix2pix.evaluation.comparison import Difference
    from tfpix2pix.evaluation.results import Evaluation

HEADINGS = ("", "A", "B", "B - A", "± SE", "95 % interval", "p", "p (Holm)", "better")

NOTE = (
    "B - A over the same images: standard error and 95 % interval by the paired bootstrap, p by a "
    "paired permutation test with {permutations:,} random swaps. Among {tests} tests a p below "
    "0.05 may be chance, so judge by p (Holm), which allows for their number; a model is called "
    "better where that is below 0.05. All this is about images: whether another training of the "
    "same models would differ alike, only other seeds can say."
)


def rows(differences: Sequence[Difference]) -> list[tuple[str, ...]]:
    """The cells of each number, as `HEADINGS` has them."""
    return [
        (
            d.number.title,
            shown(d.a, d.number),
            shown(d.b, d.number),
            _signed(d.difference, error_digits(d.error, d.number)),
            error_text(d.error, d.number),
            _interval(d),
            _p(d.p),
            _p(d.p_holm),
            (d.better if d.is_sure else "not sure") if d.number.better else "",
        )
        for d in differences
    ]


def note(differences: Sequence[Difference], permutations: int) -> str:
    """How to read the table, in some sentences."""
    tests = sum(math.isfinite(d.p) for d in differences)
    return NOTE.format(permutations=permutations, tests=tests)


def render_comparison(
    names: Sequence[str],
    first: Evaluation,
    found: Mapping[str, list[Difference]],
    permutations: int,
) -> str:
    """The page as text; it loads nothing from anywhere.

    Args:
      names: of the models, A of every comparison being the first.
      first: its evaluation.
      found: for each other name its differences to the first.
      permutations: of each test.
    """
    return (
        templates()
        .get_template("comparison.html")
        .render(
            names=names,
            summary=summary(first, with_model=False),
            scorer=scorer_text(first),
            headings=HEADINGS,
            comparisons=[
                (name, rows(differences), note(differences, permutations))
                for name, differences in found.items()
            ],
        )
    )


def _signed(value: float, digits: int) -> str:
    return f"{value:+,.{digits}f}" if math.isfinite(value) else "-"


def _interval(d: Difference) -> str:
    if not math.isfinite(d.low):
        return "-"
    digits = error_digits(d.error, d.number)
    return f"{_signed(d.low, digits)} to {_signed(d.high, digits)}"


def _p(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.4f}"
