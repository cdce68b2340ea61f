"""What a reader of classes scores on the real photos of a split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.base.size import Size
from tfpix2pix.data import PairStore, evaluation_batches, explain
from tfpix2pix.evaluation.confusion import confusion, counted_names, segmentation_scores
from tfpix2pix.scorer.labelled import palette_of, photos_and_classes


def scores_of(
    read: Callable[[np.ndarray], np.ndarray],
    store: PairStore,
    size: Size,
    on_image: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """What a reader of classes scores on the real photos of a split.

    Returns:
      ``per_pixel``, ``per_class``, ``iou``, ``images``, ``classes`` (each one's IoU and share of
      the pixels), ``commonest``: the per-pixel accuracy of always saying the commonest class.
    """
    spec = store.spec
    palette = palette_of(spec)
    matrix, images = np.zeros((), np.int64), 0
    try:
        for x, y, *masks in evaluation_batches(store, size=size):
            photos, classes = photos_and_classes(spec, x, y)
            photos = np.rint((photos.numpy() + 1.0) * 127.5).astype(np.uint8)
            measured = [mask.numpy()[..., 0] > 0 for mask in masks]
            found = confusion(classes.numpy(), read(photos), palette, *measured)
            matrix = matrix + found.sum(axis=0)
            images += len(photos)
            on_image(images)
    except tf.errors.OpError as error:
        raise explain(error, store) from None
    per_pixel, per_class, iou = map(float, segmentation_scores(matrix))
    there = matrix.sum(axis=1)
    k = len(there)
    right = np.diagonal(matrix[:, :k])
    union = there + matrix[:, :k].sum(axis=0) - right
    classes = {
        name: {
            "iou": float(right[i] / union[i]) if union[i] else None,
            "share": float(there[i] / there.sum()),
        }
        for i, name in enumerate(counted_names(palette))
    }
    return {
        "per_pixel": per_pixel,
        "per_class": per_class,
        "iou": iou,
        "images": images,
        "commonest": float(there.max() / there.sum()),
        "classes": classes,
    }
