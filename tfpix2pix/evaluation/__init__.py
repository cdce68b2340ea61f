"""Measures of a split: evaluators behind one small interface."""

from tfpix2pix.evaluation.base import Batch, Evaluator, Number, evaluate
from tfpix2pix.evaluation.pixels import L1, PSNR
from tfpix2pix.evaluation.ssim import SSIM

__all__ = ["L1", "PSNR", "SSIM", "Batch", "Evaluator", "Number", "evaluate"]
