"""Writes what a reproduction found: results/ for other people, report.html to look at."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tfpix2pix.base.files import write_bytes, write_json, write_text
from tfpix2pix.base.options import plain_values
from tfpix2pix.report.html import templates
from tfpix2pix.reproduction.against import BETTER, CLOSE, NEITHER, WORSE, Draws
from tfpix2pix.reproduction.draws import draws_of
from tfpix2pix.reproduction.pictures import write_answers_grid, write_color_plot, write_grids
from tfpix2pix.reproduction.plan import Plan, Run
from tfpix2pix.reproduction.results import Result, result_of, with_error
from tfpix2pix.reproduction.tables import Table, paper, with_known_rows

# Beside a table's own columns: measures that every run has, so that blur and colour have a number.
_OTHERS = {
    "l1": "L1",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "sharpness_ratio": "Sharpness, of the truth's",
}


def publish(
    plan: Plan,
    tables: Sequence[Table],
    runs: Sequence[Run],
    scorer: Mapping[str, Any] | None = None,
    command: str = "",
) -> list[Result]:
    """Writes every table as far as it is, and the page.

    Below ``results/`` stand, for each table, TABLE.json (all figures, with each run's config),
    TABLE.md and TABLE.jpg (generated outputs), none of them with an image of the data set or the
    path of a folder; ``grids/`` has the inputs and targets too. Where inputs have several samples,
    TABLE-answers.jpg shows those of one. Of another split than val each
    name has it as a suffix, and so has the page: TABLE-test.json, report-test.html.

    A table whose rows are chosen also has the rows and seeds of earlier calls.

    Args:
      plan: of the reproduction.
      tables: to write.
      runs: all runs of the tables, of one split.
      scorer: facts about the FCN that scored photographs.
      command: how it was started, for the page.

    Returns:
      The results by table.
    """
    folder = plan.folder / "results"
    folder.mkdir(parents=True, exist_ok=True)
    split = runs[0].split
    suffix = "" if split == "val" else f"-{split}"
    results, sections = [], []
    for table in tables:
        of_table = [r.in_task(table.task) for r in runs if r.variant in table.variants]
        result, own = _result(plan, table, of_table)
        metrics = read_metrics(own)
        content = result.to_json()
        content["configs"] = {
            f"{run.variant.key}/seed{run.seed}": _public(run.config)
            for run in own
            if (run.variant.key, run.seed) in metrics
        }
        if any(table.truth) and scorer:
            content["scorer"] = dict(scorer)
        name = table.name + suffix
        write_json(folder / f"{name}.json", content)
        write_text(folder / f"{name}.md", result.to_markdown())
        # The embedded set is ours to show; of the paper's tables the same is published of all sets.
        is_ours = plan.base.dataset == "sample" and not table.paper
        grid = write_grids(result.table, own, plan.folder, name, whole=is_ours)
        if table.evaluators == ("color",):
            write_color_plot(result.table, own, plan.folder / "results" / f"{name}.png")
        results.append(result)
        answers = None
        if table.samples > 1:
            answers = write_answers_grid(result.table, own, plan.folder, name, whole=is_ours)
        sections.append(_section(result, own, grid, answers, plan.folder, name))
    page = (
        templates()
        .get_template("reproduction.html")
        .render(
            name=plan.folder.resolve().name,
            summary=_summary(plan, runs),
            sections=sections,
            sources=list(dict.fromkeys(map(_arxiv, tables))),
            scorer=scorer,
            config=_public(plan.base),
            split=split,
            command=command,
            written=datetime.now().astimezone(),
        )
    )
    write_bytes(plan.folder / f"report{suffix}.html", page.encode("utf-8", "replace"))
    return results


def _arxiv(table: Table) -> str:
    """Which paper a table is of; of our own, against which: ``arXiv 1611.07004``."""
    source = (table.paper or {}).get("source") or paper()["source"]
    return source.rsplit(", ", 1)[-1]


def _result(plan: Plan, table: Table, runs: Sequence[Run]) -> tuple[Result, list[Run]]:
    """A table's result, and the runs behind it, with those of earlier calls of chosen rows."""
    split, shown = runs[0].split, list(runs)
    wanted = {(run.variant.key, run.seed) for run in runs}
    draws: dict[tuple[str, int], Draws] = {}
    facts = {}
    if table.unit:
        known = [r for r in plan.known_runs(table, split) if (r.variant.key, r.seed) not in wanted]
        known = [run for run in known if read_metrics([run])]
        shown += known
        table = with_known_rows(table, {run.variant.key for run in known})
        facts = {variant.key: _facts(plan, variant.key, shown) for variant in table.variants}
        for run in () if table.paper else shown:
            draws[run.variant.key, run.seed] = draws_of(run)
    seeds = sorted({run.seed for run in shown})
    result = result_of(table, read_metrics(shown), seeds, split=split, draws=draws, facts=facts)
    missing = tuple(name for name in result.missing if name in {_named(run) for run in runs})
    return dataclasses.replace(result, missing=missing), shown


def _named(run: Run) -> str:
    return f"{run.variant.key} seed {run.seed}"


def _facts(plan: Plan, key: str, runs: Sequence[Run]) -> dict[str, Any]:
    """What a row sets and how fast it is."""
    pace = plan.paces.get(key)
    if pace is None:  # not trained yet
        return {}
    minutes = [r.seconds / 60 for r in runs if r.variant.key == key and r.trained and r.seconds]
    return {
        "settings": dict(pace.fields),
        "steps": pace.steps,
        "ratio": pace.ratio,
        "seconds_per_step": pace.seconds,
        "minutes": sum(minutes) / len(minutes) if minutes else None,
    }


def _public(config: Any) -> dict[str, Any]:
    """A config without the paths of a machine."""
    values = plain_values(config)
    for field in ("dataset", "label_palette", "perceptual"):
        if field in values:
            values[field] = Path(values[field]).name
    values["data_dir"] = ""
    return values


def _summary(plan: Plan, runs: Sequence[Run]) -> str:
    base, ngf = plan.base, _public(plan.base)["ngf"]
    trained = sum(run.trained for run in runs)
    return (
        f"{Path(base.dataset).name}, {base.crop_size} px, ngf {ngf}, batch "
        f"{base.batch_size}, {base.steps:,} steps a run{_same(plan, runs)}; {trained:,} of "
        f"{len(runs):,} runs trained"
    )


def _same(plan: Plan, runs: Sequence[Run]) -> str:
    """What the rows have the same of, where it is not the steps."""
    steps = {run.config.steps for run in runs}
    return f" of one row, others the same {plan.same}" if len(steps) > 1 else ""


def _section(
    result: Result, runs: Sequence[Run], grid: Any, answers: Any, folder: Path, name: str
) -> dict[str, Any]:
    """What the page shows of a table."""
    from tfpix2pix.report.page import data_uri, image_uri

    table = result.table
    others = {
        n: t
        for n, t in _OTHERS.items()
        if n not in table.numbers and any(n in row.cells for row in result.rows)
    }
    plot = folder / "results" / f"{name}.png"
    return {
        "name": table.name,
        "label": table.label,
        "title": table.title,
        "paper": table.paper,
        "headings": table.headings,
        "rows": [(row.title, len(row.seeds), result.texts(row)) for row in result.all_rows],
        "first": result.rows[0].title,
        "against": result.differences,
        "pace_headings": result.pace_headings,
        "paces": result.paces,
        "others": list(others.values()),
        "other_rows": [
            (row.title, [_text(row.cells.get(name)) for name in others]) for row in result.rows
        ],
        "order": [
            (table.headings[c.column], c.better, c.worse, c.verdict, f"{c.difference:+.3f}")
            for c in result.comparisons
        ],
        "verdicts": verdicts(result),
        "sentences": result.sentences,
        "missing": result.missing,
        "grid": None if grid is None else data_uri(grid),
        "answers": None if answers is None else data_uri(answers),
        "plot": image_uri(plot.read_bytes()) if plot.is_file() else None,
        "figure": table.figure,
        "runs": [
            (run.id, (run.workdir / "report.html").relative_to(folder))
            for run in runs
            if run.trained
        ],
    }


def verdicts(result: Result) -> str:
    """One sentence: in how many comparisons the order is the paper's, or a row is ahead of the
    first; empty where nothing is compared."""
    if result.table.paper:
        found = [c.verdict for c in result.comparisons]
        what = "of two rows in one column"
        kinds = ("as in the paper", "the other way round", "too close to tell")
    else:
        found = [a.verdict for a in result.against if a.verdict != NEITHER]
        what = f"with {result.rows[0].title} in one column"
        kinds = (BETTER, WORSE, CLOSE)
    if not found:
        return ""
    counts = ", ".join(f"{found.count(kind)} {kind}" for kind in kinds)
    return f"Of {len(found)} comparisons {what}, {counts}."


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
