"""Decoding: each format, depth and channel count, from files that others wrote."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tfpix2pix.data.images import (
    Decoded,
    Header,
    UnreadableImage,
    decode,
    has_end_marker,
    image_size,
    read_header,
    read_image,
    write_image,
)

TURNED = "turned upright as its EXIF orientation says"


# === Writers of our own hand or of other libraries ===


def noise(channels: int, dtype="uint8", height: int = 13, width: int = 11, seed: int = 0):
    dice = np.random.default_rng([seed, channels])
    if np.dtype(dtype).kind == "f":
        return dice.normal(size=(height, width, channels)).astype(dtype)
    info = np.iinfo(dtype)
    return dice.integers(info.min, info.max, (height, width, channels), dtype, endpoint=True)


def pillow(image: Image.Image, image_format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def tiff(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


# Adam7, PNG specification section 8: first row, first column, row step, column step.
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
ADAM7.append((1, 0, 2, 1))


def png16(array: np.ndarray, before=b"", after=b"", interlaced: bool = False) -> bytes:
    """A 16-bit PNG by hand: [H, W, C], every row unfiltered."""
    height, width, channels = array.shape
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    parts = [array[y::dy, x::dx].astype(">u2") for y, x, dy, dx in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, interlaced)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return head + before + pixels + after + chunk(b"IEND", b"")


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def check(
    tmp_path, data: bytes, expected: np.ndarray, has_alpha: bool, notes=(), planes="auto"
) -> Decoded:
    """Decodes from bytes and from a file, and compares with what its header says."""
    path = tmp_path / "image"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        image = decode(source, planes)
        assert image.array.dtype == expected.dtype
        np.testing.assert_array_equal(image.array, expected)
        assert image.has_alpha == has_alpha
        assert image.notes == tuple(notes)
    channels = expected.shape[2] - has_alpha
    name = expected.dtype.name
    assert read_header(path, planes) == Header(*expected.shape[:2], channels, has_alpha, name)
    assert image_size(path, planes) == expected.shape[:2]
    assert has_end_marker(path)
    return image


# === 8 bits by Pillow ===


# Pillow reads no alpha from BMP, and WebP has no grey.
LOSSLESS = {"PNG": (1, 2, 3, 4), "TIFF": (1, 2, 3, 4), "BMP": (1, 3), "WEBP": (3, 4)}


@pytest.mark.parametrize(
    ("image_format", "channels"), [(f, c) for f, counts in LOSSLESS.items() for c in counts]
)
def test_lossless_eight_bits(tmp_path, image_format, channels):
    array = noise(channels)
    image = Image.fromarray(array[..., 0] if channels == 1 else array)
    options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
    data = pillow(image, image_format, **options)
    decoded = check(tmp_path, data, array, channels in (2, 4))
    assert decoded.indices is None


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP"])
def test_lossy_formats_give_what_pillow_gives(tmp_path, image_format):
    smooth = np.asarray(Image.fromarray(noise(3)).resize((40, 30)))
    data = pillow(Image.fromarray(smooth), image_format, quality=80)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    check(tmp_path, data, expected, False)
    if image_format == "JPEG":
        data = pillow(Image.fromarray(smooth[..., 0]), image_format)
        check(tmp_path, data, np.asarray(Image.open(io.BytesIO(data)))[..., None], False)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP", "GIF"])
def test_palette_images_give_colours_and_indices(tmp_path, image_format):
    indices = np.random.default_rng(0).integers(0, 5, (9, 7), dtype=np.uint8)
    palette = noise(3, height=5, width=1)[:, 0]
    image = Image.fromarray(indices, "P")
    image.putpalette(palette.tobytes())
    decoded = check(tmp_path, pillow(image, image_format), palette[indices], False)
    np.testing.assert_array_equal(decoded.indices, indices)
    assert decoded.indices.dtype == np.uint8


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
def test_transparent_palette_entry(tmp_path, image_format):
    indices = np.random.default_rng(0).integers(0, 5, (9, 7), dtype=np.uint8)
    palette = noise(3, height=5, width=1)[:, 0]
    image = Image.fromarray(indices, "P")
    image.putpalette(palette.tobytes())
    data = pillow(image, image_format, transparency=2)
    alpha = np.where(indices == 2, 0, 255).astype(np.uint8)
    decoded = check(tmp_path, data, np.dstack([palette[indices], alpha]), True)
    np.testing.assert_array_equal(decoded.indices, indices)
    seen = np.where(indices[..., None] == 2, 255, palette[indices])
    np.testing.assert_array_equal(read_image(data), seen)


def test_transparent_colour_of_an_eight_bit_png(tmp_path):
    colours = noise(3)
    key = tuple(int(v) for v in colours[2, 3])
    data = pillow(Image.fromarray(colours), "PNG", transparency=key)
    alpha = np.full(colours.shape[:2], 255, np.uint8)
    alpha[2, 3] = 0
    check(tmp_path, data, np.dstack([colours, alpha]), True)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_of_few_bits(tmp_path, bits):
    values = np.random.default_rng(0).integers(0, 2**bits, (5, 8), dtype=np.uint8)
    packed = np.packbits(np.unpackbits(values[..., None], axis=-1)[..., -bits:].reshape(5, -1), 1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", 8, 5, bits, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    expected = values * (255 // (2**bits - 1))
    check(tmp_path, data + chunk(b"IEND", b""), expected[..., None], False)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP"])
def test_one_bit(tmp_path, image_format):
    bits = np.random.default_rng(0).random((6, 9)) < 0.5
    data = pillow(Image.fromarray(bits), image_format)
    check(tmp_path, data, bits[..., None] * np.uint8(255), False)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(tmp_path, image_format):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = pillow(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
    for planes, colours in (("auto", [[255, 0, 0]]), ("3,2", [[0, 0, 255], [0, 255, 0]])):
        expected = np.broadcast_to(np.ravel(colours).astype(np.uint8), (6, 8, 3 * len(colours)))
        image = check(tmp_path, data, expected, False, planes=planes)
        said = "3 frames, of which the first is read" if planes == "auto" else ""
        assert image.besides == said


def test_cmyk_is_converted_and_said(tmp_path):
    array = noise(4)
    image = Image.fromarray(array, "CMYK")
    check(
        tmp_path,
        pillow(image, "TIFF"),
        np.asarray(image.convert("RGB")),
        False,
        ["CMYK converted to RGB"],
    )


# === 16-bit PNG ===


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png(tmp_path, channels, interlaced):
    array = noise(channels, "uint16")
    check(tmp_path, png16(array, interlaced=interlaced), array, channels in (2, 4))
    check(tmp_path, imagecodecs.png_encode(array), array, channels in (2, 4))


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_colour_of_a_sixteen_bit_png(tmp_path, channels):
    array = noise(channels, "uint16")
    # The same high byte, another low byte: not the transparent colour.
    array[0, 0] = array[2, 3] ^ 1
    key = chunk(b"tRNS", struct.pack(f">{channels}H", *array[2, 3].tolist()))
    alpha = np.full(array.shape[:2], 65535, np.uint16)
    alpha[2, 3] = 0
    check(tmp_path, png16(array, before=key), np.dstack([array, alpha]), True)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_sixteen_bit_png(height, width, channels, seed):
    array = noise(channels, "uint16", height, width, seed)
    np.testing.assert_array_equal(decode(png16(array)).array, array)


# === TIFF ===


LAYOUTS = {
    "one strip": {},
    "strips": {"rowsperstrip": 4},
    "tiles": {"tile": (16, 16)},
}


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tiff(tmp_path, dtype, planes, layout, compression):
    for channels in (1, 2, 3, 4, 6):
        array = noise(channels, dtype, 20, 37)
        stored = np.moveaxis(array, -1, 0).copy() if planes == "separate" else array
        if channels == 1:
            stored = array[..., 0]
        extra = {2: ["unassalpha"], 4: ["unassalpha"]}.get(channels)
        options = {"photometric": "rgb" if channels in (3, 4) else "minisblack"}
        if channels > 1:
            options["planarconfig"] = planes
        if extra:
            options["extrasamples"] = extra
        data = tiff(stored, compression=compression, **LAYOUTS[layout], **options)
        # tifffile calls the last of four planes alpha whatever is in it.
        check(tmp_path, data, array, channels == 2 or (channels == 4 and planes == "contig"))


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("predictor", [False, True])
def test_tiff_byte_orders_predictors_and_bigtiff(tmp_path, byteorder, bigtiff, predictor):
    for dtype in ("uint8", "uint16", "float32"):
        array = noise(3, dtype)
        options = {"byteorder": byteorder, "bigtiff": bigtiff, "predictor": predictor}
        data = tiff(array, photometric="rgb", compression="zlib", **options)
        check(tmp_path, data, array, False)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
def test_tiff_as_libtiff_writes_it(tmp_path, compression):
    deep = Image.fromarray(noise(1, "uint16")[..., 0])
    floats = Image.fromarray(noise(1, "float32")[..., 0])
    for image in (deep, floats, Image.fromarray(noise(3))):
        expected = np.asarray(image).reshape(13, 11, -1)
        check(tmp_path, pillow(image, "TIFF", compression=compression), expected, False)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tiff_with_white_as_zero(tmp_path, dtype):
    array = noise(1, dtype)
    data = tiff(array[..., 0], photometric="miniswhite")
    check(tmp_path, data, np.iinfo(dtype).max - array, False)
    with pytest.raises(UnreadableImage, match="white"):
        decode(tiff(noise(1, "float32")[..., 0], photometric="miniswhite"))


def test_tiff_extra_samples_are_alpha_only_where_the_tag_says_so(tmp_path):
    for channels in (2, 4):
        array = noise(channels, "uint16")
        kind = "rgb" if channels == 4 else "minisblack"
        options = {"photometric": kind, "planarconfig": "contig"}
        check(tmp_path, tiff(array, extrasamples=["unspecified"], **options), array, False)
        check(tmp_path, tiff(array, extrasamples=["unassalpha"], **options), array, True)


def test_tiff_premultiplied_alpha_is_divided_out(tmp_path):
    pixels = [[[100, 50, 0, 200], [0, 0, 0, 0], [255, 1, 77, 255], [90, 90, 90, 80]]]
    note = "colours divided by the alpha that they were multiplied with"
    for dtype, full in (("uint8", 255), ("uint16", 65535)):
        array = np.array(pixels, dtype)
        # By hand: 100 * 255 / 200 = 127.5 to even, 50 * 255 / 200 = 63.75; more than all is all.
        deep = {"uint8": [128, 64], "uint16": [32768, 16384]}[dtype]
        array[0, 3, 3] = 80
        expected = np.array([[[*deep, 0, 200], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 80]]], dtype)
        expected[0, 2] = np.minimum(np.rint(array[0, 2] * (full / 255)), full)
        expected[0, 2, 3], expected[0, 3, :3] = 255, full
        data = tiff(array, photometric="rgb", extrasamples=["assocalpha"])
        image = decode(data)
        assert image.notes == (note,)
        np.testing.assert_array_equal(image.array[0, 1:], expected[0, 1:])
        np.testing.assert_allclose(
            image.array[0, 0, :3], np.array([100, 50, 0]) * (full / 200), atol=0.5
        )


@pytest.mark.parametrize("compression", ["jpeg", "group4", "group3"])
def test_tiff_of_kinds_left_to_pillow(tmp_path, compression):
    if compression == "jpeg":
        smooth = np.asarray(Image.fromarray(noise(3)).resize((40, 32)))
        data = pillow(Image.fromarray(smooth), "TIFF", compression="jpeg")
        expected = np.asarray(Image.open(io.BytesIO(data)))
    else:
        bits = np.random.default_rng(0).random((16, 24)) < 0.5
        data = pillow(Image.fromarray(bits), "TIFF", compression=compression)
        expected = bits[..., None] * np.uint8(255)
    check(tmp_path, data, expected, False)


def pages(axes: str, shape: tuple[int, ...], **options) -> tuple[np.ndarray, bytes]:
    """Grey pages of a stack, [..., H, W], and its file."""
    array = np.random.default_rng(0).integers(0, 60000, (*shape, 6, 9)).astype("uint16")
    metadata = {"axes": axes + "YX"} if axes else None
    return array, tiff(array, photometric="minisblack", metadata=metadata, **options)


@pytest.mark.parametrize("kind", [{}, {"imagej": True}, {"ome": True}, {"compression": "lzw"}])
def test_pages_that_the_file_calls_channels(tmp_path, kind):
    array, data = pages("C", (4,), **kind)
    image = check(tmp_path, data, np.moveaxis(array, 0, -1), False)
    assert not image.besides
    array, data = pages("TC", (2, 3), **kind)
    image = check(tmp_path, data, np.moveaxis(array[0], 0, -1), False)
    assert image.besides == (
        "6 pages (2 times x 3 channels), of which 3 are read, the channels of the first image"
    )
    for axis, name in (("T", "times"), ("Z", "depths")):
        array, data = pages(axis, (4,), **kind)
        image = check(tmp_path, data, array[0, ..., None], False)
        assert image.besides == f"4 pages ({name}), of which the first is read"


def test_ome_channels_lie_where_its_xml_says(tmp_path):
    array, data = pages("CZ", (2, 3), ome=True)
    check(tmp_path, data, np.moveaxis(array[:, 0], 0, -1), False)


def test_pages_of_which_the_file_says_nothing(tmp_path):
    array, data = pages("", (4,))
    image = check(tmp_path, data, np.moveaxis(array, 0, -1), False)
    assert image.besides == "4 pages read as channels, though the file does not say that they are"
    array, data = pages("", (17,))
    image = check(tmp_path, data, array[0, ..., None], False)
    assert image.besides == "17 pages, of which the first is read"
    colour = [Image.fromarray(noise(3)) for _ in range(3)]
    data = pillow(colour[0], "TIFF", save_all=True, append_images=colour[1:])
    image = check(tmp_path, data, np.asarray(colour[0]), False)
    assert image.besides == "3 pages, of which the first is read"


@pytest.mark.parametrize("compression", [None, "lzw", "jpeg"])
def test_planes_by_number(tmp_path, compression):
    grey = [Image.fromarray(noise(1)[..., 0] // 8 + 40 * k) for k in range(4)]
    options = {"compression": compression} if compression else {}
    data = pillow(grey[0], "TIFF", save_all=True, append_images=grey[1:], **options)
    every = decode(data, "channels").array
    assert every.shape[-1] == 4
    for wish, places in (("first", [0]), ("3", [2]), ("4,2", [3, 1])):
        image = check(tmp_path, data, every[..., places], False, planes=wish)
        assert bool(image.besides) == (wish == "first")
    with pytest.raises(UnreadableImage, match=r"holds 4 pages, and number 5 was asked for"):
        decode(data, "5")
    # Of a single image: its channels.
    check(tmp_path, npy(noise(6)), noise(6)[..., [5, 0]], False, planes="6,1")
    check(tmp_path, pillow(grey[0], "PNG"), np.asarray(grey[0])[..., None], False, planes="1")
    with pytest.raises(UnreadableImage, match="one image of 6 channels, and number 7"):
        decode(npy(noise(6)), "7")


def test_images_of_several_sizes_in_a_tiff(tmp_path):
    large, small = noise(1, height=32, width=32), noise(1, height=8, width=8)
    for kind, besides in ((0, "2 pages, of which the first is read"), (1, "")):
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            writer.write(large[..., 0])
            writer.write(small[..., 0], subfiletype=kind)  # 1: the same picture, reduced
        data = file.getvalue()
        assert check(tmp_path, data, large, False).besides == besides
        if not kind:
            check(tmp_path, data, small, False, planes="2")
            with pytest.raises(UnreadableImage, match=r"of several kinds.*_planes=first"):
                decode(data, "channels")


def test_an_array_of_four_planes_has_no_alpha(tmp_path):
    array = noise(4, "float32")
    check(tmp_path, tiff(np.moveaxis(array, -1, 0).copy()), array, False)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32"])
def test_whole_numbers_that_floats_hold(tmp_path, dtype):
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**24)), min(info.max, 2**24)
    dice = np.random.default_rng(0)
    array = dice.integers(low, high, (4, 5, 1), dtype, endpoint=True)
    array[0, 0], array[0, 1] = low, high
    notes = [f"{dtype} values held as float32"]
    for data in (npy(array[..., 0]), tiff(array[..., 0], photometric="minisblack")):
        check(tmp_path, data, array.astype(np.float32), False, notes)
        np.testing.assert_array_equal(decode(data).array.astype(np.int64), array)
    if info.max > 2**24:
        array[1, 1] = 2**24 + 1
        for data in (npy(array), tiff(array[..., 0], photometric="minisblack")):
            with pytest.raises(UnreadableImage, match=f"{dtype} values beyond"):
                decode(data)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 6),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.sampled_from([None, "lzw", "zlib", "packbits"]),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_any_tiff(height, width, channels, dtype, compression, seed):
    array = noise(channels, dtype, height, width, seed)
    stored = array[..., 0] if channels == 1 else array
    options = {} if channels == 1 else {"planarconfig": "contig"}
    data = tiff(stored, photometric="minisblack", compression=compression, **options)
    np.testing.assert_array_equal(decode(data).array, array)


# === .npy ===


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 7])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64", "bool"])
def test_npy(tmp_path, dtype, channels):
    if dtype == "bool":
        array = noise(channels or 1) < 128
        expected = np.where(array, 255, 0).astype(np.uint8)
    else:
        array = noise(channels or 1, dtype)
        expected = array.astype(np.float32) if array.dtype.kind == "f" else array
    stored = array if channels else array[..., 0]
    notes = ["float64 values rounded to float32"] if dtype == "float64" else []
    for order in (np.ascontiguousarray, np.asfortranarray):
        check(tmp_path, npy(order(stored)), expected, False, notes)
    if dtype != "bool":
        check(tmp_path, npy(stored.astype(stored.dtype.newbyteorder(">"))), expected, False, notes)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4,), np.uint8), "shape"),
        (np.zeros((5, 2, 3, 4), np.uint8), "shape .*each image in a file of its own"),
        (np.zeros((4, 0), np.uint8), "shape"),
        (np.zeros((4, 4), complex), "complex128"),
        (np.array([["a"]]), "values of type"),
        (np.array([[{}]], object), "values of type object"),
    ],
)
def test_npy_that_is_no_image(array, reason):
    with pytest.raises(UnreadableImage, match=reason):
        decode(npy(array))


def test_npy_with_the_channels_first(tmp_path):
    array = np.random.default_rng(0).random((4, 40, 50), np.float32)
    for stored in (array, array[None]):
        image = check(tmp_path, npy(stored), np.moveaxis(array, 0, -1), False)
        assert image.besides == "[4, 40, 50] read as [C, H, W], 4 channels"
    check(tmp_path, npy(array), array, False, planes="first")  # as earlier versions
    check(tmp_path, npy(array[:, :, :20]), array[:, :, :20], False)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    def npz(**arrays):
        file = io.BytesIO()
        save(file, **arrays)
        return file.getvalue()

    x, y = noise(3), noise(1, "float32")[..., 0]
    check(tmp_path, npz(any=x), x, False)
    check(tmp_path, npz(any=x), x[..., [1]], False, planes="2")
    check(tmp_path, npz(x=x, y=y), y[..., None], False, planes="2")
    with pytest.raises(UnreadableImage, match=r"of 2 arrays \(x, y\), .*_planes=N reads the N-th"):
        decode(npz(x=x, y=y))
    with pytest.raises(UnreadableImage, match=r"of 2 arrays .* number 3 was asked for"):
        decode(npz(x=x, y=y), "3")
    with pytest.raises(UnreadableImage, match="damaged"):
        decode(npz(x=x)[:-40])


def test_values_that_mean_nothing_measured_are_read():
    found = decode(npy(np.array([[1.0, np.nan, 1e300]]))).array
    np.testing.assert_array_equal(found[..., 0], np.array([[1.0, np.nan, np.inf]], np.float32))
    array = noise(1, "float32")[..., 0]
    array[3, 3] = np.nan
    tag = (42113, "s", 0, "-9999", True)  # GDAL_NODATA
    found = decode(tiff(array, photometric="minisblack", extratags=[tag]))
    np.testing.assert_array_equal(found.array[..., 0], array)
    assert found.nodata == -9999
    assert decode(tiff(array, photometric="minisblack")).nodata is None
    lowest = np.array([[-(2**31), 5]], np.int32)  # more than float32 holds exactly otherwise
    np.testing.assert_array_equal(decode(npy(lowest)).array[..., 0], lowest)


# === Orientation ===


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "PNG 16", "PNG 16 late", "palette"])
def test_exif_orientation(tmp_path, orientation, kind):
    stored = np.kron(noise(3, height=3, width=4), np.ones((8, 8, 1), np.uint8))
    tags, options, expected = exif(orientation), {}, None
    image = Image.fromarray(stored)
    if kind.startswith("PNG 16"):
        deep = noise(3, "uint16", 6, 9)
        # A picture of each pixel's number, turned by Pillow, says which pixel belongs where.
        numbers = Image.fromarray(np.arange(54, dtype=np.uint8).reshape(6, 9))
        numbers.info["exif"] = tags.tobytes()
        expected = deep.reshape(54, 3)[np.asarray(ImageOps.exif_transpose(numbers))]
        metadata = chunk(b"eXIf", tags.tobytes()[6:])
        where = "after" if kind.endswith("late") else "before"
        data = png16(deep, **{where: metadata})
    else:
        if kind == "palette":
            image = image.quantize(8)
        if kind == "WEBP":
            options = {"lossless": True}
        data = pillow(image, "PNG" if kind == "palette" else kind, exif=tags, **options)
        turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        expected = np.asarray(turned.convert("RGB"))
    decoded = check(tmp_path, data, expected, False, [TURNED] if orientation > 1 else [])
    if kind == "palette":
        np.testing.assert_array_equal(decoded.indices, np.asarray(turned))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "jpeg"])
def test_tiff_orientation(tmp_path, orientation, compression):
    stored = np.kron(noise(3, height=3, width=4), np.ones((8, 8, 1), np.uint8))
    notes = [TURNED] if orientation > 1 else []
    plain = pillow(Image.fromarray(stored), "TIFF", compression=compression)
    picture = Image.fromarray(np.asarray(Image.open(io.BytesIO(plain))))
    picture.info["exif"] = exif(orientation).tobytes()
    expected = np.asarray(ImageOps.exif_transpose(picture))
    options = {"compression": compression, "tiffinfo": {274: orientation}}
    check(tmp_path, pillow(Image.fromarray(stored), "TIFF", **options), expected, False, notes)
    if compression == "raw":
        deep, tag = stored * np.uint16(257), [(274, "H", 1, orientation, True)]
        data = tiff(deep, photometric="rgb", extratags=tag)
        check(tmp_path, data, expected * np.uint16(257), False, notes)


def test_late_text_in_a_png_without_orientation(tmp_path):
    array = noise(3, "uint16")
    data = png16(array, after=chunk(b"tEXt", b"Comment\0drawn by hand"))
    check(tmp_path, data, array, False)


# === Damage ===


@functools.cache
def complete_files() -> dict[str, bytes]:
    eight = noise(3, height=64, width=64)
    deep, floats = noise(3, "uint16", 64, 64), noise(3, "float32", 64, 64)
    files = {f: pillow(Image.fromarray(eight), f) for f in ("JPEG", "PNG", "WEBP", "BMP", "GIF")}
    files["WEBP lossless"] = pillow(Image.fromarray(eight), "WEBP", lossless=True)
    files["WEBP alpha"] = pillow(Image.fromarray(noise(4, height=64, width=64)), "WEBP")
    files["BMP palette"] = pillow(Image.fromarray(eight[..., 0]), "BMP")
    files["JPEG progressive"] = pillow(Image.fromarray(eight), "JPEG", progressive=True)
    files["PNG 16"] = png16(deep)
    files["TIFF jpeg"] = pillow(Image.fromarray(eight), "TIFF", compression="jpeg")
    files["TIFF palette"] = pillow(Image.fromarray(eight).quantize(16), "TIFF")
    for name, array in {"8": eight, "16": deep, "float": floats}.items():
        files[f"npy {name}"] = npy(array)
        for compression in (None, "lzw", "zlib", "packbits"):
            for layout, options in LAYOUTS.items():
                options = {"compression": compression, "photometric": "rgb", **options}
                files[f"TIFF {name} {compression} {layout}"] = tiff(array, **options)
    return files


@pytest.mark.parametrize("name", complete_files())
def test_files_cut_short_are_refused(tmp_path, name):
    data = complete_files()[name]
    path = tmp_path / "whole"
    path.write_bytes(data)
    decode(path)
    assert has_end_marker(path)
    path = tmp_path / "short"
    for length in (len(data) // 2, len(data) - 20):
        path.write_bytes(data[:length])
        for source in (path, data[:length]):
            with pytest.raises(UnreadableImage) as caught:
                decode(source)
            assert caught.value.reason
        if name == "TIFF jpeg":
            continue  # What is cut off here are the coding tables, behind all pixels.
        # Without decoding, one of the two notices it.
        try:
            read_header(path)
        except UnreadableImage:
            continue
        assert not has_end_marker(path)


@pytest.mark.parametrize("name", ["PNG", "PNG 16", "TIFF 16 zlib strips"])
def test_flipped_bits_are_noticed_by_check_sums(name):
    data = bytearray(complete_files()[name])
    data[len(data) // 2] ^= 0x55
    with pytest.raises(UnreadableImage):
        decode(bytes(data))


@pytest.mark.parametrize("head", [b"GIF89a", b"BM", b"II*\0", b"\x93NUMPY", b"\x89PNG\r\n\x1a\n"])
def test_nothing_behind_the_signature(tmp_path, head):
    path = tmp_path / "head"
    for rest in (b"", b"\1", b"\xff" * 30, bytes(300)):
        path.write_bytes(head + rest)
        for read in (decode, read_header):
            with pytest.raises(UnreadableImage, match="expected a complete image"):
                read(path)


def test_tiff_without_some_of_its_strips():
    array = noise(1, height=32, width=32)[..., 0]
    data = bytearray(tiff(array, photometric="minisblack", compression="zlib", rowsperstrip=8))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        counts = file.pages.first.tags["StripByteCounts"]
        start, size = counts.valueoffset, counts.valuebytecount // 4
    for value in (0, 5):
        damaged = bytearray(data)
        damaged[start : start + size] = value.to_bytes(size, "little")
        with pytest.raises(UnreadableImage):
            decode(bytes(damaged))


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits"])
def test_tiff_of_one_colour_is_no_bomb_and_a_bomb_is_one(tmp_path, compression):
    white = np.full((1500, 2000), 65535, np.uint16)
    options = {"compression": compression, "photometric": "minisblack", "rowsperstrip": 1500}
    data = bytearray(tiff(white, **options))
    check(tmp_path, bytes(data), white[..., None], False)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        at = file.pages.first.tags["SamplesPerPixel"].valueoffset
    data[at : at + 2] = b"\xff\xff"
    with pytest.raises(UnreadableImage, match="more pixels than its data can hold"):
        decode(bytes(data))


def test_tiff_of_kinds_that_are_not_read(tmp_path):
    lab = pillow(Image.new("LAB", (8, 8)), "TIFF")
    cmyk = tiff(noise(4, "uint16"), photometric="separated")
    twelve = bytearray(tiff(noise(1, "uint16")[..., 0], photometric="minisblack"))
    with tifffile.TiffFile(io.BytesIO(twelve)) as file:
        twelve[file.pages.first.tags["BitsPerSample"].valueoffset] = 12
    path = tmp_path / "a.tif"
    for data, reason in (
        (lab, "CIELAB"),
        (cmyk, "SEPARATED of 16 bits"),
        (bytes(twelve), "12 bits"),
    ):
        path.write_bytes(data)
        for read in (decode, read_header):
            with pytest.raises(UnreadableImage, match=reason):
                read(path)


def test_size_limit_holds_for_every_format(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
    for name in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PNG 16", "TIFF 16 zlib tiles", "npy 8"):
        path = tmp_path / name.replace(" ", "")
        path.write_bytes(complete_files()[name])
        for read in (decode, read_header):
            with pytest.raises(UnreadableImage, match="more than 4,095 pixels"):
                read(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    decode(path)


def test_a_tiny_npy_that_claims_to_be_large_is_refused_before_any_memory_is_taken():
    data = npy(np.zeros((2, 2, 4), np.uint8)).replace(b"(2, 2, 4)", b"(9, 9, 4000000000000)")
    with pytest.raises(UnreadableImage):
        decode(data)


def test_the_content_decides_not_the_name(tmp_path):
    array = noise(3)
    Image.fromarray(array).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    np.testing.assert_array_equal(decode(tmp_path / "a.tif").array, array)


def test_many_threads_at_once():
    files = [data for name, data in complete_files().items() if "WEBP" not in name]
    alone = [decode(data).array for data in files]
    with ThreadPoolExecutor(8) as pool:
        for expected, image in zip(alone * 4, pool.map(decode, files * 4), strict=True):
            np.testing.assert_array_equal(image.array, expected)


# === What we write, others read ===


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_written_files_are_what_other_readers_expect(tmp_path, dtype, channels):
    array = noise(channels, dtype)
    flat = array[..., 0] if channels == 1 else array
    write_image(tmp_path / "a.tif", array)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), flat)
    write_image(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)
    if dtype == "uint16" and channels < 5:
        import tensorflow as tf

        write_image(tmp_path / "a.png", array)
        content = (tmp_path / "a.png").read_bytes()
        np.testing.assert_array_equal(tf.io.decode_png(content, dtype=tf.uint16), array)
