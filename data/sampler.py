"""Which image stands at a position of training, and how it is jittered: random, and yet a function
of position.

A *position* counts training images from the start of training: image i of the batch of step s
stands at ``s * batch_size + i``. Epoch ``position // count`` is a permutation of the images drawn
from (seed, epoch); crop and mirror are drawn from (seed, position). No state is carried from
image to image, so a run that resumes at step k simply starts counting there, and each of several
workers counts only the positions of its own part.

Jitter as in the paper (arXiv 1611.07004, section 6.2): resize to ``load_size``, crop at random to
``crop_size``, mirror at random. The two images of a pair share one draw; images that are no pairs
(CycleGAN, arXiv 1703.10593) have a draw each.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from tfpix2pix.base.size import Size
from tfpix2pix.data.resize import resize

# One stream of random numbers per purpose, so that no two purposes ever share a draw.
_ORDER, _CROP, _MIRROR = 1, 2, 3
_PURPOSES = 3
# Named rather than left to the device, so that every machine draws the same.
_ALGORITHM = "philox"


@dataclasses.dataclass(frozen=True)
class Draw:
    """What is drawn for one position.

    Attributes:
      index: the number of the image or pair, int64 scalar.
      corner: where the crop begins: row and column, int32 ``[2]``.
      mirrored: whether left and right change places, bool scalar; None for never.
    """

    index: tf.Tensor
    corner: tf.Tensor
    mirrored: tf.Tensor | None

    def mirror(self, images: Any) -> Any:
        """An image, or a tuple of images ``[H, W, C]``: all mirrored, or none."""
        if self.mirrored is None:
            return images
        return tf.cond(
            self.mirrored,
            lambda: tf.nest.map_structure(lambda image: tf.reverse(image, axis=[1]), images),
            lambda: tf.nest.map_structure(tf.identity, images),
        )


@dataclasses.dataclass(frozen=True)
class Sampler:
    """Draws for the positions of training.

    Attributes:
      count: number of images, or pairs, to choose from.
      load_size: of the images, from which `crop_size` is cut.
      crop_size: at most `load_size` on each side; equal means no crop jitter.
      flip: mirror with probability one half.
      seed: of order, crop and mirror.
      side: samplers of one seed and different sides (0, 1, ...) draw independently.

    Raises:
      ValueError: `crop_size` exceeds `load_size`.
    """

    count: int
    load_size: Size
    crop_size: Size
    flip: bool
    seed: int
    side: int = 0

    def __post_init__(self) -> None:
        if self.crop_size.smaller < 1 or not self.crop_size.fits(self.load_size):
            raise ValueError(
                f"crop_size={self.crop_size} must be between 1 and load_size={self.load_size}"
            )

    def draw(self, position: tf.Tensor | int) -> Draw:
        """The draw of a position, an int64 scalar counted over the whole training."""
        position = tf.cast(position, tf.int64)
        corner = self._corner(self._seed_of(_CROP, position))
        mirrored = None
        if self.flip:
            seed = self._seed_of(_MIRROR, position)
            mirrored = tf.random.stateless_uniform([], seed, alg=_ALGORITHM) < 0.5
        return Draw(self._index(position), corner, mirrored)

    def _corner(self, seed: tf.Tensor) -> tf.Tensor:
        def draw(places: int) -> tf.Tensor:
            return tf.random.stateless_uniform(
                [2], seed, maxval=places, dtype=tf.int32, alg=_ALGORITHM
            )

        rows, columns = (a - b + 1 for a, b in zip(self.load_size, self.crop_size, strict=True))
        if rows == columns:
            return draw(rows)
        return tf.stack([draw(rows)[0], draw(columns)[1]])  # each draw has but one bound

    def _index(self, position: tf.Tensor) -> tf.Tensor:
        """Each run of `count` positions that makes up an epoch meets every image once."""
        count = tf.constant(self.count, tf.int64)
        seed = self._seed_of(_ORDER, position // count)
        return tf.random.experimental.index_shuffle(position % count, seed, count - 1)

    def _seed_of(self, purpose: int, number: tf.Tensor) -> tf.Tensor:
        """A seed of its own for draw `number` of one purpose: int64 [2]."""
        purpose += self.side * _PURPOSES
        return tf.random.fold_in(
            tf.constant([self.seed, purpose], tf.int64), number, alg=_ALGORITHM
        )


def epoch_position(position: tf.Tensor | int, count: int, seed: int) -> tf.Tensor:
    """Which pair stands at a position of the endless stream of training images.

    Args:
      position: int64 scalar, counted over the whole training.
      count: number of pairs.
      seed: of the order.

    Returns:
      The pair's number, an int64 scalar in ``[0, count)``. Each run of `count` positions that
      makes up an epoch meets every pair once, in an order drawn from (seed, epoch).
    """
    return Sampler(count, Size(1), Size(1), False, seed).draw(position).index


def augment(
    x: tf.Tensor,
    y: tf.Tensor,
    seed: int,
    position: tf.Tensor | int,
    *,
    load_size: Size | int,
    crop_size: Size | int,
    flip: bool,
    nearest: tuple[bool, bool] = (False, False),
) -> tuple[tf.Tensor, tf.Tensor]:
    """Jitters a pair with one draw: resize to `load_size`, random crop, random mirror.

    Args:
      x: a number type ``[H, W, C_in]``, any value range.
      y: another, of the same height and width, ``[H, W, C_out]``.
      seed: of all draws.
      position: int64 scalar; the draw is a function of (seed, position) alone.
      load_size: resize to this, bilinear, antialiased; a number for a square.
      crop_size: then crop to this, at most `load_size` on each side.
      flip: then mirror left-right with probability one half.
      nearest: of x and y, whether to resize by nearest neighbour instead, as class numbers must
        be: every value of the result is one that came in.

    Returns:
      ``(x, y)``: ``[height, width, C]`` of the crop, of the types and value ranges that came in.

    Raises:
      ValueError: `crop_size` exceeds `load_size`.
    """
    load_size, crop_size = Size.of(load_size), Size.of(crop_size)
    draw = Sampler(1, load_size, crop_size, flip, seed).draw(position)
    begin = tf.concat([draw.corner, [0]], 0)
    cut = []
    for image, by_nearest in ((x, nearest[0]), (y, nearest[1])):
        resized = resize(image, load_size, by_nearest)
        cut.append(tf.slice(resized, begin, [*crop_size, resized.shape[-1]]))
    return draw.mirror((cut[0], cut[1]))
