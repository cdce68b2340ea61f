"""A manifest of images of two sides that are no pairs: one table, or a list of each side."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from os.path import isfile
from pathlib import Path

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.data.layouts.manifest import (
    EMPTY,
    Finder,
    Splits,
    cell_text,
    files_in,
    named_columns,
    pair_columns,
    plain,
    tables,
    values_in,
)
from tfpix2pix.data.layouts.pair_files import Fault, Listing, PairFiles
from tfpix2pix.data.layouts.partners import SIDES
from tfpix2pix.data.layouts.table import Row, Table
from tfpix2pix.data.layouts.two_folders import side_of_split

LAYOUT = "manifest"
# What a column of paths is called, in the order in which they are tried.
_FILES = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "img", "name")
_SIDE = re.compile(r"sides?|domain|side_name")


@dataclasses.dataclass(frozen=True)
class Sides:
    """What a table says of two sides.

    Attributes:
      a, b: their images.
      by_direction: they are called A and B; else the first is the input whatever the direction.
      told: the table itself tells sides apart; else it has two columns, with empty cells.
    """

    a: Listing
    b: Listing
    by_direction: bool
    told: bool = True


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One image: its side, its row, the files whose channels it is made of, and its split, which
    is empty where nothing says so."""

    side: int
    row: Row
    files: Sequence[str]
    split: str


def list_unpaired_table(
    dataset: str,
    path: Path,
    *,
    input_key: str = "",
    target_key: str = "",
    split_key: str = "",
    val_fraction: float,
) -> Sides | None:
    """Lists the images of both sides; None where every row is a pair.

    A row names a file and, in a column ``side``, whether it is of A or B. Or there is a column
    for each side, whose rows say nothing of each other because one is shorter: cells are empty.
    Or the columns are called ``trainA``, ``trainB``, ``testA``, ... .

    Args:
      dataset: the manifest as the user named it.
      path, input_key, target_key, split_key, val_fraction: as `manifest.list_manifest` takes them.

    Raises:
      DataError: it cannot be read, or its columns are not understood.
    """
    name = f"--dataset={dataset}"
    best: tuple[int, Sides] | None = None
    wanted = ("side", *_FILES, *(word for pair in SIDES for word in pair))
    for table, _ in tables(name, path, wanted):
        if not table.rows:
            raise DataError(f"{name}: it has no rows; expected one line for each image.")
        sides = [Listing(LAYOUT, path.parent, {}) for _ in "ab"]
        found = _entries(name, table, input_key, target_key, split_key, sides[0])
        if found is None:
            return None
        entries, by_direction, told = found
        missing = _add(path, entries, sides, val_fraction)
        if best is None or missing < best[0]:
            best = (missing, Sides(sides[0], sides[1], by_direction, told))
        if not missing:
            break
    return best and best[1]


def list_lists(
    named: Sequence[tuple[str, Path]],
    *,
    split_key: str = "",
    val_fraction: float,
) -> Sides:
    """The images of two lists of files, one for each side.

    Args:
      named: each list with its flag, for messages.
      split_key, val_fraction: as `manifest.list_manifest` takes them.

    Raises:
      DataError: one cannot be read, or has no images.
    """
    listings = []
    for name, path in named:
        best: tuple[int, Listing] | None = None
        for table, _ in tables(name, path, _FILES):
            if not table.rows:
                raise DataError(f"{name}: it has no rows; expected one line for each image.")
            listing = Listing(LAYOUT, path.parent, {})
            columns = _file_columns(name, table, "", ())
            splits = Splits(name, table, split_key, set(columns), listing)
            entries = [_entry(name, 0, row, columns, splits.of(row)) for row in table.rows]
            missing = _add(path, entries, [listing], val_fraction)
            if best is None or missing < best[0]:
                best = (missing, listing)
            if not missing:
                break
        assert best is not None, "a file has at least one encoding"
        listings.append(best[1])
    return Sides(listings[0], listings[1], False)


def _entries(
    name: str, table: Table, input_key: str, target_key: str, split_key: str, listing: Listing
) -> tuple[list[_Entry], bool, bool] | None:
    side = _side_column(table)
    if side is not None and not target_key:
        column, words = side
        columns = _file_columns(name, table, input_key, (column,))
        splits = Splits(name, table, split_key, {column, *columns}, listing)
        entries = []
        for row in table.rows:
            word = cell_text(row.cells.get(column))
            if word not in words:
                raise DataError(
                    f"{name}: line {row.line} has '{row.cells.get(column)}' in '{column}'; "
                    f"expected {words[0]} or {words[1]}, the side that the image is of."
                )
            entries.append(_entry(name, words.index(word), row, columns, splits.of(row)))
        return entries, words == ("a", "b"), True
    by_split = {column: side_of_split(column) for column in table.columns}
    named = {column: of for column, of in by_split.items() if of is not None}
    if named and not input_key and not target_key:
        if {of[1] for of in named.values()} != {0, 1}:
            there = ", ".join(named)
            raise DataError(f"{name}: columns of one side alone ({there}); add those of the other.")
        return (
            [
                _entry(name, of_side, row, [column], split)
                for column, (split, of_side) in named.items()
                for row in table.rows
                if cell_text(row.cells.get(column)) not in EMPTY
            ],
            True,
            True,
        )
    keys = pair_columns(name, table, input_key, target_key, listing)

    def says(row: Row, columns: Sequence[str]) -> bool:
        return any(cell_text(row.cells.get(column)) not in EMPTY for column in columns)

    if all(says(row, columns) for row in table.rows for columns in keys):
        return None
    splits = Splits(name, table, split_key, {key for side in keys for key in side}, listing)
    return (
        [
            _entry(name, number, row, columns, splits.of(row))
            for number, columns in enumerate(keys)
            for row in table.rows
            if says(row, columns)
        ],
        False,
        False,
    )


def _entry(name: str, side: int, row: Row, columns: Sequence[str], split: str) -> _Entry:
    return _Entry(side, row, [f for column in columns for f in files_in(name, row, column)], split)


def _side_column(table: Table) -> tuple[str, tuple[str, str]] | None:
    """The column that says of which side an image is, with what it calls the two."""
    for column in table.columns:
        values = values_in(table, column)
        words = next((pair for pair in SIDES if values and values <= set(pair)), None)
        if _SIDE.fullmatch(plain(column)):
            return column, words or ("a", "b")
        if words is not None and len(values) == 2:
            return column, words
    return None


def _file_columns(name: str, table: Table, key: str, taken: Sequence[str]) -> list[str]:
    """The columns of files: those that were named, else one that is called so, else the first."""
    if key:
        return named_columns(name, table, "input_key", key)
    rest = [column for column in table.columns if column and column not in taken]
    called = [column for word in _FILES for column in rest if plain(column) == word]
    if not (called or rest):
        raise DataError(f"{name}: no column of files; add one called path.")
    return [(called or rest)[0]]


def _add(
    path: Path, entries: Sequence[_Entry], sides: Sequence[Listing], val_fraction: float
) -> int:
    """Adds what is there to the listings; returns how many files are not."""
    finder = Finder(path.parent)
    finder.learn([entry.files for entry in entries])
    missing: list[list[str]] = [[] for _ in sides]
    for entry in entries:
        listing = sides[entry.side]
        found = [finder.find(text) for text in entry.files]
        gone = [f"line {entry.row.line}: {shown(f)}" for f in found if not isfile(f)]
        missing[entry.side] += gone
        if not gone:
            image = PairFiles(found[0].stem, found[0], whole=True, more_a=tuple(found[1:]))
            listing.add(entry.split, image, val_fraction)
    sides[0].notes += finder.notes()
    for listing, gone in zip(sides, missing, strict=True):
        if gone:
            listing.faults.append(Fault("named in the manifest, but not there", tuple(gone)))
    return sum(map(len, missing))
