"""The memory that is left: the least of what the machine, a container and a limit leave."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tfpix2pix.base import memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine of 8 GiB free, without groups."""
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   8388608 kB\n")
    return tmp_path


def test_the_machine_says_what_is_available(system):
    assert memory.available_memory() == 8 << 30


@pytest.mark.parametrize("place", ["box/app", "box", ""])
def test_a_group_or_one_above_it_may_leave_less(system, place):
    (system / "proc" / "self" / "cgroup").write_text("0::/box/app\n")
    group = system / "groups" / place
    group.mkdir(parents=True)
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("600000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 50000\n")
    assert memory.available_memory() == 450_000
    (group / "memory.max").write_text("max\n")
    assert memory.available_memory() == 8 << 30


def test_groups_of_version_1_in_a_container(system):
    # The path is the host's, of which nothing is seen here.
    (system / "proc" / "self" / "cgroup").write_text("4:memory:/docker/abc\n3:cpuset:/\n")
    group = system / "groups" / "memory"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("900\n")
    (group / "memory.usage_in_bytes").write_text("1000\n")
    (group / "memory.stat").write_text("total_inactive_file 300\n")
    assert memory.available_memory() == 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_limit_on_the_address_space_counts():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9));"
        "from tfpix2pix.base.memory import available_memory; print(available_memory())"
    )
    left = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(left.stdout) < 10**9
