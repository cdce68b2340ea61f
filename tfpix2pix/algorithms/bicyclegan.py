"""BicycleGAN: one input has several right outputs, and a latent chooses among them (Zhu et al.
2017, arXiv 1711.11586)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from tfpix2pix.algorithms import losses
from tfpix2pix.algorithms.adversarial import Adversarial, halved
from tfpix2pix.algorithms.base import Draws, Objective, Update
from tfpix2pix.algorithms.configs.bicyclegan import BicycleGANConfig
from tfpix2pix.algorithms.watch import (
    AnswersWatch,
    DiscriminatorWatch,
    EncoderWatch,
    together,
)
from tfpix2pix.data import PairStore
from tfpix2pix.models import noise
from tfpix2pix.models.base import Encoder, Generator, inputs_of
from tfpix2pix.models.build import discriminator_of, encoder_of, generator_of
from tfpix2pix.models.weights import initialize

ENCODED, RANDOM = "", "_random"  # ends of the names of what belongs to an output, by its latent
WAYS = (ENCODED, RANDOM)


class Drawn(NamedTuple):
    """What a step draws.

    Attributes:
      z: noise of the dropout, where the generator takes it, one for both outputs of an image.
      latent: of the outputs that are to look like targets and like no target in particular,
        ``[b, n]``.
      normal: where in the encoder's distribution the target's latent is, ``[b, n]``.
    """

    z: tuple[tf.Tensor, ...]
    latent: tf.Tensor
    normal: tf.Tensor


class BicycleGAN(Adversarial[BicycleGANConfig]):
    """Section 3 of the paper, as its authors' code has it; see `Algorithm`.

    Of every input two outputs are made. One with the latent that the encoder finds in the target,
    which is to give the target again (cVAE-GAN), one with a random latent, which the encoder is to
    find again in the output (cLR-GAN); each has a discriminator of its own. All networks move at
    once, by gradients at the same weights.

    The authors' code makes both outputs of the first half of a batch, and shows the second half's
    targets to the second discriminator. Here every pair of a batch does both: the objective is the
    same on average, one pair is enough, and no image's share depends on its replica.
    """

    judgements: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **{f"discriminator{way}": (f"real{way}", f"fake{way}", f"accuracy{way}") for way in WAYS},
        "encoder": ("kl",),
        "latent": ("recovered",),
    }
    shown: ClassVar[tuple[tuple[str, str, int], ...]] = (
        ("l1", "L1", 3),
        ("kl", "KL", 2),
        ("latent_l1", "latent", 2),
        ("gan", "GAN", 2),
        ("discriminator", "D", 2),
    )

    def __init__(self, config: BicycleGANConfig, *args: Any, **kwargs: Any) -> None:
        (self._made,) = self.generators(config).values()
        (self._encoder,) = self.encoders(config).values()
        self._watches = {
            way: DiscriminatorWatch(config.gan_loss, "the other terms train", judges)
            for way, judges in (
                (ENCODED, "of outputs with the target's latent"),
                (RANDOM, "of outputs with random latents"),
            )
        }
        hears = "" if config.norm == "group" else "--norm=group, "
        self._encoder_watch = EncoderWatch(
            f"{hears}a smaller --lambda_kl or a larger --lambda_l1 makes it worth something"
        )
        self._watch_answers = AnswersWatch(f"{hears}a larger --lambda_latent makes it count")
        super().__init__(config, *args, **kwargs)

    @classmethod
    def generators(cls, config: BicycleGANConfig) -> dict[str, Generator]:
        return {config.direction: generator_of(config, config.x_channels, config.y_channels)}

    @classmethod
    def encoders(cls, config: BicycleGANConfig) -> dict[str, Encoder]:
        return {config.direction: encoder_of(config, config.y_channels)}

    def builders(self) -> dict[str, Callable[[str], tf.keras.Model]]:
        builders: dict[str, Callable[[str], tf.keras.Model]] = {
            "generator": lambda precision: self._made.build(precision=precision),
            "encoder": lambda precision: self._encoder.build(precision=precision),
        }
        for group in self.order()[0][2:]:
            for scale, name in enumerate(self.groups()[group]):
                builders[name] = functools.partial(self._discriminator, scale, name)
        return builders

    def _discriminator(self, scale: int, name: str, precision: str) -> tf.keras.Model:
        # As in the authors' code the image of half the size is judged by half the channels.
        config = self.config.replace(ndf=max(1, self.config.ndf >> scale))
        conditions = config.x_channels if config.conditional_d else 0
        return discriminator_of(
            config, config.y_channels, conditions, precision=precision, name=name
        )

    def groups(self) -> dict[str, tuple[str, ...]]:
        groups: dict[str, tuple[str, ...]] = {"generator": ("generator",), "encoder": ("encoder",)}
        if self.config.has_discriminator:
            rest = range(2, self.config.discriminator_scales + 1)
            for way in WAYS:
                name = f"discriminator{way}"
                groups[name] = (name, *(f"{name}_{scale}" for scale in rest))
        return groups

    def order(self) -> tuple[tuple[str, ...], ...]:
        return (tuple(self.groups()),)

    def initialize(self, name: str) -> None:
        initialize(self.networks[name], self.config.seed, xavier=True)

    def draw(self, batch: Sequence[tf.Tensor], draws: Draws) -> Drawn:
        *z, latent = self._made.draw(draws.seed, noise.TRAINING, draws.positions, batch[0])
        normal = noise.draw_latent(
            draws.seed, noise.ENCODED, draws.positions, self.config.latent_size
        )
        return Drawn(tuple(z), latent, normal)

    def updates(self, batch: Sequence[tf.Tensor], drawn: Drawn) -> Iterator[Update]:
        (x, y, *masks), config = batch, self.config
        mean, log_variance = self.networks["encoder"](y, training=True)
        encoded = self._output(x, drawn.z, mean + tf.exp(0.5 * log_variance) * drawn.normal)
        shared: dict[str, tf.Tensor] = {"l1": losses.l1(y, encoded, *masks)}
        alone: dict[str, tf.Tensor] = {}
        observed: dict[str, tf.Tensor] = {}
        discriminators: list[Objective] = []
        shown = {ENCODED: encoded}
        if config.has_discriminator or config.lambda_latent:
            shown[RANDOM] = self._output(x, drawn.z, drawn.latent)
        for measured in masks:  # elsewhere all see the same, and G learns nothing from it
            shown = {way: tf.where(measured > 0, fake, y) for way, fake in shown.items()}
        for way, fake in shown.items() if config.has_discriminator else ():
            gan, objective, judged = self._contest(way, x, y, fake)
            (shared if way == ENCODED else alone)[f"gan{way}"] = gan
            discriminators.append(objective)
            observed |= judged
        if config.lambda_latent:
            found, _ = self.networks["encoder"](shown[RANDOM], training=True)
            alone["latent_l1"] = losses.latent_l1(drawn.latent, found)
            observed["recovered"] = 1.0 - alone["latent_l1"] / losses.UNTOLD
        weights = {
            "l1": config.lambda_l1,
            "gan": config.lambda_gan,
            "gan_random": config.lambda_gan,
            "kl": config.lambda_kl,
            "latent_l1": config.lambda_latent,
        }
        # Of what the encoder finds in an output the generator alone learns: else the two of them
        # would agree on a code that nobody sees.
        yield Update(
            [
                Objective("generator", {**shared, **alone}, weights),
                Objective("encoder", {**shared, "kl": losses.kl(mean, log_variance)}, weights),
                *discriminators,
            ],
            observed,
        )

    def _output(self, x: tf.Tensor, z: tuple[tf.Tensor, ...], latent: tf.Tensor) -> tf.Tensor:
        return self.networks["generator"](inputs_of(x, (*z, latent)), training=True)

    def _contest(
        self, way: str, x: tf.Tensor, y: tf.Tensor, fake: tf.Tensor
    ) -> tuple[tf.Tensor, Objective, dict[str, tf.Tensor]]:
        """What the generator has of one discriminator, what that one minimises, what it thinks."""
        kind, group = self.config.gan_loss, f"discriminator{way}"
        real_logits, fake_logits = (self._judge(group, x, images) for images in (y, fake))
        gan = tf.add_n([losses.generator_gan(logits, kind) for logits in fake_logits])
        both = zip(real_logits, fake_logits, strict=True)
        d_loss = tf.add_n([losses.discriminator(*logits, kind) for logits in both])
        # Of the finest scale.
        judged = losses.judgement(real_logits[0], fake_logits[0], kind)
        judged = {f"{name}{way}": value for name, value in judged.items()}
        return gan, Objective(group, {group: d_loss}), judged

    def _judge(self, group: str, x: tf.Tensor, images: tf.Tensor) -> list[tf.Tensor]:
        """The logits of every scale."""
        logits = []
        for scale, name in enumerate(self.groups()[group]):
            if scale:
                x, images = halved(x), halved(images)
            inputs = [x, images] if self.config.conditional_d else images
            logits.append(self.networks[name](inputs, training=True))
        return logits

    def columns(
        self, x: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        return self.answers(self._made, x, positions, networks)

    def columns_of_pairs(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        positions: tf.Tensor,
        networks: Mapping[str, tf.keras.Model],
    ) -> dict[str, tf.Tensor]:
        """With the latent that the encoder finds in the target."""
        *z, _ = self._made.draw(self.config.seed, noise.VALIDATION, positions, x)
        mean, _ = networks["encoder"](y, training=False)
        made = networks["generator"](inputs_of(x, (*z, mean)), training=False)
        return {"reconstruction": made}

    def validate(
        self,
        val: PairStore,
        networks: Mapping[str, tf.keras.Model],
        generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        limit: int,
        on_images: Callable[[int], None],
    ) -> dict[str, Any]:
        """Beside the measures how far apart what two latents give is."""
        make, apart = self.with_distance(self._made, generate, networks)
        return {**super().validate(val, networks, make, limit, on_images), **apart()}

    def watch(self, step: int, judged: Mapping[str, Mapping[str, float]]) -> str | None:
        said = []
        for way, watch in self._watches.items():
            if f"discriminator{way}" in judged:
                judgement = judged[f"discriminator{way}"]
                means = {name.removesuffix(way): value for name, value in judgement.items()}
                said.append(watch(step, means))
        return together([*said, self._encoder_watch(step, judged["encoder"])])

    def watch_val(self, step: int, measured: Mapping[str, float]) -> str | None:
        return self._watch_answers(step, measured)
