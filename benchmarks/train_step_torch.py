"""The torch side of train_step.py: the authors' PyTorch architectures and steps, written plainly.

Needs torch. It runs in a process of its own, without TensorFlow.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import nn


class Level(nn.Module):
    """One level of the U-Net with the deeper ones inside it."""

    def __init__(self, outer: int, inner: int, deeper: nn.Module | None, dropout: bool) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, 2, 1, bias=False)]
        if deeper is not None:
            parts += [nn.BatchNorm2d(inner), deeper]
        joined = inner if deeper is None else 2 * inner
        up = nn.ConvTranspose2d(joined, outer, 4, 2, 1, bias=False)
        parts += [nn.ReLU(), up, nn.BatchNorm2d(outer)]
        if dropout:
            parts.append(nn.Dropout(0.5))
        self.path = nn.Sequential(*parts)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.cat([features, self.path(features)], dim=1)


def generator(size: int, ngf: int) -> nn.Module:
    """The U-Net for images of `size` pixels."""
    depth = int(np.log2(size))
    widths = [min(2**i, 8) * ngf for i in range(depth)]
    deeper: nn.Module | None = None
    for level in range(depth - 1, 0, -1):
        outer, inner = widths[level - 1], widths[level]
        deeper = Level(outer, inner, deeper, dropout=outer == 8 * ngf and deeper is not None)
    return nn.Sequential(
        nn.Conv2d(3, ngf, 4, 2, 1),
        deeper,
        nn.ReLU(),
        nn.ConvTranspose2d(2 * ngf, 3, 4, 2, 1),
        nn.Tanh(),
    )


def discriminator(ndf: int) -> nn.Module:
    """The 70 pixel PatchGAN on x and y."""
    parts: list[nn.Module] = [nn.Conv2d(6, ndf, 4, 2, 1), nn.LeakyReLU(0.2)]
    for before, width, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
        parts += [
            nn.Conv2d(before * ndf, width * ndf, 4, stride, 1, bias=False),
            nn.BatchNorm2d(width * ndf),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*parts, nn.Conv2d(8 * ndf, 1, 4, 1, 1))


class TorchStep:
    """One training step, D first and then G against the new D, as the authors' code does.

    Args:
      size, ngf, batch: of the networks and the batch.
      layout: ``contiguous`` (NCHW) or ``channels_last``.
      threads: that torch computes on.
    """

    def __init__(self, size: int, ngf: int, batch: int, layout: str, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        self.g = generator(size, ngf).to(memory_format=memory)
        self.d = discriminator(ngf).to(memory_format=memory)
        for network in (self.g, self.d):
            for weight in network.parameters():
                if weight.ndim == 4:
                    nn.init.normal_(weight, 0, 0.02)
        options = {"lr": 2e-4, "betas": (0.5, 0.999)}
        self.g_adam = torch.optim.Adam(self.g.parameters(), **options)
        self.d_adam = torch.optim.Adam(self.d.parameters(), **options)
        self.x, self.y = (
            (torch.rand(batch, 3, size, size) * 2 - 1).contiguous(memory_format=memory)
            for _ in range(2)
        )

    def __call__(self) -> float:
        """A step; returns the generator's L1, which also waits for it."""
        loss, x, y = nn.functional.binary_cross_entropy_with_logits, self.x, self.y
        fake = self.g(x)
        for weight in self.d.parameters():
            weight.requires_grad_(True)
        self.d_adam.zero_grad()
        on_fake = self.d(torch.cat([x, fake.detach()], 1))
        on_real = self.d(torch.cat([x, y], 1))
        d_loss = loss(on_fake, torch.zeros_like(on_fake)) + loss(on_real, torch.ones_like(on_real))
        (0.5 * d_loss).backward()
        self.d_adam.step()
        for weight in self.d.parameters():
            weight.requires_grad_(False)
        self.g_adam.zero_grad()
        judged = self.d(torch.cat([x, fake], 1))
        l1 = nn.functional.l1_loss(fake, y)
        (loss(judged, torch.ones_like(judged)) + 100 * l1).backward()
        self.g_adam.step()
        return float(l1.detach())


# === CycleGAN ===


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width),
            nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width),
        )  # fmt: skip

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.path(features)


def resnet(size: int, ngf: int) -> nn.Module:
    """The ResNet for images of `size` pixels."""
    parts: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7)]
    for width in (ngf, 2 * ngf):
        parts += [nn.InstanceNorm2d(width), nn.ReLU(True), nn.Conv2d(width, 2 * width, 3, 2, 1)]
    parts += [nn.InstanceNorm2d(4 * ngf), nn.ReLU(True)]
    parts += [Block(4 * ngf) for _ in range(6 if size < 256 else 9)]
    for width in (4 * ngf, 2 * ngf):
        up = nn.ConvTranspose2d(width, width // 2, 3, 2, padding=1, output_padding=1)
        parts += [up, nn.InstanceNorm2d(width // 2), nn.ReLU(True)]
    return nn.Sequential(*parts, nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh())


def judge(ndf: int) -> nn.Module:
    """The 70 pixel PatchGAN on an image alone."""
    parts: list[nn.Module] = [nn.Conv2d(3, ndf, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for before, width, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
        parts += [
            nn.Conv2d(before * ndf, width * ndf, 4, stride, 1),
            nn.InstanceNorm2d(width * ndf),
            nn.LeakyReLU(0.2, True),
        ]
    return nn.Sequential(*parts, nn.Conv2d(8 * ndf, 1, 4, 1, 1))


class ImagePool:
    """Images made earlier, of which one is returned in the place of every second new one."""

    def __init__(self, size: int = 50) -> None:
        self.size = size
        self.images: list[torch.Tensor] = []

    def query(self, images: torch.Tensor) -> torch.Tensor:
        returned = []
        for image in images.split(1):
            if len(self.images) < self.size:
                self.images.append(image)
            elif random.random() > 0.5:
                place = random.randrange(self.size)
                image, self.images[place] = self.images[place].clone(), image
            returned.append(image)
        return torch.cat(returned)


class TorchCycleGANStep:
    """One training step of CycleGAN, both generators first and then both discriminators, as the
    authors' code does it; arguments as of `TorchStep`."""

    def __init__(self, size: int, ngf: int, batch: int, layout: str, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        random.seed(0)
        memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        self.there, self.back = (resnet(size, ngf).to(memory_format=memory) for _ in range(2))
        self.d_there, self.d_back = (judge(ngf).to(memory_format=memory) for _ in range(2))
        for network in (self.there, self.back, self.d_there, self.d_back):
            for weight in network.parameters():
                nn.init.normal_(weight, 0, 0.02) if weight.ndim == 4 else nn.init.zeros_(weight)
        self.generators = [*self.there.parameters(), *self.back.parameters()]
        self.discriminators = [*self.d_there.parameters(), *self.d_back.parameters()]
        options = {"lr": 2e-4, "betas": (0.5, 0.999)}
        self.g_adam = torch.optim.Adam(self.generators, **options)
        self.d_adam = torch.optim.Adam(self.discriminators, **options)
        self.pools = [ImagePool(), ImagePool()]
        self.x, self.y = (
            (torch.rand(batch, 3, size, size) * 2 - 1).contiguous(memory_format=memory)
            for _ in range(2)
        )

    def __call__(self) -> float:
        """A step; returns a cycle loss, which also waits for it."""
        x, y, l1 = self.x, self.y, nn.functional.l1_loss
        fake_y = self.there(x)
        again_x = self.back(fake_y)
        fake_x = self.back(y)
        again_y = self.there(fake_x)
        for weight in self.discriminators:
            weight.requires_grad_(False)
        self.g_adam.zero_grad()
        identity = l1(self.there(y), y) + l1(self.back(x), x)
        gan = _lsgan(self.d_there(fake_y), 1.0) + _lsgan(self.d_back(fake_x), 1.0)
        cycle = l1(again_x, x)
        (gan + 10 * (cycle + l1(again_y, y)) + 5 * identity).backward()
        self.g_adam.step()
        for weight in self.discriminators:
            weight.requires_grad_(True)
        self.d_adam.zero_grad()
        judged = ((self.d_there, y, fake_y), (self.d_back, x, fake_x))
        for (network, real, fake), pool in zip(judged, self.pools, strict=True):
            shown = pool.query(fake.detach())
            d_loss = _lsgan(network(real), 1.0) + _lsgan(network(shown), 0.0)
            (0.5 * d_loss).backward()
        self.d_adam.step()
        return float(cycle.detach())


def _lsgan(logits: torch.Tensor, target: float) -> torch.Tensor:
    return nn.functional.mse_loss(logits, torch.full_like(logits, target))


STEPS = {"pix2pix": TorchStep, "cyclegan": TorchCycleGANStep}
