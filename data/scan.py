"""Looking at every file of a data set once: what is there, what is wrong, what form it has.

`scan` decodes (as far as its budget goes), `settle` decides from what was seen what `PairForm`
the set has and lists every kind of fault. Training refuses a set with faults, and
``tfpix2pix inspect`` shows them.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tfpix2pix.data import images
from tfpix2pix.data.forms import (
    DEPTHS,
    FULL_SCALE,
    LEAST_COVERED,
    FormWish,
    PairForm,
    Side,
    SideWish,
    classes_of,
)
from tfpix2pix.data.pair_files import (
    Fault,
    PairFiles,
    count_text,
    read_pair,
    size_text,
)
from tfpix2pix.data.source import Progress

# Files are decoded in full up to this many decoded bytes; the rest of a larger set is judged by
# headers and end markers, so that starting a training stays a matter of seconds.
FULL_CHECK_BYTES = 2 << 30
# A small file takes as long as one of so many bytes: opening it is what costs.
LEAST_CHARGE = 64 << 10
# What the threads may hold decoded at one time, whatever the headers claim; decoders take up to
# three times as much on the way.
DECODED_AT_ONCE = 256 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class SideLook:
    """What was seen of A or of B of one pair.

    Attributes:
      path: its file, which side-by-side pairs share.
      height, width: of this image alone, upright.
      channels: without alpha.
      has_alpha: whether the file has alpha besides.
      dtype: of its values.
      low, high: its lowest and highest value; None where it was not decoded.
      covered: share of its pixels that the palette explains; None without palette or decoding.
      no_classes: why it cannot show labels, whatever the palette explains elsewhere, or empty.
      notes: what reading changed, in plain words.
      digest: hash of its pixels, where asked for.
    """

    path: Path
    height: int
    width: int
    channels: int
    has_alpha: bool
    dtype: str
    low: float | None = None
    high: float | None = None
    covered: float | None = None
    no_classes: str = ""
    notes: tuple[str, ...] = ()
    digest: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class PairLook:
    """What was seen of one pair: both images, or the files that cannot be read.

    Attributes:
      split: it belongs to.
      files: of the pair.
      a, b: the two images; None if the pair cannot be used.
      unreadable: (file, reason) of what cannot be read.
      odd: the whole image's (height, width) if its width is odd.
      labels_reason: why the index map that stands for its labels cannot be used, or empty.
    """

    split: str
    files: PairFiles
    a: SideLook | None = None
    b: SideLook | None = None
    unreadable: tuple[tuple[Path, str], ...] = ()
    odd: tuple[int, int] | None = None
    labels_reason: str = ""


# === Looking ===


def scan(
    splits: dict[str, Sequence[PairFiles]],
    wish: FormWish,
    *,
    progress: Progress | None = None,
    digests: bool = False,
) -> list[PairLook]:
    """Looks at all pairs, several at once; the result is in the order of the splits' pairs.

    Args:
      splits: the pairs.
      wish: only its palette matters here.
      progress: called as ``progress(done, total)`` after each pair.
      digests: hash the pixels of every image, and so decode all of them.
    """
    jobs = [(split, files) for split, pairs in splits.items() for files in pairs]
    budget, room = _Budget(FULL_CHECK_BYTES), _Room(DECODED_AT_ONCE)

    def look(job: tuple[str, PairFiles]) -> PairLook:
        return _look(*job, wish, budget, room, digests)

    looks = []
    for done, seen in enumerate(threaded(look, jobs), start=1):
        looks.append(seen)
        if progress:
            progress(done, len(jobs))
    return looks


def threaded(function: Callable, items: Sequence) -> Iterator:
    """Results in the items' order; the decoders work outside the interpreter's lock."""
    threads = min(16, (os.cpu_count() or 1) + 4)
    with ThreadPoolExecutor(threads) as pool:
        # Not `pool.map`: it asks for everything at once, a kilobyte for each item.
        waiting: collections.deque[Future] = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 4 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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
    split: str, files: PairFiles, wish: FormWish, budget: _Budget, room: _Room, digests: bool
) -> PairLook:
    headers, unreadable = {}, []
    for path in files.paths():
        try:
            headers[path] = images.read_header(path)
        except images.UnreadableImage as error:
            unreadable.append((path, error.reason))
    if unreadable:
        return PairLook(split, files, unreadable=tuple(unreadable))

    header = headers[files.a]
    side_by_side = files.b is None and not files.whole
    if side_by_side and header.width % 2:
        return PairLook(split, files, odd=(header.height, header.width))
    if not (digests or _must_decode(headers, budget)):
        parts = 2 if side_by_side else 1
        a = _from_header(files.a, header, parts)
        b = a if files.b is None else _from_header(files.b, headers[files.b], 1)
        return PairLook(split, files, a, b)
    with room.taken(sum(_decoded_bytes(header) for header in headers.values())):
        return _look_decoded(split, files, wish, digests)


def _look_decoded(split: str, files: PairFiles, wish: FormWish, digests: bool) -> PairLook:
    decoded, unreadable = {}, []
    for path in files.paths():  # each alone, so that all damaged ones are known by name
        try:
            decoded[path] = images.decode(path)
        except images.UnreadableImage as error:
            unreadable.append((path, error.reason))
    if unreadable:
        return PairLook(split, files, unreadable=tuple(unreadable))
    pictures = read_pair(files, decoded.__getitem__)
    a, b = (
        _from_picture(path, picture, wish, digests)
        for path, picture in zip((files.a, files.b or files.a), pictures, strict=True)
    )
    reason = _labels_reason(decoded[files.labels], pictures[0], wish) if files.labels else ""
    return PairLook(split, files, a, b, labels_reason=reason)


def _decoded_bytes(header: images.Header) -> int:
    channels = header.channels + header.has_alpha
    return header.height * header.width * channels * np.dtype(header.dtype).itemsize


def _must_decode(headers: dict[Path, images.Header], budget: _Budget) -> bool:
    # Floats have no scale of their own, so that the values themselves have to be seen.
    if any(header.dtype == "float32" for header in headers.values()):
        return True
    size = sum(max(LEAST_CHARGE, h.height * h.width * 3) for h in headers.values())
    # Without its end marker a file is probably cut short: decoding tells for certain.
    return budget.take(size) or not all(images.has_end_marker(path) for path in headers)


def _from_header(path: Path, header: images.Header, parts: int) -> SideLook:
    return SideLook(
        path,
        header.height,
        header.width // parts,
        header.channels,
        header.has_alpha,
        header.dtype,
    )


def _from_picture(path: Path, picture: images.Decoded, wish: FormWish, digests: bool) -> SideLook:
    array = picture.array
    notes = list(picture.notes)
    channels = array.shape[-1] - picture.has_alpha
    opaque = 1.0 if array.dtype == np.float32 else np.iinfo(array.dtype).max
    if picture.has_alpha and array[..., -1].min() < opaque:
        notes.append("transparency")
    covered, no_classes = None, ""
    if wish.palette is not None:
        covered = _covered(picture, wish)
        # Colours always snap to some class; numbers have to be those of classes.
        if not covered and (channels != 3 or array.dtype == np.float32):
            no_classes = _no_classes(picture, wish)
    digest = hashlib.sha256(np.ascontiguousarray(array)).hexdigest() if digests else ""
    colours = array[..., :channels]
    return SideLook(
        path,
        *array.shape[:2],
        channels,
        picture.has_alpha,
        array.dtype.name,
        float(colours.min()),
        float(colours.max()),
        covered,
        no_classes,
        tuple(notes),
        digest,
    )


def _covered(picture: images.Decoded, wish: FormWish) -> float:
    """The share of a picture's pixels that show a class, by colour or as an index."""
    palette = wish.palette
    colour = picture.array[..., :-1] if picture.has_alpha else picture.array
    if picture.indices is not None and palette.knows_indices(picture.indices):
        return 1.0
    if colour.shape[-1] == 1:
        known = colour.dtype != np.float32 and palette.knows_indices(colour)
        return 1.0 if known else 0.0
    if colour.shape[-1] != 3 or colour.dtype != np.uint8:
        return 0.0
    return palette.covered(images.fit_channels(picture.array, picture.has_alpha, 3))


def _no_classes(picture: images.Decoded, wish: FormWish) -> str:
    try:
        classes_of(picture, wish.palette)
    except ValueError as error:
        return str(error)
    return ""


def _labels_reason(labels: images.Decoded, a: images.Decoded, wish: FormWish) -> str:
    try:
        classes = classes_of(labels, wish.palette)
    except ValueError as error:
        return str(error)
    if classes.shape != a.array.shape[:2]:
        return f"{size_text(classes.shape)}, where its pair's images are {size_text(a.array.shape)}"
    return ""


# === Settling the form ===


@dataclasses.dataclass
class Settled:
    """What a scan comes to.

    Attributes:
      form: of the pairs; None if it cannot be told.
      label_side: ``input``, ``target``, or empty without labels.
      faults: whatever keeps the set from being used.
      notes: remarks worth telling.
    """

    form: PairForm | None
    label_side: str = ""
    faults: list[Fault] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def settle(
    looks: Sequence[PairLook],
    wish: FormWish,
    *,
    direction: str,
    label: Callable[[Path], str],
    allow_mixed_sizes: bool = False,
) -> Settled:
    """Decides the form of the pairs, and lists what keeps them from being used.

    Args:
      looks: what `scan` saw.
      wish: what the user asked for; the rest is as the files are.
      direction: ``AtoB`` or ``BtoA``.
      label: a file's name for messages.
      allow_mixed_sizes: accept pairs of differing size.
    """
    settled = Settled(None)
    _reading_faults(looks, label, settled)
    good = [look for look in looks if look.a is not None and look.b is not None]
    _size_faults(good, label, allow_mixed_sizes, settled)
    if not good:
        return settled
    x = [look.a if direction == "AtoB" else look.b for look in good]
    y = [look.b if direction == "AtoB" else look.a for look in good]
    in_train = [look.split == "train" for look in good]
    same_files = good[0].files.b is None

    if wish.color_space == "lab":
        _lab_faults(y, label, settled)
        settled.form = wish.form()
        return settled
    if wish.palette is not None:
        own_labels = [look.files.labels is None for look in good]
        wish = _settle_labels(wish, x, y, own_labels, label, settled)
        settled.label_side = wish.label_side
    sides = {}
    for side_wish, side in ((wish.x, x), (wish.y, y)):
        flags = ("input", "target") if same_files and not wish.palette else (side_wish.flag,)
        sides[side_wish.flag] = wish.labels(side_wish) or _settle_side(
            side_wish, side, in_train, flags, label, settled
        )
    if sides["input"] and sides["target"]:
        settled.form = PairForm(sides["input"], sides["target"])
    settled.notes += _reading_notes(x, y, settled.form, same_files)
    return settled


def _reading_faults(
    looks: Sequence[PairLook], label: Callable[[Path], str], settled: Settled
) -> None:
    unreadable = [f"{label(p)}: {reason}" for look in looks for p, reason in look.unreadable]
    if unreadable:
        settled.faults.append(Fault("unreadable", tuple(unreadable)))
    odd = [f"{label(look.files.a)}: {size_text(look.odd)}" for look in looks if look.odd]
    if odd:
        what = "of odd width, where two halves of equal width were expected"
        settled.faults.append(Fault(what, tuple(odd)))
    labels = [f"{label(k.files.labels)}: {k.labels_reason}" for k in looks if k.labels_reason]
    if labels:
        settled.faults.append(Fault("index maps that do not fit", tuple(labels)))


def _size_faults(
    looks: Sequence[PairLook], label: Callable[[Path], str], allow: bool, settled: Settled
) -> None:
    unequal = [
        f"{label(look.a.path)}: {size_text((look.a.height, look.a.width))}, "
        f"{label(look.b.path)}: {size_text((look.b.height, look.b.width))}"
        for look in looks
        if (look.a.height, look.a.width) != (look.b.height, look.b.width)
    ]
    if unequal:
        what = (
            "of two sizes within a pair; `tfpix2pix pairs --task=combine --size=N` makes them alike"
        )
        settled.faults.append(Fault(what, tuple(unequal)))
    if allow or not looks:
        return

    def whole_size(look: PairLook) -> tuple[int, int]:
        side_by_side = look.files.b is None and not look.files.whole
        return (look.a.height, look.a.width * (2 if side_by_side else 1))

    first = looks[0]
    others = [
        f"{label(look.files.a)}: {size_text(whole_size(look))}"
        for look in looks
        if whole_size(look) != whole_size(first)
    ]
    if others:
        what = (
            f"of another size than {label(first.files.a)} ({size_text(whole_size(first))}); "
            "--allow_mixed_sizes resizes each to load_size"
        )
        settled.faults.append(Fault(what, tuple(others)))


def _lab_faults(side: Sequence[SideLook], label: Callable[[Path], str], settled: Settled) -> None:
    wrong = [
        f"{label(look.path)}: {look.channels} channels, {look.dtype}"
        for look in side
        if look.channels not in (1, 3) or look.dtype == "float32"
    ]
    if wrong:
        what = "no photographs of 8 or 16 bits, which --color_space=lab expects"
        settled.faults.append(Fault(what, tuple(wrong)))


def _settle_labels(
    wish: FormWish,
    x: Sequence[SideLook],
    y: Sequence[SideLook],
    own_labels: Sequence[bool],
    label: Callable[[Path], str],
    settled: Settled,
) -> FormWish:
    """Finds which image shows labels; the palette has to explain nearly all of its pixels."""
    shares = {flag: _mean_covered(side) for flag, side in (("input", x), ("target", y))}
    side = wish.label_side or ("input" if wish.encoding == "onehot" else "")
    if not side:
        side = max(shares, key=lambda flag: shares[flag])
        if shares["input"] >= LEAST_COVERED:
            side = "input"
        known = f"{shares['input']:.0%} of the input's and {shares['target']:.0%} of the target's"
    else:
        known = f"{shares[side]:.0%} of the {side}'s"
    looks = x if side == "input" else y
    if shares[side] < LEAST_COVERED:
        settled.faults.append(
            Fault(
                f"--label_palette={wish.palette.name}: its colours cover {known} pixels, and at "
                f"least {LEAST_COVERED:.0%} of a label image's are expected; choose the data's own "
                "palette, or check --direction and --label_side."
            )
        )
    else:
        wrong = [
            f"{label(look.path)}: {look.no_classes}"
            for look, own in zip(looks, own_labels, strict=True)
            if own and look.no_classes
        ]
        if wrong:
            settled.faults.append(Fault("label images that show no classes", tuple(wrong)))
        poor = [k for k in looks if k.covered is not None and k.covered < LEAST_COVERED]
        if poor:
            worst = min(poor, key=lambda k: k.covered)
            settled.notes.append(
                f"the palette covers under {LEAST_COVERED:.0%} of {count_text(len(poor), 'image')} "
                f"(least: {worst.covered:.0%} of {label(worst.path)})"
            )
    return dataclasses.replace(wish, label_side=side)


def _mean_covered(side: Sequence[SideLook]) -> float:
    known = [look.covered for look in side if look.covered is not None]
    return float(np.mean(known)) if known else 0.0


def _settle_side(
    wish: SideWish,
    looks: Sequence[SideLook],
    in_train: Sequence[bool],
    flags: tuple[str, ...],
    label: Callable[[Path], str],
    settled: Settled,
) -> Side | None:
    """Channels, depth and value range of one image, as wished or as the files are."""
    channels = _settle_channels(wish, looks, flags, label, settled)
    dtype = _settle_dtype(wish, looks, flags, label, settled)
    if not channels or not dtype:
        return None
    limits = wish.limits()
    if limits is None and dtype != "float32":
        limits = FULL_SCALE[dtype]
        highest = max((look.high for look in looks if look.high is not None), default=None)
        # 10- and 12-bit cameras leave the upper bits of 16 empty.
        if dtype == "uint16" and highest is not None and 255 < highest < 32768:
            bits = int(highest).bit_length()
            settled.notes.append(
                f"the {wish.flag}'s values end at {highest:,.0f} of 65,535; "
                f"--{wish.flag}_range=0:{2**bits - 1} would use the whole scale"
            )
    elif limits is None:
        limits = _float_limits(
            [look for look, train in zip(looks, in_train, strict=True) if train] or looks
        )
    if not limits[0] < limits[1]:
        settled.faults.append(
            Fault(
                f"--{wish.flag}_range: every value of the {wish.flag} is {limits[0]:g}, so there "
                f"is nothing to learn; expected images, or give --{wish.flag}_range=LOW:HIGH."
            )
        )
        return None
    return Side(channels, dtype, *limits)


def _float_limits(looks: Sequence[SideLook]) -> tuple[float, float]:
    """What floats lie between: 0..1 and -1..1 where they keep to these, else their own limits."""
    low = min(look.low for look in looks if look.low is not None)
    high = max(look.high for look in looks if look.high is not None)
    if low == high:
        return (low, high)
    if low >= 0 and high <= 1:
        return (0.0, 1.0)
    if low >= -1 and high <= 1:
        return (-1.0, 1.0)
    # As the config will hold them, so that a continued run scales alike.
    return (float(f"{low:.9g}"), float(f"{high:.9g}"))


def _settle_channels(
    wish: SideWish,
    looks: Sequence[SideLook],
    flags: tuple[str, ...],
    label: Callable[[Path], str],
    settled: Settled,
) -> int:
    counts = collections.Counter(look.channels for look in looks)
    if wish.channels:
        wrong: dict[Path, str] = {}
        for look in looks:
            shape = (1, 1, look.channels + look.has_alpha)
            try:
                images.fit_channels(np.zeros(shape, look.dtype), look.has_alpha, wish.channels)
            except ValueError as error:
                wrong[look.path] = f"{label(look.path)}: {error}"
        if wrong:
            what = f"of other channels than --{wish.flag}_channels={wish.channels} can be made of"
            _add(settled, what, wrong.values())
            return 0
        return wish.channels
    usual = counts.most_common(1)[0][0]
    if len(counts) > 1:
        colour = set(counts) <= {1, 3}
        remedy = " ".join(f"--{flag}_channels=3" for flag in flags) + " makes them alike"
        other = f" (the others: {usual})"
        what = f"of another number of channels{other}; " + (
            remedy if colour else "convert them to one"
        )
        wrong = {k.path: f"{label(k.path)}: {k.channels}" for k in looks if k.channels != usual}
        _add(settled, what, wrong.values())
    return usual


def _settle_dtype(
    wish: SideWish,
    looks: Sequence[SideLook],
    flags: tuple[str, ...],
    label: Callable[[Path], str],
    settled: Settled,
) -> str:
    counts = collections.Counter(look.dtype for look in looks)
    if wish.dtype:
        wrong = {
            look.path: f"{label(look.path)}: {DEPTHS[look.dtype]}"
            for look in looks
            if look.dtype != wish.dtype and "float32" in (look.dtype, wish.dtype)
        }
        if wrong:
            what = f"of a depth that cannot become --{wish.flag}_dtype={wish.dtype}; convert them"
            _add(settled, what, wrong.values())
            return ""
        return wish.dtype
    usual = counts.most_common(1)[0][0]
    if len(counts) > 1:
        whole = "float32" not in counts
        remedy = " ".join(f"--{flag}_dtype=uint16" for flag in flags) + " makes them alike"
        what = f"of another depth (the others: {DEPTHS[usual]}); " + (
            remedy if whole else "convert them to one"
        )
        wrong = {k.path: f"{label(k.path)}: {DEPTHS[k.dtype]}" for k in looks if k.dtype != usual}
        _add(settled, what, wrong.values())
    return usual


def _add(settled: Settled, what: str, entries) -> None:
    """Adds a fault; of side-by-side images both sides see the same one."""
    fault = Fault(what, tuple(entries))
    if fault not in settled.faults:
        settled.faults.append(fault)


def _reading_notes(
    x: Sequence[SideLook], y: Sequence[SideLook], form: PairForm | None, same_files: bool
) -> list[str]:
    """What reading changes, each with the number of files."""
    files: dict[str, set[Path]] = collections.defaultdict(set)
    sides = ((x, form and form.x), (y, form and form.y))
    for looks, side in sides:
        for look in looks:
            for note in _changes(look, side):
                files[note].add(look.path)
    return [f"{count_text(len(paths), 'image')}: {note}" for note, paths in sorted(files.items())]


def _changes(look: SideLook, side: Side | None) -> Iterator[str]:
    yield from (note for note in look.notes if note != "transparency")
    if side is None or side.is_classes:
        return
    if "transparency" in look.notes and side.channels not in (2, 4):
        yield "transparency placed on white"
    if look.channels == 1 and side.channels in (3, 4):
        yield "grey image repeated into 3 channels"
    elif look.channels == 3 and side.channels in (1, 2):
        yield "colour image reduced to grey"
    if look.dtype == "uint16" and side.dtype == "uint8":
        yield "16 bits reduced to 8"
    elif look.dtype == "uint8" and side.dtype == "uint16":
        yield "8 bits brought to 16"
