"""What algorithms with discriminators have in common."""

from __future__ import annotations

from typing import TypeVar

from tfpix2pix.algorithms.adam import Adam
from tfpix2pix.algorithms.base import Algorithm
from tfpix2pix.algorithms.configs.adversarial import AdversarialConfig

C = TypeVar("C", bound=AdversarialConfig)


class Adversarial(Algorithm[C]):
    """Generators against discriminators, whose groups begin with ``discriminator``."""

    def optimizer(self, group: str) -> Adam:
        adam = super().optimizer(group)
        if group.startswith("discriminator") and self.config.learning_rate_d:
            adam.learning_rate = self.config.learning_rate_d
        return adam
