"""Pairs kept in files, whatever layout listed them."""

from __future__ import annotations

import abc
import dataclasses
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.data import images
from tfpix2pix.data.check.faults import fault_report
from tfpix2pix.data.check.resolve import Resolved, resolve
from tfpix2pix.data.check.scan import BadPair, PairLook, scan
from tfpix2pix.data.layouts.pair_files import Fault, Listing, PairFiles, count_text, read_pair
from tfpix2pix.data.layouts.side_by_side import SEAM, median_told
from tfpix2pix.data.layouts.splits import fraction_for_both
from tfpix2pix.data.sources.base import SPLITS, PairSource, Progress, check_direction
from tfpix2pix.data.spec import LabSpec, PairSpec, PairWish
from tfpix2pix.data.threads import threaded


class FileSet:
    """Files of a data set by split and number, as a layout found them: pairs, or single images.

    Args:
      name: the data set as the user named it, with its flag: ``--dataset=pairs``.
      listing: the files.
      planes: which planes are read of A's and of B's files.
    """

    def __init__(self, name: str, listing: Listing, planes: tuple[str, str]):
        self.name = name
        self.listing = listing
        self._splits = {
            split: [_with_planes(pair, planes) for pair in listing.splits.get(split, [])]
            for split in SPLITS
        }
        # (height, width) of A, upright, by file; filled by a scan or when asked for.
        self._sizes: dict[Path, tuple[int, int]] = {}

    def files(self, split: str, index: int) -> PairFiles:
        """Where a pair lies."""
        return self._splits[split][index]

    def count(self, split: str) -> int:
        return len(self._splits.get(split, ()))

    def image_sizes(self) -> dict[tuple[int, int], int]:
        """Number of images of A by (height, width)."""
        return dict(Counter(self._pair_sizes(self._all_pairs())))

    def scan_files(
        self, wish: PairWish, progress: Progress | None, digests: bool
    ) -> list[PairLook | BadPair]:
        """Looks at every file; see `tfpix2pix.data.check.scan.scan`."""
        looks = scan(self._splits, wish, progress=progress, digests=digests)
        for look in looks:
            if isinstance(look, PairLook):
                self._sizes[look.files.a] = (look.a.height, look.a.width)
        return looks

    @functools.cached_property
    def fingerprint(self) -> str:
        """Of splits, names and contents of the pairs, by pieces of each file; not of folders."""
        pairs = [(split, pair) for split in SPLITS for pair in self._splits[split]]
        digest = hashlib.sha256()
        for (split, pair), seen in zip(pairs, threaded(_pieces, pairs), strict=True):
            name = os.fsencode(Path(pair.name).name)
            digest.update(split.encode() + b"\0" + name + b"\0" + seen)
        return digest.hexdigest()

    @property
    def names_and_sizes(self) -> str:
        """A hash of the names of all files, from the root of the set, and of their sizes."""
        digest = hashlib.sha256()
        for path in self._all_files():
            digest.update(f"{self.listing.label(path)}\0{path.stat().st_size}\0".encode())
        return digest.hexdigest()

    def written(self, split: str) -> bytes:
        """Where the files of a split lie and when they were written."""
        parts = []
        for pair in self._splits[split]:
            for path in pair.paths():
                parts.append(
                    os.fsencode(path.absolute()) + f"\0{path.stat().st_mtime_ns}\0".encode()
                )
        return b"".join(parts)

    def folders(self, split: str = "") -> set[Path]:
        """Where the files lie: all, or those of a split."""
        pairs = self._splits[split] if split else self._all_pairs()
        return {path.parent for pair in pairs for path in pair.paths()}

    def ignored_note(self) -> list[str]:
        """A remark on files that were passed over."""
        ignored = self.listing.ignored
        if not ignored:
            return []
        names = ", ".join(map(shown, ignored[:3])) + (", ..." if len(ignored) > 3 else "")
        return [f"{count_text(len(ignored), 'other file')} ignored ({names})"]

    def _all_pairs(self) -> Iterator[PairFiles]:
        for pairs in self._splits.values():
            yield from pairs

    def _all_files(self) -> Iterator[Path]:
        for pair in self._all_pairs():
            yield from pair.paths()

    def _pair_sizes(self, pairs: Iterable[PairFiles]) -> list[tuple[int, int]]:
        """(height, width) of A of each pair."""
        pairs = list(pairs)
        unknown = [pair for pair in pairs if pair.a not in self._sizes]
        for pair, size in zip(unknown, threaded(_size_of_a, unknown), strict=True):
            self._sizes[pair.a] = size
        return [self._sizes[pair.a] for pair in pairs]


class ScannedSource(PairSource):
    """Files that are all looked at before training."""

    @abc.abstractmethod
    def scan(
        self, progress: Progress | None = None, *, digests: bool = False
    ) -> tuple[Any, Resolved]:
        """Looks at every file: what was seen, and the spec and the faults; refuses nothing."""

    @abc.abstractmethod
    def fault_report(self, faults: Iterable[Fault]) -> str:
        """Faults as a text."""

    def check(self, progress: Progress | None = None) -> None:
        """See `PairSource.check`: what cannot be read, does not match or is not alike, at once."""
        _, resolved = self.scan(progress)
        if resolved.faults:
            raise DataError(self.fault_report(resolved.faults))


class FileSource(FileSet, ScannedSource):
    """Pairs of files.

    Args:
      name: the data set as the user named it, with its flag: ``--dataset=pairs``.
      listing: the pairs, as a layout found them.
      direction: ``AtoB`` (A, or the left half, is the input) or ``BtoA``.
      wish: what the user asked of the spec; the rest is as the files are.
      allow_mixed_sizes: let `check` accept pairs of differing size.
      training: pairs are needed for it.

    Raises:
      DataError: the listing has no pairs, or, for training, none in train.
    """

    def __init__(
        self,
        name: str,
        listing: Listing,
        *,
        direction: str = "AtoB",
        wish: PairWish = PairWish(),  # noqa: B008 (frozen)
        allow_mixed_sizes: bool = False,
        training: bool = True,
    ):
        self.direction = check_direction(direction)
        planes = (wish.x.planes, wish.y.planes)
        super().__init__(name, listing, planes if direction == "AtoB" else planes[::-1])
        self._wish = wish
        self._allow_mixed_sizes = allow_mixed_sizes
        self._spec: PairSpec | None = wish.spec() if wish.resolved else None
        self._notes: list[str] = []
        self._seam: float | None = None
        if not self._splits["train"] and (training or not self._counts()):
            raise DataError(self._no_training_pairs())

    # === What it holds ===

    @property
    def spec(self) -> PairSpec:
        if self._spec is None:
            self.check()
            assert self._spec is not None, "a scan without faults resolves the spec"
        return self._spec

    def pair_name(self, split: str, index: int) -> str:
        pair = self._splits[split][index]
        return pair.b.stem if pair.b is not None and self.direction == "BtoA" else pair.name

    def stem(self, split: str, index: int) -> str:
        return self._splits[split][index].name

    def load(self, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        spec = self.spec
        files = self._splits[split][index]
        x, y = read_pair(files)
        if self.direction == "BtoA":
            x, y = y, x
        if files.labels is not None:
            labels = images.decode(files.labels)
            x, y = (labels, y) if spec.x.is_classes else (x, labels)
        try:
            return spec.store(x, y)
        except ValueError as error:
            raise DataError(
                f"{' and '.join(map(shown, files.paths()))}: {error}; expected "
                f"{spec.describe()}: mend or remove it."
            ) from None

    def describe(self) -> str:
        counts = ", ".join(f"{n:,} {split}" for split, n in self._counts().items())
        sizes = set(self.image_sizes())
        if len(sizes) == 1:
            height, width = sizes.pop()
            size = f"{width}x{height}"
        else:
            size = f"{len(sizes)} sizes"
        how = f"{self.listing.layout}, {self.direction}"
        if isinstance(self.spec, LabSpec):
            how = self.listing.layout
        elif self.listing.layout.startswith("side by side"):
            how += ": left to right" if self.direction == "AtoB" else ": right to left"
        return f"{counts} pairs of {size} ({how}; {self.spec.describe()})"

    def identity(self) -> dict[str, Any]:
        sizes = sorted(self.image_sizes())
        return {
            "layout": self.listing.layout.split(",")[0].replace(" ", "_"),
            "counts": self._counts(),
            "sizes": [list(size) for size in sizes[:16]],
            "files": self.names_and_sizes,
            "pairs": self.fingerprint,
        }

    def cache_key(self, split: str) -> str:
        facts = super().cache_key(split).encode() + self.written(split)
        return hashlib.sha256(facts).hexdigest()[:24]

    def notes(self) -> list[str]:
        notes = [*self.listing.notes, *self._notes, *self.ignored_note()]
        single = [
            (pair, size)
            for pair in self._all_pairs()
            if pair.b is None and not pair.whole and (size := self._sizes.get(pair.a))
            if 2 * size[1] <= size[0]
        ]
        if single:
            notes.append(
                f"{count_text(len(single), 'image')} no wider than high "
                f"({self.listing.label(single[0][0].a)}): is each really two pictures side by side?"
            )
        elif self._seam is not None and self._seam < SEAM:
            notes.append(
                "no seam in the middle of most images, so single photographs perhaps: is each "
                "really two pictures side by side? If not, make pairs of them with `tfpix2pix "
                "pairs`, or learn their colours with --color_space=lab"
            )
        return notes

    def no_val_advice(self) -> str:
        if not self.listing.by_hash:
            return super().no_val_advice()
        found = fraction_for_both(self.listing.by_hash)
        if found is None:
            return "give more pairs, or a val split of their own"
        return (
            f"--val_fraction={found[0]:g} holds out {found[1]:,} of "
            f"{count_text(len(self.listing.by_hash), 'pair')}"
        )

    # === The scan before training ===

    def scan(
        self, progress: Progress | None = None, *, digests: bool = False
    ) -> tuple[list[PairLook | BadPair], Resolved]:
        """Looks at every file and resolves the spec; refuses nothing.

        Args:
          progress: called as ``progress(done, total)`` after each pair.
          digests: hash every image's pixels.

        Returns:
          What was seen of each pair; and the spec, with all faults, the listing's first.
        """
        looks = self.scan_files(self._wish, progress, digests)
        self._seam = median_told(
            look.seam for look in looks if isinstance(look, PairLook) and look.seam_sought
        )
        resolved = resolve(
            looks,
            self._wish,
            direction=self.direction,
            label=self.listing.label,
            allow_mixed_sizes=self._allow_mixed_sizes,
        )
        resolved.faults[:0] = self.listing.faults
        if resolved.spec is not None:
            self._spec = resolved.spec
        self._notes = resolved.notes
        return looks, resolved

    def fault_report(self, faults: Iterable[Fault]) -> str:
        """Faults as a text: a sentence, then a list of the first files of each kind."""
        faults = list(faults)
        # Files without a partner are none of those that were listed as pairs.
        counted = not any(fault in self.listing.faults for fault in faults if fault.entries)
        return fault_report(self.name, faults, len(set(self._all_files())) if counted else 0)

    # === Helpers ===

    def _no_training_pairs(self) -> str:
        found = ", ".join(f"{n} {split}" for split, n in self._counts().items()) or "none"
        if self.listing.faults:
            return self.fault_report(self.listing.faults)
        share = fraction_for_both(self.listing.by_hash)
        smaller = f"--val_fraction={share[0] if share else 0:g}"
        way = smaller if self.listing.by_hash else "a train split"
        return (
            f"{self.name}: no pairs are left for training (found: {found}); give more pairs, or "
            f"{way}."
        )


def _with_planes(pair: PairFiles, planes: tuple[str, str]) -> PairFiles:
    if pair.b is None and planes[0] != planes[1]:
        raise DataError(
            f"--input_planes and --target_planes differ ({' and '.join(planes)}), and "
            f"{shown(pair.a)} holds both images of its pair; give both flags the same value."
        )
    return dataclasses.replace(pair, planes=planes) if planes != pair.planes else pair


def _size_of_a(pair: PairFiles) -> tuple[int, int]:
    height, width = images.image_size(*pair.part_a)
    return (height, width // 2) if pair.b is None and not pair.whole else (height, width)


def _pieces(place: tuple[str, PairFiles]) -> bytes:
    """A hash of the files of a pair: their sizes, and the first, middle and last 4 KB of each."""
    digest = hashlib.sha256()
    for path in place[1].paths():
        size = path.stat().st_size
        digest.update(f"{size}\0".encode())
        with open(path, "rb") as file:
            for start in sorted({0, max(0, size // 2 - 2048), max(0, size - 4096)}):
                file.seek(start)
                digest.update(file.read(4096))
    return digest.digest()


def looks_grey(picture: images.Decoded, tolerance: int = 16) -> bool:
    """True if an image has no colour to speak of: its channels differ by at most `tolerance`
    of 255, which leaves room for what JPEG does to grey."""
    colours = picture.array[..., :-1] if picture.has_alpha else picture.array
    if colours.shape[-1] != 3:
        return True
    spread = colours.max(axis=-1).astype(np.float32) - colours.min(axis=-1)
    scale = 1.0 if colours.dtype == np.float32 else np.iinfo(colours.dtype).max
    return float(np.quantile(spread, 0.99)) <= tolerance / 255 * scale
