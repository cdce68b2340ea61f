"""A and B in folders of their own: two images with the same stem are a pair."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.layouts.pair_files import Fault, Listing, PairFiles, count_text, list_images
from tfpix2pix.data.layouts.splits import split_of
from tfpix2pix.data.sources.base import SPLITS


@dataclasses.dataclass(frozen=True)
class Folders:
    """Where A and B of a data set lie.

    Attributes:
      root: messages name files from here.
      splits: (folder of A, folder of B) by split; "" where the names decide the split.
      may_be_unpaired: the folders' names are those of unpaired sets as well.
    """

    root: Path
    splits: dict[str, tuple[Path, Path]]
    may_be_unpaired: bool = False


def find_folders(folder: Path) -> Folders | None:
    """The folders of A and B in any of the forms that people use, or None.

    ``A/train`` and ``B/train``; ``A`` and ``B`` with the images themselves; ``trainA`` and
    ``trainB``; ``train/A`` and ``train/B``; the same with val and test.
    """
    if (folder / "A").is_dir() and (folder / "B").is_dir():
        return _below(folder, folder / "A", folder / "B")
    if (folder / "trainA").is_dir() and (folder / "trainB").is_dir():
        pairs = {s: (folder / f"{s}A", folder / f"{s}B") for s in SPLITS}
        return Folders(folder, _existing(pairs), may_be_unpaired=True)
    if (folder / "train" / "A").is_dir() and (folder / "train" / "B").is_dir():
        return Folders(folder, _existing({s: (folder / s / "A", folder / s / "B") for s in SPLITS}))
    return None


def named_folders(input_dir: str, target_dir: str) -> Folders:
    """The folders of ``--input_dir`` and ``--target_dir``.

    Raises:
      DataError: one of the two is no folder.
    """
    found = []
    for flag, name in (("input_dir", input_dir), ("target_dir", target_dir)):
        path = Path(os.path.expanduser(name))
        if not path.is_dir():
            what = "a file" if path.exists() else "no such folder"
            raise DataError(f"--{flag}={name}: {what}; expected a folder of images.")
        found.append(path.absolute())
    root = os.path.commonpath([folder.parent for folder in found])
    return _below(Path(root), *found)


def _below(root: Path, a: Path, b: Path) -> Folders:
    if (a / "train").is_dir() or (b / "train").is_dir():
        return Folders(root, _existing({s: (a / s, b / s) for s in SPLITS}))
    return Folders(root, {"": (a, b)})


def _existing(splits: dict[str, tuple[Path, Path]]) -> dict[str, tuple[Path, Path]]:
    return {s: pair for s, pair in splits.items() if pair[0].is_dir() or pair[1].is_dir()}


def list_two_folders(dataset: str, folders: Folders, *, val_fraction: float) -> Listing:
    """Lists the pairs by stem; extensions may differ.

    Files without a partner, and stems that one folder holds twice, become faults of the listing.

    Args:
      dataset: the data set as the user named it, with its flag.
      folders: where A and B lie.
      val_fraction: share of the pairs held out as val where there are no split folders.

    Raises:
      DataError: a folder is missing or empty, no two stems agree, or the images are unpaired.
    """
    listing = Listing("two folders", folders.root, {})
    for split, (a, b) in folders.splits.items():
        stems = [_by_stem(dataset, listing, folder) for folder in (a, b)]
        common = sorted(stems[0].keys() & stems[1].keys())
        names = [listing.label(folder) for folder in (a, b)]
        if folders.may_be_unpaired and len(common) < min(map(len, stems)) / 2:
            raise DataError(
                f"{dataset}: unpaired, {len(common)} of the {len(stems[0]):,} images in "
                f"{names[0]}/ have a partner of the same stem in {names[1]}/; unpaired training "
                "(CycleGAN) is not there yet, and pix2pix needs pairs: give partners one stem."
            )
        if not common:
            raise DataError(
                f"{dataset}: no pairs, for no image in {names[0]}/ has a partner of the same stem "
                f"in {names[1]}/ (found {_first(stems[0])} there and {_first(stems[1])} here); "
                "give partners one stem."
            )
        for here, there, name in ((stems[0], stems[1], names[1]), (stems[1], stems[0], names[0])):
            alone = sorted(here.keys() - there.keys())
            if alone:
                entries = tuple(listing.label(here[stem]) for stem in alone)
                what = f"without a partner of the same stem in {name}/"
                listing.faults.append(Fault(what, entries))
        for stem in common:
            pair = PairFiles(stem, stems[0][stem], stems[1][stem])
            target = split or split_of(stem, val_fraction)
            listing.splits.setdefault(target, []).append(pair)
    return listing


def _by_stem(dataset: str, listing: Listing, folder: Path) -> dict[str, Path]:
    name = listing.label(folder)
    if not folder.is_dir():
        raise DataError(
            f"{dataset}: there is no {name}/; expected it beside its counterpart, with the "
            "partners of the images there."
        )
    files, others = list_images(folder)
    listing.ignored += [f"{name}/{other}" for other in others]
    if not files:
        also = f" (only {count_text(len(others), 'other file')})" if others else ""
        raise DataError(f"{dataset}: {name}/ holds no images{also}; put images there.")
    stems: dict[str, Path] = {}
    twice = []
    for path in files:
        if stems.setdefault(path.stem, path) is not path:
            twice.append(f"{listing.label(path)}: {stems[path.stem].name} has the same stem")
    if twice:
        listing.faults.append(Fault("of a stem that another image has; keep one", tuple(twice)))
    return stems


def _first(stems: dict[str, Path]) -> str:
    return next(iter(stems.values())).name
