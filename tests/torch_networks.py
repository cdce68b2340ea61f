"""The paper's two networks in PyTorch, written from its appendix 6.1, for comparison.

Modules are nested so that the state dict has the names of the authors' PyTorch code: a level of the
U-Net is ``[LeakyReLU, down, norm, the deeper levels, ReLU, up, norm, dropout]`` in one sequence.
Importing this needs PyTorch.
"""

from __future__ import annotations

import torch
from torch import nn


class Mask(nn.Module):
    """Dropout with a mask that is handed to it; without one, none."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = None

    def forward(self, x):
        return x if self.mask is None else x * self.mask


def norm_layer(norm: str, channels: int, affine: bool = False) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels, affine=affine) if norm == "instance" else nn.Identity()


class Level(nn.Module):
    """One level with the deeper ones inside it; what it hands up has its input beside it."""

    def __init__(self, inputs, inner, outputs, deeper, norm, masked):
        super().__init__()
        bias = norm == "instance"  # elsewhere the normalisation's own offset does it
        self.outermost = inner is not None and deeper is not None and outputs < 0
        outputs = abs(outputs)
        down = nn.Conv2d(inputs, inner, 4, 2, 1, bias=bias)
        joined = inner if deeper is None else 2 * inner
        up = nn.ConvTranspose2d(joined, outputs, 4, 2, 1, bias=bias or self.outermost)
        # In place, as there: the skip then carries what the LeakyReLU made.
        leaky, relu = nn.LeakyReLU(0.2, inplace=True), nn.ReLU(inplace=True)
        if self.outermost:
            parts = [down, deeper, relu, up, nn.Tanh()]
        elif deeper is None:
            parts = [leaky, down, relu, up, norm_layer(norm, outputs)]
        else:
            parts = [leaky, down, norm_layer(norm, inner), deeper, relu, up]
            parts.append(norm_layer(norm, outputs))
        if masked:
            parts.append(Mask())
        self.model = nn.Sequential(*parts)

    def forward(self, x):
        if self.outermost:
            return self.model(x)
        return torch.cat([x, self.model(x)], dim=1)


class Generator(nn.Module):
    """U-Net of `levels`; `masks` has the dropout of decoder level i where that level has one."""

    def __init__(self, levels, inputs=3, outputs=3, ngf=64, norm="batch"):
        super().__init__()
        widths = [min(2**i, 8) * ngf for i in range(levels)]
        self.wide = 8 * ngf
        block, self.masks = None, {}
        for level in range(levels, 1, -1):
            # Full-width decoder layers have dropout there, all but the innermost.
            masked = widths[level - 2] == 8 * ngf and level < levels
            before, inner = widths[level - 2], widths[level - 1]
            block = Level(before, inner, before, block, norm, masked)
            if masked:
                self.masks[level] = block.model[-1]
        self.model = Level(inputs, widths[0], -outputs, block, norm, False)

    def forward(self, x):
        return self.model(x)


class Block(nn.Module):
    """Two 3x3 convolutions of the mirrored features, added to what came in."""

    def __init__(self, channels, norm, masked, affine):
        super().__init__()
        self.mask = Mask() if masked else None
        parts = []
        for half in range(2):
            parts += [
                nn.ReflectionPad2d(1),
                nn.Conv2d(channels, channels, 3, bias=norm == "instance"),
            ]
            parts.append(norm_layer(norm, channels, affine))
            if half == 0:
                parts += [nn.ReLU(True), *([self.mask] if masked else [])]
        self.conv_block = nn.Sequential(*parts)

    def forward(self, x):
        return x + self.conv_block(x)


class ResNet(nn.Module):
    """CycleGAN's generator; `masks` has the dropout of each block, where there is one."""

    def __init__(
        self, blocks, inputs=3, outputs=3, ngf=64, norm="instance", masked=False, affine=False
    ):
        super().__init__()
        bias = norm == "instance"

        def normed(convolution):
            return [convolution, norm_layer(norm, convolution.out_channels, affine), nn.ReLU(True)]

        parts = [nn.ReflectionPad2d(3), *normed(nn.Conv2d(inputs, ngf, 7, bias=bias))]
        for n in (ngf, 2 * ngf):
            parts += normed(nn.Conv2d(n, 2 * n, 3, stride=2, padding=1, bias=bias))
        self.blocks = [Block(4 * ngf, norm, masked, affine) for _ in range(blocks)]
        parts += self.blocks
        for n in (4 * ngf, 2 * ngf):
            parts += normed(
                nn.ConvTranspose2d(n, n // 2, 3, 2, padding=1, output_padding=1, bias=bias)
            )
        parts += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, outputs, 7), nn.Tanh()]
        self.model = nn.Sequential(*parts)

    def forward(self, x):
        return self.model(x)


class Discriminator(nn.Module):
    """PatchGAN with `strided` layers of stride 2 (3 for 70 pixels), or the 1x1 one for 0."""

    def __init__(self, strided, inputs=6, ndf=64, norm="batch"):
        super().__init__()
        bias, size, pad = norm == "instance", 4 if strided else 1, 1 if strided else 0
        parts, before = [], inputs
        for i in range((strided or 1) + 1):
            width = min(2**i, 8) * ndf
            stride = 2 if i < strided else 1
            parts.append(nn.Conv2d(before, width, size, stride, pad, bias=bias or i == 0))
            if i > 0:
                parts.append(norm_layer(norm, width))
            parts.append(nn.LeakyReLU(0.2, inplace=True))
            before = width
        parts.append(nn.Conv2d(before, 1, size, 1, pad, bias=bias or strided > 0))
        setattr(self, "model" if strided else "net", nn.Sequential(*parts))

    def forward(self, pair):
        return next(self.children())(pair)


def train(generator, discriminator, size, dropout=0.5, steps=3) -> None:
    """Trains both as the authors' code does: from N(0, 0.02), with Adam and the paper's objective.

    A step on D with (x, y) and (x, G(x)), its objective halved, then one on G with 100 times L1.
    """
    draws = torch.Generator().manual_seed(0)
    for network in (generator, discriminator):
        for name, value in network.named_parameters():
            with torch.no_grad():
                noise = 0.02 * torch.randn(value.shape, generator=draws)
                scale = value.ndim == 1 and name.endswith("weight")  # of a batch normalisation
                value.copy_(torch.zeros_like(value) if name.endswith("bias") else scale + noise)
    first, last = generator.model.model[0], generator.model.model[3]
    shape = (1, first.in_channels, size, size), (1, last.out_channels, size, size)
    x, y = (2 * torch.rand(each, generator=draws) - 1 for each in shape)
    adams = [
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for network in (discriminator, generator)
    ]
    judged = nn.functional.binary_cross_entropy_with_logits
    for _ in range(steps):
        for level, module in generator.masks.items():
            side = size // 2 ** (level - 1)
            kept = torch.rand((1, generator.wide, side, side), generator=draws) >= dropout
            module.mask = kept / (1 - dropout)
        fake = generator(x)
        real = discriminator(torch.cat([x, y], 1))
        made = discriminator(torch.cat([x, fake.detach()], 1))
        adams[0].zero_grad()
        loss = judged(real, torch.ones_like(real)) + judged(made, torch.zeros_like(made))
        (loss / 2).backward()
        adams[0].step()
        made = discriminator(torch.cat([x, fake], 1))
        adams[1].zero_grad()
        (judged(made, torch.ones_like(made)) + 100 * (fake - y).abs().mean()).backward()
        adams[1].step()
    for module in generator.masks.values():
        module.mask = None


def scramble(network: nn.Module, seed: int = 0) -> nn.Module:
    """Gives everything in the state dict a random value that matters; kernels keep the scale."""
    random = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    for name, value in state.items():
        if value.dtype == torch.int64:
            state[name] = torch.tensor(7)
            continue
        noise = torch.randn(value.shape, generator=random)
        if value.ndim == 4:
            # A transposed kernel is [in, out, h, w]; every output pixel gets 2 x 2 of 4 x 4.
            transposed = isinstance(_owner(network, name), nn.ConvTranspose2d)
            inputs = value.shape[0] / 4 if transposed else value.shape[1]
            state[name] = noise / (inputs * value.shape[2] * value.shape[3]) ** 0.5
        elif name.endswith("running_var"):
            state[name] = noise.abs() + 0.5
        elif name.endswith("weight"):
            state[name] = 1 + 0.3 * noise
        else:
            state[name] = 0.3 * noise
    network.load_state_dict(state)
    return network


def _owner(network: nn.Module, name: str) -> nn.Module:
    return network.get_submodule(name.rpartition(".")[0])


def arrays(network: nn.Module) -> dict:
    """The state dict as NumPy arrays, copied."""
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}
