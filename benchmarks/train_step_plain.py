"""What train_step.py compares with in TensorFlow: the step as people write it with Keras.

Conv2D, Conv2DTranspose, BatchNormalization and Dropout of Keras, gradient tapes, Keras's Adam;
written from the descriptions of TensorFlow's pix2pix and CycleGAN tutorials.
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


# === CycleGAN ===


class InstanceNorm(layers.Layer):
    """Of each channel of each image."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(inputs, axes=[1, 2], keepdims=True)
        return (inputs - mean) * tf.math.rsqrt(variance + 1e-5)


class Reflect(layers.Layer):
    """Mirrors the image at its border."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        around = [self.pixels, self.pixels]
        return tf.pad(inputs, [[0, 0], around, around, [0, 0]], "REFLECT")


def resnet(size: int, ngf: int) -> tf.keras.Model:
    """The ResNet for images of `size` pixels."""

    def convolved(features: tf.Tensor, width: int, kernel: int, stride: int = 1) -> tf.Tensor:
        pad = layers.ZeroPadding2D(1) if stride > 1 else Reflect(kernel // 2)
        convolution = layers.Conv2D(width, kernel, stride, kernel_initializer=_init())
        return convolution(pad(features))

    def active(features: tf.Tensor) -> tf.Tensor:
        return layers.ReLU()(InstanceNorm()(features))

    x = layers.Input((size, size, 3))
    features = active(convolved(x, ngf, 7))
    for width in (2 * ngf, 4 * ngf):
        features = active(convolved(features, width, 3, 2))
    for _ in range(6 if size < 256 else 9):
        inner = active(convolved(features, 4 * ngf, 3))
        features = layers.Add()([features, InstanceNorm()(convolved(inner, 4 * ngf, 3))])
    for width in (2 * ngf, ngf):
        features = layers.Conv2DTranspose(width, 3, 2, "same", kernel_initializer=_init())(features)
        features = active(features)
    return tf.keras.Model(x, layers.Activation("tanh")(convolved(features, 3, 7)))


def judge(size: int, ndf: int) -> tf.keras.Model:
    """The 70 pixel PatchGAN on an image alone."""
    y = features = layers.Input((size, size, 3))
    for number, (width, stride) in enumerate(((1, 2), (2, 2), (4, 2), (8, 1))):
        features = layers.ZeroPadding2D()(features)
        features = layers.Conv2D(width * ndf, 4, stride, kernel_initializer=_init())(features)
        if number:
            features = InstanceNorm()(features)
        features = layers.LeakyReLU(0.2)(features)
    features = layers.ZeroPadding2D()(features)
    return tf.keras.Model(y, layers.Conv2D(1, 4, kernel_initializer=_init())(features))


class PlainCycleGANStep:
    """One training step of CycleGAN: one pass of everything, one persistent tape, an Adam for each
    network, no pool; arguments as of `PlainStep`."""

    def __init__(self, size: int, ngf: int, batch: int, jit: bool = False) -> None:
        tf.random.set_seed(0)
        self.there, self.back = resnet(size, ngf), resnet(size, ngf)
        self.d_there, self.d_back = judge(size, ngf), judge(size, ngf)
        self.adams = []
        for network in (self.there, self.back, self.d_there, self.d_back):
            adam = tf.keras.optimizers.Adam(2e-4, beta_1=0.5)
            adam.build(network.trainable_variables)
            self.adams.append(adam)
        self.x, self.y = (tf.random.uniform([batch, size, size, 3], -1, 1) for _ in range(2))
        self._step = tf.function(self._train, jit_compile=jit)

    def _train(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        square = tf.keras.losses.MeanSquaredError()

        def l1(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.abs(one - other))

        def d_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
            return 0.5 * (square(tf.ones_like(real), real) + square(tf.zeros_like(fake), fake))

        with tf.GradientTape(persistent=True) as tape:
            fake_y, fake_x = self.there(x, training=True), self.back(y, training=True)
            again_x, again_y = self.back(fake_y, training=True), self.there(fake_x, training=True)
            same_y, same_x = self.there(y, training=True), self.back(x, training=True)
            real_y, real_x = self.d_there(y, training=True), self.d_back(x, training=True)
            judged_y = self.d_there(fake_y, training=True)
            judged_x = self.d_back(fake_x, training=True)
            cycle = l1(x, again_x)
            both = 10.0 * (cycle + l1(y, again_y))
            there = square(tf.ones_like(judged_y), judged_y) + both + 5.0 * l1(y, same_y)
            back = square(tf.ones_like(judged_x), judged_x) + both + 5.0 * l1(x, same_x)
            of_y, of_x = d_loss(real_y, judged_y), d_loss(real_x, judged_x)
        networks = (self.there, self.back, self.d_there, self.d_back)
        for network, adam, loss in zip(
            networks, self.adams, (there, back, of_y, of_x), strict=True
        ):
            weights = network.trainable_variables
            gradients = tape.gradient(loss, weights)
            adam.apply_gradients(zip(gradients, weights, strict=True))
        return cycle

    def __call__(self) -> float:
        """A step; returns a cycle loss, which also waits for it."""
        return float(self._step(self.x, self.y))


STEPS = {"pix2pix": PlainStep, "cyclegan": PlainCycleGANStep}
