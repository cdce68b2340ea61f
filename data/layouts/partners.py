"""Which files are partners by their names: equal stems, or stems that differ by a constant part."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

# What people call the two images, the input first. Found in folders' and columns' names.
SIDES = (
    ("a", "b"),
    ("input", "target"),
    ("inputs", "targets"),
    ("input", "output"),
    ("inputs", "outputs"),
    ("input", "gt"),
    ("in", "out"),
    ("image", "mask"),
    ("image", "masks"),
    ("images", "masks"),
    ("images", "mask"),
    ("images", "labels"),
    ("images", "annotations"),
    ("images", "targets"),
    ("image", "label"),
    ("image", "target"),
    ("image", "gt"),
    ("images", "gt"),
    ("img", "mask"),
    ("imgs", "masks"),
    ("img", "label"),
    ("imgs", "labels"),
    ("source", "target"),
    ("sources", "targets"),
    ("src", "tgt"),
    ("src", "dst"),
    ("x", "y"),
    ("noisy", "clean"),
    ("lr", "hr"),
    ("low", "high"),
    ("before", "after"),
)
SIDE_WORDS = frozenset(word for pair in SIDES for word in pair)
# What stands beside images that are called nothing: 1.png and 1_mask.png, train/ and train_masks/.
TARGET_WORDS = ("mask", "masks", "label", "labels", "annot", "annotations", "gt", "target")

_TRIED = 6  # names of which every partner is tried
_MOST = 500  # partners that are tried of a name without digits


@dataclasses.dataclass(frozen=True)
class Change:
    """How the stem of A becomes that of B: its beginning and its end, or a part of it, are others.

    Attributes:
      start, end: beginning (or part, where `part`) and end, each as (in A, in B).
      part: `start` stands somewhere in the middle; `end` says nothing.
    """

    start: tuple[str, str]
    end: tuple[str, str] = ("", "")
    part: bool = False

    def apply(self, stem: str) -> str | None:
        """The stem of B to one of A; None if this is none of A."""
        a, b = self.start
        if self.part:
            return stem.replace(a, b) if stem.count(a) == 1 else None
        tail, tail_b = self.end
        if len(stem) <= len(a) + len(tail) or not (stem.startswith(a) and stem.endswith(tail)):
            return None
        core = stem[len(a) : len(stem) - len(tail)]
        # A number is whole: 1 and 11 are no partners by a constant 1 before them.
        for left, right in ((a, core), (b, core), (core, tail), (core, tail_b)):
            if left[-1:].isdigit() and right[:1].isdigit():
                return None
        return b + core + tail_b

    def describe(self) -> str:
        """``1_A`` is to ``1_B``: how a stem N is called in A and in B."""
        if self.part:
            return f"N{self.start[0]}N and N{self.start[1]}N"
        ends = zip(self.start, self.end, strict=True)
        return " and ".join(f"{start}N{end}" for start, end in ends)

    @property
    def words(self) -> tuple[str, str]:
        """What is told apart, in A and in B, without what joins it to the rest."""
        (a, b), (tail, tail_b) = self.start, self.end
        return (a + tail).strip(" _-.()").casefold(), (b + tail_b).strip(" _-.()").casefold()


def changes(a: Sequence[str], b: Collection[str]) -> list[tuple[Change, dict[str, str]]]:
    """Every constant change of name that makes partners of stems, those of most partners first.

    Args:
      a, b: stems. Several changes that come to the same partners are one.

    Returns:
      Each change with the stem of B by that of A.
    """
    known = set(b)
    found: dict[tuple[tuple[str, str], ...], tuple[Change, dict[str, str]]] = {}
    step = max(1, len(a) // _TRIED)
    tried: Counter[Change] = Counter()
    for stem in a[::step]:
        for other in _likely(stem, known):
            tried.update(set(_changes_between(stem, other)))
    for change, _ in tried.most_common(200):
        partners = {}
        for stem in a:
            partner = change.apply(stem)
            if partner is not None and partner != stem and partner in known:
                partners[stem] = partner
        if partners:
            found.setdefault(tuple(sorted(partners.items())), (change, partners))
    return sorted(found.values(), key=lambda item: -len(item[1]))


def _likely(stem: str, known: set[str]) -> list[str]:
    """Possible partners: those with its longest number, if it has one."""
    number = max(re.findall(r"\d+", stem), key=len, default="")
    likely = sorted(other for other in known if number in other and other != stem)
    return likely if number else likely[:_MOST]


def _changes_between(a: str, b: str) -> Iterator[Change]:
    for block in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
        if block.size:
            end_a, end_b = block.a + block.size, block.b + block.size
            yield Change((a[: block.a], b[: block.b]), (a[end_a:], b[end_b:]))
    start = next((i for i, (p, q) in enumerate(zip(a, b, strict=False)) if p != q), 0)
    end = next((i for i, (p, q) in enumerate(zip(a[::-1], b[::-1], strict=False)) if p != q), 0)
    middle = a[start : len(a) - end], b[start : len(b) - end]
    # A part in the middle is a word: digits would be the number itself.
    if start and end and all(word.isalpha() for word in middle):
        yield Change(middle, part=True)


@dataclasses.dataclass(frozen=True)
class Partners:
    """The stems of B by those of A, and how they differ.

    Attributes:
      stems: stem of B by stem of A.
      change: how they differ; None where they are equal.
      rival: another change by which about as many are partners; then neither is to be believed.
    """

    stems: dict[str, str]
    change: Change | None = None
    rival: Change | None = None


def partners_of(a: Sequence[str], b: Collection[str]) -> Partners:
    """Partners in two folders: equal stems, or, where fewer than half are equal, a constant change
    that makes partners of at least half of the smaller folder, and of two stems or more unless it
    is made of words that people use for this."""
    equal = {stem: stem for stem in sorted(set(a) & set(b))}
    fewer = min(len(a), len(b))
    if 2 * len(equal) >= fewer:
        return Partners(equal)
    found = [item for item in changes(a, b) if 2 * len(item[1]) >= fewer]
    if not found or len(found[0][1]) < 2 * len(equal):
        return Partners(equal)
    change, stems = found[0]
    if len(stems) < 2 and not is_known(change.words):
        return Partners(equal)
    return Partners(stems, change, found[1][0] if len(found) > 1 else None)


def is_known(words: tuple[str, str]) -> bool:
    """True for words that people give to input and target, in this order."""
    return words in SIDES or (not words[0] and words[1] in TARGET_WORDS)
