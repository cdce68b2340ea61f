"""What is wrong with files whatever spec the pairs have, and what reading changes in them."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tfpix2pix.data.check.scan import BadPair, PairLook, SideLook
from tfpix2pix.data.config import LEARNS_UNPAIRED
from tfpix2pix.data.layouts.pair_files import Fault, count_text, size_text
from tfpix2pix.data.spec import ImageSpec, PairSpec

_LISTED_PER_FAULT = 10
_LISTED_KINDS = 3
WILDLY = 8  # times as many pixels on one side as on the other
RARE = 20  # times as many images


def fault_report(name: str, faults: Sequence[Fault], total: int = 0) -> str:
    """Faults as a text: a sentence, then a list of the first images of each kind.

    Args:
      name: of the data set, as messages have it.
      faults: at least one.
      total: number of images there are; 0 where that says nothing.
    """
    general = [fault for fault in faults if not fault.entries]
    listed = [fault for fault in faults if fault.entries]
    lines = [f"{name}: {general[0].what}"] if general else []
    lines += [f"  {fault.what}" for fault in general[1:]]
    if listed:
        bad = sum(len(fault.entries) for fault in listed)
        head = f"{bad:,} of {count_text(total, 'image')} cannot be used"
        if bad > total:
            head = f"{count_text(bad, 'image')} cannot be used"
        lines.append(f"{name}: {head}; mend or remove {'it' if bad == 1 else 'them'}.")
    for fault in listed:
        lines.append(f"  {len(fault.entries):,} {fault.what}:")
        lines += [f"    {entry}" for entry in fault.entries[:_LISTED_PER_FAULT]]
        if len(fault.entries) > _LISTED_PER_FAULT:
            lines.append(f"    and {len(fault.entries) - _LISTED_PER_FAULT:,} more")
    return "\n".join(lines)


def reading_faults(
    looks: Sequence[PairLook | BadPair], label: Callable[[Path], str]
) -> Iterator[Fault]:
    """Files that cannot be read, have no two halves, or hold no labels where they should."""
    bad = [look for look in looks if isinstance(look, BadPair)]
    unreadable = [f"{label(p)}: {reason}" for look in bad for p, reason in look.unreadable]
    if unreadable:
        yield Fault("unreadable", tuple(unreadable))
    odd = [f"{label(look.files.a)}: {size_text(look.odd)}" for look in bad if look.odd]
    if odd:
        what = "of odd width, where two halves of equal width were expected"
        yield Fault(what, tuple(odd))
    labels = [
        f"{label(look.files.labels)}: {look.labels_reason}"
        for look in looks
        if isinstance(look, PairLook) and look.files.labels and look.labels_reason
    ]
    if labels:
        yield Fault("index maps that do not fit", tuple(labels))


def size_faults(
    looks: Sequence[PairLook], label: Callable[[Path], str], allow_mixed_sizes: bool
) -> Iterator[Fault]:
    """Images of two sizes within a pair, or, unless allowed, from pair to pair."""
    unequal = [
        f"{label(look.a.path)}: {size_text((look.a.height, look.a.width))}, "
        f"{label(look.b.path)}: {size_text((look.b.height, look.b.width))}"
        for look in looks
        if (look.a.height, look.a.width) != (look.b.height, look.b.width)
    ]
    if unequal:
        what = (
            "of two sizes within a pair; `tfpix2pix pairs --task=combine --size=N` makes them "
            f"alike, and {LEARNS_UNPAIRED} learns from images that are no pairs"
        )
        yield Fault(what, tuple(unequal))
    if allow_mixed_sizes or not looks:
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
        yield Fault(what, tuple(others))


def lab_faults(side: Sequence[SideLook], label: Callable[[Path], str]) -> Iterator[Fault]:
    """Images whose colours cannot be brought to CIELAB."""
    wrong = [
        f"{label(look.path)}: {look.channels} channels, {look.dtype}"
        for look in side
        if look.channels not in (1, 3) or look.dtype == "float32"
    ]
    if wrong:
        what = "no photographs of 8 or 16 bits, which --color_space=lab expects"
        yield Fault(what, tuple(wrong))


def reading_notes(
    x: Sequence[SideLook], y: Sequence[SideLook], spec: PairSpec | None, same_files: bool
) -> list[str]:
    """What reading changes, each with the number of files."""
    files: dict[str, set[Path]] = collections.defaultdict(set)
    for looks, side in ((x, spec.x if spec else None), (y, spec.y if spec else None)):
        for look in looks:
            for note in _changes(look, side):
                files[note].add(look.path)
    return [f"{count_text(len(paths), 'image')}: {note}" for note, paths in sorted(files.items())]


def side_notes(x: Sequence[SideLook], y: Sequence[SideLook], spec: PairSpec | None) -> list[str]:
    """Remarks on two sides that are no pairs and are very unlike each other."""
    notes = []
    if spec is not None and spec.x.channels != spec.y.channels:
        count, flag = max((spec.x.channels, "target"), (spec.y.channels, "input"))
        kinds = [
            f"the {name} has {count_text(of.channels, 'channel')}"
            for name, of in (("input", spec.x), ("target", spec.y))
        ]
        alike = ""
        if {spec.x.channels, spec.y.channels} == {1, 3} and not spec.label_side:
            alike = f"; --{flag}_channels={count} makes them alike"
        notes.append(
            f"{' and '.join(kinds)}: each generator is built for its own, and a term that "
            f"compares a side's images with what the other's generator makes of them (identity) "
            f"has nothing to compare{alike}"
        )
    areas = [_median([look.height * look.width for look in side]) for side in (x, y)]
    if max(areas) >= WILDLY * min(areas):
        notes.append(
            f"the {'input' if areas[0] > areas[1] else 'target'} images have "
            f"{max(areas) / min(areas):.3g} times as many pixels as the other side's; both are "
            "resized to --load_size, so that what they show is of unlike scale; where that is not "
            "meant, cut the larger ones into pieces of the smaller ones' size"
        )
    return notes


def count_notes(trained: Mapping[str, int]) -> list[str]:
    """Remarks on very few training images of a side.

    Args:
      trained: number of training images of ``input`` and of ``target``.
    """
    (few, least), (many, most) = sorted(trained.items(), key=lambda item: item[1])
    if least == 1:
        return [
            f"the {few} has one training image, which is all that could be learned of that side; "
            "add more"
        ]
    if 0 < RARE * least <= most:
        return [
            f"the {few} has {least:,} training images and the {many} {most:,}, so that each of the "
            f"former is seen {most / least:.3g} times as often; add more of them if there are any"
        ]
    return []


def _median(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]


def plane_notes(
    x: Sequence[SideLook], y: Sequence[SideLook], same_files: bool, label: Callable[[Path], str]
) -> list[str]:
    """What files hold beside what was read of them, and the flags that choose otherwise."""
    notes = []
    for looks, flags in ((x, ("input", "target") if same_files else ("input",)), (y, ("target",))):
        files: dict[str, list[Path]] = collections.defaultdict(list)
        for look in looks:
            if look.besides:
                files[look.besides].append(look.path)
        if not files or (same_files and looks is y):
            continue
        kinds = [
            f"{label(paths[0])}"
            + (f" and {count_text(len(paths) - 1, 'other file')}" if len(paths) > 1 else "")
            + f": {besides}"
            for besides, paths in list(files.items())[:_LISTED_KINDS]
        ]
        unlisted = len(files) - _LISTED_KINDS
        more = f"; and {unlisted:,} other kinds" if unlisted > 0 else ""

        first = all("first is read" in besides for besides in files)
        ways = {"channels": "reads all as channels", "2": "the second alone"}
        if not first:
            ways = {"first": "reads the first alone", "2": "the second"}
        advice = [
            f"{' '.join(f'--{flag}_planes={value}' for flag in flags)} {does}"
            for value, does in ways.items()
        ]
        notes.append(f"{'; '.join(kinds)}{more} ({', '.join(advice)})")
    return notes


def _changes(look: SideLook, side: ImageSpec | None) -> Iterator[str]:
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
