"""Handing a trained model to the world: SavedModel, TFLite and ONNX, with proof.

from tfpix2pix.export import Request, export_run, open_model, verify

export_run("runs/sample", "exported", Request(formats=("onnx",)))
picture = open_model("exported").translate(image)
"""

from __future__ import annotations

import importlib

# Names are resolved on first use: importing the package must not pull in TensorFlow.
_HOME = {
    "Contract": "contract",
    "ExportMismatch": "exporter",
    "Request": "exporter",
    "export_run": "exporter",
    "verify": "exporter",
    "open_model": "opening",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
