"""The pix2pix layout: images whose left half is A and right half is B.

In ``train/`` and optionally ``val/`` and ``test/``, or all in one folder.
"""

from __future__ import annotations

from pathlib import Path

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.layouts.pair_files import Listing, PairFiles, count_text, list_images
from tfpix2pix.data.layouts.splits import split_of
from tfpix2pix.data.sources.base import SPLITS


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
    if not (folder / "train").is_dir():
        return _flat(dataset, folder, val_fraction, whole, form)
    listing = Listing(form, folder, {})
    for split in SPLITS:
        if not (folder / split).is_dir():
            continue
        files, others = list_images(folder / split)
        if not files:
            also = f" (only {count_text(len(others), 'other file')})" if others else ""
            wish = "put images there" if split == "train" else "put images there or remove it"
            raise DataError(
                f"--dataset={dataset}: {split}/ holds no images{also}; expected "
                f"{'images' if whole else 'side-by-side images'}: {wish}."
            )
        index_maps = _index_maps(folder / f"{split}_index") if labels else {}
        listing.splits[split] = [
            PairFiles(path.stem, path, whole=whole, labels=index_maps.get(path.stem))
            for path in files
        ]
        found = sum(pair.labels is not None for pair in listing.splits[split])
        if found:
            listing.notes.append(
                f"{found} of {len(files)} label images of {split} are read from {split}_index/"
            )
        listing.ignored += [f"{split}/{name}" for name in others]
    return listing


def _flat(dataset: str, folder: Path, val_fraction: float, whole: bool, form: str) -> Listing:
    files, others = list_images(folder)
    if not files:
        raise DataError(
            f"--dataset={dataset}: it holds neither train/ nor images; expected train/ (and "
            "optionally val/, test/) with side-by-side images, or the images themselves."
        )
    splits: dict[str, list[PairFiles]] = {"train": [], "val": []}
    for path in files:
        pair = PairFiles(path.stem, path, whole=whole)
        splits[split_of(path.stem, val_fraction)].append(pair)
    return Listing(f"{form}, split by name", folder, splits, ignored=others)


def _index_maps(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in list_images(folder)[0]}
