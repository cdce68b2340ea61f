"""Decides from a scan what spec the pairs have, and lists every kind of fault.

Training refuses a set with faults; ``tfpix2pix inspect`` shows them.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.data import images
from tfpix2pix.data.check.faults import (
    count_notes,
    lab_faults,
    plane_notes,
    reading_faults,
    reading_notes,
    side_notes,
    size_faults,
)
from tfpix2pix.data.check.scan import BadPair, PairLook, SideLook
from tfpix2pix.data.check.values import few_values, limits, marks_of, pixels_with
from tfpix2pix.data.label_classes import MAX_INDEX
from tfpix2pix.data.layouts.pair_files import Fault, count_text
from tfpix2pix.data.spec import (
    DEPTHS,
    FULL_SCALE,
    LEAST_COVERED,
    ImageSpec,
    ImageWish,
    PairSpec,
    PairWish,
)
from tfpix2pix.data.unmeasured import NAN, VOID, numbers_of

if TYPE_CHECKING:
    from tfpix2pix.data.palette import Palette


@dataclasses.dataclass
class Resolved:
    """The spec of a data set's pairs, with the faults and remarks that its scan gave.

    Attributes:
      spec: of the pairs; None if it cannot be told.
      label_side: ``input``, ``target``, or empty without labels.
      faults: whatever keeps the set from being used.
      notes: remarks worth telling.
    """

    spec: PairSpec | None
    label_side: str = ""
    faults: list[Fault] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def resolve(
    looks: Sequence[PairLook | BadPair],
    wish: PairWish,
    *,
    direction: str,
    label: Callable[[Path], str],
    allow_mixed_sizes: bool = False,
) -> Resolved:
    """Decides the spec of the pairs, and lists what keeps them from being used.

    Args:
      looks: what `scan` saw.
      wish: what the user asked for; the rest is as the files are.
      direction: ``AtoB`` or ``BtoA``.
      label: a file's name for messages.
      allow_mixed_sizes: accept pairs of differing size.
    """
    resolved = Resolved(None)
    resolved.faults += reading_faults(looks, label)
    good = [look for look in looks if isinstance(look, PairLook)]
    resolved.faults += size_faults(good, label, allow_mixed_sizes)
    if not good:
        return resolved
    x = [look.a if direction == "AtoB" else look.b for look in good]
    y = [look.b if direction == "AtoB" else look.a for look in good]
    in_train = [look.split == "train" for look in good]
    own = [look.files.labels is None for look in good]
    same_files = good[0].files.b is None

    if wish.in_lab:
        resolved.faults += lab_faults(y, label)
        resolved.spec = wish.spec()
        return resolved
    sides = {"input": _Side(x, in_train, own), "target": _Side(y, in_train, own)}
    _resolve_sides(wish, sides, same_files, label, resolved)
    return resolved


def resolve_unpaired(
    x_looks: Sequence[PairLook | BadPair],
    y_looks: Sequence[PairLook | BadPair],
    wish: PairWish,
    *,
    label: Callable[[Path], str],
    allow_mixed_sizes: bool = False,
) -> Resolved:
    """As `resolve`, for the images of two sides that are no pairs, each looked at by itself.

    Args:
      x_looks, y_looks: what `scan` saw of single images: inputs and targets.
      wish, label, allow_mixed_sizes: as `resolve` takes them.
    """
    resolved = Resolved(None)
    resolved.faults += reading_faults([*x_looks, *y_looks], label)
    sides = {}
    for flag, looks in (("input", x_looks), ("target", y_looks)):
        good = [look for look in looks if isinstance(look, PairLook)]
        resolved.faults += size_faults(good, label, allow_mixed_sizes)
        if good:
            in_train = [look.split == "train" for look in good]
            sides[flag] = _Side([look.a for look in good], in_train, [True] * len(good))
    if len(sides) < 2:
        return resolved
    _resolve_sides(wish, sides, False, label, resolved)
    resolved.notes += side_notes(sides["input"].looks, sides["target"].looks, resolved.spec)
    resolved.notes += count_notes({flag: sum(of.in_train) for flag, of in sides.items()})
    return resolved


@dataclasses.dataclass(frozen=True)
class _Side:
    """The inputs, or the targets.

    Attributes:
      looks: what was seen of each.
      in_train: whether it is of the train split.
      own: whether it shows its labels itself, if it shows labels.
    """

    looks: Sequence[SideLook]
    in_train: Sequence[bool]
    own: Sequence[bool]


def _resolve_sides(
    wish: PairWish,
    sides: Mapping[str, _Side],
    same_files: bool,
    label: Callable[[Path], str],
    resolved: Resolved,
) -> None:
    """Decides the spec of inputs and targets."""
    if wish.palette is not None:
        wish = _resolve_labels(wish, wish.palette, sides, label, resolved)
        resolved.label_side = wish.label_side
    specs: dict[str, ImageSpec | None] = {}
    for side_wish in (wish.x, wish.y):
        side = sides[side_wish.flag]
        flags = ("input", "target") if same_files and not wish.palette else (side_wish.flag,)
        labels = wish.labels(side_wish)
        if labels is not None:
            specs[side_wish.flag] = _with_ignored(labels, side_wish, side.looks, resolved)
        else:
            specs[side_wish.flag] = _resolve_image(
                side_wish, side.looks, side.in_train, flags, label, resolved
            )
    if specs["input"] and specs["target"]:
        resolved.spec = PairSpec(specs["input"], specs["target"])
    x, y = sides["input"].looks, sides["target"].looks
    resolved.notes += reading_notes(x, y, resolved.spec, same_files)
    resolved.notes += plane_notes(x, y, same_files, label)


def _resolve_labels(
    wish: PairWish,
    palette: Palette,
    sides: Mapping[str, _Side],
    label: Callable[[Path], str],
    resolved: Resolved,
) -> PairWish:
    """Finds which image shows labels; the palette has to explain nearly all of its pixels."""
    shares = {flag: _mean_covered(of.looks) for flag, of in sides.items()}
    side = wish.label_side or wish.one_hot_side
    if not side:
        side = max(shares, key=lambda flag: shares[flag])
        if shares["input"] >= LEAST_COVERED:
            side = "input"
        known = f"{shares['input']:.0%} of the input's and {shares['target']:.0%} of the target's"
    else:
        known = f"{shares[side]:.0%} of the {side}'s"
    looks = sides[side].looks
    if shares[side] < LEAST_COVERED:
        resolved.faults.append(
            Fault(
                f"--label_palette={palette.name}: its colours cover {known} pixels, and at "
                f"least {LEAST_COVERED:.0%} of a label image's are expected; choose the data's own "
                "palette, or check --direction and --label_side"
                f"{_strays(palette, {flag: of.looks for flag, of in sides.items()})}."
            )
        )
    else:
        wrong = [
            f"{label(look.path)}: {look.no_classes}"
            for look, own in zip(looks, sides[side].own, strict=True)
            if own and look.no_classes
        ]
        if wrong:
            advice = f"; --{side}_ignore=VALUE leaves out the pixels of a value that is none"
            what = f"label images that show no classes{advice}"
            resolved.faults.append(Fault(what, tuple(wrong)))
        known_shares = [(k.covered, k.path) for k in looks if k.covered is not None]
        poor = [(share, path) for share, path in known_shares if share < LEAST_COVERED]
        if poor:
            least, worst = min(poor, key=lambda item: item[0])
            resolved.notes.append(
                f"the palette covers under {LEAST_COVERED:.0%} of {count_text(len(poor), 'image')} "
                f"(least: {least:.0%} of {label(worst)})"
            )
    return dataclasses.replace(wish, label_side=side)


def _strays(palette: Palette, sides: Mapping[str, Sequence[SideLook]]) -> str:
    """Advice where a side would show classes, were it not for a value or two."""
    for flag, looks in sides.items():
        few = few_values(looks)
        unknown = [value for value in few if not palette.knows_indices(np.array([int(value)]))]
        if 0 < len(unknown) <= 2 and len(few) - len(unknown) >= 2:
            values = ",".join(f"{value:g}" for value in unknown)
            return (
                f"; of the {flag}'s values {values} {'is' if len(unknown) == 1 else 'are'} no "
                f"class: --{flag}_ignore={values} leaves such pixels out"
            )
    return ""


def _mean_covered(side: Sequence[SideLook]) -> float:
    known = [look.covered for look in side if look.covered is not None]
    return float(np.mean(known)) if known else 0.0


def _resolve_image(
    wish: ImageWish,
    looks: Sequence[SideLook],
    in_train: Sequence[bool],
    flags: tuple[str, ...],
    label: Callable[[Path], str],
    resolved: Resolved,
) -> ImageSpec | None:
    """Channels, depth and value range of one image, as wished or as the files are."""
    channels = _resolve_channels(wish, looks, flags, label, resolved)
    dtype = _resolve_dtype(wish, looks, flags, label, resolved)
    if not channels or not dtype:
        return None
    ignore = _ignored(wish, looks, resolved)
    span = wish.limits()
    if span is None and dtype != "float32":
        span = FULL_SCALE[dtype]
        _note_short_scale(wish, looks, dtype, ignore, resolved)
    elif span is None:
        trained = [look for look, train in zip(looks, in_train, strict=True) if train] or looks
        span = _float_limits(trained, ignore)
    if span is None or not span[0] < span[1]:
        found = f"every value of the {wish.flag} is {span[0]:g}" if span else "nothing is measured"
        resolved.faults.append(
            Fault(
                f"--{wish.flag}_range: {found}, so there is nothing to learn; expected "
                f"images, or give --{wish.flag}_range=LOW:HIGH."
            )
        )
        return None
    alpha = bool(wish.channels) and any(look.has_alpha for look in looks)
    return ImageSpec(channels, dtype, *span, planes=wish.planes, alpha=alpha, ignore=ignore)


def _note_short_scale(
    wish: ImageWish,
    looks: Sequence[SideLook],
    dtype: str,
    ignore: Sequence[str],
    resolved: Resolved,
) -> None:
    """Says so where values use less than half of their scale, as masks of 0 and 1 do, or 10- and
    12-bit cameras, which leave the upper bits of 16 empty."""
    found, full = limits(looks, ignore), FULL_SCALE[dtype][1]
    if (
        found is None
        or {look.dtype for look in looks} != {dtype}
        or not 0 < found[1] < (full + 1) / 2
    ):
        return
    few = few_values(looks, ignore)
    highest = int(found[1])
    end = highest if few else 2 ** highest.bit_length() - 1
    text = (
        f"the {wish.flag}'s values end at {highest:,} of {full:,.0f}; "
        f"--{wish.flag}_range=0:{end} would use the whole scale"
    )
    if len(few) > 2:
        text += (
            f", or, if its {len(few)} values are numbers of classes, the palette that `tfpix2pix "
            "inspect` with the same data flags writes for --label_palette"
        )
    resolved.notes.append(text)


def _ignored(wish: ImageWish, looks: Sequence[SideLook], resolved: Resolved) -> tuple[str, ...]:
    """The values of one image that mean nothing measured, as wished or as was found, with a note
    for each that is there."""
    given = bool(wish.ignore)
    ignore = list(wish.ignored) if given else marks_of(looks, index_maps=wish.flag == "target")
    if NAN not in ignore:
        broken = [look for look in looks if any(mark.word == NAN for mark in look.marks)]
        if broken:
            what = (
                f"with NaN or infinite values, where --{wish.flag}_ignore={wish.ignore} says that "
                f"there are none; add nan to it: --{wish.flag}_ignore="
                f"{','.join([*ignore, NAN])}"
            )
            _add(resolved, what, [str(look.path) for look in broken])
    total = sum(look.height * look.width for look in looks if look.low is not None or look.marks)
    for word in ignore:
        there = [count for look in looks if (count := pixels_with(look, word))]
        if not there or word == VOID:
            continue
        why = "is" if given else "is taken for"
        if any(mark.declared for look in looks for mark in look.marks if mark.word == word):
            why = "is, as the files say,"
        named = "NaN or infinity" if word == NAN else f"value {word}"
        remedy = "" if given or word == NAN else f"; --{wish.flag}_ignore=none counts it"
        resolved.notes.append(
            f"the {wish.flag}'s {named} (in {len(there):,} of {count_text(len(looks), 'image')}, "
            f"{sum(there) / total:.2%} of the pixels) {why} nothing measured: kept out of value "
            f"range, losses and measures{remedy}"
        )
    return tuple(ignore)


def _with_ignored(
    side: ImageSpec, wish: ImageWish, looks: Sequence[SideLook], resolved: Resolved
) -> ImageSpec:
    """A label image with the values that stand for no class of its palette."""
    palette = side.palette
    assert palette is not None
    if not wish.ignore:
        declared = {m.word for look in looks for m in look.marks if m.declared and m.word != NAN}
        values = {word: int(value[0]) for word in declared if (value := numbers_of((word,)))}
        words = [
            word
            for word, value in sorted(values.items())
            if not (0 <= value <= MAX_INDEX and palette.knows_indices(np.array([value])))
        ]
        wish = dataclasses.replace(wish, ignore=",".join([*side.ignore, *words]) or "none")
        if VOID in side.ignore:
            void = ", ".join(label.name for label in palette.classes if label.void)
            resolved.notes.append(
                f"pixels of the palette's void classes ({void}) count in no loss and no measure; "
                f"--{wish.flag}_ignore=none counts them"
            )
    return dataclasses.replace(side, ignore=_ignored(wish, looks, resolved))


def _float_limits(looks: Sequence[SideLook], ignore: Sequence[str]) -> tuple[float, float] | None:
    """What floats lie between: 0..1 and -1..1 where they keep to these, else their own limits."""
    found = limits(looks, ignore)
    if found is None:
        return None
    low, high = found
    if low == high:
        return (low, high)
    if low >= 0 and high <= 1:
        return (0.0, 1.0)
    if low >= -1 and high <= 1:
        return (-1.0, 1.0)
    # As the config will hold them, so that a continued run scales alike.
    return (float(f"{low:.9g}"), float(f"{high:.9g}"))


def _resolve_channels(
    wish: ImageWish,
    looks: Sequence[SideLook],
    flags: tuple[str, ...],
    label: Callable[[Path], str],
    resolved: Resolved,
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
            _add(resolved, what, wrong.values())
            return 0
        return wish.channels
    usual = counts.most_common(1)[0][0]
    if len(counts) > 1:
        colour = set(counts) <= {1, 3}
        remedy = " ".join(f"--{flag}_channels=3" for flag in flags) + " makes them alike"
        other = f" (the others: {usual})"
        what = f"of another number of channels{other}; " + (
            remedy if colour else _convert(looks, flags)
        )
        wrong = {k.path: f"{label(k.path)}: {k.channels}" for k in looks if k.channels != usual}
        _add(resolved, what, wrong.values())
    return usual


def _convert(looks: Sequence[SideLook], flags: tuple[str, ...]) -> str:
    """What makes files of several channel counts alike."""
    if not any(look.besides for look in looks):
        return "convert them to one"
    return " ".join(f"--{flag}_planes=first" for flag in flags) + " reads one plane of each"


def _resolve_dtype(
    wish: ImageWish,
    looks: Sequence[SideLook],
    flags: tuple[str, ...],
    label: Callable[[Path], str],
    resolved: Resolved,
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
            _add(resolved, what, wrong.values())
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
        _add(resolved, what, wrong.values())
    return usual


def _add(resolved: Resolved, what: str, entries) -> None:
    """Adds a fault; of side-by-side images both sides see the same one."""
    fault = Fault(what, tuple(entries))
    if fault not in resolved.faults:
        resolved.faults.append(fault)
