"""What a person looks at: a run's HTML report and its grids of pictures (no TensorFlow here)."""

from tfpix2pix.base.grid import picture_grid, save_png
from tfpix2pix.report.grids import (
    FixedPairs,
    grid_for_step,
    load_fixed,
    load_strip,
    sample_steps,
    save_strip,
    save_strips,
    strip_path,
    write_sample_grid,
    write_summary_picture,
)
from tfpix2pix.report.page import write_report

__all__ = [
    "FixedPairs",
    "grid_for_step",
    "load_fixed",
    "load_strip",
    "picture_grid",
    "sample_steps",
    "save_png",
    "save_strip",
    "save_strips",
    "strip_path",
    "write_report",
    "write_sample_grid",
    "write_summary_picture",
]
