"""The data set edges2shoes of the pix2pix paper, for TensorFlow Datasets."""

from __future__ import annotations

from tfpix2pix.data.sources.builders.pair_builder import PairBuilder


class Builder(PairBuilder):
    """Builder of `edges2shoes`; see README.md."""
