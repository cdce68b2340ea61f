"""Writes what a reproduction found: results/ for other people, report.html to look at."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tfpix2pix.base.files import write_bytes, write_json, write_text
from tfpix2pix.report.html import templates
from tfpix2pix.reproduction.pictures import write_color_plot, write_grids
from tfpix2pix.reproduction.plan import Plan, Run
from tfpix2pix.reproduction.results import Result, result_of, with_error
from tfpix2pix.reproduction.tables import Table

# Beside a table's own columns: measures that every run has, so that blur and colour have a number.
_OTHERS = {
    "l1": "L1",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "sharpness_ratio": "Sharpness, of the truth's",
}

Metrics = Mapping[tuple[str, int], Mapping[str, Any]]


def publish(
    plan: Plan,
    tables: Sequence[Table],
    runs: Sequence[Run],
    metrics: Metrics,
    scorer: Mapping[str, Any] | None = None,
    command: str = "",
) -> list[Result]:
    """Writes every table as far as it is, and the page.

    Below ``results/`` stand, for each table, TABLE.json (all figures, with each run's config),
    TABLE.md and TABLE.jpg (generated outputs), none of them with an image of the data set or the
    path of a folder; ``grids/`` has the inputs and targets too.

    Args:
      plan: of the reproduction.
      tables: to write.
      runs: all runs of the tables.
      metrics: of the scored runs, by variant key and seed.
      scorer: facts about the FCN that scored photographs.
      command: how it was started, for the page.

    Returns:
      The results by table.
    """
    folder = plan.folder / "results"
    folder.mkdir(parents=True, exist_ok=True)
    seeds = sorted({run.seed for run in runs})
    results, sections = [], []
    for table in tables:
        own = [run for run in runs if run.variant in table.variants]
        result = result_of(table, metrics, seeds)
        content = result.to_json()
        content["configs"] = {
            f"{run.variant.key}/seed{run.seed}": _public(run.config)
            for run in own
            if (run.variant.key, run.seed) in metrics
        }
        if table.truth and scorer:
            content["scorer"] = dict(scorer)
        write_json(folder / f"{table.name}.json", content)
        write_text(folder / f"{table.name}.md", result.to_markdown())
        grid = write_grids(table, own, plan.folder)
        if table.evaluator == "color":
            write_color_plot(table, own, plan.folder)
        results.append(result)
        sections.append(_section(result, own, grid, plan.folder))
    page = (
        templates()
        .get_template("reproduction.html")
        .render(
            name=plan.folder.resolve().name,
            summary=_summary(plan, runs),
            sections=sections,
            scorer=scorer,
            config=_public(plan.base),
            command=command,
            written=datetime.now().astimezone(),
        )
    )
    write_bytes(plan.folder / "report.html", page.encode("utf-8", "replace"))
    return results


def _public(config: Any) -> dict[str, Any]:
    """A config without the paths of a machine."""
    values = dataclasses.asdict(config)
    for field in ("dataset", "label_palette"):
        values[field] = Path(values[field]).name
    values["data_dir"] = ""
    return values


def _summary(plan: Plan, runs: Sequence[Run]) -> str:
    base, ngf = plan.base, _public(plan.base)["ngf"]
    trained = sum(run.trained for run in runs)
    return (
        f"{Path(base.dataset).name}, {base.crop_size} px, ngf {ngf}, batch "
        f"{base.batch_size}, {base.steps:,} steps a run; {trained:,} of {len(runs):,} runs trained"
    )


def _section(result: Result, runs: Sequence[Run], grid: Any, folder: Path) -> dict[str, Any]:
    """What the page shows of a table."""
    from tfpix2pix.report.page import data_uri, image_uri

    table = result.table
    others = {n: t for n, t in _OTHERS.items() if any(n in row.cells for row in result.rows)}
    plot = folder / "results" / f"{table.name}.png"
    return {
        "name": table.name,
        "paper": table.paper,
        "headings": table.headings,
        "rows": [(row.title, len(row.seeds), result.texts(row)) for row in result.all_rows],
        "others": list(others.values()),
        "other_rows": [
            (row.title, [_text(row.cells.get(name)) for name in others]) for row in result.rows
        ],
        "order": [
            (table.headings[c.column], c.better, c.worse, c.verdict, f"{c.difference:+.3f}")
            for c in result.comparisons
        ],
        "verdicts": verdicts(result),
        "missing": result.missing,
        "grid": None if grid is None else data_uri(grid),
        "plot": image_uri(plot.read_bytes()) if plot.is_file() else None,
        "figure": table.figure,
        "runs": [
            (run.variant.key, run.seed, (run.workdir / "report.html").relative_to(folder))
            for run in runs
            if run.trained
        ],
    }


def verdicts(result: Result) -> str:
    """One sentence: in how many comparisons the order is the paper's."""
    comparisons = result.comparisons
    if not comparisons:
        return ""
    counts = {
        verdict: sum(c.verdict == verdict for c in comparisons)
        for verdict in ("as in the paper", "the other way round", "too close to tell")
    }
    return (
        f"Of {len(comparisons)} comparisons of two rows in one column, "
        + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        + "."
    )


def _text(cell: Any) -> str:
    return "" if cell is None else with_error(cell.mean, cell.error)


def read_metrics(runs: Sequence[Run]) -> dict[tuple[str, int], dict[str, Any]]:
    """``metrics.json`` of every run that is scored, by variant key and seed."""
    found = {}
    for run in runs:
        try:
            content = json.loads((run.evaluation / "metrics.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        found[run.variant.key, run.seed] = content
    return found
