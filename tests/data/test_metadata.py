"""Size and place of pixels: read from files of other libraries, written, and read again."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from tfpix2pix.data.images import write_image
from tfpix2pix.data.metadata import Metadata, read_metadata

# Ten metres a pixel, UTM zone 32 north.
GEO = {
    33550: (10.0, 10.0, 0.0),
    33922: (0.0, 0.0, 0.0, 4e5, 5e6, 0.0),
    34735: (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632),
    34737: "WGS 84 / UTM zone 32N|",
}
TAGS = [
    (33550, "d", 3, GEO[33550], True),
    (33922, "d", 6, GEO[33922], True),
    (34735, "H", 16, GEO[34735], True),
    (34737, "s", 0, GEO[34737], True),
]


@pytest.fixture
def georeferenced(tmp_path):
    def write(*more, **options):
        path = tmp_path / "in.tif"
        array = np.zeros((6, 9), "uint16")
        tifffile.imwrite(path, array, extratags=[*TAGS, *more], **options)
        return path

    return write


def tags_of(path):
    with tifffile.TiffFile(path) as tif:
        return {tag.code: tag.value for tag in tif.pages.first.tags}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_geographic_tags_go_into_a_tiff_of_any_kind(georeferenced, tmp_path, dtype, channels):
    metadata = read_metadata(georeferenced((42113, "s", 0, "-9999", True)))
    assert metadata.geo == GEO
    assert metadata.nodata == "-9999"
    out = tmp_path / "out.tif"
    write_image(out, np.zeros((6, 9, channels), dtype), alpha=False, metadata=metadata)
    tags = tags_of(out)
    assert {tag: tags.get(tag) for tag in GEO} == GEO
    # -9999 means nothing in a type that cannot hold it.
    assert tags.get(42113) == ("-9999" if dtype == "float32" else None)
    assert read_metadata(out).geo == GEO


def test_geographic_tags_of_an_image_that_reading_turns_are_left_out(georeferenced):
    assert read_metadata(georeferenced((274, "H", 1, 6, True))).geo == {}


@pytest.mark.parametrize(("unit", "meters"), [("INCH", 0.0254), ("CENTIMETER", 0.01)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("extension", [".tif", ".png", ".jpg", ".bmp"])
def test_resolution(tmp_path, unit, meters, dtype, extension):
    source, out = tmp_path / "in.tif", tmp_path / f"out{extension}"
    array = np.zeros((6, 9), dtype)
    tifffile.imwrite(source, array, resolution=(300, 150), resolutionunit=unit)
    metadata = read_metadata(source)
    assert metadata.resolution == pytest.approx((300 / meters, 150 / meters))
    kept = {".jpg": ("uint8",), ".bmp": ("uint8",), ".png": ("uint8", "uint16")}
    if dtype not in kept.get(extension, (dtype,)):
        return
    write_image(out, array, metadata=metadata)
    if extension == ".tif":
        tags = tags_of(out)
        assert (tags[282], tags[283]) == ((300, 1), (150, 1))
        assert tags[296] == {"INCH": 2, "CENTIMETER": 3}[unit]
    else:
        with Image.open(out) as image:
            dpi = (300 * 0.0254 / meters, 150 * 0.0254 / meters)
            assert image.info["dpi"] == pytest.approx(dpi, rel=2e-3)
            assert np.asarray(image).shape == array.shape


def test_resolution_of_microscopes(tmp_path):
    path, array = tmp_path / "in.tif", np.zeros((6, 9), "uint16")
    # A quarter of a micrometre a pixel.
    tifffile.imwrite(path, array, imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    assert read_metadata(path).resolution == pytest.approx((4e6, 4e6))
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 500, "PhysicalSizeYUnit": "nm"}
    tifffile.imwrite(path, array, ome=True, metadata={"axes": "YX", **sizes})
    metadata = read_metadata(path)
    assert metadata.resolution == pytest.approx((4e6, 2e6))
    write_image(path, array, metadata=metadata)
    assert tags_of(path)[282] == (40000, 1)  # pixels a centimetre


@pytest.mark.parametrize(("orientation", "dpi"), [(1, (300, 150)), (6, (150, 300))])
def test_resolution_of_a_turned_photograph(tmp_path, orientation, dpi):
    path, exif = tmp_path / "in.jpg", Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (8, 6)).save(path, dpi=(300, 150), exif=exif)
    assert read_metadata(path).dpi == pytest.approx(dpi)


def test_what_says_nothing(tmp_path):
    path = tmp_path / "file"
    for content in (b"", b"II*\0", b"no image", b"\x89PNG\r\n\x1a\n"):
        path.write_bytes(content)
        assert read_metadata(path) == Metadata()
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((4, 4), "uint8"))
    path.write_bytes(file.getvalue())
    assert read_metadata(path) == Metadata(unit=3)


@pytest.mark.parametrize(
    ("nodata", "fits"),
    [
        ("0", ["uint8", "uint16", "float32"]),
        ("65535", ["uint16", "float32"]),
        ("nan", ["float32"]),
        ("-9999.5", ["float32"]),
        ("none", []),
    ],
)
def test_values_that_mean_nothing_measured(nodata, fits):
    types = ["uint8", "uint16", "float32"]
    assert [t for t in types if Metadata(nodata=nodata).nodata_fits(np.dtype(t))] == fits


def test_four_channels_are_alpha_only_where_they_are(tmp_path):
    path = tmp_path / "out.tif"
    for alpha, kinds, photometric in ((True, [2], 2), (False, [0, 0, 0], 1)):
        write_image(path, np.zeros((4, 4, 4), "uint16"), alpha=alpha)
        with tifffile.TiffFile(path) as tif:
            page = tif.pages.first
            assert [int(kind) for kind in page.extrasamples] == kinds
            assert int(page.photometric) == photometric
