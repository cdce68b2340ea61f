"""The result of a study: a table for the terminal, ``score.json`` and a page."""

from __future__ import annotations

import functools
import io
import json
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from PIL import Image

from tfpix2pix.base.files import write_json, write_text
from tfpix2pix.report.html import templates
from tfpix2pix.report.page import image_uri
from tfpix2pix.study.folder import TRIAL
from tfpix2pix.study.scoring import Score, Share

FILE, PAGE = "score.json", "score.html"
_PICTURES = 4  # the most and the least fooling ones of each model
_LONGEST = 192  # of a picture on the page, pixels
_EACH = 3  # answers that a picture needs to be shown as such

NOTE = (
    "95 % intervals and standard errors are over participants and images: other people, other "
    "images of the same kind. They do not say how much another training would differ."
)


def headings(score: Score) -> tuple[str, ...]:
    """Of the table of `rows`."""
    if score.study.settings.ask == "fake":
        what = ("model", "fooled")
    else:
        what = ("models", "second preferred")
    return (*what, "95 % interval", "± SE", "p (50 %)", "trials", "participants", "images")


def rows(score: Score) -> list[tuple[str, ...]]:
    """The cells of each matchup."""
    return [
        (name, *_cells(share))
        for name, share in zip(score.study.names(), score.shares, strict=True)
    ]


def _cells(share: Share | None) -> tuple[str, ...]:
    if share is None:
        return ("-", "-", "-", "-", "0", "0", "0")
    return (
        percent(share.value),
        _interval(share.low, share.high),
        percent(share.error),
        _p(share.p),
        f"{share.trials:,}",
        f"{share.participants:,}",
        f"{share.images:,}",
    )


GAP_HEADINGS = ("difference", "points", "95 % interval", "p", "p (Holm)")


def gap_rows(score: Score) -> list[tuple[str, ...]]:
    """The cells of each difference between models."""
    names = score.study.names()
    return [
        (
            f"{names[gap.b]} - {names[gap.a]}",
            f"{100 * gap.value:+.1f}",
            _interval(gap.low, gap.high, "+", ""),
            _p(gap.p),
            _p(gap.p_holm),
        )
        for gap in score.gaps
    ]


def notes(score: Score) -> list[str]:
    """What was left out, and what to be careful of, in sentences."""
    found = []
    if score.inattentive:
        text = (
            "Participants left out since they missed too many checks: "
            f"{score.inattentive:,} of {score.sessions:,}"
        )
        pairs = zip(score.study.names(), score.shares_of_all, strict=True)
        shares = [f"{name} {percent(share.value)}" for name, share in pairs if share]
        found.append(f"{text}; with them: {', '.join(shares)}.")
    if score.late:
        found.append(f"Trials left out since a picture was there for too long: {score.late:,}.")
    if score.again:
        found.append(
            f"Sessions from a browser that had been through the study before: {score.again:,}."
        )
    if any(share and math.isnan(share.error) for share in score.shares):
        found.append("Where a single participant or image is all, there is no interval.")
    if any(share is None for share in score.shares):
        found.append("A model without a number was judged by nobody yet.")
    return found


def percent(value: float) -> str:
    """A share as text, or a dash where there is none."""
    return f"{100 * value:.1f} %" if math.isfinite(value) else "-"


def _interval(low: float, high: float, sign: str = "", unit: str = " %") -> str:
    if not math.isfinite(low):
        return "-"
    return f"{100 * low:{sign}.1f} to {100 * high:{sign}.1f}{unit}"


def _p(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.4f}" if value >= 0.00005 else "< 0.0001"


@functools.cache
def paper() -> dict[str, Any]:
    """The paper's Tables 4 and 5."""
    return json.loads((files("tfpix2pix") / "study" / "paper.json").read_text("utf-8"))


def paper_rows(table: dict[str, Any]) -> list[tuple[str, ...]]:
    """The cells of one of the paper's tables."""
    return [
        (name, *(f"{value:.1f} % ± {error:.1f} %" for value, error in cells))
        for name, cells in table["rows"].items()
    ]


# === The page ===


def write_score(score: Score) -> None:
    """Writes ``score.json`` and ``score.html`` into the study's folder."""
    study = score.study
    page = (
        templates()
        .get_template("study.html")
        .render(
            name=study.settings.heading,
            summary=", ".join(study.names()),
            fake=study.settings.ask == "fake",
            score=score,
            settings=study.settings,
            headings=headings(score),
            rows=rows(score),
            bars=_bars(score),
            gap_headings=GAP_HEADINGS,
            gaps=gap_rows(score),
            notes=notes(score),
            note=NOTE,
            paper=paper(),
            paper_rows=paper_rows,
            strips=_strips(score),
            percent=percent,
        )
    )
    write_text(study.folder / PAGE, page)
    write_json(study.folder / FILE, score.to_json())


def _bars(score: Score) -> list[tuple[str, float, float, float, str]]:
    """(name, value, low, high, text) of the chart, percent."""
    found = []
    for name, share in zip(score.study.names(), score.shares, strict=True):
        if share is not None:
            low, high = (share.value if math.isnan(e) else e for e in (share.low, share.high))
            text = f"{percent(share.value)} ({_interval(share.low, share.high)})"
            found.append((name, 100 * share.value, 100 * low, 100 * high, text))
    return found


def _strips(score: Score) -> list[tuple[str, list[tuple[str, list[dict[str, str]]]]]]:
    """For each matchup what was chosen most and least, with its pictures."""
    study = score.study
    found = []
    for place, name in enumerate(study.names()):
        ranked = [p for p in score.pictures if p.matchup == place and p.trials >= _EACH]
        half = min(_PICTURES, len(ranked) // 2)
        if not half:
            continue
        groups = []
        for heading, chosen in (("Most", ranked[:half]), ("Least", ranked[-half:][::-1])):
            strips = [
                {
                    "name": p.image,
                    "said": f"{p.chosen} of {p.trials}",
                    "a": _uri(score, place, p.image, 0),
                    "b": _uri(score, place, p.image, 1),
                }
                for p in chosen
            ]
            groups.append((heading, strips))
        if all(strip["a"] and strip["b"] for _, strips in groups for strip in strips):
            found.append((name, groups))
    return found


def _uri(score: Score, matchup: int, image: str, which: int) -> str:
    """A picture of a trial; empty where its file is gone."""
    study = score.study
    pair = next(
        p for p in study.pairs.values() if (p.kind, p.matchup, p.image) == (TRIAL, matchup, image)
    )
    path = study.pictures / pair.of(study.matchups[matchup][which])
    try:
        with Image.open(path) as picture:
            picture.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
    except OSError:
        return ""
    return image_uri(buffer.getvalue())


def lines(score: Score) -> Sequence[str]:
    """What the terminal says above the table."""
    settings = score.study.settings
    checks = f", checks passed {percent(score.checks)}" if math.isfinite(score.checks) else ""
    return [
        f"{score.sessions:,} participants of {settings.trials} trials each{checks}, median answer "
        f"{score.seconds:.1f} s, the first picture chosen in {percent(score.first)}"
    ]
