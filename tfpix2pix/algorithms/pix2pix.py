"""pix2pix: a generator and a discriminator on pairs (the paper, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import tensorflow as tf

from tfpix2pix.algorithms import losses
from tfpix2pix.algorithms.base import Algorithm, Draws, Objective, Update
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.watch import DiscriminatorWatch
from tfpix2pix.models import build_discriminator, noise
from tfpix2pix.models.base import Generator
from tfpix2pix.models.unet import unet


def discriminator_of(config: Pix2PixConfig, *, precision: str = "none") -> tf.keras.Model:
    """The discriminator that a config describes, with Keras's initial weights."""
    return build_discriminator(
        receptive_field=config.receptive_field,
        input_channels=config.x_channels,
        output_channels=config.y_channels,
        ndf=config.ndf,
        norm=config.norm,
        bias_layers=config.bias_layers,
        conditional=config.conditional,
        precision=precision,
    )


class Pix2Pix(Algorithm[Pix2PixConfig]):
    """Equation 4 of the paper, and its ablations; see `Algorithm`.

    One forward of G and one of D on its result serve both networks, whose gradients are taken
    before either changes.
    """

    judgements: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "discriminator": ("real", "fake", "accuracy")
    }
    shown: ClassVar[tuple[tuple[str, str, int], ...]] = (
        ("l1", "L1", 3),
        ("gan", "GAN", 2),
        ("discriminator", "D", 2),
    )

    def __init__(self, config: Pix2PixConfig, *args: Any, **kwargs: Any) -> None:
        self._watch = DiscriminatorWatch()
        super().__init__(config, *args, **kwargs)
        self.generator = self.networks["generator"]
        self.discriminator = self.networks.get("discriminator")

    @classmethod
    def generators(cls, config: Pix2PixConfig) -> dict[str, Generator]:
        generator = unet(
            crop_size=config.crop_size,
            input_channels=config.x_channels,
            output_channels=config.y_channels,
            ngf=config.ngf,
            norm=config.norm,
            bias_layers=config.bias_layers,
            dropout=config.dropout,
            dropout_layers=config.dropout_layers,
            skips=config.generator == "unet",
        )
        return {config.direction: generator}

    def builders(self) -> dict[str, Callable[[str], tf.keras.Model]]:
        config = self.config
        (self._made,) = self.generators(config).values()
        builders = {"generator": lambda precision: self._made.build(precision=precision)}
        if config.has_discriminator:
            builders["discriminator"] = lambda precision: discriminator_of(
                config, precision=precision
            )
        return builders

    def order(self) -> tuple[tuple[str, ...], ...]:
        both = ("discriminator", "generator")
        return (both if self.config.has_discriminator else ("generator",),)

    def draw(self, batch: Sequence[tf.Tensor], draws: Draws) -> tf.Tensor:
        return self._made.z.draw(draws.seed, noise.TRAINING, draws.positions, batch[0])

    def updates(self, batch: Sequence[tf.Tensor], drawn: tf.Tensor) -> Iterator[Update]:
        x, y = batch
        fake = self.generator([x, drawn], training=True)
        l1 = losses.l1(y, fake)
        if self.discriminator is None:
            weights = {"l1": self.config.lambda_l1}
            yield Update([Objective("generator", {"l1": l1}, weights)])
            return
        real_logits, fake_logits = self._discriminate(x, y), self._discriminate(x, fake)
        d_loss = losses.discriminator(real_logits, fake_logits)
        gan = losses.generator_gan(fake_logits)
        weights = {"l1": self.config.lambda_l1 if self.config.loss.startswith("l1") else 0.0}
        rightly = 0.5 * (_share(real_logits > 0) + _share(fake_logits < 0))
        yield Update(
            [
                Objective("discriminator", {"discriminator": d_loss}),
                Objective("generator", {"gan": gan, "l1": l1}, weights),
            ],
            {"real": _certainty(real_logits), "fake": _certainty(fake_logits), "accuracy": rightly},
        )

    def _discriminate(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        seen = [x, y] if self.config.conditional else y
        return self.networks["discriminator"](seen, training=True)

    def columns(
        self, x: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        z = self._made.z.draw(self.config.seed, noise.VALIDATION, positions, x)
        return {"generated": networks["generator"]([x, z], training=False)}

    def watch(self, step: int, judged: Mapping[str, Mapping[str, float]]) -> str | None:
        return self._watch(step, judged["discriminator"]) if "discriminator" in judged else None

    def parameter_counts(self) -> dict[str, int | None]:
        return {"discriminator": None, **super().parameter_counts()}


def _share(truth: tf.Tensor) -> tf.Tensor:
    """Of the patches of each image, ``[B]``."""
    return tf.reduce_mean(tf.cast(truth, tf.float32), axis=[1, 2, 3])


def _certainty(logits: tf.Tensor) -> tf.Tensor:
    """How real D holds each image to be, 0 to 1, ``[B]``."""
    return tf.reduce_mean(tf.sigmoid(logits), axis=[1, 2, 3])
