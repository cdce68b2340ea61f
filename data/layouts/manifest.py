"""A manifest: a table of pairs, CSV or JSON lines, one row a pair."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from os.path import isfile  # unlike pathlib's, no error for what cannot be a name
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.layouts.pair_files import Fault, Listing, PairFiles
from tfpix2pix.data.layouts.splits import split_of
from tfpix2pix.data.sources.base import SPLITS

EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson")
_SPLIT_NAMES = {"validation": "val", "valid": "val", "dev": "val", "training": "train"}


def list_manifest(
    dataset: str, path: Path, *, input_key: str, target_key: str, val_fraction: float
) -> Listing:
    """Lists the pairs of a manifest.

    A row names an input and a target file, relative to the manifest's folder or absolute, and
    may name a split (column ``split``: train, val or test); without that column a hash of the
    input's stem decides.

    Args:
      dataset: the manifest as the user named it.
      path: the file: .csv (comma), .tsv (tab) with a header line, .jsonl or .ndjson.
      input_key, target_key: names of the two columns.
      val_fraction: share of the pairs held out as val where there is no column ``split``.

    Raises:
      DataError: it cannot be read, a column is missing, or it has no rows. Rows whose file is
        missing become faults of the listing.
    """
    listing = Listing("manifest", path.parent, {})
    missing: list[str] = []
    rows = 0
    for line, row in _rows(dataset, path):
        rows += 1
        for flag, key in (("input_key", input_key), ("target_key", target_key)):
            if key not in row:
                found = ", ".join(k for k in row if k) or "none"
                raise DataError(
                    f"--dataset={dataset}: line {line} has no column '{key}' (found: {found}); "
                    f"name the column with --{flag}."
                )
            if not isinstance(row[key], str) or not row[key].strip():
                raise DataError(
                    f"--dataset={dataset}: line {line} has {_shown(row[key])} in '{key}'; "
                    "expected the path of an image."
                )
        a, b = (_resolve(path.parent, row[key]) for key in (input_key, target_key))
        gone = [f"line {line}: {listing.label(file)}" for file in (a, b) if not isfile(file)]
        missing += gone
        if not gone:
            split = _split(dataset, line, row, a.stem, val_fraction)
            listing.splits.setdefault(split, []).append(PairFiles(a.stem, a, b))
    if not rows:
        raise DataError(f"--dataset={dataset}: it has no rows; expected one line for each pair.")
    if missing:
        listing.faults.append(Fault("named in the manifest, but not there", tuple(missing)))
    return listing


def _rows(dataset: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        # utf-8-sig: spreadsheet programs put a mark before the first column's name.
        with open(path, encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() in (".csv", ".tsv"):
                delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
                reader = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True)
                for row in reader:
                    yield reader.line_num, row
                return
            for number, text in enumerate(file, start=1):
                if not text.strip():
                    continue
                try:
                    row = json.loads(text)
                except (ValueError, RecursionError) as error:
                    raise DataError(
                        f"--dataset={dataset}: line {number} is not JSON ({error}); expected one "
                        'object a line, such as {"input": "a.png", "target": "b.png"}.'
                    ) from None
                if not isinstance(row, dict):
                    raise DataError(
                        f"--dataset={dataset}: line {number} holds no JSON object; expected one "
                        'such as {"input": "a.png", "target": "b.png"}.'
                    )
                yield number, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"--dataset={dataset}: it cannot be read as UTF-8 text ({reason}); mend the file."
        ) from None


def _shown(value: Any) -> str:
    empty = value is None or not str(value).strip()
    return "nothing" if empty else repr(value)


def _resolve(folder: Path, name: str) -> Path:
    return folder / os.path.expanduser(name.strip())  # unlike pathlib's, no error for ~nobody


def _split(dataset: str, line: int, row: dict[str, Any], stem: str, val_fraction: float) -> str:
    named = row.get("split")
    if named in (None, ""):
        return split_of(stem, val_fraction)
    split = _SPLIT_NAMES.get(str(named).strip().lower(), str(named).strip().lower())
    if split not in SPLITS:
        raise DataError(
            f"--dataset={dataset}: line {line} names the split '{named}'; expected train, val or "
            "test."
        )
    return split
