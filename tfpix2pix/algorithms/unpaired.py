"""What algorithms that learn without pairs have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from tfpix2pix.data import PairStore
from tfpix2pix.evaluation.likeness import Likeness


def seen(images: tf.Tensor, masks: Sequence[tf.Tensor]) -> tf.Tensor:
    """What a discriminator is shown: grey where nothing is measured, in real images and in
    generated ones, so that this does not tell them apart."""
    for measured in masks:
        images = images * measured
    return images


def judge_both(
    judge: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, fake: tf.Tensor, apart: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """The logits of both, in one pass but where they are to be kept `apart`, since images depend
    on their batch."""
    if apart:
        return judge(real), judge(fake)
    real, fake = tf.split(judge(tf.concat([real, fake], axis=0)), 2)
    return real, fake


def likeness_on(
    val: PairStore,
    batches: Iterable[tuple[tf.Tensor, ...]],
    side: int,
    make: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]],
    on_images: Callable[[int], None],
) -> dict[str, float]:
    """How alike what is made of one side's images is to the other side's, pairs or none.

    Args:
      val: the split.
      batches: of it, of one image of each side, in order.
      side: 0 to make something of the inputs, 1 of the targets.
      make: of images ``[1, H, W, C]`` and their positions ``[1]`` pictures, and numbers of these,
        ``[1]`` each.
      on_images: told the number of images done.

    Returns:
      ``swd`` and ``sharpness_ratio`` of the pictures; ``swd_copy``, of the images as they are, and
      ``change``, the mean absolute difference of both ([-1, 1]), where they have as many channels;
      the means of `make`'s numbers; and ``images``, how many there were.
    """
    counts, specs = (val.x.count, val.y.count), (val.spec.x, val.spec.y)
    target = specs[1 - side]
    comparable = specs[0].channels == specs[1].channels
    fakes, copies, done = Likeness(), Likeness(), 0
    sums: dict[str, float] = {}
    for place, batch in enumerate(batches):  # the smaller side begins again at its end
        images, real = batch[side], batch[1 - side]
        if place < counts[1 - side]:
            for likeness in (fakes, copies):
                likeness.add("truth", target.levels(real.numpy()))
        if place >= counts[side]:
            continue
        fake, numbers = make(images, tf.constant([place], tf.int64))
        fakes.add("fake", target.levels(fake.numpy()))
        if comparable:
            copies.add("fake", target.levels(images.numpy()))
            numbers = {**numbers, "change": tf.reduce_mean(tf.abs(images - fake))[None]}
        for name, value in numbers.items():
            sums[name] = sums.get(name, 0.0) + float(value[0])
        done += 1
        on_images(done)
    measured: dict[str, Any] = {**fakes.result(), "images": done}
    if comparable:
        measured["swd_copy"] = copies.result()["swd"]
    return measured | {name: value / done for name, value in sums.items()}
