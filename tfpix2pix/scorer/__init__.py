"""The scorer of the paper's FCN-score (section 4.1): a network that reads classes from photos.

An FCN-8s learns on real photos which class every pixel belongs to; generated photos are then good
as far as it still finds in them the labels that they were made from. `tfpix2pix train-scorer`
trains one into a folder, `load_scorer` reads that folder.
"""

from tfpix2pix.scorer.store import Scorer, load_scorer

__all__ = ["Scorer", "load_scorer"]
