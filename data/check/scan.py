"""Reads every file of a data set once and records what it is: size, channels, depth, values.

`scan` decodes as many bytes as `FULL_CHECK_BYTES` allows and judges the rest by headers.
`tfpix2pix.data.check.resolve` decides the spec of the pairs from what was seen.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import images
from tfpix2pix.data.check.values import Values, values_of
from tfpix2pix.data.label_classes import MAX_INDEX
from tfpix2pix.data.layouts.pair_files import (
    PairFiles,
    read_pair,
    size_text,
)
from tfpix2pix.data.layouts.side_by_side import seam_of
from tfpix2pix.data.sources.base import Progress
from tfpix2pix.data.spec import (
    PairWish,
    classes_of,
    index_values,
)
from tfpix2pix.data.threads import threaded
from tfpix2pix.data.unmeasured import VOID, filled, missing_in, word_of

if TYPE_CHECKING:
    from tfpix2pix.data.palette import Palette

# Files are decoded in full up to this many decoded bytes; the rest of a larger set is judged by
# headers and end markers, so that starting a training stays a matter of seconds.
FULL_CHECK_BYTES = 2 << 30
# A small file takes as long as one of so many bytes: opening it is what costs.
LEAST_CHARGE = 64 << 10
# What the threads may hold decoded at one time, whatever the headers claim; decoders take up to
# three times as much on the way.
DECODED_AT_ONCE = 256 << 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SideLook(Values):
    """What was seen of A or of B of one pair; its `Values` where it was decoded.

    Attributes:
      path: its file, which side-by-side pairs share.
      height, width: of this image alone, upright.
      channels: without alpha.
      has_alpha: whether the file has alpha besides.
      dtype: of its values.
      covered: share of its pixels that the palette explains; None without palette or decoding.
      no_classes: why it cannot show labels, whatever the palette explains elsewhere, or empty.
      notes: what reading changed, in plain words.
      besides: what its file holds besides, and which of it was read, or empty.
      digest: hash of its pixels, where asked for.
    """

    path: Path
    height: int
    width: int
    channels: int
    has_alpha: bool
    dtype: str
    covered: float | None = None
    no_classes: str = ""
    notes: tuple[str, ...] = ()
    besides: str = ""
    digest: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class PairLook:
    """What was seen of the two images of one pair.

    Attributes:
      split: it belongs to.
      files: of the pair.
      a, b: the two images.
      labels_reason: why the index map that stands for its labels cannot be used, or empty.
      seam: `side_by_side.seam_of` its one file; None where it cannot be told.
      seam_sought: the file was decoded and should show two pictures side by side.
    """

    split: str
    files: PairFiles
    a: SideLook
    b: SideLook
    labels_reason: str = ""
    seam: float | None = None
    seam_sought: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class BadPair:
    """Why one pair cannot be used.

    Attributes:
      split: it belongs to.
      files: of the pair.
      unreadable: (file, reason) of what cannot be read.
      odd: the whole image's (height, width) if its width is odd.
    """

    split: str
    files: PairFiles
    unreadable: tuple[tuple[Path, str], ...] = ()
    odd: tuple[int, int] | None = None


# === Looking ===


def scan(
    splits: Mapping[str, Sequence[PairFiles]],
    wish: PairWish,
    *,
    progress: Progress | None = None,
    digests: bool = False,
) -> list[PairLook | BadPair]:
    """Looks at all pairs, several at once; the result is in the order of the splits' pairs.

    Args:
      splits: the pairs.
      wish: only its palette matters here.
      progress: called as ``progress(done, total)`` after each pair.
      digests: hash the pixels of every image, and so decode all of them.
    """
    jobs = [(split, files) for split, pairs in splits.items() for files in pairs]
    budget, room = _Budget(FULL_CHECK_BYTES), _Room(DECODED_AT_ONCE)

    def look(job: tuple[str, PairFiles]) -> PairLook | BadPair:
        return _look(*job, wish, budget, room, digests)

    looks = []
    for done, seen in enumerate(threaded(look, jobs), start=1):
        looks.append(seen)
        if progress:
            progress(done, len(jobs))
    return looks


class _Budget:
    """Bytes that may still be decoded, shared by the scan's threads."""

    def __init__(self, total: int):
        self._left = total
        self._lock = threading.Lock()

    def take(self, amount: int) -> bool:
        with self._lock:
            self._left -= amount
            return self._left >= 0


class _Room:
    """Memory that the scan's threads share; what would need more than all of it goes alone."""

    def __init__(self, size: int):
        self._size, self._used = size, 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Waits until so many bytes are free, and holds them meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + amount <= self._size)
            self._used += amount
        try:
            yield
        finally:
            with self._changed:
                self._used -= amount
                self._changed.notify_all()


def _look(
    split: str, files: PairFiles, wish: PairWish, budget: _Budget, room: _Room, digests: bool
) -> PairLook | BadPair:
    headers, unreadable = {}, []
    for part in files.parts():
        try:
            headers[part] = images.read_header(*part)
        except images.UnreadableImage as error:
            unreadable.append((part[0], error.reason))
    if unreadable:
        return BadPair(split, files, unreadable=tuple(unreadable))

    header = headers[files.part_a]
    side_by_side = files.b is None and not files.whole
    if side_by_side and header.width % 2:
        return BadPair(split, files, odd=(header.height, header.width))
    # What several files come to, only reading them tells.
    stacked = bool(files.more_a or files.more_b)
    if not (digests or stacked or _must_decode(headers, budget)):
        parts = 2 if side_by_side else 1
        a = _from_header(files.a, header, parts)
        b = a if files.part_b is None else _from_header(files.part_b[0], headers[files.part_b], 1)
        return PairLook(split, files, a, b)
    with room.taken(sum(_decoded_bytes(header) for header in headers.values())):
        return _look_decoded(split, files, wish, digests)


def _look_decoded(
    split: str, files: PairFiles, wish: PairWish, digests: bool
) -> PairLook | BadPair:
    decoded, unreadable = {}, []
    for part in files.parts():  # each alone, so that all damaged ones are known by name
        try:
            decoded[part] = images.decode(*part)
        except images.UnreadableImage as error:
            unreadable.append((part[0], error.reason))
    if unreadable:
        return BadPair(split, files, unreadable=tuple(unreadable))
    try:
        pictures = read_pair(files, lambda *part: decoded[part])
    except DataError as error:  # channels in several files that are not alike
        return BadPair(split, files, unreadable=((files.a, str(error)),))
    a = look_at(files.a, pictures[0], wish, digests)
    b = a if files.whole else look_at(files.b or files.a, pictures[1], wish, digests)
    reason = ""
    if files.labels is not None and wish.palette is not None:
        reason = _labels_reason(decoded[files.labels, "auto"], pictures[0], wish.palette)
    sought = files.b is None and not files.whole
    seam = seam_of(decoded[files.part_a].array) if sought else None
    return PairLook(split, files, a, b, labels_reason=reason, seam=seam, seam_sought=sought)


def _decoded_bytes(header: images.Header) -> int:
    channels = header.channels + header.has_alpha
    return header.height * header.width * channels * np.dtype(header.dtype).itemsize


def _must_decode(headers: dict[tuple[Path, str], images.Header], budget: _Budget) -> bool:
    # Floats have no scale of their own, so that the values themselves have to be seen.
    if any(header.dtype == "float32" for header in headers.values()):
        return True
    size = sum(max(LEAST_CHARGE, h.height * h.width * 3) for h in headers.values())
    # Without its end marker a file is probably cut short: decoding tells for certain.
    return budget.take(size) or not all(images.has_end_marker(path) for path, _ in headers)


def _from_header(path: Path, header: images.Header, parts: int) -> SideLook:
    return SideLook(
        path=path,
        height=header.height,
        width=header.width // parts,
        channels=header.channels,
        has_alpha=header.has_alpha,
        dtype=header.dtype,
    )


def look_at(path: Path, picture: images.Decoded, wish: PairWish, digests: bool = False) -> SideLook:
    """What is seen of one decoded image, that of `path`."""
    array = picture.array
    notes = list(picture.notes)
    channels = array.shape[-1] - picture.has_alpha
    opaque = 1.0 if array.dtype == np.float32 else np.iinfo(array.dtype).max
    if picture.has_alpha and array[..., -1].min() < opaque:
        notes.append("transparency")
    asked = tuple(dict.fromkeys((*wish.x.ignored, *wish.y.ignored)))
    seen = values_of(picture, [word for word in asked if word != VOID])
    covered, no_classes = None, ""
    if wish.palette is not None:
        shown = _classes_only(picture, wish.palette, asked)
        covered = _covered(shown, wish.palette)
        # Colours always snap to some class; numbers have to be those of classes.
        if not covered and (channels != 3 or array.dtype == np.float32):
            no_classes = _no_classes(shown, wish.palette)
    digest = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() if digests else ""
    height, width = array.shape[:2]
    return SideLook(
        seen.low,
        seen.high,
        seen.marks,
        seen.few,
        path=path,
        height=height,
        width=width,
        channels=channels,
        has_alpha=picture.has_alpha,
        dtype=array.dtype.name,
        covered=covered,
        no_classes=no_classes,
        notes=tuple(notes),
        besides=picture.besides,
        digest=digest,
    )


def _classes_only(
    picture: images.Decoded, palette: Palette, asked: tuple[str, ...]
) -> images.Decoded:
    """A label image without the pixels that are not measured: those of the values `asked`, and of
    the one that the file marks, unless it is a class."""
    marked = picture.nodata
    if marked is not None:
        is_class = 0 <= marked <= MAX_INDEX and palette.knows_indices(np.array([int(marked)]))
        asked = asked if is_class else (*asked, word_of(marked))
    return filled(picture, missing_in(picture, asked)) if asked else picture


def _covered(picture: images.Decoded, palette: Palette) -> float:
    """The share of a picture's pixels that show a class, by colour or as an index."""
    colour = picture.array[..., :-1] if picture.has_alpha else picture.array
    indices = index_values(picture)
    if indices is not None and palette.knows_indices(indices):
        return 1.0
    if colour.shape[-1] != 3 or colour.dtype != np.uint8:
        return 0.0
    return palette.covered(images.fit_channels(picture.array, picture.has_alpha, 3))


def _no_classes(picture: images.Decoded, palette: Palette) -> str:
    try:
        classes_of(picture, palette)
    except ValueError as error:
        return str(error)
    return ""


def _labels_reason(labels: images.Decoded, a: images.Decoded, palette: Palette) -> str:
    try:
        classes = classes_of(labels, palette)
    except ValueError as error:
        return str(error)
    if classes.shape != a.array.shape[:2]:
        return f"{size_text(classes.shape)}, where its pair's images are {size_text(a.array.shape)}"
    return ""
