"""Prints the README's table row of a finished run and saves its picture.

    python benchmarks/run_summary.py --workdir=runs/sample --picture=docs/sample.png
    python benchmarks/run_summary.py --workdir=runs/facades_cpu --picture=docs/facades.png \
        --outputs_only

With ``--outputs_only`` the picture holds what the generator made and nothing of the data set.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from absl import app, flags

from tfpix2pix import report
from tfpix2pix.base.progress import duration

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's folder.", required=True)
_PICTURE = flags.DEFINE_string("picture", None, "PNG file to write.")
_OUTPUTS_ONLY = flags.DEFINE_bool("outputs_only", False, "Show generated images only.")
_ROWS = flags.DEFINE_integer("rows", 4, "Rows of the grid (without --outputs_only).")


def main(argv: list[str]) -> None:
    del argv
    workdir = Path(_WORKDIR.value)
    facts = json.loads((workdir / "run.json").read_text())
    config = json.loads((workdir / "config.json").read_text())
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    last = [record for record in records if record["kind"] == "val"][-1]
    print("| preset | size | steps | wall time | L1 | PSNR | SSIM | val images |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    print(
        f"| {config['preset']} | {config['crop_size']} px | {facts['steps_done']:,} "
        f"| {duration(facts['train_seconds'])} | {last['l1']:.3f} | {last['psnr']:.2f} dB "
        f"| {last['ssim']:.3f} | {last['images']} |"
    )
    if _PICTURE.value is None:
        return
    if not _OUTPUTS_ONLY.value:
        report.write_summary_picture(workdir, _PICTURE.value, rows=_ROWS.value)
        return
    names = report.load_fixed(workdir).names
    pictures = report.load_strip(report.strip_path(workdir, facts["steps_done"]), len(names))
    report.save_png(_PICTURE.value, report.picture_grid([p[None] for p in np.asarray(pictures)]))


if __name__ == "__main__":
    app.run(main)
