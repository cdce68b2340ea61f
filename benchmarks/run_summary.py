"""Prints the README's table row of a finished run and saves its picture.

    python benchmarks/run_summary.py --workdir=runs/sample --picture=docs/sample.png
    python benchmarks/run_summary.py --workdir=runs/facades_cpu --picture=docs/facades.png \
        --outputs_only

With ``--outputs_only`` the picture holds what the generator made and nothing of the data set, of
the run's own sample images or, with ``--outputs``, of what `tfpix2pix translate` wrote, a folder
for each row:

    python benchmarks/run_summary.py --workdir=runs/horse2zebra --picture=docs/horse2zebra.png \
        --outputs=translated/AtoB --outputs=translated/BtoA
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image

from tfpix2pix import report
from tfpix2pix.base.progress import duration
from tfpix2pix.base.size import Size

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's folder.", required=True)
_PICTURE = flags.DEFINE_string("picture", None, "PNG file to write.")
_OUTPUTS_ONLY = flags.DEFINE_bool("outputs_only", False, "Show generated images only.")
_OUTPUTS = flags.DEFINE_multi_string("outputs", [], "Folder of translated images: a row.")
_COLUMNS = flags.DEFINE_integer("columns", 8, "Images of a row of --outputs.")
_ROWS = flags.DEFINE_integer("rows", 4, "Rows of the grid (without --outputs_only).")


def main(argv: list[str]) -> None:
    del argv
    workdir = Path(_WORKDIR.value)
    facts = json.loads((workdir / "run.json").read_text())
    config = json.loads((workdir / "config.json").read_text())
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    last = ([record for record in records if record["kind"] == "val"] or [{}])[-1]
    row = {
        "preset": config["preset"],
        "size": f"{config['crop_size']} px",
        "steps": f"{facts['steps_done']:,}",
        "wall time": duration(facts["train_seconds"]),
    }
    if "l1" in last:  # of pairs
        row |= {"L1": f"{last['l1']:.3f}", "PSNR": f"{last['psnr']:.2f} dB"}
        row |= {"SSIM": f"{last['ssim']:.3f}", "val images": str(last["images"])}
    print(f"| {' | '.join(row)} |")
    print(f"|{' --- |' * len(row)}")
    print(f"| {' | '.join(row.values())} |")
    if _PICTURE.value is None:
        return
    if _OUTPUTS.value:
        size = Size.of(config["crop_size"])
        shown = [_pictures(Path(folder), size) for folder in _OUTPUTS.value]
        count = min(map(len, shown))
        columns = [np.stack([row[place] for row in shown]) for place in range(count)]
        report.save_png(_PICTURE.value, report.picture_grid(columns))
        return
    if not _OUTPUTS_ONLY.value:
        report.write_summary_picture(workdir, _PICTURE.value, rows=_ROWS.value)
        return
    names = report.load_fixed(workdir).names
    pictures = report.load_strip(report.strip_path(workdir, facts["steps_done"]), len(names))
    report.save_png(_PICTURE.value, report.picture_grid([p[None] for p in np.asarray(pictures)]))


def _pictures(folder: Path, size: Size) -> list[np.ndarray]:
    """As many as are asked for, evenly over those that are there, at the run's size."""
    paths = sorted(folder.rglob("*.png"))
    places = np.linspace(0, len(paths) - 1, min(_COLUMNS.value, len(paths))).round().astype(int)
    wide = (size.width, size.height)
    shown = (Image.open(paths[place]).convert("RGB") for place in places)
    return [np.asarray(image.resize(wide, Image.Resampling.LANCZOS)) for image in shown]


if __name__ == "__main__":
    app.run(main)
