"""Using what a run learned: `load` opens a run, a `Translator` makes pictures with it."""

from tfpix2pix.inference.translator import (
    KerasNetwork,
    Model,
    Network,
    Translator,
    load,
    load_quietly,
    pad,
    resized,
)

__all__ = [
    "KerasNetwork",
    "Model",
    "Network",
    "Translator",
    "load",
    "load_quietly",
    "pad",
    "resized",
]
