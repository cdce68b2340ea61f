"""Images that are wrong in every way that could be thought of, made from seeds."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
# Width and height that are zero, absurd, or large and possible.
SIZES = [(0, 0), (0, 24), (24, 0), (1, 2**31 - 1), (65535, 65535), (3000, 3100), (2**32 - 1, 1)]

# Names as only a foe would give them; the bytes are what stands on the disk.
HOSTILE_NAMES = [
    b"a\nTraceback (most recent call last).png",
    b"-rf.png",
    b"--output=elsewhere.png",
    b"x" * 251 + b".png",
    b"\xff\xfe\x80.png",
    b"\x1b[2Jgone.png",
    b"..png...png",
    b"~root.png",
    b"%s{0}[bold].png",
    b"<script>alert('1')<&amp;.png",
    "\u202egnp.exe.png".encode(),
    b"  .png",
    b"a\tb\rc.png",
    b"*?[a].png",
    b"NUL.png",
]


def malformed(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """`count` files as ``(name, content)``, every kind of harm to every format by turns."""
    dice = random.Random(seed)
    whole = list(_whole().items())
    harms: list[Callable[[bytes, random.Random, list], bytes]] = [
        _cut,
        _flip,
        _flip_header,
        _zeroed,
        _other_signature,
        _spliced,
        _grown,
    ]
    forged = list(_forged())
    for number in range(count):
        if number < len(forged):
            suffix, content = forged[number]
        else:
            suffix, content = whole[number % len(whole)]
            suffix = suffix.split("_")[0]
            harm = harms[(number // len(whole)) % len(harms)]
            content = harm(content, dice, whole)
        yield f"{number:03d}.{suffix}", content


# === Good ones ===


def _whole() -> dict[str, bytes]:
    """One small image of each kind, by ``extension_kind``."""
    noise = np.random.default_rng(0)
    colour = noise.integers(0, 256, (24, 48, 3), np.uint8)
    deep = noise.integers(0, 65536, (24, 48, 3), np.uint16)
    picture = Image.fromarray(colour)

    def pillow(image: Image.Image, form: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, form, **options)
        return file.getvalue()

    def tiff(array: np.ndarray, **options: object) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, array, **options)
        return file.getvalue()

    def npy(array: np.ndarray) -> bytes:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "png_rgb": pillow(picture, "PNG"),
        "png_palette": pillow(picture.convert("P"), "PNG", transparency=3),
        "png_deep": imagecodecs.png_encode(deep),
        "png_alpha": pillow(picture.convert("RGBA"), "PNG", exif=exif),
        "jpg_rgb": pillow(picture, "JPEG", exif=exif),
        "jpg_progressive": pillow(picture, "JPEG", progressive=True),
        "jpg_cmyk": pillow(picture.convert("CMYK"), "JPEG"),
        "webp_lossy": pillow(picture, "WEBP"),
        "webp_lossless": pillow(picture.convert("RGBA"), "WEBP", lossless=True),
        "bmp_rgb": pillow(picture, "BMP"),
        "gif_two": pillow(picture.convert("P"), "GIF", save_all=True, append_images=[picture]),
        "tif_plain": tiff(colour, photometric="rgb"),
        "tif_deflate": tiff(deep, photometric="rgb", compression="zlib", predictor=True),
        "tif_float": tiff(deep[..., 0].astype(np.float32)),
        "tif_lzw": pillow(picture.convert("L"), "TIFF", compression="tiff_lzw"),
        "tif_fax": pillow(picture.convert("1"), "TIFF", compression="group4"),
        "npy_bytes": npy(colour),
        "npy_float": npy(deep.astype(np.float64)),
    }


# === Harm by chance ===


def _cut(content: bytes, dice: random.Random, whole: list) -> bytes:
    return content[: dice.randrange(len(content))]


def _flip(content: bytes, dice: random.Random, whole: list) -> bytes:
    harmed = bytearray(content)
    for _ in range(dice.choice([1, 2, 8, 64])):
        harmed[dice.randrange(len(harmed))] ^= dice.randrange(1, 256)
    return bytes(harmed)


def _flip_header(content: bytes, dice: random.Random, whole: list) -> bytes:
    harmed = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        harmed[dice.randrange(4, min(64, len(harmed)))] = dice.choice([0, 1, 0x7F, 0x80, 0xFF])
    return bytes(harmed)


def _zeroed(content: bytes, dice: random.Random, whole: list) -> bytes:
    start, length = dice.randrange(len(content)), dice.randrange(1, 200)
    return content[:start] + bytes(len(content[start : start + length])) + content[start + length :]


def _other_signature(content: bytes, dice: random.Random, whole: list) -> bytes:
    other = dice.choice(whole)[1]
    size = dice.choice([4, 8, 16, 40])
    return other[:size] + content[size:]


def _spliced(content: bytes, dice: random.Random, whole: list) -> bytes:
    other = dice.choice(whole)[1]
    return content[: dice.randrange(len(content))] + other[dice.randrange(len(other)) :]


def _grown(content: bytes, dice: random.Random, whole: list) -> bytes:
    place = dice.randrange(len(content))
    return content[:place] + dice.randbytes(dice.randrange(1, 300)) + content[place:]


# === Forged headers ===


def _forged() -> Iterator[tuple[str, bytes]]:
    """Headers that claim too much or nothing, over a little data; and true bombs."""
    whole = _whole()
    for width, height in SIZES:
        yield "png", png(width, height)
        yield "png", png(width, height, bits=16)
        yield "png", png(width, height, late_text=True)
        big, short = (struct.pack("<II", width, height), (width & 0xFFFF, height & 0xFFFF))
        yield "bmp", whole["bmp_rgb"][:18] + big + whole["bmp_rgb"][26:]
        yield "gif", whole["gif_two"][:6] + struct.pack("<HH", *short) + whole["gif_two"][10:]
        yield "jpg", _jpeg_of(whole["jpg_rgb"], *short)
        yield "webp", _webp_of(whole["webp_lossless"], width, height)
        yield "tif", _tiff_of(whole["tif_plain"], width, height)
        yield "tif", _tiff_of(whole["tif_lzw"], width, height)
        yield "tif", _tiff_of(whole["tif_fax"], width, height)
        yield "npy", _npy_of({"descr": "|u1", "fortran_order": False, "shape": (height, width)})
    for header in (
        {"descr": "|O", "fortran_order": False, "shape": (4, 4)},
        {"descr": "<f8", "fortran_order": False, "shape": (-4, -4)},
        {"descr": [("a", "|O")], "fortran_order": False, "shape": (4, 4)},
        {"descr": "<u1000000000", "fortran_order": False, "shape": (4, 4)},
        {"descr": "|u1", "fortran_order": False, "shape": (4,) * 40},
    ):
        yield "npy", _npy_of(header)
    yield "npy", b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535
    yield "png", png(9000, 9900)  # just what Pillow would still open
    # A few kilobytes that hold millions of pixels, and say so.
    yield "png", png(3000, 3000, rows=zlib.compress(bytes(3000 * 9001)))
    yield "png", png(3000, 3000, rows=zlib.compress(bytes(3000 * 9001)), late_text=True)
    # Inflates to far more than its header needs.
    yield "png", png(24, 24, rows=zlib.compress(bytes(50_000_000), 9))
    yield "png", PNG + _chunk(b"IHDR", bytes(13)) + b"\xff\xff\xff\xff" + b"IDAT"
    text = _chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(20_000_000), 9))
    yield "png", png(24, 24, rows=zlib.compress(bytes(24 * 73)), extra=text)
    for nothing in (b"", b"\0", bytes(5000), b"II*\0", b"RIFF\xff\xff\xff\xffWEBP", PNG, b"BM"):
        yield "png", nothing


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(
    width: int,
    height: int,
    bits: int = 8,
    rows: bytes = zlib.compress(bytes(5000)),
    late_text: bool = False,
    extra: bytes = b"",
) -> bytes:
    """An RGB PNG whose check sums are right, whatever its header claims."""
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    text = _chunk(b"tEXt", b"Comment\0late") if late_text else b""
    parts = [_chunk(b"IHDR", header), extra, _chunk(b"IDAT", rows), text, _chunk(b"IEND", b"")]
    return PNG + b"".join(parts)


def _jpeg_of(content: bytes, width: int, height: int) -> bytes:
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def _webp_of(content: bytes, width: int, height: int) -> bytes:
    """VP8L: 14 bits of width - 1, 14 of height - 1, behind the signature byte."""
    place = content.index(b"VP8L") + 9
    old = struct.unpack("<I", content[place : place + 4])[0]
    sizes = ((width - 1) & 0x3FFF) | ((height - 1) & 0x3FFF) << 14
    return content[:place] + struct.pack("<I", old & 0xF0000000 | sizes) + content[place + 4 :]


def _tiff_of(content: bytes, width: int, height: int) -> bytes:
    """Little-endian: the values of the tags 256 and 257, as 32-bit numbers."""
    harmed = bytearray(content)
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", content, entry)
        if tag in (256, 257):
            value = width if tag == 256 else height
            struct.pack_into("<HII", harmed, entry + 2, 4, 1, value)
    return bytes(harmed)


def _npy_of(header: dict) -> bytes:
    text = repr(header).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(4096)
