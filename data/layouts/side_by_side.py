"""The pix2pix layout: images whose left half is A and right half is B.

In ``train/`` and optionally ``val/`` and ``test/``, or all in one folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.layouts.pair_files import Listing, PairFiles, count_text, list_images
from tfpix2pix.data.layouts.split_folders import OTHER_WAYS, has_images, split_folders

# Half of the real and drawn sets of pairs that were looked at have seams of 15 and more, their
# least median is 5; photographs 0.8 to 2.4.
SEAM = 3.0


def image_folders(folder: Path) -> list[tuple[str, Path]]:
    """Where images of splits lie: folders with the names of splits, else ("", the folder itself).

    Raises:
      DataError: two folders stand for one split.
    """
    splits = split_folders(folder)
    if splits and ("train" in splits or not has_images(folder)):
        return list(splits.items())
    return [("", folder)]


def seam_of(image: np.ndarray) -> float | None:
    """How clearly two pictures meet in the middle of an image.

    Args:
      image: ``[H, W, C]``, any type.

    Returns:
      The mean step from the middle column to the next over the median of all such steps: about 1
      in a photograph. None where nothing can be told, for both columns are of one same value, as
      of two objects on white.
    """
    height, width = image.shape[:2]
    # In 64 bits, for floats may be of any size.
    rows = image[:: max(1, height // 256)].astype(np.float64)
    if width < 4 or not np.isfinite(rows).all():
        return None
    steps = np.abs(np.diff(rows, axis=1)).mean(axis=(0, 2))
    middle = rows[:, width // 2 - 1 : width // 2 + 1]
    scale = float(rows.max() - rows.min())
    if middle.std() <= 0.01 * scale:
        return None
    return float(steps[width // 2 - 1] / max(float(np.median(steps)), 1e-3 * scale))


def median_seam(pictures: Iterable[np.ndarray]) -> float | None:
    """The median of `seam_of` over the images that tell; None if fewer than half do."""
    return median_told(map(seam_of, pictures))


def median_told(seams: Iterable[float | None]) -> float | None:
    """The median of those that are not None; None if fewer than half are."""
    seams = list(seams)
    told = [seam for seam in seams if seam is not None]
    return float(np.median(told)) if told and 2 * len(told) >= len(seams) else None


def list_side_by_side(
    dataset: str, folder: Path, *, val_fraction: float, whole: bool = False, labels: bool = False
) -> Listing:
    """Lists pairs that are one image each.

    Args:
      dataset: the data set as the user named it.
      folder: holds train/, or the images themselves, which are then split by a hash of their
        names.
      val_fraction: share of the images held out as val where there is no train/.
      whole: the images are single pictures, not pairs.
      labels: look for index maps in ``train_index/`` and so on, beside the images' own folder.

    Raises:
      DataError: there are no images, or none in a split that exists.
    """
    form = "single pictures" if whole else "side by side"
    folders = image_folders(folder)
    if not folders[0][0]:
        return _flat(dataset, folder, val_fraction, whole, form)
    listing = Listing(form, folder, {})
    for split, path in folders:
        files, others = list_images(path)
        if not files:
            also = f" (only {count_text(len(others), 'other file')})" if others else ""
            wish = "put images there" if split == "train" else "put images there or remove it"
            raise DataError(
                f"--dataset={dataset}: {path.name}/ holds no images{also}; expected "
                f"{'images' if whole else 'side-by-side images'}: {wish}, {OTHER_WAYS}."
            )
        index_maps = _index_maps(path.with_name(f"{path.name}_index")) if labels else {}
        listing.splits[split] = [
            PairFiles(file.stem, file, whole=whole, labels=index_maps.get(file.stem))
            for file in files
        ]
        found = sum(pair.labels is not None for pair in listing.splits[split])
        if found:
            listing.notes.append(
                f"{found} of {len(files)} label images of {split} are read from {path.name}_index/"
            )
        listing.ignored += [f"{path.name}/{name}" for name in others]
    return listing


def _flat(dataset: str, folder: Path, val_fraction: float, whole: bool, form: str) -> Listing:
    files, others = list_images(folder)
    if not files:
        raise DataError(
            f"--dataset={dataset}: it holds neither train/ nor images; expected train/ (and "
            "optionally val/, test/) with side-by-side images, or the images themselves, "
            f"{OTHER_WAYS}."
        )
    listing = Listing(f"{form}, split by name", folder, {"train": [], "val": []}, ignored=others)
    for path in files:
        listing.add("", PairFiles(path.stem, path, whole=whole), val_fraction)
    return listing


def _index_maps(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in list_images(folder)[0]}
