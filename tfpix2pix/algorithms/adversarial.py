"""What algorithms with discriminators have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import tensorflow as tf

from tfpix2pix.algorithms import losses
from tfpix2pix.algorithms.adam import Adam
from tfpix2pix.algorithms.base import Algorithm
from tfpix2pix.algorithms.configs.adversarial import AdversarialConfig
from tfpix2pix.models import noise
from tfpix2pix.models.base import Generator, inputs_of

OTHERS = 2  # columns of a grid with latents of their own, besides the one that is measured
C = TypeVar("C", bound=AdversarialConfig)


class Adversarial(Algorithm[C]):
    """Generators against discriminators, whose groups begin with ``discriminator``."""

    _distance: Callable[..., tf.Tensor] | None = None

    def optimizer(self, group: str) -> Adam:
        adam = super().optimizer(group)
        if group.startswith("discriminator") and self.config.learning_rate_d:
            adam.learning_rate = self.config.learning_rate_d
        return adam

    def answers(
        self,
        made: Generator,
        x: tf.Tensor,
        positions: tf.Tensor,
        networks: Mapping[str, tf.keras.Model],
    ) -> dict[str, tf.Tensor]:
        """What a generator makes where it is looked at, as `columns` has it: ``generated``, which
        is measured, with a latent for each image where it takes one; then ``latent_2`` and so on,
        with the same z, each with a latent that all images share."""
        given = made.draw(self.config.seed, noise.VALIDATION, positions, x)
        found = {"generated": given}
        for number in range(OTHERS if made.latent else 0):
            found[f"latent_{2 + number}"] = (*given[:-1], self._shared(made, positions, number))
        generator = networks[made.name]
        return {name: generator(inputs_of(x, of), training=False) for name, of in found.items()}

    def _shared(self, made: Generator, positions: tf.Tensor, number: int) -> tf.Tensor:
        """A latent for all images, ``[B, n]``."""
        assert made.latent is not None
        places = tf.zeros_like(positions) - 1 - number  # which no image has
        return made.latent.draw(self.config.seed, noise.VALIDATION, places)

    def with_distance(
        self,
        made: Generator,
        generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        networks: Mapping[str, tf.keras.Model],
        as_images: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> tuple[Callable[[tf.Tensor, tf.Tensor], tf.Tensor], Callable[[], dict[str, float]]]:
        """`generate`, as `validate` gets it, which also looks how far from what it makes another
        latent's output is; and what says that of all, as ``latent_distance``, where a generator
        takes a latent.

        Args:
          made, networks: as of `answers`.
          generate: makes the first of `answers` of x ``[B, H, W, C]`` and positions ``[B]``.
          as_images: makes images of outputs, by whose mean absolute difference they are compared.
        """
        if made.latent is None:
            return generate, dict
        apart: list[float] = []

        def distance(x: tf.Tensor, positions: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
            other = self.answers(made, x, positions, networks)["latent_2"]
            return losses.l1(as_images(output), as_images(other))

        if self._distance is None:  # compiled once: the networks are the same ones in every call
            self._distance = tf.function(distance, reduce_retracing=True, autograph=False)
        compiled = self._distance

        def both(x: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
            output = generate(x, positions)
            apart.extend(compiled(x, positions, output).numpy())
            return output

        return both, lambda: {"latent_distance": float(np.mean(apart))} if apart else {}


def halved(images: tf.Tensor) -> tf.Tensor:
    """Half the height and width: means over 3x3 pixels, at the border of those that are there."""
    ones = tf.ones([1, *images.shape[1:3], 1])
    border = [[0, 0], [1, 1], [1, 1], [0, 0]]
    total, count = (tf.nn.avg_pool2d(tf.pad(of, border), 3, 2, "VALID") for of in (images, ones))
    return total / count
