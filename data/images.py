"""Image files to arrays and back: the front door of decoding, and the conversion rules.

`formats` decodes each format as it is (`decode`, `read_header`). Here are the rules by which
training and translation bring pictures into the form they ask for:

* Transparency is composited onto white: the full scale of a type, 1.0 for floats.
* Grey is repeated into three channels where colour is asked for; colour becomes grey by the
  ITU-R 601 luma where one channel is asked for. Data of other channel counts stay as they are.
* 8 and 16 bits turn into each other by their full scales, ``v * 257`` and ``round(v / 257)``.

A damaged file is an error, never a half-grey picture.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import write_bytes
from tfpix2pix.data.formats import (
    EXTENSIONS,
    Decoded,
    Header,
    ImageLike,
    UnreadableImage,
    decode,
    format_of,
    name_of,
    read_header,
)
from tfpix2pix.data.metadata import Metadata

__all__ = [
    "EXTENSIONS",
    "JPEG_QUALITY",
    "WRITABLE",
    "Decoded",
    "Header",
    "ImageLike",
    "UnreadableImage",
    "check_channels",
    "convert_channels",
    "decode",
    "fit_channels",
    "fit_depth",
    "has_end_marker",
    "image_size",
    "is_image_name",
    "read_header",
    "read_image",
    "read_image_with_notes",
    "write_image",
]

WRITABLE = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".webp", ".bmp")
JPEG_QUALITY = 95

# What a kind of file holds: its name, types, and channel counts (empty: any).
_EIGHT, _DEEP, _ALL = ("uint8",), ("uint8", "uint16"), ("uint8", "uint16", "float32")
_HOLDS: dict[str, tuple[str, tuple[str, ...], tuple[int, ...]]] = {
    ".png": ("PNG", _DEEP, (1, 2, 3, 4)),
    ".jpg": ("JPEG", _EIGHT, (1, 3)),
    ".jpeg": ("JPEG", _EIGHT, (1, 3)),
    ".tif": ("TIFF", _ALL, ()),
    ".tiff": ("TIFF", _ALL, ()),
    ".npy": ("NumPy's format", _ALL, ()),
    ".webp": ("WebP", _EIGHT, (1, 2, 3, 4)),
    ".bmp": ("BMP", _EIGHT, (1, 3)),
}
# Pixels that libjpeg and libwebp write in one direction.
_LONGEST_SIDE = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}


def is_image_name(name: str | os.PathLike) -> bool:
    """True for visible files whose extension, in any case, is one of `EXTENSIONS`."""
    base = os.path.basename(os.fspath(name))
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in EXTENSIONS


def check_channels(flag: str, channels: int) -> int:
    """Returns `channels` if any image can be read into that many: 1 (grey) or 3 (RGB).

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
    """Reads an image as 8-bit grey or colour, whatever its depth and form.

    Args:
      source: a path, or the bytes of a file.
      channels: 1 (grey) or 3 (RGB).

    Returns:
      uint8 ``[H, W, channels]``, upright, on white where the file is transparent.

    Raises:
      DataError: `channels` is neither 1 nor 3; or (`UnreadableImage`) `decode` refuses the file,
        it holds floats, or its channels are neither grey nor RGB.
    """
    return read_image_with_notes(source, channels)[0]


def read_image_with_notes(source: ImageLike, channels: int = 3) -> tuple[np.ndarray, list[str]]:
    """As `read_image`, and says in plain words what was changed on the way.

    Returns:
      ``(array, notes)``; notes such as "transparency placed on white", none for a file that
      already has the form asked for.
    """
    check_channels("channels", channels)
    image = decode(source)
    notes = list(image.notes)
    if image.array.dtype == np.float32:
        reason = "it holds floating-point values, which have no 8-bit form"
        raise UnreadableImage(name_of(source), reason, "8 or 16 bits per channel")
    try:
        array = fit_channels(image.array, image.has_alpha, channels, notes)
    except ValueError as error:
        raise UnreadableImage(name_of(source), str(error), "a grey or RGB image") from None
    if array.dtype == np.uint16:
        notes.insert(0, "16 bits reduced to 8")
    return fit_depth(array, np.uint8), notes


def image_size(path: str | os.PathLike, planes: str = "auto") -> tuple[int, int]:
    """Reads the upright size of an image, or of some of its planes, without decoding it.

    Returns:
      ``(height, width)``.

    Raises:
      UnreadableImage: as `read_header`.
    """
    header = read_header(path, planes)
    return header.height, header.width


def has_end_marker(path: str | os.PathLike, tail: int = 4096) -> bool:
    """True if the file reaches the end that its format marks; a file cut short does not.

    JPEG and PNG need their end marker in the last `tail` bytes, GIF at the very end, BMP and WebP
    the length that their headers state. TIFF and .npy have no such thing (`read_header` finds
    them cut short), so that they, as files of no known format, pass.

    Some programs append data of their own, or state no good length, so that False is a suspicion
    and only decoding proves it.
    """
    with open(path, "rb") as file:
        head = file.read(16)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - tail))
        end = file.read()
    image_format = format_of(head)
    if image_format == "PNG":
        return b"IEND\xaeB`\x82" in end
    if image_format == "JPEG":
        return b"\xff\xd9" in end
    if image_format == "GIF":
        return end.rstrip(b"\0").endswith(b";")
    if image_format == "BMP":
        return int.from_bytes(head[2:6], "little") <= size
    if image_format == "WEBP":
        return int.from_bytes(head[4:8], "little") + 8 <= size
    return True


# === Conversion ===


def fit_channels(
    array: np.ndarray, has_alpha: bool, channels: int, notes: list[str] | None = None
) -> np.ndarray:
    """Brings a decoded image to the number of channels asked for.

    Args:
      array: uint8, uint16 or float32 ``[H, W, C]``, as `Decoded.array`.
      has_alpha: whether its last channel is alpha; alpha of floats is in [0, 1].
      channels: 0 for the image's own colours: alpha is composited onto white and dropped.
        1 grey and 3 RGB, from each other, alpha likewise. 2 grey with alpha and 4 RGBA, from any
        of the four; alpha is opaque where there was none. Any number that an image without alpha
        already has leaves it as it is.
      notes: what was changed is appended here, in plain words.

    Returns:
      ``[H, W, channels]`` of the same type; `array` itself where nothing changes.

    Raises:
      ValueError: there is no such conversion, as from 5 channels to 3; the message says so.
    """
    notes = [] if notes is None else notes
    found = array.shape[-1]
    if channels == found or (channels == 0 and not has_alpha):
        return array
    colours = found - has_alpha
    keeps_alpha = channels in (2, 4)
    wanted = channels - keeps_alpha or colours
    if wanted != colours and not (colours in (1, 3) and wanted in (1, 3)):
        raise ValueError(
            f"an image of {found} channels does not turn into one of {channels}: only grey, RGB "
            "and the two with alpha turn into each other"
        )
    if keeps_alpha:
        if has_alpha:
            array, alpha = array[..., :-1], array[..., -1:]
        else:
            alpha = np.full_like(array[..., :1], _full_scale(array.dtype))
            notes.append("opaque alpha added")
    elif has_alpha:
        array = _on_white(array, notes)
    if colours == 1 and wanted == 3:
        notes.append(f"grey image repeated into {wanted} channels")
    elif colours == 3 and wanted == 1:
        notes.append("colour image reduced to grey")
    array = convert_channels(array, wanted)
    return np.concatenate([array, alpha], axis=-1) if keeps_alpha else array


def convert_channels(array: np.ndarray, channels: int) -> np.ndarray:
    """Grey to RGB by repetition, RGB to grey by ITU-R 601 luma (8 bits: to the bit as Pillow does).

    Args:
      array: uint8, uint16 or float32 ``[H, W, C]`` without alpha.
      channels: C, or 1 or 3 where C is the other of the two.

    Returns:
      ``[H, W, channels]`` of the same type; `array` itself where nothing changes.

    Raises:
      ValueError: other channels than these.
    """
    if array.shape[-1] == channels:
        return array
    if array.shape[-1] == 1 and channels == 3:
        return np.repeat(array, 3, axis=-1)
    if array.shape[-1] == 3 and channels == 1:
        if array.dtype.kind == "f":
            return array @ np.array([[0.299], [0.587], [0.114]], array.dtype)
        # The weights in 65536ths. Their sum is 65536, so that 16 bits just fit, rounding included.
        luma = array.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
        return ((luma + 0x8000) >> 16).astype(array.dtype)[..., None]
    raise ValueError(f"cannot convert {array.shape[-1]} channels to {channels}")


def fit_depth(array: np.ndarray, dtype: np.typing.DTypeLike) -> np.ndarray:
    """Brings 8 and 16 bits to each other by their full scales: 255 and 65535 are both white.

    Args:
      array: uint8, uint16 or float32, any shape.
      dtype: the type wanted, one of the three.

    Returns:
      ``v * 257`` for uint8 to uint16, ``round(v / 257)`` for the way back; `array` itself where
      its type is the one wanted.

    Raises:
      ValueError: from or to float32: floats have no scale of their own.
    """
    dtype = np.dtype(dtype)
    if array.dtype == dtype:
        return array
    if array.dtype == np.uint8 and dtype == np.uint16:
        return array * np.uint16(257)
    if array.dtype == np.uint16 and dtype == np.uint8:
        # 257 = 65535 / 255 is odd, so adding its half rounds.
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise ValueError(
        f"{array.dtype} values do not turn into {dtype}: only uint8 and uint16 turn into each other"
    )


def _full_scale(dtype: np.dtype) -> int:
    return 1 if dtype.kind == "f" else int(np.iinfo(dtype).max)


def _on_white(array: np.ndarray, notes: list[str]) -> np.ndarray:
    """Composites ``[H, W, C + 1]`` with alpha onto white; 8 bits to the bit as Pillow does."""
    colours, alpha, white = array[..., :-1], array[..., -1:], _full_scale(array.dtype)
    if alpha.min() >= white:
        return np.ascontiguousarray(colours)
    notes.append("transparency placed on white")
    if array.dtype.kind == "f":
        return colours * alpha + (1 - alpha)
    # With white = 65535 the largest sum, white^2 + white // 2, just fits into 32 bits.
    alpha = alpha.astype(np.uint32)
    total = colours * alpha + white * (white - alpha) + white // 2
    return (total // white).astype(array.dtype)


# === Writing ===


def write_image(
    path: str | os.PathLike,
    array: np.ndarray,
    *,
    alpha: bool = True,
    metadata: Metadata = Metadata(),  # noqa: B008 (frozen)
) -> None:
    """Writes an image at full depth, whole or not at all.

    The picture is written beside its destination and then moved there, so that a reader, a
    crash or a full disk never meets half an image.

    Args:
      path: the destination; its extension, one of `WRITABLE`, chooses the format. PNG, TIFF, .npy,
        BMP and WebP (lossless; grey as RGB) keep every value, JPEG is of quality 95, without
        chroma subsampling. TIFFs are compressed by Deflate.
      array: uint8, uint16 or float32 ``[H, W]`` or ``[H, W, C]``. Outside .npy, 2 channels are
        grey with alpha and 4 are RGBA.
      alpha: False: in a TIFF 2 and 4 channels are just so many.
      metadata: goes into the file as far as its format has a place for it.

    Raises:
      DataError: another extension, a format that cannot hold `array` (the message names some
        that can), or the file cannot be written.
      ValueError: `array` is no such array.
    """
    path = Path(path)
    extension = path.suffix.lower()
    if extension not in WRITABLE:
        raise DataError(
            f"{path}: images are written as {_listed(WRITABLE)}, not "
            f"{repr(path.suffix) if path.suffix else 'without an extension'}; name it so."
        )
    array = np.asarray(array)
    if array.dtype.name not in _ALL or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"expected uint8, uint16 or float32 [H, W, C], got {array.dtype} {array.shape}"
        )
    if not _can_hold(extension, array):
        raise DataError(_cannot_hold(path, extension, array))
    write_content(path, lambda: _encode(extension, array, alpha, metadata))


def write_content(path: Path, encode: Callable[[], bytes]) -> None:
    """Writes what `encode` makes, whole or not at all.

    Raises:
      DataError: it cannot be written.
    """
    try:
        # Not synced: ten thousand translations would wait for the disk ten thousand times.
        write_bytes(path, encode(), sync=False)
    except OSError as error:
        raise DataError(
            f"{path}: it cannot be written ({error.strerror or error}); choose a folder that "
            "exists, with room and write permission."
        ) from None


def _channels(array: np.ndarray) -> int:
    return array.shape[2] if array.ndim == 3 else 1


def _can_hold(extension: str, array: np.ndarray) -> bool:
    _, dtypes, channels = _HOLDS[extension]
    if max(array.shape[:2]) > _LONGEST_SIDE.get(extension, max(array.shape[:2])):
        return False
    return array.dtype.name in dtypes and (not channels or _channels(array) in channels)


def _cannot_hold(path: Path, extension: str, array: np.ndarray) -> str:
    name, dtypes, channels = _HOLDS[extension]
    others = [other for other in WRITABLE if _can_hold(other, array)]
    side = _LONGEST_SIDE.get(extension)
    if side is not None and max(array.shape[:2]) > side:
        return (
            f"{path}: {name} holds at most {side} pixels a side, not {array.shape[1]}x"
            f"{array.shape[0]} (width x height); name it {_listed(others)}."
        )
    depth = "8 or 16 bits" if "uint16" in dtypes else "8 bits"
    kind = {"uint8": "8 bits", "uint16": "16 bits", "float32": "32-bit floats"}[array.dtype.name]
    return (
        f"{path}: {name} holds {depth} in {_listed(channels)} channels, not {kind} in "
        f"{_channels(array)}; name it {_listed(others)}."
    )


def _listed(items: tuple | list) -> str:
    *most, last = map(str, items)
    return f"{', '.join(most)} or {last}" if most else last


def _encode(extension: str, array: np.ndarray, alpha: bool, metadata: Metadata) -> bytes:
    content = io.BytesIO()
    if extension == ".npy":
        np.save(content, np.ascontiguousarray(array), allow_pickle=False)
        return content.getvalue()
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    array = np.ascontiguousarray(array)
    dpi: dict[str, Any] = {"dpi": metadata.dpi} if metadata.dpi else {}
    if extension in (".tif", ".tiff"):
        _save_tiff(content, array, alpha, metadata)
    elif array.dtype == np.uint16:
        import imagecodecs

        return metadata.into_png(bytes(imagecodecs.png_encode(array)))
    elif extension == ".png":
        Image.fromarray(array).save(content, "PNG")
        return metadata.into_png(content.getvalue())
    elif extension == ".webp":
        # WebP knows RGB and RGBA only. `exact` keeps the colours behind full transparency.
        image = Image.fromarray(array)
        image = image.convert("RGBA" if _channels(array) in (2, 4) else "RGB")
        image.save(content, "WEBP", lossless=True, exact=True)
    elif extension == ".bmp":
        Image.fromarray(array).save(content, "BMP", **dpi)
    else:
        Image.fromarray(array).save(content, "JPEG", quality=JPEG_QUALITY, subsampling=0, **dpi)
    return content.getvalue()


def _save_tiff(content: io.BytesIO, array: np.ndarray, alpha: bool, metadata: Metadata) -> None:
    import tifffile

    channels = _channels(array)
    alpha = alpha and channels in (2, 4)
    colour = channels == 3 or (alpha and channels == 4)
    extra = channels - (3 if colour else 1)
    kind = "unassalpha" if alpha else "unspecified"
    tifffile.imwrite(
        content,
        array,
        photometric="rgb" if colour else "minisblack",
        planarconfig="contig" if array.ndim == 3 else None,
        extrasamples=[kind] * extra if extra else None,
        compression="zlib",
        predictor=True,
        metadata=None,  # Or it would note the day and its own name.
        **metadata.tiff_options(array.dtype),
    )
