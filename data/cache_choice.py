"""Which cache holds the decoded pairs of a split, by size; cheap to ask, without TensorFlow."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tfpix2pix.base.files import existing_place
from tfpix2pix.base.memory import available_memory

LEAST_BUDGET = 256 << 20


def cache_dir(data_dir: str = "") -> Path:
    """The folder of decoded pairs below `data_dir` (empty: the default one); all of it may be
    deleted at any time."""
    from tfpix2pix.data.sources.paper_sets import default_data_dir

    return (Path(data_dir).expanduser() if data_dir else default_data_dir()) / "decoded"


def choose_cache(needed: int, folder: str | os.PathLike | None, budget: int | None = None) -> str:
    """What ``--cache=auto`` comes to.

    Args:
      needed: bytes of the split's decoded pairs.
      folder: where files of decoded pairs would be kept; None for no files.
      budget: bytes that may be taken in memory; None for `memory_budget`.

    Returns:
      ``memory`` if they fit the budget, else ``file`` if half of the folder's free space holds
      them, else ``none``.
    """
    if needed <= (memory_budget() if budget is None else budget):
        return "memory"
    if folder is not None and needed <= free_space(Path(folder)) // 2:
        return "file"
    return "none"


def memory_budget() -> int:
    """Bytes that decoded pairs may take: a quarter of what is available now, at least 256 MiB."""
    return max(LEAST_BUDGET, available_memory() // 4)


def free_space(folder: Path) -> int:
    """Bytes free where `folder` is, or will be."""
    return shutil.disk_usage(existing_place(folder)).free
