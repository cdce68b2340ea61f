"""`Task`: a frozen dataclass whose fields are its flags and whose `make` draws A from B."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.options import check_options


@dataclasses.dataclass(frozen=True)
class Task:
    """One way to make a pair (A, the input; B, the target) from one image.

    Subclasses are frozen dataclasses; each field is an `option` and a flag of the same name.

    Attributes:
      name: the task as ``--task`` names it.
      about: one line for the manual.
      titles: what A and B are, for the preview.
      libraries: modules that `make` imports, loaded before the threads start.
      train_flags: flags that a training on such pairs needs besides ``--dataset``.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    titles: ClassVar[tuple[str, str]]
    libraries: ClassVar[tuple[str, ...]] = ()
    train_flags: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_options(self, DataError)

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """Draws A from an image.

        Args:
          image: uint8 ``[H, W, 3]``, RGB: what B will be.
          stem: the image's name without folder and extension, for tasks that draw at random.

        Returns:
          uint8 ``[H, W, 3]``.
        """
        raise NotImplementedError

    def remark(self, a: np.ndarray, b: np.ndarray) -> str:
        """Plain words on a pair that teaches little; mostly none."""
        return ""

    def settings(self) -> dict[str, Any]:
        """The JSON-able fields on which the pictures depend."""
        return dataclasses.asdict(self)


def as_rgb(grey: np.ndarray) -> np.ndarray:
    """Grey ``[H, W]`` repeated into ``[H, W, 3]``."""
    return np.repeat(grey[..., None], 3, axis=-1)
