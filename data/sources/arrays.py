"""Pairs that are arrays in memory, as a notebook has them."""

from __future__ import annotations

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.check.faults import fault_report
from tfpix2pix.data.check.resolve import resolve
from tfpix2pix.data.check.scan import BadPair, PairLook, look_at
from tfpix2pix.data.config import ARRAYS, LEARNS_UNPAIRED
from tfpix2pix.data.images import Decoded
from tfpix2pix.data.layouts.pair_files import PairFiles, size_text
from tfpix2pix.data.layouts.splits import DEFAULT_VAL_FRACTION, check_val_fraction, split_of
from tfpix2pix.data.sources.base import SPLITS, PairSource, Progress
from tfpix2pix.data.spec import DTYPES, PairSpec, PairWish
from tfpix2pix.data.threads import threaded

_EXPECTED = (
    'expected (x, y), or {"train": (x, y), "val": (x, y)}, of arrays [N, H, W, C] or lists of '
    "images [H, W, C]"
)


Images = np.ndarray | list[np.ndarray]


class PairArrays:
    """Inputs and targets as arrays, checked for what can be told without looking at pixels.

    Args:
      given: ``(x, y)``, which is split by a hash of the pairs' numbers, or a dict of such pairs
        with keys of ``train``, ``val``, ``test``. x and y: uint8, uint16 or float32
        ``[N, H, W, C]``, or lists of N images ``[H, W, C]`` (grey: ``[H, W]``) that may differ in
        size. What NumPy can see as an array will do.

    Attributes:
      splits: ``(x, y)`` by split; of what is not split yet the one key is empty.

    Raises:
      DataError: it is nothing of the kind; the message names the array. Pairs or not, `no_pairs`
        says.
    """

    def __init__(self, given: Any) -> None:
        if isinstance(given, Mapping):
            unknown = [key for key in given if key not in SPLITS]
            if unknown or not given:
                found = f"a dict with {unknown[0]!r}" if unknown else "an empty dict"
                raise DataError(
                    f"dataset: found {found}; {_EXPECTED}; the splits are {', '.join(SPLITS)}."
                )
            named = dict(given)
        else:
            named = {"": given}
        self.splits = {split: self._pairs(pair, split) for split, pair in named.items()}

    def _pairs(self, pair: Any, split: str) -> tuple[Images, Images]:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            of = f" for {split!r}" if split else ""
            raise DataError(f"dataset: found {_found(pair)}{of}; {_EXPECTED}.")
        x, y = (_images(side, label_of(name, split)) for name, side in zip("xy", pair, strict=True))
        return x, y

    @property
    def are_pairs(self) -> bool:
        """Whether x[i] and y[i] may be pairs: as many, of one size each."""
        return not self.no_pairs()

    def no_pairs(self) -> str:
        """Why they are no pairs, or empty."""
        for split, (x, y) in self.splits.items():
            if len(x) != len(y):
                return (
                    f"{label_of('x', split)} has {len(x):,} images and {label_of('y', split)} "
                    f"{len(y):,}; expected as many, x[i] and y[i] being a pair; "
                    f"{LEARNS_UNPAIRED} learns from images that are no pairs"
                )
            for i, (one, other) in enumerate(zip(x, y, strict=True)):
                if one.shape[:2] != other.shape[:2]:
                    return (
                        f"{label_of(f'x[{i}]', split)} is {size_text(one.shape)}, and its target "
                        f"{size_text(other.shape)}; expected both images of a pair of one size"
                    )
        return ""

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all images: their splits, types, shapes and values."""
        digest = hashlib.sha256()
        for split in sorted(self.splits):
            for images in self.splits[split]:
                digest.update(f"{split}\0{len(images)}\0".encode())
                for image in images:
                    digest.update(f"{image.dtype}{image.shape}".encode())
                    digest.update(np.ascontiguousarray(image).data)
        return digest.hexdigest()


class ArraySource(PairSource):
    """Pairs of arrays; x is the input.

    Args:
      arrays: the pairs, or what `PairArrays` takes.
      wish: what the user asked of the spec; the rest is as the arrays are.
      val_fraction: the share that is held out as val where the arrays are not split, by a hash of
        the pairs' numbers, so that more pairs at the end move none.
      allow_mixed_sizes: let `check` accept pairs of differing size.

    Raises:
      DataError: as `PairArrays`; a fraction out of range.
    """

    def __init__(
        self,
        arrays: Any,
        *,
        wish: PairWish = PairWish(),  # noqa: B008 (frozen)
        val_fraction: float = DEFAULT_VAL_FRACTION,
        allow_mixed_sizes: bool = False,
    ) -> None:
        self.name, self.direction = f"--dataset={ARRAYS}", "AtoB"
        self.arrays = arrays if isinstance(arrays, PairArrays) else PairArrays(arrays)
        if why := self.arrays.no_pairs():
            raise DataError(f"dataset: {why}.")
        self._wish, self._allow_mixed_sizes = wish, allow_mixed_sizes
        self._spec: PairSpec | None = wish.spec() if wish.resolved else None
        self._notes: list[str] = []
        # (split of the arrays, number there) of every pair, by split.
        self._places: dict[str, list[tuple[str, int]]] = {split: [] for split in SPLITS}
        check_val_fraction(val_fraction)
        for split, (x, _) in self.arrays.splits.items():
            for i in range(len(x)):
                own = split or split_of(name_of(i), val_fraction)
                self._places[own].append((split, i))

    @property
    def spec(self) -> PairSpec:
        if self._spec is None:
            self.check()
        assert self._spec is not None
        return self._spec

    def count(self, split: str) -> int:
        return len(self._places.get(split, ()))

    def pair_name(self, split: str, index: int) -> str:
        return name_of(self._places[split][index][1])

    def load(self, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        place = self._places[split][index]
        x, y = self._pair(place)
        try:
            return self.spec.store(decoded_of(x), decoded_of(y))
        except ValueError as error:
            labels = " and ".join(label_of(f"{side}[{place[1]}]", place[0]) for side in "xy")
            raise DataError(f"{labels}: {error}; expected {self.spec.describe()}.") from None

    def describe(self) -> str:
        counts = ", ".join(f"{n:,} {split}" for split, n in self._counts().items())
        sizes = self._sizes()
        height, width = sizes[0]
        size = f"{width}x{height}" if len(sizes) == 1 else f"{len(sizes)} sizes"
        return f"{counts} pairs of {size} (arrays; {self.spec.describe()})"

    def identity(self) -> dict[str, Any]:
        return {
            "layout": "arrays",
            "counts": self._counts(),
            "sizes": [list(size) for size in self._sizes()[:16]],
            "arrays": self.arrays.digest,
        }

    def image_sizes(self) -> dict[tuple[int, int], int]:
        images = (image for x, _ in self.arrays.splits.values() for image in x)
        return dict(Counter(image.shape[:2] for image in images))

    def notes(self) -> list[str]:
        return list(self._notes)

    def check(self, progress: Progress | None = None) -> None:
        jobs = [(split, place) for split, places in self._places.items() for place in places]
        looks = []
        for done, look in enumerate(threaded(self._look, jobs), start=1):
            looks.append(look)
            if progress:
                progress(done, len(jobs))
        resolved = resolve(
            looks,
            self._wish,
            direction=self.direction,
            label=str,
            allow_mixed_sizes=self._allow_mixed_sizes,
        )
        if resolved.faults:
            raise DataError(fault_report(self.name, resolved.faults, 2 * len(jobs)))
        self._spec, self._notes = resolved.spec, resolved.notes

    def _look(self, job: tuple[str, tuple[str, int]]) -> PairLook | BadPair:
        split, place = job
        # What files are to `resolve`: the names by which the images are called in messages.
        a, b = (Path(label_of(f"{side}[{place[1]}]", place[0])) for side in "xy")
        files = PairFiles(name_of(place[1]), a, b)
        pair = self._pair(place)
        x, y = (
            look_at(path, decoded_of(image), self._wish)
            for path, image in zip((a, b), pair, strict=True)
        )
        return PairLook(split, files, x, y)

    def _pair(self, place: tuple[str, int]) -> tuple[np.ndarray, np.ndarray]:
        x, y = self.arrays.splits[place[0]]
        return x[place[1]], y[place[1]]

    def _sizes(self) -> list[tuple[int, int]]:
        """(height, width), each once."""
        return sorted(self.image_sizes())


def _images(given: Any, label: str) -> Images:
    """The images of one side, each ``[H, W, C]``: the array itself, or a list."""
    if isinstance(given, tuple | list):
        listed = [np.asarray(image) for image in given]
        listed = [image[..., None] if image.ndim == 2 else image for image in listed]
        wrong = next((i for i, image in enumerate(listed) if image.ndim != 3), None)
        if wrong is not None:
            raise DataError(
                f"dataset: image {wrong} of {label} has the shape {list(listed[wrong].shape)}; "
                "expected [H, W, C], or [H, W] for grey."
            )
        shapes = {image.shape for image in listed}
        dtypes = {image.dtype.name for image in listed}
        images: Images = listed
    else:
        images = stack = np.asarray(given)
        if stack.ndim != 4:
            found = _found(given) if stack.ndim == 0 else f"the shape {list(stack.shape)}"
            grey = f"; of grey images {label}[..., None]" if stack.ndim == 3 else ""
            raise DataError(f"dataset: {label} has {found}; expected an array [N, H, W, C]{grey}.")
        shapes, dtypes = {stack.shape[1:]}, {stack.dtype.name}
    if not len(images) or any(0 in shape for shape in shapes):
        raise DataError(f"dataset: {label} holds no images; expected at least one.")
    for name in sorted(dtypes - set(DTYPES)):
        raise DataError(
            f"dataset: {label} holds values of type {name}; expected uint8, uint16 or float32, "
            f"such as {label.split()[0]}.astype('float32')."
        )
    for height, _, channels in shapes:
        if height <= 4 < channels:
            raise DataError(
                f"dataset: {label} has images [{height}, ..., {channels}], which looks like "
                f"channels first; expected [N, H, W, C], such as "
                f"{label.split()[0]}.transpose(0, 2, 3, 1)."
            )
    return images


def decoded_of(image: np.ndarray) -> Decoded:
    """An image of an array as files are decoded."""
    return Decoded(image, False, None, ())


def name_of(index: int) -> str:
    """What an image of an array is called."""
    return f"{index:05d}"


def label_of(what: str, split: str) -> str:
    """An array, or an image of one, for messages."""
    return f"{what} of {split}" if split else what


def _found(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"{len(value)} things"
    shape = getattr(value, "shape", None)
    if shape:
        return f"one array of shape {list(shape)}"
    return f"{os.fspath(value)!r}" if isinstance(value, str | os.PathLike) else repr(value)[:60]
