"""Labels out: generated label images against the true ones (the paper's Table 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.evaluation.base import Batch, Evaluator, Number, Statistics
from tfpix2pix.evaluation.confusion import confusion, segmentation_scores
from tfpix2pix.evaluation.fcn import as_uint8

if TYPE_CHECKING:
    import tensorflow as tf

    from tfpix2pix.data.palette import Palette
    from tfpix2pix.data.spec import ImageSpec


class LabelsOut(Evaluator):
    """Per-pixel accuracy, per-class accuracy and class IoU (`segmentation_scores`) of generated
    label images, every pixel snapped to the palette's nearest colour.

    The pixels of all images count together. True void is ignored; a colour nearest to void's is
    an error where something else is true. A confusion matrix int32 ``[K, K + 1]`` is kept of an
    image: 528 bytes with 11 classes.

    Args:
      palette: of the label images.
    """

    name = "labels"
    needs = frozenset({"classes", "rgb"})
    numbers_of = (
        Number("labels_per_pixel", "labels per-pixel accuracy", "higher"),
        Number("labels_per_class", "labels per-class accuracy", "higher"),
        Number("labels_iou", "labels class IoU", "higher"),
    )

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.palette = palette

    def per_image(self, batch: Batch) -> Statistics:
        assert batch.classes is not None, "update refuses such a batch"
        found = self.palette.to_classes(as_uint8(batch.fake))
        matrix = confusion(batch.classes, found, self.palette, batch.measured)
        return {"fake": matrix.astype(np.int32)}

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        names = [number.name for number in cls.numbers_of]
        return dict(zip(names, segmentation_scores(sums["fake"]), strict=True))


def evaluate_logits(
    batches: Iterable[tuple[tf.Tensor, ...]],
    generate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    spec: ImageSpec,
    on_batch: Callable[[int], None] = lambda images: None,
) -> dict[str, float]:
    """The numbers of `LabelsOut`, of the likeliest classes, and the mean cross-entropy.

    Args:
      batches: as `tfpix2pix.evaluation.evaluate` takes them, y one-hot.
      generate: makes logits ``[B, H, W, C]`` of ``(x, positions)``.
      spec: of the targets.
      on_batch: told the number of images done.

    Returns:
      The numbers by name; ``cross_entropy`` (nats, the mean over images, every pixel of an image
      alike); ``classes`` and ``classes_found``, how many there are and how many were found
      anywhere; ``images``; and ``left_out`` where batches say what is measured.
    """
    import tensorflow as tf
    from scipy.special import log_softmax

    palette = spec.palette
    assert palette is not None
    counted = ~palette.void
    matrix, entropies = np.zeros((), np.int64), []
    there, seen = np.zeros(len(palette), np.int64), np.zeros(len(palette), np.int64)
    done = pixels = left_out = 0
    for x, y, *masks in batches:
        logits = generate(x, tf.range(done, done + x.shape[0], dtype=tf.int64)).numpy()
        true, found = spec.classes(y.numpy()), spec.classes(logits)
        measured = masks[0].numpy()[..., 0] > 0 if masks else np.ones(true.shape, bool)
        matrix = matrix + confusion(true, found, palette, measured).sum(axis=0)
        entropy = -(y.numpy() * log_softmax(logits, axis=-1)).sum(axis=-1)
        for image, counts in zip(entropy, measured, strict=True):
            if counts.any():
                entropies.append(image[counts].mean())
        there += np.bincount(true[measured], minlength=len(palette))
        seen += np.bincount(found[measured], minlength=len(palette))
        done += x.shape[0]
        pixels, left_out = pixels + measured.size, left_out + int(np.count_nonzero(~measured))
        on_batch(done)
    scores = LabelsOut.score({"fake": matrix}, done)
    return {
        **{name: float(value) for name, value in scores.items()},
        "cross_entropy": float(np.mean(entropies)) if entropies else float("nan"),
        "classes": int(np.count_nonzero(there[counted])),
        "classes_found": int(np.count_nonzero(seen)),
        **({"left_out": left_out / pixels} if left_out else {}),
        "images": done,
    }
