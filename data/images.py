"""Image files to uint8 arrays and back: the one place that knows decoding and conversion rules.

Training and translation read through the same rules:

* EXIF orientation is applied, always (for a side-by-side pair too: what a viewer shows as left
  and right is left and right).
* Transparency (an alpha channel, or a palette or colour marked transparent) is composited onto
  white.
* CMYK, YCCK and palette images become RGB; 1-bit images become grey.
* 16-bit grey is rounded to 8 bits, ``round(v / 257)``. For 16-bit *colour* PNG, Pillow hands
  out the high byte only; that differs from rounding by at most one level.
* Grey is repeated into three channels where colour is asked for; colour becomes grey by the
  ITU-R 601 luma where one channel is asked for.

A damaged file is an error, never a half-grey picture.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tfpix2pix.errors import DataError
from tfpix2pix.files import write_bytes

EXTENSIONS = (".jpg", ".jpeg", ".png")
JPEG_QUALITY = 95

# Only these decoders are tried, whatever else Pillow could open. JPEG takes in the multi-picture
# files of some cameras, of which the first picture is read.
_FORMATS = ("JPEG", "PNG")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRANSPOSING_ORIENTATIONS = (5, 6, 7, 8)
_ORIENTATION_TAG = 0x0112
# warnings.catch_warnings() swaps state of the whole process.
_OPEN_LOCK = threading.Lock()

ImageLike = str | os.PathLike | bytes


class UnreadableImage(DataError):
    """An image file cannot be used.

    Attributes:
      reason: why, in a few words and without the file's name.
    """

    def __init__(self, name: str, reason: str):
        super().__init__(f"{name}: {reason}; expected a complete JPEG or PNG image.")
        self.reason = reason


def is_image_name(name: str | os.PathLike) -> bool:
    """True for visible files whose extension, in any case, is .jpg, .jpeg or .png."""
    base = os.path.basename(os.fspath(name))
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in EXTENSIONS


def check_channels(flag: str, channels: int) -> int:
    """Returns `channels` if images can be read into that many: 1 (grey) or 3 (RGB).

    Raises:
      DataError: any other number; the message names `flag`.
    """
    if channels not in (1, 3):
        raise DataError(
            f"--{flag}={channels}: image files are read as 1 channel (grey) or 3 (RGB); choose one "
            "of the two."
        )
    return channels


# === Reading ===


def read_image(source: ImageLike, channels: int = 3) -> np.ndarray:
    """Reads a JPEG or PNG image.

    Args:
      source: a path, or the bytes of a file.
      channels: 1 (grey) or 3 (RGB).

    Returns:
      uint8 ``[H, W, channels]``, upright, on white where the file is transparent.

    Raises:
      DataError: `channels` is neither 1 nor 3; or (`UnreadableImage`) the file is missing,
        empty, damaged, too large to be honest, or no JPEG or PNG image.
    """
    return read_image_with_notes(source, channels)[0]


def read_image_with_notes(source: ImageLike, channels: int = 3) -> tuple[np.ndarray, list[str]]:
    """As `read_image`, and says in plain words what was changed on the way.

    Returns:
      ``(array, notes)``; notes such as "transparency placed on white", none for a file that
      already has the form asked for.
    """
    check_channels("channels", channels)
    name, data = _bytes_of(source)
    try:
        with _open(io.BytesIO(data)) as image:
            image.load()
            array, notes = _decode(image, data)
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data.
        raise UnreadableImage(name, _reason(error, data)) from None
    if array.shape[-1] == 1 and channels == 3:
        notes.append("grey image repeated into 3 channels")
    elif array.shape[-1] == 3 and channels == 1:
        notes.append("colour image reduced to grey")
    return convert_channels(array, channels), notes


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Reads an image's upright size from its header, without decoding it.

    Returns:
      ``(height, width)``.

    Raises:
      UnreadableImage: as `read_image`, as far as the header tells.
    """
    try:
        if os.path.getsize(path) == 0:
            raise UnreadableImage(os.fspath(path), "an empty file (0 bytes)")
        with open(path, "rb") as file, _open(file) as image:
            width, height = image.size
            # For a PNG without early EXIF data Pillow would decode everything to look for more.
            has_header_exif = image.format != "PNG" or "exif" in image.info
            orientation = _orientation(image) if has_header_exif else 1
    except UnreadableImage:
        raise
    except Exception as error:
        raise UnreadableImage(os.fspath(path), _reason(error)) from None
    return (width, height) if orientation in _TRANSPOSING_ORIENTATIONS else (height, width)


def has_end_marker(path: str | os.PathLike, tail: int = 4096) -> bool:
    """True if the file's last `tail` bytes hold the end marker of a JPEG or PNG.

    A file cut short lacks it. Some cameras append data of their own behind it, so that its
    absence is a suspicion and only decoding proves it.
    """
    with open(path, "rb") as file:
        head = file.read(len(_PNG_SIGNATURE))
        file.seek(max(0, os.path.getsize(path) - tail))
        end = file.read()
    return (b"IEND\xaeB`\x82" if head == _PNG_SIGNATURE else b"\xff\xd9") in end


def convert_channels(array: np.ndarray, channels: int) -> np.ndarray:
    """Grey to RGB by repetition, RGB to grey by ITU-R 601 luma (to the bit as Pillow does).

    Args:
      array: uint8 ``[H, W, 1]`` or ``[H, W, 3]``.
      channels: 1 or 3.

    Returns:
      uint8 ``[H, W, channels]``; `array` itself where nothing changes.
    """
    if array.shape[-1] == channels:
        return array
    if array.shape[-1] == 1 and channels == 3:
        return np.repeat(array, 3, axis=-1)
    if array.shape[-1] == 3 and channels == 1:
        luma = array.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
        return ((luma + 0x8000) >> 16).astype(np.uint8)[..., None]
    raise ValueError(f"cannot convert {array.shape[-1]} channels to {channels}")


def _bytes_of(source: ImageLike) -> tuple[str, bytes]:
    if isinstance(source, bytes):
        name, data = "image data", source
    else:
        name = os.fspath(source)
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise UnreadableImage(name, _reason(error)) from None
    if not data:
        raise UnreadableImage(name, "an empty file (0 bytes)")
    return name, data


def _open(file) -> Image.Image:
    # A size that Pillow merely warns about is refused as well: no photograph has it.
    with _OPEN_LOCK, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(file, formats=_FORMATS)


def _decode(image: Image.Image, data: bytes) -> tuple[np.ndarray, list[str]]:
    """A loaded image as uint8 [H, W, 1 or 3], whichever it naturally is."""
    notes = []
    if data.startswith(_PNG_SIGNATURE) and data[24] == 16:
        notes.append("16 bits reduced to 8")
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
        notes.append("turned upright as its EXIF orientation says")

    if image.mode.startswith("I"):  # 16-bit grey; some Pillow versions open it as 32-bit "I".
        deep = np.asarray(image).astype(np.uint32)
        # 257 = 65535 / 255 is odd, so adding its half rounds; Pillow's own convert("L") clips.
        return ((np.minimum(deep, 65535) + 128) // 257).astype(np.uint8)[..., None], notes

    is_grey = image.mode in ("1", "L", "LA")
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
            notes.append("transparency placed on white")
    elif image.mode == "CMYK":
        notes.append("CMYK converted to RGB")
    if image.mode == "RGBA":
        image = image.convert("RGB")
    image = image.convert("L" if is_grey else "RGB")
    array = np.asarray(image)
    return (array[..., None] if is_grey else array), notes


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # Malformed metadata says nothing against the picture itself.
        return 1
    return orientation if orientation in range(2, 9) else 1


def _reason(error: Exception, data: bytes | None = None) -> str:
    """Why reading failed, in a few words of our own where Pillow's would puzzle."""
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"an image of more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "not a JPEG or PNG image"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be opened ({error.strerror})"
    text = str(error).strip().rstrip(".") or type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "cut short (truncated)"
    return f"damaged ({text})"


# === Writing ===


def write_image(path: str | os.PathLike, array: np.ndarray) -> None:
    """Writes a PNG, or a JPEG of quality 95, whole or not at all.

    The picture is written beside its destination and then moved there, so that a reader, a
    crash or a full disk never meets half an image.

    Args:
      path: the destination; its extension (.png, .jpg, .jpeg) chooses the format.
      array: uint8 ``[H, W]``, ``[H, W, 1]`` or ``[H, W, 3]``.

    Raises:
      DataError: another extension, or the file cannot be written.
      ValueError: `array` is no such array.
    """
    path = Path(path)
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        raise DataError(
            f"{path}: images are written as .png, .jpg or .jpeg, not "
            f"{repr(path.suffix) if path.suffix else 'without an extension'}; name it so."
        )
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"expected uint8 [H, W, C], got {array.dtype} {array.shape}")
    if array.ndim == 3 and array.shape[-1] not in (1, 3):
        raise ValueError(f"expected 1 or 3 channels, got {array.shape[-1]}")
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    options = {"quality": JPEG_QUALITY, "subsampling": 0} if extension != ".png" else {}
    content = io.BytesIO()
    image_format = "PNG" if extension == ".png" else "JPEG"
    try:
        Image.fromarray(np.ascontiguousarray(array)).save(content, image_format, **options)
        # Not synced: ten thousand translations would wait for the disk ten thousand times.
        write_bytes(path, content.getvalue(), sync=False)
    except OSError as error:
        raise DataError(
            f"{path}: it cannot be written ({error.strerror or error}); choose a folder that "
            "exists, with room and write permission."
        ) from None
