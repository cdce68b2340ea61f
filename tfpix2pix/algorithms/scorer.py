"""The scorer: FCN-8s on photos and the classes of their pixels, by cross entropy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfpix2pix.algorithms.adam import Adam
from tfpix2pix.algorithms.base import Algorithm, Draws, Objective, Update
from tfpix2pix.algorithms.classes import class_pixels, class_weights
from tfpix2pix.algorithms.configs.scorer import ScorerConfig
from tfpix2pix.data import PairStore
from tfpix2pix.evaluation.confusion import counted_classes
from tfpix2pix.models.base import Generator
from tfpix2pix.models.precision import layers_compute_in
from tfpix2pix.models.weights import named_weights
from tfpix2pix.scorer.fcn import STRIDE, FCN8s, fcn8s, initialize
from tfpix2pix.scorer.labelled import palette_of, photos_and_classes
from tfpix2pix.scorer.pretrained import vgg_weights
from tfpix2pix.scorer.scores import scores_of
from tfpix2pix.scorer.store import reader

_DROPOUT_STREAM = 17  # of the seed; order, crop, mirror and the generator's noise have others


class ScorerTraining(Algorithm[ScorerConfig]):
    """Long, Shelhamer and Darrell, CVPR 2015; see `Algorithm`, and `tfpix2pix.scorer.fcn`.

    By default the learning rate falls to 0 with the power 0.9 of what is left.
    """

    # Checkpoints of earlier versions have no step of their own.
    OPTIONAL: ClassVar[tuple[str, ...]] = ("loss_scale", "step")
    shown: ClassVar[tuple[tuple[str, str, int], ...]] = (("cross_entropy", "loss", 3),)

    def __init__(self, config: ScorerConfig, *args: Any, **kwargs: Any) -> None:
        self.palette = palette_of(kwargs["spec"])
        self.counted = counted_classes(self.palette)
        self._built: FCN8s | None = None
        self._read: Callable[[np.ndarray], np.ndarray] | None = None
        self._loss = self._weighted(np.ones(len(self.counted)))
        super().__init__(config, *args, **kwargs)

    @classmethod
    def generators(cls, config: ScorerConfig) -> dict[str, Generator]:
        return {}

    def builders(self) -> dict[str, Callable[[str], tf.keras.Model]]:
        return {"scorer": self._build}

    def _build(self, precision: str) -> tf.keras.Model:
        config = self.config
        with layers_compute_in(precision):
            made = fcn8s(len(self.counted), config.width, vgg=config.init == "imagenet")
        self._built = self._built or made
        return made.model

    @property
    def _network(self) -> FCN8s:
        assert self._built is not None, "the base builds the networks before anything else"
        return self._built

    def initialize(self, name: str) -> None:
        initialize(self._network, self.config.seed)
        if self.config.init == "imagenet":
            weights = named_weights(self.networks[name])
            for key, values in vgg_weights(required=True, say=lambda text: None).items():
                weights[key].assign(values)

    def optimizer(self, group: str) -> Adam:
        return Adam(self._trained(group), self.config.learning_rate, beta1=0.9)

    def learning_rate(self, group: str, step: tf.Tensor) -> tf.Tensor | None:
        if self.config.lr_schedule != "poly":
            return super().learning_rate(group, step)
        done = tf.cast(step, tf.float64) / max(self.total_steps, 1)
        return tf.cast(self.config.learning_rate * (1.0 - done) ** 0.9, tf.float32)

    def prepare(self, store: PairStore) -> Sequence[str]:
        """Weighs the classes by their pixels in the train split."""
        if self.config.balance:
            weights = class_weights(class_pixels(store)[self.counted], self.config.balance)
            self._loss = self._weighted(weights)
        return ()

    def order(self) -> tuple[tuple[str, ...], ...]:
        return (("scorer",),)

    def draw(self, batch: Sequence[tf.Tensor], draws: Draws) -> tuple[tf.Tensor, ...]:
        """Photos, their classes, the weight of all pixels of the batch, and the dropout's z."""
        photos, classes = photos_and_classes(self.spec, *batch[:2])
        total = self._loss.total(classes, *batch[2:])
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            total = replica.all_reduce(tf.distribute.ReduceOp.SUM, total)
        cells = (side // STRIDE for side in self.config.crop_size)
        shape = (self.config.batch_size, *cells, self._network.z_channels)
        key = tf.constant([draws.seed, _DROPOUT_STREAM], tf.int64)
        key = tf.random.fold_in(key, draws.step, alg="philox")
        z = tf.random.stateless_uniform(shape, key, alg="philox")
        return photos, classes, total, z[draws.first : draws.first + draws.positions.shape[0]]

    def updates(self, batch: Sequence[tf.Tensor], drawn: tuple[tf.Tensor, ...]) -> Iterator[Update]:
        photos, classes, total, z = drawn
        scores = tf.cast(self._network.trained([photos, z], training=True), tf.float32)
        loss = self._loss(classes, scores, total, *batch[2:])
        yield Update([Objective("scorer", {"cross_entropy": loss})])

    def validate(
        self,
        val: PairStore,
        networks: Mapping[str, tf.keras.Model],
        generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        limit: int,
        on_images: Callable[[int], None],
    ) -> dict[str, Any]:
        """Classes as a `Scorer` reads them; all of val, whatever the limit."""
        if self._read is None:
            self._read = reader(networks["scorer"], tf.constant(self.counted, tf.uint8))
        scores = scores_of(self._read, val, self.config.crop_size, on_images)
        return {name: scores[name] for name in ("per_pixel", "per_class", "iou", "images")}

    def state(self) -> dict[str, Any]:
        """As `Algorithm.state`, by the names that scorers' checkpoints have always had."""
        state = super().state()
        state["weights"], state["adam"] = state.pop("scorer"), state.pop("scorer_adam")
        return state

    def _weighted(self, weights: np.ndarray) -> PixelLoss:
        return PixelLoss(self.counted, len(self.palette), weights)


class PixelLoss:
    """Mean cross entropy over the pixels that are not void, each weighed by its class.

    Args:
      counted: numbers of the K classes that are not void.
      classes: how many the palette has.
      weights: of the counted classes, ``[K]``.
    """

    def __init__(self, counted: np.ndarray, classes: int, weights: np.ndarray) -> None:
        place, weight = np.zeros(classes, np.int32), np.zeros(classes, np.float32)
        place[counted], weight[counted] = np.arange(len(counted)), weights
        self._place, self._weight = tf.constant(place), tf.constant(weight)

    def total(self, classes: tf.Tensor, measured: tf.Tensor | None = None) -> tf.Tensor:
        """The weight of all pixels together, a scalar; arguments as of a call."""
        return tf.reduce_sum(self._weights(classes, measured))

    def _weights(self, classes: tf.Tensor, measured: tf.Tensor | None) -> tf.Tensor:
        weight = tf.gather(self._weight, classes)
        return weight if measured is None else weight * measured[..., 0]

    def __call__(
        self,
        classes: tf.Tensor,
        scores: tf.Tensor,
        total: tf.Tensor | None = None,
        measured: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The loss, a scalar; 0 if all is void.

        Args:
          classes: class numbers ``[B, H, W]``.
          scores: ``[B, H, W, K]``.
          total: of the whole batch, of which this is a part; None where it is all of it.
          measured: 1 or 0 ``[B, H, W, 1]``: the pixels that count; None for all.
        """
        entropy = tf.nn.softmax_cross_entropy_with_logits(
            tf.one_hot(tf.gather(self._place, classes), scores.shape[-1]), scores
        )
        weight = self._weights(classes, measured)
        total = self.total(classes, measured) if total is None else total
        return tf.math.divide_no_nan(tf.reduce_sum(entropy * weight), total)
