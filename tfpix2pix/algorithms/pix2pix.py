"""pix2pix: a generator and a discriminator on pairs (the paper, section 3)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from tfpix2pix.algorithms import augment, losses
from tfpix2pix.algorithms.adversarial import Adversarial, halved
from tfpix2pix.algorithms.base import Draws, Objective, Update
from tfpix2pix.algorithms.chroma import ColourTransport
from tfpix2pix.algorithms.classes import class_pixels, class_weights, remarks
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.perceptual import Perceptual
from tfpix2pix.algorithms.watch import AnswersWatch, ClassesWatch, DiscriminatorWatch
from tfpix2pix.base.errors import UserError
from tfpix2pix.data import PairStore, evaluation_batches
from tfpix2pix.evaluation.labels import evaluate_logits
from tfpix2pix.models import noise
from tfpix2pix.models.base import Generator, inputs_of
from tfpix2pix.models.build import discriminator_of, generator_of
from tfpix2pix.models.patchgan import with_features
from tfpix2pix.scorer import load_scorer

Seen = list[list[tf.Tensor]]
"""Of each scale: D's features where they are asked for, at the end its logits ``[B, h, w, 1]``."""


class Drawn(NamedTuple):
    """What a step draws.

    Attributes:
      given: as `Generator.draw` gives it: z, and the latent at the end.
      changes: the numbers of the augmentation.
      other_latent: with which outputs are to be different ones.
    """

    given: tuple[tf.Tensor, ...]
    changes: tf.Tensor
    other_latent: tf.Tensor


class Pix2Pix(Adversarial[Pix2PixConfig]):
    """Equation 4 of the paper, its ablations, and what others added since; see `Algorithm`.

    A step on D, then one on G against the D that has moved (section 3.3); one forward of G serves
    both. With ``updates="joint"`` one forward of D on its result does too, and the gradients of
    both are taken before either changes.
    """

    judgements: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "discriminator": ("real", "fake", "accuracy")
    }
    OPTIONAL: ClassVar[tuple[str, ...]] = (*Adversarial.OPTIONAL, "class_pixels")
    shown: ClassVar[tuple[tuple[str, str, int], ...]] = (
        ("l1", "L1", 3),
        ("cross_entropy", "cross-entropy", 3),
        ("gan", "GAN", 2),
        ("discriminator", "D", 2),
    )

    def __init__(self, config: Pix2PixConfig, *args: Any, **kwargs: Any) -> None:
        rest = "the cross-entropy" if config.labels_out else "the L1 term"
        self._watch = DiscriminatorWatch(config.gan_loss, f"{rest} still trains")
        self._watch_classes = ClassesWatch()
        holds = "--lambda_ce" if config.labels_out else "--lambda_l1"
        self._watch_answers = AnswersWatch(
            f"a larger --lambda_diversity, or a smaller {holds}, makes it count"
            if config.diversity != "none"
            else "--diversity=dsgan makes it count"
        )
        self._class_weights: tf.Tensor | None = None
        self._features: dict[str, tf.keras.Model] = {}
        super().__init__(config, *args, **kwargs)
        if config.labels_out:
            with self.strategy.scope():
                zeros = tf.zeros([config.y_channels], tf.int64)
                self._class_pixels = tf.Variable(zeros, trainable=False, name="class_pixels")
        self.generator = self.networks["generator"]
        self.discriminator = self.networks.get("discriminator")
        self._colours: ColourTransport | None = None
        if config.lambda_chroma:
            with self.strategy.scope():
                self._colours = ColourTransport(config.batch_size)
        self._perceptual: Perceptual | None = None
        if config.perceptual:
            scorer = load_scorer(config.perceptual)
            scorer.check_size(config.crop_size)
            with self.strategy.scope():
                self._perceptual = Perceptual(scorer)

    @classmethod
    def generators(cls, config: Pix2PixConfig) -> dict[str, Generator]:
        generator = generator_of(config, config.x_channels, config.y_channels)
        return {config.direction: generator}

    def builders(self) -> dict[str, Callable[[str], tf.keras.Model]]:
        config = self.config
        (self._made,) = self.generators(config).values()
        builders = {"generator": lambda precision: self._made.build(precision=precision)}
        for name in self._discriminators():
            builders[name] = functools.partial(self._discriminator, name)
        return builders

    def _discriminator(self, name: str, precision: str) -> tf.keras.Model:
        config = self.config
        conditions = config.x_channels if config.conditional else 0
        return discriminator_of(
            config, config.y_channels, conditions, precision=precision, name=name
        )

    def groups(self) -> dict[str, tuple[str, ...]]:
        groups: dict[str, tuple[str, ...]] = {"generator": ("generator",)}
        if self.config.has_discriminator:
            groups["discriminator"] = self._discriminators()
        return groups

    def prepare(self, store: PairStore) -> Sequence[str]:
        """Of labels, counts the pixels of each class, once for a run, and weighs them; refuses
        another scorer than the run began with."""
        if self._perceptual is not None and not self._perceptual.begin():
            raise UserError(
                f"--perceptual={self.config.perceptual}: it is not the scorer that this run began "
                "with; put that one back there, or begin a new run in another --workdir"
            )
        if not self.config.labels_out:
            return ()
        notes = []
        if not self._class_pixels.numpy().any():  # not those of a checkpoint
            self._class_pixels.assign(class_pixels(store))
            notes = remarks(self._class_pixels.numpy(), store)
        if self.config.balance:
            weights = class_weights(self._class_pixels.numpy(), self.config.balance)
            # By which the mean over all pixels is divided, so that lambda_ce means the same.
            mean = np.average(weights, weights=self._class_pixels.numpy())
            self._class_weights = tf.constant(weights / mean, tf.float32)
        return notes

    def validate(
        self,
        val: PairStore,
        networks: Mapping[str, tf.keras.Model],
        generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        limit: int,
        on_images: Callable[[int], None],
    ) -> dict[str, Any]:
        """Of labels, the likeliest classes and the cross-entropy; with a latent, how far apart
        what two of them give is."""
        make, apart = self.with_distance(self._made, generate, networks, self._as_images)
        if self.config.labels_out:
            batches = evaluation_batches(val, size=self.config.whole_size, limit=limit)
            measured = evaluate_logits(batches, make, val.spec.y, on_images)
        else:
            measured = super().validate(val, networks, make, limit, on_images)
        return {**measured, **apart()}

    def _as_images(self, output: tf.Tensor) -> tf.Tensor:
        """Of labels what `losses.shares` makes of them."""
        return losses.shares(output) if self.config.labels_out else output

    def order(self) -> tuple[tuple[str, ...], ...]:
        if not self.config.has_discriminator:
            return (("generator",),)
        if self.config.updates == "joint":
            return (("discriminator", "generator"),)
        return (("discriminator",), ("generator",))

    def state(self) -> dict[str, Any]:
        state = super().state()
        if self._colours is not None:
            state["chroma"] = self._colours.variables()
        if self._perceptual is not None:
            state["perceptual"] = self._perceptual.variables()
        if self.config.labels_out:
            state["class_pixels"] = self._class_pixels
        return state

    def draw(self, batch: Sequence[tf.Tensor], draws: Draws) -> Drawn:
        given = self._made.draw(draws.seed, noise.TRAINING, draws.positions, batch[0])
        changes = other_latent = tf.zeros([])
        if self.config.augment == "diffaugment":
            changes = noise.draw(draws.seed, noise.AUGMENTATION, draws.positions, [augment.NUMBERS])
        if self._made.latent and self.config.diversity != "none":
            other_latent = self._made.latent.draw(draws.seed, noise.OTHER, draws.positions)
        return Drawn(given, changes, other_latent)

    def updates(self, batch: Sequence[tf.Tensor], drawn: Drawn) -> Iterator[Update]:
        (x, y, *masks), changes, config = batch, drawn.changes, self.config
        made = self.generator(inputs_of(x, drawn.given), training=True)
        fake, close = self._compared(y, made, masks)
        if config.diversity != "none":
            close["diversity"] = self._diversity(x, made, drawn, masks)
        if self.discriminator is None:
            yield Update([Objective("generator", close, config.closeness)])
            return
        if config.updates == "joint":
            seen = self._discriminate(x, y, changes), self._discriminate(x, fake, changes)
            discriminator, observed = self._discriminator_update(x, y, changes, *seen)
            yield Update([discriminator, self._generator_update(close, *seen)], observed)
            return
        # Nothing that D learns goes back to G.
        seen = self._discriminate_both(x, y, tf.stop_gradient(fake), changes)
        discriminator, observed = self._discriminator_update(x, y, changes, *seen)
        yield Update([discriminator], observed)
        real = seen[0]
        if config.lambda_feature_matching:
            real = self._discriminate(x, y, changes)
        yield Update([self._generator_update(close, real, self._discriminate(x, fake, changes))])

    def _discriminator_update(
        self, x: tf.Tensor, y: tf.Tensor, changes: tf.Tensor, real: Seen, fake: Seen
    ) -> tuple[Objective, dict[str, tf.Tensor]]:
        """What D minimises, and what it thinks; real and fake as `_discriminate` gives them."""
        config = self.config
        d_loss = tf.add_n(
            [
                losses.discriminator(r[-1], f[-1], config.gan_loss)
                for r, f in zip(real, fake, strict=True)
            ]
        )
        parts, weights = {"discriminator": d_loss}, {}
        if config.lambda_r1:
            with tf.GradientTape() as tape:
                tape.watch(y)
                logits = self._discriminate(x, y, changes)
                means = [tf.reduce_mean(of[-1], axis=[1, 2, 3]) for of in logits]
                value = tf.reduce_sum(tf.add_n(means))
            parts["r1"] = losses.r1(tape.gradient(value, y))
            parts["d_loss"] = parts.pop("discriminator")
            weights["r1"] = config.lambda_r1
        # Of the finest scale, where there are several.
        real_logits, fake_logits = real[0][-1], fake[0][-1]
        observed = losses.judgement(real_logits, fake_logits, config.gan_loss)
        return Objective("discriminator", parts, weights), observed

    def _compared(
        self, y: tf.Tensor, made: tf.Tensor, masks: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """What is looked at of G's output, and by name how far that is from the target."""
        if self.config.labels_out:
            measured = masks[0] if masks else None
            value = losses.cross_entropy(y, made, measured, self._class_weights)
            fake, close = losses.straight_through(made), {"cross_entropy": value}
        else:
            fake, close = made, {"l1": losses.l1(y, made, *masks)}
            if self._colours is not None:
                close["chroma"] = self._colours(y, made, *masks)
        for measured in masks:  # elsewhere both look the same, and G learns nothing from it
            fake = tf.where(measured > 0, fake, y)
        if self._perceptual is not None:
            close["perceptual"] = self._perceptual(y, fake)
        return fake, close

    def _diversity(
        self, x: tf.Tensor, made: tf.Tensor, drawn: Drawn, masks: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """What G minimises so that another latent, with the same z, makes something else.

        The gradient through the other output is what that through the first would be with the
        latents exchanged: of both the mean is the same, so that one will do, and the other needs no
        discriminator to keep it real (DSGAN's code has it so, MSGAN's has both).
        """
        *z, latent = drawn.given
        other = self.generator(inputs_of(x, (*z, drawn.other_latent)), training=True)
        outputs = self._as_images(made), tf.stop_gradient(self._as_images(other))
        ratio = losses.latent_ratio(*outputs, latent, drawn.other_latent, *masks)
        if self.config.diversity == "msgan":
            return losses.msgan(ratio)
        return losses.dsgan(ratio, self.config.diversity_bound)

    def _generator_update(
        self, close: Mapping[str, tf.Tensor], real: Seen, fake: Seen
    ) -> Objective:
        config = self.config
        gan = tf.add_n([losses.generator_gan(f[-1], config.gan_loss) for f in fake])
        parts, weights = {"gan": gan, **close}, dict(config.closeness)
        if config.lambda_feature_matching:
            features = [
                losses.feature_matching(r[:-1], f[:-1]) for r, f in zip(real, fake, strict=True)
            ]
            parts["feature_matching"] = tf.add_n(features) / len(features)
            weights["feature_matching"] = config.lambda_feature_matching
        return Objective("generator", parts, weights)

    def _discriminators(self) -> tuple[str, ...]:
        """The names of D at each scale, the finest first."""
        if not self.config.has_discriminator:
            return ()
        rest = range(2, self.config.discriminator_scales + 1)
        return ("discriminator", *(f"discriminator_{scale}" for scale in rest))

    def _discriminate(self, x: tf.Tensor, y: tf.Tensor, changes: tf.Tensor) -> Seen:
        """Of every scale what D makes of pairs: the logits, with its features before them where
        these are compared."""
        if self.config.augment == "diffaugment":
            y = augment.augmented(y, changes, colors=not self.config.labels_out)
        seen = []
        for number, name in enumerate(self._discriminators()):
            if number:
                x, y = halved(x), halved(y)
            inputs = [x, y] if self.config.conditional else y
            result = self._looked_into(name)(inputs, training=True)
            seen.append(list(result) if isinstance(result, (list, tuple)) else [result])
        return seen

    def _discriminate_both(
        self, x: tf.Tensor, y: tf.Tensor, fake: tf.Tensor, changes: tf.Tensor
    ) -> tuple[Seen, Seen]:
        """Of real and generated pairs, in one pass where images do not depend on their batch."""
        if self.config.batch_statistics:
            return self._discriminate(x, y, changes), self._discriminate(x, fake, changes)
        twice = functools.partial(tf.concat, axis=0)
        if self.config.augment == "diffaugment":
            changes = twice([changes, changes])
        both = self._discriminate(twice([x, x]), twice([y, fake]), changes)
        halves = [[tf.split(part, 2) for part in of] for of in both]
        return (
            [[part[0] for part in of] for of in halves],
            [[part[1] for part in of] for of in halves],
        )

    def _looked_into(self, name: str) -> tf.keras.Model:
        if not self.config.lambda_feature_matching:
            return self.networks[name]
        if name not in self._features:
            self._features[name] = with_features(self.networks[name])
        return self._features[name]

    def columns(
        self, x: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        return self.answers(self._made, x, positions, networks)

    def watch(self, step: int, judged: Mapping[str, Mapping[str, float]]) -> str | None:
        return self._watch(step, judged["discriminator"]) if "discriminator" in judged else None

    def watch_val(self, step: int, measured: Mapping[str, float]) -> str | None:
        return self._watch_classes(measured) or self._watch_answers(step, measured)

    def parameter_counts(self) -> dict[str, int | None]:
        return {"discriminator": None, **super().parameter_counts()}
