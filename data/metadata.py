"""What a file says of its pixels' size and place in the world, for a result of the same size.

TIFF's geographic tags (GeoTIFF 1.1, and GDAL's value for "nothing measured"), and the resolution
of TIFF (OME-TIFF and ImageJ's among them), PNG, JPEG and BMP.
"""

from __future__ import annotations

import dataclasses
import os
import re
import struct
import zlib
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tfpix2pix.data.formats import by_pillow, format_of, tiff

# GeoTIFF's tags with the types of their values (ModelPixelScale, ModelTiepoint,
# ModelTransformation, GeoKeyDirectory, GeoDoubleParams, GeoAsciiParams), the coefficients of a
# satellite's camera (RPC), and GDAL_NODATA.
_GEO_TAGS = {33550: "d", 33922: "d", 34264: "d", 34735: "H", 34736: "d", 34737: "s", 50844: "d"}
_BANDS_TAG = 42112  # GDAL_METADATA
_UNITS = {2: 0.0254, 3: 0.01}  # ResolutionUnit: inch and centimetre, in metres
_METERS = {"nm": 1e-9, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0}
_METERS |= {"micron": 1e-6, "microns": 1e-6, "inch": 0.0254}


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Size and place of an upright image's pixels.

    Attributes:
      geo: values of TIFF's geographic tags by number.
      nodata: GDAL's text for the value that means "nothing measured"; empty without.
      resolution: pixels a metre along x and y; None if the file does not say.
      unit: TIFF's ResolutionUnit in which it was given: 2 inch, 3 centimetre.
      bands: what each channel is called, as GDAL has it in a TIFF; empty without names.
    """

    geo: dict[int, Any] = dataclasses.field(default_factory=dict)
    nodata: str = ""
    resolution: tuple[float, float] | None = None
    unit: int = 2
    bands: tuple[str, ...] = ()

    def tiff_options(self, dtype: np.dtype) -> dict[str, Any]:
        """Arguments of `tifffile.imwrite` for values of a type."""
        tags = [
            (tag, kind, 0 if kind == "s" else np.size(self.geo[tag]), self.geo[tag], True)
            for tag, kind in _GEO_TAGS.items()
            if tag in self.geo
        ]
        if self.nodata_fits(dtype):
            tags.append((tiff.NODATA_TAG, "s", 0, self.nodata, True))
        if self.bands:
            tags.append((_BANDS_TAG, "s", 0, _band_names(self.bands), True))
        options: dict[str, Any] = {"extratags": tags}
        if self.resolution:
            meters = _UNITS[self.unit]
            options["resolution"] = tuple(round(value * meters, 6) for value in self.resolution)
            options["resolutionunit"] = self.unit
        return options

    def nodata_fits(self, dtype: np.dtype) -> bool:
        """Whether a type holds the value that means "nothing measured"."""
        try:
            value = float(self.nodata)
        except ValueError:
            return False
        if dtype.kind == "f":
            return True
        return value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Pixels an inch, along x and y."""
        if self.resolution is None:
            return None
        x, y = self.resolution
        return round(x * 0.0254, 4), round(y * 0.0254, 4)

    def into_png(self, content: bytes) -> bytes:
        """A PNG with the resolution in it (chunk pHYs, behind IHDR, which ends at byte 33)."""
        if not self.resolution:
            return content
        x, y = (min(round(value), 2**32 - 1) for value in self.resolution)
        chunk = b"pHYs" + struct.pack(">IIB", x, y, 1)
        chunk = struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return content[:33] + chunk + content[33:]


def _band_names(names: Sequence[str]) -> str:
    """The text of GDAL's tag that names the channels; ASCII, as TIFF's texts are."""
    root = ElementTree.Element("GDALMetadata")
    for place, name in enumerate(names):
        about = {"name": "DESCRIPTION", "sample": str(place), "role": "description"}
        ElementTree.SubElement(root, "Item", about).text = name
    return ElementTree.tostring(root, "us-ascii", xml_declaration=False).decode("ascii")


def read_metadata(path: str | os.PathLike) -> Metadata:
    """What a file's header says; nothing where it cannot be read, which is no fault of its pixels.

    Of an image that reading turns, the geographic tags, which go by rows and columns, are left out.
    """
    try:
        with open(path, "rb") as file:
            image_format = format_of(file.read(16))
            file.seek(0)
            if image_format == "TIFF":
                with tiff.opened(file) as tif:
                    return _of_tiff(tif)
            if image_format in ("PNG", "JPEG", "BMP"):
                with by_pillow.opened(file, image_format) as image:
                    dpi = image.info.get("dpi")
                    found = tuple(float(value) / 0.0254 for value in dpi) if dpi else None
                    return Metadata(resolution=_turned(found, by_pillow.orientation_of(image)))
    except Exception:  # Libraries raise nearly anything on damaged data.
        pass
    return Metadata()


def _of_tiff(tif: Any) -> Metadata:
    tags = tif.pages.first.tags
    orientation = tags.valueof(tiff.ORIENTATION_TAG, 1)
    geo = {}
    for tag, kind in _GEO_TAGS.items():
        value = tags.valueof(tag)
        if value is not None and orientation == 1:
            geo[tag] = value if kind == "s" else tuple(np.ravel(value).tolist())
    nodata = str(tags.valueof(tiff.NODATA_TAG, "")).strip(" \0")
    unit = int(tags.valueof(296, 2))
    found = None
    if 282 in tags and 283 in tags:
        x, y = (tags.valueof(tag) for tag in (282, 283))
        meters = _UNITS.get(unit)
        if tif.is_imagej and meters is None:
            meters = _METERS.get(str(tif.imagej_metadata.get("unit", "")).replace("\\u00B5", "µ"))
        if meters and x[0] and x[1] and y[0] and y[1]:
            found = (x[0] / x[1] / meters, y[0] / y[1] / meters)
    if tif.is_ome:
        found = _of_ome(tif.ome_metadata) or found
    unit = unit if unit in _UNITS else 3
    return Metadata(geo, nodata, _turned(found, orientation), unit)


def _of_ome(xml: str) -> tuple[float, float] | None:
    sizes = []
    for axis in "XY":
        size = re.search(rf'PhysicalSize{axis}="([^"]+)"', xml)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', xml)
        meters = _METERS.get(unit[1] if unit else "µm")  # the default of OME's schema
        if not size or not meters or not float(size[1]) > 0:
            return None
        sizes.append(1 / (float(size[1]) * meters))
    return sizes[0], sizes[1]


def _turned(resolution: tuple[float, ...] | None, orientation: int) -> tuple[float, float] | None:
    """Checked, and with x and y exchanged where the image was."""
    if not resolution or not all(0 < value < float("inf") for value in resolution):
        return None
    x, y = resolution
    return (y, x) if orientation in (5, 6, 7, 8) else (x, y)
