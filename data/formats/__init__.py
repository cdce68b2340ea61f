"""Every image format that is read, decoded in its natural form at full depth.

A file's content decides its format, not its name. JPEG, WebP, BMP, GIF and 8-bit PNG are
Pillow's (`by_pillow`), 16-bit PNG is imagecodecs' (`png`), TIFF tifffile's (`tiff`), .npy and .npz
NumPy's (`npy`). `images` builds what training and translation read on top of this.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from tfpix2pix.data.formats import by_pillow, npy, png, tiff
from tfpix2pix.data.formats.common import Decoded, Header, Refused, UnreadableImage
from tfpix2pix.data.formats.planes import AUTO

__all__ = [
    "EXTENSIONS",
    "Decoded",
    "Header",
    "ImageLike",
    "UnreadableImage",
    "decode",
    "format_of",
    "name_of",
    "read_header",
]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".npy", ".npz")

_LONGEST_REASON = 120  # Characters of a library's own message.

ImageLike = str | os.PathLike | bytes

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (png.SIGNATURE, "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (npy.SIGNATURE, "NPY"),
    (npy.ARCHIVE, "NPZ"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF, in both byte orders.
    (b"MM\0+", "TIFF"),
)
_PILLOW_FORMATS = ("JPEG", "WEBP", "BMP", "GIF")
_HEADER_READERS: dict[str, Callable[..., Header]] = {
    "PNG": png.read_header,
    "TIFF": tiff.read_header,
    "NPY": npy.read_header,
    "NPZ": npy.read_archive_header,
    **{f: functools.partial(by_pillow.read_header, image_format=f) for f in _PILLOW_FORMATS},
}
_DECODERS: dict[str, Callable[..., Decoded]] = {
    "PNG": png.decode,
    "TIFF": tiff.decode,
    "NPY": npy.decode,
    "NPZ": npy.decode_archive,
    **{f: functools.partial(by_pillow.decode, image_format=f) for f in _PILLOW_FORMATS},
}


def decode(source: ImageLike, planes: str = AUTO) -> Decoded:
    """Decodes an image file in its natural form. May be called from several threads at once.

    Args:
      source: a path, or the bytes of a file.
      planes: which pages, frames or arrays of the file, or which of its channels, are read, where
        it holds several: ``auto``, what it plainly means as channels, else the first; ``first``;
        ``channels``, all of them as channels; or numbers from 1, such as ``1,3``.

    Returns:
      The upright picture as uint8, uint16 or float32, whichever the file holds:

      * Bits stay: 16-bit PNG and TIFF are uint16, floats float32 (float64 rounded to it). Fewer
        than 8 bits are scaled to 0..255, bool to 0 and 255.
      * Whole numbers of other types (int16, int32, ...) become float32; values beyond 2^24 in
        size, which it cannot all hold exactly, are refused. No type depends on the values.
      * CMYK and palette images become RGB (`Decoded.indices` holds what the palette image
        stores); a transparent colour or palette entry becomes an alpha channel.
      * An EXIF or TIFF orientation is applied.

    Raises:
      UnreadableImage: the file is missing, empty, damaged, cut short, too large to be honest
        (Pillow's ``MAX_IMAGE_PIXELS``), or is no such image.
    """
    name = name_of(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        return _DECODERS[_known_format(data[:16])](data, planes=planes)
    except Exception as error:  # The decoders raise nearly anything on damaged data.
        raise UnreadableImage(name, _reason(error)) from None


def read_header(path: str | os.PathLike, planes: str = AUTO) -> Header:
    """Reads what a file's header says of its `decode`, without decoding pixels.

    Raises:
      UnreadableImage: as `decode`, as far as the header tells. It always tells whether the pixels
        of a TIFF or .npy, and all of a PNG, are there.
    """
    try:
        with open(path, "rb") as file:
            image_format = _known_format(file.read(16))
            file.seek(0)
            return _HEADER_READERS[image_format](file, planes=planes)
    except Exception as error:
        raise UnreadableImage(os.fspath(path), _reason(error)) from None


def format_of(head: bytes) -> str | None:
    """A file's format by its first 16 bytes: JPEG, PNG, WEBP, TIFF, BMP, GIF, NPY, NPZ or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((name for signature, name in _SIGNATURES if head.startswith(signature)), None)


def name_of(source: ImageLike) -> str:
    """What messages call an image."""
    return "image data" if isinstance(source, bytes) else os.fspath(source)


def _known_format(head: bytes) -> str:
    if not head:
        raise Refused("an empty file (0 bytes)")
    image_format = format_of(head)
    if image_format is None:
        raise Refused("not an image of a known format")
    return image_format


def _reason(error: Exception) -> str:
    """Why reading failed, in a few words of our own where a library's would puzzle."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"an image of more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "damaged (its header cannot be read)"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    if isinstance(error, MemoryError):
        return "an image too large for the memory"
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be opened ({error.strerror})"
    text = " ".join(str(error).split())[:_LONGEST_REASON].rstrip(".") or type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "cut short (truncated)"
    return f"damaged ({text})"
