"""A study's folder: what stands where in it, and the key that says what each picture is.

::

    STUDY/key.json         settings, models, and what every picture is: not for participants
    STUDY/page/            what participants see, to be served or copied as it is
    STUDY/results/*.jsonl  what they answered
    STUDY/score.html, score.json
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown, write_json
from tfpix2pix.base.options import plain_values
from tfpix2pix.study.settings import Settings

KEY, PAGE, PICTURES, RESULTS = "key.json", "page", "pictures", "results"
FORMAT = 1
PRACTICE, TRIAL, CHECK = "practice", "trial", "check"
SOUND, SPOILT = "sound", "spoilt"
"""The two pictures of a check."""


@dataclass(frozen=True)
class Pair:
    """Two pictures that are shown one after the other.

    Attributes:
      kind: PRACTICE, TRIAL or CHECK.
      matchup: the place among the study's matchups; None of a check.
      image: name of the input of the picture that was made (of a check, of both).
      pictures: name in the page's folder -> whose it is: a model's name, ``real``, or of a check
        SOUND and SPOILT.
    """

    kind: str
    matchup: int | None
    image: str
    pictures: dict[str, str]

    def of(self, who: str) -> str:
        """The picture that is somebody's."""
        return next(name for name, owner in self.pictures.items() if owner == who)


@dataclass(frozen=True)
class Study:
    """A study that was made.

    Attributes:
      folder: it stands in.
      identity: the same for the same pictures and settings; stands in every result.
      settings: of it.
      models: names, in the order of the command.
      matchups: whose pictures stand against whose.
      pairs: by identity.
    """

    folder: Path
    identity: str
    settings: Settings
    models: list[str]
    matchups: list[tuple[str, str]]
    pairs: dict[str, Pair]

    @property
    def page(self) -> Path:
        return self.folder / PAGE

    @property
    def pictures(self) -> Path:
        return self.page / PICTURES

    @property
    def results(self) -> Path:
        return self.folder / RESULTS

    def names(self) -> list[str]:
        """Of the matchups: a model, or ``A : B`` of a preference."""
        if self.settings.ask == "fake":
            return [model for _, model in self.matchups]
        return [f"{a} : {b}" for a, b in self.matchups]

    def write(self) -> None:
        """Writes the key."""
        pairs = {
            identity: {
                "kind": pair.kind,
                "matchup": pair.matchup,
                "image": pair.image,
                "pictures": pair.pictures,
            }
            for identity, pair in self.pairs.items()
        }
        key = {
            "format": FORMAT,
            "study": self.identity,
            "settings": plain_values(self.settings),
            "models": self.models,
            "matchups": [list(matchup) for matchup in self.matchups],
            "pairs": pairs,
        }
        write_json(self.folder / KEY, key)


def open_study(folder: str | os.PathLike[str], flag: str) -> Study:
    """Reads the key of a study.

    Args:
      folder: of the study.
      flag: that named it, for messages.

    Raises:
      UserError: no folder, no study in it, or one that is damaged.
    """
    folder = Path(folder).expanduser()
    said = f"{flag}={shown(folder)}"
    if not folder.is_dir():
        raise UserError(f"{said}: no such folder; give one that `tfpix2pix study --make` wrote")
    try:
        text = (folder / KEY).read_text("utf-8")
    except FileNotFoundError:
        expected = "a folder that `tfpix2pix study --make` wrote"
        if folder.name == PAGE and (folder.parent / KEY).is_file():
            expected = f"the study's folder, {shown(folder.parent)}"
        raise UserError(f"{said} holds no {KEY}, so that it is no study; give {expected}") from None
    try:
        return _study(folder, json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f"{shown(folder / KEY)} is damaged or of another version ({error!r}); make the study "
            "anew by `tfpix2pix study --make`"
        ) from None


def _study(folder: Path, key: dict[str, Any]) -> Study:
    if key["format"] != FORMAT:
        raise ValueError(f"format {key['format']!r}, expected {FORMAT}")
    matchups = [(str(a), str(b)) for a, b in key["matchups"]]
    pairs = {
        str(identity): Pair(p["kind"], p["matchup"], str(p["image"]), dict(p["pictures"]))
        for identity, p in key["pairs"].items()
    }
    for pair in pairs.values():
        if pair.kind not in (PRACTICE, TRIAL, CHECK) or len(pair.pictures) != 2:
            raise ValueError(f"a pair of {pair.image}")
        expected = {SOUND, SPOILT} if pair.matchup is None else {*matchups[pair.matchup]}
        if set(pair.pictures.values()) != expected:
            raise ValueError(f"a pair of {pair.image}")
    settings = Settings(**key["settings"])
    return Study(
        folder, str(key["study"]), settings, list(map(str, key["models"])), matchups, pairs
    )
