"""From a store to batches: shuffle, jitter, crop, mirror; everything random a function of position.

A *position* counts training images from the start of training: image i of the batch of step s
stands at ``s * batch_size + i``. Epoch ``position // count`` is a permutation of the pairs drawn
from (seed, epoch); crop and mirror are drawn from (seed, position). No state is carried from
image to image, so a run that resumes at step k simply starts counting there.

Jitter as in the paper (arXiv 1611.07004, section 6.2): resize to ``load_size``, crop at random to
``crop_size``, mirror at random; the same draw for both images of a pair.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfpix2pix.data.forms import PairForm
from tfpix2pix.data.store import PairStore

# One stream of random numbers per purpose, so that no two purposes ever share a draw.
_ORDER, _CROP, _MIRROR = 1, 2, 3
# Named rather than left to the device, so that every machine draws the same.
_ALGORITHM = "philox"


# === Batches ===


def training_batches(
    store: PairStore,
    *,
    load_size: int,
    crop_size: int,
    flip: bool,
    batch_size: int,
    seed: int,
    start_step: int,
    stop_step: int,
) -> tf.data.Dataset:
    """Augmented batches for the steps ``start_step, ..., stop_step - 1``, in that order.

    The stream of pairs is endless: what an epoch's last batch lacks comes from the next epoch.
    Starting at any step costs the same and gives, bit for bit, what a dataset started earlier
    gives from that step on.

    Args:
      store: the pairs.
      load_size: pairs are resized to this height and width.
      crop_size: height and width of the random crop, at most `load_size`; equal means no crop
        jitter.
      flip: mirror left-right with probability one half.
      batch_size: pairs per step.
      seed: of order, crop and mirror.
      start_step: the first step, counted from 0.
      stop_step: one past the last step.

    Returns:
      A dataset of ``(x, y)``: float32 ``[batch_size, crop_size, crop_size, C]`` in [-1, 1].
      Iterating raises a TensorFlow error if a streamed file cannot be read; see `store.explain`.

    Raises:
      ValueError: sizes or steps that make no sense.
    """
    _check_sizes(load_size, crop_size)
    if batch_size < 1 or not 0 <= start_step <= stop_step:
        raise ValueError(f"{batch_size=}, {start_step=}, {stop_step=} describe no batches")

    parts = _parts_of(store.form)

    def example(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        joined = store.joined(epoch_position(position, store.count, seed))
        jittered = _jitter(joined, parts, seed, position, load_size, crop_size, flip)
        return _split(jittered, store.form)

    positions = tf.data.Dataset.range(start_step * batch_size, stop_step * batch_size)
    return _finish(positions.map(example, tf.data.AUTOTUNE, True), batch_size, partial=False)


def evaluation_batches(
    store: PairStore,
    *,
    size: int,
    batch_size: int = 1,
    limit: int | None = None,
    indices: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """Every pair once, in the store's order, resized and otherwise untouched.

    Args:
      store: the pairs.
      size: height and width of the result.
      batch_size: pairs per batch; the last batch holds what is left.
      limit: only the first `limit` pairs; None for all.
      indices: these pairs in this order instead of all; `limit` does not apply.

    Returns:
      A dataset of ``(x, y)``: float32 ``[B, size, size, C]`` in [-1, 1].
    """
    count = store.count if limit is None else min(limit, store.count)
    parts = _parts_of(store.form)

    def example(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        corner = tf.zeros([2], tf.int32)
        resized = _resize_and_crop(store.joined(index), parts, size, size, corner)
        return _split(resized, store.form)

    if indices is None:
        chosen = tf.data.Dataset.range(count)
    else:
        chosen = tf.data.Dataset.from_tensor_slices(tf.constant(indices, tf.int64))
    return _finish(chosen.map(example, tf.data.AUTOTUNE, True), batch_size, partial=True)


def _finish(examples: tf.data.Dataset, batch_size: int, partial: bool) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # The default graph rewrites have nothing to gain here, and copy the store's buffers to do so:
    # a second copy of the whole data set, and seconds before the first batch.
    options.experimental_optimization.apply_default_optimizations = False
    batches = examples.batch(batch_size, drop_remainder=not partial)
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def _split(joined: tf.Tensor, form: PairForm) -> tuple[tf.Tensor, tf.Tensor]:
    """Joined stored values, as float32, to ``(x, y)`` as networks see them."""
    # As rows of pixels: slicing two dimensions is markedly faster than slicing three.
    height, width, channels = joined.shape
    pixels = tf.reshape(joined, [-1, channels])
    cut = form.x.stored_channels
    x = tf.reshape(pixels[:, :cut], [height, width, cut])
    y = tf.reshape(pixels[:, cut:], [height, width, channels - cut])
    return form.x.to_network(x), form.y.to_network(y)


# === Random draws ===


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
    position = tf.cast(position, tf.int64)
    count = tf.constant(count, tf.int64)
    epoch_seed = _draw_seed(seed, _ORDER, position // count)
    return tf.random.experimental.index_shuffle(position % count, epoch_seed, count - 1)


def augment(
    x: tf.Tensor,
    y: tf.Tensor,
    seed: int,
    position: tf.Tensor | int,
    *,
    load_size: int,
    crop_size: int,
    flip: bool,
    nearest: tuple[bool, bool] = (False, False),
) -> tuple[tf.Tensor, tf.Tensor]:
    """Jitters a pair with one draw: resize to `load_size`, random crop, random mirror.

    Args:
      x: a number type ``[H, W, C_in]``, any value range.
      y: the same type, height and width, ``[H, W, C_out]``.
      seed: of all draws.
      position: int64 scalar; the draw is a function of (seed, position) alone.
      load_size: resize to this height and width, bilinear, antialiased.
      crop_size: then crop to this height and width, at most `load_size`.
      flip: then mirror left-right with probability one half.
      nearest: of x and y, whether to resize by nearest neighbour instead, as class numbers must
        be: every value of the result is one that came in.

    Returns:
      ``(x, y)``: float32 ``[crop_size, crop_size, C]`` in the value range that came in.

    Raises:
      ValueError: `crop_size` exceeds `load_size`.
    """
    _check_sizes(load_size, crop_size)
    x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
    position = tf.cast(position, tf.int64)
    parts = _parts(x.shape[-1], y.shape[-1], nearest)
    joined = tf.concat([x, y], axis=-1)
    joined = _jitter(joined, parts, seed, position, load_size, crop_size, flip)
    return joined[..., : x.shape[-1]], joined[..., x.shape[-1] :]


def _parts(x_channels: int, y_channels: int, nearest: tuple[bool, bool]) -> list[tuple[int, bool]]:
    """Runs of channels of a joined pair that are resized alike: how many, and if by nearest."""
    if nearest[0] == nearest[1]:
        return [(x_channels + y_channels, nearest[0])]
    return [(x_channels, nearest[0]), (y_channels, nearest[1])]


def _parts_of(form: PairForm) -> list[tuple[int, bool]]:
    x, y = form.x, form.y
    return _parts(x.stored_channels, y.stored_channels, (x.is_classes, y.is_classes))


def _jitter(
    image: tf.Tensor,
    parts: list[tuple[int, bool]],
    seed: int,
    position: tf.Tensor,
    load_size: int,
    crop_size: int,
    flip: bool,
) -> tf.Tensor:
    corner = tf.random.stateless_uniform(
        [2],
        _draw_seed(seed, _CROP, position),
        maxval=load_size - crop_size + 1,
        dtype=tf.int32,
        alg=_ALGORITHM,
    )
    image = _resize_and_crop(image, parts, load_size, crop_size, corner)
    if not flip:
        return image
    mirrored = tf.random.stateless_uniform([], _draw_seed(seed, _MIRROR, position), alg=_ALGORITHM)
    return tf.cond(mirrored < 0.5, lambda: tf.reverse(image, axis=[1]), lambda: image)


def _draw_seed(seed: int, purpose: int, number: tf.Tensor) -> tf.Tensor:
    """A seed of its own for draw `number` of one purpose: int64 [2]."""
    return tf.random.fold_in(tf.constant([seed, purpose], tf.int64), number, alg=_ALGORITHM)


def _check_sizes(load_size: int, crop_size: int) -> None:
    if not 1 <= crop_size <= load_size:
        raise ValueError(f"{crop_size=} must be between 1 and {load_size=}")


# === Pixels ===


def _resize_and_crop(
    image: tf.Tensor,
    parts: list[tuple[int, bool]],
    load_size: int,
    crop_size: int,
    corner: tf.Tensor,
) -> tf.Tensor:
    """Resizes to load_size x load_size and cuts crop_size from `corner`.

    Args:
      image: ``[H, W, C]``.
      parts: as `_parts` gives them; together C channels.
      corner: int32 ``[2]``: row and column of the crop in the resized image.

    Returns:
      float32 ``[crop_size, crop_size, C]``.
    """
    if image.shape[:2] == [load_size, load_size]:  # Nothing to resize: cut out exactly.
        cut = tf.slice(image, tf.concat([corner, [0]], 0), [crop_size, crop_size, image.shape[-1]])
        return tf.cast(cut, tf.float32)
    resized, first = [], 0
    for channels, nearest in parts:
        part = image if len(parts) == 1 else image[..., first : first + channels]
        resize = _resize_nearest if nearest else _resize_bilinear
        resized.append(resize(part, load_size, crop_size, corner))
        first += channels
    return resized[0] if len(parts) == 1 else tf.concat(resized, axis=-1)


def _resize_bilinear(
    image: tf.Tensor, load_size: int, crop_size: int, corner: tf.Tensor
) -> tf.Tensor:
    """Bilinear, antialiased.

    It is the op behind ``tf.image.resize(..., antialias=True)``, asked for the crop's pixels
    only; cropping afterwards gives the same and takes half as long again.
    """
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=[crop_size, crop_size],
        scale=load_size / size,
        translation=-tf.cast(corner, tf.float32),
        kernel_type="triangle",
        antialias=True,
    )
    return tf.ensure_shape(resized[0], [crop_size, crop_size, image.shape[-1]])


def _resize_nearest(
    image: tf.Tensor, load_size: int, crop_size: int, corner: tf.Tensor
) -> tf.Tensor:
    """The pixel whose area holds the centre of the new one, as ``tf.image.resize(..., "nearest")``
    has it; in whole numbers, so that no rounding decides."""
    size = tf.shape(image)[:2]
    centres = 2 * (corner[:, None] + tf.range(crop_size)[None]) + 1  # in halves of a new pixel
    rows, columns = tf.unstack(centres * size[:, None] // (2 * load_size))
    chosen = tf.gather(tf.gather(image, rows), columns, axis=1)
    return tf.ensure_shape(tf.cast(chosen, tf.float32), [crop_size, crop_size, image.shape[-1]])
