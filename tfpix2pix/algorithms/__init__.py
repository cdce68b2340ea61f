"""Training algorithms: each is networks and a step; the loop knows no more of them."""

from tfpix2pix.algorithms.pix2pix import Pix2Pix

__all__ = ["Pix2Pix"]
