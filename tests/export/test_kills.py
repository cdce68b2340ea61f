"""The real command, killed at random moments: the folder holds the old export or the new one."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Few: a kill at each single change of the disk is in test_publish.py.
KILLS = 5

# TensorFlow takes seconds to import, so a parent imports it, runs nothing of it, and forks the
# commands: each child is the command as `python -m tfpix2pix` would run it.
_PARENT = """
import json, os, random, signal, sys, time
from tfpix2pix.cli.main import main, parse
import tensorflow
import tfpix2pix.export.exporter, tfpix2pix.export.savedmodel.network

def start(words):
    child = os.fork()
    if child:
        return child
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.setpgid(0, 0)
    sys.argv = ["tfpix2pix", *words]
    try:
        code = main(parse(sys.argv))
    except SystemExit as error:
        code = error.code
    os._exit(code)

for line in sys.stdin:
    words, delay = json.loads(line)
    child, began = start(words), time.monotonic()
    killed = False
    if delay is not None:
        time.sleep(delay)
        try:
            os.killpg(child, signal.SIGKILL)
            killed = True
        except ProcessLookupError:
            pass
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([code, time.monotonic() - began]), flush=True)
"""


class Commands:
    """Runs the command in forks of one warm process: ``commands(words, delay)``."""

    def __init__(self, errors: Path) -> None:
        self._errors = open(errors, "w")  # noqa: SIM115 - as long as the process
        self._parent = subprocess.Popen(
            [sys.executable, "-c", _PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __call__(self, words: list[str], delay: float | None = None) -> tuple[int, float]:
        """Exit code (-9 for a killed one) and seconds."""
        self._parent.stdin.write(json.dumps([[str(w) for w in words], delay]) + "\n")
        self._parent.stdin.flush()
        return tuple(json.loads(self._parent.stdout.readline()))

    def close(self) -> None:
        self._parent.stdin.close()
        self._parent.wait(timeout=60)
        self._errors.close()


@pytest.fixture
def commands(tmp_path):
    running = Commands(tmp_path / "errors.txt")
    yield running
    running.close()


def visible(folder: Path) -> set[str]:
    """The files that a person or a server sees."""
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {name.as_posix() for name in names if not name.parts[0].startswith(".")}


def test_kills_leave_the_old_export_or_the_new_one(commands, make_run, tmp_path):
    old_run = make_run(tmp_path / "old", sample_pairs=8, bottleneck=8)
    new_run = make_run(tmp_path / "new", sample_pairs=8, bottleneck=8, std=0.1)
    out = tmp_path / "out"

    def export(run: Path, output: Path) -> list[str]:
        # Several files, and the format that takes the least time.
        words = ["--check_count=1", f"--workdir={run}", f"--output={output}", "--formats=network"]
        return ["export", *words]

    code, seconds = commands(export(old_run, out))
    assert code == 0, (tmp_path / "errors.txt").read_text()
    kept = shutil.copytree(out, tmp_path / "kept")
    outcomes = {"old": 0, "new": 0}
    for kill in range(KILLS):
        # Spread over the whole of the command and a little beyond it.
        delay = seconds * 1.1 * (kill + 0.5) / KILLS
        code, _ = commands(export(new_run, out), delay)
        assert code in (-9, 0), (tmp_path / "errors.txt").read_text()
        manifest = json.loads((out / "export.json").read_bytes())
        which = Path(manifest["run"]).name
        outcomes[which] += 1
        if code == 0:
            assert which == "new"
        # Every file is the one that the manifest speaks of, and no other is there.
        (artifact,) = manifest["artifacts"]
        for name, digest in artifact["sha256"].items():
            assert _sha256(out / name) == digest
        named = {*artifact["sha256"], *manifest["files"]}
        assert visible(out) == named | {"export.json"}
        if which == "new":
            shutil.rmtree(out)
            shutil.copytree(kept, out)
        else:
            assert (out / "export.json").read_bytes() == (kept / "export.json").read_bytes()
    assert outcomes["old"] >= 1
    # After all that an export still works, and clears up what the killed ones left.
    code, _ = commands(export(new_run, out))
    assert code == 0
    hidden = {p.name for p in out.iterdir() if p.name.startswith(".")}
    assert hidden <= {".export.lock"}
    code, _ = commands(["verify", str(out), "--check_count=1"])
    assert code == 0, (tmp_path / "errors.txt").read_text()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
