"""CUT: one generator, on images without pairs; that a picture shows what its input shows is learned
by telling patches apart (Park et al. 2020, arXiv 2007.15651)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from tfpix2pix.algorithms import losses
from tfpix2pix.algorithms.adversarial import Adversarial
from tfpix2pix.algorithms.base import Draws, Objective, Update
from tfpix2pix.algorithms.configs.cut import CutConfig
from tfpix2pix.algorithms.unpaired import judge_both, likeness_on, seen
from tfpix2pix.algorithms.watch import CycleWatch, DiscriminatorWatch
from tfpix2pix.data import PairStore, evaluation_batches
from tfpix2pix.models import noise
from tfpix2pix.models.base import Generator, inputs_of, with_outputs
from tfpix2pix.models.build import discriminator_of, generator_of
from tfpix2pix.models.patch_head import build_patch_head
from tfpix2pix.models.weights import initialize


class Drawn(NamedTuple):
    """What a step draws for the images that G makes pictures of, N of them: those of x, then, where
    they are wanted, those of y.

    Attributes:
      z: as `Generator.draw` gives it.
      places: of each layer the pixels whose features are compared, int ``[N, n]``.
      mirrored: which images G is to see mirrored, bool ``[N, 1, 1, 1]``.
    """

    z: tuple[tf.Tensor, ...]
    places: list[tf.Tensor]
    mirrored: tf.Tensor


class Cut(Adversarial[CutConfig]):
    """Section 3 of the paper, in the order of its authors' code; see `Algorithm`.

    A step on D, which sees images alone, then one on G and the head against the D that has moved.
    The features that are compared are of G's own first half. One forward of G makes the pictures of
    x and of y, and with them the features of both, the keys; those of the pictures, the queries,
    take another of its first half.
    """

    judgements: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "discriminator": ("real", "fake", "accuracy")
    }
    shown: ClassVar[tuple[tuple[str, str, int], ...]] = (
        ("nce", "NCE", 3),
        ("gan", "GAN", 2),
        ("discriminator", "D", 2),
    )

    def __init__(self, config: CutConfig, *args: Any, **kwargs: Any) -> None:
        (self._made,) = self.generators(config).values()
        self._watch = DiscriminatorWatch(config.gan_loss, "PatchNCE still trains")
        self._val_watch = CycleWatch("a smaller --lambda_nce and --nce_idt=false")
        super().__init__(config, *args, **kwargs)
        generator, layers = self.networks["generator"], list(self._made.features)
        self._encoder = with_outputs(generator, layers)
        self._with_picture = with_outputs(generator, [*layers, "y"])
        size = (1, *config.crop_size)
        shapes = [(*size, self._made.input_channels)]
        if self._made.noise:
            shapes.append((1, *self._made.noise.shape(*config.crop_size)))
        features = self._encoder.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])
        self._pixels = [math.prod(shape[1:3]) for shape in features]

    @classmethod
    def generators(cls, config: CutConfig) -> dict[str, Generator]:
        return {config.direction: generator_of(config, config.x_channels, config.y_channels)}

    def builders(self) -> dict[str, Callable[[str], tf.keras.Model]]:
        config = self.config
        builders: dict[str, Callable[[str], tf.keras.Model]] = {
            "generator": lambda precision: self._made.build(precision=precision),
            "head": lambda precision: build_patch_head(
                list(self._made.features.values()), width=config.nce_channels
            ),
        }
        if config.has_discriminator:
            builders["discriminator"] = lambda precision: discriminator_of(
                config, config.y_channels, precision=precision
            )
        return builders

    def groups(self) -> dict[str, tuple[str, ...]]:
        # Two Adams in the authors' code, of the same settings: one for both takes the same steps.
        groups: dict[str, tuple[str, ...]] = {"generator": ("generator", "head")}
        if self.config.has_discriminator:
            groups["discriminator"] = ("discriminator",)
        return groups

    def order(self) -> tuple[tuple[str, ...], ...]:
        return tuple((group,) for group in reversed(self.groups()))

    def initialize(self, name: str) -> None:
        initialize(self.networks[name], self.config.seed, xavier=True)

    def draw(self, batch: Sequence[tf.Tensor], draws: Draws) -> Drawn:
        terms = 2 if self.config.nce_idt else 1
        positions = tf.concat([2 * draws.positions + term for term in range(terms)], axis=0)
        z = self._made.draw(draws.seed, noise.TRAINING, positions, batch[0])
        numbers = noise.draw(draws.seed, noise.PATCHES, positions, [1 + sum(self._pixels)])
        mirrored, *of_layers = tf.split(numbers, [1, *self._pixels], axis=1)
        # The pixels of the largest numbers: any set of different ones is as likely as another.
        most = self.config.nce_patches
        places = [tf.math.top_k(of, min(most, of.shape[1])).indices for of in of_layers]
        return Drawn(z, places, mirrored[:, :, None, None] < 0.5)

    def updates(self, batch: Sequence[tf.Tensor], drawn: Drawn) -> Iterator[Update]:
        (x, y, *masks), config = batch, self.config
        images = tf.concat([x, y], axis=0) if config.nce_idt else x
        shown = inputs_of(self._turned(images, drawn), drawn.z)
        *keys, pictures = self._with_picture(shown, training=True)
        if config.flip_equivariance:
            keys = self._encoder(inputs_of(images, drawn.z), training=True)
        fake = seen(pictures[: x.shape[0]], masks)
        parts: dict[str, tf.Tensor] = {}
        if config.has_discriminator:
            real, apart = seen(y, masks), config.batch_statistics
            logits = judge_both(self._judge, real, tf.stop_gradient(fake), apart)
            d_loss = losses.discriminator(*logits, config.gan_loss)
            yield Update(
                [Objective("discriminator", {"discriminator": d_loss})],
                losses.judgement(*logits, config.gan_loss),
            )
            parts["gan"] = losses.generator_gan(self._judge(fake), config.gan_loss)
        queries = self._encoder(inputs_of(pictures, drawn.z), training=True)
        queries = [self._turned(of, drawn) for of in queries]
        names = ("nce", "nce_idt") if config.nce_idt else ("nce",)
        nce = tf.split(self._compared(queries, keys, drawn.places), len(names))
        parts |= dict(zip(names, nce, strict=True))
        share = config.lambda_nce / len(names)
        yield Update(
            [
                Objective(
                    "generator", parts, {"gan": config.lambda_gan, **dict.fromkeys(names, share)}
                )
            ]
        )

    def _compared(
        self, queries: Sequence[tf.Tensor], keys: Sequence[tf.Tensor], places: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """PatchNCE of each image, the mean over layers, ``[N]``."""
        queries, keys = (
            self.networks["head"](
                [_picked(of, at) for of, at in zip(features, places, strict=True)]
            )
            for features in (queries, keys)
        )
        values = [
            losses.patch_nce(query, key, self.config.nce_temperature)
            for query, key in zip(queries, keys, strict=True)
        ]
        return tf.reduce_mean(tf.stack(values), axis=0)

    def _turned(self, images: tf.Tensor, drawn: Drawn) -> tf.Tensor:
        """Images, or features, those mirrored that are to be."""
        if not self.config.flip_equivariance:
            return images
        return tf.where(drawn.mirrored, tf.reverse(images, [2]), images)

    def _judge(self, images: tf.Tensor) -> tf.Tensor:
        return self.networks["discriminator"](images, training=True)

    def columns(
        self, x: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        z = self._made.draw(self.config.seed, noise.VALIDATION, positions, x)
        return {"generated": networks["generator"](inputs_of(x, z), training=False)}

    def validate(
        self,
        val: PairStore,
        networks: Mapping[str, tf.keras.Model],
        generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        limit: int,
        on_images: Callable[[int], None],
    ) -> dict[str, Any]:
        """Measures that need no pairs: how alike the pictures are to real ones."""
        batches = evaluation_batches(val, size=self.config.whole_size, limit=limit)
        return likeness_on(val, batches, 0, lambda x, at: (generate(x, at), {}), on_images)

    def watch(self, step: int, judged: Mapping[str, Mapping[str, float]]) -> str | None:
        return self._watch(step, judged["discriminator"]) if "discriminator" in judged else None

    def watch_val(self, step: int, measured: Mapping[str, float]) -> str | None:
        return self._val_watch(measured, "the generator")


def _picked(features: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Of features ``[N, h, w, C]`` those of some pixels, float32 ``[N, n, C]``."""
    flat = tf.reshape(features, [places.shape[0], -1, features.shape[-1]])
    return tf.cast(tf.gather(flat, places, batch_dims=1), tf.float32)
