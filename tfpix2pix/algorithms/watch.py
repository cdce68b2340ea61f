"""Says in plain words when adversarial training goes wrong."""

from __future__ import annotations

from collections.abc import Mapping


class DiscriminatorWatch:
    """Notices a discriminator whose output has stopped to say anything.

    Args:
      patience: steps that a state must last before it is reported; each state is reported once
        until it has passed.
      margin: how close to 0 or 1 the mean of sigmoid(D) counts as saturated.
    """

    def __init__(self, patience: int = 1000, margin: float = 0.01) -> None:
        self.patience, self.margin = patience, margin
        self._state: str | None = None
        self._since = 0
        self._told = False

    def __call__(self, step: int, means: Mapping[str, float]) -> str | None:
        """Takes the means of ``real`` and ``fake`` up to a step; a sentence when there is news."""
        real, fake = means["real"], means["fake"]
        state = self._classify(real, fake)
        if state != self._state:
            self._state, self._since, self._told = state, step, False
        if state is None or self._told or step - self._since < self.patience:
            return None
        self._told = True
        figures = f"D(real) {real:.3f}, D(fake) {fake:.3f}, for {step - self._since:,} steps"
        return f"{_MEANING[state]} ({figures})"

    def _classify(self, real: float, fake: float) -> str | None:
        low, high = self.margin, 1 - self.margin
        if real > high and fake < low:
            return "won"
        if (real > high and fake > high) or (real < low and fake < low):
            return "constant"
        return None


_MEANING = {
    "won": "the discriminator tells every generated patch from a real one, so the generator "
    "learns little from it; the pictures may stay blurred or repeat themselves: a smaller --ndf "
    "or --receptive_field=16 weakens it",
    "constant": "the discriminator gives the same answer to everything, so it is dead and only "
    "the L1 term still trains: start again with a smaller --learning_rate or another --seed",
}
