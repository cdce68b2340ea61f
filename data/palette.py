"""Label palettes: the colours of label images, and the classes they stand for.

A palette is one of ours (`BUILTIN`) or a JSON file. The long form::

    {"name": "streets",
     "classes": [{"name": "sky", "color": [128, 128, 128], "index": 0},
                 {"name": "road", "color": "#804080", "index": [1, 7]},
                 {"name": "unknown", "color": [0, 0, 0], "index": 255, "void": true}]}

``index`` is the value, or the values, that stand for the class in index maps (grey PNGs that hold
numbers instead of colours); by default the class's position. ``void`` marks what no evaluation
counts. The short form is ``{"sky": [128, 128, 128], "road": "#804080"}``.

Where the built-in ones come from: facades, the colours in which pix2pix distributes the CMP Facade
Database, with CMP's own indices 1-12; camvid, the 11 classes of the SegNet split and void;
cityscapes, the label definition of the Cityscapes benchmark, in which labels of one colour are
one class here (pole and polegroup; the five black ones; a license plate has the colour of cars and
no index) and what its evaluation of 19 classes ignores is void; sample, the classes of the embedded
set's detailed label maps.
"""

from __future__ import annotations

import collections
import contextlib
import difflib
import json
import os
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.label_classes import LabelClass, Palette, bad_color, bad_index, shown

__all__ = ["BUILTIN", "LabelClass", "Palette", "load_palette", "parse_palette"]

BUILTIN = ("facades", "camvid", "cityscapes", "sample")


def load_palette(spec: str | os.PathLike[str]) -> Palette:
    """The palette that ``--label_palette`` names.

    Args:
      spec: a name of `BUILTIN`, or the path of a JSON file in a form shown at the top.

    Raises:
      DataError: no such name or file, or the file holds no palette.
    """
    text = os.fspath(spec)
    flag = f"--label_palette={text}"
    if text in BUILTIN:
        path = Path(__file__).with_name("palettes") / f"{text}.json"
    else:
        path = Path(os.path.expanduser(text))  # unlike pathlib's, no error for ~nobody
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{flag}: {_no_file(text, path, error)}") from None
    try:
        return parse_palette(content, path.stem)
    except ValueError as error:
        stop = "" if str(error).endswith("?") else "."
        raise DataError(f"{flag}: {error}{stop}") from None


def parse_palette(content: str | bytes, name: str = "palette") -> Palette:
    """The palette that a JSON text holds, in a form shown at the top.

    Args:
      content: the text, or its UTF-8 bytes.
      name: the palette's name where the text gives none.

    Raises:
      ValueError: the text holds no palette; says why, without a full stop.
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        found = json.loads(text, object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"not JSON (line {error.lineno}: {error.msg}); expected a JSON file such as "
            '{"sky": [128, 128, 128], "road": [128, 64, 128]}'
        ) from None
    except (UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON; expected a text file in UTF-8") from None
    if not isinstance(found, _Pairs):
        raise ValueError(
            'a JSON object was expected, such as {"sky": [128, 128, 128], "road": [128, 64, 128]}'
        )
    if "classes" in found:
        _check_keys("the palette", found, ("name", "classes"))
        name, entries = found.get("name", name), found["classes"]
    else:
        entries = [_Pairs([("name", key), ("color", color)]) for key, color in found.items()]
    if not isinstance(name, str) or not name:
        raise ValueError(f"the palette's name is {shown(name)}; expected a text")
    if not isinstance(entries, list) or not entries:
        raise ValueError('no classes; expected "classes": [{"name": ..., "color": [r, g, b]}, ...]')
    return Palette(name, tuple(_parse_class(i, entry) for i, entry in enumerate(entries)))


class _Pairs(dict):
    """A JSON object, which must not hold a key twice (Python's reader would keep the last)."""

    def __init__(self, pairs: list[tuple[str, Any]]):
        super().__init__(pairs)
        for key, times in collections.Counter(key for key, _ in pairs).items():
            if times > 1:
                raise ValueError(f"{key!r} stands {times} times in one JSON object; keep one")


def _parse_class(position: int, entry: Any) -> LabelClass:
    where = f"class {position} (counted from 0)"
    if not isinstance(entry, _Pairs):
        raise ValueError(
            f'{where} is {shown(entry)}; expected {{"name": "sky", "color": [128, 128, 128]}}'
        )
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where} has the name {shown(name)}; expected a text")
    _check_keys(f"class {name!r}", entry, ("name", "color", "index", "void"))
    if "color" not in entry:
        raise ValueError(f"class {name!r} has no color; expected [r, g, b] or '#rrggbb'")
    index = entry.get("index", position)
    indices = index if isinstance(index, list) else [index]
    if not all(_is_whole(value) for value in indices):
        raise ValueError(bad_index(name, index))
    void = entry.get("void", False)
    if not isinstance(void, bool):
        raise ValueError(f'class {name!r} has "void": {shown(void)}; expected true or false')
    return LabelClass(name, _parse_color(name, entry["color"]), tuple(indices), void)


def _parse_color(name: str, color: Any) -> tuple[int, int, int]:
    if isinstance(color, str) and len(color) == 7 and color[0] == "#":
        try:
            red, green, blue = bytes.fromhex(color[1:])
        except ValueError:
            raise ValueError(bad_color(name, color)) from None
        return red, green, blue
    if not isinstance(color, list) or len(color) != 3 or not all(map(_is_whole, color)):
        raise ValueError(bad_color(name, color))
    red, green, blue = color
    return red, green, blue


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_keys(what: str, found: _Pairs, known: tuple[str, ...]) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
            hint = f"; did you mean {near[0]!r}?" if near else f"; expected {', '.join(known)}"
            raise ValueError(f"{what} has the unknown key {key!r}{hint}")


def _no_file(text: str, path: Path, error: OSError) -> str:
    """Why a palette's file cannot be read, with the nearest name there is."""
    names = f"{', '.join(BUILTIN)} or the path of a JSON file"
    if isinstance(error, IsADirectoryError):
        return f"a folder; expected {names}."
    if not isinstance(error, FileNotFoundError):
        return f"it cannot be read ({error.strerror or error}); expected {names}."
    near = difflib.get_close_matches(text.lower(), BUILTIN, n=1)
    if near:
        return f"no such palette and no such file; did you mean {near[0]!r}?"
    files: list[str] = []
    with contextlib.suppress(OSError):
        files = [entry.name for entry in path.parent.glob("*.json")]
    beside = difflib.get_close_matches(path.name, files, n=1)
    if beside:
        return f"no such palette and no such file; did you mean '{path.parent / beside[0]}'?"
    return f"no such palette and no such file; expected {names}."
