"""How large a generator is, before anything of it is made: from its config alone.

A config or a contract that comes from somebody else may describe a network that fits into no
memory. What it needs is compared with what is stored for it first.
"""

from __future__ import annotations

from tfpix2pix.config import Config

_WIDEST = 8  # as in `generator`; the tests compare the two


def kernel_shapes(config: Config) -> dict[str, tuple[int, int, int, int]]:
    """The shapes of a generator's kernels by layer: all of its weights but a few in a thousand.

    ``[4, 4, C_in, C_out]`` of ``down1 .. downD``, ``[4, 4, C_out, C_in]`` of ``upD .. up1``.
    """
    depth = config.crop_size.bit_length() - 1

    def channels(level: int) -> int:
        return config.ngf * min(2 ** (level - 1), _WIDEST) if level else config.x_channels

    shapes = {f"down{i}": (4, 4, channels(i - 1), channels(i)) for i in range(1, depth + 1)}
    for level in range(depth, 0, -1):
        joined = 2 if config.generator == "unet" and level < depth else 1
        out = channels(level - 1) if level > 1 else config.y_channels
        shapes[f"up{level}"] = (4, 4, out, joined * channels(level))
    return shapes


def kernel_numbers(config: Config) -> int:
    """How many numbers the kernels of a generator hold together."""
    return sum(a * b * c * d for a, b, c, d in kernel_shapes(config).values())


def feature_numbers(config: Config, height: int, width: int) -> int:
    """How many numbers the inputs and results of a generator's convolutions hold together.

    Args:
      config: of the generator.
      height, width: of one image, multiples of the crop size.
    """
    total = 0
    for name, (_, _, one, other) in kernel_shapes(config).items():
        level = int(name.lstrip("downup"))
        fine = (height >> (level - 1)) * (width >> (level - 1))
        coarse = (height >> level) * (width >> level)
        # Going down `one` comes in at the finer size, going up it goes out there.
        total += fine * one + coarse * other
    return total
