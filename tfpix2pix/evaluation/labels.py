"""Labels out: generated label images against the true ones (the paper's Table 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.evaluation.base import Batch, Evaluator, Number, Statistics
from tfpix2pix.evaluation.confusion import confusion, segmentation_scores
from tfpix2pix.evaluation.fcn import as_uint8

if TYPE_CHECKING:
    from tfpix2pix.data.palette import Palette


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
