"""What train_step.py compares with in TensorFlow: the step as people write it with Keras.

Conv2D, Conv2DTranspose, BatchNormalization and Dropout of Keras, two gradient tapes, Keras's
Adam; written from the description of TensorFlow's pix2pix tutorial.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

layers = tf.keras.layers


def _init() -> tf.keras.initializers.Initializer:
    return tf.random_normal_initializer(0.0, 0.02)


def generator(size: int, ngf: int) -> tf.keras.Model:
    """The U-Net for images of `size` pixels."""
    depth = int(np.log2(size))
    widths = [min(2**i, 8) * ngf for i in range(depth)]
    x = features = layers.Input((size, size, 3))
    skips = []
    for level, width in enumerate(widths):
        features = layers.Conv2D(width, 4, 2, "same", kernel_initializer=_init(), use_bias=False)(
            features
        )
        if level:
            features = layers.BatchNormalization()(features)
        features = layers.LeakyReLU(0.2)(features)
        skips.append(features)
    for level in range(depth - 2, -1, -1):
        features = layers.Conv2DTranspose(
            widths[level], 4, 2, "same", kernel_initializer=_init(), use_bias=False
        )(features)
        features = layers.BatchNormalization()(features)
        if level >= depth - 4 and widths[level] == 8 * ngf:
            features = layers.Dropout(0.5)(features)
        features = layers.Concatenate()([layers.ReLU()(features), skips[level]])
    y = layers.Conv2DTranspose(3, 4, 2, "same", kernel_initializer=_init(), activation="tanh")(
        features
    )
    return tf.keras.Model(x, y)


def discriminator(size: int, ndf: int) -> tf.keras.Model:
    """The 70 pixel PatchGAN on x and y."""
    x, y = layers.Input((size, size, 3)), layers.Input((size, size, 3))
    features = layers.Concatenate()([x, y])
    for number, (width, stride) in enumerate(((1, 2), (2, 2), (4, 2), (8, 1))):
        if stride == 1:
            features = layers.ZeroPadding2D()(features)
        features = layers.Conv2D(
            width * ndf, 4, stride, "same" if stride == 2 else "valid",
            kernel_initializer=_init(), use_bias=False,
        )(features)  # fmt: skip
        if number:
            features = layers.BatchNormalization()(features)
        features = layers.LeakyReLU(0.2)(features)
    features = layers.ZeroPadding2D()(features)
    return tf.keras.Model([x, y], layers.Conv2D(1, 4, 1, kernel_initializer=_init())(features))


class PlainStep:
    """One training step.

    Args:
      size, ngf, batch: of the networks and the batch.
      jit: compile it with XLA.
    """

    def __init__(self, size: int, ngf: int, batch: int, jit: bool = False) -> None:
        tf.random.set_seed(0)
        self.g, self.d = generator(size, ngf), discriminator(size, ngf)
        self.g_adam = tf.keras.optimizers.Adam(2e-4, beta_1=0.5)
        self.d_adam = tf.keras.optimizers.Adam(2e-4, beta_1=0.5)
        self.g_adam.build(self.g.trainable_variables)
        self.d_adam.build(self.d.trainable_variables)
        self.x, self.y = (tf.random.uniform([batch, size, size, 3], -1, 1) for _ in range(2))
        self._step = tf.function(self._train, jit_compile=jit)

    def _train(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        loss = tf.keras.losses.BinaryCrossentropy(from_logits=True)
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = self.g(x, training=True)
            real_logits = self.d([x, y], training=True)
            fake_logits = self.d([x, fake], training=True)
            l1 = tf.reduce_mean(tf.abs(y - fake))
            g_loss = loss(tf.ones_like(fake_logits), fake_logits) + 100.0 * l1
            d_loss = loss(tf.ones_like(real_logits), real_logits)
            d_loss += loss(tf.zeros_like(fake_logits), fake_logits)
        g_gradients = g_tape.gradient(g_loss, self.g.trainable_variables)
        d_gradients = d_tape.gradient(d_loss, self.d.trainable_variables)
        self.g_adam.apply_gradients(zip(g_gradients, self.g.trainable_variables, strict=True))
        self.d_adam.apply_gradients(zip(d_gradients, self.d.trainable_variables, strict=True))
        return l1

    def __call__(self) -> float:
        """A step; returns the generator's L1, which also waits for it."""
        return float(self._step(self.x, self.y))
