"""The one interface behind which every exported format runs."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tfpix2pix.export.contract import Contract


class Engine(abc.ABC):
    """An exported generator, loaded and ready: G(x, z), or G(x), on NumPy arrays.

    Attributes:
      contract: what the artefact promises.
      path: the artefact.
      name: what runs it, for tables: ``onnxruntime``.
    """

    contract: Contract
    path: Path
    name: str

    @property
    def takes_noise(self) -> bool:
        """Whether the network has the input z."""
        return self.contract.noise

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width that x must have; None: any multiples of the size multiple."""
        return self.contract.image_size

    @property
    def max_pixels(self) -> int | None:
        """Height times width that x may have; None: no limit but the memory."""
        return None

    @abc.abstractmethod
    def __call__(self, x: np.ndarray, z: np.ndarray | None) -> np.ndarray:
        """Runs the network.

        Args:
          x: float32 ``[B, H, W, C_in]`` in [-1, 1].
          z: float32 ``[B, h, w, Z]``, or None where the network takes none.

        Returns:
          y, float32 ``[B, H, W, C_out]`` in [-1, 1].
        """
