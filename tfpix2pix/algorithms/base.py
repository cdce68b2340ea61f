"""What every training algorithm is, and the machinery that each of them needs.

An algorithm says which networks it has (`builders`), what they minimise and in which order they
are updated (`updates`). The base owns the rest: weights from the seed, an Adam for each group of
networks, replicas, the scale of float16's losses, compilation, and the state of a checkpoint.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import tensorflow as tf

from tfpix2pix.algorithms.adam import Adam
from tfpix2pix.algorithms.average import Average
from tfpix2pix.algorithms.loss_scale import LossScale, all_finite
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import Config
from tfpix2pix.models.base import Encoder, Generator
from tfpix2pix.models.weights import initialize, named_weights

if TYPE_CHECKING:
    from tfpix2pix.data import PairSpec, PairStore

C = TypeVar("C", bound=Config)
Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Objective:
    """What one group of networks minimises: the weighted sum of named losses.

    Attributes:
      trains: the group, one of `Algorithm.groups`. The sum is reported under this name.
      losses: by name, a value per image ``[B]``, whose mean over the whole batch is taken, or a
        scalar, this replica's share of such a mean. Each is reported, unweighted.
      weights: of losses that do not count once; one of weight 0 is reported only.
    """

    trains: str
    losses: Tensors
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    """Objectives whose gradients are all taken before any of their networks changes.

    Attributes:
      objectives: of different groups.
      observed: what else is reported, a value per image ``[B]`` each.
    """

    objectives: Sequence[Objective]
    observed: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class Draws:
    """From which a step draws at random: everything is a function of (seed, place in the stream).

    Attributes:
      seed: the run's.
      step: int64 scalar, steps done before this one.
      positions: int64 ``[b]``, the places of this replica's images in the endless stream.
      first: int64 scalar, of the first of them within the batch.
    """

    seed: int
    step: tf.Tensor
    positions: tf.Tensor
    first: tf.Tensor


class Algorithm(abc.ABC, Generic[C]):
    """Networks, what they minimise, and one training step.

    Subclasses name the class of their config (``Algorithm[MyConfig]``), set the class attributes
    and implement `generators`, `builders`, `order` and `updates`; see `pix2pix` for one that reads
    like its paper.

    Args:
      config: the run's.
      strategy: where to train; the default is one device. The batch that `train_step` gets is
        split over its replicas.
      spec: of the pairs, for algorithms that must know what the images mean.
      total_steps: of the whole run, for algorithms whose learning rate follows it; 0 if unknown.
      decay_from: the step from which a falling learning rate falls; None for half of the run.
      train_images: in an epoch, for a learning rate that falls by epochs; 0 if unknown.

    Attributes:
      OPTIONAL: parts of the state without which a run goes on, from their initial values.
      judgements: groups of observed values, which are recorded apart from the losses.
      shown: what the progress line says: name, words, digits.
      OF_INPUTS: names of `columns`, and of `columns_back`, that show images like the inputs.
      averages: of the weights of generators, by the network's name; none where the config asks for
        none.
      networks: by unique name, which seeds their weights; the one that makes pictures first.
      step: int64 variable, training steps done so far.
    """

    OPTIONAL: ClassVar[tuple[str, ...]] = ("loss_scale",)
    judgements: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    shown: ClassVar[tuple[tuple[str, str, int], ...]] = ()
    OF_INPUTS: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        config: C,
        strategy: tf.distribute.Strategy | None = None,
        *,
        spec: PairSpec | None = None,
        total_steps: int = 0,
        decay_from: int | None = None,
        train_images: int = 0,
    ) -> None:
        self.config, self.spec, self.total_steps = config, spec, total_steps
        self.train_images = train_images
        self.decay_from = total_steps // 2 if decay_from is None else decay_from
        self.strategy = strategy or tf.distribute.get_strategy()
        replicas = self.strategy.num_replicas_in_sync
        if config.batch_size % replicas:
            raise ValueError(
                f"batch_size {config.batch_size} does not divide over {replicas} replicas"
            )
        with self.strategy.scope():
            self.step = tf.Variable(
                0,
                dtype=tf.int64,
                trainable=False,
                name="step",
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            # Before the networks, whose gradients it scales.
            self._loss_scale = None
            if config.mixed_precision == "float16":
                self._loss_scale = LossScale(len(self.order()))
            self.networks = {
                name: build(config.mixed_precision) for name, build in self.builders().items()
            }
            for name in self.networks:
                self.initialize(name)
            self._adams = {group: self.optimizer(group) for group in self.groups()}
            self.averages = {
                generator.name: Average(
                    named_weights(self.networks[generator.name]), config.average_decay
                )
                for generator in self.generators(config).values()
                if config.average_decay
            }
        self._exact: dict[str, tf.keras.Model] = {}
        self._gradients, self._steps = self._single, self._several
        if config.jit_compile:
            # Without the noise, whose numbers are to stay, and of a single update without Adam,
            # whose kernel is one already.
            self._gradients = tf.function(self._single, jit_compile=True)
            self._steps = tf.function(self._several, jit_compile=True)
            if replicas > 1 and len(self.order()) > 1:
                raise UserError(
                    f"--jit_compile: a step of {config.algorithm} is several updates, which are "
                    "compiled on one device only; leave it out, or use --strategy=default"
                )

    # === What an algorithm says ===

    @classmethod
    @abc.abstractmethod
    def generators(cls, config: C) -> dict[str, Generator]:
        """The generators of a run by direction (``AtoB``), the default one first.

        Empty for a network that makes no pictures. The name of each is that of its network.
        """

    @classmethod
    def encoders(cls, config: C) -> dict[str, Encoder]:
        """The encoders of a run by direction: what makes codes of images like the outputs, for
        generators that take such a code. Here none. The name of each is that of its network."""
        return {}

    @abc.abstractmethod
    def builders(self) -> dict[str, Callable[[str], tf.keras.Model]]:
        """What builds each network, given the precision that its layers compute in."""

    @abc.abstractmethod
    def order(self) -> tuple[tuple[str, ...], ...]:
        """The groups that each update of a step changes, update by update.

        ``(("discriminator", "generator"),)``: both from gradients at the same weights.
        ``(("discriminator",), ("generator",))``: the second against the first as it is then.
        """

    @abc.abstractmethod
    def updates(self, batch: Sequence[tf.Tensor], drawn: Any) -> Iterator[Update]:
        """The updates of one step, in the order of `order`.

        A generator function: after each ``yield`` the networks of that update have changed, and
        what was computed before is still there.

        Args:
          batch: this replica's images, float32 ``[b, H, W, C]`` in [-1, 1]; behind x and y, of data
            that have values for "nothing measured", 1 and 0 ``[b, H, W, 1]``: what counts.
          drawn: what `draw` gave.
        """

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The networks that one Adam trains, by the name of the group: here each network alone."""
        return {name: (name,) for name in self.networks}

    def draw(self, batch: Sequence[tf.Tensor], draws: Draws) -> Any:
        """What a step needs at random: tensors, made outside of what ``jit_compile`` compiles."""
        return ()

    def initialize(self, name: str) -> None:
        """Sets the initial weights of a network; here the paper's, by seed and name."""
        initialize(self.networks[name], self.config.seed)

    def optimizer(self, group: str) -> Adam:
        """The optimizer of a group."""
        config: Any = self.config
        return Adam(
            self._trained(group),
            config.learning_rate,
            config.beta1,
            config.beta2,
        )

    def learning_rate(self, group: str, step: tf.Tensor) -> tf.Tensor | None:
        """The step size at a step (int64), float32; None for the optimizer's own.

        Here as `RunConfig.lr_schedule` says: constant, or from a step on falling on a line that
        would reach 0 one step after the last; by epochs: one epoch after the last, the same for
        all steps of an epoch (CycleGAN's code: 1 - max(0, e - 100) / 101 in epoch e of 200).
        """
        if self.config.lr_schedule == "constant" or not self.total_steps:
            return None
        if self.config.lr_schedule == "linear_epochs":
            if not self.train_images:
                return None
            start, total = self.config.decay_epochs(self.train_images)
            past = step * self.config.batch_size // self.train_images + 1 - start
            span = total - start + 1
        else:
            past, span = step - self.decay_from, self.total_steps - self.decay_from
        left = 1.0 - tf.cast(tf.maximum(past, 0), tf.float32) / float(max(span, 1))
        return tf.maximum(left, 0.0) * self._adams[group].learning_rate

    def rates(self, step: int) -> dict[str, float]:
        """The step size of each group's Adam at a step, by the group's name."""
        found = {}
        for group, adam in self._adams.items():
            rate = self.learning_rate(group, tf.constant(step, tf.int64))
            found[group] = adam.learning_rate if rate is None else float(rate)
        return found

    def prepare(self, store: PairStore) -> Sequence[str]:
        """Called once before training, with the train split. Most need nothing.

        Returns:
          Remarks on it, a clause each.

        Raises:
          UserError: there is nothing to learn.
        """
        return ()

    def validate(
        self,
        val: PairStore,
        networks: Mapping[str, tf.keras.Model],
        generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        limit: int,
        on_images: Callable[[int], None],
    ) -> dict[str, Any]:
        """Takes the config's `measures` on val; here of the first of `columns` and the target.

        Args:
          val: the split.
          networks: to use, see `exact`.
          generate: makes the first of `columns` of x ``[B, H, W, C]`` and positions ``[B]``.
          limit: at most so many images.
          on_images: told the number of images done.

        Returns:
          The measures by name, others that come with them (such as the targets' own grid), NaN
          where one has no value, and ``images``, how many there were.
        """
        from tfpix2pix.data import evaluation_batches
        from tfpix2pix.evaluation import MEASURES, evaluate

        kinds = dict.fromkeys(MEASURES[measure.name] for measure in self.config.measures)
        return evaluate(
            [kind() for kind in kinds],
            evaluation_batches(val, size=self.config.whole_size, limit=limit),
            generate,
            on_batch=on_images,
            spec=val.spec,
        )

    def columns(
        self, x: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        """The pictures of a sample grid between input and target, float32 ``[B, H, W, C]``.

        Args:
          x: inputs, ``[B, H, W, C]``.
          positions: int64 ``[B]``, their places in the split.
          networks: to use, see `exact`.
        """
        return {}

    def columns_back(
        self, y: tf.Tensor, positions: tf.Tensor, networks: Mapping[str, tf.keras.Model]
    ) -> dict[str, tf.Tensor]:
        """The pictures of a sample grid behind the target, which are made of it: as `columns`, of
        targets ``[B, H, W, C]``, by other names that begin with ``back``."""
        return {}

    def columns_of_pairs(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        positions: tf.Tensor,
        networks: Mapping[str, tf.keras.Model],
    ) -> dict[str, tf.Tensor]:
        """Pictures of a sample grid that are made of an input and its target: behind those of
        `columns`, by other names."""
        return {}

    def watch(self, step: int, judged: Mapping[str, Mapping[str, float]]) -> str | None:
        """A sentence when training goes wrong, told the means of `judgements` up to a step."""
        return None

    def watch_val(self, step: int, measured: Mapping[str, float]) -> str | None:
        """A sentence when what `validate` measured at a step shows that something is wrong."""
        return None

    def parameter_counts(self) -> dict[str, int | None]:
        """Weights of each network, for the report."""
        return {name: network.count_params() for name, network in self.networks.items()}

    # === What the loop asks ===

    def exact(self) -> dict[str, tf.keras.Model]:
        """The networks in float32 with the weights of this moment, to look at their pictures: of
        generators the averages, where there are any.

        Where that is what is trained, the networks themselves. Otherwise copies, the same ones in
        every call; to be called outside ``tf.function`` and the strategy's scope.
        """
        if self.config.mixed_precision == "none" and not self.averages:
            return self.networks
        if not self._exact:
            self._exact = {
                name: build("none")
                for name, build in self.builders().items()
                if name in self.averages or self.config.mixed_precision != "none"
            }
        for name, network in self._exact.items():
            if name in self.averages:
                weights = self.averages[name].values
            else:
                weights = named_weights(self.networks[name])
            for key, variable in named_weights(network).items():
                variable.assign(weights[key].read_value())
        return {**self.networks, **self._exact}

    def state(self) -> dict[str, Any]:
        """Every variable that a continued run needs, nested by name, for a checkpoint.

        A checkpoint of another precision fits, but lacks what is named in ``OPTIONAL``.
        """
        state: dict[str, Any] = {"step": self.step}
        for name, network in self.networks.items():
            state[name] = named_weights(network)
        for group, adam in self._adams.items():
            state[f"{group}_adam"] = adam.variables()
        for name, average in self.averages.items():
            state[averaged(name)] = average.values
        if self._loss_scale is not None:
            state["loss_scale"] = self._loss_scale.variables()
        return state

    def restart_averages(self) -> None:
        """Makes the averages what the weights are now, after other weights were put in."""
        for average in self.averages.values():
            average.restart()

    def described(self, means: Mapping[str, float]) -> str:
        """The newest losses for the progress line."""
        return "  ".join(
            f"{words} {means[name]:.{digits}f}"
            for name, words, digits in self.shown
            if name in means
        )

    # === A step ===

    # AutoGraph has nothing to convert here, and takes a second of the start to find that out.
    @tf.function(autograph=False)
    def train_step(self, *batch: tf.Tensor) -> dict[str, tf.Tensor]:
        """One step on a batch.

        Args:
          *batch: float32 ``[B, H, W, C]`` of the crop size in [-1, 1]; under a strategy of several
            replicas, the distributed values of its dataset.

        Returns:
          Scalars, means over the batch: the losses of every objective (unweighted), its sum under
          the name of what it trains, and what is observed. In float16 also ``skipped``, 1 where a
          gradient was not finite, so that its update was left out, else 0.
        """
        per_replica = self.strategy.run(self._replica_step, args=batch)
        means = {
            name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in per_replica.items()
        }
        self.step.assign_add(1)
        for average in self.averages.values():
            average.update(tf.convert_to_tensor(self.step))
        if self._loss_scale is not None:
            skipped = [tf.round(means.pop(f"skipped/{i}")) for i in range(len(self.order()))]
            self._loss_scale.update([share == 0 for share in skipped])
            means["skipped"] = tf.reduce_max(tf.stack(skipped))
        return means

    def _replica_step(self, *batch: tf.Tensor) -> dict[str, tf.Tensor]:
        drawn = self.draw(batch, self._draws())
        scale = None if self._loss_scale is None else self._loss_scale.scale.read_value()
        if len(self.order()) > 1:
            return self._steps(batch, drawn, scale)
        gradients, means, finite = self._gradients(batch, drawn, scale)
        return {**means, **self._apply(0, gradients, finite)}

    def _single(
        self, batch: Sequence[tf.Tensor], drawn: Any, scale: tf.Tensor | None
    ) -> tuple[dict[str, list[tf.Tensor]], dict[str, tf.Tensor], tf.Tensor | None]:
        """Of the only update of a step: gradients by group, means, and whether all are finite."""
        with tf.GradientTape(persistent=True) as tape:
            (update,) = self.updates(batch, drawn)
            means, scaled = self._sums(update, scale)
        gradients, finite = self._differentiate(tape, scaled, scale)
        del tape
        return gradients, means, finite

    def _several(
        self, batch: Sequence[tf.Tensor], drawn: Any, scale: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """All updates of a step, each applied before the next one is computed."""
        found: dict[str, tf.Tensor] = {}
        count = 0
        with tf.GradientTape(persistent=True) as tape:
            for number, update in enumerate(self.updates(batch, drawn)):
                means, scaled = self._sums(update, scale)
                with tape.stop_recording():
                    gradients, finite = self._differentiate(tape, scaled, scale)
                    found |= {**means, **self._apply(number, gradients, finite)}
                count += 1
        del tape
        assert count == len(self.order()), "updates() yields what order() declares"
        return found

    def _sums(
        self, update: Update, scale: tf.Tensor | None
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """The means of all that is reported, and each objective's sum, scaled."""
        sums: dict[str, tf.Tensor] = {}
        means: dict[str, tf.Tensor] = {}
        for objective in update.objectives:
            total = None
            for name, value in objective.losses.items():
                means[name] = self._mean(value)
                weight = objective.weights.get(name, 1.0)
                if weight:
                    term = means[name] if weight == 1.0 else weight * means[name]
                    total = term if total is None else total + term
            assert total is not None, f"the objective of {objective.trains} is empty"
            sums[objective.trains] = total
            if total is not means[name] or len(objective.losses) > 1:
                means[objective.trains] = total
        means |= {name: self._mean(value) for name, value in update.observed.items()}
        scaled = sums
        if scale is not None:
            scaled = {name: value * scale for name, value in sums.items()}
        return means, scaled

    def _differentiate(
        self, tape: tf.GradientTape, scaled: Tensors, scale: tf.Tensor | None
    ) -> tuple[dict[str, list[tf.Tensor]], tf.Tensor | None]:
        gradients = {
            group: tape.gradient(
                value,
                list(self._trained(group).values()),
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            for group, value in scaled.items()
        }
        if scale is None:
            return gradients, None
        gradients = {name: [g / scale for g in of] for name, of in gradients.items()}
        return gradients, all_finite([g for of in gradients.values() for g in of])

    def _apply(
        self, number: int, gradients: Mapping[str, list[tf.Tensor]], finite: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """Moves the networks of an update; in float16 says whether it was left out."""
        wanted, said, done = None, {}, tf.convert_to_tensor(self.step)
        if self._loss_scale is not None:
            wanted, said[f"skipped/{number}"] = _agreed(finite)
            done -= self._loss_scale.skipped[number]
        for group in self.order()[number]:
            rate = self.learning_rate(group, tf.convert_to_tensor(self.step))
            self._adams[group].apply(gradients[group], done, wanted, rate)
        return said

    def _trained(self, group: str) -> dict[str, tf.Variable]:
        """The weights of a group by name; of several networks each name begins with its own."""
        names = self.groups()[group]
        weights = {}
        for name in names:
            prefix = f"{name}/" if len(names) > 1 else ""
            for key, weight in named_weights(self.networks[name], trainable_only=True).items():
                weights[prefix + key] = weight
        return weights

    def _mean(self, value: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean over the whole batch."""
        if value.shape.rank == 0:
            return value
        return tf.reduce_sum(value) / self.config.batch_size

    def _draws(self) -> Draws:
        replica = tf.distribute.get_replica_context()
        local = self.config.batch_size // replica.num_replicas_in_sync
        first = tf.cast(replica.replica_id_in_sync_group, tf.int64) * local
        place = self.step * self.config.batch_size + first + tf.range(local, dtype=tf.int64)
        return Draws(self.config.seed, tf.convert_to_tensor(self.step), place, first)


def averaged(name: str) -> str:
    """Under which name a checkpoint holds the average of a network's weights."""
    return f"{name}_average"


def _agreed(finite: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether all replicas say so, and this one's share of a 1 when they do not."""
    replica = tf.distribute.get_replica_context()
    count = replica.num_replicas_in_sync
    spoilt = tf.cast(~finite, tf.float32)
    if count > 1:
        spoilt = replica.all_reduce(tf.distribute.ReduceOp.SUM, spoilt)
    wanted = spoilt == 0
    return wanted, tf.where(wanted, 0.0, 1.0 / count)
