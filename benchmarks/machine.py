"""What a benchmark ran on, for the line above its table, and what its processes measure."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "onnxruntime", "torch", "numpy")


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe(*threads: int) -> str:
    """Processor, cores, threads, load and versions, in two lines."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    load = f"; load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{model}, {cores()} cores, {' or '.join(map(str, threads))} threads each{load}\n"
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


def rate(
    call: Callable[[], Any], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Calls a second of a clock; one before them, which does not count, wakes threads and caches
    up."""
    call()
    start, calls = clock(), 0
    while calls == 0 or clock() - start < seconds:
        call()
        calls += 1
    return calls / (clock() - start)


def memory(peak: bool = False) -> float:
    """Resident memory of this process now, or the most it ever was, MiB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        name = "VmHWM:" if peak else "VmRSS:"
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 2**10
    except (OSError, StopIteration):  # not on Linux: the peak will have to do
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (2**20 if sys.platform == "darwin" else 2**10)
