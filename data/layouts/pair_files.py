"""Where the two images of a pair lie, and reading them; what a layout finds in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.data import images
from tfpix2pix.data.layouts.splits import split_of


@dataclasses.dataclass(frozen=True, slots=True)
class PairFiles:
    """The files of one pair.

    Attributes:
      name: for captions, a stem.
      a: the file of A; without `b` it holds both images side by side, A left, B right.
      b: the file of B.
      whole: without `b`: the one image of `a` is A and B at once (for ``--color_space=lab``).
      labels: an index map that stands for the label image, whichever of the two that is.
      planes: which planes of A's and of B's file are read, as `tfpix2pix.data.decode` has it.
      more_a, more_b: files whose channels follow those of `a` and `b`.
    """

    name: str
    a: Path
    b: Path | None = None
    whole: bool = False
    labels: Path | None = None
    planes: tuple[str, str] = ("auto", "auto")
    more_a: tuple[Path, ...] = ()
    more_b: tuple[Path, ...] = ()

    def paths(self) -> list[Path]:
        """All files of the pair."""
        return list(dict.fromkeys(path for path, _ in self.parts()))

    def parts(self) -> list[tuple[Path, str]]:
        """All that is read of them: files, with their planes."""
        labels = [] if self.labels is None else [(self.labels, "auto")]
        return list(dict.fromkeys([*self.parts_a, *self.parts_b, *labels]))

    @property
    def part_a(self) -> tuple[Path, str]:
        """What is read for A, or for both; the first of `parts_a`."""
        return self.a, self.planes[0]

    @property
    def part_b(self) -> tuple[Path, str] | None:
        """What is read for B, where it has a file; the first of `parts_b`."""
        return None if self.b is None else (self.b, self.planes[1])

    @property
    def parts_a(self) -> list[tuple[Path, str]]:
        """What is read for A, or for both."""
        return [(path, self.planes[0]) for path in (self.a, *self.more_a)]

    @property
    def parts_b(self) -> list[tuple[Path, str]]:
        """What is read for B; empty where it has no file."""
        return [] if self.b is None else [(p, self.planes[1]) for p in (self.b, *self.more_b)]


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that keeps a data set from being used.

    Attributes:
      what: of the entries, in a few words with the remedy; without entries a whole sentence.
      entries: the files concerned, each with what was found.
    """

    what: str
    entries: tuple[str, ...] = ()


@dataclasses.dataclass
class Listing:
    """What a layout found, by names alone.

    Attributes:
      layout: its name, for messages and the data set's identity.
      root: the folder that messages name files from.
      splits: pairs by split, in the order of their names.
      faults: found while listing, such as files without a partner.
      ignored: other files that were passed over.
      notes: remarks worth telling.
      by_hash: names of the pairs whose split follows from their name.
    """

    layout: str
    root: Path
    splits: dict[str, list[PairFiles]]
    faults: list[Fault] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    by_hash: list[str] = dataclasses.field(default_factory=list)

    def add(self, split: str, pair: PairFiles, val_fraction: float) -> None:
        """Adds a pair to a split; to the one that its name decides if that is empty."""
        if not split:
            self.by_hash.append(pair.name)
            split = split_of(pair.name, val_fraction)
        self.splits.setdefault(split, []).append(pair)

    def files(self) -> list[Path]:
        """All files of all pairs."""
        return [path for pairs in self.splits.values() for pair in pairs for path in pair.paths()]

    def label(self, path: Path) -> str:
        """A file as messages call it: relative to the root where it lies below it."""
        if self.root.parent != self.root:
            with contextlib.suppress(ValueError):  # it lies elsewhere
                return shown(path.relative_to(self.root).as_posix())
        return shown(path)


def list_images(folder: Path) -> tuple[list[Path], list[str]]:
    """The images directly in a folder, sorted by name, and the names of its other files."""
    found: list[str] = []
    others: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.is_dir():
                continue
            (found if images.is_image_name(entry.name) else others).append(entry.name)
    return [folder / name for name in sorted(found)], sorted(others)


# === Reading ===


def split_pair(image: np.ndarray, direction: str) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a side-by-side image in two.

    Args:
      image: ``[H, 2 W, C]`` or ``[H, 2 W]``, A on the left, B on the right.
      direction: ``AtoB`` or ``BtoA``.

    Returns:
      ``(x, y)``, both ``[H, W, ...]`` views: (A, B) for AtoB, (B, A) for BtoA.

    Raises:
      ValueError: the width is odd.
    """
    width = image.shape[1]
    if width % 2:
        raise ValueError(f"an odd width ({width}) has no two equal halves")
    a, b = image[:, : width // 2], image[:, width // 2 :]
    return (a, b) if direction == "AtoB" else (b, a)


def split_decoded(
    picture: images.Decoded, direction: str = "AtoB"
) -> tuple[images.Decoded, images.Decoded]:
    """As `split_pair`, for a decoded file."""
    arrays = split_pair(picture.array, direction)
    indices: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
    if picture.indices is not None:
        indices = split_pair(picture.indices, direction)
    first, second = (
        dataclasses.replace(picture, array=array, indices=index)
        for array, index in zip(arrays, indices, strict=True)
    )
    return first, second


def read_stacked(
    parts: Sequence[tuple[Path, str]], decode: Callable[..., images.Decoded] = images.decode
) -> images.Decoded:
    """Decodes files whose channels, one after the other, are one image; one file as it is.

    Args:
      parts: files with their planes, at least one.
      decode: gives the decoded file of a path and planes.

    Raises:
      DataError: a file cannot be read, or they are not alike; the message names it.
    """
    pictures = [decode(*part) for part in parts]
    if len(pictures) == 1:
        return pictures[0]
    arrays = [images.fit_channels(p.array, p.has_alpha, 0) for p in pictures]
    deepest = max((array.dtype for array in arrays), key=lambda dtype: dtype.itemsize)
    first = parts[0][0]
    for (path, _), array in zip(parts, arrays, strict=True):
        if array.shape[:2] != arrays[0].shape[:2]:
            raise DataError(
                f"{shown(path)}: {size_text(array.shape)}, where {shown(first)}, whose channels "
                f"it belongs to, is {size_text(arrays[0].shape)}; make them alike."
            )
        if array.dtype != deepest and deepest.kind == "f":
            raise DataError(
                f"{shown(path)}: {array.dtype}, where others of the same image hold floats; "
                "convert them to one type."
            )
    stacked = np.concatenate([images.fit_depth(array, deepest) for array in arrays], axis=-1)
    notes = dict.fromkeys(note for picture in pictures for note in picture.notes)
    return images.Decoded(stacked, False, None, tuple(notes))


def read_pair(
    files: PairFiles, decode: Callable[..., images.Decoded] = images.decode
) -> tuple[images.Decoded, images.Decoded]:
    """Decodes A and B.

    Args:
      files: where they lie.
      decode: gives the decoded file of a path and its planes.

    Raises:
      DataError: a file cannot be read, or has no two halves; the message names it.
    """
    picture = read_stacked(files.parts_a, decode)
    if files.b is not None:
        return picture, read_stacked(files.parts_b, decode)
    if files.whole:
        return picture, picture
    try:
        return split_decoded(picture)
    except ValueError:
        raise DataError(
            f"{shown(files.a)}: {size_text(picture.array.shape)}, an odd width; expected two "
            "halves of equal width side by side: mend or remove it."
        ) from None


# === Words ===


def size_text(shape: tuple[int, ...]) -> str:
    """``(height, width, ...)`` in words."""
    return f"{shape[1]}x{shape[0]} (width x height)"


def count_text(number: int, noun: str) -> str:
    """``1 image``, ``3 images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
