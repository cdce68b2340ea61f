"""The torch side of input_pipeline.py: DataLoaders that do what training_batches does.

Needs torch (`pip install torch`; torchvision is not needed), which the package itself never does.
It runs in processes of its own, one for each number of threads, so that torch's threads and
TensorFlow's do not get in each other's way and DataLoader's workers fork from a process without
TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Dataset, RandomSampler

_ENDLESS = 10**9

Measure = Callable[[Iterator, float, float], float]
"""Called as ``measure(batches, warm, seconds)``, it returns batches per second."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to set a DataLoader up.

    Attributes:
      reading: one of `_DATASETS`.
      workers: DataLoader's num_workers.
      threads: torch's threads in the main process, which matter without workers only.
    """

    reading: str
    workers: int
    threads: int

    def __str__(self) -> str:
        threads = "" if self.workers else f", {self.threads} threads"
        return f"{self.reading}, {self.workers} workers{threads}"


def variants(cores: int) -> dict[str, list[Variant]]:
    """The variants worth trying on so many cores, by what they stand for."""
    written = [Variant("files", 0, cores), Variant("files", cores, 1)]
    best = [
        Variant(reading, workers, threads)
        for reading in ("memory, float", "memory, uint8", "resized once, uint8")
        for workers, threads in [(0, 1), (0, cores), (1, 1), (cores, 1)]
    ]
    return {"as people write it": written, "at its best": list(dict.fromkeys(best))}


# === Datasets: one pair, resized, cropped, mirrored, in [-1, 1] ===


class _Files(Dataset):
    """Opens the side-by-side image each time, as most loaders for pix2pix do."""

    def __init__(self, files: list[str], load_size: int, crop_size: int):
        self._files, self._load, self._crop = files, load_size, crop_size

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = Image.open(self._files[index]).convert("RGB")
        width, height = image.size
        halves = [
            image.crop((0, 0, width // 2, height)),
            image.crop((width // 2, 0, width, height)),
        ]
        row, column, mirrored = _draw(self._load - self._crop)
        box = (column, row, column + self._crop, row + self._crop)
        done = []
        for half in halves:
            half = half.resize((self._load, self._load), Image.Resampling.BICUBIC).crop(box)
            if mirrored:
                half = half.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            pixels = torch.from_numpy(np.array(half)).permute(2, 0, 1)
            done.append(pixels.float().div(127.5).sub(1))
        return done[0], done[1]


class _MemoryFloat(Dataset):
    """Pairs decoded once; both images, as one float tensor, go through one interpolate."""

    def __init__(self, files: list[str], load_size: int, crop_size: int):
        self._load, self._crop = load_size, crop_size
        self._pairs = [torch.cat(_halves(file)) for file in files]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.transform(index, *_draw(self._load - self._crop))

    def transform(
        self, index: int, row: int, column: int, mirrored: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pair `index` for one draw: two tensors ``[3, crop, crop]`` in [-1, 1]."""
        joined = _resize(self._pairs[index].float(), self._load)
        joined = joined[:, row : row + self._crop, column : column + self._crop]
        joined = joined.flip(-1) if mirrored else joined
        joined = joined.div(127.5).sub_(1)
        return joined[:3], joined[3:]


class _MemoryBytes(_MemoryFloat):
    """The same in uint8 until the end: torch's fastest resize, which takes three channels last.

    It rounds to whole levels, where ours and `_MemoryFloat` keep fractions. The result is left
    channels last, which spares a transposition.
    """

    def __init__(self, files: list[str], load_size: int, crop_size: int):
        self._load, self._crop = load_size, crop_size
        last = torch.channels_last
        self._pairs = [
            [half[None].contiguous(memory_format=last) for half in _halves(file)] for file in files
        ]

    def transform(
        self, index: int, row: int, column: int, mirrored: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        done = []
        for half in self._resized(index):
            half = half[row : row + self._crop, column : column + self._crop]
            half = half.flip(1) if mirrored else half
            done.append(half.to(torch.float32).div_(127.5).sub_(1))
        return done[0], done[1]

    def _resized(self, index: int) -> list[torch.Tensor]:
        """Both images of a pair, uint8 ``[load, load, 3]``."""
        return [_resize(half[0], self._load).permute(1, 2, 0) for half in self._pairs[index]]


class _ResizedOnce(_MemoryBytes):
    """The same, but resized before training as well; only crop, mirror and floats are left."""

    def __init__(self, files: list[str], load_size: int, crop_size: int):
        super().__init__(files, load_size, crop_size)
        self._pairs = [super(_ResizedOnce, self)._resized(i) for i in range(len(files))]

    def _resized(self, index: int) -> list[torch.Tensor]:
        return self._pairs[index]


_DATASETS = {
    "files": _Files,
    "memory, float": _MemoryFloat,
    "memory, uint8": _MemoryBytes,
    "resized once, uint8": _ResizedOnce,
}


def _halves(file: str) -> list[torch.Tensor]:
    """A side-by-side image as two uint8 tensors ``[3, H, W]``."""
    pixels = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)
    return [half.contiguous() for half in pixels.chunk(2, dim=2)]


def _resize(image: torch.Tensor, size: int) -> torch.Tensor:
    return interpolate(image[None], size=(size, size), mode="bilinear", antialias=True)[0]


def _draw(slack: int) -> tuple[int, int, bool]:
    row, column = torch.randint(0, slack + 1, (2,)).tolist()
    return row, column, bool(torch.rand(()) < 0.5)


# === The process ===


class _Bench:
    def __init__(self, files: list[str], load_size: int, crop_size: int, measure: Measure):
        self._arguments = (files, load_size, crop_size)
        self._measure = measure
        self._datasets: dict[str, Dataset] = {}

    def dataset(self, reading: str) -> Dataset:
        if reading not in self._datasets:
            self._datasets[reading] = _DATASETS[reading](*self._arguments)
        return self._datasets[reading]

    def rate(self, variant: Variant, batch_size: int, warm: float, seconds: float) -> float:
        """Pairs per second of one DataLoader, once it has run for `warm` seconds."""
        dataset = self.dataset(variant.reading)
        loader = DataLoader(
            dataset,
            batch_size,
            # Permutation after permutation: no worker ever waits for the end of an epoch.
            sampler=RandomSampler(dataset, num_samples=_ENDLESS),
            num_workers=variant.workers,
        )
        return batch_size * self._measure(iter(loader), warm, seconds)

    def pair(self, reading: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        """One pair resized, neither cropped nor mirrored: float32 ``[3, load, load]``, levels."""
        files, load_size, _ = self._arguments
        dataset = _DATASETS[reading]([files[index]], load_size, load_size)
        pair = dataset.transform(0, 0, 0, False)
        if reading != "memory, float":  # those leave the channels last
            pair = tuple(image.permute(2, 0, 1) for image in pair)
        return tuple((image.numpy() + 1) * 127.5 for image in pair)


def serve(
    pipe: Connection,
    threads: int,
    files: list[str],
    load_size: int,
    crop_size: int,
    measure: Measure,
) -> None:
    """Answers ``(method of _Bench, arguments)`` until None comes."""
    torch.set_num_threads(threads)
    bench = _Bench(files, load_size, crop_size, measure)
    while (request := pipe.recv()) is not None:
        method, arguments = request
        pipe.send(getattr(bench, method)(*arguments))
