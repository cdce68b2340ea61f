"""From the word the user typed to a data set: known names first, then what the folder looks like.

A further layout is one more `PairSource` in a file of its own and one more entry in `LAYOUTS`;
a further named set is one more entry in `_NAMED`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfpix2pix.data.source import SPLITS, PairSource, check_direction
from tfpix2pix.errors import DataError


@dataclasses.dataclass(frozen=True)
class Layout:
    """One way to keep pairs in a folder.

    Attributes:
      name: for messages.
      recognises: ``recognises(folder) -> bool``, by looking at names only.
      open: ``open(dataset, **options) -> PairSource``: the path as the user typed it, and those
        options of `open_dataset` that concern folders: direction, input_channels,
        target_channels, allow_mixed_sizes.
    """

    name: str
    recognises: Callable[[Path], bool]
    open: Callable[..., PairSource]


def _open_side_by_side(dataset: str, **options: Any) -> PairSource:
    from tfpix2pix.data.side_by_side import SideBySideSource

    return SideBySideSource(dataset, **options)


LAYOUTS: list[Layout] = [
    Layout(
        name="side by side in train/, val/, test/",
        recognises=lambda folder: (folder / "train").is_dir(),
        open=_open_side_by_side,
    ),
]

_NAMED = ("sample",)


def open_dataset(
    dataset: str,
    *,
    direction: str = "AtoB",
    input_channels: int = 3,
    target_channels: int = 3,
    sample_pairs: int = 400,
    sample_size: int = 256,
    seed: int = 0,
    allow_mixed_sizes: bool = False,
) -> PairSource:
    """Opens a data set by name or path. Lists names, decodes nothing; see `PairSource.check`.

    Args:
      dataset: ``sample``, or a folder in one of `LAYOUTS` (a folder that is itself called
        sample: ``./sample``).
      direction: ``AtoB`` (A, or the left half, is the input) or ``BtoA``.
      input_channels: 1 (grey) or 3 (RGB).
      target_channels: 1 or 3.
      sample_pairs: for ``sample``: number of training pairs.
      sample_size: for ``sample``: height and width in pixels.
      seed: for ``sample``: which pairs are drawn.
      allow_mixed_sizes: for folders: accept pairs of differing size.

    Raises:
      DataError: the data set is not there, not recognised or empty, or an option is out of
        range. The message names the flag and says what to do.
    """
    check_direction(direction)
    channels = {"input_channels": input_channels, "target_channels": target_channels}
    if dataset == "sample":
        from tfpix2pix.data.sample_source import SampleSource

        return SampleSource(seed, sample_pairs, sample_size, direction=direction, **channels)
    if not dataset:
        raise DataError("--dataset= is empty; expected 'sample' or the path of a folder.")

    # Shells leave the tilde of --dataset=~/pairs alone.
    folder = Path(dataset).expanduser()
    if not folder.exists():
        raise DataError(f"--dataset={dataset}: {_no_such(dataset, folder)}")
    if not folder.is_dir():
        raise DataError(
            f"--dataset={dataset}: a file, where a folder with train/ in it was expected; name the "
            "folder."
        )
    try:
        for layout in LAYOUTS:
            if layout.recognises(folder):
                return layout.open(
                    dataset, direction=direction, allow_mixed_sizes=allow_mixed_sizes, **channels
                )
        raise DataError(f"--dataset={dataset}: {_not_recognised(folder)}")
    except PermissionError as error:
        raise DataError(
            f"--dataset={dataset}: {error.filename} cannot be read (permission denied); give "
            "yourself read permission."
        ) from None


def _no_such(dataset: str, folder: Path) -> str:
    """Why a missing data set is missing, with the nearest name there is."""
    candidates = list(_NAMED) if os.sep not in dataset else []
    beside: list[str] = []
    with contextlib.suppress(OSError):
        beside = [entry.name for entry in folder.parent.iterdir() if entry.is_dir()]
    near = difflib.get_close_matches(folder.name, candidates + beside, n=1)
    if near:
        named = near[0] if near[0] in candidates else str(folder.parent / near[0])
        return f"no such folder and no such data set; did you mean '{named}'?"
    return (
        "no such folder and no such data set; expected 'sample' or a folder with side-by-side "
        "images in train/."
    )


def _not_recognised(folder: Path) -> str:
    """What the folder holds instead of a layout we know, and what to do."""
    from tfpix2pix.data.images import is_image_name

    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    folders = {entry.name for entry in entries if entry.is_dir()}
    images = [entry for entry in entries if is_image_name(entry) and entry.is_file()]
    expected = "expected train/ (and optionally val/, test/) with side-by-side images"
    if {"trainA", "trainB"} <= folders:
        return (
            f"it holds trainA/ and trainB/, but two-folder and unpaired layouts are not supported "
            f"yet; {expected}."
        )
    if {"A", "B"} <= folders:
        return f"it holds A/ and B/, but two-folder layouts are not supported yet; {expected}."
    if images:
        return (
            f"it holds {len(images)} image{'s' * (len(images) != 1)} but no train/; move the "
            "training images into train/ (and a few into val/)."
        )
    if folder.name in SPLITS:
        return f"it holds no train/; {expected}: name the folder above."
    found = ", ".join(sorted(f"{name}/" for name in folders)[:5]) or "no folders"
    return f"it holds no train/ (found: {found}); {expected}."
