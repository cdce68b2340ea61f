"""The pix2pix layout: train/, val/, test/ with images whose left half is A and right half is B."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.data import images
from tfpix2pix.data.source import SPLITS, PairSource, Progress, check_direction
from tfpix2pix.errors import DataError

# check() decodes files in full up to this many decoded bytes; the rest of a larger set is
# judged by headers and end markers, so that starting a training stays a matter of seconds.
FULL_CHECK_BYTES = 2 << 30
_LISTED_PER_FAULT = 10


def split_pair(image: np.ndarray, direction: str) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a side-by-side image in two.

    Args:
      image: ``[H, 2 W, C]``, A on the left, B on the right.
      direction: ``AtoB`` or ``BtoA``.

    Returns:
      ``(x, y)``, both ``[H, W, C]`` views: (A, B) for AtoB, (B, A) for BtoA.

    Raises:
      ValueError: the width is odd.
    """
    width = image.shape[1]
    if width % 2:
        raise ValueError(f"an odd width ({width}) has no two equal halves")
    a, b = image[:, : width // 2], image[:, width // 2 :]
    return (a, b) if direction == "AtoB" else (b, a)


class SideBySideSource(PairSource):
    """Pairs kept as one image each in ``train/``, and optionally ``val/`` and ``test/``.

    Files are .jpg, .jpeg and .png in any case, sorted by name; hidden files and other extensions
    are ignored. EXIF orientation is applied before an image is cut in halves.

    Args:
      folder: the folder that holds train/.
      direction: ``AtoB`` (the left half is the input) or ``BtoA``.
      input_channels: 1 (grey) or 3 (RGB).
      target_channels: 1 or 3.
      allow_mixed_sizes: let `check` accept pairs of differing size.

    Raises:
      DataError: train/ is missing, or a split that exists holds no images.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        direction: str = "AtoB",
        input_channels: int = 3,
        target_channels: int = 3,
        allow_mixed_sizes: bool = False,
    ):
        self.name = os.fspath(folder)
        self.input_channels = images.check_channels("input_channels", input_channels)
        self.target_channels = images.check_channels("target_channels", target_channels)
        self._direction = check_direction(direction)
        self._allow_mixed_sizes = allow_mixed_sizes
        self._folder = Path(folder).expanduser()
        self._files: dict[str, list[Path]] = {}
        self._ignored: list[str] = []
        for split in SPLITS:
            if split == "train" or (self._folder / split).is_dir():
                self._files[split] = self._list(split)
        # Upright (height, width) of whole images by path, filled by check() or when asked for.
        self._sizes: dict[Path, tuple[int, int]] = {}
        self._changes: collections.Counter[str] = collections.Counter()

    # === What it holds ===

    def count(self, split: str) -> int:
        return len(self._files.get(split, ()))

    def pair_name(self, split: str, index: int) -> str:
        return self._files[split][index].stem

    def load(self, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        path = self._files[split][index]
        image = images.read_image(path, max(self.input_channels, self.target_channels))
        if image.shape[1] % 2:
            raise DataError(
                f"{path}: {_size_text(image.shape)}, an odd width; expected two halves of equal "
                "width side by side: mend or remove it."
            )
        x, y = split_pair(image, self._direction)
        return (
            images.convert_channels(x, self.input_channels),
            images.convert_channels(y, self.target_channels),
        )

    def decoded_bytes(self, split: str) -> int:
        channels = self.input_channels + self.target_channels
        files = self._files.get(split, [])
        return sum(h * (w // 2) * channels for h, w in self._header_sizes(files))

    def describe(self) -> str:
        counts = ", ".join(f"{n} {split}" for split, n in self._counts().items())
        sizes = set(self._header_sizes(self._all_files()))
        if len(sizes) == 1:
            height, width = sizes.pop()
            size = f"{width // 2}x{height}"
        else:
            size = f"{len(sizes)} sizes"
        halves = "left to right" if self._direction == "AtoB" else "right to left"
        return f"{counts} pairs of {size} (side by side, {self._direction}: {halves})"

    def identity(self) -> dict[str, Any]:
        digest = hashlib.sha256()
        for path in self._all_files():
            digest.update(f"{self._label(path)}\0{path.stat().st_size}\0".encode())
        sizes = sorted(set(self._header_sizes(self._all_files())))
        return {
            "layout": "side_by_side",
            "counts": self._counts(),
            "sizes": [[height, width // 2] for height, width in sizes[:16]],
            "files": digest.hexdigest(),
        }

    def notes(self) -> list[str]:
        notes = [f"{_count(n, 'image')}: {change}" for change, n in sorted(self._changes.items())]
        if self._ignored:
            shown = ", ".join(self._ignored[:3]) + (", ..." if len(self._ignored) > 3 else "")
            notes.append(f"{_count(len(self._ignored), 'other file')} ignored ({shown})")
        tall = [path for path, (height, width) in self._sizes.items() if width <= height]
        if tall:
            notes.append(
                f"{_count(len(tall), 'image')} no wider than high ({self._label(tall[0])}): is "
                "each really two pictures side by side?"
            )
        return notes

    # === The scan before training ===

    def check(self, progress: Progress | None = None) -> None:
        """See `PairSource.check`: unreadable files, odd widths, differing sizes, all at once."""
        files = list(self._all_files())
        budget = _Budget(FULL_CHECK_BYTES)
        faults: dict[str, list[str]] = {}
        first: tuple[Path, tuple[int, int]] | None = None
        self._changes.clear()

        channels = max(self.input_channels, self.target_channels)

        def inspect(path: Path) -> _Finding:
            return _inspect(path, channels, budget)

        findings = zip(files, _threaded(inspect, files), strict=True)
        for done, (path, finding) in enumerate(findings, start=1):
            if finding.size is None:
                faults.setdefault("unreadable", []).append(f"{self._label(path)}: {finding.reason}")
            else:
                self._sizes[path] = finding.size
                self._changes.update(finding.changes)
                entry = f"{self._label(path)}: {_size_text(finding.size)}"
                if finding.size[1] % 2:
                    kind = "of odd width, where two halves of equal width were expected"
                    faults.setdefault(kind, []).append(entry)
                elif first is None:
                    first = (path, finding.size)
                elif finding.size != first[1] and not self._allow_mixed_sizes:
                    kind = (
                        f"of another size than {self._label(first[0])} ({_size_text(first[1])}); "
                        "--allow_mixed_sizes resizes each to load_size"
                    )
                    faults.setdefault(kind, []).append(entry)
            if progress:
                progress(done, len(files))
        if faults:
            raise DataError(self._fault_report(faults, len(files)))

    def _fault_report(self, faults: dict[str, list[str]], total: int) -> str:
        bad = sum(len(entries) for entries in faults.values())
        head = f"--dataset={self.name}: {bad} of {_count(total, 'image')} cannot be used"
        lines = [f"{head}; mend or remove {'it' if bad == 1 else 'them'}."]
        for kind, entries in faults.items():
            lines.append(f"  {len(entries)} {kind}:")
            lines += [f"    {entry}" for entry in entries[:_LISTED_PER_FAULT]]
            if len(entries) > _LISTED_PER_FAULT:
                lines.append(f"    and {len(entries) - _LISTED_PER_FAULT} more")
        return "\n".join(lines)

    # === Listing ===

    def _list(self, split: str) -> list[Path]:
        folder = self._folder / split
        if not folder.is_dir():
            raise DataError(
                f"--dataset={self.name}: it holds no {split}/; expected {split}/ with side-by-side "
                "images."
            )
        found, others = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.is_dir():
                    continue
                (found if images.is_image_name(entry.name) else others).append(entry.name)
        if not found:
            also = f" (only {_count(len(others), 'other file')})" if others else ""
            wish = "put images there" if split == "train" else "put images there or remove it"
            raise DataError(
                f"--dataset={self.name}: {split}/ holds no images{also}; expected side-by-side "
                f".jpg, .jpeg or .png files: {wish}."
            )
        self._ignored += [f"{split}/{name}" for name in sorted(others)]
        return [folder / name for name in sorted(found)]

    def _all_files(self) -> Iterator[Path]:
        for files in self._files.values():
            yield from files

    def _label(self, path: Path) -> str:
        return f"{path.parent.name}/{path.name}"

    def _header_sizes(self, files: Iterable[Path]) -> list[tuple[int, int]]:
        files = list(files)
        unknown = [path for path in files if path not in self._sizes]
        self._sizes.update(zip(unknown, _threaded(images.image_size, unknown), strict=True))
        return [self._sizes[path] for path in files]


@dataclasses.dataclass(frozen=True)
class _Finding:
    """What the scan saw of one file: a size and the conversions it needs, or why it is unusable."""

    size: tuple[int, int] | None = None
    changes: tuple[str, ...] = ()
    reason: str = ""


class _Budget:
    """Bytes that may still be decoded, shared by the scan's threads."""

    def __init__(self, total: int):
        self._left = total
        self._lock = threading.Lock()

    def take(self, amount: int) -> bool:
        with self._lock:
            self._left -= amount
            return self._left >= 0


def _inspect(path: Path, channels: int, budget: _Budget) -> _Finding:
    try:
        height, width = images.image_size(path)
        # Without its end marker a file is probably cut short: decoding tells for certain.
        if not (budget.take(height * width * 3) or not images.has_end_marker(path)):
            return _Finding((height, width))
        array, changes = images.read_image_with_notes(path, channels)
    except images.UnreadableImage as error:
        return _Finding(reason=error.reason)
    return _Finding(array.shape[:2], tuple(changes))


def _threaded(function, items: list) -> Iterator:
    """Results in the items' order; Pillow decodes outside the interpreter's lock."""
    with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) + 4)) as pool:
        yield from pool.map(function, items)


def _size_text(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} (width x height)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
