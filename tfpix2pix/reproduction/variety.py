"""The rows of the table of several answers: ways to have them of one input, and truer colours.

They are data, ``variety.json`` beside this file. Not a table of the paper, which leaves the
question open (section 3.1): every row is held against the first, the paper's pix2pix, which has
dropout for z.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Way(NamedTuple):
    """A row.

    Attributes:
      key: after ``--rows=``.
      title, short: in tables, and above pictures.
      fields: all that it sets in the config, ``algorithm`` among them.
    """

    key: str
    title: str
    short: str
    fields: Mapping[str, Any]


def _rows(data: Mapping[str, Any]) -> tuple[Way, ...]:
    """The rows; what one does not set it has of the row that it is like."""
    found: dict[str, Way] = {}
    for row in data["rows"]:
        like = found[row["like"]].fields if "like" in row else data["shared"]
        short = row.get("short", row["title"].lower())
        found[row["key"]] = Way(row["key"], row["title"], short, {**like, **row["fields"]})
    return tuple(found.values())


_DATA = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

NAME: str = _DATA["name"]
"""After ``--table=``."""
TITLE: str = _DATA["title"]
UNIT: str = _DATA["unit"]
"""The row that has ``--steps``, where rows have the same minutes."""
SAMPLES: int = _DATA["samples"]
"""Of each input, as in the papers."""
TIMES: float = _DATA["times"]
"""How many times the diversity of dropout a way is to have."""
ROWS = _rows(_DATA)
