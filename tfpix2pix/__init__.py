"""tfpix2pix: paired image-to-image translation (pix2pix, arXiv 1611.07004) in TensorFlow."""

from __future__ import annotations

from tfpix2pix.base.version import __version__

__all__ = ["__version__", "load"]


def __getattr__(name: str):
    # TensorFlow takes seconds to import, so nothing here imports it before it is needed.
    if name == "load":
        from tfpix2pix.inference import load

        return load
    raise AttributeError(f"module 'tfpix2pix' has no attribute {name!r}")
