"""What every run has: the data part, the run part, and the file of both in the workdir.

An algorithm adds a section of its own to `Config` (`tfpix2pix.algorithms.configs`). Every field is
a flag of the command line; the text that the manual page shows stands beside the field.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_text
from tfpix2pix.base.options import check_options, nearest, option, plain_values
from tfpix2pix.base.size import Size
from tfpix2pix.config.declared import ChartSpec, Measure
from tfpix2pix.data.config import DIRECTIONS, LEARNS_PAIRS, SMALLEST, DataConfig

C = TypeVar("C", bound="Config")

LARGEST_DEPTH = 1024  # pixels: the smaller side of what the networks see decides their depth
SAME_SHAPE = 0.05  # relative difference of two aspects that counts as none

GROUPS = {
    "first": "What to train on, and for how long",
    "data": "Data and jitter",
    "model": "Networks",
    "loss": "Objective and optimizer",
    "device": "For accelerators",
    "run": "Saving, validating and reporting",
}


@dataclass(frozen=True)
class Preset:
    """Named settings.

    Attributes:
      about: what they are for.
      values: the fields in which they differ from the defaults.
      expects: the time and the result that were measured with them, and where; empty where nobody
        has trained with them here.
    """

    about: str
    values: Mapping[str, Any]
    expects: str = ""


@dataclass(frozen=True)
class RunConfig:
    """How long a run is, how large its images are, what it saves, measures and shows.

    Raises:
      UserError: a value out of range; names the flag.
    """

    algorithm: str = option("", "what is learned, and how", "first")
    preset: str = option("paper", "named settings that the other flags override", "first")
    init_from: str = option(
        "",
        "start a new run from the weights of a finished one, on other pairs: its folder (the "
        "newest checkpoint), or RUN/checkpoints/step_N. Networks and losses are then that run's",
        "first",
    )
    crop_size: Size = option(
        256,
        "size of the images that the networks see: a side, or HEIGHTxWIDTH such as 256x512, "
        "pixels; the smaller side from 32 to 1024, both in the multiples that the generator's "
        "depth asks for",
        "first",
        minimum=SMALLEST,
        maximum=LARGEST_DEPTH,
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
    batch_size: int = option(
        1, "pairs per step, over all devices together", "first", minimum=1, maximum=65536
    )
    lr_schedule: str = option(
        "constant",
        "step sizes of Adam: 'constant', 'linear': falling to 0 at the end of the run, or "
        "'linear_epochs': the same with a step down after each epoch, as CycleGAN's code has it",
        "loss",
        choices=("constant", "linear", "linear_epochs"),
        may_change=True,
    )
    lr_decay_from: str = option(
        "0",
        "from where a --lr_schedule that is not constant falls: a step, or epochs as in 100epochs; "
        "0 for half of the run",
        "loss",
        may_change=True,
    )
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
    log_every: int = option(
        100, "steps between points of the curves", "run", minimum=1, may_change=True
    )
    val_every: int = option(
        2000,
        "steps between measurements on the val split, 0 for none but the last",
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
        "", "val measure by which the best checkpoint is chosen", "run", may_change=True
    )
    patience: int = option(
        0,
        "stop after so many measurements on val in a row without a better --best_metric; 0: never",
        "run",
        minimum=0,
        may_change=True,
    )

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raises UserError for a value that a field cannot have."""
        if type(self.lr_decay_from) is int:  # from Python, and of files of earlier versions
            object.__setattr__(self, "lr_decay_from", str(self.lr_decay_from))
        check_options(self)
        parse_place(self.lr_decay_from)

    def total_steps(self, train_images: int) -> int:
        """Steps of the whole run, given the number of training images (of pairs: of pairs)."""
        return self.steps or self._steps_in(self.epochs, train_images)

    def decay_start(self, train_images: int) -> int:
        """The step from which a falling learning rate falls, given as for `total_steps`."""
        number, epochs = parse_place(self.lr_decay_from)
        start = self._steps_in(number, train_images) if epochs else number
        return start or self.total_steps(train_images) // 2

    def decay_epochs(self, train_images: int) -> tuple[int, int]:
        """After how many epochs a rate that falls by epochs falls, and how many the run has; given
        as for `total_steps`."""
        total = self.epochs
        if self.steps:
            total = math.ceil(self.steps * self.batch_size / train_images)
        number, epochs = parse_place(self.lr_decay_from)
        start = number if epochs else number * self.batch_size // train_images
        return start if number else total // 2, total

    def _steps_in(self, epochs: int, images: int) -> int:
        return math.ceil(epochs * images / self.batch_size)


@dataclass(frozen=True)
class Config(RunConfig, DataConfig):
    """Everything that decides what a run computes, but for what its algorithm adds.

    Attributes:
      PRESETS: the algorithm's, by name.
      DEFAULT_PRESET: the one that is used where none is named.
      MEASURES: what is measured on val; `best_metric` is one of them.
      CHARTS: of the report, besides the speed.
      EARLIER: fields that files of earlier versions lack, with what those versions did, where that
        is not the default.
      EARLIER_PRESETS: by preset, the values that fields had with it in earlier versions.
      TWO_WAY: whether a generator for the way back is trained too.
      TAKES_LATENT: whether its generators may have a latent.
      ENCODES: whether an encoder is trained too, which says what latent an image stands for.
      LABELS_OUT: whether it can learn classes, ``target_encoding="onehot"``.
      FLAG: by which the command line names the folder that a run stands in.
      SMALLER: flags by which a run needs less memory.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = {}
    DEFAULT_PRESET: ClassVar[str] = ""
    MEASURES: ClassVar[tuple[Measure, ...]] = ()
    CHARTS: ClassVar[tuple[ChartSpec, ...]] = ()
    EARLIER: ClassVar[Mapping[str, Any]] = {
        "input_ignore": "none",
        "target_ignore": "none",
        "sample_labels": "cmp",
    }
    EARLIER_PRESETS: ClassVar[Mapping[str, Mapping[str, Collection[Any]]]] = {}
    TWO_WAY: ClassVar[bool] = False
    TAKES_LATENT: ClassVar[bool] = False
    ENCODES: ClassVar[bool] = False
    LABELS_OUT: ClassVar[bool] = False
    FLAG: ClassVar[str] = "--workdir"
    SMALLER: ClassVar[str] = "--batch_size, --crop_size or --ngf"

    def __post_init__(self) -> None:
        self.check()
        if self.labels_out and not self.LABELS_OUT:
            raise UserError(
                f"--target_encoding={self.target_encoding}: the targets of --algorithm="
                f"{self.algorithm} are pictures; leave it out, or use {LEARNS_PAIRS}"
            )
        self.check_crop_size()
        if not self.crop_size.fits(self.load_size):
            raise UserError(
                f"--crop_size={self.crop_size} is larger than --load_size={self.load_size}, from "
                f"which it is cut; use --load_size={usual_load_size(self.crop_size)} (the paper's "
                "ratio) or a smaller --crop_size"
            )

    def check_crop_size(self) -> None:
        """Raises UserError for a size that the algorithm's networks cannot have."""

    @classmethod
    def preset_values(cls, name: str, flags: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a preset sets where these fields were given: without what does not go with them."""
        return cls.PRESETS[name].values

    def replace(self: C, **changes: Any) -> C:
        """The same with other values; checked anew."""
        return dataclasses.replace(self, **changes)

    @property
    def size_multiple(self) -> int:
        """Height and width of what the networks see are multiples of this, pixels."""
        return self.crop_size.smaller

    @property
    def least_size(self) -> int:
        """Height and width of what the networks see are not smaller, pixels."""
        return 1

    @property
    def whole_size(self) -> Size:
        """Height and width at which whole images are measured, shown and exported with.

        It is `crop_size` where that has the shape of `load_size`, as in the paper. Where crops are
        cut from images of another shape, it has the images' shape and the crops' scale.
        """
        crop, load = self.crop_size, self.load_size
        if abs(math.log(crop.aspect / load.aspect)) < SAME_SHAPE:
            return crop
        scale = max(crop.height / load.height, crop.width / load.width)
        return load.times(scale).nearest(self.size_multiple)

    @property
    def directions(self) -> tuple[str, ...]:
        """In which the run translates, the default one first."""
        if not self.TWO_WAY:
            return (self.direction,)
        return self.direction, next(each for each in DIRECTIONS if each != self.direction)

    def direction_of(self, wanted: str, what: str = "this run") -> str:
        """A direction that was asked for, or the default where none was.

        Args:
          wanted: ``AtoB``, ``BtoA`` or empty.
          what: translates, for the message.

        Raises:
          UserError: there is no such direction.
        """
        return chosen_direction(wanted, self.directions, what)

    @property
    def takes_noise(self) -> bool:
        """Whether the run's generator has the input z."""
        return False

    @property
    def noisy(self) -> bool:
        """Whether another noise makes another picture."""
        return False

    @property
    def latent_size(self) -> int:
        """Numbers of the latent that the run's generators take; 0 where they take none."""
        return 0

    @property
    def average_decay(self) -> float:
        """Of the moving averages of the generators' weights; 0 where there are none."""
        return 0.0

    @property
    def batch_statistics(self) -> bool:
        """Whether networks normalise by statistics of the whole batch in training."""
        return False

    @property
    def has_discriminator(self) -> bool:
        """Whether a discriminator is trained beside the generator."""
        return False

    @property
    def networks(self) -> str:
        """What is trained, in a few words for a line."""
        return self.algorithm

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What is measured on val; here `MEASURES`."""
        return self.MEASURES

    @property
    def charts(self) -> tuple[ChartSpec, ...]:
        """Of the report, besides the speed; here `CHARTS`."""
        return self.CHARTS

    @property
    def best_measure(self) -> Measure:
        """The measure by which the best checkpoint is chosen."""
        return next(measure for measure in self.measures if measure.name == self.best_metric)

    def save(self, workdir: str | os.PathLike[str]) -> None:
        """Writes ``config.json`` into a workdir; `load_config` reads it."""
        write_text(Path(workdir, "config.json"), self.to_json())

    def to_json(self) -> str:
        """What ``config.json`` holds: every field, flat."""
        return json.dumps(plain_values(self), indent=2) + "\n"

    @classmethod
    def from_values(cls: type[C], values: Mapping[str, Any]) -> C:
        """A config of the given fields (others: defaults). Raises UserError naming an unknown."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise UserError(f"unknown field {name!r}{nearest(name, known)}")
        return cls(**values)


def chosen_direction(
    wanted: str, there: Sequence[str], what: str, advice: str = "leave --direction out"
) -> str:
    """`Config.direction_of` where the directions are those of an export.

    Args:
      wanted, what: as there.
      there: the directions, the default one first.
      advice: what to do, for the message.
    """
    if not wanted:
        return there[0]
    if wanted not in DIRECTIONS:
        raise UserError(f"--direction={wanted}: expected {' or '.join(DIRECTIONS)}")
    if wanted not in there:
        raise UserError(
            f"--direction={wanted}: {what} translates {' and '.join(there)} only; {advice}"
        )
    return wanted


def parse_place(text: str) -> tuple[int, bool]:
    """A place in a run as ``--lr_decay_from`` has it: ``2000``, ``2000steps`` or ``100epochs``.

    Returns:
      The number, and whether it counts epochs.

    Raises:
      UserError: it is none.
    """
    found = re.fullmatch(r"([0-9]{1,9}) ?(?:steps?|(epochs?))?", text, re.ASCII)
    if found is None:
        raise UserError(
            f"--lr_decay_from={text}: expected a step, such as 2000, or epochs, such as 100epochs"
        )
    return int(found[1]), bool(found[2])


def usual_load_size(crop_size: Size | int) -> Size:
    """The paper's ratio of jitter: 286 for 256."""
    return Size.of(crop_size).times(286 / 256)
