"""Opens a data set by what the user typed: a known name, else whatever layout lies at that path.

A further layout is one more listing in a file of its own and one more entry in `LAYOUTS`. An
unpaired set is recognised by `two_folders`, where unpaired training will find it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import DataError, UserError
from tfpix2pix.base.files import shown
from tfpix2pix.base.size import Size
from tfpix2pix.data.config import ARRAYS, DataConfig
from tfpix2pix.data.layouts.pair_files import Listing
from tfpix2pix.data.layouts.split_folders import (
    OTHER_WAYS,
    has_images,
    split_folders,
    subfolders,
    unused,
)
from tfpix2pix.data.layouts.splits import DEFAULT_VAL_FRACTION, split_named
from tfpix2pix.data.sources.base import PairSource
from tfpix2pix.data.spec import ImageWish, PairWish

if TYPE_CHECKING:
    from tfpix2pix.data.sources.paper_sets import StageProgress


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


def _two_folders(dataset: str, folder: Path, options: ListingOptions) -> Listing:
    from tfpix2pix.data.layouts.two_folders import find_folders, list_two_folders

    found = find_folders(folder)
    if len(found) > 1:
        raise DataError(_several(dataset, [f"{one.describe()}" for one in found]))
    if not found:
        raise DataError(
            f"--dataset={dataset}: --layout=two_folders, but there is neither A/ beside B/, "
            "trainA/ beside trainB/, nor train/A/ beside train/B/, nor images/ and masks/ or the "
            f"like for A and B; rename the folders so, {OTHER_WAYS}."
        )
    return list_two_folders(f"--dataset={dataset}", found[0], val_fraction=options.val_fraction)


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
    from tfpix2pix.data.layouts.two_folders import find_folders

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


# The fields of an `ImageWish`, as config and flags call them behind input_ or target_.
_OF_A_SIDE = ("channels", "dtype", "range", "planes", "alpha", "ignore")


def open_dataset(
    data: Any,
    *,
    arrays: Any = None,
    sample_size: Size | int = 256,
    stages: StageProgress | None = None,
    training: bool = True,
    **fields: Any,
) -> PairSource:
    """Opens a data set by name or path, or arrays. Lists names, decodes nothing; see
    `PairSource.check`.

    Args:
      data: which data set, and how it is read: a `DataConfig`, or its `DataConfig.dataset` alone,
        or arrays as `sources.arrays.PairArrays` takes them.
      arrays: of a `DataConfig` whose dataset is `ARRAYS`: them.
      sample_size: for ``sample``: of its images, pixels.
      stages: told how a download goes on; `sources.paper_sets.stage_lines` prints it.
      training: refuse a data set without training pairs; to measure on, any split will do.
      **fields: of `DataConfig`, in the place of those of `data`.

    Raises:
      DataError: the data set is not there, not recognised or empty, or an option is out of
        range. The message names the flag and says what to do.
    """
    fields = {k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in fields.items()}
    if not isinstance(data, str | os.PathLike | DataConfig):
        arrays, data = data, ARRAYS
    try:
        if isinstance(data, str | os.PathLike):
            data = DataConfig(dataset=os.fspath(data), **fields)
        elif fields:
            data = dataclasses.replace(data, **fields)
    except UserError as error:
        raise DataError(str(error)) from None
    palette = None
    if data.label_palette:
        from tfpix2pix.data.palette import load_palette

        palette = load_palette(data.label_palette)
    x, y = (
        ImageWish(
            flag,
            *(getattr(data, f"{flag}_{of}") for of in _OF_A_SIDE),
        )
        for flag in ("input", "target")
    )
    wish = PairWish(
        x,
        y,
        palette,
        data.label_side,
        data.input_encoding,
        data.color_space,
    )
    if data.dataset == "sample" and not data.input_dir:
        from tfpix2pix.data.sources.sample_source import SampleSource

        return SampleSource(
            data.seed, data.sample_pairs, sample_size, direction=data.direction, wish=wish
        )

    if data.dataset == ARRAYS and not data.input_dir:
        return _arrays(data, arrays, wish)

    named_sides = True  # input and target are told by name, not by direction
    options = ListingOptions(data.val_fraction, labels=palette is not None)
    if data.input_dir or data.target_dir:
        name = f"--input_dir={data.input_dir} --target_dir={data.target_dir}"
        listing = _list_named_folders(name, data)
    else:
        name = f"--dataset={data.dataset}"
        folder, layout = _folder_of(data, stages)
        try:
            if folder.is_file():
                listing = _list_manifest(data, folder)
            else:
                named_sides = data.dataset.startswith("tfds:")
                listing = _list_folder(data.dataset, folder, layout, options, wish.in_lab)
        except PermissionError as error:
            raise DataError(
                f"--dataset={data.dataset}: {error.filename} cannot be read (permission denied); "
                "give yourself read permission."
            ) from None
    from tfpix2pix.data.sources.file_source import FileSource

    return FileSource(
        name,
        listing,
        direction="AtoB" if named_sides else data.direction,
        wish=wish,
        allow_mixed_sizes=data.allow_mixed_sizes,
        training=training,
    )


def _arrays(data: DataConfig, arrays: Any, wish: PairWish) -> PairSource:
    from tfpix2pix.data.sources.arrays import ArraySource

    if arrays is None:
        raise DataError(
            f"--dataset={ARRAYS}: the run was trained on arrays, which are in no file; go on from "
            "Python with the same arrays, tfpix2pix.train((x, y), workdir=...), or, to evaluate "
            "or export, with --dataset=FOLDER of files."
        )
    if data.direction != "AtoB":
        raise DataError(
            f"--direction={data.direction}: of arrays (x, y) x is the input; hand over (y, x)."
        )
    return ArraySource(
        arrays,
        wish=wish,
        val_fraction=data.val_fraction,
        allow_mixed_sizes=data.allow_mixed_sizes,
    )


# === Where the data lie ===


def _folder_of(data: DataConfig, stages: StageProgress | None) -> tuple[Path, str]:
    """The folder (or manifest) that a name or path stands for, and the layout it has there."""
    dataset = data.dataset
    if not dataset:
        raise DataError("--dataset= is empty; expected 'sample' or the path of a folder.")
    from tfpix2pix.data.sources.paper_sets import PAPER_SETS, default_data_dir, paper_set

    place = Path(os.path.expanduser(data.data_dir)) if data.data_dir else default_data_dir()
    if dataset.startswith("tfds:"):
        from tfpix2pix.data.sources.tfds_sets import tfds_folder

        return tfds_folder(
            dataset[len("tfds:") :],
            input_key=data.input_key or "input_image",
            target_key=data.target_key or "real_image",
            data_dir=place,
            progress=stages,
        )
    # Shells leave the tilde of --dataset=~/pairs alone.
    path = Path(os.path.expanduser(dataset))
    if not path.exists():
        if dataset in PAPER_SETS:
            return paper_set(dataset, place, progress=stages), "side_by_side"
        raise DataError(f"--dataset={dataset}: {_no_such(dataset, path, list(PAPER_SETS))}")
    return path, data.layout


def _no_such(dataset: str, folder: Path, paper_sets: list[str]) -> str:
    """Why a missing data set is missing, with the nearest name there is."""
    candidates = ["sample", *paper_sets] if os.sep not in dataset else []
    beside: list[str] = []
    with contextlib.suppress(OSError):
        beside = [entry.name for entry in folder.parent.iterdir() if entry.is_dir()]
    near = difflib.get_close_matches(folder.name, candidates + beside, n=1)
    if near:
        named = near[0] if near[0] in candidates else str(folder.parent / near[0])
        return f"no such folder and no such data set; did you mean '{named}'?"
    return (
        "no such folder and no such data set; expected 'sample' or a folder with side-by-side "
        f"images in train/, a manifest, tfds:NAME, or one of {', '.join(paper_sets)}."
    )


# === Listing ===


def _list_folder(
    dataset: str, folder: Path, layout: str, options: ListingOptions, in_lab: bool
) -> Listing:
    if layout == "single" and not in_lab:
        raise DataError(
            f"--dataset={dataset}: single pictures are no pairs; give --color_space=lab to learn "
            "their colours, or make pairs of them with `tfpix2pix pairs`."
        )
    known = {each.name: each for each in LAYOUTS}
    chosen = layout if layout != "auto" else _recognised(dataset, folder)
    listing = known[chosen].list(dataset, folder, options)
    if layout == "auto" and in_lab and chosen == "side_by_side":
        listing = _single_if_coloured(dataset, folder, options, listing)
    beside = unused(folder, listing.files())
    if beside:
        more = f" and {len(beside) - 5} more" if len(beside) > 5 else ""
        listing.notes.append(f"not used: {', '.join(beside[:5])}{more}")
    return listing


def _recognised(dataset: str, folder: Path) -> str:
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
    from tfpix2pix.data.layouts.two_folders import find_folders

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


def _list_named_folders(name: str, data: DataConfig) -> Listing:
    from tfpix2pix.data.layouts.two_folders import list_two_folders, named_folders

    if not (data.input_dir and data.target_dir):
        missing = "target_dir" if data.input_dir else "input_dir"
        raise DataError(
            f"--{missing} is missing; two folders need both --input_dir and --target_dir."
        )
    folders = named_folders(data.input_dir, data.target_dir)
    return list_two_folders(name, folders, val_fraction=data.val_fraction)


def _list_manifest(data: DataConfig, path: Path) -> Listing:
    from tfpix2pix.data.layouts.manifest import EXTENSIONS, list_manifest

    if path.suffix.lower() not in EXTENSIONS:
        raise DataError(
            f"--dataset={data.dataset}: a file, where a folder with train/ in it or a manifest "
            f"({', '.join(EXTENSIONS)}) was expected; name the folder, and save a "
            "spreadsheet as CSV."
        )
    return list_manifest(
        data.dataset,
        path,
        input_key=data.input_key,
        target_key=data.target_key,
        split_key=data.split_key,
        val_fraction=data.val_fraction,
    )


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
