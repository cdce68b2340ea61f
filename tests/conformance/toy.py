"""A toy algorithm of its own file, such as a user would add: two generators, L1 alone.

``G`` goes from x to y and is a network of a kind that nobody knows; ``F``, a U-Net, goes back. One
Adam trains both, after a critic of brightness has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import tensorflow as tf

from tfpix2pix.algorithms import losses
from tfpix2pix.algorithms.base import Algorithm, Draws, Objective, Update
from tfpix2pix.base.options import option
from tfpix2pix.config.base import Config, Preset
from tfpix2pix.config.declared import ChartSpec, Measure
from tfpix2pix.models import noise
from tfpix2pix.models.base import Generator
from tfpix2pix.models.precision import layers_compute_in
from tfpix2pix.models.unet import unet


@dataclass(frozen=True)
class ToyConfig(Config):
    """Its section."""

    TWO_WAY: ClassVar[bool] = True
    PRESETS: ClassVar[Mapping[str, Preset]] = {"toy": Preset("a toy", {})}
    DEFAULT_PRESET: ClassVar[str] = "toy"
    MEASURES: ClassVar[tuple[Measure, ...]] = (Measure("l1", "L1", "lower"),)
    CHARTS: ClassVar[tuple[ChartSpec, ...]] = (
        ChartSpec(
            "there-and-back",
            "There and back",
            "Both ways.",
            "L1",
            (("there", "train", "losses", "there"), ("back", "train", "losses", "back")),
        ),
    )

    algorithm: str = option("toy", "what is learned, and how", "first", choices=("toy",))
    best_metric: str = option("l1", "of val", "run", choices=("l1",), may_change=True)
    learning_rate: float = option(2e-3, "Adam's", "loss")
    beta1: float = option(0.5, "Adam's", "loss")
    beta2: float = option(0.999, "Adam's", "loss")
    ngf: int = option(4, "channels", "model")


class Toy(Algorithm[ToyConfig]):
    """L1 there and back; the critic's step comes first."""

    judgements: ClassVar[Mapping[str, tuple[str, ...]]] = {"critic": ("brightness",)}
    shown: ClassVar[tuple[tuple[str, str, int], ...]] = (("there", "L1", 3),)

    @classmethod
    def generators(cls, config: ToyConfig) -> dict[str, Generator]:
        def build(*, noise: bool, precision: str, name: str) -> tf.keras.Model:
            layers = tf.keras.layers
            x = tf.keras.Input((None, None, config.x_channels), name="x")
            with layers_compute_in(precision):
                y = layers.Conv2D(config.ngf, 3, padding="same", name="in")(x)
                y = layers.ReLU(name="relu")(y)
                y = layers.Conv2D(config.y_channels, 3, padding="same", name="out")(y)
                y = layers.Activation("tanh", dtype="float32", name="y")(y)
            with layers_compute_in("none"):
                return tf.keras.Model(x, y, name=name)

        there = Generator("toy", 1, config.x_channels, config.y_channels, None, build, name="G")
        return dict(zip(config.directions, (there, cls._back(config)), strict=True))

    @staticmethod
    def _back(config: ToyConfig) -> Generator:
        made = unet(
            crop_size=config.crop_size.smaller,
            input_channels=config.y_channels,
            output_channels=config.x_channels,
            ngf=config.ngf,
            bottleneck=8,
        )
        return Generator(
            made.family,
            made.size_multiple,
            made.input_channels,
            made.output_channels,
            made.noise,
            made.builder,
            name="F",
        )

    def builders(self) -> dict[str, Callable[[str], tf.keras.Model]]:
        made = {g.name: g for g in self.generators(self.config).values()}

        def critic(precision: str) -> tf.keras.Model:
            y = tf.keras.Input((None, None, self.config.y_channels), name="y")
            with layers_compute_in(precision):
                logits = tf.keras.layers.Conv2D(1, 4, strides=4, name="look")(y)
                logits = tf.keras.layers.Activation("linear", dtype="float32", name="out")(logits)
            with layers_compute_in("none"):
                return tf.keras.Model(y, logits, name="critic")

        return {
            "G": lambda precision: made["G"].build(precision=precision),
            "F": lambda precision: made["F"].build(precision=precision),
            "critic": critic,
        }

    def groups(self) -> dict[str, tuple[str, ...]]:
        return {"generators": ("G", "F"), "critic": ("critic",)}

    def order(self) -> tuple[tuple[str, ...], ...]:
        return (("critic",), ("generators",))

    def draw(self, batch: Sequence[tf.Tensor], draws: Draws) -> tf.Tensor:
        z = self._back(self.config).noise
        return z.draw(draws.seed, noise.TRAINING, draws.positions, batch[1])

    def updates(self, batch: Sequence[tf.Tensor], drawn: Any) -> Iterator[Update]:
        x, y = batch
        fake = self.networks["G"](x, training=True)
        off = self.networks["critic"](y, training=True) - tf.reduce_mean(y, [1, 2, 3], True)
        yield Update([Objective("critic", {"critic": tf.reduce_mean(off**2, [1, 2, 3])})])
        back = self.networks["F"]([y, drawn], training=True)
        # Judged by the critic that has just moved.
        seen = self.networks["critic"](fake, training=True)
        brightness = tf.reduce_mean(seen, [1, 2, 3])
        yield Update(
            [
                Objective(
                    "generators",
                    {
                        "there": losses.l1(y, fake),
                        "back": losses.l1(x, back),
                        "bright": tf.square(brightness),
                    },
                    {"there": 10.0, "bright": 0.1},
                )
            ],
            {"brightness": brightness},
        )

    def columns(
        self, x: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        fake = networks["G"](x, training=False)
        z = self._back(self.config).noise.draw(0, noise.VALIDATION, positions, fake)
        return {"generated": fake, "again": networks["F"]([fake, z], training=False)}
