"""The same pixels in several places of a data set: leakage between splits, and plain duplicates."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tfpix2pix.data.check.scan import PairLook, SideLook
from tfpix2pix.data.layouts.pair_files import count_text


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """Images, or pairs, of the same pixels.

    Attributes:
      what: ``pair``, ``input`` or ``target``; of the latter two only what is no pair twice. Of
        images that are no pairs also ``side``: what stands on both.
      names: their files, in the order of the splits.
      splits: the split of each.
    """

    what: str
    names: tuple[str, ...]
    splits: tuple[str, ...]

    @property
    def leaks(self) -> bool:
        """True if they stand in more than one split."""
        return len(set(self.splits)) > 1

    def one_a_split(self) -> list[str]:
        """The first file in each split."""
        first: dict[str, str] = {}
        for split, name in zip(self.splits, self.names, strict=True):
            first.setdefault(split, name)
        return list(first.values())


def find_duplicates(
    looks: Sequence[PairLook], direction: str, label: Callable[[Path], str]
) -> list[Duplicates]:
    """Pairs of the same pixels; then inputs, and targets, that stand in several other pairs.

    Blank images are no duplicates of each other. Leaks, and of these the larger ones, come first.

    Args:
      looks: of pairs that can be read, with digests.
      direction: ``AtoB`` or ``BtoA``.
      label: a file's name for messages.
    """
    a, b = ("input", "target") if direction == "AtoB" else ("target", "input")
    pairs = [(pixel_key(k.a) + pixel_key(k.b), k.files.a, k.split) for k in looks]
    found = _groups("pair", pairs, label)
    if not any(look.files.whole for look in looks):
        for what, side, other in ((a, "a", "b"), (b, "b", "a")):
            images = [(getattr(k, side), k.split) for k in _only_one_side(looks, side, other)]
            found += _groups(what, [(pixel_key(i), i.path, split) for i, split in images], label)
    return sorted(found, key=lambda group: (not group.leaks, -len(group.names)))


def find_duplicates_of_sides(
    x: Sequence[PairLook], y: Sequence[PairLook], label: Callable[[Path], str]
) -> list[Duplicates]:
    """As `find_duplicates`, of single images of two sides: on one side, or (what: ``side``) on
    both, which come first.

    Args:
      x, y: inputs and targets.
      label: a file's name for messages.
    """
    found = []
    sides: dict[tuple, set[str]] = collections.defaultdict(set)
    images: dict[str, list[tuple[tuple, Path, str]]] = {"input": [], "target": []}
    for what, looks in zip(images, (x, y), strict=True):
        for look in looks:
            if not is_blank(look.a):
                key = pixel_key(look.a)
                sides[key].add(what)
                images[what].append((key, look.a.path, look.split))
    both = {key for key, whose in sides.items() if len(whose) > 1}
    for what, of in images.items():
        found += _groups(what, [image for image in of if image[0] not in both], label)
    shared = [image for of in images.values() for image in of if image[0] in both]
    found += _groups("side", shared, label)
    return sorted(found, key=lambda g: (g.what != "side", not g.leaks, -len(g.names)))


def pixel_key(side: SideLook) -> tuple:
    """The same for images of the same pixels, shape and type; they need digests."""
    return (side.height, side.width, side.channels, side.has_alpha, side.dtype, side.digest)


def _only_one_side(looks: Sequence[PairLook], side: str, other: str) -> list[PairLook]:
    """The pairs whose image of `side` has several partners, and is not blank."""
    partners: dict[tuple, set[tuple]] = collections.defaultdict(set)
    for look in looks:
        partners[pixel_key(getattr(look, side))].add(pixel_key(getattr(look, other)))
    return [
        look
        for look in looks
        if len(partners[pixel_key(getattr(look, side))]) > 1 and not is_blank(getattr(look, side))
    ]


def _groups(
    what: str, found: Iterable[tuple[tuple, Path, str]], label: Callable[[Path], str]
) -> list[Duplicates]:
    """What stands several times among (pixel key, file, split)."""
    groups: dict[tuple, list[tuple[Path, str]]] = collections.defaultdict(list)
    for key, path, split in found:
        groups[key].append((path, split))
    return [
        Duplicates(what, tuple(label(path) for path, _ in group), tuple(s for _, s in group))
        for group in groups.values()
        if len(group) > 1
    ]


def is_blank(look: SideLook) -> bool:
    """True if all of its pixels are known to have one single value."""
    if look.low is None:
        return len(look.marks) == 1
    return look.low == look.high and not look.marks


# === Words ===


def leak_text(what: str, groups: Sequence[Duplicates]) -> str:
    """A warning of duplicates that stand in several splits."""
    files = sum(len(group.names) for group in groups)
    # Of each group one file in each split.
    names = [" = ".join(group.one_a_split()) for group in groups]
    return (
        f"leakage: {_the_same(what, len(groups), files)} in more than one split, so that val or "
        f"test measures what was trained on ({first_names(names)})"
    )


def both_sides_text(groups: Sequence[Duplicates]) -> str:
    """A warning of images that stand on both sides."""
    names = first_names([" = ".join(group.names[:3]) for group in groups])
    one = len(groups) == 1
    return (
        f"on both sides: {count_text(len(groups), 'image')} {'is' if one else 'are'} the same "
        f"picture in A and in B, which are to differ ({names}); remove {'it' if one else 'them'} "
        "from one side"
    )


def twice_text(what: str, groups: Sequence[Duplicates]) -> str:
    """A warning of duplicates that stand in one."""
    files = sum(len(group.names) for group in groups)
    names = first_names([" = ".join(group.names[:3]) for group in groups])
    return f"duplicates: {_the_same(what, len(groups), files)} several times in one split ({names})"


def _the_same(what: str, groups: int, files: int) -> str:
    noun = "pair" if what == "pair" else f"{what} image"
    return f"{count_text(groups, noun)} (in {files:,} files) {'stands' if groups == 1 else 'stand'}"


def first_names(names: Sequence[str], most: int = 3) -> str:
    """The first few of some names."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
