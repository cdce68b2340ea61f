"""Tiny studies, and participants of known skill who go through them without a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.study.folder import CHECK, PRACTICE, SPOILT, TRIAL, Study
from tfpix2pix.study.making import make_study
from tfpix2pix.study.settings import Settings

INPUTS = 14
TINY = {"trials": 6, "practice": 2, "checks": 2, "seconds": 0.05, "gap": 0.0}


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Folders ``real``, ``good`` and ``bad`` of 14 pictures, 20 wide and 16 high; the blue of a
    picture is 0, 100 or 200 by whose it is, its red is its input's number times ten."""
    root = tmp_path_factory.mktemp("pictures")
    for place, who in enumerate(("real", "good", "bad")):
        (root / who).mkdir()
        for i in range(INPUTS):
            picture = np.zeros((16, 20, 3), np.uint8)
            picture[..., 0], picture[..., 2] = 10 * i, 100 * place
            Image.fromarray(picture).save(root / who / f"{i}.png")
    return {who: root / who for who in ("real", "good", "bad")}


@pytest.fixture(scope="session")
def make(folders) -> Callable[..., Study]:
    """`make(output, models=("good", "bad"), **settings)` makes a tiny study."""

    def run(output: Path, models=("good", "bad"), **settings) -> Study:
        chosen = Settings(**{**TINY, **settings})
        real = folders["real"] if chosen.ask == "fake" else None
        return make_study(output, {name: folders[name] for name in models}, real, chosen)

    return run


@pytest.fixture(scope="session")
def study(make, tmp_path_factory) -> Study:
    """One of two models, one for each participant. Write nothing but results to it."""
    return make(tmp_path_factory.mktemp("study") / "study")


@pytest.fixture(scope="session")
def play() -> Callable[..., dict]:
    """`play(study, number, skill)`: the result of a participant, as the page sends it.

    `skill` is the chance to answer a trial rightly, or (in a preference) to choose the second
    model; `checks` that of a check. `matchup`: which, where each participant has one.
    """

    def run(study: Study, number: int, skill: float, matchup=None, checks=1.0, ms=700) -> dict:
        random = np.random.default_rng(number)
        settings = study.settings
        if settings.session == "one" and matchup is None:
            matchup = number % len(study.matchups)
        answers = []
        images: set[str] = set()
        for kind, count in (
            (PRACTICE, settings.practice),
            (TRIAL, settings.trials),
            (CHECK, settings.checks),
        ):
            there = [(i, pair) for i, pair in study.pairs.items() if pair.kind == kind]
            order = random.permutation(len(there))
            taken = 0
            for place in order:
                identity, pair = there[place]
                if taken == count or (kind != CHECK and pair.image in images):
                    continue
                if matchup is not None and pair.matchup not in (None, matchup):
                    continue
                taken += 1
                images.add(pair.image)
                first = random.choice(list(pair.pictures))
                fake = settings.ask == "fake"
                if kind == CHECK:
                    wanted = SPOILT if (random.random() < checks) == fake else "sound"
                else:
                    a, b = study.matchups[pair.matchup]
                    wanted = b if random.random() < skill else a
                chosen = "first" if pair.pictures[str(first)] == wanted else "second"
                answer = {"pair": identity, "first": str(first), "chosen": chosen}
                answers.append({**answer, "ms": ms, "shown": [50, 51]})
        result = {"format": 1, "study": study.identity, "participant": f"{number:016x}"}
        return {**result, "matchup": matchup, "again": False, "answers": answers}

    return run


@pytest.fixture(scope="session")
def write_lines() -> Callable[[Path, list[dict]], Path]:
    """Writes results as JSON lines."""

    def write(path: Path, results: list[dict]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(result) + "\n" for result in results))
        return path

    return write
