"""A manifest: a table of pairs, one row a pair, with the columns that people's programs write."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from os.path import isfile  # unlike pathlib's, no error for what cannot be a name
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.data.layouts.pair_files import Fault, Listing, PairFiles, count_text
from tfpix2pix.data.layouts.partners import SIDES
from tfpix2pix.data.layouts.splits import split_named
from tfpix2pix.data.layouts.table import EXTENSIONS, SEPARATORS, Row, Table, decodings, parse

__all__ = ["EXTENSIONS", "NO_SPLIT", "list_inputs", "list_manifest"]

NO_SPLIT = "none"  # of --split_key: no column is one
_SPLIT_COLUMN = re.compile(
    r".*splits?(_.*)?|(data_?)?(set|subset|partition|phase|usage)(_?name)?"
    r"|(.*_)?k?folds?(_.*)?|train_?(or_?)?(val|valid|validation|test).*"
)
_FLAG_COLUMN = re.compile(r"((is|in|for)_?)?(.+)")
_HELD_OUT = ("holdout", "hold_out", "heldout", "held_out")
_MOST_SPLITS = 8  # different values in a column of splits that is not called so
_TRUE, _FALSE = {"1", "1.0", "true", "yes", "y", "t"}, {"0", "0.0", "false", "no", "n", "f"}
EMPTY = {"", "nan", "none", "null", "na", "n/a"}
# What people add to the name of a column of paths.
_ADDED = re.compile(r"[_ -]?(paths?|files?|file_?names?|names?)$")


def list_manifest(
    dataset: str,
    path: Path,
    *,
    input_key: str = "",
    target_key: str = "",
    split_key: str = "",
    val_fraction: float,
) -> Listing:
    """Lists the pairs of a manifest.

    A row names an input and a target file, relative to the manifest's folder or absolute, and
    may name a split; without such a column a hash of the input's stem decides.

    Args:
      dataset: the manifest as the user named it.
      path: the file, a table as `table.parse` takes it, of any encoding.
      input_key, target_key: names of the two columns; several with commas between them are the
        channels of one image. Empty: ``input`` and ``target``, or others of `partners.SIDES`.
      split_key: the column of splits; empty: what is called so or holds names of splits;
        `NO_SPLIT`: none.
      val_fraction: share of the pairs held out as val where there is no such column.

    Raises:
      DataError: it cannot be read, a column is missing, a split is not understood, or it has no
        rows. Rows whose file is missing become faults of the listing.
    """
    name = f"--dataset={dataset}"
    wanted = {word for pair in SIDES for word in pair}
    wanted |= {key.strip().casefold() for key in (*input_key.split(","), *target_key.split(","))}
    listings: list[tuple[int, int, Listing]] = []
    for table, encoding in tables(name, path, tuple(wanted)):
        listing, missing = _list(name, path, table, input_key, target_key, split_key, val_fraction)
        if encoding not in ("utf-8", "utf-8-sig"):
            listing.notes.append(f"the manifest is no UTF-8; it was read as {encoding}")
        listings.append((missing, len(listings), listing))
        if not missing:
            break
    return min(listings)[2]


def list_inputs(name: str, path: Path, input_key: str = "") -> list[list[Path]]:
    """The input files of each row of a manifest, several where their channels are one image.

    Args:
      name: the manifest with its flag, for messages.
      path, input_key: as `list_manifest` takes them; no target and no split is looked for.

    Raises:
      DataError: it cannot be read, lacks the column, or names a file that is not there.
    """
    missing = ""
    for table, _ in tables(name, path, tuple(plain(key) for key in input_key.split(","))):
        if not table.rows:
            raise DataError(f"{name}: it has no rows; expected one line for each image.")
        columns = ["1"] if not (table.named or input_key) else []
        columns = columns or named_columns(name, table, "input_key", input_key or "input")
        named = [
            [file for key in columns for file in files_in(name, row, key)] for row in table.rows
        ]
        finder = Finder(path.parent)
        finder.learn(named)
        files = [[finder.find(text) for text in side] for side in named]
        gone = [file for row in files for file in row if not isfile(file)]
        if not gone:
            return files
        missing = missing or (
            f"{name}: {count_text(len(gone), 'file')} named in it not there, such as "
            f"{shown(gone[0])}; mend or remove the lines."
        )
    raise DataError(missing)


def tables(name: str, path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[Table, str]]:
    """The table in each encoding that it may have, with the encoding.

    Raises:
      DataError: it cannot be read.
    """
    try:
        for encoding, text in decodings(path.read_bytes()):
            yield parse(name, path, text, wanted), encoding
    except OSError as error:
        raise DataError(f"{name}: it cannot be read ({error.strerror}); mend the file.") from None
    except ValueError as error:
        raise DataError(
            f"{name}: it cannot be read as text ({error}); expected a table: of a spreadsheet, "
            "save it as CSV."
        ) from None


def _list(
    name: str,
    path: Path,
    table: Table,
    input_key: str,
    target_key: str,
    split_key: str,
    val_fraction: float,
) -> tuple[Listing, int]:
    """The listing, and how many files are missing."""
    if not table.rows:
        raise DataError(f"{name}: it has no rows; expected one line for each pair.")
    listing = Listing("manifest", path.parent, {})
    keys = pair_columns(name, table, input_key, target_key, listing)
    splits = Splits(name, table, split_key, {key for side in keys for key in side}, listing)
    finder = Finder(path.parent)
    named = []
    for row in table.rows:
        sides = [[file for key in side for file in files_in(name, row, key)] for side in keys]
        named.append((row, sides, splits.of(row)))
    finder.learn([side for _, sides, _ in named for side in sides])
    missing = []
    for row, sides, split in named:
        a, b = ([finder.find(text) for text in side] for side in sides)
        gone = [f"line {row.line}: {listing.label(file)}" for file in (*a, *b) if not isfile(file)]
        missing += gone
        if not gone:
            pair = PairFiles(a[0].stem, a[0], b[0], more_a=tuple(a[1:]), more_b=tuple(b[1:]))
            listing.add(split, pair, val_fraction)
    listing.notes += finder.notes()
    if missing:
        listing.faults.append(Fault("named in the manifest, but not there", tuple(missing)))
    return listing, len(missing)


# === Columns ===


def plain(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().casefold())


def pair_columns(
    name: str, table: Table, input_key: str, target_key: str, listing: Listing
) -> list[list[str]]:
    """The columns of input and target, as the table calls them."""
    if not input_key and not target_key:
        if not table.named and len(table.columns) >= 2:
            listing.notes.append(
                "the manifest has no line with the columns' names; the first is the input and "
                "the second the target"
            )
            return [["1"], ["2"]]
        usual = _by_custom(table)
        if usual:
            if tuple(map(plain, usual)) != ("input", "target"):
                listing.notes.append(
                    f"the column '{usual[0]}' is the input, '{usual[1]}' the target; "
                    "--input_key and --target_key choose others"
                )
            return [[column] for column in usual]
    return [
        named_columns(name, table, flag, key or side)
        for flag, key, side in (
            ("input_key", input_key, "input"),
            ("target_key", target_key, "target"),
        )
    ]


def _by_custom(table: Table) -> tuple[str, str] | None:
    """The two columns that are called as people call input and target, if there are but two."""
    by_word: dict[str, list[str]] = {}
    for column in table.columns:
        by_word.setdefault(_ADDED.sub("", plain(column)), []).append(column)
    if "input" in table.columns and "target" in table.columns:
        return "input", "target"
    found = [
        (a, b) for pair in SIDES for a in by_word.get(pair[0], []) for b in by_word.get(pair[1], [])
    ]
    return found[0] if len(found) == 1 else None


def named_columns(name: str, table: Table, flag: str, key: str) -> list[str]:
    """One column, or, where there is none of the whole name, those between commas."""
    whole = _find(table, key)
    if whole:
        return [whole]
    parts = [part.strip() for part in key.split(",")]
    found = [_find(table, part) for part in parts]
    if None in found:
        there = ", ".join(column for column in table.columns if column) or "none"
        expected = f"name the column with --{flag}"
        if len(table.columns) == 1:
            expected = f"expected columns between {', '.join(SEPARATORS.values())}"
        raise DataError(
            f"{name}: line {table.rows[0].line} has no column '{parts[found.index(None)]}' (found: "
            f"{shown(there)}); {expected}."
        )
    return [column for column in found if column]


def _find(table: Table, key: str) -> str | None:
    if key in table.columns:
        return key
    alike = [column for column in table.columns if plain(column) == plain(key)]
    return alike[0] if len(alike) == 1 else None


def files_in(name: str, row: Row, key: str) -> list[str]:
    """The files that a cell names: one, or, in JSON, several in a list."""
    value = row.cells.get(key)
    if key not in row.cells:
        found = ", ".join(k for k in row.cells if k) or "none"
        raise DataError(f"{name}: line {row.line} has no column '{key}' (found: {found}); add it.")
    names: list[Any] = value if isinstance(value, list) and value else [value]
    for each in names:
        if not isinstance(each, str) or not each.strip():
            raise DataError(
                f"{name}: line {row.line} has {_shown(each)} in '{key}'; expected the path of an "
                "image."
            )
    return [each.strip() for each in names]


def _shown(value: Any) -> str:
    empty = value is None or not str(value).strip()
    return "nothing" if empty else repr(value)


# === Splits ===


class Splits:
    """Which split each row is of, by the columns that say so.

    Raises:
      DataError: a column looks like a split, and its values are none; or two say different things.
    """

    def __init__(
        self, name: str, table: Table, split_key: str, taken: set[str], listing: Listing
    ) -> None:
        self._name = name
        self._columns: list[str] = []
        self._flags: dict[str, str] = {}
        if split_key == NO_SPLIT:
            return
        chosen = named_columns(name, table, "split_key", split_key) if split_key else []
        for column in chosen or table.columns:
            if not column or (column in taken and not chosen):
                continue
            flag = _FLAG_COLUMN.fullmatch(plain(column))
            word = flag[3] if flag else ""
            split = "test" if word in _HELD_OUT else split_named(word)
            if split and not _holds_splits(table, column):
                self._flags[column] = split
            elif (
                chosen or _SPLIT_COLUMN.fullmatch(plain(column)) or _speaks_of_splits(table, column)
            ):
                self._columns.append(column)
        if not chosen:
            understood = [column for column in self._columns if _holds_splits(table, column)]
            # Folds within train, beside the split itself.
            if understood and len(understood) < len(self._columns):
                left = [column for column in self._columns if column not in understood]
                listing.notes.append(
                    f"the column '{understood[0]}' is the split; not used: {', '.join(left)}"
                )
                self._columns = understood

    def of(self, row: Row) -> str:
        """The split of a row, or "" where nothing is said."""
        said: dict[str, str] = {}
        for column in self._columns:
            text = cell_text(row.cells.get(column))
            if text not in EMPTY:
                said[column] = split_named(text) or self._refuse(row, column)
        flags = {c: self._is(row, c) for c in self._flags}
        for column, value in flags.items():
            if value:
                said[column] = self._flags[column]
        if flags and not said and all(value is not None for value in flags.values()):
            kinds = set(self._flags.values())
            # Not train is held out; not val is train; not test may be either of the two.
            if "train" in kinds or "val" in kinds:
                said[""] = "val" if "train" in kinds else "train"
        if len(set(said.values())) > 1:
            what = " and ".join(f"{split} in '{column}'" for column, split in said.items())
            raise DataError(
                f"{self._name}: line {row.line} is {what}; mend the line, or choose the column "
                "with --split_key."
            )
        return next(iter(said.values()), "")

    def _is(self, row: Row, column: str) -> bool | None:
        text = cell_text(row.cells.get(column))
        if text in EMPTY:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        self._refuse(row, column)
        return None

    def _refuse(self, row: Row, column: str) -> str:
        expected = "1 or 0" if column in self._flags else "train, val or test"
        what = "looks like a split" if column != "split" else "is the split"
        raise DataError(
            f"{self._name}: line {row.line} names the split '{row.cells.get(column)}'; expected "
            f"{expected} in '{column}', which {what}: write these, name the column of splits with "
            f"--split_key, or give --split_key={NO_SPLIT} if no column is one."
        )


def cell_text(value: Any) -> str:
    return "" if value is None else str(value).strip().casefold()


def values_in(table: Table, column: str) -> set[str]:
    return {cell_text(row.cells.get(column)) for row in table.rows} - EMPTY


def _holds_splits(table: Table, column: str) -> bool:
    """True if a column's values are names of splits, as far as there are any."""
    values = values_in(table, column)
    return bool(values) and all(split_named(value) for value in values)


def _speaks_of_splits(table: Table, column: str) -> bool:
    """True if so few values, two of them names of splits, can hardly be anything else."""
    values = values_in(table, column)
    known = {split_named(value) for value in values} - {None}
    return _holds_splits(table, column) or (len(known) > 1 and len(values) <= _MOST_SPLITS)


# === Files ===


class Finder:
    """Finds files by names that were written elsewhere.

    A name is tried as it stands; with / for \\, as Windows writes them; in the other form of
    accents; below the folder where the command runs; and, if it is absolute, with the folders
    that all names of its column begin with cut off.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prefixes: dict[str, Path] = {}
        self._moved: dict[Path, str] = {}
        self._by_tail = 0
        self._elsewhere = 0

    def learn(self, names: Sequence[Sequence[str]]) -> None:
        """Finds out what to cut off from absolute names that are not there."""
        for column in names:
            for text in column:
                known = any(_slashes(text).startswith(prefix) for prefix in self._prefixes)
                if _is_absolute(text) and not known and not self._as_written(text):
                    parts = _slashes(text).split("/")
                    for cut in range(1, len(parts)):
                        tail = "/".join(parts[cut:])
                        base = next((b for b in self._bases() if tail and isfile(b / tail)), None)
                        if base is not None:
                            self._prefixes["/".join(parts[:cut]) + "/"] = base
                            break

    def find(self, text: str) -> Path:
        """The file of a name; where there is none, where it was expected."""
        found = self._as_written(text)
        if found is not None:
            return found
        slashed = _slashes(text)
        for prefix, base in self._prefixes.items():
            if slashed.startswith(prefix):
                path = base / slashed[len(prefix) :]
                # Two names must not come to be one file.
                if isfile(path) and self._moved.setdefault(path, slashed) == slashed:
                    self._by_tail += 1
                    return path
        return self._folder / os.path.expanduser(text)

    def notes(self) -> list[str]:
        """How names were read that are not there as they stand."""
        notes = []
        if self._by_tail:
            prefix = shown(next(iter(self._prefixes)))
            notes.append(
                f"{count_text(self._by_tail, 'name')} found by their last parts, without {prefix}"
            )
        if self._elsewhere:
            notes.append(
                f"{count_text(self._elsewhere, 'name')} found from the folder where this runs, not "
                "from the manifest's"
            )
        return notes

    def _bases(self) -> list[Path]:
        return [self._folder, self._folder.parent]

    def _as_written(self, text: str) -> Path | None:
        forms = dict.fromkeys(_forms(text))
        for form in forms:
            path = self._folder / os.path.expanduser(form)  # unlike pathlib's, no error for ~nobody
            if isfile(path):
                return path
        for form in forms:
            if isfile(form):
                self._elsewhere += 1
                return Path(form).absolute()
        return None


def _forms(text: str) -> Iterator[str]:
    for name in (text, _slashes(text)):
        yield name
        for form in ("NFC", "NFD"):
            yield unicodedata.normalize(form, name)  # type: ignore[arg-type]


def _slashes(text: str) -> str:
    return text.removeprefix("file://").replace("\\", "/")


def _is_absolute(text: str) -> bool:
    return bool(re.match(r"/|[A-Za-z]:/|~", _slashes(text)))
