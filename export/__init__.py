"""Handing a trained model to the world: SavedModel, TFLite and ONNX, with proof.

import tfpix2pix

tfpix2pix.export("runs/sample", "exported", formats="onnx")  # see tfpix2pix.export.call.export
picture = tfpix2pix.export.open_model("exported").translate(image)
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

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


class _CallablePackage(types.ModuleType):
    """`tfpix2pix.export` is this package and, beside `tfpix2pix.train`, the verb: importing a
    package puts it into its parent under its name, where a function of that name would be lost."""

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """Exports a run; see `tfpix2pix.export.call.export`."""
        from tfpix2pix.export.call import export

        return export(*args, **settings)


sys.modules[__name__].__class__ = _CallablePackage


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
