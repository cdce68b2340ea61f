"""Measures of a split: evaluators behind one small interface."""

from tfpix2pix.evaluation.base import Batch, Evaluator, Number, evaluate
from tfpix2pix.evaluation.grid import Grid
from tfpix2pix.evaluation.pixels import L1, PSNR
from tfpix2pix.evaluation.sharpness import Sharpness
from tfpix2pix.evaluation.ssim import SSIM
from tfpix2pix.evaluation.swd import SWD

# Measures of a picture and its target that need nothing else, by the name of their number.
MEASURES: dict[str, type[Evaluator]] = {
    number.name: evaluator
    for evaluator in (L1, PSNR, SSIM, Sharpness, Grid, SWD)
    for number in evaluator.numbers_of
}

__all__ = ["L1", "MEASURES", "PSNR", "SSIM", "Batch", "Evaluator", "Number", "evaluate"]
