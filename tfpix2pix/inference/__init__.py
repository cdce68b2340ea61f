"""Using what a run learned: `load` opens a run, a `Translator` makes pictures with it."""

from tfpix2pix.inference.translator import KerasNetwork, Network, Translator, load, pad, resized

__all__ = ["KerasNetwork", "Network", "Translator", "load", "pad", "resized"]
