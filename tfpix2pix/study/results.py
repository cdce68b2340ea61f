"""What participants answered: JSON lines, one for each of them, checked against the study's key.

A line holds nothing of the person::

    {"format": 1, "study": "...", "participant": "0123456789abcdef", "matchup": 0, "again": false,
     "answers": [{"pair": "...", "first": "....png", "chosen": "first", "ms": 812,
                  "shown": [1000, 1000]}, ...]}

`first` is the picture that was shown first, `chosen` the one that was called fake (or more
realistic), `ms` the time that the answer took and `shown` how long each picture was there, both in
milliseconds. Practice stands before the rest.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown
from tfpix2pix.study.folder import CHECK, FORMAT, PRACTICE, TRIAL, Study

LARGEST = 1 << 20
"""Of a result, bytes."""
_ANSWER = {"pair", "first", "chosen", "ms", "shown"}
_RESULT = {"format", "study", "participant", "matchup", "again", "answers"}
_LONGEST = 1e9  # of a time, milliseconds: eleven days


@dataclass(frozen=True)
class Answer:
    """To one pair.

    Attributes:
      pair: its identity.
      chosen: whose picture was called fake, or more realistic.
      first: whose was shown first.
      ms: that the answer took.
      shown: how long each picture was there, milliseconds.
    """

    pair: str
    chosen: str
    first: str
    ms: float
    shown: tuple[float, float]


@dataclass(frozen=True)
class Session:
    """What one participant answered; see the module for what a line holds."""

    participant: str
    matchup: int | None
    again: bool
    answers: tuple[Answer, ...]


def parse_result(study: Study, content: str | bytes) -> Session:
    """A line of results, or what a page sends.

    Raises:
      ValueError: it is none of this study; says in a sentence what is wrong.
    """
    try:
        line = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("this is no JSON: it was cut off or changed") from None
    if not isinstance(line, dict) or not set(line) >= _RESULT:
        raise ValueError(f"this is no result: expected an object of {', '.join(sorted(_RESULT))}")
    if line["study"] != study.identity:
        raise ValueError(
            f"this is a result of another study ({line['study']!r:.40}; this one is "
            f"'{study.identity}')"
        )
    if line["format"] != FORMAT:
        raise ValueError(f"format {line['format']!r:.20} is of another version than {FORMAT}")
    participant, matchup, answers = line["participant"], line["matchup"], line["answers"]
    if not isinstance(participant, str) or not re.fullmatch("[0-9a-f]{16}", participant):
        raise ValueError("the participant is not 16 hexadecimal digits")
    one = study.settings.session == "one"
    if _is_number(matchup) != one or (one and matchup not in range(len(study.matchups))):
        raise ValueError(f"there is no matchup {matchup!r:.20} in this study")
    if not isinstance(answers, list):
        raise ValueError("the answers are no list")
    session = Session(
        participant,
        matchup,
        line["again"] is True,
        tuple(_answer(study, answer) for answer in answers),
    )
    _check_whole(study, session)
    return session


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _answer(study: Study, answer: Any) -> Answer:
    if not isinstance(answer, dict) or not set(answer) >= _ANSWER:
        raise ValueError(f"an answer is no object of {', '.join(sorted(_ANSWER))}")
    pair = study.pairs.get(answer["pair"]) if isinstance(answer["pair"], str) else None
    if pair is None:
        raise ValueError(f"there is no pair {answer['pair']!r:.40} in this study")
    if not isinstance(answer["first"], str) or answer["first"] not in pair.pictures:
        raise ValueError(f"pair {answer['pair']} has no picture {answer['first']!r:.40}")
    if answer["chosen"] not in ("first", "second"):
        raise ValueError(f"an answer is neither first nor second but {answer['chosen']!r:.20}")
    times = answer["shown"]
    if not isinstance(times, list) or len(times) != 2:
        raise ValueError("`shown` is not two times")
    for time in (answer["ms"], *times):
        number = isinstance(time, int | float) and not isinstance(time, bool)
        if not number or not 0 <= time <= _LONGEST:
            raise ValueError(f"{time!r:.20} is no time in milliseconds")
    first = pair.pictures[answer["first"]]
    (second,) = (owner for owner in pair.pictures.values() if owner != first)
    return Answer(
        answer["pair"],
        first if answer["chosen"] == "first" else second,
        first,
        float(answer["ms"]),
        (float(times[0]), float(times[1])),
    )


def _check_whole(study: Study, session: Session) -> None:
    """Raises ValueError unless the answers are those of one whole session."""
    pairs = [study.pairs[answer.pair] for answer in session.answers]
    if len({answer.pair for answer in session.answers}) != len(pairs):
        raise ValueError("a pair was answered twice")
    kinds = Counter(pair.kind for pair in pairs)
    settings = study.settings
    for kind, expected in (
        (PRACTICE, settings.practice),
        (TRIAL, settings.trials),
        (CHECK, settings.checks),
    ):
        if kinds[kind] != expected:
            raise ValueError(f"{kinds[kind]} answers are to {kind} pairs, expected {expected}")
    if session.matchup is not None and {p.matchup for p in pairs} - {None, session.matchup}:
        raise ValueError("answers are to pairs of another matchup than the session's")


# === Files ===


def read_results(study: Study, places: Sequence[str | os.PathLike[str]] = ()) -> list[Session]:
    """Every participant's session.

    Args:
      study: of which they are results.
      places: files, or folders of .jsonl files; none for the study's own folder of results.

    Raises:
      UserError: nothing there, or a line that is no whole result of this study.
    """
    named = [f"--results={shown(place)}" for place in places] or [shown(study.results)]
    found: dict[str, tuple[str, Session]] = {}
    for said, place in zip(named, places or [study.results], strict=True):
        for file in _files(said, Path(place).expanduser()):
            for where, session in _sessions(study, file):
                before, same = found.setdefault(session.participant, (where, session))
                if same != session:
                    raise UserError(
                        f"{where}: participant {session.participant} answered otherwise in "
                        f"{before}; keep one of the two lines"
                    )
    if not found:
        raise UserError(
            f"{' and '.join(named)}: no participant has finished yet; run `tfpix2pix study "
            f"--serve={shown(study.folder)}`, or put the files that participants saved into "
            f"{shown(study.results)}"
        )
    return [session for _, session in found.values()]


def _files(said: str, place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UserError(f"{said}: no such file or folder; give results of this study")
    return sorted(p for p in place.iterdir() if p.suffix == ".jsonl" and p.is_file())


def _sessions(study: Study, file: Path) -> list[tuple[str, Session]]:
    found = []
    # By line ends alone: text may hold other characters that separate lines.
    for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{shown(file)}, line {number}"
        try:
            found.append((where, parse_result(study, line)))
        except ValueError as error:
            raise UserError(f"{where}: {error}; take the line out, or the file away") from None
    return found
