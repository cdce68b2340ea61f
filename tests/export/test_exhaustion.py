"""Requests that would fill the memory of a server are refused before anything is decoded or run."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.data import decode
from tfpix2pix.export.contract import MAX_PIXELS, Contract
from tfpix2pix.export.exporter import Request, export_run
from tfpix2pix.export.opening import open_model
from tfpix2pix.export.savedmodel.format import CONTRACT, FORMAT

pytest.importorskip("tensorflow_serving")

SIDE = 6000  # what decoding its square took before: 1.8 GB
ROOM = 200_000_000


def png(width: int, height: int, bits: int = 1, first: bytes = b"") -> bytes:
    """A grey PNG of one value, which is small whatever its size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width * bits + 7) // 8 + 1) * height, 9)
    chunks = first + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def jpeg(width: int, height: int, progressive: bool) -> bytes:
    """The file of a small picture whose header claims another size."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG", progressive=progressive)
    data = bytearray(file.getvalue())
    place = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def other(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (SIDE, SIDE)).save(file, kind)
    return file.getvalue()


BOMBS = {
    "png": png(SIDE, SIDE),
    "png of 16 bits": png(SIDE, SIDE, 16),
    "png that is thin": png(1, 1 << 21),  # padded to a multiple of 32
    "jpeg": jpeg(SIDE, SIDE, False),
    "progressive jpeg": jpeg(65500, 65500, True),
}
OTHERS = {
    "gif": other("GIF"),
    "webp": other("WEBP"),
    "bmp": b"BM" + bytes(12) + struct.pack("<IiiHH", 40, SIDE, SIDE, 1, 1) + bytes(40),
    "avif": b"\0\0\0\x20ftypavif" + bytes(100),
}
LATE = png(
    SIDE, SIDE, first=struct.pack(">I", 0) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))
)


@pytest.fixture(scope="module")
def signatures(saved_model):
    return FORMAT.open(saved_model)._model.signatures


@pytest.fixture(scope="module")
def of_one_size(exported_run, job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fixed")
    (artifact,) = FORMAT.write(job(exported_run, image_size=(32, 64)), folder)
    return FORMAT.open(folder / artifact.path)._model.signatures


def ask(signature, **inputs):
    """What a signature gives."""
    return signature(**{name: tf.constant(value) for name, value in inputs.items()})


def refused(call) -> str:
    with pytest.raises((tf.errors.InvalidArgumentError, UserError)) as error:
        call()
    return str(error.value)


def test_a_small_file_of_a_huge_picture(signatures, of_one_size, peak_growth):
    good = png(40, 30, 8)
    for which, limit in ((signatures, "at most 16,777,216 pixels"), (of_one_size, "32x64 pixels")):
        for name in ("encoded", "encoded_seeded"):

            def run(*files, signature=which[name], seeded=name == "encoded_seeded"):
                seeds = {"seed": np.arange(len(files), dtype=np.int64)} if seeded else {}
                return ask(signature, image_bytes=list(files), **seeds)

            run(good)  # so that the first run's needs do not count
            for bomb in BOMBS.values():
                for files in ([bomb], [good, good, bomb]):
                    found = []
                    call = lambda: found.append(refused(lambda: run(*files)))  # noqa: B023, E731
                    assert peak_growth(call) < ROOM
                    assert f"image_bytes: this export takes images of {limit}" in found[0]


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_other_formats_are_not_decoded_at_all(signatures, peak_growth, data):
    found = []
    call = lambda: found.append(  # noqa: E731
        refused(lambda: ask(signatures["encoded"], image_bytes=[data]))
    )
    assert peak_growth(call) < ROOM
    assert "neither a JPEG nor a PNG" in found[0]


def test_a_png_whose_size_stands_later_is_refused(signatures):
    words = refused(lambda: ask(signatures["encoded"], image_bytes=[LATE]))
    assert "does not begin with its header chunk" in words


def test_arrays_are_held_to_it_before_the_network_runs(signatures, of_one_size, peak_growth):
    thin = np.zeros([2, 1, 1 << 20, 3], np.uint8)
    seed = np.zeros(2, np.int64)
    x = np.broadcast_to(np.float32(0), (1, 32, 1 << 20, 3))
    cells = signatures["float"].structured_input_signature[1]["z"].shape[-1]
    z = np.zeros([1, 1, 1, cells], np.float32)
    for name, inputs in (
        ("serving_default", {"image": thin}),
        ("seeded", {"image": thin, "seed": seed}),
        ("float", {"x": x, "z": z}),
    ):
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        found = []
        call = lambda: found.append(refused(lambda: signatures[name](**tensors)))  # noqa: B023, E731
        assert peak_growth(call) < ROOM
        assert "this export takes images of at most 16,777,216 pixels" in found[0]
        assert "--max_pixels" in found[0]
    # Of one size they are by their shape, whose check is the server's and no operation.
    for name in ("serving_default", "float"):
        shapes = of_one_size[name].structured_input_signature[1].values()
        assert all(spec.shape.as_list()[1] is not None for spec in shapes)


def scans(count: int, size: int = 64) -> bytes:
    """A progressive JPEG that says its last scan again and again."""
    file = io.BytesIO()
    Image.new("L", (size, size)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    before = data.count(b"\xff\xda") - 1
    return data[:last] + data[last:-2] * (count - before) + data[-2:]


def film(count: int) -> bytes:
    """A JPEG that is not progressive, with other data behind it, as phones write."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(file, "JPEG", exif=exif, comment=b"\xff\xc2" * 9)
    return file.getvalue() + b"\xff\xda\xff\xc2" * count


def test_a_jpeg_whose_scans_would_take_hours(signatures):
    encoded = signatures["encoded"]
    for good in (scans(100), film(0), film(500)):
        assert ask(encoded, image_bytes=[good])
        decode(good)
    for bad in (scans(101), scans(5000, 4000)):
        assert "of more than 100 scans" in refused(lambda bad=bad: ask(encoded, image_bytes=[bad]))
        with pytest.raises(UserError, match="more than 100 scans"):
            decode(bad)
    # What hides the frame's header behind another one, from a reader that is not libjpeg.
    fake = b"\xff\xc0\x00\x0b\x08\x00\x40\x00\x40\x01\x01\x11\x00"
    data = scans(101)
    for trick in (b"\xff\x01" + b"\x00\x00", b"\xff\x00\x00\x02" + fake, b"\x00\x00" + fake):
        hidden = data[:2] + trick + data[2:]
        assert refused(lambda hidden=hidden: ask(encoded, image_bytes=[hidden]))


# === The limit is the export's ===


@pytest.fixture(scope="module")
def small(make_run, tmp_path_factory):
    """A run, and an export of it that takes 64 x 96 pixels at most."""
    folder = tmp_path_factory.mktemp("small")
    run = make_run(folder / "run", sample_pairs=8, dataset="sample")
    request = Request(("savedmodel",), max_pixels=64 * 96)
    export_run(run, folder / "out", request, check_count=1)
    return run, folder / "out"


def test_the_limit_stands_in_the_contract_and_holds_after_padding(small):
    run, out = small
    path = out / "saved_model" / "1"
    values = json.loads((path / CONTRACT).read_text())
    assert values["max_pixels"] == 64 * 96
    engine = FORMAT.open(path)
    encoded = engine._model.signatures["encoded"]
    translator = tfpix2pix.load(run)
    for height, width in ((64, 96), (33, 66), (32, 192)):
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        (found,) = ask(encoded, image_bytes=[tf.io.encode_png(image).numpy()])[
            "output_bytes"
        ].numpy()
        expected = translator.translate(image)
        assert np.abs(decode(found).array.astype(int) - expected.astype(int)).max() <= 1
        assert engine.translate(image[None]).shape == (1, height, width, 3)
    for height, width in ((65, 96), (64, 97), (1, 193), (97, 33)):
        image = np.zeros((height, width, 3), np.uint8)
        for call in (
            lambda image=image: ask(encoded, image_bytes=[tf.io.encode_png(image).numpy()]),
            lambda image=image: engine.translate(image[None]),
        ):
            assert "at most 6,144 pixels" in refused(call)
    # Turned by its EXIF orientation the same file may fit, or not.
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (96, 64)).save(file, "JPEG", exif=exif)
    (found,) = ask(encoded, image_bytes=[file.getvalue()])["output_bytes"].numpy()
    assert decode(found).array.shape == (96, 64, 3)


def test_translating_here_says_it_in_a_sentence(small, run_cli, tmp_path):
    _, out = small
    model = open_model(out)
    with pytest.raises(ValueError, match=r"128x64 pixels .*takes at most 6,144; use --fit"):
        model.translate(np.zeros((64, 97, 3), np.uint8))
    assert model.translate(np.zeros((64, 97, 3), np.uint8), fit=True).shape == (64, 97, 3)
    (tmp_path / "in").mkdir()
    Image.new("RGB", (97, 64)).save(tmp_path / "in" / "large.png")
    (tmp_path / "in" / "bomb.png").write_bytes(png(16000, 16000))
    done = run_cli("translate", f"--model={out}", "--input=in", "--output=out", timeout=120)
    assert done.returncode == 1
    assert "takes at most 6,144" in done.stderr
    assert "bomb.png: an image of more than 89,478,485 pixels" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_older_contract_has_no_limit(saved_model):
    values = json.loads((saved_model / CONTRACT).read_text())
    assert values["max_pixels"] == MAX_PIXELS
    del values["max_pixels"]
    older = Contract.parse(json.dumps(values), "FILE")
    assert older.max_pixels is None
    again = dataclasses.replace(older, max_pixels=MAX_PIXELS)
    assert again == Contract.parse((saved_model / CONTRACT).read_text(), "FILE")
    for bad in (0, -5, "many", [], 1e400):
        with pytest.raises(UserError, match="does not carry the contract"):
            Contract.parse(json.dumps({**values, "max_pixels": bad}), "FILE")


def test_an_older_export_without_a_limit_runs(exported_run, job, tmp_path):
    made = job(exported_run)
    made = dataclasses.replace(made, contract=dataclasses.replace(made.contract, max_pixels=None))
    (artifact,) = FORMAT.write(made, tmp_path)
    engine = FORMAT.open(tmp_path / artifact.path)
    assert engine.max_pixels is None
    found = ask(engine._model.signatures["encoded"], image_bytes=[png(40, 30, 8)])
    assert decode(found["output_bytes"].numpy()[0]).array.shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--max_pixels=4095"], "expected 4,096"),
        (["--max_pixels=2147483648"], "expected 4,096"),
        (["--max_pixels=9999", "--image_size=64"], "give one of the two"),
        (["--max_pixels=many"], "max_pixels"),
    ],
)
def test_limits_that_cannot_be(exported_run, run_cli, tmp_path, flags, words):
    done = run_cli("export", f"--workdir={exported_run}", f"--output={tmp_path / 'o'}", *flags)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()


# === What is well is as it was ===


def test_all_kinds_of_png_still_go_in(signatures):
    random = np.random.default_rng(1)
    colour = random.integers(0, 256, (20, 33, 3), np.uint8)
    deep = random.integers(0, 65536, (20, 33, 3), np.uint16)
    palette = io.BytesIO()
    Image.fromarray(colour).quantize(5).save(palette, "PNG")
    alpha = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (9, 40, 4), np.uint8)).save(alpha, "PNG")
    files = [
        imagecodecs.png_encode(deep),
        palette.getvalue(),
        alpha.getvalue(),
        png(37, 11, 1),
        interlaced(colour),
    ]
    found = ask(signatures["encoded"], image_bytes=files)["output_bytes"].numpy()
    plain = [
        ask(signatures["encoded"], image_bytes=[file])["output_bytes"].numpy()[0] for file in files
    ]
    for file, result, alone in zip(files, found, plain, strict=True):
        assert decode(result).array.shape[:2] == decode(file).array.shape[:2]
        np.testing.assert_array_equal(decode(result).array, decode(alone).array)
    straight = ask(signatures["encoded"], image_bytes=[tf.io.encode_png(colour).numpy()])
    np.testing.assert_array_equal(
        decode(found[4]).array, decode(straight["output_bytes"].numpy()[0]).array
    )


def interlaced(image: np.ndarray) -> bytes:
    """An RGB image as a PNG interlaced by Adam7, which no encoder here writes."""
    rows = b""
    for y, x, dy, dx in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        for row in image[y::dy, x::dx]:
            if row.size:
                rows += b"\0" + row.tobytes()
    height, width = image.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    data = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        crc = zlib.crc32(name + content)
        data += struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)
    np.testing.assert_array_equal(decode(data).array, image)
    return data
