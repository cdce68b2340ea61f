"""Which cache holds the decoded pairs of a split, by size; cheap to ask, without TensorFlow."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from tfpix2pix.base.files import existing_place

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


def available_memory() -> int:
    """Bytes of memory this process may still take: of the machine, or of its container."""
    available = LEAST_BUDGET * 4
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        available = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    with contextlib.suppress(OSError, ValueError):
        # A container's limit is often far below what the machine has.
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        available = min(available, limit - int((group / "memory.current").read_text()))
    return max(0, available)


def free_space(folder: Path) -> int:
    """Bytes free where `folder` is, or will be."""
    return shutil.disk_usage(existing_place(folder)).free
