"""Measures of a split: one evaluator per file behind one small interface."""

from tfpix2pix.evaluation.base import Batch, Evaluator, Number, evaluate
from tfpix2pix.evaluation.l1 import L1
from tfpix2pix.evaluation.psnr import PSNR
from tfpix2pix.evaluation.ssim import SSIM

__all__ = ["L1", "PSNR", "SSIM", "Batch", "Evaluator", "Number", "evaluate"]
