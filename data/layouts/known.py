"""The ways in which pairs lie in a folder, found by looking at names, and listed.

A further layout is one more listing in a file of its own and one more entry in `LAYOUTS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.data.layouts.pair_files import Listing
from tfpix2pix.data.layouts.split_folders import (
    OTHER_WAYS,
    has_images,
    split_folders,
    subfolders,
    unused,
)
from tfpix2pix.data.layouts.splits import DEFAULT_VAL_FRACTION, split_named
from tfpix2pix.data.layouts.two_folders import Folders, find_folders, list_two_folders


@dataclasses.dataclass(frozen=True)
class Layout:
    """One way to keep pairs in a folder.

    Attributes:
      name: as ``--layout`` has it.
      recognises: ``recognises(folder)``: each way in which the folder can be so read, in words.
      list: ``list(dataset, folder, options) -> Listing``; `dataset` is what the user typed.
    """

    name: str
    recognises: Callable[[Path], list[str]]
    list: Callable[[str, Path, ListingOptions], Listing]


@dataclasses.dataclass(frozen=True)
class ListingOptions:
    """What a layout may want to know: see `open_dataset`."""

    val_fraction: float = DEFAULT_VAL_FRACTION
    labels: bool = False


def folders_of(dataset: str, folder: Path) -> Folders:
    """Where A and B lie in a folder.

    Raises:
      DataError: there are none, or several that may be meant.
    """
    found = find_folders(folder)
    if len(found) > 1:
        raise DataError(_several(dataset, [f"{one.describe()}" for one in found]))
    if not found:
        raise DataError(
            f"--dataset={dataset}: --layout=two_folders, but there is neither A/ beside B/, "
            "trainA/ beside trainB/, nor train/A/ beside train/B/, nor images/ and masks/ or the "
            f"like for A and B; rename the folders so, {OTHER_WAYS}."
        )
    return found[0]


def _two_folders(dataset: str, folder: Path, options: ListingOptions) -> Listing:
    folders = folders_of(dataset, folder)
    return list_two_folders(f"--dataset={dataset}", folders, val_fraction=options.val_fraction)


def _side_by_side(dataset: str, folder: Path, options: ListingOptions) -> Listing:
    from tfpix2pix.data.layouts.side_by_side import list_side_by_side

    return list_side_by_side(
        dataset, folder, val_fraction=options.val_fraction, labels=options.labels
    )


def _single(dataset: str, folder: Path, options: ListingOptions) -> Listing:
    from tfpix2pix.data.layouts.side_by_side import list_side_by_side

    return list_side_by_side(dataset, folder, val_fraction=options.val_fraction, whole=True)


def _one_folder(dataset: str, folder: Path, options: ListingOptions) -> Listing:
    from tfpix2pix.data.layouts.one_folder import list_one_folder

    return list_one_folder(f"--dataset={dataset}", folder, val_fraction=options.val_fraction)


def _pairs_of_folders(folder: Path) -> list[str]:
    return [folders.describe() for folders in find_folders(folder)]


def _pairs_of_names(folder: Path) -> list[str]:
    from tfpix2pix.data.layouts.one_folder import find_changes

    return ["images with partners in one folder"] if find_changes(folder) else []


def _halves(folder: Path) -> list[str]:
    from tfpix2pix.data.layouts.side_by_side import image_folders

    places = [f"{path.name}/" if split else "" for split, path in image_folders(folder)]
    if places == [""] and not has_images(folder):
        return []
    return [f"images side by side in {places[0] or 'the folder itself'}"]


LAYOUTS: list[Layout] = [
    Layout("two_folders", _pairs_of_folders, _two_folders),
    Layout("one_folder", _pairs_of_names, _one_folder),
    Layout("side_by_side", _halves, _side_by_side),
    # Never found by looking: a single picture looks like two that touch.
    Layout("single", lambda folder: [], _single),
]


# === Listing ===


def list_folder(
    dataset: str, folder: Path, layout: str, options: ListingOptions, in_lab: bool
) -> Listing:
    if layout == "single" and not in_lab:
        raise DataError(
            f"--dataset={dataset}: single pictures are no pairs; give --color_space=lab to learn "
            "their colours, or make pairs of them with `tfpix2pix pairs`."
        )
    known = {each.name: each for each in LAYOUTS}
    chosen = layout if layout != "auto" else recognised(dataset, folder)
    listing = known[chosen].list(dataset, folder, options)
    if layout == "auto" and in_lab and chosen == "side_by_side":
        listing = _single_if_coloured(dataset, folder, options, listing)
    listing.notes += beside(folder, listing.files())
    return listing


def beside(folder: Path, files: Sequence[Path]) -> list[str]:
    """A remark on what lies beside the files of a set that are used, if anything does."""
    found = unused(folder, files)
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return [f"not used: {', '.join(found[:5])}{more}"] if found else []


def recognised(dataset: str, folder: Path) -> str:
    """The name of the layout that a folder has.

    Raises:
      DataError: it has none, or two may be meant.
    """
    ways = {known.name: known.recognises(folder) for known in LAYOUTS}
    folders = ways["two_folders"]
    images_too = ways["one_folder"] or (ways["side_by_side"] if _hold_images(folder) else [])
    if len(folders) == 1 and (not images_too or _is_plain(folder)):
        return "two_folders"
    if folders:
        layouts = ["two_folders"] if len(folders) == 1 else []
        if images_too:
            layouts.append("one_folder" if ways["one_folder"] else "side_by_side")
        raise DataError(_several(dataset, folders + images_too, layouts))
    for name in ("one_folder", "side_by_side"):
        if ways[name]:
            return name
    raise DataError(f"--dataset={dataset}: {_not_recognised(folder)}")


def _hold_images(folder: Path) -> bool:
    from tfpix2pix.data.layouts.side_by_side import image_folders

    return any(has_images(path) for _, path in image_folders(folder))


def _is_plain(folder: Path) -> bool:
    """A and B by these very names: what they are needs no guess."""
    return not find_folders(folder)[0].words[1]


def _several(dataset: str, ways: list[str], layouts: Sequence[str] = ()) -> str:
    """The refusal of a folder that may be read in several ways."""
    flags = " or ".join(f"--layout={name}" for name in layouts)
    return (
        f"--dataset={dataset}: it may be read in {len(ways)} ways, {' or '.join(ways)}; "
        + (f"give {flags}" if flags else "rename or move the folder that is not meant")
        + f", {OTHER_WAYS}."
    )


def _single_if_coloured(
    dataset: str, folder: Path, options: ListingOptions, listing: Listing
) -> Listing:
    """Pairs of grey and colour halves stay pairs; other pictures are colour photographs."""
    from tfpix2pix.data.images import UnreadableImage
    from tfpix2pix.data.layouts.pair_files import read_pair
    from tfpix2pix.data.sources.file_source import looks_grey

    for files in next(iter(listing.splits.values()))[:8]:
        try:
            halves = [looks_grey(picture) for picture in read_pair(files)]
        except UnreadableImage:
            continue
        except DataError:  # no two halves
            return _single(dataset, folder, options)
        if halves[0] == halves[1]:
            return _single(dataset, folder, options)
    return listing


def _not_recognised(folder: Path) -> str:
    """What the folder holds instead of a layout we know, and what to do."""
    folders = subfolders(folder)
    expected = (
        "expected train/ (and optionally val/, test/) with side-by-side images, A/ beside B/ (or "
        f"images/ beside masks/ and the like), or the images themselves, {OTHER_WAYS}"
    )
    inside = [path for path in folders if _pairs_of_folders(path) or split_folders(path)]
    if len(inside) == 1:
        return (
            f"it holds no pairs itself, but {inside[0].name}/ does; give --dataset={inside[0]}, or "
            f"{expected}."
        )
    if split_named(folder.name):
        return f"it holds no images and no train/; {expected}."
    found = ", ".join(f"{shown(path.name)}/" for path in folders[:5]) or "no folders"
    return f"it holds no images and no train/ (found: {found}); {expected}."
