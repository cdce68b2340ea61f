"""The layers of both networks by the names of pytorch-CycleGAN-and-pix2pix, and by ours."""

from __future__ import annotations

from dataclasses import dataclass

WIDEST = 8  # channels never exceed 8 * ngf or 8 * ndf
LEVELS = range(5, 11)  # a crop size of 32 to 1024
RECEPTIVE_FIELDS = {1: 16, 3: 70, 5: 286}  # by the number of strided layers (``n_layers``)

RESNET_BLOCKS = 10  # the place of the first block


@dataclass(frozen=True)
class TorchLayer:
    """A convolution with the normalisation behind it.

    Attributes:
      name: ours.
      key: PyTorch's, without ``.weight``.
      shape: of PyTorch's kernel.
      channels: that come out.
      norm: PyTorch's key of the normalisation; empty where none follows.
      biased: whether there is a bias here whatever the normalisation.
      joined: whether a skip joins the input, so that its halves change places.
    """

    name: str
    key: str
    shape: tuple[int, int, int, int]
    channels: int
    norm: str = ""
    biased: bool = False
    joined: bool = False


def generator_layers(levels: int, ngf: int, inputs: int, outputs: int) -> list[TorchLayer]:
    """The U-Net's, in PyTorch's order.

    Level i's block stands inside that of level i - 1: ``[LeakyReLU, down, norm, block, ReLU, up,
    norm, dropout]``, without what its level lacks.

    Args:
      levels: 8 for a crop size of 256.
      ngf: channels of the first layer.
      inputs, outputs: channels of x and y.
    """

    def width(level: int) -> int:
        return ngf * min(2 ** (level - 1), WIDEST)

    down, up, prefix = [], [], "model.model."
    for level in range(1, levels + 1):
        outermost, innermost = level == 1, level == levels
        # Places within the block: of down, of the norm behind it, of the block inside, of up.
        at_down, at_norm, at_inner, at_up = 1, 2, 3, 5
        if outermost:
            at_down, at_inner, at_up = 0, 1, 3
        elif innermost:
            at_up = 3
        came, goes = (inputs if outermost else width(level - 1)), width(level)
        down.append(
            TorchLayer(
                f"down{level}",
                f"{prefix}{at_down}",
                (goes, came, 4, 4),
                goes,
                norm="" if outermost or innermost else f"{prefix}{at_norm}",
            )
        )
        made = outputs if outermost else width(level - 1)
        up.append(
            TorchLayer(
                f"up{level}",
                f"{prefix}{at_up}",
                (goes if innermost else 2 * goes, made, 4, 4),
                made,
                norm="" if outermost else f"{prefix}{at_up + 1}",
                biased=outermost,
                joined=not innermost,
            )
        )
        prefix = f"{prefix}{at_inner}.model."
    return down + up[::-1]


def resnet_layers(
    blocks: int, ngf: int, inputs: int, outputs: int, dropout: bool
) -> list[TorchLayer]:
    """The ResNet's, in PyTorch's order.

    One list of modules: padding, convolution, norm, ReLU; two of convolution, norm, ReLU; the
    blocks, each ``[padding, convolution, norm, ReLU, (dropout), padding, convolution, norm]``; two
    of transposed convolution, norm, ReLU; padding, convolution, tanh.

    Args:
      blocks: 6 or 9.
      ngf: channels of the first layer.
      inputs, outputs: channels of x and y.
      dropout: whether the blocks have it.
    """

    def layer(name: str, place: str, channels: tuple[int, int], kernel: int = 3) -> TorchLayer:
        came, goes = channels
        shape = (came, goes) if name.startswith("up") else (goes, came)
        prefix, _, at = f"model.{place}".rpartition(".")
        last = name == "last"
        norm = "" if last else f"{prefix}.{int(at) + 1}"
        return TorchLayer(
            name, f"model.{place}", (*shape, kernel, kernel), goes, norm=norm, biased=last
        )

    wide, after = 4 * ngf, RESNET_BLOCKS + blocks
    layers = [
        layer("first", "1", (inputs, ngf), 7),
        layer("down1", "4", (ngf, 2 * ngf)),
        layer("down2", "7", (2 * ngf, wide)),
    ]
    for block in range(blocks):
        place = f"{RESNET_BLOCKS + block}.conv_block"
        layers.append(layer(f"block{block + 1}a", f"{place}.1", (wide, wide)))
        layers.append(layer(f"block{block + 1}b", f"{place}.{5 + dropout}", (wide, wide)))
    return [
        *layers,
        layer("up2", f"{after}", (wide, 2 * ngf)),
        layer("up1", f"{after + 3}", (2 * ngf, ngf)),
        layer("last", f"{after + 7}", (ngf, outputs), 7),
    ]


def discriminator_layers(field: int, ndf: int, inputs: int) -> list[TorchLayer]:
    """The PatchGAN's, in PyTorch's order.

    Convolutions at 0, 2, 5, 8, ...: LeakyReLU behind the first, norm and LeakyReLU behind each of
    the others but the last.

    Args:
      field: receptive field, 1, 16, 70 or 286 pixels.
      ndf: channels of the first layer.
      inputs: channels of what it sees.
    """
    if field == 1:
        prefix, kernel, widths = "net", 1, [1, 2]
    else:
        strided = next(n for n, pixels in RECEPTIVE_FIELDS.items() if pixels == field)
        prefix, kernel = "model", 4
        widths = [min(2**i, WIDEST) for i in range(strided + 1)]
    layers, came = [], inputs
    for number, goes in enumerate([*(ndf * width for width in widths), 1], start=1):
        first, last = number == 1, number == len(widths) + 1
        place = 0 if first else 3 * number - 4
        layers.append(
            TorchLayer(
                f"conv{number}",
                f"{prefix}.{place}",
                (goes, came, kernel, kernel),
                goes,
                norm="" if first or last else f"{prefix}.{place + 1}",
                biased=first or (last and kernel == 4),
            )
        )
        came = goes
    return layers
