"""How many were fooled, and how sure that is: other people, other images.

A share's variance has a part of the participants, who differ in skill, one of the images, which
differ in difficulty, and one of the single answer. The bootstrap over participants holds the first
and the last, that over images the second and the last, so their sum counts the last twice; it is
taken off once (as Cameron, Gelbach and Miller 2011 do for two kinds of clusters). Resampling both
at once instead would count it three times (Owen 2007), and make intervals too wide.

The interval is Wilson's for as many independent trials as would vary so much, with Student's
quantile for the smaller of the counts of participants and of images: it stays within 0 and 1, and
says more than nothing where nobody was fooled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from tfpix2pix.evaluation.bootstrap import draws
from tfpix2pix.evaluation.comparison import holm_adjusted
from tfpix2pix.study.folder import CHECK, SPOILT, TRIAL, Study
from tfpix2pix.study.results import Answer, Session

LEVEL = 0.95
DRAWS = 2000
LATE = 0.25  # of the time that a picture was to be shown: more is too long
_SLACK = 200.0  # milliseconds that are never too long, of slow machines


@dataclass(frozen=True)
class Share:
    """How often one of two was chosen.

    Attributes:
      value: the share, 0 to 1.
      error: its standard error over participants and images; NaN of a single participant or image.
      low, high: ends of the 95 % interval; NaN as the error is.
      p: chance that a share of one half would look so far from it.
      trials, participants, images: that it is taken over.
    """

    value: float
    error: float
    low: float
    high: float
    p: float
    trials: int
    participants: int
    images: int


@dataclass(frozen=True)
class Gap:
    """The difference of two shares, `b` less `a`, places among the matchups; `p_holm` allows for
    the number of differences."""

    a: int
    b: int
    value: float
    error: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan


@dataclass(frozen=True)
class Trials:
    """The trials that count, ``[N]`` each: who answered of which image in which matchup, and
    whether the second of the matchup was chosen as real or more realistic."""

    participant: np.ndarray
    image: np.ndarray
    matchup: np.ndarray
    chosen: np.ndarray


# === The numbers ===


def shares(
    trials: Trials, matchups: int, count: int = DRAWS, seed: int = 0
) -> tuple[list[Share | None], list[Gap]]:
    """The share of each matchup, None of one without trials, and their differences.

    Args:
      trials: that count.
      matchups: how many there are.
      count: of bootstrap samples.
      seed: of these.
    """
    people, person = np.unique(trials.participant, return_inverse=True)
    things, thing = np.unique(trials.image, return_inverse=True)
    # [matchups, participants or images]: how many trials, and in how many it was chosen.
    by_person = _sums(trials, person, matchups, len(people))
    by_thing = _sums(trials, thing, matchups, len(things))
    total, hits = (table.sum(axis=1) for table in by_person)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = hits / total
        own = value * (1 - value) / (total - 1)
    # Participants are drawn among those who saw the same matchups.
    saw = by_person[0] > 0
    kinds = np.unique(saw, axis=1).T
    groups = [np.flatnonzero((saw == kind[:, None]).all(axis=0)) for kind in kinds]
    over_people = _replicates(*by_person, groups, count, seed)
    over_things = _replicates(*by_thing, [np.arange(len(things))], count, seed + 1)
    counts = np.stack([(by_person[0] > 0).sum(axis=1), (by_thing[0] > 0).sum(axis=1)])

    found: list[Share | None] = []
    for k in range(matchups):
        if not total[k]:
            found.append(None)
            continue
        variance = _joined(over_people[:, k], over_things[:, k], own[k], counts[:, k])
        low, high = interval(value[k], variance, int(total[k]), int(counts[:, k].min()))
        found.append(
            Share(
                float(value[k]),
                math.sqrt(variance),
                low,
                high,
                _p(value[k] - 0.5, _at_half(variance, value[k], total[k]), counts[:, k]),
                int(total[k]),
                *map(int, counts[:, k]),
            )
        )
    return found, _gaps(found, value, own, counts, over_people, over_things)


def _gaps(
    found: list[Share | None],
    value: np.ndarray,
    own: np.ndarray,
    counts: np.ndarray,
    over_people: np.ndarray,
    over_things: np.ndarray,
) -> list[Gap]:
    """Every two matchups; the same samples for both, so that what they share falls out."""
    gaps = []
    there = [k for k, share in enumerate(found) if share is not None]
    for place, a in enumerate(there):
        for b in there[place + 1 :]:
            few = np.minimum(counts[:, a], counts[:, b])
            variance = _joined(
                over_people[:, b] - over_people[:, a],
                over_things[:, b] - over_things[:, a],
                own[a] + own[b],
                few,
            )
            difference, error = value[b] - value[a], math.sqrt(variance)
            reach = _quantile(few) * error
            low, high = max(-1.0, difference - reach), min(1.0, difference + reach)
            p = _p(difference, variance, few)
            gaps.append(Gap(a, b, float(difference), error, float(low), float(high), p))
    adjusted = holm_adjusted([gap.p for gap in gaps])
    return [
        Gap(g.a, g.b, g.value, g.error, g.low, g.high, g.p, p)
        for g, p in zip(gaps, adjusted, strict=True)
    ]


def _sums(
    trials: Trials, unit: np.ndarray, matchups: int, units: int
) -> tuple[np.ndarray, np.ndarray]:
    tables = []
    for weights in (np.ones(len(unit)), trials.chosen.astype(float)):
        flat = np.bincount(trials.matchup * units + unit, weights, minlength=matchups * units)
        tables.append(flat.reshape(matchups, units))
    return tables[0], tables[1]


def _replicates(
    total: np.ndarray, hits: np.ndarray, groups: list[np.ndarray], count: int, seed: int
) -> np.ndarray:
    """Shares ``[count, matchups]`` of samples of participants or images, drawn within groups; NaN
    where a sample has none. They are spread out by what samples of so few lack."""
    weights = np.zeros((count, total.shape[1]))
    for place, group in enumerate(groups):
        weights[:, group] = np.concatenate(list(draws(len(group), count, seed + 1000 * place)))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (weights @ hits.T) / (weights @ total.T)
        middle = hits.sum(axis=1) / total.sum(axis=1)
    units = (total > 0).sum(axis=1)
    return middle + (found - middle) * np.sqrt(units / np.maximum(1, units - 1))


def _joined(
    over_people: np.ndarray, over_things: np.ndarray, own: float, counts: np.ndarray
) -> float:
    """The variance over participants and images; NaN where either is a single one."""
    if counts.min() < 2:
        return math.nan
    people, things = (float(np.nanvar(over, ddof=1)) for over in (over_people, over_things))
    return max(people + things - own, people, things, own)


def interval(value: float, variance: float, trials: int, units: int) -> tuple[float, float]:
    """Wilson's interval of a share.

    Args:
      value: the share.
      variance: of it; NaN gives NaN.
      trials: that it is taken over.
      units: the smaller of the counts of participants and of images.
    """
    if math.isnan(variance):
        return math.nan, math.nan
    spread = value * (1 - value)
    # As many independent trials as vary so much; where all answers are alike nothing tells.
    effective = min(trials, spread / variance) if spread and variance else trials
    square = _quantile(np.array([units])) ** 2 / effective
    middle = (value + square / 2) / (1 + square)
    reach = math.sqrt(square * (spread + square / 4)) / (1 + square)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _at_half(variance: float, value: float, trials: int) -> float:
    """The variance that as many effective trials would have about a share of one half."""
    spread = value * (1 - value)
    return 0.25 / trials if not spread else variance * 0.25 / spread


def _quantile(counts: np.ndarray) -> float:
    return float(stdtrit(max(1, int(counts.min()) - 1), 0.5 + LEVEL / 2))


def _p(difference: float, variance: float, counts: np.ndarray) -> float:
    if math.isnan(variance):
        return math.nan
    if not variance:
        return 1.0 if not difference else 0.0
    z = abs(difference) / math.sqrt(variance)
    return float(2 * stdtr(max(1, int(counts.min()) - 1), -z))


# === A study's answers ===


@dataclass(frozen=True)
class Picture:
    """One made picture: how often it was chosen of how many times."""

    matchup: int
    image: str
    chosen: int
    trials: int


@dataclass(frozen=True)
class Score:
    """What a study found.

    Attributes:
      study: of which.
      shares: of each matchup: how often the made picture was taken for real, or the second model
        preferred; None of one that nobody judged.
      gaps: between every two of them (of --ask=fake).
      sessions: how many participants finished.
      inattentive: how many of them were left out for missing checks.
      again: how many of those that count came from a browser that had been here before.
      late: trials that were left out because a picture was there for too long.
      checks: share of checks that all participants together passed; NaN where there are none.
      shares_of_all: the shares with those who missed checks.
      first: share of answers that chose the first picture.
      seconds: median time of an answer.
      pictures: of every matchup and image.
    """

    study: Study
    shares: list[Share | None]
    gaps: list[Gap]
    sessions: int
    inattentive: int
    again: int
    late: int
    checks: float
    shares_of_all: list[Share | None]
    first: float
    seconds: float
    pictures: list[Picture]

    def to_json(self) -> dict[str, Any]:
        """What ``score.json`` holds; shares are 0 to 1."""
        names = self.study.names()

        def plain(values: Any) -> Any:
            if values is None:
                return None
            return {k: _or_none(v) for k, v in vars(values).items()}

        return {
            "study": self.study.identity,
            "ask": self.study.settings.ask,
            "participants": self.sessions,
            "left_out": {"participants_by_checks": self.inattentive, "trials_too_long": self.late},
            "again": self.again,
            "checks_passed": _or_none(self.checks),
            "chose_first": _or_none(self.first),
            "median_seconds": _or_none(self.seconds),
            "shares": dict(zip(names, map(plain, self.shares), strict=True)),
            "shares_with_inattentive": dict(
                zip(names, map(plain, self.shares_of_all), strict=True)
            ),
            "differences": [
                {**plain(gap), "a": names[gap.a], "b": names[gap.b]} for gap in self.gaps
            ],
            "pictures": [{**vars(p), "matchup": names[p.matchup]} for p in self.pictures],
        }


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def score(study: Study, sessions: Sequence[Session], min_checks: float = 0.75) -> Score:
    """Scores a study.

    Args:
      study: of which the sessions are.
      sessions: of participants, at least one.
      min_checks: who passed a smaller share of the checks is left out.
    """
    passed = [_passed(study, session) for session in sessions]
    attentive = [
        session
        for session, checks in zip(sessions, passed, strict=True)
        if not checks or float(np.mean(checks)) >= min_checks
    ]
    answers = [(place, a) for place, s in enumerate(attentive) for a in _counting(study, s)]
    on_time = [(place, a) for place, a in answers if not _is_late(study, a)]
    trials = _trials(study, on_time)
    found, gaps = shares(trials, len(study.matchups))
    everyone = found
    if len(attentive) < len(sessions):
        every = [(i, a) for i, s in enumerate(sessions) for a in _counting(study, s)]
        kept = [(i, a) for i, a in every if not _is_late(study, a)]
        everyone, _ = shares(_trials(study, kept), len(study.matchups))
    all_checks = [check for checks in passed for check in checks]
    nan = math.nan
    return Score(
        study,
        found,
        gaps if study.settings.ask == "fake" else [],
        sessions=len(sessions),
        inattentive=len(sessions) - len(attentive),
        again=sum(session.again for session in attentive),
        late=len(answers) - len(on_time),
        checks=float(np.mean(all_checks)) if all_checks else nan,
        shares_of_all=everyone,
        first=float(np.mean([_chose_first(a) for _, a in on_time])) if on_time else nan,
        seconds=float(np.median([a.ms for _, a in on_time])) / 1000 if on_time else nan,
        pictures=_pictures(study, on_time),
    )


def _passed(study: Study, session: Session) -> list[bool]:
    """Of each check, whether the spoilt picture was called fake, or not preferred."""
    wanted = study.settings.ask == "fake"
    return [
        (answer.chosen == SPOILT) == wanted
        for answer in session.answers
        if study.pairs[answer.pair].kind == CHECK
    ]


def _counting(study: Study, session: Session) -> list[Answer]:
    return [a for a in session.answers if study.pairs[a.pair].kind == TRIAL]


def _is_late(study: Study, answer: Answer) -> bool:
    """A picture was there for longer than it was to be (a page in the background)."""
    wanted = 1000 * study.settings.seconds
    return max(answer.shown) > wanted + max(_SLACK, LATE * wanted)


def _chose_first(answer: Answer) -> bool:
    return answer.chosen == answer.first


def _is_chosen(study: Study, answer: Answer) -> bool:
    """Whether the made picture was taken for real, or the second model's preferred."""
    matchup = study.pairs[answer.pair].matchup
    assert matchup is not None  # only checks have none
    a, b = study.matchups[matchup]
    return answer.chosen == (a if study.settings.ask == "fake" else b)


def _trials(study: Study, answers: Sequence[tuple[int, Answer]]) -> Trials:
    pairs = [study.pairs[answer.pair] for _, answer in answers]
    return Trials(
        np.array([place for place, _ in answers], int),
        np.array([pair.image for pair in pairs], str),
        np.array([pair.matchup for pair in pairs], int),
        np.array([_is_chosen(study, answer) for _, answer in answers], bool),
    )


def _pictures(study: Study, answers: Sequence[tuple[int, Answer]]) -> list[Picture]:
    """Those that were chosen most come first."""
    told: dict[str, list[bool]] = {}
    for _, answer in answers:
        told.setdefault(answer.pair, []).append(_is_chosen(study, answer))
    found = []
    for identity, chosen in told.items():
        pair = study.pairs[identity]
        assert pair.matchup is not None
        found.append(Picture(pair.matchup, pair.image, sum(chosen), len(chosen)))
    return sorted(found, key=lambda p: (p.matchup, -p.chosen / p.trials, -p.trials, p.image))
