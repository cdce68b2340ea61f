"""Tables as programs write them: text of any encoding, CSV of any separator, JSON, lists."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.data.images import is_image_name

EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt")
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}
EXPECTED = 'expected one object a line, such as {"input": "a.png", "target": "b.png"}'
# Of text that is no UTF-8: Western Europe's, then those whose names may be among the files.
_ENCODINGS = ("cp1252", "latin-1", "cp850", "mac_roman", "cp1250", "cp1251", "cp932", "gb18030")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
      line: its number in the file, from 1.
      cells: by the columns' names as the file has them.
    """

    line: int
    cells: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
      columns: names, in their order; ``1``, ``2``, ... where the file has no line of names.
      rows: in the order of the file.
      named: the file has a line of names.
    """

    columns: list[str]
    rows: list[Row]
    named: bool = True


def decodings(content: bytes) -> Iterator[tuple[str, str]]:
    """The text of a file, as (encoding, text): one where that is certain, else each that is
    possible, the most likely first.

    Raises:
      ValueError: it is no text.
    """
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            yield encoding, content.decode(encoding)
            return
    if b"\0" in content[:4096]:
        # UTF-16 without its mark: the upper half of every other letter is zero.
        for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            if not any(content[start:200:2]):
                yield encoding, content.decode(encoding)
                return
        raise ValueError("it holds zero bytes")
    try:
        yield "utf-8", content.decode("utf-8")
        return
    except UnicodeDecodeError:
        pass
    for encoding in _ENCODINGS:
        try:
            yield encoding, content.decode(encoding)
        except UnicodeDecodeError:
            continue
    yield "bytes", content.decode("utf-8", "surrogateescape")


def parse(name: str, path: Path, text: str, wanted: tuple[str, ...]) -> Table:
    """A table from text: JSON or JSON lines where it begins so or is called so, else lines of
    cells between commas, semicolons, tabs or bars.

    Args:
      name: of the file, with its flag, for messages.
      path: of the file; its extension decides between separators where the names do not.
      text: of it.
      wanted: names of columns by which a separator is recognised.

    Raises:
      DataError: it is none.
    """
    text = text.lstrip("\ufeff")
    suffix = path.suffix.lower()
    if suffix in (".json", ".jsonl", ".ndjson") or text.lstrip()[:1] in ("[", "{"):
        rows = list(_json_rows(name, text, lines=suffix != ".json"))
        return Table(list(dict.fromkeys(key for row in rows for key in row.cells)), rows)
    return _cells(name, path, re.split(r"\r\n|\r|\n", text), wanted)


# === Lines of cells ===


def _cells(name: str, path: Path, lines: list[str], wanted: tuple[str, ...]) -> Table:
    separator = ""
    # Excel's own first line. Emptied, not removed, so that the numbers of lines stay.
    if found := re.fullmatch(r"\"?sep=(.)\"?", lines[0].strip("\ufeff ")):
        separator, lines[0] = found[1], ""
    for index, text in enumerate(lines):
        if text.lstrip().startswith("#") and not _names_file(path, text):
            lines[index] = ""
    commented = "\n".join(lines)
    first = next((line for line in lines if line.strip()), "")
    separator = separator or _separator(path, first, wanted)
    if separator == " ":
        commented, separator = re.sub(r"[^\S\n]+", "\t", commented), "\t"
    try:
        reader = csv.reader(io.StringIO(commented), delimiter=separator, skipinitialspace=True)
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{name}: it cannot be read as a table ({error}); mend the file.") from None
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        return Table([], [])
    head = [cell.strip(" \"'") for cell in rows[0][1]]
    while head and not head[-1]:
        head.pop()
    named = not any(is_image_name(cell.replace("\\", "/")) for cell in head)
    if named:
        rows = rows[1:]
    else:
        head = [str(number) for number in range(1, len(head) + 1)]
    twice = {column for column in head if column and head.count(column) > 1}
    if twice:
        raise DataError(
            f"{name}: two columns are called '{min(twice)}'; give each a name of its own."
        )
    table = Table(head, [], named)
    for line, cells in rows:
        if any(cells[len(head) :]):
            raise DataError(
                f"{name}: line {line} has {len(cells)} cells where the first line has {len(head)}; "
                f"put names that hold a {SEPARATORS.get(separator, separator)} in quotes."
            )
        table.rows.append(Row(line, dict(zip(head, [*cells, *[""] * len(head)], strict=False))))
    return table


def _names_file(path: Path, line: str) -> bool:
    cell = re.split(r"[,;\t|]", line.strip())[0].strip("\" '")
    return (path.parent / cell).is_file()


def _separator(path: Path, first: str, wanted: tuple[str, ...]) -> str:
    """The one by which the first line has the names that are wanted, else most cells."""
    order = sorted(SEPARATORS, key=lambda each: (each == "\t") != (path.suffix.lower() == ".tsv"))
    counts = {}
    for each in order:
        cells = next(csv.reader([first], delimiter=each, skipinitialspace=True), [])
        known = sum(cell.strip().casefold() in wanted for cell in cells)
        counts[each] = (known, len(cells))
    best = max(order, key=lambda each: counts[each])
    if counts[best][1] < 2 and path.suffix.lower() == ".txt":
        return " "
    return best


# === JSON ===


def _json_rows(name: str, text: str, lines: bool) -> Iterator[Row]:
    if not lines or text.lstrip()[:1] == "[":
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError) as error:
            # Lines of JSON in a file that is called .json.
            if not text.lstrip().startswith("{") or "\n" not in text.strip():
                raise DataError(f"{name}: it is not JSON ({error}); {EXPECTED}.") from None
        else:
            # A line of a list, as a file of JSON lines has it, is no table.
            if not (lines and isinstance(whole, list) and not _objects(whole)):
                yield from _rows_of(name, whole)
                return
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name}: line {number} is not JSON ({error}); {EXPECTED}.") from None
        if not isinstance(row, dict):
            raise DataError(f"{name}: line {number} holds no JSON object; {EXPECTED}.")
        yield Row(number, {str(key).strip(): value for key, value in row.items()})


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _rows_of(name: str, whole: Any) -> Iterator[Row]:
    """A list of objects; an object of such lists by split; or an object of columns."""
    from tfpix2pix.data.layouts.splits import split_named

    if isinstance(whole, dict):
        lists = {key: value for key, value in whole.items() if _objects(value) and value}
        if lists and all(split_named(key) for key in lists):
            whole = [{**row, "split": key} for key, rows in lists.items() for row in rows]
        elif len(lists) == 1:
            whole = next(iter(lists.values()))
        elif whole and all(isinstance(value, list) for value in whole.values()):
            columns = whole  # two lists that are no pairs may be of different lengths
            whole = [
                dict(zip(columns, cells, strict=True))
                for cells in itertools.zip_longest(*columns.values())
            ]
        elif whole and all(isinstance(value, dict) for value in whole.values()):
            # As pandas writes it: by column, then by row.
            columns = whole
            whole = [
                {column: cells.get(row) for column, cells in columns.items()}
                for row in dict.fromkeys(row for cells in columns.values() for row in cells)
            ]
    if not _objects(whole):
        raise DataError(f"{name}: it holds no list of objects; {EXPECTED}, or a list of them.")
    for number, row in enumerate(whole, start=1):
        yield Row(number, {shown(str(key)).strip(): value for key, value in row.items()})
