"""What the files of exports are held against before an engine makes a session of one.

A model file is a program too, if a tame one: it names operators, some of which engines look up in
libraries, other files, and sizes that the engine allocates. An export of ours needs few operators,
no other file, and about as much memory as its generator has features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import UserError

if TYPE_CHECKING:
    from tfpix2pix.export.contract import Contract

# Tensors of our own exports hold 2 to 6 times the numbers of `feature_numbers` together: each
# feature again for its normalisation, its activation, its mask and its form in 8 bits. Weights of
# 8 or 16 bits are turned to float32 besides.
_ROOM, _ROOM_OF_WEIGHTS = 32, 4


class Refused(Exception):
    """The file holds what no export of ours holds; says what, without a full stop."""


def refusal(path: Path, error: Refused) -> UserError:
    """The sentence for a file that was not given to an engine."""
    return UserError(
        f"{path} was not loaded: {error}, which no export of tfpix2pix does; take a file that "
        "`tfpix2pix export` wrote"
    )


def check_stored(contract: Contract, stored: int, encoder: bool = False) -> None:
    """Sees that a contract's network can be in a file: a byte at least for each of its weights.

    Args:
      contract: that the file carries.
      stored: bytes of the file.
      encoder: whether it is to hold the encoder, and not the generator.

    Raises:
      Refused: the file is too small for it, or there is none.
    """
    from tfpix2pix.inference.sizes import kernel_numbers  # the package imports TensorFlow

    if encoder and not contract.encodes:
        raise Refused("its contract knows of no encoder")
    numbers = kernel_numbers(contract.encoder if encoder else contract.generator)
    if numbers > stored:
        raise Refused(
            f"its contract describes {'an encoder' if encoder else 'a generator'} of {numbers:,} "
            f"weights ({contract.config.networks}) and it holds {stored:,} bytes"
        )


def sizes_to_check(
    contract: Contract, encoder: bool = False
) -> Iterator[tuple[dict[str, tuple[int, ...]], int]]:
    """Shapes of the inputs by name, and how many numbers all tensors may hold together for them.

    One image of the export's size; where it takes any, of the size of the training and of twice
    that, so that what grows faster than the image is seen too. An encoder takes one size alone.
    """
    from tfpix2pix.inference.sizes import feature_numbers, kernel_numbers  # as above

    if encoder:
        shape = contract.encoder_shape
        numbers = _ROOM * feature_numbers(contract.encoder, *shape[:2])
        yield {"y": (1, *shape)}, numbers + _ROOM_OF_WEIGHTS * kernel_numbers(contract.encoder)
        return
    generator, trained = contract.generator, contract.config.whole_size
    sizes = [contract.image_size] if contract.image_size else [trained, trained.times(2)]
    for height, width in sizes:
        features = feature_numbers(generator, height, width)
        if generator.noise is not None:  # room for it also where dropout was left out
            features += math.prod(contract.noise_shape(height, width))
        shapes = {name: (1, *shape) for name, shape in contract.shapes(height, width).items()}
        yield shapes, _ROOM * features + _ROOM_OF_WEIGHTS * kernel_numbers(generator)


def too_large(numbers: int, shapes: dict[str, tuple[int, ...]]) -> Refused:
    """The refusal of a file whose tensors hold so many numbers for inputs of those shapes."""
    _, height, width, _ = shapes["x" if "x" in shapes else "y"]
    return Refused(
        f"it needs {numbers * 4 / 2**30:,.1f} GiB for an image of {width}x{height} pixels"
    )
