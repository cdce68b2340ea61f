"""Measures of a split: evaluators behind one small interface."""

from tfpix2pix.evaluation.base import Batch, Evaluator, Number, evaluate
from tfpix2pix.evaluation.pixels import L1, PSNR
from tfpix2pix.evaluation.ssim import SSIM

# Measures of a picture and its target that need nothing else, by the name of their number.
MEASURES: dict[str, type[Evaluator]] = {"l1": L1, "psnr": PSNR, "ssim": SSIM}

__all__ = ["L1", "MEASURES", "PSNR", "SSIM", "Batch", "Evaluator", "Number", "evaluate"]
