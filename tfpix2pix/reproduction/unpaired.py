"""The rows of the table that compares ways to learn without pairs, as CycleGAN's paper has them.

They are data, ``unpaired.json`` beside this file. All rows have the same generator, discriminator,
normalisation and learning rate, as the paper's baselines have; the rest of a row is its algorithm's
own. A row that learns both ways is one training, scored in both directions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tfpix2pix.algorithms import registry
from tfpix2pix.data.config import UNPAIRED


class Network(NamedTuple):
    """A row.

    Attributes:
      key: after ``--rows=``.
      title, short: in tables, and above pictures.
      fields: all that it sets in the config, ``algorithm`` among them.
      two_way: whether one training makes both directions.
    """

    key: str
    title: str
    short: str
    fields: Mapping[str, Any]
    two_way: bool


def _network(row: Mapping[str, Any], networks: Mapping[str, Any]) -> Network:
    kind = registry.config_class(row["fields"]["algorithm"])
    fields = {**networks, **row["fields"]}
    if kind.DATA == UNPAIRED:
        # Photographs of one half of the pairs and labels of the other: no image has its partner.
        fields |= {"data": UNPAIRED, "disjoint_stems": True}
    return Network(row["key"], row["title"], row.get("short", ""), fields, kind.TWO_WAY)


_DATA = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

NAME: str = _DATA["name"]
"""After ``--table=``."""
UNIT: str = _DATA["unit"]
"""The row that has ``--steps``, where rows have the same minutes."""
ROWS: tuple[Network, ...] = tuple(_network(row, _DATA["networks"]) for row in _DATA["rows"])
