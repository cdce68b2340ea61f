"""A new run that starts from the weights of another one: `--init_from`.

Its networks and losses are those of the other run; pairs, duration and learning rate are its own.
Adam's moments and the step start anew.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.config import Config, load_config, resolve
from tfpix2pix.config.dataset import saved_palette
from tfpix2pix.data.palette import BUILTIN

if TYPE_CHECKING:
    from tfpix2pix.algorithms.base import Algorithm

# Of the groups of networks and losses, what a new run has anew.
_OWN = ("lr_schedule", "lr_decay_from", "learning_rate", "learning_rate_d")
# Networks of another value have the same weights, whose use is the user's choice.
_FREE = ("dropout", "bottleneck")
# In other groups, but decide what the networks are or what their images mean.
_ALSO = ("crop_size", "load_size", "color_space", "input_encoding", "target_encoding")


def config_started_from(given: Mapping[str, Any]) -> Config:
    """The config of a new run: what was given, and for the rest of its networks the other run's.

    Args:
      given: fields of the config that the user gave, ``init_from`` among them.

    Raises:
      UserError: there is no run, no data set was named, or a flag asks for other networks.
    """
    name = given["init_from"]
    run, _ = _run_and_step(name)
    saved = load_config(run)
    if not (given.get("dataset") or given.get("input_dir")):
        raise UserError(
            f"--init_from={name}: give the pairs to train on, --dataset=FOLDER or --input_dir and "
            f"--target_dir; to train that run on with its own, `tfpix2pix train --workdir={run}`"
        )
    if given.get("algorithm", saved.algorithm) != saved.algorithm:
        raise UserError(
            f"--algorithm={given['algorithm']}: {run} is a run of {saved.algorithm}, whose "
            "networks are others; leave one of --algorithm and --init_from out"
        )
    fields = dataclasses.fields(saved)
    networks = [f.name for f in fields if f.metadata["group"] == "model"]
    losses = [f.name for f in fields if f.metadata["group"] == "loss" and f.name not in _OWN]
    asked = dict(given)
    if "preset" in given:  # by its name everything is said
        alone = resolve({key: value for key, value in given.items() if key != "init_from"})
        asked = {**{key: getattr(alone, key) for key in (*networks, *losses, *_ALSO)}, **given}
    _refuse_conflicts(name, saved, asked, networks)
    taken = {key: getattr(saved, key) for key in (*networks, *losses, *_ALSO) if key not in asked}
    if asked.get("crop_size", saved.crop_size) != saved.crop_size:
        taken.pop("load_size", None)  # in the usual ratio
    if not given.get("input_dir") and "direction" not in given:
        taken["direction"] = saved.direction
    if saved.label_palette and "label_palette" not in given:
        palette = saved_palette(run)
        taken["label_palette"] = saved.label_palette
        if saved.label_palette not in BUILTIN and palette is not None:
            taken["label_palette"] = os.fspath(palette)
    preset = saved.preset if saved.preset in saved.PRESETS else saved.DEFAULT_PRESET
    values = {"algorithm": saved.algorithm, "preset": preset, **taken, **given}
    config = resolve(values)
    if config.size_multiple != saved.size_multiple:
        flag = "bottleneck" if "bottleneck" in given else "crop_size"
        raise UserError(
            f"--{flag}={getattr(config, flag)}: the generator of {run} was made by --crop_size="
            f"{saved.crop_size}{_bottleneck(saved)} and halves images a different number of times; "
            f"leave --{flag} out"
        )
    return config


def _bottleneck(config: Config) -> str:
    value = getattr(config, "bottleneck", 1)
    return f" and --bottleneck={value}" if value != 1 else ""


def _refuse_conflicts(
    name: str, saved: Config, asked: Mapping[str, Any], networks: list[str]
) -> None:
    lines = [
        f"--{key}: the run has {getattr(saved, key)}, the command says {asked[key]}"
        for key in networks
        if key in asked and key not in _FREE and asked[key] != getattr(saved, key)
    ]
    if lines:
        what = (
            "--preset, or the flags that differ" if "preset" in asked else "the flags that differ"
        )
        raise UserError(
            f"--init_from={name} has other networks, so nothing was started; leave out {what}:\n  "
            + "\n  ".join(lines)
        )


def _run_and_step(name: str) -> tuple[Path, int | None]:
    """The folder of a run, and which of its checkpoints (None: the newest).

    Raises:
      UserError: there is no run.
    """
    path = Path(name)
    if path.parent.name == "checkpoints" and path.name.startswith("step_"):
        digits = path.name[len("step_") :]
        if path.is_dir() and digits.isdigit():
            return path.parent.parent, int(digits)
    if (path / "config.json").is_file():
        return path, None
    advice = "give the folder that `tfpix2pix train` wrote, or RUN/checkpoints/step_N"
    if (path / "export.json").is_file():
        advice = (
            "it is an export, which has no discriminator; give the folder of the run that it was "
            "made from"
        )
    found = "no config.json there, so it is not a run" if path.exists() else "no such folder"
    raise UserError(f"--init_from={name}: {found}; {advice}")


def start_from(algorithm: Algorithm, config: Config) -> tuple[dict[str, Any], list[str]]:
    """Puts the weights of another run into the networks of a new one, and into their averages.

    Args:
      algorithm: of the new run, at step 0.
      config: of the new run, resolved by its pairs; ``init_from`` names the other.

    Returns:
      Where they are from (``run``, ``step``), and remarks, a clause each.

    Raises:
      UserError: there is no run, or none of its checkpoints can be read.
    """
    from tfpix2pix.algorithms.base import averaged
    from tfpix2pix.models.weights import named_weights
    from tfpix2pix.training.checkpoints import Checkpoints

    run, step = _run_and_step(config.init_from)
    saved, checkpoints = load_config(run), Checkpoints(run)
    step, parts = checkpoints.parts(step)
    notes = [f"this run starts from the weights of {run}, step {step:,}"]
    with algorithm.strategy.scope():
        for name, network in algorithm.networks.items():
            stored = parts(name)
            weights = named_weights(network)
            anew = [key for key, weight in weights.items() if not _put(weight, stored.get(key))]
            if not stored:
                notes.append(f"that run has no {name}, so it starts anew")
            elif anew:
                layers = ", ".join(dict.fromkeys(key.split("/")[0] for key in anew))
                notes.append(
                    f"of the {name} these layers start anew, for another number of channels: "
                    f"{layers}"
                )
        algorithm.restart_averages()
        for name, average in algorithm.averages.items():
            stored = parts(averaged(name))
            for key, value in average.values.items():
                _put(value, stored.get(key))
    notes += _of_the_data(saved, config)
    return {"run": os.fspath(run), "step": step}, notes


def _put(variable: Any, value: Any) -> bool:
    """Whether a stored value fits a variable, which then has it."""
    if value is None or tuple(variable.shape) != value.shape:
        return False
    variable.assign(value)
    return True


def _of_the_data(saved: Config, config: Config) -> list[str]:
    """In what the new pairs mean something else to the networks than the old ones did."""
    notes = []
    if saved.direction != type(config)().direction and config.direction == saved.direction:
        notes.append(f"--direction={config.direction}, as that run has it")
    for side in ("input", "target"):
        old, new = (getattr(each, f"{side}_range") for each in (saved, config))
        same_type = getattr(saved, f"{side}_dtype") == getattr(config, f"{side}_dtype")
        if old and same_type and old != new:
            notes.append(
                f"that run's networks see {side}s of {old} as -1 to 1, these those of {new}; "
                f"--{side}_range={old} keeps the scale"
            )
    return notes
