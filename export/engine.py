"""The one interface behind which every exported format runs."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfpix2pix.base.errors import UserError

if TYPE_CHECKING:
    from tfpix2pix.export.contract import Contract


class Loaded(abc.ABC):
    """A network of an export, loaded and ready, on NumPy arrays.

    Attributes:
      OUTPUT: the name of what it gives.
      contract: what the artefact promises.
      path: the artefact.
      name: what runs it, for tables: ``onnxruntime``.
      has_pictures: whether it also has a method that takes images: ``translate``, ``style``.
    """

    OUTPUT: ClassVar[str]
    has_pictures: bool = False
    contract: Contract
    path: Path
    name: str

    @property
    @abc.abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Names of what the network takes, in its order."""

    @abc.abstractmethod
    def run(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """What it gives for its inputs by name, float32: those of `inputs`, in their order."""

    def failed(self, error: Exception) -> UserError:
        """The sentence for an engine that gave up while it ran."""
        return UserError(f"{self.path} failed in {self.name} ({short_reason(error)}); export again")


class Engine(Loaded):
    """An exported generator; its method from images to results is ``translate``."""

    OUTPUT = "y"

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.contract.inputs

    @property
    def takes_noise(self) -> bool:
        """Whether the network has the input z."""
        return self.contract.noise

    @property
    def latent_size(self) -> int:
        """Numbers of the network's input ``latent``; 0 where it has none."""
        return self.contract.latent_size

    @property
    def argmax(self) -> bool:
        """Whether y has class numbers in the place of probabilities."""
        return self.contract.argmax

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width that x must have; None: any multiples of the size multiple."""
        return self.contract.image_size

    @property
    def max_pixels(self) -> int | None:
        """Height times width that x may have; None: no limit but the memory."""
        return None

    def __call__(
        self, x: np.ndarray, z: np.ndarray | None = None, latent: np.ndarray | None = None
    ) -> np.ndarray:
        """Runs the network; what it does not take is not looked at.

        Args:
          x: float32 ``[B, H, W, C_in]`` in [-1, 1].
          z: float32 ``[B, h, w, Z]``, or None where the network takes none.
          latent: float32 ``[B, n]``, likewise.

        Returns:
          y, float32 ``[B, H, W, C_out]`` in [-1, 1]; of one-hot labels the probabilities of the
          classes, or with `argmax` their numbers, uint8 ``[B, H, W, 1]``.

        Raises:
          ValueError: the network takes what is not given.
        """
        given = {"x": x, "z": z, "latent": latent}
        missing = [name for name in self.inputs if given[name] is None]
        if missing:
            raise ValueError(f"{self.path} takes {' and '.join(self.inputs)}; give {missing[0]}")
        return self.run({name: np.asarray(given[name], np.float32) for name in self.inputs})

    def open_encoder(self) -> ExportedEncoder:
        """What makes latents of images, beside this generator and in the same format.

        Raises:
          UserError: there is none, or it is damaged or of another checkpoint.
        """
        found = self._encoder() if self.contract.encodes else None
        if found is None:
            raise UserError(
                f"{self.path}: there is no encoder beside it; give the folder that `tfpix2pix "
                "export` wrote, or the run (--workdir)"
            )
        if found.contract.checkpoint != self.contract.checkpoint:
            raise UserError(f"{found.path} is of another checkpoint than {self.path}; export again")
        return found

    def _encoder(self) -> ExportedEncoder | None:
        """`open_encoder`'s; None where it is not there."""
        return None


class ExportedEncoder(Loaded):
    """An exported encoder; its method from images to latents is ``style``."""

    OUTPUT = "latent"

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("y",)

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """The latents, float32 ``[B, n]``, of images like the targets, float32 ``[B, H, W, C_out]``
        in [-1, 1], of the size of the training."""
        return self.run({"y": np.asarray(y, np.float32)})


_WHY = "assertion failed: "


def short_reason(error: Exception) -> str:
    """The first line of what an engine says, on one line and not too long; of TensorFlow's, which
    tells where in the graph it was first, the one that says why."""
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    lines = [line for line in lines if line.startswith(_WHY)] or lines
    return lines[0].removeprefix(_WHY)[:200] if lines else type(error).__name__
