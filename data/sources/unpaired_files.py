"""Images of two sides that are no pairs, kept in files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.base.version import __version__
from tfpix2pix.data.check.faults import fault_report
from tfpix2pix.data.check.resolve import Resolved, resolve_unpaired
from tfpix2pix.data.check.scan import BadPair, PairLook
from tfpix2pix.data.layouts.pair_files import Fault, Listing, count_text, read_stacked
from tfpix2pix.data.layouts.splits import fraction_for_both
from tfpix2pix.data.sources.base import SPLITS, ImageSource, Progress, check_direction
from tfpix2pix.data.sources.file_source import FileSet, ScannedSource
from tfpix2pix.data.sources.unpaired import UnpairedSource, sizes_of_both
from tfpix2pix.data.spec import ImageSpec, PairWish


class FileImages(FileSet, ImageSource):
    """The images of one side.

    Args:
      name: the data set as the user named it.
      listing: single images.
      planes: which planes of the files are read.
      spec: gives what they are, which is known when both sides were looked at.
    """

    def __init__(
        self, name: str, listing: Listing, planes: str, spec: Callable[[], ImageSpec]
    ) -> None:
        super().__init__(name, listing, (planes, planes))
        self._spec = spec

    @property
    def spec(self) -> ImageSpec:  # type: ignore[override]
        return self._spec()

    def load(self, split: str, index: int) -> np.ndarray:
        files = self._splits[split][index]
        try:
            return self.spec.store(read_stacked(files.parts_a))
        except ValueError as error:
            raise DataError(
                f"{' and '.join(map(shown, files.paths()))}: {error}; expected "
                f"{self.spec.describe()}: mend or remove it."
            ) from None

    def image_name(self, split: str, index: int) -> str:
        return self._splits[split][index].name

    def cache_key(self, split: str) -> str:
        facts = json.dumps([self.fingerprint, split, repr(self.spec), __version__])
        return hashlib.sha256(facts.encode() + self.written(split)).hexdigest()[:24]


class UnpairedFiles(ScannedSource, UnpairedSource):
    """Files of two sides.

    Args:
      name: the data set as the user named it, with its flag: ``--dataset=horse2zebra``.
      a, b: the images of both sides, as a layout found them.
      direction: ``AtoB`` (A is the input) or ``BtoA``.
      wish: what the user asked of the spec; the rest is as the files are.
      allow_mixed_sizes: let `check` accept images of differing size on one side.
      training: training images are needed for it.

    Attributes:
      files: inputs and targets, as `x` and `y`.

    Raises:
      DataError: a side has no images, or, for training, none in train.
    """

    def __init__(
        self,
        name: str,
        a: Listing,
        b: Listing,
        *,
        direction: str = "AtoB",
        wish: PairWish = PairWish(),  # noqa: B008 (frozen)
        allow_mixed_sizes: bool = False,
        training: bool = True,
    ) -> None:
        self.name, self.direction = name, check_direction(direction)
        self._wish, self._allow_mixed_sizes = wish, allow_mixed_sizes
        listings = (a, b) if direction == "AtoB" else (b, a)
        self.files = (
            FileImages(name, listings[0], wish.x.planes, lambda: self.spec.x),
            FileImages(name, listings[1], wish.y.planes, lambda: self.spec.y),
        )
        self.x, self.y = self.files
        self._spec = wish.spec() if wish.resolved else None
        self._notes: list[str] = []
        if not self.count("train") and (training or not any(map(self.count, SPLITS))):
            raise DataError(self._no_training_images())

    def describe(self) -> str:
        sizes = []
        for side in self.files:
            found = sorted(side.image_sizes())
            height, width = found[0]
            sizes.append(f"{width}x{height}" if len(found) == 1 else f"{len(found)} sizes")
        size = sizes[0] if sizes[0] == sizes[1] else " and ".join(sizes)
        how = f"{self.files[0].listing.layout}, {self.direction}; {self.spec.describe()}"
        return f"{self._shown_counts()} images of {size} (unpaired, {how})"

    def identity(self) -> dict[str, Any]:
        a, b = self.files if self.direction == "AtoB" else self.files[::-1]
        return {
            "layout": a.listing.layout.replace(" ", "_"),
            "data": "unpaired",
            "counts": self._counts_of_sides(),
            "sizes": [[list(size) for size in sorted(of.image_sizes())[:16]] for of in (a, b)],
            "files": _both(a.names_and_sizes, b.names_and_sizes),
            "pairs": _both(a.fingerprint, b.fingerprint),
        }

    def image_sizes(self) -> dict[tuple[int, int], int]:
        return sizes_of_both(*(side.image_sizes() for side in self.files))

    def folders(self) -> set[Path]:
        return self.files[0].folders() | self.files[1].folders()

    def notes(self) -> list[str]:
        listed = [note for side in self.files for note in side.listing.notes]
        ignored = [note for side in self.files for note in side.ignored_note()]
        return list(dict.fromkeys([*listed, *self._notes, *ignored]))

    def no_val_advice(self) -> str:
        names = [side.listing.by_hash for side in self.files]
        if not all(names):
            folders = [side.folders("train") for side in self.files]
            if any(len(of) != 1 for of in folders):
                return "give each side images of a split val"
            x, y = (of.pop() for of in folders)
            return (
                f"--input_dir={shown(x)} --target_dir={shown(y)} holds out some images of each "
                "side, as --val_fraction says; or put some into folders of their own"
            )
        found = fraction_for_both(*names)
        if found is None:
            return "give more images, or a val split of their own"
        of = count_text(sum(map(len, names)), "image")
        return f"--val_fraction={found[0]:g} holds out {found[1]:,} of {of}"

    # === The look before training ===

    def scan(
        self, progress: Progress | None = None, *, digests: bool = False
    ) -> tuple[tuple[list[PairLook | BadPair], list[PairLook | BadPair]], Resolved]:
        """As `FileSource.scan`: what was seen of the inputs and of the targets, and the spec."""
        total, done = self.to_check(), 0
        looks = []
        for side in self.files:
            before = done

            def shown_progress(of_side: int, _: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + of_side, total)

            looks.append(side.scan_files(self._wish, shown_progress, digests))
            done += len(looks[-1])
        x, y = looks
        resolved = resolve_unpaired(
            x,
            y,
            self._wish,
            label=self.files[0].listing.label,
            allow_mixed_sizes=self._allow_mixed_sizes,
        )
        resolved.faults[:0] = [fault for side in self.files for fault in side.listing.faults]
        if resolved.spec is not None:
            self._spec = resolved.spec
        self._notes = resolved.notes
        return (x, y), resolved

    def fault_report(self, faults: Iterable[Fault]) -> str:
        """Faults as a text: a sentence, then a list of the first files of each kind."""
        return fault_report(self.name, list(faults), self.to_check())

    def _no_training_images(self) -> str:
        flags = ("input", "target")
        empty = [f for f, n in zip(flags, self.sides("train"), strict=True) if not n]
        which = " and ".join(empty)
        way = "give more images"
        by_hash = [side.listing.by_hash for side in self.files]
        if any(by_hash):
            share = fraction_for_both(*by_hash)
            way += f", or --val_fraction={share[0] if share else 0:g}"
        return f"{self.name}: no {which} images are left for training; {way}."


def _both(*digests: str) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()
