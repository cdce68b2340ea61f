"""What decides how a study goes: the flags of ``tfpix2pix study --make``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import check_options, option
from tfpix2pix.base.size import Size

REAL = "real"
"""What a real picture is called where a model has its name."""


@dataclass(frozen=True)
class Settings:
    """A study's settings; the defaults are the paper's protocol with checks.

    Raises:
      UserError: a value out of range; names the flag.
    """

    ask: str = option(
        "fake",
        "fake: a real and a made picture, which was fake? preference: the pictures of two models, "
        "which looks more realistic?",
        choices=("fake", "preference"),
    )
    session: str = option(
        "one",
        "one: each participant judges one model, as in the paper; all: every participant all of "
        "them, which needs fewer people to tell models apart",
        choices=("one", "all"),
    )
    pairing: str = option(
        "same",
        "same: both pictures of a pair belong to one input; other: to different inputs, which is "
        "harder to tell (the paper's maps and aerial photos)",
        choices=("same", "other"),
    )
    trials: int = option(40, "pairs that count, for each participant", minimum=1, maximum=1000)
    practice: int = option(
        10,
        "pairs before them that do not count; the page says whether each answer was right (not of "
        "--ask=preference, where nothing is)",
        minimum=0,
        maximum=1000,
    )
    checks: int = option(
        4,
        "pairs among the trials, more than those, in which one picture is plainly spoilt: whoever "
        "misses them did not look",
        minimum=0,
        maximum=1000,
    )
    images: int = option(
        100, "inputs for the trials at most, of which each participant sees --trials", minimum=1
    )
    seconds: float = option(1.0, "how long each picture is shown", minimum=0.01, maximum=60.0)
    gap: float = option(0.6, "empty time before each picture, seconds", minimum=0.0, maximum=60.0)
    size: Size = option(
        0,
        "to which all pictures are resized: a side, or HEIGHTxWIDTH, pixels",
        minimum=0,
        maximum=2048,
        shown="their own, which must be one",
    )
    title: str = option("", "of the page", shown="Real or fake? or Which looks more realistic?")
    about: str = option(
        "", "a sentence or two for participants: what the pictures show, who asks", shown="none"
    )
    seed: int = option(0, "of the choice of inputs, names of files, and order of pairs", minimum=0)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def inputs(self) -> int:
        """How many inputs the study needs."""
        return self.practice + self.trials + self.checks

    @property
    def heading(self) -> str:
        """Of the page."""
        if self.title:
            return self.title
        return "Real or fake?" if self.ask == "fake" else "Which looks more realistic?"

    def matchups(self, models: list[str]) -> list[tuple[str, str]]:
        """Whose pictures stand against whose, the first being what is real where something is.

        Raises:
          UserError: too few models.
        """
        if self.ask == "fake":
            if not models:
                raise UserError(
                    "--model is missing; name at least one folder of made pictures: "
                    "--model=NAME:FOLDER"
                )
            return [(REAL, model) for model in models]
        if len(models) < 2:
            raise UserError(
                f"--ask=preference compares models, and {len(models)} were named; give "
                "--model=NAME:FOLDER twice or more"
            )
        return [(a, b) for i, a in enumerate(models) for b in models[i + 1 :]]


FIELDS = dataclasses.fields(Settings)
