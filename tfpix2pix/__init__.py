"""tfpix2pix: paired image-to-image translation (pix2pix, arXiv 1611.07004) in TensorFlow.

import tfpix2pix

run = tfpix2pix.train("pairs", steps=4000)  # or arrays (x, y); Ctrl-C saves
print(tfpix2pix.evaluate(run))
tfpix2pix.export(run, "exported", formats="onnx")
picture = tfpix2pix.load(run).translate(image)
"""

from __future__ import annotations

import importlib

from tfpix2pix.base.version import __version__

# TensorFlow takes seconds to import, so nothing here imports it before it is needed.
_HOME = {
    "train": "tfpix2pix.api",
    "evaluate": "tfpix2pix.api",
    "load": "tfpix2pix.inference",
}
__all__ = ["__version__", "evaluate", "export", "load", "train"]


def __getattr__(name: str):
    if name == "export":  # a package that can be called
        return importlib.import_module("tfpix2pix.export")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'tfpix2pix' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
