"""Two processes in one folder: the second is refused; one that was killed blocks nobody."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import types

import pytest

from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.lock import held

HOLD = """
import sys, time
from tfpix2pix.base.lock import held
with held(sys.argv[1], "--workdir=x"):
    print("held", flush=True)
    time.sleep(600)
"""


def refusal(folder) -> str:
    with pytest.raises(UserError) as caught, held(folder, f"--workdir={folder}"):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks: `no_locks(errno)`."""
    fcntl = pytest.importorskip("fcntl")

    def of(number: int) -> None:
        def flock(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)

    return of


def test_the_second_is_told_who_is_there_and_what_to_do(tmp_path):
    with held(tmp_path, "--workdir=x"):
        before = (tmp_path / lock.NAME).read_bytes()
        said = refusal(tmp_path)
        assert (tmp_path / lock.NAME).read_bytes() == before
    facts = json.loads(before)
    assert (facts["pid"], facts["host"]) == (os.getpid(), socket.gethostname())
    assert said.startswith(f"--workdir={tmp_path} is in use: ")
    assert f"process {os.getpid()} on {socket.gethostname()} (since {facts['since']})" in said
    assert "wait until it ends, stop it, or give another folder" in said


def test_afterwards_it_is_free_and_as_it_was(tmp_path):
    for _ in range(2):
        with held(tmp_path, "--workdir=x"):
            assert (tmp_path / lock.NAME).is_file()
        assert list(tmp_path.iterdir()) == []


def test_an_error_inside_lets_go(tmp_path):
    with pytest.raises(KeyboardInterrupt), held(tmp_path, "--workdir=x"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_folders_that_were_made_go_if_nothing_was_written(tmp_path):
    with held(tmp_path / "runs" / "a", "--workdir=x"):
        pass
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path / "runs" / "a", "--workdir=x"):
        (tmp_path / "runs" / "a" / "config.json").touch()
    assert [path.name for path in (tmp_path / "runs" / "a").iterdir()] == ["config.json"]


def test_a_link_is_the_same_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with held(tmp_path / "run", "--workdir=x"):
        assert "is in use" in refusal(tmp_path / "link")
        with held(tmp_path / "other", "--workdir=y"):
            pass


def test_a_killed_process_blocks_nobody(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    assert f"process {process.pid} on " in refusal(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / lock.NAME).is_file()  # nobody was there to remove it
    with held(tmp_path, "--workdir=x"):
        assert json.loads((tmp_path / lock.NAME).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "{}", "\xff"])
def test_a_signature_that_cannot_be_read(tmp_path, text):
    with held(tmp_path, "--workdir=x"):
        (tmp_path / lock.NAME).write_bytes(text.encode("latin-1"))
        assert "is in use: another process is working there" in refusal(tmp_path)


def test_a_signature_cannot_break_the_sentence(tmp_path):
    with held(tmp_path, "--workdir=x"):
        facts = {"pid": 1, "host": "a\nTraceback" + "b" * 999, "since": "\r"}
        (tmp_path / lock.NAME).write_text(json.dumps(facts))
        assert len(refusal(tmp_path)) < 500


def test_a_lock_file_that_its_holder_removed_meanwhile_is_not_taken_for_one(tmp_path, monkeypatch):
    real, calls = lock._lock, []

    def late(handle: int) -> None:
        if not calls:
            (tmp_path / lock.NAME).unlink()
        calls.append(handle)
        real(handle)

    monkeypatch.setattr(lock, "_lock", late)
    with held(tmp_path, "--workdir=x"):
        assert len(calls) == 2
        assert "is in use" in refusal(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_note(tmp_path, no_locks, number):
    no_locks(number)
    said: list[str] = []
    with held(tmp_path, "--workdir=x", said.append):
        pass
    assert len(said) == 1
    assert said[0].startswith(f"note: this file system knows no locks ({os.strerror(number)})")
    assert str(tmp_path) in said[0]


def test_a_full_disk_holds_without_a_signature(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with held(tmp_path, "--workdir=x"):
        assert "another process is working there" in refusal(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    said = refusal(tmp_path / "file" / "run")
    assert "cannot be written (Not a directory); give a folder that you may write to" in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_windows_locks_a_byte_behind_the_signature(tmp_path, monkeypatch):
    """As far as that can be seen on another system: the calls, and what their errors become."""
    calls = []

    def locking(handle: int, mode: int, count: int) -> None:
        calls.append((mode, count, os.lseek(handle, 0, os.SEEK_CUR)))
        if len(calls) == 2:
            raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setitem(sys.modules, "fcntl", None)
    msvcrt = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    with held(tmp_path, "--workdir=x"):
        assert f"process {os.getpid()} on " in refusal(tmp_path)
    assert calls == [(2, 1, 1 << 20)] * 2


def test_alone_tells_and_does_not_wait(tmp_path):
    path = tmp_path / "lock"
    with lock.alone(path) as first, lock.alone(path) as second:
        assert (first, second) == (True, False)
    with lock.alone(path) as again:
        assert again


def test_locked_waits_and_says_so_once(tmp_path):
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\nfrom tfpix2pix.base.lock import locked\n"
            "with locked(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()",
            str(tmp_path / "deep" / "lock"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    told = []

    def waiting() -> None:
        told.append("waiting")
        process.stdin.close()  # lets go only now, so it cannot have been had before

    with lock.locked(tmp_path / "deep" / "lock", waiting):
        assert told == ["waiting"]
    assert process.wait() == 0
    process.stdout.close()


def test_without_locks_alone_and_locked_go_on(tmp_path, no_locks):
    no_locks(errno.ENOLCK)
    with lock.alone(tmp_path / "a") as free, lock.locked(tmp_path / "b"):
        assert free


def test_a_link_for_a_lock_is_not_followed(tmp_path):
    """It would be cut to nothing and signed: a run from somebody else may hold one."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "mine")
    assert "is a link, where no link belongs" in refusal(tmp_path / "run")
    assert (tmp_path / "mine").read_text() == "mine"
