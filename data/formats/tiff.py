"""TIFF by tifffile, at full depth and with any number of samples; special 8-bit kinds by Pillow.

The first page is read; its samples are the channels, stored together or as separate planes.
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

# Numbers of the TIFF 6.0 specification and its supplements.
_ORIENTATION_TAG = 274
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_PREMULTIPLIED, _STRAIGHT = 1, 2
# None, LZW, Deflate (two numbers), PackBits, Zstandard, LZMA: bytes in, the same bytes out.
_LOSSLESS = (1, 5, 8, 32946, 32773, 50000, 34925)
_LZW = 5
# Of these, none makes more than this of a byte (LZW, whose codes of 12 bits stand for up to 3838
# bytes in a row of equal ones, comes near it): what claims more is damaged, or a bomb.
_BOUNDED, _LARGEST_RATIO = (1, 5, 8, 32946, 32773), 2000
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


def read_header(file: BinaryIO) -> Header:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    with _opened(file) as tif:
        facts = _facts(tif.pages.first, size)
    height_width = upright_size(facts.height, facts.width, facts.orientation)
    if facts.by_pillow:
        file.seek(0)
        with by_pillow.opened(file, "TIFF") as image:
            return Header(*height_width, *by_pillow.channels_of(image), "uint8")
    return Header(*height_width, facts.channels, facts.alpha > 0, facts.dtype)


def decode(data: bytes) -> Decoded:
    with _opened(io.BytesIO(data)) as tif:
        page = tif.pages.first
        facts = _facts(page, len(data))
        notes = [TURNED] if facts.orientation != 1 else []
        if len(tif.pages) > 1:
            notes.append(f"the first of {len(tif.pages)} pages read")
        if not facts.by_pillow:
            if page.compression == _LZW:
                # By libtiff: the decoder that tifffile would take crashes on some damaged data.
                import imagecodecs

                array = imagecodecs.tiff_decode(data, index=0)
            else:
                array = page.asarray(maxworkers=1)
            axes, photometric = page.axes, int(page.photometric)
    if facts.by_pillow:
        # Pillow has turned the picture already, or its orientation would be in the notes twice.
        image = by_pillow.decode(data, "TIFF")
        notes += [note for note in image.notes if note not in notes]
        return dataclasses.replace(image, notes=tuple(notes))

    if axes in _SEPARATE_AXES:
        array = np.moveaxis(array, 0, -1)
    array = array.reshape(facts.height, facts.width, facts.channels + (facts.alpha > 0))
    array, changes = kept(array)
    notes += changes
    if photometric == _MIN_IS_WHITE:
        array = np.concatenate([_full_scale(array) - array[..., :1], array[..., 1:]], axis=-1)
    if facts.alpha == _PREMULTIPLIED:
        array = _straight_alpha(array)
        notes.append("colours divided by the alpha that they were multiplied with")
    return Decoded(upright(array, facts.orientation), facts.alpha > 0, None, tuple(notes))


def _opened(file: BinaryIO) -> Any:
    import tifffile

    # What it logs about odd files is either harmless or raised below.
    logging.getLogger("tifffile").propagate = False
    logging.getLogger("tifffile").addHandler(_NOWHERE)
    return tifffile.TiffFile(file)


def _facts(page: Any, file_size: int) -> _Facts:
    """Reads a page's tags.

    Raises:
      Refused: the file is not all there, or the page of a kind that is not read here.
    """
    height, width = page.imagelength, page.imagewidth
    check_size(height, width)
    orientation = page.tags.valueof(_ORIENTATION_TAG, 1)
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
    channels = samples - (alpha > 0)
    dtype = kept_dtype(np.dtype(page.dtype))
    if photometric == _MIN_IS_WHITE and dtype == "float32":
        raise Refused(f"a TIFF whose white is 0 and whose black, in {page.dtype}, is not known")
    return _Facts(height, width, orientation, False, channels, alpha, dtype)


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
