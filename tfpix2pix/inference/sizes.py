"""How large a run's generator is, before anything of it is made.

A config or a contract that comes from somebody else may describe a network that fits into no
memory. What it needs is compared with what is stored for it first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import UserError

if TYPE_CHECKING:
    from tfpix2pix.models.base import Encoder, Generator


class TooLarge(UserError):
    """A picture for which there is not memory enough; a sentence without the file's name."""


# Numbers per pixel that are granted to a generator of which no layer is known.
_UNKNOWN = 4096


def kernel_shapes(network: Generator | Encoder) -> dict[str, tuple[int, ...]]:
    """The shapes of the kernels by layer, all of the weights but a few in a thousand; empty for a
    network that does not tell them."""
    return {name: kernel.shape for name, kernel in network.kernels.items()}


def kernel_numbers(network: Generator | Encoder) -> int:
    """How many numbers the kernels of a network hold together; 0 if it does not tell them."""
    return sum(math.prod(shape) for shape in kernel_shapes(network).values())


def feature_numbers(network: Generator | Encoder, height: int, width: int) -> int:
    """How many numbers the inputs and results of a network's convolutions hold together.

    Args:
      network: as its algorithm describes it.
      height, width: of one image, multiples of a generator's size multiple.
    """
    kernels = network.kernels
    if not kernels:
        return _UNKNOWN * height * width
    return sum(
        channels * (height // pixels) * (width // pixels)
        for kernel in kernels.values()
        for channels, pixels in kernel.features
    )


def whole_bytes(generator: Generator, height: int, width: int) -> int | None:
    """Memory that a generator needs for one image at once, about.

    What was measured is half to all of it (`benchmarks/tiles.py`): of the features, TensorFlow
    keeps what is read again.

    Args:
      generator, height, width: as `feature_numbers` takes them.

    Returns:
      bytes; None for a generator of which no layer is known.
    """
    if not generator.kernels:
        return None
    return 4 * feature_numbers(generator, height, width)


def gigabytes(count: float) -> str:
    """A number of bytes for people: ``12.3 GB``, or ``0.5 MB``."""
    return f"{count / 1e9:,.1f} GB" if count >= 5e8 else f"{count / 1e6:,.1f} MB"
