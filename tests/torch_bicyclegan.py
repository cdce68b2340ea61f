"""BicycleGAN in PyTorch, written from its paper and from what its code does, for comparison.

Importing this needs PyTorch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, instance_norm, leaky_relu, relu


class Generator(nn.Module):
    """The U-Net, whose encoder reads the latent at every level, as the code's ``where_add=all``."""

    def __init__(self, levels: int, channels: int, outputs: int, width: int, latent: int) -> None:
        super().__init__()
        wide = [min(2**level, 8) * width for level in range(levels)]
        read = [channels, *wide[:-1]]
        made = [outputs, *wide[:-1]]
        self.down = nn.ModuleList(
            nn.Conv2d(one + latent, other, 4, 2, 1) for one, other in zip(read, wide, strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(wide[i] * (1 if i == levels - 1 else 2), made[i], 4, 2, 1)
            for i in reversed(range(levels))
        )

    def forward(self, x, latent):
        skips, last = [], len(self.down) - 1
        for level, down in enumerate(self.down):
            x = torch.cat([x, latent[..., None, None].expand(-1, -1, *x.shape[2:])], dim=1)
            x = down(leaky_relu(x, 0.2) if level else x)
            x = instance_norm(x) if 0 < level < last else x
            skips.append(x)
        x = skips.pop()
        for up in self.up:
            x = up(relu(x))
            x = torch.cat([instance_norm(x), skips.pop()], dim=1) if skips else torch.tanh(x)
        return x


class Block(nn.Module):
    """Of the encoder: halves."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(one, other, 1)
        self.a, self.b = nn.Conv2d(one, one, 3, 1, 1), nn.Conv2d(one, other, 3, 1, 1)

    def forward(self, x):
        inner = self.a(leaky_relu(instance_norm(x), 0.2))
        inner = avg_pool2d(self.b(leaky_relu(instance_norm(inner), 0.2)), 2)
        return inner + self.shortcut(avg_pool2d(x, 2))


class Encoder(nn.Module):
    """The code's ``resnet_128`` and ``resnet_256``, with 4 and 5 `halvings`."""

    def __init__(self, halvings: int, channels: int, width: int, latent: int) -> None:
        super().__init__()
        wide = [min(number, 4) * width for number in range(1, halvings + 1)]
        self.first = nn.Conv2d(channels, width, 4, 2, 1)
        self.blocks = nn.Sequential(*map(Block, wide[:-1], wide[1:]))
        self.mean, self.log_variance = (nn.Linear(wide[-1], latent) for _ in range(2))

    def forward(self, y):
        x = avg_pool2d(leaky_relu(self.blocks(self.first(y)), 0.2), 8).flatten(1)
        return self.mean(x), self.log_variance(x)


class Judge(nn.Module):
    """The PatchGAN of `strided` layers at two scales, the second of half the width."""

    def __init__(self, strided: int, channels: int, width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            self.layers(strided, channels, of) for of in (width, width // 2)
        )

    @staticmethod
    def layers(strided: int, channels: int, width: int) -> nn.Sequential:
        parts = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for number in range(1, strided + 1):
            one, other = (min(2**level, 8) * width for level in (number - 1, number))
            parts += [nn.Conv2d(one, other, 4, 2 if number < strided else 1, 1)]
            parts += [nn.InstanceNorm2d(other), nn.LeakyReLU(0.2)]
        return nn.Sequential(*parts, nn.Conv2d(other, 1, 4, 1, 1))

    def squares(self, images, wanted: float):
        total = 0.0
        for layers in self.scales:
            total = total + ((layers(images) - wanted) ** 2).mean()
            images = avg_pool2d(images, 3, 2, 1, count_include_pad=False)
        return total


class Training:
    """Steps on given images with given numbers; every pair makes both outputs."""

    def __init__(self, generator, encoder, judges, conditional: bool, lambdas) -> None:
        self.generator, self.encoder, self.judges = generator, encoder, judges
        self.conditional, self.lambdas = conditional, lambdas
        self.adams = [
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (generator, encoder, *judges)
        ]

    def step(self, x, y, latent, normal) -> dict[str, float]:
        for adam in self.adams:
            adam.zero_grad()
        mean, log_variance = self.encoder(y)
        encoded = self.generator(x, mean + normal * torch.exp(log_variance / 2))
        random = self.generator(x, latent)

        def seen(images):
            return torch.cat([x, images], dim=1) if self.conditional else images

        gan, gan_random = (
            judge.squares(seen(fake), 1)
            for judge, fake in zip(self.judges, (encoded, random), strict=True)
        )
        values = {"gan": gan, "gan_random": gan_random, "l1": (encoded - y).abs().mean()}
        per_image = (1 + log_variance - mean**2 - log_variance.exp()).sum(dim=1)
        values["kl"] = -0.5 * per_image.mean()
        values["latent_l1"] = (self.encoder(random)[0] - latent).abs().mean()
        weighted = {name: self.lambdas.get(name, 1.0) * value for name, value in values.items()}
        values["generator"] = sum(value for name, value in weighted.items() if name != "kl")
        values["encoder"] = weighted["gan"] + weighted["l1"] + weighted["kl"]
        for network, name in ((self.generator, "generator"), (self.encoder, "encoder")):
            parameters = list(network.parameters())
            found = torch.autograd.grad(values[name], parameters, retain_graph=True)
            for parameter, gradient in zip(parameters, found, strict=True):
                parameter.grad = gradient
        names = ("discriminator", "discriminator_random")
        for judge, name, fake in zip(self.judges, names, (encoded, random), strict=True):
            judge.zero_grad()
            shown = seen(fake.detach())
            values[name] = (judge.squares(seen(y), 1) + judge.squares(shown, 0)) / 2
            values[name].backward()
        for adam in self.adams:
            adam.step()
        return {name: value.item() for name, value in values.items()}
