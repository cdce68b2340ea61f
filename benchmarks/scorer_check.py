"""Prints what a scorer finds in real photos that were spoiled: can it tell good from bad?

    python benchmarks/scorer_check.py --scorer=scorers/camvid-128 --dataset=../shared/data/camvid

A row is the val split spoiled in one way. Errors are bootstrap standard errors over images; the
last column is the drop of the IoU from the real photos in standard errors of that difference
(paired by image): beyond 2 or 3 the scorer tells the two apart on this many images.
"""

from __future__ import annotations

import numpy as np
from absl import app, flags

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.quiet import import_tensorflow
from tfpix2pix.data import evaluation_batches, open_store
from tfpix2pix.evaluation.base import Batch
from tfpix2pix.evaluation.bootstrap import resampled
from tfpix2pix.evaluation.fcn import FCNScore
from tfpix2pix.scorer import load_scorer
from tfpix2pix.scorer.labelled import open_labelled, palette_of, photos_and_classes

_SCORER = flags.DEFINE_string("scorer", None, "The scorer's folder.", required=True)
_DATASET = flags.DEFINE_string("dataset", None, "Pairs of photos and labels.", required=True)
_PALETTE = flags.DEFINE_string("label_palette", "", "Palette; empty to find it.")
_SPLIT = flags.DEFINE_string("split", "val", "Split of the data set.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the noise.")


def spoiled(photos: np.ndarray, classes: np.ndarray, colors: np.ndarray, seed: int):
    """Yields (name, photos) for uint8 photos ``[N, H, W, 3]`` and class numbers ``[N, H, W]``."""
    from skimage.filters import gaussian

    random = np.random.default_rng(seed)

    def byte(values: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)

    real = photos.astype(np.float64)
    yield "real photos", photos
    for sigma in (0.5, 1, 2, 4, 8):
        blurred = [gaussian(p, sigma, channel_axis=-1, preserve_range=True) for p in real]
        yield f"blurred, sigma {sigma} px", byte(np.stack(blurred))
    for sigma in (5, 10, 20, 40):
        yield f"noise, sigma {sigma} of 255", byte(real + sigma * random.normal(size=real.shape))
    grey = real @ np.array([0.299, 0.587, 0.114])
    for share in (0.5, 1.0):
        yield f"{share:.0%} grey", byte(real + share * (grey[..., None] - real))
    yield "red and blue exchanged", photos[..., ::-1]
    yield "half as bright", byte(real / 2)
    yield "half the contrast", byte(real / 2 + real.mean(axis=(1, 2), keepdims=True) / 2)
    yield "upside down", photos[:, ::-1]
    yield "mirrored", photos[:, :, ::-1]
    for shift in (2, 8, 32):
        yield f"moved {shift} px to the side", np.roll(photos, shift, axis=2)
    # What an L1 generator tends to: the mean colour of every class, flat.
    means = np.zeros((len(colors), 3))
    for number in np.unique(classes):
        means[number] = real[classes == number].mean(axis=0)
    flat = means[classes]
    yield "every class in its mean colour", byte(flat)
    yield "halfway to that", byte((real + flat) / 2)
    yield "the label colours themselves", colors[classes]
    yield "another image's photo", np.roll(photos, len(photos) // 2, axis=0)
    yield "one grey level", np.full_like(photos, 127)


def main(argv: list[str]) -> None:
    del argv
    import_tensorflow()
    scorer = load_scorer(_SCORER.value)
    said: list[str] = []
    config = Pix2PixConfig(
        dataset=_DATASET.value,
        label_palette=_PALETTE.value,
        crop_size=32,
        load_size=scorer.size,
    )
    source = open_labelled(config, said)
    palette = palette_of(source.spec)
    scorer.check(palette, scorer.size)
    store = open_store(source, _SPLIT.value, size=scorer.size)
    photos, classes, masks = [], [], []
    for x, y, *measured in evaluation_batches(store, size=scorer.size):
        photo, number = photos_and_classes(store.spec, x, y)
        photos.append(np.rint((photo.numpy() + 1.0) * 127.5).astype(np.uint8))
        classes.append(number.numpy())
        masks += [mask.numpy()[..., 0] > 0 for mask in measured]
    photos, classes = np.concatenate(photos), np.concatenate(classes)
    counted = np.concatenate(masks) if masks else None
    print(f"{_SCORER.value}: {scorer.identity[:12]}, {len(photos)} images of {_SPLIT.value}")
    print("| photos | per-pixel | per-class | IoU | drop of IoU in standard errors |")
    print("| --- | --- | --- | --- | --- |")
    names = [str(index) for index in range(len(photos))]
    first = None
    for what, changed in spoiled(photos, classes, palette.colors, _SEED.value):
        evaluator = FCNScore(scorer)
        evaluator.update(
            Batch(names, photos, np.ascontiguousarray(changed), classes, measured=counted)
        )
        numbers = evaluator.result()
        drawn = resampled(FCNScore, evaluator.statistics, seed=0)
        cells = [
            f"{numbers[name]:.3f} ± {np.nanstd(drawn[name], ddof=1):.3f}"
            for name in ("fcn_per_pixel", "fcn_per_class", "fcn_iou")
        ]
        first = drawn["fcn_iou"] if first is None else first
        drop = first - drawn["fcn_iou"]  # the same draws, so paired
        error = drop.std(ddof=1)
        cells.append(f"{drop.mean() / error:.1f}" if error else "")
        print(f"| {what} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    app.run(main)
