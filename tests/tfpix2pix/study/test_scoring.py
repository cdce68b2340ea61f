"""Scores of participants of known skill, and intervals of known coverage."""

from __future__ import annotations

import html
import json
import math
import re

import numpy as np
import pytest
from scipy import stats

from tfpix2pix.base.errors import UserError
from tfpix2pix.study.report import notes, paper, rows, write_score
from tfpix2pix.study.results import parse_result, read_results
from tfpix2pix.study.scoring import Trials, interval, score, shares


def scored(study, results, **options):
    return score(study, [parse_result(study, json.dumps(r)) for r in results], **options)


# === Skill ===


def test_a_perfect_participant_is_never_fooled(study, play):
    found = scored(study, [play(study, n, skill=1.0) for n in range(8)])
    assert [share.value for share in found.shares] == [0.0, 0.0]
    assert found.checks == 1.0
    assert found.shares[0].participants == 4
    assert found.shares[0].trials == 24
    # Nobody fooled is no proof that nobody ever will be.
    assert found.shares[0].low == 0
    assert 0.05 < found.shares[0].high < 0.5


def test_chance_is_one_half(study, play):
    found = scored(study, [play(study, n, skill=0.5) for n in range(120)])
    for share in found.shares:
        assert share.trials == 360
        assert abs(share.value - 0.5) < 4 * share.error
        assert share.low < 0.5 < share.high
        assert share.p > 0.001
    assert abs(found.first - 0.5) < 0.1


def test_who_takes_everything_for_real_is_always_fooled(study, play):
    found = scored(study, [play(study, n, skill=0.0) for n in range(8)])
    assert [share.value for share in found.shares] == [1.0, 1.0]
    assert found.shares[0].high == 1


def test_two_models_are_told_apart(study, play):
    """In the second the fakes are found, in the first hardly."""
    found = scored(study, [play(study, n, skill=(0.55, 0.95)[n % 2]) for n in range(60)])
    (gap,) = found.gaps
    assert gap.high < 0
    assert gap.p_holm < 0.001
    assert gap.value == pytest.approx(found.shares[1].value - found.shares[0].value)


def test_a_preference(make, play, tmp_path):
    study = make(tmp_path / "s", ask="preference")
    found = scored(study, [play(study, n, skill=0.8) for n in range(40)])
    (share,) = found.shares
    assert share.low < 0.8 < share.high
    assert share.p < 1e-4
    assert found.checks == 1.0
    assert found.gaps == []
    write_score(found)
    assert "good : bad" in (study.folder / "score.html").read_text("utf-8")


def test_everybody_judges_every_model(make, play, tmp_path):
    study = make(tmp_path / "s", session="all")
    found = scored(study, [play(study, n, skill=0.7) for n in range(30)])
    assert min(share.participants for share in found.shares) > 25  # drawn at random here
    assert sum(share.trials for share in found.shares) == 180


# === Who and what counts ===


def test_who_misses_checks_is_left_out_and_told(study, play):
    careful = [play(study, n, skill=1.0) for n in range(6)]
    careless = [play(study, n, skill=0.0, checks=0.0) for n in range(6, 8)]
    found = scored(study, careful + careless)
    assert found.inattentive == 2
    assert found.checks == pytest.approx(12 / 16)
    assert [share.value for share in found.shares] == [0, 0]
    assert [share.value for share in found.shares_of_all] == [0.25, 0.25]
    assert "checks: 2 of 8; with them:" in notes(found)[0]
    assert "25.0 %" in notes(found)[0]
    kept = scored(study, careful + careless, min_checks=0.0)
    assert (kept.inattentive, kept.shares[0].value) == (0, 0.25)


def test_a_picture_that_stayed_too_long_does_not_count(study, play):
    results = [play(study, n, skill=1.0) for n in range(4)]
    trials = [a for a in results[0]["answers"] if study.pairs[a["pair"]].kind == "trial"]
    trials[0]["shown"] = [50, 60_000]
    found = scored(study, results)
    assert found.late == 1
    assert sum(share.trials for share in found.shares) == 23


def test_a_single_participant_has_no_interval(study, play):
    found = scored(study, [play(study, 0, skill=1.0)])
    assert found.shares[1] is None
    assert math.isnan(found.shares[0].low)
    write_score(found)
    told = json.loads((study.folder / "score.json").read_text())
    assert told["shares"]["good"]["low"] is None
    assert told["shares"]["bad"] is None
    assert rows(found)[1][1] == "-"


# === Intervals ===


def answers(
    random: np.random.Generator, people: int, images: int, each: int, spread: float, both: bool
) -> Trials:
    """Of participants who differ in skill and images that differ in difficulty."""
    skill, ease = (spread * random.standard_normal(n) for n in (people, images))
    person = np.repeat(np.arange(people), each)
    image = np.concatenate([random.permutation(images)[:each] for _ in range(people)])
    fooled = random.random(len(person)) < 1 / (1 + np.exp(1 - skill[person] - ease[image]))
    matchup = (np.arange(len(person)) + person) % 2 if both else 0 * person
    return Trials(person, image, matchup, fooled)


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_intervals_cover_the_truth_in_19_of_20(spread):
    """Over other people and other images; what takes trials for independent does not."""
    random = np.random.default_rng(5)
    many = spread * random.standard_normal((2, 400_000))
    truth = np.mean(1 / (1 + np.exp(1 - many.sum(axis=0))))
    runs = 160
    covered = covered_gap = naive = 0
    for run in range(runs):
        trials = answers(random, people=14, images=40, each=24, spread=spread, both=True)
        (one, _), (gap,) = shares(trials, 2, count=150, seed=run)
        covered += one.low <= truth <= one.high
        covered_gap += gap.low <= 0 <= gap.high
        hits = int(trials.chosen[trials.matchup == 0].sum())
        alone = stats.binomtest(hits, one.trials).proportion_ci(method="wilson")
        naive += alone.low <= truth <= alone.high
    # Three standard errors of a share of 160 at 95 % are 5 %.
    assert covered / runs >= 0.90
    assert covered_gap / runs >= 0.90
    if spread:
        assert covered / runs <= 0.99
        assert naive / runs < 0.85
    else:
        assert naive / runs >= 0.90


def test_the_interval_of_independent_trials_is_wilsons():
    for hits, trials in ((0, 50), (7, 40), (30, 60)):
        share = hits / trials
        found = interval(share, share * (1 - share) / trials, trials, units=10**7)
        expected = stats.binomtest(hits, trials).proportion_ci(method="wilson")
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_error_is_that_of_two_way_clusters():
    """Of a full table of answers: by sums of squares, without samples."""
    random = np.random.default_rng(0)
    people, images = 30, 50
    chance = 1 / (1 + np.exp(random.standard_normal((people, 1)) + random.standard_normal(images)))
    table = random.random((people, images)) < chance
    person, image = (axis.ravel() for axis in np.indices(table.shape))
    (share,), _ = shares(Trials(person, image, 0 * person, table.ravel()), 1, count=4000)
    value = table.mean()
    centred = table - value
    parts = [
        (centred.sum(axis=1 - axis) ** 2).sum() / table.size**2 * n / (n - 1)
        for axis, n in ((0, people), (1, images))
    ]
    expected = math.sqrt(sum(parts) - value * (1 - value) / table.size)
    assert share.value == value
    assert share.error == pytest.approx(expected, rel=0.06)


# === Files ===


def test_results_are_read_from_files_once_each(study, play, write_lines, tmp_path):
    one, two, three = (play(study, n, skill=0.5) for n in range(3))
    write_lines(tmp_path / "served.jsonl", [one, two])
    write_lines(tmp_path / "saved (1).jsonl", [two, three])  # sent, and saved too
    (tmp_path / "notes.txt").write_text("not a result")
    sessions = read_results(study, [tmp_path])
    assert sorted(s.participant for s in sessions) == [f"{n:016x}" for n in range(3)]
    assert len(read_results(study, [tmp_path / "served.jsonl"])) == 2


def test_broken_and_foreign_results(study, make, play, write_lines, tmp_path):
    good = play(study, 0, skill=0.5)
    file = tmp_path / "r.jsonl"

    def said(*results) -> str:
        write_lines(file, list(results))
        with pytest.raises(UserError) as caught:
            read_results(study, [file])
        text = str(caught.value)
        assert text.startswith(f"{file}, line {len(results)}: ")
        assert text.endswith("; take the line out, or the file away")
        return text

    def changed(**values) -> dict:
        return {**play(study, 1, skill=0.5), **values}

    def answer(**values) -> dict:
        result = play(study, 1, skill=0.5)
        result["answers"][3] |= values
        return result

    assert "another study" in said(good, changed(study="0" * 16))
    assert "another version" in said(good, changed(format=9))
    assert "16 hexadecimal" in said(good, changed(participant="Ann"))
    assert "no matchup 7" in said(good, changed(matchup=7))
    assert "no matchup None" in said(good, changed(matchup=None))
    assert "expected 2" in said(good, changed(answers=good["answers"][1:]))
    twice = [good["answers"][0], *good["answers"][:-1]]
    assert "answered twice" in said(good, changed(answers=twice))
    assert "another matchup" in said(good, changed(answers=play(study, 0, skill=0.5)["answers"]))
    assert "no pair" in said(good, answer(pair="x"))
    assert "no picture" in said(good, answer(first="../key.json"))
    assert "neither first nor second" in said(good, answer(chosen="third"))
    assert "no time" in said(good, answer(ms=-1))
    assert "no time" in said(good, answer(ms=True))
    assert "two times" in said(good, answer(shown=[1]))
    assert "no result" in said(good, ["a", "list"])
    file.write_text(json.dumps(good) + "\n" + json.dumps(good)[:100])
    with pytest.raises(UserError, match="line 2: this is no JSON"):
        read_results(study, [file])
    file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(UserError, match="line 1: this is no JSON"):
        read_results(study, [file])
    file.write_text("[" * 100_000 + "\n")
    with pytest.raises(UserError, match="line 1: this is no JSON"):
        read_results(study, [file])
    other = play(study, 0, skill=0.5, ms=1)
    write_lines(file, [good, other])
    with pytest.raises(UserError, match="answered otherwise"):
        read_results(study, [file])


def test_no_results_yet(study, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no participant has finished"):
        read_results(study, [tmp_path / "none"])
    with pytest.raises(UserError, match="no such file"):
        read_results(study, [tmp_path / "nowhere"])


# === The page ===


def test_the_page_has_the_numbers_and_the_papers(make, play, tmp_path):
    study = make(tmp_path / "s", title="Hou<b>ses")
    found = scored(study, [play(study, n, skill=0.7) for n in range(20)])
    write_score(found)
    page = (study.folder / "score.html").read_text("utf-8")
    assert "Hou&lt;b&gt;ses" in page
    for row in rows(found):
        for cell in row:
            assert f">{html.escape(cell)}<" in page
    assert "18.9 % ± 2.5 %" in page
    assert page.count("data:image/png") == 2 * 2 * 2 * 4  # models, most and least, pairs
    assert not re.search(r"(?:src|href)=.https?:", page)
    assert [table["number"] for table in paper()["tables"]] == ["Table 4", "Table 5"]
    told = json.loads((study.folder / "score.json").read_text())
    assert told["shares"]["good"]["value"] == found.shares[0].value
    assert told["differences"][0]["a"] == "good"
