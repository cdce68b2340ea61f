"""Which images become which pairs: the input's layouts, splits, partners and the results' names."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.layouts.pair_files import count_text, list_images
from tfpix2pix.data.layouts.splits import split_of
from tfpix2pix.data.sources.base import SPLITS

_LISTED = 5


@dataclasses.dataclass(frozen=True)
class Job:
    """One pair to make.

    Attributes:
      sources: the image; or A and B.
      stem: its name without folder and extension.
      split: train, val or test.
      target: the result, relative to the output folder.
    """

    sources: tuple[Path, ...]
    stem: str
    split: str
    target: str


@dataclasses.dataclass(frozen=True)
class Folder:
    """An input folder: its images by split, or under ``""`` where it has no split folders.

    Attributes:
      named: the folder as the user named it, with the flag: ``--input=photos``.
    """

    named: str
    images: dict[str, list[Path]]

    @property
    def has_splits(self) -> bool:
        return "" not in self.images


def read_folder(path: Path, named: str) -> Folder:
    """Lists an input folder's images, by name.

    Raises:
      DataError: it is missing or no folder, holds no images, or has images both in split folders
        and beside them.
    """
    if not path.exists():
        raise DataError(f"{named}: no such folder; give a folder of images.")
    if not path.is_dir():
        raise DataError(f"{named}: a file, where a folder of images was expected; name the folder.")
    splits = [split for split in SPLITS if (path / split).is_dir()]
    beside = _images(path)
    if splits and beside:
        raise DataError(
            f"{named} holds {splits[0]}/ and {count_text(len(beside), 'image')} beside it "
            f"({beside[0].name}); move the images into train/, val/ or test/, or elsewhere."
        )
    images = {split: _images(path / split) for split in splits} or {"": beside}
    if not any(images.values()):
        raise DataError(f"{named} holds no images{_where_else(path, splits)}.")
    return Folder(named, images)


def single_jobs(folder: Folder, val_fraction: float) -> list[Job]:
    """One pair for each image; the split of the folder it lies in, else by its name's hash."""
    found = [(split, path) for split, paths in folder.images.items() for path in paths]
    # Two images that differ in their extension only both keep it in the result's name.
    stems = Counter((split, path.stem.casefold()) for split, path in found)
    jobs = []
    for split, path in found:
        alone = stems[split, path.stem.casefold()] == 1
        place = split or split_of(path.stem, val_fraction)
        name = path.stem if alone else path.name
        jobs.append(Job((path,), path.stem, place, f"{place}/{name}.png"))
    return _checked(jobs, folder.named)


def partner_jobs(a: Folder, b: Folder, val_fraction: float) -> list[Job]:
    """One pair for each name that both folders hold.

    Raises:
      DataError: images without a partner, or two of one name in a folder.
    """
    if a.has_splits != b.has_splits:
        one, other = (a, b) if a.has_splits else (b, a)
        raise DataError(
            f"{one.named} is divided into {', '.join(f'{s}/' for s in one.images)}, {other.named} "
            "is not; give both the same folders."
        )
    of_a, of_b = _by_stem(a), _by_stem(b)
    alone = [(a, of_a[key]) for key in of_a.keys() - of_b.keys()]
    alone += [(b, of_b[key]) for key in of_b.keys() - of_a.keys()]
    if alone:
        names = sorted(os.path.join(f.named.split("=", 1)[1], _label(f, p)) for f, p in alone)
        raise DataError(
            f"{count_text(len(alone), 'image')} of {a.named} and {b.named} without a partner of "
            f"the same name: {shortened(names)}; add the partners, or remove the images."
        )
    jobs = []
    for (split, stem), path in of_a.items():
        place = split or split_of(stem, val_fraction)
        jobs.append(Job((path, of_b[split, stem]), stem, place, f"{place}/{stem}.png"))
    return _checked(jobs, a.named)


def _checked(jobs: list[Job], named: str) -> list[Job]:
    """Sorted by split and name; refused if two would be one file (on some systems, case apart)."""
    seen: dict[str, Job] = {}
    for job in jobs:
        other = seen.setdefault(job.target.casefold(), job)
        if other is not job:
            raise DataError(
                f"{named}: {other.sources[0].name} and {job.sources[0].name} would both become "
                f"{job.target}; rename one of them."
            )
    return sorted(jobs, key=lambda job: (SPLITS.index(job.split), job.target))


def _by_stem(folder: Folder) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], Path] = {}
    for split, paths in folder.images.items():
        for path in paths:
            other = found.setdefault((split, path.stem), path)
            if other is not path:
                raise DataError(
                    f"{folder.named} holds {_label(folder, other)} and {_label(folder, path)}: one "
                    "name, two images; remove or rename one."
                )
    return found


def _label(folder: Folder, path: Path) -> str:
    return f"{path.parent.name}/{path.name}" if folder.has_splits else path.name


def _images(folder: Path) -> list[Path]:
    try:
        return list_images(folder)[0]
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}); give yourself read permission."
        ) from None


def _where_else(path: Path, splits: list[str]) -> str:
    """Why a folder holds no images: what is there instead, and what to do."""
    if splits:
        return f" in {', '.join(f'{s}/' for s in splits)}; put some there"
    below = sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    for name in below:
        if _images(path / name):
            return f", its folder {name}/ does; give that one"
    return "; expected images in it, or in train/, val/ and test/ below it"


def shortened(names: Iterable[str]) -> str:
    """The first few of a list and the number of the rest."""
    names = list(names)
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
