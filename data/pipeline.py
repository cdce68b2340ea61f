"""From a store to batches. Which image comes when, and its jitter, is said by `Sampler`."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfpix2pix.base.size import Size
from tfpix2pix.data.decoding import as_written, parallel_calls
from tfpix2pix.data.resize import resize_stored
from tfpix2pix.data.sampler import Sampler
from tfpix2pix.data.spec import ImageSpec
from tfpix2pix.data.store import ImageStore, PairStore


def training_batches(
    store: PairStore,
    *,
    crop_size: Size | int,
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

    The images of a pair share order, crop and mirror. Of an `UnpairedStore` each side has its own,
    drawn independently of the other's: an epoch of ``store.count`` images shows every image of the
    larger side once, while the smaller one begins again in another order whenever it is through.

    The stream of images is endless: what an epoch's last batch lacks comes from the next epoch.
    Starting at any step costs the same and gives, bit for bit, what a dataset started earlier
    gives from that step on.

    Args:
      store: the images, resized to the load size.
      crop_size: of the random crop, at most ``store.size``; a number for a square; equal means no
        crop jitter.
      flip: mirror left-right with probability one half.
      batch_size: pairs per step, or images of each side.
      seed: of order, crop and mirror.
      start_step: the first step, counted from 0.
      stop_step: one past the last step.
      worker, workers: where several processes train together, which of how many this one is: it
        gets the `worker`-th of `workers` equal parts of every batch, and reads nothing else.
      devices: into how many batches the part is cut, one after another for the devices of this
        process.

    Returns:
      A dataset of ``(x, y)``: float32 ``[B, height, width, C]`` of the crop in [-1, 1], where B is
      ``batch_size``, or of a part ``batch_size / workers / devices``. Where the spec has values
      that mean nothing measured, ``(x, y, measured)`` with float32 ``[B, height, width, 1]``: 1
      where both images are measured, else 0; of images that are no pairs too, so that both have
      the same holes and no discriminator can tell them apart by these.
      Iterating raises a TensorFlow error if a streamed file cannot be read; see `store.explain`.

    Raises:
      ValueError: sizes or steps that make no sense.
    """
    if batch_size < 1 or not 0 <= start_step <= stop_step:
        raise ValueError(f"{batch_size=}, {start_step=}, {stop_step=} describe no batches")
    if not 0 <= worker < workers or batch_size % (workers * devices):
        raise ValueError(f"{batch_size=} has no part {worker=} of {workers=} with {devices=}")
    part = batch_size // workers
    crop_size = Size.of(crop_size)
    # What is drawn together: a pair, or the image of one side.
    drawn: Sequence[PairStore | ImageStore]
    drawn = [store] if store.paired else [store.x, store.y]
    samplers = [
        Sampler(images.count, images.size, crop_size, flip, seed, side)
        for side, images in enumerate(drawn)
    ]

    def example(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        position = number
        if workers > 1:
            step, place = number // part, number % part
            position = step * batch_size + worker * part + place
        cut = []
        for images, sampler in zip(drawn, samplers, strict=True):
            draw = sampler.draw(position)
            cut.append(draw.mirror(images.cut(draw.index, draw.corner, crop_size)))
        x, y = tf.nest.flatten(cut)
        return x, y

    numbers = tf.data.Dataset.range(start_step * part, stop_step * part)
    examples = numbers.map(as_written(example), parallel_calls(), True)
    return _finish(examples, (store.x.spec, store.y.spec), part // devices, partial=False)


def evaluation_batches(
    store: PairStore,
    *,
    size: Size | int,
    batch_size: int = 1,
    limit: int | None = None,
    indices: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """Every pair once, in the store's order, resized and otherwise untouched.

    Args:
      store: the pairs.
      size: of the result, a number for a square; pairs of another size are resized.
      batch_size: pairs per batch; the last batch holds what is left.
      limit: only the first `limit` pairs; None for all.
      indices: these pairs in this order instead of all; `limit` does not apply.

    Returns:
      A dataset of ``(x, y)``: float32 ``[B, height, width, C]`` in [-1, 1], or ``(x, y,
      measured)`` as `training_batches` has it.
    """
    count = store.count if limit is None else min(limit, store.count)
    specs = (store.x.spec, store.y.spec)

    def example(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pair = store.cut(index, tf.zeros([2], tf.int32), store.size)
        x, y = (resize_stored(i, size, spec) for i, spec in zip(pair, specs, strict=True))
        return x, y

    if indices is None:
        chosen = tf.data.Dataset.range(count)
    else:
        chosen = tf.data.Dataset.from_tensor_slices(tf.constant(indices, tf.int64))
    examples = chosen.map(as_written(example), parallel_calls(), True)
    return _finish(examples, specs, batch_size, partial=True)


def _finish(
    examples: tf.data.Dataset, specs: tuple[ImageSpec, ImageSpec], batch_size: int, partial: bool
) -> tf.data.Dataset:
    """Batches stored values, then makes of each batch what networks see."""
    options = tf.data.Options()
    options.deterministic = True
    # The default graph rewrites have nothing to gain here, and copy the store's buffers to do so:
    # a second copy of the whole data set, and seconds before the first batch.
    options.experimental_optimization.apply_default_optimizations = False
    # Nor has autotuning; its thread sleeps for up to a minute, and the iterator's end waits for it.
    options.autotune.enabled = False

    def networks_see(*pair: tf.Tensor) -> tuple[tf.Tensor, ...]:
        values = [tf.cast(image, tf.float32) for image in pair]
        seen = [spec.to_network(of) for spec, of in zip(specs, values, strict=True)]
        measured = [spec.measured(of) for spec, of in zip(specs, values, strict=True)]
        parts = [part for part in measured if part is not None]
        return (*seen, tf.reduce_prod(tf.stack(parts), axis=0)) if parts else tuple(seen)

    # Converted as a batch: bytes are batched with a quarter of the copying that floats take.
    batches = examples.batch(batch_size, drop_remainder=not partial)
    batches = batches.map(as_written(networks_see), parallel_calls(), True)
    return batches.prefetch(2).with_options(options)
