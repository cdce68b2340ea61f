"""TIFF by tifffile, at full depth and with any number of samples; special 8-bit kinds by Pillow.

Which pages are read, `planes` says; a page's samples are channels, stored together or apart.
An extra sample behind grey or RGB is alpha if its tag says so; any others make N channels.
Kinds of 8 bits and less that go with a colour conversion or a fax coding (palette, CMYK, YCbCr,
JPEG, CCITT, 1-bit) are left to Pillow (libtiff), which knows their rules.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import math
import os
from typing import Any, BinaryIO

import numpy as np

from tfpix2pix.data.formats import by_pillow
from tfpix2pix.data.formats.common import (
    TURNED,
    Decoded,
    Header,
    Refused,
    check_size,
    kept,
    kept_dtype,
    upright,
    upright_size,
)
from tfpix2pix.data.formats.planes import (
    AUTO,
    Choice,
    Stack,
    chosen,
    joined,
    joined_header,
    numbers_of,
)

# Numbers of the TIFF 6.0 specification and its supplements.
ORIENTATION_TAG = 274
NODATA_TAG = 42113  # the value, as text
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_PREMULTIPLIED, _STRAIGHT = 1, 2
# None, LZW, Deflate (two numbers), PackBits, Zstandard, LZMA: bytes in, the same bytes out.
_LOSSLESS = (1, 5, 8, 32946, 32773, 50000, 34925)
_LZW = 5
# Of these, none makes more than this of a byte (LZW, whose codes of 12 bits stand for up to 3838
# bytes in a row of equal ones, comes near it): what claims more is damaged, or a bomb.
_BOUNDED, _LARGEST_RATIO = (1, 5, 8, 32946, 32773), 2000
_REDUCED_OR_MASK = 1 | 4  # Of NewSubfileType: overviews, and where pixels count.
_AXES = {"T": "time", "Z": "depth", "C": "channel"}
_NOWHERE = logging.NullHandler()
_CONTIGUOUS_AXES, _SEPARATE_AXES = ("YX", "YXS"), ("SYX",)


@dataclasses.dataclass(frozen=True)
class _Facts:
    """What a page's tags tell.

    Attributes:
      height: rows as stored; `width`: columns.
      orientation: 1 to 8.
      by_pillow: whether Pillow decodes it; what follows is then not known.
      channels: colour channels.
      alpha: 0 without, else the kind of alpha.
      dtype: as handed out.
    """

    height: int
    width: int
    orientation: int
    by_pillow: bool
    channels: int = 0
    alpha: int = 0
    dtype: str = "uint8"


def read_header(file: BinaryIO, planes: str = AUTO) -> Header:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    with opened(file) as tif:
        pages, choice = _chosen_pages(tif, planes)
        facts = [_facts(page, size) for page in pages]
        places = [page.index for page in pages]

    def header(place: int, facts: _Facts) -> Header:
        size = upright_size(facts.height, facts.width, facts.orientation)
        if not facts.by_pillow:
            return Header(*size, facts.channels, facts.alpha > 0, facts.dtype)
        file.seek(0)
        with by_pillow.opened(file, "TIFF") as image:
            image.seek(place)
            return Header(*size, *by_pillow.channels_of(image), "uint8")

    return joined_header([header(*each) for each in zip(places, facts, strict=True)], choice)


def decode(data: bytes, planes: str = AUTO) -> Decoded:
    with opened(io.BytesIO(data)) as tif:
        pages, choice = _chosen_pages(tif, planes)
        pictures = [_decode_page(page, data) for page in pages]
    return joined(pictures, choice)


def _decode_page(page: Any, data: bytes) -> Decoded:
    facts = _facts(page, len(data))
    notes, nodata = [TURNED] if facts.orientation != 1 else [], _nodata(page)
    if facts.by_pillow:
        # Pillow has turned the picture already, or its orientation would be in the notes twice.
        image = by_pillow.decode_frame(data, "TIFF", page.index)
        notes += [note for note in image.notes if note not in notes]
        return dataclasses.replace(image, notes=tuple(notes), nodata=nodata)
    if page.compression == _LZW:
        # By libtiff: the decoder that tifffile would take crashes on some damaged data.
        import imagecodecs

        array = imagecodecs.tiff_decode(data, index=page.index)
    else:
        array = page.asarray(maxworkers=1)
    if page.axes in _SEPARATE_AXES:
        array = np.moveaxis(array, 0, -1)
    array = array.reshape(facts.height, facts.width, facts.channels + (facts.alpha > 0))
    array, changes = kept(array)
    notes += changes
    if int(page.photometric) == _MIN_IS_WHITE:
        array = np.concatenate([_full_scale(array) - array[..., :1], array[..., 1:]], axis=-1)
    if facts.alpha == _PREMULTIPLIED:
        array = _straight_alpha(array)
        notes.append("colours divided by the alpha that they were multiplied with")
    array = upright(array, facts.orientation)
    return Decoded(array, facts.alpha > 0, None, tuple(notes), nodata=nodata)


# === Pages ===


def _chosen_pages(tif: Any, planes: str) -> tuple[list[Any], Choice]:
    count = len(tif.pages)
    if count == 1 and not (tif.is_imagej or tif.is_stk):
        return [tif.pages.first], chosen(Stack(1, "page"), planes)
    pages = [tif.pages.get(k, aspage=True) for k in range(count)]
    # The same picture smaller, and where its pixels count, are no planes of their own.
    pages = [page for page in pages if not page.subfiletype & _REDUCED_OR_MASK] or pages[:1]
    stack = Stack(len(pages), "page")
    series = _series(tif)
    if series is not None:
        axes = list(zip(series.axes, series.shape, strict=True))[: series.ndim - len(pages[0].axes)]
        if math.prod(size for _, size in axes) > len(series.pages):
            # Written as one page and a number, as ImageJ does beyond 4 GB.
            told = f"a stack of {_in_words(axes)} behind one page, of which the first image is read"
            return pages[:1], Choice((0,), told, numbers_of(planes))
        stack = _stack(pages, series, axes)
    choice = chosen(stack, planes)
    return [pages[place] for place in choice.places], choice


def _series(tif: Any) -> Any:
    """The images that the first page is one of; None where they cannot be told."""
    try:
        series = tif.series[0]
        return series if series.keyframe.index == tif.pages.first.index else None
    except Exception:  # Odd metadata say nothing against the pages themselves.
        return None


def _stack(pages: list[Any], series: Any, axes: list[tuple[str, int]]) -> Stack:
    """What a series of pages is, by its axes but those of a page, outermost first."""
    place_of = {page.index: place for place, page in enumerate(pages)}
    # Where each lies in the file: OME-XML may order them otherwise, and miss some.
    places = np.array([place_of.get(getattr(page, "index", None), -1) for page in series.pages])
    wide = [axis for axis in axes if axis[1] > 1]
    grey = series.keyframe.samplesperpixel == 1
    channels = np.zeros(1, int)
    if [name for name, _ in wide].count("C") == 1 and grey:
        first = tuple(slice(None) if name == "C" else 0 for name, _ in axes)
        found = places.reshape([size for _, size in axes])[first]
        channels = found if found.min() >= 0 else channels
    bare = grey and len(places) == len(pages) and [name for name, _ in wide] in (["I"], ["Q"])
    return Stack(len(pages), "page", tuple(map(int, channels)), bare, _in_words(wide))


def _in_words(axes: list[tuple[str, int]]) -> str:
    named = [(_AXES[name], size) for name, size in axes if name in _AXES]
    if len(named) == 1:
        return f"{named[0][0]}s"
    return " x ".join(f"{size} {name}{'s' * (size > 1)}" for name, size in named)


def opened(file: BinaryIO) -> Any:
    """A `tifffile.TiffFile`; files that OME-TIFFs name besides are left alone."""
    import tifffile

    # What it logs about odd files is either harmless or raised below.
    logging.getLogger("tifffile").propagate = False
    logging.getLogger("tifffile").addHandler(_NOWHERE)
    return tifffile.TiffFile(file, _multifile=False)


def _facts(page: Any, file_size: int) -> _Facts:
    """Reads a page's tags.

    Raises:
      Refused: the file is not all there, or the page of a kind that is not read here.
    """
    height, width = page.imagelength, page.imagewidth
    check_size(height, width)
    orientation = page.tags.valueof(ORIENTATION_TAG, 1)
    orientation = orientation if orientation in range(1, 9) else 1
    bits, photometric = page.bitspersample, int(page.photometric)
    if not isinstance(bits, int):
        raise Refused("a TIFF whose samples differ in their bits")
    _check_segments(page, file_size)
    if photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _CMYK, _YCBCR):
        raise Refused(f"a TIFF whose colours are {_name_of(page.photometric)}")
    is_plain = photometric in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB)
    if bits < 8 or (bits == 8 and not (is_plain and page.compression in _LOSSLESS)):
        return _Facts(height, width, orientation, by_pillow=True)
    if not is_plain:
        raise Refused(f"a TIFF whose colours are {_name_of(page.photometric)} of {bits} bits")
    if page.dtype is None or bits not in (8, 16, 24, 32, 64):
        raise Refused(f"a TIFF of {bits} bits per sample, where 8, 16 or 32 were expected")
    if page.axes not in _CONTIGUOUS_AXES + _SEPARATE_AXES:
        raise Refused("a TIFF of volumes, where a flat image was expected")

    samples = page.samplesperpixel
    colours = 3 if photometric == _RGB else 1
    if samples < colours:
        raise Refused(f"damaged (a TIFF of RGB with {samples} samples per pixel)")
    extra = tuple(int(kind) for kind in page.extrasamples)
    # RGB and a fourth sample without the tag: old writers of RGBA, and readers take it for that.
    alpha = _STRAIGHT if (colours, samples, extra) == (3, 4, ()) else 0
    if len(extra) == 1 and samples == colours + 1 and extra[0] in (_PREMULTIPLIED, _STRAIGHT):
        alpha = extra[0]
    # Of an array [4, H, W] tifffile says so by itself, whatever a program had in it.
    if (colours, samples) == (3, 4) and page.axes in _SEPARATE_AXES and page.is_shaped:
        alpha = 0
    channels = samples - (alpha > 0)
    dtype = kept_dtype(np.dtype(page.dtype))
    if photometric == _MIN_IS_WHITE and dtype == "float32":
        raise Refused(f"a TIFF whose white is 0 and whose black, in {page.dtype}, is not known")
    return _Facts(height, width, orientation, False, channels, alpha, dtype)


def _nodata(page: Any) -> float | None:
    """What GDAL's tag says stands for no measurement; None where it says nothing."""
    text = page.tags.valueof(NODATA_TAG)
    try:
        return None if text is None else float(str(text).strip("\0 "))
    except ValueError:
        return None


def _check_segments(page: Any, file_size: int) -> None:
    """Refuses missing strips and tiles, which tifffile would fill, and a claim to giant ones."""
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(segments) < math.prod(page.chunked):
        raise Refused("damaged (a TIFF without some of its strips or tiles)")
    for offset, count in segments:
        if not offset or not count:
            raise Refused("a TIFF that leaves out some of its strips or tiles")
        if offset + count > file_size:
            raise Refused("cut short (truncated)")
    samples = max(page.imagelength * page.imagewidth * page.samplesperpixel, math.prod(page.chunks))
    stored = sum(count for _, count in segments)
    if page.compression in _BOUNDED and samples * page.bitspersample // 8 > _LARGEST_RATIO * stored:
        raise Refused("damaged (a TIFF of more pixels than its data can hold)")


def _name_of(photometric: Any) -> str:
    return getattr(photometric, "name", f"of kind {photometric}")


def _full_scale(array: np.ndarray) -> np.generic:
    """White: the largest number of an unsigned type, 1.0 for floats."""
    dtype = array.dtype
    return dtype.type(1) if dtype.kind == "f" else dtype.type(np.iinfo(dtype).max)


def _straight_alpha(array: np.ndarray) -> np.ndarray:
    """Divides colours by the alpha they were multiplied with; black where all is transparent."""
    white = _full_scale(array)
    alpha = array[..., -1:].astype(np.float64)
    colours = array[..., :-1] * np.divide(white, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    if array.dtype.kind == "u":
        colours = np.minimum(np.rint(colours), white)
    return np.concatenate([colours.astype(array.dtype), array[..., -1:]], axis=-1)
