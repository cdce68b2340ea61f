"""CycleGAN: two generators, one the way back of the other, on images without pairs (Zhu et al.
2017, arXiv 1703.10593)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import tensorflow as tf

from tfpix2pix.algorithms import losses, pool
from tfpix2pix.algorithms.adam import Adam
from tfpix2pix.algorithms.base import Algorithm, Draws, Objective, Update
from tfpix2pix.algorithms.configs.cyclegan import CycleGANConfig
from tfpix2pix.algorithms.watch import DiscriminatorWatch
from tfpix2pix.data import PairStore, evaluation_batches
from tfpix2pix.evaluation.sharpness import Sharpness, gradient
from tfpix2pix.evaluation.swd import SWD, counts
from tfpix2pix.models import build_discriminator, noise
from tfpix2pix.models.base import Generator
from tfpix2pix.models.unet import unet

# The two directions by what their names end with: from x to y, and from y to x.
THERE, BACK = "", "_back"
WAYS = (THERE, BACK)
# What generators are used for in a step; each has a z of its own.
_FAKE, _AGAIN, _SAME = range(3)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What a step draws.

    Attributes:
      z: of each use of each generator, ``(use, way)``; None where it takes none.
      pool: of each way, numbers of the images of the whole batch, ``[B, pool.NUMBERS]``.
      first: place of this replica's first image among them.
    """

    z: Mapping[tuple[int, str], tf.Tensor | None]
    pool: Mapping[str, tf.Tensor]
    first: tf.Tensor


class CycleGAN(Algorithm[CycleGANConfig]):
    """Sections 3 and 4 of the paper, as its authors' PyTorch code has them; see `Algorithm`.

    ``generator`` makes y of x, which ``discriminator`` judges, ``generator_back`` makes x of y, for
    ``discriminator_back``. A step on both generators by one Adam, then one on both discriminators
    by another, shown what the generators made before they moved, or earlier ones from a pool.
    """

    judgements: ClassVar[Mapping[str, tuple[str, ...]]] = {
        f"discriminator{way}": (f"real{way}", f"fake{way}", f"accuracy{way}") for way in WAYS
    }
    shown: ClassVar[tuple[tuple[str, str, int], ...]] = (
        ("cycle", "cycle", 3),
        ("cycle_back", "back", 3),
        ("generators", "G", 2),
        ("discriminators", "D", 2),
    )

    def __init__(self, config: CycleGANConfig, *args: Any, **kwargs: Any) -> None:
        there, back = self.generators(config).values()
        self._made = {THERE: there, BACK: back}
        self._watches = {way: DiscriminatorWatch() for way in WAYS}
        self._trips: dict[str, Callable[..., dict[str, tf.Tensor]]] = {}
        super().__init__(config, *args, **kwargs)
        self._pools: dict[str, pool.ImagePool] = {}
        if config.pool_size and config.has_discriminator:
            with self.strategy.scope():
                self._pools = {
                    way: pool.ImagePool(config.pool_size, (*config.crop_size, made.output_channels))
                    for way, made in self._made.items()
                }

    @classmethod
    def generators(cls, config: CycleGANConfig) -> dict[str, Generator]:
        other = {"AtoB": "BtoA", "BtoA": "AtoB"}[config.direction]
        return {
            config.direction: _generator(config, config.x_channels, config.y_channels, "generator"),
            other: _generator(config, config.y_channels, config.x_channels, "generator_back"),
        }

    def builders(self) -> dict[str, Callable[[str], tf.keras.Model]]:
        builders: dict[str, Callable[[str], tf.keras.Model]] = {
            made.name: functools.partial(_built, made) for made in self._made.values()
        }
        for way, made in self._made.items() if self.config.has_discriminator else ():
            name = f"discriminator{way}"
            builders[name] = functools.partial(
                _discriminator, self.config, made.output_channels, name
            )
        return builders

    def groups(self) -> dict[str, tuple[str, ...]]:
        groups = {"generators": tuple(f"generator{way}" for way in WAYS)}
        if self.config.has_discriminator:
            groups["discriminators"] = tuple(f"discriminator{way}" for way in WAYS)
        return groups

    def order(self) -> tuple[tuple[str, ...], ...]:
        return tuple((group,) for group in self.groups())

    def optimizer(self, group: str) -> Adam:
        adam = super().optimizer(group)
        if group == "discriminators" and self.config.learning_rate_d:
            adam.learning_rate = self.config.learning_rate_d
        return adam

    def state(self) -> dict[str, Any]:
        state = super().state()
        for way, kept in self._pools.items():
            state[f"pool{way}"] = kept.variables()
        return state

    def draw(self, batch: Sequence[tf.Tensor], draws: Draws) -> Drawn:
        z, numbers = {}, {}
        for index, way in enumerate(WAYS):
            for use in (_FAKE, _AGAIN, _SAME):
                place = draws.positions * 6 + 2 * use + index
                spec = self._made[way].noise
                z[use, way] = spec and spec.draw(draws.seed, noise.TRAINING, place, batch[0])
        if self._pools:
            first = draws.positions[0] - draws.first
            whole = first + tf.range(self.config.batch_size, dtype=tf.int64)
            drawn = noise.draw(draws.seed, noise.POOL, whole, [2 * pool.NUMBERS])
            numbers = dict(zip(WAYS, tf.split(drawn, 2, axis=1), strict=True))
        return Drawn(z, numbers, draws.first)

    def updates(self, batch: Sequence[tf.Tensor], drawn: Drawn) -> Iterator[Update]:
        (x, y, *masks), config = batch, self.config
        given, wanted = {THERE: x, BACK: y}, {THERE: y, BACK: x}
        cycles = {THERE: config.lambda_forward, BACK: config.lambda_backward}
        parts: dict[str, tf.Tensor] = {}
        weights: dict[str, float] = {}
        fakes: dict[str, tf.Tensor] = {}
        for way, other in (WAYS, WAYS[::-1]):
            if config.has_discriminator or cycles[way]:
                fakes[way] = self._make(way, given[way], drawn.z[_FAKE, way])
            if config.has_discriminator:
                logits = self._judge(way, _seen(fakes[way], masks))
                parts[f"gan{way}"] = losses.generator_gan(logits, config.gan_loss)
                weights[f"gan{way}"] = config.lambda_gan
            if cycles[way]:
                again = self._make(other, fakes[way], drawn.z[_AGAIN, other])
                parts[f"cycle{way}"] = losses.l1(given[way], again, *masks)
                weights[f"cycle{way}"] = cycles[way]
            if config.lambda_identity and cycles[other]:
                same = self._make(way, wanted[way], drawn.z[_SAME, way])
                parts[f"identity{way}"] = losses.l1(wanted[way], same, *masks)
                weights[f"identity{way}"] = config.lambda_identity * cycles[other]
        yield Update([Objective("generators", parts, weights)])
        if not config.has_discriminator:
            return
        parts, observed = {}, {}
        for way in WAYS:
            fake = _seen(tf.stop_gradient(fakes[way]), masks)
            if way in self._pools:
                fake = self._pools[way].exchange(fake, drawn.pool[way], drawn.first)
            logits = self._judge_both(way, _seen(wanted[way], masks), fake)
            parts[f"discriminator{way}"] = losses.discriminator(*logits, config.gan_loss)
            for name, value in losses.judgement(*logits, config.gan_loss).items():
                observed[name + way] = value
        yield Update([Objective("discriminators", parts)], observed)

    def _make(
        self, way: str, images: tf.Tensor, z: tf.Tensor | None, networks: Any = None
    ) -> tf.Tensor:
        """What a generator makes; in training, unless other networks are given."""
        network = (networks or self.networks)[f"generator{way}"]
        return network(images if z is None else [images, z], training=networks is None)

    def _judge(self, way: str, images: tf.Tensor) -> tf.Tensor:
        return self.networks[f"discriminator{way}"](images, training=True)

    def _judge_both(
        self, way: str, real: tf.Tensor, fake: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The logits of both, in one pass where images do not depend on their batch."""
        if self.config.batch_statistics:
            return self._judge(way, real), self._judge(way, fake)
        real, fake = tf.split(self._judge(way, tf.concat([real, fake], axis=0)), 2)
        return real, fake

    # === Looking at it ===

    def columns(
        self, x: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        fake = self._make(THERE, x, self._still(THERE, x, positions), networks)
        again = self._make(BACK, fake, self._still(BACK, x, positions), networks)
        return {"generated": fake, "again": again}

    def _still(self, way: str, images: tf.Tensor, positions: tf.Tensor) -> tf.Tensor | None:
        """The z of a picture that is looked at."""
        spec = self._made[way].noise
        return spec and spec.draw(self.config.seed, noise.VALIDATION, positions, images)

    def validate(
        self,
        val: PairStore,
        networks: Mapping[str, tf.keras.Model],
        generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        limit: int,
        on_images: Callable[[int], None],
    ) -> dict[str, Any]:
        """Measures that need no pairs: of each direction how the pictures are distributed beside
        real ones, and what comes back of an image."""
        measured: dict[str, Any] = {}
        batches = list(evaluation_batches(val, size=self.config.whole_size, limit=limit))
        for side, (way, other) in enumerate((WAYS, WAYS[::-1])):
            sums: dict[str, Any] = {}
            specs = [val.spec.x, val.spec.y]
            target = specs[1 - side]
            for place, batch in enumerate(batches):
                positions = tf.constant([place], tf.int64)
                made = self._round_trip(way, other, networks)(batch[side], positions)
                for whose, image in (("fake", made.pop("fake")), ("truth", batch[1 - side])):
                    levels = target.levels(image.numpy())
                    sums[f"swd/{whose}"] = sums.get(f"swd/{whose}", 0) + counts(levels)[0].astype(
                        int
                    )
                    sums[f"steep/{whose}"] = sums.get(f"steep/{whose}", 0) + gradient(levels)[0]
                for name, value in made.items():
                    sums[name] = sums.get(name, 0.0) + float(value[0])
                on_images(place + 1)
            of = {whose: sums[f"swd/{whose}"] for whose in ("fake", "truth")}
            measured[f"swd{way}"] = float(SWD.score(of, 1)["swd"])
            of = {whose: sums[f"steep/{whose}"] for whose in ("fake", "truth")}
            name = "sharpness_back" if way else "sharpness_ratio"
            measured[name] = float(Sharpness.score(of, len(batches))["sharpness_ratio"])
            measured[f"cycle{way}"] = sums["cycle"] / len(batches)
        measured["swd_mean"] = (measured["swd"] + measured["swd_back"]) / 2
        return {**measured, "images": len(batches)}

    def _round_trip(
        self, way: str, other: str, networks: Mapping[str, tf.keras.Model]
    ) -> Callable[..., dict[str, tf.Tensor]]:
        """Images there and back again, compiled once: the networks are the same in every call."""

        def trip(images: tf.Tensor, positions: tf.Tensor) -> dict[str, tf.Tensor]:
            fake = self._make(way, images, self._still(way, images, positions), networks)
            again = self._make(other, fake, self._still(other, images, positions), networks)
            return {"fake": fake, "cycle": losses.l1(images, again)}

        if way not in self._trips:
            self._trips[way] = tf.function(trip, reduce_retracing=True, autograph=False)
        return self._trips[way]

    def watch(self, step: int, judged: Mapping[str, Mapping[str, float]]) -> str | None:
        said = []
        for way in WAYS:
            name = f"discriminator{way}"
            if name in judged:
                means = {key.removesuffix(BACK): value for key, value in judged[name].items()}
                news = self._watches[way](step, means)
                said += [f"of the {name}: {news}"] if news else []
        return "; ".join(said) or None


def _generator(
    config: CycleGANConfig, input_channels: int, output_channels: int, name: str
) -> Generator:
    made = unet(
        crop_size=config.depth_size,
        input_channels=input_channels,
        output_channels=output_channels,
        ngf=config.ngf,
        norm=config.norm,
        bias_layers=config.bias_layers,
        dropout=config.dropout,
        dropout_layers=config.dropout_layers,
        skips=config.generator == "unet",
        bottleneck=config.bottleneck,
        upsampling=config.upsampling,
        input_noise=config.noise_channels,
        padding=config.padding,
        last_channels=config.last_channels,
    )
    return dataclasses.replace(made, name=name)


def _built(made: Generator, precision: str) -> tf.keras.Model:
    return made.build(precision=precision)


def _discriminator(
    config: CycleGANConfig, channels: int, name: str, precision: str
) -> tf.keras.Model:
    return build_discriminator(
        receptive_field=config.receptive_field,
        output_channels=channels,
        ndf=config.ndf,
        norm=config.norm,
        bias_layers=config.bias_layers,
        conditional=False,
        spectral_norm=config.spectral_norm,
        precision=precision,
        name=name,
    )


def _seen(images: tf.Tensor, masks: Sequence[tf.Tensor]) -> tf.Tensor:
    """What a discriminator is shown: grey where nothing is measured, in real images and in
    generated ones, so that this does not tell them apart."""
    for measured in masks:
        images = images * measured
    return images
