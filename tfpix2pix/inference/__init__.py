"""Using what a run learned: `load` opens a run, a `Translator` makes pictures with it."""

from tfpix2pix.inference.sizes import TooLarge
from tfpix2pix.inference.translator import (
    LEAST_TILE,
    WEIGHTS,
    Encodes,
    KerasEncoder,
    KerasNetwork,
    Model,
    Network,
    Tile,
    Translator,
    check_tile,
    check_weights,
    checkpoint_of,
    load,
    load_quietly,
    pad,
    resized,
)

__all__ = [
    "LEAST_TILE",
    "WEIGHTS",
    "Encodes",
    "KerasEncoder",
    "KerasNetwork",
    "Model",
    "Network",
    "Tile",
    "TooLarge",
    "Translator",
    "check_tile",
    "check_weights",
    "checkpoint_of",
    "load",
    "load_quietly",
    "pad",
    "resized",
]
