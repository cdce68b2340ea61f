"""The data set night2day of the pix2pix paper, for TensorFlow Datasets."""

from __future__ import annotations

from tfpix2pix.data.sources.builders.pair_builder import PairBuilder


class Builder(PairBuilder):
    """Builder of `night2day`; see README.md."""
