"""The channels and depth of made pairs: those of the images, so that nothing of them is lost."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.data.images import (
    Header,
    UnreadableImage,
    decode,
    fit_channels,
    fit_depth,
    read_header,
)
from tfpix2pix.data.spec import DEPTHS
from tfpix2pix.data.tasks.plan import Job
from tfpix2pix.data.tasks.task import Task
from tfpix2pix.data.threads import threaded


@dataclasses.dataclass(frozen=True)
class Form:
    """What all images of one side are read as.

    Attributes:
      channels: without alpha, which is placed on white.
      dtype: uint8, uint16 or float32.
    """

    channels: int
    dtype: str

    @property
    def suffix(self) -> str:
        """PNG where it holds them (its second and fourth channel are alpha), else TIFF."""
        return ".png" if self.dtype != "float32" and self.channels in (1, 3) else ".tif"

    def describe(self) -> str:
        names = {1: "grey", 3: "RGB"}
        return f"{names.get(self.channels, f'{self.channels} channels')}, {DEPTHS[self.dtype]}"

    def read(self, path: str | os.PathLike, remarks: set[str]) -> np.ndarray:
        """An image ``[H, W, channels]`` of this form; what that changed is added to the remarks.

        Raises:
          UnreadableImage: it cannot be read.
        """
        image = decode(path)
        notes = image.remarks
        try:
            array = fit_channels(image.array, image.has_alpha, self.channels, notes)
            if array.dtype != self.dtype:
                notes.append("8 bits brought to 16")
            array = fit_depth(array, self.dtype)
        except ValueError as error:  # It became another one since it was looked at.
            raise UnreadableImage(os.fspath(path), str(error), f"{self.describe()}") from None
        remarks.update(notes)
        return array


RGB = Form(3, "uint8")


@dataclasses.dataclass(frozen=True)
class Kept:
    """How pairs are kept: side by side in one file, or where A and B are of two forms, apart.

    Attributes:
      forms: of A and of B.
    """

    forms: tuple[Form, Form]

    @property
    def apart(self) -> bool:
        return self.forms[0] != self.forms[1]

    def files(self, job: Job) -> tuple[str, ...]:
        """The files of a pair, relative to the output folder."""
        name = os.path.splitext(job.target)[0]
        if not self.apart:
            return (name + self.forms[1].suffix,)
        return tuple(f"{s}/{name}{f.suffix}" for s, f in zip("AB", self.forms, strict=True))

    def paths(self, output: Path, job: Job) -> tuple[Path, Path | None]:
        """A and B of a pair; None for B where A holds both."""
        first, *second = (output / file for file in self.files(job))
        return first, second[0] if second else None

    def folders(self, split: str) -> tuple[str, ...]:
        """Where the files of a split are, relative to the output folder."""
        return (f"A/{split}", f"B/{split}") if self.apart else (split,)

    def settings(self) -> dict[str, str]:
        """For the record; nothing for what all pairs were in earlier versions."""
        if self.forms == (RGB, RGB):
            return {}
        a, b = (form.describe() for form in self.forms)
        return {"images": f"{a} in A/ and {b} in B/" if self.apart else a}


def kept_as(task: Task, jobs: Sequence[Job]) -> Kept:
    """How the pairs of these images are kept: with all of their channels and bits.

    Grey among colour becomes colour, 8 bits among 16 become 16. What cannot be read counts for
    nothing here.

    Raises:
      DataError: images of unlike channels or types on one side, or such that the task cannot use.
    """
    headers = list(threaded(_look, jobs, os.cpu_count() or 1))
    sides = []
    for side in range(len(jobs[0].sources)):
        seen = {job.sources[side]: h[side] for job, h in zip(jobs, headers, strict=True) if h[side]}
        sides.append(_common({os.fspath(path): h for path, h in seen.items() if h is not None}))
    form = sides[-1]
    if form.channels not in (task.channels or (form.channels,)) or form.dtype not in task.dtypes:
        raise DataError(
            f"--task={task.name} is for {task.wants}, and these are {form.describe()}; choose "
            "another task, or convert them."
        )
    return Kept((sides[0], form))


def _look(job: Job) -> list[Header | None]:
    found: list[Header | None] = []
    for source in job.sources:
        try:
            found.append(read_header(source))
        except UnreadableImage:
            found.append(None)  # It is reported when its turn comes.
    return found


def _common(headers: dict[str, Header]) -> Form:
    """The form that all images can have without loss."""
    if not headers:
        return RGB
    channels = {header.channels: path for path, header in headers.items()}
    dtypes = {header.dtype: path for path, header in headers.items()}
    if len(channels) > 1 and not set(channels) <= {1, 3}:
        raise _unlike({f"{count} channels": path for count, path in channels.items()})
    if len(dtypes) > 1 and "float32" in dtypes:
        raise _unlike({DEPTHS[dtype]: path for dtype, path in dtypes.items()})
    return Form(max(channels), max(dtypes, key=lambda name: np.dtype(name).itemsize))


def _unlike(kinds: dict[str, str]) -> DataError:
    listed = " and ".join(f"{kind} ({shown(path)})" for kind, path in list(kinds.items())[:2])
    return DataError(
        f"images of {listed} cannot be in one set of pairs; move one kind elsewhere, or convert it."
    )
