"""A network as it stands on a page that needs no server: its ONNX file as scripts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tfpix2pix.base.errors import UserError
from tfpix2pix.demo.page import unpacked
from tfpix2pix.export.engine import short_reason
from tfpix2pix.export.onnx.format import OnnxEngine

_FILE = "generator.onnx"


def network_of(folder: Path) -> bytes:
    """The ONNX file of a network's folder on a page.

    Raises:
      UserError: it is damaged.
    """
    try:
        return unpacked(folder, _FILE)
    except (ValueError, OSError) as error:
        raise UserError(
            f"{folder} cannot be loaded ({short_reason(error)}); export again"
        ) from None


def open_network(folder: Path, threads: int | None = None) -> OnnxEngine:
    """What runs it in Python; arguments and errors of `OnnxEngine`."""
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, _FILE)
        file.write_bytes(network_of(folder))
        engine = OnnxEngine(file, threads)
    engine.path = folder
    return engine
