"""`tfpix2pix study`: from pictures to a score, and what it refuses."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from pathlib import Path

import pytest


@pytest.fixture
def pictures(tmp_path, draw) -> Path:
    """Folders real/ and made/ of 12 pictures each."""
    for folder, seed in (("real", 0), ("made", 100)):
        for i in range(12):
            draw(tmp_path / folder / f"{i}.png", 16, 16, seed=seed + i)
    return tmp_path


FEW = ("--trials=6", "--practice=2", "--checks=2", "--seconds=0.05")


def session(study: Path, number: int, fooled: int) -> dict:
    """Of a participant who takes so many of the six for real, by the key."""
    key = json.loads((study / "key.json").read_text())
    answers, left = [], fooled
    kinds = {"practice": 2, "trial": 6, "check": 2}
    for identity, pair in key["pairs"].items():
        if not kinds[pair["kind"]]:
            continue
        kinds[pair["kind"]] -= 1
        first, _second = pair["pictures"]
        chosen = "first" if pair["pictures"][first] in ("made", "spoilt") else "second"
        if pair["kind"] == "trial" and left:
            left -= 1
            chosen = {"first": "second", "second": "first"}[chosen]
        answer = {"pair": identity, "first": first, "chosen": chosen}
        answers.append({**answer, "ms": 900, "shown": [50, 50]})
    result = {"format": 1, "study": key["study"], "participant": f"{number:016x}"}
    return {**result, "matchup": 0, "again": False, "answers": answers}


def test_from_pictures_to_a_score(run_cli, start_cli, pictures):
    study = pictures / "study"
    made = run_cli(
        "study", "--make", "--real=real", "--model=made:made", "--output=study", *FEW, cwd=pictures
    )
    assert made.returncode == 0, made.stderr
    assert "tfpix2pix study --serve=study" in made.stdout

    serving = start_cli("study", f"--serve={study}")
    line = serving.stdout.readline()
    url = re.fullmatch(r"the study is at (http://127\.0\.0\.1:\d+/) .*\n", line)[1]
    with urllib.request.urlopen(url) as page:
        assert b"Real or fake?" in page.read()
    for number, fooled in enumerate((1, 2)):
        body = json.dumps(session(study, number, fooled)).encode()
        request = urllib.request.Request(
            f"{url}results", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 204
    second = run_cli("study", f"--serve={study}", timeout=60)
    assert second.returncode == 2
    assert "--serve=" in second.stderr
    serving.send_signal(signal.SIGINT)
    out, err = serving.communicate(timeout=60)
    assert (serving.returncode, err) == (0, "")
    assert "2 finished" in out
    assert f"tfpix2pix study --score={study}" in out

    scored = run_cli("study", "--score=study", cwd=pictures)
    assert scored.returncode == 0, scored.stderr
    assert re.search(r"^made +25\.0 % ", scored.stdout, re.MULTILINE)
    assert "18.9 % ± 2.5 %" in scored.stdout
    assert json.loads((study / "score.json").read_text())["shares"]["made"]["value"] == 0.25
    assert "25.0 %" in (study / "score.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ((), "give one of --make, --serve=STUDY and --score=STUDY (none was given)"),
        (("--make", "--serve=x"), "(--make and --serve was given)"),
        (("--make",), "--output is missing"),
        (("--make", "--output=s"), "--model is missing"),
        (("--make", "--output=s", "--model=x:made"), "--real is missing"),
        (("--make", "--output=s", "--real=real", "--model=made"), "expected NAME:FOLDER"),
        (
            ("--make", "--output=s", "--real=real", "--model=x:made", "--model=x:real"),
            "--model=x is named twice",
        ),
        (("--make", "--output=s", "--real=real", "--model=x:made"), "12 inputs have pictures"),
        (("--make", "--output=s", "--trials=0"), "--trials=0 is too small"),
        (("--make", "--output=s", "--ask=faker"), "did you mean 'fake'?"),
        (("--make", "--output=s", "--direction=BtoA"), "--direction is for --side_by_side"),
        (("--make", "--output=s", "--port=1"), "--port is a flag of --serve, not of --make"),
        (("--score=real",), "holds no key.json"),
        (("--score=real", "--min_checks=2"), "expected a share from 0 to 1"),
        (("--score=real", "--trials=2"), "--trials is a flag of --make, not of --score"),
        (("--serve=none",), "no such folder"),
    ],
)
def test_refusals(refused, pictures, monkeypatch, flags, part):
    said = refused("study", *flags)
    assert part in said
    assert not (pictures / "s").exists()
