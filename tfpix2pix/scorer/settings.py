"""What decides what a scorer becomes, and its file in the scorer's folder."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_json

FILE = "training.json"
INITS = ("auto", "imagenet", "scratch")
SCRATCH_WIDTH, FULL_WIDTH = 16, 64


@dataclass(frozen=True)
class Settings:
    """Everything that decides a scorer's weights, beside the images themselves.

    Attributes:
      data: the flags that name the data set.
      size: of the photos that it reads, pixels, a multiple of 32.
      load_size: to which they are resized in training before a random crop.
      width: channels of the first block; 64 is VGG-16; 0 for 64 with ImageNet's weights, else 16.
      init: ``imagenet``, ``scratch``, or ``auto`` for the first that can be had.
      epochs, steps: how long; steps, if not 0, count.
      batch_size: photos per step.
      learning_rate: of Adam at the first step, falling to 0 at the last; 0 for 1e-3, or 1e-4
        from ImageNet's weights.
      balance: 0 to 1, how much rare classes weigh in the loss; see `class_weights`.
      seed: of every random draw.
      val_every: steps between measurements; the best one's weights are kept.
      checkpoint_every: steps between checkpoints.
    """

    data: dict[str, Any]
    size: int = 256
    load_size: int = 0
    width: int = 0
    init: str = "auto"
    epochs: int = 60
    steps: int = 0
    batch_size: int = 4
    learning_rate: float = 0.0
    balance: float = 0.5
    seed: int = 0
    val_every: int = 500
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        if self.size % 32 or not 32 <= self.size <= 1024:
            lower = min(1024, max(32, self.size // 32 * 32))
            raise UserError(
                f"--size={self.size}: FCN-8s halves an image five times, so expected a multiple of "
                f"32 from 32 to 1024; use --size={lower}"
            )
        if not self.load_size:
            object.__setattr__(self, "load_size", round(self.size * 286 / 256))
        if self.load_size < self.size:
            raise UserError(
                f"--load_size={self.load_size} is smaller than --size={self.size}, which is cut "
                "from it; give the same or more"
            )
        if self.init == "imagenet" and self.width not in (0, FULL_WIDTH):
            raise UserError(
                f"--width={self.width}: ImageNet's weights are those of --width=64; drop one of "
                "--width and --init=imagenet"
            )
        for name, low, high in (
            ("width", 0, 256),
            ("epochs", 1, math.inf),
            ("steps", 0, math.inf),
            ("batch_size", 1, math.inf),
            ("learning_rate", 0, 1),
            ("balance", 0, 1),
            ("seed", 0, 2**31 - 1),
            ("val_every", 0, math.inf),
            ("checkpoint_every", 0, math.inf),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                expected = f"{low} or more" if high == math.inf else f"{low} to {high}"
                raise UserError(f"--{name}={value}: expected {expected}")

    def total_steps(self, train_pairs: int) -> int:
        return self.steps or math.ceil(self.epochs * train_pairs / self.batch_size)

    def save(self, folder: str | os.PathLike[str]) -> None:
        write_json(Path(folder) / FILE, dataclasses.asdict(self))


_MAY_CHANGE = ("checkpoint_every",)
# Left open by their defaults, and settled when training starts.
_SETTLED_BY_DEFAULT = {"width": 0, "init": "auto", "learning_rate": 0.0}


def continued(folder: Path, wanted: Settings) -> Settings | None:
    """The settings of the scorer that a folder holds already; None where there is none.

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
    return dataclasses.replace(saved, checkpoint_every=wanted.checkpoint_every)


def _flat(settings: Settings) -> dict[str, Any]:
    values = dataclasses.asdict(settings)
    return {**values.pop("data"), **values}
