"""What others need to know of a generator, whatever network it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tfpix2pix.models import noise as z_of

KERAS_NAMES = {"tanh": "tanh", "logits": "linear"}
"""Of `Generator.activation`: what Keras calls it."""
REACHES = ("input", "all")


@dataclass(frozen=True)
class NoiseSpec:
    """The z that a generator takes beside x: ``[B, H / factor, W / factor, channels]``.

    Attributes:
      factor: input pixels per pixel of z, along each axis.
      channels: Z.
      rate: share of the features that it drops.
    """

    factor: int
    channels: int
    rate: float

    def shape(self, height: Any, width: Any) -> tuple[Any, Any, int]:
        """``(h, w, Z)`` of the z of an input of so many pixels, ints or int tensors."""
        return height // self.factor, width // self.factor, self.channels

    def draw(self, seed: Any, stream: int, positions: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Uniform z for the images x, each one's a function of (seed, stream, its position).

        Args:
          seed: int scalar.
          stream: of `tfpix2pix.models.noise`.
          positions: int ``[B]``.
          x: ``[B, H, W, C]``.

        Returns:
          float32 ``[B, h, w, Z]``.
        """
        size = tf.shape(x)
        shape = tf.stack(self.shape(size[1], size[2]))
        return z_of.draw(seed, stream, positions, shape)


@dataclass(frozen=True)
class LatentSpec:
    """The code that a generator takes beside x and z, which chooses among several right answers:
    ``[B, size]``, standard normal.

    Attributes:
      size: n.
      reach: what reads it, tiled over the pixels and beside what it reads else: ``input``: the
        first convolution; ``all``: every convolution of the encoder (BicycleGAN, Zhu et al. 2017,
        arXiv 1711.11586, figure 3).
    """

    size: int
    reach: str = "input"

    def __post_init__(self) -> None:
        if self.reach not in REACHES:
            raise ValueError(f"reach must be one of {', '.join(REACHES)}, got {self.reach!r}")

    def draw(self, seed: Any, stream: int, positions: tf.Tensor) -> tf.Tensor:
        """float32 ``[B, size]``, each image's a function of (seed, stream, its position)."""
        return z_of.draw_latent(seed, stream, positions, self.size)


def latent_channels(latent: LatentSpec | None, level: int) -> int:
    """How many channels of a latent a convolution of the encoder reads; level 1 is the first."""
    return latent.size if latent and (level == 1 or latent.reach == "all") else 0


@dataclass(frozen=True)
class Kernel:
    """The weights of a convolution, and the features that they stand between.

    Attributes:
      shape: of the weights.
      features: of what comes in and of what goes out, the channels and how many pixels of x there
        are to one of theirs, along each axis.
    """

    shape: tuple[int, ...]
    features: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Generator:
    """G(x, z), or G(x) where it takes no noise, with a latent behind where it takes one; ``build``
    makes the Keras model.

    Training, inference, export and its proof read this and nothing of a network's inside. What
    knows more of one ``family`` (an exporter's shortcuts for the U-Net) may use it, and has to do
    without for the others.

    Attributes:
      family: the network's kind: ``unet``, ``unet_variant`` or ``resnet``.
      size_multiple: height and width must be multiples of this.
      input_channels, output_channels: of x and y.
      noise: of z; None for G(x).
      builder: see `build`.
      activation: of the last layer; ``tanh``: y is in [-1, 1]; ``logits``: none, y has a logit for
        each class (`ImageSpec.classes`, `ImageSpec.probabilities`).
      statistics: by which features are normalised after training: ``instance`` (of the image
        itself), ``batch`` (moving averages) or ``none``.
      name: of the model, which names its weights in checkpoints.
      features: layers of its first half, from fine to coarse, with their channels: what is at a
        place of an image, at several scales. The picture's layer is ``y``.
      kernels: of its convolutions by layer, from which its size is told before it is made; empty
        where they are not known.
      x_last: whether its last convolution reads x beside features.
      latent: of what it takes besides; None where it has one answer.
    """

    family: str
    size_multiple: int
    input_channels: int
    output_channels: int
    noise: NoiseSpec | None
    builder: Callable[..., tf.keras.Model]
    activation: str = "tanh"
    statistics: str = "instance"
    name: str = "generator"
    features: Mapping[str, int] = field(default_factory=dict)
    kernels: Mapping[str, Kernel] = field(default_factory=dict)
    x_last: bool = False
    latent: LatentSpec | None = None

    @property
    def z(self) -> NoiseSpec:
        """`noise` of G(x, z).

        Raises:
          ValueError: it is G(x).
        """
        if self.noise is None:
            raise ValueError(f"the {self.family} takes no noise")
        return self.noise

    def draw(
        self, seed: Any, stream: int, positions: tf.Tensor, x: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """What the model takes behind x: z as `NoiseSpec.draw` makes it, then the latent as
        `LatentSpec.draw` does, those of the two that it has; see `inputs_of`."""
        z = () if self.noise is None else (self.noise.draw(seed, stream, positions, x),)
        if self.latent is None:
            return z
        return (*z, self.latent.draw(seed, stream, positions))

    def build(self, *, noise: bool = True, precision: str = "none") -> tf.keras.Model:
        """The model, with Keras's initial weights.

        Args:
          noise: False for G(x), without dropout and without the input z, also where it has one. A
            latent stays.
          precision: what its layers compute in, see `tfpix2pix.models.precision`.

        Returns:
          ``[x, z, latent] -> y``, those that it has, in this order and by these names; ``x -> y``
          where x is all; float32, images in [-1, 1].
        """
        return self.builder(
            noise=noise and self.noise is not None, precision=precision, name=self.name
        )


@dataclass(frozen=True)
class Encoder:
    """E(y): which code an image like the targets stands for, as a normal distribution; ``build``
    makes the Keras model.

    Attributes:
      least_size: height and width of an image, at least.
      channels: of y.
      latent: numbers of the code, those of `Generator.latent`.
      builder: see `build`.
      name: of the model, which names its weights in checkpoints.
      kernels: as of a `Generator`, dense layers among them.
    """

    least_size: int
    channels: int
    latent: int
    builder: Callable[..., tf.keras.Model]
    name: str = "encoder"
    kernels: Mapping[str, Kernel] = field(default_factory=dict)

    def build(self, *, precision: str = "none") -> tf.keras.Model:
        """The model, with Keras's initial weights.

        Args:
          precision: what its layers compute in, see `tfpix2pix.models.precision`.

        Returns:
          ``y -> [mean, log_variance]``: y float32 ``[B, H, W, channels]`` in [-1, 1], of any size
          from ``least_size`` on, both results float32 ``[B, latent]``. The mean is the code that an
          image is best known by.
        """
        return self.builder(precision=precision, name=self.name)


def inputs_of(x: tf.Tensor, drawn: Sequence[tf.Tensor | None]) -> tf.Tensor | list[tf.Tensor]:
    """What the model of a generator is called with for the images x and what `Generator.draw`
    gave; None for what it does not take."""
    given = [each for each in drawn if each is not None]
    return [x, *given] if given else x


def with_outputs(model: tf.keras.Model, layers: Sequence[str]) -> tf.keras.Model:
    """The same network, with the outputs of some of its layers, in this order, for outputs."""
    outputs = [model.get_layer(name).output for name in layers]
    return tf.keras.Model(model.inputs, outputs, name=f"{model.name}_outputs")
