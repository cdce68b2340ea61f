"""How much memory there is: of the machine, of a container, and of a limit on the process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

UNKNOWN = 1 << 30  # taken to be there where the system does not say

_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Bytes of memory that this process may still take."""
    rooms = [_of_machine(), _of_process(), *map(_of_group, _groups())]
    return max(0, min((room for room in rooms if room is not None), default=UNKNOWN))


def _of_machine() -> int | None:
    with contextlib.suppress(OSError, KeyError, ValueError):
        return _fields(_PROC / "meminfo")["MemAvailable:"] * 1024
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return None


def _of_process() -> int | None:
    """By the limit on its address space (``ulimit -v``)."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        return limit - _fields(_PROC / "self" / "status")["VmSize:"] * 1024
    except (ImportError, OSError, KeyError, ValueError):  # Windows, or no /proc
        return None


def _groups() -> list[Path]:
    """The control groups of the process and those above them: each may have a limit, which in a
    container is often far below what the machine has."""
    try:
        lines = (_PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    found = []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        top = _GROUPS / "memory" if kinds else _GROUPS
        place = top / path.lstrip("/")
        # In a container the path may be the host's; the process sees its own group at the top.
        found += [place, *(above for above in place.parents if above.is_relative_to(top))]
    return found


def _of_group(group: Path) -> int | None:
    """What a control group leaves, of version 2 or 1; files that are kept in memory count as
    free, since they are dropped at need."""
    for limit, used, dropped in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max": no limit
            room = int((group / limit).read_text()) - int((group / used).read_text())
            with contextlib.suppress(OSError, KeyError, ValueError):
                room += _fields(group / "memory.stat")[dropped]
            return room
    return None


def _fields(path: Path) -> dict[str, int]:
    """The first number of each line of ``NAME NUMBER ...``, by name."""
    parts = [line.split() for line in path.read_text().splitlines()]
    return {part[0]: int(part[1]) for part in parts if len(part) > 1 and part[1].isdecimal()}
