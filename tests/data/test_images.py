"""Reading: every form of file becomes the right uint8 pixels; writing: whole or not at all."""

from __future__ import annotations

import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.data import images
from tfpix2pix.data.images import (
    UnreadableImage,
    convert_channels,
    image_size,
    is_image_name,
    read_image,
    read_image_with_notes,
    write_image,
)
from tfpix2pix.errors import DataError


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
    for name in (".hidden.png", "a.txt", "png", "a.webp"):
        assert not is_image_name(name)


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
        "text.png": (b"hello, this is no picture", "not a JPEG or PNG image"),
        "gif.png": (encode(Image.fromarray(noise), "GIF"), "not a JPEG or PNG image"),
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
    with pytest.raises(DataError, match=r"a\.webp.*\.png"):
        write_image(tmp_path / "a.webp", colour)
    with pytest.raises(DataError, match="without an extension"):
        write_image(tmp_path / "a", colour)
    for wrong in (colour.astype(np.float32), colour[..., :2], colour[:0]):
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
