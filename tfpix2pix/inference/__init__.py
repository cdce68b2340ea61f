"""Using what a run learned: `load` opens a run, a `Translator` makes pictures with it."""

from tfpix2pix.inference.translator import (
    WEIGHTS,
    KerasNetwork,
    Model,
    Network,
    Translator,
    check_weights,
    load,
    load_quietly,
    pad,
    resized,
)

__all__ = [
    "WEIGHTS",
    "KerasNetwork",
    "Model",
    "Network",
    "Translator",
    "check_weights",
    "load",
    "load_quietly",
    "pad",
    "resized",
]
