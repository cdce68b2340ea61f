"""The data set facades of the pix2pix paper, for TensorFlow Datasets."""

from __future__ import annotations

from tfpix2pix.data.sources.builders.pair_builder import PairBuilder


class Builder(PairBuilder):
    """Builder of `facades`; see README.md."""
