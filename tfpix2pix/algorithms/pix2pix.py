"""pix2pix: two networks, their optimizers, and one training step (the paper, section 3)."""

from __future__ import annotations

import tensorflow as tf

from tfpix2pix.algorithms import losses
from tfpix2pix.algorithms.adam import Adam
from tfpix2pix.algorithms.loss_scale import LossScale, all_finite
from tfpix2pix.config import Config
from tfpix2pix.models import build_discriminator, build_generator, noise
from tfpix2pix.models.generator import noise_factor
from tfpix2pix.models.weights import initialize, named_weights


def generator_of(config: Config, *, noise: bool = True, precision: str = "none") -> tf.keras.Model:
    """The generator that a config describes, with Keras's initial weights.

    Args:
      config: the config.
      noise: False for G(x), without dropout and without the input z.
      precision: what its layers compute in; not the config's, which is of training alone.
    """
    return build_generator(
        crop_size=config.crop_size,
        input_channels=config.x_channels,
        output_channels=config.y_channels,
        ngf=config.ngf,
        norm=config.norm,
        bias_layers=config.bias_layers,
        dropout=config.dropout,
        dropout_layers=config.dropout_layers,
        skips=config.generator == "unet",
        noise=noise,
        precision=precision,
    )


def discriminator_of(config: Config, *, precision: str = "none") -> tf.keras.Model:
    """The discriminator that a config describes, likewise."""
    return build_discriminator(
        receptive_field=config.receptive_field,
        input_channels=config.x_channels,
        output_channels=config.y_channels,
        ndf=config.ndf,
        norm=config.norm,
        bias_layers=config.bias_layers,
        conditional=config.loss in ("cgan", "l1+cgan"),
        precision=precision,
    )


class Pix2Pix:
    """The networks with their optimizers, and the step that trains them.

    Args:
      config: the run's config.
      strategy: where to train; the default is one device. The batch that ``train_step`` gets is
        split over its replicas.

    Attributes:
      OPTIONAL: parts of the state without which a run goes on, from their initial values.
      generator, discriminator: Keras models, whose layers compute in the config's precision around
        float32 weights; discriminator is None when the loss is L1 alone.
      step: int64 variable, training steps done so far.
    """

    OPTIONAL = ("loss_scale",)

    def __init__(self, config: Config, strategy: tf.distribute.Strategy | None = None) -> None:
        self.config = config
        self.strategy = strategy or tf.distribute.get_strategy()
        if config.batch_size % self.strategy.num_replicas_in_sync:
            raise ValueError(
                f"batch_size {config.batch_size} does not divide over "
                f"{self.strategy.num_replicas_in_sync} replicas"
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
            self._loss_scale = LossScale() if config.mixed_precision == "float16" else None
            self.generator = generator_of(config, precision=config.mixed_precision)
            initialize(self.generator, config.seed)
            self._generator_adam = self._adam(self.generator)
            self.discriminator = None
            if config.has_discriminator:
                self.discriminator = discriminator_of(config, precision=config.mixed_precision)
                initialize(self.discriminator, config.seed)
                self._discriminator_adam = self._adam(self.discriminator)
        self._exact: tf.keras.Model | None = None
        self._gradients = self._gradients_of
        if config.jit_compile:
            # Without the noise, whose numbers are to stay, and Adam, whose kernel is one already.
            self._gradients = tf.function(self._gradients_of, jit_compile=True)

    def _adam(self, model: tf.keras.Model) -> Adam:
        weights = named_weights(model, trainable_only=True)
        config = self.config
        return Adam(weights, config.learning_rate, config.beta1, config.beta2)

    def networks(self) -> dict[str, tf.keras.Model]:
        """The networks by name, the one that makes pictures first."""
        nets = {"generator": self.generator, "discriminator": self.discriminator}
        return {name: net for name, net in nets.items() if net is not None}

    def exact_generator(self) -> tf.keras.Model:
        """The generator in float32 with the weights of this moment, to look at its pictures.

        Where that is the precision of training, the generator itself. Otherwise a copy, the same
        one in every call; to be called outside ``tf.function`` and the strategy's scope.
        """
        if self.config.mixed_precision == "none":
            return self.generator
        if self._exact is None:
            self._exact = generator_of(self.config)
        weights = named_weights(self.generator)
        for name, variable in named_weights(self._exact).items():
            variable.assign(weights[name].read_value())
        return self._exact

    def state(self) -> dict[str, object]:
        """Every variable that a continued run needs, nested by name, for a checkpoint.

        A checkpoint of another precision fits, but lacks what is named in ``OPTIONAL``.
        """
        state: dict[str, object] = {
            "step": self.step,
            "generator": named_weights(self.generator),
            "generator_adam": self._generator_adam.variables(),
        }
        if self.discriminator is not None:
            state["discriminator"] = named_weights(self.discriminator)
            state["discriminator_adam"] = self._discriminator_adam.variables()
        if self._loss_scale is not None:
            state["loss_scale"] = self._loss_scale.variables()
        return state

    # === Training ===

    # AutoGraph has nothing to convert here, and takes a second of the start to find that out.
    @tf.function(autograph=False)
    def train_step(self, x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update of both networks on a batch.

        Args:
          x, y: float32 ``[B, crop_size, crop_size, C]`` in [-1, 1]; under a strategy of several
            replicas, the distributed values of its dataset.

        Returns:
          Scalars, means over the batch: ``generator`` (the whole objective), ``l1`` (unweighted),
          and with a discriminator ``gan``, ``discriminator`` (halved), ``real`` and ``fake`` (mean
          of sigmoid(D), 0 to 1), ``accuracy`` (share of patches that D judges rightly). In float16
          also ``skipped``, 1 where a gradient was not finite, so that nothing was updated, else 0.
        """
        per_replica = self.strategy.run(self._replica_step, args=(x, y))
        means = {
            name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in per_replica.items()
        }
        self.step.assign_add(1)
        if self._loss_scale is not None:
            means["skipped"] = tf.round(means["skipped"])
            self._loss_scale.update(means["skipped"] == 0)
        return means

    def _replica_step(self, x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        z = self._training_noise(x)
        if self._loss_scale is None:
            gradients, means, _ = self._gradients(x, y, z, None)
            wanted, updates = None, self.step
        else:
            gradients, means, finite = self._gradients(x, y, z, self._loss_scale.scale.read_value())
            wanted, means["skipped"] = self._agreed(finite)
            updates = self.step - self._loss_scale.skipped
        if self.discriminator is not None:
            self._discriminator_adam.apply(gradients["discriminator"], updates, wanted)
        self._generator_adam.apply(gradients["generator"], updates, wanted)
        return means

    def _gradients_of(
        self, x: tf.Tensor, y: tf.Tensor, z: tf.Tensor, scale: tf.Tensor | None
    ) -> tuple[dict[str, list[tf.Tensor]], dict[str, tf.Tensor], tf.Tensor | None]:
        """What this replica adds to a step: gradients by network, the means of ``train_step``.

        Under ``scale`` the losses are multiplied with it before and the gradients divided by it
        after differentiation; then the third value says whether all of them are finite.
        """
        # One forward of G and one of D on its result serve both updates, as in the paper's code;
        # both gradients are taken before either network changes.
        with tf.GradientTape(persistent=True) as tape:
            fake = self.generator([x, z], training=True)
            l1 = self._mean(losses.l1(y, fake))
            if self.discriminator is None:
                objectives = {"generator": self.config.lambda_l1 * l1}
            else:
                real_logits = self._discriminate(x, y)
                fake_logits = self._discriminate(x, fake)
                d_objective = self._mean(losses.discriminator(real_logits, fake_logits))
                gan = self._mean(losses.generator_gan(fake_logits))
                weight = self.config.lambda_l1 if self.config.loss.startswith("l1") else 0.0
                objective = gan + weight * l1 if weight else gan
                objectives = {"generator": objective, "discriminator": d_objective}
            scaled = objectives
            if scale is not None:
                scaled = {name: value * scale for name, value in objectives.items()}
        gradients = {
            name: tape.gradient(
                value,
                list(named_weights(self.networks()[name], trainable_only=True).values()),
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            for name, value in scaled.items()
        }
        del tape
        means = {**objectives, "l1": l1}
        if self.discriminator is not None:
            rightly = 0.5 * (_share(real_logits > 0) + _share(fake_logits < 0))
            means |= {
                "gan": gan,
                "real": self._mean(tf.reduce_mean(tf.sigmoid(real_logits), axis=[1, 2, 3])),
                "fake": self._mean(tf.reduce_mean(tf.sigmoid(fake_logits), axis=[1, 2, 3])),
                "accuracy": self._mean(rightly),
            }
        if scale is None:
            return gradients, means, None
        gradients = {name: [g / scale for g in of] for name, of in gradients.items()}
        return gradients, means, all_finite([g for of in gradients.values() for g in of])

    @staticmethod
    def _agreed(finite: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Whether all replicas say so, and this one's share of a 1 when they do not."""
        replica = tf.distribute.get_replica_context()
        count = replica.num_replicas_in_sync
        spoilt = tf.cast(~finite, tf.float32)
        if count > 1:
            spoilt = replica.all_reduce(tf.distribute.ReduceOp.SUM, spoilt)
        wanted = spoilt == 0
        return wanted, tf.where(wanted, 0.0, 1.0 / count)

    def _discriminate(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        conditional = self.config.loss in ("cgan", "l1+cgan")
        return self.discriminator([x, y] if conditional else y, training=True)

    def _mean(self, per_image: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean over the whole batch."""
        return tf.reduce_sum(per_image) / self.config.batch_size

    def _training_noise(self, x: tf.Tensor) -> tf.Tensor:
        """z for this replica's images, a function of (seed, the images' places in the stream)."""
        replica = tf.distribute.get_replica_context()
        local = self.config.batch_size // replica.num_replicas_in_sync
        first = self.step * self.config.batch_size
        first += tf.cast(replica.replica_id_in_sync_group, tf.int64) * local
        return draw_noise(
            self.generator, self.config, x, noise.TRAINING, first + tf.range(local, dtype=tf.int64)
        )


def draw_noise(
    generator: tf.keras.Model, config: Config, x: tf.Tensor, stream: int, positions: tf.Tensor
) -> tf.Tensor:
    """Uniform z for the images ``x [B, H, W, C]``, a function of (config.seed, positions [B])."""
    size = tf.shape(x)
    factor = noise_factor(config.crop_size, config.dropout_layers)
    shape = noise.shape_for(generator.inputs[1], size[1], size[2], factor)
    return noise.draw(config.seed, stream, positions, shape)


def _share(truth: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(truth, tf.float32), axis=[1, 2, 3])
