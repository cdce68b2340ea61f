"""Opens a data set by what the user typed: a known name, else whatever layout lies at that path.

A further layout is one more listing in a file of its own and one more entry in `LAYOUTS`. An
unpaired set is recognised by `two_folders`, where unpaired training will find it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.forms import FormWish, SideWish
from tfpix2pix.data.layouts.pair_files import Listing
from tfpix2pix.data.layouts.splits import DEFAULT_VAL_FRACTION, check_val_fraction
from tfpix2pix.data.sources.base import SPLITS, PairSource, check_direction

if TYPE_CHECKING:
    from tfpix2pix.data.sources.paper_sets import StageProgress


@dataclasses.dataclass(frozen=True)
class Layout:
    """One way to keep pairs in a folder.

    Attributes:
      name: as ``--layout`` has it.
      recognises: ``recognises(folder) -> bool``, by looking at names only.
      list: ``list(dataset, folder, options) -> Listing``; `dataset` is what the user typed.
    """

    name: str
    recognises: Callable[[Path], bool]
    list: Callable[[str, Path, ListingOptions], Listing]


@dataclasses.dataclass(frozen=True)
class ListingOptions:
    """What a layout may want to know: see `open_dataset`."""

    val_fraction: float = DEFAULT_VAL_FRACTION
    labels: bool = False


def _two_folders(dataset: str, folder: Path, options: ListingOptions) -> Listing:
    from tfpix2pix.data.layouts.two_folders import find_folders, list_two_folders

    folders = find_folders(folder)
    if folders is None:
        raise DataError(
            f"--dataset={dataset}: --layout=two_folders, but there is neither A/ beside B/, "
            "trainA/ beside trainB/, nor train/A/ beside train/B/; rename the folders so, or give "
            "--input_dir and --target_dir."
        )
    return list_two_folders(f"--dataset={dataset}", folders, val_fraction=options.val_fraction)


def _side_by_side(dataset: str, folder: Path, options: ListingOptions) -> Listing:
    from tfpix2pix.data.layouts.side_by_side import list_side_by_side

    return list_side_by_side(
        dataset, folder, val_fraction=options.val_fraction, labels=options.labels
    )


def _single(dataset: str, folder: Path, options: ListingOptions) -> Listing:
    from tfpix2pix.data.layouts.side_by_side import list_side_by_side

    return list_side_by_side(dataset, folder, val_fraction=options.val_fraction, whole=True)


def _is_two_folders(folder: Path) -> bool:
    from tfpix2pix.data.layouts.two_folders import find_folders

    return find_folders(folder) is not None


def _holds_images(folder: Path) -> bool:
    from tfpix2pix.data.images import is_image_name

    return (folder / "train").is_dir() or any(
        is_image_name(entry.name) for entry in folder.iterdir() if entry.is_file()
    )


LAYOUTS: list[Layout] = [
    Layout("two_folders", _is_two_folders, _two_folders),
    Layout("side_by_side", _holds_images, _side_by_side),
    # Never found by looking at names: a single picture looks like two that touch.
    Layout("single", lambda folder: False, _single),
]
LAYOUT_NAMES = ("auto", *(layout.name for layout in LAYOUTS))


def open_dataset(
    dataset: str,
    *,
    direction: str = "AtoB",
    layout: str = "auto",
    input_dir: str = "",
    target_dir: str = "",
    val_fraction: float = DEFAULT_VAL_FRACTION,
    input_key: str = "",
    target_key: str = "",
    input_channels: int = 0,
    target_channels: int = 0,
    input_dtype: str = "",
    target_dtype: str = "",
    input_range: str = "",
    target_range: str = "",
    label_palette: str | os.PathLike = "",
    label_side: str = "",
    input_encoding: str = "color",
    color_space: str = "rgb",
    data_dir: str = "",
    sample_pairs: int = 400,
    sample_size: int = 256,
    seed: int = 0,
    allow_mixed_sizes: bool = False,
    stages: StageProgress | None = None,
) -> PairSource:
    """Opens a data set by name or path. Lists names, decodes nothing; see `PairSource.check`.

    Args:
      dataset: ``sample``; one of the paper's sets (``facades``, downloaded once, unless there is
        a folder of that name); ``tfds:NAME``; a folder in one of `LAYOUTS`; or a manifest, a
        .csv, .tsv or .jsonl file. Ignored with `input_dir`.
      direction: ``AtoB`` (A, or the left half, is the input) or ``BtoA``; of no effect where
        input and target are named as such (folders, manifest columns, TFDS features).
      layout: ``auto``, or the name of a layout to take without looking.
      input_dir, target_dir: two folders with images of matching stems.
      val_fraction: share of the pairs held out as val, by a hash of their names, where the data
        have no splits of their own.
      input_key, target_key: columns of a manifest (default input, target), or features of a TFDS
        data set (default input_image, real_image).
      input_channels, target_channels: 0 as the images are; 1 grey, 3 RGB, 2 and 4 with alpha.
      input_dtype, target_dtype: empty as the images are, or uint8, uint16, float32.
      input_range, target_range: ``LOW:HIGH``, the values that become -1 and 1; empty for the whole
        scale of 8 or 16 bits, and for floats what the training images show.
      label_palette: name or file of a palette: one image of the pair shows labels.
      label_side: ``input`` or ``target``; empty to find out by the palette's colours.
      input_encoding: ``color`` or ``onehot``, for labels as the input.
      color_space: ``rgb``, or ``lab``: L of the colour images in, a and b out.
      data_dir: where downloads are kept; empty for the default.
      sample_pairs: for ``sample``: number of training pairs.
      sample_size: for ``sample``: height and width in pixels.
      seed: for ``sample``: which pairs are drawn.
      allow_mixed_sizes: accept pairs of differing size.
      stages: told how a download goes on; `sources.paper_sets.stage_lines` prints it.

    Raises:
      DataError: the data set is not there, not recognised or empty, or an option is out of
        range. The message names the flag and says what to do.
    """
    check_direction(direction)
    check_val_fraction(val_fraction)
    if layout not in LAYOUT_NAMES:
        raise DataError(f"--layout={layout}: expected one of {', '.join(LAYOUT_NAMES)}.")
    palette = None
    if label_palette:
        from tfpix2pix.data.palette import load_palette

        palette = load_palette(label_palette)
    wish = FormWish(
        SideWish("input", input_channels, input_dtype, input_range),
        SideWish("target", target_channels, target_dtype, target_range),
        palette,
        label_side,
        input_encoding,
        color_space,
    )
    if dataset == "sample" and not input_dir:
        from tfpix2pix.data.sources.sample_source import SampleSource

        return SampleSource(seed, sample_pairs, sample_size, direction=direction, wish=wish)

    named_sides = True  # input and target are told by name, not by direction
    options = ListingOptions(val_fraction, labels=palette is not None)
    if input_dir or target_dir:
        name = f"--input_dir={input_dir} --target_dir={target_dir}"
        listing = _list_named_folders(name, input_dir, target_dir, val_fraction)
    else:
        name = f"--dataset={dataset}"
        folder, layout = _folder_of(dataset, layout, input_key, target_key, data_dir, stages)
        try:
            if folder.is_file():
                listing = _list_manifest(dataset, folder, input_key, target_key, val_fraction)
            else:
                named_sides = dataset.startswith("tfds:")
                listing = _list_folder(dataset, folder, layout, options, wish.in_lab)
        except PermissionError as error:
            raise DataError(
                f"--dataset={dataset}: {error.filename} cannot be read (permission denied); give "
                "yourself read permission."
            ) from None
    from tfpix2pix.data.sources.file_source import FileSource

    return FileSource(
        name,
        listing,
        direction="AtoB" if named_sides else direction,
        wish=wish,
        allow_mixed_sizes=allow_mixed_sizes,
    )


# === Where the data lie ===


def _folder_of(
    dataset: str,
    layout: str,
    input_key: str,
    target_key: str,
    data_dir: str,
    stages: StageProgress | None,
) -> tuple[Path, str]:
    """The folder (or manifest) that a name or path stands for, and the layout it has there."""
    if not dataset:
        raise DataError("--dataset= is empty; expected 'sample' or the path of a folder.")
    from tfpix2pix.data.sources.paper_sets import PAPER_SETS, default_data_dir, paper_set

    place = Path(os.path.expanduser(data_dir)) if data_dir else default_data_dir()
    if dataset.startswith("tfds:"):
        from tfpix2pix.data.sources.tfds_sets import tfds_folder

        return tfds_folder(
            dataset[len("tfds:") :],
            input_key=input_key or "input_image",
            target_key=target_key or "real_image",
            data_dir=place,
            progress=stages,
        )
    # Shells leave the tilde of --dataset=~/pairs alone.
    path = Path(os.path.expanduser(dataset))
    if not path.exists():
        if dataset in PAPER_SETS:
            return paper_set(dataset, place, progress=stages), "side_by_side"
        raise DataError(f"--dataset={dataset}: {_no_such(dataset, path, list(PAPER_SETS))}")
    return path, layout


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
    for known in LAYOUTS:
        if layout == known.name or (layout == "auto" and known.recognises(folder)):
            listing = known.list(dataset, folder, options)
            if layout == "auto" and in_lab and known.name == "side_by_side":
                return _single_if_coloured(dataset, folder, options, listing)
            return listing
    raise DataError(f"--dataset={dataset}: {_not_recognised(folder)}")


def _single_if_coloured(
    dataset: str, folder: Path, options: ListingOptions, listing: Listing
) -> Listing:
    """Pairs of grey and colour halves stay pairs; other pictures are colour photographs."""
    from tfpix2pix.data.images import UnreadableImage
    from tfpix2pix.data.layouts.pair_files import read_pair
    from tfpix2pix.data.sources.file_source import looks_grey

    for files in listing.splits["train"][:8]:
        try:
            halves = [looks_grey(picture) for picture in read_pair(files)]
        except UnreadableImage:
            continue
        except DataError:  # no two halves
            return _single(dataset, folder, options)
        if halves[0] == halves[1]:
            return _single(dataset, folder, options)
    return listing


def _list_named_folders(name: str, input_dir: str, target_dir: str, val_fraction: float) -> Listing:
    from tfpix2pix.data.layouts.two_folders import list_two_folders, named_folders

    if not (input_dir and target_dir):
        missing = "target_dir" if input_dir else "input_dir"
        raise DataError(
            f"--{missing} is missing; two folders need both --input_dir and --target_dir."
        )
    return list_two_folders(name, named_folders(input_dir, target_dir), val_fraction=val_fraction)


def _list_manifest(
    dataset: str, path: Path, input_key: str, target_key: str, val_fraction: float
) -> Listing:
    from tfpix2pix.data.layouts.manifest import EXTENSIONS, list_manifest

    if path.suffix.lower() not in EXTENSIONS:
        raise DataError(
            f"--dataset={dataset}: a file, where a folder with train/ in it or a manifest "
            f"({', '.join(EXTENSIONS)}) was expected; name the folder."
        )
    return list_manifest(
        dataset,
        path,
        input_key=input_key or "input",
        target_key=target_key or "target",
        val_fraction=val_fraction,
    )


def _not_recognised(folder: Path) -> str:
    """What the folder holds instead of a layout we know, and what to do."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    folders = {entry.name for entry in entries if entry.is_dir()}
    expected = (
        "expected train/ (and optionally val/, test/) with side-by-side images, A/ beside B/, or "
        "the images themselves"
    )
    if folder.name in SPLITS:
        return f"it holds no images and no train/; {expected}."
    found = ", ".join(sorted(f"{name}/" for name in folders)[:5]) or "no folders"
    return f"it holds no images and no train/ (found: {found}); {expected}."
