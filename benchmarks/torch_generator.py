"""The torch side of inference.py: the same generator in PyTorch, as a `Network` on torch tensors.

Needs torch (`pip install torch`). It runs in a process of its own, without TensorFlow.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

WIDEST = 8  # channels never exceed 8 * ngf


class Generator(nn.Module):
    """The paper's U-Net with per-image normalisation, written as PyTorch users write it.

    Args:
      weights: arrays by the names of `tfpix2pix.models.weights.named_weights`.
      dropout: (level, rate, first channel of z, block) of each dropout layer.
    """

    def __init__(
        self, weights: dict[str, np.ndarray], dropout: list[tuple[int, float, int, int]]
    ) -> None:
        super().__init__()
        self.depth = sum(name.startswith("up") and name.endswith("/kernel") for name in weights)
        self.dropout = {level: rest for level, *rest in dropout}
        self.layers, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for name, value in weights.items():
            layer, weight = name.split("/")
            if weight == "kernel":
                self.layers[layer] = _convolution(layer, value, weights.get(f"{layer}/bias"))
            elif weight == "gamma":
                beta = weights[f"{layer}/beta"]
                norm = nn.InstanceNorm2d(len(value), eps=1e-5, affine=True)
                norm.weight.data, norm.bias.data = torch.tensor(value), torch.tensor(beta)
                self.norms[layer] = norm

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """y of x and z, all channels first."""
        features, skips = x, {}
        for level in range(1, self.depth + 1):
            if level > 1:
                features = functional.leaky_relu(features, 0.2)
            features = self._normalized(self.layers[f"down{level}"](features), f"down{level}")
            skips[level] = features
        for level in range(self.depth, 0, -1):
            if level < self.depth:
                features = torch.cat([features, skips[level]], dim=1)
            features = self.layers[f"up{level}"](functional.relu(features))
            features = self._normalized(features, f"up{level}")
            if level in self.dropout:
                features = features * self._multiplier(z, features.shape[1], *self.dropout[level])
        return torch.tanh(features)

    def _normalized(self, features: torch.Tensor, layer: str) -> torch.Tensor:
        name = f"{layer}_norm"
        return self.norms[name](features) if name in self.norms else features

    def _multiplier(
        self, z: torch.Tensor, channels: int, rate: float, offset: int, block: int
    ) -> torch.Tensor:
        noise = z[:, offset : offset + channels * block**2]
        if block > 1:
            # TensorFlow has the place within the block before the channel, torch after it.
            batch, _, height, width = noise.shape
            noise = noise.reshape(batch, block**2, channels, height, width).transpose(1, 2)
            noise = functional.pixel_shuffle(noise.flatten(1, 2), block)
        kept = torch.where(noise < rate, 0.0, 1 / (1 - rate))
        return torch.where(noise < 0, 1.0, kept)


def _convolution(name: str, kernel: np.ndarray, bias: np.ndarray | None) -> nn.Module:
    up = name.startswith("up")
    value = torch.tensor(kernel.transpose(3, 2, 0, 1))
    first, second = value.shape[:2]
    ends = (first, second) if up else (second, first)
    kind = nn.ConvTranspose2d if up else nn.Conv2d
    layer = kind(*ends, 4, stride=2, padding=1, bias=bias is not None)
    layer.weight.data = value.contiguous()
    if bias is not None:
        layer.bias.data = torch.tensor(bias)
    return layer


class TorchNetwork:
    """`Generator` on tensors that are already there in the layout that it wants.

    Args:
      weights, dropout: of `Generator`.
      layout: ``contiguous`` or ``channels_last``.
      threads: that torch computes on.
    """

    def __init__(self, weights, dropout, layout: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._format = getattr(torch, f"{layout}_format" if layout == "contiguous" else layout)
        self._generator = Generator(weights, dropout).eval().to(memory_format=self._format)

    def prepare(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array).permute(0, 3, 1, 2)
        return tensor.contiguous(memory_format=self._format)

    def __call__(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self._generator(x, z)

    def finish(self, y: torch.Tensor) -> np.ndarray:
        return y.permute(0, 2, 3, 1).numpy()
