"""Weights in the form of the authors' PyTorch code."""
