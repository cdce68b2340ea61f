"""Which pairs a model is evaluated on: its own data set, unless flags say otherwise."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.config import Config, resolve
from tfpix2pix.config.dataset import open_source
from tfpix2pix.data.config import FOUND_BY, PLACES, DataConfig
from tfpix2pix.data.layouts.table import EXTENSIONS

if TYPE_CHECKING:
    from tfpix2pix.data import PairArrays, PairSource, PairSpec

# What of the data part is the run's own: how pairs are shown to its networks, and kept meanwhile.
_OF_THE_RUN = ("input_encoding", "target_encoding", "seed", "load_size", "flip", "cache")
# The config's fields that say which pairs there are; each is a flag of `tfpix2pix evaluate`.
FIELDS = tuple(f.name for f in dataclasses.fields(DataConfig) if f.name not in _OF_THE_RUN)
# What is resolved when the labels are plain colours, and is not known of them as classes.
_SETTLED = (
    *(field.name for field in dataclasses.fields(DataConfig) if field.metadata["resolves"]),
    "input_encoding",
    "target_encoding",
    "color_space",
)


def data_config(own: Config, given: Mapping[str, Any]) -> Config:
    """A run's config with the data flags that were given; another set is found anew.

    Args:
      own: the run's.
      given: fields of `FIELDS`; `label_palette` is another matter, see `open_labels`.

    Raises:
      UserError: a value out of range, or no data set is named.
    """
    changes = {key: value for key, value in given.items() if key != "label_palette"}
    if given.get("input_dir") or given.get("target_dir"):
        changes = {
            **_defaults(*FOUND_BY),
            "dataset": "",
            **changes,
        }
        changes.setdefault("direction", "AtoB")
    elif "dataset" in given:
        # Another table, or TFDS set, has the columns that this one has, if nothing else is said.
        found_by = ("layout",) if _have_columns(own.dataset, given["dataset"]) else FOUND_BY
        changes = {**_defaults(*PLACES, *found_by), **changes}
    config = own.replace(**changes)
    if not config.dataset and not config.input_dir:
        raise UserError(
            "--dataset is missing: the run was imported without pairs, so say on which it is to be "
            "evaluated"
        )
    return config


def open_pairs(config: Config, spec: PairSpec, arrays: PairArrays | None = None) -> PairSource:
    """The data set of a config, its labels read with the palette that a model was trained on.

    Raises:
      UserError: as `tfpix2pix.data.open_dataset`.
    """
    palette = spec.x.palette or spec.y.palette
    if palette is None:
        return open_source(
            config.replace(label_palette="", label_side=""), arrays=arrays, training=False
        )
    # The palette may be of an export made on another machine: data sets read it from a file.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "palette.json")
        path.write_text(palette.to_json(), encoding="utf-8")
        return open_source(
            config.replace(label_palette=os.fspath(path), label_side=spec.label_side),
            arrays=arrays,
            training=False,
        )


def open_labels(
    config: Config, given: Mapping[str, Any], arrays: PairArrays | None = None
) -> PairSource:
    """The same data set with the palette that was given, for the classes of its pixels alone.

    Raises:
      UserError: as `tfpix2pix.data.open_dataset`.
    """
    side = {key: given[key] for key in ("label_side",) if key in given}
    return open_source(
        config.replace(
            **{**_defaults(*_SETTLED), "allow_mixed_sizes": True, **side},
            label_palette=given["label_palette"],
        ),
        arrays=arrays,
        training=False,
    )


def predictions_config(given: Mapping[str, Any], size: Size | None) -> Config:
    """The config of pairs that somebody predicted, of which nothing is known but flags.

    Args:
      given: fields of `FIELDS`.
      size: of the pictures; the embedded set is drawn as for training at that size.
    """
    values = dict(given)
    if values.get("dataset") == "sample" and size:
        with contextlib.suppress(UserError):  # a size at which nothing is trained
            return resolve({"allow_mixed_sizes": True, **values, "crop_size": size})
    return resolve({"allow_mixed_sizes": True, **values})


def _have_columns(*datasets: str) -> bool:
    """Whether these are all tables, or all sets of TFDS."""
    suffixes = [Path(name).suffix.lower() for name in datasets]
    tables = all(suffix in EXTENSIONS for suffix in suffixes)
    return tables or all(name.startswith("tfds:") for name in datasets)


def _defaults(*names: str) -> dict[str, Any]:
    found = {name: getattr(DataConfig, name) for name in names}
    if "dataset" in found:
        found["dataset"] = ""
    return found
