"""What decides what a scorer becomes, and its file in the scorer's folder."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_json
from tfpix2pix.base.options import check_options, option, plain_values
from tfpix2pix.base.size import Size
from tfpix2pix.config.base import parse_place, usual_load_size

FILE = "training.json"
INITS = ("auto", "imagenet", "scratch")
SCRATCH_WIDTH, FULL_WIDTH = 16, 64


def is_size(size: Size) -> bool:
    """Whether FCN-8s, which halves an image five times, can read photos of this size."""
    return all(side % 32 == 0 and 32 <= side <= 1024 for side in size)


def readable(size: Size) -> Size:
    """The nearest such size that is not larger, where there is one."""
    return Size(*(min(1024, max(32, side // 32 * 32)) for side in size))


@dataclass(frozen=True)
class Settings:
    """Everything that decides a scorer's weights, beside the images themselves.

    Each field but `data`, the flags that name the data set, is a flag of `tfpix2pix train-scorer`.

    Raises:
      UserError: a value out of range, or two that do not go together; names the flag.
    """

    data: dict[str, Any]
    size: Size = option(
        256,
        "size of the photos that it reads: a side, or HEIGHTxWIDTH, pixels, in multiples of 32",
    )
    load_size: Size = option(
        0,
        "size to which photos are resized in training before the random crop, pixels",
        shown="--size * 286 / 256",
    )
    width: int = option(
        0,
        "channels of the first block, 64 being VGG-16; everything else scales with it",
        minimum=0,
        maximum=256,
        shown="64 with ImageNet's weights, else 16, which suits a CPU",
    )
    init: str = option(
        "auto",
        "the weights that VGG-16 starts from: ImageNet's (through keras.applications), random "
        "ones, or the first of these that can be had",
        choices=INITS,
    )
    epochs: int = option(60, "passes over the train split, unless --steps is given", minimum=1)
    steps: int = option(
        0, "training steps in all, one batch each; 0 counts by --epochs instead", minimum=0
    )
    batch_size: int = option(4, "photos per step", minimum=1)
    learning_rate: float = option(
        0.0,
        "Adam's step size at first",
        minimum=0.0,
        maximum=1.0,
        may_change=True,
        shown="0.001, or 0.0001 from ImageNet's weights",
    )
    lr_schedule: str = option(
        "poly",
        "what becomes of it: 'poly': it falls to 0 by the power 0.9 of what is left; 'constant'; "
        "'linear': it falls to 0 on a line",
        choices=("poly", "constant", "linear"),
        may_change=True,
    )
    lr_decay_from: str = option(
        "0",
        "from where --lr_schedule=linear falls: a step, or epochs as in 30epochs; 0 for half of "
        "the training",
        may_change=True,
    )
    balance: float = option(
        0.5,
        "how much rare classes weigh in the loss: 0 every pixel alike, 1 median frequency "
        "balancing, or between",
        minimum=0.0,
        maximum=1.0,
    )
    seed: int = option(
        0,
        "every random draw is a function of this and the step",
        minimum=0,
        maximum=2**31 - 1,
    )
    val_every: int = option(
        500, "steps between measurements on val, 0 for none but the last", minimum=0
    )
    checkpoint_every: int = option(
        500, "steps between checkpoints, 0 for none but the last", minimum=0, may_change=True
    )

    def __post_init__(self) -> None:
        check_options(self)
        parse_place(self.lr_decay_from)
        if not is_size(self.size):
            raise UserError(
                f"--size={self.size}: FCN-8s halves an image five times, so expected a multiple of "
                f"32 from 32 to 1024; use --size={readable(self.size)}"
            )
        if self.load_size == 0:
            object.__setattr__(self, "load_size", usual_load_size(self.size))
        if not self.size.fits(self.load_size):
            raise UserError(
                f"--load_size={self.load_size} is smaller than --size={self.size}, which is cut "
                "from it; give the same or more"
            )
        if self.init == "imagenet" and self.width not in (0, FULL_WIDTH):
            raise UserError(
                f"--width={self.width}: ImageNet's weights are those of --width=64; drop one of "
                "--width and --init=imagenet"
            )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the settings into a folder."""
        write_json(Path(folder) / FILE, plain_values(self))


_MAY_CHANGE = ("checkpoint_every", "learning_rate", "lr_schedule", "lr_decay_from")
# Left open by their defaults, and resolved when training starts.
_SETTLED_BY_DEFAULT = {"width": 0, "init": "auto", "learning_rate": 0.0}


def continued(
    folder: Path, wanted: Settings, given: Collection[str] = _MAY_CHANGE
) -> Settings | None:
    """The settings of the scorer that a folder holds already; None where there is none.

    Args:
      folder: the scorer's.
      wanted: the settings that are asked for.
      given: which of them were said, and are taken where a continued training may change them.

    Raises:
      UserError: the folder holds something else, or a scorer of other settings.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output={folder} is a file; give a folder, or a new name")
    path = folder / FILE
    if not path.exists():
        if lock.holds_files(folder):
            raise UserError(
                f"--output={folder} holds other files and no {FILE}, so it is no scorer; give a "
                "new or empty folder"
            )
        return None
    try:
        saved = Settings(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be used ({error}); restore it, or train into a new --output"
        ) from None
    old, new = (_flat(settings) for settings in (saved, wanted))
    differing = []
    for name in sorted(old.keys() | new.keys()):
        if name in _MAY_CHANGE or new.get(name) == _SETTLED_BY_DEFAULT.get(name, ()):
            continue
        if old.get(name) != new.get(name):
            differing.append(f"--{name} {old.get(name)} there, {new.get(name)} asked for")
    if differing:
        raise UserError(
            f"--output={folder} holds a scorer of another configuration ({', '.join(differing)}), "
            "so nothing was changed; give another --output, or the same flags"
        )
    changes = {name: new[name] for name in _MAY_CHANGE if name in given}
    return dataclasses.replace(saved, **{k: v for k, v in changes.items() if v != 0.0})


def _flat(settings: Settings) -> dict[str, Any]:
    values = plain_values(settings)
    return {**values.pop("data"), **values}
