"""The embedded data set `sample`: house fronts made of nothing but a seed.

Each pair is a label map of a facade and a "photograph" of it. A scene is drawn once, in
coordinates of the unit square, and painted twice: with material, light, shadow and clutter, as the
photo, and flat, as the label map: in the classes and colours of the CMP Facade Database, or in
more, which also say what things look like. Geometry and style come from separate random streams, so
one label map of CMP's classes has many right photos.

Words as in CMP: a *molding* is a stripe across the facade, a *cornice* the raised
panel above one window, a *sill* the one below it, a *blind* a shutter or a blind;
a roof counts as facade, and everything that is not this house as background.
"""

from tfpix2pix.data.sample.detailed import DETAILED
from tfpix2pix.data.sample.pairs import LABELS, SPLITS, facade_pair, facade_pairs
from tfpix2pix.data.sample.pictures import PALETTE

__all__ = ["DETAILED", "LABELS", "PALETTE", "SPLITS", "facade_pair", "facade_pairs"]
