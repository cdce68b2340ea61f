"""Which planes of a container are read: pages of a TIFF, frames of an animation, arrays of an .npz.

One plane is an image of its own, with one sample or several. What the file itself calls channels
(ImageJ, OME, an axis C) is read as channels, and so are a few grey pages of which it says nothing;
times, depths, series and frames are not: of them the first is read, and what there is besides is
told. A wish (``--input_planes``, ``--target_planes``) decides otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.formats.common import Decoded, Header, Refused

AUTO, FIRST, CHANNELS = "auto", "first", "channels"
# More grey pages of which a file says nothing are taken for times or depths: satellites and
# microscopes have no more bands than these, stacks mostly have more.
MOST_BANDS = 16


@dataclasses.dataclass(frozen=True)
class Stack:
    """The planes of a file.

    Attributes:
      count: of all that a person might mean.
      noun: what one is called: ``page``, ``frame`` or ``array``.
      channels: places of those that are the first image's channels, by the file's own word.
      bare: they are grey, alike, and the file does not say what they are.
      besides: what they are: ``times``, ``5 times x 2 channels``; empty if that is not known.
    """

    count: int
    noun: str
    channels: tuple[int, ...] = (0,)
    bare: bool = False
    besides: str = ""


@dataclasses.dataclass(frozen=True)
class Choice:
    """What of a file is read.

    Attributes:
      places: of planes, from 0.
      besides: what is to be told of the others; often empty.
      picks: of a file that is one plane, the channels to read; empty for all.
    """

    places: tuple[int, ...] = (0,)
    besides: str = ""
    picks: tuple[int, ...] = ()


def check_planes(flag: str, wish: str) -> str:
    """Returns a wish that can be one.

    Raises:
      DataError: it is not auto, first, channels, or numbers from 1 with commas between.
    """
    numbers = wish.split(",")
    if wish in (AUTO, FIRST, CHANNELS) or all(n.isdecimal() and int(n) > 0 for n in numbers):
        return wish
    raise DataError(
        f"--{flag}={wish}: expected auto, first, channels, or numbers of planes from 1, such as 2 "
        "or 1,3."
    )


def numbers_of(wish: str) -> tuple[int, ...]:
    """Places, from 0, that a wish names; empty where it is a word."""
    return tuple(int(n) - 1 for n in wish.split(",")) if wish[0].isdigit() else ()


def chosen(stack: Stack, wish: str) -> Choice:
    """Decides which planes are read.

    Args:
      stack: what the file holds.
      wish: as `check_planes` returns it.

    Raises:
      Refused: it names a plane that the file does not hold.
    """
    every = tuple(range(stack.count))
    held = f"{stack.count} {stack.noun}s" + (f" ({stack.besides})" if stack.besides else "")
    numbers = numbers_of(wish)
    if stack.count == 1:
        return Choice((0,), picks=numbers)
    if numbers:
        if max(numbers) >= stack.count:
            raise Refused(f"it holds {held}, and number {max(numbers) + 1} was asked for")
        return Choice(numbers)
    if wish == CHANNELS or (wish == AUTO and stack.channels == every):
        return Choice(every)
    if wish == AUTO and stack.bare and stack.count <= MOST_BANDS:
        text = f"{held} read as channels, though the file does not say that they are"
        return Choice(every, text)
    if wish == AUTO and len(stack.channels) > 1:
        text = f"{held}, of which {len(stack.channels)} are read, the channels of the first image"
        return Choice(stack.channels, text)
    return Choice((0,), f"{held}, of which the first is read")


def joined_header(headers: Sequence[Header], choice: Choice) -> Header:
    """The header of what `joined` makes of pictures that have these.

    Raises:
      Refused: the planes are of several sizes or types, or have alpha; or a channel is chosen that
        is not there.
    """
    first = headers[0]
    if len(headers) == 1:
        picks = _picks(first, choice)
        if not picks:
            return first
        return dataclasses.replace(first, channels=len(picks), has_alpha=False)
    for place, header in zip(choice.places[1:], headers[1:], strict=True):
        if dataclasses.replace(header, channels=first.channels) != first or header.has_alpha:
            raise Refused(
                "its planes are of several kinds, which cannot be channels of one image: number "
                f"{choice.places[0] + 1} is {_kind(first)}, number {place + 1} {_kind(header)}; "
                "--input_planes=first or --target_planes=first reads the first alone"
            )
    return dataclasses.replace(first, channels=sum(header.channels for header in headers))


def joined(pictures: Sequence[Decoded], choice: Choice) -> Decoded:
    """One picture of the planes that were read, their channels behind each other.

    Args:
      pictures: one for each of ``choice.places``.
      choice: see `chosen`.

    Raises:
      Refused: as `joined_header`.
    """
    first, headers = pictures[0], [_header_of(picture) for picture in pictures]
    joined_header(headers, choice)
    if len(pictures) == 1:
        picks = _picks(headers[0], choice)
        if not picks:
            return dataclasses.replace(first, besides=choice.besides)
        array = np.ascontiguousarray(first.array[..., picks])
        return Decoded(array, False, None, first.notes, choice.besides, first.nodata)
    array = np.concatenate([picture.array for picture in pictures], axis=-1)
    notes = tuple(dict.fromkeys(note for picture in pictures for note in picture.notes))
    return Decoded(array, False, None, notes, choice.besides, first.nodata)


def _picks(header: Header, choice: Choice) -> tuple[int, ...]:
    if choice.picks == (0,) and header.channels == 1 and not header.has_alpha:
        return ()  # The image itself.
    if choice.picks and max(choice.picks) >= header.channels:
        channels = f"{header.channels} channel{'s' * (header.channels > 1)}"
        raise Refused(
            f"it holds one image of {channels}, and number {max(choice.picks) + 1} was asked for"
        )
    return choice.picks


def _header_of(picture: Decoded) -> Header:
    height, width, channels = picture.array.shape
    colours = channels - picture.has_alpha
    return Header(height, width, colours, picture.has_alpha, picture.array.dtype.name)


def _kind(header: Header) -> str:
    alpha = " with alpha" if header.has_alpha else ""
    return f"{header.width}x{header.height} {header.dtype}{alpha}"
