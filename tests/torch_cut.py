"""CUT in PyTorch, written from its paper and from what its code does, for comparison.

Importing this needs PyTorch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Blur(nn.Module):
    """Halves by [1, 2, 1] of the reflected image, or doubles by [1, 3, 3, 1] of the replicated."""

    def __init__(self, double: bool) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0] if double else [1.0, 2.0, 1.0])
        self.double, self.weights = double, row[:, None] * row / row.sum() ** 2

    def forward(self, x):
        channels = x.shape[1]
        weights = self.weights.expand(channels, 1, -1, -1)
        if not self.double:
            padded = functional.pad(x, (1, 1, 1, 1), "reflect")
            return functional.conv2d(padded, weights, stride=2, groups=channels)
        padded = functional.pad(x, (1, 1, 1, 1), "replicate")
        return functional.conv_transpose2d(padded, 4 * weights, None, 2, 3, groups=channels)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        parts = []
        for relu in (nn.ReLU(), nn.Identity()):
            parts += [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
            parts.append(relu)
        self.inner = nn.Sequential(*parts)

    def forward(self, x):
        return x + self.inner(x)


class Generator(nn.Module):
    """The ResNet; `features` gives what is compared."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()

        def layer(convolution):
            return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()]

        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            *layer(nn.Conv2d(channels, width, 7)),
            *layer(nn.Conv2d(width, 2 * width, 3, padding=1)),
            Blur(False),
            *layer(nn.Conv2d(2 * width, 4 * width, 3, padding=1)),
            Blur(False),
            *(Block(4 * width) for _ in range(blocks)),
            Blur(True),
            *layer(nn.Conv2d(4 * width, 2 * width, 3, padding=1)),
            Blur(True),
            *layer(nn.Conv2d(2 * width, width, 3, padding=1)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, channels, 7),
            nn.Tanh(),
        )

    def forward(self, x):
        return self.layers(x)

    def features(self, x):
        found = []
        for number, layer in enumerate(self.layers[:17]):
            x = layer(x)
            if number in (0, 4, 8, 12, 16):
                found.append(x)
        return found


def discriminator(channels: int, width: int) -> nn.Sequential:
    """The 70x70 PatchGAN with blurs."""
    layers = [nn.Conv2d(channels, width, 4, padding=1), nn.LeakyReLU(0.2), Blur(False)]
    for number in (1, 2, 3):
        read, made = width * 2 ** (number - 1), width * 2**number
        layers += [nn.Conv2d(read, made, 4, padding=1), nn.InstanceNorm2d(made), nn.LeakyReLU(0.2)]
        layers += [Blur(False)] if number < 3 else []
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, padding=1))


def head(channels: list[int], width: int) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(nn.Linear(of, width), nn.ReLU(), nn.Linear(width, width)) for of in channels
    )


class Training:
    """Steps on given images, with given places of the patches that are compared."""

    def __init__(self, generator, mlps, judge, lambda_nce: float = 1.0) -> None:
        self.generator, self.mlps, self.judge = generator, mlps, judge
        self.lambda_nce = lambda_nce
        settings = {"lr": 2e-4, "betas": (0.5, 0.999)}
        self.adams = [
            torch.optim.Adam(network.parameters(), **settings) for network in (generator, mlps)
        ]
        self.judges_adam = torch.optim.Adam(judge.parameters(), **settings)

    def step(self, x, y, places, mirrored=None) -> dict[str, float]:
        """The losses of CUT; of FastCUT, where it is said which images G sees mirrored. `places`:
        by layer ``[N, n]``, of x, and in CUT of y."""
        images = torch.cat([x, y]) if mirrored is None else x
        pictures = self.generator(self.turned(images, mirrored))
        fake = pictures[: len(x)]
        self.judges_adam.zero_grad()
        squares = (self.judge(fake.detach()) ** 2).mean() + ((self.judge(y) - 1) ** 2).mean()
        d_loss = 0.5 * squares
        d_loss.backward()
        self.judges_adam.step()
        for adam in self.adams:
            adam.zero_grad()
        gan = ((self.judge(fake) - 1) ** 2).mean()
        terms = self.nce(images, pictures, places, mirrored).reshape(-1, len(x)).mean(dim=1)
        total = gan + self.lambda_nce * terms.mean()
        total.backward()
        for adam in self.adams:
            adam.step()
        values = {"discriminator": d_loss, "gan": gan, "generator": total}
        values |= dict(zip(("nce", "nce_idt"), terms, strict=False))
        return {name: value.item() for name, value in values.items()}

    @staticmethod
    def turned(images, mirrored):
        return images if mirrored is None else torch.where(mirrored, images.flip(3), images)

    def nce(self, images, pictures, places, mirrored):
        """Of each image."""
        queries, keys = self.generator.features(pictures), self.generator.features(images)
        total = 0.0
        for query, key, at, mlp in zip(queries, keys, places, self.mlps, strict=True):
            query = self.turned(query, mirrored)
            q, k = (self.vectors(of, at, mlp) for of in (query, key))
            alike = torch.bmm(q, k.detach().transpose(1, 2))
            right = torch.diagonal(alike, dim1=1, dim2=2)[..., None]
            alike = alike.masked_fill(torch.eye(at.shape[1], dtype=torch.bool), -10.0)
            columns = torch.cat([right, alike], dim=2).flatten(0, 1) / 0.07
            wanted = torch.zeros(len(columns), dtype=torch.long)
            values = functional.cross_entropy(columns, wanted, reduction="none")
            total = total + values.reshape(len(images), -1).mean(dim=1)
        return total / len(self.mlps)

    @staticmethod
    def vectors(features, places, mlp):
        flat = features.flatten(2).transpose(1, 2)
        picked = torch.gather(flat, 1, places[..., None].expand(-1, -1, flat.shape[2]))
        found = mlp(picked)
        # A narrow network's features may all be 0, where the root has no gradient.
        return found / (found.pow(2).sum(-1, keepdim=True).clamp_min(1e-30).sqrt() + 1e-7)
