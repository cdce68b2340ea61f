"""What a study's folder holds, and what the page is told and is not."""

from __future__ import annotations

import json
import os
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base.errors import UserError
from tfpix2pix.study.folder import CHECK, PRACTICE, SOUND, SPOILT, TRIAL, open_study
from tfpix2pix.study.making import make_study
from tfpix2pix.study.settings import REAL, Settings


def page_of(study) -> tuple[str, dict]:
    text = (study.page / "index.html").read_text("utf-8")
    (told,) = re.findall(r'<script type="application/json" id="study">(.*?)</script>', text)
    return text, json.loads(told)


def owner_of(study, file: str) -> tuple[str, int]:
    """Whose picture it is and of which input, by its colours."""
    with Image.open(study.pictures / file) as picture:
        red, _, blue = np.asarray(picture)[0, 0]
    return ("real", "good", "bad")[blue // 100], int(red) // 10


def test_every_pair_shows_what_the_key_says(study):
    kinds = Counter((pair.kind, pair.matchup) for pair in study.pairs.values())
    assert kinds == {
        **{(PRACTICE, m): 2 for m in (0, 1)},
        **{(TRIAL, m): 10 for m in (0, 1)},  # all that are left of 14
        (CHECK, None): 2,
    }
    for pair in study.pairs.values():
        for file, owner in pair.pictures.items():
            if pair.kind != CHECK:
                assert owner_of(study, file) == (owner, int(pair.image))
    files = {path.name for path in study.pictures.iterdir()}
    assert files == {file for pair in study.pairs.values() for file in pair.pictures}


def test_inputs_of_practice_trials_and_checks_are_different_ones(study):
    images = {
        kind: {p.image for p in study.pairs.values() if p.kind == kind}
        for kind in (PRACTICE, TRIAL, CHECK)
    }
    assert sum(map(len, images.values())) == len(set().union(*images.values())) == 14


def test_a_check_is_plain(study):
    for pair in study.pairs.values():
        if pair.kind == CHECK:
            sound, spoilt = (
                np.asarray(Image.open(study.pictures / pair.of(w)), float) for w in (SOUND, SPOILT)
            )
            assert owner_of(study, pair.of(SOUND)) == (REAL, int(pair.image))
            assert sound.std(axis=(0, 1)).max() == 0
            assert spoilt.std(axis=(0, 1)).min() > 35


def test_the_page_knows_which_is_fake_of_practice_alone(study):
    text, told = page_of(study)
    assert {key for key in told if key.endswith("Pairs")} == {
        *("practicePairs", "trialPairs", "checkPairs")
    }
    for row in told["practicePairs"]:
        for matchup, pair in enumerate(row):
            assert pair["fake"] == study.pairs[pair["id"]].of(study.models[matchup])
    others = [pair for row in told["trialPairs"] for pair in row] + told["checkPairs"]
    assert {tuple(pair) for pair in others} == {("id", "pictures")}
    assert not re.search(r"\bgood\b|\bbad\b", text.split("<body>")[1])


def test_files_tell_nothing(make, tmp_path):
    """Not by name, place in the pair, header or date."""
    study = make(tmp_path / "s")
    _, told = page_of(study)
    pairs = [pair for row in told["trialPairs"] for pair in row]
    first = [study.pairs[pair["id"]].pictures[pair["pictures"][0]] == REAL for pair in pairs]
    assert 0 < sum(first) < len(first)
    files = sorted(study.pictures.iterdir(), key=lambda path: path.name)
    assert all(re.fullmatch(r"[0-9a-f]{16}\.png", path.name) for path in files)
    dates = [os.stat(path).st_mtime_ns for path in files]
    assert dates == sorted(dates)
    heads = {path.read_bytes()[:33] for path in files}
    assert len(heads) == 1
    assert len({pair for row in told["trialPairs"] for pair in (p["id"] for p in row)}) == 20


def test_the_seed_decides_everything(make, tmp_path):
    one, same, other = (
        make(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert (one.page / "index.html").read_bytes() == (same.page / "index.html").read_bytes()
    assert one.identity == same.identity != other.identity
    assert not set(one.pairs) & set(other.pairs)


def test_what_was_written_is_read_again(study):
    again = open_study(study.folder, "--serve")
    assert again == study


def test_pairs_of_different_inputs(make, tmp_path):
    study = make(tmp_path / "s", pairing="other")
    for pair in study.pairs.values():
        if pair.kind == TRIAL:
            real, made = (owner_of(study, pair.of(w)) for w in study.matchups[pair.matchup])
            assert made[1] == int(pair.image) != real[1]


def test_a_preference_needs_no_real_pictures(make, tmp_path):
    study = make(tmp_path / "s", ask="preference")
    assert study.matchups == [("good", "bad")]
    assert study.names() == ["good : bad"]
    _, told = page_of(study)
    assert all("fake" not in pair for row in told["practicePairs"] for pair in row)
    assert {owner_of(study, f)[0] for p in study.pairs.values() for f in p.pictures} >= {"bad"}


def test_halves_and_sizes(folders, draw_pairs, tmp_path):
    settings = Settings(trials=6, practice=2, checks=2, size=8)
    for direction, blue in (("AtoB", 0), ("BtoA", 50)):
        study = make_study(
            tmp_path / direction,
            {"good": folders["good"]},
            draw_pairs,
            settings,
            side_by_side=True,
            direction=direction,
        )
        pair = next(p for p in study.pairs.values() if p.kind == TRIAL)
        with Image.open(study.pictures / pair.of(REAL)) as picture:
            assert picture.size == (8, 8)
            assert np.asarray(picture)[0, 0, 2] == blue


@pytest.fixture
def draw_pairs(tmp_path):
    """Pairs side by side whose left half is blue of 50, the right one black."""
    (tmp_path / "pairs").mkdir()
    for i in range(14):
        picture = np.zeros((16, 40, 3), np.uint8)
        picture[:, :20, 2] = 50
        Image.fromarray(picture).save(tmp_path / "pairs" / f"{i}.png")
    return tmp_path / "pairs"


# === Refusals ===


@pytest.fixture
def refused(folders, tmp_path):
    """Makes a study that is refused; returns the sentence, and asserts that nothing was made."""

    def run(models=None, real=folders["real"], output="new", **settings) -> str:
        before = sorted(tmp_path.iterdir())
        models = {"good": folders["good"]} if models is None else models
        chosen = {"trials": 6, "practice": 2, "checks": 2, **settings}
        with pytest.raises(UserError) as caught:
            make_study(tmp_path / output, models, real, Settings(**chosen))
        assert sorted(tmp_path.iterdir()) == before
        return str(caught.value)

    return run


def test_fewer_pictures_than_trials(refused, folders, make, tmp_path):
    said = refused(trials=40)
    assert "14 inputs" in said
    assert "44 are needed (2 practice + 40 trials + 2 checks" in said
    flags = dict(re.findall(r"--(\w+)=(\d+)", said.split(", or use")[1]))
    settings = Settings(**{name: int(value) for name, value in flags.items()})
    assert make_study(tmp_path / "s", {"good": folders["good"]}, folders["real"], settings)


def test_unlike_sizes(refused, folders, tmp_path):
    (tmp_path / "m").mkdir()
    for i in range(14):
        Image.new("RGB", (20, 16 if i else 18)).save(tmp_path / "m" / f"{i}.png")
    said = refused({"m": tmp_path / "m"})
    assert "2 sizes" in said
    assert "20x18" in said
    assert "--size=16x20" in said
    settings = Settings(trials=6, practice=2, checks=2, size="16x20")
    assert make_study(tmp_path / "s", {"m": tmp_path / "m"}, folders["real"], settings)


def test_names_that_do_not_match(refused, folders, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for i in range(14):
        Image.new("RGB", (20, 16)).save(tmp_path / "a" / f"{i}.png")
        Image.new("RGB", (20, 16)).save(tmp_path / "b" / f"{i + 3}.png")
    said = refused({"a": tmp_path / "a", "b": tmp_path / "b"})
    assert said.startswith("3 of 14 pictures of --model=a:")
    assert "(0, 1, 2)" in said
    said = refused({"b": tmp_path / "b"})
    assert "none of their name in --real=" in said
    assert "(14, 15, 16)" in said


def test_pictures_without_a_made_one_are_left_out_and_told(folders, tmp_path):
    (tmp_path / "few").mkdir()
    for i in range(11):
        os.symlink(folders["good"] / f"{i}.png", tmp_path / "few" / f"{i}.png")
    said: list[str] = []
    settings = Settings(trials=6, practice=2, checks=2)
    made = make_study(
        tmp_path / "s", {"few": tmp_path / "few"}, folders["real"], settings, say=said.append
    )
    assert [text for text in said if "3 pictures of --real=" in text]
    assert {int(p.image) for p in made.pairs.values()} <= set(range(11))


def test_other_refusals(refused, folders, tmp_path):
    assert "no such folder" in refused({"x": tmp_path / "none"})
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in refused({"x": tmp_path / "empty"})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    assert "`tfpix2pix translate --workdir=" in refused({"x": tmp_path / "run"})
    assert "--real is missing" in refused(real=None)
    two = {name: folders[name] for name in ("good", "bad")}
    assert "leave it out" in refused(two, ask="preference")
    assert "twice or more" in refused(ask="preference", real=None)
    assert "other than 'real'" in refused({"real": folders["good"]})
    assert "--model is missing" in refused({})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert "is not empty" in refused(output="full")
    (tmp_path / "bad").mkdir()
    for i in range(14):
        (tmp_path / "bad" / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert str(tmp_path / "bad") in refused({"x": tmp_path / "bad"}, size=8)


def test_no_study_there(study, tmp_path):
    def said(folder) -> str:
        with pytest.raises(UserError) as caught:
            open_study(folder, "--score")
        return str(caught.value)

    assert "no such folder" in said(tmp_path / "none")
    assert "holds no key.json" in said(tmp_path)
    assert f"give the study's folder, {study.folder}" in said(study.page)
    (tmp_path / "key.json").write_text("{")
    assert "is damaged" in said(tmp_path)
    (tmp_path / "key.json").write_text("[]")
    assert "is damaged" in said(tmp_path)
