"""Folders of a data set: those of splits, by the names that people give them, and those unused."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.data import images
from tfpix2pix.data.layouts.pair_files import count_text
from tfpix2pix.data.layouts.splits import split_named
from tfpix2pix.data.sources.base import SPLITS

# How pairs can always be named, whatever the folders are called.
OTHER_WAYS = (
    "or give two folders, --input_dir=FOLDER --target_dir=FOLDER, or name every pair in a table, "
    "--dataset=pairs.csv with the columns input and target; images are "
    + ", ".join(images.EXTENSIONS)
)


def subfolders(folder: Path) -> list[Path]:
    """The visible folders in a folder, by name; macOS's archives leave a __MACOSX/ behind."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.is_dir() and not e.name.startswith((".", "__"))]
    return [folder / name for name in sorted(names)]


def split_folders(folder: Path) -> dict[str, Path]:
    """The folders of splits in a folder, as `splits.split_named` knows them, in the order of
    `SPLITS`.

    Raises:
      DataError: two folders stand for one split.
    """
    found: dict[str, Path] = {}
    for path in subfolders(folder):
        split = split_named(path.name)
        if split and split in found:
            raise DataError(
                f"{shown(folder)}: {found[split].name}/ and {path.name}/ both stand for {split}; "
                "move all its images into one of the two, or rename the one that is not meant."
            )
        if split:
            found[split] = path
    return {split: found[split] for split in SPLITS if split in found}


def has_images(folder: Path) -> bool:
    """True if images lie right in the folder."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(images.is_image_name(entry.name) and entry.is_file() for entry in entries)


def holds_images(folder: Path) -> bool:
    """True if images lie in the folder, or in folders of splits in it."""
    return has_images(folder) or any(
        split_named(path.name) and has_images(path) for path in subfolders(folder)
    )


def unused(root: Path, files: Iterable[Path]) -> list[str]:
    """What lies beside the files that are used: folders, and images in folders of none of them.

    Args:
      root: the data set's folder.
      files: of all pairs.

    Returns:
      ``extra/ (12 images)`` and the like, named from `root`.
    """
    used = {path.parent for path in files}
    on_the_way = {parent for folder in used for parent in (folder, *folder.parents)}
    found = []
    for folder in sorted({root, *(path for path in on_the_way if root in path.parents)}):
        if folder not in used and (count := _count(folder)):
            name = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
            found.append(f"{count_text(count, 'image')} right in {shown(name) or 'the folder'}")
        found += [
            f"{shown(path.relative_to(root).as_posix())}/ ({count_text(_count(path), 'image')})"
            for path in subfolders(folder)
            if path not in on_the_way and not path.name.endswith("_index") and any(path.iterdir())
        ]
    return found


def _count(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(images.is_image_name(entry.name) and entry.is_file() for entry in entries)
