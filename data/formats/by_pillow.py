"""Everything of 8 bits that Pillow reads: JPEG, PNG, WebP, BMP, GIF, and TIFFs of special kinds.

CMYK, YCCK and palette images become RGB, 1-bit images grey (0 and 255). Transparency, be it an
alpha channel, or a palette entry or colour marked as transparent, becomes an alpha channel. Of an
animation, or of a camera's multi-picture JPEG, the first picture counts, or what `planes` says.
"""

from __future__ import annotations

import io
import threading
import warnings
from typing import BinaryIO

import numpy as np
from PIL import Image

from tfpix2pix.data.formats.common import (
    TURNED,
    Decoded,
    Header,
    Refused,
    check_size,
    upright,
    upright_size,
)
from tfpix2pix.data.formats.planes import AUTO, Stack, chosen, joined, joined_header

_GREY_MODES = ("1", "L", "LA", "La")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr")
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_ORIENTATION_TAG = 0x0112
_ANIMATIONS = ("GIF", "WEBP", "PNG")
# Each scan of a progressive JPEG goes through all of the picture, and takes a few bytes where it
# changes nothing: a small file may keep the decoder busy for hours. Programs write about ten.
_MOST_SCANS = 100
# warnings.catch_warnings() swaps state of the whole process.
_OPEN_LOCK = threading.Lock()


def opened(file: BinaryIO, image_format: str) -> Image.Image:
    """Opens a file as one of Pillow's formats and no other; its size is checked."""
    # A size that Pillow merely warns about is refused as well: no photograph has it.
    with _OPEN_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Of odd metadata.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(file, formats=(image_format,))
    check_size(image.height, image.width)
    return image


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8, as far as `image` has been read."""
    try:
        # PngImageFile's own method would decode the whole image to look for more.
        orientation = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    except Exception:  # Malformed metadata says nothing against the picture itself.
        return 1
    return orientation if orientation in range(1, 9) else 1


def channels_of(image: Image.Image) -> tuple[int, bool]:
    """Colour channels (1 or 3), and whether there is transparency."""
    if image.mode not in _GREY_MODES + _COLOUR_MODES:
        raise Refused(f"pixels of a kind that is not read here (Pillow's mode {image.mode})")
    has_alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
    return (1 if image.mode in _GREY_MODES else 3), has_alpha


def read_header(file: BinaryIO, image_format: str, planes: str = AUTO) -> Header:
    with opened(file, image_format) as image:
        choice = chosen(_frames(image), planes)
        headers = []
        for place in choice.places:
            _go_to(image, place)
            size = upright_size(image.height, image.width, orientation_of(image))
            headers.append(Header(*size, *channels_of(image), "uint8"))
    return joined_header(headers, choice)


def decode(data: bytes, image_format: str, planes: str = AUTO) -> Decoded:
    with opened(io.BytesIO(data), image_format) as image:
        choice = chosen(_frames(image), planes)
    return joined([decode_frame(data, image_format, place) for place in choice.places], choice)


def _frames(image: Image.Image) -> Stack:
    """The frames of an animation; other pictures of a camera's JPEG are the same at other sizes."""
    animated = image.format in _ANIMATIONS
    return Stack(getattr(image, "n_frames", 1) if animated else 1, "frame")


def _go_to(image: Image.Image, place: int) -> None:
    if place:
        image.seek(place)


def decode_frame(data: bytes, image_format: str, place: int = 0) -> Decoded:
    """One frame of an animation, or page of a TIFF."""
    with opened(io.BytesIO(data), image_format) as image:
        if image.info.get("progressive") and data.count(b"\xff\xda") > _MOST_SCANS:
            raise Refused(f"a progressive JPEG of more than {_MOST_SCANS} scans")
        _go_to(image, place)
        image.load()
        orientation = orientation_of(image)
        channels, has_alpha = channels_of(image)
        notes = [TURNED] if orientation != 1 else []
        if image.mode == "CMYK":
            notes.append("CMYK converted to RGB")
        indices = np.asarray(image) if image.mode == "P" else None
        if has_alpha:
            array = np.asarray(image.convert("RGBA"))
            array = array[..., [0, 3]] if channels == 1 else array
        else:
            array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
            array = array.reshape(*array.shape[:2], channels)
    return Decoded(
        upright(array, orientation),
        has_alpha,
        None if indices is None else upright(indices, orientation),
        tuple(notes),
    )
