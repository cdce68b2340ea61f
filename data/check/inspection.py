"""Reports what a data set holds before anything trains on it: for ``tfpix2pix inspect``.

`inspect_source` looks at every file (`scan`) and, where pixels matter, at some of them. What keeps
the set from being used is a fault, in the words in which training refuses it; what a person should
look into is a warning.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.size import Size
from tfpix2pix.data.cache_choice import choose_cache
from tfpix2pix.data.check.duplicates import (
    Duplicates,
    both_sides_text,
    find_duplicates,
    find_duplicates_of_sides,
    first_names,
    is_blank,
    leak_text,
    pixel_key,
    twice_text,
)
from tfpix2pix.data.check.palette_search import FoundPalette, find_palette
from tfpix2pix.data.check.previews import decoded_pair, spread
from tfpix2pix.data.check.resolve import Resolved
from tfpix2pix.data.check.scan import BadPair, PairLook, SideLook
from tfpix2pix.data.check.values import limits
from tfpix2pix.data.images import Decoded
from tfpix2pix.data.layouts.pair_files import (
    Fault,
    Listing,
    PairFiles,
    count_text,
    list_images,
    size_text,
)
from tfpix2pix.data.sources.base import SPLITS, PairSource, Progress
from tfpix2pix.data.sources.file_source import FileSource
from tfpix2pix.data.sources.unpaired import BrokenPairs
from tfpix2pix.data.sources.unpaired_files import UnpairedFiles
from tfpix2pix.data.spec import DEPTHS, LabSpec, PairSpec
from tfpix2pix.data.threads import threaded
from tfpix2pix.data.unmeasured import missing_in

CHANNELS = {1: "grey", 3: "RGB"}
SIDES = ("input", "target")

# Pairs whose pixels are measured and searched for a palette; exact colours are counted over more.
SAMPLED_PAIRS = 32
COUNTED_PAIRS = 400
SAMPLED_BYTES = 512 << 20  # fewer of very large images are sampled
_LOSSY = (".jpg", ".jpeg", ".webp")
LISTED_GROUPS = 100  # duplicates that are named; all are counted


@dataclasses.dataclass(frozen=True)
class SideFacts:
    """One side of the pairs, the inputs or the targets, over all files that can be read.

    Attributes:
      letter: ``A`` or ``B``.
      sizes: number of images by (height, width), the most frequent first.
      channels: number of images by channels, without alpha.
      depths: number of images by dtype.
      alpha: images with an alpha channel.
      low, high: lowest and highest value that is measured; None where nothing was decoded.
      mean, std: of the values of at most `SAMPLED_PAIRS` images, without alpha; None if none was
        read.
      blank: names of images of one single value.
      covered: mean share that the given palette explains; None without palette.
      found: what the images seem to be painted in, where no palette was given.
    """

    letter: str
    sizes: dict[tuple[int, int], int]
    channels: dict[int, int]
    depths: dict[str, int]
    alpha: int
    low: float | None
    high: float | None
    mean: float | None
    std: float | None
    blank: tuple[str, ...]
    covered: float | None
    found: FoundPalette | None

    def describe(self) -> str:
        """``RGB, 8 bit, 0 to 255, mean 121.3, std 60.2``; what differs is listed with counts."""
        parts = [
            _counted({CHANNELS.get(c, f"{c} channels"): n for c, n in self.channels.items()}),
            _counted({DEPTHS[dtype]: n for dtype, n in self.depths.items()}),
        ]
        if self.alpha:
            parts.append(f"{count_text(self.alpha, 'image')} with alpha")
        if self.low is not None:
            parts.append(f"values {self.low:.6g} to {self.high:.6g}")
        if self.mean is not None:
            parts.append(f"mean {self.mean:.4g}, std {self.std:.4g}")
        return ", ".join(parts)


@dataclasses.dataclass
class Inspection:
    """What a data set is, and whether training would accept it.

    Attributes:
      name: as the user named it, with the flag.
      layout: how the pairs are kept, in words.
      direction: ``AtoB`` or ``BtoA``.
      counts: pairs by split; of sides that are no pairs the images of the larger one.
      unpaired: by split the images of both sides, inputs first, where they are no pairs.
      looked_at: pairs that were looked at; all of them, but for sets that are drawn.
      input, target: the two sides; None if not one pair can be read.
      spec: what training would make of the pairs; None if that cannot be told.
      summary: the data set in one line, as training says it; empty if refused.
      faults: what keeps the set from being used.
      refusal: the words in which training would refuse it; empty if it would not.
      warnings: what a person should look into.
      notes: remarks.
      duplicates: None if they were not looked for.
      same_pairs: pairs whose input and target are the same picture.
      extensions: number of files by extension, in lower case.
      file_bytes: of all files.
      decoded: by split, bytes of the decoded pairs and the cache that ``--cache`` chooses.
      index_maps: folders of index maps beside the pairs, with the number of images in each.
    """

    name: str
    layout: str
    direction: str
    counts: dict[str, int]
    looked_at: int
    input: SideFacts | None = None
    target: SideFacts | None = None
    spec: PairSpec | None = None
    summary: str = ""
    faults: list[Fault] = dataclasses.field(default_factory=list)
    refusal: str = ""
    warnings: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    unpaired: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    duplicates: list[Duplicates] | None = None
    same_pairs: list[str] = dataclasses.field(default_factory=list)
    extensions: dict[str, int] = dataclasses.field(default_factory=dict)
    file_bytes: int = 0
    decoded: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)
    index_maps: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def sides(self) -> dict[str, SideFacts]:
        """Input and target by these names; empty if not one pair can be read."""
        sides = {"input": self.input, "target": self.target}
        return {name: side for name, side in sides.items() if side is not None}

    @property
    def leaks(self) -> list[Duplicates]:
        """The duplicates that stand in more than one split."""
        return [group for group in self.duplicates or () if group.leaks]

    def facts(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        groups = None
        if self.duplicates is not None:
            groups = {
                "groups": len(self.duplicates),
                "leaks": len(self.leaks),
                "listed": [
                    {"what": g.what, "leaks": g.leaks, "files": list(g.names)}
                    for g in self.duplicates[:LISTED_GROUPS]
                ],
            }
        return {
            "dataset": self.name,
            "accepted": not self.refusal,
            "refusal": self.refusal,
            "layout": self.layout,
            "direction": self.direction,
            "form": self.spec.describe() if self.spec else None,
            **({"images": self.unpaired} if self.unpaired else {"pairs": self.counts}),
            "looked_at": self.looked_at,
            **{name: _side_json(side) for name, side in self.sides.items()},
            "files": {
                "count": sum(self.extensions.values()),
                "bytes": self.file_bytes,
                "extensions": self.extensions,
            },
            "decoded": {s: {"bytes": n, "cache": cache} for s, (n, cache) in self.decoded.items()},
            "duplicates": groups,
            "input_is_target": self.same_pairs,
            "index_maps": self.index_maps,
            "faults": [
                {"what": f.what, "count": len(f.entries), "files": list(f.entries)}
                for f in self.faults
            ],
            "warnings": self.warnings,
            "notes": self.notes,
        }


def inspect_source(
    source: PairSource,
    *,
    progress: Progress | None = None,
    duplicates: bool = True,
    load_size: Size | int = 286,
    cache: str = "auto",
    cache_dir: str | os.PathLike | None = None,
) -> Inspection:
    """Looks at a data set; refuses nothing.

    Args:
      source: the data set, as training would open it.
      progress: called as ``progress(done, total)`` while files are looked at.
      duplicates: decode and hash every image.
      load_size: the size at which training would keep the pairs.
      cache: the ``--cache`` that training would get.
      cache_dir: where files of decoded pairs would be kept.
    """
    if isinstance(source, BrokenPairs):
        seen = inspect_source(
            source.pairs,
            progress=progress,
            duplicates=duplicates,
            load_size=load_size,
            cache=cache,
            cache_dir=cache_dir,
        )
        seen.notes.append(source.how())
        return seen
    if isinstance(source, UnpairedFiles):
        seen, x, y, label = _look_at_sides(source, progress, duplicates)
    else:
        seen, x, y, label = _look_at_pairs(source, progress, duplicates)
    seen.counts = {split: source.count(split) for split in SPLITS if source.count(split)}
    seen.notes = source.notes()
    if x and y:
        for side, facts in zip(SIDES, _sides(source, seen, (x, y), label), strict=True):
            setattr(seen, side, facts)
    if not seen.refusal:
        seen.summary = source.describe()
        pixels = Size.of(load_size).pixels
        for name, count, stored_bytes in _kept(source):
            needed = count * pixels * stored_bytes
            kept = choose_cache(needed, cache_dir) if cache == "auto" else cache
            seen.decoded[name] = (needed, kept)
    seen.warnings = _warnings(seen)
    if not seen.counts.get("val"):
        seen.warnings.append(
            f"no val split, so that training could measure nothing; {source.no_val_advice()}"
        )
    return seen


# What was seen, the inputs and the targets that can be read, and what messages call a file.
_Seen = tuple[Inspection, list[SideLook], list[SideLook], Callable[[Path], str]]


def _look_at_pairs(source: PairSource, progress: Progress | None, duplicates: bool) -> _Seen:
    looks: Sequence[PairLook | BadPair]
    if isinstance(source, FileSource):
        looks, resolved = source.scan(progress, digests=duplicates)
        listing = source.listing
        seen = Inspection(source.name, listing.layout, source.direction, {}, len(looks))
        _take(seen, source, resolved, [listing])
        seen.index_maps = _index_maps(listing)
    else:
        looks = _looks_at_drawn(source)
        seen = Inspection(source.name, "drawn", source.direction, {}, len(looks))
        seen.spec = source.spec
        listing = Listing("drawn", Path(), {})
        duplicates = False
    good = [look for look in looks if isinstance(look, PairLook)]
    if duplicates:
        seen.duplicates = find_duplicates(good, seen.direction, listing.label)
    seen.same_pairs = [
        listing.label(look.files.a)
        for look in good
        if look.a.digest and not look.files.whole and pixel_key(look.a) == pixel_key(look.b)
    ]
    a, b = [look.a for look in good], [look.b for look in good]
    x, y = (a, b) if seen.direction == "AtoB" else (b, a)
    return seen, x, y, listing.label


def _look_at_sides(source: UnpairedFiles, progress: Progress | None, duplicates: bool) -> _Seen:
    looks, resolved = source.scan(progress, digests=duplicates)
    listings = [of.listing for of in source.files]
    layout = f"unpaired, {listings[0].layout}"
    seen = Inspection(source.name, layout, source.direction, {}, sum(map(len, looks)))
    _take(seen, source, resolved, listings)
    seen.unpaired = {split: source.sides(split) for split in SPLITS if any(source.sides(split))}
    x, y = ([look for look in of if isinstance(look, PairLook)] for of in looks)
    label = listings[0].label
    if duplicates:
        seen.duplicates = find_duplicates_of_sides(x, y, label)
    return seen, [look.a for look in x], [look.a for look in y], label


def _take(
    seen: Inspection,
    source: FileSource | UnpairedFiles,
    resolved: Resolved,
    listings: Sequence[Listing],
) -> None:
    seen.spec, seen.faults = resolved.spec, list(resolved.faults)
    if seen.faults:
        seen.refusal = source.fault_report(seen.faults)
    _measure_files(seen, listings)


def _kept(source: PairSource) -> Iterator[tuple[str, int, int]]:
    """What is kept decoded: its name, the number of images or pairs, bytes of a pixel of one."""
    for split in SPLITS:
        if source.paired(split) and source.count(split):
            yield split, source.count(split), source.spec.stored_bytes
        elif source.count(split):
            specs = (source.spec.x, source.spec.y)
            for side, count, spec in zip(SIDES, source.sides(split), specs, strict=True):
                yield f"{split} {side}", count, spec.stored_bytes


# === Files ===


def _measure_files(seen: Inspection, listings: Sequence[Listing]) -> None:
    files = {path for listing in listings for path in listing.files()}
    extensions = collections.Counter(path.suffix.lower() for path in files)
    seen.extensions = dict(extensions.most_common())
    seen.file_bytes = sum(path.stat().st_size for path in files if path.exists())


def _index_maps(listing: Listing) -> dict[str, int]:
    beside = [pairs[0].a.parent for pairs in listing.splits.values() if pairs]
    folders = [folder.with_name(f"{folder.name}_index") for folder in beside]
    return {f"{f.name}/": len(list_images(f)[0]) for f in folders if f.is_dir()}


def _looks_at_drawn(source: PairSource) -> list[PairLook]:
    """Some pairs of a set that has no files."""
    looks = []
    for split in SPLITS:
        for index in spread(source.count(split), SAMPLED_PAIRS // 4):
            name = source.pair_name(split, index)
            a, b = (
                SideLook(
                    path=Path(name),
                    height=picture.array.shape[0],
                    width=picture.array.shape[1],
                    channels=picture.array.shape[2],
                    has_alpha=False,
                    dtype=picture.array.dtype.name,
                    low=float(picture.array.min()),
                    high=float(picture.array.max()),
                )
                for picture in decoded_pair(source, split, index)
            )
            if source.direction == "BtoA":
                a, b = b, a
            looks.append(PairLook(split, PairFiles(name, Path(name)), a, b))
    return looks


# === Sides ===


def _sides(
    source: PairSource,
    seen: Inspection,
    both: tuple[Sequence[SideLook], Sequence[SideLook]],
    label: Callable[[Path], str],
) -> list[SideFacts]:
    """The facts of input and target, `both` of which were looked at."""
    largest = sum(max(map(_bytes, looks)) for looks in both)
    most = max(4, min(SAMPLED_PAIRS, SAMPLED_BYTES // largest))
    pictures = list(_sample(source, most))
    letters = "AB" if seen.direction == "AtoB" else "BA"
    given = any(look.covered is not None for looks in both for look in looks)
    has_palette = seen.spec is not None and bool(seen.spec.label_side)
    search = not (given or has_palette or isinstance(seen.spec, LabSpec))
    facts = []
    for number, letter in enumerate(letters):
        sampled = [pair[number] for pair in pictures]
        looks = both[number]
        found = None
        ignore: tuple[str, ...] = ()
        if seen.spec is not None:
            ignore = (seen.spec.x, seen.spec.y)[number].ignore
        if search:
            lossless = not any(look.path.suffix.lower() in _LOSSY for look in looks)
            more = (pair[number] for pair in _sample(source, COUNTED_PAIRS))
            found = find_palette(sampled, more, lossless=lossless, ignore=ignore)
        facts.append(_side_facts(letter, looks, sampled, found, label, ignore))
    return facts


def _side_facts(
    letter: str,
    looks: Sequence[SideLook],
    sampled: Sequence[Decoded],
    found: FoundPalette | None,
    label: Callable[[Path], str],
    ignore: Sequence[str],
) -> SideFacts:
    def count(values: Iterable) -> dict:
        return dict(collections.Counter(values).most_common())

    mean, std = _mean_and_std(sampled, ignore)
    low, high = limits(looks, ignore) or (None, None)
    covered = [look.covered for look in looks if look.covered is not None]
    return SideFacts(
        letter,
        count((look.height, look.width) for look in looks),
        count(look.channels for look in looks),
        count(look.dtype for look in looks),
        sum(look.has_alpha for look in looks),
        low,
        high,
        mean,
        std,
        tuple(label(look.path) for look in looks if is_blank(look)),
        float(np.mean(covered)) if covered else None,
        found,
    )


def _bytes(look: SideLook) -> int:
    channels = look.channels + look.has_alpha
    return look.height * look.width * channels * np.dtype(look.dtype).itemsize


def _mean_and_std(
    pictures: Sequence[Decoded], ignore: Sequence[str]
) -> tuple[float | None, float | None]:
    """Of all values of all pictures together, alpha and what is not measured left out."""
    count, total, squares = 0, 0.0, 0.0
    for picture in pictures:
        values = picture.array[..., :-1] if picture.has_alpha else picture.array
        if values.dtype == np.float32 or ignore:
            values = values[~missing_in(picture, ("nan", *ignore))]
        values = values.astype(np.float64)
        count += values.size
        total += float(values.sum())
        squares += float((values**2).sum())
    if not count:
        return None, None
    mean = total / count
    return mean, max(0.0, squares / count - mean**2) ** 0.5


def _sample(source: PairSource, most: int) -> Iterator[tuple[Decoded, Decoded]]:
    """Pairs spread evenly over all splits; what cannot be read is left out."""
    places = [(split, index) for split in SPLITS for index in range(source.count(split))]

    def read(number: int) -> tuple[Decoded, Decoded] | None:
        try:
            return decoded_pair(source, *places[number])
        except DataError:
            return None

    # In portions: of large pictures only a few may wait at a time.
    chosen = spread(len(places), most)
    for start in range(0, len(chosen), 8):
        found = threaded(read, chosen[start : start + 8])
        yield from (pair for pair in found if pair is not None)


# === Words ===


def _warnings(seen: Inspection) -> list[str]:
    warnings = []
    shared = [group for group in seen.duplicates or () if group.what == "side"]
    if shared:
        warnings.append(both_sides_text(shared))
    for what in ("pair", *SIDES):
        groups = [group for group in seen.duplicates or () if group.what == what]
        for leaks, text in ((True, leak_text), (False, twice_text)):
            some = [group for group in groups if group.leaks == leaks]
            if some:
                warnings.append(text(what, some))
    if seen.same_pairs:
        warnings.append(
            f"input and target are the same picture in {count_text(len(seen.same_pairs), 'pair')} "
            f"({first_names(seen.same_pairs)})"
        )
    for name, side in seen.sides.items():
        if side.blank:
            count = count_text(len(side.blank), f"{name} image")
            warnings.append(f"blank, of one single value: {count} ({first_names(side.blank)})")
    return warnings


def _counted(counts: dict[str, int]) -> str:
    """``RGB`` where all are alike, else ``RGB (30), grey (2)``."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{key} ({n:,})" for key, n in counts.items())


def sizes_text(sizes: dict[tuple[int, int], int], most: int = 4) -> str:
    """``256x256 (width x height)``, or the most frequent sizes with their counts."""
    if len(sizes) == 1:
        return size_text(next(iter(sizes)))
    shown = [f"{w}x{h} ({n:,})" for (h, w), n in list(sizes.items())[:most]]
    more = f" and {len(sizes) - most:,} other sizes" if len(sizes) > most else ""
    return ", ".join(shown) + more


def _side_json(side: SideFacts) -> dict[str, Any]:
    return {
        "side": side.letter,
        "sizes": [{"width": w, "height": h, "images": n} for (h, w), n in side.sizes.items()],
        "channels": {str(c): n for c, n in side.channels.items()},
        "depths": side.depths,
        "alpha": side.alpha,
        "low": side.low,
        "high": side.high,
        "mean": side.mean,
        "std": side.std,
        "blank": list(side.blank),
        "covered": side.covered,
        "palette": side.found.facts() if side.found else None,
    }
