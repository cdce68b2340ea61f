"""The run's configuration: one frozen dataclass, its presets, and its file in the workdir.

Every field is a flag of ``tfpix2pix train``; the text that the manual page shows stands beside
the field. The defaults are the paper's; presets name the settings of its experiments and a few
that suit a machine without an accelerator.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.errors import UserError

GROUPS = {
    "first": "What to train on, and for how long",
    "data": "Data and jitter",
    "model": "Networks",
    "loss": "Objective and optimizer",
    "device": "For accelerators",
    "run": "Saving, validating and reporting",
}


def option(
    default: Any,
    help: str,
    group: str,
    *,
    choices: tuple[Any, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    may_change: bool = False,
    settles: bool = False,
) -> Any:
    """A config field: its default, its manual text (with the unit), and what it may hold.

    ``may_change`` marks fields that a continued run may be given anew because no weight of the
    finished run depends, but for rounding, on when they change. ``settles`` marks fields whose
    default leaves the matter open: it is settled when the data are looked at, and the run's config
    holds the result.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "group": group,
            "choices": choices,
            "minimum": minimum,
            "maximum": maximum,
            "may_change": may_change,
            "settles": settles,
        },
    )


@dataclass(frozen=True)
class Config:
    """Everything that decides what a run computes. Defaults: the paper's (arXiv 1611.07004)."""

    # === First ===
    dataset: str = option(
        "sample",
        "a folder of pairs (side by side, or in A/ and B/), a manifest (.csv, .tsv, .jsonl), "
        "'sample', the embedded house fronts, one of the paper's sets by name (facades, maps, "
        "edges2shoes, edges2handbags, night2day, cityscapes: downloaded once), or tfds:NAME",
        "first",
    )
    direction: str = option(
        "AtoB",
        "which image is the input: AtoB left to right, BtoA right to left",
        "first",
        choices=("AtoB", "BtoA"),
    )
    preset: str = option("paper", "named settings that the other flags override", "first")
    crop_size: int = option(
        256,
        "side of the images that the networks see, pixels, a power of two from 32 to 1024",
        "first",
        minimum=32,
        maximum=1024,
    )
    epochs: int = option(
        200,
        "passes over the train split, unless --steps is given",
        "first",
        minimum=1,
        may_change=True,
    )
    steps: int = option(
        0,
        "training steps in all, one batch each; 0 counts by --epochs instead",
        "first",
        minimum=0,
        may_change=True,
    )
    batch_size: int = option(1, "pairs per step, over all devices together", "first", minimum=1)
    seed: int = option(
        0,
        "every random draw (weights, order, jitter, noise) is a function of this and the step",
        "first",
        minimum=0,
        maximum=2**31 - 1,
    )

    # === Data ===
    load_size: int = option(
        286,
        "side to which both images are resized before the random crop, pixels",
        "data",
        minimum=32,
        maximum=4096,
    )
    flip: bool = option(True, "mirror half of the pairs left to right", "data")
    layout: str = option(
        "auto",
        "how the folder keeps the pairs: side_by_side, two_folders (A/ and B/, trainA/ and "
        "trainB/), single (photographs, for --color_space=lab), or look",
        "data",
        choices=("auto", "side_by_side", "two_folders", "single"),
    )
    input_dir: str = option(
        "",
        "folder of the inputs, with --target_dir instead of --dataset: images of one stem are a "
        "pair; train/, val/, test/ in both or the images themselves",
        "data",
    )
    target_dir: str = option("", "folder of the targets, see --input_dir", "data")
    val_fraction: float = option(
        0.1,
        "share of the pairs held out as val, by a hash of their names, where the data have no "
        "splits of their own",
        "data",
        minimum=0.0,
        maximum=0.9,
    )
    input_key: str = option(
        "",
        "the input's column of a manifest (default 'input') or feature of a TFDS set (default "
        "'input_image')",
        "data",
    )
    target_key: str = option("", "the target's column ('target') or feature ('real_image')", "data")
    input_channels: int = option(
        0,
        "channels of the input: 1 grey, 3 colour, 2 and 4 with alpha, 0 as the images are",
        "data",
        minimum=0,
        maximum=1024,
        settles=True,
    )
    target_channels: int = option(
        0,
        "channels of the target, as --input_channels",
        "data",
        minimum=0,
        maximum=1024,
        settles=True,
    )
    input_dtype: str = option(
        "",
        "depth of the input, to which 8- and 16-bit images are brought; empty: as the images are",
        "data",
        choices=("", "uint8", "uint16", "float32"),
        settles=True,
    )
    target_dtype: str = option(
        "",
        "depth of the target and of results, as --input_dtype",
        "data",
        choices=("", "uint8", "uint16", "float32"),
        settles=True,
    )
    input_range: str = option(
        "",
        "LOW:HIGH, the input's values that the networks see as -1 and 1, such as 0:4095 for 12 "
        "bits; empty: the whole scale of 8 or 16 bits, of floats what the train split shows",
        "data",
        settles=True,
    )
    target_range: str = option(
        "", "LOW:HIGH of the target, as --input_range; results have it again", "data", settles=True
    )
    label_palette: str = option(
        "",
        "one of the two images shows labels in these colours (facades, camvid, cityscapes or a "
        "JSON file); it is snapped to them, and index PNGs are read as they are",
        "data",
    )
    label_side: str = option(
        "",
        "which image shows the labels; empty: found by the palette",
        "data",
        choices=("", "input", "target"),
        settles=True,
    )
    input_encoding: str = option(
        "color",
        "what the networks see of input labels: their colours, or one channel for each class",
        "data",
        choices=("color", "onehot"),
    )
    color_space: str = option(
        "rgb",
        "rgb, or lab: colourization as the paper's, lightness L in, colours a and b out, of "
        "photographs or of pairs with a grey half",
        "data",
        choices=("rgb", "lab"),
    )
    cache: str = option(
        "auto",
        "where decoded pairs are kept: memory, file (in --data_dir), none (decoded whenever they "
        "are needed), or the first of these that fits",
        "data",
        choices=("auto", "memory", "file", "none"),
        may_change=True,
    )
    data_dir: str = option(
        "",
        "folder of downloads and of decoded pairs; empty: $TFPIX2PIX_DATA_DIR, or "
        "~/.cache/tfpix2pix",
        "data",
        may_change=True,
    )
    sample_pairs: int = option(
        400,
        "training pairs of the embedded sample set; val and test get a quarter each",
        "data",
        minimum=4,
        maximum=1_000_000,
    )
    allow_mixed_sizes: bool = option(
        False, "accept images of differing size (each is resized to --load_size)", "data"
    )

    # === Networks ===
    generator: str = option(
        "unet",
        "U-Net with skips, or the same without them",
        "model",
        choices=("unet", "encoder_decoder"),
    )
    ngf: int = option(64, "generator channels of the first layer", "model", minimum=1)
    receptive_field: int = option(
        70, "discriminator's patch, pixels", "model", choices=(1, 16, 70, 286)
    )
    ndf: int = option(64, "discriminator channels of the first layer", "model", minimum=1)
    norm: str = option(
        "instance",
        "normalisation: 'instance' (per image, in training and after it), 'batch' "
        "(batch statistics in training, moving averages after it) or 'none'",
        "model",
        choices=("instance", "batch", "none"),
    )
    bias_layers: str = option(
        "paper",
        "convolutions with a bias: 'paper' (the generator's last, the discriminator's first and "
        "last) or 'pytorch' (all, and normalisations without scale and offset, as the authors' "
        "PyTorch code with --norm instance; runs imported from that have it)",
        "model",
        choices=("paper", "pytorch"),
    )
    dropout: float = option(
        0.5,
        "share of decoder features that the noise z drops, 0 to less than 1",
        "model",
        minimum=0.0,
        maximum=0.95,
    )
    dropout_layers: str = option(
        "paper",
        "decoder layers with dropout: 'paper' (the first three full-width ones) or 'pytorch' (all "
        "full-width ones but the innermost, as the authors' PyTorch code; imported runs have it)",
        "model",
        choices=("paper", "pytorch"),
    )

    # === Objective ===
    loss: str = option(
        "l1+cgan",
        "the paper's objectives",
        "loss",
        choices=("l1", "gan", "cgan", "l1+gan", "l1+cgan"),
    )
    lambda_l1: float = option(100.0, "weight of the L1 term", "loss", minimum=0.0)
    learning_rate: float = option(2e-4, "Adam's step size, both networks", "loss", minimum=0.0)
    beta1: float = option(0.5, "Adam's first-moment decay", "loss", minimum=0.0, maximum=0.9999)
    beta2: float = option(
        0.999, "Adam's second-moment decay", "loss", minimum=0.0, maximum=0.999999
    )

    # === Device ===
    mixed_precision: str = option(
        "none",
        "what the networks' layers compute in while training: none (float32), bfloat16, or float16 "
        "with the losses scaled; weights, losses and all that is measured or exported stay "
        "float32. For GPUs with units for it: slower on a CPU",
        "device",
        choices=("none", "float16", "bfloat16"),
        may_change=True,
    )
    jit_compile: bool = option(
        False,
        "compile the training step with XLA, a minute or so at the start. For GPUs: slower on a "
        "CPU",
        "device",
        may_change=True,
    )

    # === Run ===
    log_every: int = option(
        100, "steps between points of the curves", "run", minimum=1, may_change=True
    )
    val_every: int = option(
        2000,
        "steps between measurements (L1, PSNR, SSIM) on the val split, 0 for none but the last",
        "run",
        minimum=0,
        may_change=True,
    )
    val_images: int = option(
        0, "val pairs to measure on, 0 for all", "run", minimum=0, may_change=True
    )
    sample_every: int = option(
        2000,
        "steps between sample grids, 0 for none but the last",
        "run",
        minimum=0,
        may_change=True,
    )
    sample_images: int = option(
        8,
        "fixed val pairs that the grids and the report show",
        "run",
        minimum=1,
        maximum=64,
    )
    checkpoint_every: int = option(
        2000,
        "steps between checkpoints, 0 for none but the last",
        "run",
        minimum=0,
        may_change=True,
    )
    keep_checkpoints: int = option(
        2,
        "newest checkpoints to keep; the best one is kept besides",
        "run",
        minimum=2,
        may_change=True,
    )
    best_metric: str = option(
        "l1",
        "val measure by which the best checkpoint is chosen",
        "run",
        choices=("l1", "psnr", "ssim"),
        may_change=True,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if str(field.type) == "float" and type(value) is int and abs(value) < 2**53:
                value = float(value)
                object.__setattr__(self, field.name, value)  # frozen for others, not for us
            _check_field(field, value)
        if self.crop_size & (self.crop_size - 1):
            lower = 2 ** int(math.log2(self.crop_size))
            raise UserError(
                f"--crop_size={self.crop_size} is not a power of two, and the generator halves the "
                f"image down to one pixel; use --crop_size={lower} or --crop_size={lower * 2}"
            )
        if self.crop_size > self.load_size:
            raise UserError(
                f"--crop_size={self.crop_size} is larger than --load_size={self.load_size}, from "
                f"which it is cut; use --load_size={_usual_load_size(self.crop_size)} (the paper's "
                "ratio) or a smaller --crop_size"
            )
        if self.bias_layers == "pytorch" and self.norm != "instance":
            raise UserError(
                f"--bias_layers=pytorch does not go with --norm={self.norm}, with which the "
                "PyTorch code has biases where 'paper' has them; use --norm=instance or "
                "--bias_layers=paper"
            )
        if self.dropout_layers == "pytorch" and self.crop_size < 64:
            raise UserError(
                f"--dropout_layers=pytorch leaves no dropout layer at --crop_size={self.crop_size};"
                " use --crop_size=64 or more, or --dropout_layers=paper"
            )
        if self.receptive_field == 286 and self.crop_size < 128 and self.loss != "l1":
            raise UserError(
                f"--receptive_field=286 leaves no patch of a {self.crop_size} pixel image; use "
                "--crop_size=128 or more, or --receptive_field=70"
            )

    @property
    def x_channels(self) -> int:
        """Channels of x; RGB as long as nothing else was settled."""
        return self.input_channels or 3

    @property
    def y_channels(self) -> int:
        """Channels of y; RGB as long as nothing else was settled."""
        return self.target_channels or 3

    @property
    def has_discriminator(self) -> bool:
        return self.loss != "l1"

    def total_steps(self, train_pairs: int) -> int:
        """Steps of the whole run, given the number of training pairs."""
        return self.steps or math.ceil(self.epochs * train_pairs / self.batch_size)

    def replace(self, **changes: Any) -> Config:
        return dataclasses.replace(self, **changes)

    # === File ===

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def load(cls, workdir: str | os.PathLike[str]) -> Config:
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
            return cls.from_values(values)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Config:
        """A config of the given fields (others: defaults). Raises UserError naming an unknown."""
        known = {field.name: field for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise UserError(f"unknown field {name!r}{nearest(name, known)}")
        return cls(**values)


def _usual_load_size(crop_size: int) -> int:
    return round(crop_size * 286 / 256)


def _check_field(field: dataclasses.Field[Any], value: Any) -> None:
    kind = {"int": int, "float": float, "str": str, "bool": bool}[str(field.type)]
    rules = field.metadata
    flag = f"--{field.name}={value}"
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{flag}: expected {KIND_NAMES[kind]}, found {value!r}")
    if kind is float and not math.isfinite(value):
        raise UserError(f"{flag} is not a finite number; give one")
    if rules["choices"] and value not in rules["choices"]:
        raise UserError(
            f"{flag} is not one of {', '.join(str(c) for c in rules['choices'] if c != '')}"
            f"{nearest(str(value), map(str, rules['choices']))}"
        )
    low, high = rules["minimum"], rules["maximum"]
    if low is not None and value < low:
        raise UserError(f"{flag} is too small; the smallest allowed is {low}")
    if high is not None and value > high:
        raise UserError(f"{flag} is too large; the largest allowed is {high}")


KIND_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the known word most like this one, or an empty string."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.55)
    return f"; did you mean {match[0]!r}?" if match else ""


# === Presets ===


@dataclass(frozen=True)
class Preset:
    """Named settings: what they are for, and the fields in which they differ from the defaults."""

    about: str
    values: Mapping[str, Any]


# The paper's appendix 6.2 lists epochs, batch size and jitter of each data set. The sets go by
# their names, which download them; --dataset=FOLDER takes another copy.
PRESETS: dict[str, Preset] = {
    "quick": Preset(
        "128 px, narrow networks, minutes on two CPU cores (the default)",
        {
            "crop_size": 128,
            "load_size": 143,
            "ngf": 32,
            "ndf": 32,
            "steps": 4000,
            "val_every": 500,
            "sample_every": 250,
            "checkpoint_every": 500,
            "log_every": 25,
        },
    ),
    "paper": Preset("256 px, full-size networks, batch 1, 200 epochs", {}),
    "facades": Preset(
        "labels to facades, as the paper: 200 epochs, batch 1",
        {"dataset": "facades", "direction": "BtoA"},
    ),
    "facades_cpu": Preset(
        "labels to facades at 128 px, within an hour on two CPU cores",
        {
            "dataset": "facades",
            "direction": "BtoA",
            "crop_size": 128,
            "load_size": 143,
            "ngf": 32,
            "ndf": 32,
            "steps": 24000,
            "val_every": 2000,
            "sample_every": 1000,
            "checkpoint_every": 1000,
            "log_every": 50,
        },
    ),
    "maps": Preset(
        "aerial photo to map (BtoA: map to photo): 200 epochs, batch 1", {"dataset": "maps"}
    ),
    "cityscapes": Preset(
        "labels to street scenes: 200 epochs, batch 1",
        {"dataset": "cityscapes", "direction": "BtoA"},
    ),
    "edges2shoes": Preset(
        "edges to shoes: 15 epochs, batch 4",
        {"dataset": "edges2shoes", "epochs": 15, "batch_size": 4},
    ),
    "edges2handbags": Preset(
        "edges to handbags: 15 epochs, batch 4",
        {"dataset": "edges2handbags", "epochs": 15, "batch_size": 4},
    ),
    "night2day": Preset(
        "day to night (AtoB: night to day): 17 epochs, batch 4",
        {"dataset": "night2day", "direction": "BtoA", "epochs": 17, "batch_size": 4},
    ),
}
DEFAULT_PRESET = "quick"


def resolve(flags: Mapping[str, Any]) -> Config:
    """The config that a preset and the flags that were given make together; flags win.

    Args:
      flags: fields that the user gave, ``preset`` among them or not (then ``quick``).

    Raises:
      UserError: unknown preset or field, a value out of range, flags that contradict each other.
    """
    name = flags.get("preset", DEFAULT_PRESET)
    if name not in PRESETS:
        raise UserError(
            f"--preset={name} is not known{nearest(name, PRESETS)} (there are {', '.join(PRESETS)})"
        )
    values: dict[str, Any] = {**PRESETS[name].values, **flags, "preset": name}
    if "epochs" in flags and "steps" not in flags:
        values["steps"] = 0  # an explicit --epochs beats the preset's step count
    if "crop_size" in flags and "load_size" not in flags:
        # Keep the paper's amount of jitter unless the user says otherwise.
        crop_size = flags["crop_size"]
        if isinstance(crop_size, int) and crop_size > 0:
            values["load_size"] = max(crop_size, _usual_load_size(crop_size))
    if values.get("input_dir") or values.get("target_dir"):
        _settle_folders(values, flags)
    elif "direction" not in flags and "direction" not in PRESETS[name].values:
        # One of the paper's sets by its name is learned in the paper's direction.
        known = PRESETS.get(values.get("dataset", ""))
        if known is not None and known.values.get("dataset") == values["dataset"]:
            values["direction"] = known.values.get("direction", "AtoB")
    return Config.from_values(values)


def _settle_folders(values: dict[str, Any], flags: Mapping[str, Any]) -> None:
    """--input_dir and --target_dir say by their names what --dataset and --direction would."""
    for flag in ("dataset", "direction"):
        if flag in flags and flags[flag] != getattr(Config, flag):
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
    resolved = dataclasses.asdict(resolve({"dataset": dataset, **given}))
    names = [n for n in PRESETS[given["preset"]].values if n != "dataset" and n not in leave]
    return {**{name: resolved[name] for name in names}, **given}


def allowed_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of the fields that were given, those which a continued run may change."""
    return {
        field.name: given[field.name]
        for field in dataclasses.fields(Config)
        if field.metadata["may_change"] and field.name in given
    }


def differences(saved: Config, wanted: Mapping[str, Any]) -> list[str]:
    """Lines that say in which fields ``wanted`` disagrees with a saved run, other than those
    which a continued run may change."""
    lines = []
    for field in dataclasses.fields(Config):
        # The preset's name is only a label: what it set is compared field by field.
        if field.name not in wanted or field.metadata["may_change"] or field.name == "preset":
            continue
        old, new = getattr(saved, field.name), wanted[field.name]
        if field.metadata["settles"] and new == field.default:
            continue  # nothing was asked for
        if old != new:
            lines.append(f"--{field.name}: the run has {old}, the command says {new}")
    return lines
