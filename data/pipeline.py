"""From a store to batches: shuffle, crop, mirror; everything random a function of position.

A *position* counts training images from the start of training: image i of the batch of step s
stands at ``s * batch_size + i``. Epoch ``position // count`` is a permutation of the pairs drawn
from (seed, epoch); crop and mirror are drawn from (seed, position). No state is carried from
image to image, so a run that resumes at step k simply starts counting there.

Jitter as in the paper (arXiv 1611.07004, section 6.2): resize to ``load_size``, which the store
has done, crop at random to ``crop_size``, mirror at random; the same draw for both images.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfpix2pix.data.forms import PairForm
from tfpix2pix.data.resize import resize
from tfpix2pix.data.store import PairStore, as_written, parallel_calls

# One stream of random numbers per purpose, so that no two purposes ever share a draw.
_ORDER, _CROP, _MIRROR = 1, 2, 3
# Named rather than left to the device, so that every machine draws the same.
_ALGORITHM = "philox"


# === Batches ===


def training_batches(
    store: PairStore,
    *,
    crop_size: int,
    flip: bool,
    batch_size: int,
    seed: int,
    start_step: int,
    stop_step: int,
    worker: int = 0,
    workers: int = 1,
    devices: int = 1,
) -> tf.data.Dataset:
    """Augmented batches for the steps ``start_step, ..., stop_step - 1``, in that order.

    The stream of pairs is endless: what an epoch's last batch lacks comes from the next epoch.
    Starting at any step costs the same and gives, bit for bit, what a dataset started earlier
    gives from that step on.

    Args:
      store: the pairs, resized to the load size.
      crop_size: height and width of the random crop, at most ``store.size``; equal means no crop
        jitter.
      flip: mirror left-right with probability one half.
      batch_size: pairs per step.
      seed: of order, crop and mirror.
      start_step: the first step, counted from 0.
      stop_step: one past the last step.
      worker, workers: where several processes train together, which of how many this one is: it
        gets the `worker`-th of `workers` equal parts of every batch, and reads nothing else.
      devices: into how many batches the part is cut, one after another for the devices of this
        process.

    Returns:
      A dataset of ``(x, y)``: float32 ``[B, crop_size, crop_size, C]`` in [-1, 1], where B is
      ``batch_size``, or of a part ``batch_size / workers / devices``.
      Iterating raises a TensorFlow error if a streamed file cannot be read; see `store.explain`.

    Raises:
      ValueError: sizes or steps that make no sense.
    """
    _check_sizes(store.size, crop_size)
    if batch_size < 1 or not 0 <= start_step <= stop_step:
        raise ValueError(f"{batch_size=}, {start_step=}, {stop_step=} describe no batches")
    if not 0 <= worker < workers or batch_size % (workers * devices):
        raise ValueError(f"{batch_size=} has no part {worker=} of {workers=} with {devices=}")
    part = batch_size // workers

    def example(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index = epoch_position(position, store.count, seed)
        corner = _corner(seed, position, store.size, crop_size)
        return _mirror(store.cut(index, corner, crop_size), seed, position, flip)

    def of_this_part(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        step, place = number // part, number % part
        return example(step * batch_size + worker * part + place)

    numbers = tf.data.Dataset.range(start_step * part, stop_step * part)
    chosen = as_written(example if workers == 1 else of_this_part)
    examples = numbers.map(chosen, parallel_calls(), True)
    return _finish(examples, store.form, part // devices, partial=False)


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
      size: height and width of the result; pairs of another size are resized.
      batch_size: pairs per batch; the last batch holds what is left.
      limit: only the first `limit` pairs; None for all.
      indices: these pairs in this order instead of all; `limit` does not apply.

    Returns:
      A dataset of ``(x, y)``: float32 ``[B, size, size, C]`` in [-1, 1].
    """
    count = store.count if limit is None else min(limit, store.count)
    form = store.form

    def example(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x, y = store.cut(index, tf.zeros([2], tf.int32), store.size)
        return resize(x, size, form.x.is_classes), resize(y, size, form.y.is_classes)

    if indices is None:
        chosen = tf.data.Dataset.range(count)
    else:
        chosen = tf.data.Dataset.from_tensor_slices(tf.constant(indices, tf.int64))
    examples = chosen.map(as_written(example), parallel_calls(), True)
    return _finish(examples, form, batch_size, partial=True)


def _finish(
    examples: tf.data.Dataset, form: PairForm, batch_size: int, partial: bool
) -> tf.data.Dataset:
    """Batches stored values, then makes of each batch what networks see."""
    options = tf.data.Options()
    options.deterministic = True
    # The default graph rewrites have nothing to gain here, and copy the store's buffers to do so:
    # a second copy of the whole data set, and seconds before the first batch.
    options.experimental_optimization.apply_default_optimizations = False
    # Nor has autotuning; its thread sleeps for up to a minute, and the iterator's end waits for it.
    options.autotune.enabled = False

    def networks_see(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (
            form.x.to_network(tf.cast(x, tf.float32)),
            form.y.to_network(tf.cast(y, tf.float32)),
        )

    # Converted as a batch: bytes are batched with a quarter of the copying that floats take.
    batches = examples.batch(batch_size, drop_remainder=not partial)
    batches = batches.map(as_written(networks_see), parallel_calls(), True)
    return batches.prefetch(2).with_options(options)


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
      y: another, of the same height and width, ``[H, W, C_out]``.
      seed: of all draws.
      position: int64 scalar; the draw is a function of (seed, position) alone.
      load_size: resize to this height and width, bilinear, antialiased.
      crop_size: then crop to this height and width, at most `load_size`.
      flip: then mirror left-right with probability one half.
      nearest: of x and y, whether to resize by nearest neighbour instead, as class numbers must
        be: every value of the result is one that came in.

    Returns:
      ``(x, y)``: ``[crop_size, crop_size, C]`` of the types and value ranges that came in.

    Raises:
      ValueError: `crop_size` exceeds `load_size`.
    """
    _check_sizes(load_size, crop_size)
    position = tf.cast(position, tf.int64)
    corner = _corner(seed, position, load_size, crop_size)
    begin = tf.concat([corner, [0]], 0)
    cut = []
    for image, by_nearest in ((x, nearest[0]), (y, nearest[1])):
        resized = resize(image, load_size, by_nearest)
        cut.append(tf.slice(resized, begin, [crop_size, crop_size, resized.shape[-1]]))
    return _mirror((cut[0], cut[1]), seed, position, flip)


def _corner(seed: int, position: tf.Tensor, load_size: int, crop_size: int) -> tf.Tensor:
    """Where the crop of a position begins: row and column, int32 [2]."""
    return tf.random.stateless_uniform(
        [2],
        _draw_seed(seed, _CROP, position),
        maxval=load_size - crop_size + 1,
        dtype=tf.int32,
        alg=_ALGORITHM,
    )


def _mirror(
    images: tuple[tf.Tensor, tf.Tensor], seed: int, position: tf.Tensor, flip: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors both images of a position left-right, or neither."""
    if not flip:
        return images
    x, y = images
    mirrored = tf.random.stateless_uniform([], _draw_seed(seed, _MIRROR, position), alg=_ALGORITHM)
    return tf.cond(
        mirrored < 0.5,
        lambda: (tf.reverse(x, axis=[1]), tf.reverse(y, axis=[1])),
        lambda: (tf.identity(x), tf.identity(y)),
    )


def _draw_seed(seed: int, purpose: int, number: tf.Tensor) -> tf.Tensor:
    """A seed of its own for draw `number` of one purpose: int64 [2]."""
    return tf.random.fold_in(tf.constant([seed, purpose], tf.int64), number, alg=_ALGORITHM)


def _check_sizes(load_size: int, crop_size: int) -> None:
    if not 1 <= crop_size <= load_size:
        raise ValueError(f"{crop_size=} must be between 1 and {load_size=}")
