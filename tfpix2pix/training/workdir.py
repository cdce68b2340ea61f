"""Where a run stands and what it is: the config of its folder, or what was asked for."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import clear_temporary
from tfpix2pix.base.options import plain_values
from tfpix2pix.config import Config, allowed_changes, differences, load_config, resolve, with_preset
from tfpix2pix.config.dataset import save_palette, short_name
from tfpix2pix.data.config import FOUND_BY, PLACES
from tfpix2pix.training.initial import config_started_from

if TYPE_CHECKING:
    from tfpix2pix.data import PairSpec


# A run whose pairs lie elsewhere now, or are found there in another way, goes on.
_MOVABLE = (*PLACES, *FOUND_BY, "val_fraction")


def moved_from(workdir: Path, config: Config) -> str:
    """Where the pairs of a run lay before, if this config has them elsewhere; else empty."""
    if not (workdir / "config.json").exists():
        return ""
    saved = load_config(workdir)
    if all(getattr(saved, key) == getattr(config, key) for key in _MOVABLE):
        return ""
    return _place(saved)


def _place(config: Config) -> str:
    """Where the pairs of a run lie; empty where none were named."""
    return config.dataset or " and ".join(filter(None, (config.input_dir, config.target_dir)))


def workdir_and_config(
    workdir: str | None, given: Mapping[str, Any], name: str = ""
) -> tuple[Path, Config]:
    """The folder of a run, and its own config if there is one, else what was asked for.

    Args:
      workdir: the folder; None for ``runs/NAME``, from the data set and the preset.
      given: fields of the config that the user gave.
      name: what to call the data set in ``runs/NAME``; empty: as `short_name` does.

    Raises:
      UserError: the folder holds something else, or a run that disagrees with what was given.
    """
    if workdir is not None:
        path = Path(workdir)
        if path.exists() and not path.is_dir():
            raise UserError(f"--workdir={workdir} is a file; give a folder, or a new name")
        if not (path / "config.json").exists():
            if lock.holds_files(path):
                raise UserError(
                    f"--workdir={workdir} holds other files and no config.json, so it is not a "
                    "run; give a new or empty folder"
                )
            return path, _asked(given)
        return path, _continued(path, _said(path, given), given)
    if given.get("init_from"):
        # The other run is asked for its networks only where there is no run yet.
        named = ("dataset", "input_dir", "target_dir", "preset")
        config = resolve({key: given[key] for key in named if key in given})
        path = _default_workdir(config, name or short_name(config))
        if not (path / "config.json").exists():
            return path, _asked(given)
        return path, _continued(path, _said(path, given), given)
    config = resolve(given)
    path = _default_workdir(config, name or short_name(config))
    if not (path / "config.json").exists():
        return path, config
    return path, _continued(path, plain_values(config), given)


def _asked(given: Mapping[str, Any]) -> Config:
    """The config of a new run."""
    return config_started_from(given) if given.get("init_from") else resolve(given)


def _said(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was said by hand, which alone must agree: the rest is read back from the run."""
    if "preset" not in given:
        return dict(given)
    saved = load_config(path)
    # What a run took over from another one may differ from its preset.
    leave = [f.name for f in dataclasses.fields(saved)] if saved.init_from else ()
    return with_preset(given, saved.dataset, leave)


def _continued(path: Path, wanted: Mapping[str, Any], given: Mapping[str, Any]) -> Config:
    saved = load_config(path)
    places = {key: given[key] for key in _MOVABLE if key in given}
    if not _place(saved) and not {"dataset", "input_dir"} & places.keys():
        raise UserError(
            f"--workdir={path} was imported without pairs to train on; name them with "
            "--dataset=FOLDER, or --input_dir and --target_dir"
        )
    if "input_dir" in places:
        places["dataset"] = ""
    elif places.get("dataset"):
        places |= {"input_dir": "", "target_dir": ""}
    # Whether other places hold the same pairs is seen when they are looked at.
    kept = {key: value for key, value in wanted.items() if key not in places}
    lines = differences(saved, kept, given)
    if lines:
        raise UserError(
            f"{path} holds a run of another configuration, so nothing was changed; give another "
            "--workdir, or drop the flags that differ:\n  " + "\n  ".join(lines)
        )
    changes = allowed_changes(saved, given) | places
    if "epochs" in given and "steps" not in given:
        changes["steps"] = 0
    return saved.replace(**changes)


def _default_workdir(config: Config, name: str) -> Path:
    """``runs/sample``, ``runs/FOLDER``, ``runs/PRESET-FOLDER`` or, where it says it all, PRESET."""
    if config.preset == config.DEFAULT_PRESET:
        return Path("runs", name)
    if config.preset.startswith(name):
        return Path("runs", config.preset)
    return Path("runs", f"{config.preset}-{name}")


def make_workdir(workdir: Path, config: Config, spec: PairSpec) -> None:
    """Makes a run's folder, or tidies it up, and writes what says what the run is.

    Raises:
      UserError: it cannot be written.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        # What a run that was killed while it wrote a file has left of it.
        for folder in (workdir, workdir / "samples", workdir / "samples" / "inputs"):
            clear_temporary(folder)
        save_palette(spec, workdir)
        config.save(workdir)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "give a folder that you may write to"
        raise UserError(
            f"{config.FLAG}={workdir} cannot be written ({error.strerror}); {advice}"
        ) from None
