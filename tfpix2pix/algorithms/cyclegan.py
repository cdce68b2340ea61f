"""CycleGAN: two generators, one the way back of the other, on images without pairs (Zhu et al.
2017, arXiv 1703.10593)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from tfpix2pix.algorithms import losses, pool
from tfpix2pix.algorithms.adversarial import Adversarial
from tfpix2pix.algorithms.base import Draws, Objective, Update
from tfpix2pix.algorithms.configs.cyclegan import CycleGANConfig
from tfpix2pix.algorithms.unpaired import judge_both, likeness_on, seen
from tfpix2pix.algorithms.watch import CycleWatch, DiscriminatorWatch, together
from tfpix2pix.data import PairStore, evaluation_batches
from tfpix2pix.models import noise
from tfpix2pix.models.base import Generator, inputs_of
from tfpix2pix.models.build import discriminator_of, generator_of

# The two directions by what their names end with: from x to y, and from y to x.
THERE, BACK = "", "_back"
WAYS = (THERE, BACK)
_OTHER = {THERE: BACK, BACK: THERE}
_NAMES = {
    THERE: "the generator from inputs to targets",
    BACK: "the generator from targets to inputs",
}
SHAKEN = 4.0
"""Grey levels, at most, by which a picture is changed to see whether it hides something."""
# What generators are used for in a step; each has a z of its own.
_USES = _FAKE, _AGAIN, _SAME = "fake", "again", "same"


class Drawn(NamedTuple):
    """What a step draws.

    Attributes:
      z: of each use of each generator, by ``use + way``, see `Generator.draw`.
      pool: of each way, numbers of the images of the whole batch, ``[B, pool.NUMBERS]``.
      first: place of this replica's first image among them.
    """

    z: dict[str, tuple[tf.Tensor, ...]]
    pool: dict[str, tf.Tensor]
    first: tf.Tensor


class CycleGAN(Adversarial[CycleGANConfig]):
    """Sections 3 and 4 of the paper, as its authors' PyTorch code has them; see `Algorithm`.

    ``generator`` makes y of x, which ``discriminator`` judges, ``generator_back`` makes x of y, for
    ``discriminator_back``. A step on both generators by one Adam, then one on both discriminators
    by another, shown what the generators made before they moved, or earlier ones from a pool.
    """

    OF_INPUTS: ClassVar[frozenset[str]] = frozenset({"again", "back"})
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
        self._watches = {
            way: DiscriminatorWatch(config.gan_loss, "the other terms train", judges)
            for way, judges in ((THERE, "of targets"), (BACK, "of inputs"))
        }
        self._cycle_watch = CycleWatch()
        self._trips: dict[str, Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]] = {}
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
            config.direction: generator_of(
                config, config.x_channels, config.y_channels, "generator"
            ),
            other: generator_of(config, config.y_channels, config.x_channels, "generator_back"),
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

    def state(self) -> dict[str, Any]:
        state = super().state()
        for way, kept in self._pools.items():
            state[f"pool{way}"] = kept.variables()
        return state

    def draw(self, batch: Sequence[tf.Tensor], draws: Draws) -> Drawn:
        z: dict[str, tuple[tf.Tensor, ...]] = {}
        numbers: dict[str, tf.Tensor] = {}
        for number, (use, way) in enumerate(itertools.product(_USES, WAYS)):
            # As if each use had a stream of its own.
            place = draws.positions * (len(_USES) * len(WAYS)) + number
            z[use + way] = self._made[way].draw(draws.seed, noise.TRAINING, place, batch[0])
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
            uses = {}
            if config.has_discriminator or cycles[way]:
                uses[_FAKE] = given[way]
            if config.lambda_identity and cycles[other]:
                uses[_SAME] = wanted[way]
            made = self._make_each(way, uses, drawn.z)
            if _FAKE in made:
                fakes[way] = made[_FAKE]
            if config.has_discriminator:
                logits = self._judge(way, seen(fakes[way], masks))
                parts[f"gan{way}"] = losses.generator_gan(logits, config.gan_loss)
                weights[f"gan{way}"] = config.lambda_gan
            if cycles[way]:
                again = self._make(other, fakes[way], drawn.z[_AGAIN + other])
                parts[f"cycle{way}"] = losses.l1(given[way], again, *masks)
                weights[f"cycle{way}"] = cycles[way]
            if _SAME in made:
                parts[f"identity{way}"] = losses.l1(wanted[way], made[_SAME], *masks)
                weights[f"identity{way}"] = config.lambda_identity * cycles[other]
        yield Update([Objective("generators", parts, weights)])
        if not config.has_discriminator:
            return
        parts, observed = {}, {}
        for way in WAYS:
            fake = seen(tf.stop_gradient(fakes[way]), masks)
            if way in self._pools:
                fake = self._pools[way].exchange(fake, drawn.pool[way], drawn.first)
            judge = functools.partial(self._judge, way)
            logits = judge_both(judge, seen(wanted[way], masks), fake, config.batch_statistics)
            parts[f"discriminator{way}"] = losses.discriminator(*logits, config.gan_loss)
            for name, value in losses.judgement(*logits, config.gan_loss).items():
                observed[name + way] = value
        yield Update([Objective("discriminators", parts)], observed)

    def _make_each(
        self, way: str, uses: Mapping[str, tf.Tensor], z: Mapping[str, tuple[tf.Tensor, ...]]
    ) -> dict[str, tf.Tensor]:
        """What a generator makes for each use, in one pass where images do not depend on their
        batch: weights are read, and turned into what the faster layers need, once."""
        if len(uses) < 2 or self.config.batch_statistics:
            return {use: self._make(way, images, z[use + way]) for use, images in uses.items()}
        numbers = zip(*(z[use + way] for use in uses), strict=True)
        together = tuple(tf.concat(of, axis=0) for of in numbers)
        made = self._make(way, tf.concat(list(uses.values()), axis=0), together)
        return dict(zip(uses, tf.split(made, len(uses)), strict=True))

    def _make(self, way: str, images: tf.Tensor, z: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """What a generator makes in training."""
        return self.networks[f"generator{way}"](inputs_of(images, z), training=True)

    def _judge(self, way: str, images: tf.Tensor) -> tf.Tensor:
        return self.networks[f"discriminator{way}"](images, training=True)

    # === Looking at it ===

    def columns(
        self, x: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        fake, again = self._there_and_again(THERE, x, positions, networks)
        return {"generated": fake, "again": again}

    def columns_back(
        self, y: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        fake, again = self._there_and_again(BACK, y, positions, networks)
        return {"back": fake, "back_again": again}

    def _there_and_again(
        self,
        way: str,
        images: tf.Tensor,
        positions: tf.Tensor,
        networks: Mapping[str, tf.keras.Model],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What a generator makes of images, and what the other one makes of that."""
        fake = self._still(way, images, positions, networks)
        return fake, self._still(_OTHER[way], fake, positions, networks)

    def _still(
        self,
        way: str,
        images: tf.Tensor,
        positions: tf.Tensor,
        networks: Mapping[str, tf.keras.Model],
    ) -> tf.Tensor:
        """What a generator makes where it is looked at."""
        z = self._made[way].draw(self.config.seed, noise.VALIDATION, positions, images)
        return networks[f"generator{way}"](inputs_of(images, z), training=False)

    def validate(
        self,
        val: PairStore,
        networks: Mapping[str, tf.keras.Model],
        generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        limit: int,
        on_images: Callable[[int], None],
    ) -> dict[str, Any]:
        """Measures that need no pairs: how alike the pictures of each direction are to real ones,
        what comes back of an image, and how much of it a little noise on the way destroys."""
        measured: dict[str, Any] = {"images": 0}
        for side, way in enumerate(WAYS):
            batches = evaluation_batches(val, size=self.config.whole_size, limit=limit)
            found = likeness_on(val, batches, side, self._trip(way, networks), on_images)
            measured["images"] = max(measured["images"], found.pop("images"))
            measured["sharpness_back" if way else "sharpness_ratio"] = found.pop("sharpness_ratio")
            measured |= {f"{name}{way}": value for name, value in found.items()}
        return {**measured, "swd_mean": (measured["swd"] + measured["swd_back"]) / 2}

    def _trip(
        self, way: str, networks: Mapping[str, tf.keras.Model]
    ) -> Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]:
        """Images there and back again, and what is measured of it; compiled once, for the networks
        are the same ones in every call."""

        def trip(images: tf.Tensor, positions: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            fake, again = self._there_and_again(way, images, positions, networks)
            u = noise.draw(self.config.seed, noise.VALIDATION, positions, tf.shape(fake)[1:])
            shaken = tf.clip_by_value(fake + SHAKEN / 127.5 * (2.0 * u - 1.0), -1.0, 1.0)
            shaken = self._still(_OTHER[way], shaken, positions, networks)
            return fake, {"cycle": losses.l1(images, again), "shaken": losses.l1(images, shaken)}

        if way not in self._trips:
            self._trips[way] = tf.function(trip, reduce_retracing=True, autograph=False)
        return self._trips[way]

    def watch(self, step: int, judged: Mapping[str, Mapping[str, float]]) -> str | None:
        said = []
        for way in WAYS:
            if f"discriminator{way}" in judged:
                judgement = judged[f"discriminator{way}"]
                means = {name.removesuffix(BACK): value for name, value in judgement.items()}
                said.append(self._watches[way](step, means))
        return together(said)

    def watch_val(self, step: int, measured: Mapping[str, float]) -> str | None:
        return together([self._cycle_watch(measured, _NAMES[way], way) for way in WAYS])


def _built(made: Generator, precision: str) -> tf.keras.Model:
    return made.build(precision=precision)


def _discriminator(
    config: CycleGANConfig, channels: int, name: str, precision: str
) -> tf.keras.Model:
    return discriminator_of(config, channels, precision=precision, name=name)
