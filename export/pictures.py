"""The images that an export is checked on, and those that quantisers look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.errors import DataError, UserError
from tfpix2pix.base.size import Size
from tfpix2pix.config.dataset import open_source
from tfpix2pix.data.config import ARRAYS

if TYPE_CHECKING:
    from tfpix2pix.config import Config
    from tfpix2pix.data import PairArrays, PairSource, PairSpec


@dataclass(frozen=True)
class CheckPicture:
    """One image to check an export on.

    Attributes:
      name: for captions.
      x: float32 ``[H, W, C_in]`` in [-1, 1].
      y: the target, float32 ``[H, W, C_out]`` in [-1, 1], or None.
    """

    name: str
    x: np.ndarray
    y: np.ndarray | None = None


def val_pictures(
    config: Config,
    workdir: str | os.PathLike[str] | None,
    dataset: str | PairArrays,
    count: int,
    direction: str = "",
) -> tuple[list[CheckPicture], str]:
    """Pairs of the run's val split, spread over it.

    Args:
      config: of the run.
      workdir: its folder.
      dataset: where the data set is now, or its arrays; empty: where the run found it.
      count: how many at most.
      direction: whose inputs x is; empty for the run's default.

    Returns:
      The pictures, and the split that they are from (a set without val: test or train).

    Raises:
      DataError: the data set cannot be read.
    """
    source = _source(config, workdir, dataset)
    split = next((s for s in ("val", "test", "train") if source.count(s)), "val")
    pairs = _pairs(source, split, config.whole_size, count)
    turned = config.direction_of(direction) != config.direction
    pictures = []
    for name, x, y in pairs:
        seen, target = (y, x) if turned else (x, y)
        pictures.append(CheckPicture(name, seen, target if source.paired(split) else None))
    return pictures, split


def stored_inputs(
    config: Config,
    workdir: str | os.PathLike[str] | None,
    dataset: str | PairArrays,
    count: int,
    direction: str = "",
) -> list[np.ndarray]:
    """Inputs of the run's data as they are stored, of their own sizes, to see what they show.

    Args:
      config, dataset, direction: as in `val_pictures`.
      workdir: likewise; None where the run is not here.
      count: how many at most.

    Returns:
      ``[H, W, C]`` each, see `PairSource.load`.

    Raises:
      DataError: the data set cannot be read.
    """
    source = _source(config, workdir, dataset)
    split = next((s for s in ("val", "test", "train") if source.count(s)), "val")
    side = int(config.direction_of(direction) != config.direction)
    total = min(source.sides(split))
    indices = [i * total // count for i in range(min(count, total))]
    return [source.load(split, index)[side] for index in indices]


def given_pictures(path: str, spec: PairSpec, size: Size, count: int) -> list[CheckPicture]:
    """Inputs from an image or a folder of images, resized to the run's size; without targets.

    Raises:
      UserError: there are none, or one cannot be an input of the run.
    """
    from tfpix2pix.data import decode, is_image_name
    from tfpix2pix.inference import resized

    place = Path(path).expanduser()
    if place.is_dir():
        files = sorted(p for p in place.iterdir() if p.is_file() and is_image_name(p.name))
    else:
        files = [place] if place.is_file() else []
    if not files:
        raise UserError(
            f"--check_images={path}: no image there; give an image or a folder of images that the "
            "run can translate"
        )
    pictures = []
    for file in files[:count]:
        try:
            x = spec.read_input(decode(file, spec.x.planes))
        except ValueError as error:
            raise UserError(f"--check_images: {file}: {error}") from None
        x = resized(x, size.height, size.width, nearest=spec.x.is_classes)
        pictures.append(CheckPicture(file.stem, np.clip(x, -1, 1).astype(np.float32)))
    return pictures


def drawn_input(spec: PairSpec, height: int, width: int, seed: int = 0) -> np.ndarray:
    """An input, float32 ``[H, W, C_in]`` in [-1, 1]: blocks of random values or classes, large ones
    before small ones."""
    side, random = spec.x, np.random.default_rng(seed)
    values = np.zeros((height, width, side.value_channels))
    for part in (2, 4, 8, 16):
        block = max(1, height // part)
        for _ in range(6):
            top, left = random.integers(0, [height, width])
            values[top : top + block, left : left + block] = random.random(side.value_channels)
    if side.palette is not None:
        values = (values * len(side.palette)).astype(np.uint8)
    else:
        values = side.low + values * (side.high - side.low)
        values = (values if side.dtype == "float32" else np.rint(values)).astype(side.dtype)
    return spec.input_of(values, np.zeros((height, width), bool))


class TrainingInputs:
    """Inputs of the run's training split, for quantisers: ``inputs(count)`` yields x.

    Args:
      config, workdir, dataset, direction: as in `val_pictures`.
    """

    def __init__(
        self,
        config: Config,
        workdir: str | os.PathLike[str],
        dataset: str | PairArrays = "",
        direction: str = "",
    ) -> None:
        self._where = (config, workdir, dataset)
        self._turned = config.direction_of(direction) != config.direction

    def __call__(self, count: int) -> Iterator[np.ndarray]:
        """Yields float32 ``[H, W, C_in]`` in [-1, 1], spread over the split.

        Raises:
          UserError: the data set cannot be read.
        """
        config, workdir, dataset = self._where
        try:
            source = _source(config, workdir, dataset)
            pairs = list(_pairs(source, "train", config.whole_size, count))
        except DataError as error:
            raise UserError(
                f"--quantize=int8 looks at images of the run's training split: {error} "
                "(or say with --dataset=FOLDER where it is now)"
            ) from None
        yield from (y if self._turned else x for _, x, y in pairs)


def tiled(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image ``[H, W, C]`` of another size: mirrored at its edges, or cut."""
    grow = [(0, max(0, height - x.shape[0])), (0, max(0, width - x.shape[1])), (0, 0)]
    return np.pad(x, grow, mode="symmetric")[:height, :width]


def _source(
    config: Config, workdir: str | os.PathLike[str] | None, dataset: str | PairArrays
) -> PairSource:
    if not isinstance(dataset, str):
        config = config.replace(dataset=ARRAYS, input_dir="", target_dir="", direction="AtoB")
        return open_source(config, workdir, dataset)
    if dataset:
        known = dataset == "sample" or dataset.startswith("tfds:")
        place = dataset if known else os.path.abspath(os.path.expanduser(dataset))
        config = config.replace(dataset=place, input_dir="", target_dir="")
    return open_source(config, workdir)


def _pairs(
    source: PairSource, split: str, size: Size, count: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, x and y of up to `count` pairs spread over a split."""
    from tfpix2pix.data import evaluation_batches, open_store

    total = source.count(split)
    # Streamed: a large set must not be decoded as a whole for a few of its pairs.
    store = open_store(source, split, size=size, cache="none")
    count = min(count, total)
    indices = [i * total // count for i in range(count)]
    batches = evaluation_batches(store, size=size, indices=indices)
    for index, (x, y, *_) in zip(indices, batches, strict=True):
        yield store.pair_name(index), x[0].numpy(), y[0].numpy()
