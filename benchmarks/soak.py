"""Kills a training again and again, continues it, and compares it with one that was left alone.

    python benchmarks/soak.py    # 50 kills: about a quarter of an hour on two cores
    python benchmarks/soak.py --kills=3 --seed=1

The real `tfpix2pix train` runs as a process of its own, first once without interruption. Then the
same run is ended by a signal in mid-work, continued by the same command, ended again, and at last
left to finish. Where the signals fall is planned from --seed: so many while a checkpoint is saved,
a summary written, pictures and the report drawn, so many while the command starts and so many at
any moment. For that the command reports on a pipe when it enters and leaves those functions, and
the signal is sent at a random moment of the time that the function took in the undisturbed run. It
is counted where it fell, not where it was meant to. Afterwards the last checkpoint's files, the
records of metrics.jsonl (all but times) and the sample pictures must be the same to the bit.
Exit code 0 if they are, else 1. Needs a Unix.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
import platform
import random
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from absl import app, flags

_KILLS = flags.DEFINE_integer("kills", 50, "Signals to send.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the plan: which signal, when.")
_WORKDIR = flags.DEFINE_string("workdir", "", "New folder of both runs; empty: a temporary one.")
_STEPS = flags.DEFINE_integer("steps", 0, "Of the training; 0: 80 for each kill.", lower_bound=0)

# Every step has its record, so that no mean spans an interruption.
_TRAINING = {
    **{"crop_size": 32, "ngf": 4, "ndf": 4, "sample_pairs": 8, "log_every": 1},
    **{"checkpoint_every": 20, "val_every": 50, "sample_every": 15, "sample_images": 2},
}
# How many of a hundred signals are meant for each phase, and which they are.
_PHASES = dict(saving=34, summary=20, pictures=8, report=18, starting=8, anywhere=12)  # noqa: C408
_SIGNALS = {"SIGKILL": 60, "SIGTERM": 15, "SIGINT": 15, "SIGTERM twice": 10}
_PATIENCE = 600  # seconds for anything of one sitting

# Run in the command's process before the command: reports on a pipe, and changes nothing else.
_REPORTING = """
import os, sys
pipe = int(sys.argv.pop(1))
sys.argv[0] = "tfpix2pix"

def reported(owner, name, phase):
    real = getattr(owner, name)
    def call(*args, **kwargs):
        os.write(pipe, f"+{phase}\\n".encode())
        try:
            return real(*args, **kwargs)
        finally:
            os.write(pipe, f"-{phase}\\n".encode())
    setattr(owner, name, call)

def install():
    from tfpix2pix import report
    from tfpix2pix.training.checkpoints import Checkpoints
    from tfpix2pix.training.history import History
    reported(Checkpoints, "save", "saving")
    for name in ("train", "val", "images", "flush"):
        reported(History, name, "summary")
    for name in ("save_strip", "write_sample_grid"):
        reported(report, name, "pictures")
    reported(report, "write_report", "report")

from tfpix2pix.base import quiet
import_tensorflow = quiet.import_tensorflow
quiet.import_tensorflow = lambda **options: (import_tensorflow(**options), install())
from tfpix2pix.cli.main import run
run()
"""


class Sitting:
    """One process of the training, and what it reports."""

    def __init__(self, workdir: Path, flags_given: list[str]) -> None:
        self._pipe, theirs = os.pipe()
        self._output = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        command = [sys.executable, "-c", _REPORTING, str(theirs), "train", *flags_given]
        self.process = subprocess.Popen(
            [*command, f"--workdir={workdir}"],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs],
        )
        os.close(theirs)
        self.started = time.monotonic()
        self.inside = ""  # the phase that it is in
        self.entered: collections.Counter[str] = collections.Counter()
        self.took: dict[str, list[float]] = collections.defaultdict(list)
        self._since, self._rest, self._open = 0.0, b"", True

    def hear(self, wait: float = 0.0) -> bool:
        """Takes in what was reported, at most so many seconds' wait; False at the end."""
        if self._open and select.select([self._pipe], [], [], wait)[0]:
            heard = os.read(self._pipe, 1 << 16)
            self._open = bool(heard)
            *lines, self._rest = (self._rest + heard).split(b"\n")
            for line in lines:
                self._note(line[:1], line[1:].decode())
        return self._open

    def _note(self, sign: bytes, phase: str) -> None:
        now = time.monotonic()
        if sign == b"+":
            self.inside, self._since = phase, now
            self.entered[phase] += 1
            self.entered["anywhere"] += 1
        else:
            self.inside = ""
            self.took[phase].append(now - self._since)

    def until(self, phase: str, times: int) -> bool:
        """Waits until a phase was entered so often; False if the process ended before."""
        while self.entered[phase] < times:
            if not self.hear(1.0):
                return False
            if time.monotonic() - self.started > _PATIENCE:
                raise SystemExit(f"soak: no {phase} within {_PATIENCE} seconds:\n{self.end()}")
        return True

    def catch_up(self) -> None:
        """Takes in all that was reported so far."""
        while self._open and select.select([self._pipe], [], [], 0)[0]:
            self.hear()

    def end(self) -> str:
        """Waits for its end; what it printed."""
        self.process.wait(_PATIENCE)
        self.catch_up()
        os.close(self._pipe)
        self._output.seek(0)
        return self._output.read()


def main(argv: list[str]) -> None:
    del argv
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(_WORKDIR.value or scratch)
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(f"soak: --workdir={folder} is not empty; give a new folder")
        raise SystemExit(_soak(folder / "whole", folder / "pieces"))


def _soak(whole: Path, pieces: Path) -> int:
    started = time.monotonic()
    steps = _STEPS.value or 80 * _KILLS.value
    given = [f"--{name}={value}" for name, value in _TRAINING.items()] + [f"--steps={steps}"]
    print(f"tfpix2pix train {' '.join(given)}", flush=True)
    undisturbed = Sitting(whole, given)
    undisturbed.until("summary", 1)
    lasts = {"starting": time.monotonic() - undisturbed.started, "anywhere": 1.0}
    while undisturbed.hear(1.0):
        pass
    said = undisturbed.end()
    if undisturbed.process.returncode:
        raise SystemExit(f"soak: the undisturbed run failed:\n{said}")
    lasts.update({phase: statistics.median(took) for phase, took in undisturbed.took.items()})
    print("seconds of a phase: " + ", ".join(f"{k} {v:.4f}" for k, v in lasts.items()), flush=True)

    dice = random.Random(_SEED.value)
    fallen: collections.Counter[tuple[str, str]] = collections.Counter()
    faults: list[str] = []
    for number, (phase, name) in enumerate(_plan(dice), start=1):
        before = _newest(pieces)
        sitting = Sitting(pieces, given)
        times = {"saving": dice.randint(1, 2), "summary": dice.randint(1, 40)}.get(phase, 1)
        if not _aim(sitting, phase, times, lasts[phase], dice):
            raise SystemExit(
                f"soak: the run ended by itself after {number - 1} kills; give more --steps unless "
                f"it failed:\n{sitting.end()}"
            )
        where = _send(sitting, name, dice)
        said = sitting.end()
        where = (sitting.inside if name == "SIGKILL" else where) or (
            "stepping" if sitting.entered else "starting"
        )
        fallen[where, name] += 1
        faults += [f"kill {number}: {fault}" for fault in _check(sitting, name, said, before)]
        print(f"{number:3}: {name} while {where}, step {_newest(pieces)} saved", flush=True)
    last = Sitting(pieces, given)
    while last.hear(1.0):
        pass
    said = last.end()
    if last.process.returncode:
        faults.append(f"the last sitting failed: {said}")
    faults += _differences(whole, pieces, steps)
    _print(whole, fallen, faults, steps, time.monotonic() - started)
    return 1 if faults else 0


def _plan(dice: random.Random) -> list[tuple[str, str]]:
    """(phase, signal) of every kill: in the shares above, in random order."""

    def shared(shares: dict[str, int]) -> list[str]:
        ends, total, chosen = 0, sum(shares.values()), []
        for name, share in shares.items():
            ends += share
            chosen += [name] * (round(ends / total * _KILLS.value) - len(chosen))
        dice.shuffle(chosen)
        return chosen

    plan = list(zip(shared(_PHASES), shared(_SIGNALS), strict=True))
    # Before the command has opened its ears, Ctrl-C meets Python's own start.
    return [(p, "SIGKILL" if (p, s) == ("starting", "SIGINT") else s) for p, s in plan]


def _aim(sitting: Sitting, phase: str, times: int, lasts: float, dice: random.Random) -> bool:
    """Waits for a random moment of a phase; False if the process ended before.

    One that was over meanwhile is waited for again, if it comes often.
    """
    if phase in ("starting", "anywhere", "report"):
        if phase != "starting" and not sitting.until(phase, times):
            return False
        time.sleep(dice.uniform(0, lasts))
        return True
    for _ in range(4):
        if not sitting.until(phase, times):
            return False
        time.sleep(dice.uniform(0, lasts))
        sitting.catch_up()
        if sitting.inside == phase:
            break
        times = sitting.entered[phase] + 1
    return True


def _send(sitting: Sitting, name: str, dice: random.Random) -> str:
    """Sends the signal; returns the phase that the process was in then, as far as it was heard."""
    sitting.catch_up()
    where = sitting.inside
    sitting.process.send_signal(signal.Signals[name.split()[0]])
    if name.endswith("twice"):
        time.sleep(dice.uniform(0, 0.3))
        if sitting.process.poll() is None:
            sitting.process.send_signal(signal.SIGTERM)
    return where


def _check(sitting: Sitting, name: str, said: str, before: int) -> list[str]:
    """What is wrong with how a sitting began and ended."""
    faults = []
    number = signal.Signals[name.split()[0]]
    if sitting.process.returncode not in (-number, 128 + number):
        faults.append(f"{name} ended with exit code {sitting.process.returncode}: {said}")
    if "Traceback" in said:
        faults.append(f"a traceback: {said}")
    if sitting.entered and before and f"continuing from step {before:,} of" not in said:
        faults.append(f"it did not continue from step {before}: {said}")
    return faults


def _newest(run: Path) -> int:
    steps = (run / "checkpoints").glob("step_*")
    return max((int(path.name[5:]) for path in steps), default=0)


def _differences(whole: Path, pieces: Path, steps: int) -> list[str]:
    """In what two finished runs differ, and what kills have left behind."""
    faults = []
    looks = {
        "the last checkpoint": lambda run: _digests(run / "checkpoints" / f"step_{steps:08d}"),
        "metrics.jsonl": _records,
        "the sample pictures": lambda run: _digests(run / "samples"),
    }
    for what, look in looks.items():
        one, other = look(whole), look(pieces)
        if not one or one != other:
            faults.append(f"{what} differ: {len(one)} entries, {len(other)} in the killed run")
    left = [str(path) for path in pieces.rglob(".*")]
    return faults + ([f"left behind: {', '.join(left)}"] if left else [])


def _digests(folder: Path) -> dict[str, str]:
    """Every file's SHA-256, but for meta.json, which holds seconds; packed pictures by content."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("meta.json", "fixed.npz")
    }


def _records(run: Path) -> list[dict]:
    """The measurements without what depends on the clock (notes are about one sitting)."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    records = [record for line in lines if (record := json.loads(line))["kind"] != "note"]
    return [
        {k: v for k, v in record.items() if k not in ("seconds", "images_per_second")}
        for record in records
    ]


def _print(
    whole: Path,
    fallen: collections.Counter[tuple[str, str]],
    faults: list[str],
    steps: int,
    seconds: float,
) -> None:
    versions = json.loads((whole / "run.json").read_text())["versions"]
    now = datetime.now().astimezone().isoformat(" ", "minutes")
    print(
        f"\n{fallen.total()} kills in {steps:,} steps, seed {_SEED.value}, "
        f"{seconds / 60:.0f} minutes; {now}, {_machine()}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
    )
    print("| while | " + " | ".join(_SIGNALS) + " |")
    print("| --- |" + " --- |" * len(_SIGNALS))
    for where in sorted({where for where, _ in fallen}):
        print(f"| {where} | " + " | ".join(str(fallen[where, name]) for name in _SIGNALS) + " |")
    records = len(_records(whole))
    if not faults:
        print(
            f"the same to the bit as the undisturbed run: the last checkpoint, {records:,} records "
            "of metrics.jsonl, the sample pictures; nothing left behind"
        )
    for fault in faults:
        print(f"FAULT: {fault}")


def _machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        model = names[0] if names else model
        cores = len(os.sched_getaffinity(0))
    except (OSError, AttributeError):  # not Linux
        cores = os.cpu_count() or 1
    return f"{cores} core{'' if cores == 1 else 's'} of {model}, {platform.system()}"


if __name__ == "__main__":
    app.run(main)
