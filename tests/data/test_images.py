"""Reading: every form of file becomes the right uint8 pixels; writing: whole or not at all."""

from __future__ import annotations

import io
import os
import warnings

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import images
from tfpix2pix.data.images import (
    UnreadableImage,
    convert_channels,
    fit_channels,
    fit_depth,
    image_size,
    is_image_name,
    read_image,
    read_image_with_notes,
    write_image,
)


@pytest.fixture
def colour():
    return np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)


def encode(image: Image.Image, image_format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


# === Reading ===


def test_rgb_png_is_read_as_it_is_from_path_and_from_bytes(tmp_path, colour):
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(colour)))
    for source in (path, str(path), path.read_bytes()):
        array, notes = read_image_with_notes(source, 3)
        np.testing.assert_array_equal(array, colour)
        assert array.dtype == np.uint8
        assert notes == []


def test_grey_is_repeated_and_colour_reduced(colour):
    grey = colour[..., 0]
    array, notes = read_image_with_notes(encode(Image.fromarray(grey)), 3)
    np.testing.assert_array_equal(array, np.stack([grey] * 3, -1))
    assert notes == ["grey image repeated into 3 channels"]
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(grey)), 1)[..., 0], grey)

    array, notes = read_image_with_notes(encode(Image.fromarray(colour)), 1)
    np.testing.assert_array_equal(array[..., 0], np.asarray(Image.fromarray(colour).convert("L")))
    assert notes == ["colour image reduced to grey"]


def test_one_bit_image():
    bits = np.eye(5, dtype=bool)
    array = read_image(encode(Image.fromarray(bits)), 1)
    np.testing.assert_array_equal(array[..., 0], bits * 255)


def test_transparency_is_placed_on_white(colour):
    alpha = np.full(colour.shape[:2], 255, np.uint8)
    opaque = Image.fromarray(np.dstack([colour, alpha]))
    array, notes = read_image_with_notes(encode(opaque))
    np.testing.assert_array_equal(array, colour)
    assert notes == []

    alpha[0, 0], alpha[0, 1] = 0, 128
    array, notes = read_image_with_notes(encode(Image.fromarray(np.dstack([colour, alpha]))))
    assert notes == ["transparency placed on white"]
    np.testing.assert_array_equal(array[0, 0], [255, 255, 255])
    half = colour[0, 1] * (128 / 255) + 255 * (127 / 255)
    np.testing.assert_allclose(array[0, 1], half, atol=1)
    np.testing.assert_array_equal(array[1:], colour[1:])


def test_grey_with_alpha():
    pixels = np.array([[[10, 255], [10, 0]]], np.uint8)
    array, notes = read_image_with_notes(encode(Image.fromarray(pixels, "LA")), 1)
    np.testing.assert_array_equal(array[..., 0], [[10, 255]])
    assert notes == ["transparency placed on white"]


def test_palette_with_and_without_transparency():
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    array, notes = read_image_with_notes(encode(image))
    np.testing.assert_array_equal(array[0], [[10, 20, 30], [40, 50, 60], [70, 80, 90]])
    assert notes == []
    array, notes = read_image_with_notes(encode(image, transparency=1))
    np.testing.assert_array_equal(array[0], [[10, 20, 30], [255, 255, 255], [70, 80, 90]])
    assert notes == ["transparency placed on white"]


def test_sixteen_bit_grey_is_rounded_not_clipped():
    deep = np.array([[0, 128, 129, 257, 300, 1000, 32768, 65406, 65407, 65535]], np.uint16)
    array, notes = read_image_with_notes(encode(Image.fromarray(deep)), 1)
    np.testing.assert_array_equal(array[0, :, 0], np.rint(deep[0] / 257))
    assert notes == ["16 bits reduced to 8"]


def test_cmyk_jpeg():
    # Pure cyan ink takes away red.
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    array, notes = read_image_with_notes(encode(cyan, "JPEG", quality=95))
    np.testing.assert_allclose(array[8, 8], [0, 255, 255], atol=4)
    assert notes == ["CMYK converted to RGB"]


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_exif_orientation_is_applied_and_known_from_the_header(tmp_path, image_format):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:, :16] = 255  # The left half is white.
    turned = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # "Turn clockwise by 90 degrees to see it upright."
    path = tmp_path / f"a.{image_format.lower()}"
    path.write_bytes(encode(turned, image_format, exif=exif))
    array, notes = read_image_with_notes(path)
    assert array.shape == (16, 32, 3)
    assert image_size(path) == (16, 32)
    np.testing.assert_allclose(array, upright, atol=8)
    assert notes == ["turned upright as its EXIF orientation says"]


def test_first_picture_of_a_multi_picture_jpeg():
    first, second = Image.new("RGB", (16, 8), (200, 0, 0)), Image.new("RGB", (16, 8), (0, 0, 200))
    data = encode(first, "MPO", save_all=True, append_images=[second])
    np.testing.assert_allclose(read_image(data)[4, 4], [200, 0, 0], atol=4)


def test_other_channel_counts_are_refused(colour):
    with pytest.raises(DataError, match="1 channel"):
        read_image(encode(Image.fromarray(colour)), 4)
    with pytest.raises(ValueError, match="4 channels"):
        convert_channels(np.zeros((2, 2, 4), np.uint8), 3)


def test_image_names():
    assert is_image_name("a.JPG")
    assert is_image_name("b/c.Jpeg")
    assert is_image_name("d.PnG")
    for extension in ("webp", "tif", "TIFF", "bmp", "gif", "npy", "npz"):
        assert is_image_name(f"e.{extension}")
    for name in (".hidden.png", "a.txt", "png", "a.svg", "a.h5"):
        assert not is_image_name(name)


# === Conversion ===


def noise_of(dtype: str, channels: int) -> np.ndarray:
    dice = np.random.default_rng(channels)
    if dtype == "float32":
        return dice.random((9, 14, channels), np.float32)
    return dice.integers(0, np.iinfo(dtype).max, (9, 14, channels), dtype, endpoint=True)


FULL = {"uint8": 255, "uint16": 65535, "float32": 1.0}


@pytest.mark.parametrize("dtype", FULL)
def test_grey_and_colour_at_every_depth(dtype):
    rgb, full = noise_of(dtype, 3), FULL[dtype]
    rgb[0, 0] = full
    luma = rgb.astype(np.float64) @ [0.299, 0.587, 0.114]
    notes = []
    grey = fit_channels(rgb, False, 1, notes)
    assert grey.dtype == dtype
    assert grey.shape == (9, 14, 1)
    # Weights in 65536ths, and rounding.
    np.testing.assert_allclose(grey[..., 0], luma, atol=1e-6 if dtype == "float32" else 1.01)
    assert grey[0, 0, 0] == pytest.approx(full, abs=1e-6)
    assert notes == ["colour image reduced to grey"]
    notes = []
    np.testing.assert_array_equal(fit_channels(grey, False, 3, notes), np.repeat(grey, 3, -1))
    assert notes == ["grey image repeated into 3 channels"]


def test_sixteen_bit_luma_to_the_bit():
    rgb = noise_of("uint16", 3)
    rgb[0, 0] = 65535
    exact = [[(19595 * r + 38470 * g + 7471 * b + 32768) // 65536 for r, g, b in row]
             for row in rgb.tolist()]  # fmt: skip
    np.testing.assert_array_equal(fit_channels(rgb, False, 1)[..., 0], exact)


def test_eight_bits_on_white_are_what_pillow_makes_of_them():
    colour, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    rgba = np.dstack([colour, colour, colour, alpha])
    white = Image.new("RGBA", (256, 256), "white")
    expected = np.asarray(Image.alpha_composite(white, Image.fromarray(rgba)).convert("RGB"))
    np.testing.assert_array_equal(fit_channels(rgba, True, 3), expected)
    np.testing.assert_array_equal(fit_channels(rgba[..., 2:], True, 1), expected[..., :1])


@pytest.mark.parametrize("dtype", FULL)
@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_on_white_at_every_depth(dtype, channels):
    array, full = noise_of(dtype, channels), FULL[dtype]
    array[0, 0], array[0, 1, -1], array[0, 2, -1] = full, 0, full
    parts = array.astype(np.float64) / full
    expected = (parts[..., :-1] * parts[..., -1:] + 1 - parts[..., -1:]) * full
    notes = []
    natural = fit_channels(array, True, 0, notes)
    assert natural.dtype == dtype
    tolerance = 1e-6 if dtype == "float32" else 0.5001
    np.testing.assert_allclose(natural, expected, atol=tolerance)
    assert notes == ["transparency placed on white"]
    np.testing.assert_array_equal(fit_channels(array, True, channels - 1), natural)

    array[..., -1] = full
    notes = []
    np.testing.assert_array_equal(fit_channels(array, True, 0, notes), array[..., :-1])
    assert notes == []


@pytest.mark.parametrize("dtype", FULL)
def test_alpha_is_kept_or_appended_where_it_is_asked_for(dtype):
    full = FULL[dtype]
    la, rgba, grey, rgb = (noise_of(dtype, channels) for channels in (2, 4, 1, 3))
    assert fit_channels(la, True, 2) is la
    assert fit_channels(rgba, True, 4) is rgba
    wide = fit_channels(la, True, 4)
    np.testing.assert_array_equal(wide, la[..., [0, 0, 0, 1]])
    narrow = fit_channels(rgba, True, 2)
    np.testing.assert_array_equal(narrow[..., :1], fit_channels(rgba[..., :3], False, 1))
    np.testing.assert_array_equal(narrow[..., 1], rgba[..., 3])
    for array in (grey, rgb):
        for channels in (2, 4):
            notes = []
            result = fit_channels(array, False, channels, notes)
            assert (result[..., -1] == full).all()
            assert "opaque alpha added" in notes
            assert result.dtype == dtype
            colours = fit_channels(array, False, channels - 1)
            np.testing.assert_array_equal(result[..., :-1], colours)


def test_data_of_many_channels_stay_as_they_are_or_are_refused():
    for channels in (2, 4, 5, 200):
        array = noise_of("uint16", channels)
        assert fit_channels(array, False, 0) is array
        assert fit_channels(array, False, channels) is array
        for wanted in {1, 2, 3, 4, 7} - {channels}:
            with pytest.raises(ValueError, match=f"{channels} channels .* one of {wanted}"):
                fit_channels(array, False, wanted)
    for found, has_alpha in ((1, False), (2, True), (3, False), (4, True)):
        with pytest.raises(ValueError, match=f"{found} channels"):
            fit_channels(noise_of("uint8", found), has_alpha, 5)


def test_depths():
    eight = np.arange(256, dtype=np.uint8)
    deep = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(fit_depth(eight, "uint16"), np.arange(256) * 257)
    np.testing.assert_array_equal(fit_depth(deep, np.uint8), np.rint(np.arange(65536) / 257))
    np.testing.assert_array_equal(fit_depth(fit_depth(eight, "uint16"), "uint8"), eight)
    floats = np.zeros(3, np.float32)
    for same in (eight, deep, floats):
        assert fit_depth(same, same.dtype) is same
    for array, dtype in ((floats, "uint8"), (floats, "uint16"), (eight, "float32")):
        with pytest.raises(ValueError, match=f"{array.dtype} values do not turn into {dtype}"):
            fit_depth(array, dtype)


def test_notes_name_every_change(colour):
    deep = Image.fromarray(colour[..., 0].astype(np.uint16) * 256)
    notes = read_image_with_notes(encode(deep), 3)[1]
    assert notes == ["16 bits reduced to 8", "grey image repeated into 3 channels"]


def test_deep_colour_is_rounded_to_eight_bits():
    deep = noise_of("uint16", 3)
    array, notes = read_image_with_notes(imagecodecs.png_encode(deep))
    np.testing.assert_array_equal(array, np.rint(deep / 257))
    assert notes == ["16 bits reduced to 8"]


def test_what_has_no_eight_bit_form(tmp_path):
    np.save(tmp_path / "f.npy", noise_of("float32", 3))
    with pytest.raises(UnreadableImage, match=r"f\.npy: .*floating-point.*; expected 8 or 16 bits"):
        read_image(tmp_path / "f.npy")
    np.save(tmp_path / "five.npy", noise_of("uint8", 5))
    with pytest.raises(UnreadableImage, match=r"five\.npy: .*5 channels.*; expected a grey or RGB"):
        read_image(tmp_path / "five.npy")


# === Files that cannot be read ===


def damaged_files(colour):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    jpeg, png = encode(Image.fromarray(noise), "JPEG"), encode(Image.fromarray(noise))
    broken = bytearray(png)
    broken[len(png) // 2] ^= 0xFF
    return {
        "short.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "short.png": (png[: len(png) // 2], "truncated"),
        "head.jpg": (jpeg[:20], "."),
        "text.png": (b"hello, this is no picture", "not an image of a known format"),
        "other.png": (encode(Image.fromarray(noise), "PPM"), "not an image of a known format"),
        "zero.jpg": (b"", "empty file"),
        "bits.png": (bytes(broken), "."),
    }


def test_damaged_files_are_named_with_a_reason(tmp_path, colour):
    for name, (data, reason) in damaged_files(colour).items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UnreadableImage, match=reason) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
        assert caught.value.reason
        with pytest.raises(DataError):
            read_image(data)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(DataError, match="folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("limit", [40, 20])  # Pillow warns above the limit, refuses above twice it.
def test_decompression_bomb(monkeypatch, tmp_path, colour, limit):
    path = tmp_path / "bomb.png"
    path.write_bytes(encode(Image.fromarray(colour)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for read in (read_image, image_size):
            with pytest.raises(UnreadableImage, match=rf"bomb.png: .* more than {limit} pixels"):
                read(path)


def test_end_marker(tmp_path, colour):
    for image_format in ("PNG", "JPEG"):
        data = encode(Image.fromarray(colour), image_format)
        path = tmp_path / "a"
        path.write_bytes(data + b"appended by a camera")
        assert images.has_end_marker(path)
        path.write_bytes(data[:-2])
        assert not images.has_end_marker(path)


# === Writing ===


def test_png_round_trip(tmp_path, colour):
    write_image(tmp_path / "a.png", colour)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colour)
    for grey in (colour[..., 0], colour[..., :1]):
        write_image(tmp_path / "g.PNG", grey)
        np.testing.assert_array_equal(read_image(tmp_path / "g.PNG", 1)[..., 0], colour[..., 0])
    assert Image.open(tmp_path / "g.PNG").mode == "L"


def test_jpeg_is_close(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 32).astype(np.uint8)[None, :, None], (32, 1, 3))
    write_image(tmp_path / "a.JPG", ramp)
    np.testing.assert_allclose(read_image(tmp_path / "a.JPG").astype(int), ramp, atol=6)


def test_write_refuses_other_extensions_and_arrays(tmp_path, colour):
    with pytest.raises(DataError, match=r"a\.gif.*\.png"):
        write_image(tmp_path / "a.gif", colour)
    with pytest.raises(DataError, match="without an extension"):
        write_image(tmp_path / "a", colour)
    for wrong in (colour.astype(np.float64), colour[0, 0], colour[None], colour[:0]):
        with pytest.raises(ValueError, match="expected"):
            write_image(tmp_path / "a.png", wrong)
    assert list(tmp_path.iterdir()) == []


def test_write_is_atomic(tmp_path, colour, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, colour)
    before = path.read_bytes()

    def full_disk(self, file, *args, **kwargs):
        file.write(b"half an image")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(DataError, match=r"a\.png.*No space left"):
        write_image(path, colour + 1)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_write_into_missing_folder(tmp_path, colour):
    with pytest.raises(DataError, match=r"none.*cannot be written"):
        write_image(tmp_path / "none" / "a.png", colour)


WRITTEN = [
    *[(e, "uint8", c) for e in (".png", ".webp") for c in (1, 2, 3, 4)],
    *[(".bmp", "uint8", c) for c in (1, 3)],
    *[(".PNG", "uint16", c) for c in (1, 2, 3, 4)],
    *[
        (e, dtype, c)
        for e in (".tif", ".TIFF", ".npy")
        for dtype in ("uint8", "uint16", "float32")
        for c in (1, 2, 3, 4, 7)
    ],
]


@pytest.mark.parametrize(("extension", "dtype", "channels"), WRITTEN)
def test_what_is_written_is_read_again(tmp_path, extension, dtype, channels):
    array = noise_of(dtype, channels)
    path = tmp_path / f"a{extension}"
    write_image(path, array)
    image = images.decode(path)
    has_alpha = channels in (2, 4) and extension != ".npy"
    expected = array
    if extension == ".webp" and channels < 3:  # WebP has no grey.
        expected = np.concatenate([np.repeat(array[..., :1], 3, -1), array[..., 1:]], axis=-1)
    np.testing.assert_array_equal(image.array, expected)
    assert image.array.dtype == dtype
    assert image.has_alpha == has_alpha
    assert image.notes == ()
    if channels == 1:
        write_image(path, array[..., 0])
        np.testing.assert_array_equal(images.decode(path).array, expected)


@pytest.mark.parametrize(
    ("extension", "dtype", "channels", "said"),
    [
        (".jpg", "uint16", 3, r"JPEG holds 8 bits .* not 16 bits in 3; name it \.png, \.tif"),
        (".jpeg", "uint8", 4, r"JPEG holds .* 1 or 3 channels, not 8 bits in 4; .*\.webp"),
        (".png", "float32", 3, r"PNG holds 8 or 16 bits .* name it \.tif, \.tiff or \.npy"),
        (".png", "uint8", 5, r"in 1, 2, 3 or 4 channels, not 8 bits in 5; .*\.npy"),
        (".webp", "uint16", 1, r"WebP holds 8 bits"),
        (".bmp", "uint8", 2, r"BMP holds 8 bits"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_one_that_can(
    tmp_path, extension, dtype, channels, said
):
    with pytest.raises(DataError, match=rf"a\{extension}: .*{said}"):
        write_image(tmp_path / f"a{extension}", noise_of(dtype, channels))
    assert os.listdir(tmp_path) == []


def test_images_too_long_for_a_format(tmp_path):
    long = np.zeros((1, 70000), np.uint8)
    for name, limit in (("a.jpg", 65500), ("a.webp", 16383)):
        with pytest.raises(DataError, match=rf"{name}: .* at most {limit} pixels .*70000x1.*\.png"):
            write_image(tmp_path / name, long)
    write_image(tmp_path / "a.png", long)
    assert image_size(tmp_path / "a.png") == (1, 70000)
