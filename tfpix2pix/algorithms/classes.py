"""The classes of label images in the train split: how many pixels each has, and what it weighs."""

from __future__ import annotations

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.progress import ProgressLine
from tfpix2pix.data import PairStore
from tfpix2pix.data.unmeasured import VOID


def class_pixels(store: PairStore) -> np.ndarray:
    """The pixels of each class of the palette in a split, int64 ``[C]``, of those that count in a
    loss, with the progress on the terminal."""
    side = 0 if store.spec.x.is_classes else 1
    spec = (store.spec.x, store.spec.y)[side]
    assert spec.palette is not None
    counts = np.zeros(len(spec.palette), np.int64)
    with ProgressLine("counting classes", store.count, store.source.unit) as line:
        for index in range(store.count):
            stored = store.pair(index)[side]
            classes = stored[..., 0]
            if spec.has_mask:
                classes = classes[stored[..., -1] > 0]
            counts += np.bincount(classes.ravel(), minlength=len(counts))
            line.show(index + 1)
    return np.where(spec.palette.void, 0, counts) if VOID in spec.ignore else counts


def remarks(pixels: np.ndarray, store: PairStore) -> list[str]:
    """What to say of the classes of the train split.

    Args:
      pixels: of each class, as `class_pixels` gives them.
      store: the split.

    Raises:
      UserError: they are all of one class.
    """
    palette = store.spec.x.palette or store.spec.y.palette
    assert palette is not None
    side = store.spec.label_side
    names = np.array([label.name for label in palette.classes])
    wanted = ~palette.void
    if np.count_nonzero(pixels) < 2:
        found = f"all pixels are '{names[pixels > 0][0]}'" if pixels.any() else "no pixel counts"
        raise UserError(
            f"--label_palette={palette.name}: in the train split's {side}s {found}, so there is "
            "nothing to learn; check the palette with `tfpix2pix inspect`, or give other pairs"
        )
    missing = names[wanted & (pixels == 0)]
    if not len(missing):
        return []
    return [
        f"these classes of '{palette.name}' occur nowhere in the train split, so that they are "
        f"never learned: {', '.join(missing)}"
    ]


def class_weights(pixels: np.ndarray, balance: float) -> np.ndarray:
    """Weights of classes in the loss: ``(median share / share) ** balance``.

    0 weighs every pixel alike; 1 is median frequency balancing (Eigen and Fergus, ICCV 2015).
    Classes without a pixel weigh nothing.
    """
    if not balance:
        return np.ones(len(pixels), np.float32)
    there = pixels > 0
    share = np.where(there, pixels, 1) / pixels.sum()
    weights = (np.median(share[there]) / share) ** balance
    return np.where(there, weights, 0.0).astype(np.float32)
