"""From what was typed, or what a workdir holds, to a whole config."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.algorithms import registry
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import as_kept, nearest
from tfpix2pix.base.size import Size
from tfpix2pix.config.base import Config, usual_load_size
from tfpix2pix.data.config import ARRAYS, LARGEST, SMALLEST, DataConfig


def load_config(workdir: str | os.PathLike[str]) -> Config:
    """Reads ``config.json`` of a workdir.

    Raises:
      UserError: if it is missing, is not JSON, or holds a field or value that is not known.
    """
    path = Path(workdir) / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"--workdir={workdir}: no config.json there, so it is not a run; "
            "give the folder that `tfpix2pix train` wrote"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not valid JSON ({error}); restore it, or train in a new --workdir"
        ) from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no JSON object; restore it, or use a new --workdir")
    try:
        return config_of(values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def config_of(values: Mapping[str, Any]) -> Config:
    """A config of the flat values that a file holds, of this version or of an earlier one.

    Runs that name no algorithm have the one there was; see `Config.EARLIER` for other fields.

    Raises:
      UserError: an unknown algorithm or field, or a value out of range.
    """
    kind = registry.config_class(values.get("algorithm", registry.DEFAULT))
    return kind.from_values({**kind.EARLIER, **values})


def resolve(flags: Mapping[str, Any]) -> Config:
    """The config that a preset and the flags that were given make together; flags win.

    Args:
      flags: fields that the user gave, ``algorithm`` and ``preset`` among them or not.

    Raises:
      UserError: unknown algorithm, preset or field, a value out of range, flags that contradict
        each other.
    """
    kind = registry.config_class(flags.get("algorithm") or _algorithm_of(flags.get("preset")))
    presets = kind.PRESETS
    name = flags.get("preset", kind.DEFAULT_PRESET)
    if name not in presets:
        of_all = registry.presets()
        what = f"is not known{nearest(name, of_all)}"
        if name in of_all:
            what = f"is of --algorithm={_algorithm_of(name)}; give that, or another preset"
        raise UserError(f"--preset={name} {what} (there are {', '.join(presets)})")
    own = {field.name for field in dataclasses.fields(kind)}
    for field in flags:
        if field not in own and field in registry.config_fields():
            raise UserError(
                f"--{field} is no setting of --algorithm={kind.algorithm}; leave it out"
            )
    values: dict[str, Any] = {**kind.preset_values(name, flags), **flags, "preset": name}
    if "epochs" in flags and "steps" not in flags:
        values["steps"] = 0  # an explicit --epochs beats the preset's step count
    if "crop_size" in flags and "load_size" not in flags:
        # Keep the paper's amount of jitter unless the user says otherwise.
        with contextlib.suppress(ValueError):  # which is told by the check of --crop_size
            crop_size = Size.of(flags["crop_size"])
            usual = zip(crop_size, usual_load_size(crop_size), strict=True)
            # What is too small or too large by itself is told so, not by a size that nobody gave.
            values["load_size"] = Size(*(min(max(*sides, SMALLEST), LARGEST) for sides in usual))
    if values.get("input_dir") or values.get("target_dir"):
        _settle_folders(values, flags)
    elif values.get("dataset") == ARRAYS:
        values["direction"] = flags.get("direction", "AtoB")  # whatever a preset's own data have
    elif "direction" not in flags and "direction" not in presets[name].values:
        # One of the paper's sets by its name is learned in the paper's direction.
        known = presets.get(values.get("dataset", ""))
        if known is not None and known.values.get("dataset") == values["dataset"]:
            values["direction"] = known.values.get("direction", "AtoB")
    return kind.from_values(values)


def _algorithm_of(preset: str | None) -> str:
    """The algorithm whose preset it is; the default one for none, or one that is not known."""
    owners = (name for name in registry.TRAINABLE if preset in registry.config_class(name).PRESETS)
    return next(owners, registry.DEFAULT)


def _settle_folders(values: dict[str, Any], flags: Mapping[str, Any]) -> None:
    """--input_dir and --target_dir say by their names what --dataset and --direction would."""
    for flag in ("dataset", "direction"):
        if flag in flags and flags[flag] != getattr(DataConfig, flag):
            advice = "drop it" if flag == "dataset" else "drop it, or exchange the two folders"
            raise UserError(
                f"--{flag}={flags[flag]} does not go with --input_dir and --target_dir; {advice}"
            )
    values.update(dataset="", direction="AtoB")


def with_preset(
    given: Mapping[str, Any], dataset: str, leave: Collection[str] = ()
) -> dict[str, Any]:
    """The fields that were given, and those which the preset among them sets.

    Args:
      given: fields that the user gave, ``preset`` among them.
      dataset: of the run that is continued; the preset's own does not count.
      leave: fields of the preset that do not count either.
    """
    resolved = resolve({"dataset": dataset, **given})
    preset = resolved.preset_values(given["preset"], given)
    names = [name for name in preset if name != "dataset" and name not in leave]
    return {**{name: getattr(resolved, name) for name in names}, **given}


def allowed_changes(saved: Config, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of the fields that were given, those which a continued run may change."""
    return {
        field.name: given[field.name]
        for field in dataclasses.fields(saved)
        if field.metadata["may_change"] and field.name in given
    }


def differences(
    saved: Config, wanted: Mapping[str, Any], given: Collection[str] | None = None
) -> list[str]:
    """Lines that say in which fields ``wanted`` disagrees with a saved run, other than those
    which a continued run may change."""
    earlier: dict[str, Collection[Any]] = {k: (value,) for k, value in saved.EARLIER.items()}
    earlier |= saved.EARLIER_PRESETS.get(saved.preset, {})
    lines = []
    for field in dataclasses.fields(saved):
        # The preset's name is only a label: what it set is compared field by field.
        if field.name not in wanted or field.metadata["may_change"] or field.name == "preset":
            continue
        old, new = getattr(saved, field.name), wanted[field.name]
        if given is not None and field.name not in given and old in earlier.get(field.name, (new,)):
            continue  # what the same words asked for in an earlier version
        if field.metadata["resolves"] and new == field.default:
            continue  # nothing was asked for
        if old != as_kept(field, new):
            lines.append(f"--{field.name}: the run has {old}, the command says {new}")
    return lines
