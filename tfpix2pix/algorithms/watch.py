"""Says in plain words when adversarial training goes wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping


def together(said: Iterable[str | None]) -> str | None:
    """One sentence of those that there are."""
    return "; ".join(text for text in said if text) or None


class _Lasting:
    """Notices a state that lasts.

    Args:
      patience: steps that it must last.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self._state: str | None = None
        self._since = 0
        self._told = False

    def __call__(self, step: int, state: str | None) -> int | None:
        """For how many steps a state has lasted, once, when it is time to say so; else None, which
        is also the state that nothing is said of."""
        if state != self._state:
            self._state, self._since, self._told = state, step, False
        if state is None or self._told or step - self._since < self.patience:
            return None
        self._told = True
        return step - self._since


class _News:
    """Notices a state when it is there and was not before."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, there: bool) -> bool:
        """Whether to say so: once, until it has passed."""
        news, self._told = there and not self._told, there
        return news


class DiscriminatorWatch:
    """Notices a discriminator whose output has stopped to say anything.

    Args:
      gan_loss: what it is trained by, as `AdversarialConfig.gan_loss`.
      judges: what it judges, where there are several: ``of targets``.
      rest: the terms of the objective that are left when it is dead: ``the L1 term still trains``.
      patience: steps that a state must last before it is reported; each state is reported once
        until it has passed.
    """

    def __init__(self, gan_loss: str, rest: str, judges: str = "", patience: int = 1000) -> None:
        # How close to 0 or 1 the mean of what it thinks counts as saturated. Least squares saturate
        # nothing, so that an output stays further away.
        self._margin = 0.05 if gan_loss == "lsgan" else 0.01
        self._words = {"D": f"the discriminator{judges and ' ' + judges}", "rest": rest}
        self._lasting = _Lasting(patience)

    def __call__(self, step: int, means: Mapping[str, float]) -> str | None:
        """Takes the means of ``real`` and ``fake`` up to a step; a sentence when there is news."""
        real, fake = means["real"], means["fake"]
        state = self._classify(real, fake)
        steps = self._lasting(step, state)
        if state is None or steps is None:
            return None
        figures = f"D(real) {real:.3f}, D(fake) {fake:.3f}, for {steps:,} steps"
        return f"{_MEANING[state].format(**self._words)} ({figures})"

    def _classify(self, real: float, fake: float) -> str | None:
        low, high = self._margin, 1 - self._margin
        if real > high and fake < low:
            return "won"
        if (real > high and fake > high) or (real < low and fake < low):
            return "constant"
        return None


_MEANING = {
    "won": "{D} tells every generated patch from a real one, so the generator "
    "learns little from it; the pictures may stay blurred or repeat themselves: a smaller --ndf "
    "or --receptive_field=16 weakens it",
    "constant": "{D} gives the same answer to everything, so it is dead and only {rest}: start "
    "again with a smaller --learning_rate or another --seed",
}


class ClassesWatch:
    """Notices by measures on val that every pixel is given the same class; says so once until it
    has passed."""

    def __init__(self) -> None:
        self._news = _News()

    def __call__(self, measured: Mapping[str, float]) -> str | None:
        """A sentence when there is news, told ``classes`` and ``classes_found`` of val."""
        if not self._news(measured.get("classes_found", 0) == 1 < measured.get("classes", 0)):
            return None
        return (
            "every pixel of every val image is given one and the same class, and the labels have "
            f"{measured['classes']:.0f}: a larger --lambda_ce, or --balance=0.5, which makes rare "
            "classes weigh more, may bring the others back"
        )


class AnswersWatch:
    """Notices by measures on val that a latent changes nothing; says so once until it has passed.

    Args:
      advice: what makes it change something.
      patience: steps that a run may take to get there.
    """

    def __init__(self, advice: str, patience: int = 1000) -> None:
        self.advice, self.patience = advice, patience
        self._news = _News()

    def __call__(self, step: int, measured: Mapping[str, float]) -> str | None:
        """A sentence when there is news, told the ``latent_distance`` of val after a step: the mean
        absolute difference of what two latents give, images in [-1, 1]."""
        if not self._news(measured.get("latent_distance", ALIKE) < ALIKE and step >= self.patience):
            return None
        return (
            "the latent is ignored: another one changes outputs by "
            f"{measured['latent_distance']:.4f} on a scale from 0 to 2; {self.advice}"
        )


ALIKE = 1 / 127.5  # a grey level of 255


class EncoderWatch:
    """Notices an encoder that says nothing of its images.

    Args:
      advice: what makes it say something.
      patience: steps that this must last before it is reported, once until it has passed.
    """

    def __init__(self, advice: str, patience: int = 1000) -> None:
        self.advice = advice
        self._lasting = _Lasting(patience)

    def __call__(self, step: int, means: Mapping[str, float]) -> str | None:
        """A sentence when there is news, told the mean of ``kl`` up to a step: nats by which what
        it says differs from saying nothing."""
        steps = self._lasting(step, "silent" if means["kl"] < SILENT else None)
        if steps is None:
            return None
        return (
            f"the encoder says nothing of its targets (KL {means['kl']:.3f} nats, for {steps:,} "
            f"steps), so the latent is ignored: {self.advice}"
        )


SILENT = 0.05  # nats: of 8 numbers, each within a tenth of the standard normal's mean or deviation


class CycleWatch:
    """Notices by measures on val that generators have learned something that is no translation.

    Each state of each direction is reported once until it has passed.

    Args:
      freedom: the settings that leave more freedom to a generator that copies.
    """

    def __init__(
        self,
        freedom: str = "a smaller --lambda_identity, or 0, and smaller --lambda_forward and "
        "--lambda_backward",
    ) -> None:
        self.freedom = freedom
        self._news: defaultdict[str, _News] = defaultdict(_News)

    def __call__(self, measured: Mapping[str, float], what: str, way: str = "") -> str | None:
        """A sentence when there is news.

        Args:
          measured: means over val, on the scale [-1, 1]: ``change`` between an image and what is
            made of it, ``cycle`` between it and what comes back, ``shaken``, the same with a little
            noise on the way; ``swd`` of the pictures, and ``swd_copy`` of the images themselves.
          what: the generator, for the sentence.
          way: at the end of these names.
        """
        names = ("change", "cycle", "shaken", "swd", "swd_copy")
        values = {name: measured[name + way] for name in names if name + way in measured}
        states = {"copies": _copies(values), "hides": _hides(values)}
        said = []
        for state, there in states.items():
            if self._news[state + way](there):
                said.append(_CYCLE[state].format(what=what, freedom=self.freedom, **values))
        return together(said)


def _copies(values: Mapping[str, float]) -> bool:
    """Whether pictures are the inputs again, although the sides differ."""
    if not {"change", "swd", "swd_copy"} <= values.keys():
        return False
    differ = values["swd_copy"] > CHANCE
    return differ and values["change"] < COPY and values["swd"] > 0.9 * values["swd_copy"]


def _hides(values: Mapping[str, float]) -> bool:
    """Whether what comes back depends on what nobody sees."""
    if not {"cycle", "shaken"} <= values.keys():
        return False
    return values["shaken"] > HIDDEN * values["cycle"]


COPY = 0.02  # mean difference, [-1, 1]: two and a half of 255 grey levels
CHANCE = 0.06  # SWD of two halves of one set of a few dozen pictures
HIDDEN = 1.5
_CYCLE = {
    "copies": "{what} gives its inputs back almost unchanged (mean difference {change:.3f} of -1 "
    "to 1, SWD {swd:.3f}, of the inputs themselves {swd_copy:.3f}): {freedom} leave it more "
    "freedom",
    "hides": "{what} hides its input in noise that nobody sees: what comes back is off by "
    "{cycle:.3f}, with a few grey levels of noise on the way by {shaken:.3f}; the small error says "
    "little then, and files of 8 bits do not lead back: a smaller --lambda_forward or "
    "--lambda_backward, or --lambda_identity, makes hiding worth less",
}
