"""Opens a data set by what the user typed: a known name, else whatever layout lies at that path."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import DataError, UserError
from tfpix2pix.base.size import Size
from tfpix2pix.data.config import (
    ARRAYS,
    LEARNS_PAIRS,
    LEARNS_UNPAIRED,
    UNPAIRED,
    DataConfig,
)
from tfpix2pix.data.layouts.known import (
    ListingOptions,
    beside,
    folders_of,
    list_folder,
    recognised,
)
from tfpix2pix.data.layouts.pair_files import Listing
from tfpix2pix.data.layouts.table import EXTENSIONS
from tfpix2pix.data.sources.base import PairSource, UnpairedError
from tfpix2pix.data.spec import ImageWish, PairWish

if TYPE_CHECKING:
    from tfpix2pix.data.sources.arrays import PairArrays
    from tfpix2pix.data.sources.paper_sets import StageProgress

# The fields of an `ImageWish`, as config and flags call them behind input_ or target_.
_OF_A_SIDE = ("channels", "dtype", "range", "planes", "alpha", "ignore")


def open_dataset(
    data: Any,
    /,
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
    if data.unpaired:
        return _unpaired(data, arrays, sample_size, stages, training)
    return _pairs(data, arrays, sample_size, stages, training)


def _wish(data: DataConfig) -> PairWish:
    """What a config asks of both images."""
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
    return PairWish(
        x,
        y,
        palette,
        data.label_side,
        data.input_encoding,
        data.color_space,
        data.target_encoding,
    )


def _pairs(
    data: DataConfig,
    arrays: Any,
    sample_size: Size | int,
    stages: StageProgress | None,
    training: bool,
) -> PairSource:
    """A set of pairs; arguments and errors of `open_dataset`."""
    wish = _wish(data)
    if data.dataset == "sample" and not data.input_dir:
        from tfpix2pix.data.sources.sample_source import SampleSource

        return SampleSource(
            data.seed,
            data.sample_pairs,
            sample_size,
            direction=data.direction,
            wish=wish,
            labels=data.sample_labels,
        )

    if data.dataset == ARRAYS and not data.input_dir:
        return _arrays(data, arrays, wish)

    named_sides = True  # input and target are told by name, not by direction
    options = ListingOptions(data.val_fraction, labels=wish.palette is not None)
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
                listing = list_folder(data.dataset, folder, layout, options, wish.in_lab)
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


def _unpaired(
    data: DataConfig,
    arrays: Any,
    sample_size: Size | int,
    stages: StageProgress | None,
    training: bool,
) -> PairSource:
    """Images of two sides; arguments and errors of `open_dataset`."""
    from tfpix2pix.data.sources.unpaired import BrokenPairs
    from tfpix2pix.data.sources.unpaired_arrays import UnpairedArrays
    from tfpix2pix.data.sources.unpaired_files import UnpairedFiles

    wish, asked = _wish(data), data.data == UNPAIRED
    if wish.in_lab:
        raise DataError(
            "--color_space=lab learns the colours of each photograph from itself, which is a pair; "
            f"leave it out with images that are no pairs, or give {LEARNS_PAIRS}."
        )
    if data.dataset == ARRAYS and not data.input_dir:
        given = _handed_over(data, arrays)
        if not (asked and given.are_pairs):
            return UnpairedArrays(
                given,
                wish=wish,
                val_fraction=data.val_fraction,
                allow_mixed_sizes=data.allow_mixed_sizes,
            )
    known = data.dataset in ("sample", ARRAYS) and not data.input_dir
    sides = None if known else _sides(data, stages)
    if sides is None or (asked and sides.pairs):
        pairs = _pairs(data, arrays, sample_size, stages, training)
        if not (asked or known):
            if not training:  # what was learned without pairs is measured on some
                return pairs
            raise DataError(
                f"{pairs.name}: pairs, and the algorithm learns from images of two sides that are "
                "none; --data=unpaired trains it on these in an order that breaks the pairs, and "
                f"{LEARNS_PAIRS} learns from them."
            )
        return BrokenPairs(pairs, seed=data.seed, disjoint=data.disjoint_stems)
    if data.disjoint_stems:
        raise DataError(
            f"{sides.name}: --disjoint_stems keeps the partners of pairs apart, and these are two "
            "sides; leave it out, or, if images of one stem are pairs, give every image a partner "
            "and --data=unpaired."
        )
    if sides.pairs:
        sides.listings[0].notes.append(
            "the images of both sides have the same names: if they are pairs, --data=unpaired "
            "measures val and test as such, and --disjoint_stems keeps partners apart in training"
        )
    return UnpairedFiles(
        sides.name,
        *sides.listings,
        direction=data.direction if sides.by_direction else "AtoB",
        wish=wish,
        allow_mixed_sizes=data.allow_mixed_sizes,
        training=training,
    )


@dataclasses.dataclass(frozen=True)
class _Sides:
    """Images of two sides, as a layout found them.

    Attributes:
      name: of the data set, with its flag.
      listings: of A and of B.
      by_direction: the direction says which is the input; else A is.
      pairs: they may also be read as pairs, each image with a partner.
    """

    name: str
    listings: tuple[Listing, Listing]
    by_direction: bool
    pairs: bool


def _sides(data: DataConfig, stages: StageProgress | None) -> _Sides | None:
    """The two sides of a set of files; None where pairs lie there.

    Raises:
      DataError: as `open_dataset`.
    """
    from tfpix2pix.data.layouts.two_folders import are_partners, list_unpaired, named_folders
    from tfpix2pix.data.layouts.unpaired_manifest import list_lists, list_unpaired_table

    if data.input_dir or data.target_dir:
        name = f"--input_dir={data.input_dir} --target_dir={data.target_dir}"
        both = _both_folders(data)
        files = [Path(os.path.expanduser(one)) for one in both]
        if all(path.is_file() and path.suffix.lower() in EXTENSIONS for path in files):
            flags = (f"--input_dir={both[0]}", f"--target_dir={both[1]}")
            lists = list_lists(
                list(zip(flags, files, strict=True)),
                split_key=data.split_key,
                val_fraction=data.val_fraction,
            )
            return _Sides(name, (lists.a, lists.b), False, False)
        folders = named_folders(*both)
    else:
        name = f"--dataset={data.dataset}"
        place, layout = _folder_of(data, stages)
        if place.is_file():
            path = _checked_table(data, place)
            table = list_unpaired_table(data.dataset, path, **_of_a_table(data))
            if table is None:
                return None
            return _Sides(name, (table.a, table.b), table.by_direction, False)
        if layout == "auto":
            layout = recognised(data.dataset, place)
        if layout not in ("two_folders", "unpaired"):
            return None
        folders = folders_of(data.dataset, place)
    listings = list_unpaired(name, folders, val_fraction=data.val_fraction)
    if not data.input_dir:
        listings[0].notes += beside(place, [*listings[0].files(), *listings[1].files()])
    pairs = are_partners(*listings)
    return _Sides(name, listings, not data.input_dir, pairs)


def _arrays(data: DataConfig, arrays: Any, wish: PairWish) -> PairSource:
    from tfpix2pix.data.sources.arrays import ArraySource

    return ArraySource(
        _handed_over(data, arrays),
        wish=wish,
        val_fraction=data.val_fraction,
        allow_mixed_sizes=data.allow_mixed_sizes,
    )


def _handed_over(data: DataConfig, arrays: Any) -> PairArrays:
    """The arrays of a run that is trained on arrays."""
    from tfpix2pix.data.sources.arrays import PairArrays

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
    return arrays if isinstance(arrays, PairArrays) else PairArrays(arrays)


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
            input_key=data.input_key,
            target_key=data.target_key,
            data_dir=place,
            progress=stages,
            unpaired=data.unpaired,
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


def _list_named_folders(name: str, data: DataConfig) -> Listing:
    from tfpix2pix.data.layouts.two_folders import list_two_folders, named_folders

    folders = named_folders(*_both_folders(data))
    return list_two_folders(name, folders, val_fraction=data.val_fraction)


def _both_folders(data: DataConfig) -> tuple[str, str]:
    if not (data.input_dir and data.target_dir):
        missing = "target_dir" if data.input_dir else "input_dir"
        raise DataError(
            f"--{missing} is missing; two folders need both --input_dir and --target_dir."
        )
    return data.input_dir, data.target_dir


def _list_manifest(data: DataConfig, path: Path) -> Listing:
    from tfpix2pix.data.layouts.manifest import list_manifest
    from tfpix2pix.data.layouts.unpaired_manifest import list_unpaired_table

    path, fields = _checked_table(data, path), _of_a_table(data)
    try:
        return list_manifest(data.dataset, path, **fields)
    except DataError:
        two_sides = None
        with contextlib.suppress(DataError):
            two_sides = list_unpaired_table(data.dataset, path, **fields)
        if two_sides is None or not two_sides.told:
            raise
    raise UnpairedError(
        f"--dataset={data.dataset}: images of two sides that are no pairs; {LEARNS_UNPAIRED} "
        "learns from them, and a table of pairs has two files in every row, in the columns input "
        "and target."
    )


def _of_a_table(data: DataConfig) -> dict[str, Any]:
    names = ("input_key", "target_key", "split_key", "val_fraction")
    return {name: getattr(data, name) for name in names}


def _checked_table(data: DataConfig, path: Path) -> Path:
    """Raises DataError for a file that is no table by its name."""
    if path.suffix.lower() not in EXTENSIONS:
        raise DataError(
            f"--dataset={data.dataset}: a file, where a folder with train/ in it or a manifest "
            f"({', '.join(EXTENSIONS)}) was expected; name the folder, and save a "
            "spreadsheet as CSV."
        )
    return path
