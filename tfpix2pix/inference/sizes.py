"""How large a run's generator is, before anything of it is made.

A config or a contract that comes from somebody else may describe a network that fits into no
memory. What it needs is compared with what is stored for it first.
"""

from __future__ import annotations

import math

from tfpix2pix.algorithms.registry import default_generator
from tfpix2pix.config import Config

# Numbers per pixel that are granted to a generator of which no layer is known.
_UNKNOWN = 4096


def kernel_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The shapes of the kernels by layer, all of the weights but a few in a thousand; empty for a
    generator that does not tell them."""
    return {name: kernel.shape for name, kernel in default_generator(config).kernels.items()}


def kernel_numbers(config: Config) -> int:
    """How many numbers the kernels of a generator hold together; 0 if it does not tell them."""
    return sum(math.prod(shape) for shape in kernel_shapes(config).values())


def feature_numbers(config: Config, height: int, width: int) -> int:
    """How many numbers the inputs and results of a generator's convolutions hold together.

    Args:
      config: of the generator.
      height, width: of one image, multiples of the generator's size multiple.
    """
    kernels = default_generator(config).kernels
    if not kernels:
        return _UNKNOWN * height * width
    return sum(
        channels * (height // pixels) * (width // pixels)
        for kernel in kernels.values()
        for channels, pixels in kernel.features
    )
