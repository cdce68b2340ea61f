"""What the values of an image tell: their limits, whether they are few, and which of them may mean
"nothing measured"; and, of a whole set, which of them do."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tfpix2pix.data import images
from tfpix2pix.data.spec import index_values
from tfpix2pix.data.unmeasured import missing_in, numbers_of, word_of

# More values than this are no classes that a person painted.
MOST_VALUES = 64
_SAMPLED = 4096

# Numbers by which programs mark what was not measured, with how much wider than all other values
# together the gap to them has to be. Those of the second kind are also ends of a sensor's scale.
_MARKS = {-999.0, -9999.0, -99999.0, -999999.0}
_ENDS = {
    65535.0,
    32767.0,
    -32768.0,
    -32767.0,
    9999.0,
    99999.0,
    999999.0,
    2147483648.0,
    -2147483648.0,
}
_MARK_GAP, _END_GAP, _ANY_GAP = 1.0, 2.0, 10.0
_HUGE = 1e15  # what is larger is a mark such as 1e20 or 3.4e38, and no measurement
_LEAST_SHARE = 1e-3  # of an image's pixels that a number of no name has to stand in


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A value that may mean nothing measured, in one image.

    Attributes:
      word: of it; see `tfpix2pix.data.unmeasured`.
      pixels: that have it.
      declared: whether the file says so itself.
    """

    word: str
    pixels: int
    declared: bool = False

    @property
    def value(self) -> float:
        return float(self.word)


@dataclasses.dataclass(frozen=True, slots=True)
class Values:
    """What is seen of the values of one image, alpha left out.

    Attributes:
      low, high: of all that no mark stands in; None where nothing is left.
      marks: what may mean nothing measured.
      few: the values of an index map or mask, each with its pixels; empty where they are many.
    """

    low: float | None = None
    high: float | None = None
    marks: tuple[Mark, ...] = ()
    few: tuple[tuple[float, int], ...] = ()


def values_of(picture: images.Decoded, asked: Sequence[str] = ()) -> Values:
    """Looks at the values of a decoded image.

    Args:
      picture: the image.
      asked: words that the user gave, which are marks whatever the rest is.
    """
    colours = picture.array[..., :-1] if picture.has_alpha else picture.array
    marks, left = [], None
    declared = () if picture.nodata is None else (word_of(picture.nodata),)
    named = dict.fromkeys((*(["nan"] if colours.dtype == np.float32 else ()), *declared, *asked))
    for word in named:
        found = missing_in(picture, (word,))
        if left is not None:
            found &= left
        count = int(np.count_nonzero(found))
        if count:
            left = ~found if left is None else left & ~found
            marks.append(Mark(word, count, word in declared))
    values = colours if left is None else colours[left]
    while values.size:
        low, high = float(values.min()), float(values.max())
        # An image that holds nothing but a mark is judged with the others.
        for value in () if colours.dtype == np.uint8 else dict.fromkeys((low, high)):
            if not _stands_out(values, value, low, high):
                continue
            word = word_of(value)
            found = missing_in(picture, (word,))
            found = found if left is None else found & left
            if found.any():  # of whole numbers not where only one channel has it
                marks.append(Mark(word, int(np.count_nonzero(found))))
                left = ~found if left is None else left & ~found
                values = colours[left]
                break
        else:
            return Values(low, high, tuple(marks), _few(picture))
    return Values(marks=tuple(marks), few=_few(picture))


def _stands_out(values: np.ndarray, value: float, low: float, high: float) -> bool:
    """Whether the lowest or highest value may be a mark."""
    if _gap_of(value) < _ANY_GAP:
        return True
    same = values == np.float32(value)
    if np.count_nonzero(same) < max(4, _LEAST_SHARE * values.size):
        return False
    rest = values[~same]
    if not rest.size:
        return False
    near, far = (rest.min(), rest.max()) if value == low else (rest.max(), rest.min())
    span = abs(float(far) - float(near))
    return span > 0 and abs(value - float(near)) >= _ANY_GAP * span


def _gap_of(value: float) -> float:
    if value in _MARKS or abs(value) >= _HUGE:
        return _MARK_GAP
    return _END_GAP if value in _ENDS else _ANY_GAP


def _few(picture: images.Decoded) -> tuple[tuple[float, int], ...]:
    sample = picture.array.reshape(-1, picture.array.shape[-1])[:: max(1, _step(picture.array))]
    if picture.indices is None and len(np.unique(sample[:, 0])) > MOST_VALUES:
        return ()
    values = index_values(picture)
    if values is None:
        return ()
    found, counts = np.unique(values, return_counts=True)
    if len(found) > MOST_VALUES:
        return ()
    return tuple(zip(map(float, found), map(int, counts), strict=True))


def _step(array: np.ndarray) -> int:
    return array.shape[0] * array.shape[1] // _SAMPLED


# === Of a set ===


def limits(seen: Iterable[Values], ignore: Sequence[str]) -> tuple[float, float] | None:
    """Lowest and highest value of images where those of `ignore` do not count; None without any."""
    ends = [end for values in seen for end in _ends(values, ignore)]
    return (min(ends), max(ends)) if ends else None


def _ends(values: Values, ignore: Sequence[str]) -> Iterator[float]:
    if values.low is not None and values.high is not None:
        yield values.low
        yield values.high
    yield from (m.value for m in values.marks if m.word not in ignore and np.isfinite(m.value))


def few_values(seen: Sequence[Values], ignore: Sequence[str] = ()) -> list[float]:
    """The values of a set of masks or index maps, ascending; empty if its images are others.

    Args:
      seen: all images; those that were not decoded have no say.
      ignore: values that are not listed.
    """
    seen = [values for values in seen if values.low is not None or values.marks]
    if not all(values.few for values in seen):
        return []
    found = sorted({value for values in seen for value, _ in values.few})
    left = [value for value in found if not is_ignored(value, ignore)]
    return left if len(found) <= MOST_VALUES else []


def is_ignored(value: float, ignore: Sequence[str]) -> bool:
    """Whether a value is one of those."""
    return any(np.float32(value) == number for number in numbers_of(tuple(ignore)))


def marks_of(seen: Sequence[Values], index_maps: bool) -> list[str]:
    """The values of a set that mean nothing measured.

    These are NaN, what files mark themselves, and extreme outliers; of index maps also what marks
    pixels to be ignored there: 255 or 65535 behind classes 0 to N, and -1 before at least three.

    Args:
      seen: all images.
      index_maps: whether few values may be such.
    """
    found = collections.Counter[str]()
    declared: set[str] = set()
    for values in seen:
        for mark in values.marks:
            found[mark.word] += mark.pixels
            declared |= {mark.word} if mark.declared else set()
    known = [word for word in found if word == "nan" or word in declared]
    few = few_values(seen, known)
    if len(few) == 1:  # a mask whose background is marked: nothing would be left to learn
        known = [word for word in known if word == "nan"]
        few = few_values(seen, known)
    if index_maps:
        known += [word for word in map(word_of, _beside_classes(few)) if word not in known]
    within = limits(seen, list(found))
    for word in found:
        if word in known or within is None:
            continue
        low, high = within
        value, least = float(word), _gap_of(float(word))
        gap = low - value if value < low else value - high
        # Masks and index maps have gaps of their own.
        if high > low and gap >= least * (high - low) and (not few or least == _MARK_GAP):
            known.append(word)
    return known


def _beside_classes(few: Sequence[float]) -> list[float]:
    """Of the values of index maps those which stand for no class."""
    classes = [value for value in few if value not in (255.0, 65535.0) and value != -1.0]
    if len(classes) < 2 or classes[0] < 0 or classes[-1] > max(32, 2 * len(classes)):
        return []
    rest = [value for value in few if value not in classes]
    return [value for value in rest if value > 0 or len(classes) >= 3]


def pixels_with(values: Values, word: str) -> int:
    """How many pixels of an image have a value that means nothing measured."""
    marked = sum(mark.pixels for mark in values.marks if mark.word == word)
    return marked or sum(count for value, count in values.few if is_ignored(value, (word,)))
