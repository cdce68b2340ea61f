"""Looking at every file once: what is seen, how much is decoded, what is remarked upon."""

from __future__ import annotations

import hashlib
import threading
import time

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.data import images, load_palette, open_dataset
from tfpix2pix.data.check import scan
from tfpix2pix.data.layouts.pair_files import PairFiles
from tfpix2pix.data.spec import PairWish

PALETTE = load_palette("facades")


@pytest.fixture
def count_decoded(monkeypatch):
    """The names of files that are decoded from now on."""
    names = []
    real = images.decode
    monkeypatch.setattr(
        images,
        "decode",
        lambda path, *planes: (names.append(getattr(path, "name", "")), real(path, *planes))[1],
    )
    return names


@pytest.fixture
def folders(tmp_path, draw, save):
    """Eight pairs in A/ and B/."""
    for index in range(8):
        save(tmp_path / "set" / "A" / f"{index}.png", draw(index))
        save(tmp_path / "set" / "B" / f"{index}.png", draw(50 + index, 1, "uint16"))
    return tmp_path / "set"


# === The budget ===


def test_within_the_budget_everything_is_decoded(folders, count_decoded):
    open_dataset(str(folders), val_fraction=0).check()
    assert set(count_decoded) == {f"{i}.png" for i in range(8)}


def test_beyond_the_budget_headers_are_enough(folders, count_decoded, monkeypatch):
    whole = open_dataset(str(folders), val_fraction=0)
    whole.check()
    monkeypatch.setattr(scan, "FULL_CHECK_BYTES", 0)
    count_decoded.clear()
    source = open_dataset(str(folders), val_fraction=0)
    source.check()
    assert count_decoded == []
    assert source.spec == whole.spec


@pytest.mark.parametrize("least", [0, 10_000])
def test_a_budget_that_ends_half_way(folders, count_decoded, monkeypatch, least):
    # A pair is counted as 2 images of 12 x 16 x 3 bytes, or as more if files count as more.
    monkeypatch.setattr(scan, "LEAST_CHARGE", least)
    monkeypatch.setattr(scan, "FULL_CHECK_BYTES", 3 * 2 * max(least, 12 * 16 * 3))
    open_dataset(str(folders), val_fraction=0).check()
    assert len(set(count_decoded)) == 3


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".bmp", ".gif", ".tif", ".npy"])
def test_cut_files_are_found_without_a_budget(
    tmp_path, draw, save, refusal, monkeypatch, extension
):
    monkeypatch.setattr(scan, "FULL_CHECK_BYTES", 0)
    for index in range(3):
        for side in "AB":
            path = save(tmp_path / side / f"{index}{extension}", draw(index, height=40, width=40))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    message = refusal(tmp_path, val_fraction=0)
    assert "1 of 6 images cannot be used" in message
    assert f"B/2{extension}: cut short" in message or f"B/2{extension}: damaged" in message


def test_damage_in_the_middle_is_found_within_the_budget(folders, refusal):
    path = folders / "A" / "3.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    message = refusal(folders, val_fraction=0)
    assert "A/3.png: " in message
    assert "1 unreadable" in message


def test_floats_are_decoded_whatever_the_budget(tmp_path, draw, save, monkeypatch):
    monkeypatch.setattr(scan, "FULL_CHECK_BYTES", 0)
    save(tmp_path / "A" / "1.npy", draw(1, 1, "float32") * 40 - 8)
    save(tmp_path / "B" / "1.png", draw(1))
    source = open_dataset(str(tmp_path), val_fraction=0)
    source.check()
    assert source.spec.x.low == pytest.approx(-8, abs=1)
    assert source.spec.x.high == pytest.approx(32, abs=1)


def test_mixtures_and_sizes_are_found_by_headers(folders, draw, save, refusal, monkeypatch):
    monkeypatch.setattr(scan, "FULL_CHECK_BYTES", 0)
    save(folders / "A" / "0.png", draw(0, 1))
    save(folders / "B" / "1.png", draw(0, 1, "uint8"))
    save(folders / "A" / "2.png", draw(0, height=13))
    message = refusal(folders, val_fraction=0)
    for text in (
        "1 of another number of channels",
        "A/0.png: 1",
        "1 of another depth",
        "B/1.png: 8 bit",
        "1 of two sizes within a pair",
        "A/2.png: 16x13",
        "1 of another size than A/0.png",
    ):
        assert text in message


# === The memory ===


@pytest.mark.parametrize(("room", "together"), [(2 * 2 * 12 * 16 * 3, 2), (1, 1)])
def test_what_is_decoded_at_one_time_has_room(tmp_path, draw, save, monkeypatch, room, together):
    """A pair is two images of 12 x 16 x 3 bytes; what is too large for all the room goes alone."""
    for index in range(8):
        for side in "AB":
            save(tmp_path / side / f"{index}.png", draw(index))
    monkeypatch.setattr(scan, "DECODED_AT_ONCE", room)
    lock, now, most, real = threading.Lock(), [0], [0], scan._look_decoded

    def counted(*args):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)  # long enough for the other threads to come as well
        try:
            return real(*args)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(scan, "_look_decoded", counted)
    open_dataset(str(tmp_path), val_fraction=0).check()
    assert most[0] == together


# === What is seen ===


def test_what_is_seen_of_a_pair(tmp_path, draw, save):
    rgba, deep = draw(1, 4), draw(2, 1, "uint16")
    files = PairFiles("1", save(tmp_path / "a.png", rgba), save(tmp_path / "b.tif", deep[:, :10]))
    (look,) = scan.scan({"val": [files]}, PairWish(), digests=True)
    assert isinstance(look, scan.PairLook)
    assert (look.split, look.files) == ("val", files)
    assert (look.a.height, look.a.width, look.b.width) == (12, 16, 10)
    assert (look.a.channels, look.a.has_alpha, look.a.dtype) == (3, True, "uint8")
    assert (look.b.channels, look.b.has_alpha, look.b.dtype) == (1, False, "uint16")
    assert (look.a.low, look.a.high) == (rgba[..., :3].min(), rgba[..., :3].max())
    assert (look.b.low, look.b.high) == (deep[:, :10].min(), deep[:, :10].max())
    assert look.a.notes == ("transparency",)
    assert look.a.covered is None
    assert look.a.digest == hashlib.sha256(rgba.tobytes()).hexdigest()


def test_digests_decode_everything_and_tell_halves_apart(
    tmp_path, draw, save, count_decoded, monkeypatch
):
    monkeypatch.setattr(scan, "FULL_CHECK_BYTES", 0)
    left, right = draw(1), draw(2)
    pairs = [
        PairFiles("1", save(tmp_path / "1.png", np.hstack([left, right]))),
        PairFiles("2", save(tmp_path / "2.bmp", np.hstack([right, left]))),
    ]
    one, two = scan.scan({"train": pairs}, PairWish(), digests=True)
    assert one.a.digest == two.b.digest != one.b.digest == two.a.digest
    assert len(set(count_decoded)) == 2


def test_coverage_is_seen_where_there_is_a_palette(tmp_path, draw, save):
    colors = np.array([c.color for c in PALETTE.classes], np.uint8)
    half = np.full((12, 16, 3), colors[3])
    half[:, 8:] = (255, 255, 255)  # no class's colour
    index_map = np.full((12, 16, 1), 200, np.uint8)  # no class's number
    files = PairFiles("1", save(tmp_path / "a.png", half), save(tmp_path / "b.png", index_map))
    (look,) = scan.scan({"train": [files]}, PairWish(palette=PALETTE))
    # Of the flat places; the border between the halves is none: 6 columns beside 6.
    assert look.a.covered == pytest.approx(0.5)
    assert look.b.covered == 0


def test_progress_in_order_from_one_thread(folders):
    seen = []
    open_dataset(str(folders), val_fraction=0).check(lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, 8) for i in range(8)]


# === Remarks ===


def test_conversions_are_counted_by_file(folders):
    source = open_dataset(
        str(folders), val_fraction=0, input_channels=1, target_channels=3, target_dtype="uint8"
    )
    source.check()
    assert source.notes() == [
        "8 images: 16 bits reduced to 8",
        "8 images: colour image reduced to grey",
        "8 images: grey image repeated into 3 channels",
    ]


def test_reading_is_remarked_upon(tmp_path, draw, save):
    for side in "AB":
        save(tmp_path / side / "1.png", draw(1))
        save(tmp_path / side / "2.npy", draw(1).astype(np.int16).astype(np.uint8))
    picture = Image.fromarray(draw(1)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "A" / "1.png", exif=exif)
    source = open_dataset(str(tmp_path), val_fraction=0)
    source.check()
    assert source.notes() == ["1 image: turned upright as its EXIF orientation says"]
    np.testing.assert_array_equal(source.load("train", 0)[0], draw(1))


def test_poorly_covered_labels_are_remarked_upon(tmp_path, draw, save):
    colors = np.array([c.color for c in PALETTE.classes], np.uint8)
    for index in range(20):
        labels = np.full((12, 16, 3), colors[index % 12])
        if index == 7:
            labels[:, 8:] = (255, 255, 255)
        save(tmp_path / "A" / f"{index:02d}.png", labels)
        save(tmp_path / "B" / f"{index:02d}.png", draw(index))
    source = open_dataset(str(tmp_path), val_fraction=0, label_palette="facades")
    source.check()
    assert source.notes() == ["the palette covers under 90% of 1 image (least: 50% of A/07.png)"]


def test_a_grey_photograph_is_no_index_map(tmp_path, draw, save, refusal):
    for index in range(3):
        save(tmp_path / "A" / f"{index}.png", draw(index, 1))
        save(tmp_path / "B" / f"{index}.png", draw(index))
    message = refusal(tmp_path, val_fraction=0, label_palette="facades", label_side="input")
    assert "its colours cover 0% of the input's pixels" in message


def test_one_index_map_with_values_of_no_class(tmp_path, draw, save, refusal):
    """Nineteen good label images carry the mean; the twentieth cannot be read all the same."""
    for index in range(20):
        value = 99 if index == 7 else index % 12 + 1
        save(tmp_path / "A" / f"{index:02d}.png", np.full((12, 16, 1), value, np.uint8))
        save(tmp_path / "B" / f"{index:02d}.png", draw(index))
    message = refusal(tmp_path, val_fraction=0, label_palette="facades")
    assert "A/07.png: index value 99 not in the palette 'facades'" in message


def test_labels_of_a_kind_that_has_no_classes(tmp_path, draw, save, refusal):
    colors = np.array([c.color for c in PALETTE.classes], np.uint8)
    for index in range(20):
        labels = np.full((12, 16, 3), colors[index % 12])
        extension = ".npy" if index == 7 else ".png"
        labels = labels.astype(np.float32) if index == 7 else labels
        save(tmp_path / "A" / f"{index:02d}{extension}", labels)
        save(tmp_path / "B" / f"{index:02d}.png", draw(index))
    message = refusal(tmp_path, val_fraction=0, label_palette="facades")
    assert "A/07.npy: " in message
