"""FCN-score: can a network that reads photos read the generated ones? (the paper's section 4.1)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.evaluation.base import Batch, Evaluator, Number, Statistics
from tfpix2pix.evaluation.confusion import confusion, segmentation_scores

if TYPE_CHECKING:
    from tfpix2pix.data import Palette

PARTS = ("per_pixel", "per_class", "iou")
"""The ends of the names of `segmentation_scores`."""


class Scorer(Protocol):
    """A network that reads classes from photos, as a `tfpix2pix.scorer.Scorer` does."""

    palette: Palette
    size: Size
    """Of the photos."""

    identity: str
    """SHA-256 of its weights."""

    @property
    def val(self) -> Mapping[str, Any]:
        """How good it is itself, on real photos."""

    def classes(self, photos: np.ndarray) -> np.ndarray:
        """The class of every pixel of RGB photos: uint8 ``[B, H, W, 3]`` to ``[B, H, W]``."""

    def features(self, photos: np.ndarray) -> np.ndarray:
        """What it sees in RGB photos, uint8 ``[B, H, W, 3]``: float32 ``[B, D]``."""

    def activations(self, photos: np.ndarray) -> list[np.ndarray]:
        """The same place by place: of several of its layers float32 ``[B, h, w, C]``."""

    def check(self, palette: Palette | None, size: Size) -> None:
        """Raises UserError where it cannot judge photos of this size and labels of this palette."""

    def check_size(self, size: Size) -> None:
        """Raises UserError where it cannot look at photos of this size."""


class FCNScore(Evaluator):
    """How well a segmentation network, trained on real photos, finds the labels from which photos
    were generated: per-pixel accuracy, per-class accuracy and class IoU (`segmentation_scores`),
    and the same three for the real photos, which a perfect generator would reach; of images that
    are no pairs nobody knows the labels of these, so that they have no value.

    The pixels of all images count together, as in the paper; void is ignored. Two confusion
    matrices int32 ``[K, K + 1]`` are kept of an image: 1,056 bytes with 11 classes.

    Args:
      scorer: which reads photos.
    """

    name = "fcn"
    needs = frozenset({"classes", "rgb"})
    of_pairs = False  # the truth's numbers alone are
    numbers_of = (
        Number("fcn_per_pixel", "FCN per-pixel accuracy", "higher"),
        Number("fcn_per_class", "FCN per-class accuracy", "higher"),
        Number("fcn_iou", "FCN class IoU", "higher"),
        Number("fcn_truth_per_pixel", "FCN per-pixel accuracy, truth"),
        Number("fcn_truth_per_class", "FCN per-class accuracy, truth"),
        Number("fcn_truth_iou", "FCN class IoU, truth"),
    )

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def per_image(self, batch: Batch) -> Statistics:
        assert batch.classes is not None, "update refuses such a batch"
        fake = self._confusion(batch, batch.fake)
        truth = self._confusion(batch, batch.y) if batch.paired else np.zeros_like(fake)
        return {"fake": fake, "truth": truth}

    def _confusion(self, batch: Batch, photos: np.ndarray) -> np.ndarray:
        assert batch.classes is not None
        found = self.scorer.classes(readable(self.scorer, photos))
        matrix = confusion(batch.classes, found, self.scorer.palette, batch.measured)
        return matrix.astype(np.int32)

    @classmethod
    def score(cls, sums: Statistics, count: float | np.ndarray) -> dict[str, np.ndarray]:
        fake, truth = segmentation_scores(sums["fake"]), segmentation_scores(sums["truth"])
        return {f"fcn_{part}": value for part, value in zip(PARTS, fake, strict=True)} | {
            f"fcn_truth_{part}": value for part, value in zip(PARTS, truth, strict=True)
        }


def readable(scorer: Scorer, pictures: np.ndarray) -> np.ndarray:
    """Pictures as a scorer takes them, uint8. Raises UserError where they have another size."""
    size = Size(*pictures.shape[1:3])
    if size != scorer.size:
        raise UserError(
            f"--scorer: it reads photos of {scorer.size.shown}, and these are {size.shown}; "
            f"train one at their size with `tfpix2pix train-scorer --size={size}`"
        )
    return as_uint8(pictures)


def as_uint8(pictures: np.ndarray) -> np.ndarray:
    """Pictures of values 0 to 255 (those of 16 bits have steps between) rounded to 8 bits."""
    if pictures.dtype == np.uint8:
        return pictures
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)
